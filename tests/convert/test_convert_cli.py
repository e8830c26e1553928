"""`eurosat-convert`: only files that are proven, and no traces of those that are not."""

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import keras
import numpy as np
import pytest
from scipy.stats import entropy

from eurosat.calibration import (
    choose_unsure_below,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
)
from eurosat.classifier import Classifier
from eurosat.convert.export import Recipe
from eurosat.dataset import load_dataset
from eurosat.keras_model import load_keras_model, predict
from eurosat.labels import EUROSAT_CLASSES
from eurosat.model_file import read_model_file
from eurosat.run_folder import LOGITS_LAYER, RESCALING_LAYER, RunFolder

from ..commands import Command, assert_refused, read_json

PRECISIONS = ("int8", "float32", "float16", "dynamic")
DERIVED = ("-scene.tflite", ".c", ".h")
GENEROUS = ("--max-drop", 5, "--max-class-drop", 100)


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_views_are_a_power_of_two_up_to_eight(command: Command, small_run: Path):
    for count in (0, 3, 16):
        done = command("eurosat-convert", small_run, "--views", count)
        assert_refused(done, f"--views must be 1, 2, 4 or 8, not {count}.")


def test_every_precision_gets_a_file_and_a_report(
    small_conversion: CompletedProcess[str], small_models: Path
):
    assert names_in(small_models) == {
        f"cnn-{precision}{suffix}" for precision in PRECISIONS for suffix in (".tflite", ".json")
    }
    assert small_conversion.stderr == ""
    assert "\x1b" not in small_conversion.stdout
    for precision in PRECISIONS:
        path = small_models / f"cnn-{precision}.tflite"
        assert f"cnn-{precision}: 40 test tiles" in small_conversion.stdout
        # On forty tiles, accuracy may well have fallen by more than the five points allowed.
        report = read_json(path.with_suffix(".json"))
        of_these = " on these 40 tiles" * bool(report["reserves"])
        held = "\n".join([f"Accuracy holds{of_these}: {path}", *report["reserves"]])
        assert f"{held}\n\n" in small_conversion.stdout
        assert f"{path.stat().st_size:,} bytes. 1 thread: " in small_conversion.stdout


def test_what_a_few_test_tiles_do_not_prove_is_told_wherever_accuracy_is(
    small_run: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    line = ("eurosat-convert", small_run, "--float32", "--data", small_archive, "--out", tmp_path)
    done = command_here(*line)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "cnn-float32.tflite"
    report = read_json(path.with_suffix(".json"))
    high = 100 * report["test"]["drop_high"]
    assert report["reserves"] == [
        f"40 tiles do not prove more: the true drop may be up to {high:.2f} points (upper end of "
        "the 95 % interval), and 0.5 are allowed.",
        "AnnualCrop has 4 of the 40 tiles: so few leave open a drop in its recall of up to 32.67 "
        "points, even if all answers are the same, and 2 are allowed.",
    ]
    verdict = done.stdout.split("bytes. ")[1].splitlines()[1:4]
    assert verdict == [f"Accuracy holds on these 40 tiles: {path}", *report["reserves"]]
    assert f"to {high:.2f})" in done.stdout
    metadata = read_model_file(path).metadata
    assert metadata is not None
    assert metadata.accuracy["reserves"] == report["reserves"]


def test_of_several_ways_to_quantise_the_closest_on_validation_is_kept(
    small_conversion: CompletedProcess[str],
    small_models: Path,
    small_run: Path,
    small_archive: Path,
):
    path = small_models / "cnn-int8.tflite"
    tried = read_json(path.with_suffix(".json"))["candidates"]
    assert {candidate["recipe"] for candidate in tried} == set(Recipe)
    divergences = [candidate["divergence"] for candidate in tried]
    assert divergences == sorted(divergences)
    metadata = read_model_file(path).metadata
    assert metadata is not None
    assert metadata.provenance["quantisation"] == tried[0]["recipe"]
    told = [f"{one['recipe']} {one['agreement']:.2%}" for one in tried]
    chosen = (
        f"Weights {tried[0]['recipe']}: of {len(Recipe)} ways the one whose probabilities are "
        f"closest to Keras's on validation. Same class on {tried[0]['agreement']:.2%} of its tiles "
        f"({', '.join(told[1:])}).\n"
    )
    assert chosen in small_conversion.stdout
    assert read_json(small_models / "cnn-float32.json")["candidates"] == []

    # The file that was kept is the one that was judged so.
    dataset = load_dataset(small_archive)
    positions = dataset.positions(RunFolder(small_run).read_split().validation)
    tiles, labels = np.array(dataset.tiles[positions]), dataset.labels[positions]
    model = keras.saving.load_model(RunFolder(small_run).model, compile=False)
    before = predict(model, tiles)
    after = Classifier(path, is_calibrated=False).classify_batch(tiles)
    kept = tried[0]
    assert kept["accuracy"] == pytest.approx((after.argmax(axis=1) == labels).mean())
    assert kept["agreement"] == pytest.approx(
        (after.argmax(axis=1) == before.argmax(axis=1)).mean()
    )
    assert kept["divergence"] == pytest.approx(entropy(before, after, axis=1).mean(), rel=1e-3)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_report_metadata_and_a_new_computation_agree(
    precision: str,
    small_conversion: CompletedProcess[str],
    small_models: Path,
    small_run: Path,
    small_archive: Path,
):
    path = small_models / f"cnn-{precision}.tflite"
    report = read_json(path.with_suffix(".json"))
    file = read_model_file(path)
    assert file.metadata is not None
    assert report["test"] == file.metadata.accuracy["test"]
    assert report["calibration"] == file.metadata.accuracy["calibration"]
    assert report["model"] == path.name
    assert report["precision"] == file.metadata.precision == precision
    assert report["size_bytes"] == path.stat().st_size
    assert (report["passed"], report["failures"]) == (True, [])
    assert [speed["threads"] for speed in report["speed"]] == [1, 2]
    assert all(speed[kind] > 0 for speed in report["speed"] for kind in ("single_ms", "batch_ms"))

    folder = RunFolder(small_run)
    split = folder.read_split()
    dataset = load_dataset(small_archive)
    positions = dataset.positions(split.test)
    tiles, labels = np.array(dataset.tiles[positions]), dataset.labels[positions]
    model = keras.saving.load_model(folder.model, compile=False)
    before = predict(model, tiles).argmax(axis=1)
    after = Classifier(path).classify_batch(tiles).argmax(axis=1)
    figures = report["test"]
    assert figures["tile_count"] == len(labels) == 40
    assert figures["original"]["accuracy"] == pytest.approx((before == labels).mean())
    assert figures["exported"]["accuracy"] == pytest.approx((after == labels).mean())
    assert figures["agreement"] == pytest.approx((before == after).mean())
    assert figures["drop"] == pytest.approx((before == labels).mean() - (after == labels).mean())
    for label, name in enumerate(split.class_names):
        of_class = labels == label
        assert figures["original"]["recalls"][name] == pytest.approx(
            (before[of_class] == label).mean()
        )
        assert figures["exported"]["recalls"][name] == pytest.approx(
            (after[of_class] == label).mean()
        )
    assert figures["original"]["accuracy"] == pytest.approx(
        read_json(folder.metrics)["test"]["accuracy"]
    )
    table = small_conversion.stdout.partition(f"cnn-{precision}: ")[2].splitlines()
    change = 100 * (figures["exported"]["accuracy"] - figures["original"]["accuracy"])
    assert table[2].split() == [
        "Accuracy",
        f"{figures['original']['accuracy']:.2%}",
        f"{figures['exported']['accuracy']:.2%}",
        f"{change:+.2f}",
    ]


def test_temperature_and_threshold_are_those_of_the_file_on_validation(
    small_conversion: CompletedProcess[str],
    small_models: Path,
    small_run: Path,
    small_archive: Path,
):
    path = small_models / "cnn-int8.tflite"
    metadata = read_model_file(path).metadata
    assert metadata is not None
    split, dataset = RunFolder(small_run).read_split(), load_dataset(small_archive)
    validation, test = dataset.positions(split.validation), dataset.positions(split.test)
    own = Classifier(path, is_calibrated=False)
    said = own.classify_batch(dataset.tiles[validation])
    temperature = fit_temperature(said, dataset.labels[validation])
    assert metadata.temperature == pytest.approx(temperature)

    shown = Classifier(path).classify_batch(dataset.tiles[validation])
    assert metadata.unsure_below == choose_unsure_below(shown, dataset.labels[validation])

    record = metadata.accuracy["calibration"]
    assert record["temperature"] == metadata.temperature
    assert record["unsure_below"] == metadata.unsure_below
    labels = dataset.labels[test]
    before = own.classify_batch(dataset.tiles[test])
    after = Classifier(path).classify_batch(dataset.tiles[test])
    for key, answers in (("ece_before", before), ("ece_after", after)):
        expected = expected_calibration_error(reliability_bins(answers, labels))
        assert record["test"][key] == pytest.approx(expected)
    is_sure = after.max(axis=1) >= metadata.unsure_below
    assert record["test"]["coverage"] == pytest.approx(is_sure.mean())
    said_of_int8 = small_conversion.stdout.partition("cnn-int8: ")[2].partition("cnn-")[0]
    assert f"Confidence divided by temperature {temperature:.3f}, fitted on" in said_of_int8
    assert f"{is_sure.mean():.2%} of the test tiles get a sure answer" in said_of_int8


def test_the_file_says_where_it_comes_from(small_models: Path, small_run: Path):
    metadata = read_model_file(small_models / "cnn-int8.tflite").metadata
    assert metadata is not None
    config, split = RunFolder(small_run).read_config(), RunFolder(small_run).read_split()
    assert metadata.name == "cnn-int8"
    assert metadata.title == "CNN int8"
    assert metadata.class_names == tuple(cover.name for cover in EUROSAT_CLASSES)
    assert (metadata.height, metadata.width) == (64, 64)
    assert metadata.ground_resolution_m == 10
    assert metadata.provenance["data_fingerprint"] == split.fingerprint
    sizes = {"train": 320, "validation": 40, "test": 40}
    assert metadata.provenance["split"] == {"seed": 0, **sizes, "digest": split.digest}
    assert metadata.provenance["training"] == config["training"]
    assert metadata.provenance["trained"] == config["started"]
    assert metadata.provenance["calibration_tiles"] == 320
    assert metadata.provenance["conversion_versions"]["keras"] == keras.__version__


def test_a_gate_that_fails_leaves_no_model_but_says_why(
    small_run: Path, small_archive: Path, small_models: Path, tmp_path: Path, command_here: Command
):
    out = tmp_path / "out"
    out.mkdir()
    older = (small_models / "cnn-dynamic.tflite").read_bytes()
    (out / "cnn-float32.tflite").write_bytes(older)
    for derived in DERIVED:  # What was made of it goes with it.
        (out / f"cnn-float32{derived}").write_text("of an older model")
    done = command_here(
        "eurosat-convert",
        *(small_run, "--float32", "--data", small_archive, "--out", out),
        *("--max-drop", -100, "--max-class-drop", -101),
    )
    assert done.returncode == 1
    assert names_in(out) == {"cnn-float32.json", "cnn-float32.previous.tflite"}
    assert (out / "cnn-float32.previous.tflite").read_bytes() == older
    report = read_json(out / "cnn-float32.json")
    assert report["passed"] is False
    accuracy = f"{report['test']['original']['accuracy']:.2%}"
    sentence = f"Accuracy falls by 0.00 points, from {accuracy} to {accuracy}; -100 are allowed."
    assert report["failures"][0] == sentence
    assert len(report["failures"]) == 11
    lines = done.stderr.splitlines()
    assert lines[0] == f"Accuracy lost: {sentence}"
    for line, name in zip(lines[1:], report["test"]["original"]["recalls"], strict=False):
        assert line.startswith(f"Accuracy lost: The recall of {name} falls by 0.00 points, from ")
        assert line.endswith("; -101 are allowed.")
    assert f"No model file was written to {out / 'cnn-float32.tflite'}." in lines
    assert f"An older one was moved to {out / 'cnn-float32.previous.tflite'}." in lines
    assert "Accuracy holds" not in done.stdout


def test_one_file_that_fails_is_told_though_the_next_one_passes(
    small_run: Path,
    small_archive: Path,
    tmp_path: Path,
    command_here: Command,
    monkeypatch: pytest.MonkeyPatch,
):
    lost = iter([["All is lost."], []])
    monkeypatch.setattr("eurosat.convert.conversion.failures", lambda *_, **__: next(lost))
    done = command_here(
        "eurosat-convert",
        *(small_run, "--float16", "--float32", "--data", small_archive, "--out", tmp_path / "out"),
    )
    assert done.returncode == 1
    assert "Accuracy lost: All is lost." in done.stderr
    assert names_in(tmp_path / "out") == {
        *("cnn-float16.json", "cnn-float32.json", "cnn-float32.tflite")
    }


def test_a_scene_twin_that_says_other_things_is_told_and_not_written(
    small_run: Path,
    small_archive: Path,
    tmp_path: Path,
    command_here: Command,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("eurosat.convert.scene.measure_agreement", lambda *_: (0.5, 144))
    done = command_here(
        "eurosat-convert",
        *(small_run, "--float32", "--scene", "--data", small_archive, "--out", tmp_path / "out"),
    )
    assert done.returncode == 1
    twin = tmp_path / "out" / "cnn-float32-scene.tflite"
    assert done.stderr == f"Not the same: less than 98 % of the cells, so {twin} was not written.\n"
    assert names_in(tmp_path / "out") == {"cnn-float32.json", "cnn-float32.tflite"}


def test_without_options_an_int8_file_takes_the_place_of_an_older_one_in_the_run(
    copied_run: RunFolder,
    small_archive: Path,
    small_models: Path,
    tmp_path: Path,
    command_here: Command,
):
    folder = copied_run.path.rename(tmp_path / "[red]run[1]")
    before = names_in(folder)
    path = folder / "cnn-int8.tflite"
    path.write_bytes(b"older")
    for derived in DERIVED:
        (folder / f"cnn-int8{derived}").write_text("of an older model")
    done = command_here("eurosat-convert", folder, "--data", small_archive, *GENEROUS)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"{path}\n" in done.stdout.rpartition("Accuracy holds")[2]
    assert names_in(folder) - before == {"cnn-int8.tflite", "cnn-int8.json"}
    # Made again, it gives the same answers to the last bit.
    tiles = np.array(load_dataset(small_archive).tiles[::20])
    np.testing.assert_array_equal(
        Classifier(path).classify_batch(tiles),
        Classifier(small_models / "cnn-int8.tflite").classify_batch(tiles),
    )


def test_a_model_that_is_never_sure_is_said_to_be_so(
    copied_run: RunFolder, small_archive: Path, command_here: Command
):
    model = load_keras_model(copied_run.model)
    logits = model.get_layer(LOGITS_LAYER)
    logits.set_weights([np.zeros_like(weights) for weights in logits.get_weights()])
    model.save(copied_run.model)
    done = command_here(
        "eurosat-convert", copied_run.path, "--float32", "--data", small_archive, *GENEROUS
    )
    assert done.returncode == 0, done.stderr
    assert " after. Unsure below 100.0%: there are no sure answers.\n" in done.stdout


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, command: Command):
    (tmp_path / "empty").mkdir()
    assert_refused(command("eurosat-convert", "empty"), "empty is not the folder of a training run")
    assert_refused(command("eurosat-convert", "none"), "none is not the folder of a training run")
    (tmp_path / "file.tflite").write_text("no run")
    done = command("eurosat-convert", "file.tflite")
    assert_refused(done, "file.tflite is a file: name the folder of the run.")
    assert names_in(tmp_path) == {"empty", "file.tflite"}


@pytest.mark.parametrize("name", ["config.json", "split.json"])
@pytest.mark.parametrize("content", [None, "", "[]", "{"])
def test_a_run_with_a_damaged_record_is_refused(
    name: str,
    content: str | None,
    copied_run: RunFolder,
    small_archive: Path,
    command_here: Command,
):
    path = copied_run.path / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="utf-8")
    assert_refused(
        command_here("eurosat-convert", copied_run.path, "--data", small_archive),
        str(copied_run.path),
        name,
    )


@pytest.mark.parametrize("record", ["{}", '{"training": {}}', '{"training": []}'])
def test_a_run_whose_record_lacks_something_is_refused(
    record: str, copied_run: RunFolder, small_archive: Path, command_here: Command
):
    copied_run.config.write_text(record, encoding="utf-8")
    done = command_here("eurosat-convert", copied_run.path, "--float32", "--data", small_archive)
    assert_refused(done, "config.json is damaged")


def test_a_run_that_is_not_finished_is_refused(
    copied_run: RunFolder, small_archive: Path, command_here: Command
):
    copied_run.model.unlink()
    before = names_in(copied_run.path)
    assert_refused(
        command_here("eurosat-convert", copied_run.path, "--data", small_archive),
        "has no model.keras yet",
        "--resume",
    )
    assert names_in(copied_run.path) == before


def text_instead(path: Path) -> None:
    path.write_text("no model")


def nothing_instead(path: Path) -> None:
    path.write_bytes(b"")


def half_of_it(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeros_within(path: Path) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(5000) + content[middle + 5000 :])


def another_archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("note.txt", "no model")


@pytest.mark.parametrize(
    "change", [text_instead, nothing_instead, half_of_it, zeros_within, another_archive]
)
def test_a_damaged_keras_model_is_refused(
    change: Callable[[Path], None],
    copied_run: RunFolder,
    small_archive: Path,
    command_here: Command,
):
    change(copied_run.model)
    before = names_in(copied_run.path)
    assert_refused(
        command_here("eurosat-convert", copied_run.path, "--data", small_archive),
        f"{copied_run.model} is damaged or is no Keras model",
    )
    assert names_in(copied_run.path) == before


def test_a_keras_model_that_is_not_ours_is_refused(
    copied_run: RunFolder, small_archive: Path, command_here: Command
):
    small = keras.Input((32, 32, 3), dtype="uint8")
    other_size = keras.Model(small, keras.layers.Dense(10)(keras.layers.Flatten()(small)))
    large = keras.Input((64, 64, 3), dtype="uint8")
    few_classes = keras.Model(large, keras.layers.Dense(4)(keras.layers.Flatten()(large)))
    other_layers = keras.Model(large, keras.layers.Dense(10)(keras.layers.Flatten()(large)))
    before = names_in(copied_run.path)
    for model, part in (
        (other_size, "(None, 32, 32, 3)"),
        (few_classes, "(None, 4)"),
        (other_layers, "it has no layer logits"),
    ):
        model.save(copied_run.model)
        done = command_here("eurosat-convert", copied_run.path, "--data", small_archive)
        assert_refused(done, "is not one of ours", part)
        assert names_in(copied_run.path) == before


def test_data_that_are_missing_or_others_are_refused(
    small_run: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    assert_refused(
        command_here("eurosat-convert", small_run, "--data", tmp_path / "none.zip"), "none.zip"
    )
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(small_archive) as all_tiles, zipfile.ZipFile(changed, "w") as others:
        *names, last = all_tiles.namelist()
        for name in names:
            others.writestr(name, all_tiles.read(name))
        others.writestr(last, all_tiles.read(names[0]))
    assert_refused(
        command_here("eurosat-convert", small_run, "--data", changed),
        str(changed),
        "is not the one of this training run",
    )


def test_too_few_calibration_tiles_are_refused(
    small_run: Path, small_archive: Path, command_here: Command
):
    done = command_here("eurosat-convert", small_run, "--data", small_archive, "--calibration", 9)
    assert_refused(done, "--calibration must be at least 10", "not 9")


def test_a_folder_that_cannot_be_made_is_refused(
    small_run: Path, small_archive: Path, tmp_path: Path, command_here: Command
):
    (tmp_path / "file").write_text("in the way")
    done = command_here(
        "eurosat-convert",
        *(small_run, "--float32", "--data", small_archive, "--out", tmp_path / "file" / "out"),
    )
    assert_refused(done, "/file is a file: name a folder with --out.")
    assert names_in(tmp_path) == {"file"}


def test_a_full_disk_is_told_and_leaves_nothing(
    small_run: Path,
    small_archive: Path,
    tiny_disk: Callable[[list[str]], CompletedProcess[str]],
    command_line: Callable[..., list[str]],
):
    done = tiny_disk(
        command_line(
            "eurosat-convert",
            *(small_run, "--float32", "--data", small_archive, "--out", "/mnt/out", *GENEROUS),
        )
    )
    assert done.returncode == 2
    assert done.stderr == (
        "Error: /mnt/out cannot be written to (No space left on device): name another folder with "
        "--out.\n"
    )
    assert done.stdout.splitlines() == ["/mnt", "/mnt/out"]


def put_padding_model(folder: RunFolder) -> None:
    """Put a model with random weights into a run whose answers depend on where a tile ends."""
    keras.utils.set_random_seed(3)
    inputs: Any = keras.Input((64, 64, 3), dtype="uint8")
    values = keras.layers.Rescaling(1 / 127.5, -1, name=RESCALING_LAYER)(inputs)
    for filters in (8, 16):
        values = keras.layers.Conv2D(filters, 3, strides=4, padding="same")(values)
        values = keras.layers.ReLU()(keras.layers.BatchNormalization()(values))
    values = keras.layers.GlobalAveragePooling2D()(values)
    spread = keras.initializers.RandomNormal(stddev=20)
    values = keras.layers.Dense(10, name=LOGITS_LAYER, kernel_initializer=spread)(values)
    keras.Model(inputs, keras.layers.Softmax()(values)).save(folder.model)


@pytest.mark.slow
def test_a_scene_twin_is_written_beside_a_model_that_has_one(
    copied_run: RunFolder, command_here: Command, small_archive: Path
):
    options = (copied_run.path, "--data", small_archive, "--float32", "--scene", *GENEROUS)
    done = command_here("eurosat-convert", *options, "--min-agreement", 100)
    assert done.returncode == 0, done.stderr
    path = copied_run.path / "cnn-float32-scene.tflite"
    assert path.exists()
    assert re.search(r"Scene twin: 640 x 640 pixels in, .+ of [\d,]+ cells", done.stdout)
    put_padding_model(copied_run)
    done = command_here("eurosat-convert", *options)
    assert done.returncode == 2
    expected = "cnn-float32.tflite has no scene twin, as tiles every 16 pixels share none"
    assert expected in done.stderr
    assert not path.exists(), "that of the model before is no twin of this one"
    assert (copied_run.path / "cnn-float32.tflite").exists()
