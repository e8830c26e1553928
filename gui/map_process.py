"""A run of a map in a process of its own.

GDAL holds Python's lock while it outlines polygons, which takes seconds for a whole scene; in the
process of the window, that would freeze it.
"""

import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Final

from eurosat.classifier import Classifier
from eurosat.errors import EurosatError, ModelFileError, SceneError, printable
from eurosat.scenes.land_map import MapStart, map_scene
from eurosat.scenes.map_record import LandMap, MapSettings, map_folder

from .scene_work import GrowingMap, MapSoFar, file_state, finished_map

# How often the map on screen grows; and so many times as long as it takes to make it grow.
_SECONDS_BETWEEN: Final = 0.2
_TIMES_BETWEEN: Final = 10

_SECONDS_TO_LISTEN: Final = 0.05
_SECONDS_TO_STOP: Final = 20


@dataclass(frozen=True)
class MapOrder:
    """What to map.

    Attributes:
        scene: The scene.
        scene_state: The size of its file and when it was changed, as it was when it was opened.
        maps: The folder in which its map gets a folder.
        model: The model file.
        model_sha256: Its checksum, as it was when it was loaded.
        threads: How many windows are worked on at once.
        settings: What the user chose.
    """

    scene: Path
    scene_state: tuple[int, int]
    maps: Path
    model: Path
    model_sha256: str
    threads: int
    settings: MapSettings


@dataclass(frozen=True)
class MapStarted:
    """The work begins.

    Attributes:
        windows_done: How many windows an earlier run classified.
    """

    windows_done: int


@dataclass(frozen=True, eq=False)
class MapGrown:
    """More windows are classified.

    Attributes:
        windows_done: How many.
        so_far: The map as far as there is one.
        is_all: Whether only the files are left to write.
    """

    windows_done: int
    so_far: MapSoFar
    is_all: bool


@dataclass(frozen=True)
class MapWritten:
    """More of the files is written.

    Attributes:
        done: How many steps.
        total: Of how many.
    """

    done: int
    total: int


@dataclass(frozen=True, eq=False)
class MapFinished:
    """All files are written.

    Attributes:
        made: What was made.
        so_far: The map as it stands in the files.
    """

    made: LandMap
    so_far: MapSoFar


@dataclass(frozen=True)
class _Refused:
    sentence: str


@dataclass(frozen=True)
class _Failed:
    details: str


class MapProcessError(Exception):
    """A mistake of ours in the process of a map; the message holds its traceback."""


def run_map(
    order: MapOrder,
    report: Callable[[MapStarted | MapGrown | MapWritten], None],
    is_cancelled: Callable[[], bool],
) -> MapFinished:
    """Map a scene in a process of its own, and wait for it.

    Args:
        order: What to map.
        report: Takes what happens on the way.
        is_cancelled: Tells whether to stop; what is done is kept in any case.

    Raises:
        EurosatError: The scene cannot be mapped, or the run was stopped.
        MapProcessError: A mistake of ours.
    """
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(order, there))
    process.start()
    there.close()
    is_all = False
    try:
        while not is_cancelled():
            if not here.poll(_SECONDS_TO_LISTEN):
                continue
            news = here.recv()
            if isinstance(news, MapFinished):
                return news
            if isinstance(news, _Refused):
                raise EurosatError(news.sentence)
            if isinstance(news, _Failed):
                raise MapProcessError(news.details)
            is_all = isinstance(news, MapWritten) or (isinstance(news, MapGrown) and news.is_all)
            report(news)
    except (EOFError, OSError):  # The second where it was ended in the middle of its news.
        raise EurosatError(
            "The map broke off, as its process was ended; perhaps the memory was full. What is"
            " done is kept: map the scene again to go on."
        ) from None
    finally:
        here.close()  # It takes that for the order to stop.
        # While it writes files it does not listen; to be killed does them no harm.
        process.join(0 if is_all and is_cancelled() else _SECONDS_TO_STOP)
        process.kill()
        process.join()
        process.close()
    raise EurosatError("The map was stopped; what is done is kept.")


def _work(order: MapOrder, window: Connection) -> None:
    """Map a scene and tell the window of it. This is where the process begins."""
    # Ctrl-C in a shell goes to all processes; the window decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    growing: GrowingMap | None = None
    told, pause = 0.0, 0.0
    try:
        classifier = Classifier(order.model, threads=order.threads)
        if classifier.model_file.sha256 != order.model_sha256:
            raise ModelFileError(
                f"{printable(order.model)} has changed since it was chosen: choose it again."
            )
        if file_state(order.scene) != order.scene_state:
            raise SceneError(
                f"{printable(order.scene)} has changed since it was opened: open it again."
            )
        folder = map_folder(order.scene, order.maps)

        def started(start: MapStart) -> None:
            nonlocal growing
            growing = GrowingMap(start, classifier, order.settings)
            window.send(MapStarted(start.windows_done))

        def progress(done: int, total: int) -> None:
            nonlocal told, pause
            if window.poll():
                raise EOFError
            now = perf_counter()
            if growing is not None and (done == total or now - told > pause):
                window.send(MapGrown(done, growing.take(done), is_all=done == total))
                told = perf_counter()
                pause = max(_SECONDS_BETWEEN, _TIMES_BETWEEN * (told - now))

        def writing(done: int, total: int) -> None:
            window.send(MapWritten(done, total))

        made = map_scene(
            order.scene,
            folder,
            classifier,
            order.settings,
            started=started,
            progress=progress,
            writing=writing,
        )
        window.send(MapFinished(made, finished_map(classifier, order.settings, made)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # Nobody waits for the map any more.
    except EurosatError as error:
        _tell(window, _Refused(str(error)))
    except Exception:  # noqa: BLE001 - It reaches the user as a message.
        _tell(window, _Failed(traceback.format_exc()))


def _tell(window: Connection, last: _Refused | _Failed) -> None:
    with suppress(OSError):  # Nobody waits for it any more.
        window.send(last)
