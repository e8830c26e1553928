"""Batch normalisation as one operator: what Keras spells out in many takes much of an epoch.

Keras 3 composes batch normalisation of means, differences and products, each of which reads and
writes a whole activation, forwards and backwards. TensorFlow has the same function as one operator
(Ioffe and Szegedy 2015). What that gives, `benchmarks/normalisation.py` measures.
"""

from functools import partial

import keras
import tensorflow as tf
from keras import layers

from .architectures import BATCH_NORMALISATION_MOMENTUM

LEFT_OF_STATISTICS = 0.05
"""What moving statistics keep at most of what they were an epoch ago."""


def fuse_normalisation(model: keras.Model, batch_size: int) -> None:
    """Let the batch normalisations of a model run as one operator each.

    It is done to the layers of this very model, not to what is saved of it.

    Args:
        model: Its normalised activations are float32 `[n, h, w, channels]`.
        batch_size: Tiles in a full batch; a smaller one changes the moving statistics by less.
    """
    for layer in _normalisations(model):
        layer.call = partial(_normalised, layer, batch_size)


def set_momentum(model: keras.Model, batches: float) -> None:
    """Let moving statistics follow the weights within an epoch, however few batches it has.

    With a fixed momentum, validation would see statistics of weights from many epochs ago.

    Args:
        model: Has not been trained since it was compiled.
        batches: Full batches of an epoch, above 0; a part of one counts as a part.
    """
    for layer in _normalisations(model):
        layer.momentum = min(BATCH_NORMALISATION_MOMENTUM, LEFT_OF_STATISTICS ** (1 / batches))


def _normalisations(model: keras.Model) -> list[layers.BatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def _normalised(
    layer: layers.BatchNormalization,
    batch_size: int,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: None = None,
) -> tf.Tensor:
    """Do what the layer's own `call` does where there is no mask."""
    is_fitted = bool(training and layer.trainable)
    statistics = {} if is_fitted else {"mean": layer.moving_mean, "variance": layer.moving_variance}
    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        inputs,
        layer.gamma,
        layer.beta,
        epsilon=layer.epsilon,
        is_training=is_fitted,
        **statistics,
    )
    if is_fitted:
        # The operator gives the variance of the population that the batch is a sample of.
        count = tf.cast(tf.size(inputs) / tf.shape(inputs)[-1], tf.float32)
        fresh = (mean, variance * (count - 1) / count)
        full = tf.cast(tf.shape(inputs)[0] / batch_size, tf.float32)
        kept = tf.pow(layer.momentum, full)
        for moving, new in zip((layer.moving_mean, layer.moving_variance), fresh, strict=True):
            moving.assign(moving * kept + new * (1 - kept))
    return outputs
