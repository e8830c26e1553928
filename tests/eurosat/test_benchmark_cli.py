"""`eurosat-benchmark`: a table of what a model takes here, and of what it costs anywhere."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eurosat import benchmark_cli
from eurosat.benchmark import Speed, measure_first_answer
from eurosat.cores import usable_cores
from eurosat.errors import ModelFileError
from eurosat.model_file import shipped_model_path

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
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert [row["threads"] for row in rows] == list(range(1, usable_cores() + 1))
    for row in rows:
        assert 0 < row["ms_one_tile"] <= row["ms_at_most_in_95%"]
        assert row["tiles_a_second"] > 0
        assert row["first_answer_s"] > row["ms_one_tile"] / 1000
        assert 20 < row["memory_MB"] < 1000


def test_tiles_a_second_are_those_of_a_batch() -> None:
    speed = Speed(threads=1, single_ms=1, slow_single_ms=1, batch_ms=4)
    assert speed.tiles_per_second == 250


def test_arithmetic_of_all_that_shipped_is_counted_without_running_it(command: Command) -> None:
    done = command("eurosat-benchmark", "--arithmetic")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        *("model", "cnn-int8", "mobilenet-int8")
    ]
    assert done.stderr == ""


def test_names_that_look_like_markup_stay_as_they_are(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "b[" / "]x.tflite"
    path.parent.mkdir()
    shutil.copyfile(shipped_model_path("cnn-int8"), path)
    done = command("eurosat-benchmark", "--arithmetic", "b[/]x.tflite")
    assert done.returncode == 0, done.stderr
    assert "b[/]x.tflite" in done.stdout


def test_memory_is_that_of_the_new_process_alone() -> None:
    ballast = np.ones(50_000_000)  # 400 MB
    seconds, memory = measure_first_answer(shipped_model_path("cnn-int8"))
    assert seconds > 0
    assert memory is None or 20e6 < memory < 300e6
    assert ballast.sum() == 50_000_000


def test_what_lies_in_the_folder_is_not_run(tmp_path: Path) -> None:
    for name in ("json.py", "numpy.py", "eurosat.py"):
        (tmp_path / name).write_text("raise SystemExit(7)\n")
    path = shipped_model_path("cnn-int8")
    code = "from pathlib import Path; from eurosat.benchmark import measure_first_answer as measure"
    line = [sys.executable, "-P", "-c", f"{code}; print(measure(Path({str(path)!r}))[0] > 0)"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


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
    (told,) = done.stderr.splitlines()
    assert told.startswith("Error: ")
    assert "damaged.tflite" in told


def test_where_no_model_ships_one_is_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_cli, "shipped_model_names", list[str])
    with pytest.raises(ModelFileError, match="name a model file"):
        benchmark_cli.benchmark()


def test_what_is_no_model_is_told_before_another_is_measured(
    command: Command, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(b"no model")
    for bad in ("resnet", damaged):
        done = command("eurosat-benchmark", "cnn-int8", bad)
        assert done.returncode == 2
        (told,) = done.stderr.splitlines()
        assert told.startswith("Error: ")
        assert Path(bad).name in told
