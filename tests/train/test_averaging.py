"""What batch normalisation is given for weights that no training step has seen."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from eurosat.train.architectures import BATCH_NORMALISATION_MOMENTUM, build_cnn
from eurosat.train.averaging import STATISTICS_BATCHES, renew_statistics


@pytest.mark.parametrize("batch_count", [2, STATISTICS_BATCHES])
def test_the_statistics_are_those_of_tiles_resized_as_in_training(batch_count: int):
    # Of so faint a contrast that rounding what lies between two pixels would change it.
    tiles = np.random.default_rng(0).integers(100, 102, (8, 64, 64, 3)).astype(np.uint8)
    model = build_cnn(4, image_size=96, blocks=1, filters=4)
    normalisation = next(
        layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    )
    normalisation.moving_variance.assign(np.zeros(4))
    batches = tf.data.Dataset.from_tensors((tiles, np.zeros((8, 4)))).repeat(batch_count)
    renew_statistics(model, batches)
    seen = np.asarray(keras.Model(model.input, normalisation.input).predict_on_batch(tiles))
    left = BATCH_NORMALISATION_MOMENTUM**STATISTICS_BATCHES
    mean, variance = ((1 - left) * figure for figure in (seen.mean((0, 1, 2)), seen.var((0, 1, 2))))
    np.testing.assert_allclose(normalisation.moving_mean.numpy(), mean, rtol=1e-3)
    np.testing.assert_allclose(normalisation.moving_variance.numpy(), variance, rtol=1e-2)
