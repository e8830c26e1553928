"""Ways in: dialogs, what was opened before, and what is pasted or dropped."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Final

import numpy as np
from PySide6.QtCore import QMimeData, QObject, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QFileDialog, QMenu, QWidget

from eurosat.existence import exists
from eurosat.find_images import IMAGE_SUFFIXES

from .qt_images import from_qimage
from .settings import Settings
from .tasks import Task

_MOST_LINES_PASTED: Final = 10_000
# Of a few lines it is found out at once which are files; more take a while, on a network above all.
_MOST_LINES_AT_ONCE: Final = 100
_SCENE_PATTERNS: Final = "*.tif *.tiff *.jp2 *.png *.jpg *.jpeg *.zip MTD_MSI*.xml"


class Opening(QObject):
    """Finds out what is to be opened.

    Attributes:
        paths_chosen: Signal with a list of files and folders.
        scene_chosen: Signal with the path of a file that is to be opened as a scene.
        pixels_chosen: Signal with an image that has no file: a uint8 array of shape
            [height, width, 3].
        nothing_found: Signal: what was to be opened is neither an image nor names of files.
        recent: A menu of what was opened before.
    """

    paths_chosen = Signal(list)
    scene_chosen = Signal(Path)
    pixels_chosen = Signal(np.ndarray)
    nothing_found = Signal()

    def __init__(self, settings: Settings, start: Callable[[Task], None], window: QWidget) -> None:
        """Choose nothing yet.

        Args:
            settings: Where dialogs begin, and what was opened before.
            start: Starts what takes a while.
            window: Over which dialogs stand.
        """
        super().__init__(window)
        self._settings = settings
        self._start = start
        self._window = window
        self.recent = QMenu(self.tr("Open &recent"), window)
        self.recent.aboutToShow.connect(self._fill_recent)

    def ask_for_images(self) -> None:
        """Ask for image files."""
        patterns = " ".join(f"*{suffix}" for suffix in sorted(IMAGE_SUFFIXES))
        names, _ = QFileDialog.getOpenFileNames(
            self._window,
            self.tr("Open images"),
            self._settings.folder,
            self.tr("Images ({patterns});;All files (*)").format(patterns=patterns),
        )
        if names:
            self._settings.folder = str(Path(names[0]).parent)
            self.paths_chosen.emit([Path(name) for name in names])

    def ask_for_folder(self) -> None:
        """Ask for a folder of images."""
        name = QFileDialog.getExistingDirectory(
            self._window, self.tr("Open a folder"), self._settings.folder
        )
        if name:
            self._settings.folder = name
            self.paths_chosen.emit([Path(name)])

    def ask_for_scene(self) -> None:
        """Ask for a file that is a scene, whatever it looks like."""
        name, _ = QFileDialog.getOpenFileName(
            self._window,
            self.tr("Open a scene"),
            self._settings.folder,
            self.tr("Scenes ({patterns});;All files (*)").format(patterns=_SCENE_PATTERNS),
        )
        if name:
            self._settings.folder = str(Path(name).parent)
            self.scene_chosen.emit(Path(name))

    def take(self, data: QMimeData) -> bool:
        """Choose what was dropped or pasted.

        Args:
            data: What it is.

        Returns:
            Whether it may be something to open; if it turns out later that it is not,
            `nothing_found` says so.
        """
        paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
        if not paths and data.hasImage():
            picture = data.imageData()
            if isinstance(picture, QImage) and not picture.isNull():
                self.pixels_chosen.emit(from_qimage(picture))
                return True
        if not paths and data.hasText():
            lines = data.text().splitlines()[:_MOST_LINES_PASTED]
            if len(lines) > _MOST_LINES_AT_ONCE:
                self._look_up(lines)
                return True
            paths = list(_paths_in(lines))
        if paths:
            self.paths_chosen.emit(paths)
        return bool(paths)

    def _look_up(self, lines: list[str]) -> None:
        def work(task: Task) -> list[Path]:
            return list(_paths_in(takewhile(lambda _: not task.is_cancelled, lines)))

        def choose(paths: list[Path]) -> None:
            if paths:
                self.paths_chosen.emit(paths)
            else:
                self.nothing_found.emit()

        task = Task(work, self)
        task.finished.connect(choose)
        self._start(task)

    def _fill_recent(self) -> None:
        self.recent.clear()
        paths, scenes = self._settings.recent, self._settings.recent_scenes
        for path in paths:
            name = str(path).replace("&", "&&")  # A single one marks a letter for the keyboard.
            again = partial(self.scene_chosen.emit, path)
            if path not in scenes:
                again = partial(self.paths_chosen.emit, [path])
            self.recent.addAction(name, again)
        self.recent.addSeparator()
        clear = self.recent.addAction(self.tr("Forget these"), self._settings.clear_recent)
        clear.setEnabled(bool(paths))


def _paths_in(lines: Iterable[str]) -> Iterator[Path]:
    """Yield the files and folders that lines of text name, quoted or not."""
    for line in lines:
        name = line.strip().strip("\"'")
        if name and exists(Path(name)):
            yield Path(name)
