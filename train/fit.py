"""One training run: epoch after epoch, a checkpoint after each, taken up again where it stopped."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from time import perf_counter
from typing import Any, get_type_hints

import keras
import numpy as np
import tensorflow as tf

from eurosat.atomic import replacing, write_text
from eurosat.dataset import TILE_SIZE, Dataset
from eurosat.errors import EurosatError, RunFolderError
from eurosat.run_folder import RunFolder
from eurosat.split import Split

from .architectures import build_cnn, build_mobilenet, head_layers
from .averaging import STATISTICS_BATCHES, mean_with, renew_statistics
from .configuration import Architecture, Optimizer, TrainingConfiguration
from .converted_weights import STATISTICS_TILES, take_converted_weights
from .first_weights import take_first_weights
from .normalisation import fuse_normalisation, set_momentum
from .pipeline import TrainingTiles, class_weights, untuned
from .rivers import place_of_river
from .sources import check_source
from .teacher import open_teacher

WEIGHT_DECAY = 0.05
"""AdamW's decay of kernels; biases and batch normalisation are left alone."""

HEAD_LEARNING_RATE = 1e-3
"""For a fresh head on a frozen trunk; it would destroy the features of the trunk itself."""

AVERAGED_RATE = 0.25
"""To what share of the highest rate the cosine falls, and stays, where epochs are averaged.

At a rate of 0 there would be nothing but copies to average.
"""

VALIDATION_BATCH_SIZE = 256


class DivergedError(EurosatError):
    """Training ran away: the loss or a weight is no longer a finite number."""


@dataclass(frozen=True)
class Step:
    """Where training stands within an epoch.

    Attributes:
        epoch: Number of the epoch, from 1.
        batch: Batches done.
        batches: Batches of an epoch.
        loss: Mean cross-entropy so far.
        accuracy: Accuracy so far, 0 to 1.
    """

    epoch: int
    batch: int
    batches: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """Figures of one epoch; the losses are plain cross-entropies, without smoothing or penalty.

    Attributes:
        epoch: Number of the epoch, from 1.
        loss: Mean cross-entropy of the augmented training tiles, as they passed; with a teacher,
            mosaics or rivers, against the labels that these made.
        accuracy: Their accuracy, 0 to 1.
        validation_loss: Cross-entropy of the validation tiles after the epoch.
        validation_accuracy: Their accuracy, 0 to 1. In a balanced run every class weighs the same
            in both, so that this is the mean recall of the classes.
        seconds: Wall time of the epoch.
        image_size: Height and width in pixels that the tiles were resized to inside the model.
        averaged: Of how many epochs the weights are the mean that validation judged; 0 if they are
            those of this epoch alone.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    # Runs that were recorded before sizes grew had one, whichever it was.
    image_size: int = TILE_SIZE
    averaged: int = 0

    @property
    def merit(self) -> tuple[int, bool, float, float]:
        """What makes an epoch the best: its validation accuracy, among equals its loss.

        Only epochs of the size that the model is to have compete; and where some are averaged,
        only these, as the weights of others are not what was asked for.
        """
        is_mean = self.averaged > 0
        return self.image_size, is_mean, self.validation_accuracy, -self.validation_loss


Watcher = Callable[[Step | Epoch], None]
"""Called after every batch with a `Step` and after every epoch with an `Epoch`.

A run that is gone on with begins by telling about the epochs before the break.
"""


@dataclass
class _State:
    """What a run knows between two epochs; all of it stands in the checkpoint.

    Attributes:
        history: Figures of the epochs so far.
        weights: Where training goes on from.
        optimizer: The optimizer's own variables.
        best_weights: Those of the best epoch.
        mean: Of the trainable weights of the epochs that are averaged; empty before these begin.
    """

    history: list[Epoch]
    weights: list[np.ndarray]
    optimizer: list[np.ndarray]
    best_weights: list[np.ndarray]
    mean: list[np.ndarray]


def fit(
    configuration: TrainingConfiguration,
    dataset: Dataset,
    split: Split,
    folder: RunFolder,
    watch: Watcher = lambda _: None,
) -> list[Epoch]:
    """Train a model, or go on with one, and write `model.keras` and `history.csv`.

    A checkpoint in `folder` is gone on from; the caller has read the configuration and the split
    from the same folder. The outcome is the same as without a break.

    Args:
        configuration: What to train, and how.
        dataset: The tiles.
        split: Which of them are for training and which for validation.
        folder: Where the run is kept.
        watch: Told about every batch and epoch.

    Returns:
        The figures of every epoch, those before a break included.

    Raises:
        DivergedError: The loss or a weight is no longer a finite number.
        EurosatError: The first weights cannot be found, downloaded or used; the teacher is damaged,
            or another one than the run began with.
        RunFolderError: The checkpoint is damaged.
    """
    # Before the first operation: the same seed must give the same digits on the same machine.
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(configuration.seed)
    model = first_model(configuration, dataset, split, folder)
    state = _read_checkpoint(folder.checkpoint, model)
    taken_up_at = len(state.history)
    is_left = taken_up_at < configuration.epochs and not _is_patience_over(
        state.history, configuration
    )
    teacher = None
    if configuration.teacher and is_left:
        teacher = open_teacher(configuration.teacher, dataset, split)
        check_source(folder, "teacher", configuration.teacher)
    training = TrainingTiles(
        *_tiles_and_labels(dataset, split.train),
        len(dataset.class_names),
        configuration,
        teacher,
        place_of_river(dataset.class_names) if configuration.rivers else 0,
    )
    validation = _validation_batches(configuration, dataset, split)
    for earlier in state.history:
        watch(earlier)
    built_for = configuration.image_size
    full_batches = len(split.train) / configuration.batch_size
    for number in range(taken_up_at, configuration.epochs):
        if _is_patience_over(state.history, configuration):
            break
        image_size = configuration.image_size_of(number)
        if image_size != built_for:
            model = _resized(configuration, image_size, len(dataset.class_names), state.weights)
        if number in (taken_up_at, configuration.head_epochs) or image_size != built_for:
            built_for = image_size
            steps = training.batch_count(configuration.batch_size)
            _compile(model, configuration, number, steps)
            set_momentum(model, full_batches)
            if number not in (0, configuration.head_epochs):
                _assign(model.optimizer.variables, state.optimizer)
        started = perf_counter()
        fitted = _fit_one_epoch(model, training, number, configuration, watch)
        state.weights = _values(model.variables)
        # A ReLU makes 0 of what is no number, so that the loss alone does not tell.
        if not all(np.isfinite(array).all() for array in state.weights):
            raise _diverged("Some weights are no longer finite numbers", number, configuration)
        state.optimizer = _values(model.optimizer.variables)
        if number >= configuration.first_averaged_epoch:
            state.mean = _averaged(model, state.mean, training, number, configuration)
            set_momentum(model, full_batches)
        validated = model.evaluate(validation, verbose=0, return_dict=True)
        figures = _figures(number, configuration, fitted, validated, perf_counter() - started)
        if all(figures.merit > earlier.merit for earlier in state.history):
            state.best_weights = _values(model.variables)
        if state.mean:
            # Training itself goes on from where it stood.
            _assign(model.variables, state.weights)
        state.history.append(figures)
        _write_checkpoint(folder.checkpoint, state)
        write_history(folder.history, state.history)
        watch(figures)

    # Once more, as a break may have come between the last checkpoint and its line.
    write_history(folder.history, state.history)
    _assign(model.variables, state.best_weights)
    save_model(model, folder.model)
    return state.history


def build_model(configuration: TrainingConfiguration, class_count: int) -> keras.Model:
    """Build the model of a configuration, with its penalty on kernels, ready to be fitted.

    Raises:
        EurosatError: The weights cannot be found, downloaded or used.
    """
    if configuration.architecture is Architecture.CNN:
        model = build_cnn(
            class_count,
            image_size=configuration.image_size,
            blocks=configuration.blocks,
            filters=configuration.filters,
            units=configuration.units,
            dropout=configuration.dropout,
        )
    else:
        model = build_mobilenet(
            class_count,
            image_size=configuration.image_size,
            width=configuration.width,
            units=configuration.units,
            dropout=configuration.dropout,
            weights=configuration.weights,
        )
    if configuration.l2:
        for variable in model.trainable_variables:
            if variable.name == "kernel":
                variable.regularizer = keras.regularizers.L2(configuration.l2)
    fuse_normalisation(model, configuration.batch_size)
    return model


def first_model(
    configuration: TrainingConfiguration, dataset: Dataset, split: Split, folder: RunFolder
) -> keras.Model:
    """Return the model that a run begins with, or goes on with once its checkpoint is read.

    Raises:
        EurosatError: The first weights cannot be found, downloaded or used.
    """
    class_count = len(dataset.class_names)
    is_taken_up = folder.checkpoint.exists()
    if not (is_taken_up or configuration.from_run or configuration.from_model):
        return build_model(configuration, class_count)
    # Weights that others take the place of need not be found.
    model = build_model(replace(configuration, weights="none"), class_count)
    if not is_taken_up and configuration.from_run:
        take_first_weights(model, configuration.from_run)
    elif not is_taken_up:
        measured = split.train[:: max(1, len(split.train) // STATISTICS_TILES)]
        tiles, _ = _tiles_and_labels(dataset, measured)
        take_converted_weights(model, configuration.from_model, tiles)
    return model


def _resized(
    configuration: TrainingConfiguration,
    image_size: int,
    class_count: int,
    weights: Sequence[np.ndarray],
) -> keras.Model:
    """Return a model of other pixels: convolutions take any size, so the same weights serve it."""
    # The first ones need not be read again, as these take their place.
    sized = replace(configuration, image_size=image_size, growing=0.0, weights="none")
    model = build_model(sized, class_count)
    _assign(model.variables, weights)
    return model


def _averaged(
    model: keras.Model,
    mean: Sequence[np.ndarray],
    training: TrainingTiles,
    number: int,
    configuration: TrainingConfiguration,
) -> list[np.ndarray]:
    """Give a model the mean of its own weights and those of the epochs before, and return it.

    Its normalisations are measured anew: the statistics of the last weights are not those of a
    mean.
    """
    before = number - configuration.first_averaged_epoch
    mean = mean_with(mean, before, _values(model.trainable_variables))
    _assign(model.trainable_variables, mean)
    set_momentum(model, STATISTICS_BATCHES)
    renew_statistics(model, training.epoch(number, configuration.batch_size, taught=False))
    return mean


def _tiles_and_labels(dataset: Dataset, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    positions = dataset.positions(names)
    return dataset.tiles[positions], dataset.labels[positions]


def _validation_batches(
    configuration: TrainingConfiguration, dataset: Dataset, split: Split
) -> tf.data.Dataset:
    """Return the validation tiles with their one-hot labels and, in a balanced run, weights."""
    tiles, labels = _tiles_and_labels(dataset, split.validation)
    one_hot = keras.utils.to_categorical(labels, len(dataset.class_names))
    judged = (tiles, one_hot, class_weights(labels)) if configuration.balanced else (tiles, one_hot)
    batches = tf.data.Dataset.from_tensor_slices(judged).batch(VALIDATION_BATCH_SIZE)
    return batches.with_options(untuned())


def save_model(model: keras.Model, path: Path) -> None:
    """Write a model as one that was never compiled, whole or not at all.

    Keras saves an optimizer whether it is told to or not, which makes the file three times as
    large.
    """
    with replacing(path) as temporary:
        keras.Model(model.input, model.output, name=model.name).save(temporary)


def _compile(
    model: keras.Model, configuration: TrainingConfiguration, epoch: int, steps: int
) -> None:
    """Make the model ready for the stage of the epoch: the head alone, or all of it."""
    head_alone = epoch < configuration.head_epochs
    for layer in model.layers:
        layer.trainable = not head_alone
    for layer in head_layers(model):
        layer.trainable = True
    if head_alone:
        rate = HEAD_LEARNING_RATE
    else:
        rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0,
            warmup_target=configuration.learning_rate,
            warmup_steps=steps,
            decay_steps=max(
                1, steps * (configuration.first_averaged_epoch - configuration.head_epochs - 1)
            ),
            alpha=AVERAGED_RATE if configuration.averaged else 0.0,
        )
    metrics = ["accuracy", keras.metrics.CategoricalCrossentropy(name="cross_entropy")]
    model.compile(
        optimizer=_optimizer(configuration.optimizer, rate),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=configuration.label_smoothing),
        # Only validation has weights: training draws by them.
        **{"weighted_metrics" if configuration.balanced else "metrics": metrics},
        jit_compile=False,
    )
    model.optimizer.build(model.trainable_variables)


def _optimizer(
    choice: Optimizer, rate: float | keras.optimizers.schedules.LearningRateSchedule
) -> keras.Optimizer:
    match choice:
        case Optimizer.ADAM:
            return keras.optimizers.Adam(rate)
        case Optimizer.RMSPROP:
            return keras.optimizers.RMSprop(rate)
        case Optimizer.SGD:
            return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
        case Optimizer.ADAMW:
            optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
            optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
            return optimizer


def _fit_one_epoch(
    model: keras.Model,
    training: TrainingTiles,
    number: int,
    configuration: TrainingConfiguration,
    watch: Watcher,
) -> dict[str, list[float]]:
    """Pass over the training tiles once; return what Keras measured on the way."""
    batches = training.batch_count(configuration.batch_size)

    def after_batch(batch: int, logs: dict[str, Any]) -> None:
        loss = float(logs["cross_entropy"])
        if not np.isfinite(loss):
            raise _diverged("The loss is no longer a finite number", number, configuration)
        watch(Step(number + 1, batch + 1, batches, loss, float(logs["accuracy"])))

    fitted = model.fit(
        training.epoch(number, configuration.batch_size),
        shuffle=False,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=after_batch)],
    )
    return fitted.history


def _figures(
    number: int,
    configuration: TrainingConfiguration,
    fitted: dict[str, list[float]],
    validated: dict[str, float],
    seconds: float,
) -> Epoch:
    """Return the figures of an epoch, from 0, out of what Keras measured in it and after it."""
    return Epoch(
        epoch=number + 1,
        loss=float(fitted["cross_entropy"][0]),
        accuracy=float(fitted["accuracy"][0]),
        validation_loss=float(validated["cross_entropy"]),
        validation_accuracy=float(validated["accuracy"]),
        seconds=seconds,
        image_size=configuration.image_size_of(number),
        averaged=max(0, number + 1 - configuration.first_averaged_epoch),
    )


def _diverged(what: str, number: int, configuration: TrainingConfiguration) -> DivergedError:
    return DivergedError(
        f"{what} in epoch {number + 1}: train with a --learning-rate below "
        f"{configuration.learning_rate}."
    )


def _is_patience_over(history: list[Epoch], configuration: TrainingConfiguration) -> bool:
    last_stage = configuration.first_averaged_epoch if configuration.averaged else 0
    if len(history) <= max(configuration.growing_epochs, last_stage):
        return False
    return len(history) - best_epoch(history).epoch >= configuration.patience


def best_epoch(history: list[Epoch]) -> Epoch:
    """Return the epoch whose weights are kept."""
    return max(history, key=lambda epoch: epoch.merit)


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write the figures of every epoch as a `history.csv`, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(epoch) for epoch in history)
    write_text(path, text.getvalue())


def read_history(path: Path) -> list[Epoch]:
    """Return the figures of every epoch from a `history.csv`.

    Raises:
        RunFolderError: The file is missing or damaged.
    """
    kinds = get_type_hints(Epoch)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                # Of the last fields, which runs did not always record, the defaults count.
                Epoch(**{name: kind(row[name]) for name, kind in kinds.items() if name in row})
                for row in csv.DictReader(file)
            ]
        if not all(np.isfinite(list(asdict(epoch).values())).all() for epoch in rows):
            raise ValueError("figures that are no numbers")
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise RunFolderError(
            f"{path} is missing or damaged: train again, or restore it."
        ) from error
    if not rows:
        raise RunFolderError(f"{path} holds no epoch: train again, or restore it.")
    return rows


def _write_checkpoint(path: Path, state: _State) -> None:
    """Write all of the state in one file, whole or not at all."""
    history = json.dumps([asdict(epoch) for epoch in state.history])
    arrays: dict[str, np.ndarray] = {"history": np.array(history)}
    for name in ("weights", "optimizer", "best_weights", "mean"):
        for position, array in enumerate(getattr(state, name)):
            arrays[f"{name}/{position}"] = array
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read_checkpoint(path: Path, model: keras.Model) -> _State:
    """Return the state in the checkpoint, put into the model; a fresh state if there is none.

    Raises:
        RunFolderError: The checkpoint is damaged or of another model.
    """
    if not path.exists():
        initial = _values(model.variables)
        return _State(history=[], weights=initial, optimizer=[], best_weights=initial, mean=[])
    try:
        with np.load(path, allow_pickle=False) as arrays:
            state = _State(
                history=[Epoch(**figures) for figures in json.loads(str(arrays["history"]))],
                weights=_numbered(arrays, "weights"),
                optimizer=_numbered(arrays, "optimizer"),
                best_weights=_numbered(arrays, "best_weights"),
                mean=_numbered(arrays, "mean"),
            )
        _assign(model.variables, state.weights)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,  # zipfile takes some damage for encryption or an unknown compression.
        zipfile.BadZipFile,
    ) as error:
        raise RunFolderError(
            f"The checkpoint {path} is damaged: remove it and train from the start."
        ) from error
    return state


def _numbered(arrays: np.lib.npyio.NpzFile, name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}/") for key in arrays.files)
    return [arrays[f"{name}/{position}"] for position in range(count)]


def _values(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    return [variable.numpy() for variable in variables]


def _assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
