"""What the models make of pixels that scenes have and tiles have not: empty ones, and clear air.

Run it as `python benchmarks/scene_pixels.py [TILES]`; `EUROSAT_DATA` names EuroSAT. It takes TILES
(800 by default) of the validation part that the shipped models were trained with.

L2A is simulated, since nobody has labelled tiles of it: what a clear sky adds to each tile under a
sun 25° to 60° from the zenith is taken away, and the sky of `eurosat.scenes.input_kind` is put
back. Real products differ from this in the dust that they take away too, and in their errors.
"""

import sys
from collections.abc import Callable

import numpy as np

from eurosat.classifier import Classifier
from eurosat.dataset import find_dataset, load_dataset
from eurosat.model_file import shipped_model_names
from eurosat.scenes.input_kind import InputKind, Scaling, clear_sky, numbers_of
from eurosat.scenes.windows import fill_by_mirroring
from eurosat.split import split_dataset

SUN_DEGREES = (25, 60)


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if sys.argv[1:] else 800
    dataset = load_dataset(find_dataset())
    positions = dataset.positions(split_dataset(dataset).validation)
    chosen = np.random.default_rng(0).choice(positions, min(count, len(positions)), replace=False)
    tiles, labels = dataset.tiles[chosen], dataset.labels[chosen]
    surface = without_sky(tiles)
    cases: dict[str, Callable[[], np.ndarray]] = {"as they are": lambda: tiles}
    for columns in (16, 24, 32):
        for name, fill in (("mirrored", mirrored), ("mean colour", mean), ("black", black)):
            cases[f"{columns} columns empty, {name}"] = lambda c=columns, f=fill: f(tiles, c)
    cases["L2A, simulated"] = lambda: scaled(surface, InputKind.L1C)
    cases["L2A, simulated, with a clear sky"] = lambda: scaled(surface, InputKind.L2A)
    for model in shipped_model_names():
        classifier = Classifier.shipped(model).one_view
        assert classifier.metadata is not None
        threshold = classifier.metadata.unsure_below or 0
        print(f"{model}, {len(tiles)} validation tiles")
        for name, make in cases.items():
            answers = classifier.classify_batch(make())
            is_right = answers.argmax(axis=1) == labels
            is_sure = answers.max(axis=1) >= threshold
            print(
                f"  {name:34} right {is_right.mean():6.1%}   sure {is_sure.mean():6.1%}   "
                f"right of the sure {is_right[is_sure].mean():6.1%}"
            )


def mirrored(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Empty the right columns and fill them as scenes are filled."""
    changed = tiles.copy()
    has_data = np.broadcast_to(np.arange(tiles.shape[2]) < tiles.shape[2] - columns, (64, 64))
    for tile in changed:
        fill_by_mirroring(tile, has_data)
    return changed


def mean(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Fill the right columns with the mean colour of the others."""
    changed = tiles.copy()
    colours = tiles[:, :, :-columns].mean(axis=(1, 2)).round()
    changed[:, :, -columns:] = colours[:, np.newaxis, np.newaxis]
    return changed


def black(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Fill the right columns with black."""
    changed = tiles.copy()
    changed[:, :, -columns:] = 0
    return changed


def without_sky(tiles: np.ndarray) -> np.ndarray:
    """Return digital numbers of the ground alone, under another sun for each tile."""
    suns = np.random.default_rng(1).uniform(*SUN_DEGREES, len(tiles))
    by_sun = np.moveaxis([clear_sky(sun) for sun in suns], 1, 0)
    added, passed = by_sun[:, :, np.newaxis, np.newaxis]
    ground = (numbers_of(tiles) - added) / passed
    return ground.clip(1).round().astype(np.uint16)


def scaled(numbers: np.ndarray, kind: InputKind) -> np.ndarray:
    """Return digital numbers as pixels, as if a scene held them."""
    return np.moveaxis(Scaling(kind).to_pixels(np.moveaxis(numbers, 3, 0)), 0, 3)


if __name__ == "__main__":
    main()
