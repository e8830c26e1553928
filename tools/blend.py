"""Blend the weights of a fine-tuned run with those that it began with, into a run of its own.

    python tools/blend.py runs/mobilenet runs/blended

Half-way between, a model is as right about what it knew before, and keeps most of what it has
learned (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022). What the run began with
must still be there: for `--from-model`, the file. The new folder is judged on validation alone, and
`eurosat-convert` takes it like any other.
"""

import shutil
import sys
from pathlib import Path

from eurosat.dataset import find_dataset, load_dataset
from eurosat.keras_model import load_keras_model
from eurosat.run_folder import RunFolder
from eurosat.train.configuration import recorded_configuration
from eurosat.train.fit import first_model, read_history
from eurosat.train.run import report_run

SHARE = 0.5
"""Of the weights that the run ended with."""


def main() -> None:
    """Blend, and judge the blend."""
    source, target = (RunFolder(Path(name)) for name in sys.argv[1:])
    configuration = recorded_configuration(source)
    dataset = load_dataset(find_dataset(source.recorded_data()))
    split = source.read_split()
    split.check_matches(dataset)
    target.path.mkdir(parents=True)
    for file in (source.config, source.split, source.history):
        shutil.copy(file, target.path)
    model = first_model(configuration, dataset, split, target)
    last = load_keras_model(source.model).get_weights()
    pairs = zip(model.get_weights(), last, strict=True)
    model.set_weights([(1 - SHARE) * one + SHARE * other for one, other in pairs])
    model.save(target.model)
    (judged,) = report_run(target, dataset, split, read_history(target.history), test=False)
    print(f"{judged.accuracy:.2%} on validation")


if __name__ == "__main__":
    main()
