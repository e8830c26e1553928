"""Fine-tuning without a run: a model that begins where a converted one stands."""

import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from eurosat.dataset import Dataset
from eurosat.errors import EurosatError, ModelFileError
from eurosat.keras_model import predict
from eurosat.model_file import find_model, read_model_file, write_model_file
from eurosat.run_folder import RunFolder
from eurosat.split import Split
from eurosat.train.configuration import (
    DEFAULTS,
    Architecture,
    TrainingConfiguration,
    recorded_configuration,
)
from eurosat.train.converted_weights import check_converted_model, take_converted_weights
from eurosat.train.fit import build_model, read_history
from eurosat.train.trained_model import open_model

from ..commands import Command, assert_refused, assert_refused_at_last, read_json


@pytest.fixture(scope="module")
def asked(small_run: Path) -> TrainingConfiguration:
    return replace(recorded_configuration(RunFolder(small_run)), dropout=0.0)


@pytest.fixture(scope="module")
def int8_file(small_models: Path) -> str:
    return str(small_models / "cnn-int8.tflite")


@pytest.fixture(scope="module")
def tiles(dataset: Dataset, split: Split) -> np.ndarray:
    return dataset.tiles[dataset.positions(split.train)]


@pytest.fixture(scope="module")
def taken(asked: TrainingConfiguration, int8_file: str, tiles: np.ndarray) -> keras.Model:
    model = build_model(asked, 10)
    take_converted_weights(model, int8_file, tiles)
    return model


def test_a_model_begins_where_the_file_stands(
    taken: keras.Model, int8_file: str, tiles: np.ndarray
):
    expected = open_model(Path(int8_file)).predict(tiles)
    # What differs is the rounding of activations.
    np.testing.assert_allclose(predict(taken, tiles), expected, atol=0.05)


def test_training_sees_what_was_converted(taken: keras.Model, tiles: np.ndarray):
    # In training, batch normalisation goes by the tiles at hand and not by what it holds.
    weights = taken.get_weights()
    trained = np.asarray(taken(tiles, training=True))
    taken.set_weights(weights)  # What it holds has moved, and other tests look at it.
    np.testing.assert_allclose(trained, predict(taken, tiles), atol=0.02)


def test_kernels_that_are_normalised_get_one_length(taken: keras.Model):
    convolutions = [layer for layer in taken.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) > 5
    for layer in convolutions:
        lengths = np.sqrt(np.square(layer.kernel).sum(axis=(0, 1, 2)))
        np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_a_mobilenet_whose_file_convolves_without_doubling_doubles_again(
    dataset: Dataset, tiles: np.ndarray
):
    asked = replace(DEFAULTS[Architecture.MOBILENET], weights="none")
    model = build_model(asked, 10)
    take_converted_weights(model, "mobilenet-int8", tiles[::4])
    shown = tiles[1::4]
    expected = open_model(find_model("mobilenet-int8"), is_quick=True).predict(shown)
    ours = predict(model, shown)
    assert (ours.argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.95
    # A kernel that knows nothing of the doubling sees half a pixel off: four times as much.
    assert np.abs(ours - expected).mean() < 0.0014


def test_other_classes_get_fresh_logits_alone(
    taken: keras.Model, asked: TrainingConfiguration, int8_file: str, tiles: np.ndarray
):
    model = build_model(replace(asked, seed=7), 3)
    fresh = model.get_weights()[-2]
    take_converted_weights(model, int8_file, tiles)
    for ours, theirs in zip(model.get_weights()[:-2], taken.get_weights()[:-2], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_array_equal(model.get_weights()[-2], fresh)


@pytest.mark.parametrize("change", [{"filters": 8}, {"blocks": 1}, {"units": 0}])
def test_a_file_of_another_model_is_refused(
    asked: TrainingConfiguration, int8_file: str, tiles: np.ndarray, change: dict[str, int]
):
    with pytest.raises(EurosatError, match=r"cnn-int8.tflite is of another architecture, or has"):
        take_converted_weights(build_model(replace(asked, **change), 10), int8_file, tiles)


def test_a_file_of_another_precision_or_a_damaged_one_is_refused(
    small_models: Path, dataset: Dataset, split: Split, tmp_path: Path
):
    with pytest.raises(ModelFileError, match="is no int8 model of eurosat-convert: "):
        check_converted_model(str(small_models / "cnn-float32.tflite"), dataset, split)
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes((small_models / "cnn-int8.tflite").read_bytes()[:1000])
    with pytest.raises(ModelFileError, match=r"damaged.tflite"):
        check_converted_model(str(damaged), dataset, split)


def test_a_file_that_may_know_the_tiles_of_the_exam_is_refused(
    int8_file: str, dataset: Dataset, split: Split, tmp_path: Path
):
    check_converted_model(int8_file, dataset, split)
    swapped = replace(split, train=split.validation, validation=split.train)
    with pytest.raises(EurosatError, match="was trained on other tiles than this run"):
        check_converted_model(int8_file, dataset, swapped)
    check_converted_model(int8_file, replace(dataset, fingerprint="of other tiles"), swapped)
    file = read_model_file(int8_file)
    assert file.metadata
    silent = tmp_path / "silent.tflite"
    write_model_file(silent, file.flatbuffer, replace(file.metadata, provenance={}))
    with pytest.raises(ModelFileError, match="records no split"):
        check_converted_model(str(silent), dataset, split)


@pytest.fixture(scope="module")
def narrow_file(int8_file: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that says that its model has sizes which are not the defaults."""
    file = read_model_file(int8_file)
    assert file.metadata
    training = file.metadata.provenance["training"] | {"blocks": 1, "filters": 8, "units": 0}
    narrow = tmp_path_factory.mktemp("narrow") / "narrow.tflite"
    provenance = dict(file.metadata.provenance) | {"training": training}
    write_model_file(narrow, file.flatbuffer, replace(file.metadata, provenance=provenance))
    return narrow


@pytest.mark.parametrize("architecture", [[], ["cnn"]])
def test_the_sizes_are_those_that_the_file_says(
    architecture: list[str], narrow_file: Path, small_archive: Path, command_here: Command
):
    # What it says is not true, so that the weights themselves do not fit what is built.
    line = ("eurosat-train", *architecture, "--from-model", narrow_file, "--data", small_archive)
    done = command_here(*line, "--out", "run", "--epochs", 1)
    assert_refused_at_last(done, "narrow.tflite is of another architecture, or has other blocks")
    training = read_json(Path("run") / "config.json")["training"]
    assert training["architecture"] == "cnn"
    assert (training["blocks"], training["filters"], training["units"]) == (1, 8, 0)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["mobilenet"], "narrow.tflite is a cnn, not a mobilenet: write `eurosat-train cnn`, or"),
        (["cnn", "--blocks", "2"], "has blocks 1, not 2"),
        (["--filters", "16"], "has filters 8, not 16"),
        (["cnn", "--units", "128"], "has units 0, not 128"),
        (["cnn", "--width", "0.5"], "--width does nothing for cnn"),
    ],
)
def test_other_sizes_than_those_of_the_file_are_refused_before_data_are_read(
    options: list[str], part: str, narrow_file: Path, command_here: Command, tmp_path: Path
):
    line = ("eurosat-train", *options, "--from-model", narrow_file, "--data", "nowhere")
    assert_refused(command_here(*line), part)
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_gone_on_from_are_refused_before_data_are_read(
    small_models: Path, command_here: Command
):
    for file, part in (
        (small_models / "cnn-float32.tflite", "cnn-float32.tflite is no int8 model of eurosat-"),
        ("nothing.tflite", "nothing.tflite does not exist"),
        ("nonsense", "No model is called 'nonsense'"),
    ):
        line = ("eurosat-train", "cnn", "--from-model", file, "--data", "nowhere")
        assert_refused(command_here(*line), part)


def test_a_file_that_says_nothing_of_its_sizes_needs_an_architecture(
    int8_file: str, tmp_path: Path, command_here: Command
):
    file = read_model_file(int8_file)
    assert file.metadata
    for number, training in enumerate([None, {}, {"architecture": "resnet"}, 7]):
        provenance = dict(file.metadata.provenance) | {"training": training}
        silent = tmp_path / f"{number}.tflite"
        write_model_file(silent, file.flatbuffer, replace(file.metadata, provenance=provenance))
        done = command_here("eurosat-train", "--from-model", silent, "--data", "nowhere")
        assert done.returncode == 2
        assert "ARCHITECTURE" in done.stderr
        done = command_here("eurosat-train", "cnn", "--from-model", silent, "--data", "nowhere")
        assert_refused(done, "nowhere")


def test_the_command_goes_on_from_a_file(
    int8_file: str, small_run: Path, small_archive: Path, command_here: Command, tmp_path: Path
):
    run, file = tmp_path / "run", tmp_path / "mine.tflite"
    shutil.copy(int8_file, file)
    done = command_here(
        *("eurosat-train", "--data", small_archive, "--out", run),
        *("--from-model", file, "--epochs", 1, "--learning-rate", 1e-5, "--patience", 1),
    )
    assert done.returncode == 0, done.stderr
    before = max(epoch.validation_accuracy for epoch in read_history(small_run / "history.csv"))
    (after,) = read_history(run / "history.csv")
    assert after.validation_accuracy > before - 0.1
    assert recorded_configuration(RunFolder(run)).architecture is Architecture.CNN
    file.unlink()
    # What is gone on with needs the file no more.
    again = command_here(
        *("eurosat-train", "cnn", "--data", small_archive, "--out", run, "--resume"),
    )
    assert again.returncode == 0, again.stderr


def test_two_beginnings_are_refused(small_run: Path, int8_file: str, command_here: Command):
    done = command_here("eurosat-train", "cnn", "--from-run", small_run, "--from-model", int8_file)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "Error: --from-run and --from-model both say what to begin with: give one."
    )
