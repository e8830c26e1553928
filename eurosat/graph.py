"""A TFLite graph that is rewritten: its tensors and operators looked up, added and packed."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from eurosat.errors import MissingPackageError

_FILE_IDENTIFIER: Final = b"TFL3"

_NOTHING: Final = 0
"""The buffer that is empty, by the format."""

# Where an operator's options are not called after it.
_OPTIONS: Final = {"MEAN": "ReducerOptions"}


class Graph:
    """The first graph of a model, which has one input and one output.

    Attributes:
        schema: LiteRT's description of the format.
        model: A `ModelT` of it; all that is not changed is packed as it was.
    """

    def __init__(self, flatbuffer: bytes) -> None:
        """Unpack a model. The generated code raises errors of many types for a damaged one.

        Raises:
            MissingPackageError: LiteRT's description of the format is not installed.
        """
        try:
            from ai_edge_litert import schema_py_generated as schema
        except ImportError as error:
            raise MissingPackageError(
                "This needs LiteRT's description of the format: run `pip install ai-edge-litert`."
            ) from error
        self.schema: Any = schema
        self.model: Any = schema.ModelT.InitFromPackedBuf(flatbuffer)
        self._graph = self.model.subgraphs[0]
        self._kinds = {
            value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()
        }

    @property
    def operators(self) -> list[Any]:
        """The operators, in the order in which they run."""
        return self._graph.operators

    @operators.setter
    def operators(self, operators: Sequence[Any]) -> None:
        self._graph.operators = list(operators)

    @property
    def input(self) -> int:
        """The tensor that the model is given."""
        return int(self._graph.inputs[0])

    @input.setter
    def input(self, index: int) -> None:
        self._graph.inputs = [index]
        for signature in self.model.signatureDefs or []:
            signature.inputs[0].tensorIndex = index

    @property
    def output(self) -> int:
        """The tensor that the model gives."""
        return int(self._graph.outputs[0])

    @output.setter
    def output(self, index: int) -> None:
        self._graph.outputs = [index]
        for signature in self.model.signatureDefs or []:
            signature.outputs[0].tensorIndex = index

    @property
    def is_one_to_one(self) -> bool:
        """Whether there is one graph, with one input and one output."""
        counts = len(self.model.subgraphs), len(self._graph.inputs), len(self._graph.outputs)
        return counts == (1, 1, 1)

    def tensor(self, index: int) -> Any:
        """Return a tensor by its number."""
        return self._graph.tensors[index]

    def kind(self, operator: Any) -> str:
        """Return what an operator is, such as `"CONV_2D"`."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        return self._kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def constant(self, index: int) -> np.ndarray:
        """Return the values of a constant of int32."""
        data = self.model.buffers[self.tensor(index).buffer].data
        return np.frombuffer(bytes(bytearray(data)), np.int32)

    def traced(self, index: int, operators: Iterable[Any]) -> set[int]:
        """Return the tensors that depend on a tensor, itself included, through some operators."""
        found = {index}
        for operator in operators:
            if found & indices(operator.inputs):
                found |= indices(operator.outputs)
        return found

    def add_like(
        self,
        index: int,
        name: str,
        shape: Sequence[int] | None = None,
        kind: str | None = None,
    ) -> int:
        """Add a tensor like another, and return its number.

        Args:
            index: The other one.
            name: What to call it.
            shape: Another shape, of a fixed batch.
            kind: Another type, which has no scale, such as `"UINT8"`.
        """
        like, tensor = self.tensor(index), self.schema.TensorT()
        number = len(self._graph.tensors)
        tensor.name, tensor.buffer = f"{name}_{number}".encode(), _NOTHING
        tensor.type, tensor.quantization = like.type, like.quantization
        tensor.shape, tensor.shapeSignature = list(like.shape), like.shapeSignature
        if shape is not None:
            tensor.shape, tensor.shapeSignature = list(shape), None
        if kind is not None:
            tensor.type, tensor.quantization = getattr(self.schema.TensorType, kind), None
        self._graph.tensors.append(tensor)
        return number

    def add_constant(self, name: str, values: Sequence[int] | np.ndarray) -> int:
        """Add a constant of int32, and return its number."""
        array = np.asarray(values, np.int32)
        buffer, tensor = self.schema.BufferT(), self.schema.TensorT()
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        number = len(self._graph.tensors)
        tensor.name, tensor.shape = f"{name}_{number}".encode(), list(array.shape)
        tensor.type = self.schema.TensorType.INT32
        tensor.buffer = len(self.model.buffers) - 1
        self._graph.tensors.append(tensor)
        return number

    def operator(
        self, kind: str, inputs: Sequence[int], output: int, *, version: int = 1, **options: Any
    ) -> Any:
        """Make an operator, which is to be put in its place among the others.

        Args:
            kind: What it does, such as `"RESHAPE"`.
            inputs: The tensors that it reads.
            output: The tensor that it gives.
            version: Which version of the operator it is.
            options: Its options, as the format names them.
        """
        code = self.schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(self.schema.BuiltinOperator, kind)
        code.version = version
        self.model.operatorCodes.append(code)
        operator = self.schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = list(inputs), [output]
        name = _OPTIONS.get(kind, kind.title().replace("_", "") + "Options")
        operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, name)
        operator.builtinOptions = getattr(self.schema, name + "T")()
        for option, value in options.items():
            setattr(operator.builtinOptions, option, value)
        return operator

    def packed(self) -> bytes:
        """Return the model as a TFLite FlatBuffer.

        Tensors are put on addresses that are multiples of 16, as the schema of TFLite demands and
        the Python code of the converter does not keep.
        """
        import flatbuffers

        class AlignedBuilder(flatbuffers.Builder):
            """A builder that begins each vector of bytes at a multiple of 16."""

            def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
                return super().StartVector(elemSize, numElems, 16 if elemSize == 1 else alignment)

        builder = AlignedBuilder(1 << 20)
        builder.Finish(self.model.Pack(builder), _FILE_IDENTIFIER)
        return bytes(builder.Output())


def indices(tensors: Iterable[Any]) -> set[int]:
    """Return the numbers of the tensors that an operator reads or gives."""
    return set(map(int, tensors))
