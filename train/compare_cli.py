"""`eurosat-compare`: models side by side, on screen and as one page."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from eurosat.atomic import check_replaceable, write_text
from eurosat.console import RunDataOption, notes, output, path_for, plain_table, read_tiles, run
from eurosat.dataset import find_dataset
from eurosat.errors import EurosatError, cannot_be_written
from eurosat.interrupts import interrupts_end_at_once
from eurosat.run_folder import find_run_or_model, run_of
from eurosat.split import Part
from eurosat.tensorflow_start import require_tensorflow, start_tensorflow

from .comparable import check_data, check_models

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_OR_MODEL...",
            parser=path_for("RUN_OR_MODEL"),
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
    out: Annotated[
        Path,
        typer.Option(metavar="FILE", parser=path_for("--out"), help="The page to write."),
    ] = Path("comparison.html"),
) -> None:
    """Compare trained models on the same tiles, in one table and one page."""
    require_tensorflow()
    # The cheap refusals come first: nobody should wait for TensorFlow to be told of them.
    if split is Part.ALL:
        raise EurosatError("Models are compared on tiles that none has seen: test or validation.")
    try:
        check_replaceable(out)
    except OSError as error:
        raise cannot_be_written(out, error) from error
    sources = [find_run_or_model(str(path)) for path in models]
    known = check_models(sources)
    recorded_data = (run_named.recorded_data() for run_named in map(run_of, sources) if run_named)
    data = data or next(filter(None, recorded_data), None)
    dataset = read_tiles(find_dataset(data))
    check_data(known, dataset)
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
    if sentences := pair_sentences(comparison):
        output.print()
    for line in sentences:
        output.print(line, markup=False, soft_wrap=True)
    try:
        write_text(out, page(comparison))
    except OSError as error:
        raise cannot_be_written(out, error) from error
    output.print(f"\nThe page: {out}", markup=False, soft_wrap=True)


def main() -> None:
    """Run the command."""
    run(app)
