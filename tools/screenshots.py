"""Take pictures of the desktop app in all its states.

python tools/screenshots.py TILES [OUT] [--scene SCENE]

Needs a screen, which may be a virtual one (`xvfb-run -s '-screen 0 2600x1700x24'`), and a folder of
tiles, such as some taken out of EuroSAT. `QT_SCALE_FACTOR=2` shows the app as on a screen of twice
the density.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEventLoop, QSettings, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QWidget

from eurosat.find_images import find_images
from eurosat.gui.app import start
from eurosat.gui.main_window import MainWindow
from eurosat.gui.scene_work import SceneWork
from eurosat.gui.settings import Settings
from eurosat.gui.theme import apply_theme
from eurosat.labels import EUROSAT_CLASSES

PATIENCE_MS = 120_000
SETTLING_MS = 400
STEP_MS = 20


def main() -> int:
    """Take all pictures.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(description="Take pictures of the desktop app.")
    parser.add_argument("tiles", type=Path, help="a folder of images")
    parser.add_argument("out", type=Path, nargs="?", default=Path("build/screenshots"))
    parser.add_argument("--scene", type=Path, help="a scene to be mapped in some of the pictures")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # Neither reads nor changes what the user has chosen.
        QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)
        unreadable = Path(folder) / "cut-short.jpg"
        unreadable.write_bytes(b"\xff\xd8\xff\xe0 no more")
        _take(options.tiles, unreadable, options.out)
        if options.scene:
            _take_scene(options.scene, Path(folder), options.out)
    return 0


def _take(tiles: Path, unreadable: Path, out: Path) -> None:
    app, window = _started()
    session, table = window.session, window.table
    images = list(find_images([tiles]))

    def picture(name: str, widget: QWidget = window) -> None:
        pause(SETTLING_MS)
        widget.grab().save(str(out / f"{name}.png"))

    def opened(*paths: Path) -> None:
        window.open_paths(list(paths))
        _wait_until(lambda: bool(session.workspace.items) and not session.is_busy)

    _wait_until(lambda: session.classifier is not None)
    picture("empty")
    opened(images[0])
    picture("one-image")
    window.explain.trigger()
    _wait_until(lambda: window.image.has_heat)
    picture("explained")
    window.explain.trigger()
    opened(unreadable, tiles)

    def go_to(path: Path) -> None:
        item = session.workspace.find(path.absolute())
        assert item is not None
        table.go_to(item)

    go_to(images[-1])
    picture("folder")
    go_to(unreadable)
    picture("unreadable")
    window.filter_bar.choose_class(EUROSAT_CLASSES[-2])
    picture("filtered")
    apply_theme("dark")
    picture("filtered-dark")
    window.filter_bar.clear()
    picture("folder-dark")
    apply_theme("light")
    for name, action in (
        ("model-card", window.card_action),
        ("shortcuts", window.shortcuts_action),
        ("about", window.about_action),
    ):
        action.trigger()
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QDialog)
        picture(name, dialog)
        dialog.close()
    window.resize(1000, 640)
    picture("small")
    window.close()
    app.processEvents()


def _take_scene(scene: Path, folder: Path, out: Path) -> None:
    app, window = _started()
    session, scenes, page = window.session, window.scenes, window.scene_page

    def picture(name: str) -> None:
        pause(SETTLING_MS)
        window.grab().save(str(out / f"scene-{name}.png"))

    def work() -> SceneWork:
        assert scenes.work is not None
        return scenes.work

    _wait_until(lambda: session.classifier is not None)
    window.open_paths([scene])
    _wait_until(lambda: scenes.can_map and work().seconds_expected is not None)
    scenes.choose_maps_folder(folder / "maps")
    picture("opened")
    scenes.choose(replace(work().settings, stride=16, unsure_below=0.5))
    page.view.show_actual_size()
    page.view.scale(2, 2)
    page.preview()
    _wait_until(lambda: work().so_far is not None)
    picture("previewed")
    page.view.fit()
    scenes.map()
    # A small scene may be mapped before it can be seen growing.
    _wait_until(lambda: work().windows_done > 200 or work().finished is not None)
    picture("mapping")
    scenes.stop()
    picture("stopped")
    if work().finished is None:
        _wait_until(lambda: scenes.can_map)
        scenes.map()
        _wait_until(lambda: work().finished is not None)
    page.view.pointed.emit(page.view.sceneRect().center())
    picture("mapped")
    apply_theme("dark")
    picture("mapped-dark")
    apply_theme("light")
    window.resize(1000, 640)
    picture("small")
    window.close()
    app.processEvents()


def _started() -> tuple[QApplication, MainWindow]:
    """Return the app and its window, as somebody sees them who starts it for the first time."""
    settings = Settings()
    settings.clear()
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        app = start(sys.argv[:1], settings)
    window = MainWindow(settings)
    window.resize(1280, 800)  # The screen that Qt pretends to have is smaller.
    window.show()
    return app, window


def pause(milliseconds: int) -> None:
    """Let the app live on for a while."""
    # Not QTest.qWait, which lets no other thread of Python run.
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def _wait_until(condition: Callable[[], bool]) -> None:
    waited = 0
    while not condition():
        pause(STEP_MS)
        waited += STEP_MS
        if waited > PATIENCE_MS:
            raise SystemExit("The app did not get ready in time.")


if __name__ == "__main__":
    sys.exit(main())
