"""Accuracy over the eight flips and turns of the validation tiles: more than one view can tell.

Run it as `python benchmarks/views.py RUN_OR_MODEL...`, with EuroSAT in `EUROSAT_DATA`. Each model
is judged on the validation split that it records, so that this may lead a choice.
"""

import sys
from pathlib import Path

import numpy as np

from eurosat.dataset import find_dataset, load_dataset
from eurosat.model_file import find_model
from eurosat.split import Part
from eurosat.tensorflow_start import start_tensorflow


def main() -> None:
    """Measure and print."""
    dataset = load_dataset(find_dataset(None))
    start_tensorflow()
    from eurosat.train.trained_model import choose_tiles, open_model

    for source in sys.argv[1:]:
        model = open_model(Path(source) if Path(source).is_dir() else find_model(source))
        _, positions = choose_tiles(model, dataset, Part.VALIDATION)
        names = model.class_names or dataset.class_names
        order = [names.index(name) for name in dataset.class_names]
        tiles, labels = dataset.tiles[positions], dataset.labels[positions]
        turned = [np.rot90(tiles, turns, axes=(1, 2)) for turns in range(4)]
        views = [*turned, *(view[:, :, ::-1] for view in turned)]
        answers = [model.predict(np.ascontiguousarray(view))[:, order] for view in views]
        right = [(answer.argmax(axis=1) == labels).mean() for answer in answers]
        together = (np.mean(answers, axis=0).argmax(axis=1) == labels).mean()
        print(
            f"{model.name}: one view {right[0]:.2%}, mean of eight {np.mean(right):.2%}, "
            f"their mean answer {together:.2%}"
        )


if __name__ == "__main__":
    main()
