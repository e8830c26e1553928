"""Turns a path, bytes or an array into one uint8 RGB array; every refusal is an `ImageError`."""

import io
import logging
import os
import stat
import warnings
from pathlib import Path
from typing import IO, Final

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from eurosat.errors import DAMAGED, ImageError, printable

JPEG_2000: Final = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
"""How such files begin. They always are scenes, and no images that are read here."""

_IS_SCENE: Final = "is a whole scene: `eurosat-map` makes a map of it."

MAX_PIXELS: Final = 150_000_000
"""The largest width times height that is decoded.

A whole Sentinel-2 tile (10980 x 10980, 121 million pixels) fits. The limit lies below the one at
which Pillow itself refuses (179 million), so that it is the same for every format.
"""

# Pillow tries only these decoders. Plain ones come first: Pillow imports all of its decoders when
# it gets past the first three.
FORMATS: Final = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""What Pillow calls the formats that are read."""

_TRANSPOSES: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# The places where a file may say how its picture is turned. Most files have none of them, and
# looking for the key is much cheaper than letting Pillow build an empty EXIF table.
_ORIENTATION_KEYS: Final = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")

# Pillow warns and logs about odd files, which would end up as text in front of the user. This is
# set once and not around each call, because warning filters are shared by all threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


def read_image(
    source: str | os.PathLike[str] | bytes | np.ndarray, *, name: str | None = None
) -> np.ndarray:
    """Read one image as 8-bit RGB, the way an image viewer shows it.

    JPEG, PNG, TIFF, WebP and BMP are read; of an animation or a file of many pages, the first
    picture. EXIF orientation is applied. Transparent pixels are laid over black, the usual colour
    of missing data in satellite images. 16-bit grey values are divided by 257 (65535 becomes 255)
    and 16-bit colour values are cut to their upper 8 bits. Colour profiles are ignored.

    Args:
        source: A path, the bytes of an image file, or an array: uint8 or uint16 (divided by 257),
            of shape [height, width] or [height, width, channels] with 1 channel (grey),
            3 channels (RGB) or 4 channels (RGBA).
        name: How messages name the image; by default the path, "The image" or "The array".

    Returns:
        A uint8 array of shape [height, width, 3] in C order, with values from 0 to 255 and
        memory of its own.

    Raises:
        ImageError: The image is missing, unreadable, empty, damaged, of another format, larger
            than `MAX_PIXELS`, or holds pixels that have no plain meaning as colour; or the array
            has another type or shape.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, name or "The array")
    if isinstance(source, bytes):
        label = name or "The image"
        if not source:
            raise _refusal(label, "is empty: choose another one.")
        return _decode(io.BytesIO(source), label)
    try:
        path = Path(source)
    except TypeError:
        raise _refusal(
            name or "The image",
            f"is given as {type(source).__name__}: give a path, bytes or an array.",
        ) from None
    label = name or str(path)
    with _open_file(path, label) as stream:
        return _decode(stream, label, path)


def resize_image(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image with a bilinear filter that is widened when shrinking, against aliasing.

    Args:
        image: A uint8 array of shape [any height, any width, 3].
        height: The height wanted, in pixels, at least 1.
        width: The width wanted, in pixels, at least 1.

    Returns:
        A uint8 array of shape [height, width, 3]; `image` itself if it already has that size.
    """
    if image.shape[:2] == (height, width):
        return image
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.array(resized)


def _is_product(path: Path) -> bool:
    # Loaded where it is needed, and not before every first answer.
    from eurosat.scenes.product import is_product

    return is_product(path)


def _refusal(label: str, problem: str) -> ImageError:
    return ImageError(f"{printable(label)} {problem}")


def _open_file(path: Path, label: str) -> IO[bytes]:
    """Open a file that is neither empty nor of a kind whose opening or reading could block."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            problem = "is a folder: name an image in it."
            if _is_product(path):
                problem = _IS_SCENE
        elif not stat.S_ISREG(status.st_mode):
            problem = "is a device or a pipe: name an image file."
        elif status.st_size == 0:
            problem = "is empty: choose another one."
        else:
            return path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        problem = "does not exist: check the path."
    except PermissionError:
        problem = "may not be read: change its permissions or choose another one."
    except OSError as error:
        problem = f"cannot be opened ({error.strerror}): check the path."
    except ValueError:
        problem = "is not a path, as it has characters that no path can have: check the path."
    raise _refusal(label, problem)


def _decode(stream: IO[bytes], label: str, path: Path | None = None) -> np.ndarray:
    """Decode an image file to a uint8 array of shape [height, width, 3]."""
    too_large = f"has more than {MAX_PIXELS // 1_000_000} million pixels: cut or shrink it first."
    # Pillow raises errors of any type for a damaged file, and no other code of ours runs in here
    # than the few lines that ask Pillow for pixels; hence the wide `except`.
    try:
        image = Image.open(stream, formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise _refusal(label, too_large)
        image.load()
        return np.array(_turned(_to_rgb(image, label), _orientation(image)))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise _refusal(label, too_large) from error
    except MemoryError as error:
        raise _refusal(label, "does not fit into memory: cut or shrink it first.") from error
    except UnidentifiedImageError as error:
        stream.seek(0)
        head = stream.read(8)
        if head.startswith(JPEG_2000):
            problem = (
                "is JPEG 2000, as whole scenes are: `eurosat-map` makes a map of it; save a tile as"
                " JPEG, PNG, TIFF, WebP or BMP."
            )
        elif path is not None and _is_product(path):
            problem = _IS_SCENE
        elif head[:2] in (b"II", b"MM"):
            problem = (
                "is not a TIFF that can be read: save it with three bands, red, green and blue, "
                "of 8 or 16 bits."
            )
        else:
            problem = "is not a readable JPEG, PNG, TIFF, WebP or BMP image: choose another one."
        raise _refusal(label, problem) from error
    except Exception as error:
        raise _refusal(label, DAMAGED) from error


def _to_rgb(image: Image.Image, label: str) -> Image.Image:
    """Convert a decoded image of any mode to mode RGB."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in {"F", "LAB"}:
        raise _refusal(label, "holds floating-point or Lab pixels: save it as RGB of 8 or 16 bits.")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
            raise _refusal(
                label, "holds integers beyond 0 to 65535: save it as RGB of 8 or 16 bits."
            )
        return Image.fromarray(_to_8_bits(values)).convert("RGB")
    if image.has_transparency_data:
        return _over_black(image.convert("RGBA"))
    return image.convert("RGB")


def _over_black(image: Image.Image) -> Image.Image:
    """Lay an RGBA image over a black background."""
    background = Image.new("RGB", image.size)
    background.paste(image, mask=image)
    return background


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Map integers from 0 to 65535 to the nearest of the uint8 values from 0 to 255."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _orientation(image: Image.Image) -> Image.Transpose | None:
    """Return how a loaded image must be turned to stand upright."""
    if not any(key in image.info for key in _ORIENTATION_KEYS):
        return None
    try:
        return _TRANSPOSES.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - Pillow raises whatever the bytes provoke.
        # The pixels are sound, and damaged EXIF is common: viewers show such a picture as it is.
        return None


def _turned(image: Image.Image, transpose: Image.Transpose | None) -> Image.Image:
    return image if transpose is None else image.transpose(transpose)


def _from_array(array: np.ndarray, label: str) -> np.ndarray:
    """Bring an array to uint8 of shape [height, width, 3], in memory of its own."""
    channels = array.shape[2] if array.ndim == 3 else 1
    if (
        array.dtype.kind != "u"
        or array.dtype.itemsize > 2
        or array.ndim not in {2, 3}
        or channels not in {1, 3, 4}
        or array.size == 0
    ):
        raise _refusal(
            label,
            f"has type {array.dtype} and shape {list(array.shape)}: give uint8 or uint16 of shape "
            "[height, width], or [height, width, channels] with 1, 3 or 4 channels.",
        )
    if array.dtype.itemsize == 2:
        array = _to_8_bits(array)
    if channels == 4:
        return np.array(_over_black(Image.fromarray(np.ascontiguousarray(array))))
    height, width = array.shape[:2]
    pixels = array.reshape(height, width, channels)
    return np.array(np.broadcast_to(pixels, (height, width, 3)), order="C")
