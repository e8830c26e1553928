"""`eurosat-convert`: from a training run to TFLite files that are proven to be as accurate."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from eurosat.console import (
    RunDataOption,
    check_folder,
    notes,
    output,
    path_for,
    path_option,
    plain_table,
    read_tiles,
    run,
)
from eurosat.dataset import Dataset, find_dataset
from eurosat.errors import EurosatError
from eurosat.interrupts import interrupts_end_at_once
from eurosat.labels import land_cover
from eurosat.model_file import VIEW_COUNTS
from eurosat.run_folder import RunFolder
from eurosat.tensorflow_start import require_tensorflow, start_tensorflow

if TYPE_CHECKING:
    from .conversion import Conversion, Original
    from .scene import SceneExport

EXIT_ACCURACY_LOST = 1

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def convert_run(
    run_folder: Annotated[
        Path,
        typer.Argument(metavar="RUN", parser=path_for("RUN"), help="Folder of a training run."),
    ],
    *,
    int8: Annotated[
        bool, typer.Option("--int8", help="Full-integer: smallest and fastest (the default).")
    ] = False,
    float32: Annotated[bool, typer.Option("--float32", help="As it was trained.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="Weights in half precision.")] = False,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="Weights in int8, activations in float.")
    ] = False,
    int16x8: Annotated[
        bool, typer.Option("--int16x8", help="Activations in int16, weights in int8; slow.")
    ] = False,
    c_array: Annotated[
        bool, typer.Option("--c-array", help="Write the int8 model as C source too.")
    ] = False,
    scene: Annotated[
        bool,
        typer.Option(
            "--scene", help="Write the twin that answers for all tiles of a large window too."
        ),
    ] = False,
    views: Annotated[
        int,
        typer.Option(
            help="Flips and turns of a tile that the file answers with the mean of: 1, 2, 4 or 8."
            " It takes as many times as long."
        ),
    ] = 1,
    data: RunDataOption = None,
    out: Annotated[
        Path | None, path_option("--out", "Folder for the files; RUN without it.")
    ] = None,
    calibration: Annotated[
        int, typer.Option(help="Training tiles that ranges of activations are measured on.")
    ] = 500,
    max_drop: Annotated[
        float, typer.Option(help="Points of test accuracy that may be lost.")
    ] = 0.5,
    max_class_drop: Annotated[
        float, typer.Option(help="Points of recall that one class may lose.")
    ] = 2.0,
    min_agreement: Annotated[
        float,
        typer.Option(
            min=0, max=100, help="Per cent of cells that a scene twin must label as the model does."
        ),
    ] = 98.0,
) -> None:
    """Export a trained model to TFLite and check on the test split that accuracy holds.

    Exit status 1 if it does not: then no file is left under the final name. So too if a scene twin
    answers differently, which is then not written.
    """
    if c_array and not int8 and (float32 or float16 or dynamic or int16x8):
        raise EurosatError("--c-array writes the int8 model: add --int8.")
    if views not in VIEW_COUNTS:
        raise EurosatError(f"--views must be 1, 2, 4 or 8, not {views}.")
    if math.isnan(max_drop) or math.isnan(max_class_drop):
        raise EurosatError("--max-drop and --max-class-drop must be numbers.")
    require_tensorflow()
    folder = RunFolder(run_folder)
    if out:
        check_folder(out)
    dataset = _data_of(folder, data, calibration)
    with interrupts_end_at_once():
        start_tensorflow()
        from .conversion import convert, load_original
        from .export import Precision

    chosen = [
        precision
        for precision, is_wanted in (
            (Precision.INT8, int8),
            (Precision.INT16X8, int16x8),
            (Precision.DYNAMIC, dynamic),
            (Precision.FLOAT16, float16),
            (Precision.FLOAT32, float32),
        )
        if is_wanted
    ] or [Precision.INT8]
    with notes.status("Judging the Keras model"):
        original = load_original(folder, dataset, calibration, views)
    has_failed = False
    for precision in chosen:
        with notes.status(f"Converting to {precision} and judging the file"):
            conversion = convert(
                original,
                precision,
                out or folder.path,
                max_drop=max_drop,
                max_class_drop=max_class_drop,
            )
        _print_conversion(conversion)
        has_failed = has_failed or bool(conversion.failures)
        if conversion.failures:
            continue
        if c_array and precision is Precision.INT8:
            _add_c_array(conversion, original)
        if scene and not _add_scene(conversion, original, min_agreement):
            has_failed = True
    if has_failed:
        raise typer.Exit(EXIT_ACCURACY_LOST)


def _data_of(folder: RunFolder, data: Path | None, calibration: int) -> Dataset:
    """Return the data set of a run, unless something cheap speaks against converting it.

    Args:
        folder: The run.
        data: Where its data are, if not where they were.
        calibration: How many training tiles to calibrate with.

    Raises:
        EurosatError: The run is damaged, its data are missing or others, or there would be less
            than one tile for each class to calibrate with.
    """
    # The cheap refusals come first: nobody should wait for TensorFlow to be told of them.
    folder.read_config()
    split = folder.read_split()
    if calibration < len(split.class_names):
        raise EurosatError(
            f"--calibration must be at least {len(split.class_names)}, one tile for each class, "
            f"not {calibration}."
        )
    dataset = read_tiles(find_dataset(data or folder.recorded_data()))
    split.check_matches(dataset)
    return dataset


def _add_c_array(conversion: "Conversion", original: "Original") -> None:
    """Write an int8 model as C source, and say where."""
    from .c_array import write_c_array

    with notes.status("Writing C source"):
        source, header = write_c_array(conversion.path, original.calibration_tiles)
    output.print(f"C source: {source} and {header.name}", markup=False, soft_wrap=True)


def _add_scene(conversion: "Conversion", original: "Original", min_agreement: float) -> bool:
    """Write the scene twin of a model; tell what came of it, and return whether it was written."""
    from .scene import export_scene

    with notes.status("Making the scene twin"):
        twin = export_scene(
            conversion.path,
            original.validation_tiles,
            original.validation_labels,
            min_agreement / 100,
        )
    _print_scene(twin, min_agreement)
    return not twin.is_refused


def _print_comparison(conversion: "Conversion") -> None:
    comparison = conversion.comparison
    table = plain_table()
    table.title = f"{conversion.path.stem}: {comparison.tile_count:,} test tiles"
    table.title_justify = "left"
    for heading in ("", "Keras", conversion.precision, "Change"):
        table.add_column(heading, justify="left" if not heading else "right")
    original, exported = comparison.original, comparison.exported
    rows = [
        ("Accuracy", original.accuracy, exported.accuracy),
        ("Macro F1", original.macro_f1, exported.macro_f1),
    ]
    rows += [
        (f"Recall {escape(land_cover(name).title)}", before, after)
        for name, before, after in zip(
            comparison.class_names, original.recalls, exported.recalls, strict=True
        )
    ]
    for title, before, after in rows:
        table.add_row(title, f"{before:.2%}", f"{after:.2%}", f"{100 * (after - before):+.2f}")
    output.print(table)
    output.print(
        f"\nSame answer on {comparison.agreement:.2%} of the tiles. Accuracy drop "
        f"{100 * comparison.drop:.2f} points (95 % interval {100 * comparison.drop_low:.2f} to "
        f"{100 * comparison.drop_high:.2f}); only Keras right on "
        f"{comparison.only_original_right}, only {conversion.precision} on "
        f"{comparison.only_exported_right}, McNemar p = {comparison.mcnemar_p:.2g}.",
        soft_wrap=True,
    )


def _print_conversion(conversion: "Conversion") -> None:
    _print_comparison(conversion)
    if conversion.candidates:
        kept, *others = conversion.candidates
        beaten = ", ".join(f"{other.recipe} {other.agreement:.2%}" for other in others)
        output.print(
            f"Weights {kept.recipe}: of {1 + len(others)} ways the one whose probabilities are "
            f"closest to Keras's on validation. Same class on {kept.agreement:.2%} of its tiles "
            f"({beaten}).",
            soft_wrap=True,
        )
    on_test = conversion.confidence["test"]
    sure = (
        "there are no sure answers"
        if on_test.sure_accuracy is None
        else f"{on_test.coverage:.2%} of the test tiles get a sure answer, of which "
        f"{on_test.sure_accuracy:.2%} are right"
    )
    output.print(
        f"Confidence divided by temperature {conversion.calibration.temperature:.3f}, fitted on "
        f"validation: calibration error (ECE) {on_test.ece_before:.2%} before, "
        f"{on_test.ece_after:.2%} after. Unsure below {conversion.calibration.unsure_below:.1%}: "
        f"{sure}.",
        soft_wrap=True,
    )
    if conversion.calibration.warning:
        notes.print(conversion.calibration.warning, markup=False, soft_wrap=True)
    speeds = "; ".join(
        f"{speed.threads} thread{'s' * (speed.threads > 1)}: {speed.single_ms:.2f} ms for one "
        f"tile, {speed.batch_ms:.2f} ms per tile in a batch"
        for speed in conversion.speeds
    )
    output.print(f"{conversion.size_bytes:,} bytes. {speeds}.", soft_wrap=True)
    if not conversion.failures:
        of_these = f" on these {conversion.comparison.tile_count:,} tiles" * bool(
            conversion.reserves
        )
        output.print(
            f"[green]Accuracy holds{of_these}:[/] {escape(str(conversion.path))}", soft_wrap=True
        )
        for reserve in conversion.reserves:
            output.print(reserve, markup=False, soft_wrap=True)
        output.print()
        return
    for failure in conversion.failures:
        notes.print(f"[bold red]Accuracy lost:[/] {escape(failure)}", soft_wrap=True)
    notes.print(f"No model file was written to {conversion.path}.\n", markup=False, soft_wrap=True)
    if conversion.set_aside:
        notes.print(
            f"An older one was moved to {conversion.set_aside}.\n", markup=False, soft_wrap=True
        )


def _print_scene(twin: "SceneExport", min_agreement: float) -> None:
    output.print(
        f"Scene twin: {twin.side} x {twin.side} pixels in, an answer every {twin.step}"
        f" pixels. {twin.agreement:.2%} of {twin.cells:,} cells of a mosaic of validation tiles get"
        " the class that single windows give them.",
        soft_wrap=True,
    )
    if twin.is_refused:
        notes.print(
            f"[bold red]Not the same:[/] less than {min_agreement:g} % of the cells, so"
            f" {escape(str(twin.path))} was not written.",
            soft_wrap=True,
        )
    else:
        output.print(f"[green]Written:[/] {escape(str(twin.path))}\n", soft_wrap=True)


def main() -> None:
    """Run the command."""
    run(app)
