"""`eurosat-tune`: a study that finds, remembers, shares, and hands over to training."""

import csv
import io
import json
import re
import shlex
import shutil
import signal
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any, cast

import keras
import numpy as np
import optuna
import pytest
from PIL import Image
from rich.console import Console

from eurosat.dataset import Dataset, load_dataset
from eurosat.errors import EurosatError
from eurosat.run_folder import RunFolder
from eurosat.split import Split, split_dataset
from eurosat.train import search_space, study_database
from eurosat.train.configuration import DEFAULTS, Architecture
from eurosat.train.fit import Step, best_epoch, fit
from eurosat.train.study_folder import TUNED, StudyFolder, StudySettings
from eurosat.train.study_progress import StudyProgress
from eurosat.train.tune import State, Study, Trial, best_trial, open_study, run_trials

from ..commands import Command, assert_refused_at_last, read_json

Start = Callable[..., "Popen[str]"]

REAL_DEFAULTS, REAL_SEARCH = dict(DEFAULTS), dict(search_space.SEARCH)

SETTINGS = {"epochs": 2, "fraction": 0.25}
TRIALS = 3


@pytest.fixture(autouse=True, scope="module")
def small_models() -> Iterator[None]:
    """Try models of a second, in this process."""
    small = replace(DEFAULTS[Architecture.CNN], image_size=40, blocks=2, filters=4)
    space = {
        **search_space.SEARCH[Architecture.CNN],
        "blocks": optuna.distributions.IntDistribution(1, 2),
        "filters": optuna.distributions.IntDistribution(2, 4),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cast("dict[str, Any]", DEFAULTS), Architecture.CNN, small)
        patch.setitem(cast("dict[str, Any]", search_space.SEARCH), Architecture.CNN, space)
        yield


class WatchedDataset(Dataset):
    """A data set that knows which tiles were asked for."""

    asked_for: set[str]

    def positions(self, names: Sequence[str]) -> np.ndarray:
        self.asked_for.update(names)
        return super().positions(names)


@pytest.fixture(scope="module")
def dataset(small_archive: Path) -> WatchedDataset:
    plain = load_dataset(small_archive)
    watched = WatchedDataset(**{field.name: getattr(plain, field.name) for field in fields(plain)})
    vars(watched)["asked_for"] = set()
    return watched


def opened(path: Path, dataset: Dataset, **given: Any) -> Study:
    return open_study(StudyFolder(path), dataset, Architecture.CNN, SETTINGS | given)


@pytest.fixture(scope="module")
def finished(
    dataset: WatchedDataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Study, list[Step | Sequence[Trial]]]:
    """A study of three trials, and what its watcher was told."""
    study = opened(tmp_path_factory.mktemp("tuned") / "study", dataset)
    dataset.asked_for.clear()
    news: list[Step | Sequence[Trial]] = []
    run_trials(study, dataset, count=TRIALS, watch=news.append)
    return study, news


@pytest.fixture
def copied(finished: tuple[Study, Any], tmp_path: Path) -> StudyFolder:
    """A copy of the finished study that a test may change."""
    shutil.copytree(finished[0].folder.path, tmp_path / "study")
    return StudyFolder(tmp_path / "study")


def rows_of(folder: StudyFolder) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(folder.table.read_text(encoding="utf-8"))))


def test_a_study_leaves_the_test_split_alone(
    finished: tuple[Study, Any], dataset: WatchedDataset, small_archive: Path
):
    study, _ = finished
    whole = Split.read(study.folder.split)
    assert whole == split_dataset(load_dataset(small_archive), seed=0)
    used = Split.read(study.folder.trial_split)
    assert used.test == ()
    assert used.validation == whole.validation
    assert set(used.train) < set(whole.train)
    assert Counter(name.partition("/")[0] for name in used.train) == dict.fromkeys(
        dataset.class_names, 8
    )
    assert dataset.asked_for == {*used.train, *used.validation}


def test_the_first_trial_is_the_default_and_the_others_differ(finished: tuple[Study, Any]):
    study, _ = finished
    trials = study.trials()
    assert [trial.number for trial in trials] == list(range(TRIALS))
    assert {trial.state for trial in trials} == {State.COMPLETE}
    assert study.configuration(trials[0].values) == DEFAULTS[Architecture.CNN]
    assert len({tuple(trial.values.items()) for trial in trials}) == TRIALS
    assert list(study.folder.running.iterdir()) == []


def test_every_value_that_is_searched_can_be_named():
    assert {architecture: set(space) for architecture, space in REAL_SEARCH.items()} == {
        architecture: set(names) for architecture, names in TUNED.items()
    }


def test_only_the_values_that_are_named_are_tuned(
    dataset: Dataset, small_archive: Path, tmp_path: Path, command_here: Command
):
    line = ("eurosat-tune", "cnn", "--data", small_archive, "--out", "study", "--epochs", 1)
    line = (*line, "--fraction", 0.25)
    done = command_here(*line, "--trials", 2, "--only", "dropout, learning-rate", "--only", "l2")
    assert done.returncode == 0, done.stderr
    folder = StudyFolder(tmp_path / "study")
    lines = [line for line in done.stderr.splitlines() if line.startswith("trial ")]
    assert len(lines) == 2
    assert all(re.search(r"; learning rate \S+, dropout \S+, l2 \S+$", line) for line in lines)
    assert [*rows_of(folder)[0]][5:] == ["learning_rate", "dropout", "l2"]
    best, default = folder.read_best().to_json(), DEFAULTS[Architecture.CNN].to_json()
    assert {name for name in best if best[name] != default[name]} <= set(rows_of(folder)[0])

    other = command_here(*line, "--only", "dropout")
    assert_refused_at_last(
        other, "was begun with only learning-rate, dropout, l2, not only dropout: give it as it was"
    )
    for again in (["--only", "l2,dropout,learning_rate"], []):
        done = command_here(*line, "--trials", 2, *again)
        assert done.returncode == 0, done.stderr
        assert len(rows_of(folder)) == 2


def test_a_study_of_all_values_does_not_become_one_of_some(
    copied: StudyFolder, small_archive: Path, command_here: Command
):
    line = ("eurosat-tune", "cnn", "--data", small_archive, "--out", copied.path)
    refused = command_here(*line, "--only", "dropout")
    assert_refused_at_last(refused, "was begun with all values, not only dropout")
    record = read_json(copied.record)
    del record["only"]  # A study of before.
    copied.record.write_text(json.dumps(record), encoding="utf-8")
    assert_refused_at_last(command_here(*line, "--only", "dropout"), "all values, not only dropout")


def test_few_combinations_are_each_tried_once(
    dataset: Dataset, small_archive: Path, tmp_path: Path, command_here: Command
):
    study = opened(tmp_path / "study", dataset, epochs=1, only=("blocks", "filters"))
    run_trials(study, dataset, count=4)
    done = command_here(
        "eurosat-tune",
        *("cnn", "--data", small_archive, "--out", study.folder.path, "--trials", 100),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("6 trials of 1 epoch on"), (
        "two numbers of blocks, three of filters"
    )
    tried = [(trial.values["blocks"], trial.values["filters"]) for trial in study.trials()]
    assert tried[0] == (2, 4), "the default"
    assert sorted(tried) == [(1, 2), (1, 3), (1, 4), (2, 2), (2, 3), (2, 4)]
    assert study.optuna.trials[-1].number == 5


def test_combinations_are_counted_where_they_are_few():
    space = REAL_SEARCH[Architecture.CNN]
    found = search_space.combinations({name: space[name] for name in ("dropout", "batch_size")})
    assert found is not None
    assert len(found) == 6 * 3
    assert {"dropout": 0.3, "batch_size": 64} in found
    assert search_space.combinations(space) is None
    assert search_space.combinations({"learning_rate": space["learning_rate"]}) is None


def test_a_balanced_study_trains_and_hands_over_balanced(
    dataset: Dataset, small_archive: Path, tmp_path: Path, command_here: Command
):
    study = opened(tmp_path / "study", dataset, balanced=True)
    run_trials(study, dataset, count=1)
    assert study.folder.read_best().balanced
    done = command_here(
        "eurosat-tune",
        *("cnn", "--trials", 1, "--data", small_archive, "--out", study.folder.path),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^  eurosat-train cnn .*--balanced", done.stdout, re.MULTILINE)
    # A study of before knows nothing of it.
    record = read_json(study.folder.record)
    assert record.pop("balanced") is True
    study.folder.record.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(EurosatError, match="was begun with balanced False, not True"):
        opened(study.folder.path, dataset, balanced=True)


def test_what_is_recorded_is_what_training_gives(
    finished: tuple[Study, Any], dataset: Dataset, tmp_path: Path
):
    study, _ = finished
    trial = study.trials()[1]
    history = fit(
        replace(study.configuration(trial.values), epochs=2, patience=2),
        dataset,
        study.split,
        RunFolder(tmp_path),
    )
    assert trial.accuracy == best_epoch(history).validation_accuracy
    assert trial.epochs == len(history) == 2


def test_the_accuracy_of_a_trial_is_that_of_the_epoch_which_is_kept(
    copied: StudyFolder, dataset: Dataset
):
    study = opened(copied.path, dataset)
    like = study.optuna.get_trials()[0]
    # Epochs of fewer pixels may be more often right, but are not kept.
    study.optuna.add_trial(
        optuna.trial.create_trial(
            params=like.params,
            distributions=like.distributions,
            value=0.5,
            intermediate_values={1: 0.99, 2: 0.5},
        )
    )
    assert study.trials()[-1].accuracy == 0.5
    best = best_trial(study.trials())
    assert best is not None
    assert best.number == study.optuna.best_trial.number


def test_news_come_of_batches_and_of_changed_trials(finished: tuple[Study, Any]):
    study, news = finished
    steps = [one for one in news if isinstance(one, Step)]
    batches = [-(-len(study.split.train) // trial.values["batch_size"]) for trial in study.trials()]
    assert len(steps) == 2 * sum(batches)
    tables = [one for one in news if not isinstance(one, Step)]
    assert tables[0] == []
    seen = {(trial.number, trial.state, trial.epochs) for table in tables for trial in table}
    assert seen == {
        (number, *rest)
        for number in range(TRIALS)
        for rest in [(State.RUNNING, 0), (State.RUNNING, 1), (State.RUNNING, 2)]
    } | {(number, State.COMPLETE, 2) for number in range(TRIALS)}
    assert tables[-1] == study.trials()


def test_the_folder_holds_the_best_and_a_table(finished: tuple[Study, Any]):
    study, _ = finished
    best = best_trial(study.trials())
    assert best is not None
    assert best.accuracy == max(trial.accuracy or 0 for trial in study.trials())
    recorded = read_json(study.folder.best)
    assert recorded["trial"] == best.number
    assert recorded["validation_accuracy"] == best.accuracy
    assert study.folder.read_best() == study.configuration(best.values)
    assert study.folder.read_best().epochs == DEFAULTS[Architecture.CNN].epochs
    for row, trial in zip(rows_of(study.folder), study.trials(), strict=True):
        assert float(row["accuracy"]) == trial.accuracy
        assert row["state"] == "complete"
        assert row["optimizer"] == trial.values["optimizer"]
        assert float(row["learning_rate"]) == trial.values["learning_rate"]


def test_the_command_shows_what_came_out(
    copied: StudyFolder, small_archive: Path, command_here: Command, command: Command
):
    options = ("cnn", "--data", small_archive, "--out", copied.path, "--trials", TRIALS)
    done = command_here("eurosat-tune", *options)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr + done.stdout

    notes = done.stderr.splitlines()
    assert notes[0] == (
        f"3 trials of 2 epochs on 80 tiles, judged on 40 for validation; study folder {copied.path}"
    )
    lines = [line for line in notes if line.startswith("trial ")]
    assert len(lines) == TRIALS
    for number, line in enumerate(lines):
        assert re.fullmatch(
            rf"trial {number}, epoch 2/2, val\. accuracy \d+\.\d\d%, seconds \d+, "
            rf"(complete|best so far); learning rate [\d.]+, optimizer \w+, batch size \d+, .*",
            line,
        ), line

    best = read_json(copied.best)
    assert (
        f"Trial {best['trial']} is the best of 3: {best['validation_accuracy']:.2%} on validation."
        in done.stdout
    )
    assert f"The default configuration: trial 0, {float(rows_of(copied)[0]['accuracy']):.2%}." in (
        done.stdout
    )
    assert "told from 8 complete trials on; of 3, chance would decide." in done.stdout
    assert "Share of" not in done.stdout
    assert not copied.importances.exists()
    assert_shows_something(copied.history)


def assert_shows_something(picture: Path) -> None:
    with Image.open(picture) as image:
        colours = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)
        assert image.width > 700
        assert len(colours) > 50


def test_what_made_the_difference_is_told_of_the_values_that_varied(
    dataset: Dataset, small_archive: Path, tmp_path: Path, command_here: Command
):
    study = opened(tmp_path / "study", dataset)
    default = {name: DEFAULTS[Architecture.CNN].to_json()[name] for name in study.space}
    for number in range(8):
        values = {"dropout": number % 4 / 10, "batch_size": (32, 64)[number % 2]}
        study.optuna.add_trial(
            optuna.create_trial(
                value=0.5 + number % 4 / 10,
                params=default | values,
                distributions=dict(study.space),
                intermediate_values={1: 0.5, 2: 0.5 + number % 4 / 10},
            )
        )
    done = command_here(
        "eurosat-tune",
        *("cnn", "--data", small_archive, "--out", study.folder.path, "--trials", 8),
    )
    assert done.returncode == 0, done.stderr
    shares = re.findall(r"^  ([a-z0-9 ]+?) +(\d+)%$", done.stdout, re.MULTILINE)
    assert {name for name, _ in shares} == {"dropout", "batch size"}
    assert sum(int(share) for _, share in shares) == pytest.approx(100, abs=1)
    assert_shows_something(study.folder.importances)


def test_the_printed_commands_train_the_best(
    copied: StudyFolder, small_archive: Path, tmp_path: Path, command_here: Command
):
    # Another trial than the default is the best, so that the options have something to say.
    storage = optuna.storages.RDBStorage(f"sqlite:///{copied.trials}")
    (summary,) = optuna.get_all_study_summaries(storage)
    study = optuna.load_study(study_name=summary.study_name, storage=storage)
    chosen = study.trials[1]
    study.add_trial(
        optuna.create_trial(
            value=1.0,
            params=chosen.params,
            distributions=chosen.distributions,
            intermediate_values={1: 0.9, 2: 1.0},
        )
    )
    done = command_here(
        "eurosat-tune",
        *("cnn", "--data", small_archive, "--out", copied.path, "--trials", TRIALS),
    )
    assert done.returncode == 0, done.stderr
    printed = [shlex.split(line) for line in done.stdout.splitlines() if "eurosat-train" in line]
    assert printed[0][:4] == ["eurosat-train", "cnn", "--from-study", str(copied.path)]
    assert "--from-study" not in printed[1]
    assert len(printed[1]) > 6

    runs = [RunFolder(tmp_path / name) for name in ("one", "other")]
    for words, run in zip(printed, runs, strict=True):
        trained = command_here(*words, "--epochs", 1, "--out", run.path)
        assert trained.returncode == 0, trained.stderr
    configurations = [run.read_config()["training"] for run in runs]
    assert configurations[0] == configurations[1]
    assert configurations[0] == read_json(copied.best)["training"] | {"epochs": 1}
    assert configurations[0]["learning_rate"] == float(f"{chosen.params['learning_rate']:.3g}")
    assert all(run.read_split() == Split.read(copied.split) for run in runs)
    weights = [keras.saving.load_model(run.model, compile=False).get_weights() for run in runs]
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_from_a_study_refuses_what_does_not_go_with_it(
    copied: StudyFolder, small_archive: Path, tmp_path: Path, command_here: Command
):
    out = tmp_path / "run"

    def train(*options: object) -> CompletedProcess[str]:
        return command_here("eurosat-train", *options, "--from-study", copied.path, "--out", out)

    assert_refused_at_last(train("mobilenet"), "was made with architecture cnn, not mobilenet")
    assert_refused_at_last(
        train("--test-fraction", 0.2), "was made with test fraction 0.1, not 0.2"
    )
    assert_refused_at_last(train("--resume"), "--from-study", "--resume")
    assert_refused_at_last(train("--dropout", 1), "--dropout must be below 1")
    other = fewer_tiles(small_archive, tmp_path / "other.zip")
    assert_refused_at_last(train("--data", other), str(other), "the study in", "--data")
    best = read_json(copied.best)
    for training in ({}, best["training"] | {"epochs": 0}):
        copied.best.write_text(json.dumps({"training": training}), encoding="utf-8")
        assert_refused_at_last(train(), str(copied.best), "is damaged")
    copied.best.unlink()
    assert_refused_at_last(train(), "No trial of the study", "eurosat-tune")
    copied.record.unlink()
    assert_refused_at_last(train(), "is not the folder of a study")
    assert not out.exists()


def fewer_tiles(archive: Path, other: Path) -> Path:
    with zipfile.ZipFile(archive) as all_tiles, zipfile.ZipFile(other, "w") as fewer:
        for name in all_tiles.namelist()[:-1]:
            fewer.writestr(name, all_tiles.read(name))
    return other


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["mobilenet"], "was begun with architecture cnn, not mobilenet"),
        (["cnn", "--epochs", "3"], "was begun with epochs 2, not 3"),
        (["cnn", "--fraction", "0.5"], "was begun with fraction 0.25, not 0.5"),
        (["cnn", "--seed", "1"], "was begun with seed 0, not 1"),
        (["cnn", "--storage", "sqlite:///x.db"], "was begun with storage None, not sqlite:///x.db"),
    ],
)
def test_a_study_that_was_begun_otherwise_is_refused(
    options: list[str], part: str, copied: StudyFolder, small_archive: Path, command_here: Command
):
    before = copied.record.read_bytes()
    done = command_here("eurosat-tune", *options, "--data", small_archive, "--out", copied.path)
    assert_refused_at_last(done, part, "--out")
    assert copied.record.read_bytes() == before


def test_another_data_set_is_refused(
    copied: StudyFolder, small_archive: Path, tmp_path: Path, command_here: Command
):
    other = fewer_tiles(small_archive, tmp_path / "other.zip")
    done = command_here("eurosat-tune", "cnn", "--data", other, "--out", copied.path)
    assert_refused_at_last(done, str(other), "is not the one of the study", "--data")


@pytest.mark.parametrize("name", ["study.json", "trial-split.json", "trials.db"])
@pytest.mark.parametrize("content", ["", "{", "[]", '{"architecture": "cnn", "epochs": "x"}'])
def test_a_damaged_study_is_refused(
    name: str, content: str, copied: StudyFolder, small_archive: Path, command_here: Command
):
    if name == "trials.db" and not content:
        copied.trials.unlink()
    else:
        (copied.path / name).write_text(content, encoding="utf-8")
    done = command_here("eurosat-tune", "cnn", "--data", small_archive, "--out", copied.path)
    assert_refused_at_last(done, str(copied.path / name), "--out")


def test_an_impossible_setting_of_a_study_is_refused(
    copied: StudyFolder, small_archive: Path, command_here: Command
):
    record = read_json(copied.record) | {"epochs": 0}
    copied.record.write_text(json.dumps(record), encoding="utf-8")
    done = command_here("eurosat-tune", "cnn", "--data", small_archive, "--out", copied.path)
    assert_refused_at_last(done, str(copied.record), "is damaged")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["cnn", "--trials", "0"], "--trials must be at least 1, not 0."),
        (["cnn", "--timeout", "0"], "--timeout must be above 0"),
        (["cnn", "--timeout", "nan"], "--timeout must be above 0"),
        (["cnn", "--epochs", "0"], "--epochs must be at least 1, not 0."),
        (["mobilenet", "--epochs", "1"], "--epochs must be above 1 for mobilenet"),
        (["cnn", "--fraction", "0"], "--fraction must be above 0 and at most 1, not 0.0."),
        (["cnn", "--fraction", "1.5"], "--fraction"),
        (["cnn", "--fraction", "nan"], "--fraction"),
        (["cnn", "--seed", "-1"], "--seed"),
        (["cnn", "--only", "dropuot"], "--only does not know 'dropuot' for cnn: name some of lear"),
        (["cnn", "--only", "dropout,"], "--only does not know '' for cnn"),
        (["cnn", "--only", "width"], "--only does not know 'width' for cnn"),
        (["mobilenet", "--only", "l2", "--only", "blocks"], "know 'blocks' for mobilenet"),
    ],
)
def test_values_that_cannot_be_studied_are_refused(
    options: list[str], part: str, tmp_path: Path, command_here: Command
):
    assert_refused_at_last(command_here("eurosat-tune", *options), part)
    assert list(tmp_path.iterdir()) == []


def test_what_stands_in_the_way_is_refused_and_left_alone(
    small_archive: Path, tmp_path: Path, command_here: Command
):
    tune_in = ("eurosat-tune", "cnn", "--data", small_archive, "--out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("keep me")
    (tmp_path / "file").write_text("keep me")
    assert_refused_at_last(
        command_here(*tune_in, tmp_path / "full"), "holds something else", "--out"
    )
    assert_refused_at_last(
        command_here(*tune_in, tmp_path / "file" / "study"), "cannot be written to"
    )
    few = command_here(*tune_in, tmp_path / "new", "--fraction", 0.01)
    assert_refused_at_last(
        few, "--fraction 0.01 of 320 training tiles is too little for 10 classes"
    )
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert found == ["file", "full", "full/letter.txt"]


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("nonsense", "--storage must be the URL of a database"),
        ("redis://host", "cannot be used"),
        (
            "postgresql://me:secret@127.0.0.1:9/none",
            "database postgresql://me:***@127.0.0.1:9/none",
        ),
        (
            "mysql+cymysql://me:secret@host/none",
            "The driver of the database mysql+cymysql://me:***@host/none is missing (No module "
            "named 'cymysql'): install it",
        ),
        ("sqlite:////nowhere/at/all.db", "unable to open database file"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(
    url: str, part: str, small_archive: Path, command_here: Command
):
    done = command_here(
        "eurosat-tune", "cnn", "--data", small_archive, "--out", "study", "--storage", url
    )
    assert_refused_at_last(done, part)
    assert "secret" not in done.stderr


def test_a_missing_optuna_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, command_here: Command
):
    monkeypatch.setattr("eurosat.train.tune_cli.find_spec", lambda _: None)
    done = command_here("eurosat-tune", "cnn")
    assert_refused_at_last(done, "needs Optuna: pip install 'eurosat-edge[train]'.")


def test_several_folders_share_a_database(dataset: Dataset, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"

    def study_in(name: str, **given: Any) -> Study:
        given = SETTINGS | given
        return open_study(StudyFolder(tmp_path / name), dataset, Architecture.CNN, given, url)

    here, there, another = study_in("here"), study_in("there"), study_in("another", seed=1)
    run_trials(here, dataset, count=1)
    assert not here.folder.trials.exists()
    assert there.trials() == here.trials() != []
    assert another.trials() == []
    run_trials(there, dataset, count=1)
    assert len(here.trials()) == 1
    assert there.folder.best.read_bytes() == here.folder.best.read_bytes()


def test_a_trial_worse_than_the_median_is_pruned_after_its_second_epoch(
    dataset: Dataset, small_archive: Path, tmp_path: Path, command_here: Command
):
    study = opened(tmp_path / "study", dataset, epochs=3)
    default = DEFAULTS[Architecture.CNN].to_json()
    for _ in range(4):
        study.optuna.add_trial(
            optuna.create_trial(
                value=0.99,
                params={name: default[name] for name in study.space},
                distributions=dict(study.space),
                intermediate_values={1: 0.99, 2: 0.99, 3: 0.99},
            )
        )
    run_trials(study, dataset, count=5)
    first = study.trials()[0]
    assert (first.state, first.epochs) == (State.PRUNED, 2)
    assert list(study.folder.running.iterdir()) == []
    done = command_here(
        "eurosat-tune",
        *("cnn", "--data", small_archive, "--out", study.folder.path, "--trials", 5),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^trial 0, epoch 2/3, .*, pruned; ", done.stderr, re.MULTILINE)
    assert "Trial 1 is the best of 5: 99.00% on validation." in done.stdout
    assert "Share of" not in done.stdout, "trials that are all the same explain nothing"


def test_a_trial_that_runs_away_is_pruned_and_the_study_goes_on(
    copied: StudyFolder, dataset: Dataset
):
    study = opened(copied.path, dataset)
    wild = {"learning_rate": optuna.distributions.FloatDistribution(1e30, 1e31, log=True)}
    run_trials(replace(study, space={**study.space, **wild}), dataset, count=TRIALS + 1)
    last = study.trials()[-1]
    assert (last.state, last.accuracy) == (State.PRUNED, None)
    best = best_trial(study.trials())
    assert best is not None
    assert best.number < TRIALS


def test_no_trial_begins_after_the_timeout(copied: StudyFolder, dataset: Dataset):
    study = opened(copied.path, dataset)
    run_trials(study, dataset, count=100, seconds=1e-9)
    assert len(study.trials()) == TRIALS


@pytest.mark.parametrize("moment", ["before it trains", "in a batch"])
def test_a_trial_that_is_interrupted_is_tried_again(
    moment: str, copied: StudyFolder, dataset: Dataset
):
    def interrupt(news: Step | Sequence[Trial]) -> None:
        in_a_batch = isinstance(news, Step)
        if in_a_batch or (moment != "in a batch" and news[-1].state is State.RUNNING):
            raise KeyboardInterrupt

    study = opened(copied.path, dataset)
    with pytest.raises(KeyboardInterrupt):
        run_trials(study, dataset, count=TRIALS + 1, watch=interrupt)
    assert len(study.trials()) == TRIALS
    interrupted = study.optuna.trials[TRIALS]
    assert interrupted.state.name == "FAIL"
    assert list(copied.running.iterdir()) == []

    again = opened(copied.path, dataset)
    run_trials(again, dataset, count=TRIALS + 1)
    assert [trial.state.name for trial in again.optuna.trials].count("COMPLETE") == TRIALS + 1
    assert again.optuna.trials[-1].params == interrupted.params


def test_what_another_process_left_no_trial_for_is_tried_when_there_are_more(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    study = opened(tmp_path / "study", dataset, epochs=1, only=("blocks", "filters"))
    run_trials(study, dataset, count=1)
    queued = {"blocks": 1, "filters": 3}
    optimize = study.optuna.optimize

    def too_late(*arguments: Any, **options: Any) -> None:
        others = study.optuna.trials[0]  # What the other process does between check and beginning.
        study.optuna.add_trial(
            optuna.create_trial(
                value=0.5,
                params={"blocks": 1, "filters": 2},
                distributions=others.distributions,
                intermediate_values={1: 0.5},
            )
        )
        study.optuna.enqueue_trial(queued)
        optimize(*arguments, **options)

    monkeypatch.setattr("eurosat.train.tune._queue_untried", lambda _: None)
    monkeypatch.setattr(study.optuna, "optimize", too_late)
    run_trials(study, dataset, count=2)
    assert [trial.number for trial in study.trials()] == [0, 1]
    monkeypatch.undo()
    run_trials(study, dataset, count=3)
    assert study.trials()[-1].values == queued


def test_of_few_combinations_one_that_was_broken_off_is_tried_again(
    dataset: Dataset, tmp_path: Path
):
    study = opened(tmp_path / "study", dataset, epochs=1, only=("filters",))
    run_trials(study, dataset, count=1)
    for filters in (2, 3):
        broken_off = optuna.create_trial(
            state=optuna.trial.TrialState.FAIL, system_attrs={"fixed_params": {"filters": filters}}
        )
        study.optuna.add_trial(broken_off)
    run_trials(study, dataset, count=3)
    assert sorted(trial.values["filters"] for trial in study.trials()) == [2, 3, 4]


def test_of_few_combinations_one_that_two_processes_chose_at_once_is_tried_once(
    dataset: Dataset, tmp_path: Path
):
    study = opened(tmp_path / "study", dataset, epochs=1, only=("filters",))
    run_trials(study, dataset, count=1)
    for _ in range(2):
        study.optuna.enqueue_trial({"filters": 2})
    run_trials(study, dataset, count=3)
    assert sorted(trial.values["filters"] for trial in study.trials()) == [2, 3, 4]


QUICK = ("--epochs", 1, "--fraction", 0.1)
"""For a process of its own, which tries models of the full size."""


def wait_for(process: "Popen[str]", start: str) -> None:
    """Read standard error until a line begins so."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith(start):
            return
    raise AssertionError(f"no line begins with {start}: {lines}")


@pytest.mark.slow
def test_a_study_that_was_broken_off_and_killed_goes_on(
    small_archive: Path,
    dataset: Dataset,
    tmp_path: Path,
    start_command: Start,
    monkeypatch: pytest.MonkeyPatch,
):
    folder = StudyFolder(tmp_path / "a study? of {50%} & more#")
    options = ("cnn", "--data", small_archive, "--out", folder.path, "--trials", 3, *QUICK)

    begun = start_command("eurosat-tune", *options)
    wait_for(begun, "trial 0")
    begun.send_signal(signal.SIGINT)
    _, rest = begun.communicate()
    assert begun.returncode == 130, rest
    assert "The same command goes on with the study." in rest

    again = start_command("eurosat-tune", *options)
    wait_for(again, "trial 0")
    study = open_study(folder, dataset, Architecture.CNN, {})
    while len(study.trials()[-1].values) < len(study.space) or len(study.trials()) < 2:
        assert again.poll() is None
        time.sleep(0.01)
    again.send_signal(signal.SIGKILL)
    assert again.wait() == -signal.SIGKILL
    (killed,) = (trial for trial in study.trials() if trial.state is State.RUNNING)

    monkeypatch.setattr(study_database, "SILENCE_SECONDS", 2)
    study = open_study(folder, dataset, Architecture.CNN, {})
    run_trials(study, dataset, count=3)
    assert [trial.state for trial in study.trials()] == [State.COMPLETE] * 3
    tried_again = [trial for trial in study.trials() if trial.values == killed.values]
    assert len(tried_again) == 1
    assert tried_again[0].number > killed.number
    assert study.optuna.trials[killed.number].state.name == "FAIL"
    assert list(folder.running.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {folder.path.name}


@pytest.mark.slow
def test_two_processes_share_a_study(
    small_archive: Path, dataset: Dataset, tmp_path: Path, start_command: Start
):
    folder = StudyFolder(tmp_path / "study")
    options = ("cnn", "--data", small_archive, "--out", folder.path, "--trials", 3, *QUICK)
    both = [start_command("eurosat-tune", *options) for _ in range(2)]
    written = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], written
    study = open_study(folder, dataset, Architecture.CNN, {})
    trials = study.trials()
    assert [trial.state for trial in trials] == [State.COMPLETE] * 3
    # Each told of all trials, and none was drawn twice.
    for lines in written:
        assert len(re.findall(r"^trial \d+, ", lines, re.MULTILINE)) == 3
    assert len({tuple(trial.values.items()) for trial in trials}) == 3
    # One process alone would do one trial after the other.
    spans = sorted(
        (trial.datetime_start, trial.datetime_complete)
        for trial in study.optuna.trials
        if trial.datetime_start and trial.datetime_complete and trial.state.name == "COMPLETE"
    )
    assert any(end > start for (_, end), (start, _) in pairwise(spans))
    assert len(rows_of(folder)) == 3


def test_a_mobilenet_is_only_as_wide_as_imagenet_weights_are_at_hand(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    at_hand = {0.5: "a file", 1.0: "a file"}

    def find(_: str, width: float) -> str:
        if width not in at_hand:
            raise EurosatError(f"no weights of width {width}.")
        return at_hand[width]

    def begin(name: str) -> Study:
        given = {"epochs": 2, "fraction": 0.25}
        return open_study(StudyFolder(tmp_path / name), dataset, Architecture.MOBILENET, given)

    monkeypatch.setattr(search_space, "find_weights", find)
    study = begin("study")
    widths = study.space["width"]
    assert isinstance(widths, optuna.distributions.CategoricalDistribution)
    assert list(widths.choices) == [0.5, 1.0]
    assert study.widths_left_out == [0.35, 0.75]
    at_hand.clear()
    assert begin("study").space == study.space, "a study is what it was begun as"
    with pytest.raises(EurosatError, match=r"no weights of width"):
        begin("another")
    assert not (tmp_path / "another").exists()


@pytest.mark.parametrize("architecture", list(Architecture))
def test_the_default_is_within_the_search_space(architecture: Architecture):
    default = REAL_DEFAULTS[architecture]
    for name, among in REAL_SEARCH[architecture].items():
        value = getattr(default, name)
        if isinstance(among, optuna.distributions.CategoricalDistribution):
            assert value in among.choices
        else:
            steps = (value - among.low) / among.step if among.step else 0
            assert among.low <= value <= among.high
            assert steps == pytest.approx(round(steps))


def some_trials(count: int) -> list[Trial]:
    values = {"learning_rate": 0.00123, "optimizer": "sgd", "blocks": 3}
    done = [
        Trial(number, State.COMPLETE, 0.5 + 0.3 * (number == 1), 3, 9.0, values)
        for number in range(count)
    ]
    done[-2] = replace(done[-2], state=State.PRUNED, epochs=1)
    done[-1] = replace(done[-1], state=State.RUNNING, epochs=0, accuracy=None, seconds=None)
    return done


@pytest.mark.parametrize(("width", "height"), [(80, 12), (160, 50)])
def test_a_terminal_shows_a_table_that_keeps_the_best_in_sight(width: int, height: int):
    console = Console(
        force_terminal=True, width=width, height=height, file=io.StringIO(), color_system=None
    )
    trials = some_trials(20)
    with StudyProgress(console, StudySettings(Architecture.CNN), 30) as watch:
        watch(trials)
        watch(Step(epoch=2, batch=5, batches=61, loss=1.0, accuracy=0.5))
        with console.capture() as captured:
            console.print(watch.view())
        shown = captured.get().splitlines()
        assert len(shown) < height
        assert all(len(line) <= width for line in shown)
        text = "\n".join(shown)
        assert re.search(r"1 +3/3 +80\.00% +best", text)
        assert re.search(r"18 +1/3 +50\.00% +pruned", text)
        assert re.search(r"19 +0/3 +running", text)
        assert "19 of 30 trials" in text
        assert "epoch 2/3 · batch 5/61" in text
    with console.capture() as captured:
        console.print(watch.view())
    # At the end all of them, with all that was tried.
    assert len(re.findall(r"(complete|best|pruned|running) +learning rate", captured.get())) == 20
