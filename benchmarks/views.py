"""Accuracy over the eight flips and turns of the validation tiles: of each view, and together.

Run it as `python benchmarks/views.py RUN_OR_MODEL...`, with EuroSAT in `EUROSAT_DATA`. Each model
is judged on the validation split that it records, so that this may lead a choice.
"""

import sys
from pathlib import Path

import numpy as np

from eurosat.calibration import logits_of
from eurosat.dataset import find_dataset, load_dataset
from eurosat.model_file import VIEW_COUNTS, find_model
from eurosat.split import Part
from eurosat.tensorflow_start import start_tensorflow
from eurosat.views import views_of


def main() -> None:
    """Measure and print."""
    dataset = load_dataset(find_dataset(None))
    start_tensorflow()
    from eurosat.train.trained_model import choose_tiles, open_model

    for source in sys.argv[1:]:
        path = Path(source) if Path(source).is_dir() else find_model(source)
        model = open_model(path, is_quick=True)
        _, positions = choose_tiles(model, dataset, Part.VALIDATION)
        names = model.class_names or dataset.class_names
        order = [names.index(name) for name in dataset.class_names]
        tiles, labels = dataset.tiles[positions], dataset.labels[positions]
        answers = [model.predict(view)[:, order] for view in views_of(tiles, 8)]
        right = [(answer.argmax(axis=1) == labels).mean() for answer in answers]
        line = f"{model.name}: one view {right[0]:.2%}, mean of eight {np.mean(right):.2%}"
        for count in VIEW_COUNTS[1:]:
            logits = logits_of(np.array(answers[:count])).mean(axis=0)
            together = (logits.argmax(axis=1) == labels).mean()
            line += f", answer of {count} views {together:.2%}"
        print(line)


if __name__ == "__main__":
    main()
