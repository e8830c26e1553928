"""Whoever has no mouse: where the tab key leads, what shows where keys go, and what is read out."""

from itertools import pairwise
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import QAccessible, QAction, QGuiApplication, QImage, QKeySequence, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QTextBrowser, QWidget

from ..eurosat.scenes.scene_fixtures import texture, write_rgb
from .conftest import Dialogs, User

_MOST_STOPS = 60


@pytest.fixture(params=["nothing", "images", "scene"])
def page(request: pytest.FixtureRequest, user: User, few_tiles: Path, tmp_path: Path) -> User:
    """A user before each of the pages, as full as it can be."""
    window = user.window
    window.resize(1280, 800)
    if request.param == "images":
        (tmp_path / "none").mkdir()
        user.opens(few_tiles)
        user.waits_for(lambda: user.action("Explain").isEnabled())
        user.chooses("Explain")
        user.waits_for(lambda: window.image.has_heat)
        window.open_paths([tmp_path / "none"])
        user.waits_for(lambda: user.refusal() != "")
    if request.param == "scene":
        pytest.importorskip("rasterio")
        user.opens(few_tiles)
        path = tmp_path / "scene.tif"
        write_rgb(path, texture(96, 96))
        window.open_paths([path])
        user.waits_for(lambda: window.scenes.can_map)
        user.clicks("Map the scene")
        user.waits_for(lambda: bool(window.scenes.work and window.scenes.work.finished))
    return user


def stops(user: User, key: Qt.Key = Qt.Key.Key_Tab) -> list[QWidget]:
    """What has the focus, press by press, until it comes round."""
    found: list[QWidget] = []
    for _ in range(_MOST_STOPS):
        user.presses(key)
        focus = user.window.focusWidget()
        assert focus is not None
        if found and focus is found[0]:
            return found
        assert focus not in found, "the way never leads back to its beginning"
        found.append(focus)
    raise AssertionError("no end")


def place(user: User, widget: QWidget) -> QPoint:
    return widget.mapTo(user.window, QPoint(0, 0))


def test_tab_reaches_everything_once_and_back_tab_goes_the_other_way(page: User):
    found = stops(page)
    expected = {
        widget
        for widget in page.window.findChildren(QWidget)
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and widget.focusProxy() is None
        and widget.isVisible()
        and widget.isEnabled()
    }
    assert set(found) == expected
    found[0].setFocus()
    back = stops(page, Qt.Key.Key_Backtab)
    assert back == found[:0:-1] + found[:1]


def test_tab_goes_as_one_reads(page: User):
    found = stops(page)
    first = min(found, key=lambda one: (place(page, one).y(), place(page, one).x()))
    begin = found.index(first)
    way = found[begin:] + found[:begin]
    for before, after in pairwise(way):
        left, top = place(page, after).toTuple()
        start = place(page, before)
        is_below = top >= start.y() + before.height()
        is_beside = left >= start.x() + before.width()
        assert is_below or is_beside, f"{read_out(before)} leads to {read_out(after)}"


def test_the_buttons_of_the_tool_bar_are_pressed_without_a_mouse(user: User):
    (button,) = [one for one in stops(user) if read_out(one) == "Model card"]
    button.setFocus()
    user.presses(Qt.Key.Key_Space)
    window = QApplication.activeModalWidget()
    assert window is not None
    assert window.windowTitle() == "Model card"
    window.close()


def test_one_sees_what_has_the_focus(page: User):
    def seen(widget: QWidget) -> QImage:
        rectangle = widget.rect().translated(place(page, widget))
        return page.window.grab(rectangle).toImage()

    page.window.activateWindow()
    first, *others = stops(page)
    for widget in (*others, first):
        without = seen(widget)
        page.presses(Qt.Key.Key_Tab)
        assert page.window.focusWidget() is widget
        assert seen(widget) != without, read_out(widget)


def read_out(widget: QWidget) -> str:
    """What a screen reader calls a widget."""
    interface = QAccessible.queryAccessibleInterface(widget)
    return interface.text(QAccessible.Text.Name)


def test_everything_has_a_name_to_be_read_out(page: User):
    found = stops(page)
    assert len(found) > 6
    for widget in found:
        name = read_out(widget)
        assert any(letter.isalpha() for letter in name), (type(widget), name)


def listed_keys(user: User) -> dict[str, str]:
    """What F1 tells of keys, by the name of the key."""
    user.presses(Qt.Key.Key_F1)
    (window,) = user.window.findChildren(QDialog)
    text = window.findChild(QTextBrowser)
    assert isinstance(text, QTextBrowser)
    lines = [line for line in text.toPlainText().splitlines() if line]
    window.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return dict(zip(lines[::2], lines[1::2], strict=True))


def is_mapping(user: User) -> bool:
    scenes = user.window.scenes
    return scenes.work is not None and not scenes.can_map


def test_every_key_that_does_something_is_listed(user: User):
    listed = listed_keys(user)
    actions = [one for one in user.window.findChildren(QAction) if not one.shortcut().isEmpty()]
    assert len(actions) > 20
    for action in actions:
        text = action.text().replace("&", "").rstrip("…")
        assert listed[action.shortcut().toString()] == text
    assert user.window.findChildren(QShortcut) == []
    assert len({action.shortcut().toString() for action in actions}) == len(actions)


def test_enter_on_a_class_shows_only_its_images_or_all_again(user: User, few_tiles: Path):
    user.opens(few_tiles)
    assert "Enter on a class" in listed_keys(user)
    summary = user.window.summary
    summary.setFocus()
    user.presses(Qt.Key.Key_Down)
    chosen = summary.bars[summary.currentIndex().row()]
    for shown in (int(chosen.text), 24):
        user.presses(Qt.Key.Key_Return)
        assert len(user.rows()) == shown


@pytest.mark.parametrize("page", ["images", "scene"], indirect=True)
def test_every_listed_key_works_where_its_action_is_possible(page: User, dialogs: Dialogs):
    dialogs.paths = []  # Whatever is asked for, nothing is chosen.
    window = page.window
    listed = listed_keys(page)
    possible = [
        action
        for action in window.actions()
        if not action.shortcut().isEmpty() and action.isEnabled() and action.text() != "&Quit"
    ]
    heard: list[bool] = []
    # What closes things comes last, and of that, what closes all.
    possible.sort(key=lambda action: ("Close" in action.text()) + ("all" in action.text()))
    assert len(possible) > 12
    for action in possible:
        key = action.shortcut().toString()
        assert key in listed
        QGuiApplication.clipboard().clear()  # A key may have put there what another one opens.
        # A map that a key began takes its time.
        page.waits_for(lambda action=action: action.isEnabled() and not is_mapping(page))
        where = window.scene_page.view if window.scene_page.isVisible() else window.table
        window.activateWindow()  # The dialog before had been.
        page.waits_for(window.isActiveWindow)
        where.setFocus()
        heard.clear()
        action.triggered.connect(lambda: heard.append(True))
        QTest.keySequence(where, action.shortcut())
        assert heard, f"{key} does not {action.text()}"
        for dialog in window.findChildren(QDialog):
            dialog.close()
        if action is window.show_scene:
            action.trigger()  # Back to what was seen.
    QTest.keySequence(window, QKeySequence("Ctrl+Q"))
    assert not window.isVisible()
