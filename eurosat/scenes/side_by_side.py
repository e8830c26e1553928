"""JPEG 2000 files that several threads decode at once, each some of their columns.

GDAL would use threads of its own, but rasterio hears of no error in them: what cannot be decoded
would be read as whatever was in memory. So a file is opened once for each thread instead.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from eurosat.cores import usable_cores

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

NO_THREADS_OF_GDAL: Final[dict[str, Any]] = {"GDAL_NUM_THREADS": "1"}
"""Options of GDAL, with which the errors of all that it does are heard."""

_JPEG_2000: Final = "JP2OpenJPEG"
_DRIVERS: Final = {_JPEG_2000, "VRT"}
"""Of a file, and of the bands of a product as one raster."""

_MOST_THREADS: Final = 8
"""More would find little to do: a Sentinel-2 tile has eleven blocks across."""


class SideBySide:
    """A scene of one file, or of one file for each band, opened several times."""

    def __init__(
        self,
        dataset: "DatasetReader",
        files: "Sequence[Sequence[DatasetReader]]",
        threads: Executor,
    ) -> None:
        """Take what is open.

        Args:
            dataset: The scene as one raster.
            files: Its files, each as often as there are threads.
            threads: The threads.
        """
        self._dataset = dataset
        self._files = files
        self._threads = threads
        self.mask_flag_enums = dataset.mask_flag_enums
        self.read_masks = dataset.read_masks

    def read(
        self, bands: Sequence[int], *, window: Any = None, out_shape: tuple[int, ...]
    ) -> np.ndarray:
        """Read as `DatasetReader.read` does; what is to be shrunk, from the one raster.

        Raises:
            RasterioError: A part cannot be decoded.
        """
        if window is None or out_shape[1:] != tuple(stop - start for start, stop in window):
            return self._dataset.read(bands, window=window, out_shape=out_shape)
        rows, (left, right) = window
        # No block is decoded by two of them.
        block = self._files[0][0].block_shapes[0][1]
        count = len(self._files[0])
        blocks = np.linspace(left // block, -(-right // block), count + 1).round()
        edges = [int(edge) for edge in np.clip(blocks * block, left, right)]
        values = np.empty(out_shape, self._dataset.dtypes[bands[0] - 1])
        if len(self._files) == 1:
            wanted = [(self._files[0], list(bands), values)]
        else:
            wanted = [(self._files[n - 1], [1], values[at : at + 1]) for at, n in enumerate(bands)]
        tasks = []
        for handles, its_bands, its_values in wanted:
            for handle, (start, stop) in zip(handles, pairwise(edges), strict=True):
                part = its_values[:, :, start - left : stop - left]
                if stop > start:
                    where = (rows, (start, stop))
                    tasks.append(self._threads.submit(_read_into, part, handle, its_bands, where))
        try:
            for task in tasks:
                task.result()
        finally:
            # After an error or Ctrl-C, none goes on with a handle that is read or closed next.
            for task in tasks:
                task.cancel()
            wait(tasks)
        return values


def _read_into(values: np.ndarray, handle: "DatasetReader", bands: list[int], window: Any) -> None:
    import rasterio

    with rasterio.Env(**NO_THREADS_OF_GDAL):  # Each thread has options of its own.
        handle.read(bands, window=window, out=values)


@contextmanager
def side_by_side(
    dataset: "DatasetReader", files: Sequence[str], threads: int | None = None
) -> "Iterator[DatasetReader | SideBySide]":
    """Yield what reads a scene fastest.

    Args:
        dataset: The scene as one raster.
        files: What it consists of: itself, or a file for each of its three bands.
        threads: How many decode, at most eight; as many as there are cores if not given.
    """
    import rasterio

    threads = min(threads or usable_cores(), _MOST_THREADS)
    if threads == 1 or dataset.driver not in _DRIVERS:
        yield dataset
        return
    with ExitStack() as stack:

        def opened(file: str) -> "DatasetReader":
            return stack.enter_context(rasterio.open(file))

        first = [opened(file) for file in files]
        # A file without blocks would be decoded as a whole by each thread.
        is_worth_it = all(
            file.driver == _JPEG_2000 and file.block_shapes[0][1] < file.width for file in first
        )
        if not is_worth_it:
            yield dataset
            return
        handles = [
            [one, *(opened(file) for _ in range(threads - 1))]
            for one, file in zip(first, files, strict=True)
        ]
        yield SideBySide(dataset, handles, stack.enter_context(ThreadPoolExecutor(threads)))
