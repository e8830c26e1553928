"""Windows of a scene classified by other processes: of this machine, or of a Dask cluster.

A worker opens the scene and the model file itself, and answers strips of windows. What it says of a
window does not depend on which worker is asked, so a strip that was lost with its worker is asked
for again, and the map is the same to the last byte.
"""

import logging
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, cast
from uuid import uuid4

import numpy as np

from eurosat.classifier import Classifier
from eurosat.errors import EurosatError, MissingPackageError, ModelFileError, SceneError, printable
from eurosat.in_order import in_order
from eurosat.model_file import (
    read_model_file,
    shipped_model_names,
    shipped_model_path,
)
from eurosat.scenes.bands import Bands
from eurosat.scenes.dense import DenseClassifier
from eurosat.scenes.input_kind import InputKind
from eurosat.scenes.product import scene_state
from eurosat.scenes.scene import open_scene
from eurosat.scenes.windows import Rows, Strip, WindowGrid, one_by_one
from eurosat.versions import program_version

SECONDS_TO_CONNECT: Final = 30
"""How long a scheduler may take to answer, and its first worker to appear."""

_STRIPS_AHEAD: Final = 2
"""Strips that are handed out for each thread of a worker; their answers wait in memory."""

_MOST_ON_WINDOWS: Final = 61
"""So many processes one there can wait for."""

_RETRIES: Final = 3
"""How often a strip is asked for again whose worker could not read the scene or write memory."""


_ADDRESS: Final = re.compile(r"((tcp|tls|ws|wss)://)?[^\s/]+:\d+")


@dataclass(frozen=True)
class SceneJob:
    """All that a worker must know of a map.

    Attributes:
        scene: The absolute path of the scene, which must be the same for all workers.
        scene_bytes: Its size.
        bands: Red, green and blue, or None to find them by name.
        kind: What its values are.
        offset: What is added to values of 16 bits, or None to find it out.
        grid: The windows.
        model: The absolute path of the model file.
        model_sha256: Its checksum.
        is_dense: Whether the scene twin answers.
        version: The version of EuroSAT Edge.
        run: Another one for each map, so that a worker opens the scene anew. A file of the same
            name and size may be there by then; and when a file was changed, which would tell,
            differs between copies of it.
    """

    scene: str
    scene_bytes: int
    bands: Bands | None
    kind: InputKind
    offset: int | None
    grid: WindowGrid
    model: str
    model_sha256: str
    is_dense: bool
    version: str
    run: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class Workers:
    """Processes that answer strips.

    Attributes:
        threads: How many strips they work on at once, all together.
        answer: Takes a job and its strips, and yields the answers in the order of the strips.
    """

    threads: int
    answer: Callable[[SceneJob, list[Strip]], Iterator[np.ndarray]]


@contextmanager
def process_pool(count: int) -> Iterator[Workers]:
    """Start processes on this machine; they end with the block.

    Args:
        count: How many, at least 1.
    """
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    def started() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(count, mp_context=context, initializer=_ignore_interrupts)

    def answer(job: SceneJob, strips: list[Strip]) -> Iterator[np.ndarray]:
        nonlocal executor

        def submit(strip: Strip) -> Any:
            return executor.submit(answer_strip, job, strip)

        try:
            yield from in_order(submit, strips, count * _STRIPS_AHEAD)
        except BrokenProcessPool as error:
            # It takes no more work: the next scene needs another.
            executor.shutdown()
            executor = started()
            raise EurosatError(
                "A process that was at work ended, perhaps for want of memory: the same command"
                " goes on from there; try fewer `--processes`."
            ) from error

    if sys.platform == "win32":
        count = min(count, _MOST_ON_WINDOWS)
    # Forked ones would inherit the threads' locks.
    context = get_context("spawn")
    executor = started()
    try:
        yield Workers(count, answer)
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def dask_cluster(address: str) -> Iterator[Workers]:
    """Connect to a scheduler of Dask; its workers go on running after the block.

    Args:
        address: Such as "tcp://10.0.0.1:8786".

    Raises:
        EurosatError: That is no address, or the scheduler does not answer or has no workers.
        MissingPackageError: The extra `cluster` is not installed.
    """
    if not _ADDRESS.fullmatch(address):
        raise EurosatError(
            f"{printable(address)!r} is no address of a Dask scheduler: give one such as"
            " tcp://10.0.0.1:8786."
        )
    try:
        from distributed import CancelledError, Client, Future, KilledWorker, Security
        from distributed.comm.core import CommClosedError
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "A scheduler needs Dask: install it with `pip install 'eurosat-edge[cluster]'`."
        ) from error
    is_encrypted = address.startswith(("tls://", "wss://"))
    if is_encrypted and Security().get_connection_args("client").get("ssl_context") is None:
        raise EurosatError(f"{address} asks for certificates: name them in the settings of Dask.")
    # What it logs when a connection breaks is said in a sentence here.
    for name in ("distributed", "distributed.client", "asyncio", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        try:
            client = stack.enter_context(
                Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
            )
        except (OSError, ValueError, TimeoutError) as error:
            raise EurosatError(
                f"No Dask scheduler answers at {address}: start one with"
                " `dask scheduler`, and name the address that it prints."
            ) from error
        try:
            client.wait_for_workers(1, timeout=SECONDS_TO_CONNECT)
        except TimeoutError as error:
            raise EurosatError(
                f"The Dask scheduler at {address} has no workers: start some with"
                f" `dask worker {address}`."
            ) from error
        # Annotated for clients of asyncio too.
        threads = sum(cast("dict[str, int]", client.nthreads()).values())

        def answer(job: SceneJob, strips: list[Strip]) -> Iterator[np.ndarray]:
            def submit(strip: Strip) -> Future[Any]:
                # A client whose scheduler is gone takes work that nobody will ever do.
                if client.status != "running":
                    raise CommClosedError
                return client.submit(answer_strip, job, strip, pure=False, retries=_RETRIES)

            try:
                yield from in_order(submit, strips, threads * _STRIPS_AHEAD)
            except KilledWorker as error:
                raise EurosatError(
                    "Several workers ended one after the other with the same strip, perhaps for"
                    " want of memory: give them more; the same command goes on from there."
                ) from error
            except (CancelledError, CommClosedError) as error:
                raise EurosatError(
                    f"The Dask scheduler at {address} is gone: start it again; the same"
                    " command goes on from there."
                ) from error
            except ModuleNotFoundError as error:
                raise EurosatError(
                    f"The workers at {address} lack {error.name}: install"
                    " 'eurosat-edge[cluster]' for them, in this version."
                ) from error

        yield Workers(threads, answer)


def answer_strip(job: SceneJob, strip: Strip) -> np.ndarray:
    """Classify a strip of windows: what a worker does.

    Returns:
        float32 of shape [rows, windows across, classes].

    Raises:
        SceneError: The scene is missing here, or another one.
        ModelFileError: The model file is missing here, or another one.
        EurosatError: This is another version of EuroSAT Edge.
    """
    if getattr(_open, "job", None) != job:
        _close()
        _open_job(job)
    return next(_open.answer([strip]))


_open = threading.local()
"""What each thread of a worker has open: neither GDAL's files nor LiteRT's models may be shared."""


def _open_job(job: SceneJob) -> None:
    installed = program_version()
    if installed != job.version:
        raise EurosatError(
            f"A worker has EuroSAT Edge {installed} and not {job.version}: install the same."
        )
    path = Path(job.scene)
    with ExitStack() as stack:
        scene = stack.enter_context(
            open_scene(path, bands=job.bands, kind=job.kind, offset=job.offset, threads=1)
        )
        size = (scene.ground.height, scene.ground.width)
        if scene_state(path)[0] != job.scene_bytes or size != (job.grid.height, job.grid.width):
            raise SceneError(f"{path} is another file for a worker: all must see the same one.")
        classifier = Classifier(_find_model(job), threads=1)
        if job.is_dense:
            dense = DenseClassifier(classifier, job.grid)
            _open.answer = partial(dense.answer_strips, Rows.of(scene))
        else:
            _open.answer = one_by_one(Rows.of(scene), classifier, job.grid)
        _open.job = job
        _open.stack = stack.pop_all()


def _close() -> None:
    stack = getattr(_open, "stack", None)
    _open.job = _open.stack = None
    if stack is not None:
        stack.close()


def _find_model(job: SceneJob) -> Path:
    """Return the model file, which may lie elsewhere here if it came with the installation."""
    places = [Path(job.model), *map(shipped_model_path, shipped_model_names())]
    for path in places:
        with suppress(ModelFileError):
            if read_model_file(path).sha256 == job.model_sha256:
                return path
    raise ModelFileError(
        f"{job.model} is missing for a worker, or another file: all must see the same one."
    )


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that handed out the work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
