"""First weights from an earlier run: a model that is fine-tuned, on the same tiles or on others."""

from pathlib import Path

import keras

from eurosat.errors import EurosatError
from eurosat.keras_model import load_keras_model
from eurosat.run_folder import RunFolder
from eurosat.split import Split


def check_first_run(run: str, split: Split) -> None:
    """Refuse a run that cannot be gone on from.

    Args:
        run: Its folder.
        split: Of the new run.

    Raises:
        RunFolderError: The folder is no finished run, or is damaged.
        EurosatError: Its model may have seen tiles that the new one is judged on.
    """
    folder = RunFolder(Path(run))
    theirs = folder.read_split()
    folder.check_finished()
    if theirs.fingerprint == split.fingerprint and not theirs.has_exam_of(split):
        raise EurosatError(
            f"The model of {run} was trained on other tiles than this run, and may know those that "
            "the model is judged on: train both with the same --split-seed and fractions."
        )


def take_first_weights(model: keras.Model, run: str) -> None:
    """Give a model the weights of an earlier run's model, but for the logits of other classes.

    Args:
        model: A fresh model.
        run: The folder of a finished run.

    Raises:
        ModelFileError: Its model is damaged.
        EurosatError: Its model is of another architecture or size.
    """
    path = RunFolder(Path(run)).model
    theirs = load_keras_model(path).get_weights()
    ours = model.get_weights()
    # The kernel and the bias of the logits come last.
    if [array.shape for array in theirs[:-2]] != [array.shape for array in ours[:-2]]:
        raise EurosatError(
            f"{path} is of another architecture, or has other blocks, filters, width or units: "
            "train with those of its run."
        )
    fits = [array.shape for array in theirs[-2:]] == [array.shape for array in ours[-2:]]
    model.set_weights([*theirs[:-2], *(theirs if fits else ours)[-2:]])
