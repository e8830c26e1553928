"""Scenes that the tests write, and the real ones that stand beside the checkout."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eurosat.classifier import Classifier
from eurosat.model_file import shipped_model_path
from eurosat.scenes.land_map import map_scene
from eurosat.scenes.map_record import MapSettings
from eurosat.scenes.scene import Scene, open_scene

rasterio = pytest.importorskip("rasterio", reason="whole scenes need the extra scene")

UTM = "EPSG:32630"
REAL_SCENES = Path(__file__).resolve().parents[4] / "shared" / "scenes"
MAP_FILES = {
    "areas.csv",
    "classes.geojson",
    "classes.tif",
    "classes.tif.aux.xml",
    "confidence.tif",
    "map.json",
    "map.png",
    "report.html",
}


def grid_at(x: float = 694_000, y: float = 4_220_000, size: float = 10) -> Any:
    """A north-up grid whose upper left corner lies at a place in UTM 30, in Spain."""
    return rasterio.Affine(size, 0, x, 0, -size, y)


def texture(height: int, width: int, seed: int = 0, low: int = 1, high: int = 256) -> np.ndarray:
    """Return uint8 RGB of shape [height, width, 3]: some fields calm, others motley; none empty."""
    dice = np.random.default_rng(seed)

    def spread(values: np.ndarray, side: int) -> np.ndarray:
        return values.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]

    def patches(side: int, channels: int = 3) -> np.ndarray:
        return spread(dice.random((-(-height // side), -(-width // side), channels)), side)

    share = patches(96, 1) ** 2
    ground = (1 - share) * patches(96) + share * patches(4)
    ground = low + (high - 20 - low) * ground
    return (ground + dice.integers(0, 20, (height, width, 3))).astype(np.uint8)


def write_scene(
    path: Path,
    bands: np.ndarray,
    *,
    crs: str | None = UTM,
    transform: Any = None,
    names: tuple[str, ...] = (),
    **profile: Any,
) -> Path:
    """Write an array of shape [bands, height, width] as a GeoTIFF or what `driver` says."""
    place = {} if crs is None else {"crs": crs, "transform": transform or grid_at()}
    count, height, width = bands.shape
    size = {"count": count, "height": height, "width": width, "dtype": bands.dtype.name}
    with rasterio.open(path, "w", **({"driver": "GTiff"} | size | place | profile)) as file:
        file.write(bands)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return path


def write_rgb(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    """Write uint8 RGB of shape [height, width, 3]."""
    return write_scene(path, np.moveaxis(pixels, 2, 0), **options)


def real_scene(name: str) -> Path:
    """Return a real Sentinel-2 scene, or skip the test where it is absent."""
    path = REAL_SCENES / name
    if not path.exists():
        pytest.skip(f"{name} is not there")
    return path


def read_all(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Return all pixels of a scene, and where it has data, which asked alone is the same."""
    height = scene.ground.height
    pixels, has_data = scene.read_rows(0, height)
    found = [scene.read_has_data(row, min(row + 16, height)) for row in range(0, height, 16)]
    np.testing.assert_array_equal(np.concatenate(found), has_data)
    return pixels, has_data


def pixels_of(path: Path, **options: object) -> np.ndarray:
    """Return the pixels of a scene that is opened with some options."""
    with open_scene(path, **options) as scene:  # pyright: ignore[reportArgumentType]
        return read_all(scene)[0]


def said(scene: Scene) -> str:
    """Return all that a scene says about itself."""
    return " ".join([*scene.notes, *scene.warnings])


def small_classifier() -> Classifier:
    """The smaller of the shipped models."""
    return Classifier(shipped_model_path("cnn-int8"))


def make_map(path: Path, folder: Path, **settings: Any) -> Path:
    """Map a scene with the smaller shipped model and return the folder."""
    return map_scene(path, folder, small_classifier(), MapSettings(**settings)).folder
