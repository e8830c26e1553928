"""Whether a file is a whole scene, or one image to be classified."""

from pathlib import Path
from typing import Final

from PIL import Image

from eurosat.dataset import TILE_SIZE
from eurosat.images import FORMATS, JPEG_2000
from eurosat.scenes.product import is_product

MOST_PIXELS_OF_A_TILE: Final = 1_000_000
"""An image with more pixels is taken for a scene: at 10 m, more than 10 km by 10 km."""

_LEAST_BYTES_OF_A_SCENE: Final = 8_000
"""So many pixels of land take more than this, however they are compressed."""

_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BIG: Final = b"+"
_SIZE_TAGS: Final = (256, 257)
_PLACE_TAGS: Final = (33550, 33922, 34264)
"""Of a GeoTIFF: the size of its pixels, the places of some of them, and its transform."""


def is_scene(path: Path) -> bool:
    """Tell from the head of a file whether it is a scene, and not one image to be classified.

    A scene is a Sentinel-2 product, see `is_product`; a JPEG 2000 file; a TIFF that is placed on
    the ground and larger than a tile, or whose bands are not those of a picture; and any image of
    more than `MOST_PIXELS_OF_A_TILE`. A TIFF whose bands Pillow cannot read counts as one if it is
    larger than a tile; what else it cannot read does not.

    Args:
        path: The file or the folder.
    """
    if is_product(path):
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(8)
    except (OSError, ValueError):
        return False
    if head.startswith(JPEG_2000):
        return True
    is_tiff = head.startswith(_TIFF)
    try:
        with Image.open(path, formats=FORMATS) as image:
            height, width = image.height, image.width
            is_placed = is_tiff and any(tag in image.getexif() for tag in _PLACE_TAGS)
    except Image.DecompressionBombError:
        return True
    except Exception:  # noqa: BLE001 - Pillow raises errors of any type.
        return is_tiff and _longest_side(path) > TILE_SIZE
    if is_placed:
        return height > TILE_SIZE or width > TILE_SIZE
    return height * width > MOST_PIXELS_OF_A_TILE


def _longest_side(tiff: Path) -> int:
    """Return the larger of height and width of a TIFF; 0 if it does not say them."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    try:
        with tiff.open("rb") as file:
            head = file.read(8)
            is_big = head[2:3] in _BIG or head[3:4] in _BIG
            tags = ImageFileDirectory_v2(head + file.read(8) if is_big else head)
            file.seek(tags.next)
            tags.load(file)
        return max(int(tags[tag]) for tag in _SIZE_TAGS)
    except Exception:  # noqa: BLE001 - Pillow raises errors of any type.
        return 0


def is_scene_among_tiles(path: Path) -> bool:
    """Tell whether one of the many files in a folder is a scene, as `is_scene` does.

    It opens no file that is too small for a scene, which saves nearly all of the time: of other
    files than TIFFs, only those are scenes that have many pixels.

    Args:
        path: The file.
    """
    try:
        is_small = path.stat().st_size < _LEAST_BYTES_OF_A_SCENE
    except (OSError, ValueError):
        return False
    is_tiff = path.suffix.lower() in {".tif", ".tiff"}
    return (is_tiff or not is_small) and is_scene(path)
