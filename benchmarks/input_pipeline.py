"""What augmentation costs: an epoch through our pipeline against `fit` on a bare array.

Run it as `python benchmarks/input_pipeline.py [DATA]`. Both train the CNN on the same real tiles,
in turns, in one process; the baseline gets the tiles as an array in memory, unshuffled and without
augmentation. Prints the median seconds of each and their ratio.
"""

import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from eurosat.dataset import find_dataset, load_dataset
from eurosat.tensorflow_start import start_tensorflow

TILES = 3200
ROUNDS = 3
BATCH_SIZE = 64


def main() -> None:
    """Measure and print."""
    dataset = load_dataset(find_dataset(Path(sys.argv[1]) if sys.argv[1:] else None))
    start_tensorflow()
    import keras
    import numpy as np
    import tensorflow as tf

    from eurosat.train.architectures import build_cnn
    from eurosat.train.configuration import DEFAULTS, Architecture
    from eurosat.train.normalisation import fuse_normalisation
    from eurosat.train.pipeline import TrainingTiles

    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    chosen = np.random.default_rng(0).permutation(len(dataset.names))[:TILES]
    tiles, labels = dataset.tiles[chosen], dataset.labels[chosen]
    class_count = len(dataset.class_names)
    one_hot = keras.utils.to_categorical(labels, class_count)
    pipeline = TrainingTiles(tiles, labels, class_count, DEFAULTS[Architecture.CNN])
    model = build_cnn(class_count)
    fuse_normalisation(model, BATCH_SIZE)
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"], jit_compile=False)

    def on_array(_: int) -> None:
        model.fit(tiles, one_hot, batch_size=BATCH_SIZE, shuffle=False, verbose=0)

    def through_pipeline(number: int) -> None:
        model.fit(pipeline.epoch(number, BATCH_SIZE), shuffle=False, verbose=0)

    seconds: dict[str, list[float]] = {"array": [], "pipeline": []}
    on_array(0)  # Traces the training step.
    for number in range(ROUNDS):
        for name, epoch in (("array", on_array), ("pipeline", through_pipeline)):
            started = perf_counter()
            epoch(number)
            seconds[name].append(perf_counter() - started)
    array, piped = median(seconds["array"]), median(seconds["pipeline"])
    print(f"{TILES:,} tiles: bare array {array:.2f} s, with pipeline {piped:.2f} s an epoch")
    print(f"ratio {piped / array:.3f}")


if __name__ == "__main__":
    main()
