"""Batch normalisation as one operator: what Keras spells out in many takes much of an epoch.

Keras 3 composes batch normalisation of means, differences and products, each of which reads and
writes a whole activation, forwards and backwards. TensorFlow has the same function as one operator
(Ioffe and Szegedy 2015). What that gives, `benchmarks/normalisation.py` measures.
"""

from functools import partial

import keras
import tensorflow as tf
from keras import layers


def fuse_normalisation(model: keras.Model) -> None:
    """Let the batch normalisations of a model run as one operator each.

    It is done to the layers of this very model, not to what is saved of it.

    Args:
        model: Its normalised activations are float32 `[n, h, w, channels]`.
    """
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.call = partial(_normalised, layer)


def _normalised(
    layer: layers.BatchNormalization,
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
        for moving, new in zip((layer.moving_mean, layer.moving_variance), fresh, strict=True):
            moving.assign(moving * layer.momentum + new * (1 - layer.momentum))
    return outputs
