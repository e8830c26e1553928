"""The pictures of a run: learning curves, confusion matrix, a sheet of tiles."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eurosat.atomic import replacing
from eurosat.labels import land_cover

from .evaluate import Evaluation
from .fit import Epoch, best_epoch

PREDICTION_COUNT = 20
"""Tiles on the sheet of predictions."""

_TRAIN_COLOUR = "#9A9A9A"
_VALIDATION_COLOUR = "#123CB4"
_WRONG_COLOUR = "#C53424"


def draw_curves(path: Path, history: Sequence[Epoch]) -> None:
    """Draw loss and accuracy of training and validation by epoch, with the kept epoch marked."""
    epochs = [epoch.epoch for epoch in history]
    kept = best_epoch(list(history))
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 2)
    for panel, title, name in (
        (panels[0], "Loss (cross-entropy)", "loss"),
        (panels[1], "Accuracy", "accuracy"),
    ):
        style = {"marker": "o", "markersize": 3}
        train = [getattr(epoch, name) for epoch in history]
        validation = [getattr(epoch, f"validation_{name}") for epoch in history]
        panel.plot(epochs, train, color=_TRAIN_COLOUR, label="Train (augmented)", **style)
        panel.plot(epochs, validation, color=_VALIDATION_COLOUR, label="Validation", **style)
        panel.axvline(kept.epoch, color="black", linewidth=0.8, linestyle=":")
        value = getattr(kept, f"validation_{name}")
        panel.plot([kept.epoch], [value], "o", color=_VALIDATION_COLOUR, markersize=8)
        panel.set_title(f"{title}\nkept: epoch {kept.epoch}, validation {value:.4f}", fontsize=11)
        panel.set_xlabel("Epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
        panel.spines[["top", "right"]].set_visible(False)
    panels[1].yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
    _save(figure, path)


def draw_confusion_matrix(path: Path, evaluation: Evaluation) -> None:
    """Draw how many tiles of each true class (row) were given each class (column)."""
    counts = np.array(evaluation.confusion)
    names = [figures.name for figures in evaluation.classes]
    titles = [land_cover(name).title for name in names]
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(6.5, 0.62 * len(names) + 2.5)
    figure = Figure(figsize=(size, size), layout="constrained")
    panel: Axes = figure.subplots()
    # The square root keeps the rare mistakes visible beside a full diagonal.
    panel.imshow(np.sqrt(rates), cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts > 0):
        colour = "white" if np.sqrt(rates[row, column]) > 0.6 else "black"
        panel.text(
            column,
            row,
            str(counts[row, column]),
            ha="center",
            va="center",
            color=colour,
            fontsize=9,
        )
    panel.set_xticks(range(len(names)), titles, rotation=45, ha="right")
    panel.set_yticks(range(len(names)), titles)
    panel.set_xlabel("Predicted class")
    panel.set_ylabel("True class")
    panel.set_title(
        f"{evaluation.part.capitalize()}: {evaluation.accuracy:.2%} of "
        f"{evaluation.tile_count:,} tiles right"
    )
    _save(figure, path)


def draw_predictions(
    path: Path,
    part: str,
    tiles: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
) -> None:
    """Draw tiles with their predicted class and confidence, and the true class where it differs.

    Args:
        path: The picture to make.
        part: `"validation"` or `"test"`.
        tiles: uint8 RGB `[n, 64, 64, 3]`.
        labels: int `[n]`, the true classes.
        probabilities: float `[n, classes]`.
        class_names: Names in label order.
    """
    titles = [land_cover(name).title for name in class_names]
    predicted = probabilities.argmax(axis=1)
    columns = 5
    rows = -(-len(tiles) // columns)
    figure = Figure(figsize=(2.3 * columns, 2.75 * rows + 0.6), layout="constrained")
    right = int((predicted == labels).sum())
    figure.suptitle(f"{len(tiles)} tiles of the {part} split, {right} right")
    for panel, tile, label, guess, row in zip(
        figure.subplots(rows, columns, squeeze=False).flat,
        tiles,
        labels,
        predicted,
        probabilities,
        strict=False,
    ):
        panel.imshow(tile, interpolation="nearest")
        is_right = guess == label
        panel.set_title(
            f"{titles[guess]} {row[guess]:.1%}\n"
            + ("right" if is_right else f"wrong: {titles[label]}"),
            fontsize=9,
            color="black" if is_right else _WRONG_COLOUR,
        )
    for panel in figure.axes:
        panel.set_axis_off()
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
