"""How much faster a data set starts the second time, when its tiles are decoded already.

Run it with the real archive: `python benchmarks/dataset_start.py [DATA]`. It uses a cache folder of
its own, and prints the seconds of the first start, the median of five later ones, and the ratio.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from eurosat.dataset import find_dataset

# A new process each time, timed inside, so that neither start pays for imports.
START = """
import sys, time
from pathlib import Path
from eurosat.dataset import load_dataset
started = time.perf_counter()
dataset = load_dataset(Path(sys.argv[1]))
print(time.perf_counter() - started, len(dataset.names))
"""


def main() -> None:
    """Measure and print."""
    source = find_dataset(Path(sys.argv[1]) if sys.argv[1:] else None)
    with tempfile.TemporaryDirectory() as cache:

        def start() -> tuple[float, int]:
            seconds, tiles = subprocess.run(
                [sys.executable, "-c", START, str(source.resolve())],
                env=os.environ | {"EUROSAT_CACHE": cache},
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            return float(seconds), int(tiles)

        first, tiles = start()
        later = median(start()[0] for _ in range(5))
    print(f"{tiles:,} tiles: first start {first:.2f} s, later starts {later:.3f} s")
    print(f"ratio {first / later:.0f}")


if __name__ == "__main__":
    main()
