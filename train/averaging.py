"""The mean of the weights of several epochs: flatter, and mostly better, than any one of them.

Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018.
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

STATISTICS_BATCHES = 100
"""How many batches batch normalisation is shown: of what it knew before, 0.6 % are left."""


def mean_with(
    mean: Sequence[np.ndarray], count: int, new: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Return the mean of some weights and one more set of them.

    Args:
        mean: The mean so far; of any shapes, or empty at the beginning.
        count: Of how many sets it is the mean.
        new: One more set, of the same shapes.
    """
    if not count:
        return list(new)
    return [old + (array - old) / (count + 1) for old, array in zip(mean, new, strict=True)]


def renew_statistics(model: keras.Model, batches: tf.data.Dataset) -> None:
    """Let batch normalisation measure what passes through a model whose weights were replaced.

    Args:
        model: Its moving means and variances are changed; no weight that is trained is.
        batches: Of uint8 tiles `[b, h, w, 3]` and their labels; too few of them are repeated.
    """
    for tiles, _ in batches.repeat().take(STATISTICS_BATCHES):
        model(tiles, training=True)
