"""How soon a new process has its first answer from a shipped model, and the memory it takes.

Run it as `python benchmarks/cold_start.py [MODEL]`. Whole processes, interleaved with a baseline
that only imports numpy; medians of eleven.
"""

import subprocess
import sys
from statistics import median
from time import perf_counter

from eurosat.benchmark import measure_first_answer
from eurosat.model_file import find_model

ROUNDS = 11


def main() -> None:
    """Measure and print."""
    model = sys.argv[1] if sys.argv[1:] else "mobilenet-int8"
    baselines, answers, peaks = [], [], []
    for _ in range(ROUNDS):
        started = perf_counter()
        subprocess.run([sys.executable, "-c", "import numpy"], check=True)
        baselines.append(perf_counter() - started)
        seconds, peak = measure_first_answer(find_model(model))
        answers.append(seconds)
        peaks.append(peak or float("nan"))
    baseline, answer = median(baselines), median(answers)
    print(f"{model}: first answer {answer:.3f} s after start; import numpy alone {baseline:.3f} s")
    print(f"ratio {answer / baseline:.2f}; peak memory {median(peaks) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
