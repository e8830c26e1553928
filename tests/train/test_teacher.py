"""A teacher: what it says of the very tiles that the student sees becomes half of their labels."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eurosat.dataset import Dataset
from eurosat.errors import EurosatError
from eurosat.keras_model import load_keras_model
from eurosat.run_folder import RunFolder
from eurosat.split import Split
from eurosat.train.configuration import DEFAULTS, Architecture, recorded_configuration
from eurosat.train.fit import fit
from eurosat.train.pipeline import TEACHER_SHARE, TrainingTiles
from eurosat.train.teacher import open_teacher
from eurosat.train.trained_model import open_model

from ..commands import Command, assert_refused_at_last


def test_half_of_a_label_is_what_the_teacher_says_of_the_tile_as_it_was_changed(
    small_run: Path, dataset: Dataset, split: Split
):
    positions = dataset.positions(split.train)[:40]
    tiles, labels = dataset.tiles[positions], dataset.labels[positions]
    training = TrainingTiles(
        tiles,
        labels,
        10,
        DEFAULTS[Architecture.CNN],
        open_teacher(str(small_run), dataset, split),
    )
    own = open_model(small_run).predict
    for changed, mixed in training.epoch(0, 16):
        answers = own(changed.numpy())
        truth = (mixed.numpy() - TEACHER_SHARE * answers) / (1 - TEACHER_SHARE)
        np.testing.assert_allclose(truth, truth.round(), atol=1e-5)
        np.testing.assert_allclose(truth.sum(axis=1), 1, atol=1e-5)
        # Whatever the teacher says, accuracy is counted against the truth.
        np.testing.assert_array_equal(mixed.numpy().argmax(axis=1), truth.argmax(axis=1))


def test_a_teacher_that_is_not_asked_changes_no_tile():
    tiles = np.random.default_rng(1).integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    asked: list[int] = []

    def teacher(seen: np.ndarray) -> np.ndarray:
        asked.append(len(seen))
        return np.full((len(seen), 2), 0.5, np.float32)

    jittered = replace(DEFAULTS[Architecture.CNN], jitter=0.1)
    training = TrainingTiles(tiles, np.arange(20) % 2, 2, jittered, teacher)
    silent = list(training.epoch(0, 8, taught=False))
    assert asked == []
    for (seen, labels), (same, mixed) in zip(silent, training.epoch(0, 8), strict=True):
        np.testing.assert_array_equal(seen, same)
        np.testing.assert_allclose(mixed, (labels + 0.5) / 2)
    assert sum(asked) == 20


def test_a_teacher_says_what_whole_tiles_show_before_mosaics_are_made():
    # One colour each, which is the class.
    truth = np.arange(60) % 2
    tiles = np.broadcast_to(truth[:, None, None, None] * 200, (60, 64, 64, 3)).astype(np.uint8)

    def teacher(seen: np.ndarray) -> np.ndarray:
        assert (seen == seen[:, :1, :1]).all(), "it sees no mosaic"
        return np.eye(2, dtype=np.float32)[1 - seen[:, 0, 0, 0] // 200]

    of_mosaics = replace(DEFAULTS[Architecture.CNN], mosaics=1.0, augment=False)
    ((seen, labels),) = TrainingTiles(tiles, truth, 2, of_mosaics).epoch(0, 60)
    ((same, taught),) = TrainingTiles(tiles, truth, 2, of_mosaics, teacher).epoch(0, 60)
    np.testing.assert_array_equal(seen, same)
    is_mixed = (labels.numpy() > 0.05).all(axis=1)
    assert 0.2 < is_mixed.mean() < 0.8, "half of the pieces are of one class"
    # This teacher says the contrary.
    expected = (1 - TEACHER_SHARE) * labels.numpy() + TEACHER_SHARE * (1 - labels.numpy())
    np.testing.assert_allclose(taught, expected, atol=1e-5)
    ((again, _),) = TrainingTiles(tiles, truth, 2, of_mosaics).epoch(0, 60)
    np.testing.assert_array_equal(seen, again)


def test_a_teacher_says_what_tiles_show_before_rivers_are_drawn():
    tiles = np.full((60, 64, 64, 3), 200, np.uint8)

    def teacher(seen: np.ndarray) -> np.ndarray:
        assert (seen == 200).all(), "it sees no river"
        return np.eye(2, dtype=np.float32)[np.zeros(len(seen), int)]

    asked = replace(DEFAULTS[Architecture.CNN], rivers=1.0, augment=False)
    training = TrainingTiles(tiles, np.zeros(60, int), 2, asked, teacher, river=1)
    ((seen, labels),) = training.epoch(0, 60)
    assert (seen.numpy() != 200).any(axis=(1, 2, 3)).mean() > 0.8
    assert labels.numpy()[:, 1].max() > 0.99, "near the middle, the label is the river's"


def test_all_forms_of_a_teacher_say_the_same(
    small_run: Path, small_models: Path, dataset: Dataset, split: Split
):
    tiles = dataset.tiles[:8]
    of_run = open_teacher(str(small_run), dataset, split)(tiles)
    assert of_run.dtype == np.float32
    of_file = open_teacher(str(small_models / "cnn-float32.tflite"), dataset, split)(tiles)
    np.testing.assert_allclose(of_file, of_run, atol=1e-3)


def test_a_teacher_of_another_order_of_classes_is_understood(
    small_run: Path, dataset: Dataset, split: Split
):
    names = dataset.class_names
    reversed_set = replace(dataset, class_names=names[::-1], labels=len(names) - 1 - dataset.labels)
    tiles = dataset.tiles[:8]
    np.testing.assert_array_equal(
        open_teacher(str(small_run), reversed_set, split)(tiles)[:, ::-1],
        open_teacher(str(small_run), dataset, split)(tiles),
    )


def test_a_teacher_that_may_know_the_tiles_of_the_exam_is_refused(
    small_run: Path, dataset: Dataset, split: Split, tmp_path: Path
):
    swapped = replace(split, train=split.validation, validation=split.train)
    with pytest.raises(EurosatError, match="was trained on other tiles than this run"):
        open_teacher(str(small_run), dataset, swapped)
    lone = tmp_path / "lone.keras"
    shutil.copyfile(small_run / "model.keras", lone)
    with pytest.raises(EurosatError, match="records no split, so nobody knows"):
        open_teacher(str(lone), dataset, split)


@pytest.mark.slow
def test_a_student_goes_on_with_its_teacher_after_a_break_to_the_same_digits(
    small_run: Path, dataset: Dataset, split: Split, tmp_path: Path
):
    class BrokenOffError(Exception):
        pass

    def break_off(news: object) -> None:
        if getattr(news, "validation_loss", None) is not None:
            raise BrokenOffError

    few = replace(split, train=split.train[::4], validation=split.validation[::2])
    asked = replace(DEFAULTS[Architecture.CNN], epochs=2, batch_size=16, image_size=32, blocks=1)
    teacher_of_few = RunFolder(tmp_path / "teacher")
    shutil.copytree(small_run, teacher_of_few.path)
    few.write(teacher_of_few.split)
    asked = replace(asked, teacher=str(teacher_of_few.path))
    broken = RunFolder(tmp_path / "broken")
    with pytest.raises(BrokenOffError):
        fit(asked, dataset, few, broken, break_off)
    after_a_break = fit(asked, dataset, few, broken)
    whole = fit(asked, dataset, few, RunFolder(tmp_path / "whole"))
    alone = fit(replace(asked, teacher=""), dataset, few, RunFolder(tmp_path / "alone"))
    losses = [[epoch.validation_loss for epoch in run] for run in (after_a_break, whole, alone)]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2], "the teacher taught nothing"


def test_teachers_that_are_none_are_refused_before_anything_is_written(
    small_archive: Path, tmp_path: Path, command_here: Command
):
    for teacher in ("no-such-model", "absent.tflite", str(tmp_path)):
        done = command_here(
            "eurosat-train", "cnn", "--teacher", teacher, "--data", small_archive, "--out", "run"
        )
        assert done.returncode == 2, done.stderr
        assert teacher in done.stderr
        assert teacher == str(tmp_path) or f"Error: The teacher {teacher} is not" in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "run").exists()


def test_a_teacher_is_found_from_wherever_a_run_goes_on_and_needed_while_it_trains(
    small_run: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    shutil.copytree(small_run, tmp_path / "teacher")
    small = ("--epochs", 1, "--image-size", 32, "--blocks", 1)
    taught = ("eurosat-train", "cnn", *small, "--teacher", "teacher", "--out", "run")
    done = command_here(*taught, "--data", small_archive)
    assert done.returncode == 0, done.stderr
    recorded = recorded_configuration(RunFolder(tmp_path / "run")).teacher
    assert recorded == str(tmp_path / "teacher")
    # The same option is taken for the same teacher; and what has nothing to learn needs none.
    assert command_here(*taught, "--resume").returncode == 0
    shutil.move(tmp_path / "teacher", tmp_path / "aside")
    done = command_here("eurosat-train", "--out", "run", "--resume")
    assert done.returncode == 0, done.stderr
    (tmp_path / "run" / "checkpoint" / "state.npz").unlink()
    shutil.copytree(tmp_path / "aside", tmp_path / "teacher")
    model = load_keras_model(tmp_path / "teacher" / "model.keras")
    model.set_weights([weights * 1.1 for weights in model.get_weights()])
    model.save(tmp_path / "teacher" / "model.keras")
    done = command_here("eurosat-train", "--out", "run", "--resume")
    sentence = f"{tmp_path / 'teacher'} is no longer the model that run began with: put that one"
    assert_refused_at_last(done, sentence)
    shutil.rmtree(tmp_path / "teacher")
    done = command_here("eurosat-train", "--out", "run", "--resume")
    assert_refused_at_last(done, f"The teacher {tmp_path / 'teacher'} is not there: put it back")
