"""Which convolutions the runtimes like: 3 x 3 ones of several shapes, each alone.

Run it as `python benchmarks/convolutions.py`, with `pip install --group peers` beside the project.
One thread, random values; in float, every runtime computes in float32. The columns are billions of
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
    titles = ("LiteRT int8", "LiteRT float", "OpenVINO float", "ONNX Runtime float")
    print(f"{'convolution 3 x 3':20}" + "".join(f"{title:>20}" for title in titles))
    with tempfile.TemporaryDirectory() as name:
        for side, taken, given in SHAPES:
            runs = prepare(Path(name), side, taken, given)
            operations = 2 * 9 * side * side * taken * given
            speeds = [operations / seconds / 1e9 for seconds in times(runs)]
            shape = f"{side} x {side}, {taken} to {given}"
            print(f"{shape:20}" + "".join(f"{speed:>20.1f}" for speed in speeds))


def prepare(folder: Path, side: int, taken: int, given: int) -> list[Run]:
    """Make one convolution, with its bias and ReLU, ready on each runtime."""
    import keras
    import onnxruntime  # pyright: ignore[reportMissingImports]  # One of the peers.
    import openvino  # pyright: ignore[reportMissingImports]  # One of the peers.
    import tensorflow as tf

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
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        in_float = on_litert(converter.convert(), values)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: [[values]]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        stored = (255 * values - 128).astype(np.int8)
        in_int8 = on_litert(converter.convert(), stored)
        model.export(path, format="onnx", verbose=False)

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
        in_int8,
        in_float,
        lambda: request.infer({0: values}),
        lambda: session.run(None, named),
    ]


def on_litert(flatbuffer: bytes, values: np.ndarray) -> Run:
    """Load a model and give it its input."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=flatbuffer, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    return interpreter.invoke


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
