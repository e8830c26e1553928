"""How much land each class of a map covers."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from eurosat.atomic import replacing
from eurosat.scenes.cells import NO_DATA, UNSURE, CellMap
from eurosat.scenes.ground import Ground, areas_of_pixels
from eurosat.scenes.scene import Scene
from eurosat.scenes.windows import WindowGrid

AREAS_FILE: Final = "areas.csv"

COLUMNS: Final = (
    "class",
    "title",
    "cells",
    "pixels",
    "area_m2",
    "area_ha",
    "area_km2",
    "share_of_classified",
    "mean_confidence",
    "pixel_size",
)


@dataclass(frozen=True)
class Area:
    """What one class covers.

    Attributes:
        name: The label of the class, `UNSURE` or `NO_DATA`.
        title: The name for people.
        colour: As `#RRGGBB`.
        cells: Number of cells of the class that have data; for "nodata", of those that have none.
        pixels: Number of pixels.
        m2: Area in m².
        share: Share of what has a class and is sure, 0 to 1; None for "unsure" and "nodata".
        confidence: Mean over the pixels, 0 to 1; None if there are none, and for "nodata".
    """

    name: str
    title: str
    colour: str
    cells: int
    pixels: int
    m2: float
    share: float | None
    confidence: float | None

    @property
    def hectares(self) -> float:
        """Area in hectares, of 10 000 m²."""
        return self.m2 / 10_000


def area_title(pixel_name: str) -> str:
    """Return the heading of a column of areas: it says if the size of a pixel is a guess.

    Args:
        pixel_name: As `Ground.pixel_name` says it.
    """
    return f"Area, {pixel_name}" if pixel_name.endswith("assumed") else "Area"


def count_per_cell(has_data: np.ndarray, stride: int) -> np.ndarray:
    """Count the pixels with data in each cell.

    Args:
        has_data: bool of shape [height, width], from the upper left corner of a cell on.
        stride: The side of a cell in pixels.

    Returns:
        int64 of shape [cells down, cells across]; the last ones may be narrower.
    """
    rows, columns = (np.arange(0, side, stride) for side in has_data.shape)
    per_row = np.add.reduceat(has_data, columns, axis=1, dtype=np.int64)
    return np.add.reduceat(per_row, rows, axis=0)


def pixels_per_cell(grid: WindowGrid) -> np.ndarray:
    """Return int64 of shape [cells down, cells across]; cells at the rim may be narrower."""
    return np.outer(*(np.diff(edges) for edges in _edges(grid)))


def area_per_pixel(ground: Ground, grid: WindowGrid) -> np.ndarray:
    """Return how much ground a pixel of each cell shows: float64, [cells down, across], in m²."""
    middles = ((edges[:-1] + edges[1:]) / 2 for edges in _edges(grid))
    return areas_of_pixels(ground, *middles)


def _edges(grid: WindowGrid) -> list[np.ndarray]:
    """Return the rows, and the columns, of pixels where cells begin and where the last one ends."""
    return [np.append(np.arange(0, side, grid.stride), side) for side in (grid.height, grid.width)]


def measure_areas(scene: Scene, cells: CellMap, with_data: np.ndarray) -> tuple[Area, ...]:
    """Measure what each class covers.

    Args:
        scene: The scene.
        cells: Its labels.
        with_data: How many pixels with data each cell has.

    Returns:
        An area for each class in their order, for "unsure" and for "nodata". All of them together
        are the scene, all but the last the part of it with data.
    """
    count = len(cells.classes)
    labels, weights = cells.labels.ravel(), with_data.ravel()
    m2_per_pixel = area_per_pixel(scene.ground, cells.grid).ravel()
    # Counts are far below 2^53, so that these sums are exact.
    pixels = np.bincount(labels, weights, count).astype(np.int64)
    m2 = np.bincount(labels, weights * m2_per_pixel, count)
    confident = np.bincount(labels, weights * cells.confidence.ravel(), count)
    filled = np.bincount(labels[weights > 0], minlength=count)
    classified = sum(m2[entry.id] for entry in cells.classes if entry.name != UNSURE)
    areas = [
        Area(
            name=entry.name,
            title=entry.title,
            colour=entry.colour,
            cells=int(filled[entry.id]),
            pixels=int(pixels[entry.id]),
            m2=float(m2[entry.id]),
            share=_ratio(m2[entry.id], classified) if entry.name != UNSURE else None,
            confidence=_ratio(confident[entry.id], pixels[entry.id]),
        )
        for entry in cells.classes
    ]
    without_data = pixels_per_cell(cells.grid).ravel() - weights
    nothing = int((weights == 0).sum())
    empty, empty_m2 = int(without_data.sum()), float(without_data @ m2_per_pixel)
    return (*areas, Area(NO_DATA, "No data", "#FFFFFF", nothing, empty, empty_m2, None, None))


def write_areas(path: Path, scene: Scene, areas: tuple[Area, ...]) -> None:
    """Write areas as CSV, numbers with a point, a size of a pixel beside each.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for area in areas:
            writer.writerow(
                [
                    area.name,
                    area.title,
                    area.cells,
                    area.pixels,
                    _number(area.m2, 2),
                    _number(area.m2 / 1e4, 6),
                    _number(area.m2 / 1e6, 8),
                    "" if area.share is None else f"{area.share:.6f}",
                    "" if area.confidence is None else f"{area.confidence:.4f}",
                    scene.ground.pixel_name,
                ]
            )


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None


def _number(value: float, decimals: int) -> str:
    """Return a number without the digits that come from rounding in binary."""
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
