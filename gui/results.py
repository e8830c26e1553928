"""The table of results: its model, its filter, and the view with thumbnails."""

import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, Final

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QItemSelection,
    QItemSelectionModel,
    QItemSelectionRange,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QIcon, QImage, QPaintEvent, QPixmap
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from eurosat.labels import LandCover

from .class_bars import swatch, swatch_side
from .class_texts import answer_title, plain_tip, title_of
from .model_index import ROOT, Index
from .pixels import THUMBNAIL_SIDE, ThumbnailCache
from .qt_images import to_icon
from .workspace import Column, Filter, Item, Status, Workspace, sort_items

# Qt asks for it tens of thousands of times, and counting an enum is slow.
_COLUMNS: Final = len(Column)
_NUMBERS: Final = frozenset({Column.CONFIDENCE, Column.SIZE})
# How many letters of usual width a column has room for at first, if its title needs no more.
_LETTERS: Final = {
    Column.IMAGE: 18,
    Column.CLASS: 23,
    Column.CONFIDENCE: 7,
    Column.RUNNER_UP: 30,
    Column.SIZE: 13,
    Column.STATUS: 26,
}
_SPACE_AROUND: Final = 6
_RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class ResultsModel(QAbstractTableModel):
    """The open images as rows, in the order that the user has chosen."""

    def __init__(self, workspace: Workspace, thumbnails: ThumbnailCache, parent: QObject) -> None:
        """Show what is open."""
        super().__init__(parent)
        self._workspace = workspace
        self._thumbnails = thumbnails
        self._rows: list[Item] = []
        self._row_of: dict[Item, int] = {}
        empty = QPixmap(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        empty.fill(Qt.GlobalColor.transparent)
        self._no_thumbnail = to_icon(empty)
        self._swatches: dict[LandCover, QIcon] = {}
        self._headers = {
            Column.IMAGE: self.tr("Image"),
            Column.CLASS: self.tr("Class"),
            Column.CONFIDENCE: self.tr("Confidence"),
            Column.RUNNER_UP: self.tr("Runner-up"),
            Column.SIZE: self.tr("Size"),
            Column.STATUS: self.tr("Status"),
        }
        self._statuses = {
            Status.WAITING: self.tr("waiting"),
            Status.SURE: self.tr("done"),
            Status.UNSURE: self.tr("unsure"),
            Status.UNREADABLE: self.tr("unreadable"),
        }

    def item(self, row: int) -> Item:
        """Return the image in a row."""
        return self._rows[row]

    def texts(self, item: Item) -> list[str]:
        """Return what the cells of an image say, column by column."""
        return [self._text(item, column) for column in Column]

    def row_of(self, item: Item) -> int | None:
        """Return the row of an image."""
        return self._row_of.get(item)

    def add(self, items: Sequence[Item]) -> None:
        """Show more images, at the end."""
        first = len(self._rows)
        self.beginInsertRows(ROOT, first, first + len(items) - 1)
        self._rows += items
        self._row_of.update((item, first + number) for number, item in enumerate(items))
        self.endInsertRows()

    def reload(self) -> None:
        """Show what is open now, in the order of opening."""
        self.beginResetModel()
        self._set_rows(list(self._workspace.items))
        self.endResetModel()

    def update_items(self, items: Iterable[Item]) -> None:
        """Show what has become known of images."""
        rows = sorted(self._row_of[item] for item in items if item in self._row_of)
        # Neighbours are told of in one go.
        start = 0
        for position in range(1, len(rows) + 1):
            if position == len(rows) or rows[position] != rows[position - 1] + 1:
                first, last = rows[start], rows[position - 1]
                self.dataChanged.emit(self.index(first, 0), self.index(last, _COLUMNS - 1))
                start = position

    def keep_thumbnail(self, item: Item, picture: QImage) -> None:
        """Show a thumbnail that was read."""
        self._thumbnails.keep(item, picture)
        row = self._row_of.get(item)
        if row is not None:
            index = self.index(row, Column.IMAGE)
            self.dataChanged.emit(index, index, [Qt.ItemDataRole.DecorationRole])

    def rowCount(self, parent: Index = ROOT) -> int:
        """Return how many images there are. Called by Qt."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = ROOT) -> int:
        """Return how many columns there are. Called by Qt."""
        return 0 if parent.isValid() else _COLUMNS

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column, and where it stands. Called by Qt."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._headers[Column(section)]
        if role == Qt.ItemDataRole.TextAlignmentRole and section in _NUMBERS:
            return _RIGHT
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows. Called by Qt."""
        item, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(item, column)
        if role == Qt.ItemDataRole.DecorationRole and column == Column.IMAGE:
            # An empty one holds the place, so that names do not jump to the right.
            return self._thumbnails.get(item) or self._no_thumbnail
        if role == Qt.ItemDataRole.DecorationRole and column == Column.CLASS and item.cover:
            return self._swatch(item.cover)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tip(item.reason or item.location)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in _NUMBERS:
            return _RIGHT
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Put the rows in order. Called by Qt; -1 stands for the order of opening."""
        self.layoutAboutToBeChanged.emit()
        marked = self.persistentIndexList()
        marked_items = [self._rows[index.row()] for index in marked]
        if column < 0:
            rows = list(self._workspace.items)
        else:
            is_descending = order is Qt.SortOrder.DescendingOrder
            rows = sort_items(self._workspace.items, Column(column), descending=is_descending)
        self._set_rows(rows)
        moved = [
            self.index(self._row_of[item], index.column())
            for index, item in zip(marked, marked_items, strict=True)
        ]
        self.changePersistentIndexList(marked, moved)
        self.layoutChanged.emit()

    def _swatch(self, cover: LandCover) -> QIcon:
        if cover not in self._swatches:
            self._swatches[cover] = swatch(cover)
        return self._swatches[cover]

    def _set_rows(self, rows: list[Item]) -> None:
        self._rows = rows
        self._row_of = {item: row for row, item in enumerate(rows)}

    def _text(self, item: Item, column: int) -> str:
        if column == Column.IMAGE:
            return item.name
        if column == Column.STATUS:
            return item.reason or self._statuses[item.status]
        if item.cover is None or item.runner_up is None:
            if column == Column.CLASS and item.reason:
                return "⚠ " + self._statuses[item.status]
            return ""
        if column == Column.CLASS:
            return answer_title(item.cover, is_unsure=item.status is Status.UNSURE)
        if column == Column.CONFIDENCE:
            return f"{item.confidence:.1%}"
        if column == Column.RUNNER_UP:
            return f"{title_of(item.runner_up)} {item.runner_up_confidence:.1%}"
        height, width = item.image_size or (0, 0)
        return f"{width} × {height}"


class ResultsFilter(QSortFilterProxyModel):
    """Lets through the rows that the filter accepts; sorting is left to the model.

    Sorting here would ask Python for two cells for every comparison, which takes a second for
    27,000 rows; the model sorts its list in some hundredths.
    """

    def __init__(self, model: ResultsModel, parent: QObject) -> None:
        """Let everything through."""
        super().__init__(parent)
        self._model = model
        self._filter = Filter()
        self.setSourceModel(model)

    def set_filter(self, accepted: Filter) -> None:
        """Choose which rows are shown."""
        if hasattr(self, "endFilterChange"):  # Since Qt 6.10, where the other way is deprecated.
            self.beginFilterChange()
            self._filter = accepted
            self.endFilterChange(QSortFilterProxyModel.Direction.Rows)
        else:
            self._filter = accepted
            self.invalidateRowsFilter()

    def item(self, row: int) -> Item:
        """Return the image in a row that is shown."""
        return self._model.item(self.mapToSource(self.index(row, 0)).row())

    def items(self) -> list[Item]:
        """Return all images that are shown, from top to bottom."""
        return [self.item(row) for row in range(self.rowCount())]

    def texts(self, item: Item) -> list[str]:
        """Return what the cells of an image say."""
        return self._model.texts(item)

    def title(self, column: Column) -> str:
        """Return the title of a column."""
        return self._model.headerData(column, Qt.Orientation.Horizontal)

    def index_of(self, item: Item) -> QModelIndex:
        """Return the first cell of an image; an invalid index if it is not shown."""
        row = self._model.row_of(item)
        return self.mapFromSource(self._model.index(row, 0)) if row is not None else QModelIndex()

    def filterAcceptsRow(self, source_row: int, source_parent: Index) -> bool:
        """Tell whether a row is shown. Called by Qt."""
        return self._filter.accepts(self._model.item(source_row))

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Let the model sort. Called by Qt."""
        self._model.sort(column, order)


class ResultsTable(QTableView):
    """The table as it is seen.

    Attributes:
        current_changed: Signal with the image that the keyboard or mouse has gone to, or None.
    """

    current_changed = Signal(object)

    def __init__(self, proxy: ResultsFilter, parent: QWidget) -> None:
        """Show what the filter lets through."""
        super().__init__(parent)
        self._proxy = proxy
        self.setModel(proxy)
        self.setAccessibleName(self.tr("Results"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setIconSize(QSize(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        rows = self.verticalHeader()
        rows.hide()
        # One fixed height: measuring every row would take seconds.
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        columns = self.horizontalHeader()
        columns.setHighlightSections(False)
        columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        columns.setSortIndicatorClearable(True)
        columns.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        columns.sortIndicatorChanged.connect(self._show_current)  # After the rows are sorted.
        self.selectionModel().currentRowChanged.connect(self._report_current)
        self._fit_to_font()

    @property
    def width_of_answers(self) -> int:
        """The width at which the columns up to the confidence are seen, in pixels."""
        columns = (Column.IMAGE, Column.CLASS, Column.CONFIDENCE)
        bar = self.verticalScrollBar().sizeHint().width()
        return sum(map(self.columnWidth, columns)) + bar + 2 * self.frameWidth()

    def current_item(self) -> Item | None:
        """Return the image that the keyboard is at."""
        index = self.currentIndex()
        return self._proxy.item(index.row()) if index.isValid() else None

    def selected_items(self) -> list[Item]:
        """Return the selected images, from top to bottom."""
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [self._proxy.item(row) for row in rows]

    def selected_text(self) -> str:
        """Return the selected rows under the titles of the columns, as spreadsheets take them."""
        lines = [[self._proxy.title(column) for column in Column]]
        lines += [self._proxy.texts(item) for item in self.selected_items()]
        # A file name may hold what would begin another cell or row.
        plain = [[re.sub(r"[\t\r\n]", " ", cell) for cell in cells] for cells in lines]
        # Or a formula, which the sign keeps from being worked out.
        safe = [[re.sub(r"^(?=[=+@-])", "'", cell) for cell in cells] for cells in plain]
        return "".join("\t".join(cells) + "\n" for cells in safe)

    def go_to(self, item: Item) -> None:
        """Select an image, if it is shown."""
        index = self._proxy.index_of(item)
        if index.isValid():
            # After rows came or went, places are known only when they have been laid out.
            self.doItemsLayout()
            # Not the view's own way to it, which selects a range while Shift is held.
            flags = QItemSelectionModel.SelectionFlag
            self.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self.scrollTo(index)

    def select(self, items: list[Item]) -> None:
        """Select those of some images that are shown, and no others; if none is, nothing changes.

        The keyboard stays where it is.
        """
        indexes = [index for index in map(self._proxy.index_of, items) if index.isValid()]
        indexes.sort(key=QModelIndex.row)
        if not indexes:
            return
        # Neighbours are selected in one go, as many rows one by one would take seconds.
        chosen, first = QItemSelection(), indexes[0]
        for last, following in zip(indexes, [*indexes[1:], ROOT], strict=True):
            if following.row() != last.row() + 1:
                chosen.append(QItemSelectionRange(first, last))
                first = following
        flags = QItemSelectionModel.SelectionFlag
        self.selectionModel().select(chosen, flags.ClearAndSelect | flags.Rows)

    def sort_again(self) -> None:
        """Put rows in order whose answers have come since the order was chosen."""
        header = self.horizontalHeader()
        with self.steady():
            self._proxy.sort(header.sortIndicatorSection(), header.sortIndicatorOrder())

    @contextmanager
    def steady(self) -> Generator[None, None, None]:
        """Keep in its place on screen what is looked at, while other rows come, go and move.

        That is the current row, or the first one on screen if that one is not.
        """
        looked_at = self.currentIndex()
        if not self.viewport().rect().intersects(self.visualRect(looked_at)):
            looked_at = self.indexAt(QPoint(0, 0))
        kept, row = QPersistentModelIndex(looked_at), looked_at.row()
        rows_above = row - self.verticalScrollBar().value()
        yield
        if kept.isValid() and kept.row() != row:
            self.doItemsLayout()  # The scroll bar learns how many rows there are.
            self.verticalScrollBar().setValue(kept.row() - rows_above)

    def changeEvent(self, event: QEvent) -> None:
        """Make room for letters of another size. Called by Qt."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit_to_font()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint with Python's lock held throughout. Called by Qt.

        Otherwise each of the thousand questions for a cell's content would wait for the lock anew,
        while other threads classify.
        """
        super().paintEvent(event)

    def moveCursor(
        self, action: QAbstractItemView.CursorAction, modifiers: Qt.KeyboardModifier
    ) -> QModelIndex:
        """Let Home and End lead to the first and the last row, as a row is one. Called by Qt."""
        if action in {self.CursorAction.MoveHome, self.CursorAction.MoveEnd}:
            modifiers |= Qt.KeyboardModifier.ControlModifier
        return super().moveCursor(action, modifiers)

    def _fit_to_font(self) -> None:
        letters, titles = self.fontMetrics(), self.horizontalHeader()
        # Qt takes more where a line of text is higher.
        self.verticalHeader().setDefaultSectionSize(THUMBNAIL_SIDE + _SPACE_AROUND)
        pictures = {Column.IMAGE: THUMBNAIL_SIDE, Column.CLASS: swatch_side()}
        for column, count in _LETTERS.items():
            picture = pictures.get(column, 0)
            space = 2 * _SPACE_AROUND + (picture + _SPACE_AROUND if picture else 0)
            width = count * letters.averageCharWidth() + space
            self.setColumnWidth(column, max(width, titles.sectionSizeHint(column)))

    def _show_current(self) -> None:
        self.scrollTo(self.currentIndex())

    def _report_current(self, current: QModelIndex) -> None:
        self.current_changed.emit(self._proxy.item(current.row()) if current.isValid() else None)
