"""Batch normalisation as one operator is what Keras does with many."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from eurosat.train.architectures import build_cnn
from eurosat.train.normalisation import fuse_normalisation

CLASSES = 4


def gradients(model: keras.Model, tiles: np.ndarray) -> list[np.ndarray]:
    wanted = tf.one_hot(np.arange(len(tiles)) % CLASSES, CLASSES)
    with tf.GradientTape() as tape:
        answers = model(tiles, training=True)
        loss = tf.reduce_mean(keras.losses.categorical_crossentropy(wanted, answers))
    return [
        array.numpy()
        for array in tape.gradient(loss, [each.value for each in model.trainable_variables])
    ]


def test_it_learns_and_answers_as_keras_does(tmp_path: Path):
    keras.utils.set_random_seed(0)
    tiles = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3)).astype(np.uint8)
    plain, fused = (build_cnn(CLASSES, blocks=2, filters=4, dropout=0.0) for _ in range(2))
    fused.set_weights(plain.get_weights())
    fuse_normalisation(fused, len(tiles))
    assert [layer for layer in fused.layers if isinstance(layer, keras.layers.BatchNormalization)]

    for theirs, ours in zip(gradients(plain, tiles), gradients(fused, tiles), strict=True):
        # Single values may differ by more: a rounding can bring one to the other side of a ReLU.
        assert np.linalg.norm(ours - theirs) <= 0.1 * np.linalg.norm(theirs) + 1e-4
    # The moving means and variances have changed, and to the same values.
    for theirs, ours in zip(plain.get_weights(), fused.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fused(tiles), plain(tiles), rtol=1e-4, atol=1e-6)

    # Frozen, they stay as they are, even in training.
    fused.trainable = False
    before = fused.get_weights()
    fused(tiles, training=True)
    for earlier, later in zip(before, fused.get_weights(), strict=True):
        np.testing.assert_array_equal(later, earlier)

    # What is saved is a model of Keras's own layers.
    fused.save(tmp_path / "fused.keras")
    loaded: Any = keras.saving.load_model(tmp_path / "fused.keras", compile=False)
    np.testing.assert_allclose(loaded(tiles), fused(tiles), rtol=1e-4, atol=1e-6)
