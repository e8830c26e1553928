"""A Sentinel-2 product as it is downloaded: a `.SAFE` folder, or the zip of one.

Of all its files, the metadata say what the values mean, and those of bands 4, 3 and 2 at 10 m are
read together as one raster, wherever they lie: nothing is unpacked or copied.
"""

import re
import zipfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from itertools import islice
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Final

from eurosat.errors import DAMAGED, SceneError, printable
from eurosat.existence import is_file, is_folder
from eurosat.scenes.input_kind import InputKind

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PRODUCT_BANDS: Final = (4, 3, 2)
"""Red, green and blue, by their numbers in Sentinel-2."""

_METADATA: Final = {"MTD_MSIL1C.xml": InputKind.L1C, "MTD_MSIL2A.xml": InputKind.L2A}
_NAME: Final = re.compile(r"S2[A-Z]_(OPER_PRD_)?MSIL(1C|2A)_.+\.(SAFE|zip)", re.IGNORECASE)
_ZIP: Final = b"PK\x03\x04"

# What unpackers, file managers and the app put beside a product.
_BESIDE_IT: Final = re.compile(r"\..*|__MACOSX|desktop\.ini|maps")

_MOST_METADATA_BYTES: Final = 16 << 20
"""A product has about 50 kB of them."""

# The names that they had in earlier years come last.
_IMAGE_TAGS: Final = ("IMAGE_FILE", "IMAGE_FILE_2A")
_OFFSET_TAGS: Final = ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET")
_ONE_TAGS: Final = {
    InputKind.L1C: ("QUANTIFICATION_VALUE",),
    InputKind.L2A: ("BOA_QUANTIFICATION_VALUE", "L2A_BOA_QUANTIFICATION_VALUE"),
}

_ONE: Final = 10_000
"""The digital number that stands for a reflectance of 1."""

_MOST_ONE: Final = 1_000_000
"""With more, the brightest of 16 bits would be nearly black."""

_Place = Path | zipfile.Path


@dataclass(frozen=True)
class Product:
    """What is read of a product.

    Attributes:
        kind: What its values are: `L1C` or `L2A`.
        factor: What makes digital numbers, reflectance times 10 000, of its values.
        offset: What is added to them then.
        files: The red, the green and the blue band, as GDAL names files.
    """

    kind: InputKind
    factor: float
    offset: int
    files: tuple[str, ...]


def looks_like_product(path: Path, names: Collection[str] = ()) -> bool:
    """Tell from names alone whether a folder or a file is a product.

    Args:
        path: The folder or file.
        names: What lies in the folder, if it is known.
    """
    return bool(_NAME.fullmatch(path.name)) or not _METADATA.keys().isdisjoint(names)


def is_product(path: Path) -> bool:
    """Tell whether a path names a product: its folder, the metadata in it, or its zip.

    What only has the name of one counts, so that whoever opens it says what is wrong with it.

    Args:
        path: A folder or a file.
    """
    if looks_like_product(path, [path.name]):
        return True
    try:
        place = _opened(path)
        return place is not None and _metadata_in(place) is not None
    except Exception:  # noqa: BLE001 - Damaged zips raise errors of many types.
        return False


def scene_named_by(path: Path) -> Path:
    """Return the folder of the product that a path names; any other path as it is.

    Args:
        path: The folder, the metadata in it, or a folder that holds nothing else.
    """
    if path.name in _METADATA:
        return path.absolute().parent
    path = path if path.name else path.absolute()
    with suppress(OSError):
        found = _metadata_in(path) if is_folder(path) else None
        if found and isinstance(found[0], Path):
            return found[0]
    return path


def scene_state(path: Path) -> tuple[int, int]:
    """Return what tells whether a scene has changed: its bytes, and when it was changed, in ns.

    Of a folder, images and metadata count, and nothing that other programs put beside them.

    Raises:
        OSError: It is gone, or may not be looked at.
    """
    status = path.stat()
    if not S_ISDIR(status.st_mode):
        return status.st_size, status.st_mtime_ns
    files = [file.stat() for name in ("*.jp2", *_METADATA) for file in path.rglob(name)]
    return sum(file.st_size for file in files), max((file.st_mtime_ns for file in files), default=0)


def read_product(path: Path) -> Product | None:
    """Read what the metadata of a product say.

    Args:
        path: A folder or a file that is there.

    Returns:
        None for a file that is no zip.

    Raises:
        SceneError: It is a folder or a zip without a product, or with one that is incomplete,
            damaged, or of a form that is not known.
    """
    from xml.etree import ElementTree

    name = printable(path)
    try:
        place = _opened(path)
        if place is None:
            return None
        found = _metadata_in(place)
        if found is None:
            raise SceneError(f"{name} {_why_none(path)}")
        folder, metadata = found
        with (folder / metadata).open("rb") as file:
            tree = ElementTree.fromstring(file.read(_MOST_METADATA_BYTES))
        kind = _METADATA[metadata]
        one = next((float(text) for text in _texts(tree, _ONE_TAGS[kind])), _ONE)
        if not 1 <= one <= _MOST_ONE:
            raise SceneError(f"{name} {DAMAGED}")
        factor = _ONE / one
        offsets = {_offset(tree, band) for band in PRODUCT_BANDS}
        if len(offsets) > 1:
            raise SceneError(
                f"{name} asks for another offset in each of its bands, which is not known of any"
                " product: name its true-colour image (TCI)."
            )
        images = list(_texts(tree, _IMAGE_TAGS))
        files = [_file_of(band, images, folder, name) for band in PRODUCT_BANDS]
        return Product(kind, factor, round(offsets.pop() * factor), tuple(map(_gdal_name, files)))
    except SceneError:
        raise
    except PermissionError as error:
        raise SceneError(f"{name} may not be read: change its permissions.") from error
    except Exception as error:  # Damaged zips and metadata raise errors of many types.
        raise SceneError(f"{name} {DAMAGED}") from error


def one_raster(product: Product, name: str) -> str:
    """Return the three files as one raster: a document in GDAL's format VRT.

    Args:
        product: The product.
        name: How messages name it.

    Raises:
        SceneError: A file is damaged, or does not fit the others.
    """
    import rasterio
    from rasterio.errors import RasterioError

    grids = set()
    bands = ""
    for number, (band, file) in enumerate(zip(PRODUCT_BANDS, product.files, strict=True), 1):
        try:
            with rasterio.open(file) as image:
                grids.add((image.width, image.height, image.transform, image.crs))
        except RasterioError as error:
            raise SceneError(f"Band {band} of {name} {DAMAGED}") from error
        bands += (
            f'<VRTRasterBand dataType="UInt16" band="{number}"><Description>B{band:02}'
            '</Description><SimpleSource><SourceFilename relativeToVRT="0">'
            f"{escape(file)}</SourceFilename></SimpleSource></VRTRasterBand>"
        )
    if len(grids) > 1:
        raise SceneError(f"Bands of {name} differ in size or place: download it again.")
    width, height, transform, crs = grids.pop()
    system = f"<SRS>{escape(crs.to_wkt())}</SRS>" if crs else ""
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{system}<GeoTransform>'
        f"{', '.join(map(repr, transform.to_gdal()))}</GeoTransform>{bands}</VRTDataset>"
    )


def _opened(path: Path) -> _Place | None:
    """Return a folder, or what lies in a zip; None for any other file."""
    if is_folder(path):
        return path
    if not is_file(path):
        return None
    with path.open("rb") as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
    return zipfile.Path(path) if is_zip else None


def _metadata_in(place: _Place) -> tuple[_Place, str] | None:
    """Return where metadata are, and their name: in a folder, or in the one in it that is all."""
    inside = (each for each in place.iterdir() if not _BESIDE_IT.fullmatch(each.name))
    first = list(islice(inside, 2))
    for folder in (place, *first) if len(first) == 1 else (place,):
        for name in _METADATA:
            if (folder / name).is_file():
                return folder, name
    return None


def _why_none(path: Path) -> str:
    """Return what is wrong with a folder or a zip that has no metadata."""
    if looks_like_product(path):
        return (
            "has no MTD_MSIL1C.xml or MTD_MSIL2A.xml, as incomplete products and those of before"
            " December 2016: download it again, or name an image of three bands in it."
        )
    if not is_folder(path):
        return "is a zip without a Sentinel-2 product: unpack it and name a scene in it."
    product = next(filter(is_product, sorted(path.glob("*.SAFE"))), None)
    such_as = f", such as {printable(product.name)}" if product else ""
    return f"is a folder: name a scene in it{such_as}."


def _texts(tree: "Element", tags: Collection[str]) -> list[str]:
    return [each.text.strip() for tag in tags for each in tree.iter(tag) if each.text]


def _offset(tree: "Element", band: int) -> float:
    """Return what is added to the values of a band; products before baseline 04.00 say nothing."""
    for tag in _OFFSET_TAGS:
        for found in tree.iter(tag):
            if found.get("band_id") == str(band - 1):
                return float(found.text or "")
    return 0


def _file_of(band: int, images: list[str], folder: _Place, name: str) -> _Place:
    """Return the file of a band at 10 m.

    Raises:
        SceneError: The metadata do not name one such file, or it is missing.
    """
    form = re.compile(rf"GRANULE/[^/]+/IMG_DATA/(R10m/)?[^/]+_B{band:02}(_10m)?")
    found = list(filter(form.fullmatch, images))
    if len(found) != 1:
        raise SceneError(
            f"{name} has {len(found) or 'no'} image{'s' * (len(found) != 1)} of band {band} at"
            " 10 m: name a product of one tile, as they are since December 2016."
        )
    file = folder / f"{found[0]}.jp2"
    if not file.is_file():
        raise SceneError(f"{name} lacks {printable(file.name)}: download it again.")
    return file


def _gdal_name(file: _Place) -> str:
    if isinstance(file, Path):
        return str(file.absolute())
    return f"/vsizip/{{{Path(str(file.root.filename)).absolute()}}}/{file.at}"
