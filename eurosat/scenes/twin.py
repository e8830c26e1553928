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

from eurosat.errors import MissingPackageError, ModelFileError
from eurosat.model_file import ModelFile, printable
from eurosat.probe import SCENE_SIGNATURE

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
_FILE_IDENTIFIER: Final = b"TFL3"


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
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as error:
        raise MissingPackageError(
            "A scene twin needs LiteRT's description of the format: run"
            " `pip install ai-edge-litert`."
        ) from error
    try:
        model = schema.ModelT.InitFromPackedBuf(model_file.flatbuffer)
        return _Rewriting(schema, model).twin(height, width, step)
    # The generated code raises errors of many types for a graph that is damaged or not ours.
    except (_NoTwinError, LookupError, TypeError, AttributeError, ValueError) as error:
        reason = str(error) if isinstance(error, _NoTwinError) else "its graph is not one of ours"
        raise ModelFileError(
            f"{printable(model_file.path)} has no scene twin, as {reason}: map with single windows,"
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

    def __init__(self, schema: Any, model: Any) -> None:
        self._schema = schema
        self._model = model
        self._graph = model.subgraphs[0]
        self._names = {
            value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()
        }

    def twin(self, height: int, width: int, step: int) -> SceneTwin:
        """Rewrite the graph for a large window, and pack it."""
        import flatbuffers

        graph = self._graph
        if len(self._model.subgraphs) != 1 or len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise _NoTwinError("it does not have one input and one output")
        _, rows, columns, channels = map(int, graph.tensors[graph.inputs[0]].shape)
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
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), _FILE_IDENTIFIER)
        return SceneTwin(bytes(builder.Output()), *window, step)

    def _extents(self, pixels: _Extent) -> dict[int, _Extent]:
        """Follow the input to the first operator that must see tile by tile."""
        extents = {int(self._graph.inputs[0]): pixels}
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
        traced = {int(self._graph.inputs[0])}
        for operator in operators:
            if traced & _indices(operator.inputs):
                traced |= _indices(operator.outputs)
        for shared in range(len(operators) - 1, 0, -1):
            rest = operators[shared:]
            read = traced & set().union(*(_indices(operator.inputs) for operator in rest))
            read -= set().union(*(_indices(operator.outputs) for operator in rest))
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
        kind, first = self._kind(operator), read[0]
        if kind in _ELEMENTWISE and all(other == first for other in read):
            return first
        if kind == "STRIDED_SLICE":
            return self._cropped(operator, first)[0]
        options = operator.builtinOptions
        if kind in _CONVOLUTIONS:
            values, weights = (self._graph.tensors[operator.inputs[n]] for n in (0, 1))
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
        begin, end = (self._constant(int(operator.inputs[n])) for n in (1, 2))
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
        self._widen(int(self._graph.inputs[0]), extents)
        for operator in operators:
            if int(operator.outputs[0]) not in extents:
                continue
            if self._kind(operator) == "STRIDED_SLICE":
                _, ends = self._cropped(operator, extents[int(operator.inputs[0])])
                operator.inputs = [
                    *operator.inputs[:2],
                    self._add_constant("ends", ends),
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
        flat = self._add_like(features, [prod(extent.window), channels])
        tiles = self._add_like(features, [*places.shape, channels])
        options = self._schema.GatherOptionsT()
        options.axis = 0
        inputs = [flat, self._add_constant("places", places)]
        return [
            self._reshaping(features, flat),
            self._operator("GATHER", "GatherOptions", options, inputs, tiles),
        ]

    def _see_tile_by_tile(
        self, operators: list[Any], features: int, tiles: int, count: int
    ) -> None:
        """Let the rest of the operators see a batch of tiles instead of one."""
        batch = {features}
        for operator in operators:
            if not batch & _indices(operator.inputs):
                continue  # Weights that are unpacked.
            kind = self._kind(operator)
            if kind not in _TILE_BY_TILE:
                raise _NoTwinError(f"it has a layer {kind} that may not see tile by tile")
            batch |= _indices(operator.outputs)
            operator.inputs = [tiles if index == features else index for index in operator.inputs]
            for index in map(int, operator.outputs):
                self._set_shape(index, [count, *self._graph.tensors[index].shape[1:]])

    def _arrange_answers(self, grid: tuple[int, int]) -> Any:
        """Put the answers in rows and columns, and make them the output."""
        graph = self._graph
        answer = int(graph.outputs[0])
        arranged = self._add_like(answer, [1, *grid, self._channels(answer)])
        graph.outputs = [arranged]
        for signature in self._model.signatureDefs or []:
            signature.signatureKey = SCENE_SIGNATURE
            for output in signature.outputs:
                output.tensorIndex = arranged
        return self._reshaping(answer, arranged)

    def _reshaping(self, source: int, target: int) -> Any:
        shape = list(map(int, self._graph.tensors[target].shape))
        options = self._schema.ReshapeOptionsT()
        options.newShape = shape
        constant = self._add_constant("shape", np.array(shape, np.int32))
        return self._operator("RESHAPE", "ReshapeOptions", options, [source, constant], target)

    def _operator(
        self, kind: str, options_kind: str, options: Any, inputs: list[int], output: int
    ) -> Any:
        schema = self._schema
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 2 if kind == "GATHER" else 1  # From 2 on, it takes int8.
        self._model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self._model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, [output]
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options_kind)
        return operator

    def _add_like(self, index: int, shape: list[int]) -> int:
        """Add a tensor with the type and scale of another."""
        like, tensor = self._graph.tensors[index], self._schema.TensorT()
        tensor.name = like.name + f"_{len(self._graph.tensors)}".encode()
        tensor.type, tensor.quantization, tensor.buffer = like.type, like.quantization, 0
        tensor.shape = shape
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _add_constant(self, name: str, values: np.ndarray) -> int:
        """Add a constant of int32."""
        buffer, tensor = self._schema.BufferT(), self._schema.TensorT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        tensor.name = f"{name}_{len(self._graph.tensors)}".encode()
        tensor.type = self._schema.TensorType.INT32
        tensor.shape, tensor.buffer = list(values.shape), len(self._model.buffers) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _constant(self, index: int) -> np.ndarray:
        """Return a constant of int32."""
        data = self._model.buffers[self._graph.tensors[index].buffer].data
        return np.frombuffer(bytes(bytearray(data)), np.int32)

    def _set_shape(self, index: int, shape: list[int]) -> None:
        tensor = self._graph.tensors[index]
        tensor.shape, tensor.shapeSignature = shape, None

    def _channels(self, index: int) -> int:
        return int(self._graph.tensors[index].shape[-1])

    def _kind(self, operator: Any) -> str:
        code = self._model.operatorCodes[operator.opcodeIndex]
        return self._names[max(code.builtinCode, code.deprecatedBuiltinCode)]


def _indices(tensors: Any) -> set[int]:
    return set(map(int, tensors))
