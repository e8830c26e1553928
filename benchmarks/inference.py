"""Our model files against what else could run the same trained model: speed, memory, accuracy.

Run it as `python benchmarks/inference.py RUN [--json FILE]`, after
`eurosat-convert RUN --int8 --float32` has put the model files into the run folder, with
`pip install --group peers` beside the project. The peers get the run's Keras model: as it is, as
ONNX, as ONNX in int8 (static, per channel, 500 calibration tiles), as our model files, and as an
int8 file by LiteRT's own quantizer (static, its recipe as it comes, the same calibration tiles).

Every measurement is a process of its own; the contenders take turns, round after round. The tiles
are those of the validation split. Times are medians; each ratio is that of a contender to our
classifier with the same file's precision and as many threads in the same round.
"""

import json
import platform
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median
from time import perf_counter, time
from typing import Any

import numpy as np
from packaging.requirements import Requirement

from eurosat.console import refusals_told
from eurosat.dataset import find_dataset, load_dataset
from eurosat.errors import EurosatError
from eurosat.model_file import read_model_file
from eurosat.run_folder import RunFolder

THREADS = (1, 2)
BATCHES = (1, 32, 256)
TILES_TO_TIME = {1: 100, 32: 512, 256: 1024}
CALIBRATION_TILES = 500
SEED = 0

Answer = Callable[[np.ndarray], np.ndarray]
"""From tiles, uint8 `[n, 64, 64, 3]`, to probabilities or logits, `[n, classes]`."""


def our_classifier(path: str, threads: int) -> Answer:
    """Run a model file as the product does."""
    from eurosat.classifier import Classifier

    return Classifier(path, threads=threads).classify_batch


def plain_litert(path: str, threads: int) -> Answer:
    """Run a model file as the tutorials do: one interpreter, tile after tile."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    interpreter.allocate_tensors()
    tile_index = interpreter.get_input_details()[0]["index"]
    answer_index = interpreter.get_output_details()[0]["index"]

    def answer(tiles: np.ndarray) -> np.ndarray:
        answers = []
        for tile in tiles:
            interpreter.set_tensor(tile_index, tile[np.newaxis])
            interpreter.invoke()
            answers.append(interpreter.get_tensor(answer_index)[0])
        return np.array(answers)

    return answer


def keras_predict(path: str, threads: int) -> Answer:
    """Run the Keras model itself."""
    import tensorflow as tf
    from keras.saving import load_model

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = load_model(path, compile=False)
    return lambda tiles: model.predict(tiles, batch_size=256, verbose=0)


def onnx_runtime(path: str, threads: int) -> Answer:
    """Run an ONNX file."""
    import onnxruntime  # pyright: ignore[reportMissingImports]  # One of the peers.

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda tiles: np.asarray(session.run(None, {name: tiles})[0])


def openvino(path: str, threads: int, arithmetic: str = "f32") -> Answer:
    """Run a model file with OpenVINO, compiled for every size of a batch.

    Left to itself, OpenVINO computes float models in bfloat16 where the processor can.
    """
    import openvino  # pyright: ignore[reportMissingImports]  # One of the peers.

    core = openvino.Core()
    compiled: dict[int, Any] = {}

    def answer(tiles: np.ndarray) -> np.ndarray:
        if len(tiles) not in compiled:
            model = core.read_model(path)
            model.reshape([len(tiles), *tiles.shape[1:]])
            options = {
                "INFERENCE_NUM_THREADS": threads,
                "INFERENCE_PRECISION_HINT": arithmetic,
                "PERFORMANCE_HINT": "LATENCY",
            }
            compiled[len(tiles)] = core.compile_model(model, "CPU", options)
        return compiled[len(tiles)](tiles)[0]

    return answer


@dataclass(frozen=True)
class Contender:
    """A runtime and the form of the model that it runs.

    Attributes:
        runtime: For the table.
        precision: Of the model.
        load: Gives the function that answers.
        file: Name of the model's file in the folder of work.
        distribution: The package that one installs for it.
    """

    runtime: str
    precision: str
    load: Callable[[str, int], Answer]
    file: str
    distribution: str


CONTENDERS = [
    Contender("EuroSAT Edge", "int8", our_classifier, "int8.tflite", "eurosat-edge"),
    Contender("LiteRT, plain loop", "int8", plain_litert, "int8.tflite", "ai-edge-litert"),
    Contender("LiteRT's quantizer", "int8", plain_litert, "quantizer.tflite", "ai-edge-litert"),
    Contender("OpenVINO", "int8", openvino, "int8.tflite", "openvino"),
    Contender("ONNX Runtime", "int8", onnx_runtime, "int8.onnx", "onnxruntime"),
    Contender("EuroSAT Edge", "float32", our_classifier, "float32.tflite", "eurosat-edge"),
    Contender("LiteRT, plain loop", "float32", plain_litert, "float32.tflite", "ai-edge-litert"),
    Contender("OpenVINO", "float32", openvino, "float32.tflite", "openvino"),
    Contender(
        "OpenVINO, bfloat16",
        "float32",
        partial(openvino, arithmetic="bf16"),
        "float32.tflite",
        "openvino",
    ),
    Contender("ONNX Runtime", "float32", onnx_runtime, "float32.onnx", "onnxruntime"),
    Contender("Keras predict", "float32", keras_predict, "model.keras", "tensorflow"),
]


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    if arguments.worker is not None:
        _work(arguments)
        return
    run = RunFolder(arguments.run)
    with refusals_told():
        files = _model_files(run)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = _prepare(run, files, folder)
        measured: dict[tuple[int, int], list[dict[str, Any]]] = defaultdict(list)
        for number in range(arguments.rounds):
            for threads in THREADS:
                for position in range(len(CONTENDERS)):
                    measured[position, threads].append(_ask_worker(position, threads, folder))
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        rows = [
            _row(position, threads, measured, labels)
            for position in range(len(CONTENDERS))
            for threads in THREADS
        ]
    _print_table(rows)
    if arguments.json:
        record = {"processor": _processor(), "versions": _versions(), "rows": rows}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _arguments() -> Namespace:
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, help="a finished run folder with its model files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--worker", type=int, help="for the benchmark itself")
    parser.add_argument("--threads", type=int, help="for the benchmark itself")
    parser.add_argument("--started", type=float, help="for the benchmark itself")
    return parser.parse_args()


def _model_files(run: RunFolder) -> dict[str, Path]:
    """Return the files of a run by precision.

    Raises:
        EurosatError: The run is not finished, or does not have these files with one view.
    """
    run.check_finished()
    files = {}
    for precision in ("int8", "float32"):
        found = sorted(run.path.glob(f"*-{precision}.tflite"))
        metadata = read_model_file(found[0]).metadata if len(found) == 1 else None
        if metadata is None or metadata.views > 1:
            raise EurosatError(
                f"{run.path} needs one {precision} file of one view: make both with "
                f"eurosat-convert {run.path} --int8 --float32."
            )
        files[precision] = found[0]
    return files


def _prepare(run: RunFolder, files: dict[str, Path], folder: Path) -> np.ndarray:
    """Put tiles and all forms of the model into a folder; return the labels of the tiles."""
    from keras import Model
    from keras.saving import load_model
    from litert_quantizer import recipe  # pyright: ignore[reportMissingImports]
    from litert_quantizer.quantizer import Quantizer  # pyright: ignore[reportMissingImports]
    from onnxruntime.quantization import (  # pyright: ignore[reportMissingImports]
        CalibrationDataReader,
        QuantType,
        quant_pre_process,
        quantize_static,
    )

    dataset, split = load_dataset(find_dataset(None)), run.read_split()
    split.check_matches(dataset)
    positions = dataset.positions(split.validation)
    np.save(folder / "tiles.npy", dataset.tiles[positions])
    for precision, file in files.items():
        (folder / f"{precision}.tflite").write_bytes(file.read_bytes())
    (folder / "model.keras").write_bytes(run.model.read_bytes())
    onnx = folder / "float32.onnx"
    model: Any = load_model(run.model, compile=False)
    # Else the normalisations would go on learning in the ONNX file.
    model = Model(model.input, model(model.input, training=False))
    model.predict_on_batch(dataset.tiles[:1])  # Keras exports only what was called before.
    model.export(onnx, format="onnx", verbose=False)

    known = np.random.default_rng(SEED).permutation(dataset.positions(split.train))
    calibration = dataset.tiles[known[:CALIBRATION_TILES]]

    quantizer = Quantizer(str(folder / "float32.tflite"))
    quantizer.load_quantization_recipe(recipe.static_wi8_ai8())
    statistics = quantizer.calibrate(
        {"serving_default": [{"tile": tile[np.newaxis]} for tile in calibration]}
    )
    with redirect_stdout(sys.stderr):  # It tells how it went.
        quantized = quantizer.quantize(statistics)
    quantized.export_model(str(folder / "quantizer.tflite"))

    class CalibrationTiles(CalibrationDataReader):
        def __init__(self) -> None:
            self._tiles = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            tile = next(self._tiles, None)
            return None if tile is None else {"tile": tile[np.newaxis]}

    quant_pre_process(onnx, folder / "prepared.onnx", skip_symbolic_shape=True)
    quantize_static(
        folder / "prepared.onnx",
        folder / "int8.onnx",
        CalibrationTiles(),
        per_channel=True,
        weight_type=QuantType.QInt8,
    )
    return dataset.labels[positions]


def _ask_worker(position: int, threads: int, folder: Path) -> dict[str, Any]:
    options = ["--worker", position, "--threads", threads, "--started", time()]
    command = [sys.executable, __file__, str(folder), *map(str, options)]
    # What a worker complains of is seen.
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _work(arguments: Namespace) -> None:
    """Be one contender once: load, answer, print what it took."""
    contender = CONTENDERS[arguments.worker]
    tiles = np.load(arguments.run / "tiles.npy", mmap_mode="r")
    answer = contender.load(str(arguments.run / contender.file), arguments.threads)
    answer(np.array(tiles[:1]))
    figures: dict[str, Any] = {"first": time() - arguments.started}
    for batch in BATCHES:
        pixels = np.array(tiles[: TILES_TO_TIME[batch]])
        answer(pixels[:batch])
        times = []
        for start in range(0, len(pixels), batch):
            started = perf_counter()
            answer(pixels[start : start + batch])
            times.append(1000 * (perf_counter() - started) / batch)
        figures[str(batch)] = median(times)
    figures["memory"] = _peak_memory()
    figures["answers"] = np.concatenate(
        [answer(np.array(tiles[at : at + 256])).argmax(axis=1) for at in range(0, len(tiles), 256)]
    ).tolist()
    print(json.dumps(figures))


def _peak_memory() -> float:
    """Return the most memory that this process has taken, in megabytes; only Linux tells.

    What `getrusage` says begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.partition("VmHWM:")[2].split()[0]) / 1e6


def _row(
    position: int,
    threads: int,
    measured: dict[tuple[int, int], list[dict[str, Any]]],
    labels: np.ndarray,
) -> dict[str, Any]:
    """Return the figures of a contender, and their ratios to those of our classifier."""
    contender = CONTENDERS[position]
    ours = next(
        index for index, other in enumerate(CONTENDERS) if other.precision == contender.precision
    )
    theirs, baseline = measured[position, threads], measured[ours, threads]
    row: dict[str, Any] = {
        "runtime": contender.runtime,
        "precision": contender.precision,
        "threads": threads,
        "accuracy": float((np.array(theirs[0]["answers"]) == labels).mean()),
        "installed_megabytes": _installed_bytes(contender.distribution, set()) / 1e6,
    }
    for key in ("1", "32", "256", "first", "memory"):
        row[key] = median(figures[key] for figures in theirs)
        row[f"{key}_ratio"] = median(
            figures[key] / base[key] for figures, base in zip(theirs, baseline, strict=True)
        )
    return row


def _processor() -> str:
    """Return the name of the processor, as far as it tells."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _versions() -> dict[str, str]:
    """Return what is installed of all contenders."""
    names = {contender.distribution for contender in CONTENDERS} | {"litert-quantizer"}
    return {name: distribution(name).version for name in sorted(names)}


def _installed_bytes(name: str, seen: set[str]) -> int:
    """Return the size of a package and of all that it needs here."""
    if name in seen:
        return 0
    seen.add(name)
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return 0
    size = sum(
        Path(str(file.locate())).stat().st_size
        for file in package.files or ()
        if Path(str(file.locate())).is_file()
    )
    needed = [Requirement(text) for text in package.requires or ()]
    return size + sum(
        _installed_bytes(requirement.name.lower(), seen)
        for requirement in needed
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    )


def _print_table(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'':<20}{'':<9}{'':>7}{'right':>8}{'one tile':>16}{'batch of 32':>16}{'batch of 256':>16}"
        f"{'first answer':>15}{'memory':>15}{'installed':>10}"
    )
    for row in rows:
        cells = [f"{row[key]:.2f} ms ({row[f'{key}_ratio']:.2f})" for key in ("1", "32", "256")]
        print(
            f"{row['runtime']:<20}{row['precision']:<9}{row['threads']:>7}{row['accuracy']:>8.2%}"
            + "".join(f"{cell:>16}" for cell in cells)
            + f"{row['first']:.2f} s ({row['first_ratio']:.1f})".rjust(15)
            + f"{row['memory']:.0f} MB ({row['memory_ratio']:.1f})".rjust(15)
            + f"{row['installed_megabytes']:.0f} MB".rjust(10)
        )


if __name__ == "__main__":
    main()
