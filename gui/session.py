"""What the window works with: the workspace, the model and the threads, joined by signals."""

from collections import deque
from pathlib import Path
from time import perf_counter, sleep
from typing import Final

import numpy as np
from PySide6.QtCore import QObject, QThreadPool, QTimer, Signal
from PySide6.QtGui import QImage

from eurosat.classifier import Classifier, Prediction
from eurosat.cores import usable_cores
from eurosat.errors import EurosatError, ImageError, first_of
from eurosat.explain import heat_colours, occlusion_map
from eurosat.find_images import find_images, left_locked
from eurosat.images import read_image
from eurosat.scenes.scene_or_tile import is_scene, is_scene_among_tiles

from .classification import ClassificationThread
from .pace import Pace
from .pixels import PixelThread, ThumbnailCache
from .qt_images import to_qimage_with_alpha
from .tasks import Task
from .workspace import Item, Outcome, Workspace

# A folder is listed in portions: so many files, or what was found in this time in seconds.
_FILES_AT_A_TIME: Final = 500
_SECONDS_AT_A_TIME: Final = 0.1

# Searching is nothing but Python, which only one thread can run at a time: it makes room for the
# window again and again, as it is much faster than all that follows.
_FILES_AT_A_STRETCH: Final = 50
_SECONDS_OF_REST: Final = 0.002

# One core is left to the window.
_THREADS: Final = max(1, usable_cores() - 1)

# So many tasks can run at once.
_FEWEST_TASKS: Final = 8

# So many of them are opened before the window gets its turn.
_OPENED_AT_A_TIME: Final = 200


class Session(QObject):
    """Opens, classifies, cancels, changes models; everything slow happens on threads.

    Attributes:
        added: Signal with a list of images that were opened, empty if all were open already, and
            with the first of those that were to be opened.
        changed: Signal with a list of images of which something has become known, or which wait
            again.
        removed: Signal: images were closed, or all answers forgotten.
        progressed: Signal: the figures of progress have changed.
        model_changed: Signal: `classifier` is another one.
        scenes_found: Signal with a list of paths that were to be opened and are scenes.
        scenes_left_out: Signal with a list of scenes that lie in folders that were to be opened.
        explained: Signal with an image and its heat map as a picture, null if no place matters.
        refused: Signal with a sentence on what could not be done.
        failed: Signal with an exception that is a mistake of ours.
        workspace: What is open.
        classifier: The model, or None as long as the first one is being loaded.
        pixels: The thread that reads images for the eye.
        thumbnails: The thumbnails that are at hand.
        pace: How fast answers have come since the latest order, or None before the first and when
            nothing is open.
    """

    added = Signal(list, object)
    changed = Signal(list)
    removed = Signal()
    progressed = Signal()
    model_changed = Signal()
    scenes_found = Signal(list)
    scenes_left_out = Signal(list)
    explained = Signal(object, QImage)
    refused = Signal(str)
    failed = Signal(object)

    def __init__(self, device_pixel_ratio: float) -> None:
        """Start the threads.

        Args:
            device_pixel_ratio: How many pixels of the screen a pixel of the layout has.
        """
        super().__init__()
        self.workspace = Workspace()
        self.classifier: Classifier | None = None
        self.pace: Pace | None = None
        # A map waits in one of these threads for as long as it takes, whatever the machine has.
        pool = QThreadPool.globalInstance()
        pool.setMaxThreadCount(max(_FEWEST_TASKS, pool.maxThreadCount()))
        self._awaited: set[Item] = set()
        self._looked_at: Item | None = None
        self._otherwise: Path | None = None
        self._tasks: list[Task] = []
        self._cancellable: list[Task] = []
        self._loading: Task | None = None
        self._explaining: Task | None = None
        # What was found, and a timer that opens it bit by bit. Searching is much faster than
        # opening, and would leave the window no time for anything else.
        self._found: deque[Path] = deque()
        self._opening = QTimer(self)
        self._opening.timeout.connect(self._open_some)
        self._classification = ClassificationThread()
        self._classification.answered.connect(self._record)
        self.pixels = PixelThread(device_pixel_ratio)
        self.thumbnails = ThumbnailCache(self.pixels)
        self._classification.start()
        self.pixels.start()

    @property
    def is_running(self) -> bool:
        """Whether answers are on their way."""
        return bool(self._awaited)

    @property
    def awaited(self) -> int:
        """How many answers are on their way; what was cancelled waits, but not for an answer."""
        return len(self._awaited)

    @property
    def is_busy(self) -> bool:
        """Whether there is something to cancel."""
        return self.is_running or bool(self._cancellable) or bool(self._found)

    @property
    def is_explaining(self) -> bool:
        """Whether an explanation is on its way."""
        return self._explaining is not None

    @property
    def model_title(self) -> str:
        """What the model calls itself, or else the name of its file; empty without a model."""
        return self.classifier.model_file.title if self.classifier else ""

    def load_model(self, path: Path, otherwise: Path | None = None) -> None:
        """Load a model; when it has come, everything open is classified again with it.

        If it is the one in use, unchanged, nothing happens.

        Args:
            path: The model file.
            otherwise: What to load if that cannot be used, now or at a later choice that is made
                before any model is there; without it, the model in use stays.
        """
        refusals: list[str] = []
        if otherwise is not None:
            self._otherwise = otherwise
        elif self.classifier is None:
            otherwise = self._otherwise

        def load(_: Task) -> Classifier:
            try:
                return Classifier(path, threads=_THREADS)
            except EurosatError as error:
                if otherwise is None:
                    raise
                refusals.append(str(error))
                return Classifier(otherwise, threads=_THREADS)

        def use(classifier: Classifier) -> None:
            self._use_model(classifier)
            for sentence in refusals:
                self.refused.emit(sentence)

        if self._loading is not None:
            self._loading.cancel()  # The latest choice counts, whichever is loaded first.
        self._loading = Task(load, self)
        self._loading.finished.connect(use)
        self.start(self._loading)

    def open_paths(self, paths: list[Path]) -> None:
        """Open files, and folders with all the tiles in them; scenes are only told of."""

        def search(task: Task) -> int:
            found: list[Path] = []
            count = looked_at = 0
            told = perf_counter()
            named = dict.fromkeys(map(Path.absolute, paths))
            # Without repeats: a scene may be named, and lie in a folder that is named.
            scenes: dict[Path, None] = {}
            left_out: dict[Path, None] = {}
            locked: list[Path] = []

            def goes_on() -> bool:
                nonlocal looked_at
                looked_at += 1
                if looked_at % _FILES_AT_A_STRETCH == 0:
                    sleep(_SECONDS_OF_REST)
                return not task.is_cancelled

            def leave_out(path: Path) -> None:
                if path not in named:
                    left_out[path] = None

            for path in find_images(named, goes_on, leave_out, locked.append):
                is_named = path in named
                looks_like_scene, kept = (
                    (is_scene, scenes) if is_named else (is_scene_among_tiles, left_out)
                )
                if looks_like_scene(path):
                    kept[path] = None
                else:
                    found.append(path)
                    count += 1
                if len(found) >= _FILES_AT_A_TIME or perf_counter() - told > _SECONDS_AT_A_TIME:
                    task.report(found)
                    found, told = [], perf_counter()
            if task.is_cancelled:
                return count
            task.report(found)
            if scenes:
                self.scenes_found.emit(list(scenes))
            if left_out:
                self.scenes_left_out.emit(list(left_out))
            if locked:
                self.refused.emit(str(left_locked(locked)))
            elif not (count or scenes or left_out):
                raise ImageError(f"There are no images in {first_of(paths)}.")
            return count

        def add(found: list[Path]) -> None:
            if not task.is_cancelled:  # Since it was reported.
                self._found.extend(found)
                self._opening.start()

        task = Task(search, self)
        task.reported.connect(add)
        self.start(task, cancellable=True)

    def open_pixels(self, name: str, pixels: np.ndarray) -> None:
        """Open an image that has no file: a uint8 array of shape [height, width, 3]."""
        item = self.workspace.add_pixels(name, pixels)
        self._add([item], item)

    def hurry(self, item: Item) -> None:
        """Classify an image next, because it is looked at; so too when all are ordered again."""
        self._looked_at = item
        self._classification.hurry(item)

    def remove(self, items: list[Item]) -> None:
        """Close images."""
        self.workspace.remove(items)
        if self._looked_at in items:
            self._looked_at = None
        self._awaited.difference_update(items)
        self.thumbnails.forget(items)
        if not self.workspace.items:
            self.pace = None
        self.removed.emit()
        self.progressed.emit()

    def clear(self) -> None:
        """Close all images and stop whatever is under way for them."""
        self.cancel()
        self.remove(list(self.workspace.items))

    def cancel(self) -> None:
        """Stop searching and classifying; what is answered stays."""
        for task in self._cancellable:
            task.cancel()
        self._found.clear()
        self._opening.stop()
        self._classification.drop(self.workspace.begin_generation())
        self._awaited.clear()
        self.progressed.emit()

    def resume(self) -> None:
        """Classify what has no answer yet."""
        self._order_again(self.workspace.waiting_items())

    def explain(self, item: Item) -> None:
        """Find out which pixels of an image decided; `explained` tells."""
        classifier, prediction = self.classifier, item.outcome
        if classifier is None or not isinstance(prediction, Prediction):
            return

        def work(task: Task) -> QImage:
            if task.is_cancelled:
                return QImage()
            pixels = read_image(item.source)
            heat = occlusion_map(classifier, pixels, prediction.index, lambda: task.is_cancelled)
            colours = heat_colours(heat)
            return to_qimage_with_alpha(colours) if colours.any() else QImage()

        def tell(heat: QImage) -> None:
            if item.outcome is prediction:  # Not of another model by now.
                self.explained.emit(item, heat)

        self.explain_nothing()  # One image is looked at at a time.
        self._explaining = Task(work, self)
        self._explaining.finished.connect(tell)
        self.start(self._explaining)

    def explain_nothing(self) -> None:
        """Stop what `explain` has begun."""
        if self._explaining is not None:
            self._explaining.cancel()
            self._explaining = None

    def start(self, task: Task, *, cancellable: bool = False) -> None:
        """Run a task.

        Args:
            task: The task; it is cancelled when the session is closed.
            cancellable: Whether `cancel` ends it, too.
        """
        self._tasks.append(task)
        if cancellable:
            self._cancellable.append(task)
            self.progressed.emit()
        task.refused.connect(self.refused)
        task.failed.connect(self.failed)
        task.ended.connect(lambda: self._forget(task))
        task.start()

    def close(self) -> None:
        """Stop everything; return when all threads have ended."""
        for task in self._tasks:
            task.cancel()
        self.cancel()
        self._classification.stop()
        self.pixels.stop()
        QThreadPool.globalInstance().waitForDone()

    def _forget(self, task: Task) -> None:
        self._tasks.remove(task)
        if task in self._cancellable:
            self._cancellable.remove(task)
        if task is self._loading:
            self._loading = None
        if task is self._explaining:
            self._explaining = None
        task.deleteLater()
        self.progressed.emit()

    def _use_model(self, classifier: Classifier) -> None:
        if self.classifier is not None:
            old, new = self.classifier.model_file, classifier.model_file
            if (old.path, old.sha256) == (new.path, new.sha256):
                return  # Its answers are there already.
        self.classifier = classifier
        self.workspace.begin_generation(forget=True)
        self._awaited.clear()
        self.model_changed.emit()
        self.removed.emit()
        self._order_again(list(self.workspace.items))

    def _open_some(self) -> None:
        count = min(len(self._found), _OPENED_AT_A_TIME)
        if count:
            paths = [self._found.popleft() for _ in range(count)]
            again = [item for item in map(self.workspace.find, dict.fromkeys(paths)) if item]
            items = self.workspace.add_paths(paths)
            first = self.workspace.find(paths[0])
            assert first is not None
            self._add(items, first)
            self._ask_again([item for item in again if item.cover is None])
        if not self._found:
            self._opening.stop()
            self.progressed.emit()

    def _add(self, items: list[Item], first: Item) -> None:
        self.added.emit(items, first)
        self._order(items)

    def _order(self, items: list[Item]) -> None:
        if self.classifier is not None and items:
            if not self.is_running:
                now = perf_counter()
                self.pace = Pace(now, now)
            self._awaited.update(items)
            self._classification.classify(self.workspace.generation, self.classifier, items)
        self.progressed.emit()

    def _ask_again(self, items: list[Item]) -> None:
        """Classify images that are opened again and have no answer: a file may have been mended."""
        items = [item for item in items if item not in self._awaited]
        if items:
            self.workspace.forget(items)
            self.thumbnails.forget(items)
            self.changed.emit(items)
            self._order(items)

    def _order_again(self, items: list[Item]) -> None:
        """Classify images of which one may be looked at: that one first."""
        self._order(items)
        if self._looked_at is not None:
            self._classification.hurry(self._looked_at)

    def _record(self, generation: int, answers: list[tuple[Item, Outcome]]) -> None:
        changed = self.workspace.record(generation, answers)
        if not changed:
            return
        if self.pace is not None:
            self.pace.advance(len(changed), perf_counter())
        self._awaited.difference_update(changed)
        self.changed.emit(changed)
        self.progressed.emit()
