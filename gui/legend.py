"""What the colours of a map mean, how much land each class covers, and which are shown."""

from typing import Final

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from eurosat.labels import LandCover, land_cover
from eurosat.scenes.areas import Area
from eurosat.scenes.cells import NO_DATA, UNSURE

from .class_bars import ROW_HEIGHT, swatch, swatch_side
from .class_texts import description_of, plain_tip, title_of
from .model_index import Index

_CLASS, _HECTARES, _SHARE, _CONFIDENCE = range(4)
_MANY_HECTARES: Final = 100_000
_WIDEST: Final = {_HECTARES: "1,000,000", _SHARE: "100.0%", _CONFIDENCE: "100%"}
_SHORTEST_TITLE: Final = "Permanent"
_SPACE: Final = 10


class _Titles(QStyledItemDelegate):
    """Takes a click on a name for one on its box, which is small for a finger."""

    def editorEvent(
        self,
        event: QEvent,
        model: QAbstractItemModel,
        option: QStyleOptionViewItem,
        index: Index,
    ) -> bool:
        """Show or hide a class. Called by Qt."""
        is_click = (
            isinstance(event, QMouseEvent)
            and event.type() == QEvent.Type.MouseButtonRelease
            and event.button() == Qt.MouseButton.LeftButton
        )
        if not (is_click and index.flags() & Qt.ItemFlag.ItemIsUserCheckable):
            return super().editorEvent(event, model, option, index)
        role = Qt.ItemDataRole.CheckStateRole
        was_shown = Qt.CheckState(index.data(role)) is Qt.CheckState.Checked
        state = Qt.CheckState.Unchecked if was_shown else Qt.CheckState.Checked
        return model.setData(index, state.value, role)


class Legend(QTableWidget):
    """A row for each class of a map.

    Attributes:
        hidden_changed: Signal with the number of a class, and whether it is hidden now.
    """

    hidden_changed = Signal(int, bool)

    def __init__(self, parent: QWidget) -> None:
        """Show nothing yet."""
        super().__init__(0, 4, parent)
        self._covers: list[LandCover] = []
        self.setAccessibleName(self.tr("Area of each class"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setShowGrid(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setItemDelegateForColumn(_CLASS, _Titles(self))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setAutoFillBackground(False)  # That of the panel is seen through it.
        rows = self.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setSectionResizeMode(_CLASS, QHeaderView.ResizeMode.Stretch)
        header.setSectionsClickable(False)
        header.setHighlightSections(False)
        self.set_assumed(is_assumed=False)
        self._fit_to_font()
        self.itemChanged.connect(self._on_item_changed)
        self.show_areas((), set())

    def set_assumed(self, *, is_assumed: bool) -> None:
        """Say in the heading whether the size of a pixel is a guess."""
        area = self.tr("Area, ha, if 10 m") if is_assumed else self.tr("Area, ha")
        titles = [self.tr("Class"), area, self.tr("Share"), self.tr("Confidence")]
        for column, title in enumerate(titles):
            item = QTableWidgetItem(title)
            side = Qt.AlignmentFlag.AlignLeft if column == _CLASS else Qt.AlignmentFlag.AlignRight
            item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
            self.setHorizontalHeaderItem(column, item)
        self._fit_columns()

    def show_areas(self, areas: tuple[Area, ...], hidden: set[int]) -> None:
        """Show what each class covers; classes of no area stay, without numbers."""
        with QSignalBlocker(self):
            if [area.name for area in areas] != [self._name(row) for row in range(self.rowCount())]:
                self.setRowCount(len(areas))
                self._covers = [_cover_of(area, row) for row, area in enumerate(areas)]
                for row, area in enumerate(areas):
                    self._make_row(row, area)
                self._fit_height()
            for row, area in enumerate(areas):
                self._show_row(row, area, is_hidden=row in hidden)
        self.viewport().update()

    def _show_row(self, row: int, area: Area, *, is_hidden: bool) -> None:
        texts = ("", "", "")
        if area.pixels:
            share = "" if area.share is None else f"{area.share:.1%}"
            confidence = "" if area.confidence is None else f"{area.confidence:.0%}"
            # A tenth of a hectare says nothing of so many, and the name needs the room.
            digits = 1 if area.hectares < _MANY_HECTARES else 0
            texts = (f"{area.hectares:,.{digits}f}", share, confidence)
        for column, text in enumerate(texts, _HECTARES):
            self.model().setData(self.model().index(row, column), text)
        if area.name != NO_DATA:
            shown = Qt.CheckState.Unchecked if is_hidden else Qt.CheckState.Checked
            title = self.model().index(row, _CLASS)
            self.model().setData(title, shown.value, Qt.ItemDataRole.CheckStateRole)

    def _make_row(self, row: int, area: Area) -> None:
        cover = self._covers[row]
        title = QTableWidgetItem(title_of(cover))
        if area.name != NO_DATA:
            title.setIcon(swatch(cover))
        title.setData(Qt.ItemDataRole.UserRole, area.name)
        # The name, too: in a narrow column it is cut.
        tip = "\n".join(filter(None, (title_of(cover), description_of(cover))))
        title.setToolTip(plain_tip(tip))
        flags = Qt.ItemFlag.ItemIsEnabled
        if area.name != NO_DATA:
            flags |= Qt.ItemFlag.ItemIsUserCheckable
        title.setFlags(flags)
        self.setItem(row, _CLASS, title)
        for column in (_HECTARES, _SHARE, _CONFIDENCE):
            item = QTableWidgetItem()
            item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, column, item)

    def changeEvent(self, event: QEvent) -> None:
        """Make room for letters of another size. Called by Qt."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_to_font()

    def _fit_to_font(self) -> None:
        self.setIconSize(QSize(swatch_side(), swatch_side()))
        with QSignalBlocker(self):  # Nobody has hidden a class.
            for row, cover in enumerate(self._covers):
                title = self.item(row, _CLASS)
                if title is not None and not title.icon().isNull():
                    title.setIcon(swatch(cover))
        self.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)  # Qt takes more if needed.
        self._fit_columns()
        self._fit_height()

    def _fit_columns(self) -> None:
        letters, headings, width = self.fontMetrics(), self.horizontalHeader(), 0
        for column, widest in _WIDEST.items():
            needed = letters.horizontalAdvance(widest) + _SPACE
            self.setColumnWidth(column, max(needed, headings.sectionSizeHint(column)))
            width += self.columnWidth(column)
        title = letters.horizontalAdvance(_SHORTEST_TITLE) + 2 * swatch_side() + 2 * _SPACE
        self.setMinimumWidth(width + title)

    def _fit_height(self) -> None:
        height = self.horizontalHeader().sizeHint().height() + self.verticalHeader().length()
        self.setFixedHeight(height + 2)

    def _name(self, row: int) -> str:
        item = self.item(row, _CLASS)
        return str(item.data(Qt.ItemDataRole.UserRole)) if item else ""

    def _on_item_changed(self, item: QTableWidgetItem) -> None:
        if item.column() == _CLASS:
            is_hidden = item.checkState() == Qt.CheckState.Unchecked
            self.hidden_changed.emit(item.row(), is_hidden)


def _cover_of(area: Area, position: int) -> LandCover:
    if area.name in (UNSURE, NO_DATA):
        return LandCover(area.name, area.title, "", area.colour)
    return land_cover(area.name, position)
