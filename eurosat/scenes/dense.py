"""The windows of a scene classified many at a time, with the scene twin of a model."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Final

import numpy as np

from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError, printable
from eurosat.model_pool import ModelPool
from eurosat.scenes.twin import SceneTwin, make_twin
from eurosat.scenes.windows import (
    STRIP,
    WINDOW,
    Rows,
    Strip,
    WindowGrid,
    classify_tiles,
    mirrored,
)

_COLUMNS: Final = STRIP
_WINDOWS: Final = 512
"""The columns of pixels, and the windows, that a twin answers for at once.

More would cost memory, fewer time.
"""


class DenseClassifier:
    """A model and its scene twin, ready for the windows of one grid.

    Windows with empty pixels are left to the model itself.

    Attributes:
        twin: The scene twin.
        rows_at_once: How many rows of windows it answers for at once.
    """

    def __init__(self, classifier: Classifier, grid: WindowGrid) -> None:
        """Make the twin.

        Raises:
            ModelFileError: The model has none for windows that stand so.
            MissingPackageError: LiteRT's description of the format is not installed.
        """
        self._classifier = classifier = classifier.one_view
        self._grid = grid
        name = printable(classifier.model_file.path)
        no_twin = ModelFileError(
            f"{name} has no scene twin for windows of {WINDOW} pixels: map with single windows."
        )
        if classifier.input_size != (WINDOW, WINDOW):
            raise no_twin
        down, across = grid.windows
        self.rows_at_once = min(down, STRIP // grid.stride)
        self._columns_at_once = min(across, _COLUMNS // grid.stride, _WINDOWS // self.rows_at_once)
        height, width = (
            (count - 1) * grid.stride + WINDOW
            for count in (self.rows_at_once, self._columns_at_once)
        )
        self.twin: SceneTwin = make_twin(classifier.model_file, height, width, grid.stride)
        self._models = ModelPool(self.twin.flatbuffer, name, size=classifier.threads, is_scene=True)
        with self._models.lent() as model:
            takes_pixels = (model.input.dtype, model.output.dtype) == (np.uint8, np.float32)
        if not takes_pixels:
            raise no_twin

    def answer_strips(self, rows: Rows, strips: Iterable[Strip]) -> Iterator[np.ndarray]:
        """Classify strips of windows, of `rows_at_once` rows at most.

        Yields:
            float32 of shape [rows, windows across, classes]; NaN for windows that are skipped.
        """
        with ThreadPoolExecutor(self._classifier.threads) as executor:
            for strip in strips:
                yield self._answer(rows, strip, executor)

    def seconds_per_window(self) -> float:
        """Return about how many seconds a window takes when all threads are at work."""
        pixels = np.zeros((self.twin.height, self.twin.width, 3), np.uint8)
        self._run(pixels)  # Loads the model.
        started = perf_counter()
        self._run(pixels)
        windows = self.rows_at_once * self._columns_at_once
        return (perf_counter() - started) / windows / self._classifier.threads

    def _answer(self, rows: Rows, strip: Strip, executor: ThreadPoolExecutor) -> np.ndarray:
        grid, stride = self._grid, self._grid.stride
        start, stop = strip
        across = grid.windows[1]
        at_once = self._columns_at_once
        blocks = range(0, across, at_once)
        width = blocks[-1] * stride + self.twin.width
        columns = mirrored(0, width, grid.width)
        pixels, has_data = rows.take(mirrored(start * stride, self.twin.height, grid.height))
        pixels, has_data = pixels.take(columns, axis=1), has_data.take(columns, axis=1)
        is_whole = _are_whole(has_data, stride)[: stop - start, :across]

        def answer(first: int) -> np.ndarray | None:
            if not is_whole[:, first : first + at_once].any():
                return None
            left = first * stride
            return self._run(pixels[:, left : left + self.twin.width])

        shape = (stop - start, across, len(self._classifier.class_names))
        answers = np.full(shape, np.nan, np.float32)
        for first, found in zip(blocks, executor.map(answer, blocks), strict=True):
            if found is not None:
                part = answers[:, first : first + at_once]
                part[:] = found[: part.shape[0], : part.shape[1]]
        self._classify_others(answers, ~is_whole, pixels, has_data)
        return answers

    def _run(self, pixels: np.ndarray) -> np.ndarray:
        """Run the twin; return calibrated probabilities for the windows of a block."""
        with self._models.lent() as model:
            values = model.run(pixels[np.newaxis])[0]
        return self._classifier.probabilities(values)

    def _classify_others(
        self, answers: np.ndarray, chosen: np.ndarray, pixels: np.ndarray, has_data: np.ndarray
    ) -> None:
        """Fill in what the model itself says of the chosen windows."""
        stride = self._grid.stride
        for row, columns in enumerate(map(np.flatnonzero, chosen)):
            if not len(columns):
                continue
            corners = columns * stride
            top = row * stride
            tiles = np.stack([pixels[top : top + WINDOW, x : x + WINDOW] for x in corners])
            known = np.stack([has_data[top : top + WINDOW, x : x + WINDOW] for x in corners])
            answers[row, columns] = classify_tiles(tiles, known, self._classifier)


def _are_whole(has_data: np.ndarray, stride: int) -> np.ndarray:
    """Tell which windows, one every `stride`, have no empty pixel."""
    counts = np.zeros((has_data.shape[0] + 1, has_data.shape[1] + 1), np.int32)
    counts[1:, 1:] = (~has_data).cumsum(axis=0, dtype=np.int32).cumsum(axis=1, dtype=np.int32)
    empty = counts[WINDOW:, WINDOW:] - counts[:-WINDOW, WINDOW:] - counts[WINDOW:, :-WINDOW]
    return (empty + counts[:-WINDOW, :-WINDOW])[::stride, ::stride] == 0
