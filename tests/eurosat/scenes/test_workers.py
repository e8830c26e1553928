"""Maps made by other processes: the same bytes, and nothing lost when one of them dies."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest

from eurosat.classifier import Classifier
from eurosat.errors import EurosatError, ModelFileError, SceneError
from eurosat.in_order import in_order
from eurosat.model_file import shipped_model_path
from eurosat.scenes import side_by_side
from eurosat.scenes import workers as workers_module
from eurosat.scenes.input_kind import InputKind
from eurosat.scenes.land_map import map_scene
from eurosat.scenes.map_record import MapSettings
from eurosat.scenes.windows import WindowGrid
from eurosat.scenes.workers import SceneJob, Workers, answer_strip, dask_cluster, process_pool

from ...commands import Command
from .scene_fixtures import small_classifier, texture, write_rgb

MADE_ALIKE = ("classes.tif", "confidence.tif", "areas.csv", "classes.geojson", "map.png")
SECONDS = 120.0


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    pixels = texture(2100, 330)
    pixels[600:700, 100:140] = 0
    return write_rgb(tmp_path / "scene.tif", pixels)


def mapped(scene: Path, folder: Path, workers: Workers | None, *, stride: int = 32) -> Path:
    """Map with the scene twin, or at stride 64 with single windows."""
    classifier = Classifier(shipped_model_path("cnn-int8"), threads=1)
    map_scene(scene, folder, classifier, MapSettings(stride=stride), workers=workers)
    return folder


def begin_map(
    scene: Path, folder: Path, workers: Workers, progress: Callable[[int, int], None]
) -> None:
    """Map a scene with workers that come to harm on the way."""
    settings = MapSettings(stride=32)
    map_scene(scene, folder, small_classifier(), settings, workers=workers, progress=progress)


def assert_alike(one: Path, other: Path) -> None:
    for name in MADE_ALIKE:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def job_for(scene: Path) -> SceneJob:
    model = small_classifier().model_file
    return SceneJob(
        scene=str(scene),
        scene_bytes=scene.stat().st_size,
        bands=None,
        kind=InputKind.AUTO,
        offset=None,
        grid=WindowGrid(2100, 330, 32),
        model=str(model.path),
        model_sha256=model.sha256,
        is_dense=False,
        version=version("eurosat-edge"),
    )


@pytest.mark.slow
def test_processes_make_the_same_map(tmp_path: Path, scene: Path):
    with process_pool(2) as workers:
        for stride in (64, 32):
            assert_alike(
                mapped(scene, tmp_path / str(stride), None, stride=stride),
                mapped(scene, tmp_path / f"{stride}-processes", workers, stride=stride),
            )


@pytest.mark.slow
def test_a_process_that_dies_leaves_what_is_done_and_the_next_scene(tmp_path: Path, scene: Path):
    with process_pool(2) as workers:
        killed: list[int] = []

        def kill_one(done: int, total: int) -> None:
            if done and not killed:
                killed.append(_kill_a_child())

        with pytest.raises(EurosatError, match=r"the same command goes on from there; .+\."):
            begin_map(scene, tmp_path / "map", workers, kill_one)
        next_map = mapped(scene, tmp_path / "next", workers)
    (answers,) = (tmp_path / "map" / "unfinished").glob("*/probabilities.float32")
    assert answers.stat().st_size > 0
    whole = mapped(scene, tmp_path / "whole", None)
    assert_alike(whole, mapped(scene, tmp_path / "map", None))
    assert_alike(whole, next_map)


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """Let go of the scene that a worker keeps open, where this process was the worker."""
    yield
    workers_module._close()  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers, each a process of its own: the address, and the processes."""
    pytest.importorskip("distributed", reason="clusters need the extra cluster")
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        log = (tmp_path / f"dask-{len(started)}.log").open("wb")
        with log:
            command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
            started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))
        return started[-1]

    try:
        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        address = _address_in(tmp_path / "dask-0.log")
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard")
        for _ in range(2):
            start("dask_worker", address, *options)
        yield address, started
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_cluster_makes_the_same_map_though_a_worker_is_killed(
    tmp_path: Path, scene: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
):
    from distributed import Client

    address, (_, *processes) = cluster
    with Client(address, timeout=SECONDS, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=SECONDS)
    with dask_cluster(address) as workers:
        done_at_death: list[int] = []

        def kill_one(done: int, total: int) -> None:
            if done and not done_at_death:
                processes[0].send_signal(signal.SIGKILL)
                processes[0].wait()
                done_at_death.append(done)
                assert done < total

        folder = tmp_path / "cluster"
        begin_map(scene, folder, workers, kill_one)
    assert done_at_death
    assert processes[1].poll() is None
    assert_alike(mapped(scene, tmp_path / "single", None), folder)


def _kill_when_begun(process: "subprocess.Popen[bytes]", done: int, total: int) -> None:
    if done and process.poll() is None:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_scheduler_that_ends_is_told_and_what_is_done_is_kept(
    tmp_path: Path, scene: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
):
    address, (scheduler, *_) = cluster
    kill = partial(_kill_when_begun, scheduler)
    with (
        pytest.raises(EurosatError, match=r"The Dask scheduler at tcp://.+ is gone: .+"),
        dask_cluster(address) as workers,
    ):
        begin_map(scene, tmp_path / "map", workers, kill)
    (answers,) = (tmp_path / "map" / "unfinished").glob("*/probabilities.float32")
    assert answers.stat().st_size > 0


@pytest.mark.slow
def test_after_the_end_of_a_scheduler_later_scenes_are_refused_at_once(
    tmp_path: Path, scene: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
):
    address, (scheduler, *_) = cluster
    kill = partial(_kill_when_begun, scheduler)
    with dask_cluster(address) as workers:
        for number in range(3):
            start = time.monotonic()
            with pytest.raises(EurosatError, match=r"The Dask scheduler at tcp://.+ is gone: .+"):
                begin_map(scene, tmp_path / f"map-{number}", workers, kill)
            # The client tries for so long to find the scheduler again, and then closes.
            assert number == 0 or time.monotonic() - start < workers_module.SECONDS_TO_CONNECT / 2


def test_what_cannot_be_cancelled_does_not_hide_an_interrupt():
    class Lost:
        def result(self) -> None:
            raise KeyboardInterrupt

        def cancel(self) -> None:
            raise ConnectionError

    with pytest.raises(KeyboardInterrupt):
        list(in_order(lambda _: Lost(), range(5), limit=3))


@pytest.mark.parametrize("address", ["", "tcp://", "tcp://10.0.0.1", "a b:1", "tcp://a:b"])
def test_what_is_no_address_is_told(address: str):
    pytest.importorskip("distributed", reason="clusters need the extra cluster")
    with pytest.raises(EurosatError, match="is no address of a Dask scheduler"):
        dask_cluster(address).__enter__()


def test_a_scheduler_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("distributed", reason="clusters need the extra cluster")
    monkeypatch.setattr("eurosat.scenes.workers.SECONDS_TO_CONNECT", 1)
    with (
        pytest.raises(EurosatError, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:1: .+"),
        dask_cluster("tcp://127.0.0.1:1"),
    ):
        pass


def test_without_dask_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EurosatError, match=r"eurosat-edge\[cluster\]"), dask_cluster("tcp://a:1"):
        pass


def test_only_one_kind_of_workers_may_be_chosen(tmp_path: Path, scene: Path, command_here: Command):
    done = command_here(
        "eurosat-map", scene, "--out", tmp_path / "maps", "--threads", 1, "--processes", 2
    )
    assert done.returncode == 2
    assert "Choose one of --threads, --processes and --scheduler." in done.stderr


def test_a_worker_refuses_another_scene_model_or_program(scene: Path):
    job = job_for(scene)
    assert answer_strip(job, (0, 1)).shape == (1, 10, 10)
    for change, error, part in (
        ({"scene": str(scene.with_name("none.tif"))}, SceneError, "does not exist"),
        ({"scene_bytes": 5}, SceneError, "is another file for a worker"),
        ({"model_sha256": "0" * 64}, ModelFileError, "is missing for a worker, or another file"),
        ({"version": "0.0.1"}, EurosatError, "and not 0.0.1"),
    ):
        with pytest.raises(error, match=re.escape(part)):
            answer_strip(replace(job, **change), (0, 1))


def test_a_worker_opens_a_scene_of_the_same_name_and_size_anew(tmp_path: Path, scene: Path):
    old = answer_strip(job_for(scene), (0, 1))
    other = write_rgb(tmp_path / "other.tif", texture(2100, 330, seed=1))
    new = answer_strip(job_for(other), (0, 1))
    assert other.stat().st_size == scene.stat().st_size
    assert (new != old).any()
    assert (answer_strip(job_for(scene), (0, 1)) == old).all()
    other.replace(scene)
    assert (answer_strip(job_for(scene), (0, 1)) == new).all()


def test_a_worker_finds_a_shipped_model_elsewhere(scene: Path):
    job = job_for(scene)
    elsewhere = replace(job, model="/another/place/cnn-int8.tflite")
    assert (answer_strip(elsewhere, (3, 4)) == answer_strip(job, (3, 4))).all()


def _kill_a_child() -> int:
    """Kill one of the processes that a pool started; return its number."""
    from multiprocessing import active_children

    number = active_children()[0].pid
    assert number is not None
    os.kill(number, signal.SIGKILL)
    return number


def _address_in(log: Path) -> str:
    """Wait for a scheduler to say where it listens."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = re.search(r"Scheduler at:\s+(tcp://\S+)", log.read_text(encoding="utf-8"))
        if found:
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def test_a_worker_decodes_in_one_thread_as_others_are_at_work_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(side_by_side, "usable_cores", lambda: 8)
    blocks = {"driver": "JP2OpenJPEG", "blockxsize": 128, "blockysize": 128}
    scene = write_rgb(tmp_path / "scene.jp2", texture(2100, 330), **blocks)
    before = set(threading.enumerate())
    assert answer_strip(job_for(scene), (0, 1)).shape == (1, 10, 10)
    assert set(threading.enumerate()) == before
