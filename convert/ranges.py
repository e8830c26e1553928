"""Ranges of activations that lose least in int8, instead of from the smallest value to the largest.

A few tiles, such as white roofs, reach three times as far as nearly all others. A range that holds
them too has steps three times as wide, and every tile pays for it. Of narrower ranges the one with
the smallest squared error is taken, in which what lies beyond its ends is counted as well (Nagel et
al. 2021, "A White Paper on Neural Network Quantization", arXiv 2106.08295, section 3.3).
"""

from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from eurosat.graph import Graph

_STEPS: Final = 255
_SHARES: Final = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
"""How much of the whole range is tried."""

_TILES: Final = 125


def narrow_ranges(flatbuffer: bytes, tiles: np.ndarray) -> bytes:
    """Narrow the ranges of a model in float32 that is calibrated but not yet quantised.

    Args:
        flatbuffer: The model; every activation has its smallest and largest value.
        tiles: Its input, float32 `[n, h, w, 3]`, evenly taken from what it was calibrated with.

    Returns:
        The same model with the ranges that lose least; that of its input stays.
    """
    graph = Graph(flatbuffer)
    interpreter = Interpreter(
        model_content=flatbuffer,
        # A delegate would keep to itself what lies between its operators.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    computed = [int(index) for operator in graph.operators for index in operator.outputs]
    ranges = {index: _range(graph.tensor(index)) for index in computed}
    errors = {index: np.zeros(len(_SHARES)) for index, ends in ranges.items() if ends}
    for tile in tiles[:: max(1, len(tiles) // _TILES)]:
        interpreter.set_tensor(graph.input, tile[np.newaxis])
        interpreter.invoke()
        for index in errors:
            errors[index] += _squared_errors(interpreter.get_tensor(index), *ranges[index])
    for index, error in errors.items():
        share = _SHARES[int(error.argmin())]
        quantization = graph.tensor(index).quantization
        quantization.min, quantization.max = ([share * end] for end in ranges[index])
    return graph.packed()


def _range(tensor: Any) -> tuple[float, float] | tuple[()]:
    """Return the ends of what a tensor was seen to hold, and 0 between them; nothing for others."""
    seen = tensor.quantization
    if seen is None or seen.max is None or not len(seen.max):
        return ()
    return min(float(seen.min[0]), 0.0), max(float(seen.max[0]), 0.0)


def _squared_errors(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return what each share of a range loses on some values: float64 `[shares]`."""
    errors = np.zeros(len(_SHARES))
    for place, share in enumerate(_SHARES):
        step = share * max(high - low, 1e-9) / _STEPS
        stored = np.clip(np.round((values - share * low) / step), 0, _STEPS) * step + share * low
        errors[place] = np.square(values - stored).sum(dtype=np.float64)
    return errors
