"""`eurosat-evaluate`: any model, the right tiles, figures that another computation confirms."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import (
    balanced_accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    top_k_accuracy_score,
)

from eurosat.calibration import expected_calibration_error, reliability_bins
from eurosat.classifier import Classifier
from eurosat.dataset import Dataset, load_dataset
from eurosat.labels import land_cover
from eurosat.model_file import read_model_file
from eurosat.run_folder import RunFolder
from eurosat.train import report as pictures
from eurosat.train.trained_model import open_model

from ..commands import Command, assert_refused, assert_refused_at_last, read_json

FILES = {"metrics.json", "report.txt", "confusion_matrix.png", "reliability.png", "mistakes.png"}


@pytest.fixture
def evaluated(small_archive: Path, tmp_path: Path, command_here: Command) -> Callable[..., Any]:
    """Evaluate a model on the small archive; return the process and what `metrics.json` says."""

    def run(model: object, *options: object) -> tuple[CompletedProcess[str], dict[str, Any]]:
        out = tmp_path / "out"
        done = command_here(
            "eurosat-evaluate", model, "--data", small_archive, "--out", out, *options
        )
        assert done.returncode == 0, done.stderr
        return done, json.loads((out / "metrics.json").read_text(encoding="utf-8"))

    return run


@pytest.fixture
def other_classes(small_archive: Path, tmp_path: Path) -> Path:
    """The small archive with one class renamed."""
    path = tmp_path / "renamed.zip"
    with zipfile.ZipFile(small_archive) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            after.writestr(name.replace("/River/", "/Canal/"), before.read(name))
    return path


@pytest.fixture
def other_tiles(small_archive: Path, tmp_path: Path) -> Path:
    """A folder of four tiles of each of five classes, and of eight of each of the others."""
    folder = tmp_path / "other"
    with zipfile.ZipFile(small_archive) as archive:
        for number, name in enumerate(archive.namelist()):
            if number % (10 if number < 200 else 5) == 0:
                path = folder / Path(name).parent.name / Path(name).name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(name))
    return folder


def title_of(dataset: Dataset, label: int) -> str:
    return land_cover(dataset.class_names[label]).title


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The pictures that were saved, by the names of their files."""
    figures: dict[str, Figure] = {}
    save = pictures.save_figure

    def watched(figure: Figure, path: Path) -> None:
        figures[path.name] = figure
        save(figure, path)

    monkeypatch.setattr(pictures, "save_figure", watched)
    return figures


def test_a_run_is_judged_on_its_test_split(
    small_run: Path,
    dataset: Dataset,
    evaluated: Callable[..., Any],
    drawn: dict[str, Figure],
    tmp_path: Path,
):
    done, metrics = evaluated(small_run)
    folder = RunFolder(small_run)
    positions = dataset.positions(folder.read_split().test)
    labels = dataset.labels[positions]
    model = keras.saving.load_model(folder.model, compile=False)
    own = np.asarray(model.predict_on_batch(dataset.tiles[positions]), np.float64)
    predicted = own.argmax(axis=1)
    assert metrics["part"] == "test"
    assert metrics["tiles"] == len(labels) == 40
    assert metrics["accuracy"] == pytest.approx((predicted == labels).mean())
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]
    assert metrics["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert metrics["kappa"] == pytest.approx(cohen_kappa_score(labels, predicted))
    top2 = top_k_accuracy_score(labels, own, k=2, labels=np.arange(10))
    assert metrics["top2_accuracy"] == pytest.approx(top2)

    temperature = json.loads(folder.metrics.read_text())["calibration"]["temperature"]
    shown = own ** (1 / temperature) / (own ** (1 / temperature)).sum(axis=1, keepdims=True)
    for kind, group, probabilities in (("before", "own", own), ("after", "calibrated", shown)):
        bins = reliability_bins(probabilities, labels)
        error = expected_calibration_error(bins)
        assert metrics["calibration"][f"ece_{kind}"] == pytest.approx(error, abs=1e-4)
        for found, expected in zip(metrics["reliability"][group], bins, strict=True):
            assert found == pytest.approx(asdict(expected), abs=1e-4)

    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert f"{metrics['accuracy']:.2%}  (95 % interval {metrics['accuracy_low']:.2%}" in done.stdout
    assert done.stdout.startswith("run: 40 tiles of the test split\n")
    assert done.stderr == ""

    report = (tmp_path / "out" / "report.txt").read_text(encoding="utf-8")
    assert report.startswith(done.stdout.partition("\nPictures")[0])
    mistakes = report.partition("the most confident first\n\n")[2].splitlines()
    confidences = [float(line.split()[1].rstrip("%")) for line in mistakes]
    assert confidences == sorted(confidences, reverse=True)
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-shown[wrong].max(axis=1))]
    assert {line.split()[0]: line.partition("%  ")[2] for line in mistakes} == {
        dataset.names[positions[index]]: f"{title_of(dataset, predicted[index])}, but it is "
        + title_of(dataset, labels[index])
        for index in wrong
    }

    panel = drawn["confusion_matrix.png"].axes[0]
    assert (panel.get_ylabel(), panel.get_xlabel()) == ("True class", "Predicted class")
    counts = np.zeros((10, 10), int)
    for text in panel.texts:
        if "%" not in text.get_text():
            x, y = text.get_position()
            counts[round(y), round(x)] = int(text.get_text())
    assert counts.tolist() == confusion_matrix(labels, predicted).tolist()
    sheet = [panel.get_title() for panel in drawn["mistakes.png"].axes]
    assert [title for title in sheet if title] == [
        f"{title_of(dataset, predicted[index])} {shown[index].max():.1%}\n"
        f"truth: {title_of(dataset, labels[index])}"
        for index in wrong[:20]
    ]

    for name in FILES - {"metrics.json", "report.txt"}:
        with Image.open(tmp_path / "out" / name) as picture:
            picture.load()
            assert 700 <= picture.width <= 3000
            assert 700 <= picture.height <= 3000
            colours = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
            assert len(colours) > 50


def test_the_screen_shows_the_figures_of_the_record_where_classes_differ_in_size(
    small_models: Path, other_tiles: Path, tmp_path: Path, command_here: Command
):
    path = small_models / "cnn-int8.tflite"
    done = command_here("eurosat-evaluate", path, "--data", other_tiles, "--out", tmp_path / "out")
    metrics = read_json(tmp_path / "out" / "metrics.json")
    calibration = metrics["calibration"]
    of_sure = calibration["sure_accuracy"]
    right = "there are no sure answers" if of_sure is None else f"{of_sure:.2%} of them right"
    assert done.stdout.splitlines()[2:9] == [
        f"Accuracy           {metrics['accuracy']:.2%}  (95 % interval "
        f"{metrics['accuracy_low']:.2%} to {metrics['accuracy_high']:.2%})",
        f"Balanced accuracy  {metrics['balanced_accuracy']:.2%}",
        f"Macro F1           {metrics['macro_f1']:.2%}",
        f"Cohen's kappa      {metrics['kappa']:.4f}",
        f"Top-2 accuracy     {metrics['top2_accuracy']:.2%}",
        f"Calibration error  {calibration['ece_after']:.2%}  ({calibration['ece_before']:.2%} "
        f"without the temperature of {calibration['temperature']:.3f})",
        f"Sure answers       {calibration['coverage']:.2%}, {right}  "
        f"(unsure below {calibration['unsure_below']:.1%} confidence)",
    ]
    others = load_dataset(other_tiles)
    predicted = Classifier(path).classify_batch(others.tiles[:]).argmax(axis=1)
    balanced = balanced_accuracy_score(others.labels, predicted)
    assert metrics["balanced_accuracy"] == pytest.approx(balanced)
    assert f"{balanced:.2%}" != f"{metrics['accuracy']:.2%}", "this must show something"


def test_a_model_file_finds_the_same_test_tiles_by_its_provenance(
    small_models: Path, small_run: Path, dataset: Dataset, evaluated: Callable[..., Any]
):
    path = small_models / "cnn-int8.tflite"
    _, metrics = evaluated(path)
    positions = dataset.positions(RunFolder(small_run).read_split().test)
    answers = Classifier(path).classify_batch(dataset.tiles[positions])
    labels = dataset.labels[positions]
    metadata = read_model_file(path).metadata
    assert metadata is not None
    assert metrics["part"] == "test"
    assert metrics["confusion"] == [
        [int(((labels == row) & (answers.argmax(axis=1) == column)).sum()) for column in range(10)]
        for row in range(10)
    ]
    assert metrics["ece"] == pytest.approx(metadata.accuracy["calibration"]["test"]["ece_after"])
    assert metrics["calibration"]["temperature"] == metadata.temperature
    assert metrics["calibration"]["coverage"] == pytest.approx(
        (answers.max(axis=1) >= metadata.unsure_below).mean()
    )


def test_the_keras_file_of_a_run_counts_as_the_run_and_a_lone_one_is_judged_on_everything(
    small_run: Path, tmp_path: Path, evaluated: Callable[..., Any]
):
    _, of_run = evaluated(small_run / "model.keras", "--split", "validation")
    recorded = json.loads((small_run / "metrics.json").read_text(encoding="utf-8"))
    assert of_run["accuracy"] == recorded["validation"]["accuracy"]
    lone = tmp_path / "lone.keras"
    shutil.copyfile(small_run / "model.keras", lone)
    done, metrics = evaluated(lone)
    assert (metrics["part"], metrics["tiles"]) == ("all", 400)
    assert metrics["calibration"] is None
    assert "no temperature is recorded" in done.stdout
    assert f"{lone} records no split" in done.stderr


@pytest.mark.parametrize("name", ["model.keras", "cnn-int8.tflite"])
def test_a_file_in_a_run_is_judged_on_the_data_of_the_run(
    name: str,
    copied_run: RunFolder,
    small_models: Path,
    command_here: Command,
    monkeypatch: pytest.MonkeyPatch,
):
    shutil.copy(small_models / "cnn-int8.tflite", copied_run.path)
    monkeypatch.setenv("EUROSAT_DATA", "no/such.zip")
    done = command_here("eurosat-evaluate", copied_run.path / name)
    assert done.returncode == 0, done.stderr
    assert "40 tiles of the test split" in done.stdout
    done = command_here("eurosat-compare", copied_run.path / name)
    assert done.returncode == 0, done.stderr
    (copied_run.path / name).rename(copied_run.path.parent / name)
    done = command_here("eurosat-evaluate", copied_run.path.parent / name)
    assert_refused_at_last(done, "no/such.zip")


def test_the_record_names_the_file_that_was_judged(copied_run: RunFolder):
    judged = hashlib.sha256(copied_run.model.read_bytes()).hexdigest()
    opened = open_model(copied_run.path)
    assert opened.sha256 == judged
    copied_run.model.write_bytes(b"what another process put there")
    assert opened.sha256 == judged


def test_a_lone_keras_file_has_no_split_to_ask_for(
    small_run: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    lone = tmp_path / "lone.keras"
    shutil.copyfile(small_run / "model.keras", lone)
    done = command_here("eurosat-evaluate", lone, "--data", small_archive, "--split", "test")
    assert_refused_at_last(done, "lone.keras records no split", "leave --split out")


def test_all_tiles_are_named_as_what_they_are(
    small_models: Path, other_tiles: Path, evaluated: Callable[..., Any], command_here: Command
):
    path = small_models / "cnn-int8.tflite"
    done, metrics = evaluated(path, "--split", "all")
    assert metrics["tiles"] == 400
    assert "Most of these tiles served to train" in done.stderr
    done = command_here("eurosat-evaluate", path, "--data", other_tiles)
    assert done.returncode == 0, done.stderr
    assert "is not the data set that" in done.stderr
    assert done.stdout.startswith("cnn-int8: all 60 tiles of the data\n")
    assert "Pictures and figures: evaluations/cnn-int8-all\n" in done.stdout


def test_other_data_have_no_test_split(
    small_run: Path, small_models: Path, other_tiles: Path, command_here: Command
):
    for model in (small_run, small_models / "cnn-int8.tflite"):
        done = command_here("eurosat-evaluate", model, "--data", other_tiles, "--split", "test")
        assert_refused_at_last(done, str(other_tiles), str(model), "no split of it is recorded")


def test_other_classes_are_refused_by_name(
    small_run: Path, small_models: Path, other_classes: Path, tmp_path: Path, command_here: Command
):
    for model in (small_run, small_models / "cnn-int8.tflite"):
        done = command_here("eurosat-evaluate", model, "--data", other_classes)
        assert_refused_at_last(done, "only the data has Canal; only the model has River")
    assert not (tmp_path / "evaluations").exists()


def test_the_report_of_another_model_stays_as_it_is(
    small_models: Path, other_tiles: Path, tmp_path: Path, command_here: Command
):
    def folder_of(model: object) -> str:
        done = command_here("eurosat-evaluate", model, "--data", other_tiles)
        assert done.returncode == 0, done.stderr
        return done.stdout.rpartition("Pictures and figures: ")[2].strip()

    small = small_models / "cnn-int8.tflite"
    assert folder_of(small) == "evaluations/cnn-int8-all"
    first = tmp_path / "evaluations" / "cnn-int8-all" / "metrics.json"
    before = first.read_bytes()
    assert folder_of("cnn-int8") == "evaluations/cnn-int8-all-2"
    assert folder_of("cnn-int8") == "evaluations/cnn-int8-all-2"
    assert first.read_bytes() == before
    assert folder_of(small) == "evaluations/cnn-int8-all"
    first.write_text("{}", encoding="utf-8")  # As one that does not say whose it is.
    assert folder_of(small) == "evaluations/cnn-int8-all-3"


def test_the_report_on_other_data_stays_as_it_is(
    small_models: Path,
    other_tiles: Path,
    small_archive: Path,
    tmp_path: Path,
    command_here: Command,
):
    model = small_models / "cnn-int8.tflite"
    for data, folder in (
        (other_tiles, "cnn-int8-all"),
        (small_archive, "cnn-int8-all-2"),
        (other_tiles, "cnn-int8-all"),
    ):
        done = command_here("eurosat-evaluate", model, "--data", data, "--split", "all")
        assert done.stdout.endswith(f"Pictures and figures: evaluations/{folder}\n"), done.stderr


def test_what_is_no_model_is_refused(small_archive: Path, tmp_path: Path, command_here: Command):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "text.tflite").write_text("no model, but some text")
    small = keras.Input((32, 32, 3), dtype="uint8")
    keras.Model(small, keras.layers.Flatten()(small)).save(tmp_path / "other.keras")
    for name, part in (
        ("empty", "is not the folder of a training run"),
        ("runs/none", "does not exist"),
        ("text.keras", "text.keras is damaged or is no Keras model"),
        ("none.keras", "none.keras does not exist: check the path."),
        ("text.tflite", "is not a TFLite model"),
        ("other.keras", "is not one of ours: it takes (None, 32, 32, 3)"),
    ):
        done = command_here("eurosat-evaluate", name, "--data", small_archive)
        assert_refused_at_last(done, name, part)


def test_only_a_run_comes_before_a_shipped_model_of_its_name(
    small_run: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    (tmp_path / "cnn-int8").mkdir()
    line = ("eurosat-evaluate", "cnn-int8", "--data", small_archive)
    done = command_here(*line)
    assert done.stdout.startswith("cnn-int8: all 400 tiles"), done.stderr
    shutil.copytree(small_run, tmp_path / "cnn-int8", dirs_exist_ok=True)
    done = command_here(*line)
    assert done.stdout.startswith("cnn-int8: 40 tiles of the test split"), done.stderr


def test_a_folder_that_cannot_be_made_is_refused(
    small_models: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    (tmp_path / "file").write_text("in the way")
    done = command_here(
        "eurosat-evaluate",
        *(small_models / "cnn-int8.tflite", "--data", small_archive),
        *("--out", tmp_path / "file" / "out"),
    )
    assert_refused(done, "/file is a file: name a folder with --out.")


def test_a_shipped_model_without_a_mistake_gets_no_sheet_of_them(
    dataset: Dataset, tmp_path: Path, command_here: Command
):
    answers = Classifier.shipped("cnn-int8").classify_batch(dataset.tiles).argmax(axis=1)
    for position in np.flatnonzero(answers == dataset.labels)[::5]:
        tile = tmp_path / "easy" / f"{dataset.names[position]}.png"
        tile.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(dataset.tiles[position]).save(tile)
    out = tmp_path / "out"
    out.mkdir()
    (out / "mistakes.png").write_bytes(b"of an evaluation before")
    done = command_here("eurosat-evaluate", "cnn-int8", "--data", tmp_path / "easy", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "Accuracy           100.00%" in done.stdout
    assert {path.name for path in out.iterdir()} == FILES - {"mistakes.png"}
    assert (out / "report.txt").read_text(encoding="utf-8").endswith("first\n\nNone.\n")
