"""`eurosat-classify`: what covers the land in image files, in a shell."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from eurosat.atomic import check_replaceable, replacing
from eurosat.classifier import Classifier, Prediction
from eurosat.console import (
    BAR_WIDTH,
    EXIT_REFUSED,
    MOST_THREADS,
    SPACE_BETWEEN,
    ModelOption,
    output,
    path_for,
    plain_table,
    progress_bar,
    run,
    share_bar,
    tell_error,
    tell_warning,
)
from eurosat.errors import EurosatError, ImageError, cannot_be_written, first_of, printable
from eurosat.existence import exists
from eurosat.find_images import find_images, left_locked
from eurosat.images import read_image
from eurosat.labels import land_cover
from eurosat.model_file import DEFAULT_MODEL, find_model
from eurosat.results import to_json, write_csv

EXIT_SOME_UNREADABLE = 1
EXIT_ALL_UNREADABLE = 2

MOST_EXPLAINED = 20
SUMMARY_FROM = 10
"""From so many images on, a line counts them by class."""

LONGEST_NAME = 40
"""So much of an image's name has room before bars and runners-up have."""

Answer = tuple[Path, Prediction | ImageError]

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def classify(
    paths: Annotated[
        list[Path],
        # Made by `path_for` and not by typer: one image that may not be read does not stop the
        # others.
        typer.Argument(
            metavar="PATH...", parser=path_for("PATH"), help="Images, folders of them, or globs."
        ),
    ],
    *,
    model: ModelOption = DEFAULT_MODEL,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show for each image.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            parser=path_for("--csv"),
            help="Write all to a CSV file too.",
        ),
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            parser=path_for("--explain"),
            help="Draw which pixels decided, for up to 20 images.",
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Look at each image as it is, and not at its flips and turns too."
        ),
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_THREADS, help="Images worked on at once; all cores without it."
        ),
    ] = None,
) -> None:
    """Classify images of the land, 10 m to a pixel, offline.

    An answer is marked as unsure if its confidence is below the threshold in the model file. It is
    chosen so that of the sure answers 99.5 % are right, on tiles like those of the training.

    Exit status 0 if all could be read, 1 if some could not, 2 if none could or a file could not be
    written.
    """
    classifier = Classifier(find_model(model), threads=threads)
    if quick:
        classifier = classifier.one_view
    left_out: list[Path] = []
    locked: list[Path] = []
    found = find_images(paths, left_out=left_out.append, locked=locked.append)
    images = _without_repeats(found)
    left_out, locked = _without_repeats(left_out), _without_repeats(locked)
    if not images and locked:
        raise left_locked(locked)
    if not images:
        told = f" but scenes, such as {left_out[0]}," if left_out else ""
        advice = ": `eurosat-map` makes maps of them" if left_out else ""
        raise EurosatError(f"There are no images{told} in {first_of(paths)}{advice}.")
    _check_targets([csv_file, explain], [*images, classifier.model_file.path])
    if explain and explain.suffix.lower() != ".png":
        raise EurosatError(
            f"{explain} is no name for the picture, which is a PNG file: name one that"
            " ends in .png."
        )
    answers: list[Answer] = []
    with progress_bar("Classifying") as progress:
        for answer in classifier.classify_stream(images):
            answers.append(answer)
            progress(len(answers), len(images))

    not_written: list[EurosatError] = []
    for target, write in ((csv_file, _write_csv), (explain, _draw_explanations)):
        if target:
            try:
                write(target, classifier, answers)
            except EurosatError as error:  # It costs the file, and not the answers.
                not_written.append(error)
    if as_json:
        typer.echo(to_json(answers, top))
    else:
        _print_table(answers, top)
    readable = [name for name, found in answers if isinstance(found, Prediction)]
    if explain and len(readable) > MOST_EXPLAINED and not not_written:
        tell_warning(f"The picture shows the first {MOST_EXPLAINED} of {len(readable):,} images.")
    _warn_of_scenes(readable, left_out)
    errors: list[EurosatError] = [error for _, error in answers if isinstance(error, ImageError)]
    all_failed = len(errors) == len(answers)
    if locked:
        errors.append(left_locked(locked))
    for error in [*errors, *not_written]:
        tell_error(error)
    if not_written:
        raise typer.Exit(EXIT_REFUSED)
    if errors:
        raise typer.Exit(EXIT_ALL_UNREADABLE if all_failed else EXIT_SOME_UNREADABLE)


def _without_repeats(paths: Iterable[Path]) -> list[Path]:
    """Return each path once, as it is named first."""
    named: dict[Path, Path] = {}
    for path in paths:
        named.setdefault(path.absolute(), path)
    return list(named.values())


def _warn_of_scenes(images: list[Path], left_out: list[Path]) -> None:
    """Tell which images show too much land for one answer, and which scenes are no images."""
    from eurosat.scenes.scene_or_tile import is_scene_among_tiles

    scenes = list(filter(is_scene_among_tiles, images))
    for found, one, many in (
        (scenes, "was looked at as one tile", "were looked at as one tile each"),
        (left_out, "was left out", "were left out"),
    ):
        if not found:
            continue
        name = printable(found[0])
        if len(found) == 1:
            told = f"{name} is a whole scene and {one}"
        else:
            told = f"{len(found):,} whole scenes, {name} among them, {many}"
        tell_warning(f"{told}: `eurosat-map` makes a map.")


def _check_targets(targets: list[Path | None], sources: list[Path]) -> None:
    """Refuse to write to what is read, or to where nothing can be written.

    Raises:
        EurosatError: A target is one of the sources, or of the other targets; or it is a folder or
            a device, or lies where no file can be made.
    """
    written: set[Path] = set()
    for target in filter(None, targets):
        is_read = exists(target) and any(_is_same(target, path) for path in sources)
        if is_read or target.absolute() in written:
            raise EurosatError(
                f"{target} is named twice, and would be replaced: name another file to write to."
            )
        written.add(target.absolute())
        try:
            check_replaceable(target)
        except OSError as error:
            raise cannot_be_written(target, error) from error


def _is_same(target: Path, path: Path) -> bool:
    try:
        return target.samefile(path)
    except (OSError, ValueError):  # The other is not there, or no path.
        return False


def _write_csv(path: Path, classifier: Classifier, answers: list[Answer]) -> None:
    write_csv(path, classifier.class_names, answers)


def _draw_explanations(path: Path, classifier: Classifier, answers: list[Answer]) -> None:
    """Write a picture of the first readable images and what decided in them.

    Raises:
        EurosatError: The file cannot be written.
    """
    from PIL import Image

    from eurosat.explain import arrange, draw_explanation

    predictions = [(image, found) for image, found in answers if isinstance(found, Prediction)]
    drawn = [
        draw_explanation(classifier, read_image(image), prediction, printable(image))
        for image, prediction in predictions[:MOST_EXPLAINED]
    ]
    if not drawn:
        return
    try:
        with replacing(path) as temporary:
            Image.fromarray(arrange(drawn)).save(temporary, format="PNG")
    except OSError as error:
        raise cannot_be_written(path, error) from error


def _print_table(answers: list[Answer], top: int) -> None:
    table = plain_table()
    room = output.width - _width_without_bars(answers)
    width_of_others = _width_of_one_other(answers, top)
    has_others = top > 1 and room >= width_of_others
    has_bars = room >= BAR_WIDTH + 1 + width_of_others
    table.add_column("Image", overflow="fold")
    table.add_column("Class", no_wrap=room >= 0, overflow="fold")
    table.add_column("Confidence", no_wrap=True)
    if has_others:
        table.add_column("Runner-up" if top == 2 else "Runners-up")
    counts: Counter[str] = Counter()
    unsure = 0
    for path, prediction in answers:
        if isinstance(prediction, ImageError):
            table.add_row(escape(printable(path)), "[red]unreadable[/]", "")
            continue
        cover = land_cover(prediction.label, prediction.index)
        counts[cover.title] += 1
        unsure += prediction.is_unsure
        bar = share_bar(prediction.confidence, cover.colour) + " " if has_bars else ""
        unsure_mark = " [yellow]unsure[/]" if prediction.is_unsure else ""
        cells = [
            escape(printable(path)),
            f"[bold]{escape(cover.title)}[/]",
            f"{bar}{prediction.confidence:6.1%}{unsure_mark}",
        ]
        if has_others:
            cells.append(escape(", ".join(_others(prediction, top))))
        table.add_row(*cells)
    output.print(table)
    if len(answers) >= SUMMARY_FROM:
        tally = ", ".join(f"{escape(title)} {count:,}" for title, count in counts.most_common())
        doubt = f", {unsure:,} of them unsure" if unsure else ""
        output.print(f"\n{sum(counts.values()):,} images{doubt}: {tally}", soft_wrap=True)


def _others(prediction: Prediction, top: int) -> list[str]:
    return [f"{land_cover(name).title} {share:.1%}" for name, share in prediction.top(top)[1:]]


def _width_without_bars(answers: list[Answer]) -> int:
    """Return how wide a table is with name, class and number alone."""
    from rich.cells import cell_len

    name, title, number = 0, len("unreadable"), len("Confidence")
    for path, found in answers:
        name = max(name, cell_len(printable(path)))
        if isinstance(found, Prediction):
            title = max(title, cell_len(land_cover(found.label).title))
            number = max(number, len("100.0% unsure") if found.is_unsure else 0)
    # The longest names are folded rather than all else left out.
    return min(name, LONGEST_NAME) + title + number + 3 * SPACE_BETWEEN


def _width_of_one_other(answers: list[Answer], top: int) -> int:
    """Return how wide the column of runners-up must be: they are wrapped one below the other."""
    from rich.cells import cell_len

    others = [
        other
        for _, found in answers
        if isinstance(found, Prediction)
        for other in _others(found, top)
    ]
    return max(map(cell_len, others), default=0) + SPACE_BETWEEN if top > 1 else 0


def main() -> None:
    """Run the command."""
    run(app)
