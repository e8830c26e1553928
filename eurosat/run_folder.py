"""The folder of one training run: which file is which. Training writes it, conversion reads it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eurosat.errors import RunFolderError, damaged_in_run
from eurosat.existence import exists, is_file, is_folder
from eurosat.model_file import find_model, shipped_model_names
from eurosat.split import Split

LOGITS_LAYER = "logits"
"""Name, in every Keras model of a run, of the layer before the softmax."""

RESCALING_LAYER = "rescaled"
"""Name of the layer that brings pixels from 0..255 to -1..1."""


@dataclass(frozen=True)
class RunFolder:
    """Names of the files of a training run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """What was asked for, with the versions of the packages that did it, as JSON."""
        return self.path / "config.json"

    @property
    def split(self) -> Path:
        """Which tile served for what, as JSON."""
        return self.path / "split.json"

    @property
    def model(self) -> Path:
        """The Keras model with the best weights."""
        return self.path / "model.keras"

    @property
    def history(self) -> Path:
        """Loss and accuracy of every epoch, as CSV."""
        return self.path / "history.csv"

    @property
    def metrics(self) -> Path:
        """Accuracy, F1, calibration and more on validation (and on test, once), as JSON."""
        return self.path / "metrics.json"

    @property
    def report(self) -> Path:
        """The classification report and the audit of the data, as text."""
        return self.path / "report.txt"

    @property
    def curves(self) -> Path:
        """Picture: loss and accuracy by epoch."""
        return self.path / "curves.png"

    @property
    def confusion_matrix(self) -> Path:
        """Picture: true against predicted classes."""
        return self.path / "confusion_matrix.png"

    @property
    def predictions(self) -> Path:
        """Picture: 20 tiles with their true and predicted classes."""
        return self.path / "predictions.png"

    @property
    def tensorboard(self) -> Path:
        """Folder of the log for TensorBoard, if one was asked for."""
        return self.path / "tensorboard"

    @property
    def checkpoint(self) -> Path:
        """All that is needed to go on after the last finished epoch."""
        return self.path / "checkpoint" / "state.npz"

    def model_files(self) -> list[Path]:
        """Return the model files that `eurosat-convert` left in the run.

        Without those set aside, and without scene twins, which answer as their models do.
        """
        files = sorted(self.path.glob("*.tflite"))
        return [path for path in files if not path.stem.endswith((".previous", "-scene"))]

    def read_config(self) -> dict[str, Any]:
        """Return the content of `config`.

        Raises:
            RunFolderError: The folder is not a training run, or the file is damaged.
        """
        if is_file(self.path):
            raise RunFolderError(f"{self.path} is a file: name the folder of the run.")
        if not is_file(self.config):
            raise RunFolderError(
                f"{self.path} is not the folder of a training run: it has no {self.config.name}."
            )
        try:
            config = json.loads(self.config.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise damaged_in_run(self.config) from error
        if not isinstance(config, dict):
            raise damaged_in_run(self.config)
        return config

    def recorded_data(self) -> Path | None:
        """Return the data set that the run was begun with; None if it is gone or not recorded.

        Raises:
            RunFolderError: The folder is not a training run, or `config` is damaged.
        """
        data = self.read_config().get("data")
        return Path(data) if data and isinstance(data, str) and exists(Path(data)) else None

    def check_finished(self) -> None:
        """Refuse a run that has no model yet.

        Raises:
            RunFolderError: It has none.
        """
        if not is_file(self.model):
            raise RunFolderError(
                f"{self.path} has no {self.model.name} yet: finish its training with "
                f"eurosat-train --resume --out {self.path}."
            )

    def read_split(self) -> Split:
        """Return the recorded split.

        Raises:
            RunFolderError: The file is missing or damaged.
        """
        split = Split.read(self.split)
        if not (split.train and split.validation and split.test):
            raise damaged_in_run(self.split)
        return split


def find_run_or_model(name: str) -> Path:
    """Return the folder of a run, or the file of a model, that a user means by a word.

    Args:
        name: A path, or a shipped model's name, which only the folder of a run comes before.

    Raises:
        ModelFileError: It looks like a name, but no shipped model has it; or it is empty.
    """
    path = Path(name)
    is_meant = name not in shipped_model_names() or exists(RunFolder(path).config)
    return path if is_folder(path) and is_meant else find_model(name)


def run_of(path: Path) -> RunFolder | None:
    """Return the run that a folder is, or that a model file lies in; None for a file by itself."""
    if is_folder(path):
        return RunFolder(path)
    folder = RunFolder(path.parent)
    return folder if exists(folder.config) and exists(folder.split) else None
