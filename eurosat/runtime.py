"""Model files opened with LiteRT in this process, and run on one tile."""

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from eurosat.errors import MissingPackageError, ModelFileError, printable
from eurosat.model_file import MAX_SIDE

_LOG = logging.getLogger(__name__)

_MAX_CLASSES: Final = 100_000

# The second is the name of the same runtime until 2023, on boards that have no newer one.
_RUNTIMES: Final = ("ai_edge_litert", "tflite_runtime")

SCENE_SIGNATURE: Final = "scene"
"""What marks a file that holds a scene twin, see `eurosat.scenes.twin`."""

_runtime_lock = threading.Lock()
_has_started = False


@dataclass(frozen=True, eq=False)
class Tensor:
    """The input or output of an open model.

    Attributes:
        index: What LiteRT calls it by.
        dtype: The type of its values: uint8, int8 or float32.
        shape: Its shape for one tile: [1, height, width, 3] or [1, classes].
        scale: For integers, value = (stored - zero_point) * scale; 0.0 for an input if not stated.
        zero_point: See `scale`.
    """

    index: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False)
class OpenModel:
    """An image classifier loaded into LiteRT, for one tile and one caller at a time."""

    name: str
    interpreter: Any
    input: Tensor
    output: Tensor

    def run(self, values: np.ndarray) -> np.ndarray:
        """Run the model on one tile.

        Args:
            values: An array of the shape and dtype of `input`.

        Returns:
            An array of the shape and dtype of `output`, with memory of its own.

        Raises:
            ModelFileError: The model cannot be run.
        """
        # LiteRT raises plain RuntimeError and ValueError.
        try:
            self.interpreter.set_tensor(self.input.index, values)
            self.interpreter.invoke()
            answer = self.interpreter.get_tensor(self.output.index)
        except (RuntimeError, ValueError) as error:
            raise _cannot_run(self.name, error) from error
        if answer.shape != self.output.shape:
            raise _not_a_classifier(self.name)
        return answer


def runtime_version() -> str:
    """Return the name and version of the installed runtime, such as "ai_edge_litert 2.3.0".

    Raises:
        MissingPackageError: There is no runtime.
    """
    runtime, _ = load_runtime()
    return f"{runtime.__name__} {getattr(runtime, '__version__', 'of unknown version')}"


def open_model(
    flatbuffer: bytes, name: str, *, threads: int = 1, is_scene: bool = False
) -> OpenModel:
    """Load a model into this process and check that it is an image classifier.

    Args:
        flatbuffer: The model, as in `ModelFile.flatbuffer`.
        name: How messages name it.
        threads: How many threads it computes with; the answers are the same, to the last bit.
        is_scene: Whether the model gives a grid of answers, see `eurosat.scenes.twin`.

    Returns:
        The model, ready to run.

    Raises:
        ModelFileError: LiteRT refuses the model; or it does not have exactly one input for a
            uint8, int8 or float32 RGB image, and one output with a value for each class.
        MissingPackageError: There is no runtime.
    """
    _, interpreter_class = load_runtime()
    # LiteRT raises errors of several types for models that it cannot load.
    try:
        with _quiet_start():
            interpreter = interpreter_class(model_content=flatbuffer, num_threads=threads)
            pixels = _only_tensor(interpreter.get_input_details(), name)
            is_image = pixels.shape[:1] + pixels.shape[3:] == (1, 3)
            # Checked before memory is set aside for a tensor of that size.
            if not is_image or not all(1 <= side <= MAX_SIDE for side in pixels.shape[1:3]):
                raise _not_a_classifier(name)
            interpreter.allocate_tensors()
        answer = _only_tensor(interpreter.get_output_details(), name)
    except ModelFileError:
        raise
    except Exception as error:
        raise _cannot_run(name, error) from error
    if not is_scene and SCENE_SIGNATURE in interpreter.get_signature_list():
        raise ModelFileError(
            f"{name} answers for a grid of tiles and not for one: choose the model that it was made"
            " of, which `eurosat-map` maps scenes with."
        )
    is_row = len(answer.shape) == (4 if is_scene else 2) and answer.shape[0] == 1
    has_meaning = answer.dtype == np.float32 or answer.scale != 0
    if not is_row or not 1 < answer.shape[-1] <= _MAX_CLASSES or not has_meaning:
        raise _not_a_classifier(name)
    return OpenModel(name, interpreter, pixels, answer)


def load_runtime() -> tuple[ModuleType, type[Any]]:
    """Return the package of the runtime and its class `Interpreter`.

    Raises:
        MissingPackageError: There is no runtime.
    """
    for package in _RUNTIMES:
        try:
            interpreter = import_module(f"{package}.interpreter").Interpreter
        except ImportError as error:
            _LOG.debug("%s cannot be used: %s", package, error)
        else:
            return sys.modules[package], interpreter
    raise MissingPackageError(
        "LiteRT, which runs the models, is not installed: run `pip install ai-edge-litert` "
        "(on a 32-bit board `pip install tflite-runtime`)."
    )


@contextmanager
def _quiet_start() -> Iterator[None]:
    """Keep LiteRT's line on its first start off the standard error stream, where that is safe.

    LiteRT writes the line "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." past Python,
    once in a process, and has no switch against it. The stream belongs to the whole process, so it
    is turned away only while no other thread of Python runs that could have something to say.
    """
    global _has_started
    with _runtime_lock:
        is_first, _has_started = not _has_started, True
    saved = None
    if is_first and threading.active_count() == 1:
        # A program without a console has no such stream.
        with suppress(OSError):
            saved = os.dup(2)
    if saved is None:
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _only_tensor(details: list[dict[str, Any]], name: str) -> Tensor:
    """Return the one input or output that the runtime describes."""
    if len(details) != 1 or np.dtype(details[0]["dtype"]).name not in {"uint8", "int8", "float32"}:
        raise _not_a_classifier(name)
    scale, zero_point = details[0]["quantization"]
    return Tensor(
        index=details[0]["index"],
        dtype=np.dtype(details[0]["dtype"]),
        shape=tuple(int(size) for size in details[0]["shape"]),
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _not_a_classifier(name: str) -> ModelFileError:
    return ModelFileError(
        f"{name} does not take one RGB image and return a value for each class: choose an image "
        "classifier."
    )


def _cannot_run(name: str, error: Exception) -> ModelFileError:
    # Without a text where there is not enough memory.
    reason = printable(" ".join(str(error).split()))[:200]
    because = f" ({reason})" if reason else ""
    return ModelFileError(f"{name} cannot be run by LiteRT{because}: choose another model.")
