"""`eurosat-benchmark`: a table of what a model takes here, and of what it costs anywhere."""

import json
from pathlib import Path

from eurosat.classifier import usable_cores

from ..commands import Command


def test_the_table_has_a_row_for_each_number_of_threads(command: Command) -> None:
    done = command("eurosat-benchmark", "cnn-int8")
    assert done.returncode == 0
    heading, *rows = done.stdout.splitlines()
    assert "tiles a second" in heading
    assert [row.split()[:2] for row in rows] == [
        ["cnn-int8", str(threads)] for threads in range(1, usable_cores() + 1)
    ]


def test_json_holds_figures_that_agree_with_each_other(command: Command) -> None:
    done = command("eurosat-benchmark", "cnn-int8", "--json")
    for row in json.loads(done.stdout):
        assert 0 < row["ms_one_tile"] <= row["ms_at_most_in_95%"]
        assert row["tiles_a_second"] > 0
        assert row["first_answer_s"] > row["ms_one_tile"] / 1000
        assert 20 < row["memory_MB"] < 1000


def test_arithmetic_of_all_that_shipped_is_counted_without_running_it(command: Command) -> None:
    done = command("eurosat-benchmark", "--arithmetic")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        *("model", "cnn-int8", "mobilenet-int8")
    ]
    assert done.stderr == ""


def test_an_unknown_model_is_told(command: Command) -> None:
    done = command("eurosat-benchmark", "resnet")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: No model is called 'resnet': there is cnn-int8")
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_model_is_told(command: Command, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(b"no model")
    done = command("eurosat-benchmark", str(damaged))
    assert done.returncode == 2
    told = done.stderr.splitlines()[-1]
    assert told.startswith("Error: ")
    assert "damaged.tflite" in told
    assert "Traceback" not in done.stderr
