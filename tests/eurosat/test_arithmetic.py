"""What a model costs: the counts of a small network whose arithmetic stands beside them."""

from pathlib import Path

import pytest

from eurosat.arithmetic import Arithmetic, count_arithmetic
from eurosat.errors import ModelFileError
from eurosat.model_file import read_model_file, shipped_model_names, shipped_model_path

from .model_fixtures import busy_model

# 3x3 convolution to 16 channels of 16 x 16, depthwise 3x3 to 8 x 8, 1x1 to 24 channels, 10 classes.
MULTIPLICATIONS = 16 * 16 * 16 * 27 + 8 * 8 * 16 * 9 + 8 * 8 * 24 * 16 + 24 * 10
# The bias of the last layer is zero, and the converter leaves it out.
PARAMETERS = (27 * 16 + 16) + (9 * 16 + 16) + (16 * 24 + 24) + 24 * 10
# While the depthwise layer runs, with its input and its output at hand.
PEAK_VALUES = 16 * 16 * 16 + 8 * 8 * 16


@pytest.mark.parametrize(("precision", "bytes_each"), [("float32", 4), ("int8", 1)])
def test_the_cost_of_a_small_network_is_counted(
    precision: str, bytes_each: int, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(busy_model(precision))
    assert count_arithmetic(read_model_file(path)) == Arithmetic(
        multiplications=MULTIPLICATIONS,
        parameters=PARAMETERS,
        peak_activation_bytes=bytes_each * PEAK_VALUES,
        file_bytes=path.stat().st_size,
    )


def test_a_shipped_model_holds_its_parameters_in_a_byte_each() -> None:
    for name in shipped_model_names():
        counted = count_arithmetic(read_model_file(shipped_model_path(name)))
        assert 0.8 < counted.parameters / counted.file_bytes < 1.0


def test_a_damaged_graph_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x10\x00\x00\x00TFL3" + bytes(64))
    with pytest.raises(ModelFileError, match="cannot be counted"):
        count_arithmetic(read_model_file(path))
