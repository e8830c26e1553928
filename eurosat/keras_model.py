"""A Keras model of a run: read from its file, and asked about tiles.

The hub never loads Keras by itself; those who train and convert have it at work already.
"""

import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from eurosat.dataset import TILE_SIZE
from eurosat.errors import ModelFileError
from eurosat.existence import exists

_BATCH_SIZE: Final = 256


def load_keras_model(path: Path, class_count: int | None = None) -> Any:
    """Return the `keras.Model` in a `.keras` file, for predictions.

    Args:
        path: The file.
        class_count: How many classes it must know; any number without it.

    Raises:
        ModelFileError: The file is missing, damaged, no Keras model, or one that does not take
            tiles and give one probability for each class.
    """
    try:
        model = import_module("keras").saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        problem = (
            "is damaged or is no Keras model: restore it, or name another file."
            if exists(path)
            else "does not exist: check the path."
        )
        raise ModelFileError(f"{path} {problem}") from error
    takes, gives = model.input_shape, model.output_shape
    is_ours = takes == (None, TILE_SIZE, TILE_SIZE, 3) and len(gives) == 2 and gives[1]
    if not is_ours or class_count not in {None, gives[1]}:
        classes = f"of {class_count} classes" if class_count else "class"
        raise ModelFileError(
            f"{path} is not one of ours: it takes {takes} and gives {gives} instead of tiles "
            f"{(None, TILE_SIZE, TILE_SIZE, 3)} and one probability for each {classes}."
        )
    return model


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
