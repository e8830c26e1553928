"""The cells of a land-cover map: what each one is, how sure that is, and how it is shown."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from eurosat.errors import ModelFileError
from eurosat.labels import land_cover
from eurosat.scenes.windows import WindowGrid, average_over_cells

NODATA: Final = 255
"""What stands in a map where the scene has no data."""

UNSURE: Final = "unsure"
"""The name of the class of what is not sure enough to be any other."""

NO_DATA: Final = "nodata"
"""The name of the area where the scene shows nothing."""

UNSURE_COLOUR: Final = "#D4D4D4"

LEAST_SURE: Final = 0.5
"""A cell is unsure if a smaller share of its windows is sure of it."""


@dataclass(frozen=True)
class MapClass:
    """A class of a map.

    Attributes:
        id: The number in `classes.tif`.
        name: The label in the model file, told apart from what a map itself counts, or `UNSURE`.
        title: The name for people.
        colour: As `#RRGGBB`.
    """

    id: int
    name: str
    title: str
    colour: str


@dataclass(frozen=True, eq=False)
class CellMap:
    """A labelled scene.

    Attributes:
        grid: How the cells lie.
        classes: The classes in the order of their numbers, "unsure" last.
        labels: uint8 of shape [cells down, cells across]: the number of the class.
        confidence: float32 of the same shape, 0 to 1.
    """

    grid: WindowGrid
    classes: tuple[MapClass, ...]
    labels: np.ndarray
    confidence: np.ndarray

    def rows_of(self, cells: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Spread a value for each cell over some rows of pixels.

        Args:
            cells: An array of shape [cells down, cells across].
            start: The first row of pixels.
            stop: The row after the last one.

        Returns:
            An array of shape [rows, width].
        """
        rows = np.arange(start, stop) // self.grid.stride
        columns = np.arange(self.grid.width) // self.grid.stride
        return cells[rows[:, np.newaxis], columns]


def map_classes(class_names: tuple[str, ...]) -> tuple[MapClass, ...]:
    """Return the classes of a map, "unsure" last.

    Args:
        class_names: The classes of the model.

    Raises:
        ModelFileError: There are more than 254.
    """
    if len(class_names) >= NODATA:
        raise ModelFileError(
            f"The model has {len(class_names)} classes, but a map holds {NODATA - 1} at most:"
            " choose another model."
        )
    known = [
        MapClass(
            index,
            _told_apart(name),
            _told_apart(land_cover(name).title),
            land_cover(name, index).colour,
        )
        for index, name in enumerate(class_names)
    ]
    return (*known, MapClass(len(known), UNSURE, "Unsure", UNSURE_COLOUR))


def _told_apart(name: str) -> str:
    """Return the name of a class, marked if a map has another row that is called so."""
    letters = "".join(filter(str.isalnum, name)).lower()
    return f"{name} (class)" if letters in {UNSURE, NO_DATA} else name


def label_cells(
    probabilities: np.ndarray,
    grid: WindowGrid,
    class_names: tuple[str, ...],
    unsure_below: float | None,
) -> CellMap:
    """Give each cell the class that is most probable on average, or "unsure".

    A threshold is fitted to answers about single tiles, and the mean of several answers that are
    all sure of their tile may lie below it. So it is the windows that are asked whether they are
    sure, and a cell is if at least half of those that cover it, weighted as for the mean, are sure
    of its class.

    Args:
        probabilities: float32 of shape [windows down, windows across, classes], as
            `classify_windows` returns it. A cell that no window was classified for is unsure.
        grid: How windows and cells lie.
        class_names: The names of the classes, at most 254.
        unsure_below: The confidence below which a window is unsure, or None.
    """
    averages = average_over_cells(probabilities, grid)
    confidence, labels = averages.max(axis=2), averages.argmax(axis=2)
    is_unsure = confidence == 0
    if unsure_below:
        del averages

        def surely(answers: np.ndarray) -> np.ndarray:
            is_top = answers == answers.max(axis=-1, keepdims=True)
            return is_top & (answers >= unsure_below)

        shares = average_over_cells(probabilities, grid, surely)
        share = np.take_along_axis(shares, labels[..., np.newaxis], axis=2)[..., 0]
        is_unsure |= share < LEAST_SURE
    classes = map_classes(class_names)
    labels = np.where(is_unsure, classes[-1].id, labels).astype(np.uint8)
    return CellMap(grid, classes, labels, confidence)
