"""`eurosat-evaluate`: how good a model is, in figures and pictures."""

import json
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eurosat.console import (
    DataOption,
    check_folder,
    notes,
    output,
    path_for,
    path_option,
    read_tiles,
    run,
)
from eurosat.dataset import Dataset, check_outside, find_dataset
from eurosat.existence import exists, is_folder
from eurosat.interrupts import interrupts_end_at_once
from eurosat.model_file import read_model_file
from eurosat.run_folder import find_run_or_model, run_of
from eurosat.split import Part
from eurosat.tensorflow_start import require_tensorflow, start_tensorflow

if TYPE_CHECKING:
    from .trained_model import TrainedModel

EVALUATIONS = Path("evaluations")
"""Where reports go that were given no folder."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def evaluate_model(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL_OR_RUN",
            parser=path_for("MODEL_OR_RUN"),
            help="A run folder, a .keras or .tflite file, or the name of a shipped model.",
        ),
    ],
    *,
    data: DataOption = None,
    split: Annotated[
        Part | None,
        typer.Option(
            help="Which tiles. Without it: the test split that the model records, or all tiles of "
            "data that it was not trained on."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        path_option(
            "--out",
            "Folder for the report; evaluations/MODEL-SPLIT without it, with a number where the "
            "report of another model or other data is there.",
        ),
    ] = None,
) -> None:
    """Judge a model on tiles: figures, confusion matrix, calibration, its worst mistakes."""
    require_tensorflow()
    # The cheap refusals come first: nobody should wait for TensorFlow to be told of them.
    check_folder(out or EVALUATIONS)
    model = find_run_or_model(str(model))
    if not is_folder(model) and model.suffix != ".keras":
        read_model_file(model)
    run_named = run_of(model)
    data = data or (run_named.recorded_data() if run_named else None)
    source = find_dataset(data)
    check_outside(out or EVALUATIONS, source)
    dataset = read_tiles(source)
    with interrupts_end_at_once():
        start_tensorflow()
        from .judgement import judge, report_text, write_report
        from .trained_model import choose_tiles, open_model

    opened = open_model(model)
    part, positions = choose_tiles(opened, dataset, split)
    if part is Part.ALL:
        notes.print(_warning(opened, dataset), markup=False, soft_wrap=True)
    with notes.status(f"Asking {opened.name} about {len(positions):,} tiles"):
        judgement = judge(opened, dataset, part, positions)
    out = out or _report_folder(f"{opened.name}-{part}", opened.sha256, dataset)
    with notes.status("Drawing"):
        write_report(judgement, dataset, out)
    output.print(report_text(judgement), markup=False, soft_wrap=True)
    output.print(f"Pictures and figures: {out}", markup=False, soft_wrap=True)


def _report_folder(name: str, sha256: str, dataset: Dataset) -> Path:
    """Return the folder for a report, numbered where another one is in the way."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    folders = map(EVALUATIONS.joinpath, names)
    return next(folder for folder in folders if _is_free_for(folder, sha256, dataset.fingerprint))


def _is_free_for(folder: Path, sha256: str, fingerprint: str) -> bool:
    metrics = folder / "metrics.json"
    if not exists(metrics):
        return True
    try:
        record = json.loads(metrics.read_text(encoding="utf-8"))
        return (record["model_sha256"], record["data_fingerprint"]) == (sha256, fingerprint)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False  # Nobody knows whose it is.


def _warning(model: "TrainedModel", dataset: Dataset) -> str:
    """Say what figures on all tiles of a data set are worth."""
    from .trained_model import recorded_fingerprint

    trained_on = recorded_fingerprint(model)
    if trained_on is None:
        return (
            f"{model.source} records no split: it is judged on all tiles, and the figures flatter "
            "it if it was trained on some of them."
        )
    if trained_on == dataset.fingerprint:
        return f"Most of these tiles served to train {model.source}: the figures flatter it."
    return (
        f"{dataset.source} is not the data set that {model.source} was trained on: the figures "
        "flatter it if some of these tiles were in that, too."
    )


def main() -> None:
    """Run the command."""
    run(app)
