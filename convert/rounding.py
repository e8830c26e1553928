"""Round kernels to 8 bits where it hurts least, instead of each weight to its nearest step.

Rounding each weight of a kernel to the nearest step leaves an error that may add up: nine taps of
a depthwise kernel that are each off by a third of a step shift a whole channel where all nine
pixels are bright. The error of a layer's output is a quadratic form of the rounding error, with
the second moments of the layer's input as its matrix (Nagel et al. 2020, "Up or down? Adaptive
rounding for post-training quantization", arXiv 2004.10568). Moving single weights up or down a
step as long as that form falls finds a rounding whose errors cancel, at no cost when the model
runs.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

LARGEST_STEP = 127
"""Weights are stored symmetrically, from -127 to 127 steps."""

_SWEEPS = 4
_BATCH_SIZE = 32


def round_kernels(model: keras.Model, tiles: np.ndarray) -> None:
    """Move every kernel of a model, in place, to a grid that int8 represents exactly.

    Args:
        model: A model of convolutions and dense layers.
        tiles: Its input, `[n, h, w, 3]`: what the second moments are measured on.
    """
    rounded = [
        layer for layer in model.layers if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)
    ]
    inputs = keras.Model(model.input, [layer.input for layer in rounded])
    moments = [0.0] * len(rounded)
    for start in range(0, len(tiles), _BATCH_SIZE):
        features = inputs.predict_on_batch(tiles[start : start + _BATCH_SIZE])
        for position, (layer, values) in enumerate(zip(rounded, features, strict=True)):
            moments[position] += _second_moments(layer, tf.constant(values))
    for layer, moment in zip(rounded, moments, strict=True):
        kernel = np.array(layer.kernel, dtype=np.float64)
        height, width, channels, filters = kernel.shape
        if isinstance(layer, layers.DepthwiseConv2D):
            taps = kernel.reshape(height * width, channels).T[:, :, None]
            kernel = _rounded(taps, moment)[:, :, 0].T.reshape(kernel.shape)
        else:
            taps = kernel.reshape(1, -1, filters)
            kernel = _rounded(taps, moment).reshape(kernel.shape)
        layer.kernel.assign(kernel)


def _second_moments(layer: keras.Layer, values: tf.Tensor) -> np.ndarray:
    """Return sums of products of the pixels under the kernel.

    `[1, taps, taps]` for a convolution, `[channels, taps, taps]` for a depthwise one.
    """
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
        return tf.einsum("npc,nqc->cpq", patches, patches).numpy().astype(np.float64)
    patches = tf.reshape(patches, (-1, patches.shape[-1]))
    return tf.matmul(patches, patches, transpose_a=True).numpy().astype(np.float64)[None]


def _rounded(kernel: np.ndarray, moment: np.ndarray) -> np.ndarray:
    """Return kernels on their grids, with a small error at the layer's output.

    Args:
        kernel: float64 `[groups, taps, filters]`; each filter has a grid of its own.
        moment: float64 `[groups, taps, taps]`, second moments of the input.
    """
    largest = np.abs(kernel).max(axis=1, keepdims=True)
    step = np.where(largest > 0, largest, 1) / LARGEST_STEP
    steps = np.round(kernel / step)
    # The largest weight of a filter stays where it is: the grid is read from it.
    is_largest = np.abs(steps) == LARGEST_STEP
    gradient = moment @ (steps * step - kernel)
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
