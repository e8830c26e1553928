"""A study as it is watched: a live table of trials on a terminal, plain lines elsewhere."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from eurosat.console import plain_table

from .fit import Step
from .study_folder import StudySettings
from .tune import State, Trial, best_trial

LINES_BELOW = 4
"""Lines of the screen that the heading, the bar and the prompt need."""

WIDTH_BESIDE_VALUES = 44
"""Columns of the screen that all but the values need."""


class StudyProgress:
    """A watcher for `run_trials`."""

    def __init__(self, console: Console, settings: StudySettings, count: int) -> None:
        """Prepare the display.

        Args:
            console: Where to show it.
            settings: How each trial is trained.
            count: Finished trials that the study is to have.
        """
        self._console = console
        self._epochs = settings.epochs
        self._count = count
        self._told: set[int] = set()
        self._trials: Sequence[Trial] = ()
        self._ended = False
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[figures]}"),
            console=console,
        )
        self._task = self._bar.add_task("", total=count, figures="")
        self._live = Live(console=console, refresh_per_second=4)

    def __enter__(self) -> Self:
        """Start the display."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the whole table on the screen, without its bar."""
        self._ended = True
        if self._console.is_terminal:
            self._live.update(self.view())
            self._live.stop()

    def __call__(self, news: Step | Sequence[Trial]) -> None:
        """Show a batch that is done, or trials that have changed."""
        if isinstance(news, Step):
            figures = f"epoch {news.epoch}/{self._epochs} · batch {news.batch}/{news.batches}"
            self._bar.update(self._task, figures=figures)
            return
        self._trials = news
        finished = [trial for trial in news if trial.state is not State.RUNNING]
        self._bar.update(
            self._task,
            completed=len(finished),
            description=f"{len(finished)} of {self._count} trials",
            figures="",
        )
        if self._console.is_terminal:
            self._live.update(self.view())
            return
        for trial in finished:
            if trial.number not in self._told:
                self._told.add(trial.number)
                self._console.print(
                    _line(trial, best_trial(news), self._epochs), markup=False, soft_wrap=True
                )

    def view(self) -> RenderableType:
        """Return what stands on a terminal: while it runs, no more than fits."""
        if self._ended:
            return trials_table(self._trials, self._epochs)
        screen = self._console.width, max(3, self._console.height - LINES_BELOW)
        return Group(trials_table(self._trials, self._epochs, screen), self._bar)


def trials_table(
    trials: Sequence[Trial], epochs: int, screen: tuple[int, int] | None = None
) -> Table:
    """Return a table of trials.

    Args:
        trials: The trials.
        epochs: Epochs of a complete trial.
        screen: Columns and lines that there are, so that only the best and the latest trials are
            in it, each in one line; None for all of them.
    """
    best = best_trial(trials)
    table = plain_table()
    for heading in ("Trial", "Epochs", "Val. accuracy"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("Values")
    shown = list(trials[-screen[1] + 1 :] if screen else trials)
    if best and best not in shown:
        shown[0] = best
    for trial in shown:
        values = Text(values_text(trial.values))
        if screen:
            values.truncate(max(8, screen[0] - WIDTH_BESIDE_VALUES), overflow="ellipsis")
        style = {State.PRUNED: "dim", State.RUNNING: "italic"}.get(trial.state)
        table.add_row(
            str(trial.number),
            f"{trial.epochs}/{epochs}",
            _accuracy(trial),
            "best" if trial == best else trial.state,
            values,
            style="bold" if trial == best else style,
        )
    return table


def values_text(values: Mapping[str, Any]) -> str:
    """Return values as a person reads them, such as `learning rate 0.002, blocks 4`."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _accuracy(trial: Trial) -> str:
    return "" if trial.accuracy is None else f"{trial.accuracy:.2%}"


def _line(trial: Trial, best: Trial | None, epochs: int) -> str:
    state = "best so far" if trial == best else str(trial.state)
    parts = [
        f"trial {trial.number}",
        f"epoch {trial.epochs}/{epochs}",
        f"val. accuracy {_accuracy(trial) or 'none'}",
        f"seconds {trial.seconds or 0:.0f}",
        state,
    ]
    return f"{', '.join(parts)}; {values_text(trial.values)}"
