"""Answers as files: what is written reads back, and what cannot be written is one sentence."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eurosat.classifier import Prediction
from eurosat.errors import EurosatError, ImageError
from eurosat.results import Answer, to_json, write_csv, write_json

from .conftest import assert_one_sentence

NAMES = ("Barley", "Oat", "Rye")
AWKWARD = 'a, "b"\nc/é.jpg'
NOT_UNICODE = "tile\udcff.jpg"


def answers() -> list[Answer]:
    probabilities = np.array([0.25, 0.625, 0.125], np.float32)
    prediction = Prediction(NAMES, probabilities, (8, 8), unsure_below=0.5)
    unsure = Prediction(NAMES, probabilities, (8, 8), unsure_below=0.75)
    return [
        (Path("a.jpg"), prediction),
        (AWKWARD, unsure),
        ("Pasted image 1", ImageError("It is damaged.")),
        (NOT_UNICODE, prediction),
    ]


def csv_to(path: Path) -> None:
    write_csv(path, NAMES, answers())


def json_to(path: Path) -> None:
    write_json(path, answers(), top=2)


def test_json_reads_back(tmp_path: Path):
    path = tmp_path / "new folder" / "answers.json"
    json_to(path)
    text = path.read_text(encoding="utf-8")
    assert text == to_json(answers(), 2) + "\n"
    first, second, third, fourth = json.loads(text)
    assert first == {
        "path": "a.jpg",
        "class": "Oat",
        "confidence": 0.625,
        "unsure": False,
        "top": [{"class": "Oat", "confidence": 0.625}, {"class": "Barley", "confidence": 0.25}],
    }
    assert (second["path"], second["unsure"]) == (AWKWARD, True)
    assert third == {"path": "Pasted image 1", "error": "It is damaged."}
    assert fourth["path"] == NOT_UNICODE


def test_csv_reads_back(tmp_path: Path):
    path = tmp_path / "new folder" / "answers.csv"
    csv_to(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = ["path", "class", "confidence", "unsure", "runner_up", *NAMES, "error"]
    assert list(rows[0]) == columns
    assert [row["unsure"] for row in rows] == ["False", "True", "", "False"]
    assert [row["path"] for row in rows[:3]] == ["a.jpg", AWKWARD, "Pasted image 1"]
    assert [rows[0][name] for name in NAMES] == ["0.25", "0.625", "0.125"]
    assert set(rows[2].values()) == {"Pasted image 1", "", "It is damaged."}
    assert rows[3]["path"] == r"tile\udcff.jpg"


def test_no_answers_are_written_too(tmp_path: Path):
    write_csv(tmp_path / "a.csv", NAMES, [])
    write_json(tmp_path / "a.json", [], top=1)
    assert len((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()) == 1
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("write", [csv_to, json_to])
def test_a_path_that_cannot_be_written_is_one_sentence(
    write: Callable[[Path], None], tmp_path: Path
):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").touch()
    for path in (tmp_path / "file" / "out", tmp_path / "folder", tmp_path / ("long" * 100)):
        with pytest.raises(EurosatError) as refused:
            write(path)
        assert_one_sentence(refused.value)
        assert str(path) in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("write", [csv_to, json_to])
def test_an_older_file_is_replaced_whole(write: Callable[[Path], None], tmp_path: Path):
    path = tmp_path / "out"
    path.write_text("x" * 100_000)
    write(path)
    assert "x" not in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]
