"""`eurosat-map`: every file of a map, many scenes, and a run that is stopped."""

import csv
import dataclasses
import html
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from eurosat.classifier import Classifier
from eurosat.dataset import Dataset
from eurosat.errors import ModelFileError
from eurosat.find_images import find_images
from eurosat.folder_lock import only_process_in
from eurosat.images import read_image
from eurosat.labels import EUROSAT_CLASSES
from eurosat.model_file import read_model_file, shipped_model_names, write_model_file
from eurosat.scenes.cells import CellMap, map_classes
from eurosat.scenes.ground import degrees_to_north
from eurosat.scenes.land_map import map_scene
from eurosat.scenes.map_record import MapSettings, unfinished_settings
from eurosat.scenes.rasters import read_cells, write_rasters
from eurosat.scenes.scene import open_scene
from eurosat.scenes.windows import WindowGrid
from eurosat.split import split_dataset

from ...commands import Command, assert_refused, assert_refused_at_last
from .scene_fixtures import (
    MAP_FILES,
    UTM,
    grid_at,
    make_map,
    rasterio,
    real_scene,
    small_classifier,
    texture,
    write_rgb,
)

Start = Callable[..., "subprocess.Popen[str]"]

SMALL = ("--model", "cnn-int8")
UNSURE, NODATA = 10, 255


def values_in(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def areas_in(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "areas.csv").open(newline="", encoding="utf-8") as file:
        return {row["class"]: row for row in csv.DictReader(file)}


def numbers_of(*texts: str) -> list[float | None]:
    """Numbers of which some are written as per cent and some are left out."""
    return [
        float(text.rstrip("%")) / (100 if text.endswith("%") else 1) if text else None
        for text in texts
    ]


def features_in(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "classes.geojson").read_text(encoding="utf-8"))["features"]


def scene_with_gaps(height: int, width: int) -> np.ndarray:
    """Pixels with a slanting empty rim, an empty square and an empty spot."""
    pixels = texture(height, width)
    rows, columns = np.mgrid[:height, :width]
    pixels[columns < 25 - rows // 16] = 0
    pixels[100:170, 60:140] = 0
    pixels[20, 100] = 0
    return pixels


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A finished map of a scene of 416 x 521 pixels with gaps, and where the scene has data."""
    folder = tmp_path_factory.mktemp("gaps")
    pixels = scene_with_gaps(521, 416)
    path = write_rgb(folder / "scene.tif", pixels)
    return make_map(path, folder / "map", stride=32, unsure_below=0.6), np.asarray(
        pixels.any(axis=2)
    )


# What is in the files


def test_all_files_are_there_and_nothing_else(gaps: tuple[Path, np.ndarray]):
    assert {file.name for file in gaps[0].iterdir()} == MAP_FILES


def test_the_cells_are_read_back_from_the_files(gaps: tuple[Path, np.ndarray]):
    folder, has_data = gaps
    grid, labels, confidence = read_cells(folder, 32)
    assert (grid.height, grid.width) == has_data.shape
    rows, columns = (np.arange(side) // 32 for side in has_data.shape)
    classes, percent = (values_in(folder / f"{n}.tif") for n in ("classes", "confidence"))
    spread = labels[rows[:, np.newaxis], columns]
    assert np.array_equal(spread[has_data], classes[has_data])
    sure = confidence[rows[:, np.newaxis], columns]
    np.testing.assert_allclose(sure[has_data], percent[has_data] / 100, atol=1e-6)
    assert labels[4, 3] == NODATA  # Within the empty square.
    assert confidence[4, 3] == 0


def test_every_pixel_with_data_has_a_label_and_the_areas_add_up(gaps: tuple[Path, np.ndarray]):
    folder, has_data = gaps
    classes, confidence = (values_in(folder / f"{n}.tif") for n in ("classes", "confidence"))
    assert np.array_equal(classes != NODATA, has_data)
    assert np.array_equal(confidence != NODATA, has_data)
    assert classes[has_data].max() <= UNSURE
    assert confidence[has_data].max() <= 100
    rows = areas_in(folder)
    names = [cover.name for cover in EUROSAT_CLASSES]
    assert list(rows) == [*names, "unsure", "nodata"]
    titles = [cover.title for cover in EUROSAT_CLASSES]
    assert [row["title"] for row in rows.values()] == [*titles, "Unsure", "No data"]
    counts = np.bincount(classes.ravel(), minlength=256)
    for value, name in [*enumerate([*names, "unsure"]), (NODATA, "nodata")]:
        row = rows[name]
        assert int(row["pixels"]) == counts[value]
        assert float(row["area_m2"]) == counts[value] * 100
        assert float(row["area_ha"]) == pytest.approx(counts[value] / 100)
        assert float(row["area_km2"]) == pytest.approx(counts[value] / 10_000)
        assert row["pixel_size"] == "10 m"
        if name != "nodata" and counts[value]:
            expected = confidence[classes == value].mean() / 100
            assert float(row["mean_confidence"]) == pytest.approx(expected, abs=0.005)
    valid = sum(float(row["area_m2"]) for name, row in rows.items() if name != "nodata")
    assert valid == has_data.sum() * 100
    # Each is rounded to six digits.
    shares = [float(rows[name]["share_of_classified"]) for name in names]
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert sum(int(row["cells"]) for row in rows.values()) == 17 * 13
    assert 0 < counts[UNSURE] < has_data.sum()


def test_a_map_of_tiles_names_each_as_classifying_one_view_does(
    small_archive: Path, tmp_path: Path
):
    with zipfile.ZipFile(small_archive) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][::34][:12]
        tiles = [read_image(archive.read(name)) for name in names]
    mosaic = np.concatenate([np.concatenate(tiles[row : row + 4], axis=1) for row in (0, 4, 8)])
    path = write_rgb(tmp_path / "mosaic.tif", mosaic)
    classes = values_in(make_map(path, tmp_path / "map", stride=64) / "classes.tif")
    classifier = small_classifier().one_view
    for number, tile in enumerate(tiles):
        row, column = divmod(number, 4)
        cell = classes[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64]
        answer = classifier.classify(tile)
        label = classifier.class_names.index(answer.label)
        assert (cell == (UNSURE if answer.is_unsure else label)).all()


def test_the_rasters_are_valid_cogs_in_the_right_place_and_colours(tmp_path: Path):
    cogeo = pytest.importorskip("rio_cogeo")
    pixels = texture(600, 1100)
    folder = make_map(write_rgb(tmp_path / "scene.tif", pixels), tmp_path / "map")
    for name in ("classes.tif", "confidence.tif"):
        is_valid, errors, warnings = cogeo.cog_validate(folder / name, strict=True)
        assert (is_valid, errors, warnings) == (True, [], [])
        with rasterio.open(folder / name) as file:
            assert (file.crs.to_epsg(), file.transform) == (32630, grid_at())
            assert (file.nodata, file.dtypes) == (255, ("uint8",))
            assert file.block_shapes == [(512, 512)]
            assert file.compression.name == "deflate"
            assert file.overviews(1) != []
            assert (file.tags()["MODEL"], file.tags()["STRIDE"]) == ("cnn-int8", "16")
    with rasterio.open(folder / "classes.tif") as file:
        colours = file.colormap(1)
        for value, cover in enumerate(EUROSAT_CLASSES):
            assert "#{:02X}{:02X}{:02X}".format(*colours[value][:3]) == cover.colour
            assert file.tags()[f"CLASS_{value}"] == cover.name
        assert file.tags()["CLASS_10"] == "unsure"
    from rasterio.shutil import copy

    # What GDAL, and so QGIS, says the values mean.
    described = tmp_path / "described.vrt"
    copy(folder / "classes.tif", described, driver="VRT")
    names = re.findall("<Category>(.+)</Category>", described.read_text(encoding="utf-8"))
    assert names == [*(cover.title for cover in EUROSAT_CLASSES), "Unsure"]


def test_overviews_hold_classes_and_no_means_of_their_numbers(tmp_path: Path):
    path = write_rgb(tmp_path / "scene.tif", texture(64, 8200))
    grid = WindowGrid(64, 8200, 8)
    dice = np.random.default_rng(0).choice(np.array([2, 8], np.uint8), grid.cells)
    classes = map_classes(tuple(cover.name for cover in EUROSAT_CLASSES))
    cells = CellMap(grid, classes, dice, np.ones(grid.cells, np.float32))
    with open_scene(path) as scene:
        write_rasters(tmp_path, tmp_path / "work", scene, cells, {})
    with rasterio.open(tmp_path / "classes.tif") as file:
        assert 16 in file.overviews(1), "which mixes cells"
        assert np.unique(file.read(1, out_shape=(4, 8200 // 16))).tolist() == [2, 8]


def test_the_polygons_are_the_classes_in_the_right_place(gaps: tuple[Path, np.ndarray]):
    from rasterio.features import rasterize
    from rasterio.warp import transform_geom

    folder, _ = gaps
    classes = values_in(folder / "classes.tif")
    features = features_in(folder)
    numbers = {cover.name: n for n, cover in enumerate(EUROSAT_CLASSES)} | {"unsure": UNSURE}
    back = [
        (
            transform_geom("EPSG:4326", "EPSG:32630", feature["geometry"]),
            numbers[feature["properties"]["class"]],
        )
        for feature in features
    ]
    drawn = rasterize(back, classes.shape, fill=NODATA, transform=grid_at(), dtype="uint8")
    assert np.array_equal(drawn, classes)
    # On the spot, as another library sees it.
    pyproj = pytest.importorskip("pyproj")
    to_degrees = pyproj.Transformer.from_crs(32630, 4326, always_xy=True).transform
    corners = np.array([c for f in features for c in f["geometry"]["coordinates"][0]])
    assert corners.max(axis=0) == pytest.approx(to_degrees(694_000 + 4160, 4_220_000), abs=2e-3)
    areas = areas_in(folder)
    for name in numbers:
        mine = [f["properties"] for f in features if f["properties"]["class"] == name]
        assert sum(one["area_m2"] for one in mine) == float(areas[name]["area_m2"])
        assert {one["title"] for one in mine} <= {areas[name]["title"]}


def test_the_polygons_follow_rfc_7946(gaps: tuple[Path, np.ndarray]):
    text = (gaps[0] / "classes.geojson").read_text(encoding="utf-8")
    assert "crs" not in json.loads(text)
    assert not re.search(r"\d\.\d{8}", text), "a centimetre is fine enough"
    rings = 0
    for feature in features_in(gaps[0]):
        assert 0 <= feature["properties"]["confidence"] <= 1
        for number, ring in enumerate(feature["geometry"]["coordinates"]):
            assert ring[0] == ring[-1]
            x, y = np.array(ring).T
            area = np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])
            assert (area > 0) == (number == 0), "outer rings run counter-clockwise, holes do not"
            rings += number
    assert rings > 0, "the scene has holes"


def test_a_polygon_tells_the_confidence_of_its_cells(tmp_path: Path):
    from rasterio.features import geometry_mask
    from rasterio.warp import transform_geom

    pixels = texture(192, 256)
    pixels[:, 128:] = (60, 90, 100)  # Like nothing in the other half.
    path = write_rgb(tmp_path / "scene.tif", pixels)
    folder = make_map(path, tmp_path / "map", stride=32, unsure_below=0)
    percent = values_in(folder / "confidence.tif")
    features = features_in(folder)
    assert len(features) > 1
    for feature in features:
        shape = transform_geom("EPSG:4326", "EPSG:32630", feature["geometry"])
        inside = geometry_mask([shape], percent.shape, grid_at(), invert=True)
        expected = percent[inside].mean() / 100
        assert feature["properties"]["confidence"] == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", rasterio.Affine(1e-4, 0, 179.99, 0, -1e-4, -17)),
        ("EPSG:32760", grid_at(818_800, 8_118_000)),
        ("EPSG:3413", rasterio.Affine(10, 0, -1.547e6, 0, -10, 1.547e6)),
        ("EPSG:3031", rasterio.Affine(10, 0, -1e3, 0, -10, -2.05e6)),
    ],
)
def test_polygons_are_cut_at_the_180th_meridian(tmp_path: Path, crs: str, transform: object):
    pyproj = pytest.importorskip("pyproj")
    path = write_rgb(tmp_path / "s.tif", texture(200, 220), crs=crs, transform=transform)
    folder = make_map(path, tmp_path / "map")
    sides = set()
    on_earth = 0.0
    sums: Counter[str] = Counter()
    for feature in features_in(folder):
        for number, ring in enumerate(feature["geometry"]["coordinates"]):
            longitudes, latitudes = np.transpose(ring)
            sides.add(tuple(np.unique(np.sign(longitudes))))
            assert np.abs(longitudes).min() > 179.9, "and nothing spans the globe"
            area, _ = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(longitudes, latitudes)
            assert (area > 0) == (number == 0), "outer rings run counter-clockwise"
            on_earth += area
        sums[feature["properties"]["class"]] += feature["properties"]["area_m2"]
    assert sides == {(1,), (-1,)}, "each polygon lies on one side"
    assert on_earth == pytest.approx(sums.total(), rel=0.005), "but for pixels that it cuts"
    for name, row in areas_in(folder).items():
        assert name == "nodata" or sums[name] == pytest.approx(float(row["area_m2"]), rel=1e-6)


def test_areas_of_a_degree_grid_are_those_on_the_ellipsoid(tmp_path: Path):
    pyproj = pytest.importorskip("pyproj")
    degrees = 1e-4
    # At the border of two zones on the equator, where a pixel of UTM is 0.2 % short.
    place = rasterio.Affine(degrees, 0, 5.9, 0, -degrees, 0.04)
    pixels = texture(400, 800)
    pixels[:100, :100] = 0
    path = write_rgb(tmp_path / "s.tif", pixels, crs="EPSG:4326", transform=place, nodata=0)
    rows = areas_in(make_map(path, tmp_path / "map", unsure_below=0))
    geod = pyproj.Geod(ellps="WGS84")

    def rectangle(columns: int, rows: int) -> float:
        (west, north), (east, south) = place @ (0, 0), place @ (columns, rows)
        corners = [west, east, east, west], [south, south, north, north]
        return geod.polygon_area_perimeter(*corners)[0]

    valid = sum(float(row["area_m2"]) for name, row in rows.items() if name != "nodata")
    counted = sum(int(row["pixels"]) for name, row in rows.items() if name != "nodata") * 100
    expected = rectangle(800, 400) - rectangle(100, 100)
    assert valid == pytest.approx(expected, rel=5e-4), "but for what is cut at the rim"
    assert abs(counted / expected - 1) > 1e-3, "a test that pixels of 100 m² would pass"
    shares = [float(row["share_of_classified"] or 0) for row in rows.values()]
    for row, share in zip(rows.values(), shares, strict=True):
        assert share == pytest.approx(float(row["area_m2"]) / valid if share else 0, abs=1e-6)
    on_earth = 0.0
    for feature in features_in(tmp_path / "map"):
        area = sum(
            geod.polygon_area_perimeter(*np.transpose(ring))[0]
            for ring in feature["geometry"]["coordinates"]
        )
        assert feature["properties"]["area_m2"] == pytest.approx(area, rel=1e-4)
        on_earth += area
    assert on_earth == pytest.approx(valid, rel=1e-5)
    for row in rows.values():
        assert float(row["area_ha"]) == pytest.approx(float(row["area_m2"]) / 1e4, abs=1e-6)
        assert float(row["area_km2"]) == pytest.approx(float(row["area_m2"]) / 1e6, abs=1e-8)
    notes = json.loads((tmp_path / "map" / "map.json").read_text(encoding="utf-8"))["notes"]
    assert any("Areas are those on the ellipsoid" in note for note in notes)


def test_long_edges_follow_the_ground(tmp_path: Path):
    pixels = np.full((64, 3000, 3), (60, 90, 100), np.uint8)
    folder = make_map(write_rgb(tmp_path / "wide.tif", pixels), tmp_path / "map")
    (feature,) = features_in(folder)
    ring = np.array(feature["geometry"]["coordinates"][0])
    pyproj = pytest.importorskip("pyproj")
    to_metres = pyproj.Transformer.from_crs(4326, 32630, always_xy=True).transform
    middles = (ring[:-1] + ring[1:]) / 2
    _, y = to_metres(*middles.T)
    from_edge = np.minimum(abs(y - 4_220_000), abs(y - (4_220_000 - 640)))
    assert np.sort(from_edge)[:-2].max() < 1, "but for the two short sides"


@pytest.mark.parametrize(
    ("crs", "grid"),
    [("EPSG:32630", grid_at()), ("EPSG:3035", grid_at(3_100_000, 2_300_000))],
)
def test_the_arrow_of_the_picture_points_to_the_north(crs: str, grid: Any):
    pyproj = pytest.importorskip("pyproj")
    to_degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True).transform
    here, above = (to_degrees(*(grid @ (50, row))) for row in (50, 49))
    azimuth, _, _ = pyproj.Geod(ellps="WGS84").inv(*here, *above)
    to_north = degrees_to_north(rasterio.CRS.from_string(crs), grid, 100, 100)
    assert to_north == pytest.approx(-azimuth, abs=0.01)
    assert abs(to_north) > 1


def test_the_picture_shows_the_map_in_its_colours(gaps: tuple[Path, np.ndarray]):
    picture = np.asarray(Image.open(gaps[0] / "map.png").convert("RGB")).reshape(-1, 3)
    classes = values_in(gaps[0] / "classes.tif")
    for value in np.unique(classes[classes < UNSURE]):
        colour = bytes.fromhex(EUROSAT_CLASSES[value].colour[1:])
        share = (picture == tuple(colour)).all(axis=1).mean()
        # A panel takes about a third of the picture.
        assert share > 0.1 * (classes == value).mean()


def test_the_picture_writes_names_in_letters_that_it_has(tmp_path: Path):
    pictures = []
    for name in ("caf\u00e9 \u00d7", "cafe x", "caf\u00e9 \u4e2d", "cafe ?"):
        folder = tmp_path / str(len(pictures))
        folder.mkdir()
        path = write_rgb(folder / f"{name}.tif", texture(64, 64))
        pictures.append(np.asarray(Image.open(make_map(path, folder / "map") / "map.png")))
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[2], pictures[3])


def test_nothing_of_a_long_name_is_cut_off(tmp_path: Path):
    for name in ("short", "S2B_MSIL1C_" + "20230111T121649_" * 8 + "end"):
        path = write_rgb(tmp_path / f"{name}.tif", texture(64, 64))
        picture = np.asarray(Image.open(make_map(path, tmp_path / name) / "map.png").convert("L"))
        # Around everything is a white margin.
        inside = picture[30:-30, 30:-30]
        assert (picture < 255).sum() == (inside < 255).sum(), name


def test_a_scene_of_which_a_third_is_a_round_length_is_mapped(tmp_path: Path):
    scene = write_rgb(tmp_path / "scene.tif", texture(330, 300))
    assert (make_map(scene, tmp_path / "map", stride=64) / "map.png").exists()


def test_the_scale_bar_has_a_round_length_on_the_ground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn: list[str] = []
    draw = ImageDraw.ImageDraw.text

    def watched(self: ImageDraw.ImageDraw, place: Any, text: str, **options: Any) -> None:
        drawn.append(text)
        draw(self, place, text, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", watched)
    for width, crs, name in (
        (64, UTM, "200 m"),
        (416, UTM, "1 km"),
        (1600, UTM, "5 km"),
        (64, None, "200 m, if a pixel is 10 m"),
    ):
        path = write_rgb(tmp_path / f"{name}.tif", texture(64, width), crs=crs)
        make_map(path, tmp_path / name, stride=64)
        assert [text for text in drawn if re.match(r"[\d.]+ k?m\b", text)] == [name]
        drawn.clear()


def test_a_long_thin_scene_is_drawn_large_enough_and_nothing_overlaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    boxes: dict[str, tuple[float, float, float, float]] = {}
    draw = ImageDraw.ImageDraw.text

    def watched(self: ImageDraw.ImageDraw, place: Any, text: str, **options: Any) -> None:
        shape = {name: options[name] for name in options if name != "fill"}
        boxes[text] = self.textbbox(place, text, **shape)
        draw(self, place, text, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", watched)
    for number, (height, width) in enumerate([(40, 1600), (1600, 40)]):
        boxes.clear()
        path = write_rgb(tmp_path / f"{number}.tif", texture(height, width))
        folder = make_map(path, tmp_path / f"{number}", stride=64)
        with Image.open(folder / "map.png") as picture:
            assert max(picture.size) > 2000
        (scale,) = (text for text in boxes if re.fullmatch(r"[\d.]+ k?m", text))
        for one, other in itertools.combinations(("Scene", "Land cover", scale, "N"), 2):
            left, top, right, bottom = boxes[one]
            others_left, others_top, others_right, others_bottom = boxes[other]
            assert (
                right + 10 < others_left
                or others_right + 10 < left
                or bottom < others_top
                or others_bottom < top
            ), (one, other)


class Links(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_the_report_needs_no_other_file(gaps: tuple[Path, np.ndarray]):
    page = (gaps[0] / "report.html").read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    assert [link[:22] for link in links.found] == ["data:image/png;base64,"]
    assert "url(" not in page
    assert re.search(r"\.swatch \{[^}]*[^-]print-color-adjust: exact", page), "colours are printed"
    assert page.count('<th scope="col">') == page.count("<th") == 6, "read aloud with each number"
    assert "640 m" in page
    assert "a cell of 320 m by 320 m" in page
    rows = re.findall("<tr><td>.+</tr>", page)
    for row, area in zip(rows, areas_in(gaps[0]).values(), strict=True):
        title, cells, hectares, km2, *rest = re.findall("([^<>]*)</td>", row)
        assert title == area["title"]
        assert int(cells) == int(area["cells"])
        assert (hectares, km2) == (
            f"{float(area['area_ha']):,.2f}",
            f"{float(area['area_km2']):,.4f}",
        )
        expected = numbers_of(area["share_of_classified"], area["mean_confidence"])
        assert numbers_of(*rest) == pytest.approx(expected, abs=0.0006)


def test_without_a_coordinate_system_sizes_are_assumed_and_polygons_left_out(
    tmp_path: Path, command: Command
):
    path = write_rgb(tmp_path / "bare.png", texture(201, 201), crs=None, driver="PNG")
    done = command("eurosat-map", path, "--out", "maps", *SMALL)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "maps" / "bare"
    assert {file.name for file in folder.iterdir()} == MAP_FILES - {"classes.geojson"}
    assert {row["pixel_size"] for row in areas_in(folder).values()} == {"10 m assumed"}
    assert "Area, 10 m assumed" in done.stdout
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("Area, 10 m assumed") == 2
    assert "no coordinate system" in page
    assert "10 m to a pixel are assumed" in done.stderr
    assert "NotGeoreferenced" not in done.stderr
    with rasterio.open(folder / "classes.tif") as file:
        assert (file.crs, file.shape) == (None, (201, 201))


def test_a_scene_of_one_column_is_mapped(tmp_path: Path):
    path = write_rgb(tmp_path / "column.tif", texture(300, 1), transform=grid_at())
    assert (make_map(path, tmp_path / "map") / "map.png").exists()


def test_names_and_titles_do_no_harm_in_pages(tmp_path: Path):
    path = write_rgb(tmp_path / "a & <b>.tif", texture(64, 64))
    page = (make_map(path, tmp_path / "map") / "report.html").read_text(encoding="utf-8")
    assert "a &amp; &lt;b&gt;.tif" in page
    assert "<b>" not in page


# The command


def test_windows_and_time_are_said_before_and_the_table_after(
    tmp_path: Path, command_here: Command
):
    pixels = scene_with_gaps(201, 130)
    path = write_rgb(tmp_path / "scene.tif", pixels)
    done = command_here("eurosat-map", path, "--out", "maps", "--stride", 32)
    assert done.returncode == 0, done.stderr
    with rasterio.open(tmp_path / "maps" / "scene" / "classes.tif") as file:
        assert file.tags()["MODEL"] == "cnn-int8"  # By default.
    told = "130 × 201 pixels of 10 m, 24 windows at stride 32, "
    assert told in done.stderr
    assert "Taken for 8-bit colours scaled like EuroSAT" in done.stderr
    *table, last = done.stdout.splitlines()
    assert last.startswith(f"scene.tif mapped: {pixels.any(axis=2).sum() / 100:.1f} ha with data")
    areas = areas_in(tmp_path / "maps" / "scene").values()
    for line, area in zip(table[1:], (a for a in areas if a["pixels"] != "0"), strict=True):
        assert line.startswith(area["title"])
        columns = ("share_of_classified", "area_ha", "mean_confidence")
        expected = [number for number in numbers_of(*(area[name] for name in columns)) if number]
        assert numbers_of(*re.findall(r"[\d.]+%?", line)) == pytest.approx(expected, rel=0.005)


def test_what_may_make_a_map_wrong_is_said_wherever_one_looks(
    tmp_path: Path, command_here: Command
):
    path = write_rgb(tmp_path / "dark.tif", texture(64, 64, high=40))
    with open_scene(path) as scene:
        notes, (warning,) = scene.notes, scene.warnings
    done = command_here("eurosat-map", path, "--out", "maps", *SMALL)
    assert f"Warning: {warning}\n" in done.stderr
    page = (tmp_path / "maps" / "dark" / "report.html").read_text(encoding="utf-8")
    assert f'<p class="warning">{html.escape(warning)}</p>' in page
    record = json.loads((tmp_path / "maps" / "dark" / "map.json").read_text(encoding="utf-8"))
    assert (record["notes"], record["warnings"]) == (list(notes), [warning])


def test_a_bad_scene_is_reported_and_the_others_go_on(tmp_path: Path, command_here: Command):
    good = write_rgb(tmp_path / "good.tif", texture(64, 64))
    (tmp_path / "other").mkdir()
    shutil.copy(good, tmp_path / "other" / "good.tif")
    bad = tmp_path / "bad.tif"
    bad.write_text("no scene")
    again = tmp_path / "other" / "good.tif"
    done = command_here("eurosat-map", good, bad, again, "--out", "maps", *SMALL)
    assert done.returncode == 1
    assert [file.name for file in sorted((tmp_path / "maps").iterdir())] == ["good", "good-2"]
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "bad.tif" in error
    done = command_here("eurosat-map", again, "--out", "maps", *SMALL)
    assert "was mapped before" in done.stdout
    assert "good-2" in done.stdout, "a map of another scene is not written over"
    worse = tmp_path / "worse.tif"
    worse.write_text("no scene either")
    done = command_here("eurosat-map", bad, worse, "--out", "maps", *SMALL)
    assert done.returncode == 2


def test_a_link_to_itself_is_a_bad_scene_too(tmp_path: Path, command_here: Command):
    good = write_rgb(tmp_path / "good.tif", texture(64, 64))
    (tmp_path / "loop").symlink_to("loop")
    done = command_here("eurosat-map", "loop", good, "--out", "maps", *SMALL)
    assert done.returncode == 1
    assert "good.tif mapped" in done.stdout
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert "loop does not exist or may not be read" in error


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--stride", 24), "64, 32, 16 or 8"),
        (("--bands", "4,3"), "4,3,2"),
        (("--model", "no-such"), "no-such"),
    ],
)
def test_wrong_options_are_refused(
    tmp_path: Path, command_here: Command, options: tuple[object, ...], part: str
):
    path = write_rgb(tmp_path / "scene.tif", texture(64, 64))
    done = command_here("eurosat-map", path, "--out", "maps", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"Error: .+\.\n", done.stderr)
    assert part in done.stderr
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(
    ("paths", "word"), [(("s.tif", "--out", ""), "--out"), (("s.tif", "", "--out", "m"), "SCENE")]
)
def test_empty_paths_are_refused(
    tmp_path: Path, command_here: Command, paths: tuple[str, ...], word: str
):
    write_rgb(tmp_path / "s.tif", texture(64, 64))
    assert_refused(command_here("eurosat-map", *paths, *SMALL), f"{word} is empty")
    assert [path.name for path in tmp_path.iterdir()] == ["s.tif"]


def test_a_folder_whose_name_is_not_utf_8_is_refused(tmp_path: Path, command_here: Command):
    path = write_rgb(tmp_path / "s.tif", texture(64, 64))
    done = command_here("eurosat-map", *SMALL, "--out", os.fsdecode(b"maps\xff"), path)
    assert_refused_at_last(done, "not UTF-8", "choose another folder")


def test_a_scene_that_is_named_twice_is_mapped_once(
    tmp_path: Path, command_here: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        write_rgb(tmp_path / f"{name}.tif", texture(64, 64))
    (tmp_path / "link").symlink_to(tmp_path)
    names = ("b.tif", "a.tif", tmp_path / "a.tif", "./b.tif", "link/a.tif", "maps/../b.tif")
    (tmp_path / "maps").mkdir()
    done = command_here("eurosat-map", *SMALL, "--out", "maps", *names)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"(.)\.tif mapped", done.stdout) == ["b", "a"]
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {"a", "b"}


def test_who_gets_a_map_that_is_mostly_unsure_is_told_what_to_do(
    tmp_path: Path, command_here: Command
):
    line = ("eurosat-map", real_scene("spain_s2hand.tif"), "--out", "maps", *SMALL)
    advice = "Most of it is unsure, below the 93.7% that the model asks for: --unsure-below 0.5"
    assert advice in command_here(*line).stderr
    assert float(areas_in(tmp_path / "maps" / "spain_s2hand")["unsure"]["area_ha"]) > 1500
    again = command_here(*line)
    assert "was mapped before" in again.stdout
    assert advice in again.stderr
    assert "Most of it" not in command_here(*line, "--unsure-below", 0.5).stderr
    fields = ("eurosat-map", real_scene("demmin_sentinel2_fields.tif"), "--out", "maps", *SMALL)
    assert "Most of it" not in command_here(*fields).stderr


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, command_here: Command):
    path = write_rgb(tmp_path / "scene.tif", texture(64, 64))
    (tmp_path / "maps").write_text("a file")
    done = command_here("eurosat-map", path, "--out", "maps", *SMALL)
    assert done.returncode == 2
    assert re.fullmatch(r"Error: .+cannot be written.+\.\n", done.stderr.splitlines(True)[-1])


def test_a_scene_cut_short_leaves_no_map(tmp_path: Path, command_here: Command):
    whole = write_rgb(tmp_path / "whole.tif", texture(900, 400)).read_bytes()
    path = tmp_path / "cut.tif"
    path.write_bytes(whole[: len(whole) * 3 // 4])
    done = command_here("eurosat-map", path, "--out", "maps", *SMALL)
    assert done.returncode == 2
    assert "cut.tif is damaged or cut short" in done.stderr
    assert not (tmp_path / "maps" / "cut" / "classes.tif").exists()


@pytest.mark.parametrize("taken", [28_000, 32_000])
def test_a_full_disk_is_told_of_every_scene_and_leaves_no_damaged_file(
    taken: int,
    tmp_path: Path,
    tiny_disk: Callable[[list[str]], CompletedProcess[str]],
    command_line: Callable[..., list[str]],
):
    scenes = [write_rgb(tmp_path / f"{name}.tif", texture(700, 500)) for name in ("one", "two")]
    line = command_line("eurosat-map", *scenes, "--stride", 16, *SMALL, "--out", "/mnt")
    script = (
        f'head -c {taken} /dev/zero > /mnt/taken; "$@"; status=$?; cp -r /mnt kept; exit $status'
    )
    done = tiny_disk(["sh", "-c", script, "sh", *line])
    assert done.returncode == 2
    errors = re.findall("^Error: .+ cannot be written to .+$", done.stderr, re.MULTILINE)
    assert ["/mnt/one" in errors[0], "/mnt/two" in errors[1]] == [True, True]
    for path in (tmp_path / "kept").rglob("*.tif"):
        values_in(path)


def test_a_second_run_into_the_same_folder_is_refused(tmp_path: Path, command_here: Command):
    path = write_rgb(tmp_path / "scene.tif", texture(128, 128))
    line = ("eurosat-map", path, "--out", "maps", *SMALL)
    assert command_here(*line).returncode == 0
    again = (*line, "--unsure-below", 0.3)
    with only_process_in(tmp_path / "maps" / "scene" / "unfinished", ""):
        assert_refused_at_last(command_here(*again), "Another run is mapping into", "scene")
    assert command_here(*again).returncode == 0
    assert {file.name for file in (tmp_path / "maps" / "scene").iterdir()} == MAP_FILES


def test_a_run_that_ended_before_it_began_leaves_its_folder_to_the_next(
    tmp_path: Path, command_here: Command
):
    path = write_rgb(tmp_path / "scene.tif", texture(128, 128))
    line = ("eurosat-map", path, "--out", "maps", *SMALL)
    unfinished = tmp_path / "maps" / "scene" / "unfinished"
    (unfinished / "stride-64-0123456789abcdef").mkdir(parents=True)
    (unfinished / "lock").touch()
    assert command_here(*line).returncode == 0
    assert {file.name for file in unfinished.parent.iterdir()} == MAP_FILES

    mine = tmp_path / "others" / "scene" / "unfinished" / "essay.txt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    assert "scene-2" in command_here(*line, "--out", "others").stdout
    assert mine.exists()


def test_a_map_that_could_not_be_written_whole_is_not_finished(
    tmp_path: Path, command_here: Command
):
    path = write_rgb(tmp_path / "scene.tif", texture(128, 128))
    line = ("eurosat-map", path, "--out", "maps", *SMALL)
    assert command_here(*line).returncode == 0
    # A folder in the place of the file stands for one that cannot be replaced.
    areas = tmp_path / "maps" / "scene" / "areas.csv"
    areas.unlink()
    areas.mkdir()
    assert_refused_at_last(command_here(*line, "--unsure-below", 0), "cannot be written to")
    assert not areas.with_name("map.json").exists(), "it describes the files of before"


def test_a_map_that_breaks_off_while_it_is_written_leaves_nothing_of_the_one_before(tmp_path: Path):
    path = write_rgb(tmp_path / "scene.tif", texture(128, 128))
    folder = make_map(path, tmp_path / "map")

    def break_off(*_: int) -> None:
        raise KeyboardInterrupt  # While the rasters are written, which come first.

    settings = MapSettings(unsure_below=0)
    with pytest.raises(KeyboardInterrupt):
        map_scene(path, folder, small_classifier(), settings, writing=break_off)
    left = {file.name for file in folder.iterdir()}
    assert left <= {"unfinished", "classes.tif", "confidence.tif", "classes.tif.aux.xml"}
    assert map_scene(path, folder, small_classifier(), settings).was_there is False
    assert {file.name for file in folder.iterdir()} == MAP_FILES


def test_polygons_of_before_are_removed_where_the_scene_has_no_place_any_more(
    tmp_path: Path, command_here: Command
):
    path = write_rgb(tmp_path / "scene.tif", texture(64, 64))
    line = ("eurosat-map", path, "--out", "maps", *SMALL)
    assert command_here(*line).returncode == 0
    write_rgb(path, texture(64, 64), crs=None)
    assert "was mapped before" not in command_here(*line).stdout
    folder = tmp_path / "maps" / "scene"
    assert {file.name for file in folder.iterdir()} == MAP_FILES - {"classes.geojson"}
    assert "was mapped before" in command_here(*line).stdout


def test_a_finished_map_is_kept_unless_something_changed(tmp_path: Path, command_here: Command):
    path = write_rgb(tmp_path / "scene.tif", texture(128, 128))
    line = ("eurosat-map", path, "--out", "maps", *SMALL)
    first = command_here(*line)
    record = tmp_path / "maps" / "scene" / "map.json"
    made = record.stat().st_mtime_ns
    second = command_here(*line)
    assert record.stat().st_mtime_ns == made
    assert second.stdout == first.stdout.replace("mapped:", "was mapped before:")
    third = command_here(*line, "--unsure-below", 0)
    assert record.stat().st_mtime_ns > made
    assert "Unsure" not in third.stdout
    assert "was mapped before" not in command_here(*line).stdout
    assert "was mapped before" in command_here(*line).stdout
    for name in ("classes.tif", "classes.geojson"):
        (record.parent / name).unlink()
        assert "was mapped before" not in command_here(*line).stdout, name
    for options in (("--input", "l1c-tci"), ("--bands", "3,2,1"), ()):
        assert "was mapped before" not in command_here(*line, *options).stdout, options
    edited = json.loads(record.read_text())
    record.write_text(json.dumps(edited | {"areas": [{"title": "edited"}]}))
    assert "was mapped before" not in command_here(*line).stdout
    assert "was mapped before" in command_here(*line).stdout
    write_rgb(path, texture(128, 128, seed=5))
    assert "was mapped before" not in command_here(*line).stdout


def stop_midway(
    process: "subprocess.Popen[str]", folder: Path, how: signal.Signals
) -> tuple[str, Path]:
    """Stop a process when it has classified some rows.

    Returns:
        What it said, and where in the folder of the map the file of answers is.
    """
    pattern = "unfinished/*/probabilities.float32"

    def has_begun() -> bool:
        return any(answers.stat().st_size for answers in folder.glob(pattern))

    while process.poll() is None and not has_begun():
        time.sleep(0.01)
    process.send_signal(how)
    said = process.communicate()[1]
    (answers,) = folder.glob(pattern)
    return said, answers


def test_a_killed_run_goes_on_and_ends_with_the_same_map(
    tmp_path: Path, command: Command, start_command: Start
):
    path = write_rgb(tmp_path / "scene.tif", texture(700, 500))
    line = ("eurosat-map", path, "--stride", 16, *SMALL, "--threads", 1)
    folder = tmp_path / "maps" / "scene"
    process = start_command(*line, "--out", "maps")
    _, answers = stop_midway(process, folder, signal.SIGKILL)
    down, across = WindowGrid(700, 500, 16).windows
    rows = answers.stat().st_size // (across * len(EUROSAT_CLASSES) * 4)
    assert 0 < rows < down, "killed before the end"
    done = command(*line, "--out", "maps")
    assert done.returncode == 0, done.stderr
    assert f"Goes on after {across * rows:,} windows." in done.stderr
    assert not (folder / "unfinished").exists()
    whole = make_map(path, tmp_path / "whole", stride=16)
    for name in sorted(MAP_FILES - {"map.json"}):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.parametrize("model", shipped_model_names())
def test_shipped_models_tell_fields_as_small_as_a_window_apart(
    tmp_path: Path, real_dataset: Dataset, model: str
):
    dice = np.random.default_rng(0)
    unseen = real_dataset.positions(split_dataset(real_dataset).validation)
    chosen = dice.choice(unseen, (8, 8))
    # Of 60 pixels, so that windows meet edges at all places.
    fields = [[real_dataset.tiles[number][:60, :60] for number in row] for row in chosen]
    pixels = np.concatenate([np.concatenate(row, axis=1) for row in fields])
    truth = real_dataset.labels[chosen].repeat(60, axis=0).repeat(60, axis=1)
    path = write_rgb(tmp_path / "scene.tif", pixels)
    made = map_scene(
        path, tmp_path / "map", Classifier.shipped(model), MapSettings(unsure_below=0.0)
    )
    # These models have 0.83 and 0.78; those before, which knew whole tiles alone, 0.69 and 0.68.
    assert (values_in(made.folder / "classes.tif") == truth).mean() > 0.73


def test_the_files_of_a_map_are_no_tiles(tmp_path: Path, command_here: Command):
    scene = write_rgb(tmp_path / "scene.tif", texture(130, 130))
    make_map(scene, tmp_path / "maps" / "scene")
    assert list(find_images([tmp_path])) == [scene]
    done = command_here("eurosat-classify", ".", *SMALL)
    assert done.returncode == 0
    told = "scene.tif is a whole scene and was looked at as one tile: `eurosat-map` makes a map."
    assert done.stderr.endswith(f"Warning: {told}\n")
    shutil.copy(scene, tmp_path / "again.tif")
    told = "2 whole scenes, again.tif among them, were looked at as one tile each: "
    assert told in command_here("eurosat-classify", ".", *SMALL).stderr
    tile = write_rgb(tmp_path / "tile.tif", texture(64, 64))
    assert "Warning" not in command_here("eurosat-classify", tile, *SMALL).stderr


def test_a_stopped_run_goes_on_with_another_threshold_and_after_a_map_of_another_stride(
    tmp_path: Path, command: Command, start_command: Start
):
    path = write_rgb(tmp_path / "scene.tif", texture(700, 500))
    line = ("eurosat-map", path, *SMALL, "--threads", 1, "--out", "maps")
    maps = tmp_path / "maps"
    folder = maps / "scene"
    assert unfinished_settings(path, maps) is None
    stop_midway(start_command(*line, "--stride", 16), folder, signal.SIGKILL)
    assert unfinished_settings(path, maps) == MapSettings(stride=16)
    assert "Goes on after" not in command(*line, "--stride", 32).stderr
    assert {file.name for file in folder.iterdir()} == MAP_FILES | {"unfinished"}
    assert unfinished_settings(path, maps) == MapSettings(stride=16)
    done = command(*line, "--stride", 16, "--unsure-below", 0.25)
    assert "Goes on after" in done.stderr
    record = json.loads((folder / "map.json").read_text(encoding="utf-8"))
    assert (record["unsure_below"], record["stride"]) == (0.25, 16)
    assert {file.name for file in folder.iterdir()} == MAP_FILES
    assert unfinished_settings(path, maps) is None

    stop_midway(start_command(*line, "--stride", 8), folder, signal.SIGKILL)
    write_rgb(path, texture(700, 500, seed=1))
    assert "Goes on after" not in command(*line, "--stride", 8).stderr
    assert {file.name for file in folder.iterdir()} == MAP_FILES


@pytest.mark.skipif("sys.platform == 'win32'", reason="Windows sends Ctrl-C another way")
def test_ctrl_c_leaves_what_is_done(tmp_path: Path, start_command: Start):
    path = write_rgb(tmp_path / "scene.tif", texture(700, 500))
    line = ("eurosat-map", path, "--stride", 16, *SMALL, "--threads", 1, "--out", "maps")
    process = start_command(*line)
    said, answers = stop_midway(process, tmp_path / "maps" / "scene", signal.SIGINT)
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("Stopped.")
    assert "Traceback" not in said
    assert answers.stat().st_size > 0


def test_a_model_of_too_many_classes_makes_no_map():
    map_classes(tuple(map(str, range(254))))
    with pytest.raises(ModelFileError, match="has 255 classes, but a map holds 254 at most"):
        map_classes(tuple(map(str, range(255))))


def test_classes_called_like_what_a_map_counts_itself_are_told_apart(
    tmp_path: Path, command_here: Command
):
    small = small_classifier()
    assert small.metadata is not None
    scene = write_rgb(tmp_path / "scene.tif", texture(330, 300))
    expected = areas_in(make_map(scene, tmp_path / "expected", unsure_below=0.0))
    first, second = sorted(small.class_names, key=lambda name: -int(expected[name]["pixels"]))[:2]
    assert int(expected[second]["pixels"])
    names = {first: "unsure", second: "No_Data"}
    others = tuple(names.get(name, name) for name in small.class_names)
    metadata = dataclasses.replace(small.metadata, class_names=others)
    model = tmp_path / "other.tflite"
    write_model_file(model, read_model_file(small.model_file.path).flatbuffer, metadata)
    options = ("--model", model, "--unsure-below", 0)
    done = command_here("eurosat-map", scene, "--out", "maps", *options)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "maps" / "scene"
    found = areas_in(folder)
    told = {first: "unsure (class)", second: "No_Data (class)"}
    assert [told.get(name, name) for name in expected] == list(found)
    for name, row in expected.items():
        same = found[told.get(name, name)]
        for column in ("pixels", "share_of_classified", "mean_confidence"):
            assert same[column] == row[column]
    assert len({row["title"] for row in found.values()}) == len(found)
    with rasterio.open(folder / "classes.tif") as file:
        assert len({file.tags()[f"CLASS_{number}"] for number in range(11)}) == 11


# Real scenes


def test_a_real_scene_is_mapped_in_its_place(tmp_path: Path):
    folder = make_map(real_scene("spain_s2hand.tif"), tmp_path / "map", stride=32)
    with rasterio.open(folder / "classes.tif") as file:
        longitude, latitude = file.lnglat()
    assert (longitude, latitude) == pytest.approx((-0.759, 38.106), abs=0.001)
    rows = areas_in(folder)
    valid = sum(int(row["pixels"]) for name, row in rows.items() if name != "nodata")
    # 512 x 512 pixels of 7.88 m x 9.97 m, as the note beside the scene says.
    assert valid * 100 == pytest.approx(512 * 512 * 7.88 * 9.97, rel=0.005)
