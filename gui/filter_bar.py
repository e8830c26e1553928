"""The fields above the table that chooses which images it shows."""

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker, QSize, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from eurosat.labels import LandCover

from .class_bars import swatch, swatch_side
from .class_texts import title_of
from .workspace import Filter, Status


class FilterBar(QWidget):
    """Text, class and confidence.

    Attributes:
        changed: Signal with the new `Filter`.
        text: The field for the text.
    """

    changed = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        """Let everything through."""
        super().__init__(parent)
        self.text = QLineEdit(self)
        self.text.setPlaceholderText(self.tr("Search names"))
        self.text.setAccessibleName(self.tr("Search names"))
        self.text.setClearButtonEnabled(True)
        self.text.setAcceptDrops(False)  # Files are dropped on the window.
        self._class = QComboBox(self)
        self._class.setAccessibleName(self.tr("Show class"))
        self._class.setIconSize(QSize(swatch_side(), swatch_side()))
        self._lowest = _percent_box(self.tr("Lowest confidence"), 0, self)
        self._highest = _percent_box(self.tr("Highest confidence"), 100, self)
        self.set_classes(())

        choices = QHBoxLayout()
        choices.addWidget(self.text, 1)
        choices.addWidget(self._lowest)
        choices.addWidget(QLabel(self.tr("to"), self))
        choices.addWidget(self._highest)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(choices)
        # The whole width, for the longest name of a class.
        layout.addWidget(self._class)
        self.text.textChanged.connect(self._report)
        self._class.currentIndexChanged.connect(self._report)
        self._lowest.valueChanged.connect(self._on_lowest_changed)
        self._highest.valueChanged.connect(self._on_highest_changed)

    def set_classes(self, covers: Sequence[LandCover]) -> None:
        """Offer the classes of a model; keep the choice if the model has it."""
        chosen = self._class.currentData() or Filter()
        with QSignalBlocker(self._class):
            self._class.clear()
            self._class.addItem(self.tr("All classes"), Filter())
            for cover in covers:
                self._class.addItem(swatch(cover), title_of(cover), Filter(class_name=cover.name))
            self._class.insertSeparator(self._class.count())
            for title, status in (
                (self.tr("Unsure"), Status.UNSURE),
                (self.tr("Unreadable"), Status.UNREADABLE),
                (self.tr("Waiting"), Status.WAITING),
            ):
                self._class.addItem(title, Filter(status=status))
            self._class.setCurrentIndex(max(0, self._index_of(chosen)))
        self._report()

    def choose_class(self, cover: LandCover) -> None:
        """Show one class; or all again, if that one is shown already."""
        index = self._index_of(Filter(class_name=cover.name))
        if index >= 0:
            self._class.setCurrentIndex(0 if index == self._class.currentIndex() else index)

    def clear(self) -> None:
        """Let everything through."""
        self.text.clear()
        self._class.setCurrentIndex(0)
        self._lowest.setValue(0)
        self._highest.setValue(100)

    @property
    def filter(self) -> Filter:
        """What is chosen."""
        chosen = self._class.currentData()
        assert isinstance(chosen, Filter)
        return Filter(
            text=self.text.text(),
            class_name=chosen.class_name,
            status=chosen.status,
            lowest=self._lowest.value() / 100,
            highest=self._highest.value() / 100,
        )

    def _index_of(self, chosen: Filter) -> int:
        """Return where a choice stands in the list, or -1; two classes may have one title."""
        offered = map(self._class.itemData, range(self._class.count()))
        return next((index for index, one in enumerate(offered) if one == chosen), -1)

    # No confidence lies between bounds that cross: the other one follows.

    def _on_lowest_changed(self, percent: int) -> None:
        self._highest.setValue(max(percent, self._highest.value()))
        self._report()

    def _on_highest_changed(self, percent: int) -> None:
        self._lowest.setValue(min(percent, self._lowest.value()))
        self._report()

    def _report(self) -> None:
        self.changed.emit(self.filter)


def _percent_box(name: str, value: int, parent: QWidget) -> QSpinBox:
    box = QSpinBox(parent)
    box.setRange(0, 100)
    box.setValue(value)
    box.setSuffix("%")
    box.setKeyboardTracking(False)  # The first digit of a number is not meant yet.
    box.setAccessibleName(name)
    box.setToolTip(name)
    return box
