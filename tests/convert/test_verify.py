"""The gate: figures of two models side by side, and what counts as a loss."""

import json
import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from eurosat.convert.verify import Comparison, compare, failures, reserves

NAMES = ("Forest", "River", "Sea")


def answers(*classes: int, count: int = 3) -> np.ndarray:
    """Probabilities whose largest are those of the classes."""
    return np.eye(count, dtype=np.float32)[list(classes)] * 0.5 + 0.1


def paired(lost: int, won: int, both: int, neither: int = 0) -> Comparison:
    """A comparison on tiles of class 0, of which so many are right for one, the other, both."""
    first = [0] * lost + [1] * won + [0] * both + [1] * neither
    second = [1] * lost + [0] * won + [0] * both + [1] * neither
    return compare(answers(*first), answers(*second), np.zeros(len(first), np.int64), NAMES)


def random_case(seed: int, *, count: int = 500) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    dice = np.random.default_rng(seed)
    labels = dice.integers(0, 3, count)
    first, second = (
        (np.eye(3)[labels] * 1.2 + dice.random((count, 3))).astype(np.float32) for _ in range(2)
    )
    return first, second, labels


def test_figures_of_an_example_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    first = answers(0, 0, 0, 1, 1, 1, 2, 0)
    second = answers(0, 0, 1, 1, 1, 2, 2, 2)
    found = compare(first, second, labels, NAMES)
    assert found.tile_count == 8
    assert found.class_names == NAMES
    assert found.original.accuracy == 6 / 8
    assert found.exported.accuracy == 5 / 8
    assert found.drop == 1 / 8
    assert found.original.recalls == (0.75, 1.0, 0.5)
    assert found.exported.recalls == (0.5, 0.5, 1.0)
    assert found.recall_drops == (0.25, 0.5, -0.5)
    # F1 is twice the hits over hits, misses and false alarms: 6/8, 4/5, 2/3 and 4/6, 2/5, 4/5.
    assert found.original.macro_f1 == pytest.approx((6 / 8 + 4 / 5 + 2 / 3) / 3)
    assert found.exported.macro_f1 == pytest.approx((4 / 6 + 2 / 5 + 4 / 5) / 3)
    assert found.agreement == 5 / 8
    assert found.only_original_right == 2
    assert found.only_exported_right == 1
    # Of three tiles on which one alone is right, 2 to 1 is as even as it gets.
    assert found.mcnemar_p == 1.0


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_scikit_learn(seed: int):
    first, second, labels = random_case(seed)
    found = compare(first, second, labels, NAMES)
    for figures, probabilities in ((found.original, first), (found.exported, second)):
        predicted = probabilities.argmax(axis=1)
        assert figures.accuracy == pytest.approx(accuracy_score(labels, predicted))
        assert figures.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
        assert figures.recalls == pytest.approx(recall_score(labels, predicted, average=None))
    assert found.drop == pytest.approx(
        (found.only_original_right - found.only_exported_right) / 500
    )


@pytest.mark.parametrize(
    ("lost", "won", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 2**5),
        (0, 5, 2 / 2**5),
        (10, 0, 2 / 2**10),
        (8, 2, 2 * (1 + 10 + 45) / 2**10),
        (5, 5, 1.0),
    ],
)
def test_mcnemar_counts_only_tiles_on_which_one_alone_is_right(lost: int, won: int, p: float):
    assert paired(lost, won, both=20, neither=7).mcnemar_p == pytest.approx(p)
    assert paired(lost, won, both=900).mcnemar_p == pytest.approx(p)


def test_mcnemar_is_the_binomial_test():
    found = paired(31, 17, both=100)
    assert found.mcnemar_p == pytest.approx(binomtest(31, 48, 0.5).pvalue)


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (1, 0), (0, 3), (20, 5), (50, 50), (100, 0)])
@pytest.mark.parametrize("both", [1, 40, 5000])
def test_the_interval_holds_the_drop_and_turns_round_with_the_models(
    lost: int, won: int, both: int
):
    one, other = paired(lost, won, both), paired(won, lost, both)
    assert (one.drop, one.drop_low, one.drop_high) == pytest.approx(
        (-other.drop, -other.drop_high, -other.drop_low)
    )
    assert -1 <= one.drop_low < one.drop_high <= 1
    assert one.drop_low <= one.drop <= one.drop_high
    if lost == won:
        assert one.drop_low == pytest.approx(-one.drop_high)


def test_the_interval_of_an_example_by_hand():
    # Agresti and Min: 12.5 and 4.5 of 102 pairs, difference 8/102.
    found = paired(12, 4, both=80, neither=4)
    spread = math.sqrt((12.5 + 4.5) - 8**2 / 102) / 102
    assert found.drop_low == pytest.approx(8 / 102 - 1.96 * spread, abs=1e-5)
    assert found.drop_high == pytest.approx(8 / 102 + 1.96 * spread, abs=1e-5)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    dice = np.random.default_rng(5)
    shares = (0.03, 0.015, 0.955)  # only one right, only the other, both
    inside = 0
    for _ in range(400):
        lost, won, both = dice.multinomial(1000, shares)
        found = paired(lost, won, both)
        inside += found.drop_low <= shares[0] - shares[1] <= found.drop_high
    assert 0.92 * 400 <= inside <= 0.98 * 400


def test_more_tiles_make_the_interval_narrower():
    few, many = paired(4, 2, both=94), paired(40, 20, both=940)
    assert many.drop_high - many.drop_low < 0.5 * (few.drop_high - few.drop_low)


def test_equal_models_lose_nothing():
    first, _, labels = random_case(0)
    found = compare(first, first, labels, NAMES)
    assert found.agreement == 1
    assert found.drop == 0
    assert found.recall_drops == (0, 0, 0)
    assert found.drop_low < 0 < found.drop_high
    assert found.mcnemar_p == 1
    assert failures(found, max_drop=0, max_class_drop=0) == []


def test_a_class_without_tiles_counts_as_nothing():
    labels = np.array([0, 0, 1])
    found = compare(answers(0, 0, 1), answers(0, 2, 1), labels, NAMES)
    assert found.original.recalls == (1, 1, 0)
    assert found.exported.recalls == (0.5, 1, 0)


def test_failures_name_what_fell_and_by_how_much():
    labels = np.repeat([0, 1, 2], 100)
    exported = labels.copy()
    exported[:3] = 1  # 3 points of the first class
    exported[200:207] = 0  # 7 points of the last one
    found = compare(answers(*labels), answers(*exported), labels, NAMES)
    assert failures(found, max_drop=1, max_class_drop=5) == [
        "Accuracy falls by 3.33 points, from 100.00% to 96.67%; 1 are allowed.",
        "The recall of Sea falls by 7.00 points, from 100.00% to 93.00%; 5 are allowed.",
    ]
    assert failures(found, max_drop=3.5, max_class_drop=2.5) == [
        "The recall of Forest falls by 3.00 points, from 100.00% to 97.00%; 2.5 are allowed.",
        "The recall of Sea falls by 7.00 points, from 100.00% to 93.00%; 2.5 are allowed.",
    ]
    assert failures(found, max_drop=3.5, max_class_drop=7) == []


@pytest.mark.parametrize("total", [1000, 700, 5400, 333])
@pytest.mark.parametrize("lost", [1, 3, 5, 7, 29])
def test_a_loss_of_exactly_the_limit_passes_and_one_tile_more_does_not(lost: int, total: int):
    at_limit = paired(lost, 0, both=total - lost)
    above = paired(lost + 1, 0, both=total - lost - 1)
    limit = round(100 * lost / total, 9)
    for limits in (
        {"max_drop": limit, "max_class_drop": 100.0},
        {"max_drop": 100.0, "max_class_drop": limit},
    ):
        assert failures(at_limit, **limits) == []
        assert len(failures(above, **limits)) == 1


def test_a_gain_is_no_failure():
    assert failures(paired(0, 9, both=50), max_drop=0, max_class_drop=0) == []
    assert len(failures(paired(0, 9, both=50), max_drop=-20, max_class_drop=0)) == 1


def test_a_limit_that_is_no_number_lets_nothing_pass():
    found = paired(0, 0, both=10)
    assert len(failures(found, max_drop=math.nan, max_class_drop=0)) == 1
    assert len(failures(found, max_drop=0, max_class_drop=math.nan)) == 3


def test_a_few_tiles_do_not_prove_that_accuracy_holds():
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
    found = compare(answers(*labels), answers(*labels), labels, NAMES)
    assert failures(found, max_drop=0.5, max_class_drop=2) == []
    # Agresti and Min: one of twelve pairs differs, and of four in the class of two tiles.
    assert reserves(found, max_drop=0.5, max_class_drop=2) == [
        "10 tiles do not prove more: the true drop may be up to 16.33 points (upper end of the "
        "95 % interval), and 0.5 are allowed.",
        "Sea has 2 of the 10 tiles: so few leave open a drop in its recall of up to 49.00 points, "
        "even if all answers are the same, and 2 are allowed.",
    ]
    assert reserves(found, max_drop=17, max_class_drop=50) == []


def test_a_class_of_few_tiles_is_told_where_there_are_many_of_others():
    labels = np.repeat([0, 1, 2], [1000, 4, 500])
    found = compare(answers(*labels), answers(*labels), labels, NAMES)
    (reserve,) = reserves(found, max_drop=0.5, max_class_drop=2)
    assert reserve.startswith("River has 4 of the 1,504 tiles: so few leave open a drop")


def test_many_tiles_prove_it_unless_the_drop_comes_near_the_limit():
    labels = np.repeat([0, 1, 2], 800)
    exported = labels.copy()
    exported[:3] = 1
    same, near = (compare(answers(*labels), answers(*e), labels, NAMES) for e in (labels, exported))
    assert reserves(same, max_drop=0.5, max_class_drop=2) == []
    assert reserves(near, max_drop=0.5, max_class_drop=2) == []
    (reserve,) = reserves(near, max_drop=0.2, max_class_drop=2)
    assert f"up to {100 * near.drop_high:.2f} points" in reserve


def test_the_record_is_plain_json_with_recalls_by_name():
    first, second, labels = random_case(1)
    found = compare(first, second, labels, NAMES)
    record = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert record["tile_count"] == 500
    assert record["class_tiles"] == {name: (labels == n).sum() for n, name in enumerate(NAMES)}
    assert record["drop"] == found.drop
    assert record["original"]["recalls"] == dict(zip(NAMES, found.original.recalls, strict=True))
    assert record["exported"]["recalls"] == dict(zip(NAMES, found.exported.recalls, strict=True))
    assert record["exported"]["accuracy"] == found.exported.accuracy
    assert record["drop_low"] == found.drop_low
    assert record["mcnemar_p"] == found.mcnemar_p
