"""Calibration: a temperature that makes confidence honest, and a threshold that keeps its word."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eurosat.calibration import (
    Calibration,
    apply_temperature,
    calibration_record,
    choose_unsure_below,
    expected_calibration_error,
    fit_calibration,
    fit_temperature,
    measure_calibration,
    reliability_bins,
    sure_share,
)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def honest_case(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their very probabilities."""
    dice = np.random.default_rng(seed)
    logits = dice.normal(0, 3, (count, 5))
    drawn = softmax(logits).cumsum(axis=1) > dice.random((count, 1))
    return logits, drawn.argmax(axis=1)


def two_classes(*confidences: float) -> np.ndarray:
    """Answers that all name the first of two classes."""
    return np.array([[share, 1 - share] for share in confidences], np.float32)


@pytest.mark.parametrize("temperature", [0.3, 0.63, 1.0, 1.8, 4.0])
def test_a_known_temperature_is_found_and_undone(temperature: float):
    logits, labels = honest_case(20_000)
    distorted = softmax(logits * temperature).astype(np.float32)
    found = fit_temperature(distorted, labels)
    assert found == pytest.approx(temperature, rel=0.03)
    np.testing.assert_allclose(apply_temperature(distorted, found), softmax(logits), atol=0.02)


def test_the_fitted_temperature_has_the_lowest_cross_entropy():
    logits, labels = honest_case(400, seed=3)
    probabilities = softmax(logits * 2).astype(np.float32)

    def cross_entropy(temperature: float) -> float:
        calibrated = apply_temperature(probabilities, temperature)
        return float(-np.log(calibrated[np.arange(400), labels]).mean())

    fitted = fit_temperature(probabilities, labels)
    tried = [cross_entropy(temperature) for temperature in np.geomspace(0.2, 8, 200)]
    assert cross_entropy(fitted) <= min(tried) + 1e-7


def test_where_all_or_none_are_right_the_temperature_stays_in_its_bounds():
    answers = two_classes(0.9, 0.8, 0.99)
    assert fit_temperature(answers, np.array([0, 0, 0])) == pytest.approx(0.1)
    assert fit_temperature(answers, np.array([1, 1, 1])) == pytest.approx(10)


def test_a_temperature_at_a_limit_of_its_search_is_told_and_recorded():
    answers = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.6, 0.3, 0.1]])
    for truth, part in (
        ([0, 0, 0], "stopped at 0.1, the lowest that is tried, as nearly every answer"),
        (
            [1, 1, 1],
            "stopped at 10, the highest that is tried, as answers on validation are hardly",
        ),
    ):
        fitted = fit_calibration(answers, np.array(truth))
        assert part in (fitted.warning or "")
        assert calibration_record(fitted, {})["temperature_at_limit"] is True
    fitted = fit_calibration(answers, np.array([0, 0, 1]))
    assert fitted.warning is None
    assert calibration_record(fitted, {})["temperature_at_limit"] is False


def test_a_probability_of_zero_does_no_harm():
    answers = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0.5, 0]], np.float32)
    fitted = fit_temperature(answers, np.array([0, 2, 1]))
    for temperature in (fitted, 1e-300, 0.1, 10.0, 1e300):
        calibrated = apply_temperature(answers, temperature)
        assert np.isfinite(calibrated).all()
        np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(calibrated.argmax(axis=1), [0, 1, 0])


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(2, 6)),
        elements=st.floats(0, 1, width=32),
    ),
    st.floats(0.05, 20),
)
def test_no_temperature_changes_the_class(weights: np.ndarray, temperature: float):
    weights[:, 0] += np.float32(1e-6)
    answers = weights / weights.sum(axis=1, keepdims=True)
    calibrated = apply_temperature(answers, temperature)
    assert calibrated.dtype == np.float32
    np.testing.assert_array_equal(calibrated.argmax(axis=1), answers.argmax(axis=1))
    np.testing.assert_allclose(calibrated.sum(axis=1), 1, atol=1e-5)


def test_two_classes_in_a_near_tie_keep_their_order():
    half = np.float32(0.5)
    answers = np.array([[np.nextafter(half, np.float32(0)), half], [half, half]])
    np.testing.assert_array_equal(apply_temperature(answers, 10).argmax(axis=1), [1, 0])


def test_a_row_gives_the_same_alone_and_among_others():
    logits, _ = honest_case(50)
    answers = softmax(logits).astype(np.float32)
    together = apply_temperature(answers, 0.7)
    alone = np.stack([apply_temperature(row, 0.7) for row in answers])
    np.testing.assert_array_equal(together, alone)


def test_the_calibration_error_is_the_mean_gap_of_the_bins():
    # In the bin from 0.6 to 0.667 two tiles, one right; in the one up to 0.8 two, both right.
    bins = reliability_bins(two_classes(0.61, 0.65, 0.75, 0.79), np.array([0, 1, 0, 0]))
    assert len(bins) == 15
    full = {round(entry.low, 3): entry for entry in bins if entry.count}
    assert list(full) == [0.6, 0.733]
    assert (full[0.6].count, full[0.6].accuracy) == (2, 0.5)
    assert full[0.6].confidence == pytest.approx(0.63)
    assert full[0.733].accuracy == 1
    assert expected_calibration_error(bins) == pytest.approx(0.5 * 0.13 + 0.5 * 0.23)


def test_a_confidence_on_a_bound_belongs_to_the_bin_below_it():
    bins = reliability_bins(two_classes(1.0, 0.75, 0.5), np.array([0, 0, 0]), count=4)
    assert [entry.count for entry in bins] == [0, 1, 1, 1]
    assert bins[3].high == 1


def test_calibration_lowers_the_error_of_an_overconfident_model():
    logits, labels = honest_case(5000)
    overconfident = softmax(logits * 3)
    calibration = fit_calibration(overconfident[:2500], labels[:2500])
    figures = measure_calibration(calibration, overconfident[2500:], labels[2500:])
    assert figures.ece_before > 0.1
    assert figures.ece_after < 0.03
    assert figures.sure_accuracy is not None
    assert figures.sure_accuracy > 0.98
    assert 0.05 < figures.coverage < 0.6


def test_the_threshold_is_the_smallest_that_keeps_the_promise():
    answers = two_classes(0.99, 0.9, 0.8, 0.7, 0.6)
    labels = np.array([0, 0, 1, 0, 0])  # Of the three most confident, one is wrong.
    assert choose_unsure_below(answers, labels, target=1) == pytest.approx(0.9)
    assert choose_unsure_below(answers, labels, target=0.75) == pytest.approx(0.6)
    assert choose_unsure_below(answers, labels, target=0.81) == pytest.approx(0.9)
    assert sure_share(answers, labels, choose_unsure_below(answers, labels, target=1)) == (0.4, 1)


def test_tiles_of_one_confidence_are_taken_together():
    answers = two_classes(0.9, 0.8, 0.8, 0.8)
    assert choose_unsure_below(answers, np.array([0, 0, 0, 1]), target=0.8) == pytest.approx(0.9)


def test_a_promise_that_cannot_be_kept_makes_all_but_certainty_unsure():
    answers = two_classes(0.9, 0.8)
    labels = np.array([1, 0])
    assert choose_unsure_below(answers, labels) == 1
    assert sure_share(answers, labels, 1) == (0, None)
    figures = measure_calibration(Calibration(1.0, 1.0), answers, labels)
    assert (figures.coverage, figures.sure_accuracy) == (0, None)
