"""First weights from a converted model: what an int8 file holds becomes a model to train again.

A converted model has no batch normalisation any more: it went into kernels and biases. It is put
back with the statistics of what passes through, so that training can go on with it.
"""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers

from eurosat.dataset import Dataset
from eurosat.doubling import with_doubling
from eurosat.errors import EurosatError
from eurosat.graph import Graph
from eurosat.model_file import find_model, read_model_file
from eurosat.run_folder import LOGITS_LAYER, RESCALING_LAYER
from eurosat.split import Split

from .first_shape import no_int8_model
from .trained_model import open_model, recorded_fingerprint, recorded_split

STATISTICS_TILES = 512
"""How many tiles batch normalisation is measured on."""

_BATCH_SIZE = 16


@dataclass(frozen=True)
class _Weights:
    """What one convolution or dense layer of a file holds.

    Attributes:
        kernel: float32, in the layout of Keras.
        bias: float32 `[filters]`.
        strides: Of a convolution, in pixels; else 1.
    """

    kernel: np.ndarray
    bias: np.ndarray
    strides: int


def check_converted_model(source: str, dataset: Dataset, split: Split) -> None:
    """Refuse a converted model that cannot be gone on from.

    Args:
        source: A `.tflite` file, or the name of a shipped model.
        dataset: What the new model learns from.
        split: Of the new run.

    Raises:
        ModelFileError: The file is damaged, no int8 model of ours, or does not say how its data was
            split.
        EurosatError: It may know tiles that the new model is judged on.
    """
    path = find_model(source)
    _read_weights(path)
    known = open_model(path)
    if recorded_fingerprint(known) not in (None, dataset.fingerprint):
        return
    if not recorded_split(known, dataset, "begin with another model").has_exam_of(split):
        raise EurosatError(
            f"{path} was trained on other tiles than this run, and may know those that the model "
            "is judged on: train with its --split-seed and its fractions."
        )


def take_converted_weights(model: keras.Model, source: str, tiles: np.ndarray) -> None:
    """Give a model the weights of a converted one, but for the logits of other classes.

    Every channel of a kernel that is normalised gets the length 1. What it is worth stands in its
    normalisation, so that the length only says how fast it learns: the file's own would tell how
    ranges were evened out for int8.

    Args:
        model: A fresh model.
        source: A `.tflite` file, or the name of a shipped model.
        tiles: uint8 RGB `[n, 64, 64, 3]`, training tiles of all classes.

    Raises:
        ModelFileError: The file is damaged, or no int8 model of ours.
        EurosatError: It is of another architecture or size.
    """
    path = find_model(source)
    held, pixel_0 = _read_weights(path)
    weighted = [layer for layer in model.layers if hasattr(layer, "kernel")]
    normalised: list[tuple[keras.Layer, layers.BatchNormalization]] = []
    for number, layer in enumerate(weighted):
        shape = tuple(layer.kernel.shape)
        weights = next((one for one in held if one.kernel.shape == shape), None)
        if weights is None:
            if layer.name == LOGITS_LAYER:
                held = held[1:]
                continue
            raise _is_other(path)
        # Convolutions of one block may stand in another order, but then their shapes differ.
        held = [one for one in held if one is not weights]
        kernel, bias = weights.kernel, weights.bias
        if number == 0:
            off = pixel_0 - model.get_layer(RESCALING_LAYER).offset
            bias = bias + off * kernel.sum(axis=(0, 1, 2))
            if weights.strides != layer.strides[0]:
                kernel = with_doubling(kernel)
        normalisation = _reader(model, layer)
        if isinstance(normalisation, layers.BatchNormalization):
            _take_unmeasured(layer, normalisation, kernel, bias)
            normalised.append((layer, normalisation))
        else:
            layer.set_weights([kernel, bias])
    if held:
        raise _is_other(path)
    _measure(model, normalised, tiles)


def _take_unmeasured(
    layer: keras.Layer,
    normalisation: layers.BatchNormalization,
    kernel: np.ndarray,
    bias: np.ndarray,
) -> None:
    """Share a kernel and a bias out to a convolution and a normalisation yet to be measured."""
    channel_axis = 2 if isinstance(layer, layers.DepthwiseConv2D) else 3
    axes = tuple(axis for axis in range(4) if axis != channel_axis)
    length = np.sqrt(np.square(kernel).sum(axis=axes, keepdims=True))
    length[length == 0] = 1
    layer.kernel.assign(kernel / length)
    nothing = np.zeros_like(bias)
    variance = np.full_like(bias, 1 - normalisation.epsilon)
    normalisation.set_weights([length.ravel(), bias, nothing, variance])


def _measure(
    model: keras.Model,
    normalised: list[tuple[keras.Layer, layers.BatchNormalization]],
    tiles: np.ndarray,
) -> None:
    """Give normalisations that pass what they get the statistics of it, with the same outcome."""
    passing = keras.Model(model.input, [layer.output for layer, _ in normalised])
    sums = [np.zeros((2, normalisation.gamma.shape[0])) for _, normalisation in normalised]
    counts = [0] * len(sums)
    for start in range(0, len(tiles), _BATCH_SIZE):
        passed = passing.predict_on_batch(tiles[start : start + _BATCH_SIZE])
        for place, of_tiles in enumerate(passed):
            values = of_tiles.reshape(-1, of_tiles.shape[-1]).astype(np.float64)
            sums[place] += values.sum(axis=0), np.square(values).sum(axis=0)
            counts[place] += len(values)
    for (_, normalisation), (total, squares), count in zip(normalised, sums, counts, strict=True):
        scale, bias = normalisation.gamma.numpy(), normalisation.beta.numpy()
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0)
        gamma = scale * np.sqrt(variance + normalisation.epsilon)
        normalisation.set_weights([gamma, bias + scale * mean, mean, variance])


def _reader(model: keras.Model, layer: keras.Layer) -> keras.Layer | None:
    """Return the first layer of a model that reads what another gives."""
    nodes = (node.operation for node in layer._outbound_nodes)
    return next((reader for reader in nodes if reader in model.layers), None)


def _read_weights(path: Path) -> tuple[list[_Weights], float]:
    """Return the weights of an int8 file, in the order of its graph, and what its pixel 0 means.

    Raises:
        ModelFileError: The file is damaged, or no int8 model of ours.
    """
    flatbuffer = read_model_file(path).flatbuffer
    # The generated code raises errors of many types for a damaged graph.
    try:
        graph = Graph(flatbuffer)
        found = [
            _Weights(
                to_keras(_values(graph, operator.inputs[1])),
                _values(graph, operator.inputs[2]),
                getattr(operator.builtinOptions, "strideH", 1),
            )
            for operator in graph.operators
            if (to_keras := _LAYOUTS.get(graph.kind(operator)))
        ]
        pixels = graph.tensor(graph.input)
        pixel_0 = -float(pixels.quantization.scale[0]) * int(pixels.quantization.zeroPoint[0])
    except Exception as error:
        raise no_int8_model(path) from error
    return found, pixel_0


_LAYOUTS = {
    "CONV_2D": lambda kernel: kernel.transpose(1, 2, 3, 0),
    "DEPTHWISE_CONV_2D": lambda kernel: kernel.transpose(1, 2, 3, 0),
    "FULLY_CONNECTED": lambda kernel: kernel.transpose(),
}
"""From the layout of a TFLite kernel to that of Keras."""


def _values(graph: Graph, index: int) -> np.ndarray:
    """Return the real numbers that an int8 kernel or an int32 bias stands for, as float32."""
    tensor, types = graph.tensor(index), graph.schema.TensorType
    dtype = {types.INT8: np.int8, types.INT32: np.int32}[tensor.type]
    whole = graph.model.buffers[tensor.buffer].data.view(dtype).reshape(tensor.shape)
    scale = np.asarray(tensor.quantization.scale, np.float32)
    shape = [1] * whole.ndim
    shape[tensor.quantization.quantizedDimension if len(scale) > 1 else 0] = len(scale)
    # Weights are symmetric: their zero is 0.
    return whole * scale.reshape(shape)


def _is_other(path: Path) -> EurosatError:
    return EurosatError(
        f"{path} is of another architecture, or has other blocks, filters, width or units than "
        "this run: train with those of its card."
    )
