"""How good a model is: the figures made of its answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import (
    classification_report,
    cohen_kappa_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

from eurosat.significance import wilson_interval


@dataclass(frozen=True)
class ClassFigures:
    """Figures of one class, each 0 to 1.

    Attributes:
        name: The class.
        precision: Share of the tiles given this class that have it.
        recall: Share of the tiles with this class that were given it.
        f1: Harmonic mean of the two.
        support: Number of tiles with this class.
    """

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one part of the data, each 0 to 1 but loss and kappa.

    Attributes:
        part: `"validation"`, `"test"` or `"all"`.
        tile_count: Tiles looked at.
        accuracy: Share of tiles whose most probable class is the true one.
        accuracy_low: Lower end of its 95 % interval (Wilson).
        accuracy_high: Upper end of its 95 % interval.
        balanced_accuracy: Mean recall of the classes that have tiles.
        top2_accuracy: Share of tiles whose true class is among the two most probable.
        kappa: Cohen's kappa, -1 to 1: agreement with the truth beyond that of chance (Cohen, "A
            coefficient of agreement for nominal scales", 1960).
        loss: Mean cross-entropy in nats.
        macro_precision: Mean of the classes' precisions.
        macro_recall: Mean of the classes' recalls.
        macro_f1: Mean of the classes' F1.
        classes: The figures of each class, in label order.
        confusion: Tiles by true class (row) and predicted class (column).
        text: The classification report as a table.
    """

    part: str
    tile_count: int
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    balanced_accuracy: float
    top2_accuracy: float
    kappa: float
    loss: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON takes them."""
        return {
            "tiles": self.tile_count,
            "accuracy": self.accuracy,
            "accuracy_low": self.accuracy_low,
            "accuracy_high": self.accuracy_high,
            "balanced_accuracy": self.balanced_accuracy,
            "top2_accuracy": self.top2_accuracy,
            "kappa": self.kappa,
            "loss": self.loss,
            "macro_precision": self.macro_precision,
            "macro_recall": self.macro_recall,
            "macro_f1": self.macro_f1,
            "classes": {
                figures.name: {
                    "precision": figures.precision,
                    "recall": figures.recall,
                    "f1": figures.f1,
                    "support": figures.support,
                }
                for figures in self.classes
            },
            "confusion": self.confusion,
        }


def evaluate(
    part: str, probabilities: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...]
) -> Evaluation:
    """Compare probabilities with the truth.

    Args:
        part: `"validation"`, `"test"` or `"all"`.
        probabilities: float `[n, classes]`.
        labels: int `[n]`.
        class_names: Names in label order.
    """
    predicted = probabilities.argmax(axis=1)
    known = np.arange(len(class_names))
    # In float64 the sums of a float32 softmax are too far from 1 for scikit-learn.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=known, zero_division=0.0
    )
    right = int((predicted == labels).sum())
    low, high = wilson_interval(right, len(labels))
    has_tiles = np.bincount(labels, minlength=len(class_names)) > 0
    best_two = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return Evaluation(
        part=part,
        tile_count=len(labels),
        accuracy=right / len(labels),
        accuracy_low=low,
        accuracy_high=high,
        balanced_accuracy=float(np.asarray(recall)[has_tiles].mean()),
        top2_accuracy=float((best_two == labels[:, np.newaxis]).any(axis=1).mean()),
        kappa=float(cohen_kappa_score(labels, predicted, labels=known)),
        loss=float(log_loss(labels, exact, labels=known)),
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        macro_f1=float(f1.mean()),
        classes=tuple(
            ClassFigures(name, float(p), float(r), float(f), int(n))
            for name, p, r, f, n in zip(class_names, precision, recall, f1, support, strict=True)
        ),
        confusion=tuple(
            tuple(int(count) for count in row)
            for row in confusion_matrix(labels, predicted, labels=known)
        ),
        text=classification_report(
            labels,
            predicted,
            labels=known,
            target_names=list(class_names),
            digits=4,
            zero_division=0.0,
        ),
    )
