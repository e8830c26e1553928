"""The scene twin as a file: written if it says what the model says, and plain TFLite."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from eurosat.convert.scene import export_scene, mosaic
from eurosat.model_file import read_model_file, shipped_model_path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copy(shipped_model_path("cnn-int8"), tmp_path / "cnn-int8.tflite"))


@pytest.fixture
def tiles() -> np.ndarray:
    dice = np.random.default_rng(0)
    grounds = dice.integers(0, 200, (9, 1, 1, 3))
    return (grounds + dice.integers(0, 56, (9, 64, 64, 3))).astype(np.uint8)


def test_the_twin_is_a_file_that_any_runtime_can_run(model: Path, tiles: np.ndarray):
    made = export_scene(model, tiles, np.arange(9), 0.0)
    assert made.path == model.with_name("cnn-int8-scene.tflite")
    assert (made.step, made.cells, made.is_refused) == (16, 144, False)
    assert made.agreement == 1
    interpreter = Interpreter(model_path=str(made.path))
    interpreter.allocate_tensors()
    (pixels,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (pixels["shape"].tolist(), pixels["dtype"]) == ([1, 640, 640, 3], np.uint8)
    assert (answer["shape"].tolist(), answer["dtype"]) == ([1, 37, 37, 10], np.float32)
    interpreter.set_tensor(pixels["index"], np.full(pixels["shape"], 90, np.uint8))
    interpreter.invoke()
    found = interpreter.get_tensor(answer["index"])[0]
    assert np.allclose(found.sum(axis=2), 1, atol=1e-3)
    assert np.array_equal(found[0, 0], found[36, 20])  # All tiles are alike.


def test_the_twin_says_which_model_it_belongs_to(model: Path, tiles: np.ndarray):
    original = read_model_file(model)
    twin = read_model_file(export_scene(model, tiles, np.arange(9), 0.0).path)
    assert original.metadata is not None
    assert twin.metadata is not None
    assert twin.labels == original.labels
    assert twin.metadata.temperature == original.metadata.temperature
    assert twin.metadata.unsure_below == original.metadata.unsure_below
    assert json.loads(json.dumps(twin.metadata.provenance["scene_twin"])) == {
        "of": "cnn-int8",
        "sha256": original.sha256,
        "tile": [64, 64],
        "step": 16,
    }


def test_a_twin_that_says_other_things_leaves_no_file(model: Path, tiles: np.ndarray):
    before = export_scene(model, tiles, np.arange(9), 0.0)
    assert before.path.exists()
    assert export_scene(model, tiles, np.arange(9), 1.01).is_refused
    assert not before.path.exists()


def test_a_mosaic_lies_class_by_class():
    tiles = np.zeros((5, 64, 64, 3), np.uint8)
    tiles += np.arange(5, dtype=np.uint8)[:, None, None, None]
    found = mosaic(tiles, np.array([3, 0, 2, 1, 9]))
    assert found.shape == (128, 128, 3)
    assert found[::64, ::64, 0].tolist() == [[1, 3], [2, 0]]
