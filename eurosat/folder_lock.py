"""One process at a time in a folder."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from eurosat.errors import EurosatError
from eurosat.existence import exists

LOCK_FILE: Final = "lock"

_NO_LOCKS: Final = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""What a file system without locks says; there, everybody must take care."""

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def only_process_in(folder: Path, refusal: str) -> Iterator[None]:
    """Keep other processes out of a folder, which is made if need be, until the block ends.

    The system gives the folder free if the process dies; else, the lock file is removed.

    Args:
        folder: Where the lock file is put. The block may remove the folder.
        refusal: The sentence for whoever comes second.

    Raises:
        EurosatError: Another process is in it.
        OSError: It cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("ab") as file:
        try:
            _take(file)
        except (BlockingIOError, PermissionError) as error:
            raise EurosatError(refusal) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        if not _is_in_place(file, folder / LOCK_FILE):
            raise EurosatError(refusal)  # Whoever was first is just leaving with it.
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps a file that is open.
                (folder / LOCK_FILE).unlink()


def _is_in_place(file: IO[bytes], path: Path) -> bool:
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def check_nobody_in(folder: Path, refusal: str) -> None:
    """Refuse a folder that another process is in.

    Raises:
        EurosatError: Another process is in it.
        OSError: It cannot be written to.
    """
    if exists(folder / LOCK_FILE):
        with only_process_in(folder, refusal):
            pass
