"""What a count of right answers can tell: intervals, and whether two models really differ."""

import math

Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the
    American Statistical Association 22 (1927). It holds near 0 and 1 too, where models should be.

    Args:
        right: Number of right answers.
        count: Number of all answers, at least 1.

    Returns:
        The lower and the upper end, each 0 to 1.
    """
    share, square = right / count, Z_95**2
    centre = share + square / (2 * count)
    spread = Z_95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    scale = 1 + square / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    How likely so uneven a disagreement is if both models are equally good: the tiles that only one
    of them has right then fall to either side like tosses of a coin. McNemar, "Note on the
    sampling error of the difference between correlated proportions", Psychometrika 12 (1947).

    Args:
        only_first: Tiles that only the first model has right.
        only_second: Tiles that only the second model has right.
    """
    tosses = only_first + only_second
    fewest = min(only_first, only_second)
    tail = sum(math.comb(tosses, successes) for successes in range(fewest + 1))
    return min(1.0, 2 * tail / 2**tosses)
