"""`eurosat-tune`: which values train the best model, found by many short trainings."""

import shlex
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from eurosat.console import StudyDataOption, notes, output, path_option, read_tiles, run
from eurosat.dataset import check_outside, find_dataset
from eurosat.errors import EurosatError, MissingPackageError
from eurosat.interrupts import interrupts_end_at_once
from eurosat.tensorflow_start import require_tensorflow, start_tensorflow

from .configuration import Architecture, training_command
from .study_folder import TUNED, StudyFolder, StudySettings

if TYPE_CHECKING:
    from .fit import Step
    from .tune import Study, Trial

STUDIES = Path("studies")
"""Where studies go that were given no folder."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def tune(
    architecture: Annotated[
        Architecture, typer.Argument(help="Our own small CNN, or a fine-tuned MobileNetV2.")
    ],
    *,
    data: StudyDataOption = None,
    trials: Annotated[
        int, typer.Option(help="Finished trials that the study is to have, earlier ones included.")
    ] = 12,
    timeout: Annotated[
        float | None, typer.Option(help="Begin no trial after so many seconds.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over its training tiles in a trial; 3 without it.")
    ] = None,
    fraction: Annotated[
        float | None,
        typer.Option(help="Share of the training split that trials train on; 0.2 without it."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of split, draws and trainings.")] = None,
    balanced: Annotated[
        bool | None,
        typer.Option("--balanced", help="Trials see all classes equally often, see eurosat-train."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Tune these values alone, such as learning-rate,dropout; the others are as by "
            "default. All of them without it.",
        ),
    ] = None,
    out: Annotated[
        Path | None, path_option("--out", "Study folder; studies/ARCHITECTURE without it.")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            help="URL of a database for the trials, such as postgresql://user:password@host/name, "
            "which several machines can share; a file in the study folder without it."
        ),
    ] = None,
) -> None:
    """Find the values that train the best model. Start it again, and it goes on where it was."""
    given = {
        name: value
        for name, value in (
            ("epochs", epochs),
            ("fraction", fraction),
            ("seed", seed),
            ("balanced", balanced),
            ("only", _names(only, architecture) if only else None),
        )
        if value is not None
    }
    if trials < 1:
        raise EurosatError(f"--trials must be at least 1, not {trials}.")
    if timeout is not None and not timeout > 0:
        raise EurosatError(f"--timeout must be above 0, not {timeout}.")
    StudySettings(architecture, **given)
    require_tensorflow()
    if find_spec("optuna") is None:
        raise MissingPackageError("This command needs Optuna: pip install 'eurosat-edge[train]'.")
    folder = StudyFolder(out or STUDIES / architecture)

    source = find_dataset(data)
    check_outside(folder.path, source)
    dataset = read_tiles(source)
    with interrupts_end_at_once():
        start_tensorflow()
        from .study_progress import StudyProgress
        from .tune import open_study, run_trials

    study = open_study(folder, dataset, architecture, given, storage)
    settings = study.settings
    trials = study.possible_trials(trials)
    notes.print(
        f"{trials} trial{'s' * (trials != 1)} of {settings.epochs} "
        f"epoch{'s' * (settings.epochs != 1)} on "
        f"{len(study.split.train):,} tiles, judged on "
        f"{len(study.split.validation):,} for validation; study folder {folder.path}\n",
        markup=False,
        soft_wrap=True,
    )
    if study.widths_left_out:
        notes.print(
            f"Without ImageNet weights, here or to download, widths are left out: "
            f"{', '.join(map(str, study.widths_left_out))}.\n",
            soft_wrap=True,
        )
    try:
        with StudyProgress(notes, settings, trials) as watch, _interrupts_heeded() as heed:

            def follow(news: "Step | Sequence[Trial]") -> None:
                heed()
                watch(news)

            run_trials(study, dataset, count=trials, seconds=timeout, watch=follow)
    except KeyboardInterrupt:
        notes.print("\nThe same command goes on with the study.")
        raise

    _print_outcome(study, data)


def _print_outcome(study: "Study", data: Path | None) -> None:
    """Say what came out of a study, with its pictures and the commands that train its best."""
    from .study_progress import values_text
    from .study_report import draw_history, draw_importances
    from .tune import TRIALS_FOR_SHARES, State, best_trial, importances

    folder, settings = study.folder, study.settings
    tried = [trial for trial in study.trials() if trial.state is not State.RUNNING]
    best = best_trial(tried)
    if best is None:
        output.print("No trial is complete. The same command goes on with the study.")
        return
    default = next(
        (
            f"trial {trial.number}, {trial.accuracy:.2%}"
            for trial in tried
            if trial.accuracy and study.configuration(trial.values) == settings.base
        ),
        "not tried",
    )
    draw_history(folder.history, tried)
    output.print(
        f"\nTrial {best.number} is the best of {len(tried)}: {best.accuracy:.2%} on validation.\n"
        f"{values_text(best.values)}\n"
        f"The default configuration: {default}.",
        markup=False,
        soft_wrap=True,
    )
    complete = sum(trial.state is State.COMPLETE for trial in tried)
    shares = importances(study)
    if shares:
        draw_importances(folder.importances, shares, tried)
        output.print("\nShare of the differences between complete trials that each value explains")
        for name, share in shares.items():
            output.print(f"  {name.replace('_', ' '):<15} {share:>4.0%}")
    elif complete < TRIALS_FOR_SHARES:
        output.print(
            f"\nWhat made the difference is told from {TRIALS_FOR_SHARES} complete trials on; of "
            f"{complete}, chance would decide.",
            soft_wrap=True,
        )
    where = ["--data", str(data)] if data else []
    in_full = ["eurosat-train", settings.architecture, "--from-study", str(folder.path)]
    without_folder = training_command(study.configuration(best.values))
    output.print(
        f"\nTrain it in full:\n"
        f"  {shlex.join([*in_full, *where])}"
        f"\nThe same without the study folder:\n"
        f"  {shlex.join([*without_folder, *where])}",
        markup=False,
        soft_wrap=True,
    )


def _names(only: Sequence[str], architecture: Architecture) -> tuple[str, ...]:
    """Return names of values, typed in any order and with or without commas, in the usual order."""
    typed = [name.strip().replace("-", "_") for names in only for name in names.split(",")]
    usual = TUNED[architecture]
    return tuple(
        sorted(set(typed), key=lambda name: usual.index(name) if name in usual else len(usual))
    )


@contextmanager
def _interrupts_heeded() -> Iterator[Callable[[], None]]:
    """Remember Ctrl-C: Python drops the error that it raises where that meets a finalizer.

    Yields:
        A function that raises it again if there was one.
    """
    seen = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        seen = True
        signal.default_int_handler(number, frame)

    def heed() -> None:
        if seen:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # A job in the background may be deaf to Ctrl-C.
        signal.signal(signal.SIGINT, remember)
    try:
        yield heed
    finally:
        signal.signal(signal.SIGINT, before)


def main() -> None:
    """Run the command."""
    run(app)
