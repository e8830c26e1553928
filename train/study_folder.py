"""The folder of one tuning study: what it was told, which file is which, what came out best.

Tuning writes it, training reads it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eurosat.atomic import write_text
from eurosat.dataset import Dataset
from eurosat.errors import DatasetError, EurosatError, RunFolderError
from eurosat.existence import is_file
from eurosat.split import Split

from .configuration import DEFAULTS, Architecture, TrainingConfiguration

_SHARED = ("learning_rate", "optimizer", "batch_size", "dropout", "l2", "shift", "jitter")

TUNED = {
    Architecture.CNN: (*_SHARED, "blocks", "filters"),
    Architecture.MOBILENET: (*_SHARED, "width", "units"),
}
"""Names of the values that can be tuned; what is tried for each, `search_space` says."""


@dataclass(frozen=True)
class StudySettings:
    """How each trial is trained.

    Attributes:
        architecture: Which model.
        epochs: Passes over the training tiles of a trial.
        fraction: Share of the training split that trials train on, above 0 to 1. They are judged
            on all of the validation split: of fewer tiles, chance would decide.
        seed: Seed of the split, of the training tiles of trials, of the draws and of each training.
        balanced: Whether trials see every class equally often, see `TrainingConfiguration`.
        only: The values that are tuned, in the order of `TUNED`; none for all of them. The others
            are as by default.
    """

    architecture: Architecture
    epochs: int = 3
    fraction: float = 0.2
    seed: int = 0
    balanced: bool = False
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be studied.

        Raises:
            EurosatError: A value is out of its range; the sentence names it.
        """
        head_epochs = replace(self.base, epochs=self.epochs).head_epochs
        if self.epochs <= head_epochs:
            raise EurosatError(
                f"--epochs must be above {head_epochs} for {self.architecture}, which fits its "
                f"head alone for so long."
            )
        if not 0 < self.fraction <= 1:
            raise EurosatError(f"--fraction must be above 0 and at most 1, not {self.fraction}.")
        known = TUNED[self.architecture]
        unknown = [name for name in self.only if name not in known]
        if unknown:
            raise EurosatError(
                f"--only does not know {as_option(unknown[0])!r} for {self.architecture}: name some"
                f" of {', '.join(map(as_option, known))}."
            )

    @property
    def base(self) -> TrainingConfiguration:
        """The configuration whose values are searched."""
        return replace(
            DEFAULTS[self.architecture],
            seed=self.seed,
            split_seed=self.seed,
            balanced=self.balanced,
        )


def as_option(name: str) -> str:
    """Return the name of a value as a person types it, such as `learning-rate`."""
    return name.replace("_", "-")


@dataclass(frozen=True)
class StudyFolder:
    """Names and content of the files of a study.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def record(self) -> Path:
        """What is searched, on which data, and how each trial is trained, as JSON."""
        return self.path / "study.json"

    @property
    def split(self) -> Path:
        """Which tile serves for what when the best configuration is trained in full, as JSON."""
        return self.path / "split.json"

    @property
    def trial_split(self) -> Path:
        """The tiles that trials train on and are judged on, as JSON; it names no test tile."""
        return self.path / "trial-split.json"

    @property
    def trials(self) -> Path:
        """Optuna's record of all trials, as an SQLite database."""
        return self.path / "trials.db"

    @property
    def table(self) -> Path:
        """All trials with their values and accuracy, as CSV."""
        return self.path / "trials.csv"

    @property
    def best(self) -> Path:
        """The best trial so far, and the configuration that trains it in full, as JSON."""
        return self.path / "best.json"

    @property
    def history(self) -> Path:
        """Picture: the accuracy of every trial, and the best so far."""
        return self.path / "history.png"

    @property
    def importances(self) -> Path:
        """Picture: which parameters decided about the accuracy."""
        return self.path / "importances.png"

    @property
    def running(self) -> Path:
        """Working folders of the trials that are running, by their numbers."""
        return self.path / "running"

    def read_record(self) -> dict[str, Any]:
        """Return the content of `record`.

        Raises:
            RunFolderError: The folder is not a study, or the file is damaged.
        """
        if not is_file(self.record):
            raise RunFolderError(
                f"{self.path} is not the folder of a study: it has no {self.record.name}."
            )
        return _read_json(self.record)

    def read_split(self, path: Path, dataset: Dataset) -> Split:
        """Return `split` or `trial_split`, which must be of this data set.

        Raises:
            RunFolderError: The file is missing or damaged.
            DatasetError: The split is of another data set.
        """
        try:
            split = Split.read(path)
        except RunFolderError as error:
            raise damaged_in_study(path) from error
        self.check_data(split.fingerprint, dataset)
        return split

    def check_data(self, fingerprint: str, dataset: Dataset) -> None:
        """Refuse a data set that the study was not begun with.

        Raises:
            DatasetError: The fingerprints differ.
        """
        if fingerprint != dataset.fingerprint:
            raise DatasetError(
                f"The data set {dataset.source} is not the one of the study in {self.path} "
                f"(fingerprint {dataset.fingerprint[:12]} instead of {fingerprint[:12]}): name "
                f"the original with --data, or begin another study with --out."
            )

    def write_best(self, trial: Mapping[str, Any], configuration: TrainingConfiguration) -> None:
        """Write what is known of the best trial, and the configuration to train in full."""
        write_text(self.best, json.dumps({**trial, "training": configuration.to_json()}, indent=2))

    def read_best(self) -> TrainingConfiguration:
        """Return the configuration that trains the best trial in full.

        Raises:
            RunFolderError: The folder is not a study, no trial is complete, or a file is damaged.
        """
        self.read_record()
        if not is_file(self.best):
            raise RunFolderError(
                f"No trial of the study in {self.path} is complete: go on with it by eurosat-tune."
            )
        try:
            return TrainingConfiguration.from_json(_read_json(self.best)["training"])
        except (KeyError, ValueError, TypeError) as error:
            raise damaged_in_study(self.best) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged_in_study(path) from error
    if not isinstance(content, dict):
        raise damaged_in_study(path)
    return content


def damaged_in_study(path: Path) -> RunFolderError:
    """Return the refusal of a file of a study that is damaged."""
    return RunFolderError(f"{path} is damaged: restore it, or begin another study with --out.")
