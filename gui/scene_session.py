"""What works on a scene: the reading thread and the runs of the map, joined by signals."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter

from PySide6.QtCore import QObject, QRectF, QStandardPaths, Signal
from PySide6.QtGui import QImage

from eurosat.classifier import Classifier
from eurosat.scenes.land_map import seconds_per_window
from eurosat.scenes.map_record import MapSettings, unfinished_settings, windows_kept
from eurosat.scenes.product import scene_named_by

from .map_process import MapFinished, MapGrown, MapOrder, MapStarted, MapWritten, run_map
from .pace import Pace
from .scene_reader import SceneReader, Tile
from .scene_work import (
    MapSoFar,
    SceneFacts,
    SceneWork,
    Stage,
    preview_window,
    usual_maps_folder,
)
from .session import Session
from .tasks import Task


class SceneSession(QObject):
    """Opens a scene, previews and maps it; everything slow happens on threads.

    Attributes:
        begun: Signal: a map or a preview begins.
        changed: Signal: something of `work` has changed.
        map_changed: Signal: the map that is shown is another one.
        opened: Signal with the facts of a scene that has been opened.
        looked: Signal with its quick look.
        tile_read: Signal with a tile and its picture.
        refused: Signal with a sentence on what could not be done.
        told: Signal with a sentence on what was done.
        failed: Signal with an exception that is a mistake of ours.
        work: The scene, or None.
    """

    begun = Signal()
    changed = Signal()
    map_changed = Signal()
    opened = Signal(object)
    looked = Signal(QImage)
    tile_read = Signal(object, QImage)
    refused = Signal(str)
    told = Signal(str)
    failed = Signal(object)

    def __init__(self, session: Session) -> None:
        """Begin with no scene. The threads start with the first one.

        Args:
            session: Where the model is, and what runs tasks.
        """
        super().__init__(session)
        self.work: SceneWork | None = None
        self._session = session
        self._number = 0
        # The run whose news is shown, and all that have not ended yet.
        self._mapping: Task | None = None
        self._running: set[Task] = set()
        self._timing: Task | None = None
        # What waits until the scene is open.
        self._order: Callable[[], None] | None = None
        self._reader: SceneReader | None = None
        self._is_closed = False
        session.model_changed.connect(self._on_model_changed)
        session.progressed.connect(self._measure)

    @property
    def can_map(self) -> bool:
        """Whether a map or a preview can begin now."""
        work = self.work
        return (
            work is not None
            and work.facts is not None
            and not work.is_busy
            and not self._running  # Two runs in one folder would spoil it.
            and self._session.classifier is not None
        )

    @property
    def can_order(self) -> bool:
        """Whether a map or a preview can be ordered, which begins now or once the scene is open."""
        is_opening = (
            self.work is not None
            and self.work.stage is Stage.OPENING
            and not self._running
            and self._session.classifier is not None
        )
        return is_opening or self.can_map

    @property
    def threshold_of_model(self) -> float | None:
        """The confidence below which the model asks for a label to be unsure, if it does."""
        classifier = self._session.classifier
        return MapSettings().threshold_of(classifier) if classifier else None

    def open(self, path: Path) -> None:
        """Open a scene in place of the one before; its run ends, and what is done is kept."""
        if self._is_closed:
            return  # It was found when the window was closed already.
        self.stop()
        self._mapping = None
        documents = QStandardPaths.writableLocation(
            QStandardPaths.StandardLocation.DocumentsLocation
        )
        path = scene_named_by(path).absolute()
        maps = usual_maps_folder(path, Path(documents))
        self.work = SceneWork(path, maps, unfinished_settings(path, maps) or MapSettings())
        self._open()

    def close_scene(self) -> None:
        """Close the scene; its run ends, and what is done is kept."""
        self.stop()
        self._mapping = self.work = None
        if self._reader is not None:
            self._number = 0
            self._reader.close_scene()
        self.changed.emit()

    def close(self) -> None:
        """End the thread; return when it has ended. The session ends the tasks."""
        self._is_closed = True
        if self._reader is not None:
            self._reader.stop()

    def choose(self, settings: MapSettings) -> None:
        """Take other settings; the map that is shown was made with the old ones, and goes."""
        work = self.work
        if work is None or (work.is_busy and work.stage is not Stage.OPENING):
            return
        old, work.settings = work.settings, settings
        same = replace(old, stride=settings.stride, unsure_below=settings.unsure_below)
        if same != settings or work.facts is None:  # The scene is read in another way.
            self._open()
        elif old != settings:
            # What is kept does not depend on when a window is unsure.
            is_kept = (
                work.stage is Stage.STOPPED
                and replace(old, unsure_below=settings.unsure_below) == settings
            )
            done = work.windows_done
            work.begin(Stage.STOPPED)
            if is_kept:
                work.windows_done = done
            else:
                self._get_ready()
            if old.stride != settings.stride:
                work.well_timed.discard(settings.stride)
            self._measure()
            self.map_changed.emit()
            self.changed.emit()

    def choose_maps_folder(self, folder: Path) -> None:
        """Choose the folder in which the map gets a folder."""
        work = self.work
        if work is not None:
            work.maps = folder
            if work.stage in (Stage.READY, Stage.STOPPED):
                self._get_ready()  # What is kept lies in that folder.
            self.choose(unfinished_settings(work.path, folder) or work.settings)
            self.changed.emit()

    def set_hidden(self, number: int, is_hidden: bool) -> None:
        """Show or hide a class of the map."""
        if self.work is not None:
            if is_hidden:
                self.work.hidden.add(number)
            else:
                self.work.hidden.discard(number)
            self.map_changed.emit()

    def want_tiles(self, tiles: list[Tile]) -> None:
        """Ask for tiles of what is on screen."""
        if self._reader is not None:
            self._reader.want_tiles(tiles)

    def preview(self, seen: QRectF) -> None:
        """Map what is on screen, or its middle, and write nothing.

        If the scene is just being opened, it begins then, with all of the scene on screen.
        """
        work, classifier = self.work, self._session.classifier
        if work is not None and work.stage is Stage.OPENING:
            self._order = lambda: self.preview(_all_of(work))
        if not self.can_map or work is None or work.grid is None:
            return
        assert classifier is not None
        assert self._reader is not None
        work.begin(Stage.PREVIEWING)
        self.begun.emit()
        self.map_changed.emit()
        self.changed.emit()
        window = preview_window(work.grid, (seen.top(), seen.bottom(), seen.left(), seen.right()))
        self._reader.want_preview(classifier, work.settings, window)

    def map(self) -> None:
        """Map the whole scene, or go on where an earlier run of the same map was stopped.

        If the scene is just being opened, as other bands were chosen, say, it begins then.
        """
        work, classifier = self.work, self._session.classifier
        if work is not None and work.stage is Stage.OPENING:
            self._order = self.map
        if not self.can_map or work is None or work.grid is None:
            return
        assert classifier is not None
        model = classifier.model_file
        assert work.facts is not None
        order = MapOrder(
            scene=work.path,
            scene_state=work.facts.file_state,
            maps=work.maps,
            model=model.path,
            model_sha256=model.sha256,
            threads=classifier.threads,
            settings=work.settings,
        )
        work.begin(Stage.MAPPING)
        self.begun.emit()

        def run(task: Task) -> MapFinished:
            return run_map(order, task.report, lambda: task.is_cancelled)

        task = Task(run, self._session)
        self._mapping = task
        self._running.add(task)
        task.reported.connect(partial(self._on_news, task))
        task.finished.connect(partial(self._on_news, task))
        task.ended.connect(lambda: self._on_ended(task))
        self._session.start(task)
        self.map_changed.emit()
        self.changed.emit()

    def stop(self) -> None:
        """Stop the run of the map; what is done is kept, and `map` goes on from there.

        Nothing happens while the files are written.
        """
        self._order = None
        task, work = self._mapping, self.work
        if task is None or work is None or work.stage is not Stage.MAPPING:
            return
        task.cancel()
        self._mapping = None
        work.stage = Stage.STOPPED if work.windows_done else Stage.READY
        self.changed.emit()

    def _open(self) -> None:
        work = self.work
        assert work is not None
        self._order = None
        work.begin(Stage.OPENING)
        work.facts, work.refusal = None, ""
        work.well_timed.clear()
        self._number = self._running_reader().open(work.path, work.settings)
        self.map_changed.emit()
        self.changed.emit()

    def _get_ready(self) -> None:
        """Wait for orders; a map that was begun earlier and stopped is told of and gone on with."""
        work, classifier = self.work, self._session.classifier
        assert work is not None
        work.windows_done = 0
        if classifier is not None and work.grid is not None:
            work.windows_done = windows_kept(
                work.path, work.maps, classifier, work.settings, work.grid
            )
        work.stage = Stage.STOPPED if work.windows_done else Stage.READY

    def _running_reader(self) -> SceneReader:
        if self._reader is None:
            self._reader = SceneReader()
            self._reader.opened.connect(self._on_opened)
            self._reader.looked.connect(self._on_looked)
            self._reader.tile_read.connect(self._on_tile_read)
            self._reader.previewed.connect(self._on_previewed)
            self._reader.refused.connect(self._on_refused)
            self._reader.failed.connect(self._on_failed)
            self._reader.rested.connect(self._measure)
            self._reader.start()
        return self._reader

    def _on_opened(self, number: int, facts: SceneFacts) -> None:
        if number == self._number and self.work is not None:
            self.work.facts = facts
            self._get_ready()
            self.opened.emit(facts)
            self.changed.emit()
            if self._order is not None:
                order, self._order = self._order, None
                order()

    def _on_looked(self, number: int, picture: QImage) -> None:
        if number == self._number:
            self.looked.emit(picture)

    def _on_tile_read(self, number: int, tile: Tile, picture: QImage) -> None:
        if number == self._number:
            self.tile_read.emit(tile, picture)

    def _on_previewed(self, number: int, classifier: Classifier, so_far: MapSoFar) -> None:
        work = self.work
        if number != self._number or classifier is not self._session.classifier:
            return
        if work is not None and work.stage is Stage.PREVIEWING:
            work.so_far, work.is_preview = so_far, True
            self._get_ready()
            self.map_changed.emit()
            self.changed.emit()

    def _on_refused(self, number: int, sentence: str) -> None:
        if self._has_broken_off(number, sentence):
            self.refused.emit(sentence)
            self.changed.emit()

    def _on_failed(self, number: int, error: Exception) -> None:
        if self._has_broken_off(number, self.tr("This scene could not be read.")):
            self.changed.emit()
        self.failed.emit(error)

    def _has_broken_off(self, number: int, reason: str) -> bool:
        """Note that the scene will not be opened, or its preview not be made; False for others."""
        work = self.work
        if number != self._number or work is None:
            return False
        if work.facts is None:
            work.stage, work.refusal = Stage.REFUSED, reason
        elif work.stage is Stage.PREVIEWING:
            self._get_ready()
        return True

    def _on_model_changed(self) -> None:
        work = self.work
        if work is None:
            return
        was_mapping = work.stage is Stage.MAPPING
        self.stop()
        if work.stage is Stage.WRITING:
            self._mapping = None  # It ends with its files written, and nothing is shown of it.
        work.seconds_each.clear()
        work.well_timed.clear()
        work.hidden.clear()
        work.begin(work.stage)
        if work.facts is not None:
            self._get_ready()
        self._measure()
        self.map_changed.emit()
        self.changed.emit()
        if was_mapping:
            self.told.emit(self.tr("The map was stopped, as another model answers now."))

    def _measure(self) -> None:
        """Find out how long a window takes here.

        While the scene is read, it waits; if images are classified meanwhile, or an earlier run
        ends, it is measured again when they are done.
        """
        session, work, reader = self._session, self.work, self._reader
        if self._is_closed or self._timing is not None or reader is None or not reader.is_resting:
            return
        classifier = session.classifier
        if classifier is None or work is None or work.grid is None:
            return
        grid, stride = work.grid, work.grid.stride

        def is_quiet() -> bool:
            return not (self._running or session.is_busy or session.is_explaining)

        was_quiet = is_quiet()
        if stride in work.well_timed or (stride in work.seconds_each and not was_quiet):
            return

        def is_of_use() -> bool:
            return work is self.work and classifier is session.classifier

        def take(seconds: float) -> None:
            if is_of_use():
                work.seconds_each[stride] = seconds
                if was_quiet and is_quiet() and reader.is_resting:
                    work.well_timed.add(stride)
                self.changed.emit()

        def give_up() -> None:
            if is_of_use():
                work.well_timed.add(stride)

        def end() -> None:
            self._timing = None
            self._measure()

        self._timing = Task(lambda _: seconds_per_window(classifier, grid), session)
        self._timing.finished.connect(take)
        self._timing.refused.connect(give_up)
        self._timing.failed.connect(give_up)
        self._timing.ended.connect(end)
        session.start(self._timing)

    def _on_news(self, task: Task, news: object) -> None:
        work = self.work
        if task is not self._mapping or work is None:
            return
        now = perf_counter()
        if isinstance(news, MapStarted):
            work.windows_done = news.windows_done
            work.pace = Pace(now, now)
        elif isinstance(news, MapGrown):
            if work.pace is not None:
                work.pace.advance(news.windows_done - work.windows_done, now)
            work.windows_done, work.so_far = news.windows_done, news.so_far
            if news.is_all:
                work.stage = Stage.WRITING
            self.map_changed.emit()
        elif isinstance(news, MapWritten):
            work.steps_written = news.done, news.total
        elif isinstance(news, MapFinished):
            work.stage, work.finished, work.so_far = Stage.FINISHED, news.made, news.so_far
            self._mapping = None
            self.map_changed.emit()
        self.changed.emit()

    def _on_ended(self, task: Task) -> None:
        """Take notice that a run has ended; if it is still shown, it was refused or failed."""
        self._running.discard(task)
        if task is self._mapping and self.work is not None:
            self._mapping = None
            self.work.stage = Stage.STOPPED if self.work.windows_done else Stage.READY
        self._measure()
        self.changed.emit()


def _all_of(work: SceneWork) -> QRectF:
    return QRectF(0, 0, work.facts.width, work.facts.height) if work.facts else QRectF()
