"""A line of text that makes do with the space there is."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel

from .class_texts import plain_tip


class OneLine(QLabel):
    """A plain line that ends in an ellipsis where it does not fit; its tooltip has all of it."""

    def setText(self, text: str) -> None:
        """Say something else."""
        super().setText(text)
        self.setToolTip(plain_tip(text))

    def minimumSizeHint(self) -> QSize:
        """Ask for no width, so that no text widens the window. Called by Qt."""
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Write as much as fits. Called by Qt."""
        place = self.contentsRect()
        is_short = self.fontMetrics().horizontalAdvance(self.text()) <= place.width()
        if is_short or self.hasSelectedText():  # Qt marks what is selected.
            super().paintEvent(event)
            return
        cut = Qt.TextElideMode.ElideRight
        self.style().drawItemText(
            QPainter(self),
            place,
            Qt.AlignmentFlag.AlignVCenter,
            self.palette(),
            self.isEnabled(),
            self.fontMetrics().elidedText(self.text(), cut, place.width()),
            self.foregroundRole(),
        )
