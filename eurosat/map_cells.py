"""The cells of a land-cover map: what each one is, how sure that is, and how it is shown."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from eurosat.labels import land_cover
from eurosat.scene_windows import WindowGrid

NODATA: Final = 255
"""What stands in a map where the scene has no data."""

UNSURE: Final = "unsure"
"""The name of the class of what is not sure enough to be any other."""

UNSURE_COLOUR: Final = "#D4D4D4"


@dataclass(frozen=True)
class MapClass:
    """A class of a map.

    Attributes:
        id: The number in `classes.tif`.
        name: The label in the model file, or `UNSURE`.
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


def label_cells(
    averages: np.ndarray,
    grid: WindowGrid,
    class_names: tuple[str, ...],
    unsure_below: float | None,
) -> CellMap:
    """Give each cell the most probable class, or "unsure".

    Args:
        averages: float32 of shape [cells down, cells across, classes], as `average_over_cells`
            returns it. A cell that the model was not asked about is unsure.
        grid: How the cells lie.
        class_names: The names of the classes, at most 254.
        unsure_below: The confidence below which a cell is unsure, or None.
    """
    classes = [
        MapClass(index, name, land_cover(name).title, land_cover(name, index).colour)
        for index, name in enumerate(class_names)
    ]
    unsure = MapClass(len(classes), UNSURE, "Unsure", UNSURE_COLOUR)
    confidence = averages.max(axis=2)
    is_unsure = (confidence == 0) | (confidence < (unsure_below or 0))
    labels = np.where(is_unsure, unsure.id, averages.argmax(axis=2)).astype(np.uint8)
    return CellMap(grid, (*classes, unsure), labels, confidence)
