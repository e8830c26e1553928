"""How fast a model file runs on this device."""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np

from eurosat.classifier import Classifier

SINGLE_TILES = 200
BATCH_TILES = 1000
WARM_UP_TILES = 20


@dataclass(frozen=True)
class Speed:
    """How fast a classifier answered.

    Attributes:
        threads: Threads that it may use.
        single_ms: Median wall time of one tile alone, in milliseconds.
        batch_ms: Wall time of a large batch per tile, in milliseconds.
    """

    threads: int
    single_ms: float
    batch_ms: float


def measure_speed(classifier: Classifier, seed: int = 0) -> Speed:
    """Time a classifier on tiles of random pixels; the time does not depend on what they show."""
    height, width = classifier.input_size
    shape = (BATCH_TILES, height, width, 3)
    tiles = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    classifier.classify_batch(tiles[:WARM_UP_TILES])
    single = []
    for tile in tiles[:SINGLE_TILES]:
        started = perf_counter()
        classifier.classify(tile)
        single.append(perf_counter() - started)
    started = perf_counter()
    classifier.classify_batch(tiles)
    batch = perf_counter() - started
    return Speed(
        threads=classifier.threads,
        single_ms=1000 * median(single),
        batch_ms=1000 * batch / len(tiles),
    )
