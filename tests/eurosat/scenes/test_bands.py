"""Which bands of a file are taken for red, green and blue."""

from pathlib import Path

import numpy as np
import pytest

from eurosat.errors import SceneError
from eurosat.scenes.scene import open_scene

from ..conftest import assert_one_sentence
from .scene_fixtures import pixels_of, read_all, said, texture, write_rgb, write_scene


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("B2", "B3", "B4", "B8"), (3, 2, 1)),
        (("B02 (490 nm)", "B03 (560 nm)", "B04 (665 nm)", "B8A"), (3, 2, 1)),
        (("Red edge 1", "blue", "green", "B4 - Red"), (4, 3, 2)),
        (("Blue", "Green", "Red", "NIR"), (3, 2, 1)),
        (("Near infra-red", "Red, 665nm", "Green, 560nm", "Blue, 490nm"), (2, 3, 4)),
        (("B", "G", "R", "N"), (3, 2, 1)),
        (  # PlanetScope.
            ("coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"),
            (6, 4, 2),
        ),
        (("Coastal Blue", "Blue", "Green", "Yellow", "Red", "Red Edge", "NIR1"), (5, 3, 2)),
        (("Coastal blue (443 nm)", "Blue (490 nm)", "Green (560 nm)", "Red (665 nm)"), (4, 3, 2)),
        (("B2", "B3", "B4", "B2_1", "B3_1", "B4_1"), (3, 2, 1)),
        (tuple(f"SR_B{number}" for number in range(1, 8)), (4, 3, 2)),  # Landsat 8 and 9.
        (("LC08_SR_B2", "LC08_SR_B3", "LC08_SR_B4", "LC08_SR_B5"), (3, 2, 1)),
    ],
)
def test_bands_are_found_by_their_names(
    tmp_path: Path, names: tuple[str, ...], expected: tuple[int, ...]
):
    values = np.random.default_rng(0).integers(1, 255, (len(names), 10, 12)).astype(np.uint8)
    path = write_scene(tmp_path / "s.tif", values, names=names)
    with open_scene(path) as scene:
        assert scene.bands == expected
        assert "names" in said(scene)
        assert np.array_equal(read_all(scene)[0], np.moveaxis(values[np.array(expected) - 1], 0, 2))


@pytest.mark.parametrize(
    "names", [("B8", "B4", "B3"), ("NIR", "Red", "Green"), ("B12", "B11", "B04")]
)
def test_false_colours_are_not_taken_for_true_ones(tmp_path: Path, names: tuple[str, ...]):
    path = write_rgb(tmp_path / "s.tif", texture(70, 80), names=names)
    with pytest.raises(SceneError, match=rf"names its bands {', '.join(names)}, which") as refused:
        open_scene(path).__enter__()
    assert_one_sentence(refused.value)
    with open_scene(path, bands=(1, 2, 3)) as scene:
        assert scene.bands == (1, 2, 3)


@pytest.mark.parametrize(
    "names",
    [
        ("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"),  # Of Landsat 5 and 7: 3, 2 and 1.
        ("SR_B2", "SR_B3", "SR_B4"),
        ("LE07_SR_B2", "LE07_SR_B3", "LE07_SR_B4"),
        ("Blue 1", "Blue 2", "Green", "Red"),
    ],
)
def test_names_that_fit_several_bands_are_not_guessed_from(tmp_path: Path, names: tuple[str, ...]):
    values = np.random.default_rng(0).integers(1, 255, (len(names), 70, 80)).astype(np.uint8)
    path = write_scene(tmp_path / "s.tif", values, names=names)
    with pytest.raises(SceneError, match=r"do not tell for certain .* choose the bands") as refused:
        open_scene(path).__enter__()
    assert_one_sentence(refused.value)
    with open_scene(path, bands=(3, 2, 1)) as scene:
        assert scene.bands == (3, 2, 1)


def test_coastal_blue_is_not_taken_for_blue(tmp_path: Path):
    names = ("Coastal Blue", "Green", "Red")
    path = write_rgb(tmp_path / "s.tif", texture(70, 80), names=names)
    with pytest.raises(SceneError, match="which are not red, green and blue"):
        open_scene(path).__enter__()


def test_names_that_only_count_the_bands_say_nothing_of_colours(tmp_path: Path):
    path = write_rgb(tmp_path / "s.tif", texture(70, 80), names=("B1", "B2", "B3"))
    with open_scene(path) as scene:
        assert scene.bands == (1, 2, 3)


def test_all_bands_of_sentinel_2_have_a_known_order(tmp_path: Path):
    values = np.random.default_rng(0).integers(1, 255, (13, 9, 9)).astype(np.uint8)
    with open_scene(write_scene(tmp_path / "s.tif", values, photometric="minisblack")) as scene:
        assert scene.bands == (4, 3, 2)


def test_bands_can_be_told(tmp_path: Path):
    values = np.random.default_rng(0).integers(1, 255, (5, 9, 9)).astype(np.uint8)
    path = write_scene(tmp_path / "s.tif", values, photometric="minisblack")
    with (
        pytest.raises(SceneError, match=r"5 bands .*choose the bands, such as 3,2,1") as refused,
        open_scene(path),
    ):
        pass
    assert_one_sentence(refused.value)
    found = pixels_of(path, bands=(5, 1, 3))
    assert np.array_equal(found, np.moveaxis(values[[4, 0, 2]], 0, 2))
    with pytest.raises(SceneError, match="not all that were asked for"):
        pixels_of(path, bands=(6, 1, 3))
