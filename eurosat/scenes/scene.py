"""A scene, such as a satellite picture of any size, read by windows as pixels like EuroSAT's."""

import logging
import stat
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eurosat.errors import DAMAGED, MissingPackageError, SceneError, printable
from eurosat.scenes.bands import Bands, band_names, bands_of_product, choose_bands
from eurosat.scenes.ground import (
    Ground,
    crs_and_grid,
    find_ground,
    no_place,
    warnings_of_ground,
)
from eurosat.scenes.input_kind import InputKind, Scaling, StatedScale, choose_scaling, warnings_of
from eurosat.scenes.product import (
    one_raster,
    read_product,
    scene_named_by,
)
from eurosat.scenes.side_by_side import NO_THREADS_OF_GDAL, side_by_side

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

_SAMPLE_SIDE: Final = 512
"""The pixels along a side from which a scene is judged."""

_CACHE_BYTES: Final = 64 << 20
"""What GDAL keeps of a file that it has decoded."""

_CACHE_BYTES_OF_PRODUCT: Final = 68 << 20
"""It has three bands of 16 bits in blocks of 1024 rows, which would be decoded several times with
less."""


@dataclass(frozen=True, eq=False)
class Scene:
    """An open scene; `open_scene` makes it.

    Attributes:
        path: The file, or the folder of a product.
        ground: The grid of the pixels that are read.
        bands: Which bands are red, green and blue.
        scaling: How values become pixels.
        notes: What was decided about the scene, in sentences.
        warnings: What may make its map wrong, in sentences.
    """

    path: Path
    ground: Ground
    bands: Bands
    scaling: Scaling
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    _source: Any
    _read_bands: Bands
    _nodata: float | None
    _corner: tuple[int, int] = (0, 0)

    def read_rows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Read some rows.

        Args:
            start: The first row.
            stop: The row after the last one.

        Returns:
            Pixels as uint8 of shape [rows, width, 3], and bool of shape [rows, width]: where there
            is data.

        Raises:
            SceneError: The file is damaged.
        """
        return self.read_window((start, stop), (0, self.ground.width))

    def read_window(
        self, rows: tuple[int, int], columns: tuple[int, int], shrink: float = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Read a window.

        Args:
            rows: The first row and the one after the last.
            columns: The first column and the one after the last.
            shrink: How many times fewer rows and columns are returned.

        Returns:
            As `read_rows`, of shape [rows / shrink, columns / shrink, ...], rounded.

        Raises:
            SceneError: The file is damaged.
        """
        height, width = (max(1, round((end - start) / shrink)) for start, end in (rows, columns))
        values, has_data = _read(
            self._source,
            self.path,
            self._read_bands,
            self._nodata,
            window=self._window(rows, columns),
            shape=(height, width),
        )
        return np.moveaxis(self.scaling.to_pixels(values), 0, 2), has_data

    def read_has_data(self, start: int, stop: int) -> np.ndarray:
        """Read of some rows where there is data alone, which one band mostly tells.

        Args:
            start: The first row.
            stop: The row after the last one.

        Returns:
            The second array of `read_rows`.

        Raises:
            SceneError: The file is damaged.
        """
        source, nodata = self._source, self._nodata
        window = self._window((start, stop), (0, self.ground.width))
        shape = (stop - start, self.ground.width)
        red, *others = self._read_bands
        with _damage_told(self.path):
            values = source.read([red], window=window, out_shape=(1, *shape))
            is_certain = values.dtype.kind in "iu" and values.all() and not _has_mask(source, red)
            if is_certain and (nodata is None or not _equal(values, nodata).any()):
                return np.ones(shape, bool)
            more = source.read(others, window=window, out_shape=(2, *shape))
            return _where_data(source, np.concatenate([values, more]), red, nodata, window)

    def _window(self, rows: tuple[int, int], columns: tuple[int, int]) -> Any:
        """Return a window of this part of a file as one of the whole file."""
        top, left = self._corner
        return ((rows[0] + top, rows[1] + top), (columns[0] + left, columns[1] + left))

    def preview(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Read the whole scene, shrunk so that its longer side has at most so many pixels.

        Returns:
            As `read_rows`.

        Raises:
            SceneError: The file is damaged.
        """
        height, width = self.ground.height, self.ground.width
        return self.read_window((0, height), (0, width), max(1, height / side, width / side))

    def part(self, rows: tuple[int, int], columns: tuple[int, int]) -> "Scene":
        """Return a window as a scene of its own, which is read from the same open file.

        Args:
            rows: The first row and the one after the last.
            columns: The first column and the one after the last.
        """
        grid = self.ground.transform
        ground = replace(
            self.ground,
            height=rows[1] - rows[0],
            width=columns[1] - columns[0],
            transform=grid @ type(grid).translation(columns[0], rows[0]),
        )
        corner = (self._corner[0] + rows[0], self._corner[1] + columns[0])
        return replace(self, ground=ground, _corner=corner)


@contextmanager
def open_scene(
    path: Path,
    *,
    bands: Bands | None = None,
    kind: InputKind = InputKind.AUTO,
    offset: int | None = None,
    threads: int | None = None,
) -> Iterator[Scene]:
    """Open a scene: any raster file that GDAL knows, GeoTIFF, JPEG 2000, PNG and JPEG among them.

    Of a Sentinel-2 product, bands 4, 3 and 2 are read, and its metadata say what their values are.
    A pixel has no data where all three bands hold the file's nodata value, or 0, or where the
    file's mask or alpha band says so.

    Args:
        path: The file; for a product its folder, the metadata in it, or its zip.
        bands: Which bands are red, green and blue; found by their names if not given.
        kind: What its values are.
        offset: What is added to values of 16 bits, such as -1000; found out if not given.
        threads: How many decode JPEG 2000, at most eight; as many as there are cores if not given.

    Yields:
        The scene.

    Raises:
        SceneError: The file is missing, damaged, no raster, or does not say what is needed.
        MissingPackageError: The extra `scene` is not installed.
    """
    path = scene_named_by(path)
    name = printable(path)
    _check_file(path, name)
    product = read_product(path)
    try:
        import rasterio
        from rasterio.errors import NotGeoreferencedWarning, RasterioError
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "Whole scenes need rasterio: install it with `pip install 'eurosat-edge[scene]'`."
        ) from error
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)
    # The map says it in words of its own.
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)
    with ExitStack() as stack:
        cache = _CACHE_BYTES_OF_PRODUCT if product else _CACHE_BYTES
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=cache, **NO_THREADS_OF_GDAL))
        try:
            source = one_raster(product, name) if product else path
            dataset = stack.enter_context(rasterio.open(source))
        except UnicodeError as error:
            raise SceneError(
                f"{name} has a name that is not UTF-8, which GDAL does not take: rename it."
            ) from error
        except RasterioError as error:
            raise SceneError(
                f"{name} is no raster file that can be read, or is damaged: name a GeoTIFF, JPEG"
                " 2000, PNG or JPEG."
            ) from error
        if product:
            chosen, band_note = bands_of_product(bands, name)
        else:
            chosen, band_note = choose_bands(dataset, bands, name)
        ground = find_ground(dataset, name)
        nodata = dataset.nodatavals[chosen[0] - 1]
        values, has_data = _read(
            dataset, path, chosen, nodata, shape=_fitting(dataset.height, dataset.width)
        )
        if not has_data.any():
            raise SceneError(f"{name} holds no data: all its pixels are empty.")
        scaling, input_note = choose_scaling(
            kind,
            offset,
            values[:, has_data],
            name=name,
            names=" ".join([str(path.absolute()), str(dataset.tags())]),
            band_names=band_names(dataset),
            stated=(product.factor, product.offset) if product else _stated_scale(dataset, chosen),
            product=product.kind if product else None,
        )
        means = scaling.to_pixels(values[:, has_data]).mean(axis=1).tolist()
        warnings_found = (*warnings_of_ground(dataset, ground), *warnings_of(scaling.kind, means))
        if ground.is_resampled:
            three, read_bands = _without_others(dataset, chosen, stack)
            source = stack.enter_context(_warped(three, ground, name))
        else:
            files = product.files if product else [str(path)]
            source = stack.enter_context(side_by_side(dataset, files, threads))
            read_bands = chosen
        scene = Scene(
            path,
            ground,
            chosen,
            scaling,
            (band_note, input_note, ground.note),
            warnings_found,
            source,
            read_bands,
            nodata,
        )
        if ground.height * ground.width == 1 and not scene.read_rows(0, 1)[1].any():
            raise SceneError(
                f"{name} is smaller than one pixel of 10 m: check its coordinate system and the"
                " size of its pixels."
            )
        yield scene


def _check_file(path: Path, name: str) -> None:
    """Refuse what is neither file nor folder, before GDAL takes it for an address or a pipe."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise SceneError(f"{name} does not exist or may not be read: check the path.") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise SceneError(f"{name} is a device or a pipe: name a file.")


def _stated_scale(dataset: "DatasetReader", bands: Bands) -> StatedScale:
    """Return what the file says of its values, if it is the same for all three bands."""
    stated = {(dataset.scales[band - 1], dataset.offsets[band - 1]) for band in bands}
    scale, added = stated.pop()
    return (1, 0) if stated or not scale else (scale, added)


def _fitting(height: int, width: int) -> tuple[int, int]:
    shrink = max(1, height / _SAMPLE_SIDE, width / _SAMPLE_SIDE)
    return max(1, round(height / shrink)), max(1, round(width / shrink))


def _without_others(
    dataset: "DatasetReader", bands: Bands, stack: ExitStack
) -> tuple["DatasetReader", Bands]:
    """Return a file without the bands that nobody reads, and which are red, green and blue in it.

    What is resampled is empty where all bands of the file are. A band of clouds, which says
    something of each pixel, would make land of what is empty.

    Args:
        dataset: The file.
        bands: What is read; an alpha band that says what is empty stays too.
        stack: What closes the files that are opened.
    """
    from xml.etree import ElementTree

    import rasterio
    from rasterio.enums import ColorInterp, MaskFlags
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy

    # It says nothing where the file has a nodata value.
    has_alpha = MaskFlags.alpha in dataset.mask_flag_enums[bands[0] - 1]
    uses = enumerate(dataset.colorinterp, 1) if has_alpha else ()
    alphas = [number for number, use in uses if use is ColorInterp.alpha]
    kept = list(dict.fromkeys([*bands, *alphas]))
    if len(kept) == dataset.count:
        return dataset, bands
    description = stack.enter_context(MemoryFile(ext=".vrt"))
    copy(dataset, description.name, driver="VRT")
    tree = ElementTree.fromstring(description.read())
    if tree.get("subClass"):
        # Bands of a VRT that warps belong together.
        return dataset, bands
    by_number = {element.get("band"): element for element in tree.findall("VRTRasterBand")}
    for element in by_number.values():
        tree.remove(element)
    for place, number in enumerate(kept, 1):
        element = by_number[str(number)]
        element.set("band", str(place))
        tree.append(element)
    raster = rasterio.open(ElementTree.tostring(tree, encoding="unicode"))
    red, green, blue = (kept.index(band) + 1 for band in bands)
    return stack.enter_context(raster), (red, green, blue)


def _warped(dataset: "DatasetReader", ground: Ground, name: str) -> Any:
    """Return the scene as if it lay on another grid; it is resampled while it is read.

    Raises:
        SceneError: It cannot be placed there.
    """
    from rasterio.enums import MaskFlags, Resampling
    from rasterio.vrt import WarpedVRT

    flags = dataset.mask_flag_enums[0]
    options: dict[str, Any] = {"add_alpha": MaskFlags.alpha not in flags}
    if MaskFlags.per_dataset not in flags:
        # Without such a value, empty pixels would be mixed into those beside them.
        options = dict.fromkeys(("nodata", "src_nodata"), dataset.nodata or 0)
    try:
        crs, grid = crs_and_grid(dataset)
        return WarpedVRT(
            dataset,
            src_crs=crs,
            # Without it, what is placed by control points would be empty on this grid.
            src_transform=grid,
            crs=ground.crs,
            transform=ground.transform,
            height=ground.height,
            width=ground.width,
            resampling=Resampling.bilinear,
            # A pixel is empty only if all its bands are.
            UNIFIED_SRC_NODATA="YES",
            **options,
        )
    except Exception as error:  # As in `find_ground`.
        raise no_place(name) from error


def _read(
    dataset: Any,
    path: Path,
    bands: Bands,
    nodata: float | None,
    *,
    window: Any = None,
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Read values of shape [3, height, width] and where there is data: [height, width].

    Raises:
        SceneError: The file is damaged.
    """
    with _damage_told(path):
        values = dataset.read(bands, window=window, out_shape=(3, *shape))
        return values, _where_data(dataset, values, bands[0], nodata, window)


def _where_data(
    dataset: Any, values: np.ndarray, red: int, nodata: float | None, window: Any
) -> np.ndarray:
    """Return bool of shape [height, width]: where values, [3, height, width], are data."""
    has_data: np.ndarray = np.any(values, axis=0)
    if nodata is not None:
        has_data &= ~_equal(values, nodata).all(axis=0)
    if values.dtype.kind == "f":
        has_data &= np.isfinite(values).all(axis=0)
    if _has_mask(dataset, red):
        has_data &= dataset.read_masks(red, window=window, out_shape=has_data.shape) > 0
    return has_data


def _has_mask(dataset: Any, band: int) -> bool:
    """Tell whether a file says by a mask, or an alpha band, what is empty."""
    from rasterio.enums import MaskFlags

    return MaskFlags.per_dataset in dataset.mask_flag_enums[band - 1]


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Say of what GDAL cannot read that the file is damaged."""
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as error:
        raise SceneError(f"{printable(path)} {DAMAGED}") from error


def _equal(values: np.ndarray, nodata: float) -> np.ndarray:
    return np.isnan(values) if np.isnan(nodata) else values == nodata
