"""`eurosat-train`: from a data set to a trained model with its report, in one command."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eurosat.console import (
    DataOption,
    check_folder,
    check_not_empty,
    notes,
    output,
    path_option,
    read_tiles,
    run,
)
from eurosat.dataset import Audit, Dataset, check_outside, find_dataset
from eurosat.errors import EurosatError, MissingPackageError, RunFolderError
from eurosat.existence import exists
from eurosat.folder_lock import check_nobody_in, only_process_in
from eurosat.interrupts import interrupts_end_at_once
from eurosat.run_folder import RunFolder
from eurosat.split import check_fractions
from eurosat.tensorflow_start import require_tensorflow, start_tensorflow

from .configuration import (
    DEFAULTS,
    WITHOUT_EFFECT,
    Architecture,
    Optimizer,
    TrainingConfiguration,
    recorded_configuration,
)
from .first_shape import shape_to_take_over
from .sources import SOURCES, check_teacher, check_weights, lasting
from .study_folder import StudyFolder

if TYPE_CHECKING:
    from .evaluate import Evaluation
    from .fit import Epoch, Step, Watcher

RUNS = Path("runs")
"""Where runs go that were given no folder."""

MILD_IMBALANCE = 3.0
"""Up to this ratio of the largest class to the smallest, nothing need be done."""


def _with_default(name: str, text: str) -> str:
    """Return the help of an option of the configuration, with its default or its defaults."""
    values = {
        architecture: _as_typed(getattr(default, name))
        for architecture, default in DEFAULTS.items()
        if name not in WITHOUT_EFFECT[architecture]
    }
    if len(set(values.values())) > 1:
        values = {
            architecture: f"{value} for {architecture}" for architecture, value in values.items()
        }
    return f"{text} Default: {', '.join(dict.fromkeys(values.values()))}."


def _as_typed(value: object) -> str:
    """Return a value as a person would type it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def train(
    architecture: Annotated[
        Architecture | None, typer.Argument(help="Our own small CNN, or a fine-tuned MobileNetV2.")
    ] = None,
    *,
    data: DataOption = None,
    epochs: Annotated[
        int | None, typer.Option(help=_with_default("epochs", "Passes over the training tiles."))
    ] = None,
    head_epochs: Annotated[
        int | None,
        typer.Option(
            help=_with_default(
                "head_epochs", "How many of them fit the head alone, with a frozen trunk."
            )
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help=_with_default("batch_size", "Tiles in a step."))
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "learning_rate", "The highest rate of a cosine schedule with warm-up."
            )
        ),
    ] = None,
    optimizer: Annotated[
        Optimizer | None,
        typer.Option(help=_with_default("optimizer", "How weights follow gradients.")),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "dropout", "Share of features dropped before each dense layer, 0 to below 1."
            )
        ),
    ] = None,
    l2: Annotated[
        float | None,
        typer.Option(help=_with_default("l2", "Factor of the L2 penalty on kernels; 0 for none.")),
    ] = None,
    augment: Annotated[
        bool | None,
        typer.Option(
            "--augment/--no-augment", help=_with_default("augment", "Flip, turn and shift tiles.")
        ),
    ] = None,
    shift: Annotated[
        int | None,
        typer.Option(help=_with_default("shift", "Largest such shift, in pixels; 0 for none.")),
    ] = None,
    jitter: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "jitter",
                "Largest relative change of an augmented tile's brightness, "
                "contrast: 0 for none, to below 1, which would be all of it.",
            )
        ),
    ] = None,
    zoom: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "zoom",
                "Largest relative change of an augmented tile's scale: 0 for none, to below 1.",
            )
        ),
    ] = None,
    rotation: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "rotation",
                "Largest turn of an augmented tile, besides quarter turns, in degrees, 0 to 45.",
            )
        ),
    ] = None,
    mixup: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "mixup",
                "Strength of blending pairs of tiles and their labels: 0 for none, "
                "0.2 for mostly faint blends, 1 for blends of any shares.",
            )
        ),
    ] = None,
    mosaics: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "mosaics",
                "Share of tiles made of pieces of several, labelled by what lies near the middle; "
                "for maps; 0 to 1.",
            )
        ),
    ] = None,
    rivers: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "rivers",
                "Share of tiles that a river is drawn across, whose label it gets if it is near "
                "the middle; for maps; 0 to 1.",
            )
        ),
    ] = None,
    balanced: Annotated[
        bool | None,
        typer.Option(
            "--balanced/--no-balanced",
            help=_with_default(
                "balanced",
                "Every class counts the same, as with class weights: an epoch draws tiles of all "
                "equally often, and is judged by the mean recall of the classes.",
            ),
        ),
    ] = None,
    label_smoothing: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "label_smoothing", "Share of the target spread over all classes, 0 to below 1."
            )
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help=_with_default("patience", "Stop after so many epochs without a better validation.")
        ),
    ] = None,
    image_size: Annotated[
        int | None,
        typer.Option(
            help=_with_default("image_size", "Pixels that tiles are resized to inside the model.")
        ),
    ] = None,
    growing: Annotated[
        float | None,
        typer.Option(
            help=_with_default(
                "growing",
                "Share of the epochs, 0 to below 1, that see half, then three "
                "quarters of the pixels.",
            )
        ),
    ] = None,
    averaged: Annotated[
        int | None,
        typer.Option(
            help=_with_default(
                "averaged", "Average the weights of so many epochs, the last ones; 0 for none."
            )
        ),
    ] = None,
    blocks: Annotated[
        int | None,
        typer.Option(help=_with_default("blocks", "Residual blocks of the CNN, 1 to 4.")),
    ] = None,
    filters: Annotated[
        int | None,
        typer.Option(help=_with_default("filters", "Filters of the CNN's first convolution.")),
    ] = None,
    width: Annotated[
        float | None, typer.Option(help=_with_default("width", "MobileNet's width (alpha)."))
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(help=_with_default("units", "Neurons of the dense layer; 0 leaves it out.")),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help=_with_default("weights", "First weights of MobileNet: imagenet, none, or a file.")
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            help="Learn from this model's answers too: a run folder, a .keras or .tflite file, or "
            "the name of a shipped model."
        ),
    ] = None,
    from_run: Annotated[
        str | None,
        typer.Option(
            help="Fine-tune the model of this finished run, for these classes or others; "
            "architecture, blocks, filters, width and units are those of the run."
        ),
    ] = None,
    from_model: Annotated[
        str | None,
        typer.Option(
            help="Fine-tune this int8 model instead: a .tflite file, or the name of a shipped one; "
            "architecture, blocks, filters, width and units are those of the file."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help=_with_default(
                "seed",
                "Of the first weights and the order. Same seed, same machine: same result.",
            )
        ),
    ] = None,
    split_seed: Annotated[
        int | None,
        typer.Option(
            help=_with_default(
                "split_seed",
                "Of the split alone: runs with the same one are judged on the same tiles.",
            )
        ),
    ] = None,
    validation_fraction: Annotated[
        float | None,
        typer.Option(help=_with_default("validation_fraction", "Share of the tiles for choices.")),
    ] = None,
    test_fraction: Annotated[
        float | None,
        typer.Option(help=_with_default("test_fraction", "Share of the tiles for the last look.")),
    ] = None,
    from_study: Annotated[
        Path | None,
        path_option(
            "--from-study", "Train the best of this study by eurosat-tune, on the study's split."
        ),
    ] = None,
    out: Annotated[
        Path | None, path_option("--out", "Run folder; runs/ARCHITECTURE-TIME without it.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in --out, or with the latest in runs/."),
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="At the end, look at the test split too.")
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write a log for TensorBoard, which must be installed."),
    ] = False,
    audit: Annotated[
        bool, typer.Option("--audit", help="Only look at the data, and stop.")
    ] = False,
) -> None:
    """Train a land-cover classifier. The defaults give a good model."""
    typed = dict(locals())
    given = {
        field.name: typed[field.name]
        for field in fields(TrainingConfiguration)
        if typed[field.name] is not None
    }
    for name in SOURCES:
        if name in given:
            check_not_empty("--" + name.replace("_", "-"), given[name])
            given[name] = lasting(given[name])
    # The cheap refusals come first: nobody should wait for TensorFlow to be told of a typing error.
    begun = _begun_run(architecture, out) if resume and not from_study else None
    data = data or (begun.recorded_data() if begun else None)
    if audit:
        _tell_audit(data, is_balanced=bool(balanced))
        return
    configuration = _configuration(given, begun, from_study, resume=resume)
    if tensorboard and find_spec("tensorboard") is None:
        raise MissingPackageError(
            "TensorBoard is not installed: run `pip install tensorboard`, or leave out "
            "--tensorboard; history.csv holds the same figures."
        )
    if not begun:
        check_fractions(configuration.validation_fraction, configuration.test_fraction)
        check_weights(configuration.weights)
        if configuration.teacher:
            check_teacher(configuration.teacher)
    require_tensorflow()
    folder = begun or _new_run_folder(configuration.architecture, out)
    check_nobody_in(folder.checkpoint.parent, _busy(folder))

    dataset = _load(data, folder)
    advice = "" if begun else _balance_advice(dataset.audit, configuration.balanced)
    notes.print(dataset.audit.to_text() + advice, markup=False, soft_wrap=True)
    with interrupts_end_at_once():
        start_tensorflow()
        from .fit import fit
        from .run import is_tested, prepare_run, record_run, report_run

    if begun:
        split = begun.read_split()
        split.check_matches(dataset)
    else:
        study = StudyFolder(from_study) if from_study else None
        split = study.read_split(study.split, dataset) if study else None
        split = prepare_run(configuration, dataset, split)
    with _alone_in(folder):
        if not begun:
            _check_no_run_in(folder)  # Another process may have been faster.
            record_run(folder, configuration, dataset, split)
        notes.print(
            f"\n{len(split.train):,} tiles for training, {len(split.validation):,} for validation, "
            f"{len(split.test):,} for test; run folder {folder.path}\n",
            markup=False,
            soft_wrap=True,
        )
        options = ["--test"] * test + ["--tensorboard"] * tensorboard
        with _going_on_told(folder, options):
            with _watched(folder, configuration.epochs, tensorboard=tensorboard) as watch:
                history = fit(configuration, dataset, split, folder, watch)
            evaluations = report_run(
                folder, dataset, split, history, test=test or is_tested(folder)
            )
    _tell_outcome(folder, history, evaluations)


def _tell_audit(data: Path | None, *, is_balanced: bool) -> None:
    """Say what is known of a data set, and what can be done about an imbalance."""
    found = _load(data).audit
    text = found.to_text() + _balance_advice(found, is_balanced)
    output.print(text, markup=False, soft_wrap=True)


@contextmanager
def _watched(folder: RunFolder, epochs: int, *, tensorboard: bool) -> "Iterator[Watcher]":
    """Show a training on screen and, if it is asked for, in TensorBoard.

    Args:
        folder: The run.
        epochs: How many it has.
        tensorboard: Whether to write a log.

    Yields:
        What is to be told about every batch and epoch.
    """
    from .progress import TrainingProgress

    with TrainingProgress(notes, epochs) as progress:
        watchers: list[Watcher] = [progress]
        if tensorboard:
            from .tensorboard_log import TensorBoardLog

            watchers.append(TensorBoardLog(folder.tensorboard))

        def watch(news: "Step | Epoch") -> None:
            for watcher in watchers:
                watcher(news)

        yield watch


def _tell_outcome(
    folder: RunFolder, history: "list[Epoch]", evaluations: "Sequence[Evaluation]"
) -> None:
    """Say how good the model of a run is, and what comes next."""
    from .fit import best_epoch
    from .trained_model import recorded_calibration

    kept = best_epoch(history)
    output.print(f"\nKept epoch {kept.epoch} of {len(history)}.")
    for evaluation in evaluations:
        output.print(
            f"\n{evaluation.part.capitalize()}\n{evaluation.text}", markup=False, soft_wrap=True
        )
    calibration = recorded_calibration(folder)
    if calibration and calibration.warning:
        notes.print(f"{calibration.warning}\n", markup=False, soft_wrap=True)
    following = shlex.join(["eurosat-convert", str(folder.path), "--int8"])
    output.print(f"Next: {following}", markup=False, soft_wrap=True)


def _configuration(
    given: dict[str, Any],
    begun: RunFolder | None,
    from_study: Path | None,
    *,
    resume: bool,
) -> TrainingConfiguration:
    """Return what is to be trained: as recorded in a run, the best of a study, or by default.

    Args:
        given: Values that were asked for, the architecture included.
        begun: The run to go on with.
        from_study: The folder of a study.
        resume: Whether a run is to be gone on with.

    Raises:
        EurosatError: These do not go together, or what they name is not there or is damaged.
        BadParameter: Nothing says which model to train.
    """
    if begun:  # It may have been begun with an option that does nothing.
        configuration = recorded_configuration(begun)
        _check_agreement(given, configuration, begun)
        return configuration
    best = _best_of_study(StudyFolder(from_study), given, resume=resume) if from_study else None
    given = given | shape_to_take_over(given, (best.to_json() if best else {}) | given)
    if best is None and "architecture" not in given:
        raise typer.BadParameter("say which model to train.", param_hint="ARCHITECTURE")
    configuration = replace(best or DEFAULTS[given["architecture"]], **given)
    _check_effect(given, configuration)
    return configuration


@contextmanager
def _going_on_told(folder: RunFolder, options: list[str]) -> Iterator[None]:
    """Say how to go on with a run that is interrupted, or that runs out of disk.

    Raises:
        RunFolderError: The folder cannot be written to.
    """
    resuming = shlex.join(["eurosat-train", "--resume", "--out", str(folder.path), *options])
    try:
        yield
    except KeyboardInterrupt:
        notes.print(f"\nGo on with: {resuming}", markup=False, soft_wrap=True)
        raise
    except OSError as error:
        raise RunFolderError(
            f"{folder.path} cannot be written to ({error.strerror}): mend that, and go on with "
            f"{resuming}."
        ) from error


def _best_of_study(
    study: StudyFolder, given: dict[str, Any], *, resume: bool
) -> TrainingConfiguration:
    """Return the best configuration of a study.

    Raises:
        RunFolderError: There is none, or the options do not go with a study.
    """
    best = study.read_best()
    if resume:
        raise RunFolderError(
            "--from-study begins a run and --resume goes on with one: leave one of them out."
        )
    # These are in the recorded split; of all else, what is given counts.
    for name in ("architecture", "split_seed", "validation_fraction", "test_fraction"):
        if given.get(name, getattr(best, name)) != getattr(best, name):
            raise RunFolderError(
                f"The study in {study.path} was made with {name.replace('_', ' ')} "
                f"{getattr(best, name)}, not {given[name]}: leave it out, or leave out "
                f"--from-study."
            )
    return best


def _balance_advice(audit: Audit, is_balanced: bool) -> str:
    """Return what can be done about an imbalance, as a line behind a line break; or nothing."""
    if is_balanced or audit.imbalance_ratio <= MILD_IMBALANCE:
        return ""
    return (
        "\nClasses differ so much in size that accuracy hardly tells how well the small ones are "
        "known: look at macro F1, and try --balanced, with which all classes count the same."
    )


def _load(data: Path | None, folder: RunFolder | None = None) -> Dataset:
    """Read the data set; refuse one that the folder of the run lies in.

    Raises:
        DatasetError: It does, or the data set cannot be read.
    """
    source = find_dataset(data)
    if folder:
        check_outside(folder.path, source)
    return read_tiles(source)


def _new_run_folder(architecture: Architecture, out: Path | None) -> RunFolder:
    """Return the folder of the run to begin.

    Raises:
        RunFolderError: There is a run in the way.
        EurosatError: It cannot be written to.
    """
    folder = RunFolder(out or RUNS / f"{architecture}-{datetime.now():%Y-%m-%d-%H%M%S}")
    _check_no_run_in(folder)
    check_folder(folder.path)
    return folder


def _check_no_run_in(folder: RunFolder) -> None:
    """Refuse a folder in which a run would be overwritten.

    Raises:
        RunFolderError: There is one.
    """
    # One that failed before its first checkpoint leaves nothing to go on with.
    if exists(folder.checkpoint) or exists(folder.model):
        raise RunFolderError(
            f"{folder.path} holds a run already: add --resume to go on with it, or name another "
            f"folder with --out."
        )


@contextmanager
def _alone_in(folder: RunFolder) -> Iterator[None]:
    """Keep other trainings out of the folder of a run, which is made if need be.

    Raises:
        EurosatError: Another process trains in it.
        RunFolderError: It cannot be written to.
    """
    with ExitStack() as held:
        try:
            held.enter_context(only_process_in(folder.checkpoint.parent, _busy(folder)))
        except OSError as error:
            raise RunFolderError(
                f"{folder.path} cannot be written to ({error.strerror}): name another --out."
            ) from error
        yield


def _busy(folder: RunFolder) -> str:
    return (
        f"Another process trains in {folder.path}: wait until it has ended, or name another folder "
        "with --out."
    )


def _begun_run(architecture: Architecture | None, out: Path | None) -> RunFolder:
    """Return the folder of the run to go on with, which may be of any architecture.

    Raises:
        RunFolderError: There is none.
    """
    if out is None:
        begun = {
            folder: at
            for config in sorted(RUNS.glob("*/config.json"))
            if (at := _begun_at(folder := RunFolder(config.parent), architecture))
        }
        if not begun:
            kind = f"{architecture} run" if architecture else "run"
            raise RunFolderError(
                f"There is no {kind} in {RUNS} to go on with: name its folder with --out."
            )
        return max(begun, key=lambda folder: begun[folder])
    folder = RunFolder(out)
    if not exists(folder.config):
        raise RunFolderError(f"There is no run in {out} to go on with.")
    if "blend" in folder.read_config():
        raise RunFolderError(
            f"{out} is a blend, which is not trained on: begin a new run with --from-run {out}."
        )
    return folder


def _begun_at(folder: RunFolder, architecture: Architecture | None) -> str | None:
    """Return when a run was begun, to be compared; None if it is damaged or of another kind."""
    try:
        record, configuration = folder.read_config(), recorded_configuration(folder)
    except EurosatError:
        return None
    if "blend" in record or architecture not in {None, configuration.architecture}:
        return None
    written = datetime.fromtimestamp(folder.config.stat().st_mtime, UTC)
    return str(record.get("started") or written.isoformat(timespec="seconds"))


def _check_agreement(
    given: dict[str, Any], configuration: TrainingConfiguration, folder: RunFolder
) -> None:
    """Refuse options that the run to go on with was not begun with.

    Raises:
        RunFolderError: An option differs.
    """
    for name, value in given.items():
        begun_with = getattr(configuration, name)
        if name in SOURCES:  # It may have been recorded as it was typed.
            begun_with = lasting(begun_with)
        if value != begun_with:
            raise RunFolderError(
                f"The run in {folder.path} was begun with {name.replace('_', ' ')} {begun_with}, "
                f"not {value}: leave the option out, or begin a new run."
            )


def _check_effect(given: dict[str, Any], configuration: TrainingConfiguration) -> None:
    """Refuse options that do nothing.

    Raises:
        EurosatError: One was given.
    """
    architecture = configuration.architecture
    for name in WITHOUT_EFFECT[architecture]:
        if name in given:
            raise EurosatError(
                f"--{name} does nothing for {architecture}: leave it out, or train the other model."
            )
    useless = {
        "--from-run": ("weights",) if configuration.from_run else (),
        "--from-model": ("weights",) if configuration.from_model else (),
        "--no-augment": () if configuration.augment else ("shift", "jitter", "zoom", "rotation"),
    }
    for option, names in useless.items():
        for name in names:
            if given.get(name):
                raise EurosatError(f"--{name} does nothing with {option}: leave one of them out.")


def main() -> None:
    """Run the command."""
    run(app)
