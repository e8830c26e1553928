"""The page of a scene: what it looks like, its map over it, and all that is known of them."""

from pathlib import Path
from typing import Final

from PySide6.QtCore import QPointF, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QImage
from PySide6.QtWidgets import QFileDialog, QSizePolicy, QSplitter, QVBoxLayout, QWidget

from eurosat.existence import exists
from eurosat.labels import land_cover
from eurosat.scenes.cells import UNSURE
from eurosat.scenes.report import REPORT_FILE

from .class_texts import title_of
from .one_line import OneLine
from .scene_panel import ScenePanel
from .scene_session import SceneSession
from .scene_view import SceneView
from .scene_work import ReadOut, SceneFacts
from .settings import Settings
from .small_screen import WIDTH_OF_HANDLE

_WIDEST_PANEL: Final = 576
_LARGEST_SHARE_OF_PANEL: Final = 0.54


class ScenePage(QWidget):
    """A scene and its map.

    Attributes:
        refused: Signal with a sentence on what could not be done.
        view: The scene on screen.
        panel: The column beside it.
        columns: What divides the two.
    """

    refused = Signal(str)

    def __init__(self, scenes: SceneSession, settings: Settings, parent: QWidget) -> None:
        """Show no scene yet.

        Args:
            scenes: What works on scenes.
            settings: What is remembered.
            parent: The window.
        """
        super().__init__(parent)
        self._scenes = scenes
        self._settings = settings
        self.view = SceneView(self)
        self.panel = ScenePanel(self)
        # The keys that scroll it come from whatever in it has the focus.
        self.panel.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._read_out = OneLine(self)
        self._read_out.setTextFormat(Qt.TextFormat.PlainText)
        self._read_out.setContentsMargins(8, 4, 8, 4)
        self._read_out.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        # What is said of a place does not widen the window.
        self._read_out.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._pointed: QPointF | None = None
        left = QWidget(self)
        layout = QVBoxLayout(left)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._read_out)
        self.columns = QSplitter(self)
        self.columns.setHandleWidth(WIDTH_OF_HANDLE)
        self.columns.addWidget(left)
        self.columns.addWidget(self.panel)
        self.columns.setStretchFactor(0, 1)
        self.columns.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.columns)
        self._connect()
        self.panel.opacity.setValue(settings.map_opacity)

    def _connect(self) -> None:
        scenes, panel, view = self._scenes, self.panel, self.view
        scenes.changed.connect(self._on_changed)
        scenes.map_changed.connect(self._on_map_changed)
        scenes.opened.connect(self._on_opened)
        scenes.looked.connect(self._on_looked)
        scenes.tile_read.connect(view.show_tile)
        view.tiles_wanted.connect(scenes.want_tiles)
        view.pointed.connect(self._on_pointed)
        panel.settings_chosen.connect(scenes.choose)
        panel.refused.connect(self.refused)
        panel.folder_wanted.connect(self._ask_for_maps_folder)
        panel.preview_wanted.connect(self.preview)
        panel.map_wanted.connect(self.map)
        panel.stop_wanted.connect(scenes.stop)
        panel.report_wanted.connect(self._open_report)
        panel.files_wanted.connect(self._open_files)
        panel.opacity_changed.connect(self._set_opacity)
        panel.legend.hidden_changed.connect(scenes.set_hidden)

    @property
    def read_out(self) -> str:
        """What is said of the place under the mouse."""
        return self._read_out.text()

    def remember_layout(self) -> None:
        """Remember how wide everything is."""
        self._settings.set_layout("scene", self.columns.saveState())

    def restore_layout(self, width: int) -> None:
        """Make everything as wide as it was, in a window of this width in pixels."""
        share = round(width * _LARGEST_SHARE_OF_PANEL)
        panel = min(share, _WIDEST_PANEL, self.panel.sizeHint().width())
        self.columns.setSizes([width - panel, panel])
        self.columns.restoreState(self._settings.layout("scene"))

    def preview(self) -> None:
        """Map what is on screen."""
        if self.panel.take_typed():
            self._scenes.preview(self.view.seen)

    def map(self) -> None:
        """Map the whole scene."""
        if self.panel.take_typed():
            self._scenes.map()

    def _on_changed(self) -> None:
        work = self._scenes.work
        if work is None:
            self.view.show_scene(0, 0)
            self._show_read_out()
        else:
            asked = self._scenes.threshold_of_model
            self.panel.show_work(work, can_order=self._scenes.can_order, threshold_of_model=asked)
            if work.facts is None:
                self.view.show_scene(0, 0)

    def _on_map_changed(self) -> None:
        work = self._scenes.work
        if work is not None:
            self.view.show_map(work.so_far.cells if work.so_far else None, work.hidden)
            self.panel.show_map(work)
            self._show_read_out()

    def _on_opened(self, facts: SceneFacts) -> None:
        self.view.show_scene(facts.height, facts.width)
        self._show_read_out()

    def _on_looked(self, picture: QImage) -> None:
        self.view.show_quick_look(picture)

    def _on_pointed(self, place: QPointF | None) -> None:
        self._pointed = place
        self._show_read_out()

    def _show_read_out(self) -> None:
        work, place = self._scenes.work, self._pointed
        found = work.read_out(place.x(), place.y()) if work and place is not None else None
        self._read_out.setText(self._in_words(found) if found else self._hint())

    def _hint(self) -> str:
        work = self._scenes.work
        if work is None or work.facts is None:
            return " "
        return self.tr("Point at the scene to see what lies there.")

    def _in_words(self, found: ReadOut) -> str:
        facts = self._scenes.work.facts if self._scenes.work else None
        texts: list[str] = []
        if found.entry is not None:
            if found.entry.name == UNSURE:
                title = self.tr("Unsure")
            else:
                title = title_of(land_cover(found.entry.name, found.entry.id))
            texts.append(f"{title} {found.confidence:.0%}")
        if found.degrees is not None:
            longitude, latitude = found.degrees
            north = self.tr("N") if latitude >= 0 else self.tr("S")
            east = self.tr("E") if longitude >= 0 else self.tr("W")
            texts.append(f"{abs(latitude):.5f}° {north}, {abs(longitude):.5f}° {east}")
        if facts is not None and facts.crs_name:
            texts.append(f"{facts.crs_name} {found.x:.0f}, {found.y:.0f}")
        texts.append(
            self.tr("column {column:,}, row {row:,}").format(column=found.column, row=found.row)
        )
        return "   ·   ".join(texts)

    def _set_opacity(self, percent: int) -> None:
        self._settings.map_opacity = percent
        self.view.set_map_opacity(percent / 100)

    def _ask_for_maps_folder(self) -> None:
        work = self._scenes.work
        if work is None:
            return
        start = work.maps if exists(work.maps) else work.path.parent
        name = QFileDialog.getExistingDirectory(self, self.tr("Folder for maps"), str(start))
        if name:
            self._scenes.choose_maps_folder(Path(name))

    def _open_report(self) -> None:
        self._open(REPORT_FILE)

    def _open_files(self) -> None:
        self._open("")

    def _open(self, name: str) -> None:
        work = self._scenes.work
        if work is None or work.finished is None:
            return
        path = work.finished.folder / name
        is_there = exists(path)
        if not (is_there and QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))):
            reason = self.tr("nothing here can open it") if is_there else self.tr("it is gone")
            self.refused.emit(
                self.tr("{path} was not opened: {reason}.").format(path=path, reason=reason)
            )
