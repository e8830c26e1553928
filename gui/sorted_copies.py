"""Copies of images in a folder for each class: the originals stay where they are."""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from PIL import Image

from eurosat.atomic import replacing
from eurosat.errors import EurosatError, first_of
from eurosat.existence import exists

from .workspace import Item


def copy_sorted(
    items: Sequence[Item],
    folder: Path,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Copy each image into a subfolder that is named like its class.

    No file is replaced: a copy whose name is taken gets a number. A copy is there whole or not at
    all. Pasted images are written as PNG. Images without a class are left out, and so are those
    that cannot be read any more, of which is told in the end.

    Args:
        items: The images.
        folder: Where the class folders go.
        is_cancelled: Is asked before each copy whether to stop.

    Returns:
        How many copies were made.

    Raises:
        EurosatError: A copy cannot be made: one that cannot be written ends the work, one whose
            image cannot be read does not. All that are made stay.
    """
    done = 0
    unreadable: list[str] = []
    # So far, by target: many images of one name would else try all numbers again and again.
    numbers: Counter[Path] = Counter()
    # Once for all: another model may be chosen meanwhile, and then images have no class for a time.
    classes = [(item, item.cover.name) for item in items if item.cover is not None]
    for item, class_name in classes:
        if is_cancelled():
            break
        source = item.source
        name = source.name if isinstance(source, Path) else f"{item.name}.png"
        try:
            opened = nullcontext() if isinstance(source, np.ndarray) else source.open("rb")
        except OSError:
            unreadable.append(item.location)
            continue
        target = _free_name(folder / _folder_name(class_name) / name, numbers)
        try:
            with opened as stream, replacing(target) as temporary:
                if isinstance(source, np.ndarray):
                    Image.fromarray(source).save(temporary)
                elif stream:
                    with temporary.open("wb") as copy:
                        shutil.copyfileobj(stream, copy)
        except OSError as error:
            raise EurosatError(
                f"{item.location} cannot be copied to {target} ({error.strerror}); {done:,} of "
                f"{len(classes):,} copies are there."
            ) from error
        done += 1
    if unreadable:
        raise EurosatError(
            f"There is no copy of {first_of(unreadable)}, which cannot be read any more; "
            f"{done:,} of {len(classes):,} copies are there."
        )
    return done


def _folder_name(label: str) -> str:
    """Return the name of a class without what would lead to another folder."""
    return re.sub(r'[<>:"/\\|?*]', "_", label).strip(". ") or "_"


def _free_name(path: Path, numbers: Counter[Path]) -> Path:
    """Return the path, or the same with the first number that no file has.

    Args:
        path: The path.
        numbers: The last number of each path, 0 before the first; the new one is noted there.
    """
    while True:
        numbers[path] += 1
        number = numbers[path]
        free = path if number == 1 else path.with_stem(f"{path.stem} ({number})")
        if not exists(free):
            return free
