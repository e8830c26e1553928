"""Intervals and tests of shares, against scipy and by hand."""

import pytest
from scipy.stats import binomtest

from eurosat.significance import mcnemar_p, wilson_interval


@pytest.mark.parametrize(("right", "count"), [(0, 7), (7, 7), (1, 1), (3, 10), (2385, 2430)])
def test_the_interval_is_that_of_wilson(right: int, count: int):
    expected = binomtest(right, count).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(right, count)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert 0 <= low <= right / count <= high <= 1


@pytest.mark.parametrize(
    ("first", "second"), [(0, 0), (3, 0), (4, 9), (9, 4), (31, 17), (6, 6), (900, 1000), (0, 2000)]
)
def test_the_p_value_is_that_of_the_binomial_test(first: int, second: int):
    expected = binomtest(first, first + second).pvalue if first + second else 1
    assert mcnemar_p(first, second) == pytest.approx(expected, rel=1e-9)
