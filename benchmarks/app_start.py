"""How soon the desktop app can be used, and has its first answer, from the start of a process.

Run it as `python benchmarks/app_start.py [IMAGE]`, on a screen or with QT_QPA_PLATFORM=offscreen.
Whole processes, interleaved with a baseline that only imports Qt's widgets; medians of eleven.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import time

import numpy as np
from PIL import Image

ROUNDS = 11

BASELINE = """
from PySide6.QtWidgets import QApplication
print(time())
"""
# The app's own start, but for the end: the clock is read, and the process ends at once.
APP = """
import os, sys
from pathlib import Path
from PySide6.QtCore import QTimer
from eurosat.gui import app, main_window

def end(*_):
    print(time(), flush=True)
    os._exit(0)

def show(window):
    original(window)
    {hook}

original = main_window.MainWindow.show
main_window.MainWindow.show = show
from eurosat.gui.settings import Settings
app.run([Path(sys.argv[1])], Settings())
"""
CASES = {
    "Qt's widgets imported": BASELINE,
    # After the first paint, when the event loop has nothing else to do.
    "window that can be used": APP.format(hook="QTimer.singleShot(0, end)"),
    "first answer": APP.format(hook="window.session.changed.connect(end)"),
}


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        image = sys.argv[1] if sys.argv[1:] else str(_some_tile(Path(folder)))
        seconds: dict[str, list[float]] = {name: [] for name in CASES}
        for _ in range(ROUNDS):
            for name, code in CASES.items():
                started = time()
                command = [sys.executable, "-c", f"from time import time\n{code}", image]
                ended = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                seconds[name].append(float(ended) - started)
    first, *others = seconds
    baseline = median(seconds[first])
    print(f"{first:<26}{baseline:6.3f} s")
    for name in others:
        value = median(seconds[name])
        print(f"{name:<26}{value:6.3f} s   {value - baseline:+.3f} s, ratio {value / baseline:.2f}")


def _some_tile(folder: Path) -> Path:
    path = folder / "tile.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


if __name__ == "__main__":
    main()
