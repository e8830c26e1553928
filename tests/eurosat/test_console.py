"""What all commands share: the bar that shows how far they are, and which version they are."""

import io
from importlib.metadata import version

import pytest
from rich.console import Console

from eurosat import console

from ..commands import Command


def test_the_time_left_is_shown_however_slow_the_steps_are(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    now = 0.0
    shown = io.StringIO()
    terminal = Console(file=shown, force_terminal=True, width=100, get_time=lambda: now)
    monkeypatch.setattr(console, "notes", terminal)
    with console.progress_bar("Mapping") as progress:
        for done in range(4):
            progress(done, 10)
            now += 60
    assert "0:07:00" in shown.getvalue()


@pytest.mark.parametrize(
    "name",
    ["train", "tune", "evaluate", "compare", "convert", "classify", "benchmark", "map", "gui"],
)
def test_every_command_tells_its_version_at_once(name: str, command: Command):
    done = command(f"eurosat-{name}", "--version", PYTHONPROFILEIMPORTTIME="1")
    assert (done.returncode, done.stdout) == (0, f"EuroSAT Edge {version('eurosat-edge')}\n")
    assert "typer" not in done.stderr, "more is loaded than it takes"
    if name != "gui":
        assert "--version" in command(f"eurosat-{name}", "--help").stdout


def test_a_word_that_is_no_choice_is_told_plainly(command: Command):
    done = command("eurosat-map", "scene.tif", "--out", "maps", "--input", "L1C")
    assert done.returncode == 2
    assert "Invalid value for '--input': 'L1C' is not one of 'auto', " in done.stderr
