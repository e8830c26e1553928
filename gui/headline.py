"""A title in larger letters than the text around it."""

from typing import Final

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QFontInfo
from PySide6.QtWidgets import QApplication, QWidget

from .long_text import LongText

_USUAL_SCALE: Final = 1.9


class Headline(LongText):
    """A title; it stays larger than the text, whatever font the user has chosen for that."""

    def __init__(self, text: str, parent: QWidget, scale: float = _USUAL_SCALE) -> None:
        """Show a text, as it is.

        Args:
            text: The title.
            parent: The widget around it.
            scale: How many times as large as the text.
        """
        super().__init__(text, parent)
        self._scale = scale
        self._fit_to_font()
        # Qt tells a widget with a size of its own nothing of a change around it.
        parent.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the font of the parent. Called by Qt."""
        if event.type() == QEvent.Type.FontChange:
            self._fit_to_font()
        return super().eventFilter(watched, event)

    def _fit_to_font(self) -> None:
        font = self.font()
        # A font that was chosen in pixels tells its size in points here alone.
        font.setPointSizeF(QFontInfo(QApplication.font()).pointSizeF() * self._scale)
        self.setFont(font)
