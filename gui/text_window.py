"""A window with a text to read, and nothing to do in it."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QTextBrowser, QVBoxLayout, QWidget


class TextWindow(QDialog):
    """A text under a title; it is gone once it is closed."""

    def __init__(self, title: str, html: str, width: int, height: int, parent: QWidget) -> None:
        """Show a text.

        Args:
            title: Of the window.
            html: The text.
            width: Of the window, in letters of usual width.
            height: Of the window, in lines.
            parent: The window that it belongs to.
        """
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        text = QTextBrowser(self)
        text.setAccessibleName(title)
        text.setHtml(html)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        self.column = QVBoxLayout(self)
        self.column.addWidget(text)
        self.column.addWidget(buttons)
        letters = self.fontMetrics()
        size = QSize(width * letters.averageCharWidth(), height * letters.lineSpacing())
        self.resize(size.boundedTo(self.screen().availableSize()))
