"""What a model file costs to run, counted from its graph: multiplications, parameters, memory."""

from dataclasses import dataclass
from math import prod
from typing import Final

import numpy as np

from eurosat.errors import MissingPackageError, ModelFileError
from eurosat.graph import Graph
from eurosat.model_file import ModelFile

_WEIGHTED: Final = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})


@dataclass(frozen=True)
class Arithmetic:
    """The cost of one tile, whatever the device.

    Attributes:
        multiplications: Multiply-accumulate operations of convolutions and dense layers.
        parameters: Numbers in the weights and biases of these; normalisations are folded in.
        peak_activation_bytes: The most memory that the values between operators take at once,
            without the weights and without anything that a runtime adds.
        file_bytes: The size of the file.
    """

    multiplications: int
    parameters: int
    peak_activation_bytes: int
    file_bytes: int


def count_arithmetic(model_file: ModelFile) -> Arithmetic:
    """Count what a model costs.

    Args:
        model_file: A model file that has been read.

    Raises:
        ModelFileError: The graph cannot be read.
        MissingPackageError: LiteRT's description of the format is not installed.
    """
    # The generated code raises errors of many types for a damaged graph.
    try:
        graph = Graph(model_file.flatbuffer)
        multiplications = parameters = 0
        for operator in graph.operators:
            if graph.kind(operator) in _WEIGHTED:
                weights = graph.tensor(operator.inputs[1]).shape
                outputs = graph.tensor(operator.outputs[0]).shape
                # Each output is a sum over the weights of its channel, which stands first in the
                # weights of a convolution or dense layer, and last in those of a depthwise one.
                multiplications += prod(outputs) * (prod(weights) // outputs[-1])
                # Absent inputs are -1: layers without a bias.
                held = [index for index in operator.inputs[1:] if index >= 0]
                parameters += sum(prod(graph.tensor(index).shape) for index in held)
        peak = _peak_activation_bytes(graph)
    except MissingPackageError:
        raise
    except Exception as error:
        raise ModelFileError(
            f"{model_file.path} has a graph that cannot be counted: convert it again."
        ) from error
    return Arithmetic(int(multiplications), int(parameters), peak, model_file.size_bytes)


def _peak_activation_bytes(graph: Graph) -> int:
    """Return the largest sum of the tensors that are alive while one operator runs."""
    names = {value: name for name, value in vars(graph.schema.TensorType).items() if name.isupper()}

    def size(index: int) -> int:
        tensor = graph.tensor(index)
        name = names[tensor.type].lower()
        width = 1 if name == "bool" else np.dtype(name).itemsize
        return int(prod(tensor.shape)) * width

    def is_constant(index: int) -> bool:
        return index < 0 or graph.model.buffers[graph.tensor(index).buffer].data is not None

    last_use = {graph.output: len(graph.operators)}
    for position, operator in enumerate(graph.operators):
        for index in operator.inputs:
            last_use[int(index)] = max(position, last_use.get(int(index), position))
    alive = {graph.input}
    peak = 0
    for position, operator in enumerate(graph.operators):
        alive |= {int(index) for index in operator.outputs}
        peak = max(peak, sum(size(index) for index in alive if not is_constant(index)))
        alive = {index for index in alive if last_use.get(index, position) > position}
    return peak
