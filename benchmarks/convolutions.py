"""Which convolutions the runtimes like in float: 3 x 3 ones of several shapes, each alone.

Run it as `python benchmarks/convolutions.py`, with `pip install --group peers` beside the project.
One thread, random values; every runtime computes in float32. The columns are billions of
multiplications and additions in a second. OpenVINO turns the picture into a layout of its own and
back, which a whole network needs once, and one convolution each time.
"""

import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

SHAPES = (
    (64, 3, 16),
    (32, 48, 48),
    (16, 64, 64),
    (8, 96, 96),
    (8, 112, 112),
    *((16, 64, given) for given in (16, 32, 48, 80, 96, 112, 128)),
)
"""Height and width, channels in, channels out: first those of the CNN, about."""

ROUNDS = 200

Run = Callable[[], object]


def main() -> None:
    """Measure and print."""
    print(f"{'convolution 3 x 3':24}{'LiteRT':>10}{'OpenVINO':>10}{'ONNX Runtime':>14}  (GFLOP/s)")
    with tempfile.TemporaryDirectory() as name:
        for side, taken, given in SHAPES:
            runs = prepare(Path(name), side, taken, given)
            operations = 2 * 9 * side * side * taken * given
            speeds = [operations / seconds / 1e9 for seconds in times(runs)]
            shape = f"{side} x {side}, {taken} to {given}"
            print(f"{shape:24}{speeds[0]:>10.1f}{speeds[1]:>10.1f}{speeds[2]:>14.1f}")


def prepare(folder: Path, side: int, taken: int, given: int) -> list[Run]:
    """Make one convolution, with its bias and ReLU, ready on each runtime."""
    import keras
    import onnxruntime  # pyright: ignore[reportMissingImports]  # One of the peers.
    import openvino  # pyright: ignore[reportMissingImports]  # One of the peers.
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    model = keras.Sequential(
        [
            keras.Input((side, side, taken), batch_size=1, name="pixels"),
            keras.layers.Conv2D(given, 3, padding="same", activation="relu"),
        ]
    )
    values = np.random.default_rng(0).random((1, side, side, taken), np.float32)
    model.predict_on_batch(values)

    path = folder / f"{side}-{taken}-{given}.onnx"
    with redirect_stdout(sys.stderr):  # Both tell how it went.
        flatbuffer = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        model.export(path, format="onnx", verbose=False)

    interpreter = Interpreter(model_content=flatbuffer, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    named = {session.get_inputs()[0].name: values}

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(path),
        "CPU",
        {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"},
    )
    request = compiled.create_infer_request()
    return [
        interpreter.invoke,
        lambda: request.infer({0: values}),
        lambda: session.run(None, named),
    ]


def times(runs: list[Run]) -> list[float]:
    """Return the median time of each in seconds; they take turns."""
    measured: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS):
        for run, seconds in zip(runs, measured, strict=True):
            started = perf_counter()
            run()
            seconds.append(perf_counter() - started)
    return [median(seconds[ROUNDS // 10 :]) for seconds in measured]


if __name__ == "__main__":
    main()
