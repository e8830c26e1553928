"""Small data sets, a cache folder of their own, and a web server for the tests of the hub."""

import hashlib
import io
import os
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eurosat.dataset import Dataset, load_dataset

NOBODY = 65534
"""A user without rights, on every Unix."""

Files = dict[str, bytes]
"""`"Class/file.jpg"` → content."""


def assert_one_sentence(error: BaseException) -> None:
    """Check the form of a refusal: one sentence on one line, without traces of Python."""
    message = str(error)
    assert message.isprintable()
    assert message.endswith(".")
    assert not message.endswith("..")
    assert not any(trace in message for trace in (". ", ".,", "None", "Error", "Errno", "object"))


def picture(seed: int, height: int = 64, width: int = 64) -> np.ndarray:
    """Return a picture unlike that of any other seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    """Return pixels as an image file; PNG and BMP keep them exactly."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def decoded(content: bytes) -> np.ndarray:
    """Return the pixels of an image file."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def small_files() -> Files:
    """Return the files of a data set that is not EuroSAT's: three classes of four, two, three."""
    names = [f"Barley/b{n}.jpg" for n in range(4)]
    names += [f"Oat/o{n}.jpg" for n in range(2)]
    names += [f"Rye/r{n}.jpg" for n in range(3)]
    return {name: encoded(picture(seed), "JPEG") for seed, name in enumerate(names)}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder, as if a day ago, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        yesterday = path.stat().st_mtime - 86400
        os.utime(path, (yesterday, yesterday))
    return folder


def write_zip(
    path: Path,
    files: Mapping[str, bytes],
    top: str = "EuroSAT_RGB/",
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """Write files below one top folder into a new zip and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return path


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, not made yet; no data set is named."""
    cache = tmp_path / "own-cache"
    monkeypatch.setenv("EUROSAT_CACHE", str(cache))
    monkeypatch.delenv("EUROSAT_DATA", raising=False)
    return cache


@pytest.fixture(scope="session")
def real_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The EuroSAT archive that `EUROSAT_DATA` names, decoded."""
    source = os.environ.get("EUROSAT_DATA")
    if not source:
        pytest.skip("EUROSAT_DATA names no data set")
    with pytest.MonkeyPatch.context() as environment:
        if not os.environ.get("EUROSAT_CACHE"):
            environment.setenv("EUROSAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return load_dataset(Path(source))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user can look into."""
    if os.name == "nt":
        pytest.skip("Windows has other file permissions")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def permissions_count() -> Iterator[None]:
    """While the block runs, file permissions hold for this process even if root runs the tests."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@dataclass
class Answer:
    """What a server answers.

    Attributes:
        content: The body that is sent.
        status: The HTTP status.
        missing: Bytes that are promised beyond `content` but never sent.
        pause: If given, the server waits for it in the middle of the body.
    """

    content: bytes
    status: int = 200
    missing: int = 0
    pause: threading.Event | None = None

    @property
    def sha256(self) -> str:
        """Checksum of the content."""
        return hashlib.sha256(self.content).hexdigest()


class Server:
    """A web server on this machine that gives one answer to everything and counts the requests."""

    def __init__(self) -> None:
        self.answer = Answer(b"")
        self.requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                answer = outer.answer
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.content) + answer.missing))
                self.end_headers()
                half = len(answer.content) // 2
                self.wfile.write(answer.content[:half])
                self.wfile.flush()
                if answer.pause:
                    answer.pause.wait()
                with suppress(OSError):  # The client may be gone.
                    self.wfile.write(answer.content[half:])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/archive.zip"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        """Stop answering and give the port back; may be called twice."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running web server, reached without a proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    yield running
    if running.answer.pause:
        running.answer.pause.set()
    running.close()
