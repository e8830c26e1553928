"""Whoever has no mouse: where the tab key leads, what shows where keys go, and what is read out."""

from itertools import pairwise
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible, QImage
from PySide6.QtWidgets import QApplication, QWidget

from ..eurosat.scenes.scene_fixtures import texture, write_rgb
from .conftest import User

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
