"""Where the pixels of a scene lie on the ground, and the grid on which it is mapped.

Maps are made on grids whose pixels are squares of about 10 m: the scene's own, if it is one, else
one in UTM that the scene is resampled to.
"""

import re
from dataclasses import dataclass
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eurosat.dataset import GROUND_RESOLUTION_M, TILE_SIZE
from eurosat.errors import SceneError, printable

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.io import DatasetReader

_MOST_TIMES_FINER: Final = 100
"""A scene whose pixels are a kilometre wide becomes ten thousand times as many, and shows no land
cover that a tile would."""

_COARSE: Final = 25.0
"""Pixels of more metres are warned of. The 20 m of some of Sentinel-2's bands are not."""

_TAKEN_AS_IT_IS: Final = (8.0, 12.0)
"""The pixel sizes, in metres, at which a scene is not resampled."""

_STRETCH: Final = 0.005
"""By how much the projection of a scene's own grid may lengthen or shorten a metre on the ground,
so that areas are right to a hundredth at the worst; UTM stays within a thousandth in its zone."""

_LARGEST_TURN: Final = 20.0
"""How many degrees north may lie off the columns of a grid. Where a projection is at home, it is a
few; around the poles, it may be any."""

_POINTS_ON_AN_EDGE: Final = 33

_MEASURED_ROWS: Final = 33
"""Of pixels, and as many columns: what lies between is interpolated. For a scene of 100 km that is
right to a ten-millionth."""

_MEASURED_SIDE: Final = 100
"""Of the squares of pixels whose area is measured there."""

_ROUNDING: Final = 1e-6

# WGS 84.
_EQUATOR_RADIUS_M: Final = 6_378_137.0
_ECCENTRICITY_SQUARED: Final = 0.00669437999014

_PRIME_MERIDIAN: Final = re.compile(
    r'PRIMEM\["[^"]*",(?P<longitude>[^],]+)(?:,AUTHORITY\[[^]]*\])?\]'
)
"""In the text (WKT) of a coordinate system."""

LONGITUDE_LATITUDE: Final = "EPSG:4326"


@dataclass(frozen=True)
class Ground:
    """The grid of a map.

    Attributes:
        height: Number of rows.
        width: Number of columns.
        crs: The coordinate system, or None if the scene has none.
        transform: From column and row to coordinates, north up; without a coordinate system from
            pixels to metres.
        is_resampled: Whether the scene has to be warped onto this grid.
        note: What was decided, as a sentence.
    """

    height: int
    width: int
    crs: "CRS | None"
    transform: "Affine"
    is_resampled: bool
    note: str

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Height and width of a pixel, in metres."""
        return abs(self.transform.e), abs(self.transform.a)

    @property
    def crs_name(self) -> str | None:
        """Such as "EPSG:32630"; None without a coordinate system."""
        return None if self.crs is None else _crs_name(self.crs)

    @property
    def pixel_name(self) -> str:
        """The size of a pixel for people, such as "10 m" or "10 m assumed"."""
        height, width = self.pixel_size
        size = f"{width:g} m" if abs(height - width) < 1e-6 else f"{width:g} m × {height:g} m"
        return size if self.crs is not None else f"{size} assumed"


def find_ground(dataset: "DatasetReader", name: str) -> Ground:
    """Choose the grid on which a scene is mapped.

    Args:
        dataset: The scene.
        name: How messages name it.

    Raises:
        SceneError: The place of the scene cannot be computed.
    """
    from affine import Affine

    control_points, control_crs = dataset.gcps
    has_grid = _has_grid(dataset)
    if not has_grid and not (control_points and control_crs):
        missing = "coordinate system" if dataset.crs is None else "place in its coordinate system"
        return Ground(
            dataset.height,
            dataset.width,
            None,
            Affine.scale(GROUND_RESOLUTION_M, -GROUND_RESOLUTION_M),
            False,
            f"No {missing}, so 10 m to a pixel are assumed; areas are right only if that is so.",
        )
    try:
        if has_grid:
            reason = _reason_to_resample(dataset)
            if reason is None:
                note = f"Mapped on its own grid in {_crs_name(dataset.crs)}."
                return Ground(
                    dataset.height, dataset.width, dataset.crs, dataset.transform, False, note
                )
        else:
            reason = "it is placed by control points"
            if (distance := _beside_the_grid(dataset)) > GROUND_RESOLUTION_M:
                reason += f", which lie up to {distance:,.0f} m beside a straight grid"
        ground = _utm_ground(dataset, reason)
    except Exception as error:  # GDAL's own errors, for which rasterio has no public type.
        raise no_place(name) from error
    side = _pixel_side(dataset)
    if side > _MOST_TIMES_FINER * GROUND_RESOLUTION_M:
        raise SceneError(
            f"{name} has pixels of about {side / 1000:,.1f} km, which show nothing of what the"
            " models know: name a scene of about 10 m."
        )
    if ground.height * ground.width > _MOST_TIMES_FINER**2 * dataset.height * dataset.width:
        raise SceneError(
            f"{name} reaches too far around the Earth for one map of 10 m: cut it into parts."
        )
    return ground


def warnings_of_ground(dataset: "DatasetReader", ground: Ground) -> list[str]:
    """Warn of pixels and scenes of sizes that models do not know.

    Args:
        dataset: The scene.
        ground: What `find_ground` returned for it.

    Returns:
        Sentences.
    """
    found = []
    side = _pixel_side(dataset) if ground.is_resampled else 0
    if side > _COARSE:
        found.append(
            f"Its pixels measure about {side:,.0f} m, and those of the training"
            f" {GROUND_RESOLUTION_M:g} m, so that answers are less reliable than the model's"
            " figures say."
        )
    shown = min(ground.height, TILE_SIZE) * min(ground.width, TILE_SIZE)
    if shown < TILE_SIZE**2 / 2:
        found.append(
            f"It shows less than half of a tile of {TILE_SIZE} × {TILE_SIZE} pixels, and the"
            " models see its mirror image in the rest, so that answers are guesses."
        )
    return found


def areas_of_pixels(ground: Ground, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return how much ground pixels show.

    On the scene's own grid, each pixel counts as what its sides say, as it does in other programs.
    On a grid that the scene was resampled to, the area is that on the WGS 84 ellipsoid, which
    Lambert's azimuthal projection keeps (Snyder 1987, Map Projections: A Working Manual, p. 187).

    Args:
        ground: The grid.
        rows: float64 of shape [n]: where pixels lie, in pixels from the upper rim.
        columns: float64 of shape [m]: likewise from the left rim.

    Returns:
        float64 of shape [n, m], in m².
    """
    if not ground.is_resampled:
        height, width = ground.pixel_size
        return np.full((len(rows), len(columns)), height * width)
    from rasterio.crs import CRS
    from rasterio.warp import transform

    middle = ground.transform @ (ground.width / 2, ground.height / 2)
    (longitude,), (latitude,) = longitudes_latitudes(ground.crs, *np.reshape(middle, (2, 1)))
    equal_area = CRS.from_dict(proj="laea", lat_0=latitude, lon_0=longitude, datum="WGS84")
    few_rows, few_columns = (
        np.linspace(0, side, _MEASURED_ROWS) for side in (ground.height, ground.width)
    )
    # Steps of one pixel would be too short for the digits of this projection near a pole.
    half = _MEASURED_SIDE / 2
    steps = np.array([(0, -half), (0, half), (-half, 0), (half, 0)])[:, np.newaxis]
    places = steps + np.stack(np.meshgrid(few_columns, few_rows), axis=-1).reshape(-1, 2)
    grid: Any = ground.transform
    xs, ys = grid @ places.reshape(-1, 2).T
    above, below, left, right = np.moveaxis(
        np.reshape(transform(ground.crs, equal_area, xs.tolist(), ys.tolist()), (2, 4, -1)), 1, 0
    )
    (down_x, down_y), (right_x, right_y) = below - above, right - left
    areas = np.abs(down_x * right_y - down_y * right_x) / _MEASURED_SIDE**2
    return (
        _shares_of_neighbours(rows, few_rows)
        @ areas.reshape(_MEASURED_ROWS, _MEASURED_ROWS)
        @ _shares_of_neighbours(columns, few_columns).T
    )


def _shares_of_neighbours(places: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return by how much each known place counts in a linear interpolation: shape [n, known]."""
    distances = np.abs(places[:, np.newaxis] - known) / (known[1] - known[0])
    return np.maximum(0, 1 - distances)


def _has_grid(dataset: "DatasetReader") -> bool:
    """Tell whether a file says where its pixels lie in a coordinate system.

    A grid that is not stated is read as one of pixels of 1 m, or degree, that begins at (0, 0).
    """
    return dataset.crs is not None and not dataset.transform.is_identity


def _crs_name(crs: "CRS") -> str:
    """Return the code of a coordinate system, such as "EPSG:32630", or else its own name."""
    text = crs.to_string()
    named = re.match(r'[A-Z_]+\["([^"]*)"', text)
    if named is None:
        return text
    return "a system without a name" if named[1] in {"", "unknown"} else printable(named[1])


def crs_and_grid(dataset: "DatasetReader") -> "tuple[CRS, Affine]":
    """Return the coordinate system of a scene, and from column and row to its coordinates.

    Control points become the grid that fits them best. Longitudes of a scene that reaches beyond
    180° east or west count from its middle, so that each of its places has one name only.

    Args:
        dataset: The scene, which has a coordinate system or control points.
    """
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.transform import from_gcps

    control_points, control_crs = dataset.gcps
    if not _has_grid(dataset):
        crs, grid = control_crs, from_gcps(control_points)
    else:
        crs, grid = dataset.crs, dataset.transform
    if not crs.is_geographic:
        return crs, grid
    xs, _ = grid @ _border(dataset.height, dataset.width)
    if xs.min() >= -180 and xs.max() <= 180:
        return crs, grid
    middle = (xs.min() + xs.max()) / 2

    def moved(meridian: re.Match[str]) -> str:
        longitude = (float(meridian["longitude"]) + middle + 180) % 360 - 180
        return f'PRIMEM["middle of the scene",{longitude}]'

    return CRS.from_wkt(_PRIME_MERIDIAN.sub(moved, crs.wkt)), Affine.translation(-middle, 0) @ grid


def no_place(name: str) -> SceneError:
    """Return the refusal of a scene that lies nowhere on Earth."""
    return SceneError(
        f"{name} has a coordinate system whose place on Earth cannot be computed: give it another"
        " one, or none."
    )


def longitudes_latitudes(crs: Any, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Return longitudes and latitudes of points on WGS 84, in degrees: shape [2, n]."""
    from rasterio.warp import transform

    return np.array(transform(crs, LONGITUDE_LATITUDE, xs.tolist(), ys.tolist()))


def _reason_to_resample(dataset: "DatasetReader") -> str | None:
    """Return why a scene with a coordinate system cannot be mapped on its own grid, or None."""
    grid, crs = dataset.transform, dataset.crs
    if crs.is_geographic:
        return "its pixels are degrees"
    middle_and_corners = np.array([(0.5, 0.5), (0, 0), (0, 1), (1, 0), (1, 1)])
    places = middle_and_corners * np.array([dataset.width, dataset.height])
    down, right = _steps_on_earth(crs, grid, places)
    lengths = np.hypot(*down), np.hypot(*right)
    low, high = _TAKEN_AS_IT_IS
    if not all(low <= length[0] <= high for length in lengths):
        return f"its pixels measure {lengths[1][0]:.3g} m × {lengths[0][0]:.3g} m"
    if grid.b or grid.d or grid.a < 0 or grid.e > 0:
        return "its grid is not north up"
    stretch = np.abs(np.array(lengths) / [[-grid.e], [grid.a]] - 1)
    if not (stretch <= _STRETCH).all():
        return "its map projection stretches the ground"
    if abs(degrees_to_north(crs, grid, dataset.height, dataset.width)) > _LARGEST_TURN:
        return "north is not up on its grid"
    return None


def degrees_to_north(crs: Any, transform: "Affine", height: int, width: int) -> float:
    """Return how far north lies clockwise of up, in the middle of a grid: -180 to 180 degrees."""
    down, _ = _steps_on_earth(crs, transform, np.array([(width / 2, height / 2)]))
    east, north = -down[:, 0]
    return float(np.degrees(np.arctan2(-east, north)))


def _pixel_side(dataset: "DatasetReader") -> float:
    """Return how long the side of a pixel is on the ground, in metres, if it were a square."""
    middle = np.array([(dataset.width / 2, dataset.height / 2)])
    steps = _steps_on_earth(*crs_and_grid(dataset), middle)
    return sqrt(prod(float(np.hypot(*step)[0]) for step in steps))


def _steps_on_earth(crs: Any, grid: Any, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how far a step down, and one to the right, leads to the east and to the north.

    Args:
        crs: The coordinate system.
        grid: From columns and rows to its coordinates.
        places: Columns and rows where steps begin, of shape [n, 2].

    Returns:
        Two arrays in metres, each of shape [2, n].
    """
    steps = np.array([(0, 0), (0, 1), (1, 0)])
    ends = steps[:, np.newaxis] + places
    xs, ys = grid @ ends.reshape(-1, 2).T
    longitudes, latitudes = longitudes_latitudes(crs, xs, ys).reshape(2, 3, -1)
    # The radii of the ellipsoid along the meridian and across it.
    bend = 1 - _ECCENTRICITY_SQUARED * np.sin(np.radians(latitudes[0])) ** 2
    along = _EQUATOR_RADIUS_M * (1 - _ECCENTRICITY_SQUARED) / bend**1.5
    across = _EQUATOR_RADIUS_M / bend**0.5 * np.cos(np.radians(latitudes[0]))
    east = across * np.radians((longitudes[1:] - longitudes[0] + 180) % 360 - 180)
    north = along * np.radians(latitudes[1:] - latitudes[0])
    down, right = np.stack([east, north], axis=1)
    return down, right


def _beside_the_grid(dataset: "DatasetReader") -> float:
    """Return how far control points lie beside the grid that fits them best, in metres."""
    crs, grid = crs_and_grid(dataset)
    points, point_crs = dataset.gcps
    columns, rows, given_xs, given_ys = np.array([(p.col, p.row, p.x, p.y) for p in points]).T
    longitudes, latitudes = longitudes_latitudes(crs, *(grid @ np.stack([columns, rows])))
    given_longitudes, given_latitudes = longitudes_latitudes(point_crs, given_xs, given_ys)
    east = (given_longitudes - longitudes + 180) % 360 - 180
    degrees = np.hypot(east * np.cos(np.radians(latitudes)), given_latitudes - latitudes)
    return float(np.radians(degrees.max()) * _EQUATOR_RADIUS_M)


def _utm_ground(dataset: "DatasetReader", reason: str) -> Ground:
    """Return a grid of 10 m in UTM that covers a scene; its lines are multiples of 10 m."""
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.warp import transform

    crs, grid = crs_and_grid(dataset)
    middle = grid @ (dataset.width / 2, dataset.height / 2)
    (longitude,), (latitude,) = longitudes_latitudes(crs, *np.reshape(middle, (2, 1)))
    utm = CRS.from_epsg(utm_code(longitude, latitude))
    xs, ys = grid @ _border(dataset.height, dataset.width)
    lines = np.array(transform(crs, utm, xs.tolist(), ys.tolist())) / GROUND_RESOLUTION_M
    if not np.isfinite(lines).all():
        raise ValueError("a corner of the scene lies nowhere in this UTM zone")
    left, bottom = np.floor(lines.min(axis=1) + _ROUNDING).astype(int)
    right, top = np.ceil(lines.max(axis=1) - _ROUNDING).astype(int)
    note = f"Resampled to 10 m in {utm.to_string()}, as {reason}. Areas are those on the ellipsoid."
    pixel = Affine.scale(GROUND_RESOLUTION_M, -GROUND_RESOLUTION_M)
    place = pixel @ Affine.translation(int(left), -int(top))
    return Ground(int(top - bottom), int(right - left), utm, place, True, note)


def _border(height: int, width: int) -> np.ndarray:
    """Return columns and rows of points all around a scene, close enough for curved edges."""
    steps = np.linspace(0, 1, _POINTS_ON_AN_EDGE)
    columns = np.concatenate([steps, steps, np.zeros_like(steps), np.ones_like(steps)]) * width
    rows = np.concatenate([np.zeros_like(steps), np.ones_like(steps), steps, steps]) * height
    return np.stack([columns, rows])


def utm_code(longitude: float, latitude: float) -> int:
    """Return the EPSG code of the UTM zone of a place, or of UPS beyond 84° north or 80° south."""
    if latitude > 84:
        return 32661
    if latitude < -80:
        return 32761
    zone = int((longitude + 180) // 6) % 60 + 1
    return (32600 if latitude >= 0 else 32700) + zone
