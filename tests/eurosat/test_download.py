"""The archive arrives whole or not at all: downloads from a real server that can misbehave."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eurosat.download import ARCHIVE_NAME, cached_archive, download_eurosat
from eurosat.errors import DatasetError

from .conftest import Answer, Server, assert_one_sentence, permissions_count

CONTENT = os.urandom(300_000)
GOOD = Answer(CONTENT)


def hang_up(server: Server) -> None:
    server.answer = Answer(CONTENT[:150_000], missing=150_000)


def send_other_bytes(server: Server) -> None:
    server.answer = Answer(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))


def send_too_little_as_if_whole(server: Server) -> None:
    server.answer = Answer(CONTENT[:150_000])


def know_nothing(server: Server) -> None:
    server.answer = Answer(CONTENT, status=404)


def be_overloaded(server: Server) -> None:
    server.answer = Answer(CONTENT, status=503)


def stop(server: Server) -> None:
    server.close()


FAILURES = pytest.mark.parametrize(
    ("fail", "reason"),
    [
        (hang_up, "transfer broke off"),
        (send_other_bytes, "checksum"),
        (send_too_little_as_if_whole, "checksum"),
        (know_nothing, "404 Not Found"),
        (be_overloaded, "503 Service Unavailable"),
        (stop, "cannot be reached"),
    ],
)


def test_a_complete_transfer_becomes_the_archive(tmp_path: Path, server: Server):
    server.answer = GOOD
    destination = tmp_path / "new" / "folder" / "archive.zip"
    path = download_eurosat(url=server.url, sha256=GOOD.sha256, destination=destination)
    assert path == destination
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_the_archive_goes_into_the_user_cache(own_cache: Path, server: Server):
    server.answer = GOOD
    path = download_eurosat(url=server.url, sha256=GOOD.sha256)
    assert path == cached_archive() == own_cache / ARCHIVE_NAME
    assert path.read_bytes() == CONTENT


def test_progress_is_told_on_standard_error_only(
    tmp_path: Path, server: Server, capfd: pytest.CaptureFixture[str]
):
    server.answer = GOOD
    download_eurosat(url=server.url, sha256=GOOD.sha256, destination=tmp_path / "archive.zip")
    out, err = capfd.readouterr()
    assert out == ""
    assert "archive.zip" in err
    assert "300.0/300.0 kB" in err


def test_an_archive_that_is_there_is_not_fetched_again(tmp_path: Path, server: Server):
    path = tmp_path / "archive.zip"
    path.write_bytes(CONTENT)
    assert download_eurosat(url=server.url, sha256=GOOD.sha256, destination=path) == path
    assert server.requests == 0
    assert path.read_bytes() == CONTENT


def test_a_damaged_archive_is_fetched_again(tmp_path: Path, server: Server):
    path = tmp_path / "archive.zip"
    path.write_bytes(CONTENT[:1000])
    server.answer = GOOD
    download_eurosat(url=server.url, sha256=GOOD.sha256, destination=path)
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


@FAILURES
def test_a_failed_transfer_leaves_nothing(
    tmp_path: Path, server: Server, fail: Callable[[Server], None], reason: str
):
    fail(server)
    folder = tmp_path / "folder"
    with pytest.raises(DatasetError, match=reason) as refusal:
        download_eurosat(url=server.url, sha256=GOOD.sha256, destination=folder / "archive.zip")
    assert_one_sentence(refusal.value)
    assert server.url in str(refusal.value)
    assert "--data" in str(refusal.value)
    assert list(folder.iterdir()) == []


@FAILURES
def test_a_failed_transfer_leaves_an_older_file_alone(
    tmp_path: Path, server: Server, fail: Callable[[Server], None], reason: str
):
    path = tmp_path / "archive.zip"
    path.write_bytes(b"old")
    fail(server)
    with pytest.raises(DatasetError, match=reason):
        download_eurosat(url=server.url, sha256=GOOD.sha256, destination=path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@FAILURES
def test_a_transfer_succeeds_after_a_failed_one(
    tmp_path: Path, server: Server, fail: Callable[[Server], None], reason: str
):
    path = tmp_path / "archive.zip"
    fail(server)
    with pytest.raises(DatasetError, match=reason):
        download_eurosat(url=server.url, sha256=GOOD.sha256, destination=path)
    again = Server()
    again.answer = GOOD
    try:
        download_eurosat(url=again.url, sha256=GOOD.sha256, destination=path)
    finally:
        again.close()
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, server: Server):
    server.answer = GOOD
    (tmp_path / "file").write_bytes(b"no folder")
    folder = tmp_path / "file" / "folder"
    with pytest.raises(DatasetError) as refusal:
        download_eurosat(url=server.url, sha256=GOOD.sha256, destination=folder / "archive.zip")
    assert_one_sentence(refusal.value)
    assert f"{folder} cannot be written to" in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("below", [".", "folder"])
def test_a_folder_without_permission_is_named(
    tmp_path: Path, open_folder: Path, server: Server, below: str
):
    server.answer = GOOD
    # All modules are loaded before the right to read them may be gone.
    download_eurosat(url=server.url, sha256=GOOD.sha256, destination=tmp_path / "archive.zip")
    open_folder.chmod(0o555)
    folder = open_folder / below
    with permissions_count(), pytest.raises(DatasetError) as refusal:
        download_eurosat(url=server.url, sha256=GOOD.sha256, destination=folder / "archive.zip")
    assert_one_sentence(refusal.value)
    assert f"{folder} cannot be written to" in str(refusal.value)
    assert list(open_folder.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_process_killed_during_the_transfer_leaves_no_archive(tmp_path: Path, server: Server):
    path = tmp_path / "folder" / "archive.zip"
    pause = threading.Event()
    server.answer = Answer(CONTENT, pause=pause)
    program = """if True:
        import sys
        from pathlib import Path
        from eurosat.download import download_eurosat
        download_eurosat(url=sys.argv[1], sha256=sys.argv[2], destination=Path(sys.argv[3]))
        """
    with subprocess.Popen(
        [sys.executable, "-P", "-c", program, server.url, GOOD.sha256, path],
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not any(
            partial.stat().st_size for partial in path.parent.glob("*")
        ):
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not path.exists()

    pause.set()
    server.answer = GOOD
    download_eurosat(url=server.url, sha256=GOOD.sha256, destination=path)
    assert path.read_bytes() == CONTENT
