"""The two models: raw tiles in, probabilities out, and the weights that were asked for."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from eurosat.errors import EurosatError
from eurosat.train.architectures import (
    BATCH_NORMALISATION_MOMENTUM,
    LOGITS_LAYER,
    build_cnn,
    build_mobilenet,
    head_layers,
)
from eurosat.train.configuration import DEFAULTS, Architecture
from eurosat.train.fit import build_model

TILES = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)


def small_mobilenet(class_count: int = 10, *, weights: str = "none", units: int = 8) -> keras.Model:
    return build_mobilenet(class_count, image_size=32, width=0.35, units=units, weights=weights)


def weight_file(width: float) -> Path:
    folder = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
    path = folder / f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_224_no_top.h5"
    if not path.is_file():
        pytest.skip(f"needs {path.name} in the folder models of KERAS_HOME")
    return path


def first_values(group: h5py.Group, name: str = "kernel") -> np.ndarray:
    """The values of that name in a group, however deep and whatever follows the name."""
    found: list[np.ndarray] = []
    group.visititems(
        lambda path, item: (
            found.append(np.array(item))
            if isinstance(item, h5py.Dataset) and path.rpartition("/")[2].startswith(name)
            else None
        )
    )
    return found[0]


def probabilities_of(model: keras.Model, tiles: np.ndarray = TILES) -> np.ndarray:
    return np.asarray(model.predict_on_batch(tiles))


@pytest.mark.parametrize("class_count", [2, 23])
@pytest.mark.parametrize("build", [build_cnn, small_mobilenet])
def test_takes_raw_tiles_and_gives_probabilities(
    build: Callable[..., keras.Model], class_count: int
):
    model = build(class_count)
    assert model.input_shape == (None, 64, 64, 3)
    assert model.inputs[0].dtype == "uint8"
    probabilities = probabilities_of(model)
    assert probabilities.shape == (5, class_count)
    assert probabilities.dtype == np.float32
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def kernel_shapes(model: keras.Model) -> list[tuple[int, ...]]:
    return [
        tuple(layer.kernel.shape)
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense)
    ]


def test_the_default_cnn_is_the_one_that_ships():
    default = DEFAULTS[Architecture.CNN]
    model = build_model(default, 10)
    assert kernel_shapes(model) == [
        (3, 3, 3, 16),
        (3, 3, 16, 48),
        (3, 3, 48, 48),
        (3, 3, 48, 48),
        (3, 3, 48, 64),
        (3, 3, 64, 64),
        (1, 1, 48, 64),
        (3, 3, 64, 96),
        (3, 3, 96, 96),
        (1, 1, 64, 96),
        (3, 3, 96, 112),
        (3, 3, 112, 112),
        (1, 1, 96, 112),
        (112, 128),
        (128, 10),
    ]
    assert model.count_params() == 500_858
    assert model.get_layer("pooled").input.shape == (None, 5, 5, 112)


@pytest.mark.parametrize(
    ("blocks", "filters", "image_size", "features"),
    [(1, 4, 64, (26, 12)), (2, 8, 64, (10, 32)), (3, 3, 25, (1, 18)), (4, 2, 96, (9, 14))],
)
def test_blocks_and_filters_of_the_cnn(
    blocks: int, filters: int, image_size: int, features: tuple[int, int]
):
    model = build_cnn(3, blocks=blocks, filters=filters, image_size=image_size)
    assert kernel_shapes(model)[0] == (3, 3, 3, filters)
    assert sum(isinstance(layer, keras.layers.Add) for layer in model.layers) == blocks
    side, count = features
    assert model.get_layer("pooled").input.shape == (None, side, side, count)
    assert probabilities_of(model).shape == (5, 3)


def test_other_tiles_get_other_answers():
    probabilities = probabilities_of(build_cnn(3))
    assert len(np.unique(probabilities[:, 0])) == len(TILES)


def test_the_probabilities_are_the_softmax_of_the_logits():
    model = build_cnn(4)
    logits = keras.Model(model.input, model.get_layer(LOGITS_LAYER).output)
    exponentials = np.exp(np.asarray(logits.predict_on_batch(TILES), np.float64))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities_of(model), expected, atol=1e-6)


def test_a_feature_of_the_first_half_of_the_cnn_depends_on_the_pixels_under_it_alone():
    model = build_cnn(3)
    _, second, *_ = (layer for layer in model.layers if isinstance(layer, keras.layers.Add))
    features = keras.Model(model.input, second.output)
    moved = np.roll(TILES, (4, 8), axis=(1, 2))
    here, there = (np.asarray(features.predict_on_batch(tiles)) for tiles in (TILES, moved))
    # Four pixels are one feature; what came in from the other side is left out.
    np.testing.assert_allclose(there[:, 1:, 2:], here[:, :-1, :-2], atol=1e-4)


@pytest.mark.parametrize("size", [25, 64, 96])
def test_tiles_are_resized_inside_the_model(size: int):
    model = build_cnn(3, image_size=size)
    assert model.input_shape == (None, 64, 64, 3)
    first = model.layers[3 if size != 64 else 2]
    assert first.input.shape == (None, size, size, 3)
    assert probabilities_of(model).shape == (5, 3)


def test_a_doubled_tile_ends_in_zeros_that_were_there_before_it_was_doubled():
    model = build_mobilenet(3, image_size=128, width=0.35, units=8, weights="none")
    convolution = model.get_layer("Conv1")
    assert convolution.output.shape == (None, 64, 64, 16)
    white = np.full((1, 64, 64, 3), 255, np.uint8)
    read = np.asarray(keras.Model(model.input, convolution.input).predict_on_batch(white))
    assert read.shape == (1, 129, 129, 3)
    # Interpolated with the zeros around the tile: a quarter of one, and at the end three quarters.
    row = [0.75] + 126 * [1] + [0.75, 0.25]
    np.testing.assert_allclose(read[0, :, 64, 0], row, atol=1e-6)
    np.testing.assert_allclose(read[0, 64, :, 0], row, atol=1e-6)


def test_pixels_are_brought_between_minus_1_and_1():
    model = build_cnn(3)
    scaled = keras.Model(model.input, model.get_layer("rescaled").output)
    tiles = np.zeros((1, 64, 64, 3), np.uint8)
    tiles[0, 0], tiles[0, 1] = 255, 51
    values = np.asarray(scaled.predict_on_batch(tiles))[0]
    for row, expected in ((0, 1.0), (1, -0.6), (2, -1.0), (63, -1.0)):
        np.testing.assert_allclose(values[row], expected, atol=1e-6)


@pytest.mark.parametrize("build", [build_cnn, small_mobilenet])
def test_the_dense_layer_can_be_left_out(build: Callable[..., keras.Model]):
    with_it, without = build(10, units=8), build(10, units=0)
    assert [layer.name for layer in head_layers(with_it)] == [
        "pooled",
        "pooled_dropout",
        "dense",
        "dropout",
        "logits",
        "probabilities",
    ]
    assert [layer.name for layer in head_layers(without)] == [
        "pooled",
        "dropout",
        "logits",
        "probabilities",
    ]
    features = without.get_layer("pooled").output.shape[-1]
    assert with_it.count_params() - without.count_params() == (
        (features + 1) * 8 + (8 + 1) * 10 - (features + 1) * 10
    )


def test_the_head_holds_nothing_of_the_trunk():
    model = small_mobilenet()
    head = {variable.path for layer in head_layers(model) for variable in layer.variables}
    trunk = {variable.path for variable in model.variables} - head
    assert {path.partition("/")[0] for path in head} >= {"dense", "logits"}
    assert len(trunk) == 260, "MobileNetV2 has 52 convolutions, each with a batch normalisation"


@pytest.mark.parametrize("build", [build_cnn, small_mobilenet])
def test_batch_normalisation_forgets_soon(build: Callable[..., keras.Model]):
    momenta = {
        layer.momentum
        for layer in build(10).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert momenta == {BATCH_NORMALISATION_MOMENTUM}
    assert BATCH_NORMALISATION_MOMENTUM < 0.99


@pytest.mark.parametrize("width", [0.35, 1.0])
def test_imagenet_weights_are_loaded(width: int):
    path = weight_file(width)
    with h5py.File(path) as file:
        kernel, gamma = first_values(file["Conv1"]), first_values(file["bn_Conv1"], "gamma")
    for weights in ("imagenet", str(path)):
        model = build_mobilenet(10, image_size=32, width=width, weights=weights)
        np.testing.assert_array_equal(model.get_layer("Conv1").kernel, kernel)
        np.testing.assert_array_equal(model.get_layer("bn_Conv1").gamma, gamma)


def test_imagenet_features_are_not_those_of_random_weights():
    def features(weights: str) -> np.ndarray:
        keras.utils.set_random_seed(1)
        model = small_mobilenet(weights=weights)
        pooled = keras.Model(model.input, model.get_layer("pooled").output)
        return np.asarray(pooled.predict_on_batch(TILES))

    loaded = features(str(weight_file(0.35)))
    np.testing.assert_array_equal(loaded, features("imagenet"))
    assert not np.allclose(loaded, features("none"), atol=0.1)


def test_a_missing_weight_file_is_refused(tmp_path: Path):
    with pytest.raises(EurosatError, match=r"^There is no weight file .*nothing\.h5: .*\.$"):
        small_mobilenet(weights=str(tmp_path / "nothing.h5"))


@pytest.mark.parametrize("name", ["some.h5", "some.weights.h5", "some.keras", "some.txt"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_text("no weights")
    with pytest.raises(EurosatError, match=r"do not fit a MobileNetV2 of width 0\.35"):
        small_mobilenet(weights=str(path))


def test_weights_of_another_width_are_refused():
    with pytest.raises(EurosatError, match=r"do not fit a MobileNetV2 of width 0\.35"):
        small_mobilenet(weights=str(weight_file(1.0)))


def test_weights_of_another_model_are_refused(tmp_path: Path):
    path = tmp_path / "cnn.weights.h5"
    build_cnn(10).save_weights(path)
    with pytest.raises(EurosatError, match=r"do not fit a MobileNetV2 of width 0\.35"):
        small_mobilenet(weights=str(path))
