"""What a study tries: values of a training configuration, and those whose weights are here."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
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
