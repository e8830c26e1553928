"""A trained model in any of its forms: a run folder, a `.keras` file, a `.tflite` file."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from eurosat.calibration import HIGHEST_TEMPERATURE, LOWEST_TEMPERATURE, Calibration
from eurosat.classifier import Classifier
from eurosat.dataset import Dataset
from eurosat.errors import DatasetError, ModelFileError
from eurosat.existence import exists, is_folder
from eurosat.keras_model import load_keras_model, predict
from eurosat.model_file import ModelMetadata
from eurosat.run_folder import RunFolder
from eurosat.split import Part, Split, split_dataset
from eurosat.tensorflow_start import native_messages_hidden

from .sources import sha256_of_model


@dataclass(frozen=True)
class TrainedModel:
    """A model that can be asked, with what is known about it.

    Attributes:
        name: A short name for tables: that of the run folder or file.
        source: Where it was read from.
        predict: From tiles, uint8 RGB `[n, 64, 64, 3]`, to the model's own probabilities, float32
            `[n, classes]`.
        class_names: Names in label order; None for a lone Keras file, which does not say.
        class_count: Number of classes.
        calibration: Temperature and threshold, where both are recorded.
        split: The split that the run recorded; None for a lone file.
        metadata: What a model file says about itself.
    """

    name: str
    source: Path
    predict: Callable[[np.ndarray], np.ndarray]
    class_names: tuple[str, ...] | None
    class_count: int
    calibration: Calibration | None
    split: Split | None
    metadata: ModelMetadata | None = None

    @cached_property
    def sha256(self) -> str:
        """SHA-256, as hexadecimal digits, of the file that the model was read from."""
        return sha256_of_model(self.source)


def open_model(path: Path, *, is_quick: bool = False) -> TrainedModel:
    """Open a run folder, a Keras model or a model file.

    Args:
        path: The folder or file.
        is_quick: Whether a model file of several views shall look at one, see `eurosat.views`.

    Raises:
        RunFolderError: The folder is no finished run, or is damaged.
        ModelFileError: The file is damaged, or no image classifier that takes pixels.
    """
    if is_folder(path):
        folder = RunFolder(path)
        folder.read_config()
        folder.check_finished()
        return _open_keras(folder.model, path.resolve().name, folder)
    if path.suffix == ".keras":
        folder = RunFolder(path.parent)
        is_of_a_run = path.name == folder.model.name and exists(folder.split)
        return _open_keras(path, path.stem, folder if is_of_a_run else None)
    # LiteRT's first start in a process writes a line that says nothing to a person.
    with native_messages_hidden():
        classifier = Classifier(path, is_calibrated=False)
    if is_quick:
        classifier = classifier.one_view
    metadata = classifier.metadata
    known = metadata is not None and metadata.temperature and metadata.unsure_below
    return TrainedModel(
        name=path.stem,
        source=path,
        predict=classifier.classify_batch,
        class_names=classifier.class_names,
        class_count=len(classifier.class_names),
        calibration=Calibration(metadata.temperature, metadata.unsure_below) if known else None,
        split=None,
        metadata=metadata,
    )


def recorded_fingerprint(model: TrainedModel) -> str | None:
    """Return the fingerprint of the data that a model was trained on, where it is known."""
    if model.split:
        return model.split.fingerprint
    return model.metadata.provenance.get("data_fingerprint") if model.metadata else None


def choose_tiles(
    model: TrainedModel, dataset: Dataset, part: Part | None
) -> tuple[Part, np.ndarray]:
    """Return which part of a data set to judge a model on, and the positions of its tiles.

    Without a wish: the test split where the model records one of this very data set, and else all
    tiles. A split is read from the run; a lone model file names the seed it was made with.

    Args:
        model: Whom to judge.
        dataset: Where the tiles are.
        part: What was asked for.

    Raises:
        DatasetError: The data set has other classes than the model, or is not the one whose split
            was asked for.
        ModelFileError: A split was asked for, but the model records none.
        RunFolderError: The recorded split is none of the data set's.
    """
    _check_classes(model, dataset)
    if part is Part.ALL:
        return part, np.arange(len(dataset.names))
    if part is None and recorded_fingerprint(model) != dataset.fingerprint:
        return Part.ALL, np.arange(len(dataset.names))
    split = recorded_split(model, dataset, "leave --split out to judge it on all tiles")
    split.check_matches(dataset)
    part = part or Part.TEST
    return part, dataset.positions(split.test if part is Part.TEST else split.validation)


def recorded_split(model: TrainedModel, dataset: Dataset, advice: str) -> Split:
    """Return the split of a data set that a model was trained with, or refuse with an advice.

    Raises:
        DatasetError: The model was trained on another data set.
        ModelFileError: The model does not say with which split.
    """
    fingerprint = recorded_fingerprint(model)
    if fingerprint is None:
        raise ModelFileError(
            f"{model.source} records no split, so nobody knows which tiles are new to it: {advice}."
        )
    if fingerprint != dataset.fingerprint:
        raise DatasetError(
            f"The data set {dataset.source} is not the one that {model.source} was trained on, so "
            f"no split of it is recorded: {advice}."
        )
    return model.split or _split_of_provenance(model, dataset)


def _open_keras(path: Path, name: str, folder: RunFolder | None) -> TrainedModel:
    split = folder.read_split() if folder else None
    model = load_keras_model(path, len(split.class_names) if split else None)
    return TrainedModel(
        name=name,
        source=path if folder is None else folder.path,
        predict=lambda tiles: predict(model, tiles),
        class_names=split.class_names if split else None,
        class_count=model.output_shape[1],
        calibration=recorded_calibration(folder) if folder else None,
        split=split,
    )


def recorded_calibration(folder: RunFolder) -> Calibration | None:
    """Return what the run fitted; None for a run from before calibration, or an unfinished one."""
    try:
        record = json.loads(folder.metrics.read_text(encoding="utf-8"))["calibration"]
        found = Calibration(float(record["temperature"]), float(record["unsure_below"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    is_possible = LOWEST_TEMPERATURE <= found.temperature <= HIGHEST_TEMPERATURE
    return found if is_possible and 0 < found.unsure_below <= 1 else None


def _check_classes(model: TrainedModel, dataset: Dataset) -> None:
    if model.class_names is None:
        if model.class_count != len(dataset.class_names):
            raise DatasetError(
                f"{dataset.source} has {len(dataset.class_names)} classes, but {model.source} "
                f"knows {model.class_count}."
            )
        return
    ours, theirs = set(model.class_names), set(dataset.class_names)
    if ours != theirs:
        differences = [
            f"only {where} has {', '.join(sorted(names))}"
            for where, names in (("the data", theirs - ours), ("the model", ours - theirs))
            if names
        ]
        raise DatasetError(
            f"{dataset.source} has other classes than {model.source}: {'; '.join(differences)}."
        )


def _split_of_provenance(model: TrainedModel, dataset: Dataset) -> Split:
    """Split the data set as the run did that a model file comes from.

    Raises:
        ModelFileError: The file does not say how, or the outcome is another one.
    """
    provenance = model.metadata.provenance if model.metadata else {}
    try:
        recorded, training = provenance["split"], provenance["training"]
        split = split_dataset(
            dataset,
            seed=recorded["seed"],
            validation_fraction=training["validation_fraction"],
            test_fraction=training["test_fraction"],
        )
        sizes = {"validation": len(split.validation), "test": len(split.test)}
        is_same = all(recorded[part] == size for part, size in sizes.items())
        # Files of earlier versions tell sizes alone.
        is_same = is_same and recorded.get("digest", split.digest) == split.digest
    except (AttributeError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"{model.source} does not say how its data was split: name its run folder instead."
        ) from error
    if not is_same:
        raise ModelFileError(
            f"The split of {model.source} cannot be made again here: name its run folder instead."
        )
    return split
