"""How fast a model file runs on this device."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError

SINGLE_TILES = 200
BATCH_TILES = 1000
WARM_UP_TILES = 20


@dataclass(frozen=True)
class Speed:
    """How fast a classifier answered.

    Attributes:
        threads: Threads that it may use.
        single_ms: Median wall time of one tile alone, in milliseconds.
        slow_single_ms: What 95 of 100 single tiles stay below, in milliseconds.
        batch_ms: Wall time of a large batch per tile, in milliseconds.
    """

    threads: int
    single_ms: float
    slow_single_ms: float
    batch_ms: float

    @property
    def tiles_per_second(self) -> float:
        """How many tiles of a large batch are answered in a second."""
        return 1000 / self.batch_ms


# Answers once, and prints the memory that the process has taken at most, in bytes, where the system
# tells: Windows does not, and what Linux says to `getrusage` begins with the memory of the process
# that started this one.
_FIRST_ANSWER = """
import sys
import numpy as np
from eurosat.classifier import Classifier
classifier = Classifier(sys.argv[1])
classifier.classify(np.zeros((*classifier.input_size, 3), np.uint8))
if sys.platform == "linux":
    status = open("/proc/self/status").read()
    print(1024 * int(status.partition("VmHWM:")[2].split()[0]))
elif sys.platform == "darwin":
    import resource
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure_speed(classifier: Classifier) -> Speed:
    """Time a classifier on a tile of random pixels; the time does not depend on what it shows."""
    shape = (*classifier.input_size, 3)
    tile = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    tiles = np.broadcast_to(tile, (BATCH_TILES, *shape))  # Of a large model they are 150 MB.
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
        slow_single_ms=1000 * float(np.percentile(single, 95)),
        batch_ms=1000 * batch / len(tiles),
    )


def measure_first_answer(model: Path) -> tuple[float, int | None]:
    """Let a new process answer about one tile.

    Args:
        model: The model file.

    Returns:
        Seconds from its start to its end, and the memory that it took at most, in bytes, or None
        where the system does not tell.

    Raises:
        ModelFileError: The process failed.
    """
    # Without -P, Python would run what lies in the current folder.
    command = [sys.executable, "-P", "-c", _FIRST_ANSWER, str(model)]
    started = perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    seconds = perf_counter() - started
    if done.returncode:
        raise ModelFileError(
            f"{model} ends a new process with status {done.returncode}: choose another model."
        )
    return seconds, int(done.stdout) if done.stdout else None
