"""Training as it is watched: a live table on a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from eurosat.console import plain_table

from .fit import Epoch, Step


class TrainingProgress:
    """A watcher for `fit` that shows epochs, batches, time left and figures."""

    def __init__(self, console: Console, epochs: int) -> None:
        """Prepare the display.

        Args:
            console: Where to show it.
            epochs: Epochs of the run.
        """
        self._console = console
        self._epochs = epochs
        self._best: Epoch | None = None
        self._table = plain_table()
        for heading in ("Epoch", "Loss", "Accuracy", "Val. loss", "Val. accuracy", "Seconds", ""):
            self._table.add_column(heading, justify="right")
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=console,
        )
        self._epoch_task = self._bar.add_task("epoch", figures="", start=False)
        self._run_task = self._bar.add_task("run", total=1.0, figures="")
        self._live = Live(Group(self._table, self._bar), console=console, refresh_per_second=4)

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
        """Leave the table on the screen, without its bars."""
        if self._console.is_terminal:
            self._live.update(self._table)
            self._live.stop()

    def __call__(self, news: Step | Epoch) -> None:
        """Show a batch or an epoch that is done."""
        if isinstance(news, Step):
            self._show_step(news)
        else:
            self._show_epoch(news)

    def _show_step(self, step: Step) -> None:
        if step.batch == 1:
            self._bar.reset(self._epoch_task, total=step.batches)
        self._bar.update(
            self._epoch_task,
            completed=step.batch,
            description=f"epoch {step.epoch}/{self._epochs}",
            figures=f"{step.batch}/{step.batches} · loss {step.loss:.3f} · {step.accuracy:.1%}",
        )
        done = (step.epoch - 1 + step.batch / step.batches) / self._epochs
        self._bar.update(self._run_task, completed=done)

    def _show_epoch(self, epoch: Epoch) -> None:
        is_best = self._best is None or epoch.merit > self._best.merit
        if is_best:
            self._best = epoch
        cells = (
            f"{epoch.epoch}/{self._epochs}",
            f"{epoch.loss:.4f}",
            f"{epoch.accuracy:.2%}",
            f"{epoch.validation_loss:.4f}",
            f"{epoch.validation_accuracy:.2%}",
            f"{epoch.seconds:.0f}",
            "best" if is_best else "",
        )
        self._table.add_row(*cells)
        if not self._console.is_terminal:
            names = ("epoch", "loss", "accuracy", "val. loss", "val. accuracy", "seconds", "")
            line = ", ".join(
                f"{name} {cell}".strip() for name, cell in zip(names, cells, strict=True) if cell
            )
            self._console.print(line, soft_wrap=True)
