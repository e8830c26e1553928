"""One run from data to report: what `eurosat-train` does, as functions."""

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import keras
import numpy as np

from eurosat.atomic import write_text
from eurosat.dataset import Dataset
from eurosat.errors import RunFolderError
from eurosat.run_folder import RunFolder
from eurosat.split import Split, split_dataset

from .configuration import TrainingConfiguration
from .evaluate import Evaluation, evaluate, predict
from .fit import Epoch, best_epoch
from .report import PREDICTION_COUNT, draw_confusion_matrix, draw_curves, draw_predictions

RECORDED_PACKAGES = ("eurosat-edge", "tensorflow", "keras", "numpy", "scikit-learn", "Pillow")


def start_run(
    folder: RunFolder,
    configuration: TrainingConfiguration,
    dataset: Dataset,
    split: Split | None = None,
) -> Split:
    """Split the data set and record the split and the configuration in a new run folder.

    Args:
        folder: Where the run is kept.
        configuration: What to train, and how.
        dataset: The tiles.
        split: A split that was made before, to be recorded instead of a new one.

    Raises:
        DatasetError: The data set cannot be split.
        RunFolderError: The folder cannot be written to.
    """
    split = split or split_dataset(
        dataset,
        seed=configuration.seed,
        validation_fraction=configuration.validation_fraction,
        test_fraction=configuration.test_fraction,
    )
    record: dict[str, Any] = {
        "training": configuration.to_json(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in RECORDED_PACKAGES},
    }
    try:
        split.write(folder.split)
        # Last, because its presence is what makes the folder a run.
        write_text(folder.config, json.dumps(record, indent=2))
    except OSError as error:
        raise RunFolderError(
            f"{folder.path} cannot be written to ({error.strerror}): name another --out."
        ) from error
    return split


def recorded_configuration(folder: RunFolder) -> TrainingConfiguration:
    """Return the configuration that `start_run` recorded.

    Raises:
        RunFolderError: The folder is not a training run, or its record is damaged.
    """
    try:
        return TrainingConfiguration.from_json(folder.read_config()["training"])
    except (KeyError, ValueError, TypeError) as error:
        raise RunFolderError(f"{folder.config} is damaged: train again, or restore it.") from error


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
    model = keras.saving.load_model(folder.model, compile=False)
    evaluations = [_evaluate_part(model, dataset, "validation", split.validation)]
    if test:
        evaluations.append(_evaluate_part(model, dataset, "test", split.test))
    part, names = ("test", split.test) if test else ("validation", split.validation)
    order = np.random.default_rng(split.seed).permutation(len(names))[:PREDICTION_COUNT]
    sheet = dataset.positions([names[position] for position in order])
    draw_predictions(
        folder.predictions,
        part,
        dataset.tiles[sheet],
        dataset.labels[sheet],
        predict(model, dataset.tiles[sheet]),
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
    write_text(folder.metrics, json.dumps(figures, indent=2))
    reports = [f"{e.part.capitalize()}\n\n{e.text}" for e in evaluations]
    write_text(folder.report, "\n\n".join([*reports, "Data\n\n" + dataset.audit.to_text()]) + "\n")
    return evaluations


def _evaluate_part(
    model: keras.Model, dataset: Dataset, part: str, names: Sequence[str]
) -> Evaluation:
    positions = dataset.positions(names)
    probabilities = predict(model, dataset.tiles[positions])
    return evaluate(part, probabilities, dataset.labels[positions], dataset.class_names)


def is_tested(folder: RunFolder) -> bool:
    """Return whether the run has been evaluated on the test split already."""
    try:
        return "test" in json.loads(folder.metrics.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
