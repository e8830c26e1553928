"""Models that look at a tile from several sides: its flips and turns go through one network.

Seen from above, a tile has no up and no left, but a network that was shown all flips and turns
still answers a little differently for each. The mean is right more often than any of them
(Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", section
4.1, average ten views). Flips and turns are operators of the graph here, so that every runtime
gives that answer, and the weights stand in the file once.
"""

from typing import Any, Final

import numpy as np

from eurosat.graph import Graph
from eurosat.model_file import VIEW_COUNTS

# Mirrored, upside down, and transposed; each shows all that was seen before once more, so that
# there is one more of `VIEW_COUNTS` than there are steps.
_STEPS: Final = (("REVERSE_V2", [2]), ("REVERSE_V2", [1]), ("TRANSPOSE", [0, 2, 1, 3]))
_BEFORE: Final = frozenset({"REVERSE_V2", "TRANSPOSE", "CONCATENATION"})


def seen_from(count: int) -> str:
    """Return how a sentence on a model of so many views goes on behind its tile."""
    return f", from {count} of its flips and turns" if count > 1 else ""


def views_of(tiles: np.ndarray, count: int) -> list[np.ndarray]:
    """Return tiles as a model of several views sees them.

    Args:
        tiles: `[n, side, side, channels]`.
        count: One of `VIEW_COUNTS`.

    Returns:
        `count` arrays of the same shape, in the order of the model.
    """
    views = [tiles]
    for kind, axes in _STEPS[: VIEW_COUNTS.index(count)]:
        views += [
            view.transpose(axes) if kind == "TRANSPOSE" else np.flip(view, axes[0])
            for view in views
        ]
    return views


def add_views(graph: Graph, count: int) -> None:
    """Let a graph give the mean over several views of a tile.

    Args:
        graph: From pixels `[n, side, side, 3]` to logits `[n, classes]`; changed in place.
        count: One of `VIEW_COUNTS`, above 1.
    """
    inner, seen, logits = graph.operators, graph.input, graph.output
    views = graph.input = graph.add_like(seen, "tile")
    before = []
    for kind, axes in _STEPS[: VIEW_COUNTS.index(count)]:
        batch, *shape = graph.tensor(views).shape
        changed = graph.add_like(views, "changed")
        both = graph.add_like(views, "views", [2 * batch, *shape])
        axes_tensor = graph.add_constant("axes", axes)
        before += [
            graph.operator(kind, [views, axes_tensor], changed, version=2),
            graph.operator("CONCATENATION", [views, changed], both, version=2, axis=0),
        ]
        views = both
    before[-1].outputs = [seen]
    _set_batch(graph, seen, inner, count)

    classes = graph.tensor(logits).shape[-1]
    by_view = graph.add_like(logits, "logits_of_views", [count, 1, classes])
    mean = graph.output = graph.add_like(logits, "mean_logits", [1, classes])
    as_views = graph.add_constant("shape", [count, -1, classes])
    first = graph.add_constant("axes", [0])
    averaging = [
        graph.operator("RESHAPE", [logits, as_views], by_view, newShape=[count, -1, classes]),
        graph.operator("MEAN", [by_view, first], mean, keepDims=False),
    ]
    graph.operators = [*before, *inner, *averaging]


def with_one_view(flatbuffer: bytes) -> bytes:
    """Return a model of ours that looks at a tile as it is, and at no other view of it.

    Args:
        flatbuffer: A TFLite model that `eurosat-convert` wrote.

    Raises:
        ValueError: It has not several views.
    """
    graph = Graph(flatbuffer)
    kinds = [graph.kind(operator) for operator in graph.operators]
    first = next(place for place, kind in enumerate(kinds) if kind not in _BEFORE)
    if first == 0 or kinds[-3:] != ["RESHAPE", "MEAN", "SOFTMAX"]:
        raise ValueError("the graph has not several views")
    shape = graph.tensor(graph.input).shapeSignature
    *inner, reshaping, _, softmax = graph.operators[first:]
    graph.input = int(graph.operators[first - 1].outputs[0])
    softmax.inputs = reshaping.inputs[:1]
    graph.operators = [*inner, softmax]
    _set_batch(graph, graph.input, graph.operators, 1)
    graph.tensor(graph.input).shapeSignature = shape
    return graph.packed()


def _set_batch(graph: Graph, tensor: int, operators: list[Any], count: int) -> None:
    """Let a tensor, and all that is made of it, hold several tiles at once."""
    for index in graph.traced(tensor, operators):
        changed = graph.tensor(index)
        changed.shape, changed.shapeSignature = [count, *changed.shape[1:]], None
