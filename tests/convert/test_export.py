"""Exported graphs: what they take and give, what they are made of, how near they stay to Keras."""

import os
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from eurosat.classifier import Classifier
from eurosat.convert import export as export_module
from eurosat.convert.equalise import equalise
from eurosat.convert.export import Precision, Recipe, export, export_int8
from eurosat.convert.rounding import round_kernels
from eurosat.dataset import Dataset, load_dataset
from eurosat.errors import ModelFileError
from eurosat.model_file import read_model_file
from eurosat.run_folder import RunFolder
from eurosat.runtime import open_model
from eurosat.train.architectures import build_cnn, build_mobilenet

OPERATOR_NAMES = {
    code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}


@pytest.fixture(scope="module")
def dataset(small_archive: Path) -> Dataset:
    return load_dataset(small_archive)


@pytest.fixture(scope="module")
def tiles(dataset: Dataset) -> np.ndarray:
    """40 tiles, four of each class."""
    return np.array(dataset.tiles[::10])


@pytest.fixture
def cnn(small_run: Path) -> keras.Model:
    return keras.saving.load_model(RunFolder(small_run).model, compile=False)


@pytest.fixture(scope="module")
def mobilenet_weights(tiles: np.ndarray) -> tuple[keras.Model, list[np.ndarray]]:
    """A MobileNet whose batch normalisations have seen tiles, though nothing was fitted."""
    keras.utils.set_random_seed(0)
    model = build_mobilenet(10, image_size=32, width=0.35, units=16, weights="none")
    # Some channels are much weaker than others, as in ImageNet's weights.
    dice = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(dice.uniform(0.2, 1, layer.gamma.shape))
            layer.beta.assign(dice.uniform(-0.1, 0.3, layer.beta.shape))
    for _ in range(10):
        model(tiles, training=True)
    return model, model.get_weights()


@pytest.fixture
def mobilenet(mobilenet_weights: tuple[keras.Model, list[np.ndarray]]) -> keras.Model:
    model, weights = mobilenet_weights
    model.set_weights(weights)
    return model


@pytest.fixture(scope="module")
def mobilenet_int8(
    mobilenet_weights: tuple[keras.Model, list[np.ndarray]], tiles: np.ndarray
) -> bytes:
    model, weights = mobilenet_weights
    model.set_weights(weights)
    return export_int8(model, tiles)[Recipe.NARROWED]


def answers_of(flatbuffer: bytes, tiles: np.ndarray) -> np.ndarray:
    model = open_model(flatbuffer, "the export")
    return np.concatenate([np.array(model.run(tile[None])) for tile in tiles])


def operators_of(flatbuffer: bytes) -> Iterator[tuple[str, set[int], set[int]]]:
    """Name of each operator, types of what it reads, types of what it gives."""
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    graph = model.subgraphs[0]
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        read = {graph.tensors[index].type for index in operator.inputs if index >= 0}
        yield (
            OPERATOR_NAMES[number],
            read,
            {graph.tensors[index].type for index in operator.outputs},
        )


def test_a_few_glaring_tiles_do_not_cost_the_others_their_precision(
    cnn: keras.Model, tiles: np.ndarray
):
    glaring = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (2, 64, 64, 3))
    calibration = np.concatenate([tiles, glaring])
    expected = cnn.predict(tiles, verbose=0)
    files = export_int8(cnn, calibration)
    off = {
        recipe: np.abs(answers_of(files[recipe], tiles) - expected).mean()
        for recipe in (Recipe.ROUNDED, Recipe.NARROWED)
    }
    assert off[Recipe.NARROWED] < 0.97 * off[Recipe.ROUNDED], off


@pytest.mark.parametrize("precision", ["int8", "float32", "float16", "dynamic"])
def test_a_file_takes_raw_tiles_and_gives_the_probabilities_of_keras(
    precision: str, small_models: Path, cnn: keras.Model, dataset: Dataset
):
    path = small_models / f"cnn-{precision}.tflite"
    opened = open_model(read_model_file(path).flatbuffer, path.name)
    assert opened.input.dtype == np.uint8
    assert opened.input.shape == (1, 64, 64, 3)
    assert opened.output.dtype == np.float32
    assert opened.output.shape == (1, 10)

    tiles = np.array(dataset.tiles)
    expected = np.asarray(cnn.predict(tiles, verbose=0))
    answers = Classifier(path, is_calibrated=False).classify_batch(tiles)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    agreement = (answers.argmax(axis=1) == expected.argmax(axis=1)).mean()
    worst, least = {
        "float32": (1e-5, 1.0),
        "float16": (0.01, 0.99),
        "dynamic": (0.15, 0.93),
        "int8": (0.15, 0.93),
    }[precision]
    assert np.abs(answers - expected).max() <= worst
    assert agreement >= least


def test_int16x8_takes_raw_tiles_and_gives_the_probabilities_of_keras(
    cnn: keras.Model, tiles: np.ndarray
):
    flatbuffer = export(cnn, Precision.INT16X8, tiles)
    opened = open_model(flatbuffer, "the export")
    assert opened.input.dtype == np.uint8
    assert opened.output.dtype == np.float32
    expected = np.asarray(cnn.predict_on_batch(tiles))
    assert np.abs(answers_of(flatbuffer, tiles) - expected).max() <= 0.1


def test_smaller_precisions_make_smaller_files(small_models: Path):
    size = {
        precision: (small_models / f"cnn-{precision}.tflite").stat().st_size
        for precision in ("int8", "float32", "float16", "dynamic")
    }
    assert size["float16"] < 0.55 * size["float32"]
    assert size["int8"] < 0.35 * size["float32"]
    assert size["dynamic"] < 0.35 * size["float32"]


def test_int8_computes_in_integers_but_for_the_last_softmax(
    small_models: Path, mobilenet_int8: bytes
):
    cnn_int8 = read_model_file(small_models / "cnn-int8.tflite").flatbuffer
    for flatbuffer, convolutions in ((cnn_int8, 9), (mobilenet_int8, 35)):
        *others, dequantize, softmax = operators_of(flatbuffer)
        integers = {schema.TensorType.INT8, schema.TensorType.UINT8, schema.TensorType.INT32}
        for name, read, given in others:
            assert read | given <= integers, name
        names = [name for name, _, _ in others]
        assert names.count("CONV_2D") >= convolutions
        assert dequantize == (
            "DEQUANTIZE",
            {schema.TensorType.INT8},
            {schema.TensorType.FLOAT32},
        )
        assert softmax == ("SOFTMAX", {schema.TensorType.FLOAT32}, {schema.TensorType.FLOAT32})


@pytest.mark.slow
def test_a_mobilenet_in_int8_stays_near_keras(tiles: np.ndarray):
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    if not list(home.glob("models/mobilenet_v2_*_0.35_224_no_top.h5")):
        pytest.skip("needs ImageNet's weights of width 0.35 in KERAS_HOME")
    model = build_mobilenet(10, image_size=64, width=0.35, units=0)
    # A head by chance, whose logits vary from tile to tile by about one.
    features = keras.Model(model.input, model.get_layer("pooled").output).predict_on_batch(tiles)
    middle = features.mean(axis=0)
    kernel = np.random.default_rng(0).normal(size=(len(middle), 10))
    kernel /= ((features - middle) @ kernel).std(axis=0)
    model.get_layer("logits").kernel.assign(kernel)
    model.get_layer("logits").bias.assign(-middle @ kernel)

    expected = np.asarray(model.predict_on_batch(tiles))
    before = model.get_weights()
    answers = answers_of(export_int8(model, tiles)[Recipe.NARROWED], tiles)
    for values, same in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(values, same, "exporting changed the model itself")
    assert np.corrcoef(np.log(answers).ravel(), np.log(expected).ravel())[0, 1] > 0.95
    assert (
        np.abs(answers - expected).mean() < 0.35 * np.abs(expected - expected.mean(axis=0)).mean()
    )
    assert (answers.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.8


def centred_pixels(tiles: np.ndarray) -> np.ndarray:
    return export_module._centred_pixels(tiles)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("which", ["cnn", "mobilenet"])
def test_centring_the_input_changes_nothing(
    which: str, tiles: np.ndarray, request: pytest.FixtureRequest
):
    model = request.getfixturevalue(which)
    logits = export_module._logits(model)  # pyright: ignore[reportPrivateUsage]
    centred = export_module._centred(logits)  # pyright: ignore[reportPrivateUsage]
    pixels = centred_pixels(tiles)
    assert pixels.min() == pytest.approx(-128 / 127.5)
    assert pixels.max() == pytest.approx(127 / 127.5)
    np.testing.assert_array_equal(np.round(pixels[1:] * 127.5 + 128), tiles)
    expected = np.asarray(logits.predict_on_batch(tiles))
    found = np.asarray(centred.predict_on_batch(pixels[1:]))
    # The rim is filled with 128 instead of 127.5, which only the tiles' edges see.
    assert np.abs(found - expected).max() < 0.02 * expected.std()
    assert np.abs(found - expected).mean() < 0.005 * expected.std()


def test_a_picture_that_is_doubled_and_halved_again_stays_as_it_is(tiles: np.ndarray):
    model = build_mobilenet(10, image_size=128, width=0.35, units=0, weights="none")
    centred = centred_copy(model)
    assert not any(isinstance(layer, keras.layers.Resizing) for layer in centred.layers)

    def first(of: keras.Model, pixels: np.ndarray) -> np.ndarray:
        layer = keras.Model(of.input, of.get_layer("bn_Conv1").output)
        return np.asarray(layer.predict_on_batch(pixels))

    expected = first(model, tiles)
    found = first(centred, centred_pixels(tiles)[1:])
    assert found.shape == expected.shape
    # The rim is filled with 128 instead of 127.5.
    np.testing.assert_allclose(found, expected, atol=0.01)
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-4)
    graph = schema.ModelT.InitFromPackedBuf(export_int8(model, tiles)[Recipe.NARROWED]).subgraphs[0]
    assert graph.tensors[graph.inputs[0]].shape[1:3].tolist() == [64, 64]


def test_equalising_changes_weights_but_not_the_function(mobilenet: keras.Model, tiles: np.ndarray):
    centred = centred_copy(mobilenet)
    before = [np.array(values) for values in centred.get_weights()]
    expected = np.asarray(centred.predict_on_batch(centred_pixels(tiles)))
    equalise(centred, centred_pixels(tiles))
    found = np.asarray(centred.predict_on_batch(centred_pixels(tiles)))
    np.testing.assert_allclose(found, expected, atol=1e-3 * expected.std(), rtol=1e-3)
    changed = [
        not np.array_equal(*pair) for pair in zip(before, centred.get_weights(), strict=True)
    ]
    assert sum(changed) >= 3, "nothing was equalised"


def test_equalised_channels_reach_equally_far(mobilenet: keras.Model, tiles: np.ndarray):
    def peaks(model: keras.Model) -> np.ndarray:
        first = keras.Model(model.input, model.get_layer("Conv1_relu").output)
        return np.asarray(first.predict_on_batch(centred_pixels(tiles))).max(axis=(0, 1, 2))

    centred = centred_copy(mobilenet)
    before = peaks(centred)
    equalise(centred, centred_pixels(tiles))
    after = peaks(centred)
    alive = before > 0
    assert before[alive].max() > 1.5 * before[alive].min()
    np.testing.assert_allclose(after[alive], after.max(), rtol=1e-3)


def test_a_model_without_depthwise_convolutions_is_not_equalised(
    cnn: keras.Model, tiles: np.ndarray
):
    centred = centred_copy(cnn)
    before = [np.array(values) for values in centred.get_weights()]
    equalise(centred, centred_pixels(tiles))
    for values, same in zip(before, centred.get_weights(), strict=True):
        np.testing.assert_array_equal(values, same)


def centred_copy(model: keras.Model) -> keras.Model:
    logits = export_module._logits(model)  # pyright: ignore[reportPrivateUsage]
    return export_module._centred(logits)  # pyright: ignore[reportPrivateUsage]


def steps_of(kernel: np.ndarray, *, depthwise: bool) -> np.ndarray:
    """The step of each filter, whose largest weight is 127 steps; broadcasts to the kernel."""
    axes = (0, 1, 3) if depthwise else (0, 1, 2)
    largest = np.abs(kernel).max(axis=axes, keepdims=True)
    return np.where(largest > 0, largest, 127) / 127


def convolutions_of(model: keras.Model) -> list[keras.Layer]:
    kinds = keras.layers.Conv2D | keras.layers.DepthwiseConv2D
    return [layer for layer in model.layers if isinstance(layer, kinds)]


@pytest.mark.parametrize("which", ["cnn", "mobilenet"])
def test_rounded_kernels_lie_on_the_grid_of_their_largest_weight(
    which: str, tiles: np.ndarray, request: pytest.FixtureRequest
):
    model = centred_copy(request.getfixturevalue(which))
    kernels = {layer.name: layer.kernel.numpy() for layer in convolutions_of(model)}
    round_kernels(model, centred_pixels(tiles))
    for layer in convolutions_of(model):
        is_depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        step = steps_of(kernels[layer.name], depthwise=is_depthwise)
        on_grid = layer.kernel.numpy() / step
        np.testing.assert_allclose(on_grid, np.round(on_grid), atol=1e-3)
        # The scale that the converter reads from the largest weight must stay what it was.
        np.testing.assert_allclose(
            steps_of(layer.kernel.numpy(), depthwise=is_depthwise), step, rtol=1e-5
        )


def test_rounded_kernels_err_less_than_the_nearest(cnn: keras.Model, tiles: np.ndarray):
    model, nearest = centred_copy(cnn), centred_copy(cnn)
    pixels = centred_pixels(tiles)
    wanted = np.asarray(model.predict_on_batch(pixels))
    round_kernels(model, pixels)
    for layer in convolutions_of(nearest):
        step = steps_of(layer.kernel.numpy(), depthwise=False)
        layer.kernel.assign(np.round(layer.kernel.numpy() / step) * step)
    worst, least = (
        np.square(np.asarray(rounded.predict_on_batch(pixels)) - wanted).mean()
        for rounded in (nearest, model)
    )
    assert least < 0.3 * worst


def test_a_model_that_is_not_ours_is_refused(tiles: np.ndarray):
    inputs = keras.Input((64, 64, 3), dtype="uint8")
    features = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    foreign = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(features))
    for precision in Precision:
        with pytest.raises(ModelFileError, match=r"not one of ours: it has no layer logits"):
            if precision is Precision.INT8:
                export_int8(foreign, tiles)
            else:
                export(foreign, precision, tiles)


def test_other_numbers_of_classes_can_be_exported_and_the_model_stays_as_it_is(tiles: np.ndarray):
    model = build_cnn(7, image_size=32, blocks=1, units=0)
    before = model.get_weights()
    answers = answers_of(export_int8(model, tiles)[Recipe.NARROWED], tiles[:5])
    assert answers.shape == (5, 7)
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    for values, same in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(values, same)
