"""A Keras model of a run: read from its file, and asked about tiles.

The hub never loads Keras by itself; those who train and convert have it at work already.
"""

import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from eurosat.errors import ModelFileError

_BATCH_SIZE: Final = 256


def load_keras_model(path: Path) -> Any:
    """Return the `keras.Model` in a `.keras` file, for predictions.

    Raises:
        ModelFileError: The file is missing, damaged, or no Keras model.
    """
    try:
        return import_module("keras").saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ModelFileError(
            f"{path} does not exist, is damaged or is no Keras model: train again, or restore it."
        ) from error


def predict(model: Any, tiles: np.ndarray) -> np.ndarray:
    """Return what a `keras.Model` says of tiles.

    Args:
        model: A model of ours.
        tiles: uint8 RGB `[n, 64, 64, 3]`, n at least 1.

    Returns:
        Probabilities, float32 `[n, classes]`.
    """
    starts = range(0, len(tiles), _BATCH_SIZE)
    batches = (tiles[start : start + _BATCH_SIZE] for start in starts)
    return np.concatenate([np.asarray(model.predict_on_batch(batch)) for batch in batches])
