"""Fine-tuning: a model that begins where an earlier run ended."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eurosat.dataset import Dataset
from eurosat.errors import EurosatError, ModelFileError, RunFolderError
from eurosat.keras_model import load_keras_model, predict
from eurosat.model_file import read_model_file
from eurosat.run_folder import RunFolder
from eurosat.split import Split
from eurosat.train.configuration import TrainingConfiguration, recorded_configuration
from eurosat.train.first_weights import check_first_run, take_first_weights
from eurosat.train.fit import build_model
from eurosat.train.trained_model import open_model

from ..commands import Command, assert_refused, assert_refused_at_last

CommandLine = Callable[..., list[str]]


@pytest.fixture(scope="module")
def asked(small_run: Path) -> TrainingConfiguration:
    return recorded_configuration(RunFolder(small_run))


def test_a_model_begins_where_the_run_ended(
    small_run: Path, dataset: Dataset, asked: TrainingConfiguration
):
    tiles = dataset.tiles[:8]
    expected = open_model(small_run).predict(tiles)
    model = build_model(replace(asked, seed=7), 10)
    assert not np.allclose(predict(model, tiles), expected, atol=1e-2)
    take_first_weights(model, str(small_run))
    np.testing.assert_allclose(predict(model, tiles), expected, atol=1e-6)


def test_other_classes_get_fresh_logits_alone(small_run: Path, asked: TrainingConfiguration):
    theirs, model = build_model(asked, 10), build_model(replace(asked, seed=7), 3)
    take_first_weights(theirs, str(small_run))
    fresh = model.get_weights()[-2]
    take_first_weights(model, str(small_run))
    for taken, original in zip(model.get_weights()[:-2], theirs.get_weights()[:-2], strict=True):
        assert np.array_equal(taken, original)
    assert np.array_equal(model.get_weights()[-2], fresh)


def test_a_run_of_another_model_is_refused(small_run: Path, asked: TrainingConfiguration):
    with pytest.raises(EurosatError, match=r"model.keras is of another architecture, or has other"):
        take_first_weights(build_model(replace(asked, filters=8), 10), str(small_run))


def test_a_run_that_may_know_the_tiles_of_the_exam_is_refused(small_run: Path, split: Split):
    check_first_run(str(small_run), split)
    swapped = replace(split, train=split.validation, validation=split.train)
    with pytest.raises(EurosatError, match="was trained on other tiles than this run"):
        check_first_run(str(small_run), swapped)
    check_first_run(str(small_run), replace(swapped, fingerprint="that of other tiles"))


def test_a_run_that_is_not_finished_or_damaged_is_refused(
    small_run: Path, split: Split, asked: TrainingConfiguration, tmp_path: Path
):
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(small_run, folder.path)
    folder.model.write_bytes(folder.model.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"model.keras is damaged or is no Keras model"):
        take_first_weights(build_model(asked, 10), str(folder.path))
    folder.model.unlink()
    with pytest.raises(RunFolderError, match=r"has no model.keras yet: finish its training with"):
        check_first_run(str(folder.path), split)


def test_a_run_that_is_not_there_is_refused_before_anything_is_written(
    small_archive: Path, tmp_path: Path, command_here: Command
):
    done = command_here(
        *("eurosat-train", "cnn", "--data", small_archive),
        *("--from-run", "nowhere", "--out", tmp_path / "run"),
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: nowhere")
    assert not (tmp_path / "run").exists()
    for model in ("model.tflite", "cnn-int8"):
        done = command_here("eurosat-train", "--from-run", model, "--data", small_archive)
        assert_refused(done, f"{model} is a converted model and no run", "--from-model")


@pytest.fixture(scope="module")
def narrow_run(
    small_archive: Path, tmp_path_factory: pytest.TempPathFactory, command_line: CommandLine
) -> Path:
    """The folder of a run of a small model, whose sizes are not the defaults."""
    run = tmp_path_factory.mktemp("narrow") / "run"
    options = ("--epochs", 1, "--image-size", 32, "--blocks", 1, "--filters", 8, "--units", 0)
    line = command_line("eurosat-train", "cnn", *options, "--data", small_archive, "--out", run)
    subprocess.run(line, check=True, capture_output=True)
    return run


@pytest.mark.parametrize("architecture", [["cnn"], []])
def test_the_sizes_are_those_of_the_run(
    architecture: list[str],
    narrow_run: Path,
    small_archive: Path,
    tmp_path: Path,
    command_here: Command,
):
    options = ("--epochs", 1, "--image-size", 32, "--data", small_archive, "--out", "tuned")
    done = command_here("eurosat-train", *architecture, *options, "--from-run", narrow_run)
    assert done.returncode == 0, done.stderr
    asked = recorded_configuration(RunFolder(tmp_path / "tuned"))
    assert (asked.architecture, asked.blocks, asked.filters, asked.units) == ("cnn", 1, 8, 0)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["mobilenet"], "is a cnn, not a mobilenet: write `eurosat-train cnn`"),
        (["cnn", "--blocks", "2"], "has blocks 1, not 2"),
        (["--filters", "16"], "has filters 8, not 16"),
        (["cnn", "--units", "128"], "has units 0, not 128"),
        (["cnn", "--width", "0.5"], "--width does nothing for cnn"),
    ],
)
def test_other_sizes_than_those_of_the_run_are_refused(
    options: list[str], part: str, narrow_run: Path, tmp_path: Path, command_here: Command
):
    done = command_here("eurosat-train", *options, "--from-run", narrow_run)
    assert_refused(done, part)
    assert list(tmp_path.iterdir()) == []


def test_a_blend_lies_between_what_a_run_began_and_what_it_ended_with(
    copied_run: RunFolder, small_run: Path, tmp_path: Path, command_here: Command
):
    config = json.loads(copied_run.config.read_text(encoding="utf-8"))
    config["training"]["from_run"] = str(small_run)
    copied_run.config.write_text(json.dumps(config), encoding="utf-8")
    model = load_keras_model(copied_run.model)
    began = model.get_weights()
    ended = [weights * 1.1 + 0.01 for weights in began]
    model.set_weights(ended)
    model.save(copied_run.model)
    blended = RunFolder(tmp_path / "blended")
    done = blend(copied_run.path, blended.path, 0.25)
    assert done.returncode == 0, done.stderr
    for first, last, between in zip(
        began, ended, load_keras_model(blended.model).get_weights(), strict=True
    ):
        np.testing.assert_allclose(between, 0.75 * first + 0.25 * last, rtol=1e-5)
    metrics = json.loads(blended.metrics.read_text(encoding="utf-8"))
    told = {"run": "run", "share": 0.25}
    assert metrics["blend"] == told
    assert json.loads(blended.config.read_text(encoding="utf-8")) == config | {"blend": told}
    assert f"{metrics['validation']['accuracy']:.2%} on validation" in done.stdout
    assert "test" not in metrics
    assert_refused_at_last(
        blend(copied_run.path, blended.path), f"{blended.path} is there already: name"
    )
    sources = {"sources": {"from_run": "0" * 64}}
    copied_run.config.write_text(json.dumps(config | sources), encoding="utf-8")
    assert_refused_at_last(
        blend(copied_run.path, tmp_path / "another"),
        f"{small_run} is no longer the model that {copied_run.path} began with: put that one back",
    )
    assert not (tmp_path / "another").exists()
    done = command_here("eurosat-convert", blended.path, "--float32", "--max-class-drop", 100)
    assert done.returncode == 0, done.stderr
    converted = read_model_file(blended.path / "cnn-float32.tflite").metadata
    assert converted is not None
    assert converted.provenance["blend"] == told
    # A file that goes to others tells nothing of the folders of this machine.
    assert converted.provenance["training"]["from_run"] == small_run.name


def test_what_cannot_be_blended_is_refused_and_nothing_is_written(small_run: Path, tmp_path: Path):
    sentence = (
        f"{small_run} began with no other model: blend a run that was trained with --from-run"
    )
    assert_refused_at_last(blend(small_run, tmp_path / "blended"), sentence)
    assert_refused_at_last(
        blend(small_run), "Name the run to blend and a folder for the blend: python"
    )
    assert_refused_at_last(
        blend(small_run, tmp_path / "blended", "1.1"), "The share is 1.1: give a number from 0 to 1"
    )
    assert_refused_at_last(
        blend("nowhere", tmp_path / "blended"), "nowhere is not the folder of a training"
    )
    assert list(tmp_path.iterdir()) == []


def blend(*folders: object) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parents[2] / "tools" / "blend.py"
    line = [sys.executable, script, *map(str, folders)]
    return subprocess.run(line, capture_output=True, text=True, check=False)
