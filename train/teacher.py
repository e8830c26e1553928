"""A teacher: a trained model whose answers about each augmented tile a student learns from too.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015; that teacher and
student see the same view of a tile is from Beyer et al., "Knowledge distillation: A good teacher is
patient and consistent", 2022.
"""

from collections.abc import Callable

import numpy as np

from eurosat.dataset import Dataset
from eurosat.errors import EurosatError
from eurosat.run_folder import find_run_or_model
from eurosat.split import Split

from .sources import check_teacher
from .trained_model import open_model, recorded_split

Teacher = Callable[[np.ndarray], np.ndarray]
"""From tiles, uint8 RGB `[n, h, w, 3]`, to probabilities, float32 `[n, classes]`."""


def open_teacher(source: str, dataset: Dataset, split: Split) -> Teacher:
    """Return what a trained model says, in the label order of a data set.

    Args:
        source: A run folder, a `.keras` or `.tflite` file, or the name of a shipped model.
        dataset: What the student learns from.
        split: Which tiles the student does.

    Raises:
        RunFolderError: The folder is no finished run, or is damaged.
        ModelFileError: The file is missing, damaged, or no image classifier that takes pixels.
        EurosatError: The teacher may have seen tiles that the student is judged on.
    """
    check_teacher(source)
    # Each tile comes as another of its flips and turns in every epoch anyway.
    teacher = open_model(find_run_or_model(source), is_quick=True)
    theirs = recorded_split(teacher, dataset, "name another teacher")
    if not theirs.has_exam_of(split):
        raise EurosatError(
            f"The teacher {source} was trained on other tiles than this run, and may know those "
            f"that the model is judged on: train both with the same --split-seed and fractions."
        )
    names = teacher.class_names or dataset.class_names
    order = [names.index(name) for name in dataset.class_names]
    return lambda tiles: teacher.predict(tiles)[:, order]
