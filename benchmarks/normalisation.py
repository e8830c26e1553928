"""What batch normalisation as one operator gives: training steps with it, against Keras's own.

Run it as `python benchmarks/normalisation.py`. Two models of each architecture take training steps
in turns, on random pixels, in one process. Prints the median milliseconds of a tile with each and
the ratio.
"""

from collections.abc import Callable
from statistics import median
from time import perf_counter

from eurosat.tensorflow_start import start_tensorflow

BATCH_SIZE = 32
ROUNDS = 10


def main() -> None:
    """Measure and print."""
    start_tensorflow()
    import keras
    import numpy as np
    import tensorflow as tf

    from eurosat.train.architectures import build_cnn, build_mobilenet
    from eurosat.train.normalisation import fuse_normalisation

    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    tiles = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, 64, 64, 3), dtype=np.uint8)
    labels = keras.utils.to_categorical(np.arange(BATCH_SIZE) % 10, 10)

    def trained(build: Callable[[], keras.Model], *, is_fused: bool) -> keras.Model:
        model = build()
        if is_fused:
            fuse_normalisation(model, BATCH_SIZE)
        model.compile("adam", "categorical_crossentropy", jit_compile=False)
        model.train_on_batch(tiles, labels)  # Traces the training step.
        return model

    for name, build in (
        ("cnn", lambda: build_cnn(10)),
        ("mobilenet", lambda: build_mobilenet(10, weights="none")),
    ):
        models = [trained(build, is_fused=is_fused) for is_fused in (False, True)]
        milliseconds: list[list[float]] = [[], []]
        for _ in range(ROUNDS):
            for model, measured in zip(models, milliseconds, strict=True):
                started = perf_counter()
                model.train_on_batch(tiles, labels)
                measured.append(1000 * (perf_counter() - started) / BATCH_SIZE)
        plain, fused = (median(measured) for measured in milliseconds)
        print(f"{name:<9} {plain:5.1f} ms, fused {fused:5.1f} ms a tile, ratio {fused / plain:.2f}")


if __name__ == "__main__":
    main()
