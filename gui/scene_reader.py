"""The thread that reads a scene: a quick look, tiles of what is on screen, and previews."""

import logging
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from typing import Final

import numpy as np
from PySide6.QtCore import QThread, Signal
from PySide6.QtGui import QImage

from eurosat.classifier import Classifier
from eurosat.errors import EurosatError
from eurosat.scenes.map_record import MapSettings
from eurosat.scenes.scene import Scene, open_scene

from .qt_images import to_qimage_with_alpha
from .scene_work import MapSoFar, facts_of, preview_map

_LOG = logging.getLogger(__name__)

QUICK_LOOK_SIDE: Final = 2048
"""The longer side of the quick look, in pixels; a scene that is not larger needs no tiles."""

TILE_SIDE: Final = 256
"""Height and width of a tile of the screen, in pixels."""

Tile = tuple[int, int, int]
"""How often it is halved, and its row and column among the tiles that are halved as often."""


@dataclass(frozen=True, eq=False)
class _Preview:
    classifier: Classifier
    settings: MapSettings
    window: tuple[int, int, int, int]


class SceneReader(QThread):
    """Reads one scene at a time. Every answer carries the number of the order to open it.

    Attributes:
        opened: Signal with the number and a `SceneFacts`.
        looked: Signal with the number and the quick look.
        tile_read: Signal with the number, a `Tile` and its picture.
        previewed: Signal with the number, the model and a `MapSoFar`.
        refused: Signal with the number and the sentence of an `EurosatError`.
        failed: Signal with the number and an exception that is a mistake of ours.
        rested: Signal: all that was asked for is done.
    """

    opened = Signal(int, object)
    looked = Signal(int, QImage)
    tile_read = Signal(int, object, QImage)
    previewed = Signal(int, object, object)
    refused = Signal(int, str)
    failed = Signal(int, object)
    rested = Signal()

    def __init__(self) -> None:
        """Prepare the thread; `start` lets it run."""
        super().__init__()
        self._changed = Condition()
        self._number = 0
        self._wanted: tuple[Path, MapSettings] | None = None
        self._is_wanted = False
        self._tiles: list[Tile] = []
        self._preview: _Preview | None = None
        self._is_resting = False
        self._is_stopped = False

    @property
    def is_resting(self) -> bool:
        """Whether all that was asked for is done."""
        with self._changed:
            return self._is_resting and not self._has_work()

    def open(self, path: Path, settings: MapSettings) -> int:
        """Open a scene in place of the one before; return the number of the order."""
        return self._order((path, settings))

    def close_scene(self) -> None:
        """Let go of the scene."""
        self._order(None)

    def want_tiles(self, tiles: Sequence[Tile]) -> None:
        """Ask for tiles, the most urgent first. What was asked for before is forgotten."""
        with self._changed:
            self._tiles = list(reversed(tiles))
            self._changed.notify()

    def want_preview(
        self, classifier: Classifier, settings: MapSettings, window: tuple[int, int, int, int]
    ) -> None:
        """Ask for a preview, see `preview_map`; it goes before tiles."""
        with self._changed:
            self._preview = _Preview(classifier, settings, window)
            self._changed.notify()

    def stop(self) -> None:
        """End the thread; return when it has ended."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self.wait()

    def run(self) -> None:
        """Work until told to stop. Called by Qt."""
        scene, number = None, 0
        with ExitStack() as stack:
            while True:
                with self._changed:
                    if not self._has_work():
                        self._is_resting = True
                        self.rested.emit()
                    self._changed.wait_for(self._has_work)
                    self._is_resting = False
                    if self._is_stopped:
                        return
                    wanted, self._wanted = self._wanted, None
                    is_other, self._is_wanted = self._is_wanted, False
                    preview, self._preview = self._preview, None
                    tile = None
                    if not is_other and preview is None and self._tiles:
                        tile = self._tiles.pop()
                    if is_other:
                        number = self._number
                try:
                    if is_other:
                        scene = None
                        stack.close()
                    if wanted is not None:
                        path, settings = wanted
                        kind, offset = settings.kind, settings.offset
                        scene = stack.enter_context(
                            open_scene(path, bands=settings.bands, kind=kind, offset=offset)
                        )
                        self.opened.emit(number, facts_of(scene))
                        self.looked.emit(number, _picture(*scene.preview(QUICK_LOOK_SIDE)))
                    if scene is not None and preview is not None:
                        so_far = _previewed(scene, preview)
                        self.previewed.emit(number, preview.classifier, so_far)
                    elif scene is not None and tile is not None:
                        self.tile_read.emit(number, tile, _tile_of(scene, tile))
                except EurosatError as error:
                    self.refused.emit(number, str(error))
                except Exception as error:  # noqa: BLE001 - It reaches the user as a message.
                    _LOG.debug("A scene could not be read", exc_info=True)
                    self.failed.emit(number, error)

    def _order(self, wanted: tuple[Path, MapSettings] | None) -> int:
        with self._changed:
            self._number += 1
            self._wanted, self._is_wanted = wanted, True
            self._tiles.clear()
            self._preview = None
            self._changed.notify()
            return self._number

    def _has_work(self) -> bool:
        return bool(self._is_stopped or self._is_wanted or self._tiles or self._preview)


def tile_window(tile: Tile, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the rows and columns of a scene that a tile shows."""
    halvings, row, column = tile
    span = TILE_SIDE << halvings
    return (
        (row * span, min((row + 1) * span, height)),
        (column * span, min((column + 1) * span, width)),
    )


def _tile_of(scene: Scene, tile: Tile) -> QImage:
    rows, columns = tile_window(tile, scene.ground.height, scene.ground.width)
    return _picture(*scene.read_window(rows, columns, 1 << tile[0]))


def _previewed(scene: Scene, preview: _Preview) -> MapSoFar:
    try:
        with tempfile.TemporaryDirectory() as folder:
            answers = Path(folder) / "answers"
            return preview_map(scene, preview.classifier, preview.settings, preview.window, answers)
    except OSError as error:
        raise EurosatError(
            "A preview cannot be written to the folder for temporary files"
            f" ({error.strerror}): make room there, or name another one with TMPDIR."
        ) from error


def _picture(pixels: np.ndarray, has_data: np.ndarray) -> QImage:
    """Return a picture that is transparent where there is no data, as the screen takes it."""
    alpha = np.where(has_data, 255, 0).astype(np.uint8)
    picture = to_qimage_with_alpha(np.dstack([pixels, alpha]))
    return picture.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
