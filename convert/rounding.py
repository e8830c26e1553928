"""Round kernels to 8 bits where it hurts least, instead of each weight to its nearest step.

Rounding each weight of a kernel to the nearest step leaves an error that may add up: nine taps of
a depthwise kernel that are each off by a third of a step shift a whole channel where all nine
pixels are bright. The error of a layer's output is a quadratic form of the rounding error, with
the second moments of the layer's input as its matrix (Nagel et al. 2020, "Up or down? Adaptive
rounding for post-training quantization", arXiv 2004.10568). Moving single weights up or down a
step as long as that form falls finds a rounding whose errors cancel, at no cost when the model
runs. The output aimed at is the one of unrounded layers throughout, so that a kernel also takes
back what the layers before it have done. What is left of the error on average is taken off the
bias.
"""

from collections import Counter

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from .equalise import consumers

LARGEST_STEP = 127
"""Weights are stored symmetrically, from -127 to 127 steps."""

ACTIVATION_STEPS = 255
"""Steps of an activation between its smallest and its largest value."""

TILES = 256
"""How many tiles are looked at, at least; each gives many patches."""

_TILES_AT_A_TIME = 32

_SWEEPS = 4


def round_kernels(model: keras.Model, tiles: np.ndarray) -> None:
    """Move every convolution's kernel of a model, in place, to a grid that int8 represents exactly.

    Layer by layer, in two copies side by side: as it was, and with all that comes before rounded.

    Args:
        model: A model of convolutions with batch normalisation, and of dense layers.
        tiles: Its input, `[n, h, w, 3]`.
    """
    pixels = tf.constant(tiles[:: max(1, len(tiles) // TILES)])
    values = {id(model.input): (pixels, pixels)}
    readers = Counter(id(tensor) for layer in model.layers for tensor in _inputs(layer))
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        exact, rounded = zip(*(values[id(tensor)] for tensor in _inputs(layer)), strict=True)
        exact_output = layer(*_arguments(exact))
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D):
            _round_layer(layer, exact[0], rounded[0])
        rounded_output = layer(*_arguments(rounded))
        if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D | layers.Dense):
            shift = tf.reduce_mean(
                rounded_output - exact_output, range(len(layer.output.shape) - 1)
            )
            if isinstance(layer, layers.Dense):
                layer.bias.assign_sub(shift)
                rounded_output -= shift
            else:
                (normalisation,) = consumers(layer)
                normalisation.moving_mean.assign_add(shift)
                # What is normalised with that mean too, but needs no shift:
                exact_output += shift
        elif _is_stored(layer):
            rounded_output = _on_steps(rounded_output, exact_output)
        values[id(layer.output)] = (exact_output, rounded_output)
        for tensor in _inputs(layer):
            readers[id(tensor)] -= 1
            if not readers[id(tensor)]:
                del values[id(tensor)]  # Many tiles at once take much memory.


def _inputs(layer: keras.Layer) -> list[keras.KerasTensor]:
    if isinstance(layer, layers.InputLayer):
        return []
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _arguments(values: tuple[tf.Tensor, ...]) -> list[tf.Tensor | list[tf.Tensor]]:
    return [values[0] if len(values) == 1 else list(values)]


def _is_stored(layer: keras.Layer) -> bool:
    """Return whether the exported graph stores what the layer gives, in 8 bits.

    Batch normalisation and the activation after it are one operator with their convolution.
    """
    if isinstance(layer, layers.BatchNormalization):
        return not any(isinstance(reader, layers.ReLU) for reader in consumers(layer))
    return isinstance(layer, layers.ReLU | layers.Add)


def _on_steps(values: tf.Tensor, exact: tf.Tensor) -> tf.Tensor:
    """Return activations on the 8-bit steps between the ends of the exact ones."""
    low, high = tf.reduce_min(exact), tf.reduce_max(exact)
    step = tf.maximum(high - low, 1e-6) / ACTIVATION_STEPS
    return tf.round((tf.clip_by_value(values, low, high) - low) / step) * step + low


def _round_layer(layer: keras.Layer, exact: tf.Tensor, rounded: tf.Tensor) -> None:
    """Round the kernel of a layer that is to give for one input what it gave for another."""
    kernel = layer.kernel.numpy().astype(np.float64)
    height, width, channels, filters = kernel.shape
    is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
    if is_depthwise:
        taps = kernel.reshape(height * width, channels).T[:, :, None]
    else:
        taps = kernel.reshape(1, -1, filters)
    moment, wanted = _second_moments(layer, exact, rounded)
    # What is learnt from hardly more places than there are taps is their noise.
    places = np.prod(layer.output.shape[1:3]) * len(rounded)
    trust = max(0.0, 1 - taps.shape[1] / places)
    taps = _rounded(taps, moment, (moment + trust * (wanted - moment)) @ taps)
    layer.kernel.assign((taps[:, :, 0].T if is_depthwise else taps).reshape(kernel.shape))


def _second_moments(
    layer: keras.Layer, exact: tf.Tensor, rounded: tf.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Return sums of products of the rounded pixels under the kernel: with themselves, with exact.

    Both `[1, taps, taps]` for a convolution, `[channels, taps, taps]` for a depthwise one.
    """
    moment = wanted = np.zeros(())
    for start in range(0, len(rounded), _TILES_AT_A_TIME):
        at_a_time = slice(start, start + _TILES_AT_A_TIME)
        given, aim = _patches(layer, rounded[at_a_time]), _patches(layer, exact[at_a_time])
        moment = moment + tf.matmul(given, given, transpose_a=True).numpy().astype(np.float64)
        wanted = wanted + tf.matmul(given, aim, transpose_a=True).numpy().astype(np.float64)
    return moment, wanted


def _patches(layer: keras.Layer, values: tf.Tensor) -> tf.Tensor:
    """Return the pixels under the kernel, one row for each place: `[1 or channels, rows, taps]`."""
    height, width = layer.kernel_size
    patches = tf.image.extract_patches(
        values,
        sizes=(1, height, width, 1),
        strides=(1, *layer.strides, 1),
        rates=(1, 1, 1, 1),
        padding=layer.padding.upper(),
    )
    if isinstance(layer, layers.DepthwiseConv2D):
        patches = tf.reshape(patches, (-1, height * width, values.shape[-1]))
        return tf.transpose(patches, (2, 0, 1))
    return tf.reshape(patches, (1, -1, patches.shape[-1]))


def _rounded(kernel: np.ndarray, moment: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return kernels on their grids, with a small error at the layer's output.

    Args:
        kernel: float64 `[groups, taps, filters]`; each filter has a grid of its own.
        moment: float64 `[groups, taps, taps]`, second moments of the input.
        target: float64 `[groups, taps, filters]`, the moments of the input and the wanted output.
    """
    largest = np.abs(kernel).max(axis=1, keepdims=True)
    step = np.where(largest > 0, largest, 1) / LARGEST_STEP
    steps = np.round(kernel / step)
    # The largest weight of a filter stays where it is: the grid is read from it.
    is_largest = np.abs(steps) == LARGEST_STEP
    gradient = moment @ (steps * step) - target
    for _ in range(_SWEEPS):
        for tap in range(kernel.shape[1]):
            direction = -np.sign(gradient[:, tap])
            gain = 2 * np.abs(gradient[:, tap]) - step[:, 0] * moment[:, tap, tap, None]
            is_refused = (
                (gain <= 0)
                | is_largest[:, tap]
                | (np.abs(steps[:, tap] + direction) >= LARGEST_STEP)
            )
            direction[is_refused] = 0
            if direction.any():
                steps[:, tap] += direction
                moved = direction * step[:, 0]
                gradient += moment[:, :, tap, None] * moved[:, None, :]
    return steps * step
