"""The view-model of a scene: what is known of it and of its map. It knows nothing of Qt."""

import os
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from eurosat.classifier import Classifier
from eurosat.scenes.areas import Area, count_per_cell, measure_areas, pixels_per_cell
from eurosat.scenes.cells import NODATA, CellMap, MapClass, label_cells, map_classes
from eurosat.scenes.ground import longitudes_latitudes
from eurosat.scenes.land_map import MapStart, classify_scene
from eurosat.scenes.map_record import LandMap, MapSettings
from eurosat.scenes.product import scene_state
from eurosat.scenes.rasters import read_cells
from eurosat.scenes.scene import Scene
from eurosat.scenes.windows import BYTES, WINDOW, WindowGrid

from .pace import Pace

MOST_PREVIEWED: Final = 1024
"""So many windows are classified for a preview: it takes a second or two."""

_POINTS_ALONG_A_SIDE: Final = 33


class Stage(Enum):
    """How far a scene has come."""

    OPENING = auto()
    REFUSED = auto()
    READY = auto()
    PREVIEWING = auto()
    MAPPING = auto()
    WRITING = auto()
    STOPPED = auto()
    FINISHED = auto()


BUSY: Final = frozenset({Stage.OPENING, Stage.PREVIEWING, Stage.MAPPING, Stage.WRITING})


@dataclass(frozen=True, eq=False)
class SceneFacts:
    """What is known of an open scene. It needs no library of maps any more.

    Attributes:
        height: Rows of the grid on which it is mapped.
        width: Columns of it.
        pixel_name: The size of a pixel, as `Ground.pixel_name` says it.
        crs_name: Such as "EPSG:32630", or None.
        notes: What was decided about the scene, in sentences.
        warnings: What may make its map wrong, in sentences.
        corner: x and y of the upper left corner, in its coordinate system.
        steps: What a column adds to x, and a row to y.
        degrees: Longitudes and latitudes of a raster of points over the scene, float64 of shape
            [2, points down, points across], or None.
        file_state: Size in bytes and time of change, by which another file in its place is known.
    """

    height: int
    width: int
    pixel_name: str
    crs_name: str | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    corner: tuple[float, float]
    steps: tuple[float, float]
    degrees: np.ndarray | None
    file_state: tuple[int, int]

    def position(self, column: float, row: float) -> tuple[float, float]:
        """Return x and y of a place in the scene."""
        return self.corner[0] + column * self.steps[0], self.corner[1] + row * self.steps[1]

    def longitude_latitude(self, column: float, row: float) -> tuple[float, float] | None:
        """Return a place on WGS 84 in degrees, to less than a metre; None if nobody knows."""
        if self.degrees is None:
            return None
        last = _POINTS_ALONG_A_SIDE - 1
        down, across = row / self.height * last, column / self.width * last
        top, left = min(int(down), last - 1), min(int(across), last - 1)
        corners = self.degrees[:, top : top + 2, left : left + 2]
        weights = np.outer((1 - down + top, down - top), (1 - across + left, across - left))
        longitude, latitude = (corners * weights).sum(axis=(1, 2)).tolist()
        return (longitude + 180) % 360 - 180, latitude


def facts_of(scene: Scene) -> SceneFacts:
    """Gather what the window needs to know, so that it never has to ask slow libraries."""
    ground: Any = scene.ground  # Rasterio has no annotations.
    grid = ground.transform
    degrees = None
    if ground.crs is not None:
        steps: np.ndarray = np.linspace(0, 1, _POINTS_ALONG_A_SIDE)
        # Every ground is north up.
        xs: np.ndarray = grid.c + grid.a * ground.width * steps
        ys: np.ndarray = grid.f + grid.e * ground.height * steps
        count = len(steps)
        degrees = longitudes_latitudes(ground.crs, np.tile(xs, count), np.repeat(ys, count))
        degrees = degrees.reshape(2, count, count)
        # Beyond 180° they go on, for what lies between two points.
        degrees[0] = np.unwrap(np.unwrap(degrees[0], period=360, axis=0), period=360, axis=1)
    return SceneFacts(
        ground.height,
        ground.width,
        ground.pixel_name,
        ground.crs_name,
        scene.notes,
        scene.warnings,
        (grid.c, grid.f),
        (grid.a, grid.e),
        degrees,
        file_state(scene.path),
    )


def file_state(path: Path) -> tuple[int, int]:
    """Return what `scene_state` does; zeros if the scene is gone."""
    try:
        return scene_state(path)
    except OSError:
        return 0, 0


@dataclass(frozen=True, eq=False)
class MapSoFar:
    """A map, or as much of it as there is.

    Attributes:
        cells: The cells; `NODATA` is the label of those that have none, or none yet.
        areas: What each class covers, "unsure" last; for a finished map "nodata" after it.
    """

    cells: CellMap
    areas: tuple[Area, ...]


@dataclass(frozen=True)
class ReadOut:
    """What lies under the mouse.

    Attributes:
        column: The pixel's column.
        row: The pixel's row.
        x: Its place in the coordinate system of the scene.
        y: Its place in the coordinate system of the scene.
        degrees: Longitude and latitude, or None.
        entry: The class of the cell, or None.
        confidence: Its probability, 0 to 1.
    """

    column: int
    row: int
    x: float
    y: float
    degrees: tuple[float, float] | None
    entry: MapClass | None
    confidence: float


@dataclass
class SceneWork:
    """A scene and its map.

    Attributes:
        path: The file.
        maps: The folder in which its map gets a folder.
        settings: What the user chose.
        stage: How far it has come.
        facts: What is known of it, once it is open.
        refusal: Why it cannot be opened.
        seconds_each: How long a window takes here, by stride, once it has been measured.
        well_timed: The strides for which nothing else was under way meanwhile.
        so_far: The map as far as there is one.
        is_preview: Whether that is a preview.
        finished: The finished map.
        windows_done: How many windows of a run have been classified.
        pace: How fast they are.
        steps_written: The share of the files that is written, in steps done and of all; zeros
            as long as nobody knows.
        hidden: The numbers of the classes that are not shown.
    """

    path: Path
    maps: Path
    settings: MapSettings = field(default_factory=MapSettings)
    stage: Stage = Stage.OPENING
    facts: SceneFacts | None = None
    refusal: str = ""
    seconds_each: dict[int, float] = field(default_factory=dict[int, float])
    well_timed: set[int] = field(default_factory=set[int])
    so_far: MapSoFar | None = None
    is_preview: bool = False
    finished: LandMap | None = None
    windows_done: int = 0
    pace: Pace | None = None
    steps_written: tuple[int, int] = (0, 0)
    hidden: set[int] = field(default_factory=set[int])

    @property
    def is_busy(self) -> bool:
        """Whether something is under way for it."""
        return self.stage in BUSY

    @property
    def grid(self) -> WindowGrid | None:
        """How windows and cells lie, once the scene is open."""
        facts = self.facts
        return WindowGrid(facts.height, facts.width, self.settings.stride) if facts else None

    @property
    def window_count(self) -> int:
        """Number of all windows, once the scene is open; 0 before."""
        return self.grid.window_count if self.grid else 0

    @property
    def seconds_expected(self) -> float | None:
        """About how long all windows take, or None as long as nobody knows."""
        each = self.seconds_each.get(self.settings.stride)
        if self.facts is None or each is None:
            return None
        return self.window_count * each

    @property
    def seconds_left(self) -> float | None:
        """About how long a run still takes, or None as long as nobody knows."""
        each = self.pace.seconds_each if self.pace else None
        if self.facts is None or each is None:
            return None
        return each * (self.window_count - self.windows_done)

    def begin(self, stage: Stage) -> None:
        """Begin something whose result takes the place of the map that is shown."""
        self.stage = stage
        self.so_far = None
        self.is_preview = False
        self.finished = None
        self.windows_done = 0
        self.pace = None
        self.steps_written = 0, 0

    def read_out(self, column: float, row: float) -> ReadOut | None:
        """Tell what lies at a place, or None outside of the scene."""
        facts = self.facts
        if facts is None or not (0 <= column < facts.width and 0 <= row < facts.height):
            return None
        entry, confidence = None, 0.0
        if self.so_far is not None:
            cells = self.so_far.cells
            place = int(row) // cells.grid.stride, int(column) // cells.grid.stride
            label = int(cells.labels[place])
            if label != NODATA:
                entry, confidence = cells.classes[label], float(cells.confidence[place])
        x, y = facts.position(column, row)
        degrees = facts.longitude_latitude(column, row)
        return ReadOut(int(column), int(row), x, y, degrees, entry, confidence)


def usual_maps_folder(scene: Path, otherwise: Path) -> Path:
    """Return where maps go if the user names no place: `maps` beside the scene, if it may."""
    return (scene.parent if os.access(scene.parent, os.W_OK) else otherwise) / "maps"


class GrowingMap:
    """The cells of a map while its windows are classified."""

    def __init__(self, start: MapStart, classifier: Classifier, settings: MapSettings) -> None:
        """Begin with none.

        Args:
            start: What is known of the run.
            classifier: The model.
            settings: What the user chose.
        """
        self._start = start
        self._names = classifier.class_names
        self._unsure_below = settings.threshold_of(classifier)
        self._rows = 0  # Of cells that are labelled.
        self._cells = _empty_cells(start.grid, self._names)

    def take(self, windows_done: int) -> MapSoFar:
        """Label the cells that are covered by finished windows only.

        A row of windows finishes the row of cells at its upper edge; the last one finishes all.
        """
        grid, labelled = self._start.grid, self._rows
        down, across = grid.windows
        rows = windows_done // across
        end = grid.cells[0] if rows == down else rows
        if end > labelled:
            first = max(0, labelled - WINDOW // grid.stride + 1)
            shape = (rows - first, across, len(self._names))
            skipped = first * across * len(self._names) * BYTES
            found = np.fromfile(self._start.answers, np.float32, prod(shape), offset=skipped)
            self._cells = _with_labels(
                self._cells,
                found.reshape(shape),
                (first, 0),
                (slice(labelled, end), slice(0, grid.cells[1])),
                self._names,
                self._unsure_below,
            )
            self._rows = end
        return MapSoFar(self._cells, self._areas())

    def _areas(self) -> tuple[Area, ...]:
        """Measure as if every cell were full of data: to read where it is takes too long."""
        with_data = pixels_per_cell(self._start.grid) * (self._cells.labels != NODATA)
        return measure_areas(self._start.scene, self._cells, with_data)[:-1]


def preview_map(
    scene: Scene,
    classifier: Classifier,
    settings: MapSettings,
    window: tuple[int, int, int, int],
    answers: Path,
) -> MapSoFar:
    """Map a small part of a scene, with the same labels and areas as in the whole map.

    Args:
        scene: The scene.
        classifier: The model.
        settings: What the user chose.
        window: The part: its first row of cells, the one after the last, and likewise columns.
        answers: A file for what the model says, not yet there.

    Raises:
        SceneError: The file is damaged.
        ModelFileError: The model fails.
        OSError: The answers cannot be written.
    """
    stride = settings.stride
    grid = WindowGrid(scene.ground.height, scene.ground.width, stride)
    top, bottom, left, right = window
    reach = WINDOW // stride
    # All windows that cover these cells, and the pixels in them.
    first = max(0, top - reach + 1), max(0, left - reach + 1)
    rows, columns = (
        (start * stride, min((end - 1) * stride + WINDOW, side))
        for start, end, side in zip(first, (bottom, right), (grid.height, grid.width), strict=True)
    )
    part = scene.part(rows, columns)
    found = classify_scene(part, classifier, settings, answers)
    cells = _with_labels(
        _empty_cells(grid, classifier.class_names),
        found,
        first,
        (slice(top, bottom), slice(left, right)),
        classifier.class_names,
        settings.threshold_of(classifier),
    )
    _, has_data = scene.read_window(
        (top * stride, min(bottom * stride, grid.height)),
        (left * stride, min(right * stride, grid.width)),
    )
    with_data = np.zeros(grid.cells, np.int64)
    with_data[top:bottom, left:right] = count_per_cell(has_data, stride)
    # What has data, but too little for a window to be classified, is unsure.
    labels = np.where(cells.labels == NODATA, cells.classes[-1].id, cells.labels)
    labels = np.where(with_data > 0, labels, NODATA).astype(np.uint8)
    cells = replace(cells, labels=labels)
    return MapSoFar(cells, measure_areas(scene, cells, with_data)[:-1])


def preview_window(
    grid: WindowGrid, seen: tuple[float, float, float, float]
) -> tuple[int, int, int, int]:
    """Choose what a preview maps: what is seen, or its middle if that is too much.

    Args:
        grid: The cells.
        seen: Top, bottom, left and right of what is on screen, in pixels of the scene.

    Returns:
        The first row of cells and the one after the last, and likewise columns.
    """
    spans: list[tuple[int, int]] = []
    for (low, high), count in zip((seen[:2], seen[2:]), grid.cells, strict=True):
        start = min(max(0, int(low // grid.stride)), count - 1)
        spans.append((start, max(start + 1, min(count, -int(-high // grid.stride)))))
    sides = [end - start for start, end in spans]
    if sides[0] * sides[1] > MOST_PREVIEWED:
        sides = [min(side, int(MOST_PREVIEWED**0.5)) for side in sides]
    (top, bottom), (left, right) = (
        ((start + end - side) // 2, (start + end - side) // 2 + side)
        for (start, end), side in zip(spans, sides, strict=True)
    )
    return top, bottom, left, right


def finished_map(classifier: Classifier, settings: MapSettings, made: LandMap) -> MapSoFar:
    """Return a finished map as it stands in its files.

    Raises:
        SceneError: They are damaged.
    """
    grid, labels, confidence = read_cells(made.folder, settings.stride)
    classes = _empty_cells(grid, classifier.class_names).classes
    return MapSoFar(CellMap(grid, classes, labels, confidence), made.areas)


def _empty_cells(grid: WindowGrid, class_names: tuple[str, ...]) -> CellMap:
    labels = np.full(grid.cells, NODATA, np.uint8)
    return CellMap(grid, map_classes(class_names), labels, np.zeros(grid.cells, np.float32))


def _with_labels(
    cells: CellMap,
    probabilities: np.ndarray,
    first: tuple[int, int],
    where: tuple[slice, slice],
    class_names: tuple[str, ...],
    unsure_below: float | None,
) -> CellMap:
    """Return the cells with labels for some more of them.

    Args:
        cells: The cells so far.
        probabilities: What the model says of the windows that cover the new cells.
        first: The row and column of the first of these windows.
        where: The new cells.
        class_names: The names of the classes.
        unsure_below: The confidence below which a window is unsure.
    """
    stride = cells.grid.stride
    (down, across) = (slice(w.start - f, w.stop - f) for w, f in zip(where, first, strict=True))
    part = WindowGrid(down.stop * stride, across.stop * stride, stride)
    new = label_cells(probabilities, part, class_names, unsure_below)
    labels, confidence = cells.labels.copy(), cells.confidence.copy()
    confidence[where] = new.confidence[down, across]
    # The model was asked nothing about what has no data.
    labels[where] = np.where(confidence[where] > 0, new.labels[down, across], NODATA)
    return CellMap(cells.grid, cells.classes, labels, confidence)
