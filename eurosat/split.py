"""Train, validation and test: a stratified, seeded split that is recorded and read back."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np

from eurosat.atomic import write_text
from eurosat.dataset import Dataset
from eurosat.errors import DatasetError, MissingPackageError, RunFolderError, damaged_in_run

ENOUGH_TILES = 10
"""Of each class, to be split by the fractions that count without others."""


class Part(StrEnum):
    """Which tiles of a data set a model is judged on."""

    TEST = "test"
    VALIDATION = "validation"
    ALL = "all"


@dataclass(frozen=True)
class Split:
    """Which tile serves for what.

    Attributes:
        fingerprint: Fingerprint of the data set that was split.
        seed: Seed of the shuffle.
        class_names: Classes of the data set in label order.
        train: Names of the tiles that weights are fitted to.
        validation: Names of the tiles that choices are made on.
        test: Names of the tiles that are looked at once, at the end.
    """

    fingerprint: str
    seed: int
    class_names: tuple[str, ...]
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write the split as JSON to `path`, whole or not at all."""
        write_text(path, json.dumps(asdict(self), indent=0))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a split that `write` wrote.

        Raises:
            RunFolderError: There is no such file, or it is no split.
        """
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                fingerprint=str(record["fingerprint"]),
                seed=int(record["seed"]),
                class_names=_names(record["class_names"]),
                train=_names(record["train"]),
                validation=_names(record["validation"]),
                test=_names(record["test"]),
            )
        except OSError as error:
            raise RunFolderError(
                f"{path} cannot be read ({error.strerror}): {path.parent} is not the folder of a "
                f"training run."
            ) from error
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise damaged_in_run(path) from error

    @property
    def digest(self) -> str:
        """SHA-256 of the names of the tiles that models are judged on, as hexadecimal digits."""
        names = {"validation": sorted(self.validation), "test": sorted(self.test)}
        return hashlib.sha256(json.dumps(names).encode()).hexdigest()

    def has_exam_of(self, other: "Split") -> bool:
        """Tell whether models of both splits are judged on the same tiles."""
        return self.digest == other.digest

    def check_matches(self, dataset: Dataset) -> None:
        """Refuse a data set that is not the one that was split, and a split that is none of it.

        Raises:
            DatasetError: The fingerprints differ.
            RunFolderError: The split names other classes or tiles, or a tile twice.
        """
        if dataset.fingerprint != self.fingerprint:
            raise DatasetError(
                f"The data set {dataset.source} is not the one of this training run (fingerprint "
                f"{dataset.fingerprint[:12]} instead of {self.fingerprint[:12]}): name the "
                f"original with --data."
            )
        named = [*self.train, *self.validation, *self.test]
        is_one_of_it = len(set(named)) == len(named) and set(named) <= set(dataset.names)
        if self.class_names != dataset.class_names or not is_one_of_it:
            raise RunFolderError(
                f"The recorded split names other classes or tiles than {dataset.source}, or a tile "
                f"twice: restore its file, or train again."
            )


def check_fractions(validation: float, test: float) -> None:
    """Refuse fractions that no data set can be split by.

    Raises:
        DatasetError: One is not above 0, or nothing is left for training.
    """
    if not (validation > 0 and test > 0 and validation + test < 1):
        raise DatasetError(
            "The validation and test fractions must be above 0 and together below 1, "
            f"not {validation} and {test}."
        )


def split_dataset(
    dataset: Dataset,
    *,
    seed: int = 0,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
) -> Split:
    """Split a data set in three parts with the same class shares.

    Tiles with the same pixels go to the same part, whatever their class: a model must not be
    judged on a picture that it was fitted to.

    Args:
        dataset: What to split.
        seed: The same seed gives the same split.
        validation_fraction: Share of the tiles for validation, above 0.
        test_fraction: Share of the tiles for test, above 0; the two together below 1.

    Raises:
        DatasetError: The fractions are impossible, or a class has too few different tiles to be in
            every part.
        MissingPackageError: scikit-learn is not installed.
    """
    check_fractions(validation_fraction, test_fraction)
    try:
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "Splitting a data set needs scikit-learn: pip install 'eurosat-edge[train]'."
        ) from error

    shares = {
        "validation fraction": validation_fraction,
        "test fraction": test_fraction,
        "share for training": 1 - validation_fraction - test_fraction,
    }
    groups = _groups_of_equal_tiles(dataset)
    first = np.array([group[0] for group in groups])
    labels = dataset.labels[first]
    indices = np.arange(len(groups))
    try:
        rest, test = train_test_split(
            indices, test_size=test_fraction, stratify=labels, random_state=seed
        )
        train, validation = train_test_split(
            rest,
            test_size=validation_fraction / (1 - test_fraction),
            stratify=labels[rest],
            random_state=seed,
        )
    except ValueError as error:
        raise _too_few_tiles(dataset, labels, shares) from error
    classes = set(range(len(dataset.class_names)))
    if any(set(labels[part]) != classes for part in (train, validation, test)):
        raise _too_few_tiles(dataset, labels, shares)

    def names(chosen: Iterable[int]) -> tuple[str, ...]:
        return tuple(sorted(dataset.names[tile] for index in chosen for tile in groups[index]))

    return Split(
        fingerprint=dataset.fingerprint,
        seed=seed,
        class_names=dataset.class_names,
        train=names(train),
        validation=names(validation),
        test=names(test),
    )


def _names(recorded: Any) -> tuple[str, ...]:
    """Return a list of a record.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(recorded, list) or not all(isinstance(name, str) for name in recorded):
        raise TypeError("not a list of names")
    return tuple(recorded)


def _too_few_tiles(
    dataset: Dataset, labels: np.ndarray, shares: Mapping[str, float]
) -> DatasetError:
    counts = np.bincount(labels, minlength=len(dataset.class_names))
    smallest = int(counts.argmin())
    part, share = min(shares.items(), key=lambda item: item[1])
    if counts[smallest] >= ENOUGH_TILES and counts[smallest] * share < 1:
        return DatasetError(
            f"{dataset.source} has too few different tiles for a {part} of {share:g} "
            f"({dataset.class_names[smallest]} has {counts[smallest]}): every class needs one tile "
            "in it, so give other fractions."
        )
    return DatasetError(
        f"{dataset.source} has too few different tiles to split in three "
        f"({dataset.class_names[smallest]} has {counts[smallest]}): every class needs some tens."
    )


def _groups_of_equal_tiles(dataset: Dataset) -> list[list[int]]:
    """Return the positions of all tiles, those with the same pixels together."""
    grouped = [
        [int(position) for position in dataset.positions(names)]
        for names in dataset.audit.duplicates
    ]
    in_a_group = {position for group in grouped for position in group}
    single = [[tile] for tile in range(len(dataset.names)) if tile not in in_a_group]
    return sorted(grouped + single)
