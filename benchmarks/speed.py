"""How fast the shipped models run here, on one thread and on two.

Run it as `python benchmarks/speed.py`. Five rounds, interleaved; medians, and for each the ratio to
the first row.
"""

from collections import defaultdict
from statistics import median

from eurosat.benchmark import Speed, measure_speed
from eurosat.classifier import Classifier
from eurosat.model_file import shipped_model_names

ROUNDS = 5
THREADS = (1, 2)


def main() -> None:
    """Measure and print."""
    classifiers = {
        (name, threads): Classifier.shipped(name, threads=threads)
        for name in shipped_model_names()
        for threads in THREADS
    }
    speeds: dict[tuple[str, int], list[Speed]] = defaultdict(list)
    for _ in range(ROUNDS):
        for key, classifier in classifiers.items():
            speeds[key].append(measure_speed(classifier))
    print(f"{'model':<16} threads  one tile alone  per tile in a batch of 1,000    ratio")
    first = 0.0
    for (name, threads), measured in speeds.items():
        single = median(speed.single_ms for speed in measured)
        batch = median(speed.batch_ms for speed in measured)
        first = first or batch
        print(f"{name:<16} {threads:>7} {single:>12.2f} ms {batch:>27.2f} ms {batch / first:>8.2f}")


if __name__ == "__main__":
    main()
