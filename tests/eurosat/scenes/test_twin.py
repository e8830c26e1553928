"""The scene twin: what a model says of each tile in a large window, without asking tile by tile."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError
from eurosat.labels import EUROSAT_CLASSES
from eurosat.model_file import ModelMetadata, read_model_file, shipped_model_path, write_model_file
from eurosat.probe import open_model
from eurosat.scenes.dense import DenseClassifier
from eurosat.scenes.scene import open_scene
from eurosat.scenes.twin import make_twin
from eurosat.scenes.windows import Rows, WindowGrid, classify_windows, one_by_one

from ..model_fixtures import convert
from .scene_fixtures import make_map, small_classifier, texture, write_rgb

NAMES = tuple(entry.name for entry in EUROSAT_CLASSES)


@cache
def random_model(precision: str, padding: str) -> bytes:
    """A residual CNN with random weights, whose total stride is 8."""
    keras: Any = pytest.importorskip("keras", reason="makes the models for these tests")
    layers = keras.layers
    keras.utils.set_random_seed(3)
    inputs = keras.Input((64, 64, 3), dtype="uint8")
    values = layers.Rescaling(1 / 127.5, -1)(inputs)
    values = layers.Conv2D(8, 3, strides=2, activation="relu", padding=padding)(values)
    branch = layers.Conv2D(8, 3, strides=2, padding=padding)(values)
    shortcut = layers.AveragePooling2D(3, 2, padding=padding)(values)
    values = layers.ReLU()(layers.Add()([branch, shortcut]))
    branch = layers.Conv2D(8, 3, padding=padding)(values)
    shortcut = layers.Cropping2D(1)(values) if padding == "valid" else values
    values = layers.ReLU()(layers.Add()([branch, shortcut]))
    values = layers.Conv2D(16, 3, strides=2, activation="relu", padding=padding)(values)
    values = layers.Dense(16, activation="relu")(layers.GlobalAveragePooling2D()(values))
    spread = keras.initializers.RandomNormal(stddev=8)
    outputs = layers.Dense(10, activation="softmax", kernel_initializer=spread)(values)
    return convert(keras.Model(inputs, outputs), precision)  # Plain conversion, as others do it.


def padding_classifier(folder: Path) -> Classifier:
    """A model whose twin looks beyond tiles."""
    return Classifier(saved(folder, random_model("int8", "same")))


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


def test_the_twin_of_one_tile_is_the_model_itself():
    classifier = small_classifier()
    twin = open_model(make_twin(classifier.model_file, 64, 64).flatbuffer, "twin", is_scene=True)
    model = open_model(classifier.model_file.flatbuffer, "model")
    for seed in range(10):
        tile = texture(64, 64, seed)[np.newaxis]
        assert np.array_equal(twin.run(tile)[0, 0, 0], model.run(tile)[0])


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_without_padding_the_twin_says_what_single_windows_say(tmp_path: Path, stride: int):
    classifier = Classifier(saved(tmp_path, random_model("int8", "valid")))
    path = write_rgb(tmp_path / "scene.tif", scene_with_holes(201, 250))
    single, found = answers_of(path, stride, classifier, tmp_path)
    assert len(np.unique(single.argmax(axis=2))) > 1
    assert np.isnan(single).any()
    assert np.array_equal(single, found, equal_nan=True)


def test_models_of_floats_have_twins_too(tmp_path: Path):
    classifier = Classifier(saved(tmp_path, random_model("float32", "valid")))
    path = write_rgb(tmp_path / "scene.tif", scene_with_holes(130, 201))
    single, found = answers_of(path, 16, classifier, tmp_path)
    assert np.allclose(single, found, atol=1e-4, equal_nan=True)


def test_a_twin_that_looks_beyond_tiles_says_the_same_wherever_it_begins(tmp_path: Path):
    classifier = padding_classifier(tmp_path)
    pixels = texture(1300, 90)
    path = write_rgb(tmp_path / "scene.tif", pixels)
    with open_scene(path) as scene:
        grid = WindowGrid(1300, 90, 32)
        dense = DenseClassifier(classifier, grid)
        assert not dense.twin.is_exact
        down = grid.windows[0]
        whole, parts = (
            np.concatenate(list(dense.answer_strips(Rows.of(scene), strips)))
            for strips in (
                [(row, min(row + 16, down)) for row in range(0, down, 16)],
                [(0, 5), *((row, min(row + 7, down)) for row in range(5, down, 7))],
            )
        )
    assert np.array_equal(whole, parts)


def test_windows_near_empty_pixels_are_left_to_the_model(tmp_path: Path):
    path = write_rgb(tmp_path / "scene.tif", scene_with_holes(201, 250))
    classifier = padding_classifier(tmp_path)
    single, found = answers_of(path, 16, classifier, tmp_path)
    empty = np.isnan(single[..., 0])
    assert np.array_equal(empty, np.isnan(found[..., 0]))
    assert 0 < make_twin(classifier.model_file, 0, 0).reach <= 16
    # The hole in rows 100 to 109 and columns 70 to 89, and 16 pixels around each window.
    assert np.array_equal(single[2:8, 1:6], found[2:8, 1:6], equal_nan=True)
    assert not np.array_equal(single, found, equal_nan=True)


def test_an_exact_twin_maps_without_being_asked_and_changes_nothing(
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
    monkeypatch.setattr("eurosat.scenes.land_map._dense_classifier", lambda *_: None)
    single = make_map(path, tmp_path / "single", stride=16)
    for name in ("classes.tif", "confidence.tif", "areas.csv", "classes.geojson", "map.png"):
        assert (dense / name).read_bytes() == (single / name).read_bytes(), name


def test_a_model_that_resizes_has_no_twin():
    mobilenet = read_model_file(shipped_model_path("mobilenet-int8"))
    with pytest.raises(
        ModelFileError, match=r"mobilenet-int8.tflite has no scene twin, as .+CNN\."
    ):
        make_twin(mobilenet, 640, 640)


def test_a_twin_answers_at_the_step_that_is_asked_for():
    model = small_classifier().model_file
    fine, coarse = make_twin(model, 200, 200), make_twin(model, 200, 200, step=16)
    assert (fine.step, coarse.step) == (4, 16)
    assert (coarse.height, coarse.width) == (192, 192)
    pixels = texture(200, 200)[np.newaxis]
    answers = open_model(fine.flatbuffer, "fine", is_scene=True).run(pixels)
    fewer = open_model(coarse.flatbuffer, "coarse", is_scene=True).run(pixels[:, :192, :192])
    assert np.array_equal(fewer, answers[:, :33:4, :33:4])
    with pytest.raises(ModelFileError, match="its tiles stand every 4 pixels, not every 6"):
        make_twin(model, 200, 200, step=6)


def test_a_classifier_refuses_a_twin_in_one_sentence(tmp_path: Path):
    twin = make_twin(small_classifier().model_file, 200, 300)
    assert (twin.height, twin.width) == (200, 300)
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
