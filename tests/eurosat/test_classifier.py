"""A classifier: right answers, the same ones however asked, and no model that ends the process."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from ai_edge_litert import interpreter as litert
from PIL import Image

from eurosat import probe as probe_module
from eurosat.classifier import Classifier, Prediction
from eurosat.cores import usable_cores
from eurosat.errors import ImageError, MissingPackageError, ModelFileError
from eurosat.images import resize_image
from eurosat.model_file import read_model_file
from eurosat.probe import probe
from eurosat.runtime import OpenModel, open_model, runtime_version

from .model_fixtures import (
    COLOURS,
    SIDE,
    busy_model,
    colour_model,
    colour_tile,
    metadata,
    odd_model,
    saved,
    varied_tiles,
    with_files,
    with_normalization,
    written,
)

TEN = tuple("abcdefghij")


@pytest.fixture(autouse=True, scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache for all tests here, so that each model is probed only once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EUROSAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def busy(folder: Path, precision: str = "int8", threads: int | None = None) -> Classifier:
    path = written(folder, busy_model(precision), class_names=TEN, height=16, width=16)
    return Classifier(path, threads=threads)


def png(tile: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(tile).save(stream, "png")
    return stream.getvalue()


# Right answers.


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_strongest_colour_wins(tmp_path: Path, precision: str) -> None:
    classifier = Classifier(written(tmp_path, colour_model(precision=precision)))
    assert classifier.class_names == COLOURS
    assert classifier.input_size == (SIDE, SIDE)
    assert classifier.metadata == metadata()
    assert classifier.model_file.size_bytes > 1000
    for index, colour in enumerate(COLOURS):
        prediction = classifier.classify(colour_tile(index))
        assert prediction.label == colour
        assert prediction.confidence > 0.9
        assert prediction.probabilities.dtype == np.float32
        assert prediction.probabilities.sum() == pytest.approx(1, abs=0.01)
        assert prediction.confidence == prediction.probabilities[index]


def test_an_image_may_come_as_path_bytes_or_array(tmp_path: Path) -> None:
    classifier = Classifier(written(tmp_path, colour_model()))
    tile = colour_tile(2)
    (tmp_path / "tile.png").write_bytes(png(tile))
    sources = [tile, png(tile), tmp_path / "tile.png", str(tmp_path / "tile.png")]
    answers = [classifier.classify(source).probabilities for source in sources]
    assert all(np.array_equal(answer, answers[0]) for answer in answers)


def test_images_of_other_sizes_are_resized(tmp_path: Path) -> None:
    classifier = busy(tmp_path)
    large = varied_tiles(6, 40)
    small = np.stack([resize_image(tile, 16, 16) for tile in large])
    expected = classifier.classify_batch(small)
    assert np.array_equal(classifier.classify_batch(large), expected)
    assert np.array_equal(classifier.classify(large[3]).probabilities, expected[3])
    wide = np.full((2, 5, 9, 3), 100, np.uint8)
    assert classifier.classify_batch(wide).shape == (2, 10)


def test_a_prediction_ranks_its_classes() -> None:
    prediction = Prediction(
        ("a", "b", "c", "d"), np.array([0.2, 0.3, 0.2, 0.3], np.float32), (1, 1)
    )
    assert (prediction.label, prediction.runner_up) == ("b", "d")
    assert prediction.confidence == pytest.approx(0.3)
    assert [name for name, _ in prediction.top(3)] == ["b", "d", "a"]
    assert len(prediction.top(9)) == 4
    assert prediction.top(0) == []
    assert all(type(value) is float for _, value in prediction.top(4))


def test_the_temperature_of_the_file_is_applied_to_every_answer(tmp_path: Path) -> None:
    described = {"class_names": TEN, "height": 16, "width": 16}
    path = written(tmp_path, busy_model("int8"), temperature=2.5, **described)
    tiles = varied_tiles(9, 16)
    classifier, uncalibrated = Classifier(path), Classifier(path, is_calibrated=False)
    own = uncalibrated.classify_batch(tiles)
    assert np.array_equal(own, busy(tmp_path).classify_batch(tiles)), "the file without one"
    expected = own.astype(np.float64) ** (1 / 2.5)
    expected /= expected.sum(axis=1, keepdims=True)
    answers = classifier.classify_batch(tiles)
    assert answers == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(answers.argmax(axis=1), own.argmax(axis=1))
    for tile, answer in zip(tiles, answers, strict=True):
        assert np.array_equal(classifier.classify(tile).probabilities, answer)
        assert classifier.classify(tile).confidence < uncalibrated.classify(tile).confidence


def test_an_answer_below_the_threshold_of_the_file_is_unsure(tmp_path: Path) -> None:
    described = {"class_names": TEN, "height": 16, "width": 16}
    tiles = varied_tiles(9, 16)
    confidences = busy(tmp_path).classify_batch(tiles).max(axis=1)
    threshold = float(np.sort(confidences)[4])
    path = written(tmp_path, busy_model("int8"), unsure_below=threshold, **described)
    classifier = Classifier(path)
    unsure = [classifier.classify(tile).is_unsure for tile in tiles]
    assert unsure == list(confidences < threshold)
    assert 0 < sum(unsure) <= 4, "the answer on the threshold itself is sure"
    streamed = [prediction for _, prediction in classifier.classify_stream(tiles)]
    assert [isinstance(one, Prediction) and one.is_unsure for one in streamed] == unsure
    plain = [Classifier(path, is_calibrated=False), busy(tmp_path)]
    assert not any(one.classify(tile).is_unsure for one in plain for tile in tiles)


@pytest.mark.parametrize(
    "tiles",
    [
        np.zeros((1, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((1, 8, 8, 4), np.uint8),
        np.zeros((1, 0, 8, 3), np.uint8),
    ],
)
def test_a_batch_of_another_form_is_refused(tmp_path: Path, tiles: np.ndarray) -> None:
    classifier = Classifier(written(tmp_path, colour_model()))
    with pytest.raises(ImageError, match=r"give uint8 of shape \[n, height, width, 3\]"):
        classifier.classify_batch(tiles)


def test_an_image_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    classifier = Classifier(written(tmp_path, colour_model()))
    with pytest.raises(ImageError, match=r"nothing\.png does not exist"):
        classifier.classify(tmp_path / "nothing.png")


# The same answers, however asked.


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_answers_do_not_depend_on_batch_size_or_threads(tmp_path: Path, precision: str) -> None:
    tiles = varied_tiles(50, 16)
    expected = busy(tmp_path, precision, threads=1).classify_batch(tiles)
    assert expected.shape == (50, 10)
    assert expected.dtype == np.float32
    assert len({row.tobytes() for row in expected}) > 40
    for threads in (1, 2, 5):
        classifier = busy(tmp_path, precision, threads)
        for size in (1, 3, 4, 5, 16, 50):
            parts = [classifier.classify_batch(tiles[at : at + size]) for at in range(0, 50, size)]
            assert np.array_equal(np.concatenate(parts), expected)
        singles = [classifier.classify(tile).probabilities for tile in tiles]
        assert np.array_equal(np.stack(singles), expected)
        streamed = list(classifier.classify_stream(tiles))
        assert all(isinstance(answer, Prediction) for _, answer in streamed)
        rows = [answer.probabilities for _, answer in streamed if isinstance(answer, Prediction)]
        assert np.array_equal(np.stack(rows), expected)


def test_a_single_image_has_all_threads_and_several_have_one_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    class Interpreter(litert.Interpreter):
        def __init__(self, *, num_threads: int, **options: Any) -> None:
            opened.append(num_threads)
            super().__init__(num_threads=num_threads, **options)

    tiles = varied_tiles(20, 16)
    classifier = busy(tmp_path, threads=3)
    monkeypatch.setattr(litert, "Interpreter", Interpreter)
    classifier.classify(tiles[0])
    classifier.classify_batch(tiles[:1])
    assert opened == [], "the one that was loaded first serves single images"
    classifier.classify_batch(tiles)
    assert set(opened) == {1}
    assert 1 <= len(opened) <= 3
    before = len(opened)
    list(classifier.classify_stream(tiles))
    classifier.classify_batch(tiles)
    assert set(opened[before:]) <= {1}
    assert len(opened) <= 3
    busy(tmp_path, threads=3)
    assert opened[-1] == 3


def test_a_second_image_at_the_same_time_need_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = busy(tmp_path, threads=2)
    run, meeting = OpenModel.run, threading.Barrier(2, timeout=60)

    def together(model: OpenModel, values: np.ndarray) -> np.ndarray:
        meeting.wait()
        return run(model, values)

    monkeypatch.setattr(OpenModel, "run", together)
    tiles = varied_tiles(2, 16)
    with ThreadPoolExecutor(2) as executor:
        answers = list(executor.map(classifier.classify, tiles))
    monkeypatch.undo()
    for tile, answer in zip(tiles, answers, strict=True):
        assert np.array_equal(classifier.classify(tile).probabilities, answer.probabilities)


def test_an_empty_batch_has_an_empty_answer(tmp_path: Path) -> None:
    classifier = Classifier(written(tmp_path, colour_model()), threads=2)
    assert classifier.classify_batch(np.empty((0, SIDE, SIDE, 3), np.uint8)).shape == (0, 3)
    assert list(classifier.classify_stream([])) == []


def test_tiles_need_not_lie_in_a_row_in_memory(tmp_path: Path) -> None:
    classifier = busy(tmp_path)
    scene = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    tiles = scene.reshape(4, 16, 4, 16, 3).transpose(0, 2, 1, 3, 4)
    views = classifier.classify_batch(tiles[:, 1])
    assert np.array_equal(views, classifier.classify_batch(np.ascontiguousarray(tiles[:, 1])))


@pytest.mark.parametrize("threads", [1, 2])
def test_many_threads_may_ask_one_classifier(tmp_path: Path, threads: int) -> None:
    classifier = busy(tmp_path, threads=threads)
    tiles = varied_tiles(24, 16)
    expected = busy(tmp_path).classify_batch(tiles)

    def ask(number: int) -> bool:
        if number % 2:
            return np.array_equal(classifier.classify_batch(tiles), expected)
        place = number % 24
        answer = classifier.classify(tiles[place]).probabilities
        return np.array_equal(answer, expected[place])

    with ThreadPoolExecutor(8) as executor:
        assert all(executor.map(ask, range(64)))


def test_who_interrupts_a_batch_does_not_wait_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = busy(tmp_path, threads=2)
    run, asked = OpenModel.run, 0

    def interrupted(model: OpenModel, values: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += 1
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return run(model, values)

    monkeypatch.setattr(OpenModel, "run", interrupted)
    before = threading.enumerate()
    with pytest.raises(KeyboardInterrupt):
        classifier.classify_batch(varied_tiles(20_000, 16))
    assert asked < 10_000
    assert threading.enumerate() == before


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    before = threading.enumerate()
    classifier = busy(tmp_path, threads=3)
    classifier.classify_batch(varied_tiles(40, 16))
    list(classifier.classify_stream(varied_tiles(40, 16)))
    assert threading.enumerate() == before


@pytest.mark.parametrize("threads", [0, -1])
def test_a_number_of_threads_below_one_is_an_error(tmp_path: Path, threads: int) -> None:
    with pytest.raises(ValueError, match="threads"):
        Classifier(written(tmp_path, colour_model()), threads=threads)


def test_by_default_all_cores_are_used(tmp_path: Path) -> None:
    classifier = Classifier(written(tmp_path, colour_model()))
    assert classifier.threads == usable_cores() >= 1
    if hasattr(os, "sched_getaffinity"):
        assert classifier.threads == len(os.sched_getaffinity(0))


# Streams.


@pytest.mark.parametrize("threads", [1, 2])
def test_a_bad_image_does_not_stop_a_stream(tmp_path: Path, threads: int) -> None:
    classifier = Classifier(written(tmp_path, colour_model()), threads=threads)
    paths = []
    for number in range(60):
        path = tmp_path / f"{number}.png"
        path.write_bytes(b"no image" if number % 7 == 3 else png(colour_tile(number % 3)))
        paths.append(path)
    answers = list(classifier.classify_stream(paths))
    assert [path for path, _ in answers] == paths
    for number, (_, answer) in enumerate(answers):
        if number % 7 == 3:
            assert isinstance(answer, ImageError)
            assert f"{number}.png" in str(answer)
        else:
            assert isinstance(answer, Prediction)
            assert answer.label == COLOURS[number % 3]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stream_reads_only_a_little_ahead(tmp_path: Path, threads: int) -> None:
    classifier = Classifier(written(tmp_path, colour_model()), threads=threads)
    taken = 0

    def images() -> Iterator[np.ndarray]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield colour_tile(number % 3)

    stream = classifier.classify_stream(images())
    for given, _ in enumerate(stream):
        assert taken - given <= threads * 8
        if given == 50:
            break
    before = threading.active_count()
    del stream
    assert threading.active_count() <= before


def test_who_stops_a_stream_early_does_not_wait_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier(written(tmp_path, colour_model()), threads=2)
    run, asked, stopped = OpenModel.run, 0, threading.Event()

    def slow(model: OpenModel, values: np.ndarray) -> np.ndarray:
        nonlocal asked
        asked += 1
        if asked > 1:
            stopped.wait(0.3)
        return run(model, values)

    monkeypatch.setattr(OpenModel, "run", slow)
    images = (colour_tile(0) for _ in range(100))
    stream = cast("Generator[object, None, None]", classifier.classify_stream(images))
    next(stream)
    stream.close()
    assert 0 < asked < 10


def test_an_error_in_the_source_of_a_stream_is_passed_on(tmp_path: Path) -> None:
    classifier = Classifier(written(tmp_path, colour_model()), threads=2)

    def images() -> Iterator[np.ndarray]:
        yield colour_tile(0)
        raise ImageError("The folder may not be searched.")

    with pytest.raises(ImageError, match="searched"):
        list(classifier.classify_stream(images()))


# Models of others.


@pytest.mark.parametrize(
    "flatbuffer_form",
    [
        {"precision": "float32", "logits": True},
        {"precision": "int8", "logits": True},
        {"input_type": "int8", "output_type": "int8"},
        {"input_type": "int8", "output_type": "uint8"},
        {"input_type": "int8", "output_type": "int8", "logits": True},
    ],
)
def test_models_of_other_forms_give_probabilities(
    tmp_path: Path, flatbuffer_form: dict[str, Any]
) -> None:
    flatbuffer = colour_model(**flatbuffer_form)
    classifier = Classifier(saved(tmp_path, flatbuffer))
    ours = Classifier(written(tmp_path, colour_model(precision="float32")))
    assert classifier.metadata is None
    assert classifier.class_names == ("class 0", "class 1", "class 2")
    for index in range(3):
        tile = colour_tile(index)
        expected = ours.classify(tile).probabilities
        answer = classifier.classify(tile).probabilities
        assert answer.dtype == np.float32
        assert answer == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("input_type", ["int8", "float32"])
@pytest.mark.parametrize(("mean", "std"), [([0.0], [255.0]), ([0.0] * 3, [255.0] * 3)])
def test_scaling_is_taken_from_the_standard_metadata(
    tmp_path: Path, input_type: str, mean: list[float], std: list[float]
) -> None:
    precision = "int8" if input_type == "int8" else "float32"
    plain = colour_model(
        precision=precision, input_type=input_type, output_type=input_type, largest=1.0
    )
    with pytest.raises(ModelFileError, match="does not say how pixels are to be scaled"):
        Classifier(saved(tmp_path, plain))
    described = with_normalization(plain, mean, std, "names.txt")
    content = with_files(described, {"names.txt": "\n".join(COLOURS)})
    classifier = Classifier(saved(tmp_path, content))
    ours = Classifier(written(tmp_path, colour_model(precision="float32")))
    for index, colour in enumerate(COLOURS):
        prediction = classifier.classify(colour_tile(index))
        assert prediction.label == colour
        expected = ours.classify(colour_tile(index)).probabilities
        assert prediction.probabilities == pytest.approx(expected, abs=0.03)


def test_channels_may_be_scaled_differently(tmp_path: Path) -> None:
    plain = colour_model(precision="float32", input_type="float32", largest=1.0)
    content = with_normalization(plain, [0.0, 0.0, -255.0], [255.0, 2550.0, 255.0])
    classifier = Classifier(saved(tmp_path, content))
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    assert [name for name, _ in classifier.classify(white).top(3)] == [
        "class 2",
        "class 0",
        "class 1",
    ]


def test_a_label_file_must_name_all_classes(tmp_path: Path) -> None:
    content = with_files(colour_model(), {"labels.txt": "a\nb\n"})
    with pytest.raises(ModelFileError, match="names 2 classes but has 3"):
        Classifier(saved(tmp_path, content))


def test_classes_of_one_name_are_told_apart(tmp_path: Path) -> None:
    content = with_files(colour_model(), {"labels.txt": "crane\nother\ncrane\n"})
    classifier = Classifier(saved(tmp_path, content))
    assert classifier.class_names == ("crane (class 0)", "other", "crane (class 2)")
    assert classifier.classify(colour_tile(2)).label == "crane (class 2)"
    assert classifier.classify(colour_tile(2)).index == 2


@pytest.mark.parametrize("changes", [{"class_names": ("a", "b")}, {"height": 16}, {"width": 16}])
def test_metadata_must_fit_the_model(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ModelFileError, match="convert it again"):
        Classifier(written(tmp_path, colour_model(), **changes))


@pytest.mark.parametrize("kind", ["grey", "one class", "image", "two outputs", "bare integers"])
def test_what_is_no_image_classifier_is_refused(tmp_path: Path, kind: str) -> None:
    path = saved(tmp_path, odd_model(kind))
    with pytest.raises(ModelFileError, match="choose an image classifier") as caught:
        Classifier(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ModelFileError, match="choose an image classifier"):
        open_model(path.read_bytes(), "The model")


def test_answers_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no numbers"):
        Classifier(saved(tmp_path, odd_model("not a number")))


# The probe.


def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sure that no child process can be started."""
    monkeypatch.setattr(sys, "executable", "/no/such/python")


def fake_child(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let a shell script take the place of the child process."""
    path = folder / "child.sh"
    path.write_text(f"#!/bin/sh\ncat > {folder}/received\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def test_a_model_is_probed_only_when_first_seen(
    tmp_path: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, colour_model())
    with monkeypatch.context() as patch:
        no_child(patch)
        with pytest.raises(ModelFileError, match="no process can be started"):
            Classifier(path)
    assert not fresh_cache.exists()
    Classifier(path)
    (marker,) = [entry for entry in fresh_cache.rglob("*") if entry.is_file()]
    assert read_model_file(path).sha256 in marker.name
    no_child(monkeypatch)
    Classifier(path)
    # What is in the remembered file does not matter.
    marker.write_bytes(b"\xff\x00")
    Classifier(path)
    monkeypatch.setattr(probe_module, "runtime_version", lambda: "ai_edge_litert 99")
    with pytest.raises(ModelFileError, match="no process can be started"):
        Classifier(path)


@pytest.mark.usefixtures("fresh_cache")
def test_what_lies_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, colour_model())
    for name in ("numpy.py", "json.py", "eurosat.py"):
        (tmp_path / name).write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    assert Classifier(path).classify(colour_tile(0)).label == "red"


def test_a_cache_that_cannot_be_used_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, colour_model())
    monkeypatch.setenv("EUROSAT_CACHE", str(path / "below a file"))
    assert Classifier(path).classify(colour_tile(0)).label == "red"


def test_a_shipped_model_is_not_probed(
    tmp_path: Path, fresh_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, colour_model())
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    (tmp_path / "SHA256SUMS").write_text(f"{read_model_file(path).sha256}  {path.name}\n")
    no_child(monkeypatch)
    classifier = Classifier.shipped("model", threads=1)
    assert classifier.classify(colour_tile(1)).label == "green"
    assert classifier.threads == 1
    assert not fresh_cache.exists()


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for the child is a shell script")
@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("kill -SEGV $$", "crashes LiteRT"),
        ("kill -ABRT $$", "crashes LiteRT"),
        ("exit 0", "crashes LiteRT"),
        ("exit 3", "crashes LiteRT"),
        ("echo nonsense", "crashes LiteRT"),
        ("echo '[1]'", "crashes LiteRT"),
        ("echo '{}'", "crashes LiteRT"),
        ("""echo '{"refusal": null}'; kill -SEGV $$""", "crashes LiteRT"),
        ("""echo '{"refusal": "It is odd."}'""", r"^It is odd\.$"),
        ("exec sleep 30", "did not answer within 1 seconds"),
    ],
)
@pytest.mark.usefixtures("fresh_cache")
def test_every_end_of_the_child_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, word: str
) -> None:
    model = read_model_file(written(tmp_path, colour_model()))
    fake_child(tmp_path, monkeypatch, script)
    with pytest.raises(ModelFileError, match=word):
        probe(model, seconds=1)
    assert (tmp_path / "received").read_bytes() == model.flatbuffer
    # A refusal is not remembered.
    with pytest.raises(ModelFileError, match=word):
        probe(model, seconds=1)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for the bundle is a shell script")
@pytest.mark.usefixtures("fresh_cache")
def test_a_bundle_starts_itself_as_the_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Path(__file__).parents[2] / "tools" / "bundle" / "start.py"
    bundle = tmp_path / "eurosat-gui"
    bundle.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{start}" "$@"\n')
    bundle.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bundle))
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert Classifier(written(tmp_path, colour_model())).classify(colour_tile(0)).label == "red"
    with pytest.raises(ModelFileError, match="does not take one RGB image"):
        Classifier(saved(tmp_path, odd_model("grey")))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_model_that_wants_all_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        Classifier(saved(tmp_path, odd_model("huge")))


_FUZZ = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError

def outcome(path):
    try:
        classifier = Classifier(path, threads=1)
        tiles = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
        answers = classifier.classify_batch(tiles)
    except ModelFileError as error:
        return str(error)
    return "works" if np.isfinite(answers).all() else "not finite"

with ThreadPoolExecutor(2) as executor:
    print(json.dumps(list(executor.map(outcome, sorted(Path(sys.argv[1]).iterdir())))))
"""


@pytest.mark.slow
def test_no_damaged_or_hostile_model_ends_the_process(tmp_path: Path) -> None:
    original = read_model_file(written(tmp_path, colour_model())).flatbuffer
    folder = tmp_path / "damaged"
    folder.mkdir()
    dice = np.random.default_rng(5)
    for number in range(110):
        damaged = bytearray(original)
        if number < 90:
            for position in dice.integers(0, len(original), 1 + number % 3):
                damaged[position] ^= 1 << dice.integers(8)
        else:
            del damaged[dice.integers(len(original)) :]
        content = bytes(damaged)
        if number % 2:
            # As somebody does who means harm: with labels and a checksum that fit.
            labels = "".join(f"{name}\n" for name in COLOURS)
            content = with_files(
                content, {"labels.txt": labels, "eurosat.json": _matching_json(content)}
            )
        (folder / f"{number:03}.tflite").write_bytes(content)
    process = subprocess.run(
        [sys.executable, "-P", "-c", _FUZZ, folder], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    outcomes = json.loads(process.stdout)
    works = outcomes.count("works")
    refused = sum(outcome.endswith(".") for outcome in outcomes)
    assert works + refused == len(outcomes) == 110
    assert works >= 5
    assert refused >= 30


def _matching_json(flatbuffer: bytes) -> str:
    from hashlib import sha256

    sum_of_it = sha256(flatbuffer).hexdigest()
    values = {"name": "x", "title": "", "description": "", "class_names": COLOURS}
    sizes = {"height": SIDE, "width": SIDE, "format_version": 1, "flatbuffer_sha256": sum_of_it}
    return json.dumps(values | sizes)


# The runtime.


def test_a_missing_runtime_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, colour_model())
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    with pytest.raises(MissingPackageError, match="pip install ai-edge-litert"):
        Classifier(path)


def test_the_old_runtime_is_used_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, colour_model())
    from ai_edge_litert import interpreter

    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    old = type(sys)("tflite_runtime")
    monkeypatch.setattr(old, "__version__", "2.14.0", raising=False)
    monkeypatch.setattr(old, "interpreter", interpreter, raising=False)
    monkeypatch.setitem(sys.modules, "tflite_runtime", old)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", interpreter)
    assert runtime_version() == "tflite_runtime 2.14.0"
    assert Classifier(path).classify(colour_tile(2)).label == "blue"


def test_a_first_prediction_says_nothing_and_loads_little(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model())
    Classifier(path)
    script = (
        "import sys, numpy; from eurosat.classifier import Classifier; "
        "print(Classifier(sys.argv[1]).classify(numpy.zeros((8, 8, 3), numpy.uint8)).label); "
        "print([name for name in ('tensorflow', 'flatbuffers', 'subprocess', 'platformdirs', "
        "'concurrent.futures.thread') if name in sys.modules])"
    )
    process = subprocess.run(
        [sys.executable, "-P", "-c", script, path], capture_output=True, check=True, text=True
    )
    lines = process.stdout.splitlines()
    assert lines[0] in COLOURS
    assert lines[1] == "[]"
    assert process.stderr == ""


def test_standard_error_comes_back_after_the_first_start(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model())
    script = (
        "import os, sys; from eurosat.classifier import Classifier; Classifier(sys.argv[1]); "
        "os.write(2, b'heard')"
    )
    process = subprocess.run(
        [sys.executable, "-P", "-c", script, path], capture_output=True, check=True, text=True
    )
    assert process.stderr == "heard"


def test_a_program_without_standard_error_can_classify(tmp_path: Path) -> None:
    path = written(tmp_path, colour_model())
    script = (
        "import os, sys; os.close(2); from eurosat.classifier import Classifier; "
        "Classifier(sys.argv[1]); print('done')"
    )
    process = subprocess.run(
        [sys.executable, "-P", "-c", script, path], stdout=subprocess.PIPE, check=True, text=True
    )
    assert process.stdout == "done\n"
