"""Occlusion maps: where something decides, there is heat, and nowhere else."""

import zipfile
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from eurosat.classifier import Classifier
from eurosat.explain import occlusion_map
from eurosat.images import read_image


class BlueIn:
    """A model that looks at one area only and finds class 1 there as far as it is blue."""

    def __init__(self, height: int, width: int, rows: slice, columns: slice) -> None:
        self.input_size = (height, width)
        self._area = (slice(None), rows, columns, 2)

    def classify_batch(self, tiles: np.ndarray) -> np.ndarray:
        assert tiles.dtype == np.uint8
        assert tiles.shape[1:] == (*self.input_size, 3)
        odds = tiles[self._area].mean(axis=(1, 2)) / 64 - 2
        blue = 1 / (1 + np.exp(-odds))
        return np.stack([1 - blue, blue], axis=1).astype(np.float32)

    def as_classifier(self) -> Classifier:
        return cast(Classifier, self)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def blue_in(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    """A dark image that is blue in one area."""
    image = np.zeros((height, width, 3), np.uint8)
    image[rows, columns, 2] = 255
    return image


@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 33), (7, 50), (1, 1), (224, 224)])
def test_the_map_has_the_size_of_the_models_input(height: int, width: int):
    model = BlueIn(height, width, slice(None), slice(None)).as_classifier()
    for image in (noise(64, 64), noise(3, 100), noise(1, 1)):
        heat = occlusion_map(model, image, 1)
        assert heat.shape == (height, width)
        assert heat.dtype == np.float32
        assert np.isfinite(heat).all()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (61, 45)])
def test_heat_lies_where_the_model_looks_and_nowhere_else(height: int, width: int):
    rows, columns = slice(height // 2, height // 2 + 8), slice(width // 2, width // 2 + 8)
    model = BlueIn(height, width, rows, columns).as_classifier()
    heat = occlusion_map(model, blue_in(height, width, rows, columns), 1)
    seen = np.zeros((height, width), bool)
    # A patch that covers a bit of the area reaches this far beyond it.
    reach = -(-max(height, width) // 8)
    seen[rows.start - reach : rows.stop + reach, columns.start - reach : columns.stop + reach] = (
        True
    )
    assert (heat[~seen] == 0).all()
    assert heat[rows, columns].min() > 0
    peak = np.unravel_index(heat.argmax(), heat.shape)
    assert rows.start <= peak[0] < rows.stop
    assert columns.start <= peak[1] < columns.stop


def test_what_speaks_against_a_class_is_cold():
    area = slice(20, 40), slice(20, 40)
    model = BlueIn(64, 64, *area).as_classifier()
    image = blue_in(64, 64, *area)
    np.testing.assert_allclose(
        occlusion_map(model, image, 0), -occlusion_map(model, image, 1), atol=1e-3
    )
    assert occlusion_map(model, image, 0).max() <= 1e-3


def test_the_heat_of_a_pixel_is_the_mean_fall_of_the_log_odds_over_the_patches_on_it():
    model = BlueIn(8, 8, slice(0, 1), slice(0, 1)).as_classifier()
    # With eight pixels across, a patch is one pixel, and moves by one.
    image = np.zeros((8, 8, 3), np.uint8)
    image[0, 0, 2] = 128
    mean = round(128 / 64)
    heat = occlusion_map(model, image, 1)
    assert heat[0, 0] == pytest.approx((128 - mean) / 64, abs=1e-3)
    assert np.abs(np.delete(heat.ravel(), 0)).max() == 0


class BluePixels:
    """A model whose odds of class 1 grow with the number of blue pixels, wherever they are."""

    input_size = (64, 64)

    def classify_batch(self, tiles: np.ndarray) -> np.ndarray:
        odds = (tiles[..., 2] == 255).mean(axis=(1, 2)) * 4 - 1
        blue = 1 / (1 + np.exp(-odds))
        return np.stack([1 - blue, blue], axis=1).astype(np.float32)


def test_heat_is_even_where_everything_counts_alike():
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2, ::2, 2] = image[1::2, 1::2, 2] = 255
    heat = occlusion_map(cast(Classifier, BluePixels()), image, 1)
    # Each patch covers 32 blue pixels of 4,096, at the rim as in the middle.
    np.testing.assert_allclose(heat, 4 * 32 / 4096, rtol=1e-4)


def test_after_a_cancel_the_model_is_asked_no_more():
    asked: list[int] = []

    class Counting(BluePixels):
        def classify_batch(self, tiles: np.ndarray) -> np.ndarray:
            asked.append(len(tiles))
            return super().classify_batch(tiles)

    image = np.zeros((64, 64, 3), np.uint8)
    image[:32, :, 2] = 255
    model = cast(Classifier, Counting())
    assert occlusion_map(model, image, 1).any()
    assert sum(asked) == 226
    asked.clear()
    assert not occlusion_map(model, image, 1, lambda: bool(asked)).any()
    assert 0 < sum(asked) < 50


def test_a_uniform_image_gives_nothing():
    model = BlueIn(64, 64, slice(None), slice(None)).as_classifier()
    assert occlusion_map(model, np.full((64, 64, 3), 90, np.uint8), 1).tolist() == [[0.0] * 64] * 64


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return Classifier.shipped("cnn-int8")


def test_with_a_shipped_model_a_uniform_image_gives_nothing(shipped: Classifier):
    heat = occlusion_map(shipped, np.full((64, 64, 3), 90, np.uint8), 1)
    assert np.abs(heat).max() == 0


def test_with_a_shipped_model_heat_lies_on_the_half_that_shows_the_class(
    shipped: Classifier, small_archive: Path
):
    def tiles(name: str) -> list[np.ndarray]:
        with zipfile.ZipFile(small_archive) as archive:
            names = [entry for entry in archive.namelist() if f"/{name}/" in entry]
            return [read_image(archive.read(entry)) for entry in names[:10]]

    right: list[bool] = []
    for forest, industrial in zip(tiles("Forest"), tiles("Industrial"), strict=True):
        index = shipped.class_names.index("Industrial")
        image = np.hstack([forest[:, :32], industrial[:, 32:]])
        heat = occlusion_map(shipped, image, index)
        right.append(heat[:, 40:].mean() > heat[:, :24].mean())
    assert (len(right), sum(right) >= 7) == (10, True)
