"""A line above everything that says what could not be done."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QAccessibleEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from .long_text import LongText


class Notice(QFrame):
    """One sentence, until it is closed or another takes its place."""

    def __init__(self, parent: QWidget) -> None:
        """Say nothing yet."""
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._label = LongText("", self)
        # A name without spaces does not widen the window.
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._label.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        close = QToolButton(self)
        close.setText("✕")
        close.setAutoRaise(True)
        close.setAccessibleName(self.tr("Close this message"))
        close.clicked.connect(self.clear)
        layout = QHBoxLayout(self)
        layout.addWidget(QLabel("⚠", self))
        layout.addWidget(self._label, 1)
        layout.addWidget(close)
        self.hide()

    @property
    def sentence(self) -> str:
        """What is said."""
        return self._label.text()

    def tell(self, sentence: str) -> None:
        """Say a sentence, in place of the one before."""
        self._label.setText(sentence)
        self.show()
        # A screen reader says it at once.
        QAccessible.updateAccessibility(QAccessibleEvent(self._label, QAccessible.Event.Alert))

    def clear(self) -> None:
        """Say nothing."""
        self._label.setText("")  # `clear` would leave what screen readers say.
        self.hide()
