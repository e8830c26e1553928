"""Windows and cells: every pixel gets a label once, rims and empty pixels included."""

from pathlib import Path

import numpy as np
import pytest

from eurosat.classifier import Classifier
from eurosat.scenes.cells import label_cells
from eurosat.scenes.scene import open_scene
from eurosat.scenes.windows import (
    STRIDES,
    WINDOW,
    WindowGrid,
    average_over_cells,
    classify_windows,
    windows_done,
)

from .scene_fixtures import small_classifier, texture, write_rgb


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """A model that looks at one view of a tile, as maps do."""
    return small_classifier().one_view


def answers_for(
    pixels: np.ndarray, stride: int, classifier: Classifier, folder: Path, name: str = "answers"
) -> tuple[np.ndarray, WindowGrid]:
    """Classify the windows of a scene that is written first."""
    path = write_rgb(folder / "scene.tif", pixels)
    grid = WindowGrid(pixels.shape[0], pixels.shape[1], stride)
    with open_scene(path) as scene:
        return classify_windows(scene, classifier, grid, folder / name), grid


@pytest.mark.parametrize(
    ("side", "stride", "count"),
    [(10_980, 64, 172), (10_980, 32, 343), (10_980, 16, 684), (64, 8, 1), (1, 64, 1), (65, 64, 2)],
)
def test_windows_reach_the_rim_and_no_further_than_needed(side: int, stride: int, count: int):
    grid = WindowGrid(side, side, stride)
    assert grid.windows == (count, count)
    reached = (count - 1) * stride + WINDOW
    assert side <= reached < side + max(stride, WINDOW)
    assert grid.cells[0] * stride >= side > (grid.cells[0] - 1) * stride


def test_windows_beyond_the_rim_see_the_mirrored_scene(tmp_path: Path, classifier: Classifier):
    pixels = texture(130, 201)
    found, grid = answers_for(pixels, 64, classifier, tmp_path)
    assert grid.windows == (3, 4)
    padded = np.pad(pixels, ((0, 192 - 130), (0, 256 - 201), (0, 0)), "reflect")
    for row in range(3):
        tiles = np.stack(
            [padded[row * 64 : row * 64 + 64, left : left + 64] for left in range(0, 256, 64)]
        )
        assert np.array_equal(found[row], classifier.classify_batch(tiles))


@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (40, 5), (64, 64)])
def test_a_scene_smaller_than_a_window_gets_an_answer(
    tmp_path: Path, classifier: Classifier, shape: tuple[int, int]
):
    pixels = texture(*shape)
    found, _ = answers_for(pixels, 64, classifier, tmp_path)
    height, width = shape
    wide = -(-width // 64) * 64
    padded = np.pad(pixels, ((0, 64 - height), (0, wide - width), (0, 0)), "reflect")
    assert np.array_equal(found[0, 0], classifier.classify_batch(padded[np.newaxis, :, :64])[0])


def test_a_finer_stride_says_the_same_of_the_same_windows(tmp_path: Path, classifier: Classifier):
    pixels = texture(200, 160)
    coarse, _ = answers_for(pixels, 64, classifier, tmp_path, "64")
    for stride in (32, 16):
        fine, _ = answers_for(pixels, stride, classifier, tmp_path, str(stride))
        step = 64 // stride
        inside = (slice(0, 3), slice(0, 2))  # Those that no rim cuts.
        assert np.array_equal(fine[::step, ::step][inside], coarse[inside])


def test_strides_agree_on_a_scene_of_one_window(tmp_path: Path, classifier: Classifier):
    pixels = texture(64, 64)
    expected = classifier.classify(pixels).probabilities
    for stride in STRIDES:
        found, grid = answers_for(pixels, stride, classifier, tmp_path, str(stride))
        averages = average_over_cells(found, grid)
        assert averages.shape[:2] == (64 // stride, 64 // stride)
        assert np.allclose(averages, expected, atol=1e-6)


def covering(
    probabilities: np.ndarray, stride: int, row: int, column: int
) -> tuple[list[np.ndarray], list[float]]:
    """Return what the windows that cover a cell say, and how much each counts."""
    answers, weights = [], []
    for place in np.ndindex(probabilities.shape[:2]):
        # The windows that hold the cell's first pixel hold all of it.
        first = stride * (np.array([row, column]) - place)
        if np.isnan(probabilities[place][0]) or not np.all((first >= 0) & (first < WINDOW)):
            continue
        off = (first + stride / 2) / WINDOW - 0.5  # From middle to middle, at most half a window.
        answers.append(probabilities[place])
        weights.append(float(np.prod(np.cos(np.pi * off) ** 2) * answers[-1].max() ** 2))
    return answers, weights


@pytest.mark.parametrize("stride", STRIDES)
def test_a_cell_gets_the_mean_of_all_windows_that_cover_it(stride: int):
    grid = WindowGrid(201, 150, stride)
    probabilities = np.random.default_rng(stride).random((*grid.windows, 3)).astype(np.float32)
    probabilities[1, 1] = probabilities[0, 0] = np.nan  # Skipped.
    found = average_over_cells(probabilities, grid)
    assert found.shape == (*grid.cells, 3)
    for row, column in np.ndindex(grid.cells):
        answers, weights = covering(probabilities, stride, row, column)
        expected = np.average(answers, axis=0, weights=weights) if answers else np.zeros(3)
        assert np.allclose(found[row, column], expected, atol=1e-6)


def test_the_window_around_a_cell_counts_most():
    grid = WindowGrid(192, 192, 16)
    probabilities = np.zeros((*grid.windows, 2), np.float32)
    probabilities[..., 0] = 1
    probabilities[4, 4] = (0, 1)  # Of the pixels from 64 to 128.
    share = average_over_cells(probabilities, grid)[..., 1]
    assert share[4:8, 4:8].sum() == pytest.approx(share.sum())
    assert share[5:7, 5:7].min() > 5 * max(share[4].max(), share[:, 4].max())


def test_a_sure_window_counts_more_than_an_unsure_one():
    grid = WindowGrid(64, 96, 32)
    probabilities = np.array([[[0.9, 0.1], [0.4, 0.6]]], np.float32)
    share = average_over_cells(probabilities, grid)[0, :, 1]
    assert share[0] == pytest.approx(0.1)
    assert share[1] == pytest.approx((0.81 * 0.1 + 0.36 * 0.6) / (0.81 + 0.36))
    assert share[2] == pytest.approx(0.6)


@pytest.mark.parametrize("stride", STRIDES)
def test_a_cell_is_sure_if_half_of_its_windows_are_sure_of_its_class(stride: int):
    grid = WindowGrid(201, 150, stride)
    probabilities = np.random.default_rng(stride).dirichlet((0.1, 0.1, 0.1), grid.windows)
    probabilities = probabilities.astype(np.float32)
    probabilities[0, 0] = np.nan  # Skipped.
    found = label_cells(probabilities, grid, ("River", "Forest", "Pasture"), 0.8)
    averages = average_over_cells(probabilities, grid)
    assert np.array_equal(found.confidence, averages.max(axis=2))
    kinds = set()
    for row, column in np.ndindex(grid.cells):
        label = averages[row, column].argmax()
        answers, weights = covering(probabilities, stride, row, column)
        are_sure = [answer.argmax() == label and answer.max() >= 0.8 for answer in answers]
        is_sure = bool(answers) and np.average(are_sure, weights=weights) >= 0.5 - 1e-9
        assert found.labels[row, column] == (label if is_sure else 3)
        kinds.add((is_sure, found.confidence[row, column] >= 0.8))
    # As many means of sure answers lie below the threshold that holds for single ones.
    assert {(True, True), (False, False)} <= kinds
    assert ((True, False) in kinds) == (stride < 64)


def test_windows_that_are_mostly_empty_are_skipped(tmp_path: Path, classifier: Classifier):
    pixels = texture(128, 192)
    pixels[:64, :33] = 0  # More than half of the first window.
    pixels[64:, :32] = 0  # Half of the one below.
    pixels[:, 128:] = 0
    found, grid = answers_for(pixels, 64, classifier, tmp_path)
    assert np.isnan(found).all(axis=2).tolist() == [[True, False, True], [False, False, True]]
    cells = label_cells(found, grid, classifier.class_names, None)
    unsure = len(classifier.class_names)
    assert (cells.labels == unsure).tolist() == [[True, False, True], [False, False, True]]
    assert cells.confidence[0, 0] == 0


def test_empty_pixels_are_filled_with_the_mirror_image(tmp_path: Path, classifier: Classifier):
    whole = texture(64, 64)
    for empty, padding in (
        (np.s_[:, 40:], ((0, 0), (0, 24), (0, 0))),
        (np.s_[:20], ((20, 0), (0, 0), (0, 0))),
        (np.s_[:, :32], ((0, 0), (32, 0), (0, 0))),
    ):
        pixels = whole.copy()
        pixels[empty] = 0
        kept = pixels[pixels.any(axis=(1, 2))][:, pixels.any(axis=(0, 2))]
        expected = classifier.classify(np.pad(kept, padding, "reflect")).probabilities
        (tmp_path / "answers").unlink(missing_ok=True)
        found, _ = answers_for(pixels, 64, classifier, tmp_path)
        assert np.array_equal(found[0, 0], expected)


def test_holes_of_any_form_are_filled(tmp_path: Path, classifier: Classifier):
    # Filled well, a hole in an even tile cannot be seen.
    even = np.full((64, 64, 3), (60, 90, 100), np.uint8)
    expected = classifier.classify(even).probabilities
    rows, columns = np.mgrid[:64, :64]
    for name, hole in {
        "ring": abs(np.hypot(rows - 30, columns - 30) - 20) < 3,
        "corner": rows + columns > 64,
        "cross": (abs(rows - 30) < 5) | (abs(columns - 30) < 5),
        "noise": np.random.default_rng(0).random((64, 64)) < 0.4,
    }.items():
        pixels = even.copy()
        pixels[hole] = 0
        found, _ = answers_for(pixels, 64, classifier, tmp_path, name)
        assert np.array_equal(found[0, 0], expected), name


def test_a_stopped_run_goes_on_after_its_last_whole_row(tmp_path: Path, classifier: Classifier):
    path = write_rgb(tmp_path / "scene.tif", texture(300, 150))
    grid = WindowGrid(300, 150, 64)
    with open_scene(path) as scene:
        whole = np.array(classify_windows(scene, classifier, grid, tmp_path / "whole"))
        content = (tmp_path / "whole").read_bytes()
        cut = tmp_path / "cut"
        cut.write_bytes(content[: len(content) // 2 + 7])
        assert windows_done(cut, grid, 10) == 6  # Two of five rows of three.
        reported: list[tuple[int, int]] = []
        found = classify_windows(scene, classifier, grid, cut, lambda *done: reported.append(done))
    assert np.array_equal(found, whole)
    assert reported == [(6, 15), (9, 15), (12, 15), (15, 15)]
