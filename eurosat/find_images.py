"""Which image files a user means by files, folders and patterns."""

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from eurosat.errors import ImageError
from eurosat.existence import is_folder

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"})
"""The file name endings, in lower case and with the dot, that `find_images` looks for."""

_JPEG_2000_SUFFIXES: Final = frozenset({".jp2", ".j2k"})

_FILES_OF_A_MAP: Final = frozenset({"map.json", "classes.tif"})
"""By these, a folder is known that `eurosat-map` wrote; the pictures in it are no tiles."""


def find_images(
    paths: Iterable[Path],
    goes_on: Callable[[], bool] = lambda: True,
    left_out: Callable[[Path], object] = lambda path: None,
    locked: Callable[[Path], object] | None = None,
) -> Iterator[Path]:
    """List the image files that a user means by some paths.

    A file is yielded whatever its suffix. A folder is searched with its subfolders for names that
    end in one of `IMAGE_SUFFIXES`, in sorted order, without hidden ones and without the folders
    that `eurosat-map` wrote; a folder reached twice through links is searched once. Scenes that are
    no images, which are JPEG 2000 files and Sentinel-2 products, are left out of a search; a
    product that is named is yielded, even if it is a folder. A pattern such
    as `tiles/*.jpg`, which not every command shell expands, is expanded here. What does not exist
    is yielded as it is, for `read_image` to refuse.

    Args:
        paths: Files, folders and patterns.
        goes_on: Asked before each file and folder, of whatever kind, whether to look at it.
        left_out: Told of each scene that a search leaves out.
        locked: Told of each folder that may not be searched, below those that are named; the
            search goes on. Without it, such a folder ends the search.

    Yields:
        The paths of the files, those of the first path first.

    Raises:
        ImageError: A folder that is named may not be searched, or one below it that nobody is
            told of.
    """
    for path in paths:
        for match in _expand(path):
            if not goes_on():
                return
            if is_folder(match):
                # Loaded where it is needed, and not before every first answer.
                from eurosat.scenes.product import is_product

                if not is_product(match):
                    yield from _search(match, goes_on, left_out, locked)
                    continue
            yield match


def left_locked(folders: Sequence[Path]) -> ImageError:
    """Return the refusal of folders that a search has gone past, as they may not be searched.

    Args:
        folders: The folders, at least one.
    """
    if len(folders) == 1:
        return ImageError(
            f"{folders[0]} cannot be searched and was left out: check its permissions."
        )
    return ImageError(
        f"{len(folders):,} folders, {folders[0]} among them, cannot be searched and were"
        " left out: check their permissions."
    )


def _expand(path: Path) -> list[Path]:
    """Return the sorted matches of a pattern; of anything else, or without a match, the path."""
    pattern = str(path)
    if os.path.lexists(path) or not any(wildcard in pattern for wildcard in "*?["):
        return [path]
    # Not Path.glob, which refuses absolute patterns and does not skip hidden files.
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207
    return sorted(map(Path, matches)) or [path]


def _search(
    folder: Path,
    goes_on: Callable[[], bool],
    left_out: Callable[[Path], object],
    locked: Callable[[Path], object] | None,
) -> Iterator[Path]:
    """Yield the image files in a folder and its subfolders, in sorted order."""
    from eurosat.scenes.product import looks_like_product

    searched: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting and goes_on():
        path = waiting.pop()
        if is_folder(path):
            try:
                status = path.stat()
                entries = sorted(path.iterdir(), reverse=True)
            except OSError as error:
                if locked is not None and path != folder:
                    locked(path)
                    continue
                raise ImageError(
                    f"{path} cannot be searched ({error.strerror}): check its permissions."
                ) from error
            identity = (status.st_dev, status.st_ino)
            names = {entry.name for entry in entries}
            if identity in searched or names >= _FILES_OF_A_MAP:
                continue
            searched.add(identity)
            if looks_like_product(path, names):
                left_out(path)
            else:
                waiting.extend(entry for entry in entries if not entry.name.startswith("."))
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            yield path
        elif path.suffix.lower() in _JPEG_2000_SUFFIXES or looks_like_product(path):
            left_out(path)
