"""Tiny TFLite models whose answers are known, made once and only when a test asks for them."""

import io
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eurosat.model_file import ModelMetadata, write_model_file

COLOURS = ("red", "green", "blue")
SIDE = 8


def metadata(**changes: Any) -> ModelMetadata:
    """Metadata that fits the models `colour_model` makes."""
    values: dict[str, Any] = {
        "name": "colours-int8",
        "title": "Colours, 8-bit",
        "description": "Names the colour of a tile.",
        "class_names": COLOURS,
        "height": SIDE,
        "width": SIDE,
        "ground_resolution_m": 10.0,
        "precision": "int8",
        "accuracy": {"test": {"accuracy": 0.98, "tiles": 5400}},
        "provenance": {"data": "abc", "versions": {"keras": "3"}, "layers": [1, 2, 3]},
    }
    return ModelMetadata(**values | changes)


def colour_tile(index: int, side: int = SIDE) -> np.ndarray:
    """A uint8 tile that is mostly of colour number `index`, on a dark and uneven ground."""
    tile = np.random.default_rng(index).integers(0, 60, (side, side, 3)).astype(np.uint8)
    tile[:, :, index] += 180
    return tile


def varied_tiles(count: int, side: int) -> np.ndarray:
    """Different uint8 tiles of shape [count, side, side, 3], each uneven about its own colour."""
    dice = np.random.default_rng(0)
    grounds = dice.integers(0, 200, (count, 1, 1, 3))
    return (grounds + dice.integers(0, 56, (count, side, side, 3))).astype(np.uint8)


@cache
def colour_model(
    *,
    precision: str = "int8",
    input_type: str = "uint8",
    output_type: str = "float32",
    largest: float = 255.0,
    logits: bool = False,
) -> bytes:
    """A model that names the strongest colour of a tile.

    `input_type` "uint8" is the form of our own models: the graph casts and scales. The others take
    values from 0 to `largest`; "int8" quantises them.
    """
    keras = _keras()
    layers = keras.layers
    inside = input_type == "uint8"
    inputs = keras.Input((SIDE, SIDE, 3), dtype="uint8" if inside else "float32")
    values = layers.Rescaling(1 / (255 if inside else largest))(inputs)
    convolution = layers.Conv2D(3, 3, activation="relu")
    values = layers.GlobalAveragePooling2D()(convolution(values))
    dense = layers.Dense(3, activation=None if logits else "softmax")
    model = keras.Model(inputs, dense(values))
    kernel = np.zeros((3, 3, 3, 3), np.float32)
    kernel[1, 1] = np.eye(3)
    convolution.set_weights([kernel, np.zeros(3, np.float32)])
    dense.set_weights([np.eye(3, dtype=np.float32) * 6, np.zeros(3, np.float32)])
    return convert(
        model, precision, largest=largest, input_type=input_type, output_type=output_type
    )


@cache
def busy_model(precision: str) -> bytes:
    """A model of uint8 tiles of 16 x 16 pixels with random weights and ten classes."""
    keras = _keras()
    layers = keras.layers
    keras.utils.set_random_seed(7)
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    values = layers.Rescaling(1 / 127.5, -1)(inputs)
    values = layers.Conv2D(16, 3, padding="same", activation="relu6")(values)
    values = layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu6")(values)
    values = layers.Conv2D(24, 1, activation="relu")(values)
    values = layers.GlobalAveragePooling2D()(values)
    spread = keras.initializers.RandomNormal(stddev=4)
    outputs = layers.Dense(10, activation="softmax", kernel_initializer=spread)(values)
    return convert(keras.Model(inputs, outputs), precision)


@cache
def odd_model(kind: str) -> bytes:
    """A model that LiteRT runs but that is no image classifier, or does harm."""
    keras = _keras()
    layers = keras.layers
    inputs = keras.Input((SIDE, SIDE, 1 if kind == "grey" else 3), dtype="uint8")
    values = layers.Rescaling(1 / 255)(inputs)
    if kind == "huge":
        # 24 000 x 24 000 x 3 floating-point numbers are 7 GB.
        values = layers.UpSampling2D(3000)(values)
    pooled = layers.GlobalAveragePooling2D()(values)
    outputs = {
        "grey": lambda: layers.Dense(3)(pooled),
        "huge": lambda: layers.Dense(3)(pooled),
        "one class": lambda: layers.Dense(1)(pooled),
        "image": lambda: values,
        "bare integers": lambda: keras.ops.cast(pooled * 255, "uint8"),
        "two outputs": lambda: [layers.Dense(3)(pooled), layers.Dense(2)(pooled)],
        "not a number": lambda: layers.Dense(3, bias_initializer=_not_a_number)(pooled),
    }[kind]()
    return convert(keras.Model(inputs, outputs), "float32")


def convert(
    model: Any,
    precision: str,
    *,
    largest: float = 255.0,
    input_type: str = "uint8",
    output_type: str = "float32",
) -> bytes:
    """Convert a Keras model whose inputs lie from 0 to `largest`."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision == "int8":
        shape = (1, *model.input_shape[1:])

        def samples() -> Iterator[list[np.ndarray]]:
            random = np.random.default_rng(3)
            for _ in range(100):
                ground = random.uniform(0, 0.8 * largest, (1, 1, 1, shape[3]))
                sample = ground + random.uniform(0, 0.2 * largest, shape)
                # The range of the input shall be exactly 0 to `largest`.
                sample.flat[0], sample.flat[1] = 0, largest
                yield [sample.astype(model.inputs[0].dtype)]

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        if input_type == "int8":
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.as_dtype(output_type)
    return converter.convert()


def written(folder: Path, flatbuffer: bytes, **changes: Any) -> Path:
    """Write a model file of ours into `folder`."""
    path = folder / "model.tflite"
    write_model_file(path, flatbuffer, metadata(**changes))
    return path


def saved(folder: Path, content: bytes) -> Path:
    """Save bytes as a model file."""
    path = folder / "foreign.tflite"
    path.write_bytes(content)
    return path


def with_files(
    flatbuffer: bytes, files: Mapping[str, bytes | str], method: int = zipfile.ZIP_STORED
) -> bytes:
    """Append files to a FlatBuffer, as any tool might do it."""
    stream = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(stream, "a", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def with_normalization(
    flatbuffer: bytes, mean: Sequence[float], std: Sequence[float], label_file: str | None = None
) -> bytes:
    """Add standard metadata as others write it, field by field and without the code under test."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    builder = flatbuffers.Builder()

    def table(slots: Mapping[int, Callable[[int], None]], count: int) -> int:
        builder.StartObject(count)
        for slot, put in slots.items():
            put(slot)
        return builder.EndObject()

    def offset(value: int) -> Callable[[int], None]:
        return lambda slot: builder.PrependUOffsetTRelativeSlot(slot, value, 0)

    def byte(value: int) -> Callable[[int], None]:
        return lambda slot: builder.PrependInt8Slot(slot, value, 0)

    def offsets(values: Sequence[int]) -> int:
        builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            builder.PrependUOffsetTRelative(value)
        return builder.EndVector()

    means = builder.CreateNumpyVector(np.array(mean, np.float32))
    stds = builder.CreateNumpyVector(np.array(std, np.float32))
    options = table({0: offset(means), 1: offset(stds)}, 2)
    units = offsets([table({0: byte(1), 1: offset(options)}, 2)])
    inputs = offsets([table({4: offset(units)}, 7)])
    output_slots: dict[int, Callable[[int], None]] = {}
    if label_file:
        name = builder.CreateString(label_file)
        files = offsets([table({0: offset(name), 2: byte(2)}, 5)])
        output_slots[6] = offset(files)
    outputs = offsets([table(output_slots, 7)])
    subgraphs = offsets([table({2: offset(inputs), 3: offset(outputs)}, 5)])
    builder.Finish(table({3: offset(subgraphs)}, 8), b"M001")

    model: Any = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    buffer = schema.BufferT()
    buffer.data = list(builder.Output())
    entry = schema.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    packed = flatbuffers.Builder()
    packed.Finish(model.Pack(packed), b"TFL3")
    return bytes(packed.Output())


def _not_a_number(shape: tuple[int, ...], dtype: Any = None) -> np.ndarray:
    return np.full(shape, np.nan, np.float32)


@cache
def _keras() -> Any:
    """Import Keras, or skip the test where the extra `train` is not installed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    pytest.importorskip("tensorflow", reason="the models under test are made with TensorFlow")
    return pytest.importorskip("keras")
