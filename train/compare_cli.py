"""`eurosat-compare`: models side by side, on screen and as one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from eurosat.atomic import write_text
from eurosat.console import RunDataOption, notes, output, plain_table, progress_bar, run
from eurosat.dataset import find_dataset, load_dataset
from eurosat.errors import EurosatError, RunFolderError, cannot_be_written
from eurosat.existence import is_folder
from eurosat.interrupts import interrupts_end_at_once
from eurosat.model_file import find_model, read_model_file
from eurosat.run_folder import RunFolder, run_of
from eurosat.split import Part, Split
from eurosat.tensorflow_start import require_tensorflow, start_tensorflow

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_OR_MODEL...",
            help="Run folders, with the model files in them; model files; names of shipped models."
            " All of one split.",
        ),
    ],
    *,
    data: RunDataOption = None,
    split: Annotated[
        Part,
        typer.Option(
            metavar="test|validation",
            help="Which tiles. To choose among runs, take validation: test comes last.",
        ),
    ] = Part.TEST,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page to write.")] = Path(
        "comparison.html"
    ),
) -> None:
    """Compare trained models on the same tiles, in one table and one page."""
    require_tensorflow()
    # The cheap refusals come first: nobody should wait for TensorFlow to be told of them.
    if split is Part.ALL:
        raise EurosatError("Models are compared on tiles that none has seen: test or validation.")
    sources = [path if is_folder(path) else find_model(str(path)) for path in models]
    splits = _recorded_splits(sources)
    recorded_data = (run_named.recorded_data() for run_named in map(run_of, sources) if run_named)
    data = data or next(filter(None, recorded_data), None)
    with progress_bar("Reading tiles") as progress:
        dataset = load_dataset(find_dataset(data), progress)
    for recorded in splits:
        recorded.check_matches(dataset)
    with interrupts_end_at_once():
        start_tensorflow()
        from .comparison import compare_models
        from .comparison_page import COLUMNS, page, pair_sentences, summary

    with notes.status("Comparing") as status:
        comparison = compare_models(sources, dataset, split, status.update)
    table = plain_table()
    for number, heading in enumerate(COLUMNS):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in summary(comparison):
        table.add_row(*map(escape, row))
    output.print(table)
    output.print()
    for line in pair_sentences(comparison):
        output.print(line, markup=False, soft_wrap=True)
    try:
        write_text(out, page(comparison))
    except OSError as error:
        raise cannot_be_written(out, error) from error
    output.print(f"\nThe page: {out}", markup=False, soft_wrap=True)


def _recorded_splits(sources: Sequence[Path]) -> list[Split]:
    """Return the splits of the runs, without loading any model.

    Raises:
        RunFolderError: A folder is no run, or something is named twice, or two runs were split
            differently.
        ModelFileError: A model file is missing or damaged.
    """
    paths = [source.resolve() for source in sources]
    for source, path in zip(sources, paths, strict=True):
        if paths.count(path) > 1:
            raise RunFolderError(f"{source} is named twice: name each model once.")
        if not is_folder(source) and source.suffix != ".keras":
            read_model_file(source)
    folders = [RunFolder(source) for source in sources if is_folder(source)]
    for folder in folders:
        folder.read_config()
        for path in (folder.model, *folder.model_files()):
            if path.resolve() in paths:
                raise RunFolderError(
                    f"{path} belongs to the run in {folder.path}, which is named too: name one of "
                    "them."
                )
    splits = [folder.read_split() for folder in folders]
    for folder, split in zip(folders[1:], splits[1:], strict=True):
        if split.fingerprint != splits[0].fingerprint:
            reason = "were trained on different data"
        elif (split.validation, split.test) != (splits[0].validation, splits[0].test):
            reason = "were split differently"
        else:
            continue
        raise RunFolderError(
            f"{folders[0].path} and {folder.path} {reason}, so no tiles are new to both: compare "
            f"runs with the same data, --split-seed and fractions."
        )
    return splits


def main() -> None:
    """Run the command."""
    run(app)
