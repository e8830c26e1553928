"""The view-model of scenes, without a window."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eurosat.classifier import Classifier
from eurosat.gui.scene_work import (
    MOST_PREVIEWED,
    GrowingMap,
    facts_of,
    preview_window,
    usual_maps_folder,
)
from eurosat.scenes.bands import parse_bands
from eurosat.scenes.cells import NODATA, CellMap
from eurosat.scenes.land_map import MapStart, map_scene
from eurosat.scenes.map_record import MapSettings, map_folder
from eurosat.scenes.rasters import read_cells
from eurosat.scenes.scene import open_scene
from eurosat.scenes.windows import WindowGrid

from ..eurosat.scenes.scene_fixtures import make_map, rasterio, texture, write_rgb


def test_it_needs_no_qt_and_its_import_no_gdal():
    code = "import eurosat.gui.map_process, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "eurosat.gui.scene_work" in loaded
    assert not [name for name in loaded if name.startswith(("PySide6", "rasterio"))]


def test_places_on_both_sides_of_180_degrees_are_told_apart(tmp_path: Path):
    grid = rasterio.Affine(1e-4, 0, 179.99, 0, -1e-4, -17)
    path = write_rgb(tmp_path / "s.tif", texture(150, 200), crs="EPSG:4326", transform=grid)
    pyproj = pytest.importorskip("pyproj")
    with open_scene(path) as scene:
        facts = facts_of(scene)
    to_degrees = pyproj.Transformer.from_crs(facts.crs_name, 4326, always_xy=True).transform
    for column in range(facts.width):
        found = facts.longitude_latitude(column, 75)
        expected = to_degrees(*facts.position(column, 75))
        assert found == pytest.approx(expected, abs=1e-5)
    ends = [facts.longitude_latitude(column, 75) for column in (0, facts.width - 1)]
    assert [place and place[0] // 179 for place in ends] == [1, -2], "east and west of 180°"


@pytest.mark.parametrize("stride", [64, 32, 8])
def test_a_map_grows_window_by_window(tmp_path: Path, stride: int):
    scene = write_rgb(tmp_path / "scene.tif", texture(400, 330))
    classifier, settings = Classifier.shipped("mobilenet-int8"), MapSettings(stride)
    growing: list[GrowingMap] = []
    grown: dict[int, CellMap] = {}

    def started(start: MapStart) -> None:
        growing.append(GrowingMap(start, classifier, settings))

    def progress(done: int, total: int) -> None:
        grown[done] = growing[0].take(done).cells

    folder = tmp_path / "map"
    made = map_scene(scene, folder, classifier, settings, started=started, progress=progress)
    grid, labels, confidence = read_cells(made.folder, stride)
    for done, cells in grown.items():
        row = done // grid.windows[1] if done < grid.window_count else grid.cells[0]
        assert np.array_equal(cells.labels[:row], labels[:row])
        assert np.allclose(cells.confidence[:row], confidence[:row], atol=0.01)
        assert (cells.labels[row:] == NODATA).all()
    assert len(grown) > 5


@pytest.mark.parametrize("stride", [64, 32, 16, 8])
@pytest.mark.parametrize(
    "seen", [(0, 5490, 0, 10980), (3000, 3100.5, 7000, 7200.2), (10900, 10980, 0, 10), (5, 5, 5, 5)]
)
def test_a_preview_is_small_and_covers_the_middle_of_what_is_seen(
    stride: int, seen: tuple[float, float, float, float]
):
    grid = WindowGrid(10_980, 10_980, stride)
    top, bottom, left, right = preview_window(grid, seen)
    assert 0 <= top < bottom <= grid.cells[0]
    assert 0 <= left < right <= grid.cells[1]
    assert (bottom - top) * (right - left) <= MOST_PREVIEWED
    middle_row, middle_column = (seen[0] + seen[1]) / 2, (seen[2] + seen[3]) / 2
    assert top * stride <= middle_row <= bottom * stride
    assert left * stride <= middle_column <= right * stride
    if seen[1] - seen[0] < 200 and stride == 64:
        assert top * stride <= seen[0]
        assert bottom * stride >= min(seen[1], 10_980)


def test_a_folder_of_another_scene_is_left_alone(tmp_path: Path):
    first = write_rgb(tmp_path / "field.tif", texture(70, 70))
    maps = tmp_path / "maps"
    assert map_folder(first, maps) == maps / "field"
    make_map(first, maps / "field")
    assert map_folder(first, maps) == maps / "field"
    (tmp_path / "other").mkdir()
    second = write_rgb(tmp_path / "other" / "field.tif", texture(70, 70, seed=1))
    assert map_folder(second, maps) == maps / "field-2"


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path):
    (tmp_path / "field").mkdir()
    scene = write_rgb(tmp_path / "field" / "field.tif", texture(70, 70))
    assert map_folder(scene, tmp_path) == tmp_path / "field-2"
    theirs = tmp_path / "maps" / "field" / "unfinished" / "notes.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("not ours")
    chosen = map_folder(scene, tmp_path / "maps")
    assert chosen == tmp_path / "maps" / "field-2"
    make_map(scene, chosen)
    assert map_folder(scene, tmp_path / "maps") == chosen
    assert theirs.read_text() == "not ours"
    (tmp_path / "file").write_text("no folder")
    assert map_folder(Path("file.tif"), tmp_path) == tmp_path / "file-2"
    assert map_folder(scene, tmp_path / "file") == tmp_path / "file" / "field"
    assert map_folder(Path("...tif"), tmp_path) == tmp_path / "scene"
    for product, name in (("valley v1.2", "valley v1.2"), ("S2B_MSIL1C.SAFE", "S2B_MSIL1C")):
        (tmp_path / product).mkdir()
        assert map_folder(tmp_path / product, tmp_path / "maps") == tmp_path / "maps" / name


def test_maps_go_beside_the_scene_unless_nobody_may_write_there(tmp_path: Path):
    assert usual_maps_folder(tmp_path / "a.tif", tmp_path / "documents") == tmp_path / "maps"
    absent = tmp_path / "absent" / "a.tif"
    assert usual_maps_folder(absent, tmp_path / "documents") == tmp_path / "documents" / "maps"


def test_bands_are_three_numbers():
    assert parse_bands(" 4, 3,2") == (4, 3, 2)
    for text in ("", "4,3", "4,3,2,1", "a,b,c", "4;3;2", "-1,2,3"):
        assert parse_bands(text) is None
