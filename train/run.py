"""One run from data to report: what `eurosat-train` does, as functions."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from eurosat.atomic import write_text
from eurosat.calibration import calibration_record, fit_calibration, measure_calibration
from eurosat.dataset import Dataset
from eurosat.errors import RunFolderError
from eurosat.keras_model import load_keras_model, predict
from eurosat.run_folder import RunFolder
from eurosat.split import Split, split_dataset
from eurosat.versions import versions_for_record

from .architectures import find_weights
from .configuration import Architecture, TrainingConfiguration
from .converted_weights import check_converted_model
from .evaluate import Evaluation, evaluate
from .first_weights import check_first_run
from .fit import Epoch, best_epoch, build_model
from .report import draw_confusion_matrix, draw_curves, draw_tiles, sheet_positions
from .rivers import place_of_river
from .sources import source_digests
from .teacher import open_teacher

RECORDED_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "Pillow")


def prepare_run(
    configuration: TrainingConfiguration, dataset: Dataset, split: Split | None = None
) -> Split:
    """Split the data set, and refuse what cannot be trained with, before anything is written.

    Args:
        configuration: What to train, and how.
        dataset: The tiles.
        split: A split that was made before, to be used instead of a new one.

    Raises:
        DatasetError: The data set cannot be split.
        EurosatError: The first weights are not there; the teacher cannot be opened, or may know
            the tiles for the exam; or the run or model that is gone on from.
    """
    split = split or split_dataset(
        dataset,
        seed=configuration.split_seed,
        validation_fraction=configuration.validation_fraction,
        test_fraction=configuration.test_fraction,
    )
    if _needs_weights(configuration):
        find_weights(configuration.weights, configuration.width)
        if configuration.weights != "imagenet":
            # Whether a file fits, only a model tells that takes it.
            build_model(configuration, len(dataset.class_names))
    if configuration.teacher:
        open_teacher(configuration.teacher, dataset, split)
    if configuration.rivers:
        place_of_river(dataset.class_names)
    if configuration.from_run:
        check_first_run(configuration.from_run, split)
    if configuration.from_model:
        check_converted_model(configuration.from_model, dataset, split)
    return split


def _needs_weights(configuration: TrainingConfiguration) -> bool:
    """Tell whether a training begins with the weights that its configuration names."""
    is_mobilenet = configuration.architecture is Architecture.MOBILENET
    begins_with_a_model = configuration.from_run or configuration.from_model
    return is_mobilenet and configuration.weights != "none" and not begins_with_a_model


def record_run(
    folder: RunFolder, configuration: TrainingConfiguration, dataset: Dataset, split: Split
) -> None:
    """Record the split and the configuration in a new run folder.

    Args:
        folder: Where the run is kept.
        configuration: What to train, and how.
        dataset: The tiles.
        split: What `prepare_run` gave.

    Raises:
        EurosatError: The folder cannot be written to, or a model that is learned from is gone.
    """
    record: dict[str, Any] = {
        "training": configuration.to_json(),
        "data": str(dataset.source.absolute()),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "sources": source_digests(configuration),
        "versions": versions_for_record(*RECORDED_PACKAGES),
    }
    try:
        split.write(folder.split)
        # Last, because its presence is what makes the folder a run.
        write_text(folder.config, json.dumps(record, indent=2))
    except OSError as error:
        raise RunFolderError(
            f"{folder.path} cannot be written to ({error.strerror}): name another --out."
        ) from error


def report_run(
    folder: RunFolder, dataset: Dataset, split: Split, history: Sequence[Epoch], *, test: bool
) -> list[Evaluation]:
    """Evaluate the trained model and write figures, report and pictures into the run folder.

    Validation always; test only where it is asked for, or was asked for before.

    Args:
        folder: The run, with its `model.keras`.
        dataset: The tiles.
        split: The recorded split.
        history: Figures of every epoch.
        test: Whether to look at the test split.

    Returns:
        The evaluations, validation first. The pictures show the last one.
    """
    model = load_keras_model(folder.model)
    parts = {"validation": split.validation} | ({"test": split.test} if test else {})
    positions = {part: dataset.positions(names) for part, names in parts.items()}
    labels = {part: dataset.labels[positions[part]] for part in parts}
    probabilities = {part: predict(model, dataset.tiles[positions[part]]) for part in parts}
    evaluations = [
        evaluate(part, probabilities[part], labels[part], dataset.class_names) for part in parts
    ]
    calibration = fit_calibration(probabilities["validation"], labels["validation"])
    confidence = {
        part: measure_calibration(calibration, probabilities[part], labels[part]) for part in parts
    }
    part = evaluations[-1].part
    sheet = sheet_positions(split.seed, len(labels[part]))
    right = int((probabilities[part][sheet].argmax(axis=1) == labels[part][sheet]).sum())
    draw_tiles(
        folder.predictions,
        f"{len(sheet)} tiles of the {part} split, {right} right\nconfidence before calibration",
        dataset.tiles[positions[part][sheet]],
        labels[part][sheet],
        probabilities[part][sheet],
        dataset.class_names,
    )
    draw_confusion_matrix(folder.confusion_matrix, evaluations[-1])
    draw_curves(folder.curves, history)
    kept = best_epoch(list(history))
    figures = {
        "epochs": len(history),
        "kept_epoch": kept.epoch,
        "training_seconds": round(sum(epoch.seconds for epoch in history), 1),
        "parameters": model.count_params(),
    }
    figures |= {evaluation.part: evaluation.to_json() for evaluation in evaluations}
    figures["calibration"] = calibration_record(calibration, confidence)
    write_text(folder.metrics, json.dumps(figures, indent=2))
    reports = [f"{e.part.capitalize()}\n\n{e.text}" for e in evaluations]
    reports += [calibration.warning] if calibration.warning else []
    write_text(folder.report, "\n\n".join([*reports, "Data\n\n" + dataset.audit.to_text()]) + "\n")
    return evaluations


def is_tested(folder: RunFolder) -> bool:
    """Return whether the run has been evaluated on the test split already."""
    try:
        return "test" in json.loads(folder.metrics.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return False
