"""Pictures of runs and evaluations whose names are not only English letters."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eurosat.calibration import reliability_bins
from eurosat.train.evaluate import evaluate
from eurosat.train.report import draw_confusion_matrix, draw_reliability, draw_tiles

LABELS = np.array([0, 1, 0, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])


def _draw(folder: Path, first: str, second: str) -> list[Path]:
    """Draw all pictures that a name can stand in; return them."""
    names = (first, second)
    tiles = np.zeros((4, 64, 64, 3), np.uint8)
    bins = reliability_bins(PROBABILITIES, LABELS)
    paths = [folder / f"{name}.png" for name in ("matrix", "tiles", "reliability")]
    draw_confusion_matrix(paths[0], evaluate("test", PROBABILITIES, LABELS, names))
    draw_tiles(paths[1], f"{first}: 4 tiles", tiles, LABELS, PROBABILITIES, names)
    draw_reliability(paths[2], f"{first}: 4 tiles", bins, bins)
    return paths


@pytest.mark.parametrize("name", [r"cost $\oops$", "$100^$", "a$b"])
def test_dollar_signs_in_names_are_drawn_as_they_are(name: str, tmp_path: Path):
    for path in _draw(tmp_path, name, "Forest"):
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).min() < 255


def test_letters_that_the_font_lacks_are_drawn_without_a_warning(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _draw(tmp_path, "森林", "河流")
