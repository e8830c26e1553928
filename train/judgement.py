"""Judge a trained model on tiles and write the report: what `eurosat-evaluate` does."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eurosat.atomic import write_text
from eurosat.calibration import (
    CalibrationFigures,
    ReliabilityBin,
    apply_temperature,
    expected_calibration_error,
    measure_calibration,
    reliability_bins,
)
from eurosat.dataset import Dataset
from eurosat.errors import EurosatError
from eurosat.labels import land_cover
from eurosat.split import Part

from .evaluate import Evaluation, evaluate
from .report import PREDICTION_COUNT, draw_confusion_matrix, draw_reliability, draw_tiles
from .trained_model import TrainedModel


@dataclass(frozen=True)
class Judgement:
    """What a model says of some tiles, and how good that is.

    Attributes:
        model: Who was asked.
        evaluation: Figures of the shown answers.
        class_names: Names in label order.
        names: `"Class/file.jpg"` of each tile.
        labels: int `[n]`, the true classes.
        probabilities: float32 `[n, classes]` as they are shown: calibrated, if a temperature is
            known.
        own_bins: Reliability of the model's own confidence.
        shown_bins: Reliability of the calibrated confidence; None without a temperature.
        confidence: What temperature and threshold do; None without a temperature.
    """

    model: TrainedModel
    evaluation: Evaluation
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    own_bins: tuple[ReliabilityBin, ...]
    shown_bins: tuple[ReliabilityBin, ...] | None
    confidence: CalibrationFigures | None

    @property
    def is_right(self) -> np.ndarray:
        """Bool `[n]`: whether the most probable class is the true one."""
        return self.probabilities.argmax(axis=1) == self.labels

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1, of the confidence that is shown."""
        return expected_calibration_error(self.shown_bins or self.own_bins)

    @property
    def mistakes(self) -> np.ndarray:
        """Positions of the wrong answers, the most confident first."""
        wrong = np.flatnonzero(~self.is_right)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")]


def judge(model: TrainedModel, dataset: Dataset, part: Part, positions: np.ndarray) -> Judgement:
    """Ask a model about tiles.

    Args:
        model: Whom to ask; `choose_tiles` has checked that its classes are those of the data.
        dataset: Where the tiles are.
        part: What they are.
        positions: int64 `[n]`, where they stand.
    """
    class_names = model.class_names or dataset.class_names
    label_of = np.array([class_names.index(name) for name in dataset.class_names])
    labels = label_of[dataset.labels[positions]]
    own = model.predict(dataset.tiles[positions])
    calibration = model.calibration
    shown = own if calibration is None else apply_temperature(own, calibration.temperature)
    return Judgement(
        model=model,
        evaluation=evaluate(part, shown, labels, class_names),
        class_names=class_names,
        names=tuple(dataset.names[position] for position in positions),
        labels=labels,
        probabilities=shown,
        own_bins=reliability_bins(own, labels),
        shown_bins=None if calibration is None else reliability_bins(shown, labels),
        confidence=None if calibration is None else measure_calibration(calibration, own, labels),
    )


def report_text(judgement: Judgement) -> str:
    """Return the figures as lines for a person."""
    figures = judgement.evaluation
    rows = [
        ("Accuracy", f"{figures.accuracy:.2%}  (95 % interval {_interval(figures)})"),
        ("Balanced accuracy", f"{figures.balanced_accuracy:.2%}"),
        ("Macro F1", f"{figures.macro_f1:.2%}"),
        ("Cohen's kappa", f"{figures.kappa:.4f}"),
        ("Top-2 accuracy", f"{figures.top2_accuracy:.2%}"),
    ]
    calibration, confidence = judgement.model.calibration, judgement.confidence
    if calibration is None or confidence is None:
        rows.append(("Calibration error", f"{judgement.ece:.2%}  (no temperature is recorded)"))
    else:
        rows.append(
            (
                "Calibration error",
                f"{confidence.ece_after:.2%}  ({confidence.ece_before:.2%} without the temperature "
                f"of {calibration.temperature:.3f})",
            )
        )
        right = (
            "there are no sure answers"
            if confidence.sure_accuracy is None
            else f"{confidence.sure_accuracy:.2%} of them right"
        )
        rows.append(
            (
                "Sure answers",
                f"{confidence.coverage:.2%}, {right}  "
                f"(unsure below {calibration.unsure_below:.1%} confidence)",
            )
        )
    lines = [f"{judgement.model.name}: {_tiles_of(figures)}", ""]
    lines += [f"{title:<18} {value}" for title, value in rows]
    if calibration and calibration.warning:
        lines += ["", calibration.warning]
    return "\n".join([*lines, "", figures.text])


def write_report(judgement: Judgement, dataset: Dataset, out: Path) -> None:
    """Write `metrics.json`, `report.txt` and the pictures into a folder.

    Raises:
        EurosatError: The folder cannot be written to.
    """
    title = f"{judgement.model.name}: {_tiles_of(judgement.evaluation)}"
    mistakes = judgement.mistakes
    worst = mistakes[:PREDICTION_COUNT]
    sheet = out / "mistakes.png"
    try:
        draw_confusion_matrix(out / "confusion_matrix.png", judgement.evaluation)
        draw_reliability(out / "reliability.png", title, judgement.own_bins, judgement.shown_bins)
        if len(worst):
            draw_tiles(
                sheet,
                f"{title}\nthe {len(worst)} most confident of {len(mistakes):,} mistakes",
                dataset.tiles[dataset.positions([judgement.names[index] for index in worst])],
                judgement.labels[worst],
                judgement.probabilities[worst],
                judgement.class_names,
            )
        else:
            sheet.unlink(missing_ok=True)  # Of an evaluation before.
        listed = "\n".join(["Mistakes, the most confident first", "", *_mistake_lines(judgement)])
        write_text(out / "report.txt", f"{report_text(judgement)}\n{listed}\n")
        write_text(out / "metrics.json", json.dumps(_record(judgement, dataset), indent=2))
    except OSError as error:
        raise EurosatError(
            f"{out} cannot be written to ({error.strerror}): name another folder with --out."
        ) from error


def _tiles_of(figures: Evaluation) -> str:
    count = f"{figures.tile_count:,}"
    if figures.part == Part.ALL:
        return f"all {count} tiles of the data"
    return f"{count} tiles of the {figures.part} split"


def _interval(figures: Evaluation) -> str:
    return f"{figures.accuracy_low:.2%} to {figures.accuracy_high:.2%}"


def _mistake_lines(judgement: Judgement) -> Sequence[str]:
    def title(label: int) -> str:
        return land_cover(judgement.class_names[label]).title

    width = max(map(len, judgement.names))
    return [
        f"{judgement.names[index]:<{width}}  {judgement.probabilities[index].max():6.1%}  "
        f"{title(int(judgement.probabilities[index].argmax()))}, "
        f"but it is {title(judgement.labels[index])}"
        for index in judgement.mistakes
    ] or ["None."]


def _record(judgement: Judgement, dataset: Dataset) -> dict[str, Any]:
    """Return all figures as JSON takes them."""
    calibration, confidence = judgement.model.calibration, judgement.confidence
    return {
        "model": str(judgement.model.source),
        "model_sha256": judgement.model.sha256,
        "data": str(dataset.source),
        "data_fingerprint": dataset.fingerprint,
        "part": judgement.evaluation.part,
        **judgement.evaluation.to_json(),
        "ece": judgement.ece,
        "calibration": calibration and confidence and asdict(calibration) | asdict(confidence),
        "reliability": {
            "own": [asdict(entry) for entry in judgement.own_bins],
            "calibrated": judgement.shown_bins
            and [asdict(entry) for entry in judgement.shown_bins],
        },
    }
