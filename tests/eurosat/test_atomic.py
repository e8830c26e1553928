"""A file that is written is there whole or as it was before, whatever happens in between."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eurosat.atomic import (
    check_replaceable,
    remove_left_over,
    replacing,
    write_bytes,
    write_text,
)

from .conftest import permissions_count


def test_the_file_appears_when_the_block_ends_and_not_before(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "model.keras"
    with replacing(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".keras"
        assert not temporary.exists()
        temporary.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_older_file_is_replaced(tmp_path: Path):
    path = tmp_path / "report.txt"
    path.write_text("old and longer", encoding="utf-8")
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old and longer"
    assert path.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("written", [b"", b"half"])
def test_an_error_leaves_the_older_file_alone(
    tmp_path: Path, error: type[BaseException], written: bytes
):
    path = tmp_path / "report.txt"
    path.write_bytes(b"old")
    with pytest.raises(error), replacing(path) as temporary:
        if written:
            temporary.write_bytes(written)
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_nothing_where_nothing_was(tmp_path: Path):
    with pytest.raises(RuntimeError), replacing(tmp_path / "report.txt") as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_writes_nothing_leaves_the_older_file_alone(tmp_path: Path):
    path = tmp_path / "report.txt"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_bytes() == b"old"


def test_a_name_that_is_a_folder_raises_and_leaves_no_temporary_file(tmp_path: Path):
    folder = tmp_path / "report.txt"
    folder.mkdir()
    with pytest.raises(OSError), replacing(folder) as temporary:
        temporary.write_bytes(b"new")
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_the_older_file_alone(tmp_path: Path):
    path = tmp_path / "report.txt"
    path.write_bytes(b"old")
    program = """if True:
        import os, signal
        from pathlib import Path
        from eurosat.atomic import replacing
        with replacing(Path("report.txt")) as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        """
    ended = subprocess.run([sys.executable, "-P", "-c", program], cwd=tmp_path, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_what_a_killed_process_left_can_be_removed(tmp_path: Path):
    for name in (".report-x.partial.txt", ".map-y.partial.tif.ovr.tmp", "report.txt", ".hidden"):
        (tmp_path / name).touch()
    remove_left_over(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"report.txt", ".hidden"}


def test_writers_at_the_same_time_leave_one_whole_file(tmp_path: Path):
    path = tmp_path / "numbers.bin"
    contents = [bytes([number]) * 200_000 for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_bytes(path, content), contents))
    assert path.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_written_as_utf8(tmp_path: Path):
    write_text(tmp_path / "report.txt", "Flächen: 3 €")
    assert (tmp_path / "report.txt").read_bytes() == "Flächen: 3 €".encode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has other file permissions")
def test_others_may_read_the_file_like_any_other(tmp_path: Path):
    (tmp_path / "plain.txt").write_text("plain", encoding="utf-8")
    write_text(tmp_path / "report.txt", "report")
    plain, report = ((tmp_path / name).stat().st_mode for name in ("plain.txt", "report.txt"))
    assert report == plain


def test_what_can_be_written_passes_the_check_and_nothing_is_made(tmp_path: Path):
    (tmp_path / "old.txt").write_text("old")
    for name in ("old.txt", "new.txt", "new/folder/file.txt"):
        check_replaceable(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"


def test_what_cannot_be_written_is_known_before(open_folder: Path):
    (open_folder / "file").touch()
    (open_folder / "locked").mkdir(mode=0o555)
    for name, kind in (
        (".", IsADirectoryError),
        ("locked", IsADirectoryError),
        ("file/new.txt", NotADirectoryError),
        ("file/folder/new.txt", NotADirectoryError),
        ("locked/new.txt", PermissionError),
        ("locked/folder/new.txt", PermissionError),
    ):
        path = open_folder / name
        with permissions_count():
            with pytest.raises(kind):
                check_replaceable(path)
            with pytest.raises(OSError), replacing(path) as temporary:
                temporary.touch()
