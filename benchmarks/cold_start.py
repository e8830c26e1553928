"""How soon a new process has its first answer from a shipped model, and the memory it takes.

Run it as `python benchmarks/cold_start.py [MODEL]`. Whole processes, interleaved with a baseline
that only imports numpy; medians of eleven.
"""

import subprocess
import sys
from statistics import median
from time import perf_counter

ROUNDS = 11

BASELINE = "import numpy"
FIRST_ANSWER = """
import resource, sys
import numpy as np
from eurosat.classifier import Classifier
Classifier.shipped(sys.argv[1]).classify(np.zeros((64, 64, 3), np.uint8))
"""
PEAK_MEMORY = "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage counts differently there.


def main() -> None:
    """Measure and print."""
    model = sys.argv[1] if sys.argv[1:] else "mobilenet-int8"
    seconds: dict[str, list[float]] = {BASELINE: [], FIRST_ANSWER: []}
    for _ in range(ROUNDS):
        for code, times in seconds.items():
            started = perf_counter()
            subprocess.run([sys.executable, "-c", code, model], check=True)
            times.append(perf_counter() - started)
    printed = subprocess.run(
        [sys.executable, "-c", FIRST_ANSWER + PEAK_MEMORY, model],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    baseline, answer = median(seconds[BASELINE]), median(seconds[FIRST_ANSWER])
    print(f"{model}: first answer {answer:.3f} s after start; import numpy alone {baseline:.3f} s")
    print(
        f"ratio {answer / baseline:.2f}; peak memory {int(printed) * BYTES_PER_UNIT / 1e6:.0f} MB"
    )


if __name__ == "__main__":
    main()
