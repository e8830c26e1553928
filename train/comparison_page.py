"""The page of `eurosat-compare`: one file with all in it, for screen, dark screen and paper."""

import base64
import io
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from html import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from PIL import Image

from eurosat.labels import land_cover

from .comparison import Comparison, Contender, Pair
from .fit import Epoch, best_epoch
from .report import unknown_letters_boxed

COLUMNS = ("Model", "Accuracy", "95 % interval", "Macro F1", "ECE", "Size", "Latency", "Training")
"""Headings of the summary."""

SIGNIFICANT = 0.05
"""The p-value below which a difference counts as one."""

_INK = "#010203"
"""Stands for the colour of the text, which is another one in the dark."""

# Okabe and Ito's colours, which stay apart for all kinds of vision; the blue is a little brighter,
# to be seen in the dark too.
_COLOURS = ("#1E88C9", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

_STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #5b6570; --paper: #ffffff; --line: #d8dde3;
  --fill: #f3f5f7; --accent: #1f5fbf; --wrong: #b3261e; --good: #1f5fbf1f; }
@media screen and (prefers-color-scheme: dark) {
  :root { color-scheme: dark; --ink: #e4e8ec; --soft: #9aa5b1; --paper: #14181d; --line: #353d47;
    --fill: #1d232a; --accent: #7fb2ff; --wrong: #ff9a8f; --good: #7fb2ff2e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 2rem 1.25rem 4rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; }
p { max-width: 46rem; margin: .4rem 0; }
p.note, figcaption { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6rem 0; }
th, td { padding: .32rem .8rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { font-weight: 600; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td.best { font-weight: 700; background: var(--good); }
svg.chart { display: block; width: 100%; height: auto; color: var(--ink); margin: .5rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1.1rem; }
.tiles figure { margin: 0; }
.tiles img { width: 100%; aspect-ratio: 1; image-rendering: pixelated; display: block; }
.tiles figcaption { color: var(--ink); line-height: 1.35; margin-top: .3rem; }
.tiles b { display: block; }
.tiles span { display: flex; justify-content: space-between; gap: .6rem; color: var(--soft);
  overflow-wrap: anywhere; }
.tiles span span:last-child { white-space: nowrap; }
.tiles .wrong span { color: var(--wrong); }
@media print {
  @page { margin: 14mm; }
  html { font-size: 9.5pt; }
  body { max-width: none; padding: 0; }
  h2 { break-after: avoid; margin-top: 1.4rem; }
  p, table, svg.chart, .tiles figure { break-inside: avoid; }
  p { break-after: avoid; }
  .wide { overflow: visible; }
  th, td { padding: .2rem .5rem; }
  td.best, .tiles img { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .tiles { grid-template-columns: repeat(5, 1fr); gap: .7rem; }
  .tiles figcaption { font-size: 6.5pt; }
}
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
<p class="note">{subtitle}</p>
{sections}
</body>
</html>
"""


def summary(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the cells of the summary, a row for each model, as text under `COLUMNS`."""
    return [
        (
            contender.name,
            f"{contender.judgement.evaluation.accuracy:.2%}",
            f"{contender.judgement.evaluation.accuracy_low:.2%} to "
            f"{contender.judgement.evaluation.accuracy_high:.2%}",
            f"{contender.judgement.evaluation.macro_f1:.2%}",
            f"{contender.judgement.ece:.2%}",
            f"{contender.size_bytes / 1e6:.2f} MB",
            f"{contender.speed.single_ms:.2f} ms" if contender.speed else "-",
            _training_time(comparison.histories.get(contender.source)),
        )
        for contender in comparison.contenders
    ]


def pair_sentences(comparison: Comparison) -> list[str]:
    """Say which models are better than which, as far as can be told."""
    count = len(comparison.pairs)
    told = [pair for pair in comparison.pairs if pair.p < SIGNIFICANT]
    if count and not told:
        pairs = f"{count} pairs" if count > 1 else "1 pair"
        return [f"No two models differ by more than chance (McNemar's exact test, {pairs})."]
    return [_pair_sentence(comparison, pair) for pair in told]


def page(comparison: Comparison) -> str:
    """Return the whole page as HTML that needs nothing else."""
    sections = [
        _section("Summary", _summary_table(comparison), _SUMMARY_NOTE),
        _section("Accuracy against speed and size", _scatter(comparison), _SCATTER_NOTE),
        _section("Is the difference real?", _pair_table(comparison), _PAIR_NOTE),
        _section("F1 of each class", _class_table(comparison)),
        _section("Confidence", _confidence_table(comparison), _CONFIDENCE_NOTE),
    ]
    if comparison.histories:
        sections.append(_section("Learning curves", _curves(comparison), _CURVES_NOTE))
    if comparison.differences:
        sections.append(_section("What training was told differently", _options(comparison)))
    sections.append(_section(f"The {len(comparison.sheet)} tiles", _tiles(comparison), _TILES_NOTE))
    count = len(comparison.contenders[0].judgement.labels)
    *others, last = comparison.sources
    named = " and ".join(filter(None, [", ".join(others), last]))
    return _PAGE.format(
        title=f"Comparison of {escape(named)}",
        subtitle=f"{count:,} tiles of the {comparison.part} split of "
        f"{escape(comparison.dataset.source.name)}, which no model was fitted to · "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        style=_STYLE,
        sections="\n".join(sections),
    )


_SUMMARY_NOTE = (
    "The best of each column is marked. ECE is the expected calibration error of the confidence "
    "that is shown. Latency is the median time of one tile on one thread of this machine, on "
    "LiteRT; Keras models do not run there; the file that <code>eurosat-convert --float32</code> "
    "makes does."
)
_SCATTER_NOTE = "Up and to the left is better. The bars are 95 % intervals (Wilson)."
_PAIR_NOTE = (
    "McNemar's exact test looks at the tiles that only one of two models has right. Each cell says "
    "how many only the model of the row has right, how many only that of the column, and how "
    "likely so uneven a count is if both are equally good. Marked: p below 0.05. With many pairs, "
    "some fall below it by chance."
)
_CONFIDENCE_NOTE = (
    "Temperature and threshold were fitted on validation. Sure answers are those with at least "
    "that confidence."
)
_CURVES_NOTE = "Dashed: training tiles, augmented. Solid: validation. The ring is the kept epoch."
_TILES_NOTE = "The tiles of the run's own sheet, with the answer and confidence of each model."


def _section(title: str, content: str, note: str = "") -> str:
    paragraph = f'<p class="note">{note}</p>' if note else ""
    heading = f"<h2>{escape(title)}</h2>{paragraph}"
    return f'<section>{heading}<div class="wide">{content}</div></section>'


def _table(headings: Iterable[str], rows: Iterable[Iterable[tuple[str, bool]]]) -> str:
    """Return a table of cells: each its text, and whether it is marked as the best."""

    def cell(text: str, is_best: bool) -> str:
        return f"<td{' class=best' * is_best}>{escape(text)}</td>"

    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join(f"<tr>{''.join(cell(*one) for one in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plain(texts: Iterable[str]) -> list[tuple[str, bool]]:
    return [(text, False) for text in texts]


def _best(values: Sequence[float]) -> list[bool]:
    """Tell which values are the highest; none if all are equal."""
    return [value == max(values) and min(values) < max(values) for value in values]


def _summary_table(comparison: Comparison) -> str:
    judged = [contender.judgement for contender in comparison.contenders]
    no_time = float("-inf")
    marks = {
        "Accuracy": _best([one.evaluation.accuracy for one in judged]),
        "Macro F1": _best([one.evaluation.macro_f1 for one in judged]),
        "ECE": _best([-one.ece for one in judged]),
        "Size": _best([-contender.size_bytes for contender in comparison.contenders]),
        "Latency": _best(
            [
                -contender.speed.single_ms if contender.speed else no_time
                for contender in comparison.contenders
            ]
        ),
    }
    rows = [
        [
            (text, heading in marks and marks[heading][number])
            for heading, text in zip(COLUMNS, row, strict=True)
        ]
        for number, row in enumerate(summary(comparison))
    ]
    return _table(COLUMNS, rows)


def _pair_sentence(comparison: Comparison, pair: Pair) -> str:
    alone = {pair.first: pair.only_first, pair.second: pair.only_second}
    worse, better = sorted(alone, key=lambda index: alone[index])
    return (
        f"{comparison.contenders[better].name} is better than {comparison.contenders[worse].name}: "
        f"it alone is right on {alone[better]} tiles, the other on {alone[worse]} (McNemar's exact "
        f"test, p = {pair.p:.2g})."
    )


def _pair_table(comparison: Comparison) -> str:
    names = [contender.name for contender in comparison.contenders]
    found = {(pair.first, pair.second): pair for pair in comparison.pairs}

    def cell(row: int, column: int) -> tuple[str, bool]:
        if row == column:
            return "", False
        pair = found[min(row, column), max(row, column)]
        alone = (pair.only_first, pair.only_second)
        mine, other = alone if row < column else alone[::-1]
        return f"{mine} : {other}, p = {pair.p:.2g}", pair.p < SIGNIFICANT

    count = range(len(names))
    rows = [[(names[row], False), *(cell(row, column) for column in count)] for row in count]
    return _table(["Right alone", *names], rows)


def _class_table(comparison: Comparison) -> str:
    contenders = comparison.contenders
    rows = []
    for figures in zip(*(one.judgement.evaluation.classes for one in contenders), strict=True):
        scores = [one.f1 for one in figures]
        marked = zip([f"{score:.2%}" for score in scores], _best(scores), strict=True)
        titles = [land_cover(figures[0].name).title, f"{figures[0].support:,}"]
        rows.append([*_plain(titles), *marked])
    return _table(["Class", "Tiles", *(one.name for one in contenders)], rows)


def _confidence_table(comparison: Comparison) -> str:
    rows = []
    for contender in comparison.contenders:
        calibration = contender.judgement.model.calibration
        confidence = contender.judgement.confidence
        if calibration is None or confidence is None:
            rows.append(_plain([contender.name, "-", f"{contender.judgement.ece:.2%}", *"----"]))
            continue
        right = confidence.sure_accuracy
        rows.append(
            _plain(
                [
                    contender.name,
                    f"{calibration.temperature:.3f}",
                    f"{confidence.ece_before:.2%}",
                    f"{confidence.ece_after:.2%}",
                    f"{calibration.unsure_below:.1%}",
                    f"{confidence.coverage:.2%}",
                    "-" if right is None else f"{right:.2%}",
                ]
            )
        )
    headings = ("Temperature", "ECE before", "ECE after", "Unsure below", "Sure", "Of these right")
    return _table(["Model", *headings], rows)


def _options(comparison: Comparison) -> str:
    rows = [
        _plain([option.replace("_", " "), *(str(values[name]) for name in comparison.sources)])
        for option, values in comparison.differences.items()
    ]
    return _table(["Option", *comparison.sources], rows)


def _tiles(comparison: Comparison) -> str:
    judged = comparison.contenders[0].judgement
    positions = comparison.dataset.positions([judged.names[index] for index in comparison.sheet])
    figures = []
    for index, position in zip(comparison.sheet, positions, strict=True):
        stream = io.BytesIO()
        Image.fromarray(comparison.dataset.tiles[position]).save(stream, "png")
        picture = base64.b64encode(stream.getvalue()).decode()
        truth = escape(land_cover(judged.class_names[judged.labels[index]]).title)
        answers = "".join(_answer(contender, index) for contender in comparison.contenders)
        figures.append(
            f'<figure><img alt="{truth}" src="data:image/png;base64,{picture}">'
            f"<figcaption><b>{truth}</b>{answers}</figcaption></figure>"
        )
    return f'<div class="tiles">{"".join(figures)}</div>'


def _answer(contender: Contender, index: int) -> str:
    judgement = contender.judgement
    shares = judgement.probabilities[index]
    label = int(shares.argmax())
    said = "right"
    kind = ""
    if label != judgement.labels[index]:
        said, kind = land_cover(judgement.class_names[label]).title, ' class="wrong"'
    return (
        f"<span{kind}><span>{escape(contender.name)}</span>"
        f"<span>{escape(said)} {shares[label]:.0%}</span></span>"
    )


def _training_time(history: Sequence[Epoch] | None) -> str:
    if history is None:
        return "-"
    minutes = sum(epoch.seconds for epoch in history) / 60
    return f"{minutes:.1f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


# --- Charts, as SVG whose ink is the colour of the text -------------------------------------------


def _curves(comparison: Comparison) -> str:
    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, 2)
        for panel, title, name in (
            (panels[0], "Loss (cross-entropy)", "loss"),
            (panels[1], "Accuracy", "accuracy"),
        ):
            for run, history in comparison.histories.items():
                colour = _colour(comparison, run)
                epochs = [epoch.epoch for epoch in history]
                train = [getattr(epoch, name) for epoch in history]
                validation = [getattr(epoch, f"validation_{name}") for epoch in history]
                panel.plot(epochs, train, color=colour, linestyle="--", linewidth=1)
                panel.plot(epochs, validation, color=colour, marker=".", label=_legible(run))
                kept = best_epoch(list(history))
                value = getattr(kept, f"validation_{name}")
                ring = {"marker": "o", "markersize": 10, "markerfacecolor": "none"}
                panel.plot([kept.epoch], [value], color=colour, **ring)
            _finish(panel, title, "Epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
        panels[1].yaxis.set_major_formatter(PercentFormatter(1.0))
        panels[1].legend(frameon=False)

    return _chart("learning curves", (11, 4), draw)


def _scatter(comparison: Comparison) -> str:
    contenders = comparison.contenders
    axes = (
        ("Latency in ms", [one.speed.single_ms if one.speed else None for one in contenders]),
        ("Size in MB", [one.size_bytes / 1e6 for one in contenders]),
    )

    def draw(figure: Figure) -> None:
        panels = figure.subplots(1, 2, sharey=True)
        for panel, (title, values) in zip(panels, axes, strict=True):
            _points(panel, comparison, values)
            _finish(panel, "", title)
            known = [value for value in values if value is not None]
            panel.set_xlim(0, 1.1 * max(known, default=1.0))
            if not known:
                hint = {"ha": "center", "transform": panel.transAxes}
                panel.text(0.5, 0.5, "no model file", **hint)
        panels[0].set_ylabel("Accuracy")
        panels[0].yaxis.set_major_formatter(PercentFormatter(1.0))
        handles, names = panels[1].get_legend_handles_labels()
        columns = min(5, len(names))
        figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)

    return _chart("accuracy against latency and size", (11, 4.6), draw)


def _points(panel: Axes, comparison: Comparison, values: Sequence[float | None]) -> None:
    """Draw a point for each model, where it comes from as colour, with its interval."""
    for number, (contender, value) in enumerate(zip(comparison.contenders, values, strict=True)):
        if value is None:
            continue
        figures = contender.judgement.evaluation
        below = figures.accuracy - figures.accuracy_low
        above = figures.accuracy_high - figures.accuracy
        panel.errorbar(
            [value],
            [figures.accuracy],
            yerr=[[below], [above]],
            color=_colour(comparison, contender.source),
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=7,
            linewidth=1,
            capsize=3,
            linestyle="none",
            label=_legible(contender.name),
        )


def _colour(comparison: Comparison, source: str) -> str:
    return _COLOURS[comparison.sources.index(source) % len(_COLOURS)]


def _legible(name: str) -> str:
    """Return a name that Matplotlib shows as it is: no formula, and never left out of a legend."""
    return "\N{ZERO WIDTH SPACE}" + name.replace("$", r"\$")


def _finish(panel: Axes, title: str, x_label: str) -> None:
    panel.set_title(title, fontsize=11)
    panel.set_xlabel(x_label)
    panel.grid(alpha=0.2, color=_INK)
    panel.spines[["top", "right"]].set_visible(False)


def _chart(name: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """Return a drawing as SVG to be put into the page."""
    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    style = dict.fromkeys(inks, _INK) | {
        "svg.fonttype": "none",  # Text stays text: it can be searched, read aloud and selected.
        "svg.hashsalt": name,  # So that no two drawings of the page use the same names inside.
        "font.family": ["sans-serif"],
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        stream = io.StringIO()
        with unknown_letters_boxed():
            figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    drawing = stream.getvalue()
    drawing = drawing[drawing.index("<svg") :].replace(_INK, "currentColor")
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    opening = re.sub(r' (width|height)="[^"]*"', "", drawing[: drawing.index(">")])
    label = f' class="chart" role="img" aria-label="{name}"'
    return opening + label + drawing[drawing.index(">") :]
