"""`eurosat-classify`: answers about files, folders and globs, however many of them are bad."""

import csv
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eurosat import cli
from eurosat.classifier import Classifier
from eurosat.console import output
from eurosat.labels import land_cover
from eurosat.model_file import read_model_file, shipped_model_names, write_model_file

from ..commands import Command, assert_refused


@pytest.fixture(scope="module")
def model(small_models: Path) -> Path:
    return small_models / "cnn-int8.tflite"


@pytest.fixture(scope="module")
def classifier(model: Path) -> Classifier:
    return Classifier(model)


@pytest.fixture(scope="module")
def tiles(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two class folders with six tiles each."""
    folder = tmp_path_factory.mktemp("tiles")
    with zipfile.ZipFile(small_archive) as archive:
        for name in ("Forest", "SeaLake"):
            (folder / name).mkdir()
            found = [entry for entry in archive.namelist() if f"/{name}/" in entry]
            for entry in found[:6]:
                (folder / name / Path(entry).name).write_bytes(archive.read(entry))
    return folder


@pytest.fixture
def mixed(tiles: Path, tmp_path: Path) -> Path:
    """A folder with two good images and a bad one between them."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    first, last = sorted(tiles.glob("Forest/*"))[:2]
    (folder / "a.jpg").write_bytes(first.read_bytes())
    (folder / "b.jpg").write_text("no image")
    (folder / "c.jpg").write_bytes(last.read_bytes())
    return folder


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jpg"))


def answers_in(done: CompletedProcess[str]) -> list[dict[str, Any]]:
    return json.loads(done.stdout)


def test_the_table_names_class_confidence_and_runner_up(
    model: Path, tiles: Path, classifier: Classifier, command: Command
):
    images = files_of(tiles / "Forest")[:3]
    done = command("eurosat-classify", *images, "--model", model)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["Image", "Class", "Confidence", "Runner-up"]
    assert len(rows) == 3, "a row for each image, and no line that counts so few"
    for row, image in zip(rows, images, strict=True):
        prediction = classifier.classify(image)
        (best, share), (second, other) = prediction.top(2)
        cells = re.split(r"\s{2,}", row.strip())
        bar = "█" * round(20 * share) + "░" * (20 - round(20 * share))
        assert cells == [
            str(image),
            land_cover(best).title,
            bar,
            f"{share:.1%}" + " unsure" * prediction.is_unsure,
            f"{land_cover(second).title} {other:.1%}",
        ]


def test_what_is_unsure_is_marked_in_every_form(
    model: Path, tiles: Path, classifier: Classifier, tmp_path: Path, command_here: Command
):
    file = read_model_file(model)
    assert file.metadata is not None
    confidences = sorted(classifier.classify(image).confidence for image in files_of(tiles))
    doubtful = tmp_path / "doubtful.tflite"
    write_model_file(doubtful, file.flatbuffer, replace(file.metadata, unsure_below=confidences[5]))
    expected = [classifier.classify(image).confidence < confidences[5] for image in files_of(tiles)]
    assert 0 < sum(expected) <= 5

    done = command_here("eurosat-classify", tiles, "--model", doubtful, "--csv", "table.csv")
    _, *rows, _, last = done.stdout.splitlines()
    assert ["% unsure" in row for row in rows] == expected
    assert last.startswith(f"12 images, {sum(expected)} of them unsure: ")
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as stream:
        assert [row["unsure"] for row in csv.DictReader(stream)] == list(map(str, expected))
    done = command_here("eurosat-classify", tiles, "--model", doubtful, "--json")
    assert [answer["unsure"] for answer in answers_in(done)] == expected


def test_folders_and_globs_give_the_same_as_their_files(
    model: Path, tiles: Path, command_here: Command
):
    def asked(*paths: object) -> list[tuple[str, str, float]]:
        done = command_here("eurosat-classify", *paths, "--model", model, "--json")
        assert done.returncode == 0, done.stderr
        return [(one["path"], one["class"], one["confidence"]) for one in answers_in(done)]

    by_name = asked(*files_of(tiles))
    assert len(by_name) == 12
    assert asked(tiles) == by_name
    assert asked(tiles / "Forest", tiles / "SeaLake") == by_name
    assert asked(f"{tiles}/*/*.jpg") == by_name
    assert asked(f"{tiles}/Sea*/*") == by_name[6:]


def test_what_is_named_twice_is_answered_once(tiles: Path, tmp_path: Path, command_here: Command):
    shutil.copytree(tiles / "Forest", tmp_path / "Forest")
    image = files_of(tmp_path / "Forest")[1].relative_to(tmp_path)
    named = [image, "Forest", tmp_path / image, f"./{image}", "Forest/*", "Forest"]
    done = command_here("eurosat-classify", *named, "--json")
    assert done.returncode == 0, done.stderr
    asked = [answer["path"] for answer in answers_in(done)]
    others = [str(path.relative_to(tmp_path)) for path in files_of(tmp_path / "Forest")]
    assert asked == [str(image), *(path for path in others if path != str(image))]


def test_from_ten_images_on_a_line_counts_them(
    model: Path, tiles: Path, classifier: Classifier, command_here: Command
):
    done = command_here("eurosat-classify", tiles, "--model", model)
    heading, _, tally = done.stdout.splitlines()[-1].partition(": ")
    assert heading.startswith("12 images")
    counted = dict(part.rsplit(" ", 1) for part in tally.split(", "))
    titles = [land_cover(classifier.classify(image).label).title for image in files_of(tiles)]
    assert counted == {title: str(titles.count(title)) for title in titles}


def test_json_holds_as_many_classes_as_asked_for(
    model: Path, tiles: Path, classifier: Classifier, command_here: Command
):
    image = files_of(tiles)[0]
    for options, count in (([], 2), (["--top", 1], 1), (["--top", 10], 10), (["--top", 99], 10)):
        done = command_here("eurosat-classify", image, "--model", model, "--json", *options)
        assert done.returncode == 0
        (answer,) = answers_in(done)
        expected = classifier.classify(image)
        assert answer["path"] == str(image)
        assert answer["class"] == expected.label
        assert answer["confidence"] == expected.confidence
        assert answer["top"] == [
            {"class": name, "confidence": share} for name, share in expected.top(count)
        ]


@pytest.mark.parametrize(
    ("top", "heading", "others"), [(1, [], 0), (2, ["Runner-up"], 1), (4, ["Runners-up"], 3)]
)
def test_the_table_shows_as_many_classes_as_asked_for(
    top: int, heading: list[str], others: int, model: Path, tiles: Path, command_here: Command
):
    done = command_here("eurosat-classify", files_of(tiles)[0], "--model", model, "--top", top)
    first, row = done.stdout.splitlines()
    assert first.split() == ["Image", "Class", "Confidence", *heading]
    assert row.count("%") == 1 + others


@pytest.mark.parametrize(
    ("width", "has_bars", "has_others"),
    [(120, True, True), (76, False, True), (54, False, False), (44, False, False)],
)
def test_a_narrow_terminal_shows_less_of_each_answer_and_squeezes_none(
    width: int,
    has_bars: bool,
    has_others: bool,
    tiles: Path,
    tmp_path: Path,
    command_here: Command,
    monkeypatch: pytest.MonkeyPatch,
):
    for source, name in zip(files_of(tiles), ("lake_of_spring.jpg", "wood.jpg"), strict=False):
        shutil.copy(source, tmp_path / name)
    (tmp_path / "zzz.jpg").write_text("no image")
    monkeypatch.setattr(output, "width", width)
    done = command_here("eurosat-classify", "lake_of_spring.jpg", "wood.jpg", "zzz.jpg")
    heading, *rows = done.stdout.splitlines()
    assert max(map(len, [heading, *rows])) <= width
    assert ("Runner-up" in heading) == has_others
    assert len(rows) == 3, "an answer is squeezed into several lines"
    for row, name in zip(rows[:2], ("lake_of_spring.jpg", "wood.jpg"), strict=True):
        assert row.split()[:2] == [name, "Forest"]
        assert row.count("%") == 1 + has_others
        assert ("█" in row) == has_bars


def test_csv_reads_back(
    model: Path, mixed: Path, classifier: Classifier, tmp_path: Path, command_here: Command
):
    awkward = mixed / 'd, "e".jpg'
    awkward.write_bytes((mixed / "a.jpg").read_bytes())
    done = command_here("eurosat-classify", mixed, "--model", model, "--csv", "out/table.csv")
    assert done.returncode == 1
    with (tmp_path / "out" / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("path", "class", "confidence", "unsure", "runner_up"),
        *classifier.class_names,
        "error",
    ]
    assert [row["path"] for row in rows] == [str(path) for path in files_of(mixed)]
    for row in rows:
        if row["path"].endswith("b.jpg"):
            assert "b.jpg" in row.pop("error")
            assert set(row.pop("path")) and set(row.values()) == {""}
            continue
        expected = classifier.classify(row["path"])
        assert row["error"] == ""
        assert row["class"] == expected.label
        assert row["runner_up"] == expected.runner_up
        assert float(row["confidence"]) == expected.confidence
        shares = [np.float32(row[name]) for name in classifier.class_names]
        np.testing.assert_array_equal(shares, expected.probabilities)


def test_a_picture_shows_each_image_beside_what_decided(
    mixed: Path, tmp_path: Path, command_here: Command
):
    done = command_here("eurosat-classify", mixed, "--explain", "out/why.png")
    assert done.returncode == 1, "one of the three images is bad"
    with Image.open(tmp_path / "out" / "why.png") as picture:
        drawn = np.asarray(picture)
    first, second = np.split(drawn, 2, axis=1)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[-28:], second[-28:]), "the names are missing"
    for part in (first, second):
        plain, heated = np.split(part[:256], 2, axis=1)
        assert not np.array_equal(plain[12:], heated[12:]), "the heat map is missing"


def test_a_picture_that_leaves_images_out_says_so(
    tiles: Path, tmp_path: Path, command_here: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cli, "MOST_EXPLAINED", 2)  # Each of them takes a while.
    told = "Warning: The picture shows the first 2 of 3 images.\n"
    images = files_of(tiles)[:3]
    done = command_here("eurosat-classify", *images, "--explain", "why.png")
    assert (done.returncode, done.stderr) == (0, told)
    done = command_here("eurosat-classify", *images[:2], "--explain", "why.png")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_picture_that_cannot_be_written_is_told(
    tiles: Path, tmp_path: Path, command_here: Command
):
    (tmp_path / "file").write_text("in the way")
    done = command_here(
        "eurosat-classify", files_of(tiles)[0], "--explain", tmp_path / "file" / "why.png"
    )
    assert_refused(done, "file/why.png cannot be written")


def test_a_csv_file_that_cannot_be_written_is_told(
    model: Path, tiles: Path, tmp_path: Path, command_here: Command
):
    (tmp_path / "file").write_text("in the way")
    done = command_here(
        "eurosat-classify", tiles, "--model", model, "--csv", tmp_path / "file" / "table.csv"
    )
    assert_refused(done, "file/table.csv cannot be written")


@pytest.mark.parametrize("options", [["--csv"], ["--explain"]])
def test_a_folder_in_the_place_of_a_file_is_told_before_the_work(
    options: list[str], tiles: Path, tmp_path: Path, command_here: Command
):
    (tmp_path / "out.png").mkdir()
    done = command_here("eurosat-classify", tiles, *options, "out.png")
    assert_refused(done, "out.png cannot be written: Is a directory")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has this device")
@pytest.mark.parametrize("options", [[], ["--json"], ["--help"]])
def test_a_full_disk_behind_the_output_is_told(
    options: list[str], model: Path, tiles: Path, command_line: Callable[..., list[str]]
):
    line = command_line("eurosat-classify", tiles, "--model", model, *options)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "Error: The results cannot be written, as the disk is full: make room.\n"


def test_a_csv_file_on_a_full_disk_is_told_and_leaves_nothing(
    model: Path,
    small_archive: Path,
    tmp_path: Path,
    tiny_disk: Callable[[list[str]], CompletedProcess[str]],
    command_line: Callable[..., list[str]],
):
    with zipfile.ZipFile(small_archive) as archive:
        name = archive.namelist()[0]
        for number in range(400):
            (tmp_path / f"{number}-{'long' * 50}.jpg").write_bytes(archive.read(name))
    done = tiny_disk(
        command_line("eurosat-classify", tmp_path, "--model", model, "--csv", "/mnt/table.csv")
    )
    assert done.returncode == 2
    assert done.stderr == "Error: /mnt/table.csv cannot be written: No space left on device.\n"
    *answers, tally, on_disk = done.stdout.splitlines()
    assert sum("%" in answer for answer in answers) == 400, "the answers are lost"
    assert tally.startswith("400 images")
    assert on_disk == "/mnt"


def test_one_bad_file_does_not_stop_the_rest(model: Path, mixed: Path, command: Command):
    done = command("eurosat-classify", mixed, "--model", model)
    assert done.returncode == 1
    _, first, bad, last = done.stdout.splitlines()
    assert "%" in first
    assert "%" in last
    assert bad.split() == [str(mixed / "b.jpg"), "unreadable"]
    assert re.fullmatch(r"Error: .*b\.jpg .+\.\n", done.stderr)


def test_json_tells_of_a_bad_file_too(model: Path, mixed: Path, command_here: Command):
    done = command_here("eurosat-classify", mixed, "--model", model, "--json")
    assert done.returncode == 1
    first, bad, last = answers_in(done)
    assert {"path", "class", "confidence", "unsure", "top"} == set(first) == set(last)
    assert set(bad) == {"path", "error"}
    assert done.stderr == f"Error: {bad['error']}\n"


def test_a_folder_that_may_not_be_searched_does_not_stop_the_rest(
    tiles: Path, tmp_path: Path, command_here: Command, lock_folder: Callable[[Path], None]
):
    shutil.copytree(tiles, tmp_path / "disk")
    locked = tmp_path / "disk" / "lost+found"
    locked.mkdir()
    lock_folder(locked)
    done = command_here("eurosat-classify", tmp_path / "disk", "--json")
    assert done.returncode == 1
    assert len(answers_in(done)) == 12
    told = f"{locked} cannot be searched and was left out: check its permissions."
    assert done.stderr == f"Error: {told}\n"
    assert_refused(command_here("eurosat-classify", locked), str(locked), "cannot be searched")


def test_nothing_but_a_folder_that_may_not_be_searched_is_a_refusal(
    tmp_path: Path, command_here: Command, lock_folder: Callable[[Path], None]
):
    (tmp_path / "disk" / "lost+found").mkdir(parents=True)
    lock_folder(tmp_path / "disk" / "lost+found")
    done = command_here("eurosat-classify", tmp_path / "disk")
    assert_refused(done, str(tmp_path / "disk" / "lost+found"), "cannot be searched")


def test_nothing_but_bad_files_is_a_refusal(model: Path, mixed: Path, command_here: Command):
    (mixed / "a.jpg").unlink()
    (mixed / "c.jpg").write_bytes(b"")
    done = command_here("eurosat-classify", mixed, mixed / "absent.png", "--model", model, "--json")
    assert done.returncode == 2
    assert [set(answer) for answer in answers_in(done)] == [{"path", "error"}] * 3
    assert len(done.stderr.splitlines()) == 3
    assert all(line.startswith("Error: ") for line in done.stderr.splitlines())


def test_no_images_at_all_is_told(model: Path, tmp_path: Path, command_here: Command):
    (tmp_path / "empty").mkdir()
    done = command_here("eurosat-classify", "empty", "--model", model)
    assert_refused(done, "There are no images in empty.")
    many = [tmp_path / f"empty{number}" for number in range(150)]
    for folder in many:
        folder.mkdir()
    done = command_here("eurosat-classify", *many, "--model", model)
    assert_refused(done, f"There are no images in {many[0]} and 149 more.")


def test_an_unknown_model_is_told_with_the_names_of_the_shipped_ones(tiles: Path, command: Command):
    done = command("eurosat-classify", tiles, "--model", "resnet-int8")
    assert_refused(done, "No model is called 'resnet-int8'", *shipped_model_names())


def test_a_model_file_that_is_missing_or_none_is_told(
    tiles: Path, tmp_path: Path, command_here: Command
):
    for name in ("absent.tflite", "folder/absent"):
        assert_refused(
            command_here("eurosat-classify", tiles, "--model", name), name, "does not exist"
        )
    (tmp_path / "text.tflite").write_text("no model, but some text")
    assert_refused(
        command_here("eurosat-classify", tiles, "--model", "text.tflite"), "is not a TFLite model"
    )


@pytest.mark.parametrize("options", [["--top", "0"], ["--threads", "0"], ["--depth"]])
def test_bad_options_are_refused(options: list[str], model: Path, tiles: Path, command: Command):
    done = command("eurosat-classify", tiles, "--model", model, *options)
    assert done.returncode == 2
    assert options[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_argument_is_refused_and_not_taken_for_the_current_folder(
    tiles: Path, tmp_path: Path, command_here: Command
):
    image = shutil.copy(files_of(tiles)[0], tmp_path)
    assert_refused(command_here("eurosat-classify", ""), "PATH is empty", "name a file")
    assert_refused(command_here("eurosat-classify", image, ""), "PATH is empty")
    for option, told in (
        ("--csv", "--csv is empty"),
        ("--explain", "--explain is empty"),
        ("--model", "No model is called ''"),
    ):
        assert_refused(command_here("eurosat-classify", image, option, ""), told)
    assert list(tmp_path.iterdir()) == [Path(image)]


def test_threads_change_nothing(model: Path, tiles: Path, command_here: Command):
    outputs = {
        command_here("eurosat-classify", tiles, "--model", model, "--threads", count).stdout
        for count in (1, 2, 5)
    }
    assert len(outputs) == 1


def test_a_name_with_square_brackets_is_shown_as_it_is(
    model: Path, mixed: Path, command_here: Command
):
    good, bad = mixed / "[red]a[", mixed / "[bold]b["
    for folder, file in ((good, "a.jpg"), (bad, "b.jpg")):
        folder.mkdir()
        (mixed / file).rename(folder / "red].jpg")
    done = command_here("eurosat-classify", good, bad, "--model", model)
    assert done.returncode == 1
    assert f"{good}/red].jpg " in done.stdout
    assert f"{bad}/red].jpg " in done.stdout
    assert f"{bad}/red].jpg " in done.stderr


def test_a_class_with_square_brackets_is_counted_under_its_name(
    model: Path, tiles: Path, tmp_path: Path, command_here: Command
):
    file = read_model_file(model)
    assert file.metadata is not None
    names = tuple(f"{name} [open]" for name in file.labels)
    write_model_file(
        tmp_path / "own.tflite", file.flatbuffer, replace(file.metadata, class_names=names)
    )
    done = command_here("eurosat-classify", tiles, "--model", tmp_path / "own.tflite")
    *_, last = done.stdout.splitlines()
    counted = dict(re.findall(r"(\w+ \[open\]) (\d+)", last))
    assert set(counted) <= set(names)
    assert sum(map(int, counted.values())) == 12


@pytest.mark.parametrize("form", [[], ["--json", "--top", "10"]])
def test_a_reader_that_has_seen_enough_causes_no_traceback(
    form: list[str],
    model: Path,
    tiles: Path,
    tmp_path: Path,
    command_line: Callable[..., list[str]],
):
    process = subprocess.Popen(
        command_line("eurosat-classify", tiles, "--model", model, *form),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # Long before the first answer.
    with process.stderr as stream:
        assert stream.read() == ""
    assert process.wait() in {0, 1}


@pytest.mark.skipif(sys.platform == "win32", reason="needs a Unix shell")
def test_the_first_line_can_be_taken_by_head(
    model: Path, tiles: Path, tmp_path: Path, command_line: Callable[..., list[str]]
):
    done = subprocess.run(
        [
            "sh",
            "-c",
            '"$@" | head -1',
            "sh",
            *command_line("eurosat-classify", tiles, "--model", model),
        ],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.split() == ["Image", "Class", "Confidence", "Runner-up"]
    assert done.stderr == ""


def test_a_tile_of_another_size_is_taken_too(model: Path, tmp_path: Path, command_here: Command):
    Image.new("RGB", (200, 90), "blue").save(tmp_path / "blue.png")
    done = command_here("eurosat-classify", "blue.png", "--model", model, "--json")
    assert done.returncode == 0
    (answer,) = answers_in(done)
    assert answer["path"] == "blue.png"
    assert 0.1 <= answer["confidence"] <= 1


@pytest.mark.parametrize("option", ["--csv", "--explain"])
def test_what_is_read_is_never_written_to(
    model: Path, tiles: Path, tmp_path: Path, command: Command, option: str
):
    image, copy = tmp_path / "a.jpg", tmp_path / "model.tflite"
    image.write_bytes(files_of(tiles)[0].read_bytes())
    copy.write_bytes(model.read_bytes())
    before = image.read_bytes(), copy.read_bytes()
    (tmp_path / "link").symlink_to(image)
    for target in (image, tmp_path / "link", copy):
        done = command("eurosat-classify", image, "--model", copy, option, target)
        assert_refused(done, target.name, "name another file")
    assert (image.read_bytes(), copy.read_bytes()) == before
    both = tmp_path / "both"
    done = command("eurosat-classify", image, "--model", copy, "--csv", both, "--explain", both)
    assert_refused(done, "both")
    assert not both.exists()


def test_a_picture_is_written_under_the_name_of_one(
    tiles: Path, tmp_path: Path, command_here: Command
):
    for name in ("why.jpg", "why", "why.png.txt"):
        done = command_here("eurosat-classify", tiles, "--explain", name)
        assert_refused(done, f"{name} ", "PNG", "ends in .png")
    assert list(tmp_path.iterdir()) == []
    done = command_here("eurosat-classify", files_of(tiles)[0], "--explain", "WHY.PNG")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "WHY.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_device_is_not_replaced_by_a_file(
    model: Path, tiles: Path, tmp_path: Path, command: Command
):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = command("eurosat-classify", files_of(tiles)[0], "--model", model, "--csv", pipe)
    assert_refused(done, "pipe cannot be written: it is a device or a pipe")
    assert pipe.is_fifo()


def test_a_console_that_knows_few_letters_gets_other_bars(
    model: Path, tiles: Path, command: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    done = command("eurosat-classify", files_of(tiles / "Forest")[0], "--model", model)
    assert done.returncode == 0, done.stderr
    assert "####" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells its colours otherwise")
@pytest.mark.parametrize(
    ("terminal", "escape"), [("xterm", ""), ("xterm-256color", "\x1b[38;5;22m")]
)
def test_a_terminal_of_few_colours_gets_bars_without_them(
    terminal: str, escape: str, tiles: Path, command: Command
):
    image = files_of(tiles / "Forest")[0]
    colours = {"FORCE_COLOR": "1", "TERM": terminal, "COLORTERM": "", "NO_COLOR": ""}
    done = command("eurosat-classify", image, **colours)
    assert done.returncode == 0, done.stderr
    assert f"  {escape}████" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locale")
def test_a_letter_that_the_locale_does_not_know_is_written_in_numbers(
    model: Path, tiles: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
):
    for name, value in (("LC_ALL", "C"), ("PYTHONCOERCECLOCALE", "0"), ("PYTHONUTF8", "0")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    image = shutil.copy(files_of(tiles)[0], tmp_path / "wald_grün.jpg")
    done = command("eurosat-classify", image, "--model", model)
    assert done.returncode == 0, done.stderr
    assert "wald_gr" in done.stdout
    assert done.stderr == ""


def test_without_standard_output_nothing_breaks(model: Path, tiles: Path, tmp_path: Path):
    table = tmp_path / "table.csv"
    words = [Path(sys.executable).with_name("eurosat-classify"), files_of(tiles)[0]]
    words += ["--model", model, "--csv", table]
    done = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join(map(str, words))} >&-"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(table.read_text().splitlines()) == 2
