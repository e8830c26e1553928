"""The pictures of a study: accuracy by trial, and what mattered."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from .report import TRAIN_COLOUR, VALIDATION_COLOUR, save_figure
from .tune import State, Trial, best_trial


def draw_history(path: Path, trials: Sequence[Trial]) -> None:
    """Draw the accuracy of every finished trial, and the best complete one so far."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    panel = figure.subplots()
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    pruned = [trial for trial in trials if trial.state is State.PRUNED and trial.accuracy]
    panel.step(
        [trial.number for trial in complete],
        list(accumulate((trial.accuracy or 0.0 for trial in complete), max)),
        where="post",
        color=VALIDATION_COLOUR,
        linewidth=1,
        label="Best so far",
    )
    for some, label, style in (
        (complete, "Complete", {"color": VALIDATION_COLOUR}),
        (pruned, "Pruned: best epoch until then", {"color": TRAIN_COLOUR, "mfc": "white"}),
    ):
        numbers = [trial.number for trial in some]
        panel.plot(numbers, [trial.accuracy for trial in some], "o", label=label, **style)
    best = best_trial(trials)
    if best:
        panel.set_title(
            f"Validation accuracy of {len(complete) + len(pruned)} trials\n"
            f"best: trial {best.number}, {best.accuracy:.2%}",
            fontsize=11,
        )
    panel.set_xlabel("Trial")
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
    panel.grid(alpha=0.3)
    figure.legend(frameon=False, loc="outside lower center", ncols=3)
    panel.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def draw_importances(path: Path, shares: Mapping[str, float], trials: Sequence[Trial]) -> None:
    """Draw which share of the differences in accuracy each value explains."""
    figure = Figure(figsize=(7, 1.0 + 0.34 * len(shares)), layout="constrained")
    panel = figure.subplots()
    names = [name.replace("_", " ").capitalize() for name in shares]
    bars = panel.barh(names, list(shares.values()), color=VALIDATION_COLOUR)
    panel.bar_label(bars, [f"{share:.0%}" for share in shares.values()], padding=4)
    panel.invert_yaxis()
    panel.margins(x=0.12, y=0.02)
    complete = sum(trial.state is State.COMPLETE for trial in trials)
    panel.set_title(
        "Share of the differences in validation accuracy\n"
        f"that each value explains (fANOVA over {complete} complete trials)",
        fontsize=11,
    )
    panel.xaxis.set_visible(False)
    panel.tick_params(left=False)
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    save_figure(figure, path)
