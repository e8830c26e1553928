"""The command `eurosat-gui` as a user starts it, each time as a process of its own."""

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from .conftest import assert_one_sentence


def gui(*arguments: object, folder: Path, **changes: str | None) -> CompletedProcess[str]:
    """Run the command in a folder, with other variables of the environment, or without some."""
    environment = {**os.environ, **{name: value for name, value in changes.items() if value}}
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
    return _run(folder, environment, "-m", "eurosat.gui", *map(str, arguments))


def ran(folder: Path, code: str, *arguments: str) -> CompletedProcess[str]:
    """Run some code in a folder, without a screen and with settings of its own."""
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(folder)}
    return _run(folder, environment, "-c", code, *arguments)


def _run(folder: Path, environment: dict[str, str], *arguments: str) -> CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )


def test_help_and_version_need_no_screen_and_no_qt(tmp_path: Path):
    blocked = tmp_path / "PySide6.py"
    blocked.write_text("raise ImportError('no Qt here', name='PySide6')")
    no_screen = dict.fromkeys(("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
    shown = gui("--help", folder=tmp_path, **no_screen, PYTHONPATH=str(tmp_path))
    assert shown.returncode == 0, shown.stderr
    assert "--reset-settings" in shown.stdout
    assert "PATH" in shown.stdout
    shown = gui("--version", folder=tmp_path, **no_screen, PYTHONPATH=str(tmp_path))
    assert shown.returncode == 0
    assert shown.stdout == f"EuroSAT Edge {version('eurosat-edge')}\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can lack a screen")
def test_without_a_screen_one_sentence_says_so(tmp_path: Path):
    done = gui(folder=tmp_path, DISPLAY=None, WAYLAND_DISPLAY=None, QT_QPA_PLATFORM=None)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: The desktop app needs a screen")
    assert "eurosat-classify" in line
    assert_one_sentence(line.removeprefix("Error: "))


def test_without_qt_one_sentence_says_what_to_install(tmp_path: Path):
    (tmp_path / "PySide6.py").write_text("raise ImportError('no Qt here', name='PySide6')")
    done = gui(folder=tmp_path, PYTHONPATH=str(tmp_path), QT_QPA_PLATFORM="offscreen")
    assert done.returncode == 2
    assert done.stderr == "Error: Qt is not installed: run `pip install 'eurosat-edge[gui]'`.\n"


def test_an_unknown_option_is_refused(tmp_path: Path):
    done = gui("--depth", folder=tmp_path)
    assert done.returncode == 2
    assert "--depth" in done.stderr
    assert "Traceback" not in done.stderr


CLOSES_AT_ONCE = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from eurosat.gui import __main__, app
start = app.start
def start_and_close(*arguments):
    started = start(*arguments)
    QTimer.singleShot(0, started.closeAllWindows)
    return started
app.start = start_and_close
sys.exit(__main__.main())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="settings lie elsewhere")
def test_reset_settings_forgets_what_was_chosen(tmp_path: Path):
    file = tmp_path / "EuroSAT Edge" / "eurosat-edge.ini"
    file.parent.mkdir()
    chosen = "[General]\ntheme=dark\nfixed_order=true\nfolder=/\n"
    file.write_text(chosen)

    def start(*options: str) -> str:
        done = ran(tmp_path, CLOSES_AT_ONCE, *options)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return file.read_text()

    assert "theme=dark" in start()
    kept = start("--reset-settings")
    assert "theme" not in kept
    assert "fixed_order" not in kept
    assert "[layout]" in kept, "what the window looked like is remembered from now on"


def test_the_libraries_of_scenes_are_not_loaded_before_a_scene_is_opened(tmp_path: Path):
    code = CLOSES_AT_ONCE.replace(
        "sys.exit(__main__.main())",
        "__main__.main(); print([name for name in ('rasterio', 'affine') if name in sys.modules])",
    )
    done = ran(tmp_path, code)
    assert done.stdout.strip() == "[]", done.stderr


INTERRUPTED_AT = """
import signal, sys
from eurosat.gui import __main__, app, main_window, screen, settings
def interrupt(*_, **__):
    signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
{place} = interrupt
sys.exit(__main__.main())
"""


@pytest.mark.parametrize(
    "place",
    [
        "__main__._options",
        "screen.obstacle",
        "settings.Settings.__init__",
        "app.start",
        "main_window.ImagesPage.__init__",
        "main_window.MainWindow.open_paths",
    ],
)
def test_ctrl_c_before_the_window_is_there_ends_the_app_without_a_word(place: str, tmp_path: Path):
    done = ran(tmp_path, INTERRUPTED_AT.format(place=place))
    # The screen of the tests has its own word about windows.
    said = [line for line in done.stderr.splitlines() if "plugin does not support" not in line]
    assert (done.returncode, done.stdout, said) == (130, "", [])


TELLS_WHEN_IDLE = """
import signal, sys
from PySide6.QtCore import QTimer
from eurosat.gui import __main__, app
start = app.start
def start_and_tell(*arguments):
    started = start(*arguments)
    QTimer.singleShot(500, lambda: print("idle", flush=True))
    return started
app.start = start_and_tell
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(__main__.main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be sent Ctrl-C alone")
def test_ctrl_c_ends_a_window_in_which_nothing_happens(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", TELLS_WHEN_IDLE],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_CONFIG_HOME": str(tmp_path)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as app:
        assert app.stdout is not None
        assert app.stdout.readline() == "idle\n"
        app.send_signal(signal.SIGINT)
        try:
            _, said = app.communicate(timeout=20)
        finally:
            app.kill()
    assert app.returncode == 0
    assert "Traceback" not in said
    assert (tmp_path / "EuroSAT Edge" / "eurosat-edge.ini").exists(), "as if it had been closed"


WOKEN_FOR_NOTHING = """
import signal, sys
from PySide6.QtCore import QCoreApplication, QEvent, QSocketNotifier
from eurosat.gui.app import InterruptListener
signal.signal(signal.SIGINT, signal.default_int_handler)
app = QCoreApplication(sys.argv)
listener = InterruptListener()
listener.came.connect(lambda: print("came"))
(notifier,) = listener.findChildren(QSocketNotifier)
app.sendEvent(notifier, QEvent(QEvent.Type.SockAct))
print("nothing yet")
signal.raise_signal(signal.SIGINT)
app.processEvents()
"""


def test_being_woken_for_nothing_is_neither_an_error_nor_ctrl_c(tmp_path: Path):
    done = ran(tmp_path, WOKEN_FOR_NOTHING)
    assert (done.stdout.split("\n"), done.stderr) == (["nothing yet", "came", ""], "")
