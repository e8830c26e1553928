"""The scene twin of a model: the same layers over a large window, with a grid of answers.

Neighbouring windows of a scene share most of their pixels. A model that is convolutional up to its
average can be run over all of them at once: its convolutions are applied to a large window, and the
average, which took a whole tile, moves over the features (Long et al. 2015, "Fully convolutional
networks for semantic segmentation"). The twin is made out of the model file: its weights, and the
scales of its integers, are those of the file to the last bit.

A convolution that pads sees zeros beyond the rim of a tile, and the real neighbours in the twin.
So the answers are those of the tile model only if no layer pads; `SceneTwin.reach` tells.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from eurosat.errors import MissingPackageError, ModelFileError
from eurosat.model_file import ModelFile, printable
from eurosat.probe import SCENE_SIGNATURE

_PASSED_THROUGH: Final = frozenset(
    {"QUANTIZE", "DEQUANTIZE", "CAST", "ADD", "MUL", "SUB", "RELU", "RELU6", "SOFTMAX"}
)
"""Operators that treat every place alike."""

_SAME: Final = 0
_VALID: Final = 1
_LARGEST_INT8: Final = 127
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
        reach: How far beyond a tile its answer may look, in pixels. If it is 0, answers are those
            of the tile model. Else they are not quite, and those for tiles nearer than this to a
            rim of the window see the zeros behind it.
    """

    flatbuffer: bytes
    height: int
    width: int
    step: int
    reach: int

    @property
    def is_exact(self) -> bool:
        """Whether the answers are those of the tile model."""
        return self.reach == 0


def make_twin(model_file: ModelFile, height: int, width: int, step: int | None = None) -> SceneTwin:
    """Make the scene twin of a model.

    Args:
        model_file: A model of ours, of full integers or of floats.
        height: Height of the large window in pixels; rounded down to whole steps, and at least
            that of a tile.
        width: Width, likewise.
        step: Pixels from a tile to the next. Without it the smallest, which divides all others: the
            product of the model's strides.

    Raises:
        ModelFileError: The model has layers that do not treat every place alike, such as one that
            resizes its input; or there is no such step.
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
        rewriting = _Rewriting(schema, model)
        rewriting.enlarge(height, width, step)
        return rewriting.twin()
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
    """What a tensor covers.

    Attributes:
        tile: Its rows and columns in the tile model.
        window: Its rows and columns in the twin.
        jump: Pixels of the window from one of its rows to the next.
        reach: How many pixels beyond the tile its values depend on in the twin.
    """

    tile: tuple[int, int]
    window: tuple[int, int]
    jump: int
    reach: int


class _Rewriting:
    """A graph on its way from a tile to a large window, operator by operator.

    The twins of a model differ only in the shapes of tensors, apart from the average, which
    becomes a convolution (integers) or a pooling (floats), and from dense layers, which become
    convolutions of one pixel.
    """

    def __init__(self, schema: Any, model: Any) -> None:
        self._schema = schema
        self._model = model
        self._graph = model.subgraphs[0]
        self._names = {
            value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()
        }
        self._extents: dict[int, _Extent] = {}
        self._step = self._total_stride()

    def enlarge(self, height: int, width: int, step: int | None) -> None:
        """Give every tensor the shape that it has for a large window."""
        graph = self._graph
        if len(self._model.subgraphs) != 1 or len(graph.inputs) != 1 or len(graph.outputs) != 1:
            raise _NoTwinError("it does not have one input and one output")
        pixels = int(graph.inputs[0])
        _, rows, columns, _ = map(int, graph.tensors[pixels].shape)
        if step is not None:
            if step % self._step:
                raise _NoTwinError(f"its tiles stand every {self._step} pixels, not every {step}")
            self._step = step
        step = self._step
        window = (
            rows + max(0, height - rows) // step * step,
            columns + max(0, width - columns) // step * step,
        )
        self._extents[pixels] = _Extent((rows, columns), window, 1, 0)
        for operator in graph.operators:
            read = [
                self._extents[index] for index in map(int, operator.inputs) if self._is_in(index)
            ]
            if not read:
                continue  # Weights that are unpacked.
            self._extents[int(operator.outputs[0])] = self._enlarged(operator, read)
        for index, extent in self._extents.items():
            tensor = graph.tensors[index]
            tensor.shape = [1, *extent.window, int(tensor.shape[-1])]
            tensor.shapeSignature = None
        for signature in self._model.signatureDefs or []:
            signature.signatureKey = SCENE_SIGNATURE

    def twin(self) -> SceneTwin:
        """Return what was made."""
        import flatbuffers

        graph = self._graph
        pixels = self._extents[int(graph.inputs[0])]
        answer = self._extents[int(graph.outputs[0])]
        rows, columns = (
            (window - tile) // answer.jump + 1
            for window, tile in zip(pixels.window, pixels.tile, strict=True)
        )
        if answer.tile != (1, 1) or answer.window != (rows, columns):
            raise _NoTwinError("its layers do not fit a larger window")
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self._model.Pack(builder), _FILE_IDENTIFIER)
        return SceneTwin(bytes(builder.Output()), *pixels.window, answer.jump, answer.reach)

    def _is_in(self, index: int) -> bool:
        return index in self._extents

    def _kind(self, operator: Any) -> str:
        code = self._model.operatorCodes[operator.opcodeIndex]
        return self._names[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def _total_stride(self) -> int:
        """Return the product of the strides along the longest way through the graph."""
        jumps: dict[int, int] = {}
        for operator in self._graph.operators:
            before = max((jumps.get(int(index), 1) for index in operator.inputs), default=1)
            stride = getattr(operator.builtinOptions, "strideH", 1)
            jumps[int(operator.outputs[0])] = before * stride
        return max(jumps.values())

    def _enlarged(self, operator: Any, read: list[_Extent]) -> _Extent:
        """Fit an operator to the extents that it reads; return the extent of its output."""
        kind = self._kind(operator)
        first = read[0]
        if any(other.window != first.window for other in read):
            raise _NoTwinError("its branches do not fit each other")
        if kind in _PASSED_THROUGH:
            reach = max(extent.reach for extent in read)
            return _Extent(first.tile, first.window, first.jump, reach)
        if kind in {"CONV_2D", "DEPTHWISE_CONV_2D"}:
            self._check_weights(operator)
            kernel = self._graph.tensors[operator.inputs[1]].shape[1:3]
            return _slid(operator.builtinOptions, kernel, first)
        if kind in {"AVERAGE_POOL_2D", "MAX_POOL_2D"}:
            options = operator.builtinOptions
            return _slid(options, (options.filterHeight, options.filterWidth), first)
        if kind == "STRIDED_SLICE":
            return self._cropped(operator, first)
        if kind == "MEAN":
            return self._averaged(operator, first)
        if kind == "FULLY_CONNECTED":
            self._check_weights(operator)
            self._make_convolution(operator)
            return first
        raise _NoTwinError(f"it has a layer {kind} that does not treat every place alike")

    def _check_weights(self, operator: Any) -> None:
        """Refuse layers whose scale is measured on what they are given, as it differs by window."""
        values, weights = (self._graph.tensors[operator.inputs[n]].type for n in (0, 1))
        if values != weights:
            raise _NoTwinError("its weights and its values are of different types")

    def _cropped(self, operator: Any, extent: _Extent) -> _Extent:
        """Cut off as much at the end of a large window as at that of a tile."""
        begin, end = (self._constant(operator.inputs[n]) for n in (1, 2))
        options = operator.builtinOptions
        kept = [
            (
                0 if options.beginMask >> axis & 1 else int(begin[axis]),
                0 if options.endMask >> axis & 1 else int(end[axis]),
            )
            for axis in (1, 2)
        ]
        tile, window, new_end = [], [], [int(value) for value in end]
        for axis, (first, last) in enumerate(kept):
            cut = -last if last <= 0 else extent.tile[axis] - last
            tile.append(extent.tile[axis] - cut - first)
            window.append(extent.window[axis] - cut - first)
            if last > 0:
                new_end[axis + 1] = extent.window[axis] - cut
        ends = np.array(new_end, np.int32)
        constant = self._add_constant("ends", ends, self._schema.TensorType.INT32)
        operator.inputs = [*operator.inputs[:2], constant, *operator.inputs[3:]]
        return _Extent((tile[0], tile[1]), (window[0], window[1]), extent.jump, extent.reach)

    def _averaged(self, operator: Any, extent: _Extent) -> _Extent:
        """Let the average over all features of a tile move over those of the window."""
        schema, graph = self._schema, self._graph
        if sorted(self._constant(operator.inputs[1]).tolist()) != [1, 2]:
            raise _NoTwinError("its average is not one over rows and columns")
        rows, columns = extent.tile
        stride = self._step // extent.jump
        source = graph.tensors[operator.inputs[0]]
        if source.type == schema.TensorType.INT8:
            # A pooling cannot change the scale, as the average does: a convolution can.
            channels = int(source.shape[-1])
            scale = 1 / (rows * columns * _LARGEST_INT8)
            weights = np.full((1, rows, columns, channels), _LARGEST_INT8, np.int8)
            kernel = self._add_constant(
                "average", weights, schema.TensorType.INT8, [scale] * channels
            )
            operator.inputs = [operator.inputs[0], kernel, -1]
            self._add_bias(operator, channels)
            options = schema.DepthwiseConv2DOptionsT()
            options.depthMultiplier = options.dilationHFactor = options.dilationWFactor = 1
            self._become(operator, "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", options, stride)
        else:
            operator.inputs = [operator.inputs[0]]
            options = schema.Pool2DOptionsT()
            options.filterHeight, options.filterWidth = rows, columns
            self._become(operator, "AVERAGE_POOL_2D", "Pool2DOptions", options, stride)
        return _slid(options, extent.tile, extent)

    def _make_convolution(self, operator: Any) -> None:
        """Make a dense layer a convolution of one pixel, which has the same weights."""
        weights = self._graph.tensors[operator.inputs[1]]
        outputs, inputs = map(int, weights.shape)
        weights.shape = [outputs, 1, 1, inputs]
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            self._add_bias(operator, outputs)
        options = self._schema.Conv2DOptionsT()
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = operator.builtinOptions.fusedActivationFunction
        self._become(operator, "CONV_2D", "Conv2DOptions", options, stride=1)

    def _add_bias(self, operator: Any, channels: int) -> None:
        """Give an operator the bias of zeros that a convolution must have."""
        types = self._schema.TensorType
        source, weights = (self._graph.tensors[operator.inputs[n]] for n in (0, 1))
        if source.type == types.INT8:
            scales = np.broadcast_to(np.array(weights.quantization.scale), channels)
            scales = (scales * source.quantization.scale[0]).tolist()
            bias = self._add_constant("no_bias", np.zeros(channels, np.int32), types.INT32, scales)
        else:
            bias = self._add_constant("no_bias", np.zeros(channels, np.float32), types.FLOAT32)
        operator.inputs = [*operator.inputs[:2], bias]

    def _become(
        self, operator: Any, kind: str, options_kind: str, options: Any, stride: int
    ) -> None:
        """Turn an operator into one that steps from place to place without padding."""
        schema = self._schema
        options.padding, options.strideH, options.strideW = _VALID, stride, stride
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options_kind)
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        # Of a convolution, the first with int8 values and a scale for each channel.
        code.version = 2 if kind == "AVERAGE_POOL_2D" else 3
        self._model.operatorCodes.append(code)
        operator.opcodeIndex = len(self._model.operatorCodes) - 1

    def _constant(self, index: int) -> np.ndarray:
        """Return a constant of int32."""
        data = self._model.buffers[self._graph.tensors[index].buffer].data
        return np.frombuffer(bytes(bytearray(data)), np.int32)

    def _add_constant(
        self, name: str, values: np.ndarray, kind: int, scales: list[float] | None = None
    ) -> int:
        """Add a constant tensor, with a scale for each entry of its last axis if it has scales."""
        schema = self._schema
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        tensor = schema.TensorT()
        tensor.name = name.encode()
        tensor.type = kind
        tensor.shape = list(values.shape)
        tensor.buffer = len(self._model.buffers) - 1
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = [0] * values.shape[-1]
            tensor.quantization.quantizedDimension = values.ndim - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1


def _slid(options: Any, kernel: Any, extent: _Extent) -> _Extent:
    """Return the extent behind something that slides over rows and columns."""
    stride, reach = options.strideH, extent.reach
    if options.padding == _SAME:
        # The zeros of a tile stand before, after or on both sides; here the worst case is taken.
        rows, columns = ([-(-n // stride) for n in shape] for shape in (extent.tile, extent.window))
        needed = max(0, (rows[0] - 1) * stride + int(kernel[0]) - extent.tile[0])
        reach += -(-needed // 2) * extent.jump if stride == 1 else needed * extent.jump
    else:
        rows, columns = (
            [(n - int(size)) // stride + 1 for n, size in zip(shape, kernel, strict=True)]
            for shape in (extent.tile, extent.window)
        )
    return _Extent((rows[0], rows[1]), (columns[0], columns[1]), extent.jump * stride, reach)
