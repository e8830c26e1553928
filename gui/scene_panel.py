"""What is known of a scene and chosen for its map, and what the map says."""

from dataclasses import replace
from typing import Final

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from eurosat.scenes.bands import parse_bands
from eurosat.scenes.input_kind import InputKind
from eurosat.scenes.map_record import MapSettings
from eurosat.scenes.windows import STRIDES

from .class_texts import plain_tip
from .headline import Headline
from .legend import Legend
from .long_text import LongText
from .one_line import OneLine
from .scene_work import SceneWork, Stage
from .time_texts import duration, time_left

_HEADLINE_SCALE: Final = 1.5
_LETTERS: Final = 70
_MARGIN: Final = 8
_AS_THE_MODEL_ASKS: Final = -1
_MOST_LETTERS_OF_BANDS: Final = 20


class ScenePanel(QScrollArea):
    """The column beside a scene.

    Attributes:
        settings_chosen: Signal with other `MapSettings`.
        refused: Signal with a sentence on what was typed.
        folder_wanted: Signal: another folder for maps is to be asked for.
        preview_wanted: Signal: what is on screen is to be mapped.
        map_wanted: Signal: the whole scene is to be mapped.
        stop_wanted: Signal: the run is to be stopped.
        report_wanted: Signal: the report is to be opened.
        files_wanted: Signal: the folder of the map is to be opened.
        opacity_changed: Signal with the strength of the map, in percent.
        legend: The classes.
        opacity: How much of the scene the map hides.
    """

    settings_chosen = Signal(object)
    refused = Signal(str)
    folder_wanted = Signal()
    preview_wanted = Signal()
    map_wanted = Signal()
    stop_wanted = Signal()
    report_wanted = Signal()
    files_wanted = Signal()
    opacity_changed = Signal(int)

    def __init__(self, parent: QWidget) -> None:
        """Show no scene yet."""
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._settings = MapSettings()
        self._work: SceneWork | None = None
        column = QWidget(self)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(_MARGIN, _MARGIN, _MARGIN, _MARGIN)
        layout.setSpacing(8)
        self._title = Headline("", column, _HEADLINE_SCALE)
        _set_up(self._title)
        font = self._title.font()
        font.setBold(True)
        self._title.setFont(font)
        self._size = _label(column)
        self._notes = _label(column)
        self._warnings = _label(column)
        for label in (self._title, self._size, self._notes, self._warnings):
            layout.addWidget(label)
        layout.addLayout(self._make_choices(column))
        layout.addLayout(self._make_buttons(column))
        self._state = _label(column)
        self._progress = QProgressBar(column)
        self._progress.setAccessibleName(self.tr("Progress of the map"))
        layout.addWidget(self._progress)
        layout.addWidget(self._state)
        layout.addLayout(self._make_map(column))
        layout.addStretch()
        self.setWidget(column)

    def show_work(
        self, work: SceneWork, *, can_order: bool, threshold_of_model: float | None
    ) -> None:
        """Show how far a scene has come.

        Args:
            work: The scene.
            can_order: Whether a map or a preview can be ordered.
            threshold_of_model: The confidence below which the model asks for a label to be unsure,
                if it does.
        """
        facts, stage = work.facts, work.stage
        self._show_threshold_of_model(threshold_of_model)
        if work is not self._work:
            self._work = work
            # What was typed for another scene.
            self._bands.clear()
            self._show_threshold(work.settings)
        self._title.setText(work.path.name)
        self._title.setToolTip(plain_tip(str(work.path)))
        self._size.setText(self._size_of(work))
        self._notes.setText("\n".join(f"•  {note}" for note in facts.notes) if facts else "")
        warnings = facts.warnings if facts else (work.refusal,) if work.refusal else ()
        self._warnings.setText("\n".join(f"⚠  {warning}" for warning in warnings))
        for label in (self._notes, self._warnings):
            label.setVisible(bool(label.text()))
        self._show_settings(work.settings)
        self._show_plan(work)
        is_running = stage in (Stage.MAPPING, Stage.WRITING)
        is_settled = not is_running and stage is not Stage.PREVIEWING
        for choice in (
            self._kind,
            self._bands,
            self._stride,
            self._unsure,
            self._choose_folder,
        ):
            choice.setEnabled(is_settled)
        self._folder.setText(str(work.maps))
        self._folder.setToolTip(plain_tip(str(work.maps)))
        self._preview.setEnabled(can_order)
        self._map.setEnabled(can_order)
        self._map.setVisible(not is_running)
        self._map.setText(
            self.tr("Go on with the map") if stage is Stage.STOPPED else self.tr("Map the scene")
        )
        self._stop.setVisible(is_running)
        self._stop.setEnabled(stage is Stage.MAPPING)
        self._show_progress(work)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the wheel scroll the column, not change a choice on its way. Called by Qt."""
        is_choice = isinstance(watched, (QComboBox, QSpinBox))
        if is_choice and event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def sizeHint(self) -> QSize:
        """Return a width for the longest class name and three numbers. Called by Qt."""
        return QSize(_LETTERS * self.fontMetrics().averageCharWidth() + self._width_of_bar, 0)

    def minimumSizeHint(self) -> QSize:
        """Return the width at which everything can still be used. Called by Qt."""
        column = self.widget()
        assert column is not None
        # Before there is a map, its legend is hidden; the scene does not move when it comes.
        legend = self.legend.minimumWidth() + 2 * _MARGIN
        width = max(column.minimumSizeHint().width(), legend)
        return QSize(width + self._width_of_bar, super().minimumSizeHint().height())

    @property
    def _width_of_bar(self) -> int:
        return self.verticalScrollBar().sizeHint().width()

    def show_map(self, work: SceneWork) -> None:
        """Show what the map says."""
        so_far = work.so_far
        for widget in (self.legend, self.opacity, self._opacity_name):
            widget.setVisible(so_far is not None)
        is_finished = work.finished is not None
        self._report.setVisible(is_finished)
        self._files.setVisible(is_finished)
        if so_far is not None and work.facts is not None:
            self.legend.set_assumed(is_assumed=work.facts.crs_name is None)
            self.legend.show_areas(so_far.areas, work.hidden)

    def _make_choices(self, parent: QWidget) -> QFormLayout:
        self._kind = QComboBox(parent)
        for kind, title in self._kinds().items():
            self._kind.addItem(title, kind)
        self._kind.activated.connect(self._choose)
        self._bands = QLineEdit(parent)
        self._bands.setPlaceholderText(self.tr("found by name; or such as 4,3,2"))
        self._bands.setToolTip(self.tr("The numbers of the red, the green and the blue band"))
        self._bands.setMaxLength(_MOST_LETTERS_OF_BANDS)
        self._bands.setAcceptDrops(False)  # Files are dropped on the window.
        self._bands.editingFinished.connect(self._choose)
        self._stride = QComboBox(parent)
        for stride in STRIDES:
            self._stride.addItem(self.tr("every {count} pixels").format(count=stride), stride)
        self._stride.setToolTip(
            self.tr("The model sees 64 × 64 pixels; closer labels take longer and draw finer edges")
        )
        self._stride.activated.connect(self._choose)
        self._folder = QLineEdit(parent)
        self._folder.setReadOnly(True)
        self._folder.setAccessibleName(self.tr("Maps in"))
        self._choose_folder = QPushButton(self.tr("Change…"), parent)
        self._choose_folder.setAccessibleName(self.tr("Change the folder of maps"))
        self._choose_folder.clicked.connect(self.folder_wanted)
        folder = QHBoxLayout()
        folder.addWidget(self._folder, 1)
        folder.addWidget(self._choose_folder)
        self._unsure = QSpinBox(parent)
        self._unsure.setRange(_AS_THE_MODEL_ASKS, 100)
        self._unsure.setSuffix(" %")
        self._show_threshold_of_model(None)
        self._unsure.setKeyboardTracking(False)
        self._unsure.setToolTip(
            self.tr("The confidence below which a label is unsure; 0 % gives every place a class")
        )
        self._unsure.valueChanged.connect(self._choose)
        for choice in (self._kind, self._stride, self._unsure):
            choice.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            choice.installEventFilter(self)
        self._plan = OneLine(parent)
        _set_up(self._plan)
        self._plan.setTextFormat(Qt.TextFormat.PlainText)
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self.tr("Values"), self._kind)
        form.addRow(self.tr("Bands"), self._bands)
        form.addRow(self.tr("Labels"), self._stride)
        form.addRow(self._plan)  # Over the whole width, as it ends with how long it takes.
        form.addRow(self.tr("Unsure below"), self._unsure)
        form.addRow(self.tr("Maps in"), folder)
        return form

    def _make_buttons(self, parent: QWidget) -> QVBoxLayout:
        self._preview = QPushButton(self.tr("Preview"), parent)
        self._preview.setToolTip(self.tr("Map what is on screen, and write nothing (Ctrl+P)"))
        self._preview.clicked.connect(self.preview_wanted)
        self._map = QPushButton(self.tr("Map the scene"), parent)
        self._map.setToolTip(self.tr("Map the whole scene and write its files (Ctrl+M)"))
        self._map.clicked.connect(self.map_wanted)
        self._stop = QPushButton(self.tr("Stop"), parent)
        self._stop.setToolTip(self.tr("What is done is kept, and can be gone on with (Esc)"))
        self._stop.clicked.connect(self.stop_wanted)
        self._report = QPushButton(self.tr("Open report"), parent)
        self._report.clicked.connect(self.report_wanted)
        self._files = QPushButton(self.tr("Open folder"), parent)
        self._files.clicked.connect(self.files_wanted)
        rows = QVBoxLayout()
        for buttons in ((self._preview, self._map, self._stop), (self._report, self._files)):
            row = QHBoxLayout()
            for button in buttons:
                button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
                row.addWidget(button)
            rows.addLayout(row)
        return rows

    def _make_map(self, parent: QWidget) -> QVBoxLayout:
        self.legend = Legend(parent)
        self._opacity_name = QLabel(self.tr("Strength of the map"), parent)
        self.opacity = QSlider(Qt.Orientation.Horizontal, parent)
        self.opacity.setRange(0, 100)
        self.opacity.setAccessibleName(self._opacity_name.text())
        self.opacity.valueChanged.connect(self.opacity_changed)
        row = QHBoxLayout()
        row.addWidget(self._opacity_name)
        row.addWidget(self.opacity, 1)
        column = QVBoxLayout()
        column.addLayout(row)
        column.addWidget(self.legend)
        return column

    def _kinds(self) -> dict[InputKind, str]:
        return {
            InputKind.AUTO: self.tr("detected automatically"),
            InputKind.EUROSAT: self.tr("8-bit colours like EuroSAT's"),
            InputKind.L1C: self.tr("L1C reflectance"),
            InputKind.L2A: self.tr("L2A reflectance"),
            InputKind.L1C_TCI: self.tr("true-colour image of L1C"),
            InputKind.L2A_TCI: self.tr("true-colour image of L2A"),
        }

    def take_typed(self) -> bool:
        """Take what was typed into a field that has not been left yet; False if it makes no sense.

        A sentence says so then.
        """
        self._unsure.interpretText()
        self._choose()
        return self._are_bands_understood

    @property
    def _are_bands_understood(self) -> bool:
        text = self._bands.text()
        return not text.strip() or parse_bands(text) is not None

    def _choose(self) -> None:
        bands = parse_bands(self._bands.text())
        if not self._are_bands_understood:
            self.refused.emit(self.tr("The bands must be three numbers, such as 4,3,2."))
            bands = self._settings.bands
        unsure = self._unsure.value()
        chosen = replace(
            self._settings,
            kind=InputKind(self._kind.currentData()),  # Qt keeps a plain text.
            stride=self._stride.currentData(),
            bands=bands,
            unsure_below=None if unsure == _AS_THE_MODEL_ASKS else unsure / 100,
        )
        if chosen != self._settings:
            self.settings_chosen.emit(chosen)

    def _show_settings(self, settings: MapSettings) -> None:
        self._settings = settings
        self._kind.setCurrentIndex(self._kind.findData(settings.kind))
        self._stride.setCurrentIndex(self._stride.findData(settings.stride))
        # What is being typed, or makes no sense yet, stays.
        if not self._unsure.hasFocus():
            self._show_threshold(settings)
        if not self._bands.hasFocus() and self._are_bands_understood:
            self._bands.setText(",".join(map(str, settings.bands or ())))

    def _show_threshold(self, settings: MapSettings) -> None:
        below = settings.unsure_below
        with QSignalBlocker(self._unsure):
            self._unsure.setValue(_AS_THE_MODEL_ASKS if below is None else round(100 * below))

    def _show_threshold_of_model(self, threshold: float | None) -> None:
        text = self.tr("as the model asks")
        if threshold is not None:
            text += f" ({100 * threshold:.1f} %)"
        if text != self._unsure.specialValueText():  # It would replace what is being typed.
            self._unsure.setSpecialValueText(text)

    def _show_plan(self, work: SceneWork) -> None:
        count, seconds = work.window_count, work.seconds_expected
        text = ""
        if count:
            text = self.tr("{count:,} windows") if count > 1 else self.tr("1 window")
            text = text.format(count=count)
        if count and seconds is not None:
            text += ", " + self.tr("{time} to classify").format(time=duration(seconds))
        self._plan.setText(text)

    def _size_of(self, work: SceneWork) -> str:
        facts = work.facts
        if facts is None:
            return self.tr("Opening…") if work.stage is Stage.OPENING else ""
        text = self.tr("{width:,} × {height:,} pixels of {pixel}").format(
            width=facts.width, height=facts.height, pixel=facts.pixel_name
        )
        return f"{text}, {facts.crs_name}" if facts.crs_name else text

    def _show_progress(self, work: SceneWork) -> None:
        stage, count = work.stage, work.window_count
        is_counted = bool(stage in (Stage.MAPPING, Stage.STOPPED) and count)
        self._progress.setVisible(work.is_busy or is_counted)
        # A bar without an end moves to and fro.
        has_end = is_counted and (stage is Stage.STOPPED or work.windows_done > 0)
        done, total = (work.windows_done, count) if has_end else (0, 0)
        if stage is Stage.WRITING:
            done, total = work.steps_written
        self._progress.setMaximum(total)
        self._progress.setValue(done)
        text = ""
        if stage is Stage.PREVIEWING:
            text = self.tr("Mapping a part of what is on screen.")
        elif stage is Stage.WRITING:
            text = self.tr("Writing the files of the map.")
        elif is_counted and work.windows_done:
            text = self.tr("{done:,} of {count:,} windows").format(
                done=work.windows_done, count=count
            )
            if stage is Stage.STOPPED:
                text = self.tr("Stopped after {text}; they are kept.").format(text=text)
            elif work.seconds_left is not None:
                text += f", {time_left(work.seconds_left)}"
        elif work.finished is not None:
            text = self.tr("The map is in {path}.").format(path=work.finished.folder)
            if work.finished.was_there:
                text = self.tr("Mapped before: {text}").format(text=text)
        if work.is_preview:
            preview = self.tr("A preview; no file was written.")
            text = f"{preview}\n{text}" if text else preview
        self._state.setText(text)
        self._state.setVisible(bool(text))


def _label(parent: QWidget) -> QLabel:
    label = LongText("", parent)
    _set_up(label)
    return label


def _set_up(label: QLabel) -> None:
    # A name without spaces does not widen the column.
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
