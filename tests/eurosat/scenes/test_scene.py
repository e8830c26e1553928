"""Scenes: which bands, which values, which ground, and what is refused."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from eurosat.errors import SceneError
from eurosat.scenes.ground import Ground, areas_of_pixels, utm_code
from eurosat.scenes.input_kind import EUROSAT_MEAN, InputKind, Scaling, numbers_of, warnings_of
from eurosat.scenes.scene import open_scene

from ..conftest import assert_one_sentence
from .scene_fixtures import (
    UTM,
    grid_at,
    pixels_of,
    rasterio,
    read_all,
    real_scene,
    said,
    texture,
    write_rgb,
    write_scene,
)


def reflectance(seed: int = 0, low: int = 300) -> np.ndarray:
    """Digital numbers of shape [3, 70, 80], most of them within EuroSAT's range."""
    return np.random.default_rng(seed).integers(low, 3000, (3, 70, 80)).astype(np.uint16)


# Values


def test_l1c_is_scaled_as_gdal_scaled_eurosat(tmp_path: Path):
    values = reflectance()
    path = write_scene(tmp_path / "s.tif", values)
    # gdal_translate -scale 0 2750 1 255 makes such a virtual file.
    source = f'<SourceFilename relativeToVRT="0">{path}</SourceFilename>'
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{n}"><ComplexSource>{source}'
        f"<SourceBand>{n}</SourceBand><ScaleOffset>1</ScaleOffset>"
        f"<ScaleRatio>{254 / 2750}</ScaleRatio></ComplexSource></VRTRasterBand>"
        for n in (1, 2, 3)
    )
    virtual = f'<VRTDataset rasterXSize="80" rasterYSize="70">{bands}</VRTDataset>'
    with rasterio.open(virtual) as file:
        expected = np.moveaxis(file.read(), 0, 2)
    assert np.array_equal(pixels_of(path, kind=InputKind.L1C, offset=0), expected)


def all_bands(values: list[int], dtype: type) -> np.ndarray:
    return np.array([values] * 3, dtype)


def test_the_ends_of_the_scale_are_exact():
    numbers = all_bands([-5, 0, 1, 2750, 9000], np.int16)
    assert Scaling(InputKind.L1C).to_pixels(numbers).tolist() == [[1, 1, 1, 255, 255]] * 3
    numbers = all_bands([995, 1000, 1001, 3750, 65535], np.uint16)
    assert Scaling(InputKind.L1C, -1000).to_pixels(numbers).tolist() == [[1, 1, 1, 255, 255]] * 3


def test_every_pixel_is_made_again_of_its_number():
    pixels = np.arange(1, 256, dtype=np.uint8)
    numbers = numbers_of(np.stack([pixels] * 3))
    assert (numbers[0, 0], numbers[0, -1]) == (0, 2750)
    assert np.array_equal(Scaling(InputKind.L1C).to_pixels(numbers), np.stack([pixels] * 3))


def test_the_true_colour_image_of_l1c_is_scaled_by_its_brightest_value():
    values = all_bands([0, 100, 197, 255], np.uint8)
    # 255 stands for 3558; EuroSAT shows 2750 as 255.
    assert Scaling(InputKind.L1C_TCI).to_pixels(values).tolist() == [[1, 130, 255, 255]] * 3


def test_l2a_gets_back_what_a_clear_sky_adds():
    numbers = all_bands([0, 500, 1000, 2750], np.uint16)
    red, green, blue = Scaling(InputKind.L2A).to_pixels(numbers).astype(int)
    # Blue is scattered most: 6 % of reflectance where the ground is black.
    assert (red[0], green[0], blue[0]) == (17, 33, 56)
    # Air lets less of the ground pass: contrasts grow weaker, those of blue most.
    contrasts = [band[2] - band[0] for band in (red, green, blue)]
    assert 92 > contrasts[0] > contrasts[1] > contrasts[2] > 70
    # The true-colour image shows 2000 as 255; its steps are coarser.
    values = all_bands([0, 64, 128], np.uint8)
    shown = Scaling(InputKind.L2A_TCI).to_pixels(values).astype(int)
    assert np.abs(shown - np.stack([red, green, blue])[:, :3]).max() <= 1
    shifted = Scaling(InputKind.L2A, -1000).to_pixels(numbers + np.uint16(1000))
    assert shifted.tolist() == [red.tolist(), green.tolist(), blue.tolist()]


def test_reflectance_from_0_to_1_is_known_as_such(tmp_path: Path):
    values = reflectance()
    path = write_scene(tmp_path / "share.tif", (values / 10_000).astype(np.float32))
    whole = write_scene(tmp_path / "whole.tif", values)
    options = {"kind": InputKind.L1C, "offset": 0}
    assert np.abs(pixels_of(path, **options).astype(int) - pixels_of(whole, **options)).max() <= 1


@pytest.mark.parametrize(
    ("scale", "added", "size"),
    [
        (0.0001, -0.1, 10),  # Sentinel-2 L2A in the catalogue Earth Search.
        (0.0000275, -0.2, 10),  # Landsat Collection 2.
        (0.0000275, -0.2, 20),  # Resampled.
        (0.5, 0, 10),  # Of no reflectance, but of digital numbers.
    ],
)
def test_the_scale_that_the_file_states_is_used(
    tmp_path: Path, scale: float, added: float, size: float
):
    numbers = np.repeat(reflectance(low=700)[:, :7, :8], 10, axis=1).repeat(10, axis=2)
    wanted = numbers if scale == 0.5 else numbers / 10_000
    stored = np.round((wanted - added) / scale).astype(np.uint16)
    plain = write_scene(tmp_path / "plain.tif", numbers, transform=grid_at(size=size))
    path = write_scene(tmp_path / "s.tif", stored, transform=grid_at(size=size))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (scale,) * 3, (added,) * 3
    expected = pixels_of(plain, kind=InputKind.L1C, offset=0).astype(int)
    found = pixels_of(path, kind=InputKind.L1C)
    assert np.abs(found - expected).max() <= 1
    with open_scene(path) as scene:
        assert ("because it says so" in said(scene)) == (scale != 1)


@pytest.mark.parametrize(
    ("scale", "added"),
    [(np.inf, 0), (1, np.inf), (np.nan, 0), (1e-4, 1e308), (1e308, 0), (1e-320, 1), (-1, 5)],
)
def test_a_scale_that_makes_no_sense_counts_as_none(tmp_path: Path, scale: float, added: float):
    numbers = reflectance()
    plain = write_scene(tmp_path / "plain.tif", numbers)
    path = write_scene(tmp_path / "s.tif", numbers)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (scale,) * 3, (added,) * 3
    assert (pixels_of(path) == pixels_of(plain)).all()


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        ("S2B_MSIL1C_20230111T121649_N0509_R066_T27PTS.tif", -1000),
        ("S2B_MSIL1C_20180111T121649_N0206_R066_T27PTS.tif", 0),
    ],
)
def test_the_baseline_in_the_name_tells_the_offset(tmp_path: Path, name: str, offset: int):
    with open_scene(write_scene(tmp_path / name, reflectance(low=1001))) as scene:
        assert scene.scaling == Scaling(InputKind.L1C, offset)
        assert "baseline" in said(scene)


def test_names_of_other_things_tell_no_baseline(tmp_path: Path):
    with open_scene(write_scene(tmp_path / "dem_N4530_E0123.tif", reflectance())) as scene:
        assert "baseline" not in said(scene)


def test_the_tags_of_the_file_tell_too(tmp_path: Path):
    path = write_scene(tmp_path / "field_2A.tif", reflectance(low=100) + np.uint16(1000))
    with rasterio.open(path, "r+") as file:
        file.update_tags(PROCESSING_LEVEL="Level-1C", PROCESSING_BASELINE="05.09")
    with open_scene(path) as scene:
        assert scene.scaling == Scaling(InputKind.L1C, -1000)
        assert "05.09" in said(scene)


def test_auto_tells_haze_from_none_and_sees_the_offset(tmp_path: Path):
    clear = reflectance(low=100)
    hazy = clear + np.array([400, 600, 800], np.uint16)[:, None, None]
    for name, values, expected in (
        ("clear", clear, Scaling(InputKind.L2A)),
        ("hazy", hazy, Scaling(InputKind.L1C)),
        ("clear-offset", clear + np.uint16(1000), Scaling(InputKind.L2A, -1000)),
        ("hazy-offset", hazy + np.uint16(1000), Scaling(InputKind.L1C, -1000)),
    ):
        with open_scene(write_scene(tmp_path / f"{name}.tif", values)) as scene:
            assert scene.scaling == expected, name


def test_auto_reads_the_level_of_a_true_colour_image_in_its_path(tmp_path: Path):
    for product, kind in (("S2A_MSIL1C_X.SAFE", "l1c-tci"), ("S2A_MSIL2A_X.SAFE", "l2a-tci")):
        (tmp_path / product).mkdir()
        path = write_rgb(tmp_path / product / "T30_TCI_10m.tif", texture(20, 20))
        with open_scene(path) as scene:
            assert scene.scaling.kind == kind
            assert "TCI" in said(scene)


def test_what_cannot_be_is_refused(tmp_path: Path):
    eight = write_rgb(tmp_path / "eight.tif", texture(20, 20))
    sixteen = write_scene(tmp_path / "sixteen.tif", reflectance())
    for path, kind in ((eight, InputKind.L1C), (sixteen, InputKind.L2A_TCI)):
        with pytest.raises(SceneError, match="choose") as refused:
            pixels_of(path, kind=kind)
        assert_one_sentence(refused.value)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_colours_of_8_bits_in_another_type_are_not_taken_for_reflectance(
    tmp_path: Path, dtype: type
):
    values = np.moveaxis(texture(70, 80), 2, 0).astype(dtype)
    path = write_scene(tmp_path / "s.tif", values)
    with pytest.raises(SceneError, match="as 8-bit colours do: save it with 8 bits") as refused:
        open_scene(path).__enter__()
    assert_one_sentence(refused.value)
    with open_scene(path, kind=InputKind.L2A) as scene:
        assert scene.scaling.kind is InputKind.L2A


def test_radar_is_refused(tmp_path: Path):
    path = write_scene(tmp_path / "radar.tif", reflectance().astype(np.complex64))
    with pytest.raises(SceneError, match="complex numbers") as refused:
        open_scene(path).__enter__()
    assert_one_sentence(refused.value)


def test_colours_far_from_eurosat_are_warned_of(tmp_path: Path):
    usual, odd = np.array([88, 97, 104]), np.array([66, 75, 49])  # Those of L2A true colour.
    noise = np.random.default_rng(0).integers(-30, 31, (60, 60, 3))
    for mean, count in ((usual, 0), (odd, 1)):
        path = write_rgb(tmp_path / f"{count}.tif", (mean + noise).astype(np.uint8))
        with open_scene(path) as scene:
            assert len(scene.warnings) == count
    assert "66/75/49" in scene.warnings[0]


def test_products_of_the_level_without_haze_are_warned_of():
    for kind in InputKind:
        expected = [True] if kind.startswith("l2a") else []
        found = ["L2A" in warning for warning in warnings_of(kind, EUROSAT_MEAN)]
        assert found == expected, kind


# Pixels without data


def test_a_pixel_is_empty_if_all_its_bands_are(tmp_path: Path):
    pixels = texture(30, 40)
    pixels[3, 4] = 0
    pixels[5, 6, :2] = 0  # A dark lake has zeros in single bands.
    pixels[7, 8] = 255
    pixels[9, 10, 1] = 255
    plain = write_rgb(tmp_path / "plain.tif", pixels)
    tagged = write_rgb(tmp_path / "tagged.tif", pixels, nodata=255)
    for path, empty in ((plain, [[3, 4]]), (tagged, [[3, 4], [7, 8]])):
        with open_scene(path) as scene:
            assert np.argwhere(~read_all(scene)[1]).tolist() == empty


@pytest.mark.parametrize("marks", [{"nodata": 0}, {}])
def test_empty_pixels_stay_empty_beside_a_band_that_is_full(
    tmp_path: Path, marks: dict[str, float]
):
    values = 10 * np.moveaxis(texture(160, 200), 2, 0).astype(np.uint16)
    values[:, :, :50] = 0
    clouds = np.full((1, 160, 200), 5, np.uint16)
    degrees = rasterio.Affine(9e-5, 0, -0.79, 0, -9e-5, 38.13)
    seen = []
    for bands, names in (
        (values, ("B4", "B3", "B2")),
        (np.concatenate([clouds, values[::-1]]), ("SCL", "B2", "B3", "B4")),
    ):
        path = tmp_path / f"{len(bands)} é%.tif"
        write_scene(path, bands, crs="EPSG:4326", transform=degrees, names=names, **marks)
        with open_scene(path) as scene:
            assert scene.bands == ((1, 2, 3) if len(bands) == 3 else (4, 3, 2))
            seen.append(read_all(scene))
    assert 0.2 < 1 - seen[0][1].mean() < 0.35
    for alone, beside in zip(*seen, strict=True):
        np.testing.assert_array_equal(alone, beside)


def test_jpeg_2000_is_read(tmp_path: Path):
    pixels = texture(150, 120)
    options = {"driver": "JP2OpenJPEG", "quality": 100, "reversible": "YES"}
    with open_scene(write_rgb(tmp_path / "s.jp2", pixels, **options)) as scene:
        assert scene.ground.transform == grid_at()
        assert np.array_equal(read_all(scene)[0], pixels)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_jpeg_2000_cut_short_is_refused(tmp_path: Path, share: float):
    options = {"driver": "JP2OpenJPEG", "blockxsize": 256, "blockysize": 256}
    whole = write_rgb(tmp_path / "whole.jp2", texture(900, 900), **options).read_bytes()
    path = tmp_path / "cut.jp2"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(SceneError, match=r"cut\.jp2 is damaged or cut short"), open_scene(path):
        pass


def test_an_alpha_band_says_what_is_empty(tmp_path: Path):
    pixels = np.dstack([texture(30, 40), np.full((30, 40), 255, np.uint8)])
    pixels[:10, :, 3] = 0
    path = write_rgb(tmp_path / "s.png", pixels, crs=None, driver="PNG")
    with open_scene(path) as scene:
        assert scene.bands == (1, 2, 3)
        assert read_all(scene)[1].sum(axis=1).tolist() == [0] * 10 + [40] * 20


def test_a_mask_inside_the_file_says_what_is_empty_after_resampling_too(tmp_path: Path):
    pixels = texture(60, 80)
    degrees = rasterio.Affine(9e-5, 0, -0.79, 0, -9e-5, 38.13)
    for name, crs, grid in (("plain", "EPSG:32630", grid_at()), ("warped", "EPSG:4326", degrees)):
        path = write_rgb(tmp_path / f"{name}.tif", pixels, crs=crs, transform=grid)
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
            file.write_mask(np.repeat(np.arange(60) < 30, 80).reshape(60, 80))
        with open_scene(path) as scene:
            has_data = read_all(scene)[1]
        assert has_data.sum() * 100 == pytest.approx(2400 * abs(grid_area(path)), rel=0.05)
        assert not has_data[40:].any()


def grid_area(path: Path) -> float:
    """Square metres of a pixel at 38.13° north."""
    with rasterio.open(path) as file:
        return 100 if file.crs.is_projected else 7.89 * 9.99


# Ground


def square_scene(path: Path, crs: str, transform: object, size: tuple[int, int]) -> np.ndarray:
    """Write a grey scene with a white square, and return the square's middle: x and y."""
    height, width = size
    pixels = np.full((height, width, 3), 90, np.uint8)
    rows, columns = slice(height // 4, height // 4 + 20), slice(width // 2, width // 2 + 20)
    pixels[rows, columns] = 250
    write_rgb(path, pixels, crs=crs, transform=transform)
    return np.array(transform @ (width // 2 + 10, height // 4 + 10))  # type: ignore[operator]


def test_pixels_of_kilometres_are_refused(tmp_path: Path):
    world = rasterio.Affine(1.2, 0, -180, 0, -0.6, 90)
    path = write_rgb(tmp_path / "world.tif", texture(300, 300), crs="EPSG:4326", transform=world)
    with pytest.raises(SceneError, match=r"world.tif has pixels of about .+ km, which show"):
        open_scene(path).__enter__()


def test_a_scene_too_wide_for_one_grid_is_refused(tmp_path: Path):
    wide = rasterio.Affine(0.01, 0, -20, 0, -0.001, 50)
    path = write_rgb(tmp_path / "wide.tif", texture(100, 6000), crs="EPSG:4326", transform=wide)
    with pytest.raises(SceneError, match=r"wide\.tif reaches too far around the Earth") as refused:
        open_scene(path).__enter__()
    assert_one_sentence(refused.value)


@pytest.mark.parametrize(
    ("crs", "transform", "code", "reason"),
    [
        ("EPSG:4326", rasterio.Affine(9e-5, 0, -0.79, 0, -9e-5, 38.13), 32630, "degrees"),
        ("EPSG:4326", rasterio.Affine(1.2e-4, 0, 151.1, 0, -9e-5, -33.8), 32756, "degrees"),
        ("EPSG:3857", rasterio.Affine(12.7, 0, -88e3, 0, -12.7, 46e5), 32630, "stretches"),
        ("EPSG:32630", rasterio.Affine(8, 6, 694e3, 6, -8, 422e4), 32630, "not north up"),
        ("EPSG:32630", rasterio.Affine(10, 0, 694e3, 0, 10, 4215e3), 32630, "not north up"),
        ("EPSG:32630", rasterio.Affine(20, 0, 694e3, 0, -20, 422e4), 32630, "20 m × 20 m"),
        ("EPSG:3413", rasterio.Affine(10, 0, -2e6, 0, -10, 1e6), 32604, "north is not up"),
        ("EPSG:2230", rasterio.Affine(33, 0, 63e5, 0, -33, 19e5), 32611, "stretches"),  # Feet.
    ],
)
def test_other_grids_are_resampled_to_utm(
    tmp_path: Path, crs: str, transform: object, code: int, reason: str
):
    pyproj = pytest.importorskip("pyproj")
    place = square_scene(tmp_path / "s.tif", crs, transform, (160, 200))
    with open_scene(tmp_path / "s.tif") as scene:
        assert scene.ground.is_resampled
        assert scene.ground.crs_name == f"EPSG:{code}"
        assert scene.ground.pixel_size == (10, 10)
        assert "Resampled" in said(scene)
        assert reason in said(scene)
        pixels, has_data = read_all(scene)
        rows, columns = np.nonzero(pixels[..., 0] > 170)
        x, y = scene.ground.transform @ (columns.mean() + 0.5, rows.mean() + 0.5)
        expected = pyproj.Transformer.from_crs(crs, code, always_xy=True).transform(*place)
        assert np.hypot(x - expected[0], y - expected[1]) < 10
        # What lies beside the scene is empty; the scene's own area is what it was.
        determinant = abs(transform.determinant)  # type: ignore[attr-defined]
        if crs == "EPSG:32630":
            assert has_data.sum() * 100 == pytest.approx(160 * 200 * determinant, rel=0.03)


def placed_by_points(path: Path, transform: Any, shift: float = 0) -> Path:
    """Write a grey scene with a white square that four control points place, the last one off."""
    square_scene(path, "EPSG:4326", transform, (160, 200))
    with rasterio.open(path) as file:
        pixels = file.read()
    corners = [(0, 0), (0, 200), (160, 0), (160, 200)]
    points = [
        rasterio.control.GroundControlPoint(row, column, *(transform @ (column, row)))
        for row, column in corners
    ]
    points[-1].x += shift
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=160, width=200, dtype="uint8"
    ) as file:
        file.write(pixels)
        file.gcps = (points, rasterio.CRS.from_epsg(4326))
    return path


def test_a_scene_placed_by_control_points_lies_where_they_say(tmp_path: Path):
    pyproj = pytest.importorskip("pyproj")
    grid = rasterio.Affine(1.1e-4, 1e-5, -0.79, 1e-5, -9e-5, 38.13)
    with open_scene(placed_by_points(tmp_path / "s.tif", grid)) as scene:
        assert "placed by control points." in said(scene)
        pixels, has_data = read_all(scene)
        rows, columns = np.nonzero(pixels[..., 0] > 170)
        x, y = scene.ground.transform @ (columns.mean() + 0.5, rows.mean() + 0.5)
        to_utm = pyproj.Transformer.from_crs(4326, 32630, always_xy=True).transform
        expected = to_utm(*(grid @ (200 // 2 + 10, 160 // 4 + 10)))
        assert np.hypot(x - expected[0], y - expected[1]) < 10
        assert has_data.mean() > 0.7
    with open_scene(placed_by_points(tmp_path / "off.tif", grid, shift=0.004)) as scene:
        # A quarter of what the last point is off, which is 351 m, stays at each of the four.
        assert re.search(r"lie up to 8\d m beside a straight grid", said(scene))


@pytest.mark.parametrize("left", [179.99, -180.01, 359.2, 362.5])
def test_a_scene_beyond_180_degrees_is_not_cut_off(tmp_path: Path, left: float):
    pyproj = pytest.importorskip("pyproj")
    transform = rasterio.Affine(1e-4, 0, left, 0, -1e-4, -17)
    longitude, latitude = square_scene(tmp_path / "s.tif", "EPSG:4326", transform, (160, 200))
    with open_scene(tmp_path / "s.tif") as scene:
        pixels, has_data = read_all(scene)
        rows, columns = np.nonzero(pixels[..., 0] > 170)
        assert len(rows) > 400, "all of the square"
        x, y = scene.ground.transform @ (columns.mean() + 0.5, rows.mean() + 0.5)
        to_utm = pyproj.Transformer.from_crs(4326, scene.ground.crs_name, always_xy=True)
        expected = to_utm.transform((longitude + 180) % 360 - 180, latitude)
        assert np.hypot(x - expected[0], y - expected[1]) < 10
        assert has_data.mean() > 0.9


def test_utm_reaches_to_84_north_and_80_south():
    assert [utm_code(15, latitude) for latitude in (83.9, 84.1)] == [32633, 32661]
    assert [utm_code(0, latitude) for latitude in (-79.9, -80.1)] == [32731, 32761]


def test_a_grid_of_10_m_stays_as_it_is(tmp_path: Path):
    pixels = texture(50, 60)
    with open_scene(write_rgb(tmp_path / "s.tif", pixels)) as scene:
        assert not scene.ground.is_resampled
        assert scene.ground.transform == grid_at()
        assert np.array_equal(read_all(scene)[0], pixels)
    oblong = rasterio.Affine(9, 0, 694e3, 0, -11, 422e4)
    with open_scene(write_rgb(tmp_path / "oblong.tif", pixels, transform=oblong)) as scene:
        assert scene.ground.transform == oblong
        assert scene.ground.pixel_name == "9 m × 11 m"


def test_without_a_coordinate_system_10_m_are_assumed_and_said(tmp_path: Path):
    with open_scene(
        write_rgb(tmp_path / "s.png", texture(50, 60), crs=None, driver="PNG")
    ) as scene:
        assert scene.ground.crs_name is None
        assert scene.ground.pixel_name == "10 m assumed"
        assert "10 m to a pixel are assumed" in said(scene)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
def test_a_coordinate_system_without_a_place_in_it_is_none(tmp_path: Path, crs: str):
    pixels = texture(50, 60)
    path = write_rgb(tmp_path / "s.tif", pixels, crs=crs, transform=Affine.identity())
    with open_scene(path) as scene:
        assert scene.ground.crs_name is None
        assert scene.ground.pixel_name == "10 m assumed"
        assert "No place in its coordinate system, so 10 m to a pixel are assumed" in said(scene)
        assert np.array_equal(read_all(scene)[0], pixels)


def test_resampling_darkens_nothing_beside_what_is_empty(tmp_path: Path):
    pixels = np.full((160, 200, 3), 90, np.uint8)
    pixels[:, :50] = 0
    pixels[60:100, 120:160, 0] = 0  # A lake without red light is not empty.
    degrees = rasterio.Affine(9e-5, 0, -0.79, 0, -9e-5, 38.13)
    for name, options in (("plain", {}), ("tagged", {"nodata": 0})):
        path = write_rgb(
            tmp_path / f"{name}.tif", pixels, crs="EPSG:4326", transform=degrees, **options
        )
        with open_scene(path) as scene:
            found, has_data = read_all(scene)
        assert np.unique(found[has_data][:, 1:]).tolist() == [90]
        red = found[has_data][:, 0]
        assert red.min() <= 1
        assert ((red > 10) & (red < 80)).any(), "the shore is smooth"


# Real scenes


def test_the_real_l1c_scene_is_known_as_such():
    with (
        open_scene(real_scene("spain_s2hand.tif")) as raw,
        open_scene(real_scene("spain_utm10m_eurosat_scaling.tif")) as made,
    ):
        assert raw.scaling == Scaling(InputKind.L1C)
        assert raw.bands == (4, 3, 2)
        assert raw.ground.crs_name == made.ground.crs_name == "EPSG:32630"
        assert raw.warnings == made.warnings == ()
        # GDAL made the second file of the first; its grid is shifted by less than a pixel.
        means = [pixels[has_data].mean(axis=0) for pixels, has_data in map(read_all, (raw, made))]
        assert np.abs(means[0] - means[1]).max() < 1


def test_the_real_l2a_scene_is_known_as_such():
    with open_scene(real_scene("demmin_sentinel2_fields.tif")) as scene:
        assert scene.scaling == Scaling(InputKind.L2A)
        assert scene.bands == (1, 2, 3)
        assert "clear sky" in said(scene)
        (warning,) = scene.warnings  # With the sky, its colours are usual.
        assert "simulated" in warning


# What is no scene


def test_bad_files_are_refused_in_one_sentence(tmp_path: Path):
    (tmp_path / "text.tif").write_text("no scene")
    (tmp_path / "empty.tif").touch()
    whole = write_rgb(tmp_path / "whole.tif", texture(300, 300)).read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    write_rgb(tmp_path / "black.tif", np.zeros((20, 20, 3), np.uint8))
    write_scene(tmp_path / "grey.tif", np.ones((1, 20, 20), np.uint8))
    (tmp_path / "folder.tif").mkdir()
    for name in ("text", "empty", "cut", "black", "grey", "folder", "absent"):
        with pytest.raises(SceneError) as refused:
            pixels_of(tmp_path / f"{name}.tif")
        assert_one_sentence(refused.value)
        assert f"{name}.tif" in str(refused.value)


def test_a_product_of_many_rasters_is_refused(tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "product.h5", "w") as file:
        for name in ("red", "green", "blue"):
            file[name] = np.ones((70, 80), np.uint16)
    with pytest.raises(SceneError, match="several rasters") as refused:
        open_scene(tmp_path / "product.h5").__enter__()
    assert_one_sentence(refused.value)


def test_a_scene_smaller_than_a_pixel_is_refused(tmp_path: Path):
    path = write_rgb(tmp_path / "s.tif", texture(50, 60), transform=grid_at(size=0.01))
    with pytest.raises(SceneError, match="smaller than one pixel of 10 m") as refused:
        open_scene(path).__enter__()
    assert_one_sentence(refused.value)


@pytest.mark.parametrize(
    ("side", "size", "warning"),
    [
        (80, 20, None),
        (80, 30, "measure about 30 m"),
        (80, 500, "measure about 500 m"),
        (44, 10, "less than half of a tile"),
        (46, 10, None),
        (600, 0.5, "less than half of a tile"),
    ],
)
def test_pixels_and_scenes_of_odd_sizes_are_warned_of(
    tmp_path: Path, side: int, size: float, warning: str | None
):
    grey = np.random.default_rng(0).integers(80, 110, (side, side, 3)).astype(np.uint8)
    path = write_rgb(tmp_path / "s.tif", grey, transform=grid_at(size=size))
    with open_scene(path) as scene:
        assert len(scene.warnings) == (warning is not None)
        assert warning is None or warning in scene.warnings[0]


@pytest.mark.parametrize(
    ("crs", "left", "top", "side"),
    [
        ("EPSG:32630", 450_000, 4_300_000, 10_000),
        ("EPSG:32630", -900_000, 5_000_000, 10_000),  # Two zones to the west.
        ("EPSG:32760", 790_000, 8_118_000, 10_980),  # On both sides of 180°.
        ("EPSG:32661", 1_950_000, 2_050_000, 10_000),  # With the pole in its middle.
    ],
)
def test_pixels_of_a_resampled_scene_measure_what_they_do_on_the_ellipsoid(
    crs: str, left: float, top: float, side: int
):
    pyproj = pytest.importorskip("pyproj")
    to_degrees = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    place = Affine(10, 0, left, 0, -10, top)
    ground = Ground(side, side, rasterio.CRS.from_string(crs), place, True, "")
    middles = np.array([0.31, 0.5, 0.777]) * side
    areas = areas_of_pixels(ground, middles, middles)
    for row, column in np.ndindex(areas.shape):
        offsets = np.array([(-50, -50), (50, -50), (50, 50), (-50, 50)])
        corners = np.add(offsets, (middles[column], middles[row]))
        places = to_degrees.transform(*(place @ corners.T))
        expected, _ = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(*places)
        assert areas[row, column] == pytest.approx(abs(expected) / 100**2, rel=1e-6)
    as_it_is = areas_of_pixels(replace(ground, is_resampled=False), middles, middles)
    assert (as_it_is == 100).all()


def test_a_projection_without_a_code_is_told_by_its_name(tmp_path: Path):
    named = rasterio.CRS.from_user_input("EPSG:32630+5773")
    unnamed = rasterio.CRS.from_user_input("+proj=laea +lat_0=38 +lon_0=-1 +datum=WGS84")
    for crs, name in ((named, "WGS 84 / UTM zone 30N + EGM96 height"), (unnamed, "without a name")):
        place = grid_at() if crs is named else grid_at(0, 0)
        path = write_rgb(tmp_path / "s.tif", texture(70, 80), crs=crs, transform=place)
        with open_scene(path) as scene:
            assert name in said(scene)
            assert name in (scene.ground.crs_name or "")
            assert "[" not in said(scene)


@pytest.mark.parametrize(
    ("crs", "left"),
    [
        ('LOCAL_CS["arbitrary",UNIT["metre",1]]', 500_000),
        ("EPSG:4978", 500_000),
        ("EPSG:4326", 1_000),
        ("EPSG:32630", 500_000_000),
    ],
)
def test_a_scene_that_lies_nowhere_on_earth_is_refused(tmp_path: Path, crs: str, left: float):
    size = 0.0001 if crs == "EPSG:4326" else 10
    place = Affine(size, 0, left, 0, -size, 4_500_000)
    path = write_rgb(tmp_path / "nowhere.tif", texture(70, 70), crs=crs, transform=place)
    with (
        pytest.raises(SceneError, match=r"nowhere.tif .* place on Earth cannot be computed"),
        open_scene(path),
    ):
        pass


# Parts


@pytest.mark.parametrize("crs", ["EPSG:32630", "EPSG:4326"])
def test_a_part_is_read_where_it_lies(tmp_path: Path, crs: str):
    grid = grid_at() if crs == "EPSG:32630" else grid_at(0.1, 38.2, 1e-4)
    path = write_rgb(tmp_path / "scene.tif", texture(300, 260), crs=crs, transform=grid)
    with open_scene(path) as scene:
        pixels, has_data = read_all(scene)
        window = scene.read_window((40, 140), (20, 220))
        np.testing.assert_array_equal(window[0], pixels[40:140, 20:220])
        np.testing.assert_array_equal(window[1], has_data[40:140, 20:220])
        assert scene.read_window((40, 140), (20, 220), 4)[0].shape == (25, 50, 3)
        part = scene.part((40, 140), (20, 220)).part((10, 60), (30, 90))
        np.testing.assert_array_equal(read_all(part)[0], pixels[50:100, 50:110])
        assert (part.ground.height, part.ground.width) == (50, 60)
        corner = part.ground.transform @ (0, 0)
        assert corner == pytest.approx(scene.ground.transform @ (50, 50))
