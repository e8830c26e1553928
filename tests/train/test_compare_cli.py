"""`eurosat-compare`: the same tiles for all, and a page that needs nothing but a browser."""

import csv
import html
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from eurosat.calibration import apply_temperature, expected_calibration_error, reliability_bins
from eurosat.classifier import Classifier
from eurosat.dataset import load_dataset
from eurosat.labels import land_cover
from eurosat.model_file import read_model_file, write_model_file
from eurosat.run_folder import RunFolder
from eurosat.significance import wilson_interval

from ..commands import Command, assert_refused, read_json


class Page(HTMLParser):
    """What a browser would find: tables as rows of texts, marked cells, addresses, mistakes."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.best: list[tuple[int, int, int]] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.wrong: list[str] = []
        self._is_wrong = 0
        self._is_in_cell = False
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = dict(attrs)
        links = (named.get("src"), named.get("href"), named.get("xlink:href"))
        self.addresses += [link for link in links if link]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
            self._is_in_cell = True
            if named.get("class") == "best":
                table = self.tables[-1]
                self.best.append((len(self.tables) - 1, len(table) - 1, len(table[-1]) - 1))
        elif tag == "span" and named.get("class") == "wrong":
            self.wrong.append("")
            self._is_wrong = 2

    def handle_endtag(self, tag: str) -> None:
        if tag == "span" and self._is_wrong:
            self._is_wrong -= 1
        elif tag in {"td", "th"}:
            self._is_in_cell = False

    def handle_data(self, data: str) -> None:
        if self._is_in_cell:
            self.tables[-1][-1][-1] += data
        if self._is_wrong:
            self.wrong[-1] += f"{data}|"


@pytest.fixture(scope="module")
def two_runs(
    small_run: Path, small_models: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """The small run with its int8 file, and one that says the opposite, with an odd name."""
    folder = tmp_path_factory.mktemp("runs")
    first = shutil.copytree(small_run, folder / "first")
    for name in ("cnn-int8", "cnn-int8.previous", "cnn-int8-scene"):
        shutil.copyfile(small_models / "cnn-int8.tflite", first / f"{name}.tflite")
    second = shutil.copytree(small_run, folder / "_second <b>&|[red]$1$")
    model = keras.saving.load_model(second / "model.keras", compile=False)
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([-kernel, -bias])
    model.save(second / "model.keras")
    config = json.loads((second / "config.json").read_text(encoding="utf-8"))
    config["training"]["learning_rate"] = 0.5
    (second / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return first, second


def test_the_page_and_the_screen_say_what_a_new_computation_says(
    two_runs: tuple[Path, Path], small_archive: Path, tmp_path: Path, command_here: Command
):
    first, second = two_runs
    done = command_here("eurosat-compare", first, second, "--data", small_archive)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    content = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    page = Page(content)
    summary, pairs, classes, confidence, options = page.tables

    dataset = load_dataset(small_archive)
    split = RunFolder(first).read_split()
    positions = dataset.positions(split.test)
    tiles, labels = dataset.tiles[positions], dataset.labels[positions]
    answers = [
        keras.saving.load_model(first / "model.keras").predict_on_batch(tiles),
        Classifier(first / "cnn-int8.tflite").classify_batch(tiles),
        keras.saving.load_model(second / "model.keras").predict_on_batch(tiles),
    ]
    guesses = [np.asarray(one).argmax(axis=1) for one in answers]
    right = [guess == labels for guess in guesses]
    names = ["first, Keras", "first, int8", f"{second.name}, Keras"]
    assert [row[0] for row in summary[1:]] == names
    assert [row[1] for row in summary[1:]] == [f"{one.mean():.2%}" for one in right]
    sizes = [first / "model.keras", first / "cnn-int8.tflite", second / "model.keras"]
    assert [row[5] for row in summary[1:]] == [f"{p.stat().st_size / 1e6:.2f} MB" for p in sizes]
    assert [row[6] == "-" for row in summary[1:]] == [True, False, True]
    with (first / "history.csv").open(encoding="utf-8", newline="") as file:
        minutes = sum(float(row["seconds"]) for row in csv.DictReader(file)) / 60
    assert summary[1][7] == summary[2][7] == f"{minutes:.1f} min"
    screen = [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()]
    assert screen[: len(summary)] == [[cell for cell in row if cell] for row in summary]

    alone = int((right[0] & ~right[2]).sum()), int((~right[0] & right[2]).sum())
    p = binomtest(alone[0], sum(alone)).pvalue
    assert pairs[1][3] == f"{alone[0]} : {alone[1]}, p = {p:.2g}"
    assert pairs[3][1] == f"{alone[1]} : {alone[0]}, p = {p:.2g}"
    assert p < 0.05, "what says the opposite must be found worse"
    assert f"first, Keras is better than {second.name}, Keras: it alone is right" in done.stdout

    assert [row[0] for row in classes[1:]] == [land_cover(n).title for n in dataset.class_names]
    assert [row[0] for row in confidence[1:]] == names
    legend = re.findall(r">([^<]*)</text>", content)
    assert sum(html.unescape(text).endswith(names[2]) for text in legend) == 1
    assert options[1:] == [["learning rate", "0.002", "0.5"]]

    # The tiles are those of the run's own sheet.
    sheet = np.random.default_rng(split.seed).permutation(len(labels))[:20]
    expected = [
        f"{name}|{land_cover(dataset.class_names[guess[index]]).title} "
        for index in sheet
        for name, guess in zip(names, guesses, strict=True)
        if guess[index] != labels[index]
    ]
    assert [line.rpartition(" ")[0] + " " for line in page.wrong] == expected


def test_every_figure_is_that_of_a_new_computation_and_the_best_are_marked(
    two_runs: tuple[Path, Path], small_archive: Path, tmp_path: Path, command_here: Command
):
    first, second = two_runs
    assert command_here("eurosat-compare", *two_runs, "--data", small_archive).returncode == 0
    page = Page((tmp_path / "comparison.html").read_text(encoding="utf-8"))
    summary, _, classes, confidence, _ = page.tables

    dataset = load_dataset(small_archive)
    positions = dataset.positions(RunFolder(first).read_split().test)
    tiles, labels = dataset.tiles[positions], dataset.labels[positions]
    path = first / "cnn-int8.tflite"
    own = [
        keras.saving.load_model(first / "model.keras").predict_on_batch(tiles),
        Classifier(path, is_calibrated=False).classify_batch(tiles),
        keras.saving.load_model(second / "model.keras").predict_on_batch(tiles),
    ]
    metadata = read_model_file(path).metadata
    assert metadata is not None
    of_run = read_json(first / "metrics.json")["calibration"]
    calibrations = [of_run, metadata.accuracy["calibration"], of_run]
    paths = [first / "model.keras", path, second / "model.keras"]
    merits: list[dict[int, float]] = []
    f1_of_models: list[np.ndarray] = []
    for number, (answers, calibration) in enumerate(zip(own, calibrations, strict=True), 1):
        shown = apply_temperature(answers, calibration["temperature"])
        guess = shown.argmax(axis=1)
        right = guess == labels
        low, high = wilson_interval(int(right.sum()), len(labels))
        f1 = np.asarray(f1_score(labels, guess, average=None))
        before, after = (
            expected_calibration_error(reliability_bins(one, labels)) for one in (answers, shown)
        )
        is_sure = shown.max(axis=1) >= calibration["unsure_below"]
        assert summary[number][1:5] == [
            f"{right.mean():.2%}",
            f"{low:.2%} to {high:.2%}",
            f"{f1.mean():.2%}",
            f"{after:.2%}",
        ]
        assert [row[number + 1] for row in classes[1:]] == [f"{score:.2%}" for score in f1]
        assert confidence[number][1:] == [
            f"{calibration['temperature']:.3f}",
            f"{before:.2%}",
            f"{after:.2%}",
            f"{calibration['unsure_below']:.1%}",
            f"{is_sure.mean():.2%}",
            f"{right[is_sure].mean():.2%}" if is_sure.any() else "-",
        ]
        size = paths[number - 1].stat().st_size
        merits.append({1: right.mean(), 3: f1.mean(), 4: -after, 5: -size, 6: number == 2})
        f1_of_models.append(f1)

    def best(values: Sequence[float]) -> list[int]:
        return [at for at, value in enumerate(values, 1) if value == max(values) > min(values)]

    marked = {(0, at, n) for n in merits[0] for at in best([one[n] for one in merits])}
    marked |= {
        (2, label, at + 1)
        for label, scores in enumerate(np.transpose(f1_of_models), 1)
        for at in best(scores)
    }
    # The second run says the opposite of the others.
    marked |= {(1, 1, 3), (1, 2, 3), (1, 3, 1), (1, 3, 2)}
    assert set(page.best) == marked


def test_the_page_needs_no_network_and_knows_paper_and_dark(
    two_runs: tuple[Path, Path], small_archive: Path, tmp_path: Path, command_here: Command
):
    out = tmp_path / "pages" / "validation.html"
    done = command_here(
        "eurosat-compare",
        *(two_runs[0], "--data", small_archive, "--split", "validation", "--out", out),
    )
    assert done.returncode == 0, done.stderr
    assert "differ by more than chance (McNemar's exact test, 1 pair).\n" in done.stdout
    assert done.stdout.endswith(f"The page: {out}\n")
    content = out.read_text(encoding="utf-8")
    page = Page(content)
    assert "40 tiles of the validation split" in content
    assert page.tags.count("img") == 20
    assert page.tags.count("svg") == 2
    assert all(address.startswith(("data:image/png;base64,", "#")) for address in page.addresses)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "url(http" not in content
    assert "@import" not in content
    assert "prefers-color-scheme: dark" in content
    assert "@media print" in content
    ids = re.findall(r' id="([^"]+)"', content)
    for drawing in re.findall(r"<svg.*?</svg>", content, flags=re.DOTALL):
        assert "currentColor" in drawing
    used = set(re.findall(r"url\(#([^)]+)\)", content))
    assert used <= set(ids)
    assert all(ids.count(name) == 1 for name in used)


def test_a_model_file_by_itself_is_compared_with_a_run(
    two_runs: tuple[Path, Path], small_archive: Path, tmp_path: Path, command_here: Command
):
    alone = Path(shutil.copy(two_runs[0] / "cnn-int8.tflite", tmp_path / "alone.tflite"))
    done = command_here("eurosat-compare", two_runs[1], alone, "--data", small_archive)
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    page = Page(content)
    summary, _, _, _, options = page.tables
    assert [row[0] for row in summary[1:]] == [f"{two_runs[1].name}, Keras", "alone"]
    assert [row[7] == "-" for row in summary[1:]] == [False, True]
    assert options == [["Option", two_runs[1].name, "alone"], ["learning rate", "0.5", "0.002"]]
    assert "Learning curves" in content

    done = command_here("eurosat-compare", alone, "--data", small_archive)
    assert done.returncode == 0, done.stderr
    content = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "No two models" not in done.stdout
    assert "\n\n\n" not in done.stdout
    assert "Comparison of alone" in content
    assert "Learning curves" not in content


def test_model_files_of_other_or_unknown_tiles_are_refused(
    two_runs: tuple[Path, Path], small_archive: Path, tmp_path: Path, command_here: Command
):
    ours = read_model_file(two_runs[0] / "cnn-int8.tflite")
    assert ours.metadata is not None
    known = dict(ours.metadata.provenance)
    for name, provenance, part in (
        ("unknown", {}, "records no split"),
        (
            "other",
            known | {"split": {"seed": 1}},
            "does not say how its data was split",
        ),
        (
            "seed",
            known | {"split": known["split"] | {"seed": 1}},
            "cannot be made again here",
        ),
    ):
        path = tmp_path / f"{name}.tflite"
        write_model_file(path, ours.flatbuffer, replace(ours.metadata, provenance=provenance))
        done = command_here("eurosat-compare", two_runs[0], path, "--data", small_archive)
        assert_refused(done, str(path), part)
    path = tmp_path / "split.tflite"
    # As an earlier version wrote it, which told no digest.
    split = {key: known["split"][key] for key in ("train", "validation", "test")} | {"seed": 1}
    described = replace(ours.metadata, provenance=known | {"split": split})
    write_model_file(path, ours.flatbuffer, described)
    done = command_here("eurosat-compare", two_runs[0], path, "--data", small_archive)
    assert_refused(done, f"{two_runs[0]} and {path} were split differently")
    assert_refused(command_here("eurosat-compare", "no.tflite"), "no.tflite")
    assert not (tmp_path / "comparison.html").exists()


def test_runs_of_other_splits_or_data_are_refused(
    two_runs: tuple[Path, Path], small_archive: Path, tmp_path: Path, command_here: Command
):
    for key, value, part in (
        ("test", ["Forest/Forest_1.jpg"], "were split differently"),
        ("fingerprint", "0" * 64, "were trained on different data"),
    ):
        other = shutil.copytree(two_runs[0], tmp_path / key)
        split = json.loads((other / "split.json").read_text(encoding="utf-8"))
        (other / "split.json").write_text(json.dumps(split | {key: value}), encoding="utf-8")
        done = command_here("eurosat-compare", two_runs[0], other, "--data", small_archive)
        assert_refused(done, str(two_runs[0]), str(other), part)
    assert not (tmp_path / "comparison.html").exists()


def test_models_of_other_classes_are_refused_with_what_to_do(
    two_runs: tuple[Path, Path], tmp_path: Path, command_here: Command
):
    ours = shutil.copytree(two_runs[0], tmp_path / "ours")
    record = read_json(ours / "split.json") | {"class_names": ["Barn", "Pond", "Yard"]}
    (ours / "split.json").write_text(json.dumps(record), encoding="utf-8")
    for other in ("cnn-int8", two_runs[0]):
        done = command_here("eurosat-compare", ours, other, "--data", "nowhere")
        assert_refused(
            done,
            f"Only {ours} knows Barn, Pond, Yard, and only ",
            f"{other if other != 'cnn-int8' else 'cnn-int8.tflite'} knows AnnualCrop, Forest, "
            "HerbaceousVegetation, Highway, 6 more, so not every tile has an answer that both can",
            "eurosat-train --from-run or --from-model",
            "eurosat-evaluate",
        )


def test_of_models_that_share_classes_only_the_others_are_told(
    two_runs: tuple[Path, Path], tmp_path: Path, command_here: Command
):
    ours = shutil.copytree(two_runs[0], tmp_path / "ours")
    record = read_json(ours / "split.json")
    record["class_names"].remove("River")
    (ours / "split.json").write_text(json.dumps(record), encoding="utf-8")
    done = command_here("eurosat-compare", ours, two_runs[0], "--data", "nowhere")
    assert_refused(done, f"Only {two_runs[0]} knows River, so not every tile has an answer")


def test_a_file_of_other_data_is_refused_beside_a_run_and_by_itself(
    two_runs: tuple[Path, Path], small_archive: Path, command_here: Command
):
    done = command_here("eurosat-compare", two_runs[0], "cnn-int8", "--data", "nowhere")
    assert_refused(done, str(two_runs[0]), "cnn-int8.tflite were trained on different data, so no")
    done = command_here("eurosat-compare", "cnn-int8", "--data", small_archive)
    assert_refused(
        done,
        f"cnn-int8.tflite was trained on other data than {small_archive}, so no tiles are known",
        "eurosat-evaluate",
    )


@pytest.mark.parametrize("name", ["model.keras", "cnn-int8.tflite"])
def test_a_model_is_not_named_beside_its_run(
    name: str,
    copied_run: RunFolder,
    small_models: Path,
    small_archive: Path,
    command_here: Command,
):
    shutil.copy(small_models / "cnn-int8.tflite", copied_run.path)
    done = command_here(
        "eurosat-compare", copied_run.path, copied_run.path / name, "--data", small_archive
    )
    assert_refused(done, f"{name} belongs to the run in {copied_run.path}, which is named too")


def test_a_page_that_cannot_be_written_is_refused_before_the_work(
    two_runs: tuple[Path, Path], tmp_path: Path, command_here: Command
):
    for page in (tmp_path, two_runs[0] / "config.json" / "page.html"):
        done = command_here("eurosat-compare", *two_runs, "--data", "no-data", "--out", page)
        assert_refused(done, f"{page} cannot be written")


def test_a_folder_that_is_no_run_does_not_hide_a_shipped_model(
    small_archive: Path, tmp_path: Path, command_here: Command
):
    (tmp_path / "cnn-int8").mkdir()
    done = command_here("eurosat-compare", "cnn-int8", "--data", small_archive)
    assert_refused(done, "cnn-int8.tflite was trained on other data")


def test_what_cannot_be_compared_is_refused(
    two_runs: tuple[Path, Path], small_archive: Path, tmp_path: Path, command_here: Command
):
    first = two_runs[0]
    (tmp_path / "empty").mkdir()
    unfinished = shutil.copytree(first, tmp_path / "unfinished")
    (unfinished / "model.keras").unlink()
    damaged = shutil.copytree(first, tmp_path / "damaged")
    (damaged / "history.csv").write_text("epoch,loss\n1,x\n", encoding="utf-8")
    for arguments, part in (
        ([first, "empty"], "empty is not the folder of a training run"),
        ([first, first], "is named twice"),
        ([first, "--split", "all"], "test or validation"),
        ([unfinished], "has no model.keras yet"),
        ([damaged], "history.csv is missing or damaged"),
    ):
        done = command_here("eurosat-compare", *arguments, "--data", small_archive)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert part in done.stderr.splitlines()[-1]
    assert not (tmp_path / "comparison.html").exists()
