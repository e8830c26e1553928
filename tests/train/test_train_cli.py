"""`eurosat-train`: what it writes, what it says, and what it refuses."""

import csv
import json
import os
import re
import shlex
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess, Popen
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import classification_report, confusion_matrix, log_loss

from eurosat.calibration import fit_calibration, measure_calibration
from eurosat.dataset import Dataset
from eurosat.folder_lock import only_process_in
from eurosat.run_folder import RunFolder
from eurosat.split import Split
from eurosat.train.configuration import (
    DEFAULTS,
    Architecture,
    recorded_configuration,
    training_command,
)
from eurosat.train.fit import read_history

from ..commands import Command, assert_refused, assert_refused_at_last, read_json

Start = Callable[..., "Popen[str]"]

FILES = {
    "config.json",
    "split.json",
    "model.keras",
    "history.csv",
    "metrics.json",
    "report.txt",
    "curves.png",
    "confusion_matrix.png",
    "predictions.png",
    "checkpoint",
}


@pytest.mark.parametrize(
    "program",
    [
        f"eurosat-{name}"
        for name in ("train", "tune", "evaluate", "compare", "convert", "classify", "benchmark")
    ],
)
def test_help_answers_without_loading_anything_heavy(program: str, command: Command):
    done = command(program, "--help", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()
    }
    assert {"typer", "eurosat"} <= loaded
    heavy = {"tensorflow", "keras", "sklearn", "matplotlib", "scipy", "optuna", "sqlalchemy"}
    assert not heavy & loaded


def test_help_tells_the_defaults(command_here: Command):
    done = command_here("eurosat-train", "--help")
    told = re.sub(r"[\s│]+", " ", done.stdout)
    cnn, mobilenet = (DEFAULTS[architecture] for architecture in Architecture)
    assert f"Default: {cnn.epochs} for cnn, {mobilenet.epochs} for mobilenet." in told
    assert f"Tiles in a step. Default: {cnn.batch_size}." in told
    assert f"Residual blocks of the CNN, 1 to 4. Default: {cnn.blocks}." in told
    assert "First weights of MobileNet: imagenet, none, or a file. Default: imagenet." in told
    assert "Flip, turn and shift tiles. Default: on." in told


def test_audit_describes_the_data_and_stops(small_archive: Path, tmp_path: Path, command: Command):
    done = command(
        "eurosat-train", "cnn", "--audit", "--data", small_archive, "--out", tmp_path / "run"
    )
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == "400 tiles in 10 classes"
    assert [line.split() for line in lines[1:11]][:2] == [["AnnualCrop", "40"], ["Forest", "40"]]
    assert lines[11:] == [
        "Imbalance ratio (largest to smallest class): 1.00",
        "Unreadable files, left out: 0",
        "Other sizes than 64 x 64, resized: 0",
        "Groups of equal tiles: 0",
        "Groups of equal tiles across classes: 0",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def skewed_archive(small_archive: Path, tmp_path: Path) -> Path:
    """Three classes of the small archive, of 40, 20 and 10 tiles."""
    path = tmp_path / "skewed.zip"
    wanted = {"Forest": 40, "River": 20, "SeaLake": 10}
    with zipfile.ZipFile(small_archive) as everything, zipfile.ZipFile(path, "w") as skewed:
        for name in everything.namelist():
            label = Path(name).parent.name
            if wanted.get(label):
                wanted[label] -= 1
                skewed.writestr(name, everything.read(name))
    return path


def test_what_to_do_about_an_imbalance_is_told(skewed_archive: Path, command_here: Command):
    line = ("eurosat-train", "--data", skewed_archive, "--audit")
    told = command_here(*line).stdout
    assert "Imbalance ratio (largest to smallest class): 4.00" in told
    assert "look at macro F1, and try --balanced, with which all classes" in told.splitlines()[-1]
    assert "--balanced" not in command_here(*line, "--balanced").stdout


def test_a_balanced_run_says_so_and_is_gone_on_with_as_one(
    skewed_archive: Path, tmp_path: Path, command_here: Command
):
    options = ("--epochs", 1, "--image-size", 32, "--blocks", 1, "--mixup", 0.2)
    line = ("eurosat-train", "--data", skewed_archive, "--out", tmp_path / "run")
    done = command_here(*line, "cnn", *options, "--balanced")
    assert done.returncode == 0, done.stderr
    assert "try --balanced" not in done.stderr
    judged = read_json(tmp_path / "run" / "metrics.json")["validation"]
    kept = read_history(tmp_path / "run" / "history.csv")[0]
    assert kept.validation_accuracy == pytest.approx(judged["balanced_accuracy"])
    run = RunFolder(tmp_path / "run")
    recorded = recorded_configuration(run)
    assert recorded.balanced
    assert "--balanced" in training_command(recorded)
    assert "--no-balanced" not in training_command(replace(recorded, balanced=False))
    refused = command_here(*line, "--no-balanced", "--resume")
    assert_refused(refused, "was begun with balanced True, not False")
    assert command_here(*line, "--resume").returncode == 0
    # Recorded before there was such an option.
    config = read_json(run.config)
    del config["training"]["balanced"]
    run.config.write_text(json.dumps(config), encoding="utf-8")
    assert not recorded_configuration(run).balanced


def test_a_temperature_at_its_limit_is_told_by_all_commands(tmp_path: Path, command_here: Command):
    rng = np.random.default_rng(0)
    for name, brightness in (("dark", 20), ("light", 200)):
        (tmp_path / "easy" / name).mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(brightness, brightness + 40, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "easy" / name / f"{number}.png")
    done = command_here(
        *("eurosat-train", "cnn", "--epochs", 4, "--batch-size", 8, "--image-size", 32),
        *("--blocks", 1, "--data", "easy", "--out", "run"),
    )
    assert done.returncode == 0, done.stderr
    told = "The temperature stopped at 0.1, the lowest that is tried, as nearly every answer on"
    assert done.stderr.splitlines()[-2].startswith(told)
    assert told in (tmp_path / "run" / "report.txt").read_text(encoding="utf-8")
    assert read_json(tmp_path / "run" / "metrics.json")["calibration"]["temperature_at_limit"]
    assert told in command_here("eurosat-evaluate", "run").stdout
    done = command_here("eurosat-convert", "run", "--float32", "--max-drop", 100)
    assert told in done.stderr


def test_audit_names_what_is_odd_on_one_line_each(tmp_path: Path, command: Command):
    long = "a-rather-long-name-of-a-file-that-does-not-fit-into-a-line-of-eighty-letters"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("Forest/one.png", "River/two.png", f"River/{long}.png"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    done = command("eurosat-train", "cnn", "--audit", "--data", "data")
    assert done.returncode == 0
    *_, last = done.stdout.splitlines()
    assert last == f"  Forest/one.png = River/{long}.png = River/two.png"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--epochs", "0"], "--epochs must be at least 1, not 0."),
        (["--batch-size", "0"], "--batch-size"),
        (["--dropout", "1"], "--dropout must be below 1, not 1.0."),
        (["--dropout", "-0.1"], "--dropout"),
        (["--dropout", "nan"], "--dropout"),
        (["--l2", "-1"], "--l2"),
        (["--label-smoothing", "1.5"], "--label-smoothing"),
        (["--learning-rate", "0"], "--learning-rate must be above 0, not 0.0."),
        (["--learning-rate", "nan"], "--learning-rate"),
        (["--patience", "0"], "--patience"),
        (["--image-size", "8"], "--image-size"),
        (["--units", "-1"], "--units"),
        (["--seed", "-1"], "--seed"),
        (["--split-seed", "-1"], "--split-seed must be at least 0, not -1."),
        (["--seed", "4294967296"], "--seed must be at most 4294967295, not 4294967296."),
        (["--width", "0"], "--width"),
        (["--blocks", "0"], "--blocks must be at least 1, not 0."),
        (["--blocks", "5"], "--blocks must be at most 4, not 5."),
        (["--filters", "0"], "--filters"),
        (["--shift", "33"], "--shift must be at most 32, not 33."),
        (["--shift", "-1"], "--shift"),
        (["--jitter", "1"], "--jitter must be below 1, not 1.0."),
        (["--jitter", "nan"], "--jitter"),
        (["--zoom", "1"], "--zoom must be below 1, not 1.0."),
        (["--zoom", "-0.1"], "--zoom"),
        (["--rotation", "46"], "--rotation must be at most 45, not 46.0."),
        (["--rotation", "nan"], "--rotation"),
        (["--mixup", "-0.1"], "--mixup must be at least 0, not -0.1."),
        (["--mixup", "nan"], "--mixup"),
        (["--mosaics", "-0.1"], "--mosaics must be at least 0, not -0.1."),
        (["--mosaics", "nan"], "--mosaics"),
        (["--mosaics", "1.1"], "--mosaics must be at most 1, not 1.1."),
        (["--rivers", "-0.1"], "--rivers must be at least 0, not -0.1."),
        (["--rivers", "1.1"], "--rivers must be at most 1, not 1.1."),
        (["--growing", "-0.1"], "--growing"),
        (["--growing", "1"], "--growing must be below 1, not 1.0."),
        (["--averaged", "-1"], "--averaged must be at least 0, not -1."),
        (["--epochs", "10", "--averaged", "6"], "--averaged must be at most 5, not 6: so many"),
    ],
)
def test_values_that_cannot_be_trained_with_are_refused(
    options: list[str], part: str, tmp_path: Path, command_here: Command
):
    assert_refused(command_here("eurosat-train", "mobilenet", *options), part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("architecture", "option", "value"),
    [
        ("cnn", "--width", 0.5),
        ("cnn", "--weights", "imagenet"),
        ("mobilenet", "--blocks", 4),
        ("mobilenet", "--filters", 8),
    ],
)
def test_options_that_do_nothing_are_refused(
    architecture: str, option: str, value: object, tmp_path: Path, command_here: Command
):
    done = command_here("eurosat-train", architecture, option, value)
    assert_refused(done, f"{option} does nothing for {architecture}: leave it out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--from-model", "mobilenet-int8", "--weights", "imagenet"),
            "--weights does nothing with --from-model: leave one of them out.",
        ),
        (
            ("cnn", "--no-augment", "--zoom", 0.1),
            "--zoom does nothing with --no-augment: leave one of them out.",
        ),
        (
            ("mobilenet", "--shift", 2, "--no-augment"),
            "--shift does nothing with --no-augment: leave one of them out.",
        ),
    ],
)
def test_options_of_which_one_does_nothing_are_refused(
    options: tuple[object, ...], sentence: str, tmp_path: Path, command_here: Command
):
    assert_refused(command_here("eurosat-train", *options), sentence)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_was_begun_with_such_an_option_goes_on(
    small_run: Path, small_archive: Path, command_here: Command
):
    resume = ("--resume", "--out", small_run, "--data", small_archive)
    done = command_here("eurosat-train", "cnn", "--width", 1, "--epochs", 5, *resume)
    assert_refused(done, "was begun with epochs 4")


def test_rivers_are_refused_where_no_class_is_theirs(
    small_archive: Path, tmp_path: Path, command_here: Command
):
    path = tmp_path / "fields.zip"
    with zipfile.ZipFile(small_archive) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            after.writestr(name.replace("/River/", "/Canal/"), before.read(name))
    done = command_here("eurosat-train", "cnn", "--data", path, "--rivers", "0.2", "--out", "run")
    assert_refused_at_last(done, "--rivers needs a class River, and there is none: leave it out")
    assert not (tmp_path / "run").exists()


def test_a_picture_too_small_for_the_cnn_is_refused(tmp_path: Path, command_here: Command):
    assert_refused(
        command_here("eurosat-train", "cnn", "--image-size", "32", "--growing", "0.5"),
        "The CNN needs 25 pixels, not 16: give a larger --image-size, or no --growing.",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["cnn", "--epochs", "few"], "--epochs"),
        (["resnet"], "resnet"),
        (["cnn", "--depth"], "--depth"),
        ([], "ARCHITECTURE"),
    ],
)
def test_what_the_command_line_does_not_know_is_refused(
    options: list[str], part: str, command: Command
):
    done = command("eurosat-train", *options)
    assert done.returncode == 2
    assert "Usage:" in done.stderr
    assert "Traceback" not in done.stderr
    assert part.lower() in done.stderr.lower()


@pytest.mark.parametrize(
    ("program", "arguments", "word"),
    [
        ("eurosat-train", ("cnn", "--data", ""), "--data"),
        ("eurosat-train", ("cnn", "--out", ""), "--out"),
        ("eurosat-train", ("--resume", "--out", ""), "--out"),
        ("eurosat-train", ("--from-study", ""), "--from-study"),
        ("eurosat-train", ("cnn", "--teacher", ""), "--teacher"),
        ("eurosat-train", ("--from-run", ""), "--from-run"),
        ("eurosat-train", ("--from-model", ""), "--from-model"),
        ("eurosat-tune", ("cnn", "--data", ""), "--data"),
        ("eurosat-tune", ("cnn", "--out", ""), "--out"),
        ("eurosat-evaluate", ("",), "MODEL_OR_RUN"),
        ("eurosat-evaluate", ("cnn-int8", "--data", ""), "--data"),
        ("eurosat-evaluate", ("cnn-int8", "--out", ""), "--out"),
        ("eurosat-compare", ("cnn-int8", ""), "RUN_OR_MODEL"),
        ("eurosat-compare", ("cnn-int8", "--data", ""), "--data"),
        ("eurosat-compare", ("cnn-int8", "--out", ""), "--out"),
        ("eurosat-convert", ("",), "RUN"),
        ("eurosat-convert", ("run", "--data", ""), "--data"),
        ("eurosat-convert", ("run", "--out", ""), "--out"),
    ],
)
def test_an_empty_path_is_refused(
    tmp_path: Path,
    command_here: Command,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    arguments: tuple[str, ...],
    word: str,
):
    monkeypatch.setenv("EUROSAT_DATA", "absent")  # Else, what is not refused would train.
    assert_refused(command_here(program, *arguments), f"{word} is empty")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("eurosat-train", ("cnn", "--data", "{}/data")),
        ("eurosat-train", ("--resume", "--out", "{}")),
        ("eurosat-train", ("--from-study", "{}")),
        ("eurosat-evaluate", ("{}",)),
        ("eurosat-compare", ("{}", "cnn-int8")),
        ("eurosat-convert", ("{}/run",)),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="Windows allows no such folder names")
def test_odd_names_in_a_refusal_cannot_disturb_the_terminal(
    tmp_path: Path, command_here: Command, program: str, arguments: tuple[str, ...]
):
    folder = tmp_path / "two\nlines, \x1b[31mred"
    folder.mkdir()
    (folder / "config.json").write_text("damaged", encoding="utf-8")
    done = command_here(program, *(argument.format(folder) for argument in arguments))
    assert_refused(done, "two\ufffdlines, \ufffd[31mred")


def test_the_same_in_a_process_of_its_own(tmp_path: Path, command: Command):
    assert_refused(command("eurosat-train", "cnn", "--epochs", "0"), "--epochs")
    missing = command("eurosat-train", "cnn", EUROSAT_DATA="no/such.zip")
    assert_refused(missing, "no/such.zip", "EUROSAT_DATA")
    assert list(tmp_path.iterdir()) == []


def test_data_that_are_none_are_refused(tmp_path: Path, command_here: Command):
    for name in ("absent", "text.zip", "empty", "one"):
        path = tmp_path / name
        if name == "text.zip":
            path.write_text("no zip")
        elif name != "absent":
            path.mkdir()
        if name == "one":
            (path / "Forest").mkdir()
            Image.new("RGB", (64, 64)).save(path / "Forest" / "1.png")
        done = command_here("eurosat-train", "cnn", "--data", path, "--out", tmp_path / "run")
        assert_refused(done, str(path))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        (("eurosat-train", "cnn", "--out", "data/run"), "data/run"),
        (("eurosat-tune", "cnn", "--out", "data/../data/study"), "data/../data/study"),
        (("eurosat-evaluate", "cnn-int8", "--out", "data"), "data"),
    ],
)
def test_results_in_the_data_are_refused_before_anything_is_done(
    line: tuple[str, ...], folder: str, tmp_path: Path, command_here: Command
):
    for name in ("Forest", "River"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(tmp_path / "data" / name / "1.png")
    before = sorted(tmp_path.rglob("*"))
    done = command_here(*line, "--data", "data")
    assert_refused(
        done, f"{folder} lies inside the data set data, ", "name another folder", "--out"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_what_no_data_would_mend_is_refused_before_data_are_read(
    tmp_path: Path, command_here: Command
):
    for options, part in (
        (("cnn", "--validation-fraction", "0"), "fractions must be above 0"),
        (("cnn", "--test-fraction", "0.95"), "fractions must be above 0 and together below 1"),
        (("cnn", "--teacher", "gone"), "The teacher gone is not there: put it back"),
        (("mobilenet", "--weights", "gone.h5"), "There is no weight file gone.h5: name a file"),
    ):
        done = command_here("eurosat-train", *options, "--data", "nowhere", "--out", "run")
        assert_refused(done, part)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_refused(
    small_archive: Path, tmp_path: Path, command_here: Command
):
    (tmp_path / "file").write_text("in the way")
    done = command_here(
        "eurosat-train", "cnn", "--data", small_archive, "--out", tmp_path / "file" / "run"
    )
    assert_refused(done, "/file is a file: name a folder with --out.")


def test_imagenet_weights_that_are_not_there_offline_are_told_in_a_sentence(
    small_archive: Path, tmp_path: Path, command: Command
):
    nowhere = "http://127.0.0.1:9"
    done = command(
        "eurosat-train",
        *("mobilenet", "--width", "0.75", "--data", small_archive, "--out", tmp_path / "run"),
        KERAS_HOME=str(tmp_path / "keras"),
        http_proxy=nowhere,
        https_proxy=nowhere,
        no_proxy="",
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    *_, last = done.stderr.splitlines()
    assert re.fullmatch(r"Error: The ImageNet weights .*_0\.75_224_no_top\.h5 could not .*\.", last)
    assert "KERAS_HOME" in last
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--weights", "../text.h5"),
            "The weights ../text.h5 do not fit a MobileNetV2 of width 1.0 without top.",
        ),
        (
            ("--width", 0.6),
            "There are no ImageNet weights of width 0.6: give a --width of 0.35, 0.5, 0.75, 1.0, "
            "1.3, 1.4, or --weights none.",
        ),
    ],
)
def test_weights_that_there_are_not_are_refused_before_anything_is_written(
    options: tuple[object, ...],
    sentence: str,
    small_archive: Path,
    tmp_path: Path,
    command_here: Command,
):
    (tmp_path.parent / "text.h5").write_text("no weights")
    line = ("eurosat-train", "mobilenet", *options, "--data", small_archive, "--out", "run")
    assert_refused_at_last(command_here(*line), sentence)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_a_run_in_it_is_refused(
    small_run: Path, small_archive: Path, command_here: Command
):
    before = {path: path.stat().st_mtime_ns for path in small_run.rglob("*")}
    done = command_here("eurosat-train", "cnn", "--data", small_archive, "--out", small_run)
    assert_refused(done, "holds a run already", "--resume", "--out")
    assert {path: path.stat().st_mtime_ns for path in small_run.rglob("*")} == before


def test_a_run_that_failed_at_once_is_not_in_the_way(
    small_archive: Path, tmp_path: Path, command_here: Command
):
    def begun(*options: object) -> CompletedProcess[str]:
        return command_here(
            "eurosat-train",
            *("cnn", "--epochs", 1, "--image-size", 32, "--data", small_archive, *options),
            *("--out", tmp_path / "run"),
        )

    assert_refused_at_last(begun("--blocks", 1, "--learning-rate", 1e30), "finite number")
    assert (tmp_path / "run" / "config.json").exists()
    done = begun("--blocks", 2)
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "run" / "config.json")["training"]["blocks"] == 2
    assert_refused(begun(), "holds a run already")


def test_two_processes_do_not_train_in_one_folder(
    small_archive: Path, tmp_path: Path, command_here: Command, start_command: Start
):
    run = RunFolder(tmp_path / "run")
    line = ("eurosat-train", "cnn", "--data", small_archive, "--out", run.path)
    with start_command(*line, "--epochs", 100) as first:
        assert first.stderr is not None
        assert any("tiles for training" in note for note in first.stderr)
        begun_with = run.config.read_bytes()
        refused = command_here(*line, "--resume")
        first.kill()
    assert_refused(refused, f"Another process trains in {run.path}: wait until it has ended")
    assert run.config.read_bytes() == begun_with
    # The system has freed the folder; and before its first checkpoint, a run is not in the way.
    run.checkpoint.unlink(missing_ok=True)
    with only_process_in(run.checkpoint.parent, ""):
        assert_refused(command_here(*line, "--epochs", 1), "Another process trains in")
    assert run.config.read_bytes() == begun_with
    done = command_here(*line, "--epochs", 1, "--image-size", 32, "--blocks", 1)
    assert done.returncode == 0, done.stderr


def test_there_must_be_a_run_to_go_on_with(tmp_path: Path, command_here: Command):
    done = command_here("eurosat-train", "cnn", "--out", tmp_path / "none", "--resume")
    assert_refused(done, str(tmp_path / "none"))
    assert_refused(command_here("eurosat-train", "cnn", "--resume"), "no cnn run in runs", "--out")
    done = command_here("eurosat-train", "--out", tmp_path / "none", "--resume")
    assert_refused(done, f"There is no run in {tmp_path / 'none'} to go on with")
    assert_refused(command_here("eurosat-train", "--resume"), "There is no run in runs", "--out")
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_by_its_folder_alone(
    copied_run: RunFolder, small_run: Path, small_archive: Path, command_here: Command
):
    copied_run.metrics.unlink()
    done = command_here(
        "eurosat-train", "--resume", "--out", copied_run.path, "--data", small_archive
    )
    assert done.returncode == 0, done.stderr
    expected = read_json(small_run / "metrics.json")["validation"]
    assert read_json(copied_run.metrics)["validation"] == expected


def test_a_run_remembers_its_data(
    copied_run: RunFolder,
    small_archive: Path,
    command_here: Command,
    monkeypatch: pytest.MonkeyPatch,
):
    assert read_json(copied_run.config)["data"] == str(small_archive)
    monkeypatch.setenv("EUROSAT_DATA", "no/such.zip")
    done = command_here("eurosat-train", "--resume", "--out", copied_run.path)
    assert done.returncode == 0, done.stderr
    for program, *options in (
        ["eurosat-evaluate"],
        ["eurosat-convert", "--float32"],
        ["eurosat-compare"],
    ):
        done = command_here(program, copied_run.path, *options)
        assert "no/such.zip" not in done.stderr
        assert done.returncode in {0, 1}, done.stderr  # 1: so small a model may lose accuracy.
    # Without the data, or in a run that was recorded before, what counted before counts.
    config = read_json(copied_run.config)
    for changed in (config | {"data": "/gone.zip"}, {**config, "data": None}):
        copied_run.config.write_text(json.dumps(changed), encoding="utf-8")
        done = command_here("eurosat-train", "--resume", "--out", copied_run.path)
        assert_refused(done, "no/such.zip", "EUROSAT_DATA")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["cnn", "--epochs", "5"], "was begun with epochs 4, not 5"),
        (["cnn", "--seed", "1"], "was begun with seed 0, not 1"),
        (["cnn", "--split-seed", "1"], "was begun with split seed 0, not 1"),
        (["cnn", "--averaged", "99"], "was begun with averaged 0, not 99"),
        (["cnn", "--no-augment"], "was begun with augment True, not False"),
        (["cnn", "--learning-rate", "0.1"], "was begun with learning rate 0.002, not 0.1"),
        (["mobilenet"], "was begun with architecture cnn, not mobilenet"),
    ],
)
def test_options_that_differ_from_those_of_the_run_are_refused(
    options: list[str], part: str, small_run: Path, small_archive: Path, command_here: Command
):
    done = command_here(
        "eurosat-train", *options, "--data", small_archive, "--out", small_run, "--resume"
    )
    assert_refused_at_last(done, part)


def test_another_data_set_is_refused_on_resume(
    small_run: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(small_archive) as all_tiles, zipfile.ZipFile(other, "w") as fewer:
        for name in all_tiles.namelist()[:-1]:
            fewer.writestr(name, all_tiles.read(name))
    done = command_here("eurosat-train", "cnn", "--data", other, "--out", small_run, "--resume")
    assert_refused_at_last(done, str(other), "is not the one of this training run", "--data")


@pytest.mark.parametrize("name", ["config.json", "split.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"training": {"epochs": "x"}}'])
def test_damaged_records_are_refused_on_resume(
    name: str, content: str, copied_run: RunFolder, small_archive: Path, command_here: Command
):
    (copied_run.path / name).write_text(content, encoding="utf-8")
    done = command_here(
        "eurosat-train", "cnn", "--data", small_archive, "--out", copied_run.path, "--resume"
    )
    assert_refused_at_last(done, str(copied_run.path / name), "is damaged")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("epochs", 2.5), ("augment", "yes"), ("teacher", None), ("seed", True), ("epochs", 0)],
)
def test_an_impossible_setting_is_refused_on_resume(
    setting: str, value: Any, copied_run: RunFolder, small_archive: Path, command_here: Command
):
    record = json.loads(copied_run.config.read_text(encoding="utf-8"))
    record["training"][setting] = value
    copied_run.config.write_text(json.dumps(record), encoding="utf-8")
    done = command_here(
        "eurosat-train", "cnn", "--data", small_archive, "--out", copied_run.path, "--resume"
    )
    assert_refused_at_last(done, str(copied_run.config), "is damaged")


def test_the_run_folder_holds_all_that_is_promised(small_run: Path):
    # The small run was asked for a log for TensorBoard too.
    assert {path.name for path in small_run.iterdir()} == FILES | {"tensorboard"}
    assert [path.name for path in (small_run / "checkpoint").iterdir()] == ["state.npz"]
    config = read_json(small_run / "config.json")
    assert config["training"]["epochs"] == 4
    assert config["training"]["batch_size"] == 16
    assert config["training"]["optimizer"] == "adamw"
    assert config["versions"]["keras"] == keras.__version__
    with (small_run / "history.csv").open(encoding="utf-8", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


def test_the_recorded_split_uses_every_tile_once(small_run: Path, dataset: Dataset):
    split = Split.read(small_run / "split.json")
    assert (len(split.train), len(split.validation), len(split.test)) == (320, 40, 40)
    assert sorted(split.train + split.validation + split.test) == sorted(dataset.names)
    assert split.fingerprint == dataset.fingerprint


def test_the_pictures_show_something(small_run: Path):
    for name, width, height in (
        ("curves.png", 1000, 400),
        ("confusion_matrix.png", 800, 800),
        ("predictions.png", 1000, 1000),
    ):
        with Image.open(small_run / name) as picture:
            picture.load()
            assert width <= picture.width <= 3000
            assert height <= picture.height <= 3000
            colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
            assert len(colours) > 50


def test_the_sheet_of_predictions_says_which_confidence_it_shows(
    copied_run: RunFolder,
    small_archive: Path,
    command_here: Command,
    monkeypatch: pytest.MonkeyPatch,
):
    titles: list[str] = []
    monkeypatch.setattr("matplotlib.figure.Figure.suptitle", lambda _, title: titles.append(title))
    done = command_here(
        "eurosat-train", "--resume", "--out", copied_run.path, "--data", small_archive
    )
    assert done.returncode == 0, done.stderr
    (title,) = titles
    assert title.startswith("20 tiles of the test split, ")
    assert title.endswith(" right\nconfidence before calibration")


def test_figures_report_and_a_new_computation_agree(small_run: Path, dataset: Dataset):
    folder = RunFolder(small_run)
    metrics = read_json(folder.metrics)
    report = folder.report.read_text(encoding="utf-8")
    model = keras.saving.load_model(folder.model, compile=False)
    assert metrics["parameters"] == model.count_params()
    split = folder.read_split()
    validation = dataset.positions(split.validation)
    said = model.predict_on_batch(dataset.tiles[validation])
    calibration = fit_calibration(said, dataset.labels[validation])
    assert metrics["calibration"]["temperature"] == pytest.approx(calibration.temperature, 1e-3)
    for part in ("validation", "test"):
        positions = dataset.positions(getattr(split, part))
        labels = dataset.labels[positions]
        probabilities = np.asarray(model.predict_on_batch(dataset.tiles[positions]), np.float64)
        predicted = probabilities.argmax(axis=1)
        figures = metrics[part]
        assert figures["tiles"] == len(labels) == 40
        assert figures["accuracy"] == pytest.approx((predicted == labels).mean())
        assert figures["confusion"] == confusion_matrix(labels, predicted).tolist()
        exact = probabilities / probabilities.sum(axis=1, keepdims=True)
        assert figures["loss"] == pytest.approx(log_loss(labels, exact), rel=1e-4)
        confidence = measure_calibration(calibration, probabilities, labels)
        assert metrics["calibration"][part]["ece_before"] == pytest.approx(confidence.ece_before)
        assert metrics["calibration"][part]["ece_after"] == pytest.approx(
            confidence.ece_after, abs=1e-3
        )
        names = list(dataset.class_names)
        expected = classification_report(
            labels, predicted, target_names=names, output_dict=True, zero_division=0.0
        )
        for name in names:
            ours, theirs = figures["classes"][name], expected[name]
            assert ours == pytest.approx(
                {
                    "precision": theirs["precision"],
                    "recall": theirs["recall"],
                    "f1": theirs["f1-score"],
                    "support": theirs["support"],
                }
            )
        mean = expected["macro avg"]
        assert figures["macro_precision"] == pytest.approx(mean["precision"])
        assert figures["macro_recall"] == pytest.approx(mean["recall"])
        assert figures["macro_f1"] == pytest.approx(mean["f1-score"])
        text = report[report.index(part.capitalize() + "\n") :].partition("weighted avg")[0]
        rows = {line[:20].strip(): line[20:].split() for line in text.splitlines()}
        assert rows["accuracy"] == [f"{figures['accuracy']:.4f}", "40"]
        for name in names:
            ours = figures["classes"][name]
            shares = [f"{ours[key]:.4f}" for key in ("precision", "recall", "f1")]
            assert rows[name] == [*shares, str(ours["support"])]
    assert report.endswith("Data\n\n" + dataset.audit.to_text() + "\n")


def test_the_kept_epoch_is_the_one_whose_figures_stand_in_the_history(small_run: Path):
    metrics = read_json(small_run / "metrics.json")
    with (small_run / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = rows[metrics["kept_epoch"] - 1]
    assert metrics["epochs"] == len(rows)
    assert float(kept["validation_accuracy"]) == pytest.approx(metrics["validation"]["accuracy"])
    assert float(kept["validation_loss"]) == pytest.approx(metrics["validation"]["loss"], rel=1e-3)
    assert max(float(row["validation_accuracy"]) for row in rows) == float(
        kept["validation_accuracy"]
    )


def test_without_a_terminal_there_are_plain_lines_and_no_noise(
    small_training: CompletedProcess[str], small_run: Path
):
    notes = small_training.stderr.splitlines()
    assert "\x1b" not in small_training.stderr + small_training.stdout
    assert "\r" not in small_training.stderr + small_training.stdout
    start = next(place for place, line in enumerate(notes) if "tiles for training" in line)
    assert notes[0] == "400 tiles in 10 classes"
    assert notes[start] == (
        f"320 tiles for training, 40 for validation, 40 for test; run folder {small_run}"
    )
    epochs = [line for line in notes[start + 1 :] if line]
    for number, line in enumerate(epochs, start=1):
        assert re.fullmatch(
            rf"epoch {number}/4, loss \d+\.\d{{4}}, accuracy \d+\.\d\d%, val\. loss \d+\.\d{{4}}, "
            rf"val\. accuracy \d+\.\d\d%, seconds \d+(, best)?",
            line,
        ), line
    assert len(epochs) == 4
    assert epochs[0].endswith(", best")

    results = small_training.stdout.splitlines()
    assert re.fullmatch(r"Kept epoch [1-4] of 4\.", results[1])
    assert {"Validation", "Test"} <= set(results)
    assert results[-1] == f"Next: eurosat-convert {small_run} --int8"


def test_the_test_split_is_looked_at_only_when_asked_for_and_stays_looked_at(
    copied_run: RunFolder, small_run: Path, small_archive: Path, command_here: Command
):
    resume = ("cnn", "--data", small_archive, "--out", copied_run.path, "--resume")
    expected = read_json(small_run / "metrics.json")
    copied_run.metrics.unlink()

    done = command_here("eurosat-train", *resume)
    assert done.returncode == 0, done.stderr
    assert "\nTest\n" not in done.stdout
    metrics = read_json(copied_run.metrics)
    assert "test" not in metrics
    assert metrics["validation"] == expected["validation"]
    assert "Test\n" not in copied_run.report.read_text(encoding="utf-8")

    for options in (["--test"], []):
        done = command_here("eurosat-train", *resume, *options)
        assert done.returncode == 0, done.stderr
        assert "\nTest\n" in done.stdout
        assert read_json(copied_run.metrics)["test"] == expected["test"]
        assert "Test\n" in copied_run.report.read_text(encoding="utf-8")


def test_a_run_of_before_there_were_all_settings_goes_on(
    copied_run: RunFolder, small_run: Path, small_archive: Path, command_here: Command
):
    config = read_json(copied_run.config)
    for name in (
        "blocks",
        "filters",
        "shift",
        "jitter",
        "zoom",
        "rotation",
        "mixup",
        "mosaics",
        "rivers",
        "averaged",
    ):
        del config["training"][name]
    copied_run.config.write_text(json.dumps(config), encoding="utf-8")
    copied_run.metrics.unlink()
    done = command_here(
        "eurosat-train", "cnn", "--data", small_archive, "--out", copied_run.path, "--resume"
    )
    assert done.returncode == 0, done.stderr
    expected = read_json(small_run / "metrics.json")["validation"]
    assert read_json(copied_run.metrics)["validation"] == expected


def test_a_run_of_before_there_was_a_seed_of_the_split_was_split_by_its_own(
    copied_run: RunFolder, small_archive: Path, command_here: Command
):
    config = read_json(copied_run.config)
    del config["training"]["split_seed"]
    config["training"]["seed"] = 5
    copied_run.config.write_text(json.dumps(config), encoding="utf-8")
    resume = ("--resume", "--out", copied_run.path, "--data", small_archive)
    done = command_here("eurosat-train", "--split-seed", 0, *resume)
    assert_refused(done, "was begun with split seed 5, not 0")


def test_the_seed_changes_the_model_and_the_seed_of_the_split_its_tiles(
    small_run: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    splits = {}
    for name in ("--seed", "--split-seed"):
        done = command_here(
            "eurosat-train",
            *("cnn", "--epochs", 1, "--image-size", 32, "--blocks", 1, "--data", small_archive),
            *(name, 1, "--out", tmp_path / name),
        )
        assert done.returncode == 0, done.stderr
        splits[name] = RunFolder(tmp_path / name).read_split()
    assert splits["--seed"] == RunFolder(small_run).read_split()
    assert not splits["--split-seed"].has_exam_of(splits["--seed"])


def test_resume_without_a_folder_takes_the_latest_run(
    small_run: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    config = read_json(small_run / "config.json")
    for name, changed in {
        "cnn-2025-03-03-030303": {"started": "2024-01-01T10:00:00+00:00"},
        "mine": {"started": "2024-01-02T09:00:00+00:00"},
        "mobilenet": {
            "started": "2024-01-03T09:00:00+00:00",
            "training": DEFAULTS[Architecture.MOBILENET].to_json(),
        },
        "blended": {"started": "2024-01-04T09:00:00+00:00", "blend": {"run": "mine"}},
        "damaged": {"started": "2024-01-05T09:00:00+00:00", "training": None},
    }.items():
        folder = RunFolder(tmp_path / "runs" / name)
        shutil.copytree(small_run, folder.path)
        folder.config.write_text(json.dumps(config | changed), encoding="utf-8")
        folder.report.unlink()
    (tmp_path / "runs" / "cnn-2026-01-01-100000").mkdir()  # Nothing was begun here.
    done = command_here("eurosat-train", "cnn", "--data", small_archive, "--resume")
    assert done.returncode == 0, done.stderr
    written = [path.parent.name for path in (tmp_path / "runs").glob("*/report.txt")]
    assert written == ["mine"]
    done = command_here("eurosat-train", "--epochs", 5, "--resume")
    assert_refused(done, "The run in runs/mobilenet was begun with epochs 24, not 5")
    # Before times were recorded, what counts is when the record was written.
    folder = RunFolder(tmp_path / "runs" / "damaged")
    del config["started"]
    folder.config.write_text(json.dumps(config), encoding="utf-8")
    done = command_here("eurosat-train", "--epochs", 5, "--resume")
    assert_refused(done, "The run in runs/damaged was begun with epochs 4, not 5")


def test_a_blend_is_not_gone_on_with(copied_run: RunFolder, command_here: Command):
    config = read_json(copied_run.config) | {"blend": {"run": "mine", "share": 0.5}}
    copied_run.config.write_text(json.dumps(config), encoding="utf-8")
    done = command_here("eurosat-train", "--resume", "--out", copied_run.path)
    assert_refused(done, f"{copied_run.path} is a blend, which is not trained on: begin a new run")


def test_a_run_without_a_folder_gets_one_of_its_own(
    small_archive: Path, tmp_path: Path, command_here: Command
):
    done = command_here(
        "eurosat-train",
        *("cnn", "--epochs", 1, "--image-size", 32, "--blocks", 1, "--data", small_archive),
    )
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert re.fullmatch(r"cnn-\d{4}-\d\d-\d\d-\d{6}", folder.name)
    assert {path.name for path in folder.iterdir()} == FILES
    assert "test" not in read_json(folder / "metrics.json")


def test_square_brackets_in_a_name_are_told_as_they_are(
    copied_run: RunFolder, small_archive: Path, tmp_path: Path, command_here: Command
):
    folder = tmp_path / "[red]run[" / "a b]"
    folder.parent.mkdir()
    copied_run.path.rename(folder)
    done = command_here(
        "eurosat-train", "cnn", "--data", small_archive, "--out", folder, "--resume"
    )
    assert done.returncode == 0, done.stderr
    assert f"run folder {folder}\n" in done.stderr
    told, _, following = done.stdout.rpartition("Next: ")
    assert told
    assert shlex.split(following) == ["eurosat-convert", str(folder), "--int8"]
