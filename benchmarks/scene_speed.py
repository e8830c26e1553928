"""What whole scenes cost: time and peak memory of eurosat-map, and single tiles in a loop.

The scene is synthetic: a real one, or a texture without one, tiled by its mirror images. With
`--product` it is what one downloads of Sentinel-2, three files of JPEG 2000, and not a GeoTIFF.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import rasterio

from eurosat.classifier import Classifier
from eurosat.model_file import find_model
from eurosat.scenes.cells import label_cells
from eurosat.scenes.dense import DenseClassifier
from eurosat.scenes.input_kind import numbers_of
from eurosat.scenes.scene import open_scene
from eurosat.scenes.windows import WINDOW, Rows, WindowGrid, one_by_one

MAP = "from eurosat.scenes.cli import main; main()"


def main() -> None:
    """Make the scene, map it in all ways, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scene", nargs="?", type=Path, help="a real scene to tile and to compare")
    parser.add_argument("--side", type=int, default=10_980, help="pixels along a side")
    parser.add_argument("--model", default="cnn-int8", help="one with an exact scene twin")
    parser.add_argument("--sample", type=int, default=2000, help="windows that are timed singly")
    parser.add_argument("--product", action="store_true", help="as a Sentinel-2 product")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        block = _real(options.scene) if options.scene else _texture()
        write = write_product if options.product else write_geotiff
        # The peak memory of a process begins with that of the one that started it.
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:
            path = apart.submit(write, Path(folder), block, options.side).result()
        print(f"{options.side:,} x {options.side:,} pixels, {options.model}", flush=True)
        runs = [
            ("stride 64", 64, []),
            ("stride 64, processes", 64, ["--processes", options.processes]),
            ("stride 32", 32, []),
            ("stride 16", 16, []),
        ]
        seconds = {}
        for name, stride, more in runs:
            out = Path(folder, name.replace(" ", "-"))
            command = [path, "--out", out, "--model", options.model, "--stride", stride, *more]
            seconds[name], peak = run_and_watch([sys.executable, "-c", MAP, *map(str, command)])
            count = WindowGrid(options.side, options.side, stride).window_count
            print(
                f"{name:24}{count:>9,} windows {seconds[name]:7.1f} s {peak / 2**20:6.0f} MB"
                f" {seconds[name] / seconds['stride 64']:6.2f} times stride 64",
                flush=True,
            )
        if options.product:
            return  # What follows is about pixels in memory, from whatever file they come.
        single = seconds_of_single_tiles(path, options.model, options.sample)
        for stride in (64, 16):
            whole = single * WindowGrid(options.side, options.side, stride).window_count
            done = [name for name in seconds if name.startswith(f"stride {stride}")]
            ratios = ", ".join(f"{whole / seconds[name]:.2f} times {name}" for name in done)
            print(
                f"single-tile classify in a loop: {single * 1e3:.2f} ms a window, so {whole:.0f} s"
                f" at stride {stride}: {ratios}"
            )
        print_classification_alone(path, options.model)
    if options.scene:
        print_agreement(options.scene, options.model)


def write_geotiff(folder: Path, block: np.ndarray, side: int) -> Path:
    """Write a square GeoTIFF of a block [height, width, 3] and its mirror images."""
    path = folder / "synthetic.tif"
    tiled = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
    with rasterio.open(path, "w", driver="GTiff", **_profile(side, 3, "uint8"), **tiled) as file:
        for start in range(0, side, 512):
            pixels = _mirrored_rows(block, start, min(start + 512, side), side)
            file.write(np.moveaxis(pixels, 2, 0), window=((start, start + len(pixels)), (0, side)))
    return path


def write_product(folder: Path, block: np.ndarray, side: int) -> Path:
    """Write what is read of a Level-1C product: three files of JPEG 2000 in blocks, as ESA does."""
    path = folder / "S2A_MSIL1C_synthetic.SAFE"
    images = path / "GRANULE" / "synthetic" / "IMG_DATA"
    images.mkdir(parents=True)
    values = np.round(numbers_of(block)).clip(1).astype(np.uint16)
    whole = _mirrored_rows(values, 0, side, side)
    blocks = {"BLOCKXSIZE": 1024, "BLOCKYSIZE": 1024, "QUALITY": 100, "REVERSIBLE": "YES"}
    for band, name in enumerate(("B04", "B03", "B02")):
        file_name = images / f"synthetic_{name}.jp2"
        profile = _profile(side, 1, "uint16")
        with rasterio.open(file_name, "w", driver="JP2OpenJPEG", **profile, **blocks) as file:
            file.write(whole[..., band], 1)
    tags = "".join(
        f"<IMAGE_FILE>{file.relative_to(path).with_suffix('').as_posix()}</IMAGE_FILE>"
        for file in sorted(images.iterdir())
    )
    (path / "MTD_MSIL1C.xml").write_text(f"<Product>{tags}</Product>", encoding="utf-8")
    return path


def _profile(side: int, bands: int, dtype: str) -> dict[str, object]:
    place = {"crs": "EPSG:32630", "transform": rasterio.Affine(10, 0, 6e5, 0, -10, 4.3e6)}
    return {"count": bands, "height": side, "width": side, "dtype": dtype, **place}


def _mirrored_rows(block: np.ndarray, start: int, stop: int, side: int) -> np.ndarray:
    """Return some rows of a square that is tiled by a block and its mirror images."""
    height, width, _ = block.shape
    columns = np.pad(np.arange(width), (0, side), "symmetric")[:side]
    rows = np.pad(np.arange(height), (0, side), "symmetric")[:side]
    return block[rows[start:stop]][:, columns]


def run_and_watch(command: list[str]) -> tuple[float, int]:
    """Run a command; return its seconds and the peak memory of its process in bytes (Linux)."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024


def seconds_of_single_tiles(path: Path, model: str, count: int) -> float:
    """Return the mean time of one `classify` call, on windows from all over the scene."""
    classifier = Classifier(find_model(model)).one_view  # As maps look.
    with open_scene(path) as scene:
        across = scene.ground.width // WINDOW
        pixels, _ = scene.read_rows(0, min(scene.ground.height, 8 * WINDOW))
    places = np.random.default_rng(0).integers(0, (len(pixels) // WINDOW, across), (count, 2))
    started = time.perf_counter()
    for row, column in places * WINDOW:
        classifier.classify(pixels[row : row + WINDOW, column : column + WINDOW])
    return (time.perf_counter() - started) / count


def print_classification_alone(path: Path, model: str) -> None:
    """Time what is left when reading and writing files is taken away: 2,048 rows of pixels."""
    classifier = Classifier(find_model(model))
    with open_scene(path) as scene:
        height = min(scene.ground.height, 2048)
        grid = WindowGrid(height, scene.ground.width, WINDOW)
        pixels, has_data = scene.read_rows(0, height)

    def read(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return pixels[start:stop], has_data[start:stop]

    def timed(grid: WindowGrid, dense: DenseClassifier | None) -> float:
        rows = Rows(read, grid.height, grid.width)
        strips = grid.strips(dense.rows_at_once if dense else 1)
        answer = one_by_one(rows, classifier, grid)
        started = time.perf_counter()
        for _ in dense.answer_strips(rows, strips) if dense else answer(strips):
            pass
        return time.perf_counter() - started

    fine = WindowGrid(height, grid.width, 16)
    coarse, single = timed(grid, None), timed(fine, None)
    dense = timed(fine, DenseClassifier(classifier, fine))
    print(
        f"classification alone, {height:,} rows: stride 64 {coarse:.2f} s; stride 16 with the twin"
        f" {dense:.2f} s, ratio {dense / coarse:.2f}, and with single windows {single:.2f} s, ratio"
        f" {single / coarse:.2f}"
    )


def print_agreement(scene_path: Path, model: str) -> None:
    """Print how many cells of a real scene get the same label from the twin, at stride 16."""
    classifier = Classifier(find_model(model))
    metadata = classifier.metadata
    with open_scene(scene_path) as scene:
        grid = WindowGrid(scene.ground.height, scene.ground.width, 16)
        dense = DenseClassifier(classifier, grid)
        strips = grid.strips(dense.rows_at_once)
        answers = (
            one_by_one(Rows.of(scene), classifier, grid)(strips),
            dense.answer_strips(Rows.of(scene), strips),
        )
        probabilities = [np.concatenate(list(found)) for found in answers]
    names = classifier.class_names
    for title, unsure_below in (
        ("with unsure", metadata.unsure_below if metadata else None),
        ("most probable class", None),
    ):
        one, other = (label_cells(p, grid, names, unsure_below).labels for p in probabilities)
        print(f"{scene_path.name}: {(one == other).mean():.2%} of {one.size:,} cells, {title}")


def _real(path: Path) -> np.ndarray:
    """Return the largest centred part of a scene that has no empty pixel, of even sides."""
    with open_scene(path) as scene:
        pixels, has_data = scene.read_rows(0, scene.ground.height)
    cut = 0
    while not has_data[cut : len(has_data) - cut, cut : has_data.shape[1] - cut].all():
        cut += 1
    return pixels[cut : len(pixels) - cut, cut : pixels.shape[1] - cut]


def _texture() -> np.ndarray:
    dice = np.random.default_rng(0)
    patches = dice.integers(1, 236, (32, 32, 3)).repeat(16, axis=0).repeat(16, axis=1)
    return (patches + dice.integers(0, 20, patches.shape)).astype(np.uint8)


if __name__ == "__main__":
    main()
