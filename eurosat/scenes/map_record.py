"""What stands in the folder of a map about it: how it was begun, and whether it is finished."""

import hashlib
import json
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eurosat.classifier import Classifier
from eurosat.existence import is_folder
from eurosat.folder_lock import LOCK_FILE
from eurosat.scenes.areas import AREAS_FILE, Area
from eurosat.scenes.bands import Bands
from eurosat.scenes.input_kind import InputKind
from eurosat.scenes.polygons import POLYGONS_FILE
from eurosat.scenes.product import scene_state
from eurosat.scenes.rasters import CLASSES_FILE, CONFIDENCE_FILE
from eurosat.scenes.report import REPORT_FILE
from eurosat.scenes.windows import DEFAULT_STRIDE, STRIDES, WindowGrid, windows_done
from eurosat.versions import program_version

PICTURE_FILE: Final = "map.png"

RECORD_FILE: Final = "map.json"
"""Says what a finished map was made of; it is written last."""

_FILES: Final = (
    CLASSES_FILE,
    CONFIDENCE_FILE,
    AREAS_FILE,
    PICTURE_FILE,
    REPORT_FILE,
    POLYGONS_FILE,
)
"""What belongs to a map; the last only if the scene has a coordinate system."""

UNFINISHED_FOLDER: Final = "unfinished"
"""What runs that were stopped leave for the next ones: a folder for each choice of settings."""

_WORK_PREFIX: Final = "stride-"

ANSWERS_FILE: Final = "probabilities.float32"
PLAN_FILE: Final = "plan.json"


@dataclass(frozen=True)
class MapSettings:
    """What a user chooses.

    Attributes:
        stride: Pixels from a window to the next, one of `STRIDES`: the side of a cell.
        bands: Red, green and blue, or None to find them by name.
        kind: What the values of the scene are.
        offset: What is added to values of 16 bits, or None to find it out.
        unsure_below: The confidence below which a window is unsure, 0 to 1, or None for the one
            that the model file states.
    """

    stride: int = DEFAULT_STRIDE
    bands: Bands | None = None
    kind: InputKind = InputKind.AUTO
    offset: int | None = None
    unsure_below: float | None = None

    def threshold_of(self, classifier: Classifier) -> float | None:
        """Return the confidence below which a window is unsure; None if no one states one."""
        if self.unsure_below is not None or classifier.metadata is None:
            return self.unsure_below
        return classifier.metadata.unsure_below


@dataclass(frozen=True)
class LandMap:
    """A finished map.

    Attributes:
        folder: Where its files are.
        areas: What each class covers.
        pixel_name: The size of a pixel, such as "10 m" or "10 m assumed".
        was_there: Whether an earlier run had made it already.
    """

    folder: Path
    areas: tuple[Area, ...]
    pixel_name: str
    was_there: bool = False


def map_folder(scene: Path, maps: Path, taken: Collection[Path] = ()) -> Path:
    """Return the folder in `maps` for the map of a scene: named after it, and numbered if need be.

    It is the same one as long as the scene is, so that a run that was stopped goes on; but never
    one that holds anything else, which the map would replace.

    Args:
        scene: The file, or the folder of a product.
        maps: Where the folder lies.
        taken: Folders of other scenes of the same call.
    """
    # In the name of a folder, what is behind a dot is no suffix; the zip of a product has two.
    name = (scene.name if is_folder(scene) else scene.stem).removesuffix(".SAFE")
    name = name if name.strip(".") else "scene"
    folder, number = maps / name, 2
    while folder in taken or not _is_free(folder, scene):
        folder, number = maps / f"{name}-{number}", number + 1
    return folder


def unfinished_settings(scene: Path, maps: Path) -> MapSettings | None:
    """Return what the latest unfinished map of a scene was begun with, so that it can go on.

    Args:
        scene: The file.
        maps: The folder in which its map gets a folder.

    Returns:
        None if there is none. The confidence below which a window is unsure is left open, as
        the answers do not depend on it.
    """
    plans = _unfinished_plans(map_folder(scene, maps))
    try:
        if not plans or (plan := plans[-1])["stride"] not in STRIDES:
            return None
        red_green_blue = tuple(map(int, plan["bands"])) if plan["bands"] else None
        if red_green_blue is not None and len(red_green_blue) != 3:
            return None
        offset = None if plan["offset"] is None else int(plan["offset"])
        return MapSettings(plan["stride"], red_green_blue, InputKind(plan["input"]), offset)
    except (KeyError, TypeError, ValueError):  # Somebody has edited it.
        return None


def windows_kept(
    scene: Path, maps: Path, classifier: Classifier, settings: MapSettings, grid: WindowGrid
) -> int:
    """Return how many windows of a map an earlier run classified that was stopped.

    Args:
        scene: The file.
        maps: The folder in which its map gets a folder.
        classifier: The model.
        settings: What the user chose.
        grid: The windows of the scene.

    Returns:
        0 if there is no such run, or it was one of another model, scene or choice, with which
        this map cannot go on.
    """
    try:
        plan = make_plan(scene, classifier, settings)
        answers = work_folder(map_folder(scene, maps), plan) / ANSWERS_FILE
        return windows_done(answers, grid, len(classifier.class_names))
    except OSError:  # The scene or the answers are gone.
        return 0


def _is_free(folder: Path, scene: Path) -> bool:
    """Tell whether a folder is new, or empty, or has a map of this scene, finished or not.

    An unfinished map that does not say of which scene it is counts as nothing: no window of it is
    classified yet.
    """
    plans = [read_json(folder / RECORD_FILE), *_unfinished_plans(folder)]
    found = [plan["scene"] for plan in plans if plan and "scene" in plan]
    if found:
        return all(name == str(scene.absolute()) for name in found)
    try:
        if not folder.is_dir():
            return not folder.exists()
        inside = list(folder.iterdir())
        if [each.name for each in inside] == [UNFINISHED_FOLDER] and inside[0].is_dir():
            # A run may have ended, for want of room, say, before it wrote what it was begun with.
            names = (each.name for each in inside[0].iterdir())
            return all(name == LOCK_FILE or name.startswith(_WORK_PREFIX) for name in names)
        return not inside
    except OSError:  # It may not be read, which whoever writes to it will tell.
        return True


def make_plan(path: Path, classifier: Classifier, settings: MapSettings) -> dict[str, Any]:
    """Return all that the map depends on, as a JSON object."""
    size, modified = scene_state(path)
    metadata = classifier.metadata
    return {
        "scene": str(path.absolute()),
        "bytes": size,
        "modified": modified,
        "model": metadata.name if metadata else classifier.model_file.path.name,
        "model_sha256": classifier.model_file.sha256,
        "stride": settings.stride,
        "bands": list(settings.bands) if settings.bands else None,
        "input": settings.kind.value,
        "offset": settings.offset,
        "unsure_below": settings.threshold_of(classifier),
        "version": program_version(),
    }


def work_folder(folder: Path, plan: dict[str, Any]) -> Path:
    """Return where the answers of a map are gathered until it is finished.

    Each choice of scene, model and settings has a folder of its own, named after all that answers
    depend on, so that a map of other settings takes nothing from one that was stopped.

    Args:
        folder: The folder of the map.
        plan: What `make_plan` returned.
    """
    of_answers = {name: value for name, value in plan.items() if name != "unsure_below"}
    digest = hashlib.sha256(json.dumps(of_answers, sort_keys=True).encode()).hexdigest()
    return folder / UNFINISHED_FOLDER / f"{_WORK_PREFIX}{plan['stride']}-{digest[:16]}"


def remove_outdated(folder: Path, plan: dict[str, Any]) -> None:
    """Remove what stopped runs left of a scene that has changed since, or of another version.

    Args:
        folder: The folder of the map.
        plan: What `make_plan` returned.
    """
    for work in (folder / UNFINISHED_FOLDER).glob(f"{_WORK_PREFIX}*/"):
        begun = read_json(work / PLAN_FILE) or {}
        if any(begun.get(name) != plan[name] for name in ("bytes", "modified", "version")):
            shutil.rmtree(work, ignore_errors=True)


def remove_work(work: Path) -> None:
    """Remove the answers of a finished map, and their folder if no other map is unfinished."""
    shutil.rmtree(work, ignore_errors=True)
    if not any(work.parent.glob(f"{_WORK_PREFIX}*/{PLAN_FILE}")):
        shutil.rmtree(work.parent, ignore_errors=True)


def _unfinished_plans(folder: Path) -> list[dict[str, Any]]:
    """Return what unfinished maps in the folder of a map were begun with, the latest last."""
    try:
        files = sorted(
            (folder / UNFINISHED_FOLDER).glob(f"{_WORK_PREFIX}*/{PLAN_FILE}"),
            key=lambda file: file.stat().st_mtime_ns,
        )
    except OSError:  # It may not be read, or another run is just removing it.
        return []
    return [plan for plan in map(read_json, files) if plan]


def finished_map(folder: Path, plan: dict[str, Any]) -> LandMap | None:
    """Return the map that is there already, if it was made of the same."""
    record = read_json(folder / RECORD_FILE)
    if record is None or {name: record.get(name) for name in plan} != plan:
        return None
    try:
        files = _FILES if record["crs"] is not None else _FILES[:-1]
        areas = tuple(Area(**area) for area in record["areas"])
        pixel_size = record["pixel_size"]
    except (KeyError, TypeError):  # Somebody has edited it.
        return None
    if not all((folder / name).exists() for name in files):
        return None
    return LandMap(folder, areas, pixel_size, was_there=True)


def remove_map(folder: Path) -> None:
    """Remove the files of a map that another one replaces, so that old and new ones never mix.

    Args:
        folder: The folder of the map.

    Raises:
        OSError: One cannot be removed.
    """
    # Without the record, the others count as no map.
    for name in (RECORD_FILE, f"{CLASSES_FILE}.aux.xml", *_FILES):
        (folder / name).unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
