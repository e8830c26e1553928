"""Does accuracy hold: the Keras model and the exported file side by side on the same tiles."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, recall_score

from eurosat.significance import Z_95, mcnemar_p


@dataclass(frozen=True)
class Figures:
    """How good one model is, each figure 0 to 1.

    Attributes:
        accuracy: Share of tiles whose most probable class is the true one.
        macro_f1: Mean of the classes' F1.
        recalls: Recall of each class, in label order.
    """

    accuracy: float
    macro_f1: float
    recalls: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """An original and its export on the same tiles.

    Attributes:
        class_names: Names in label order.
        tile_count: Tiles compared on.
        class_tiles: How many of them are of each class, in label order.
        original: Figures of the Keras model.
        exported: Figures of the exported file.
        agreement: Share of tiles that both give the same class, 0 to 1.
        drop_low: Lower end of the 95 % interval of the drop in accuracy.
        drop_high: Its upper end.
        only_original_right: Tiles that only the original has right.
        only_exported_right: Tiles that only the export has right.
        mcnemar_p: Two-sided p-value of McNemar's exact test: how likely so uneven a disagreement
            is if both are equally good.
    """

    class_names: tuple[str, ...]
    tile_count: int
    class_tiles: tuple[int, ...]
    original: Figures
    exported: Figures
    agreement: float
    drop_low: float
    drop_high: float
    only_original_right: int
    only_exported_right: int
    mcnemar_p: float

    @property
    def drop(self) -> float:
        """Accuracy of the original minus accuracy of the export, -1 to 1."""
        return self.original.accuracy - self.exported.accuracy

    @property
    def recall_drops(self) -> tuple[float, ...]:
        """Recall of the original minus recall of the export, of each class, -1 to 1."""
        return tuple(
            before - after
            for before, after in zip(self.original.recalls, self.exported.recalls, strict=True)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON takes them, recalls and tiles by class name."""
        record = asdict(self) | {"drop": self.drop}
        names = record.pop("class_names")
        record["class_tiles"] = dict(zip(names, self.class_tiles, strict=True))
        for model in ("original", "exported"):
            record[model]["recalls"] = dict(zip(names, record[model]["recalls"], strict=True))
        return record


def compare(
    original: np.ndarray, exported: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]
) -> Comparison:
    """Compare the probabilities of two models with the truth and with each other.

    Args:
        original: float `[n, classes]`, of the Keras model.
        exported: float `[n, classes]`, of the exported file.
        labels: int `[n]`, the true classes.
        class_names: Names in label order.
    """
    first, second = original.argmax(axis=1), exported.argmax(axis=1)
    lost = int(((first == labels) & (second != labels)).sum())
    won = int(((first != labels) & (second == labels)).sum())
    low, high = _paired_interval(lost, won, len(labels))
    return Comparison(
        class_names=class_names,
        tile_count=len(labels),
        class_tiles=tuple(np.bincount(labels, minlength=len(class_names)).tolist()),
        original=_figures(first, labels, len(class_names)),
        exported=_figures(second, labels, len(class_names)),
        agreement=float((first == second).mean()),
        drop_low=low,
        drop_high=high,
        only_original_right=lost,
        only_exported_right=won,
        mcnemar_p=mcnemar_p(lost, won),
    )


def failures(comparison: Comparison, *, max_drop: float, max_class_drop: float) -> list[str]:
    """Return in sentences what fell by more than it may; nothing if accuracy holds.

    Args:
        comparison: The two models.
        max_drop: Points of accuracy that may be lost.
        max_class_drop: Points of recall that one class may lose.
    """
    found = []
    # Written so that a limit that is no number lets nothing pass.
    if not _points(comparison.drop) <= max_drop:
        found.append(
            f"Accuracy falls by {_points(comparison.drop):.2f} points, from "
            f"{comparison.original.accuracy:.2%} to {comparison.exported.accuracy:.2%}; "
            f"{max_drop:g} are allowed."
        )
    for name, drop, recall in zip(
        comparison.class_names, comparison.recall_drops, comparison.original.recalls, strict=True
    ):
        if not _points(drop) <= max_class_drop:
            found.append(
                f"The recall of {name} falls by {_points(drop):.2f} points, from {recall:.2%} to "
                f"{recall - drop:.2%}; {max_class_drop:g} are allowed."
            )
    return found


def reserves(comparison: Comparison, *, max_drop: float, max_class_drop: float) -> list[str]:
    """Return in sentences what the tiles are too few to prove; nothing if they are enough.

    Args:
        comparison: The two models.
        max_drop: Points of accuracy that may be lost.
        max_class_drop: Points of recall that one class may lose.
    """
    found = []
    if _points(comparison.drop_high) > max_drop:
        found.append(
            f"{comparison.tile_count:,} tiles do not prove more: the true drop may be up to "
            f"{_points(comparison.drop_high):.2f} points (upper end of the 95 % interval), and "
            f"{max_drop:g} are allowed."
        )
    # By the number of its tiles alone: of a large class, chance moves a tile or two.
    fewest = min(comparison.class_tiles)
    _, high = _paired_interval(0, 0, fewest)
    if _points(high) > max_class_drop:
        name = comparison.class_names[comparison.class_tiles.index(fewest)]
        found.append(
            f"{name} has {fewest:,} of the {comparison.tile_count:,} tiles: so few leave open a "
            f"drop in its recall of up to {_points(high):.2f} points, even if all answers are the "
            f"same, and {max_class_drop:g} are allowed."
        )
    return found


def _points(share: float) -> float:
    """Return a share as points, without the last digits that floating point makes up."""
    return round(100 * share, 9)


def _figures(predicted: np.ndarray, labels: np.ndarray, class_count: int) -> Figures:
    known = np.arange(class_count)
    recalls = np.atleast_1d(
        recall_score(labels, predicted, labels=known, average=None, zero_division=0.0)
    )
    return Figures(
        accuracy=float((predicted == labels).mean()),
        macro_f1=float(
            f1_score(labels, predicted, labels=known, average="macro", zero_division=0.0)
        ),
        recalls=tuple(float(recall) for recall in recalls),
    )


def _paired_interval(lost: int, won: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a difference of paired shares.

    Agresti and Min, "Simple improved confidence intervals for comparing matched proportions",
    Statistics in Medicine 24 (2005): half a pair is added to each of the four cells, which keeps
    the interval honest where hardly any pair disagrees.
    """
    lost_, won_, count_ = lost + 0.5, won + 0.5, count + 2
    difference = (lost_ - won_) / count_
    spread = math.sqrt(lost_ + won_ - (lost_ - won_) ** 2 / count_) / count_
    return max(-1.0, difference - Z_95 * spread), min(1.0, difference + Z_95 * spread)
