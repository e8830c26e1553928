"""Copies of images in a folder for each class: the originals stay where they are."""

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from eurosat.atomic import replacing
from eurosat.errors import EurosatError
from eurosat.existence import exists

from .workspace import Item


def copy_sorted(
    items: Sequence[Item],
    folder: Path,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Copy each image into a subfolder that is named like its class.

    No file is replaced: a copy whose name is taken gets a number. A copy is there whole or not at
    all. Pasted images are written as PNG. Images without a class are left out.

    Args:
        items: The images.
        folder: Where the class folders go.
        is_cancelled: Is asked before each copy whether to stop.

    Returns:
        How many copies were made.

    Raises:
        EurosatError: A copy cannot be made; those made before stay.
    """
    done = 0
    # Once for all: another model may be chosen meanwhile, and then images have no class for a time.
    classes = [(item, item.cover.name) for item in items if item.cover is not None]
    for item, class_name in classes:
        if is_cancelled():
            break
        source = item.source
        name = source.name if isinstance(source, Path) else f"{item.name}.png"
        target = _free_name(folder / _folder_name(class_name) / name)
        try:
            with replacing(target) as temporary:
                if isinstance(source, np.ndarray):
                    Image.fromarray(source).save(temporary)
                else:
                    shutil.copyfile(source, temporary)
        except OSError as error:
            raise EurosatError(
                f"{item.location} cannot be copied to {target} ({error.strerror}); {done:,} of "
                f"{len(classes):,} copies are there."
            ) from error
        done += 1
    return done


def _folder_name(label: str) -> str:
    """Return the name of a class without what would lead to another folder."""
    return re.sub(r'[<>:"/\\|?*]', "_", label).strip(". ") or "_"


def _free_name(path: Path) -> Path:
    """Return the path, or the same with the first number that no file has."""
    free, number = path, 1
    while exists(free):
        number += 1
        free = path.with_stem(f"{path.stem} ({number})")
    return free
