"""Blend the weights of a fine-tuned run with those that it began with, into a run of its own.

    python tools/blend.py runs/mobilenet runs/blended [0.5]

The number says how much of the weights is of those that the run ended with. Half-way between, a
model is as right about what it knew before, and keeps most of what it has learned (Wortsman et al.,
"Robust fine-tuning of zero-shot models", 2022). What the run began with must still be there: for
`--from-model`, the file. The new folder is judged on validation alone, and `eurosat-convert` takes
it like any other. That it is a blend, of which run and with which share, stands in its
`config.json` and `metrics.json`, and so in what is converted from it.
"""

import json
import shutil
import sys
from math import nan
from pathlib import Path

from eurosat.atomic import write_text
from eurosat.console import refusals_told
from eurosat.dataset import find_dataset, load_dataset
from eurosat.errors import EurosatError, cannot_be_written
from eurosat.existence import exists
from eurosat.keras_model import load_keras_model
from eurosat.run_folder import RunFolder
from eurosat.train.configuration import recorded_configuration
from eurosat.train.fit import first_model, read_history, save_model
from eurosat.train.run import report_run
from eurosat.train.sources import check_source


def main() -> None:
    """Blend, and judge the blend; refuse what cannot be blended in a sentence and with status 2."""
    with refusals_told():
        blend(*_arguments(sys.argv[1:]))


def blend(source: RunFolder, target: RunFolder, share: float) -> None:
    """Blend a run with what it began with.

    Args:
        source: A finished run that began with the weights of another model.
        target: The run to make.
        share: Of the weights that the run ended with, 0 to 1.

    Raises:
        EurosatError: The run or what it began with is missing, damaged or another one; or it began
            from scratch.
    """
    configuration = recorded_configuration(source)
    if not (configuration.from_run or configuration.from_model):
        raise EurosatError(
            f"{source.path} began with no other model: blend a run that was trained with "
            "--from-run or --from-model."
        )
    for name in ("from_run", "from_model"):
        if earlier := getattr(configuration, name):
            check_source(source, name, earlier)
    source.check_finished()
    dataset = load_dataset(find_dataset(source.recorded_data()))
    split, history = source.read_split(), read_history(source.history)
    split.check_matches(dataset)
    model = first_model(configuration, dataset, split, target)
    last = load_keras_model(source.model).get_weights()
    pairs = zip(model.get_weights(), last, strict=True)
    model.set_weights([(1 - share) * one + share * other for one, other in pairs])

    try:
        target.path.mkdir(parents=True)
    except OSError as error:
        raise cannot_be_written(target.path, error) from error
    for file in (source.split, source.history):
        shutil.copy(file, target.path)
    record = {"blend": {"run": source.path.resolve().name, "share": share}}
    write_text(target.config, json.dumps(source.read_config() | record, indent=2))
    save_model(model, target.model)
    (judged,) = report_run(target, dataset, split, history, test=False)
    metrics = json.loads(target.metrics.read_text(encoding="utf-8"))
    write_text(target.metrics, json.dumps(record | metrics, indent=2))
    print(f"{judged.accuracy:.2%} on validation")


def _arguments(words: list[str]) -> tuple[RunFolder, RunFolder, float]:
    """Return the run to blend, the one to make, and the share.

    Raises:
        EurosatError: They are not named, the second is there already, or the share is none.
    """
    names, shares = words[:2], words[2:] or ["0.5"]
    if len(names) != 2 or len(shares) != 1:
        raise EurosatError(
            "Name the run to blend and a folder for the blend: "
            "python tools/blend.py runs/mobilenet runs/blended."
        )
    try:
        share = float(shares[0])
    except ValueError:
        share = nan
    if not 0 <= share <= 1:
        raise EurosatError(f"The share is {shares[0]}: give a number from 0 to 1.")
    source, target = (RunFolder(Path(name)) for name in names)
    if exists(target.path):
        raise EurosatError(f"{target.path} is there already: name another folder for the blend.")
    return source, target, share


if __name__ == "__main__":
    main()
