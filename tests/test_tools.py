"""What stands beside the product: a tool tells about itself before it does anything."""

import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from .commands import assert_refused

ROOT = Path(__file__).resolve().parent.parent


def run_file(name: str, *arguments: str, folder: Path) -> CompletedProcess[str]:
    """Run a file of the repository as its description says, in an empty folder."""
    return subprocess.run(
        [sys.executable, ROOT / name, *arguments],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    "name",
    [
        "tools/check_metadata_with_mediapipe.py",
        "tools/constraints.py",
        "tools/demo.py",
        "tools/drawn_tiles.py",
        "tools/gpu/train.py",
        "tools/readme_picture.py",
        "benchmarks/map_accuracy.py",
        "benchmarks/map_water.py",
        "benchmarks/views.py",
    ],
)
def test_help_tells_and_does_nothing(tmp_path: Path, name: str) -> None:
    done = run_file(name, "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {Path(name).name}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["map_accuracy.py", "map_water.py", "views.py"])
def test_a_benchmark_of_nothing_is_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    arguments = ["nope"] * (2 if name == "map_water.py" else 1)
    assert_refused(run_file(f"benchmarks/{name}", *arguments, folder=tmp_path), "nope")


def test_the_benchmark_of_water_wants_a_map(tmp_path: Path) -> None:
    done = run_file("benchmarks/map_water.py", "scene.tif", folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
