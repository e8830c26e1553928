"""What is a scene, and what a tile."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eurosat.scenes.scene_or_tile import is_scene, is_scene_among_tiles

from .scene_fixtures import (
    texture,
    write_rgb,
    write_scene,
)


def save(path: Path, height: int, width: int) -> Path:
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)
    return path


def test_what_is_placed_on_the_ground_or_large_is_a_scene(tmp_path: Path):
    placed = {
        side: write_rgb(tmp_path / f"placed{side}.tif", texture(64, side)) for side in (64, 65)
    }
    assert not is_scene(placed[64])
    assert is_scene(placed[65])
    plain = write_rgb(tmp_path / "plain.tif", texture(200, 200), crs=None)
    assert not is_scene(plain)
    assert not is_scene(save(tmp_path / "photo.jpg", 1000, 1000))
    assert is_scene(save(tmp_path / "photo.png", 1000, 1001))
    stack = write_scene(tmp_path / "stack.tif", np.ones((13, 70, 70), np.int16))
    assert is_scene(stack)
    jpeg_2000 = write_rgb(tmp_path / "small.jp2", texture(40, 40), driver="JP2OpenJPEG")
    assert is_scene(jpeg_2000)


def test_what_cannot_be_read_is_no_scene(tmp_path: Path):
    (tmp_path / "text.tif").write_text("II is how this text begins")
    for path in (tmp_path, tmp_path / "text.tif", tmp_path / "absent.tif", Path("a\0b")):
        assert not is_scene(path)


def test_among_tiles_nothing_is_opened_that_is_too_small_for_a_scene(tmp_path: Path):
    for side, scene in ((64, False), (65, True)):
        placed = write_rgb(tmp_path / f"placed{side}.tif", texture(20, side), compress="deflate")
        assert placed.stat().st_size < 8000
        assert is_scene_among_tiles(placed) is scene
    photo = tmp_path / "photo.jpg"
    Image.fromarray(texture(1000, 1001)).save(photo, quality=1)
    assert is_scene_among_tiles(photo)
    assert not is_scene_among_tiles(save(tmp_path / "photo.png", 1000, 1000))
    flat = save(tmp_path / "flat.png", 1000, 1001)
    assert is_scene(flat)
    assert not is_scene_among_tiles(flat)
    for path in (tmp_path, tmp_path / "absent.tif", Path("a\0b.tif")):
        assert not is_scene_among_tiles(path)


@pytest.mark.parametrize("kind", [{}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}])
def test_a_tile_of_many_bands_is_no_scene(tmp_path: Path, kind: dict[str, Any]):
    for side in (64, 65):
        stack = np.ones((13, 20, side), np.uint16)
        path = write_scene(tmp_path / f"{side}.tif", stack, **kind)
        assert is_scene(path) is is_scene_among_tiles(path) is (side == 65)
        path.write_bytes(path.read_bytes()[:12])
        assert not is_scene(path), "damaged"
