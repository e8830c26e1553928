"""Keras → TFLite: in int8 in several ways, in every other precision in one.

Whatever the precision, the exported graph takes raw uint8 RGB `[n, 64, 64, 3]` and gives float32
probabilities `[n, classes]`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert import mlir_quantize

from eurosat.doubling import without_doubling
from eurosat.errors import ModelFileError, first_line
from eurosat.graph import Graph
from eurosat.run_folder import LOGITS_LAYER, RESCALING_LAYER
from eurosat.tensorflow_start import native_messages_hidden
from eurosat.views import add_views

from .equalise import consumers, equalise
from .ranges import narrow_ranges
from .rounding import round_kernels

PIXEL_CENTRE = 127.5
"""The pixel that rescaling brings to 0, and what it divides by."""

ZERO_POINT = 128
"""The whole number that stands for 0 in the quantised input."""


class Precision(StrEnum):
    """How weights and activations are stored and computed."""

    INT8 = "int8"
    INT16X8 = "int16x8"
    DYNAMIC = "dynamic"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


class Recipe(StrEnum):
    """What is done to a full-integer model, so that rounding hurts less."""

    PLAIN = "plain"
    EQUALISED = "equalised"
    ROUNDED = "equalised and rounded"
    NARROWED = "equalised and rounded, ranges narrowed"


_INT16X8_OPERATORS = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8


def export(
    model: keras.Model,
    precision: Precision,
    calibration: np.ndarray,
    views: int = 1,
) -> bytes:
    """Convert a model to another precision than int8, for which there is `export_int8`.

    Args:
        model: One of ours: uint8 tiles in, rescaling, a layer of logits, a softmax.
        precision: What to convert to.
        calibration: uint8 RGB `[n, 64, 64, 3]`, training tiles of all classes, on which the
            ranges of activations are measured.
        views: Of how many flips and turns the file gives the mean, see `eurosat.views`.

    Returns:
        The content of a TFLite file, without metadata.

    Raises:
        ModelFileError: The model is not one of ours, or cannot be converted.
    """
    logits = _logits(model)
    if precision is Precision.INT16X8:
        # The converter knows no 16-bit graph of uint8 pixels: it gets one of float pixels.
        logits, pixels = _copy(logits), calibration.astype(np.float32)
        converter = tf.lite.TFLiteConverter.from_keras_model(logits)
        converter.target_spec.supported_ops = [_INT16X8_OPERATORS]
        converter.representative_dataset = lambda: ([tile[None]] for tile in pixels)
    else:
        converter = tf.lite.TFLiteConverter.from_keras_model(logits)
    if precision is not Precision.FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision is Precision.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    with _refusing(precision):
        flatbuffer = converter.convert()
    return _finished(flatbuffer, views)


def export_int8(model: keras.Model, calibration: np.ndarray, views: int = 1) -> dict[Recipe, bytes]:
    """Convert a model to whole numbers in all ways, each of which builds on the one before.

    Args:
        model: As in `export`.
        calibration: As in `export`.
        views: As in `export`.

    Returns:
        The content of a TFLite file for each.

    Raises:
        ModelFileError: The model is not one of ours, or cannot be converted.
    """
    logits, pixels = _centred(_logits(model)), _centred_pixels(calibration)
    preparation = {Recipe.EQUALISED: equalise, Recipe.ROUNDED: round_kernels}
    files: dict[Recipe, bytes] = {}
    calibrated = b""
    for recipe in Recipe:
        if recipe in preparation:
            preparation[recipe](logits, pixels)
            calibrated = b""
        with _refusing(Precision.INT8):
            calibrated = calibrated or _calibrated(logits, pixels)
            if recipe is Recipe.NARROWED:
                calibrated = narrow_ranges(calibrated, pixels[1:])
            flatbuffer = mlir_quantize(
                calibrated, input_data_type=tf.uint8, output_data_type=tf.float32
            )
        files[recipe] = _finished(bytes(flatbuffer), views)
    return files


def _calibrated(logits: keras.Model, pixels: np.ndarray) -> bytes:
    """Do the first of the converter's two steps: a float model that says how far values reach."""
    converter = tf.lite.TFLiteConverter.from_keras_model(logits)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([tile[None]] for tile in pixels)
    converter.inference_input_type = tf.uint8
    converter._experimental_calibrate_only = True
    return converter.convert()


@contextmanager
def _refusing(precision: Precision) -> Iterator[None]:
    """Hide what the converter has to say, and turn what it raises into a refusal."""
    # The refusal is raised inside, so that what the converter has to say stays hidden with it.
    with native_messages_hidden():
        try:
            yield
        except Exception as error:
            raise ModelFileError(
                f"The model cannot be converted to {precision}: {first_line(error)}"
            ) from error


def _logits(model: keras.Model) -> keras.Model:
    """Return the part of the model that ends with the logits.

    Raises:
        ModelFileError: The model is not one of ours.
    """
    names = [layer.name for layer in model.layers]
    for name in (LOGITS_LAYER, RESCALING_LAYER):
        if name not in names:
            raise ModelFileError(f"The Keras model is not one of ours: it has no layer {name}.")
    return keras.Model(model.input, model.get_layer(LOGITS_LAYER).output)


def _centred(model: keras.Model) -> keras.Model:
    """Return a copy whose input is the uint8 pixel minus 128, over 127.5, instead of the pixel.

    With a scale of 1/127.5 and a zero point of 128, the quantised input *is* the raw pixel, and
    the rescaling disappears from the graph. As two int8 operators it would cost six tenths of a
    step in noise, which the first batch normalisation of a network for faint contrasts amplifies
    thirtyfold. The half step between 128 and the true centre of 127.5 goes into that layer's mean.

    Where the model doubles the picture for a convolution of 3 x 3 and stride 2, both become one
    convolution of stride 1 on the picture as it is: an int8 interpolation rounds to whole pixels,
    which costs as much. The zeros around the picture are those that the model puts there.
    """
    (convolution,) = consumers(model.get_layer(RESCALING_LAYER))
    doubling = _doubling(convolution)
    replaced: dict[str, keras.Layer] = {
        name: keras.layers.Identity(name=name)
        for name in (RESCALING_LAYER, *(layer.name for layer in doubling))
    }
    if doubling:
        settings = convolution.get_config() | {"strides": (1, 1), "padding": "same"}
        replaced[convolution.name] = convolution.__class__.from_config(settings)
    copy = _copy(model, replaced)
    convolution = copy.get_layer(convolution.name)
    if doubling:
        convolution.kernel.assign(without_doubling(convolution.kernel.numpy()))
    (normalisation,) = consumers(convolution)
    half_step = (ZERO_POINT - PIXEL_CENTRE) / PIXEL_CENTRE
    shift = half_step * convolution.kernel.numpy().sum(axis=(0, 1, 2))
    normalisation.moving_mean.assign_sub(shift)
    return copy


def _doubling(convolution: keras.Layer) -> list[keras.Layer]:
    """Return the layers that pad, double and crop the picture for a convolution that halves it.

    The list is empty if what stands before the convolution is anything else.
    """
    kinds = (keras.layers.Cropping2D, keras.layers.Resizing, keras.layers.ZeroPadding2D)
    found, layer = [], convolution
    for kind in kinds:
        layer = layer.input._keras_history.operation
        if not isinstance(layer, kind):
            return []
        found.append(layer)
    cropping, resizing, padding = found
    _, height, width, _ = padding.output.shape
    is_doubled = (
        padding.padding == ((1, 1), (1, 1))
        and (resizing.height, resizing.width) == (2 * height, 2 * width)
        and resizing.interpolation == "bilinear"
        and cropping.cropping == ((2, 1), (2, 1))
        and (convolution.kernel_size, convolution.strides) == ((3, 3), (2, 2))
        and convolution.padding == "valid"
    )
    return found if is_doubled else []


def _copy(model: keras.Model, replaced: dict[str, keras.Layer] | None = None) -> keras.Model:
    """Return a copy that takes float32 pixels, with other layers in the place of some, by name."""

    def copied(layer: keras.Layer) -> keras.Layer:
        if replaced and layer.name in replaced:
            return replaced[layer.name]
        return layer.__class__.from_config(layer.get_config())

    pixels = keras.Input(model.inputs[0].shape[1:], dtype="float32", name="tile")
    copy = keras.models.clone_model(model, input_tensors=pixels, clone_function=copied)
    copy.set_weights(model.get_weights())
    return copy


def _centred_pixels(tiles: np.ndarray) -> np.ndarray:
    """Return tiles as `_centred` takes them, behind one that pins the ends of the range."""
    extremes = np.zeros((1, *tiles.shape[1:]), np.uint8)
    extremes[0, 0] = 255
    pixels = np.concatenate([extremes, tiles]).astype(np.float32)
    return (pixels - ZERO_POINT) / np.float32(PIXEL_CENTRE)


def _finished(flatbuffer: bytes, views: int) -> bytes:
    """Return the model with uint8 input, several views, and a softmax in float32 at its end.

    An int8 softmax knows only 256 probabilities, of which 0.996 is the largest; on a handful of
    logits the one in float costs nothing.
    """
    graph = Graph(flatbuffer)
    if graph.tensor(graph.input).type == graph.schema.TensorType.FLOAT32:
        values = graph.input
        graph.input = graph.add_like(values, "pixels", kind="UINT8")
        graph.operators = [graph.operator("CAST", [graph.input], values), *graph.operators]
    if views > 1:
        add_views(graph, views)
    logits = graph.output
    graph.output = graph.add_like(logits, "probabilities")
    softmax = graph.operator("SOFTMAX", [logits], graph.output, beta=1.0)
    graph.operators = [*graph.operators, softmax]
    return graph.packed()
