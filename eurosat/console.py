"""What all commands share: how an error is told, how progress is shown, which logs are heard.

And the options that several of them have.
"""

import errno
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperCommand

from eurosat.atomic import check_replaceable
from eurosat.errors import EurosatError
from eurosat.existence import exists, is_folder
from eurosat.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBar
    from rich.table import Table

    from eurosat.dataset import Dataset

EXIT_REFUSED = 2
"""Bad input: a wrong option, a missing file, a damaged image."""

PIPE_WIDTH = 10_000
"""In a pipe or a file there is no margin: a long path stays on one line."""


def check_not_empty(word: str, text: str) -> None:
    """Refuse an empty text where a file or folder is to be named.

    It would stand for the current folder, or for none, but comes of a variable that is not set.

    Args:
        word: What the argument or option is called.
        text: What was given for it.

    Raises:
        EurosatError: The text is empty.
    """
    if not text:
        raise EurosatError(
            f"{word} is empty, as a variable that is not set may be: name a file or folder."
        )


def path_for(word: str) -> Callable[[str], Path]:
    """Return what makes a path of an argument or option, and refuses an empty one.

    Args:
        word: What the argument or option is called.
    """

    def parse(text: str) -> Path:
        check_not_empty(word, text)
        return Path(text)

    return parse


def path_option(name: str, text: str) -> Any:
    """Return an option that names a file or folder, which may not be empty.

    Args:
        name: With its two hyphens.
        text: What the help says of it.
    """
    return typer.Option(name, metavar="<path>", parser=path_for(name), help=text)


def check_folder(path: Path) -> None:
    """Refuse a folder, named with `--out`, in which no file could be made, before the work.

    Raises:
        EurosatError: It is a file, or lies in one, or may not be written to.
    """
    nearest = next((one for one in (path, *path.parents) if exists(one)), path)
    if exists(nearest) and not is_folder(nearest):
        raise EurosatError(f"{nearest} is a file: name a folder with --out.")
    try:
        check_replaceable(path / "any file")
    except OSError as error:
        raise EurosatError(
            f"{path} cannot be written to ({error.strerror}): name another folder with --out."
        ) from error


ModelOption = Annotated[
    str, typer.Option("--model", help="A .tflite file, or the name of a shipped model.")
]
"""What answers, as `eurosat.model_file.find_model` takes it."""

DataOption = Annotated[
    Path | None,
    path_option(
        "--data",
        "Folder of class folders, or a zip of one. Without it: the data of the run that is named; "
        "else what EUROSAT_DATA names; else EuroSAT, downloaded once.",
    ),
]
"""A data set to learn from or to judge on."""

StudyDataOption = Annotated[
    Path | None,
    path_option(
        "--data",
        "Folder of class folders, or a zip of one. Without it: what EUROSAT_DATA names; else "
        "EuroSAT, downloaded once.",
    ),
]
"""A data set to learn from, where no run is named."""

RunDataOption = Annotated[
    Path | None, path_option("--data", "The data set of the runs, if not found by itself.")
]
"""The data set that runs were made with."""

MOST_THREADS = 1024
"""More than any machine that this runs on has cores."""

SECONDS_OF_SPEED = 3600
"""So far back a bar looks for how fast it goes: of a large scene, a step can take minutes."""

BAR_WIDTH = 20
"""Characters of a bar in a table."""

SPACE_BETWEEN = 2
"""Characters between the columns of a table."""

# Without standard output, which a shell can close, Python has none.
_is_terminal = sys.stdout is not None and sys.stdout.isatty()
output = Console(highlight=False, width=None if _is_terminal else PIPE_WIDTH)
"""Results go here: standard output."""

notes = Console(stderr=True, highlight=False)
"""Progress, warnings and errors go here: standard error."""


class _Command(TyperCommand):
    """A command line that says what is wrong without the words of the package that found it."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().make_context(*arguments, **options)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


def run(app: typer.Typer) -> NoReturn:
    """Run a command line: an `EurosatError` becomes one sentence and exit status 2.

    Raises:
        SystemExit: Always, with the exit status.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # The second is that of the locale "C", which knows English letters only.
    loses_all = {"strict", "surrogateescape"}
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in loses_all:
        # A letter that the terminal does not know is no reason to lose the rest.
        sys.stdout.reconfigure(errors="backslashreplace")
    for command in app.registered_commands:
        command.cls = _Command
        command.epilog = "--version, by itself, tells the version."  # See `eurosat.commands`.
    try:
        with refusals_told():
            app()
    except OSError as error:
        # Where a file is read or written, more is said of it; this is for what may fail anywhere.
        if error.filename is not None:
            path = os.fsdecode(error.filename)
            tell_error(EurosatError(f"{path} cannot be read or written: {error.strerror}."))
        elif error.errno == errno.ENOSPC:
            tell_error(
                EurosatError("The results cannot be written, as the disk is full: make room.")
            )
            # Else Python would try once more at its end to write to standard output, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        else:
            raise
        sys.exit(EXIT_REFUSED)
    sys.exit(0)


@contextmanager
def refusals_told() -> Iterator[None]:
    """End a script of its own as `run` ends a command line: in a sentence, with exit status 2."""
    try:
        yield
    except EurosatError as error:
        tell_error(error)
        sys.exit(EXIT_REFUSED)


def tell_error(error: EurosatError) -> None:
    """Print the sentence of an error."""
    notes.print(f"[bold red]Error:[/] {_plain(str(error))}", soft_wrap=True)


def tell_warning(warning: str) -> None:
    """Print a sentence on what may make an answer wrong."""
    notes.print(f"[yellow]Warning:[/] {_plain(warning)}", soft_wrap=True)


def plain_table() -> "Table":
    """Return a table without lines, to which columns are added."""
    from rich.table import Table

    return Table(box=None, padding=(0, SPACE_BETWEEN, 0, 0), header_style="bold")


def share_bar(share: float, colour: str) -> str:
    """Return a bar for a table of `output`, with markup.

    Args:
        share: How much of it is filled, 0 to 1.
        colour: Of what is filled, as `#RRGGBB`; left away where there are only 16 colours.
    """
    full, empty = "█░"
    try:
        (full + empty).encode(output.encoding)
    except (UnicodeError, LookupError):
        full, empty = "#."
    filled = round(share * BAR_WIDTH)
    bar = full * filled
    # Among 16 colours, the nearest to a dark one is black, which nobody sees on black.
    if output.color_system not in {"standard", "windows"}:
        bar = f"[{colour}]{bar}[/]"
    return f"{bar}[dim]{empty * (BAR_WIDTH - filled)}[/]"


def _plain(text: str) -> str:
    """Return text in which rich sees no markup."""
    from rich.markup import escape

    return escape(text)


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Show a bar on standard error while the block runs; nothing where that is no terminal.

    Args:
        title: What is being done.

    Yields:
        A function that takes the number done and the number of all.
    """
    with progress_bars(title) as (progress,):
        yield progress


def read_tiles(source: Path) -> "Dataset":
    """Read a data set, with a bar on standard error while its tiles are decoded.

    Args:
        source: A folder of class folders or a zip of one.

    Raises:
        DatasetError: As `load_dataset` does.
    """
    from eurosat.dataset import load_dataset  # Of what classifies alone, it is no part.

    with progress_bar("Reading tiles") as progress:
        return load_dataset(source, progress)


@contextmanager
def progress_bars(*titles: str) -> Iterator[list[Progress]]:
    """Show one bar after the other; each replaces the last when it is first told something.

    Args:
        titles: What is being done, step by step.

    Yields:
        A function for each title, as `progress_bar` yields it.
    """
    bar = _bar()
    tasks = [bar.add_task(title, total=None, visible=title == titles[0]) for title in titles]

    def shown(number: int) -> Progress:
        def progress(done: int, total: int) -> None:
            for task in tasks:
                bar.update(task, visible=task == tasks[number])
            bar.update(tasks[number], completed=done, total=total)

        return progress

    with bar:
        yield [shown(number) for number in range(len(titles))]


def _bar() -> "ProgressBar":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
        speed_estimate_period=SECONDS_OF_SPEED,
        transient=True,
        disable=not notes.is_terminal,
    )
