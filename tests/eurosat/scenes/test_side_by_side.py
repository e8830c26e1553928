"""JPEG 2000 decoded by several threads: the same pixels as by one, and no error goes unheard."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.errors import RasterioIOError

from eurosat.errors import SceneError
from eurosat.scenes import side_by_side
from eurosat.scenes.scene import open_scene

from .product_fixtures import band_of, write_product
from .scene_fixtures import texture, write_rgb

BLOCKS: dict[str, Any] = {"blockxsize": 256, "blockysize": 256}
LOSSLESS = {"driver": "JP2OpenJPEG", "quality": 100, "reversible": "YES"}


@pytest.fixture(params=[1, 2, 3, 8])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many cores there seem to be."""
    monkeypatch.setattr(side_by_side, "usable_cores", lambda: request.param)
    return request.param


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("blocks", [BLOCKS, {"blockxsize": 1024, "blockysize": 1024}])
def test_a_picture_is_read_as_it_was_written(tmp_path: Path, blocks: dict[str, Any]):
    pixels = texture(600, 900)
    path = write_rgb(tmp_path / "scene.jp2", pixels, **LOSSLESS, **blocks)
    with open_scene(path, bands=(3, 1, 2)) as scene:
        for rows, columns in (((0, 600), (0, 900)), ((37, 300), (250, 521)), ((5, 6), (899, 900))):
            read, _ = scene.read_window(rows, columns)
            expected = pixels[slice(*rows), slice(*columns)][..., [2, 0, 1]]
            np.testing.assert_array_equal(read, expected)


@pytest.mark.usefixtures("cores")
def test_a_product_is_read_as_it_was_written(tmp_path: Path):
    product, values = write_product(tmp_path, side=600, **BLOCKS)
    with open_scene(product) as scene:
        expected = np.moveaxis(scene.scaling.to_pixels(values), 0, 2)
        np.testing.assert_array_equal(scene.read_rows(0, 600)[0], expected)
        read, _ = scene.read_window((100, 350), (256, 512))
        np.testing.assert_array_equal(read, expected[100:350, 256:512])


@pytest.mark.usefixtures("cores")
def test_a_file_that_is_cut_short_while_it_is_open_is_told(tmp_path: Path):
    product, _ = write_product(tmp_path, side=900, **BLOCKS)
    with open_scene(product) as scene:
        scene.read_rows(0, 100)
        band = band_of(product, 3)
        with band.open("r+b") as file:
            file.truncate(band.stat().st_size // 2)
        with pytest.raises(SceneError, match="is damaged or cut short"):
            scene.read_rows(600, 900)


def test_nothing_is_decoded_any_more_when_an_error_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(side_by_side, "usable_cores", lambda: 2)
    product, _ = write_product(tmp_path, side=900, **BLOCKS)
    read_into = side_by_side._read_into  # pyright: ignore[reportPrivateUsage]
    at_work: list[threading.Thread] = []

    def watched(values: np.ndarray, handle: Any, bands: list[int], window: Any) -> None:
        if handle.name == str(band_of(product, 4)):
            raise RasterioIOError
        at_work.append(threading.current_thread())
        time.sleep(0.1)
        read_into(values, handle, bands, window)
        at_work.remove(threading.current_thread())

    with open_scene(product) as scene:
        monkeypatch.setattr(side_by_side, "_read_into", watched)
        with pytest.raises(SceneError, match="is damaged or cut short"):
            scene.read_rows(0, 900)
        assert not at_work
