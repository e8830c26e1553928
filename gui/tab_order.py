"""The way that the tab key takes through a window: as it is read."""

from collections.abc import Iterator
from itertools import pairwise

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLayout, QScrollArea, QSplitter, QWidget


def walk_as_laid_out(*parts: QWidget | None) -> None:
    """Let the tab key lead through parts of a window, and in each from top to bottom.

    Qt's own way is the order in which widgets were made.
    """
    stops = [stop for part in parts for stop in _stops(part)]
    for first, second in pairwise(stops):
        QWidget.setTabOrder(first, second)


def _stops(part: QWidget | QLayout | None) -> Iterator[QWidget]:
    """Yield the widgets that the tab key stops at."""
    if isinstance(part, QWidget) and part.focusPolicy() & Qt.FocusPolicy.TabFocus:
        yield part
    for inner in _parts_of(part):
        yield from _stops(inner)


def _parts_of(part: QWidget | QLayout | None) -> list[QWidget | QLayout | None]:
    if isinstance(part, QLayout):
        items = [part.itemAt(number) for number in range(part.count())]
        return [item.widget() or item.layout() for item in items if item]
    if isinstance(part, QSplitter):
        return [part.widget(number) for number in range(part.count())]
    if isinstance(part, QScrollArea):
        return [part.widget()]
    return [part.layout()] if part else []
