"""How long the window of the desktop app is deaf at most, while it opens a large folder.

Run it as `python benchmarks/app_stall.py [COUNT]`, on a screen or with QT_QPA_PLATFORM=offscreen.
It makes COUNT images (5,000 by default), opens them, and while they are classified and afterwards
does what a user does. A timer that should fire every few milliseconds tells for how long the event
loop was busy with one thing.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image
from PySide6.QtCore import QEventLoop, QSettings, Qt, QTimer

from eurosat.gui.app import start
from eurosat.gui.main_window import MainWindow
from eurosat.gui.settings import Settings
from eurosat.gui.workspace import Column

IMAGES_IN_A_FOLDER = 1000
BEAT_MS = 4


class Heartbeat:
    """Beats regularly, if the event loop has time, and keeps the longest pause."""

    def __init__(self) -> None:
        """Begin to beat."""
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)
        self.restart()

    def restart(self) -> None:
        """Forget the pauses before."""
        self._last = perf_counter()
        self.longest = 0.0

    def _beat(self) -> None:
        now = perf_counter()
        self.longest = max(self.longest, now - self._last)
        self._last = now


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if sys.argv[1:] else 5000
    with tempfile.TemporaryDirectory() as folder:
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        images = Path(folder) / "images"
        _make_images(images, count)
        _measure(images, count)


def _measure(images: Path, count: int) -> None:
    settings = Settings()
    app = start(sys.argv[:1], settings)
    window = MainWindow(settings)
    window.show()
    wait_until(lambda: window.session.classifier is not None)
    pause(1000)  # The window is painted for the first time.
    heartbeat = Heartbeat()

    def report(name: str) -> None:
        pause(300)
        print(f"{name:<44}{1000 * heartbeat.longest:6.0f} ms")
        heartbeat.restart()

    started = perf_counter()
    window.open_paths([images])
    wait_until(lambda: len(window.session.workspace.items) == count)
    report(f"{count:,} images found")
    table = window.table
    bar = table.verticalScrollBar()
    for step in range(20):
        bar.setValue(bar.maximum() * step // 20)
        pause(50)
    report("scrolled through while classifying")
    wait_until(lambda: not window.session.is_busy)
    seconds = perf_counter() - started
    report("classified to the end")
    for column in Column:
        table.sortByColumn(column, Qt.SortOrder.DescendingOrder)
        pause(50)
    report("sorted by every column")
    for text in ("1", "12", "123", ""):
        window.filter_bar.text.setText(text)
        pause(50)
    report("searched by name")
    table.selectAll()
    pause(50)
    report("all selected")
    window.session.clear()
    report("all closed")
    print(f"{1000 * seconds / count:.2f} ms an image with all of this going on")
    window.close()
    app.processEvents()


def _make_images(folder: Path, count: int) -> None:
    """Write tiles of random colours, as JPEG."""
    dice = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // IMAGES_IN_A_FOLDER:02}" / f"tile-{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = dice.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse.repeat(8, axis=0).repeat(8, axis=1)).save(path)


def pause(milliseconds: int) -> None:
    """Let the app live on for a while."""
    # Not QTest.qWait, which lets no other thread of Python run.
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def wait_until(condition: Callable[[], bool]) -> None:
    """Let the window work until a condition holds."""
    while not condition():
        pause(10)


if __name__ == "__main__":
    main()
