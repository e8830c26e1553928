"""Pictures: learning curves, confusion matrix, reliability diagram, a sheet of tiles."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from eurosat.atomic import replacing
from eurosat.calibration import ReliabilityBin, expected_calibration_error
from eurosat.labels import land_cover
from eurosat.significance import wilson_interval

from .evaluate import Evaluation
from .fit import Epoch, best_epoch

PREDICTION_COUNT = 20
"""Tiles on the sheet of predictions."""

TRAIN_COLOUR = "#9A9A9A"
VALIDATION_COLOUR = "#123CB4"
_WRONG_COLOUR = "#C53424"


def sheet_positions(seed: int, count: int) -> np.ndarray:
    """Return int64 `[20]` (or fewer): which tiles of a part with `count` tiles are on the sheet.

    The same for every model of one split, so that their sheets can be laid side by side.
    """
    return np.random.default_rng(seed).permutation(count)[:PREDICTION_COUNT]


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
        panel.plot(epochs, train, color=TRAIN_COLOUR, label="Train (augmented)", **style)
        panel.plot(epochs, validation, color=VALIDATION_COLOUR, label="Validation", **style)
        panel.axvline(kept.epoch, color="black", linewidth=0.8, linestyle=":")
        value = getattr(kept, f"validation_{name}")
        panel.plot([kept.epoch], [value], "o", color=VALIDATION_COLOUR, markersize=8)
        panel.set_title(f"{title}\nkept: epoch {kept.epoch}, validation {value:.4f}", fontsize=11)
        panel.set_xlabel("Epoch")
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
        panel.spines[["top", "right"]].set_visible(False)
    panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
    save_figure(figure, path)


def draw_confusion_matrix(path: Path, evaluation: Evaluation) -> None:
    """Draw how many tiles of each true class (row) were given each class (column).

    Each cell says the number, and below it the share of the row.
    """
    counts = np.array(evaluation.confusion)
    titles = [land_cover(figures.name).title for figures in evaluation.classes]
    rates = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(6.5, 0.72 * len(titles) + 2.5)
    figure = Figure(figsize=(size, size), layout="constrained")
    panel: Axes = figure.subplots()
    # The square root keeps the rare mistakes visible beside a full diagonal.
    panel.imshow(np.sqrt(rates), cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts > 0):
        style = {
            "ha": "center",
            "color": "white" if np.sqrt(rates[row, column]) > 0.6 else "black",
        }
        panel.text(column, row - 0.02, f"{counts[row, column]:,}", va="bottom", fontsize=9, **style)
        panel.text(column, row + 0.06, f"{rates[row, column]:.1%}", va="top", fontsize=7, **style)
    panel.set_xticks(range(len(titles)), titles, rotation=45, ha="right", rotation_mode="anchor")
    panel.set_yticks(range(len(titles)), titles)
    panel.set_xticks(np.arange(len(titles) + 1) - 0.5, minor=True)
    panel.set_yticks(np.arange(len(titles) + 1) - 0.5, minor=True)
    panel.grid(which="minor", color="#E4E4E4", linewidth=0.6)
    panel.tick_params(which="both", length=0)
    panel.set_xlabel("Predicted class")
    panel.set_ylabel("True class")
    panel.set_title(
        f"{evaluation.part.capitalize()}: {evaluation.accuracy:.2%} of "
        f"{evaluation.tile_count:,} tiles right"
    )
    save_figure(figure, path)


def draw_reliability(
    path: Path,
    title: str,
    before: Sequence[ReliabilityBin],
    after: Sequence[ReliabilityBin] | None,
) -> None:
    """Draw accuracy against confidence, and how many tiles there are of each confidence.

    Args:
        path: The picture to make.
        title: Its heading.
        before: Bins of the model's own confidence.
        after: Bins of the calibrated confidence; None if there is no temperature.
    """
    figure = Figure(figsize=(6.5, 7.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    panel, histogram = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    panel.plot(
        [0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":", label="Perfect calibration"
    )
    kinds = [("The model's own", before, TRAIN_COLOUR, 0.0)]
    if after is not None:
        kinds.append(("Calibrated", after, VALIDATION_COLOUR, 0.5))
    for name, bins, colour, shift in kinds:
        full = [entry for entry in bins if entry.count]
        accuracy = np.array([entry.accuracy for entry in full])
        ends = np.array(
            [wilson_interval(round(entry.accuracy * entry.count), entry.count) for entry in full]
        )
        panel.errorbar(
            [entry.confidence for entry in full],
            accuracy,
            yerr=np.maximum(0, [accuracy - ends[:, 0], ends[:, 1] - accuracy]),
            color=colour,
            marker="o",
            markersize=5,
            linewidth=1.2,
            elinewidth=0.8,
            label=f"{name}: ECE {expected_calibration_error(tuple(bins)):.2%}",
        )
        width = (bins[0].high - bins[0].low) * 0.9 / len(kinds)
        histogram.bar(
            [entry.low + 0.003 + shift * (entry.high - entry.low) for entry in bins],
            [entry.count for entry in bins],
            width=width,
            align="edge",
            color=colour,
        )
    panel.set_ylabel("Share of right answers (95 % interval)")
    panel.set_ylim(0, 1.02)
    panel.legend(loc="lower right", framealpha=1, edgecolor="none")
    histogram.set_yscale("symlog", linthresh=1)
    histogram.set_ylim(bottom=0)
    histogram.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    histogram.set_ylabel("Tiles")
    histogram.set_xlabel("Confidence")
    for one in (panel, histogram):
        one.grid(alpha=0.3)
        one.spines[["top", "right"]].set_visible(False)
        one.xaxis.set_major_formatter(PercentFormatter(1.0))
    panel.yaxis.set_major_formatter(PercentFormatter(1.0))
    histogram.set_xlim(0, 1)
    save_figure(figure, path)


def draw_tiles(
    path: Path,
    title: str,
    tiles: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: tuple[str, ...],
) -> None:
    """Draw tiles with their predicted class and confidence, and the true class where it differs.

    Args:
        path: The picture to make.
        title: Its heading.
        tiles: uint8 RGB `[n, 64, 64, 3]`; at least one.
        labels: int `[n]`, the true classes.
        probabilities: float `[n, classes]`.
        class_names: Names in label order.
    """
    titles = [land_cover(name).title for name in class_names]
    predicted = probabilities.argmax(axis=1)
    columns = min(5, len(tiles))
    rows = -(-len(tiles) // columns)
    figure = Figure(figsize=(max(6.0, 2.3 * columns), 2.75 * rows + 0.6), layout="constrained")
    figure.suptitle(title)
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
            + ("right" if is_right else f"truth: {titles[label]}"),
            fontsize=9,
            color="black" if is_right else _WRONG_COLOUR,
        )
    for panel in figure.axes:
        panel.set_axis_off()
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all. Dollar signs in it are such, and begin no formula."""
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with replacing(path) as temporary, unknown_letters_boxed():
        figure.savefig(temporary, dpi=120)


@contextmanager
def unknown_letters_boxed() -> Iterator[None]:
    """Let Matplotlib draw letters that its font lacks as boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield
