"""Confidence that can be believed: temperature, calibration error, and when to say "unsure".

A confidence is calibrated if, of all answers given with a confidence of 80 %, 80 % are right.
Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isclose
from typing import Any, Final

import numpy as np

LOWEST_TEMPERATURE: Final = 0.1
HIGHEST_TEMPERATURE: Final = 10.0

SURE_ACCURACY: Final = 0.995
"""Share of the sure answers that shall be right."""

BIN_COUNT: Final = 15
"""Bins of the expected calibration error, as in Guo et al."""

_BISECTIONS: Final = 60


@dataclass(frozen=True)
class Calibration:
    """What makes the confidence of a model honest; fitted on validation.

    Attributes:
        temperature: What logits are divided by, above 0; above 1 lowers confidence.
        unsure_below: The calibrated confidence, above 0 to 1, below which an answer is unsure.
    """

    temperature: float
    unsure_below: float

    @property
    def is_at_limit(self) -> bool:
        """Whether the temperature stopped where its search does: then it makes nothing honest."""
        return any(
            isclose(self.temperature, limit, rel_tol=1e-3)
            for limit in (LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE)
        )

    @property
    def warning(self) -> str | None:
        """A sentence on a temperature at its limit; None for any other."""
        if not self.is_at_limit:
            return None
        if self.temperature < 1:
            what = "lowest that is tried, as nearly every answer on validation is right"
            then = "confidence will be too high, and more validation tiles would tell it better"
        else:
            what = "highest that is tried, as answers on validation are hardly better than chance"
            then = "confidence tells little, and the model should learn more first"
        return f"The temperature stopped at {self.temperature:.3g}, the {what}: {then}."


@dataclass(frozen=True)
class CalibrationFigures:
    """How honest the confidence of a model is on some tiles, each figure 0 to 1.

    Attributes:
        ece_before: Expected calibration error of the model's own confidence.
        ece_after: The same of its calibrated confidence.
        coverage: Share of the tiles with a sure answer.
        sure_accuracy: Share of the sure answers that are right; None if none is sure.
    """

    ece_before: float
    ece_after: float
    coverage: float
    sure_accuracy: float | None


@dataclass(frozen=True)
class ReliabilityBin:
    """Tiles whose confidence is above `low` and at most `high`.

    Attributes:
        low: Lower bound, 0 to 1.
        high: Upper bound, 0 to 1.
        count: Number of the tiles.
        confidence: Their mean confidence, 0 to 1; 0 if there are none.
        accuracy: Share of them whose most probable class is the true one; 0 if there are none.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def fit_calibration(probabilities: np.ndarray, labels: np.ndarray) -> Calibration:
    """Fit the temperature and, on the calibrated confidence, choose the threshold.

    Args:
        probabilities: float `[n, classes]`, what the model itself says of the validation tiles.
        labels: int `[n]`, their true classes.
    """
    temperature = fit_temperature(probabilities, labels)
    calibrated = apply_temperature(probabilities, temperature)
    return Calibration(temperature, choose_unsure_below(calibrated, labels))


def measure_calibration(
    calibration: Calibration, probabilities: np.ndarray, labels: np.ndarray
) -> CalibrationFigures:
    """Measure what a calibration does on tiles, best on such that it was not fitted to.

    Args:
        calibration: What was fitted.
        probabilities: float `[n, classes]`, what the model itself says; `n` is at least 1.
        labels: int `[n]`, the true classes.
    """
    calibrated = apply_temperature(probabilities, calibration.temperature)
    coverage, sure_accuracy = sure_share(calibrated, labels, calibration.unsure_below)
    return CalibrationFigures(
        ece_before=expected_calibration_error(reliability_bins(probabilities, labels)),
        ece_after=expected_calibration_error(reliability_bins(calibrated, labels)),
        coverage=coverage,
        sure_accuracy=sure_accuracy,
    )


def calibration_record(
    calibration: Calibration, measured: Mapping[str, CalibrationFigures]
) -> dict[str, Any]:
    """Return a calibration and what was measured of it as a JSON object.

    Args:
        calibration: What was fitted.
        measured: Figures by the name of the part, `"validation"` or `"test"`.
    """
    fitted = asdict(calibration) | {"temperature_at_limit": calibration.is_at_limit}
    return fitted | {part: asdict(figures) for part, figures in measured.items()}


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature under which the true classes are the most likely.

    Temperature scaling, Guo et al. 2017, section 4.2: the logits are divided by one number, chosen
    for the lowest mean cross-entropy. The logits of probabilities are their logarithms, up to a
    constant that no softmax sees.

    Args:
        probabilities: float `[n, classes]`; `n` is at least 1.
        labels: int `[n]`, the true classes.

    Returns:
        The temperature, from 0.1 to 10. The bounds matter where no tile, or nearly every one, is
        wrong: then the cross-entropy has no lowest point.
    """
    logits = logits_of(probabilities)
    logits_of_truth = logits[np.arange(len(labels)), labels]
    # The cross-entropy is convex in 1/T; its slope there is the mean logit under the model's own
    # probabilities minus that of the truth. Where the slope changes its sign is the minimum.
    low, high = 1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        shares = softmax(logits * middle)
        slope = float(((shares * logits).sum(axis=1) - logits_of_truth).mean())
        low, high = (low, middle) if slope > 0 else (middle, high)
    return float(np.clip((low * high) ** -0.5, LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return calibrated probabilities; the most probable class stays the same.

    Args:
        probabilities: float `[classes]` or `[n, classes]`, 0 to 1.
        temperature: What the logits are divided by, above 0.

    Returns:
        float32 of the same shape; each row adds up to 1.
    """
    logits = logits_of(probabilities)
    with np.errstate(over="ignore"):  # Of a tiny temperature: certainty is what it asks for.
        # What `softmax` does, but with the maximum taken off before and not twice.
        exponentials = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    calibrated = (exponentials / exponentials.sum(axis=-1, keepdims=True)).astype(np.float32)
    # Two probabilities that differ in their last digit may become equal; the first would win.
    best = probabilities.argmax(axis=-1, keepdims=True)
    best_now = calibrated.argmax(axis=-1, keepdims=True)
    if (best_now != best).any():
        highest = calibrated.max(axis=-1, keepdims=True)
        raised = np.where(best_now == best, highest, np.nextafter(highest, 2))
        np.put_along_axis(calibrated, best, raised, axis=-1)
    return calibrated


def reliability_bins(
    probabilities: np.ndarray, labels: np.ndarray, count: int = BIN_COUNT
) -> tuple[ReliabilityBin, ...]:
    """Sort tiles by confidence into bins of equal width: what a reliability diagram shows.

    Args:
        probabilities: float `[n, classes]`.
        labels: int `[n]`, the true classes.
        count: Number of the bins.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == labels
    bounds = np.linspace(0, 1, count + 1)
    bin_of = np.clip(np.searchsorted(bounds, confidence, side="left") - 1, 0, count - 1)
    bins = []
    for index in range(count):
        inside = bin_of == index
        some = bool(inside.any())
        bins.append(
            ReliabilityBin(
                low=float(bounds[index]),
                high=float(bounds[index + 1]),
                count=int(inside.sum()),
                confidence=float(confidence[inside].mean()) if some else 0.0,
                accuracy=float(is_right[inside].mean()) if some else 0.0,
            )
        )
    return tuple(bins)


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Return the mean distance between confidence and accuracy, 0 to 1, over bins.

    Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015, in
    the form of Guo et al. 2017, equation 3.

    Args:
        bins: What `reliability_bins` gave for at least one tile.
    """
    gaps = sum(entry.count * abs(entry.confidence - entry.accuracy) for entry in bins)
    return gaps / sum(entry.count for entry in bins)


def choose_unsure_below(
    probabilities: np.ndarray, labels: np.ndarray, target: float = SURE_ACCURACY
) -> float:
    """Return the smallest confidence such that enough of the answers at or above it are right.

    Args:
        probabilities: float `[n, classes]`, calibrated, of the validation tiles.
        labels: int `[n]`, their true classes.
        target: Share of the sure answers that shall be right, 0 to 1.

    Returns:
        The confidence of one of the tiles. If not even the most confident answers are right often
        enough, 1: then only complete certainty passes for sure.
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    is_right = (probabilities.argmax(axis=1) == labels)[order]
    share_right = is_right.cumsum() / np.arange(1, len(labels) + 1)
    # A threshold takes all tiles of one confidence or none: only the last of equals may be it.
    is_last = np.append(sorted_confidence[1:] != sorted_confidence[:-1], True)
    reached = np.flatnonzero(is_last & (share_right >= target))
    return float(sorted_confidence[reached[-1]]) if len(reached) else 1.0


def sure_share(
    probabilities: np.ndarray, labels: np.ndarray, unsure_below: float
) -> tuple[float, float | None]:
    """Return which share of the answers is sure, and which share of these is right.

    Args:
        probabilities: float `[n, classes]`, calibrated; `n` is at least 1.
        labels: int `[n]`, the true classes.
        unsure_below: The confidence below which an answer is unsure.

    Returns:
        Coverage, and accuracy of the sure answers or None if there are none; each 0 to 1.
    """
    is_sure = probabilities.max(axis=1) >= unsure_below
    is_right = probabilities.argmax(axis=1) == labels
    return float(is_sure.mean()), float(is_right[is_sure].mean()) if is_sure.any() else None


def logits_of(probabilities: np.ndarray) -> np.ndarray:
    """Return float64 logits; a probability that was rounded to 0 counts as the least above it."""
    return np.log(np.maximum(probabilities.astype(np.float64), np.finfo(np.float32).tiny))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities that logits stand for, along the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
