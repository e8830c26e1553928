"""The scene twin: what a model says of each tile in a large window, without asking tile by tile."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError
from eurosat.graph import Graph
from eurosat.labels import EUROSAT_CLASSES
from eurosat.model_file import ModelMetadata, read_model_file, shipped_model_path, write_model_file
from eurosat.runtime import open_model
from eurosat.scenes.dense import DenseClassifier
from eurosat.scenes.land_map import map_scene
from eurosat.scenes.map_record import MapSettings
from eurosat.scenes.scene import open_scene
from eurosat.scenes.twin import make_twin
from eurosat.scenes.windows import Rows, WindowGrid, classify_windows, one_by_one

from ..model_fixtures import colour_model, convert, with_normalization, written
from .scene_fixtures import make_map, small_classifier, texture, write_rgb

NAMES = tuple(entry.name for entry in EUROSAT_CLASSES)


@cache
def random_model(precision: str, trunk: str = "valid", rest: str = "same") -> bytes:
    """A residual CNN with random weights, whose first half has a total stride of 8.

    Args:
        precision: Of the file.
        trunk: How the convolutions of the first half pad.
        rest: How the others do; the shipped CNN pads there.
    """
    keras: Any = pytest.importorskip("keras", reason="makes the models for these tests")
    layers = keras.layers
    keras.utils.set_random_seed(3)

    def convolution(values: Any, filters: int, padding: str, **options: Any) -> Any:
        return layers.Conv2D(filters, 3, padding=padding, **options)(values)

    def block(values: Any, filters: int, padding: str) -> Any:
        branch = convolution(values, filters, padding, strides=2)
        shortcut = layers.AveragePooling2D(3, 2, padding=padding)(values)
        shortcut = layers.Conv2D(filters, 1)(shortcut)
        return layers.ReLU()(layers.Add()([branch, shortcut]))

    inputs = keras.Input((64, 64, 3), dtype="uint8")
    values = layers.Rescaling(1 / 127.5, -1)(inputs)
    values = convolution(values, 8, trunk, strides=2, activation="relu")
    values = block(values, 8, trunk)
    branch = convolution(values, 8, trunk)
    shortcut = layers.Cropping2D(1)(values) if trunk == "valid" else values
    values = layers.ReLU()(layers.Add()([branch, shortcut]))
    values = convolution(values, 16, trunk, strides=2, activation="relu")
    values = block(values, 24, rest)
    values = layers.Dense(16, activation="relu")(layers.GlobalAveragePooling2D()(values))
    spread = keras.initializers.RandomNormal(stddev=8)
    outputs = layers.Dense(10, activation="softmax", kernel_initializer=spread)(values)
    return convert(keras.Model(inputs, outputs), precision)  # Plain conversion, as others do it.


def saved(folder: Path, flatbuffer: bytes, side: int = 64) -> Path:
    path = folder / "model.tflite"
    values: dict[str, Any] = {"height": side, "width": side, "temperature": 0.7}
    write_model_file(path, flatbuffer, ModelMetadata("model", "Model", "A model.", NAMES, **values))
    return path


def scene_with_holes(height: int, width: int) -> np.ndarray:
    pixels = texture(height, width)
    pixels[100:110, 70:90] = 0
    pixels[:, width - 45 :] = 0
    return pixels


def answers_of(
    path: Path, stride: int, classifier: Classifier, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """What single windows and what the twin say: [windows down, windows across, classes] each."""
    with open_scene(path) as scene:
        grid = WindowGrid(scene.ground.height, scene.ground.width, stride)
        single = classify_windows(scene, classifier, grid, folder / f"single-{stride}")
        dense = DenseClassifier(classifier, grid)
        strips = [(row, row + 1) for row in range(grid.windows[0])]
        found = np.concatenate(list(dense.answer_strips(Rows.of(scene), strips)))
    return single, found


@pytest.mark.parametrize("rest", ["same", "valid"])
def test_the_twin_of_one_tile_is_the_model_itself(tmp_path: Path, rest: str):
    model_file = read_model_file(saved(tmp_path, random_model("int8", rest=rest)))
    twin = open_model(make_twin(model_file, 64, 64, 16).flatbuffer, "twin", is_scene=True)
    model = open_model(model_file.flatbuffer, "model")
    for seed in range(10):
        tile = texture(64, 64, seed)[np.newaxis]
        assert np.array_equal(twin.run(tile)[0, 0, 0], model.run(tile)[0])


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("rest", ["same", "valid"])
def test_the_twin_says_what_single_windows_say(tmp_path: Path, stride: int, rest: str):
    classifier = Classifier(saved(tmp_path, random_model("int8", rest=rest)))
    path = write_rgb(tmp_path / "scene.tif", scene_with_holes(201, 250))
    single, found = answers_of(path, stride, classifier, tmp_path)
    assert len(np.unique(single.argmax(axis=2))) > 1
    assert np.isnan(single).any()
    assert np.array_equal(single, found, equal_nan=True)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_models_of_floats_have_twins_too(tmp_path: Path, precision: str):
    classifier = Classifier(saved(tmp_path, random_model(precision)))
    path = write_rgb(tmp_path / "scene.tif", scene_with_holes(130, 201))
    single, found = answers_of(path, 16, classifier, tmp_path)
    assert np.allclose(single, found, atol=1e-4, equal_nan=True)


def test_the_shipped_cnn_has_a_twin_that_says_the_same(tmp_path: Path):
    path = write_rgb(tmp_path / "scene.tif", scene_with_holes(201, 250))
    single, found = answers_of(path, 16, small_classifier(), tmp_path)
    assert np.array_equal(single, found, equal_nan=True)


def test_a_model_of_others_that_ends_in_logits_has_probabilities_from_its_twin_too(tmp_path: Path):
    graph = Graph(random_model("float32"))
    *inner, last = graph.operators
    assert graph.kind(last) == "SOFTMAX"
    graph.operators, graph.output = inner, int(last.inputs[0])
    path = tmp_path / "logits.tflite"
    path.write_bytes(graph.packed())
    scene = write_rgb(tmp_path / "scene.tif", texture(130, 201))
    single, found = answers_of(scene, 16, Classifier(path), tmp_path)
    assert np.allclose(single, found, atol=1e-4)
    assert np.allclose(found.sum(axis=2), 1, atol=1e-4)


def test_a_model_that_takes_other_pixels_is_mapped_window_by_window(tmp_path: Path):
    graph = Graph(random_model("float32"))
    graph.input = graph.add_like(graph.input, "pixels", kind="FLOAT32")
    graph.operators[0].inputs = [graph.input]
    path = tmp_path / "floats.tflite"
    path.write_bytes(with_normalization(graph.packed(), [0.0], [1.0]))
    classifier = Classifier(path)
    with pytest.raises(ModelFileError, match="map with single windows"):
        DenseClassifier(classifier, WindowGrid(128, 128, 32))
    scene = write_rgb(tmp_path / "scene.tif", texture(128, 128))
    map_scene(scene, tmp_path / "map", classifier, MapSettings(stride=32))
    assert (tmp_path / "map" / "classes.tif").exists()


def test_it_says_the_same_wherever_a_strip_begins(tmp_path: Path):
    classifier = Classifier(saved(tmp_path, random_model("int8")))
    path = write_rgb(tmp_path / "scene.tif", texture(1300, 90))
    with open_scene(path) as scene:
        dense = DenseClassifier(classifier, grid := WindowGrid(1300, 90, 32))
        down = grid.windows[0]
        whole, parts = (
            np.concatenate(list(dense.answer_strips(Rows.of(scene), strips)))
            for strips in (
                [(row, min(row + 16, down)) for row in range(0, down, 16)],
                [(0, 5), *((row, min(row + 7, down)) for row in range(5, down, 7))],
            )
        )
    assert np.array_equal(whole, parts)


def test_windows_that_overlap_share_their_work_without_being_asked_and_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[int] = []
    answer = DenseClassifier.answer_strips

    def watched(self: DenseClassifier, rows: Rows, strips: Any) -> Any:
        asked.append(self.rows_at_once)
        return answer(self, rows, strips)

    monkeypatch.setattr(DenseClassifier, "answer_strips", watched)
    path = write_rgb(tmp_path / "scene.tif", scene_with_holes(201, 250))
    dense = make_map(path, tmp_path / "dense", stride=16)
    assert asked
    monkeypatch.setattr("eurosat.scenes.land_map.dense_classifier", lambda *_: None)
    single = make_map(path, tmp_path / "single", stride=16)
    for name in ("classes.tif", "confidence.tif", "areas.csv", "classes.geojson", "map.png"):
        assert (dense / name).read_bytes() == (single / name).read_bytes(), name


def test_a_model_whose_tiles_share_nothing_has_no_twin(tmp_path: Path):
    resizing = read_model_file(shipped_model_path("mobilenet-int8"))
    padding = read_model_file(saved(tmp_path, random_model("int8", trunk="same")))
    odd = read_model_file(saved(tmp_path, random_model("int8")))
    for model, step in ((resizing, 16), (padding, 16), (odd, 5)):
        with pytest.raises(
            ModelFileError, match=rf"has no scene twin, as tiles every {step} pixels .+CNN\."
        ):
            make_twin(model, 640, 640, step)


def test_a_classifier_refuses_a_twin_in_one_sentence(tmp_path: Path):
    twin = make_twin(read_model_file(saved(tmp_path, random_model("int8"))), 200, 305, 16)
    assert (twin.height, twin.width) == (192, 304)
    path = saved(tmp_path, twin.flatbuffer)
    with pytest.raises(ModelFileError, match=r"answers for a grid of tiles and not for one: .+\."):
        Classifier(path)


def test_rows_may_be_taken_again(tmp_path: Path):
    classifier = small_classifier()
    with open_scene(write_rgb(tmp_path / "scene.tif", texture(201, 70))) as scene:
        answer = one_by_one(Rows.of(scene), classifier, WindowGrid(201, 70, 64))
        (all_rows,) = answer([(0, 4)])
        assert np.array_equal(next(answer([(2, 4)])), all_rows[2:])
        assert np.array_equal(next(answer([(0, 1)])), all_rows[:1])


@pytest.mark.parametrize("stride", [32, 8])
def test_a_model_of_other_tiles_has_no_twin_for_windows_of_64_pixels(stride: int, tmp_path: Path):
    classifier = Classifier(written(tmp_path, colour_model(precision="float32")))
    with pytest.raises(ModelFileError, match="has no scene twin for windows of 64 pixels"):
        DenseClassifier(classifier, WindowGrid(128, 128, stride))
