"""Models of several views: one answer however a tile is turned, and one view where it is asked."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from scipy.special import softmax

from eurosat.classifier import Classifier
from eurosat.convert.c_array import write_c_array
from eurosat.dataset import load_dataset
from eurosat.errors import ModelFileError
from eurosat.graph import Graph
from eurosat.model_file import read_model_file, write_model_file
from eurosat.scenes.windows import WINDOW, classify_tiles
from eurosat.views import views_of

from ..commands import Command


@pytest.fixture(params=["cnn-int8.tflite", "cnn-float32.tflite"])
def name(request: pytest.FixtureRequest) -> str:
    """Which file of the small run to look at."""
    return request.param


@pytest.fixture(scope="module")
def tiles(small_archive: Path) -> np.ndarray:
    return load_dataset(small_archive).tiles[::40]


def flips_and_turns(tiles: np.ndarray) -> list[np.ndarray]:
    turned = [np.rot90(tiles, turns, axes=(1, 2)) for turns in range(4)]
    return [*turned, *(np.flip(view, axis=2) for view in turned)]


def test_a_model_of_eight_views_gives_one_answer_however_a_tile_is_turned(
    models_of_views: Path, tiles: np.ndarray, name: str
) -> None:
    model = Classifier(models_of_views / name)
    answers = [model.classify_batch(view) for view in flips_and_turns(tiles)]
    assert np.ptp(answers, axis=0).max() < 1e-5
    # A model of one view does not.
    others = [model.one_view.classify_batch(view) for view in flips_and_turns(tiles)]
    assert np.ptp(others, axis=0).max() > 0.01


def test_the_answer_is_that_of_the_mean_logits(
    models_of_views: Path, small_models: Path, tiles: np.ndarray, name: str
) -> None:
    single = Classifier(small_models / name, is_calibrated=False)
    logits = [np.log(single.classify_batch(view)) for view in flips_and_turns(tiles)]
    answers = Classifier(models_of_views / name, is_calibrated=False).classify_batch(tiles)
    np.testing.assert_allclose(answers, softmax(np.mean(logits, axis=0), axis=1), atol=1e-5)


def test_the_original_is_judged_by_the_same_views(
    models_of_views: Path, small_models: Path, name: str
) -> None:
    reports = [
        json.loads((folder / name).with_suffix(".json").read_text(encoding="utf-8"))["test"]
        for folder in (models_of_views, small_models)
    ]
    assert reports[0]["original"] != reports[1]["original"]
    assert reports[0]["agreement"] > 0.9


def test_one_view_answers_as_the_file_of_one_view_does(
    models_of_views: Path, small_models: Path, tiles: np.ndarray, name: str
) -> None:
    model = Classifier(models_of_views / name, is_calibrated=False)
    assert model.metadata is not None
    assert model.metadata.views == 8
    assert "from 8 of its flips and turns" in model.metadata.description
    single = Classifier(small_models / name, is_calibrated=False)
    expected = single.classify_batch(tiles)
    np.testing.assert_array_equal(model.one_view.classify_batch(tiles), expected)
    assert model.one_view.one_view is model.one_view
    assert single.one_view is single


def test_a_plain_runtime_takes_several_tiles_at_once(
    models_of_views: Path, tiles: np.ndarray, name: str
) -> None:
    path = models_of_views / name
    expected = Classifier(path, is_calibrated=False).classify_batch(tiles)
    plain = Interpreter(str(path))
    pixels: dict[str, Any] = plain.get_input_details()[0]
    plain.resize_tensor_input(pixels["index"], tiles.shape)
    plain.allocate_tensors()
    plain.set_tensor(pixels["index"], tiles)
    plain.invoke()
    answers = plain.get_tensor(plain.get_output_details()[0]["index"])
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_maps_look_at_one_view_of_each_window(
    models_of_views: Path, tiles: np.ndarray, name: str
) -> None:
    model = Classifier(models_of_views / name)
    answers = classify_tiles(tiles, np.ones((len(tiles), WINDOW, WINDOW), bool), model)
    np.testing.assert_array_equal(answers, model.one_view.classify_batch(tiles))


def test_a_shell_looks_at_one_view_if_it_is_told_to_be_quick(
    command: Command, models_of_views: Path, tiles: np.ndarray, tmp_path: Path, name: str
) -> None:
    Image.fromarray(tiles[0]).save(tmp_path / "tile.png")
    model = Classifier(models_of_views / name)
    confidences = []
    for options, expected in ((), model), (("--quick",), model.one_view):
        done = command(
            "eurosat-classify",
            *(tmp_path / "tile.png", "--model", models_of_views / name, "--json", *options),
        )
        assert done.returncode == 0, done.stderr
        (told,) = json.loads(done.stdout)
        confidences.append(told["confidence"])
        assert told["confidence"] == pytest.approx(expected.classify(tiles[0]).confidence, abs=1e-4)
    assert confidences[0] != confidences[1]


def test_c_source_is_of_one_view(
    models_of_views: Path, tiles: np.ndarray, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes((models_of_views / name).read_bytes())
    if "float32" in name:
        with pytest.raises(ModelFileError, match="does not compute in int8"):
            write_c_array(path, tiles)
        return
    _, header = write_c_array(path, tiles)
    operators = header.read_text(encoding="utf-8").split("Operators: ")[1].split(".")[0]
    assert "CONV_2D" in operators
    assert "REVERSE_V2" not in operators
    comment = re.sub(r"\n \* +", " ", header.read_text(encoding="utf-8"))
    assert comment.startswith("/* CNN int8: Land cover of a 64 x 64 pixel tile in 10 classes.\n")
    assert "Temperature and threshold were fitted to the mean of 8 flips and turns" in comment


def test_a_file_that_lies_about_its_views_is_refused(
    small_models: Path, tmp_path: Path, name: str
) -> None:
    honest = read_model_file(small_models / name)
    assert honest.metadata is not None
    graph = Graph(honest.flatbuffer)
    seen = graph.input
    graph.input = graph.add_like(seen, "tile")
    first = graph.operator("REVERSE_V2", [graph.input, graph.add_constant("axes", [1])], seen)
    graph.operators = [first, *graph.operators]
    path = tmp_path / "liar.tflite"
    write_model_file(path, graph.packed(), replace(honest.metadata, views=8))
    with pytest.raises(ModelFileError, match=r"liar\.tflite says that it looks at 8 views"):
        _ = Classifier(path).one_view


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_views_are_different_flips_and_turns(tiles: np.ndarray, count: int) -> None:
    known = [view.tobytes() for view in flips_and_turns(tiles)]
    seen = [view.tobytes() for view in views_of(tiles, count)]
    assert len(set(seen)) == count
    assert set(seen) <= set(known)
