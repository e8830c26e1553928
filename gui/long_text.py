"""Text with long names in it, which are broken into lines although they have no spaces."""

import re
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import (
    QClipboard,
    QContextMenuEvent,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
)
from PySide6.QtWidgets import QLabel, QMenu, QWidget

_BREAK: Final = "\u200b"
"""A space of no width."""
# Qt breaks after hyphens and slashes. Names of satellite images have others, or none at all; no
# word of a sentence has so many letters.
_BREAKABLE: Final = re.compile(r"_|[^\W_]{24}(?=[^\W_])")


class LongText(QLabel):
    """A plain text, in lines that may end within a name; what is copied of it has whole names."""

    def __init__(self, text: str, parent: QWidget) -> None:
        """Show a text.

        Args:
            text: The text.
            parent: The widget around it.
        """
        super().__init__(parent)
        self.setText(text)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)

    def setText(self, text: str) -> None:
        """Show another text."""
        super().setText(_broken(text))
        # What a screen reader says; without a name of its own it says what is shown.
        self.setAccessibleName(text)

    def text(self) -> str:
        """Return the text."""
        return _whole(super().text())

    def selectedText(self) -> str:
        """Return what is selected of it."""
        return _whole(super().selectedText())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy what is selected. Called by Qt."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self._copy()
        else:
            super().keyPressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let the middle button paste what is selected, where it does. Called by Qt."""
        super().mouseReleaseEvent(event)
        if self.hasSelectedText() and QGuiApplication.clipboard().supportsSelection():
            self._copy(QClipboard.Mode.Selection)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer to copy what is selected, where anything can be. Called by Qt."""
        if not self.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse:
            super().contextMenuEvent(event)
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(self.tr("&Copy"), self._copy).setEnabled(self.hasSelectedText())
        menu.addAction(self.tr("Select &all"), self._select_all)
        menu.popup(event.globalPos())

    def _select_all(self) -> None:
        # Qt counts a letter beyond the first 65,536 of Unicode twice.
        self.setSelection(0, len(super().text().encode("utf-16-le", "surrogatepass")) // 2)

    def _copy(self, mode: QClipboard.Mode = QClipboard.Mode.Clipboard) -> None:
        QGuiApplication.clipboard().setText(self.selectedText(), mode)


def _broken(text: str) -> str:
    return _BREAKABLE.sub(lambda found: found.group() + _BREAK, text)


def _whole(text: str) -> str:
    return text.replace(_BREAK, "")
