"""`eurosat-compare`: runs side by side, on screen and as one page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from eurosat.atomic import write_text
from eurosat.console import RunDataOption, notes, output, progress_bar, run
from eurosat.dataset import find_dataset, load_dataset
from eurosat.errors import EurosatError, RunFolderError
from eurosat.run_folder import RunFolder
from eurosat.split import Part, Split
from eurosat.tensorflow_start import require_tensorflow, start_tensorflow

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Folders of training runs of one split.")
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
    """Compare trained models, and the model files in their run folders, on the same tiles."""
    require_tensorflow()
    folders = [RunFolder(path) for path in runs]
    # The cheap refusals come first: nobody should wait for TensorFlow to be told of them.
    if split is Part.ALL:
        raise EurosatError("Runs are compared on tiles that none has seen: test or validation.")
    recorded = _split_of_all(folders)
    with progress_bar("Reading tiles") as progress:
        dataset = load_dataset(find_dataset(data), progress)
    recorded.check_matches(dataset)
    start_tensorflow()
    from .comparison import compare_runs
    from .comparison_page import COLUMNS, page, pair_sentences, summary

    with notes.status("Comparing") as status:
        comparison = compare_runs(folders, dataset, split, status.update)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
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
        raise EurosatError(f"{out} cannot be written: {error.strerror}.") from error
    output.print(f"\nThe page: {out}", markup=False, soft_wrap=True)


def _split_of_all(folders: Sequence[RunFolder]) -> Split:
    """Return the split of all runs, without loading any model.

    Raises:
        RunFolderError: A folder is no run or is named twice, or two runs were split differently.
    """
    for folder in folders:
        folder.read_config()
    paths = [folder.path.resolve() for folder in folders]
    for folder, path in zip(folders, paths, strict=True):
        if paths.count(path) > 1:
            raise RunFolderError(f"{folder.path} is named twice: name each run once.")
    first, *others = [folder.read_split() for folder in folders]
    for folder, split in zip(folders[1:], others, strict=True):
        if split.fingerprint != first.fingerprint:
            reason = "were trained on different data"
        elif (split.validation, split.test) != (first.validation, first.test):
            reason = "were split differently"
        else:
            continue
        raise RunFolderError(
            f"{folders[0].path} and {folder.path} {reason}, so no tiles are new to both: compare "
            f"runs with the same data, --seed and fractions."
        )
    return first


def main() -> None:
    """Run the command."""
    run(app)
