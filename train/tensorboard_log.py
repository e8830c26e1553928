"""Training as TensorBoard shows it: loss and accuracy of every epoch, training over validation."""

from pathlib import Path

import tensorflow as tf

from .fit import Epoch, Step


class TensorBoardLog:
    """A watcher for `fit` that writes each finished epoch, as two curves of the same charts."""

    def __init__(self, folder: Path) -> None:
        """Go on with the log in a folder, or begin one. TensorBoard must be installed.

        Args:
            folder: What `tensorboard --logdir` is to be given; other runs may lie beside it.
        """
        self._training = tf.summary.create_file_writer(str(folder / "training"))
        self._validation = tf.summary.create_file_writer(str(folder / "validation"))

    def __call__(self, news: Step | Epoch) -> None:
        """Write an epoch that is done."""
        if isinstance(news, Step):
            return
        for writer, loss, accuracy in (
            (self._training, news.loss, news.accuracy),
            (self._validation, news.validation_loss, news.validation_accuracy),
        ):
            with writer.as_default(step=news.epoch):
                tf.summary.scalar("loss", loss)
                tf.summary.scalar("accuracy", accuracy)
            writer.flush()
