"""From a scene to a folder with its land-cover map: the main path of `eurosat-map`."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

from eurosat.atomic import remove_left_over, write_bytes, write_text
from eurosat.classifier import Classifier
from eurosat.errors import EurosatError, MissingPackageError, ModelFileError, printable
from eurosat.folder_lock import only_process_in
from eurosat.progress import Progress
from eurosat.scenes.areas import AREAS_FILE, Area, measure_areas, write_areas
from eurosat.scenes.cells import CellMap, label_cells, map_classes
from eurosat.scenes.dense import DenseClassifier
from eurosat.scenes.map_record import (
    ANSWERS_FILE,
    PICTURE_FILE,
    PLAN_FILE,
    RECORD_FILE,
    UNFINISHED_FOLDER,
    LandMap,
    MapSettings,
    finished_map,
    make_plan,
    remove_map,
    remove_outdated,
    remove_work,
    work_folder,
)
from eurosat.scenes.picture import draw_map
from eurosat.scenes.polygons import POLYGONS_FILE, write_polygons
from eurosat.scenes.product import scene_state
from eurosat.scenes.rasters import CLASSES_FILE, RASTER_BLOCK, write_rasters
from eurosat.scenes.report import REPORT_FILE, write_report
from eurosat.scenes.scene import Scene, open_scene
from eurosat.scenes.windows import (
    STRIP,
    WINDOW,
    Rows,
    WindowGrid,
    classify_windows,
    windows_done,
)
from eurosat.scenes.workers import SceneJob, Workers
from eurosat.versions import program_version

_TIMED_TILES_PER_THREAD: Final = 8

_STEPS_AFTER_THE_RASTERS: Final = 3
"""Overviews and areas, polygons, picture and report."""


@dataclass(frozen=True)
class MapStart:
    """What is known before the work begins.

    Attributes:
        scene: The open scene.
        grid: Its windows and cells.
        windows_done: How many windows an earlier run classified.
        seconds: About how long the rest of them takes here; reading and writing come on top.
        answers: The file to which `classify_windows` adds rows while `progress` is called.
    """

    scene: Scene
    grid: WindowGrid
    windows_done: int
    seconds: float
    answers: Path


def map_scene(
    path: Path,
    folder: Path,
    classifier: Classifier,
    settings: MapSettings,
    *,
    started: Callable[[MapStart], None] = lambda start: None,
    progress: Progress = lambda done, total: None,
    writing: Progress = lambda done, total: None,
    workers: Workers | None = None,
) -> LandMap:
    """Map a scene, or go on with a map that was stopped, or find that it is finished.

    Args:
        path: The scene.
        folder: Where its map goes; made if need be.
        classifier: The model.
        settings: What the user chose.
        started: Called once before the work begins.
        progress: Called with the number of windows done and of all.
        writing: Called with the share of the files that is written, in steps done and of all.
        workers: Other processes that classify; this one does it without them.

    Returns:
        What the map shows.

    Raises:
        SceneError: The scene cannot be read.
        ModelFileError: The model fails or has too many classes.
        EurosatError: A file cannot be written, or another run maps into the folder.
    """
    map_classes(classifier.class_names)  # Too many are refused before the work begins.
    try:
        str(folder).encode()
    except UnicodeError as error:
        raise EurosatError(
            f"{folder} has a name that is not UTF-8, which GDAL does not take: choose"
            " another folder."
        ) from error
    with open_scene(
        path, bands=settings.bands, kind=settings.kind, offset=settings.offset
    ) as scene:
        plan = make_plan(scene.path, classifier, settings)
        try:
            finished = finished_map(folder, plan)
            if finished:
                return finished
            refusal = (
                f"Another run is mapping into {folder}: wait until it has ended, or "
                "choose another folder."
            )
            with only_process_in(folder / UNFINISHED_FOLDER, refusal):
                return _make(
                    scene, folder, classifier, settings, plan, started, progress, writing, workers
                )
        except OSError as error:
            reason = error.strerror or "the disk may be full"
            raise EurosatError(
                f"{folder} cannot be written to ({reason}): choose another folder."
            ) from error


def _make(
    scene: Scene,
    folder: Path,
    classifier: Classifier,
    settings: MapSettings,
    plan: dict[str, Any],
    started: Callable[[MapStart], None],
    progress: Progress,
    writing: Progress,
    workers: Workers | None,
) -> LandMap:
    """Classify the windows, label the cells and write all files; the record comes last."""
    remove_outdated(folder, plan)
    work = work_folder(folder, plan)
    write_text(work / PLAN_FILE, json.dumps(plan, indent=2))
    answers = work / ANSWERS_FILE
    grid = WindowGrid(scene.ground.height, scene.ground.width, settings.stride)
    done = windows_done(answers, grid, len(classifier.class_names))
    seconds = seconds_per_window(classifier, grid) * (grid.window_count - done)
    if workers:
        seconds *= classifier.threads / workers.threads
    started(MapStart(scene, grid, done, seconds, answers))
    probabilities = classify_scene(scene, classifier, settings, answers, progress, workers)
    cells = label_cells(probabilities, grid, classifier.class_names, plan["unsure_below"])
    del probabilities

    remove_left_over(folder)
    remove_map(folder)  # Whoever is stopped from here on leaves no files of two maps.
    software = f"EuroSAT Edge {program_version()}"
    tags = {"MODEL": plan["model"], "STRIDE": str(grid.stride), "SOFTWARE": software}
    blocks = -(-scene.ground.height // RASTER_BLOCK)
    steps = blocks + _STEPS_AFTER_THE_RASTERS
    with_data = write_rasters(
        folder, work, scene, cells, tags, lambda rows, _: writing(rows // RASTER_BLOCK, steps)
    )
    writing(blocks + 1, steps)
    areas = measure_areas(scene, cells, with_data)
    write_areas(folder / AREAS_FILE, scene, areas)
    notes = list(scene.notes)
    if scene.ground.crs is None:
        notes.append(f"No {POLYGONS_FILE}, as the scene does not say where it lies.")
    else:
        write_polygons(folder / POLYGONS_FILE, scene, cells, folder / CLASSES_FILE)
    writing(blocks + 2, steps)
    _write_pages(folder, scene, cells, areas, plan, tuple(notes))
    writing(steps, steps)
    record = plan | {
        "pixel_size": scene.ground.pixel_name,
        "crs": scene.ground.crs_name,
        "notes": notes,
        "warnings": scene.warnings,
        "areas": [asdict(area) for area in areas],
    }
    write_text(folder / RECORD_FILE, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    remove_work(work)
    return LandMap(folder, areas, scene.ground.pixel_name)


def classify_scene(
    scene: Scene,
    classifier: Classifier,
    settings: MapSettings,
    answers: Path,
    progress: Progress = lambda done, total: None,
    workers: Workers | None = None,
) -> np.ndarray:
    """Ask about all windows of a scene in the fastest way there is.

    Args:
        scene: The scene.
        classifier: The model.
        settings: What the user chose.
        answers: The file for the answers; those of an earlier run are gone on with.
        progress: Called with the number of windows done and of all.
        workers: Other processes that classify.

    Returns:
        What `classify_windows` does.

    Raises:
        SceneError: The scene is damaged.
        ModelFileError: The model fails.
        OSError: The answers cannot be written.
    """
    grid = WindowGrid(scene.ground.height, scene.ground.width, settings.stride)
    dense = dense_classifier(classifier, grid)
    answer_strips, rows_at_once = None, 1
    if dense:
        answer_strips = partial(dense.answer_strips, Rows.of(scene))
        rows_at_once = dense.rows_at_once
    if workers:
        job = _job(scene, classifier, settings, grid, is_dense=dense is not None)
        answer_strips = partial(workers.answer, job)
        rows_at_once = dense.rows_at_once if dense else STRIP // grid.stride
    return classify_windows(
        scene,
        classifier,
        grid,
        answers,
        progress,
        answer_strips=answer_strips,
        rows_at_once=rows_at_once,
    )


def _write_pages(
    folder: Path,
    scene: Scene,
    cells: CellMap,
    areas: tuple[Area, ...],
    plan: dict[str, Any],
    notes: tuple[str, ...],
) -> None:
    """Write the picture and the report."""
    title = f"Land cover of {printable(scene.path.name)}"
    height, width = (round(side * WINDOW, 1) for side in scene.ground.pixel_size)
    seen = f"The model sees windows of {width:g} m by {height:g} m"
    if cells.grid.stride == WINDOW:
        labels = f"{seen}; each is one cell with one label."
    else:
        share = cells.grid.stride / WINDOW
        labels = (
            f"{seen}; a cell of {width * share:g} m by {height * share:g} m gets the mean of all"
            " windows that cover it; the surer a window is, and the nearer the cell to its middle,"
            " the more it counts."
        )
    unsure_below = plan["unsure_below"]
    if not unsure_below:
        unsure = "Unsure is a cell that shows too little for an answer."
    elif cells.grid.stride == WINDOW:
        unsure = f"Unsure is a cell whose most probable class has less than {unsure_below:.1%}."
    else:
        unsure = (
            "Unsure is a cell of whose windows, counted so, fewer than half give its class at least"
            f" {unsure_below:.1%}."
        )
    footer = (f"{plan['model']}. {labels} {unsure}", *scene.warnings)
    stream = BytesIO()
    draw_map(scene, cells, areas, title, footer).save(stream, "PNG")
    picture = stream.getvalue()
    write_bytes(folder / PICTURE_FILE, picture)
    facts = {
        "Scene": printable(scene.path),
        "Model": f"{plan['model']}, SHA-256 {plan['model_sha256']}",
        "Grid": f"{scene.ground.width:,} × {scene.ground.height:,} pixels of"
        f" {scene.ground.pixel_name}, {scene.ground.crs_name or 'no coordinate system'}",
        "Windows": f"{cells.grid.window_count:,}, every {cells.grid.stride} pixels",
        "Program": f"EuroSAT Edge {program_version()}",
    }
    write_report(
        folder / REPORT_FILE,
        title,
        picture,
        areas,
        scene.ground.pixel_name,
        facts,
        (*notes, labels, unsure, "Confidence is relative to the classes that the model knows."),
        scene.warnings,
    )


def dense_classifier(classifier: Classifier, grid: WindowGrid) -> DenseClassifier | None:
    """Return the scene twin of the model, if it has one."""
    if grid.stride == WINDOW:
        return None  # No window shares a pixel with another.
    try:
        return DenseClassifier(classifier, grid)
    except (ModelFileError, MissingPackageError):
        return None


def _job(
    scene: Scene, classifier: Classifier, settings: MapSettings, grid: WindowGrid, *, is_dense: bool
) -> SceneJob:
    """Say what workers must know."""
    return SceneJob(
        scene=str(scene.path.absolute()),
        scene_bytes=scene_state(scene.path)[0],
        bands=settings.bands,
        kind=settings.kind,
        offset=settings.offset,
        grid=grid,
        model=str(classifier.model_file.path.absolute()),
        model_sha256=classifier.model_file.sha256,
        is_dense=is_dense,
        version=program_version(),
    )


def seconds_per_window(classifier: Classifier, grid: WindowGrid) -> float:
    """Return about how long a window takes on this machine when a scene is mapped.

    It is measured on random pixels: the time does not depend on what they show.
    """
    if dense := dense_classifier(classifier, grid):
        return dense.seconds_per_window()
    classifier = classifier.one_view
    count = _TIMED_TILES_PER_THREAD * classifier.threads
    shape = (count, WINDOW, WINDOW, 3)
    tiles = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    classifier.classify_batch(tiles)  # Loads a model for each thread.
    started = perf_counter()
    classifier.classify_batch(tiles)
    return (perf_counter() - started) / count
