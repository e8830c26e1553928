"""The page of images: the table of them, the one that is looked at, and what is found in them."""

from functools import partial
from typing import Final

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QLabel, QSplitter, QVBoxLayout, QWidget

from eurosat.labels import EUROSAT_CLASSES, land_cover

from .answer_panel import AnswerPanel
from .class_bars import Bar, ClassBars
from .class_texts import title_of
from .filter_bar import FilterBar
from .image_view import ImageView
from .results import ResultsFilter, ResultsModel, ResultsTable
from .session import Session
from .settings import Settings
from .small_screen import WIDTH_OF_HANDLE
from .workspace import Filter, Item

_LARGEST_SHARE_OF_TABLE: Final = 0.4
_SHARE_OF_ANSWER: Final = 0.27
_MARGIN: Final = 6
_SHORTEST_BAR: Final = 120


class ImagesPage(QSplitter):
    """Images and what the model says of them.

    Attributes:
        looked: Signal: another image is looked at, or something has become known of it.
        filtered: Signal: other rows are shown.
        explaining: Signal with whether it is being found out which pixels decided.
        told: Signal with a sentence on the image that is looked at, empty when that is another one.
        filter_bar: Which rows are shown.
        table: The table of results.
        image: The image that is looked at.
        answer: What the model says of it.
        summary: How many images have each class.
        picture: The image that is looked at with its picture, or None if there is none to be seen.
    """

    looked = Signal()
    filtered = Signal()
    explaining = Signal(bool)
    told = Signal(str)

    def __init__(self, session: Session, settings: Settings, parent: QWidget) -> None:
        """Show no image yet.

        Args:
            session: What is open, and what works on it.
            settings: What is remembered.
            parent: The window.
        """
        super().__init__(parent)
        self._session = session
        self._settings = settings
        self.picture: tuple[Item, QImage] | None = None
        # The image that is looked at, if its file cannot be read now.
        self._gone: Item | None = None
        self._wants_heat = False
        # The image whose heat map is shown, or on its way.
        self._explained: Item | None = None
        self._was_busy = False

        self._model = ResultsModel(session.workspace, session.thumbnails, self)
        self._shown = ResultsFilter(self._model, self)
        self.filter_bar = FilterBar(self)
        self.table = ResultsTable(self._shown, self)
        self.image = ImageView(self)
        self.image.set_heat_opacity(settings.heat_opacity / 100)
        self.answer = AnswerPanel(self)
        self.answer.fixed_order.setChecked(settings.fixed_order)
        self._summary_title = QLabel(self)
        self.summary = ClassBars(self.tr("Images of each class"), self)
        self.summary.setToolTip(self.tr("Double-click a class to show only its images"))
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self.setHandleWidth(WIDTH_OF_HANDLE)
        self._right = QSplitter(Qt.Orientation.Vertical, self)
        self._right.setHandleWidth(WIDTH_OF_HANDLE)
        self._right.addWidget(self.answer)
        self._right.addWidget(_column(self._summary_title, self.summary))
        # The longest class name, some of its bar, and the number.
        texts = (max((title_of(cover) for cover in EUROSAT_CLASSES), key=len), "100.0%")
        letters = sum(map(self.fontMetrics().horizontalAdvance, texts))
        self._right.setMinimumWidth(letters + _SHORTEST_BAR)
        for widget in (_column(self.filter_bar, self.table), self.image, self._right):
            self.addWidget(widget)
        # The image takes most of what a larger window gives.
        for position, share in enumerate((1, 3, 1)):
            self.setStretchFactor(position, share)
        self.setChildrenCollapsible(False)

    def _connect(self) -> None:
        session = self._session
        session.changed.connect(self._on_changed)
        session.removed.connect(self._on_removed)
        session.model_changed.connect(self._on_model_changed)
        session.explained.connect(self._on_explained)
        session.pixels.image_read.connect(self._on_image_read)
        session.pixels.thumbnail_read.connect(self._model.keep_thumbnail)
        self.table.current_changed.connect(self._on_current_changed)
        self.table.selectionModel().selectionChanged.connect(self.looked)
        self.filter_bar.changed.connect(self._on_filter_changed)
        self.summary.chosen.connect(self.filter_bar.choose_class)
        self.answer.fixed_order.toggled.connect(partial(setattr, self._settings, "fixed_order"))

    # What the window asks and tells.

    @property
    def row_count(self) -> int:
        """How many images the filter shows."""
        return self._shown.rowCount()

    @property
    def can_explain(self) -> bool:
        """Whether the image that is looked at can be read, so that pixels of it may decide."""
        current = self.table.current_item()
        return current is not None and not current.reason and current is not self._gone

    def shown_items(self) -> list[Item]:
        """Return the images that the filter shows, from top to bottom."""
        return self._shown.items()

    def add(self, items: list[Item]) -> None:
        """Show images that were opened."""
        if items:
            self._model.add(items)

    def show_progress(self) -> None:
        """Show how far all images together have come."""
        is_busy, workspace = self._session.is_busy, self._session.workspace
        if self._was_busy and not is_busy:
            self.table.sort_again()
        self._was_busy = is_busy
        is_all_hidden = bool(workspace.items) and not self.row_count
        self.answer.set_filtered_out(is_all_hidden=is_all_hidden)
        self._show_summary()

    def explain(self, wanted: bool) -> None:
        """Show or hide the heat map of whichever image is looked at."""
        self._wants_heat = wanted
        self._explain_or_not()

    def set_heat_opacity(self, percent: int) -> None:
        """Choose how much of the image the heat map hides."""
        self._settings.heat_opacity = percent
        self.image.set_heat_opacity(percent / 100)

    def remember_layout(self) -> None:
        """Remember how wide everything is."""
        self._settings.set_layout("columns", self.saveState())
        self._settings.set_layout("right", self._right.saveState())
        self._settings.set_layout("table", self.table.horizontalHeader().saveState())
        self._settings.text_height = self.fontMetrics().height()

    def restore_layout(self, width: int) -> None:
        """Make everything as wide as it was, in a window of this width in pixels."""
        # As long as nobody has moved them, the image takes what table and answer leave.
        left = self.table.width_of_answers + 2 * _MARGIN
        left = min(left, round(width * _LARGEST_SHARE_OF_TABLE))
        right = max(self._right.minimumWidth(), round(width * _SHARE_OF_ANSWER))
        middle = width - left - right - 2 * self.handleWidth()
        self.setSizes([left, middle, right])
        self.restoreState(self._settings.layout("columns"))
        self._right.restoreState(self._settings.layout("right"))
        # Columns that are wide enough for one font are not for another.
        if self._settings.text_height == self.fontMetrics().height():
            self.table.horizontalHeader().restoreState(self._settings.layout("table"))

    # What comes of the session, of the table and of the filter.

    def _on_changed(self, items: list[Item]) -> None:
        with self.table.steady():
            self._model.update_items(items)
        current = self.table.current_item()
        if current is None and self.row_count:
            self.table.go_to(self._shown.item(0))  # Nothing fitted the filter before.
        elif current is not None and current in items:
            if current.outcome is None and self.picture is None:
                self._session.pixels.want_image(current)  # It may be readable by now.
            self._show_answer(current)

    def _on_removed(self) -> None:
        # Of the rows from the current one on, the first that stays.
        rows = range(max(0, self.table.currentIndex().row()), self.row_count)
        staying = next((item for item in map(self._shown.item, rows) if item.is_open), None)
        selected = [item for item in self.table.selected_items() if item.is_open]
        self._model.reload()
        self.table.sort_again()
        if staying is not None:
            self.table.go_to(staying)
        elif self.row_count:
            self.table.go_to(self._shown.item(self.row_count - 1))
        self.table.select(selected)
        if self.table.current_item() is None:
            self._on_current_changed(None)

    def _on_model_changed(self) -> None:
        classifier = self._session.classifier
        assert classifier is not None
        covers = [land_cover(name, number) for number, name in enumerate(classifier.class_names)]
        self.filter_bar.set_classes(covers)
        self._explained = None  # Another model looks elsewhere.
        self.image.show_heat(QImage())

    def _on_current_changed(self, item: Item | None) -> None:
        if item is None:
            self.picture = None
            self.image.show_picture(QImage())
        elif self.picture is None or self.picture[0] is not item:
            self.picture = None
            self._session.hurry(item)
            self._session.pixels.want_image(item)
        self.told.emit("")
        self._show_answer(item)

    def _on_image_read(self, item: Item, picture: QImage) -> None:
        if item is self.table.current_item():
            self.picture = (item, picture) if not picture.isNull() else None
            self._gone = item if picture.isNull() else None
            if item is self._gone and item.cover is not None:
                sentence = self.tr("{path} is gone or has changed: it cannot be read any more.")
                self.told.emit(sentence.format(path=item.location))
            self.image.show_picture(picture)
            self.looked.emit()
            self._explain_or_not()

    def _on_explained(self, item: Item, heat: QImage) -> None:
        if item is self._explained:
            self.image.show_heat(heat)
            if heat.isNull():
                self.told.emit(self.tr("No single part of this image decides."))

    def _on_filter_changed(self, accepted: Filter) -> None:
        current, selected = self.table.current_item(), self.table.selected_items()
        self._shown.set_filter(accepted)
        if current is None or not self._shown.index_of(current).isValid():
            if self.row_count:
                self.table.go_to(self._shown.item(0))
        else:
            self.table.go_to(current)
            self.table.select(selected)
        self.filtered.emit()

    # What is shown of it.

    def _show_answer(self, item: Item | None) -> None:
        self.answer.show_item(item)
        self.looked.emit()
        self._explain_or_not()

    def _explain_or_not(self) -> None:
        item = self.picture[0] if self.picture else None
        if not self._wants_heat or item is None or item.cover is None:
            self._explained = None
            self._session.explain_nothing()
            self.image.show_heat(QImage())
            self.explaining.emit(False)
        elif item is not self._explained:
            self._explained = item
            self._session.explain(item)
            self.explaining.emit(self._session.is_explaining)

    def _show_summary(self) -> None:
        classifier, counts = self._session.classifier, self._session.workspace.class_counts
        if classifier is None:
            return
        largest = max(counts.values(), default=0) or 1
        self.summary.show_bars(
            [
                Bar(land_cover(name, number), counts[name] / largest, f"{counts[name]:,}")
                for number, name in enumerate(classifier.class_names)
            ]
        )
        self._summary_title.setText(
            self.tr("All images: {count:,} classified").format(count=counts.total())
        )


def _column(*widgets: QWidget) -> QWidget:
    """Return widgets one below the other; the last one takes the space."""
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
    for widget in widgets:
        layout.addWidget(widget, int(widget is widgets[-1]))
    return column
