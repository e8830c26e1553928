"""A land-cover map as two cloud-optimised GeoTIFFs: the classes, and how sure they are."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import numpy as np
from PIL import ImageColor

from eurosat.atomic import replacing, write_text
from eurosat.errors import SceneError
from eurosat.progress import Progress
from eurosat.scenes.areas import count_per_cell
from eurosat.scenes.cells import NODATA, CellMap
from eurosat.scenes.scene import Scene
from eurosat.scenes.windows import WindowGrid

CLASSES_FILE: Final = "classes.tif"
CONFIDENCE_FILE: Final = "confidence.tif"

RASTER_BLOCK: Final = 512  # A multiple of every stride.
"""The rows that are written at once, and the side of a tile in the files."""


def write_rasters(
    folder: Path,
    work: Path,
    scene: Scene,
    cells: CellMap,
    tags: Mapping[str, str],
    progress: Progress = lambda done, total: None,
) -> np.ndarray:
    """Write `classes.tif` and `confidence.tif` on the grid of the scene.

    Both have 8 bits, are tiled and compressed, and hold 255 where the scene has no data. The first
    has a colour table and the names of its classes, and overviews by mode; beside it stands an
    `.aux.xml` with the names in the form that GDAL and QGIS read. The second holds per cent.

    Args:
        folder: Where to write.
        work: A folder for files that are removed again.
        scene: The scene, which is read once more for where it has data.
        cells: Its labels.
        tags: What else to say in both files.
        progress: Called with the number of rows written and of all.

    Returns:
        How many pixels with data each cell has: int64 of shape [cells down, cells across].

    Raises:
        SceneError: The scene is damaged.
        OSError: A file cannot be written.
    """
    grid = cells.grid
    with_data = np.zeros(grid.cells, np.int64)
    percent = np.round(cells.confidence * 100).astype(np.uint8)
    names = {f"CLASS_{entry.id}": entry.name for entry in cells.classes}
    colours = {entry.id: ImageColor.getcolor(entry.colour, "RGBA") for entry in cells.classes}
    with (
        _cog(folder / CLASSES_FILE, work, scene, "MODE") as classes_file,
        _cog(folder / CONFIDENCE_FILE, work, scene, "AVERAGE") as percent_file,
    ):
        classes_file.write_colormap(1, colours | {NODATA: (0, 0, 0, 0)})
        classes_file.update_tags(**names, **tags)
        classes_file.set_band_description(1, "land cover")
        percent_file.update_tags(**tags)
        percent_file.set_band_description(1, "confidence in per cent")
        for start in range(0, grid.height, RASTER_BLOCK):
            stop = min(start + RASTER_BLOCK, grid.height)
            has_data = scene.read_has_data(start, stop)
            window = ((start, stop), (0, grid.width))
            for file, values in ((classes_file, cells.labels), (percent_file, percent)):
                pixels = np.where(has_data, cells.rows_of(values, start, stop), NODATA)
                file.write(pixels.astype(np.uint8), 1, window=window)
            counts = count_per_cell(has_data, grid.stride)
            first = start // grid.stride
            with_data[first : first + len(counts)] = counts
            progress(stop, grid.height)
    write_text(folder / f"{CLASSES_FILE}.aux.xml", _category_names(cells))
    return with_data


def read_cells(folder: Path, stride: int) -> tuple[WindowGrid, np.ndarray, np.ndarray]:
    """Read back what `write_rasters` wrote.

    Args:
        folder: Where the files are.
        stride: The side of a cell in pixels.

    Returns:
        How the cells lie; for each cell the number of its class, `NODATA` where it has no data, as
        uint8 of shape [cells down, cells across]; and its confidence, 0 to 1, as float32 of the
        same shape.

    Raises:
        SceneError: A file is missing or damaged.
    """
    import rasterio
    from rasterio.errors import RasterioError

    found: list[tuple[WindowGrid, np.ndarray]] = []
    for name in (CLASSES_FILE, CONFIDENCE_FILE):
        try:
            with rasterio.open(folder / name) as file:
                found.append(_cells_in(file, stride))
        except RasterioError as error:
            raise SceneError(
                f"{folder / name} is missing or damaged: map the scene again."
            ) from error
    (grid, labels), (_, percent) = found
    return grid, labels, np.where(labels == NODATA, 0, percent / np.float32(100))


def _cells_in(file: Any, stride: int) -> tuple[WindowGrid, np.ndarray]:
    """Return the value of each cell, `NODATA` if none of its pixels has another."""
    grid = WindowGrid(file.height, file.width, stride)
    cells = np.full(grid.cells, NODATA, np.uint8)
    for start in range(0, grid.height, RASTER_BLOCK):
        stop = min(start + RASTER_BLOCK, grid.height)
        pixels = file.read(1, window=((start, stop), (0, grid.width)))
        # All pixels of a cell with data are the same, and less than NODATA.
        rows = np.minimum.reduceat(pixels, np.arange(0, stop - start, stride))
        columns = np.arange(0, grid.width, stride)
        first = start // stride
        cells[first : first + len(rows)] = np.minimum.reduceat(rows, columns, axis=1)
    return grid, cells


@contextmanager
def _cog(path: Path, work: Path, scene: Scene, overviews: str) -> Iterator[Any]:
    """Yield a one-band raster file to write to; in the end it becomes a cloud-optimised one."""
    import rasterio
    from rasterio.shutil import copy

    ground = scene.ground
    work.mkdir(parents=True, exist_ok=True)
    plain = work / path.name
    place = {} if ground.crs is None else {"crs": ground.crs, "transform": ground.transform}
    with rasterio.open(
        plain,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=1,
        height=ground.height,
        width=ground.width,
        nodata=NODATA,
        tiled=True,
        blockxsize=RASTER_BLOCK,
        blockysize=RASTER_BLOCK,
        compress="deflate",
        **place,
    ) as file:
        yield file
    with replacing(path) as temporary:
        try:
            copy(
                plain,
                temporary,
                driver="COG",
                compress="DEFLATE",
                blocksize=RASTER_BLOCK,
                overview_resampling=overviews,
            )
            # GDAL says nothing where the disk is full at the very end; reading shows it.
            with rasterio.open(temporary) as written:
                written.checksum(1)
        except Exception as error:  # Some of GDAL's errors have no type of rasterio's.
            raise OSError(errno.ENOSPC, "the disk may be full", str(path)) from error
    plain.unlink()


def _category_names(cells: CellMap) -> str:
    names = "".join(f"<Category>{escape(entry.title)}</Category>" for entry in cells.classes)
    return (
        f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames>'
        "</PAMRasterBand></PAMDataset>\n"
    )
