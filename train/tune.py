"""A study of training configurations with Optuna: short trainings, judged on validation.

Trials are kept in a database, so that a study which was broken off goes on, and several processes
share one. The split of a trial names no test tile.
"""

import csv
import hashlib
import io
import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)
from optuna.trial import FrozenTrial, TrialState

from eurosat.atomic import write_text
from eurosat.dataset import Dataset
from eurosat.errors import DatasetError, EurosatError, RunFolderError
from eurosat.existence import exists
from eurosat.run_folder import RunFolder
from eurosat.split import Split, split_dataset

from .configuration import Architecture, Optimizer, TrainingConfiguration
from .fit import DivergedError, Step, best_epoch, fit
from .search_space import (
    SEARCH,
    SearchSpace,
    combinations,
    is_tried,
    widths_in,
    widths_with_weights,
)
from .study_database import (
    database_errors_told,
    fail_dead_trials,
    open_database,
    open_file,
    opening_errors_told,
    without_password,
)
from .study_folder import StudyFolder, StudySettings, as_option, damaged_in_study

RANDOM_TRIALS = 6
"""So many trials are drawn by chance before the sampler builds on them."""

UNPRUNED_TRIALS = 4
"""So many trials are trained to their end before one is stopped early."""

TRIALS_FOR_SHARES = 8
"""From so many complete trials on, what a value explains is more than a play of chance."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


class State(StrEnum):
    """How far a trial is."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"


@dataclass(frozen=True)
class Trial:
    """One short training of a study.

    Attributes:
        number: Counts all trials, those that were broken off included.
        state: How far it is.
        accuracy: Validation accuracy, 0 to 1: of a complete trial that of the epoch which is kept,
            of others the highest so far; None before the first epoch.
        epochs: Epochs done.
        seconds: How long it took; None while it runs.
        values: The values tried, as they go into a `TrainingConfiguration`.
    """

    number: int
    state: State
    accuracy: float | None
    epochs: int
    seconds: float | None
    values: Mapping[str, Any]


Watcher = Callable[[Step | Sequence[Trial]], None]
"""Called after every batch with a `Step`, and with all trials whenever one of them has changed."""


@dataclass(frozen=True)
class Study:
    """A study that is open.

    Attributes:
        folder: Its files.
        settings: How each trial is trained.
        space: What is tried.
        split: The tiles that trials train on and are judged on.
        optuna: Its trials.
        database: What the database of the trials is called in a sentence.
    """

    folder: StudyFolder
    settings: StudySettings
    space: SearchSpace
    split: Split
    optuna: optuna.Study
    database: str

    @property
    def widths_left_out(self) -> list[float]:
        """Widths of MobileNet that are not tried, as there were no ImageNet weights for them."""
        if "width" not in self.space:
            return []
        all_of_them = widths_in(SEARCH[self.settings.architecture])
        return [width for width in all_of_them if width not in widths_in(self.space)]

    def trials(self) -> list[Trial]:
        """Return all trials but those that were broken off, by their numbers."""
        return [
            _trial(frozen)
            for frozen in self.optuna.get_trials(deepcopy=False)
            if frozen.state.name.lower() in {*State}
        ]

    def configuration(self, values: Mapping[str, Any]) -> TrainingConfiguration:
        """Return the configuration that trains these values in full."""
        typed = dict(values)
        if "optimizer" in typed:
            typed["optimizer"] = Optimizer(typed["optimizer"])
        return replace(self.settings.base, **typed)

    def possible_trials(self, count: int) -> int:
        """Return how many of so many trials there can be, none like another."""
        there_are = combinations(self.space)
        return count if there_are is None else min(count, len(there_are))


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial with the highest accuracy, of equals the first; None without."""
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    return max(complete, key=lambda trial: trial.accuracy or 0.0, default=None)


def open_study(
    folder: StudyFolder,
    dataset: Dataset,
    architecture: Architecture,
    given: Mapping[str, Any],
    storage: str | None = None,
) -> Study:
    """Begin a study, or open the one that is in the folder.

    Args:
        folder: Where the study is kept.
        dataset: The tiles.
        architecture: Which model.
        given: Those values of `StudySettings` that were asked for; others are as they are in the
            study, or the defaults.
        storage: URL of a database to keep the trials in, which other machines can share; the
            study folder has its own without it.

    Raises:
        EurosatError: The values are impossible, the folder holds something else or a study that
            was begun otherwise, or the database cannot be used.
    """
    given = {"architecture": architecture, **given}
    if not exists(folder.record):
        _begin_study(folder, dataset, StudySettings(**given), storage)
    record = folder.read_record()
    try:
        settings = StudySettings(
            architecture=Architecture(record["architecture"]),
            epochs=record["epochs"],
            fraction=record["fraction"],
            seed=record["seed"],
            # Older studies do not say these.
            balanced=record.get("balanced", False),
            only=tuple(record.get("only", ())),
        )
        space = {
            name: json_to_distribution(json.dumps(among))
            for name, among in record["search"].items()
        }
        begun_with = {**asdict(settings), "storage": record["storage"]}
    # The sentence of an `EurosatError` would be about an option that nobody gave.
    except (EurosatError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise damaged_in_study(folder.record) from error
    for name, value in {**given, "storage": without_password(storage)}.items():
        if value != begun_with[name]:
            raise RunFolderError(
                f"The study in {folder.path} was begun with {_told(name, begun_with[name])}, not "
                f"{_told('', value)}: give it as it was, or begin another study with --out."
            )
    folder.check_data(record["fingerprint"], dataset)
    split = folder.read_split(folder.trial_split, dataset)
    database = without_password(storage) or str(folder.trials)
    with opening_errors_told(database):
        opened = open_database(storage) if storage else open_file(folder.trials, "rw")
        study = _load(opened, _study_name(record), settings, space, make=storage is not None)
    return Study(folder, settings, space, split, study, database)


def _told(name: str, value: Any) -> str:
    """Return a setting of a study, or its value alone where the name is empty, for a person."""
    if isinstance(value, tuple):
        return f"only {', '.join(map(as_option, value))}" if value else "all values"
    return f"{name} {value}".strip()


def run_trials(
    study: Study,
    dataset: Dataset,
    *,
    count: int,
    seconds: float | None = None,
    watch: Watcher = lambda _: None,
) -> None:
    """Try configurations until the study has enough trials.

    Trials that other processes run count too; where only those are missing, they are waited for.
    Where there are only a few combinations of values, each is tried once, by chance order.

    Args:
        study: The study.
        dataset: The tiles.
        count: Finished trials that the study is to have, those of earlier starts included.
        seconds: No trial is begun after so long.
        watch: Told how it goes.

    Raises:
        EurosatError: The first weights or the database cannot be used.
    """
    count = study.possible_trials(count)
    ends_at = time.monotonic() + (seconds or float("inf"))
    with database_errors_told(study.database):
        watch(study.trials())
        while time.monotonic() < ends_at:
            states = [trial.state for trial in study.trials()]
            if len(states) - states.count(State.RUNNING) >= count:
                break
            if len(states) < count:
                _queue_untried(study)
                study.optuna.optimize(
                    lambda trial: _try(trial, study, dataset, count, watch),
                    n_trials=1,
                    catch=(_NotNeededError, _TriedError),
                )
                write_results(study)
            else:
                fail_dead_trials(study.optuna)
                time.sleep(1)
            watch(study.trials())
        write_results(study)


def importances(study: Study) -> dict[str, float]:
    """Return which share of the differences in accuracy each value explains, largest first.

    By functional analysis of variance over the complete trials (Hutter et al. 2014).

    Returns:
        Shares that add up to 1, of the values that varied; nothing where fewer than
        `TRIALS_FOR_SHARES` trials are complete, or none differ.
    """
    complete = [trial for trial in study.trials() if trial.state is State.COMPLETE]
    if len(complete) < TRIALS_FOR_SHARES or len({trial.accuracy for trial in complete}) < 2:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=study.settings.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = optuna.importance.get_param_importances(study.optuna, evaluator=evaluator)
    return {
        name: share
        for name, share in shares.items()
        if len({trial.values[name] for trial in complete}) > 1
    }


def write_results(study: Study) -> None:
    """Write the table of trials, and the best one with the configuration to train in full."""
    trials = study.trials()
    text = io.StringIO()
    names = ["number", "state", "accuracy", "epochs", "seconds", *study.space]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    for trial in trials:
        row = asdict(trial)
        writer.writerow(row.pop("values") | row)
    write_text(study.folder.table, text.getvalue())
    best = best_trial(trials)
    if best:
        figures = {"trial": best.number, "validation_accuracy": best.accuracy}
        study.folder.write_best(figures, study.configuration(best.values))


class _NotNeededError(Exception):
    """Another process had begun the last trial that was missing."""


class _TriedError(Exception):
    """An earlier trial is of the same combination: two processes chose it at the same moment."""


class _SamplerByNumber(optuna.samplers.TPESampler):
    """Draws by the seed, the number of the trial and the trials before it.

    With a plain seed, a study that is gone on with, or a second process, would draw what was
    drawn already.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(n_startup_trials=RANDOM_TRIALS, seed=seed)
        self._study_seed = seed

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        drawn = np.random.SeedSequence((self._study_seed, trial.number)).generate_state(1)
        super().__init__(n_startup_trials=RANDOM_TRIALS, seed=int(drawn[0]))
        super().before_trial(study, trial)


def _queue_untried(study: Study) -> None:
    """Let a combination be next that was not tried yet, where there are few."""
    there_are = combinations(study.space)
    waiting = study.optuna.get_trials(deepcopy=False, states=[TrialState.WAITING])
    if there_are is None or waiting:
        return
    tried = _chosen(study)
    untried = [values for values in there_are if values not in tried]
    if untried:
        chosen = np.random.default_rng((study.settings.seed, len(tried))).integers(len(untried))
        study.optuna.enqueue_trial(untried[chosen])


def _chosen(study: Study, before: float = float("inf")) -> list[dict[str, Any]]:
    """Return the values of all trials with a number below one, those that wait included."""
    return [
        _rounded(_asked_for(trial))
        for trial in study.optuna.get_trials(deepcopy=False)
        # Of one that was broken off, nothing is known.
        if trial.number < before and trial.state is not TrialState.FAIL
    ]


def _asked_for(frozen: FrozenTrial) -> dict[str, Any]:
    """Return the values that a trial has, or that it was queued for."""
    return {**frozen.system_attrs.get("fixed_params", {}), **frozen.params}


def _try(trial: optuna.Trial, study: Study, dataset: Dataset, count: int, watch: Watcher) -> float:
    """Try one configuration, which is queued again if nothing comes of it."""
    try:
        return _train(trial, study, dataset, count, watch)
    except (KeyboardInterrupt, _NotNeededError):
        values = _asked_for(study.optuna.get_trials(deepcopy=False)[trial.number])
        if values:
            study.optuna.enqueue_trial(values)
        raise


def _train(
    trial: optuna.Trial, study: Study, dataset: Dataset, count: int, watch: Watcher
) -> float:
    """Train one configuration; return the validation accuracy of the epoch that is kept."""
    if sum(other.number < trial.number for other in study.trials()) >= count:
        raise _NotNeededError
    values = _rounded({name: _suggest(trial, name, among) for name, among in study.space.items()})
    if combinations(study.space) and values in _chosen(study, before=trial.number):
        raise _TriedError
    watch(study.trials())
    epochs = study.settings.epochs
    configuration = replace(study.configuration(values), epochs=epochs, patience=epochs)

    def follow(news: Any) -> None:
        if isinstance(news, Step):
            watch(news)
            return
        trial.report(news.validation_accuracy, news.epoch)
        watch(study.trials())
        if news.epoch < epochs and trial.should_prune():
            raise optuna.TrialPruned

    _remove_left_over(study)
    folder = study.folder.running / str(trial.number)
    keras.backend.clear_session()
    try:
        history = fit(configuration, dataset, study.split, RunFolder(folder), follow)
    except DivergedError as error:
        raise optuna.TrialPruned from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return best_epoch(history).validation_accuracy


def _suggest(trial: optuna.Trial, name: str, among: BaseDistribution) -> Any:
    match among:
        case CategoricalDistribution():
            return trial.suggest_categorical(name, among.choices)
        case IntDistribution():
            return trial.suggest_int(name, among.low, among.high, step=among.step)
        case FloatDistribution():
            return trial.suggest_float(name, among.low, among.high, step=among.step, log=among.log)
    raise TypeError(f"unknown distribution {among}")


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with three digits: what is trained is what a person reads and types."""
    return {
        name: float(f"{value:.3g}") if isinstance(value, float) else value
        for name, value in values.items()
    }


def _trial(frozen: FrozenTrial) -> Trial:
    accuracies = frozen.intermediate_values.values()
    return Trial(
        number=frozen.number,
        state=State(frozen.state.name.lower()),
        accuracy=frozen.value
        if frozen.state is TrialState.COMPLETE
        else max(accuracies, default=None),
        epochs=len(accuracies),
        seconds=round(frozen.duration.total_seconds(), 1) if frozen.duration else None,
        values=_rounded(frozen.params),
    )


def _begin_study(
    folder: StudyFolder, dataset: Dataset, settings: StudySettings, storage: str | None
) -> None:
    """Make the study folder: all of it at once, whoever else is about to do the same."""
    base = settings.base
    space = {
        name: among
        for name, among in SEARCH[settings.architecture].items()
        if not settings.only or name in settings.only
    }
    if "width" in space:
        space["width"] = widths_with_weights(space["width"])
    split = split_dataset(
        dataset,
        seed=settings.seed,
        validation_fraction=base.validation_fraction,
        test_fraction=base.test_fraction,
    )
    trial_split = replace(split, train=_subset(split.train, dataset, settings), test=())
    record = {
        **asdict(settings),
        "fingerprint": dataset.fingerprint,
        "training_tiles": len(trial_split.train),
        "validation_tiles": len(trial_split.validation),
        "search": {name: json.loads(distribution_to_json(among)) for name, among in space.items()},
        "storage": without_password(storage),
    }
    try:
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{folder.path.name}-", dir=folder.path.parent
        ) as temporary:
            made = StudyFolder(Path(temporary) / folder.path.name)
            split.write(made.split)
            trial_split.write(made.trial_split)
            write_text(made.record, json.dumps(record, indent=2))
            if storage is None:
                opened = open_file(made.trials, "rwc")
                _load(opened, _study_name(record), settings, space, make=True)
            with suppress(OSError):
                folder.path.rmdir()  # An empty folder is not in the way.
            made.path.rename(folder.path)
    except OSError as error:
        if exists(folder.record):
            return  # Another process was faster.
        if exists(folder.path):
            raise RunFolderError(
                f"{folder.path} holds something else: name another folder with --out."
            ) from error
        raise RunFolderError(
            f"{folder.path} cannot be written to ({error.strerror}): name another --out."
        ) from error


def _subset(names: Sequence[str], dataset: Dataset, settings: StudySettings) -> tuple[str, ...]:
    """Return the share of the training tiles that trials train on, of every class alike.

    Raises:
        DatasetError: It is too small to hold every class.
    """
    from sklearn.model_selection import train_test_split

    if settings.fraction == 1:
        return tuple(names)
    labels = dataset.labels[dataset.positions(names)]
    try:
        chosen, _ = train_test_split(
            names, train_size=settings.fraction, stratify=labels, random_state=settings.seed
        )
    except ValueError as error:
        raise DatasetError(
            f"--fraction {settings.fraction} of {len(names):,} training tiles is too little for "
            f"{len(dataset.class_names)} classes: take more."
        ) from error
    return tuple(sorted(chosen))


def _load(
    storage: optuna.storages.RDBStorage,
    name: str,
    settings: StudySettings,
    space: SearchSpace,
    *,
    make: bool,
) -> optuna.Study:
    """Open the study of that name; make it first if it may be missing.

    Raises:
        KeyError: There is none.
    """
    if make:
        made = optuna.create_study(
            study_name=name, storage=storage, direction="maximize", load_if_exists=True
        )
        if not made.get_trials(deepcopy=False):
            base = settings.base.to_json()
            defaults = {
                key: base[key] for key, among in space.items() if is_tried(among, base[key])
            }
            made.enqueue_trial(defaults, skip_if_exists=True)
    return optuna.load_study(
        study_name=name,
        storage=storage,
        sampler=_SamplerByNumber(settings.seed),
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=UNPRUNED_TRIALS,
            # Epochs of the head alone, and the one in which the rate rises, tell little.
            n_warmup_steps=settings.base.head_epochs + 2,
        ),
    )


def _study_name(record: Mapping[str, Any]) -> str:
    """Return a name that only a study of the same data and settings has in a shared database."""
    told = {name: value for name, value in record.items() if name != "storage"}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    return f"eurosat-{record['architecture']}-{digest[:12]}"


def _remove_left_over(study: Study) -> None:
    """Remove the working folders of trials that were killed."""
    running = {str(trial.number) for trial in study.trials() if trial.state is State.RUNNING}
    if study.folder.running.exists():
        for folder in study.folder.running.iterdir():
            if folder.name not in running:
                shutil.rmtree(folder, ignore_errors=True)
