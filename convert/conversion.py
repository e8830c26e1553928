"""From a training run to a model file that is proven to be as accurate: export, compare, write."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.model_selection import train_test_split

from eurosat.benchmark import Speed, measure_speed
from eurosat.calibration import (
    Calibration,
    CalibrationFigures,
    calibration_record,
    fit_calibration,
    logits_of,
    measure_calibration,
    softmax,
)
from eurosat.classifier import Classifier
from eurosat.dataset import GROUND_RESOLUTION_M, TILE_SIZE, Dataset
from eurosat.errors import ModelFileError, damaged_in_run
from eurosat.keras_model import load_keras_model, predict
from eurosat.labels import EUROSAT_CLASSES
from eurosat.model_file import ModelMetadata, write_model_file
from eurosat.run_folder import RunFolder
from eurosat.split import Split
from eurosat.tensorflow_start import native_messages_hidden
from eurosat.versions import versions_for_record
from eurosat.views import seen_from, views_of

from .c_array import c_paths
from .export import Precision, Recipe, export, export_int8
from .scene import twin_path
from .verify import Comparison, compare, failures, reserves

RECORDED_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy")
TITLES = {"cnn": "CNN", "mobilenet": "MobileNet"}


@dataclass(frozen=True)
class Original:
    """A trained model with what is needed to judge an export of it.

    Attributes:
        folder: The run.
        config: What the run recorded in `config.json`.
        model: The Keras model.
        split: The recorded split.
        calibration_tiles: uint8 RGB `[n, 64, 64, 3]`, training tiles of all classes.
        validation_tiles: uint8 RGB `[n, 64, 64, 3]`, the validation split.
        validation_labels: int64 `[n]`, its true classes.
        views: Of how many flips and turns every answer is the mean, see `eurosat.views`.
        tiles: uint8 RGB `[n, 64, 64, 3]`, the test split.
        labels: int64 `[n]`, its true classes.
        probabilities: float32 `[n, classes]`, what the Keras model says of it.
        validation_probabilities: float32 `[n, classes]`, what it says of the validation split.
    """

    folder: RunFolder
    config: dict[str, Any]
    model: keras.Model
    split: Split
    calibration_tiles: np.ndarray
    validation_tiles: np.ndarray
    validation_labels: np.ndarray
    views: int
    tiles: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    validation_probabilities: np.ndarray

    @property
    def architecture(self) -> str:
        """Name of the architecture, such as `"mobilenet"`."""
        return str(self.config["training"]["architecture"])


@dataclass(frozen=True)
class Candidate:
    """One way to quantise, judged on the validation split.

    Attributes:
        recipe: What was done to the weights first.
        accuracy: Accuracy of the file, 0 to 1.
        agreement: Share of tiles that file and Keras model give the same class, 0 to 1.
        divergence: Mean Kullback-Leibler divergence of the file's probabilities from those of the
            Keras model, in nats: how far its answers are from the original's. It counts every
            tile, so that the choice does not hang on the few that change sides.
    """

    recipe: Recipe
    accuracy: float
    agreement: float
    divergence: float


@dataclass(frozen=True)
class Conversion:
    """An exported file and how it compares with its original.

    Attributes:
        precision: How weights and activations are stored.
        path: The model file; not there if `failures` is not empty.
        size_bytes: Its size.
        comparison: The Keras model and the file side by side on the test split.
        calibration: The temperature and the threshold that the file states.
        confidence: What they do, on `"validation"`, which they were fitted to, and on `"test"`.
        speeds: How fast it runs here: on one thread, and on two.
        failures: In sentences, what fell by more than it may.
        reserves: In sentences, what the test tiles are too few to prove.
        candidates: The ways to quantise that were tried on validation, the kept one first; none
            where there is only one way.
        set_aside: Where an older file of this name was moved to because this one failed.
    """

    precision: Precision
    path: Path
    size_bytes: int
    comparison: Comparison
    calibration: Calibration
    confidence: dict[str, CalibrationFigures]
    speeds: tuple[Speed, ...]
    failures: tuple[str, ...]
    reserves: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    set_aside: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the report that stands beside the file."""
        return {
            "model": self.path.name,
            "precision": self.precision,
            "passed": not self.failures,
            "failures": self.failures,
            "reserves": self.reserves,
            "size_bytes": self.size_bytes,
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "test": self.comparison.to_json(),
            "calibration": calibration_record(self.calibration, self.confidence),
            "speed": [asdict(speed) for speed in self.speeds],
        }


def load_original(
    folder: RunFolder, dataset: Dataset, calibration_count: int, views: int = 1
) -> Original:
    """Load a trained model, check that data and split are its own, and let it judge the test split.

    Args:
        folder: A finished training run.
        dataset: The data set of that run.
        calibration_count: How many training tiles to calibrate with, in the classes' proportions;
            at least one for each class.
        views: Of how many flips and turns the model, and the file, shall give the mean.

    Raises:
        RunFolderError: The folder is not a finished run, or is damaged.
        DatasetError: The data set is another one.
        ModelFileError: The Keras model is damaged or not one of ours.
    """
    config = folder.read_config()
    is_whole = isinstance(config.get("training"), dict) and "architecture" in config["training"]
    if not is_whole or not {"started", "versions"} <= config.keys():
        raise damaged_in_run(folder.config)
    split = folder.read_split()
    split.check_matches(dataset)
    folder.check_finished()
    model = load_keras_model(folder.model, len(split.class_names))
    validation, test = dataset.positions(split.validation), dataset.positions(split.test)
    return Original(
        folder=folder,
        config=config,
        model=model,
        split=split,
        calibration_tiles=_calibration_tiles(dataset, split, calibration_count),
        validation_tiles=dataset.tiles[validation],
        validation_labels=dataset.labels[validation],
        views=views,
        tiles=dataset.tiles[test],
        labels=dataset.labels[test],
        probabilities=_predict(model, dataset.tiles[test], views),
        validation_probabilities=_predict(model, dataset.tiles[validation], views),
    )


def convert(
    original: Original,
    precision: Precision,
    out: Path,
    *,
    max_drop: float,
    max_class_drop: float,
) -> Conversion:
    """Export a model, compare it with its original, and write it if accuracy holds.

    Args:
        original: The trained model.
        precision: What to convert to.
        out: Folder for the model file and the report beside it.
        max_drop: Points of accuracy that may be lost.
        max_class_drop: Points of recall that one class may lose.

    Raises:
        ModelFileError: The model cannot be converted, or the folder cannot be written to.
    """
    name = f"{original.architecture}-{precision}"
    path = out / f"{name}.tflite"
    try:
        out.mkdir(parents=True, exist_ok=True)
        # In a folder of its own, so that a candidate that fails is never seen under its name.
        with tempfile.TemporaryDirectory(prefix=".candidate-", dir=out) as candidates:
            candidate = Path(candidates) / path.name
            metadata = _metadata(original, precision, name)
            flatbuffer, tried = _best_export(original, precision, candidate, metadata)
            if tried:
                provenance = {**metadata.provenance, "quantisation": tried[0].recipe}
                metadata = replace(metadata, provenance=provenance)
            write_model_file(candidate, flatbuffer, metadata)
            comparison, calibration, confidence = _judge(candidate, original)
            limits = {"max_drop": max_drop, "max_class_drop": max_class_drop}
            found, unproven = failures(comparison, **limits), reserves(comparison, **limits)
            measured = replace(
                metadata,
                temperature=calibration.temperature,
                unsure_below=calibration.unsure_below,
                accuracy={
                    "test": comparison.to_json(),
                    "reserves": unproven,
                    "calibration": calibration_record(calibration, confidence),
                },
            )
            write_model_file(candidate, flatbuffer, measured)
            conversion = Conversion(
                precision=precision,
                path=path,
                size_bytes=candidate.stat().st_size,
                comparison=comparison,
                calibration=calibration,
                confidence=confidence,
                speeds=tuple(
                    measure_speed(Classifier(candidate, threads=threads)) for threads in (1, 2)
                ),
                failures=tuple(found),
                reserves=tuple(unproven),
                candidates=tried,
            )
            conversion = _put_in_place(candidate, conversion)
    except OSError as error:
        raise ModelFileError(
            f"{out} cannot be written to ({error.strerror}): name another folder with --out."
        ) from error
    return conversion


def _judge(
    candidate: Path, original: Original
) -> tuple[Comparison, Calibration, dict[str, CalibrationFigures]]:
    """Ask a file about test and validation; fit its temperature and threshold on validation.

    Args:
        candidate: The file.
        original: The trained model.

    Returns:
        Both side by side on test, what was fitted, and what that does on either part.
    """
    # LiteRT's first start in a process writes a line that says nothing to a person.
    with native_messages_hidden():
        classifier = Classifier(candidate)
    test = classifier.classify_batch(original.tiles)
    validation = classifier.classify_batch(original.validation_tiles)
    calibration = fit_calibration(validation, original.validation_labels)
    confidence = {
        "validation": measure_calibration(calibration, validation, original.validation_labels),
        "test": measure_calibration(calibration, test, original.labels),
    }
    names = original.split.class_names
    return compare(original.probabilities, test, original.labels, names), calibration, confidence


def _put_in_place(candidate: Path, conversion: Conversion) -> Conversion:
    """Give a file its final name if accuracy holds, and write the report in any case.

    Scene twin and C source of an older file of this name are removed.

    Args:
        candidate: The file, in a folder of its own.
        conversion: What is known of it.

    Returns:
        The conversion, with the place of an older file that was moved away.
    """
    report = candidate.with_suffix(".json")
    report.write_text(json.dumps(conversion.to_json(), indent=2), encoding="utf-8")
    path = conversion.path
    # What was made of an older model is none of this one.
    for derived in (twin_path(path), *c_paths(path)):
        derived.unlink(missing_ok=True)
    if not conversion.failures:
        candidate.replace(path)
    elif path.exists():
        set_aside = path.with_suffix(".previous.tflite")
        path.replace(set_aside)
        conversion = replace(conversion, set_aside=set_aside)
    report.replace(path.with_suffix(".json"))
    return conversion


def _best_export(
    original: Original, precision: Precision, path: Path, metadata: ModelMetadata
) -> tuple[bytes, tuple[Candidate, ...]]:
    """Export in every way that there is, and return what is closest to the original on validation.

    Args:
        original: The trained model.
        precision: What to convert to.
        path: Where to put the files on trial.
        metadata: What they say of themselves.

    Returns:
        The content of the file without metadata, and what was tried, the kept one first.
    """
    if precision is not Precision.INT8:
        return export(
            original.model, precision, original.calibration_tiles, views=original.views
        ), ()
    tried: dict[Candidate, bytes] = {}
    files = export_int8(original.model, original.calibration_tiles, views=original.views)
    for recipe, flatbuffer in files.items():
        write_model_file(path, flatbuffer, metadata)
        with native_messages_hidden():
            answers = Classifier(path).classify_batch(original.validation_tiles)
        expected = original.validation_probabilities
        same = answers.argmax(axis=1) == expected.argmax(axis=1)
        candidate = Candidate(
            recipe=recipe,
            accuracy=float((answers.argmax(axis=1) == original.validation_labels).mean()),
            agreement=float(same.mean()),
            divergence=_divergence(expected, answers),
        )
        tried[candidate] = flatbuffer
    ranked = sorted(tried, key=lambda candidate: candidate.divergence)
    return tried[ranked[0]], tuple(ranked)


def _divergence(expected: np.ndarray, answers: np.ndarray) -> float:
    """Return the mean Kullback-Leibler divergence of rows of probabilities, in nats."""
    ratio = logits_of(expected) - logits_of(answers)
    return float((expected * ratio).sum(axis=1).mean())


def _predict(model: keras.Model, tiles: np.ndarray, views: int) -> np.ndarray:
    """Return what a model says of tiles; of several views, the softmax of their mean logits."""
    answers = [predict(model, view) for view in views_of(tiles, views)]
    if views == 1:
        return answers[0]
    return softmax(logits_of(np.array(answers)).mean(axis=0)).astype(np.float32)


def _calibration_tiles(dataset: Dataset, split: Split, count: int) -> np.ndarray:
    positions = dataset.positions(split.train)
    labels = dataset.labels[positions]
    if count <= len(positions) - len(split.class_names):  # What is left out has all classes too.
        positions, _ = train_test_split(
            positions,
            train_size=count,
            # A lone tile of a class cannot be both taken and left out.
            stratify=labels if np.bincount(labels).min() > 1 else None,
            random_state=split.seed,
        )
    return dataset.tiles[np.sort(positions)]


def _without_folders(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recorded configuration that may leave this machine: models by their names alone."""
    models = ("teacher", "from_run", "from_model", "weights")
    return {
        **training,
        **{name: Path(training[name]).name for name in models if training.get(name)},
    }


def _metadata(original: Original, precision: Precision, name: str) -> ModelMetadata:
    class_names = original.split.class_names
    is_eurosat = class_names == tuple(land_cover.name for land_cover in EUROSAT_CLASSES)
    title = TITLES.get(original.architecture, original.architecture)
    return ModelMetadata(
        name=name,
        title=f"{title} {precision}",
        description=(
            f"Land cover of a {TILE_SIZE} x {TILE_SIZE} pixel tile in {len(class_names)} classes"
            f"{seen_from(original.views)}."
        ),
        class_names=class_names,
        height=TILE_SIZE,
        width=TILE_SIZE,
        ground_resolution_m=GROUND_RESOLUTION_M if is_eurosat else None,
        precision=precision,
        views=original.views,
        provenance={
            "data_fingerprint": original.split.fingerprint,
            "split": {
                "seed": original.split.seed,
                "train": len(original.split.train),
                "validation": len(original.split.validation),
                "test": len(original.split.test),
                "digest": original.split.digest,
            },
            "training": _without_folders(original.config["training"]),
            # What `tools/blend.py` records, and the models that were learned from.
            **{key: original.config[key] for key in ("blend", "sources") if key in original.config},
            "trained": original.config["started"],
            "training_versions": original.config["versions"],
            "calibration_tiles": len(original.calibration_tiles),
            "converted": datetime.now(UTC).isoformat(timespec="seconds"),
            "conversion_versions": versions_for_record(*RECORDED_PACKAGES),
        },
    )
