"""The standard form of TFLite metadata: an entry in the model that describes its input and output.

See https://ai.google.dev/edge/litert/models/metadata; Android Studio, MediaPipe and Netron read it.
The code follows the description of the binary format at https://flatbuffers.dev/internals/, and
reads models that may be damaged or hostile.
"""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from flatbuffers import Builder

# The tables of the public schema `metadata_schema.fbs`, version 1.5.0, by The TensorFlow and
# MediaPipe Authors (Apache License 2.0), as far as they are used here: the names of the fields in
# the order of their slots. A union takes two slots, of which the first says what the second holds.
_TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "ModelMetadata": (
        "name",
        "description",
        "version",
        "subgraph_metadata",
        "author",
        "license",
        "associated_files",
        "min_parser_version",
    ),
    "SubGraphMetadata": (
        "name",
        "description",
        "input_tensor_metadata",
        "output_tensor_metadata",
        "associated_files",
    ),
    "TensorMetadata": (
        "name",
        "description",
        "dimension_names",
        "content",
        "process_units",
        "stats",
        "associated_files",
    ),
    "Content": ("content_properties_type", "content_properties", "range"),
    "ImageProperties": ("color_space", "default_size"),
    "FeatureProperties": (),
    "ImageSize": ("width", "height"),
    "Stats": ("max", "min"),
    "AssociatedFile": ("name", "description", "type", "locale", "version"),
    "ProcessUnit": ("options_type", "options"),
    "NormalizationOptions": ("mean", "std"),
    # From `schema.fbs`, version 3c, of the same authors and licence: the model itself.
    "Model": (
        "version",
        "operator_codes",
        "subgraphs",
        "description",
        "buffers",
        "metadata_buffer",
        "metadata",
    ),
    "Metadata": ("name", "buffer"),
    "Buffer": ("data",),
}
_BYTE_FIELDS: Final = {"content_properties_type", "color_space", "type", "options_type"}
_MAX_TABLES: Final = 100_000
_METADATA_ENTRY: Final = b"TFLITE_METADATA"
_METADATA_IDENTIFIER: Final = b"M001"

# Values of the enumerations and unions of that schema.
_DESCRIPTIONS: Final = 1
_TENSOR_AXIS_LABELS: Final = 2
_FEATURE_PROPERTIES: Final = 1
_IMAGE_PROPERTIES: Final = 2
_RGB: Final = 1
_NORMALIZATION_OPTIONS: Final = 1


class Normalization(NamedTuple):
    """How pixels, 0 to 255, become the values that a model takes: (pixel - mean) / std.

    Attributes:
        mean: One value for all three channels, or one for each.
        std: One value for all three channels, or one for each; never 0.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class StandardMetadata:
    """What is used of a model's standard metadata.

    Attributes:
        files: The names of the appended files that belong to it.
        label_file: Which of them names the classes, if one does.
        normalization: How pixels are to be scaled, if it says so.
    """

    files: tuple[str, ...] = ()
    label_file: str | None = None
    normalization: Normalization | None = None


@dataclass(frozen=True)
class Description:
    """What the standard metadata of a model of ours says.

    Attributes:
        name: A name for people.
        description: What the model does.
        version: Version of the form of what is appended.
        width: Width of the input tile, in pixels.
        height: Its height, in pixels.
        label_file: The appended file that names the classes.
        details_file: The appended file with all the rest.
    """

    name: str
    description: str
    version: str
    width: int
    height: int
    label_file: str
    details_file: str


@dataclass(frozen=True)
class _Table:
    """A table to be written: the name of its kind, and the fields that it has.

    A field holds a text, a whole number, another table, a list of tables or a list of floats.
    """

    kind: str
    values: Mapping[str, "str | int | _Table | Sequence[_Table] | Sequence[float]"]


def _describe(description: Description) -> _Table:
    """Say it in the tables of the standard."""
    width, height = description.width, description.height
    size = _Table("ImageSize", {"width": width, "height": height})
    image = _Table("ImageProperties", {"color_space": _RGB, "default_size": size})
    pixels = _Table(
        "TensorMetadata",
        {
            "name": "image",
            "description": (
                f"An RGB tile of {width} x {height} pixels with values from 0 to 255. Scaling is "
                "part of the model."
            ),
            "content": _Table(
                "Content",
                {"content_properties_type": _IMAGE_PROPERTIES, "content_properties": image},
            ),
            "stats": _Table("Stats", {"min": [0.0], "max": [255.0]}),
        },
    )
    labels = _Table(
        "AssociatedFile",
        {
            "name": description.label_file,
            "description": "The names of the classes, one a line.",
            "type": _TENSOR_AXIS_LABELS,
        },
    )
    probabilities = _Table(
        "TensorMetadata",
        {
            "name": "probability",
            "description": "The probability of each class.",
            "content": _Table(
                "Content",
                {
                    "content_properties_type": _FEATURE_PROPERTIES,
                    "content_properties": _Table("FeatureProperties", {}),
                },
            ),
            "stats": _Table("Stats", {"min": [0.0], "max": [1.0]}),
            "associated_files": [labels],
        },
    )
    details = _Table(
        "AssociatedFile",
        {
            "name": description.details_file,
            "description": "Accuracy, provenance and checksum of this model.",
            "type": _DESCRIPTIONS,
        },
    )
    subgraph = _Table(
        "SubGraphMetadata",
        {"input_tensor_metadata": [pixels], "output_tensor_metadata": [probabilities]},
    )
    return _Table(
        "ModelMetadata",
        {
            "name": description.name,
            "description": description.description,
            "version": description.version,
            "subgraph_metadata": [subgraph],
            "associated_files": [details],
            "min_parser_version": "1.0.0",
        },
    )


def with_standard_metadata(flatbuffer: bytes, description: Description) -> bytes:
    """Return the FlatBuffer of a model with its entry `TFLITE_METADATA` added or replaced.

    Args:
        flatbuffer: A TFLite model.
        description: What the entry says.
    """
    # Imported here: only writing needs them, and they are slow to load.
    import flatbuffers

    from eurosat.graph import Graph

    tables = flatbuffers.Builder()
    tables.Finish(_write_table(tables, _describe(description)), _METADATA_IDENTIFIER)

    graph = Graph(flatbuffer)
    model, schema = graph.model, graph.schema
    model.metadata = model.metadata or []
    old = [entry for entry in model.metadata if entry.name == _METADATA_ENTRY]
    if old:
        buffer = model.buffers[old[0].buffer]
    else:
        buffer = schema.BufferT()
        entry = schema.MetadataT()
        entry.name = _METADATA_ENTRY.decode()
        entry.buffer = len(model.buffers)
        model.buffers.append(buffer)
        model.metadata.append(entry)
    buffer.data = list(tables.Output())
    return graph.packed()


def _write_table(builder: "Builder", table: _Table) -> int:
    """Write a table with all that it holds; return its offset."""
    slots = _TABLES[table.kind]
    # A FlatBuffer is written from its leaves to its root.
    offsets = {
        name: _write_value(builder, value)
        for name, value in table.values.items()
        if not isinstance(value, int)
    }
    builder.StartObject(len(slots))
    for name, value in table.values.items():
        slot = slots.index(name)
        if name in offsets:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[name], 0)
        elif name in _BYTE_FIELDS:
            builder.PrependInt8Slot(slot, value, 0)
        else:
            builder.PrependUint32Slot(slot, value, 0)
    return builder.EndObject()


def _write_value(
    builder: "Builder", value: str | _Table | Sequence[_Table] | Sequence[float]
) -> int:
    """Write a text, a table or a list; return its offset."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, _Table):
        return _write_table(builder, value)
    entries = [
        _write_table(builder, entry) if isinstance(entry, _Table) else entry for entry in value
    ]
    builder.StartVector(4, len(entries), 4)
    for entry in reversed(entries):
        if isinstance(entry, float):
            builder.PrependFloat32(entry)
        else:
            builder.PrependUOffsetTRelative(entry)
    return builder.EndVector()


class _Reader:
    """Reads the fields of one table of a FlatBuffer that may be damaged or hostile.

    What leads out of the buffer raises `struct.error`. A way from a table to a field cannot be
    endless, as the caller names each step of it.
    """

    def __init__(self, content: bytes, kind: str, position: int) -> None:
        self._content = content
        self._slots = _TABLES[kind]
        self._position = position

    def number(self, name: str) -> int:
        place = self._place(name)
        form = "<b" if name in _BYTE_FIELDS else "<I"
        return 0 if place is None else self._unpack(form, place)

    def table(self, name: str, kind: str) -> "_Reader | None":
        place = self._place(name)
        return None if place is None else _Reader(self._content, kind, self._follow(place))

    def tables(self, name: str, kind: str) -> "list[_Reader]":
        start, length = self._vector(name)
        if length > _MAX_TABLES:
            raise IndexError
        places = range(start, start + 4 * length, 4)
        return [_Reader(self._content, kind, self._follow(place)) for place in places]

    def floats(self, name: str) -> tuple[float, ...]:
        start, length = self._vector(name)
        return struct.unpack_from(f"<{length}f", self._content, start)

    def content(self, name: str) -> bytes:
        start, length = self._vector(name)
        return self._content[start : start + length]

    def text(self, name: str) -> str:
        return self.content(name).decode("utf-8", "replace")

    def _place(self, name: str) -> int | None:
        """Return where a field is stored, or None if the table does not have it."""
        slots_start = self._position - self._unpack("<i", self._position)
        slot = 4 + 2 * self._slots.index(name)
        if slot >= self._unpack("<H", slots_start):
            return None
        offset = self._unpack("<H", slots_start + slot)
        return self._position + offset if offset else None

    def _vector(self, name: str) -> tuple[int, int]:
        """Return where the entries of a list, or the bytes of a text, begin, and how many."""
        place = self._place(name)
        if place is None:
            return 0, 0
        target = self._follow(place)
        return target + 4, self._unpack("<I", target)

    def _follow(self, place: int) -> int:
        return place + self._unpack("<I", place)

    def _unpack(self, form: str, place: int) -> int:
        return struct.unpack_from(form, self._content, place)[0]


def _root(content: bytes, kind: str) -> _Reader:
    """Return the table at which a FlatBuffer begins."""
    return _Reader(content, kind, struct.unpack_from("<I", content)[0])


def read_standard_metadata(flatbuffer: bytes) -> StandardMetadata:
    """Read what is used of a model's `TFLITE_METADATA`; nothing if there is none or it is odd."""
    try:
        model = _root(flatbuffer, "Model")
        numbers = [
            entry.number("buffer")
            for entry in model.tables("metadata", "Metadata")
            if entry.content("name") == _METADATA_ENTRY
        ]
        if not numbers:
            return StandardMetadata()
        content = model.tables("buffers", "Buffer")[numbers[0]].content("data")
        if content[4:8] != _METADATA_IDENTIFIER:
            return StandardMetadata()
        description = _root(content, "ModelMetadata")
        subgraph = description.tables("subgraph_metadata", "SubGraphMetadata")[0]
        image = subgraph.tables("input_tensor_metadata", "TensorMetadata")[0]
        answer = subgraph.tables("output_tensor_metadata", "TensorMetadata")[0]
        answer_files = answer.tables("associated_files", "AssociatedFile")
        files = description.tables("associated_files", "AssociatedFile") + answer_files
        labels = [
            entry.text("name")
            for entry in answer_files
            if entry.number("type") == _TENSOR_AXIS_LABELS
        ]
        return StandardMetadata(
            files=tuple(entry.text("name") for entry in files),
            label_file=labels[0] if labels else None,
            normalization=_read_normalization(image),
        )
    except (struct.error, IndexError, OverflowError, MemoryError):
        return StandardMetadata()


def _read_normalization(image: _Reader) -> Normalization | None:
    """Return how the metadata of an input tensor says that pixels are to be scaled."""
    for unit in image.tables("process_units", "ProcessUnit"):
        options = unit.table("options", "NormalizationOptions")
        if options is None or unit.number("options_type") != _NORMALIZATION_OPTIONS:
            continue
        mean, std = options.floats("mean"), options.floats("std")
        counts_fit = len(mean) in {1, 3} and len(std) in {1, 3}
        if counts_fit and all(map(math.isfinite, mean + std)) and 0.0 not in std:
            return Normalization(mean, std)
    return None
