"""The colours of the app, in light and dark: every text can be read."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor, QIcon, QImage, QPainter, QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QLineEdit,
    QMenu,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from eurosat.gui.legend import Legend
from eurosat.gui.theme import THEMES, apply_theme
from eurosat.scenes.areas import Area

from .conftest import User

Role = QPalette.ColorRole
TEXTS = (
    (Role.WindowText, Role.Window),
    (Role.Text, Role.Base),
    (Role.Text, Role.AlternateBase),
    (Role.PlaceholderText, Role.Base),
    (Role.ButtonText, Role.Button),
    (Role.HighlightedText, Role.Highlight),
    (Role.ToolTipText, Role.ToolTipBase),
    (Role.Link, Role.Base),
)
LEAST_CONTRAST = 4.5
"""What WCAG 2.2 asks for at level AA."""
LEAST_CONTRAST_OF_PARTS = 3.0
"""The same of what is no text: boxes, and frames around what has the focus."""


@pytest.fixture(params=THEMES)
def colours(request: pytest.FixtureRequest, qapp: QApplication) -> Iterator[QPalette]:
    """The colours of a theme on a desktop that has none of its own."""
    before = qapp.style().name()
    qapp.setStyle("Fusion")
    apply_theme(request.param)
    yield qapp.palette()
    apply_theme("system")
    qapp.setPalette(QPalette())
    qapp.setStyle(before)


def brightness(colour: QColor) -> float:
    """The relative luminance of WCAG."""
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: QColor, other: QColor) -> float:
    darker, lighter = sorted([brightness(one), brightness(other)])
    return (lighter + 0.05) / (darker + 0.05)


def over(colour: QColor, ground: QColor) -> QColor:
    """What is seen of a colour that may be transparent."""
    picture = QImage(1, 1, QImage.Format.Format_RGB32)
    picture.fill(ground)
    painter = QPainter(picture)
    painter.fillRect(0, 0, 1, 1, colour)
    painter.end()
    return picture.pixelColor(0, 0)


def pixels_of(widget: QWidget) -> list[QColor]:
    """What is seen of a widget in its window."""
    window = widget.window()
    place = widget.rect().translated(widget.mapTo(window, QPoint(0, 0)))
    picture = window.grab(place).toImage()
    return [
        picture.pixelColor(column, row)
        for row in range(picture.height())
        for column in range(picture.width())
    ]


def test_every_text_stands_out_from_its_ground(colours: QPalette):
    for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive):
        for text, ground in TEXTS:
            below = colours.color(group, ground)
            above = over(colours.color(group, text), below)
            assert contrast(above, below) >= LEAST_CONTRAST, (text, ground)


def strongest_contrast(pixels: list[QColor], ground: QColor) -> float:
    """How much the strongest of some pixels stands out from the ground around it."""
    assert ground in pixels
    return max(contrast(pixel, ground) for pixel in pixels)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_empty_box_stands_out(theme: str, qtbot: QtBot, qapp: QApplication):
    qapp.setStyle("Fusion")
    apply_theme(theme)
    window = QWidget()
    qtbot.addWidget(window)
    box, legend = QCheckBox(window), Legend(window)
    legend.show_areas((Area("Forest", "Forest", "#000000", 1, 0, 0, None, None),), {0})
    title = legend.item(0, 0)
    assert title is not None
    # Nothing is left of the row but its box.
    title.setText("")
    title.setIcon(QIcon())
    legend.move(0, 50)
    window.show()
    ground = qapp.palette().color(Role.Window)
    for widget in (box, legend.viewport()):
        pixels = pixels_of(widget)[: widget.width() * 20]
        assert strongest_contrast(pixels, ground) >= LEAST_CONTRAST_OF_PARTS
    apply_theme("system")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_box_in_a_menu_stands_out(theme: str, qtbot: QtBot, qapp: QApplication):
    qapp.setStyle("Fusion")
    apply_theme(theme)
    menu = QMenu()
    qtbot.addWidget(menu)
    menu.addAction(" ").setCheckable(True)
    menu.show()
    ground = qapp.palette().color(Role.Base)
    inner = menu.grab(menu.rect().adjusted(3, 3, -3, -3)).toImage()  # Without its rim.
    pixels = [
        inner.pixelColor(column, row)
        for row in range(inner.height())
        for column in range(inner.width())
    ]
    assert strongest_contrast(pixels, ground) >= LEAST_CONTRAST_OF_PARTS
    apply_theme("system")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_opens_the_rest_of_a_narrow_tool_bar_stands_out(
    theme: str, user: User, qapp: QApplication
):
    qapp.setStyle("Fusion")
    apply_theme(theme)
    user.window.resize(user.window.minimumSizeHint())
    (more,) = [
        button
        for button in user.window.findChildren(QToolButton)
        if button.objectName() == "qt_toolbar_ext_button"
    ]
    user.waits_for(more.isVisible)
    ground = qapp.palette().color(Role.Window)
    user.waits_for(lambda: more.palette().color(Role.Window) == ground)
    corner, *pixels = pixels_of(more)
    assert max(contrast(pixel, corner) for pixel in pixels) >= LEAST_CONTRAST_OF_PARTS
    apply_theme("system")


def test_what_has_the_focus_stands_out_from_what_has_not(colours: QPalette, qtbot: QtBot):
    del colours
    window = QWidget()
    qtbot.addWidget(window)
    column = QVBoxLayout(window)
    slider = QSlider(Qt.Orientation.Horizontal)
    for widget in (QCheckBox(), QPushButton(), QLineEdit(), QComboBox(), slider):
        column.addWidget(widget)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    widgets = window.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
    for before, widget in pairwise([*widgets, widgets[0]]):
        before.setFocus()
        without = pixels_of(widget)
        QTest.keyClick(before, Qt.Key.Key_Tab)
        assert widget.hasFocus()
        strongest = max(map(contrast, pixels_of(widget), without))
        assert strongest >= LEAST_CONTRAST_OF_PARTS, widget


def test_the_dark_theme_is_dark_and_the_others_go_back_to_light(qapp: QApplication):
    seen: dict[str, int] = {}
    for theme in ("dark", "light"):
        apply_theme(theme)
        seen[theme] = qapp.palette().color(Role.Window).lightness()
    apply_theme("system")
    assert seen["dark"] < 100 < seen["light"]
