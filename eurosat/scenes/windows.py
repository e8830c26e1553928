"""A scene cut into windows of a tile's size, and what a model says of each of them.

The answers go to a file row by row, so that a run that was stopped goes on where it was.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from eurosat.classifier import Classifier
from eurosat.dataset import TILE_SIZE
from eurosat.progress import Progress
from eurosat.scenes.scene import Scene

WINDOW: Final = TILE_SIZE
"""Height and width of a window in pixels: a EuroSAT tile."""

STRIDES: Final = (64, 32, 16, 8)
"""The distances between windows, in pixels, that can be chosen."""

DEFAULT_STRIDE: Final = 16
"""At 64, a window that meets an edge of a field answers alone for all the land that it shows.

Where the truth is known, 9 to 26 of 100 pixels more get the right class at 16
(`benchmarks/map_accuracy.py`).
"""

LEAST_DATA: Final = 0.5
"""A window with a smaller share of pixels with data is skipped."""

STRIP: Final = 512
"""The rows of pixels that are worked on at once where windows are not worked on one by one."""

_ROWS_READ_AT_ONCE: Final = 128

BYTES: Final = np.dtype(np.float32).itemsize
"""Of one probability in a file of answers."""

Strip = tuple[int, int]
"""Some rows of windows: the first one, and the one after the last one."""

AnswerStrips = Callable[[list[Strip]], Iterator[np.ndarray]]
"""Answers strips in their order, each as float32 of shape [rows, windows across, classes]."""


@dataclass(frozen=True)
class WindowGrid:
    """How windows and cells lie on a scene.

    A cell is the square of `stride` pixels that gets one label; those at the right and lower rim
    may be narrower. Windows stand at every multiple of `stride`; the last ones may reach beyond the
    rim, where the scene is continued by its mirror image.

    Attributes:
        height: Rows of the scene.
        width: Columns of the scene.
        stride: Pixels from a window to the next; divides `WINDOW`.
    """

    height: int
    width: int
    stride: int

    @property
    def windows(self) -> tuple[int, int]:
        """Number of windows down and across."""
        down, across = (
            max(0, -(-(length - WINDOW) // self.stride)) + 1 for length in (self.height, self.width)
        )
        return down, across

    @property
    def window_count(self) -> int:
        """Number of all windows."""
        return self.windows[0] * self.windows[1]

    def strips(self, rows: int, first: int = 0) -> list["Strip"]:
        """Return all rows of windows from the first one on, so many at a time."""
        down = self.windows[0]
        return [(row, min(row + rows, down)) for row in range(first, down, rows)]

    @property
    def cells(self) -> tuple[int, int]:
        """Number of cells down and across."""
        return -(-self.height // self.stride), -(-self.width // self.stride)


def classify_windows(
    scene: Scene,
    classifier: Classifier,
    grid: WindowGrid,
    answers: Path,
    progress: Progress = lambda done, total: None,
    *,
    answer_strips: AnswerStrips | None = None,
    rows_at_once: int = 1,
) -> np.ndarray:
    """Classify all windows of a scene, or those that an earlier call has not.

    Args:
        scene: The scene.
        classifier: The model.
        grid: Where the windows are.
        answers: The file of float32 probabilities that is continued, row by row of windows.
        progress: Called after each strip.
        answer_strips: Who answers instead of the classifier.
        rows_at_once: Rows of windows in a strip.

    Returns:
        Probabilities of shape [windows down, windows across, classes]; those of skipped windows
        are NaN. They stay in the file and are read from there when they are looked at.

    Raises:
        SceneError: The file is damaged.
        ModelFileError: The model fails.
        OSError: The answers cannot be written.
    """
    down, across = grid.windows
    shape = (down, across, len(classifier.class_names))
    done = windows_done(answers, grid, shape[2]) // across
    strips = grid.strips(rows_at_once, first=done)
    if answer_strips is None:
        answer_strips = one_by_one(Rows.of(scene), classifier, grid)
    answers.parent.mkdir(parents=True, exist_ok=True)
    with answers.open("ab") as file:
        # A row that was cut short is made again.
        file.truncate(done * across * shape[2] * BYTES)
        progress(done * across, grid.window_count)
        found = answer_strips(strips)
        for (_, stop), values in zip(strips, found, strict=True):
            file.write(values.tobytes())
            file.flush()
            progress(stop * across, grid.window_count)
    return np.memmap(answers, np.float32, "r", shape=shape)


def one_by_one(rows: "Rows", classifier: Classifier, grid: WindowGrid) -> AnswerStrips:
    """Return what answers strips by classifying each of their windows."""

    def answer(strips: Iterable[Strip]) -> Iterator[np.ndarray]:
        for start, stop in strips:
            yield np.stack(
                [_classify_row(rows, classifier, grid, row) for row in range(start, stop)]
            )

    return answer


def windows_done(answers: Path, grid: WindowGrid, classes: int) -> int:
    """Return how many windows have an answer in the file of an earlier run, in whole rows."""
    down, across = grid.windows
    size = answers.stat().st_size if answers.exists() else 0
    return min(size // (across * classes * BYTES), down) * across


def average_over_cells(
    probabilities: np.ndarray,
    grid: WindowGrid,
    of: Callable[[np.ndarray], np.ndarray] = lambda answers: answers,
) -> np.ndarray:
    """Average what all windows that cover a cell say of it, weighted by how well they show it.

    A window speaks of the land in its middle more than of that at its rim, so that the nearer the
    middle of a window is to the cell, the more it counts: down and across by a Hann window
    (Blackman and Tukey 1958), which is 1 in the middle and 0 at the rim. At strides of 64 and 32
    pixels, all windows of a cell are as near as each other. One that meets an edge between two
    fields is less sure than one that lies within a field, so that windows count by the square of
    their confidence, too.

    Args:
        probabilities: What `classify_windows` returns.
        grid: The same grid.
        of: What is averaged, by the answers of some windows.

    Returns:
        float32 of shape [cells down, cells across, classes]; 0 where all windows were skipped.
    """
    down, across, classes = probabilities.shape
    reach = WINDOW // grid.stride  # A window covers so many cells down and across.
    weights = _weights_across(reach)
    averages = np.zeros((*grid.cells, classes), np.float32)
    for row in range(grid.cells[0]):
        rows = np.arange(max(0, row - reach + 1), min(row + 1, down))
        answers = np.asarray(probabilities[rows[0] : rows[-1] + 1])
        counts = weights[row - rows, np.newaxis] * np.nan_to_num(answers.max(axis=2)) ** 2
        weight_down = counts.sum(axis=0)
        seen = np.einsum("ra,rac->ac", counts, np.nan_to_num(of(answers)))
        sums = np.zeros((grid.cells[1], classes))
        weight = np.zeros((grid.cells[1], 1))
        for step in range(reach):
            end = min(step + across, grid.cells[1])
            sums[step:end] += weights[step] * seen[: end - step]
            weight[step:end, 0] += weights[step] * weight_down[: end - step]
        np.divide(sums, weight, out=averages[row], where=weight > 0, casting="same_kind")
    return averages


def middle_weights(side: int) -> np.ndarray:
    """Return how much a window counts for each of its pixels: float64 `[side, side]`, 1 in all."""
    weights = np.outer(_weights_across(side), _weights_across(side))
    return weights / weights.sum()


def _weights_across(count: int) -> np.ndarray:
    """Return how much a window counts for each of so many equal parts of it, rim to rim."""
    places = (np.arange(count) + 0.5) / count
    return np.sin(np.pi * places) ** 2


def _classify_row(rows: "Rows", classifier: Classifier, grid: WindowGrid, row: int) -> np.ndarray:
    """Return the probabilities of one row of windows: float32 of shape [windows, classes]."""
    across = grid.windows[1]
    columns = mirrored(0, (across - 1) * grid.stride + WINDOW, grid.width)
    pixels, has_data = rows.take(mirrored(row * grid.stride, WINDOW, grid.height))
    # Not by brackets, which took more than twice the time.
    pixels, has_data = pixels.take(columns, axis=1), has_data.take(columns, axis=1)
    return classify_tiles(_cut(pixels, grid.stride), _cut(has_data, grid.stride), classifier)


def classify_tiles(tiles: np.ndarray, with_data: np.ndarray, classifier: Classifier) -> np.ndarray:
    """Classify windows of which some may be empty in parts; those that are mostly so are skipped.

    Args:
        tiles: uint8 of shape [n, 64, 64, 3].
        with_data: bool of shape [n, 64, 64].
        classifier: The model.

    Returns:
        float32 of shape [n, classes], NaN for those that are skipped.
    """
    is_seen = with_data.mean(axis=(1, 2)) >= LEAST_DATA
    tiles = tiles[is_seen]  # A copy, which may be changed.
    for tile, known in zip(tiles, with_data[is_seen], strict=True):
        if not known.all():
            fill_by_mirroring(tile, known)
    answers = np.full((len(is_seen), len(classifier.class_names)), np.nan, np.float32)
    answers[is_seen] = classifier.one_view.classify_batch(tiles)
    return answers


def _cut(strip: np.ndarray, stride: int) -> np.ndarray:
    """Cut a strip of shape [64, width, ...] into windows: [windows, 64, 64, ...]."""
    views = np.lib.stride_tricks.sliding_window_view(strip, WINDOW, axis=1)[:, ::stride]
    return np.moveaxis(np.moveaxis(views, 1, 0), -1, 2)


def mirrored(start: int, count: int, length: int) -> np.ndarray:
    """Return positions from `start` on; beyond both ends they run back, and so to and fro."""
    period = max(1, 2 * (length - 1))
    positions = np.arange(start, start + count) % period
    return np.where(positions < length, positions, period - positions)


def fill_by_mirroring(tile: np.ndarray, has_data: np.ndarray) -> None:
    """Continue what a tile shows into its empty pixels, so that it looks like a whole one.

    Each empty pixel gets the one that lies as far behind the nearest edge, along its row or column.
    With a flat colour or black instead, which models never saw, answers are wrong and sure
    (`benchmarks/scene_pixels.py`).

    Args:
        tile: uint8 of shape [side, side, 3]; changed in place.
        has_data: bool of shape [side, side], not all False.
    """
    known = has_data.copy()
    side = len(tile)
    across, down = np.meshgrid(np.arange(side), np.arange(side))
    while not known.all():
        mirror_row, row_distance = _mirror_along(known.T)
        mirror_column, column_distance = _mirror_along(known)
        by_column = ~known & (column_distance <= row_distance.T) & (column_distance < side)
        by_row = ~known & ~by_column & (side > row_distance.T)
        if not (by_column | by_row).any():
            tile[~known] = tile[known].mean(axis=0).round()
            return
        rows = np.where(by_row, mirror_row.T, down)
        columns = np.where(by_column, mirror_column, across)
        tile[:] = tile[rows, columns]
        known |= by_column | by_row


def _mirror_along(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find along each row the mirror image of every pixel behind the nearest known one.

    Returns:
        The columns of the mirror images, and how far the nearest known pixel is; the row's length
        where there is no image.
    """
    length = known.shape[1]
    place = np.arange(length)
    far = 3 * length
    before = np.maximum.accumulate(np.where(known, place, -far), axis=1)
    after = np.minimum.accumulate(np.where(known, place, far)[:, ::-1], axis=1)[:, ::-1]
    nearest = np.where(place - before <= after - place, before, after)
    mirror = 2 * nearest - place
    is_inside = (mirror >= 0) & (mirror < length)
    mirror = np.where(is_inside, mirror, 0)
    has_image = is_inside & np.take_along_axis(known, mirror, axis=1)
    return mirror, np.where(has_image, np.abs(nearest - place), length)


class Rows:
    """The rows of a scene, each read once as long as they are taken from top to bottom."""

    def __init__(
        self,
        read_rows: Callable[[int, int], tuple[np.ndarray, np.ndarray]],
        height: int,
        width: int,
    ) -> None:
        """Take what reads rows, as `Scene.read_rows` does; nothing is read yet."""
        self._read_rows = read_rows
        self._height = height
        self._start = 0
        self._pixels = np.empty((0, width, 3), np.uint8)
        self._has_data = np.empty((0, width), bool)

    @classmethod
    def of(cls, scene: Scene) -> Self:
        """Return the rows of a scene."""
        return cls(scene.read_rows, scene.ground.height, scene.ground.width)

    def take(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels and the data mask of some rows."""
        first, end = int(positions.min()), int(positions.max()) + 1
        stop = self._start + len(self._pixels)
        if not self._start <= first <= stop:
            self._start = stop = first
            self._pixels, self._has_data = self._pixels[:0], self._has_data[:0]
        if end > stop:
            kept = first - self._start
            parts = [(self._pixels[kept:], self._has_data[kept:])]
            # What a scene takes while it is read is several times as much as what it gives.
            for start in range(stop, end, _ROWS_READ_AT_ONCE):
                parts.append(self._read_rows(start, min(start + _ROWS_READ_AT_ONCE, self._height)))
            self._pixels, self._has_data = map(np.concatenate, zip(*parts, strict=True))
            self._start = first
        return self._pixels[positions - self._start], self._has_data[positions - self._start]
