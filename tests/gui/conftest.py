"""The app in a test: a window of its own, settings of its own, dialogs that are answered."""

import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Semaphore

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, QSettings, Qt, QThread, QThreadPool, QUrl
from PySide6.QtGui import QAction, QDragEnterEvent, QDragMoveEvent, QDropEvent, QWheelEvent
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QFileDialog,
    QLabel,
    QMessageBox,
    QPushButton,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from eurosat import classifier as classifier_module
from eurosat.classifier import Classifier, ImageSource, Prediction
from eurosat.gui import session as session_module
from eurosat.gui.classification import ClassificationThread
from eurosat.gui.main_window import MainWindow
from eurosat.gui.pixels import PixelThread
from eurosat.gui.scene_reader import SceneReader
from eurosat.gui.settings import Settings
from eurosat.gui.workspace import Item
from eurosat.images import read_image

CLASSES = ("Forest", "Highway", "Industrial", "Pasture", "River", "SeaLake")
TILES_OF_A_CLASS = 10
PATIENCE_MS = 30_000
"""How long a test waits before it fails; long, as the machine may be busy."""

Pictures = Callable[[int], list[Path]]
"""Makes so many small images, see the fixture `pictures`."""


@pytest.fixture(scope="session")
def tiles(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six class folders with ten real tiles each."""
    folder = tmp_path_factory.mktemp("tiles")
    with zipfile.ZipFile(small_archive) as archive:
        for name in CLASSES:
            (folder / name).mkdir()
            entries = [entry for entry in archive.namelist() if f"/{name}/" in entry]
            for entry in entries[:TILES_OF_A_CLASS]:
                (folder / name / Path(entry).name).write_bytes(archive.read(entry))
    return folder


@pytest.fixture(scope="session")
def few_tiles(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four of the tiles of each class."""
    folder = tmp_path_factory.mktemp("few")
    for name in CLASSES:
        (folder / name).mkdir()
        for path in files_in(tiles / name)[:4]:
            (folder / name / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.fixture(scope="session")
def mobilenet() -> Classifier:
    return Classifier.shipped("mobilenet-int8")


@pytest.fixture(scope="session")
def cnn() -> Classifier:
    return Classifier.shipped("cnn-int8")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """Make so many small images in a folder of their own: `pictures(count)`."""

    def make(count: int) -> list[Path]:
        folder = tmp_path_factory.mktemp("pictures")
        dice = np.random.default_rng(count)
        colours = dice.integers(0, 256, (count, 1, 1, 3), np.uint8)
        paths = [folder / f"picture{number}.png" for number in range(count)]
        for path, colour in zip(paths, colours, strict=True):
            pixels = np.broadcast_to(colour, (16, 16, 3)).copy()
            pixels[:8] //= 2
            Image.fromarray(pixels).save(path, compress_level=1)
        return paths

    return make


@pytest.fixture(autouse=True)
def settings_of_the_test(tmp_path: Path) -> None:
    """Leave the settings of whoever runs the tests alone."""
    QSettings.setPath(
        QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings")
    )


@pytest.fixture(autouse=True)
def empty_clipboard(qapp: QApplication) -> Iterator[None]:
    """Begin and end with nothing on the clipboard; what is left there ends Python in a crash."""
    qapp.clipboard().clear()
    yield
    qapp.clipboard().clear()


class Gate:
    """Lets so many images be read for classification; the others wait."""

    def __init__(self) -> None:
        self._permits = Semaphore(0)

    def let_through(self, count: int) -> None:
        self._permits.release(count)

    def open(self) -> None:
        self.let_through(1_000_000)

    def read(self, source: ImageSource) -> np.ndarray:
        self._permits.acquire()
        return read_image(source)


@pytest.fixture
def gate(open_window: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A closed gate. It opens before windows close, which wait for threads that wait at it."""
    del open_window
    closed = Gate()
    monkeypatch.setattr(classifier_module, "read_image", closed.read)
    yield closed
    closed.open()


class Dialogs:
    """What the user answers to the next dialog; an unexpected dialog fails the test.

    Attributes:
        paths: The files or the folder that the user names; none stands for a cancelled dialog.
        asked: The titles of the dialogs so far.
        began_at: The folders or files with which they began.
    """

    def __init__(self) -> None:
        self.paths: list[Path] | None = None
        self.asked: list[str] = []
        self.began_at: list[str] = []

    def several(
        self, _parent: QWidget, title: str, start: str, *_: object
    ) -> tuple[list[str], str]:
        self.asked.append(title)
        self.began_at.append(start)
        assert self.paths is not None, f"an unexpected dialog: {title}"
        return [str(path) for path in self.paths], ""

    def one(self, _parent: QWidget, title: str, start: str, *_: object) -> tuple[str, str]:
        names = self.several(_parent, title, start)[0]
        return (names[0] if names else ""), ""

    def folder(self, _parent: QWidget, title: str, start: str, *_: object) -> str:
        return self.one(_parent, title, start)[0]


@pytest.fixture(autouse=True)
def dialogs(monkeypatch: pytest.MonkeyPatch) -> Dialogs:
    """Answers in place of dialogs, which nobody could close here."""
    answers = Dialogs()
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", answers.several)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", answers.one)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", answers.one)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", answers.folder)

    def refuse(*_: object) -> None:
        raise AssertionError("a message box that nobody can close")

    for name in ("exec", "information", "warning", "critical", "question"):
        monkeypatch.setattr(QMessageBox, name, refuse)
    return answers


@pytest.fixture(autouse=True)
def started_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[QThread]]:
    """The threads of all windows of the test, which fails if it leaves one behind."""
    before = set(threading.enumerate())
    started: list[QThread] = []

    def start(thread: QThread) -> None:
        started.append(thread)
        QThread.start(thread)

    for kind in (ClassificationThread, PixelThread, SceneReader):
        monkeypatch.setattr(kind, "start", start)
    yield started
    assert [thread for thread in started if not thread.isFinished()] == []
    assert QThreadPool.globalInstance().activeThreadCount() == 0
    # Qt's pool keeps its threads for a while; Python's have no such excuse.
    assert [
        thread
        for thread in threading.enumerate()
        if thread not in before and not isinstance(thread, threading._DummyThread)  # pyright: ignore[reportPrivateUsage]
    ] == []


@pytest.fixture(autouse=True)
def on_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app work as it does on two cores, however many there are."""
    monkeypatch.setattr(session_module, "_THREADS", 1)
    QThreadPool.globalInstance().setMaxThreadCount(2)


@pytest.fixture
def open_window(qtbot: QtBot) -> Iterator[Callable[..., MainWindow]]:
    """Open the app as the command does: `open_window(*paths)`. It is closed after the test."""
    windows: list[MainWindow] = []

    def start(*paths: Path) -> MainWindow:
        window = MainWindow(Settings())
        windows.append(window)
        window.show()
        window.open_paths(list(paths))
        return window

    yield start
    for window in windows:
        window.close()
    # What the threads sent last still arrives, at a window that is closed.
    QApplication.processEvents()
    for window in windows:
        window.deleteLater()
    QApplication.processEvents()


@pytest.fixture
def window(open_window: Callable[..., MainWindow], qtbot: QtBot) -> MainWindow:
    """The app with its model loaded and nothing open."""
    opened = open_window()
    qtbot.waitUntil(lambda: opened.session.classifier is not None, timeout=PATIENCE_MS)
    return opened


@pytest.fixture
def user(window: MainWindow, qtbot: QtBot) -> "User":
    """Somebody who uses the window."""
    return User(window, qtbot)


class User:
    """Does and sees what somebody before the screen does and sees."""

    def __init__(self, window: MainWindow, qtbot: QtBot) -> None:
        self.window = window
        self.qtbot = qtbot

    # Does

    def opens(self, *paths: Path) -> list[Item]:
        """Open paths and wait until all in them is answered; return what is open then."""
        self.window.open_paths(list(paths))
        self.waits_until_done()
        return self.window.session.workspace.items

    def waits_for(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=PATIENCE_MS)

    def waits_until_done(self) -> None:
        session = self.window.session
        self.waits_for(lambda: bool(session.classifier) and not session.is_busy)
        assert session.workspace.waiting == 0

    def waits_for_picture(self, item: Item) -> None:
        """Wait until an image is the current one and is seen."""
        self.waits_for(lambda: self.current() is item and self.is_pictured(item))

    def is_pictured(self, item: Item) -> bool:
        save = self.window.export_menu.save_picture
        return save.isEnabled() and self.current() is item

    def chooses(self, text: str) -> None:
        """Trigger an action by its text."""
        self.action(text).trigger()

    def clicks(self, text: str) -> None:
        self.button(text).click()

    def presses(self, key: Qt.Key, modifier: Qt.KeyboardModifier | None = None) -> None:
        """Press a key in whatever has the focus."""
        where = self.window.focusWidget() or self.window
        self.qtbot.keyClick(where, key, modifier or Qt.KeyboardModifier.NoModifier)

    def presses_in_table(self, key: Qt.Key) -> None:
        self.window.table.setFocus()
        self.presses(key)

    def turns_the_wheel(self, on: QWidget, notches: int) -> None:
        """Turn the wheel of the mouse over a widget; forward, unless the notches are negative."""
        place = QPointF(on.rect().center())
        wheel = QWheelEvent(
            place,
            QPointF(on.mapToGlobal(place)),
            QPoint(),
            QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(on, wheel)

    def filters(self, choice: str) -> None:
        """Choose in the list of classes and statuses above the table."""
        box = self.window.filter_bar.findChild(QComboBox)
        assert isinstance(box, QComboBox)
        index = box.findText(choice)
        assert index >= 0, f"{choice} is not offered"
        box.setCurrentIndex(index)

    def drops(
        self,
        data: QMimeData,
        on: QWidget,
        offered: Qt.DropAction = Qt.DropAction.CopyAction,
        key: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> bool:
        """Drag something over a widget and let it go, the way Qt delivers it; tell if it took.

        It is never taken as moved.
        """
        handle = self.window.windowHandle()
        position = on.mapTo(self.window, on.rect().center())
        left = Qt.MouseButton.LeftButton
        enter = QDragEnterEvent(position, offered, data, left, key)
        QApplication.sendEvent(handle, enter)
        if not enter.isAccepted():
            return False
        assert enter.dropAction() == Qt.DropAction.CopyAction
        QApplication.sendEvent(handle, QDragMoveEvent(position, offered, data, left, key))
        drop = QDropEvent(QPointF(position), offered, data, left, key)
        QApplication.sendEvent(handle, drop)
        if drop.isAccepted():
            assert drop.dropAction() == Qt.DropAction.CopyAction
        return drop.isAccepted()

    # Sees

    def action(self, text: str) -> QAction:
        actions = dict.fromkeys([*self.window.actions(), *self.window.export_menu.actions()])
        (found,) = [one for one in actions if one.text().replace("&", "").rstrip("…") == text]
        return found

    def button(self, text: str) -> QPushButton:
        buttons = self.window.findChildren(QPushButton)
        (found,) = [one for one in buttons if one.text().replace("&", "") == text]
        return found

    def rows(self) -> list[list[str]]:
        """The table, cell by cell."""
        model = self.window.table.model()
        return [
            [model.index(row, column).data() for column in range(model.columnCount())]
            for row in range(model.rowCount())
        ]

    def column(self, number: int) -> list[str]:
        return [row[number] for row in self.rows()]

    def names(self) -> list[str]:
        return self.column(0)

    def classes(self) -> list[str]:
        """The column of classes, without what marks an unsure one."""
        return [text.removesuffix("?") for text in self.column(1)]

    def current(self) -> Item | None:
        return self.window.table.current_item()

    def refusal(self) -> str:
        """The sentence above everything; empty if there is none."""
        (close,) = [
            button
            for button in self.window.findChildren(QToolButton)
            if button.accessibleName() == "Close this message"
        ]
        notice = close.parentWidget()
        if notice is None or not notice.isVisible():
            return ""
        return max((label.text() for label in notice.findChildren(QLabel)), key=len)

    def message(self) -> str:
        """The message that goes away again."""
        return self.window.statusBar().currentMessage()

    def facts(self) -> list[str]:
        """What the status bar tells."""
        for label in self.window.statusBar().findChildren(QLabel):
            if label.text().endswith("offline"):
                return label.text().split(" · ")
        raise AssertionError("nothing in the status bar")

    def summary(self) -> dict[str, str]:
        """How many images each class has, as it is shown."""
        return {bar.cover.title: bar.text for bar in self.window.summary.bars}

    def bars(self) -> list[tuple[str, str]]:
        return [(bar.cover.title, bar.text) for bar in self.window.answer.bars.bars]

    def error_boxes(self) -> list[QMessageBox]:
        return self.window.findChildren(QMessageBox)


def files_in(folder: Path) -> list[Path]:
    """All files below a folder, in the order in which the app opens them."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def assert_answered_by(classifier: Classifier, items: list[Item]) -> None:
    for item in items:
        assert isinstance(item.source, Path)
        assert isinstance(item.outcome, Prediction)
        expected = classifier.classify(item.source).probabilities
        np.testing.assert_array_equal(item.outcome.probabilities, expected)


def urls_of(*paths: Path) -> QMimeData:
    """What a file manager hands over."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def assert_one_sentence(text: str) -> None:
    """Check the form of a refusal: one sentence, without traces of Python."""
    assert text.endswith(".")
    assert text.isprintable()
    assert not any(trace in text for trace in ("Traceback", "Errno", "None", "Error:"))
