"""A mistake of ours shows a window with what a report needs, and the app lives on."""

import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMessageBox

from eurosat.gui.app import ErrorRelay
from eurosat.gui.tasks import Task

from .conftest import Pictures, User

# Errors go the way that they go in the app, not into the test.
pytestmark = pytest.mark.qt_no_exception_capture


@pytest.fixture
def relay(user: User) -> Iterator[ErrorRelay]:
    """What the app lets uncaught errors go to."""
    before = sys.excepthook, threading.excepthook
    relay = ErrorRelay()
    relay.caught.connect(user.window.show_error)
    relay.install()
    yield relay
    sys.excepthook, threading.excepthook = before


def fail() -> None:
    raise ZeroDivisionError("a mistake of ours")


def in_a_slot(user: User) -> None:
    QTimer.singleShot(0, user.window, fail)


def in_a_thread(_: User) -> None:
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


def in_a_task(user: User) -> None:
    user.window.session.start(Task(lambda _: fail(), user.window.session))


def button_of(box: QMessageBox, text: str):
    (button,) = [button for button in box.buttons() if text in button.text().replace("&", "")]
    return button


@pytest.mark.parametrize("happens", [in_a_slot, in_a_thread, in_a_task])
@pytest.mark.usefixtures("relay")
def test_an_uncaught_error_is_shown_and_the_app_lives_on(
    happens: Callable[[User], None], user: User, pictures: Pictures
):
    happens(user)
    user.waits_for(lambda: user.error_boxes() != [])
    (box,) = user.error_boxes()
    assert box.isVisible()
    assert "not yours" in box.text()
    assert box.informativeText() == "ZeroDivisionError: a mistake of ours"

    QGuiApplication.clipboard().clear()
    button_of(box, "Copy details").click()
    details = QGuiApplication.clipboard().text()
    assert details == box.detailedText()
    assert "in fail" in details
    assert "eurosat-edge" in details
    assert "Qt 6" in details
    assert box.isVisible(), "copying leaves the window open"

    button_of(box, "Close").click()
    assert not box.isVisible()
    user.opens(*pictures(3))
    assert user.column(2).count("") == 0


def test_the_return_key_closes_the_window(user: User):
    user.window.show_error(ZeroDivisionError())
    (box,) = user.error_boxes()
    user.qtbot.keyClick(box, Qt.Key.Key_Return)
    assert not box.isVisible()


def test_of_many_errors_one_is_shown_until_it_is_closed(user: User):
    for number in range(5):
        user.window.show_error(ZeroDivisionError(str(number)))
    (box,) = user.error_boxes()
    assert box.informativeText() == "ZeroDivisionError: 0"
    box.close()
    user.window.show_error(ZeroDivisionError("again"))
    (box,) = [one for one in user.error_boxes() if one.isVisible()]
    assert box.informativeText() == "ZeroDivisionError: again"


@pytest.mark.usefixtures("relay")
def test_an_interrupt_ends_the_app_and_is_no_mistake(user: User, monkeypatch: pytest.MonkeyPatch):
    ended: list[int] = []
    monkeypatch.setattr("eurosat.gui.app.QApplication.quit", lambda: ended.append(1))
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert ended == [1]
    assert user.error_boxes() == []
