"""How long the window of the desktop app is deaf at most, while it shows and maps a whole scene.

Run it as `python benchmarks/scene_stall.py [SIDE [STRIDE]]`, on a screen or with
QT_QPA_PLATFORM=offscreen. It makes a synthetic scene of SIDE × SIDE pixels (10,980 by default, as a
Sentinel-2 tile has) without overviews, opens it, zooms, pans, previews it, and maps it at STRIDE
(64) with the CNN, while a user goes on zooming and panning.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import rasterio
from app_stall import Heartbeat, pause, wait_until
from PySide6.QtCore import QSettings, Qt

from eurosat.gui.app import GarbageCollector, start
from eurosat.gui.main_window import MainWindow
from eurosat.gui.scene_work import Stage
from eurosat.gui.settings import Settings
from eurosat.model_file import shipped_model_path

ROWS_AT_ONCE = 512
PATCH = 16


def main() -> None:
    """Measure and print."""
    side = int(sys.argv[1]) if sys.argv[1:] else 10_980
    stride = int(sys.argv[2]) if sys.argv[2:] else 64
    with tempfile.TemporaryDirectory() as folder:
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        path = Path(folder) / "synthetic.tif"
        _make_scene(path, side)
        print(f"{side:,} × {side:,} pixels, {path.stat().st_size / 1e6:,.0f} MB, stride {stride}")
        _measure(path, stride)


def _measure(path: Path, stride: int) -> None:
    settings = Settings()
    settings.model = str(shipped_model_path("cnn-int8"))
    app = start(sys.argv[:1], settings)
    window = MainWindow(settings)
    window.show()
    collector = GarbageCollector()
    session, scenes, page = window.session, window.scenes, window.scene_page
    wait_until(lambda: session.classifier is not None)
    pause(1000)  # The window is painted for the first time.
    heartbeat = Heartbeat()
    started = perf_counter()

    def report(name: str) -> None:
        nonlocal started
        seconds = perf_counter() - started
        pause(300)
        print(f"{name:<44}{1000 * heartbeat.longest:6.0f} ms   {seconds:7.1f} s in all")
        heartbeat.restart()
        started = perf_counter()

    def zoom_and_pan() -> None:
        page.view.fit()
        for _ in range(20):
            page.view.zoom_in()
            pause(30)
        bars = page.view.horizontalScrollBar(), page.view.verticalScrollBar()
        for step in range(40):
            for bar in bars:
                bar.setValue(bar.value() + (60 if step < 20 else -45))
            pause(16)
        for _ in range(20):
            page.view.zoom_out()
            pause(30)

    window.open_paths([path])
    wait_until(lambda: not page.view.quick_look.isNull())
    report("opened, quick look")
    wait_until(lambda: scenes.can_map)
    scenes.choose(replace(scenes.work.settings, stride=stride))
    zoom_and_pan()
    report("zoomed and panned")
    page.view.show_actual_size()
    page.preview()
    wait_until(lambda: scenes.work.so_far is not None)
    report("previewed")
    page.view.fit()
    scenes.map()
    wait_until(lambda: scenes.work.windows_done > 0)
    while scenes.work.stage is Stage.MAPPING:
        zoom_and_pan()
        page.panel.opacity.setValue(100 - page.panel.opacity.value())
    report("mapped, zoomed and panned meanwhile")
    while scenes.work.stage is Stage.WRITING:
        zoom_and_pan()
    assert scenes.work.stage is Stage.FINISHED
    report("files written, zoomed and panned meanwhile")
    zoom_and_pan()
    for number in range(10):
        page.panel.legend.item(number, 0).setCheckState(Qt.CheckState.Unchecked)
        pause(30)
    report("classes hidden")
    window.close()
    collector.deleteLater()
    app.processEvents()


def _make_scene(path: Path, side: int) -> None:
    """Write patches of random colours, tiled and compressed, as a GeoTIFF in UTM."""
    dice = np.random.default_rng(0)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=3,
        height=side,
        width=side,
        crs="EPSG:32630",
        transform=rasterio.Affine(10, 0, 600_000, 0, -10, 4_200_000),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="deflate",
    ) as file:
        for top in range(0, side, ROWS_AT_ONCE):
            rows = min(ROWS_AT_ONCE, side - top)
            shape = (3, ROWS_AT_ONCE // PATCH, -(-side // PATCH))
            patches = dice.integers(1, 236, shape, dtype=np.uint8)
            pixels = patches.repeat(PATCH, axis=1).repeat(PATCH, axis=2)[:, :rows, :side]
            pixels += dice.integers(0, 20, pixels.shape, dtype=np.uint8)
            file.write(pixels, window=((top, top + rows), (0, side)))


if __name__ == "__main__":
    main()
