"""Accuracy over the eight flips and turns of the validation tiles: of each view, and together.

Run it as `python benchmarks/views.py RUN_OR_MODEL...`, with EuroSAT in `EUROSAT_DATA`. Each model
is judged on the validation split that it records, so that this may lead a choice. How much so many
views are worth, the mean over all choices of them tells better than those that a file looks at.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from eurosat.calibration import logits_of
from eurosat.console import refusals_told
from eurosat.dataset import find_dataset, load_dataset
from eurosat.model_file import VIEW_COUNTS
from eurosat.run_folder import find_run_or_model
from eurosat.split import Part
from eurosat.tensorflow_start import start_tensorflow
from eurosat.views import views_of


def main() -> None:
    """Measure and print; refuse what is no model in a sentence and with status 2."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="+", metavar="RUN_OR_MODEL", help="what is judged")
    arguments = parser.parse_args()
    with refusals_told():
        measure(arguments.models)


def measure(sources: Sequence[str]) -> None:
    """Print how right each model is, by how many views it sees.

    Raises:
        EurosatError: There is no such model, or its data set is not there.
    """
    # The cheap refusals come first: nobody should wait for the data to be told of them.
    paths = [find_run_or_model(source) for source in sources]
    dataset = load_dataset(find_dataset(None))
    start_tensorflow()
    from eurosat.train.trained_model import choose_tiles, open_model

    for path in paths:
        model = open_model(path, is_quick=True)
        _, positions = choose_tiles(model, dataset, Part.VALIDATION)
        names = model.class_names or dataset.class_names
        order = [names.index(name) for name in dataset.class_names]
        tiles, labels = dataset.tiles[positions], dataset.labels[positions]
        answers = np.array([model.predict(view)[:, order] for view in views_of(tiles, 8)])
        logits = logits_of(answers)
        print(f"{model.name}, right of {len(labels)} tiles")
        for count in VIEW_COUNTS:
            right = [
                (logits[list(views)].mean(axis=0).argmax(axis=1) == labels).mean()
                for views in combinations(range(8), count)
            ]
            print(
                f"{count} of 8 views: {right[0]:.2%} of the first, {np.mean(right):.2%} on average"
            )


if __name__ == "__main__":
    main()
