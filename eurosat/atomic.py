"""Files that are there whole or not at all."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# A file name may have 255 bytes, of which a letter takes up to four; the temporary name is longer.
_LONGEST_STEM: Final = 40


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it becomes `path` when the block ends without an error.

    The parent folder is created. If the block raises, or the process dies, `path` is as it was
    before; the temporary file is removed in the first case.

    Args:
        path: The final name.

    Yields:
        A path in the same folder with the same suffix, not yet existing, to write to.

    Raises:
        OSError: The folder is not writable, the disk is full, or `path` is no file but a device.
    """
    _refuse_device(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        prefix=f".{path.stem[:_LONGEST_STEM]}-", suffix=f".partial{path.suffix}", dir=path.parent
    )
    os.close(handle)
    temporary = Path(name)
    temporary.unlink()
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(path: Path) -> None:
    """Refuse a path at which `replacing` would fail, as far as that can be known before.

    Raises:
        OSError: `path` is no file but a folder or a device, or its folder is not writable.
    """
    _refuse_device(path)
    # Folders that are missing are created.
    parents = path.absolute().parents
    folder = next((one for one in parents if one.exists()), parents[-1])
    as_who_writes = os.access in os.supports_effective_ids
    number = 0
    if path.is_dir():
        number = errno.EISDIR
    elif not folder.is_dir():
        number = errno.ENOTDIR
    elif not os.access(folder, os.W_OK | os.X_OK, effective_ids=as_who_writes):
        number = errno.EACCES
    if number:
        raise OSError(number, os.strerror(number), str(path))


def _refuse_device(path: Path) -> None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is a device or a pipe", str(path))


def remove_left_over(folder: Path) -> None:
    """Remove what `replacing` left in a folder when its process was killed."""
    for path in folder.glob(".*.partial*"):
        with suppress(OSError):
            path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
