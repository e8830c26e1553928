"""Ctrl-C while a command is still loading: it ends with an interrupt's status, without noise."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

CommandLine = Callable[..., list[str]]

INTERRUPTER = """
import signal, sys
class Interrupter:
    def find_spec(self, name, *_):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupter())
signal.signal(signal.SIGINT, signal.{before})
"""
"""Sends the process a Ctrl-C at the moment at which it looks for a module."""


def interrupted(
    line: list[str], module: str, folder: Path, before: str = "default_int_handler"
) -> CompletedProcess[str]:
    python, option, code, *arguments = line
    interrupter = INTERRUPTER.format(module=module, before=before)
    return subprocess.run(
        [python, option, interrupter + code, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize(
    ("program", "module"),
    [
        *((f"eurosat-{name}", "typer") for name in ("train", "evaluate", "tune", "compare")),
        *((f"eurosat-{name}", "typer") for name in ("convert", "classify", "benchmark", "map")),
        ("eurosat-classify", "numpy"),
        ("eurosat-gui", "argparse"),
        ("eurosat-gui", "PySide6.QtWidgets"),
    ],
)
def test_ctrl_c_at_the_start_ends_a_command_without_a_word(
    program: str, module: str, command_line: CommandLine, tmp_path: Path
):
    if program == "eurosat-gui" and module != "argparse":
        pytest.importorskip("PySide6")
    done = interrupted(command_line(program), module, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_ctrl_c_while_tensorflow_loads_ends_a_command_with_nothing_written(
    small_archive: Path, command_line: CommandLine, tmp_path: Path
):
    line = command_line("eurosat-train", "cnn", "--data", small_archive, "--out", "run")
    done = interrupted(line, "tensorflow.python", tmp_path)
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[0] == "400 tiles in 10 classes"
    assert done.stderr.splitlines()[-1] == "Groups of equal tiles across classes: 0"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no job is deaf to Ctrl-C there")
def test_a_job_that_is_deaf_to_ctrl_c_stays_so(command_line: CommandLine, tmp_path: Path):
    done = interrupted(command_line("eurosat-benchmark", "--help"), "typer", tmp_path, "SIG_IGN")
    assert done.returncode == 0
    assert "Usage:" in done.stdout
