"""`eurosat-benchmark`: how fast a model runs on this machine, and what it costs on any."""

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from eurosat.arithmetic import count_arithmetic
from eurosat.benchmark import measure_first_answer, measure_speed
from eurosat.classifier import Classifier
from eurosat.console import notes, output, plain_table, run
from eurosat.cores import usable_cores
from eurosat.errors import ModelFileError
from eurosat.model_file import find_model, read_model_file, shipped_model_names

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def benchmark(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Model files, or names of shipped models; all that shipped without it.",
        ),
    ] = None,
    *,
    arithmetic: Annotated[
        bool, typer.Option("--arithmetic", help="Only count what a tile costs, on any device.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Measure model files on this machine, with one thread up to all cores.

    Random pixels: the time does not depend on what a tile shows.
    """
    names = models or shipped_model_names()
    if not names:
        raise ModelFileError("No model came with this installation: name a model file.")
    rows = _count_all(names) if arithmetic else _measure_all(names)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = plain_table()
    for position, heading in enumerate(rows[0]):
        table.add_column(heading.replace("_", " "), justify="right" if position else "left")
    for row in rows:
        table.add_row(*map(_as_text, row.values()))
    output.print(table)


def _measure_all(models: list[str]) -> list[dict[str, str | float | None]]:
    """Return a row for each model and number of threads."""
    rows: list[dict[str, str | float | None]] = []
    paths = [find_model(name) for name in models]
    for path in paths:
        Classifier(path)  # What is no model is refused before any is measured.
    for name, path in zip(models, paths, strict=True):
        notes.print(f"Measuring {name}", markup=False)
        seconds, memory = measure_first_answer(path)
        for threads in range(1, usable_cores() + 1):
            speed = measure_speed(Classifier(path, threads=threads))
            rows.append(
                {
                    "model": name,
                    "threads": threads,
                    "ms_one_tile": speed.single_ms,
                    "ms_at_most_in_95%": speed.slow_single_ms,
                    "tiles_a_second": speed.tiles_per_second,
                    "first_answer_s": seconds,
                    "memory_MB": memory / 1e6 if memory else None,
                }
            )
    return rows


def _count_all(models: list[str]) -> list[dict[str, str | float | None]]:
    """Return a row for each model."""
    return [
        {"model": name} | asdict(count_arithmetic(read_model_file(find_model(name))))
        for name in models
    ]


def _as_text(value: str | float | None) -> str:
    match value:
        case None:
            return "-"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
        case _:
            return escape(value)


def main() -> None:
    """Run the command."""
    run(app)
