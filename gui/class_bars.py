"""Classes as horizontal bars with numbers, each in its own colour and with its name beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QObject,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QIcon,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from eurosat.labels import LandCover

from .class_texts import description_of, plain_tip, title_of
from .model_index import ROOT, Index
from .qt_images import to_icon

_SMALLEST_SWATCH: Final = 12

ROW_HEIGHT: Final = 26
"""Height of a row with a swatch, in pixels of the layout; Qt takes more for larger letters."""

_NARROWEST_BAR: Final = 2


@dataclass(frozen=True)
class Bar:
    """One class and how much of something it has.

    Attributes:
        cover: The class.
        share: The length of the bar, 0 to 1.
        text: The number beside it.
    """

    cover: LandCover
    share: float
    text: str


class _Column(IntEnum):
    TITLE = 0
    BAR = 1
    TEXT = 2


class _BarModel(QAbstractTableModel):
    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.bars: Sequence[Bar] = ()
        self._swatches: list[QIcon] = []

    def show_bars(self, bars: Sequence[Bar]) -> None:
        if [bar.cover for bar in bars] != [bar.cover for bar in self.bars]:
            self._swatches = [swatch(bar.cover) for bar in bars]
        if len(bars) == len(self.bars):
            self.bars = bars
            if bars:
                self.dataChanged.emit(self.index(0, 0), self.index(len(bars) - 1, len(_Column) - 1))
        else:
            self.beginResetModel()
            self.bars = bars
            self.endResetModel()

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.bars)

    def columnCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(_Column)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        bar, column = self.bars[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole and column != _Column.BAR:
            return title_of(bar.cover) if column == _Column.TITLE else bar.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{title_of(bar.cover)} {bar.text}"
        if role == Qt.ItemDataRole.DecorationRole and column == _Column.TITLE:
            return self._swatches[index.row()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return description_of(bar.cover) or plain_tip(title_of(bar.cover))
        if role == Qt.ItemDataRole.TextAlignmentRole and column == _Column.TEXT:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None


class _BarDelegate(QStyledItemDelegate):
    """Paints the bars themselves; Qt paints the rest."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        super().paint(painter, option, index)
        model = index.model()
        assert isinstance(model, _BarModel)
        bar = model.bars[index.row()]
        space: QRect = option.rect.adjusted(4, 0, -4, 0)
        width = max(_NARROWEST_BAR, round(space.width() * bar.share))
        height = swatch_side()
        filled = QRect(space.left(), 0, width, height)
        filled.moveTop(space.center().y() - height // 2)
        palette: QPalette = option.palette
        draw_bar(painter, filled, bar.cover, palette.color(QPalette.ColorRole.Mid))


def draw_bar(painter: QPainter, place: QRect, cover: LandCover, outline: QColor) -> None:
    """Draw a bar in the colour of a class, outlined: some colours are near white or black."""
    painter.save()
    painter.setPen(QPen(outline, 1))
    painter.setBrush(QColor(cover.colour))
    painter.drawRect(place.adjusted(0, 0, -1, -1))
    painter.restore()


def swatch_side() -> int:
    """Return height and width of a swatch: about those of a capital letter beside it."""
    return max(_SMALLEST_SWATCH, QFontMetrics(QApplication.font()).capHeight())


def swatch(cover: LandCover) -> QIcon:
    """Return a small square in the colour of a class."""
    side = swatch_side()
    pixmap = QPixmap(side, side)
    painter = QPainter(pixmap)
    pixmap.fill(QColor(cover.colour))
    painter.setPen(QColor("#808080"))
    painter.drawRect(0, 0, side - 1, side - 1)
    painter.end()
    return to_icon(pixmap)


class ClassBars(QTableView):
    """A bar for each class.

    Attributes:
        chosen: Signal with the class that was double-clicked, or on which Enter was pressed.
    """

    chosen = Signal(object)

    def __init__(self, name: str, parent: QWidget) -> None:
        """Show nothing yet.

        Args:
            name: What screen readers call it.
            parent: The widget around it.
        """
        super().__init__(parent)
        self.setAccessibleName(name)
        self._model = _BarModel(self)
        self.setModel(self._model)
        self.setItemDelegateForColumn(_Column.BAR, _BarDelegate(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.hide()
        header.setMinimumSectionSize(40)
        header.setSectionResizeMode(_Column.BAR, QHeaderView.ResizeMode.Stretch)
        # The background of the panel, not that of a list.
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self.activated.connect(self._report_choice)
        self._fit_to_font()

    def show_bars(self, bars: Sequence[Bar]) -> None:
        """Show these bars from top to bottom."""
        are_others = {bar.cover for bar in bars} != {bar.cover for bar in self._model.bars}
        self._model.show_bars(bars)
        # Not each time: it asks for every cell, and bars can change many times a second.
        if are_others:
            self.resizeColumnToContents(_Column.TITLE)

    @property
    def bars(self) -> Sequence[Bar]:
        """The bars that are shown."""
        return self._model.bars

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint with Python's lock held throughout, as the table of results does. Called by Qt."""
        super().paintEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Make room for letters of another size. Called by Qt."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_to_font()

    def _fit_to_font(self) -> None:
        self.setIconSize(QSize(swatch_side(), swatch_side()))
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        self.setColumnWidth(_Column.TEXT, self.fontMetrics().horizontalAdvance("100.0%") + 16)
        self.resizeColumnToContents(_Column.TITLE)

    def _report_choice(self, index: QModelIndex) -> None:
        self.chosen.emit(self._model.bars[index.row()].cover)
