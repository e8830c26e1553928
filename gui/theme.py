"""Light, dark, or like the system."""

from collections.abc import Mapping
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

THEMES: Final = {
    "system": Qt.ColorScheme.Unknown,
    "light": Qt.ColorScheme.Light,
    "dark": Qt.ColorScheme.Dark,
}
"""The choices, and what Qt calls them."""

_DARK: Final = {
    QPalette.ColorRole.Window: "#323437",
    QPalette.ColorRole.WindowText: "#e6e6e6",
    QPalette.ColorRole.Base: "#232527",
    QPalette.ColorRole.AlternateBase: "#292b2e",
    QPalette.ColorRole.Text: "#e6e6e6",
    QPalette.ColorRole.PlaceholderText: "#8f949b",
    QPalette.ColorRole.Button: "#3f4247",
    QPalette.ColorRole.ButtonText: "#e6e6e6",
    QPalette.ColorRole.Light: "#565a61",
    QPalette.ColorRole.Midlight: "#494d53",
    QPalette.ColorRole.Mid: "#858b93",
    QPalette.ColorRole.Dark: "#1c1d1f",
    QPalette.ColorRole.Shadow: "#101112",
    QPalette.ColorRole.ToolTipBase: "#33363a",
    QPalette.ColorRole.ToolTipText: "#e6e6e6",
    QPalette.ColorRole.Link: "#7fb4ee",
}
_DARK_DISABLED: Final = "#7a8087"
# Colours that replace Qt's own, too, if the desktop has no others: white on its light blue has a
# contrast of 3.7 only, and its placeholders one of 4.0. Frames around what has the focus are some
# shades darker than a selected row, which therefore has to be light among dark colours.
_ON_LIGHT: Final = {
    QPalette.ColorRole.Highlight: "#2b6cb0",
    QPalette.ColorRole.PlaceholderText: "#6b7076",
}
_ON_DARK: Final = {
    QPalette.ColorRole.Highlight: "#8fbdf0",
    QPalette.ColorRole.HighlightedText: "#101112",
}
# Qt draws the box of a check mark somewhat darker than the window, or than a selected row if the
# keys go there: that is faint among light colours and not seen among dark ones. These widgets get
# other ones, which they use for nothing else but the rim of a menu; the next palette of the app
# takes them away again.
_BOXES_ON_LIGHT: Final = {QPalette.ColorRole.Window: "#aaaaaa"}
_BOXES_ON_DARK: Final = {QPalette.ColorRole.Window: "#a0a6ad"}
_FOCUSED_BOXES_ON_LIGHT: Final = {QPalette.ColorRole.Highlight: "#0f4078"}
_FOCUSED_BOXES_ON_DARK: Final = {QPalette.ColorRole.Highlight: "#00ffff"}
_HALF_LIGHT: Final = 128
_TEXT_ROLES: Final = (
    QPalette.ColorRole.WindowText,
    QPalette.ColorRole.Text,
    QPalette.ColorRole.ButtonText,
)


def apply_theme(name: str) -> None:
    """Let the app look light, dark or like the system, at once.

    Args:
        name: One of `THEMES`.
    """
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    wanted = THEMES[name]
    app.styleHints().setColorScheme(wanted)
    # A desktop without themes takes no notice; it gets the colours from here.
    is_heard = app.styleHints().colorScheme() is wanted or wanted is Qt.ColorScheme.Unknown
    needs_dark = wanted is Qt.ColorScheme.Dark and not is_heard
    app.setPalette(QPalette())
    palette = app.palette()
    if needs_dark:
        _darken(palette)
    elif palette != app.style().standardPalette():
        return  # Those are the colours that the user has chosen for the desktop.
    is_dark = palette.color(QPalette.ColorRole.Window).lightness() < _HALF_LIGHT
    _paint(palette, _ON_DARK if is_dark else _ON_LIGHT)
    app.setPalette(palette)
    _paint(palette, _BOXES_ON_DARK if is_dark else _BOXES_ON_LIGHT)
    app.setPalette(palette, "QMenu")  # pyright: ignore - takes str, says bytes
    # A menu shows by it what the mouse is over.
    _paint(palette, _FOCUSED_BOXES_ON_DARK if is_dark else _FOCUSED_BOXES_ON_LIGHT)
    for kind in ("QCheckBox", "QTableWidget"):
        app.setPalette(palette, kind)  # pyright: ignore - takes str, says bytes


def _paint(palette: QPalette, colours: Mapping[QPalette.ColorRole, str]) -> None:
    """Change colours of whatever is not disabled."""
    for role, colour in colours.items():
        for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive):
            palette.setColor(group, role, QColor(colour))


def _darken(palette: QPalette) -> None:
    for role, colour in _DARK.items():
        palette.setColor(role, QColor(colour))
    for role in _TEXT_ROLES:
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(_DARK_DISABLED))
