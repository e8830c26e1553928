"""A land-cover map as GeoJSON: one polygon for each connected area of a class."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from eurosat.atomic import replacing
from eurosat.scenes.areas import area_per_pixel
from eurosat.scenes.cells import NODATA, CellMap
from eurosat.scenes.ground import LONGITUDE_LATITUDE, longitudes_latitudes
from eurosat.scenes.scene import Scene

POLYGONS_FILE: Final = "classes.geojson"

_LONGEST_EDGE: Final = 100
"""Pixels. A straight line of the map is no straight line in degrees; an edge of 1 km deviates by
less than a tenth of a metre, one of 100 km by hundreds of metres."""

_DECIMALS: Final = 7
"""Of degrees: a centimetre. RFC 7946, section 11.2, warns of more."""


_NEAREST_TO_A_POLE: Final = 84
"""Degrees: as far as UTM reaches."""

_POINTS_OF_THE_MERIDIAN: Final = 1000


@dataclass(frozen=True, eq=False)
class _Side:
    """What lies on one side of the 180th meridian.

    Attributes:
        pixels: bool of shape [height, width].
        meridian: What it is called on this side: 180 or -180.
    """

    pixels: np.ndarray
    meridian: int


def write_polygons(path: Path, scene: Scene, cells: CellMap, classes_file: Path) -> None:
    """Write the polygons after RFC 7946: WGS 84, longitude first, outer rings counter-clockwise.

    What lies on both sides of the 180th meridian is cut there (section 3.1.9).
    Areas are measured as for the table, so that those of a class add up to its area.
    `confidence` is the mean over the cells that are connected with the polygon.

    Args:
        path: Where to write.
        scene: The scene; it has a coordinate system.
        cells: Its labels.
        classes_file: What `write_rasters` wrote.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        separator = "\n"
        for feature in _features(scene, cells, classes_file):
            file.write(separator + json.dumps(feature, ensure_ascii=False))
            separator = ",\n"
        file.write("\n]}\n")


def _features(scene: Scene, cells: CellMap, classes_file: Path) -> Iterator[dict[str, Any]]:
    import rasterio
    from rasterio.features import shapes

    m2_per_pixel = area_per_pixel(scene.ground, cells.grid)
    regions, (confidence, m2_per_pixel) = _regions(cells.labels, cells.confidence, m2_per_pixel)
    stride = cells.grid.stride
    to_pixels = ~scene.ground.transform
    with rasterio.open(classes_file) as file:
        band = rasterio.band(file, 1)
        found = (
            (side, *shape)
            for side in _sides(scene)
            for shape in shapes(band, side and side.pixels, connectivity=4)
        )
        for side, polygon, value in found:
            if value == NODATA:
                continue
            # As columns and rows; whole numbers, apart from rounding.
            rings = [
                np.round(np.transpose(to_pixels @ np.transpose(ring)))
                for ring in polygon["coordinates"]
            ]
            # The highest corner, and of several the leftmost: the pixel below and right of it is
            # inside.
            column, row = min(map(tuple, rings[0]), key=lambda corner: (corner[1], corner[0]))
            region = regions[int(row) // stride, int(column) // stride]
            pixels = sum(abs(_area(ring)) * (1 if n == 0 else -1) for n, ring in enumerate(rings))
            entry = cells.classes[int(value)]
            yield {
                "type": "Feature",
                "properties": {
                    "class": entry.name,
                    "title": entry.title,
                    "confidence": round(float(confidence[region]), 4),
                    "area_m2": round(pixels * float(m2_per_pixel[region]), 2),
                },
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [
                        _on_earth(scene, ring, side, is_outer=n == 0)
                        for n, ring in enumerate(rings)
                    ],
                },
            }


def _regions(labels: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Number the connected areas of cells of one class.

    Args:
        labels: uint8 of shape [cells down, cells across].
        values: Arrays of the same shape.

    Returns:
        The number of each cell's area, and the mean of each array in each area.
    """
    from rasterio.features import rasterize, shapes

    outlines = [polygon for polygon, _ in shapes(labels, connectivity=4)]
    numbered = [(polygon, number) for number, polygon in enumerate(outlines)]
    regions = np.zeros(labels.shape, np.int32)
    rasterize(numbered, out=regions)
    cells = np.bincount(regions.ravel(), minlength=len(outlines))
    return regions, [np.bincount(regions.ravel(), of.ravel()) / cells for of in values]


def _area(ring: np.ndarray) -> float:
    """Return the area inside a closed ring, positive if it runs counter-clockwise (x right, y up).

    The shoelace formula.
    """
    x, y = ring.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2)


def _sides(scene: Scene) -> list[_Side | None]:
    """Return both sides of the 180th meridian if a scene lies on both, else None for all of it."""
    from rasterio.warp import transform

    ground = scene.ground
    rows = np.array([0, ground.height])
    xs, ys = ground.transform @ np.stack([np.repeat([0, ground.width], 2), np.tile(rows, 2)])
    longitudes, latitudes = longitudes_latitudes(ground.crs, xs, ys)
    # Around a pole, where nothing is mapped that models know, there are no two sides.
    if np.ptp(longitudes) <= 180 or np.abs(latitudes).max() > _NEAREST_TO_A_POLE:
        return [None]
    latitudes = np.linspace(latitudes.max() + 1, latitudes.min() - 1, _POINTS_OF_THE_MERIDIAN)
    meridian = transform(
        LONGITUDE_LATITUDE, ground.crs, np.full_like(latitudes, 180).tolist(), latitudes.tolist()
    )
    columns, rows = ~ground.transform @ np.array(meridian)
    border = np.interp(np.arange(ground.height) + 0.5, rows, columns)
    is_west = np.arange(ground.width) + 0.5 < border[:, np.newaxis]
    return [_Side(is_west, 180), _Side(~is_west, -180)]


def _on_earth(
    scene: Scene, ring: np.ndarray, side: _Side | None, *, is_outer: bool
) -> list[list[float]]:
    """Return a ring of columns and rows as one of longitudes and latitudes."""
    corners = _with_points_between(ring)
    xs, ys = scene.ground.transform @ corners.T
    places = longitudes_latitudes(scene.ground.crs, xs, ys)
    if side is not None:  # The border runs along pixels, of which the meridian cuts some.
        places[0] = np.where(places[0] * side.meridian > 0, places[0], side.meridian)
    if (_area(places.T) > 0) != is_outer:
        places = places[:, ::-1]
    return np.round(places.T, _DECIMALS).tolist()


def _with_points_between(ring: np.ndarray) -> np.ndarray:
    """Divide long edges."""
    lengths = np.abs(np.diff(ring, axis=0)).max(axis=1)
    parts = np.maximum(1, np.ceil(lengths / _LONGEST_EDGE).astype(int))
    if (parts == 1).all():
        return ring
    edges = zip(ring[:-1], ring[1:], parts, strict=True)
    divided = [np.linspace(start, end, count, endpoint=False) for start, end, count in edges]
    return np.concatenate([*divided, ring[-1:]])
