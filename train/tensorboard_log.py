"""Training as TensorBoard shows it: loss and accuracy of every epoch, training over validation."""

from importlib.util import find_spec
from pathlib import Path

from eurosat.errors import MissingPackageError

from .fit import Epoch, Step


def require_tensorboard() -> None:
    """Refuse where TensorBoard is not installed.

    Raises:
        MissingPackageError: It is not.
    """
    if find_spec("tensorboard") is None:
        raise MissingPackageError(
            "TensorBoard is not installed: run `pip install tensorboard`, or leave out "
            "--tensorboard; history.csv holds the same figures."
        )


class TensorBoardLog:
    """A watcher for `fit` that writes each finished epoch, as two curves of the same charts."""

    def __init__(self, folder: Path) -> None:
        """Go on with the log in a folder, or begin one.

        Args:
            folder: What `tensorboard --logdir` is to be given; other runs may lie beside it.
        """
        import tensorflow as tf

        self._summary = tf.summary
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
                self._summary.scalar("loss", loss)
                self._summary.scalar("accuracy", accuracy)
            writer.flush()
