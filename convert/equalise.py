"""Give every channel of an activation the same range before it is quantised.

int8 gives a whole activation tensor one scale. A channel that only reaches 0.3 where its neighbour
reaches 6 keeps a dozen of the 255 steps, and the next layer multiplies the rounding error by the
large weights that it has for such a channel. ImageNet's MobileNetV2 is full of such channels behind
its first convolution, and loses several points of accuracy to them.

Scaling a channel up before a ReLU and down again in the kernels that read it leaves the function as
it is and takes the error away: cross-layer equalisation (Nagel et al. 2019, arXiv 1906.04721), here
with measured activation ranges, which also holds for ReLU6.
"""

import keras
import numpy as np
from keras import layers

_BATCH_SIZE = 32

_SEEN_THROUGH = (layers.ZeroPadding2D, layers.Resizing, layers.Cropping2D)


def equalise(model: keras.Model, tiles: np.ndarray) -> None:
    """Equalise a model in place, wherever depthwise convolutions read what a ReLU gives.

    A depthwise kernel has a scale for each channel, so that scaling it down costs nothing.

    Args:
        model: A model of convolutions with batch normalisation.
        tiles: Its input, `[n, h, w, 3]`: what the ranges of channels are measured on.
    """
    places = []
    for activation in model.layers:
        if not isinstance(activation, layers.ReLU):
            continue
        normalisation = activation.input._keras_history.operation
        kernels = consumers(activation)
        if isinstance(normalisation, layers.BatchNormalization) and all(
            isinstance(kernel, layers.DepthwiseConv2D) for kernel in kernels
        ):
            places.append((normalisation, activation, kernels))
    if not places:
        return
    activations = keras.Model(model.input, [activation.output for _, activation, _ in places])
    peaks = [np.zeros(activation.output.shape[-1]) for _, activation, _ in places]
    for start in range(0, len(tiles), _BATCH_SIZE):
        values = activations.predict_on_batch(tiles[start : start + _BATCH_SIZE])
        values = values if isinstance(values, list) else [values]
        peaks = [
            np.maximum(peak, value.max(axis=(0, 1, 2)))
            for peak, value in zip(peaks, values, strict=True)
        ]
    for (normalisation, activation, kernels), peak in zip(places, peaks, strict=True):
        ceiling = activation.max_value or peak.max()
        # A channel that was always 0 stays as it is.
        scale = np.where(peak > 0, ceiling / np.where(peak > 0, peak, 1), 1)
        normalisation.gamma.assign(normalisation.gamma * scale)
        normalisation.beta.assign(normalisation.beta * scale)
        for kernel in kernels:
            kernel.kernel.assign(kernel.kernel / scale[None, None, :, None])


def consumers(layer: keras.Layer) -> list[keras.Layer]:
    """Return the layers that read what a layer gives, seen through padding and resizing."""
    found = []
    for node in layer._outbound_nodes:
        reader = node.operation
        found += consumers(reader) if isinstance(reader, _SEEN_THROUGH) else [reader]
    return found
