"""The scene twin of a model: the same layers over a large window, with a grid of answers.

Neighbouring windows of a scene share most of their pixels. Where a convolution does not pad, what
it says of a place depends on the pixels around it alone, and not on where a tile begins. So the
first layers, up to the first that pads or averages, are applied to a large window once (Long et al.
2015, "Fully convolutional networks for semantic segmentation"); then the features of each tile are
taken out of those of the window, and the other layers see tile by tile, as ever (as in Girshick
2015, "Fast R-CNN"). So the answers are those of the model.

The twin is made out of the model file: its weights, and the scales of its integers, are those of
the file to the last bit.
"""

from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from eurosat.errors import ModelFileError
from eurosat.graph import Graph, indices
from eurosat.model_file import ModelFile
from eurosat.runtime import SCENE_SIGNATURE

_ELEMENTWISE: Final = frozenset(
    {"QUANTIZE", "DEQUANTIZE", "CAST", "ADD", "MUL", "SUB", "RELU", "RELU6"}
)
_CONVOLUTIONS: Final = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})
_POOLINGS: Final = frozenset({"AVERAGE_POOL_2D", "MAX_POOL_2D"})

_TILE_BY_TILE: Final = (
    _ELEMENTWISE | _CONVOLUTIONS | _POOLINGS | {"PAD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"}
)
"""Operators that treat every tile of a batch alike."""

_VALID: Final = 1


@dataclass(frozen=True, eq=False)
class SceneTwin:
    """A model that answers for all tiles in a large window.

    Attributes:
        flatbuffer: A TFLite model: uint8 RGB [1, height, width, 3] in, float32 probabilities
            [1, rows, columns, classes] out.
        height: Height of the window in pixels.
        width: Width of the window in pixels.
        step: Pixels from a tile to the next: the answer in row i and column j is that for the tile
            whose upper left pixel stands in row i * step and column j * step.
    """

    flatbuffer: bytes
    height: int
    width: int
    step: int


def make_twin(model_file: ModelFile, height: int, width: int, step: int) -> SceneTwin:
    """Make the scene twin of a model.

    Args:
        model_file: A model of ours, of full integers or of floats.
        height: Height of the large window in pixels; rounded down to whole steps, and at least
            that of a tile.
        width: Width, likewise.
        step: Pixels from a tile to the next.

    Raises:
        ModelFileError: Tiles at this step share none of the model's layers, as it pads or resizes
            at once, or for its strides.
        MissingPackageError: LiteRT's description of the format is not installed.
    """
    try:
        return _Rewriting(Graph(model_file.flatbuffer)).twin(height, width, step)
    # The generated code raises errors of many types for a graph that is damaged or not ours.
    except (_NoTwinError, LookupError, TypeError, AttributeError, ValueError) as error:
        reason = str(error) if isinstance(error, _NoTwinError) else "its graph is not one of ours"
        raise ModelFileError(
            f"{model_file.path} has no scene twin, as {reason}: map with single windows,"
            " or with a CNN."
        ) from error


class _NoTwinError(Exception):
    """Why a model has no twin."""


@dataclass(frozen=True)
class _Extent:
    """What a tensor of the shared layers covers.

    Attributes:
        tile: Its rows and columns in the tile model.
        window: Its rows and columns in the twin.
        jump: Pixels of the window from one of its rows to the next.
    """

    tile: tuple[int, int]
    window: tuple[int, int]
    jump: int


class _Rewriting:
    """A graph on its way from a tile to a large window."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def twin(self, height: int, width: int, step: int) -> SceneTwin:
        """Rewrite the graph for a large window, and pack it."""
        graph = self._graph
        if not graph.is_one_to_one:
            raise _NoTwinError("it does not have one input and one output")
        _, rows, columns, channels = map(int, graph.tensor(graph.input).shape)
        window = (
            rows + max(0, height - rows) // step * step,
            columns + max(0, width - columns) // step * step,
        )
        grid = (window[0] - rows) // step + 1, (window[1] - columns) // step + 1
        extents = self._extents(_Extent((rows, columns), window, 1))
        shared, features = self._handover(extents, step, rows * columns * channels)
        extent = extents[features]
        first, rest = graph.operators[:shared], graph.operators[shared:]
        self._enlarge(first, extents)
        take = self._take_tiles(features, extent, grid, step // extent.jump)
        self._see_tile_by_tile(rest, features, int(take[-1].outputs[0]), prod(grid))
        graph.operators = [*first, *take, *rest, self._arrange_answers(grid)]
        return SceneTwin(graph.packed(), *window, step)

    def _extents(self, pixels: _Extent) -> dict[int, _Extent]:
        """Follow the input to the first operator that must see tile by tile."""
        extents = {self._graph.input: pixels}
        for operator in self._graph.operators:
            read = [extents[index] for index in map(int, operator.inputs) if index in extents]
            if not read:
                continue  # Weights that are unpacked.
            made = self._made(operator, read)
            if made is None:
                break
            extents[int(operator.outputs[0])] = made
        return extents

    def _handover(
        self, extents: dict[int, _Extent], step: int, values_of_tile: int
    ) -> tuple[int, int]:
        """Find the last place where the rest reads one tensor alone, and one that tiles share.

        Returns:
            How many operators come before, and the tensor. It has a row for each step, and fewer
            values of a tile than the tile itself.
        """
        operators = self._graph.operators
        traced = self._graph.traced(self._graph.input, operators)
        for shared in range(len(operators) - 1, 0, -1):
            rest = operators[shared:]
            read = traced & set().union(*(indices(operator.inputs) for operator in rest))
            read -= set().union(*(indices(operator.outputs) for operator in rest))
            if len(read) != 1 or not read <= extents.keys():
                continue
            features = read.pop()
            extent = extents[features]
            values = prod(extent.tile) * self._channels(features)
            if step % extent.jump == 0 and values < values_of_tile:
                return shared, features
        raise _NoTwinError(f"tiles every {step} pixels share none of its layers")

    def _made(self, operator: Any, read: list[_Extent]) -> _Extent | None:
        """Return what the output covers; None if it depends on where a tile begins."""
        kind, first = self._graph.kind(operator), read[0]
        if kind in _ELEMENTWISE and all(other == first for other in read):
            return first
        if kind == "STRIDED_SLICE":
            return self._cropped(operator, first)[0]
        options = operator.builtinOptions
        if kind in _CONVOLUTIONS:
            values, weights = (self._graph.tensor(operator.inputs[n]) for n in (0, 1))
            # Of others, a scale is measured on all that they are given.
            if values.type != weights.type:
                return None
            kernel = int(weights.shape[1]), int(weights.shape[2])
        elif kind in _POOLINGS:
            kernel = int(options.filterHeight), int(options.filterWidth)
        else:
            return None
        stride = int(options.strideH)
        if options.padding != _VALID and (*kernel, stride) != (1, 1, 1):
            return None
        tile, window = (
            ((side[0] - kernel[0]) // stride + 1, (side[1] - kernel[1]) // stride + 1)
            for side in (first.tile, first.window)
        )
        return _Extent(tile, window, first.jump * stride)

    def _cropped(self, operator: Any, extent: _Extent) -> tuple[_Extent, np.ndarray]:
        """Cut off as much at the end of a large window as at that of a tile.

        Returns:
            What is left, and where the slice of the window ends: int32, an entry for each axis.
        """
        begin, end = (self._graph.constant(int(operator.inputs[n])) for n in (1, 2))
        options = operator.builtinOptions
        tile, window, ends = list(extent.tile), list(extent.window), end.copy()
        for side, axis in enumerate((1, 2)):
            first = 0 if options.beginMask >> axis & 1 else int(begin[axis])
            last = 0 if options.endMask >> axis & 1 else int(end[axis])
            cut = -last if last <= 0 else extent.tile[side] - last
            if last > 0:
                ends[axis] = extent.window[side] - cut
            tile[side] -= first + cut
            window[side] -= first + cut
        return _Extent((tile[0], tile[1]), (window[0], window[1]), extent.jump), ends

    def _enlarge(self, operators: list[Any], extents: dict[int, _Extent]) -> None:
        """Let the shared operators see the window."""
        self._widen(self._graph.input, extents)
        for operator in operators:
            if int(operator.outputs[0]) not in extents:
                continue
            if self._graph.kind(operator) == "STRIDED_SLICE":
                _, ends = self._cropped(operator, extents[int(operator.inputs[0])])
                operator.inputs = [
                    *operator.inputs[:2],
                    self._graph.add_constant("ends", ends),
                    *operator.inputs[3:],
                ]
            self._widen(int(operator.outputs[0]), extents)

    def _widen(self, index: int, extents: dict[int, _Extent]) -> None:
        self._set_shape(index, [1, *extents[index].window, self._channels(index)])

    def _take_tiles(
        self, features: int, extent: _Extent, grid: tuple[int, int], stride: int
    ) -> list[Any]:
        """Take the features of each tile out of those of the window: one batch of all tiles."""
        (rows, columns), (_, across) = extent.tile, extent.window
        top, left = (np.arange(count) * stride for count in grid)
        row = top[:, None, None, None] + np.arange(rows)[:, None]
        column = left[:, None, None] + np.arange(columns)
        places = (row * across + column).reshape(-1, rows, columns).astype(np.int32)
        channels = self._channels(features)
        flat = self._graph.add_like(features, "features", [prod(extent.window), channels])
        tiles = self._graph.add_like(features, "tiles", [*places.shape, channels])
        inputs = [flat, self._graph.add_constant("places", places)]
        return [
            self._reshaping(features, flat),
            # From version 2 on, it takes int8.
            self._graph.operator("GATHER", inputs, tiles, version=2, axis=0),
        ]

    def _see_tile_by_tile(
        self, operators: list[Any], features: int, tiles: int, count: int
    ) -> None:
        """Let the rest of the operators see a batch of tiles instead of one."""
        batch = {features}
        for operator in operators:
            if not batch & indices(operator.inputs):
                continue  # Weights that are unpacked.
            kind = self._graph.kind(operator)
            if kind not in _TILE_BY_TILE:
                raise _NoTwinError(f"it has a layer {kind} that may not see tile by tile")
            batch |= indices(operator.outputs)
            operator.inputs = [tiles if index == features else index for index in operator.inputs]
            for index in map(int, operator.outputs):
                self._set_shape(index, [count, *self._graph.tensor(index).shape[1:]])

    def _arrange_answers(self, grid: tuple[int, int]) -> Any:
        """Put the answers in rows and columns, and make them the output."""
        graph = self._graph
        answer = graph.output
        graph.output = graph.add_like(answer, "answers", [1, *grid, self._channels(answer)])
        for signature in graph.model.signatureDefs or []:
            signature.signatureKey = SCENE_SIGNATURE
        return self._reshaping(answer, graph.output)

    def _reshaping(self, source: int, target: int) -> Any:
        shape = list(map(int, self._graph.tensor(target).shape))
        constant = self._graph.add_constant("shape", shape)
        return self._graph.operator("RESHAPE", [source, constant], target, newShape=shape)

    def _set_shape(self, index: int, shape: list[int]) -> None:
        tensor = self._graph.tensor(index)
        tensor.shape, tensor.shapeSignature = shape, None

    def _channels(self, index: int) -> int:
        return int(self._graph.tensor(index).shape[-1])
