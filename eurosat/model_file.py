"""A `.tflite` file and the metadata inside it: labels, input, temperature, provenance.

A model file is a TFLite FlatBuffer with two small files appended to it as a zip archive, which
every TFLite runtime ignores: `labels.txt`, one class name a line, and `eurosat.json`, all that
`ModelMetadata` holds and the SHA-256 of the FlatBuffer. The FlatBuffer has an entry
`TFLITE_METADATA` that describes the input and the output and names the two files. This is the
standard form of TFLite metadata (https://ai.google.dev/edge/litert/models/metadata), so Android
Studio, MediaPipe and Netron read the labels too.

Nothing here runs a model or needs a runtime for reading one: see `eurosat.runtime` for that.
"""

import hashlib
import io
import json
import math
import os
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from eurosat import atomic
from eurosat.errors import ModelFileError, printable
from eurosat.existence import exists
from eurosat.standard_metadata import (
    Description,
    Normalization,
    read_standard_metadata,
    with_standard_metadata,
)

MAX_FILE_BYTES: Final = 500_000_000
"""The largest model file that is read, in bytes."""

MAX_SIDE: Final = 4096
"""The largest height and width of a model's input, in pixels."""

VIEW_COUNTS: Final = (1, 2, 4, 8)
"""How many flips and turns of a tile a model may look at; see `eurosat.views`."""

DEFAULT_MODEL: Final = "mobilenet-int8"
"""The shipped model that answers where none is chosen."""

DEFAULT_MAP_MODEL: Final = "cnn-int8"
"""The shipped model that maps where none is chosen: it finds rivers, and overlapping windows share
its work."""

LABELS_FILE: Final = "labels.txt"
EUROSAT_FILE: Final = "eurosat.json"

_FORMAT_VERSION: Final = 1
_IDENTIFIER: Final = b"TFL3"

# The appended files are looked for in this many bytes at the end. A model's labels and figures
# take some kilobytes; the limit keeps a hostile archive from costing time and memory.
_MAX_TAIL_BYTES: Final = 4_000_000
_MAX_APPENDED_FILES: Final = 100

_SHIPPED_PACKAGE: Final = "eurosat.models"


@dataclass(frozen=True)
class ModelMetadata:
    """What a model file says about itself.

    Attributes:
        name: A short name for shells and file names, such as "mobilenet-int8".
        title: A name for people, such as "MobileNetV2, 8-bit".
        description: One or two sentences on what the model does.
        class_names: The folder names of the data set, in label order; at least two.
        height: Height of the input tile, in pixels.
        width: Width of the input tile, in pixels.
        ground_resolution_m: Metres on the ground that one pixel covers in the tiles that the model
            was trained on, such as 10.0, or None if unknown.
        temperature: What logits are divided by to make confidences honest, or None if the model's
            own are shown; see `eurosat.calibration`.
        unsure_below: The calibrated confidence, above 0 to 1, below which an answer counts as
            unsure, or None if no answer does.
        precision: How weights and arithmetic are stored, such as "float32", "float16" or "int8".
        views: How many flips and turns of a tile the answer is the mean of; see `eurosat.views`.
        accuracy: Figures measured, as a JSON object, such as {"test": {"accuracy": 0.98}}.
        provenance: Where the model comes from, as a JSON object: the fingerprint of the data, the
            seed of the split, the training configuration, package versions, the date.
    """

    name: str
    title: str
    description: str
    class_names: tuple[str, ...]
    height: int
    width: int
    ground_resolution_m: float | None = None
    temperature: float | None = None
    unsure_below: float | None = None
    precision: str = "float32"
    views: int = 1
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check types and ranges.

        Raises:
            ValueError: A value has the wrong type or lies out of range; the message names it.
        """
        for name in ("name", "title", "description", "precision"):
            text = getattr(self, name)
            # No line breaks or terminal codes: these texts are shown to people.
            if not isinstance(text, str) or not text.isprintable():
                raise ValueError(f"{name} is not one line of text")
        if not self.name:
            raise ValueError("name is empty")
        names = self.class_names
        if not isinstance(names, tuple) or len(names) <= 1 or len(set(names)) != len(names):
            raise ValueError("class_names is not a tuple of at least two different names")
        if not all(isinstance(name, str) and name.isprintable() for name in names):
            raise ValueError("class_names has an entry that is not one line of text")
        if any(name != name.strip() or not name for name in names):
            raise ValueError(
                "class_names has an entry that is empty or begins or ends with a space"
            )
        for name in ("height", "width"):
            size = getattr(self, name)
            if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_SIDE:
                raise ValueError(f"{name} is not a whole number from 1 to {MAX_SIDE}")
        if self.views not in VIEW_COUNTS:
            raise ValueError(f"views is none of {VIEW_COUNTS}")
        for name, largest in (
            ("ground_resolution_m", math.inf),
            ("temperature", math.inf),
            ("unsure_below", 1.0),
        ):
            value = getattr(self, name)
            if value is not None and not _is_positive(value, largest):
                raise ValueError(f"{name} is neither empty nor a positive number in its range")
        for name in ("accuracy", "provenance"):
            if not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"{name} is not a JSON object")


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A model file that has been read and checked, but not run.

    Attributes:
        path: Where it was read from.
        flatbuffer: The model itself, without the appended files.
        sha256: SHA-256 of the whole file, in 64 lower-case hexadecimal digits.
        size_bytes: Size of the whole file.
        metadata: What the file says about itself; None for a file that others made.
        labels: The class names in label order, from whichever metadata there is; empty if the file
            does not name its classes.
        normalization: How the standard metadata says that pixels are to be scaled, if it does.
    """

    path: Path
    flatbuffer: bytes = field(repr=False)
    sha256: str
    size_bytes: int
    metadata: ModelMetadata | None
    labels: tuple[str, ...]
    normalization: Normalization | None

    @property
    def title(self) -> str:
        """What the model calls itself, or else the name of its file."""
        return (self.metadata and self.metadata.title) or self.path.name


def write_model_file(path: Path, flatbuffer: bytes, metadata: ModelMetadata) -> None:
    """Write a model file with its metadata, whole or not at all.

    The same arguments give the same bytes. Tensors in the FlatBuffer are put on addresses that
    are multiples of 16, as the schema of TFLite demands and the Python code of the converter does
    not keep. Metadata and appended files that `flatbuffer` already has are replaced.

    Args:
        path: The final name, which should end in `.tflite`.
        flatbuffer: What the TFLite converter returned.
        metadata: What the file shall say about itself.

    Raises:
        ModelFileError: `flatbuffer` is no TFLite model.
        TypeError: `metadata` holds a value that JSON cannot express.
        OSError: The folder is not writable or the disk is full.
    """
    if flatbuffer[4:8] != _IDENTIFIER:
        raise _refusal(path, "cannot be written, as there is no TFLite model to write.")
    described = with_standard_metadata(
        flatbuffer,
        Description(
            name=metadata.title or metadata.name,
            description=metadata.description,
            version=str(_FORMAT_VERSION),
            width=metadata.width,
            height=metadata.height,
            label_file=LABELS_FILE,
            details_file=EUROSAT_FILE,
        ),
    )
    document = {
        "format": "eurosat-edge model",
        "format_version": _FORMAT_VERSION,
        "flatbuffer_sha256": hashlib.sha256(described).hexdigest(),
        **asdict(metadata),
    }
    appended = {
        LABELS_FILE: "".join(f"{name}\n" for name in metadata.class_names),
        EUROSAT_FILE: json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    with atomic.replacing(path) as temporary:
        temporary.write_bytes(described)
        with zipfile.ZipFile(temporary, "a") as archive:
            for name, text in appended.items():
                # Date, system and permissions are fixed, for the same bytes on every machine.
                entry = zipfile.ZipInfo(name)
                entry.create_system = 3
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, text.encode())


def read_model_file(path: str | os.PathLike[str]) -> ModelFile:
    """Read a model file and check all that can be checked without running it.

    A file of ours is refused if a single byte of its FlatBuffer differs from what was written. A
    plain TFLite file made by others is accepted, with the labels that it has.

    Args:
        path: The file.

    Returns:
        The model and what the file says about it.

    Raises:
        ModelFileError: The file is missing, no regular file, too large, damaged, no TFLite model,
            or holds metadata that cannot be used.
    """
    path = Path(path)
    content = _read_bytes(path)
    flatbuffer, appended = _split(path, content)
    if flatbuffer[4:8] != _IDENTIFIER:
        raise _refusal(path, "is not a TFLite model: choose a .tflite file.")
    standard = read_standard_metadata(flatbuffer)
    # The FlatBuffer says which files belong to it: without this check, a file of ours that lost
    # its end would pass for a file of others that has no labels.
    if not set(standard.files) <= set(appended):
        raise _refusal(path, "is cut short or damaged: copy or download it again.")
    if EUROSAT_FILE in appended:
        metadata = _read_metadata(path, flatbuffer, appended[EUROSAT_FILE])
        labels = metadata.class_names
        if _read_labels(path, appended.get(LABELS_FILE, b"")) != labels:
            raise _refusal(path, "has damaged labels: copy or download it again.")
    else:
        metadata = None
        name = standard.label_file or _likely_label_file(appended)
        labels = _read_labels(path, appended[name]) if name else ()
    return ModelFile(
        path=path,
        flatbuffer=flatbuffer,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        metadata=metadata,
        labels=labels,
        normalization=standard.normalization,
    )


def shipped_model_names() -> list[str]:
    """Return the names of the models that came with the installation, sorted."""
    return sorted(path.stem for path in _shipped_folder().glob("*.tflite"))


def shipped_model_path(name: str) -> Path:
    """Return the file of a model that came with the installation.

    Args:
        name: One of `shipped_model_names()`, such as "mobilenet-int8".

    Raises:
        ModelFileError: There is no model of that name; the message lists the names.
    """
    names = shipped_model_names()
    if name not in names:
        known = ", ".join(names) or "none at all"
        raise ModelFileError(f"No model is called {printable(name)!r}: there is {known}.")
    return _shipped_folder() / f"{name}.tflite"


def find_model(name: str) -> Path:
    """Return the file that a user means by a word: a shipped model's name, or else a path.

    Raises:
        ModelFileError: It looks like a name, but no shipped model has it; or it is empty.
    """
    path = Path(name)
    looks_like_a_name = not exists(path) and not path.suffix and path.name == name
    # An empty word is no path, though `Path` takes it for the current folder.
    if not name or name in shipped_model_names() or looks_like_a_name:
        return shipped_model_path(name)
    return path


def is_shipped(sha256: str) -> bool:
    """Tell whether a file with this SHA-256 is one that came with the installation.

    The sums stand in `SHA256SUMS` beside the models, in the form that the program `sha256sum`
    writes.
    """
    try:
        sums = (_shipped_folder() / "SHA256SUMS").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    return any(line.split(maxsplit=1)[:1] == [sha256] for line in sums.splitlines())


def _shipped_folder() -> Path:
    from importlib import resources

    try:
        return Path(str(resources.files(_SHIPPED_PACKAGE)))
    except ModuleNotFoundError:
        return Path("no-such-folder")


def _refusal(path: Path, problem: str) -> ModelFileError:
    return ModelFileError(f"{path} {problem}")


def _is_positive(value: object, largest: float) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 < value <= largest
    )


def _read_bytes(path: Path) -> bytes:
    """Return the content of a regular file that is not too large."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            problem = "is a folder: name a .tflite file in it."
        elif not stat.S_ISREG(status.st_mode):
            problem = "is a device or a pipe: name a .tflite file."
        elif status.st_size > MAX_FILE_BYTES:
            problem = f"is larger than {MAX_FILE_BYTES // 1_000_000} MB: choose a smaller model."
        elif status.st_size == 0:
            problem = "is empty: copy or download it again."
        else:
            with path.open("rb") as stream:
                return stream.read(MAX_FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        problem = "does not exist: check the path."
    except PermissionError:
        problem = "may not be read: change its permissions or choose another file."
    except OSError as error:
        problem = f"cannot be read ({error.strerror}): check the path."
    except ValueError:
        problem = "is not a path, as it has characters that no path can have: check the path."
    raise _refusal(path, problem)


def _split(path: Path, content: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return the FlatBuffer, and the files appended to it by name."""
    tail = content[-_MAX_TAIL_BYTES:]
    if not zipfile.is_zipfile(io.BytesIO(tail)):
        return content, {}
    # Python's zip reader raises errors of many types for damaged archives (bad checksum, unknown
    # compression, encryption, bad names), and no other code of ours runs in here.
    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:
            entries = archive.infolist()
            start = min((entry.header_offset for entry in entries), default=len(tail))
            # The reader stops at the size that an entry claims to unpack to.
            unpacked = sum(entry.file_size for entry in entries)
            if start < 0 or unpacked > _MAX_TAIL_BYTES or len(entries) > _MAX_APPENDED_FILES:
                raise ValueError
            appended = {entry.filename: archive.read(entry) for entry in entries}
    except Exception as error:
        raise _refusal(
            path, "has damaged or far too large files appended: copy or download it again."
        ) from error
    return content[: len(content) - len(tail) + start], appended


def _read_metadata(path: Path, flatbuffer: bytes, content: bytes) -> ModelMetadata:
    """Read `eurosat.json` and compare its SHA-256 with that of the FlatBuffer."""
    unusable = "holds metadata that cannot be used: convert or download it again."
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refusal(path, unusable) from error
    if not isinstance(document, dict):
        raise _refusal(path, unusable)
    if document.get("format_version") != _FORMAT_VERSION:
        raise _refusal(path, "was made by another version of EuroSAT Edge: install the newest one.")
    if document.get("flatbuffer_sha256") != hashlib.sha256(flatbuffer).hexdigest():
        raise _refusal(path, "is damaged, as its checksum differs: copy or download it again.")
    known = {entry.name for entry in fields(ModelMetadata)}
    values: dict[str, Any] = {name: value for name, value in document.items() if name in known}
    try:
        values["class_names"] = tuple(values["class_names"])
        return ModelMetadata(**values)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _refusal(path, unusable) from error


def _read_labels(path: Path, content: bytes) -> tuple[str, ...]:
    """Return the lines of a label file, with "class 7" in place of an empty or odd eighth one."""
    try:
        lines = content.decode("utf-8-sig").rstrip().splitlines()
    except UnicodeDecodeError as error:
        raise _refusal(path, "has labels that are not UTF-8 text: convert it again.") from error
    names = [line.strip() for line in lines]
    return tuple(
        name if name and name.isprintable() else f"class {index}"
        for index, name in enumerate(names)
    )


def _likely_label_file(appended: Mapping[str, bytes]) -> str | None:
    """Return the label file of a model that has files appended but no standard metadata."""
    if LABELS_FILE in appended:
        return LABELS_FILE
    texts = [name for name in appended if name.endswith(".txt")]
    return texts[0] if len(texts) == 1 else None
