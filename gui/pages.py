"""The pages of the window, of which one is seen, whatever room there is for it."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QStackedWidget, QWidget


class Pages(QStackedWidget):
    """Shows one page. Where a page needs more room than the screen has, it can be scrolled."""

    def add(self, page: QWidget) -> None:
        """Add a page; the first one is seen."""
        area = QScrollArea(self)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setWidgetResizable(True)
        area.setWidget(page)
        self.addWidget(area)

    @property
    def page(self) -> QWidget | None:
        """The page that is seen."""
        area = self.currentWidget()
        return area.widget() if isinstance(area, QScrollArea) else None

    def show_page(self, page: QWidget) -> None:
        """Let another page be seen."""
        for number in range(self.count()):
            area = self.widget(number)
            if isinstance(area, QScrollArea) and area.widget() is page:
                self.setCurrentIndex(number)
