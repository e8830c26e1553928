"""One run at a time in the folder of a map."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from eurosat.errors import EurosatError, printable

LOCK_FILE: Final = "lock"

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder, which is made if need be, until the block ends.

    The system gives the folder free if the process dies.

    Args:
        folder: Where the lock file is put. The block may remove the folder.

    Raises:
        EurosatError: Another run is in it.
        OSError: It cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("ab") as file:
        try:
            _take(file)
        except (BlockingIOError, PermissionError) as error:
            raise EurosatError(
                f"Another run is mapping into {printable(folder.parent)}: wait until it has ended, "
                "or choose another folder."
            ) from error
        yield
