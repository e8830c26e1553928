"""What all commands share: the bar that shows how far they are."""

import io

import pytest
from rich.console import Console

from eurosat import console


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
