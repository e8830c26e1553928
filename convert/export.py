"""Keras → TFLite: one function for every precision.

Whatever the precision, the exported graph takes raw uint8 RGB `[n, 64, 64, 3]` and gives float32
probabilities `[n, classes]`.
"""

from enum import StrEnum

import flatbuffers
import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from eurosat.errors import ModelFileError
from eurosat.tensorflow_start import native_messages_hidden

from .equalise import consumers, equalise
from .rounding import round_kernels

LOGITS_LAYER = "logits"
"""Name of the layer before the softmax in every model of ours."""

RESCALING_LAYER = "rescaled"
"""Name of the layer that brings pixels from 0..255 to -1..1."""

PIXEL_CENTRE = 127.5
"""The pixel that rescaling brings to 0, and what it divides by."""

ZERO_POINT = 128
"""The whole number that stands for 0 in the quantised input."""

FILE_IDENTIFIER = b"TFL3"


class Precision(StrEnum):
    """How weights and activations are stored and computed."""

    INT8 = "int8"
    INT16X8 = "int16x8"
    DYNAMIC = "dynamic"
    FLOAT16 = "float16"
    FLOAT32 = "float32"


CALIBRATED = frozenset({Precision.INT8, Precision.INT16X8})
"""Precisions whose activations are integers with measured ranges."""

_OPERATORS = {
    Precision.INT8: tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    Precision.INT16X8: (tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8),
}


def export(model: keras.Model, precision: Precision, calibration: np.ndarray) -> bytes:
    """Convert a model.

    Args:
        model: One of ours: uint8 tiles in, rescaling, a layer of logits, a softmax.
        precision: What to convert to.
        calibration: uint8 RGB `[n, 64, 64, 3]`, training tiles of all classes, on which the
            ranges of activations are measured.

    Returns:
        The content of a TFLite file, without metadata.

    Raises:
        ModelFileError: The model is not one of ours, or cannot be converted.
    """
    logits = _logits(model)
    if precision is Precision.INT8:
        logits, calibration = _centred(logits), _centred_pixels(calibration)
        equalise(logits, calibration)
        round_kernels(logits, calibration)
    converter = tf.lite.TFLiteConverter.from_keras_model(logits)
    operators = _OPERATORS.get(precision, tf.lite.OpsSet.TFLITE_BUILTINS)
    converter.target_spec.supported_ops = [operators]
    if precision is not Precision.FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision is Precision.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if precision in CALIBRATED:
        converter.representative_dataset = lambda: ([tile[None]] for tile in calibration)
    if precision is Precision.INT8:
        converter.inference_input_type = tf.uint8
    try:
        with native_messages_hidden():
            flatbuffer = converter.convert()
    except Exception as error:
        raise ModelFileError(
            f"The model cannot be converted to {precision}: {str(error).splitlines()[0]}"
        ) from error
    return _with_softmax(flatbuffer)


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
    """
    pixels = keras.Input(model.inputs[0].shape[1:], dtype="float32", name="tile")
    copy = keras.models.clone_model(
        model,
        input_tensors=pixels,
        clone_function=lambda layer: (
            keras.layers.Identity(name=layer.name)
            if layer.name == RESCALING_LAYER
            else layer.__class__.from_config(layer.get_config())
        ),
    )
    copy.set_weights(model.get_weights())
    (convolution,) = consumers(copy.get_layer(RESCALING_LAYER))
    (normalisation,) = consumers(convolution)
    half_step = (ZERO_POINT - PIXEL_CENTRE) / PIXEL_CENTRE
    shift = half_step * np.sum(convolution.kernel, axis=(0, 1, 2))
    normalisation.moving_mean.assign_sub(shift)
    return copy


def _centred_pixels(tiles: np.ndarray) -> np.ndarray:
    """Return tiles as `_centred` takes them, behind one that pins the ends of the range."""
    extremes = np.zeros((1, *tiles.shape[1:]), np.uint8)
    extremes[0, 0] = 255
    pixels = np.concatenate([extremes, tiles]).astype(np.float32)
    return (pixels - ZERO_POINT) / np.float32(PIXEL_CENTRE)


def _with_softmax(flatbuffer: bytes) -> bytes:
    """Return the model with a softmax in float32 as its last operator.

    An int8 softmax knows only 256 probabilities, of which 0.996 is the largest; on a handful of
    logits the one in float costs nothing.
    """
    model = schema.ModelT.InitFromPackedBuf(flatbuffer)
    graph = model.subgraphs[0]
    logits = graph.outputs[0]

    probabilities = schema.TensorT()
    probabilities.name = b"probabilities"
    probabilities.type = schema.TensorType.FLOAT32
    probabilities.shape = list(graph.tensors[logits].shape)
    probabilities.shapeSignature = graph.tensors[logits].shapeSignature
    probabilities.buffer = 0  # By the format, buffer 0 is the empty one.
    graph.tensors.append(probabilities)

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.SOFTMAX
    code.version = 1
    model.operatorCodes.append(code)

    softmax = schema.OperatorT()
    softmax.opcodeIndex = len(model.operatorCodes) - 1
    softmax.inputs = [logits]
    softmax.outputs = [len(graph.tensors) - 1]
    softmax.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    softmax.builtinOptions = schema.SoftmaxOptionsT()
    softmax.builtinOptions.beta = 1.0
    graph.operators.append(softmax)

    graph.outputs = [len(graph.tensors) - 1]
    for signature in model.signatureDefs or []:
        signature.outputs[0].tensorIndex = graph.outputs[0]
    builder = flatbuffers.Builder(len(flatbuffer) + 1024)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())
