"""The colours of the app, in light and dark: every text can be read."""

from collections.abc import Iterator

import pytest
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication

from eurosat.gui.theme import THEMES, apply_theme

Role = QPalette.ColorRole
TEXTS = (
    (Role.WindowText, Role.Window),
    (Role.Text, Role.Base),
    (Role.Text, Role.AlternateBase),
    (Role.ButtonText, Role.Button),
    (Role.HighlightedText, Role.Highlight),
    (Role.ToolTipText, Role.ToolTipBase),
    (Role.Link, Role.Base),
)
LEAST_CONTRAST = 4.5
"""What WCAG 2.2 asks for at level AA."""


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


def test_every_text_stands_out_from_its_ground(colours: QPalette):
    for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive):
        for text, ground in TEXTS:
            pair = [brightness(colours.color(group, role)) for role in (text, ground)]
            contrast = (max(pair) + 0.05) / (min(pair) + 0.05)
            assert contrast >= LEAST_CONTRAST, (text, ground)


def test_the_dark_theme_is_dark_and_the_others_go_back_to_light(qapp: QApplication):
    seen: dict[str, int] = {}
    for theme in ("dark", "light"):
        apply_theme(theme)
        seen[theme] = qapp.palette().color(Role.Window).lightness()
    apply_theme("system")
    assert seen["dark"] < 100 < seen["light"]
