"""Small screens: windows that would like more room, and fingers where others have a mouse."""

from typing import Final

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QApplication, QDialog, QToolButton, QWidget

WIDTH_OF_HANDLE: Final = 8
"""Width of what is dragged to divide a window, in pixels of the layout; Qt's own is half of it."""


_OPENERS: Final = ("qt_menubar_ext_button", "qt_toolbar_ext_button")
"""What Qt calls the buttons that open what a bar has no room for."""


def mark_openers(window: QWidget) -> None:
    """Let the buttons be seen that open what a bar has no room for, and tell what they do.

    Qt's picture for them is black, also on dark colours; an arrow has the colour of texts.
    """
    for button in window.findChildren(QToolButton):
        if button.objectName() in _OPENERS:
            button.setArrowType(Qt.ArrowType.DownArrow)
            button.setAccessibleName(QCoreApplication.translate("Bar", "Show the rest of the bar"))


def keep_dialogs_on_screen(app: QApplication) -> None:
    """Let no dialog be larger than the screen, not even those that Qt itself lays out."""
    app.focusWindowChanged.connect(_fit_dialog)


def _fit_dialog() -> None:
    dialog = QApplication.activeModalWidget()
    if isinstance(dialog, QDialog):
        fit_on_screen(dialog)


def fit_on_screen(window: QWidget) -> None:
    """Make a window no larger than the screen, with the frame around it, and move it there.

    One that fits stays where it is.
    """
    screen, frame = window.screen().availableGeometry(), window.frameGeometry()
    if screen.contains(frame):
        return
    around = frame.size() - window.size()
    window.resize(window.size().boundedTo(screen.size() - around))
    frame = window.frameGeometry()
    left = min(frame.left(), screen.left() + screen.width() - frame.width())
    top = min(frame.top(), screen.top() + screen.height() - frame.height())
    window.move(max(left, screen.left()), max(top, screen.top()))
