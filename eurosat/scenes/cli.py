"""`eurosat-map`: what covers the land in whole scenes, in a shell."""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from eurosat.classifier import Classifier
from eurosat.console import (
    MOST_THREADS,
    ModelOption,
    notes,
    output,
    path_for,
    plain_table,
    progress_bars,
    run,
    share_bar,
    tell_error,
)
from eurosat.errors import EurosatError, printable
from eurosat.model_file import DEFAULT_MAP_MODEL, find_model
from eurosat.scenes.areas import area_title
from eurosat.scenes.bands import Bands, parse_bands
from eurosat.scenes.cells import NO_DATA, UNSURE
from eurosat.scenes.input_kind import InputKind
from eurosat.scenes.land_map import MapStart, map_scene
from eurosat.scenes.map_record import LandMap, MapSettings, map_folder
from eurosat.scenes.product import scene_named_by
from eurosat.scenes.windows import DEFAULT_STRIDE, STRIDES
from eurosat.scenes.workers import Workers, dask_cluster, process_pool

EXIT_SOME_FAILED = 1
EXIT_ALL_FAILED = 2

MOST_OFFSET = 100_000
"""Beyond what 16 bits hold, nothing is left of a scene."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def map_scenes(
    scenes: Annotated[
        list[Path],
        # Made by `path_for` and not by typer: one scene that may not be read does not stop the
        # others.
        typer.Argument(
            metavar="SCENE...",
            parser=path_for("SCENE"),
            help="GeoTIFF, JPEG 2000, PNG, JPEG, or Sentinel-2 products (.SAFE or .zip).",
        ),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            parser=path_for("--out"),
            help="Gets a folder with the map of each scene.",
        ),
    ],
    model: ModelOption = DEFAULT_MAP_MODEL,
    stride: Annotated[
        int,
        typer.Option(
            metavar="64|32|16|8",
            help="Pixels from a label to the next; fewer are finer, and down to 16 more often"
            " right.",
        ),
    ] = DEFAULT_STRIDE,
    bands: Annotated[
        str | None,
        typer.Option(metavar="R,G,B", help="Numbers of the bands, if their names do not tell."),
    ] = None,
    kind: Annotated[
        InputKind, typer.Option("--input", help="What the values are; auto says what it decided.")
    ] = InputKind.AUTO,
    offset: Annotated[
        int | None,
        typer.Option(
            min=-MOST_OFFSET,
            max=MOST_OFFSET,
            help="What is added to reflectance, such as -1000; found out without it.",
        ),
    ] = None,
    unsure_below: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Confidence below which a window is unsure."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_THREADS, help="Windows worked on at once; all cores without it."
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_THREADS,
            help="Classify in so many processes; in threads of one without it.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Classify on the workers of this Dask scheduler."),
    ] = None,
) -> None:
    """Map the land cover of whole scenes, offline.

    Each scene gets a folder in DIR with classes.tif, confidence.tif, areas.csv,
    classes.geojson, map.png and report.html. A cell is unsure if fewer than half
    of its windows are as sure of its class as the model file, or --unsure-below,
    asks. After Ctrl-C, the same command goes on where it was.

    Exit status 0 if all scenes were mapped, 1 if some could not be, 2 if none.
    """
    if stride not in STRIDES:
        raise EurosatError(f"The stride is {stride}: choose 64, 32, 16 or 8.")
    if sum(choice is not None for choice in (threads, processes, scheduler)) > 1:
        raise EurosatError("Choose one of --threads, --processes and --scheduler.")
    scenes = _each_once(scenes)
    settings = MapSettings(stride, _parsed(bands), kind, offset, unsure_below)
    classifier = Classifier(find_model(model), threads=threads)
    with _workers(processes, scheduler) as workers:
        failures = _map_all(scenes, out, classifier, settings, workers)
    if failures:
        all_failed = failures == len(scenes)
        raise typer.Exit(EXIT_ALL_FAILED if all_failed else EXIT_SOME_FAILED)


def _each_once(scenes: list[Path]) -> list[Path]:
    """Leave out scenes that are named again, which would be mapped into a second folder."""
    found: dict[str, Path] = {}
    for scene in map(scene_named_by, scenes):
        # Unlike `Path.resolve`, it takes links that lead to each other.
        found.setdefault(os.path.realpath(scene), scene)
    return list(found.values())


def _workers(
    processes: int | None, scheduler: str | None
) -> AbstractContextManager[Workers | None]:
    if scheduler is not None:
        return dask_cluster(scheduler)
    return nullcontext() if processes is None else process_pool(processes)


def _map_all(
    scenes: list[Path],
    out: Path,
    classifier: Classifier,
    settings: MapSettings,
    workers: Workers | None,
) -> int:
    """Map one scene after the other; return how many could not be."""
    failures = 0
    for scene, folder in zip(scenes, _folders(scenes, out), strict=True):
        try:
            with progress_bars("Mapping", "Writing") as (progress, writing):
                made = map_scene(
                    scene,
                    folder,
                    classifier,
                    settings,
                    started=_tell_start,
                    progress=progress,
                    writing=writing,
                    workers=workers,
                )
        except EurosatError as error:
            failures += 1
            tell_error(error)
            continue
        except KeyboardInterrupt:
            notes.print("Stopped. What is done is kept: the same command goes on from there.")
            raise
        _print_map(scene, made)
        if settings.unsure_below is None:
            _tell_if_mostly_unsure(made, settings.threshold_of(classifier))
    return failures


def _parsed(bands: str | None) -> Bands | None:
    if bands is None:
        return None
    parsed = parse_bands(bands)
    if parsed is None:
        raise EurosatError(
            f"The bands are {bands!r}: give three numbers, red, green and blue, such as 4,3,2."
        )
    return parsed


def _folders(scenes: list[Path], out: Path) -> list[Path]:
    """Return a folder for each scene."""
    folders: list[Path] = []
    for scene in scenes:
        folders.append(map_folder(scene, out, folders))
    return folders


def _tell_start(start: MapStart) -> None:
    scene, grid = start.scene, start.grid
    windows = f"{grid.window_count:,} window{'s' * (grid.window_count != 1)}"
    notes.print(
        f"[bold]{escape(printable(scene.path.name))}[/]: {grid.width:,} × {grid.height:,} pixels of"
        f" {scene.ground.pixel_name}, {windows} at stride {grid.stride},"
        f" {_duration(start.seconds)} to classify",
        soft_wrap=True,
    )
    if start.windows_done:
        notes.print(f"  Goes on after {start.windows_done:,} windows.")
    for note in scene.notes:
        notes.print(f"  {escape(note)}", soft_wrap=True)
    for warning in scene.warnings:
        notes.print(f"  [yellow]Warning:[/] {escape(warning)}", soft_wrap=True)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _print_map(scene: Path, made: LandMap) -> None:
    table = plain_table()
    table.add_column("Class", no_wrap=True)
    table.add_column("Share of what is sure", no_wrap=True)
    for name in (area_title(made.pixel_name), "Confidence"):
        table.add_column(name, justify="right", no_wrap=True)
    for area in made.areas:
        if not area.pixels:
            continue
        bar = share_bar(area.share or 0, area.colour)
        table.add_row(
            f"[bold]{escape(area.title)}[/]",
            "" if area.share is None else f"{bar} {area.share:6.1%}",
            f"{area.hectares:,.1f} ha",
            "" if area.confidence is None else f"{area.confidence:.1%}",
        )
    output.print(table)
    total = sum(area.hectares for area in made.areas if area.name != NO_DATA)
    state = "was mapped before" if made.was_there else "mapped"
    output.print(
        f"{escape(printable(scene.name))} {state}: {total:,.1f} ha with data,"
        f" {made.pixel_name} to a pixel; files in {escape(printable(made.folder))}",
        soft_wrap=True,
    )


def _tell_if_mostly_unsure(made: LandMap, threshold: float | None) -> None:
    """Say what to do about a map that answers little of what was asked."""
    m2 = {area.name: area.m2 for area in made.areas if area.name != NO_DATA}
    if threshold and m2[UNSURE] > sum(m2.values()) / 2:
        notes.print(
            f"Most of it is unsure, below the {threshold:.1%} that the model asks for:"
            " --unsure-below 0.5 shows more of what it is taken for.",
            soft_wrap=True,
        )


def main() -> None:
    """Run the command."""
    run(app)
