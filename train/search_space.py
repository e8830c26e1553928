"""What a study tries: values of a training configuration, and those whose weights are here."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from itertools import product
from math import prod
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from eurosat.errors import EurosatError

from .architectures import find_weights
from .configuration import CNN_BLOCKS, Architecture, Optimizer

SearchSpace = Mapping[str, BaseDistribution]
"""Name of a value of `TrainingConfiguration` → what is tried for it."""

_SHARED: SearchSpace = {
    "optimizer": CategoricalDistribution([str(choice) for choice in Optimizer]),
    "batch_size": CategoricalDistribution([32, 64, 128]),
    "dropout": FloatDistribution(0.0, 0.5, step=0.1),
    "l2": CategoricalDistribution([0.0, 1e-6, 1e-5, 1e-4]),
    "shift": IntDistribution(0, 8, step=2),
    "jitter": FloatDistribution(0.0, 0.3, step=0.1),
}

SEARCH: Mapping[Architecture, SearchSpace] = {
    Architecture.CNN: {
        "learning_rate": FloatDistribution(3e-4, 3e-2, log=True),
        **_SHARED,
        "blocks": IntDistribution(2, CNN_BLOCKS),
        "filters": IntDistribution(8, 24, step=4),
    },
    Architecture.MOBILENET: {
        "learning_rate": FloatDistribution(3e-5, 1e-2, log=True),
        **_SHARED,
        # ImageNet weights were published for these, and for two larger ones.
        "width": CategoricalDistribution([0.35, 0.5, 0.75, 1.0]),
        "units": CategoricalDistribution([0, 64, 128, 256]),
    },
}
"""What is tried. The default configuration is within, and is the first trial of every study."""


FEW_COMBINATIONS = 100
"""Up to so many are tried one by one, none of them twice."""


def combinations(space: SearchSpace) -> list[dict[str, Any]] | None:
    """Return all that can be tried in a space; None where that is more than a few."""
    choices = [_choices(among) for among in space.values()]
    if prod(map(len, choices)) > FEW_COMBINATIONS or not all(choices):
        return None
    return [dict(zip(space, values, strict=True)) for values in product(*choices)]


def _choices(among: BaseDistribution) -> Sequence[Any]:
    """Return the values that may be drawn; none where they cannot be counted."""
    match among:
        case CategoricalDistribution():
            return among.choices
        case IntDistribution():
            return range(among.low, among.high + 1, among.step)
        case FloatDistribution() if among.step:
            steps = round((among.high - among.low) / among.step)
            return [round(among.low + step * among.step, 6) for step in range(steps + 1)]
    return ()


def widths_with_weights(widths: BaseDistribution) -> CategoricalDistribution:
    """Return those widths whose ImageNet weights are here or can be downloaded.

    Raises:
        EurosatError: There are none.
    """
    assert isinstance(widths, CategoricalDistribution)
    found, missing = [], []
    for width in widths.choices:
        try:
            with redirect_stdout(io.StringIO()):  # Keras prints what it downloads.
                find_weights("imagenet", float(width))
            found.append(width)
        except EurosatError as error:
            missing.append(error)
    if not found:
        raise missing[-1]
    return CategoricalDistribution(found)


def widths_in(space: SearchSpace) -> Sequence[Any]:
    """Return the widths of MobileNet that a space holds."""
    return getattr(space.get("width"), "choices", ())


def is_tried(among: BaseDistribution, value: Any) -> bool:
    """Tell whether a value may be one of those that are tried."""
    return not isinstance(among, CategoricalDistribution) or value in among.choices
