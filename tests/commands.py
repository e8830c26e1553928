"""What tests of commands share: how a command is called, and how it refuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

Command = Callable[..., CompletedProcess[str]]
"""Runs a program with its arguments, see the fixtures `command` and `command_here`."""


def assert_refused(done: CompletedProcess[str], *parts: str) -> None:
    """The command ends with status 2 and one line on standard error that holds all the parts."""
    assert re.fullmatch(r"Error: .+\.\n", done.stderr), done.stderr
    assert_refused_at_last(done, *parts)


def assert_refused_at_last(done: CompletedProcess[str], *parts: str) -> None:
    """As `assert_refused`, behind notes on what was done before."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    *_, last = done.stderr.splitlines()
    assert re.fullmatch(r"Error: .+\.", last), done.stderr
    assert done.stderr.count("Error") == 1
    for part in parts:
        assert part in last


def read_json(path: Path) -> Any:
    """Return what is in a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
