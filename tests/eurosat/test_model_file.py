"""A model file: what is written comes back, others can read it, and damage is noticed."""

import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError
from eurosat.model_file import (
    MAX_FILE_BYTES,
    ModelMetadata,
    is_shipped,
    read_model_file,
    shipped_model_names,
    shipped_model_path,
    write_model_file,
)
from eurosat.standard_metadata import Normalization

from .model_fixtures import (
    COLOURS,
    busy_model,
    colour_model,
    colour_tile,
    metadata,
    saved,
    varied_tiles,
    with_files,
    with_normalization,
    written,
)

# Reading never runs a model, so these bytes are enough where no metadata is written.
HOLLOW = b"\x08\x00\x00\x00TFL3" + bytes(8)

MEDIAPIPE_PYTHON = os.environ.get("EUROSAT_MEDIAPIPE_PYTHON")


@pytest.fixture(autouse=True, scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EUROSAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def eurosat_json(flatbuffer: bytes, **changes: Any) -> bytes:
    document = {
        "format_version": 1,
        "flatbuffer_sha256": hashlib.sha256(flatbuffer).hexdigest(),
        "name": "hollow",
        "title": "",
        "description": "",
        "class_names": COLOURS,
        "height": 8,
        "width": 8,
    }
    return json.dumps(document | changes).encode()


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        read_model_file(path)
    message = str(caught.value)
    assert path.name in message
    assert message.endswith(".")
    assert "\n" not in message
    for word in words:
        assert word in message


# What is written comes back.


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model(), temperature=1.5, unsure_below=0.4)
    model = read_model_file(path)
    assert model.metadata == metadata(temperature=1.5, unsure_below=0.4)
    assert model.labels == COLOURS
    assert model.normalization is None
    assert model.path == path
    assert model.size_bytes == path.stat().st_size
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.read_bytes().startswith(model.flatbuffer)


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first = written(tmp_path, colour_model()).read_bytes()
    assert written(tmp_path / "other", colour_model()).read_bytes() == first


def test_a_written_file_can_be_written_again_with_other_metadata(tmp_path: Path) -> None:
    first = written(tmp_path, colour_model()).read_bytes()
    path = written(tmp_path, first, title="Another title")
    model = read_model_file(path)
    assert model.metadata == metadata(title="Another title")
    assert len(path.read_bytes()) < len(first) + 100
    assert written(tmp_path, path.read_bytes()).read_bytes() == first


def test_the_appended_files_are_a_plain_zip(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model())
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["labels.txt", "eurosat.json"]
        assert archive.testzip() is None
        assert archive.read("labels.txt") == b"red\ngreen\nblue\n"
        document = json.loads(archive.read("eurosat.json"))
    flatbuffer = read_model_file(path).flatbuffer
    assert document["flatbuffer_sha256"] == hashlib.sha256(flatbuffer).hexdigest()


def test_names_in_any_script_survive(tmp_path: Path) -> None:
    names = ("Wüste", "森林", "Eau & neige")
    path = written(tmp_path, colour_model(), class_names=names, title="Größe")
    model = read_model_file(path)
    assert model.labels == names
    assert model.metadata is not None
    assert model.metadata.title == "Größe"


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_metadata_does_not_change_the_model(tmp_path: Path, precision: str) -> None:
    flatbuffer = busy_model(precision)
    names = tuple("abcdefghij")
    path = written(tmp_path, flatbuffer, class_names=names, height=16, width=16)
    tiles = varied_tiles(20, 16)
    before = Classifier(saved(tmp_path, flatbuffer)).classify_batch(tiles)
    assert np.array_equal(Classifier(path).classify_batch(tiles), before)
    assert len(np.unique(before)) > 20


def test_weights_begin_at_multiples_of_16(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    flatbuffer = read_model_file(
        written(tmp_path, busy_model("int8"), class_names=tuple("abcdefghij"))
    ).flatbuffer
    model = schema.Model.GetRootAs(flatbuffer, 0)
    start = np.frombuffer(flatbuffer, np.uint8).ctypes.data
    places = []
    for index in range(model.BuffersLength()):
        data: Any = model.Buffers(index).DataAsNumpy()  # pyright: ignore[reportOptionalMemberAccess]
        if isinstance(data, np.ndarray):
            places.append(data.ctypes.data - start)
    assert len(places) > 5
    assert all(place % 16 == 0 for place in places)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model())
    before = path.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_model_file(path, colour_model(), metadata(accuracy={"loss": float("nan")}))
    with pytest.raises(ModelFileError, match="no TFLite model"):
        write_model_file(path, b"something else", metadata())
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", ""),
        ("name", 3),
        ("title", "two\nlines"),
        ("description", "\x1b[31m"),
        ("class_names", ["a", "b"]),
        ("class_names", ("a",)),
        ("class_names", ("a", "a")),
        ("class_names", ("a", "")),
        ("class_names", ("a", " b")),
        ("class_names", ("a", "b\n")),
        ("class_names", ("a", 1)),
        ("height", 0),
        ("height", True),
        ("width", 4097),
        ("width", 8.0),
        ("ground_resolution_m", 0),
        ("ground_resolution_m", float("inf")),
        ("temperature", -1.0),
        ("temperature", "1"),
        ("unsure_below", 1.1),
        ("views", 3),
        ("views", "4"),
        ("accuracy", []),
        ("provenance", None),
    ],
)
def test_metadata_that_makes_no_sense_cannot_be_made(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        metadata(**{name: value})


def test_metadata_needs_only_the_model_itself() -> None:
    plain = ModelMetadata("a", "", "", ("x", "y"), 64, 64)
    assert (plain.ground_resolution_m, plain.temperature, plain.unsure_below) == (None, None, None)


# Files of others.


def test_a_plain_model_has_no_metadata(tmp_path: Path) -> None:
    model = read_model_file(saved(tmp_path, colour_model()))
    assert model.metadata is None
    assert model.labels == ()
    assert model.flatbuffer == colour_model()


@pytest.mark.parametrize(
    ("files", "labels"),
    [
        ({"labels.txt": "a\nb\nc\n", "other.txt": "x"}, ("a", "b", "c")),
        ({"labelmap.txt": "\ufeffa\r\n b \r\n\r\nd\n\n"}, ("a", "b", "class 2", "d")),
        ({"one.txt": "a", "two.txt": "b"}, ()),
        ({"notes.md": "a"}, ()),
        ({"labels.txt": "a\nb\x1b[31m\n"}, ("a", "class 1")),
    ],
)
def test_a_label_file_alone_is_enough(
    tmp_path: Path, files: dict[str, str], labels: tuple[str, ...]
) -> None:
    model = read_model_file(saved(tmp_path, with_files(HOLLOW, files)))
    assert model.metadata is None
    assert model.labels == labels
    assert model.flatbuffer == HOLLOW


def test_standard_metadata_of_others_is_read(tmp_path: Path) -> None:
    described = with_normalization(colour_model(), [127.5], [1.0, 2.0, 3.0], "names.txt")
    files = {"names.txt": "a\nb\nc", "labels.txt": "not these"}
    model = read_model_file(saved(tmp_path, with_files(described, files, zipfile.ZIP_DEFLATED)))
    assert model.metadata is None
    assert model.labels == ("a", "b", "c")
    assert model.normalization == Normalization((127.5,), (1.0, 2.0, 3.0))
    assert_refused(saved(tmp_path, described), "cut short")


@pytest.mark.parametrize("std", [[0.0], [float("nan")], [], [1.0, 2.0]])
def test_scaling_that_makes_no_sense_is_no_scaling(tmp_path: Path, std: list[float]) -> None:
    described = with_normalization(colour_model(), [127.5], std)
    assert read_model_file(saved(tmp_path, described)).normalization is None


# Refusals.


def test_what_is_no_model_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tflite"
    assert_refused(path, "does not exist")
    assert_refused(path / "below" / "nothing.tflite", "does not exist")
    for content, word in [
        (b"", "empty"),
        (b"TFL3", "not a TFLite model"),
        (b"PK\x03\x04" + bytes(1000), "not a TFLite model"),
        (HOLLOW.replace(b"3", b"2"), "not a TFLite model"),
        (with_files(b"", {"labels.txt": "a"}), "not a TFLite model"),
    ]:
        path.write_bytes(content)
        assert_refused(path, word)
    folder = tmp_path / "folder"
    folder.mkdir()
    assert_refused(folder, "folder")
    with pytest.raises(ModelFileError, match="is not a path"):
        read_model_file(tmp_path / "nul\0byte")
    assert_refused(tmp_path / ("x" * 300), "cannot be read")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert_refused(tmp_path / "pipe", "pipe")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.tflite"
    with path.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    assert_refused(path, "larger than 500 MB")


def test_a_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        read_model_file(tmp_path / "a\x1b[31m\nb.tflite")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"{", "cannot be used"),
        (b"\xff\xfe", "cannot be used"),
        (b"[]", "cannot be used"),
        (b"[" * 100_000, "cannot be used"),
        (b"9" * 10_000, "cannot be used"),
        (b"{}", "another version"),
        (eurosat_json(HOLLOW, format_version=2), "another version"),
        (eurosat_json(HOLLOW, flatbuffer_sha256="0" * 64), "checksum"),
        (eurosat_json(HOLLOW + b"x"), "checksum"),
        (eurosat_json(HOLLOW, class_names=None), "cannot be used"),
        (eurosat_json(HOLLOW, class_names="abc"), "labels"),
        (eurosat_json(HOLLOW, class_names=[["a"], ["b"]]), "cannot be used"),
        (eurosat_json(HOLLOW, class_names=["red", "blue"]), "labels"),
        (eurosat_json(HOLLOW, height="8"), "cannot be used"),
        (eurosat_json(HOLLOW, title=None), "cannot be used"),
        (eurosat_json(HOLLOW, temperature=1e400), "cannot be used"),
        (eurosat_json(HOLLOW, accuracy=[1]), "cannot be used"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    files = {"labels.txt": b"red\ngreen\nblue\n", "eurosat.json": content}
    assert_refused(saved(tmp_path, with_files(HOLLOW, files)), word)


def test_metadata_with_unknown_entries_is_accepted(tmp_path: Path) -> None:
    files = {"labels.txt": b"red\ngreen\nblue", "eurosat.json": eurosat_json(HOLLOW, later=1)}
    model = read_model_file(saved(tmp_path, with_files(HOLLOW, files)))
    assert model.metadata is not None
    assert model.metadata.name == "hollow"


@pytest.mark.parametrize(
    "files",
    [
        {"labels.txt": bytes(100_000_000)},
        {f"{index}.txt": b"" for index in range(101)},
        {f"{index}.txt": bytes(1_000_000) for index in range(5)},
    ],
    ids=["one large file", "many files", "many large files"],
)
def test_a_zip_bomb_is_refused(tmp_path: Path, files: dict[str, bytes]) -> None:
    bomb = with_files(HOLLOW, files, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 200_000
    assert_refused(saved(tmp_path, bomb), "too large")


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    honest = with_files(HOLLOW, {"labels.txt": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    lying = honest.replace(struct.pack("<I", 10_000_000), struct.pack("<I", 10))
    assert lying != honest
    assert_refused(saved(tmp_path, lying), "damaged")


# Damage.


def test_every_changed_byte_of_the_model_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model())
    content, size = path.read_bytes(), len(read_model_file(path).flatbuffer)
    dice = random.Random(1)
    for position in dice.sample(range(size), 300):
        damaged = bytearray(content)
        damaged[position] ^= 1 << dice.randrange(8)
        path.write_bytes(damaged)
        assert_refused(path)


def test_damage_behind_the_model_is_noticed_or_harmless(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model())
    content, model = path.read_bytes(), read_model_file(path)
    refused = 0
    for position in range(len(model.flatbuffer), len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            read = read_model_file(path)
        except ModelFileError:
            refused += 1
        else:
            assert read.metadata == model.metadata
            assert read.flatbuffer == model.flatbuffer
    assert refused > 0.8 * (len(content) - len(model.flatbuffer))


def test_a_file_that_lost_its_end_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model())
    content, size = path.read_bytes(), len(read_model_file(path).flatbuffer)
    for length in range(size, len(content), 7):
        path.write_bytes(content[:length])
        assert_refused(path)
    # Without its end the FlatBuffer itself may be unreadable, which only LiteRT notices.
    for length in range(0, size, 7):
        path.write_bytes(content[:length])
        try:
            read = read_model_file(path)
        except ModelFileError:
            continue
        assert read.metadata is None


# The models that ship.


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    return tmp_path


def test_shipped_models_are_found_by_name(shipped: Path) -> None:
    (shipped / "b-int8.tflite").write_bytes(HOLLOW)
    (shipped / "a-float.tflite").write_bytes(HOLLOW)
    (shipped / "notes.md").write_text("x")
    assert shipped_model_names() == ["a-float", "b-int8"]
    assert shipped_model_path("b-int8") == shipped / "b-int8.tflite"
    with pytest.raises(ModelFileError, match=r"'c'.*a-float, b-int8"):
        shipped_model_path("c")
    with pytest.raises(ModelFileError):
        shipped_model_path("../a-float")


def test_an_installation_without_models_says_so(shipped: Path) -> None:
    with pytest.raises(ModelFileError, match="none at all"):
        shipped_model_path("mobilenet-int8")
    assert not is_shipped("0" * 64)


def test_the_list_of_sums_decides_what_is_shipped(shipped: Path) -> None:
    (shipped / "SHA256SUMS").write_text(f"{'a' * 64}  a.tflite\n\n{'b' * 64} *b.tflite\n")
    assert is_shipped("a" * 64)
    assert is_shipped("b" * 64)
    assert not is_shipped("c" * 64)
    assert not is_shipped("")
    (shipped / "SHA256SUMS").write_bytes(b"\xff\xfe")
    assert not is_shipped("a" * 64)


# Others can read it.


@pytest.mark.skipif(
    MEDIAPIPE_PYTHON is None,
    reason="EUROSAT_MEDIAPIPE_PYTHON does not name a Python that has mediapipe",
)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_mediapipe_reads_the_metadata_and_agrees(tmp_path: Path, precision: str) -> None:
    assert MEDIAPIPE_PYTHON is not None
    path = written(tmp_path, colour_model(precision=precision))
    image = tmp_path / "tile.png"
    Image.fromarray(colour_tile(1)).save(image)
    script = Path(__file__).parents[2] / "tools" / "check_metadata_with_mediapipe.py"
    process = subprocess.run(
        [MEDIAPIPE_PYTHON, script, path, image, "--expect", "green"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    report = json.loads(process.stdout)
    assert report["name"] == "Colours, 8-bit"
    assert report["input"] == "image"
    assert report["output_files"] == ["labels.txt"]
    ours = Classifier(path).classify(image)
    assert dict(report["classes"]) == pytest.approx(dict(ours.top(3)), abs=1e-6)


def test_reading_needs_no_runtime(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model())
    script = (
        "import sys; from eurosat.model_file import read_model_file; "
        "print(*read_model_file(sys.argv[1]).labels); "
        "print([name for name in ('ai_edge_litert', 'flatbuffers', 'numpy', 'tensorflow') "
        "if name in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-P", "-c", script, path], capture_output=True, check=True, text=True
    )
    assert process.stdout == "red green blue\n[]\n"
