"""The model as C source: it compiles, holds the model's bytes, and answers as the file does."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from eurosat.classifier import Classifier
from eurosat.convert.c_array import integer_part, write_c_array
from eurosat.errors import ModelFileError
from eurosat.graph import Graph
from eurosat.model_file import read_model_file
from eurosat.runtime import open_model

PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include "cnn-int8.h"

int main(void) {
  fprintf(stderr, "%d %s %d", (int)((uintptr_t)cnn_int8 % 16), cnn_int8_classes[1],
          CNN_INT8_OUTPUT_ZERO_POINT);
  return fwrite(cnn_int8, 1, cnn_int8_size, stdout) != cnn_int8_size;
}
"""


@pytest.fixture
def model(small_models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(small_models / "cnn-int8.tflite", tmp_path))


@pytest.fixture(scope="module")
def tiles() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("compiler", [["cc", "-std=c11"], ["c++", "-x", "c++"]])
def test_the_source_compiles_and_holds_the_integer_model(
    compiler: list[str], model: Path, tiles: np.ndarray
) -> None:
    source, header = write_c_array(model, tiles)
    assert (source.name, header.name) == ("cnn-int8.c", "cnn-int8.h")
    folder = model.parent
    (folder / "main.c").write_text(PROGRAM)
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
    # The array is C; a program in C++ finds it too.
    subprocess.run(["cc", "-std=c11", *strict, "-c", source.name], cwd=folder, check=True)
    subprocess.run([*compiler, *strict, "-c", "main.c"], cwd=folder, check=True)
    subprocess.run(["cc", "main.o", "cnn-int8.o", "-o", "main"], cwd=folder, check=True)
    done = subprocess.run([folder / "main"], capture_output=True, check=True)

    classifier = Classifier(model)
    part = integer_part(model, classifier.model_file.flatbuffer)
    assert done.stdout == part.flatbuffer
    assert done.stderr.decode() == f"0 {classifier.class_names[1]} {part.zero_point}"

    metadata = classifier.metadata
    assert metadata is not None
    comment = re.sub(r"\n \* +", " ", header.read_text(encoding="utf-8"))
    assert f"A logit is (value - ({part.zero_point})) * {part.scale}. " in comment
    assert (
        f"the softmax of the logits divided by {metadata.temperature}; below "
        f"{metadata.unsure_below} an answer is unsure. Operators: " in comment
    )


def test_the_integers_name_the_same_classes_as_the_file(model: Path, tiles: np.ndarray) -> None:
    classifier = Classifier(model)
    part = integer_part(model, classifier.model_file.flatbuffer)
    opened = open_model(part.flatbuffer, "model")
    assert (opened.input.dtype, opened.output.dtype) == (np.int8, np.int8)
    for tile, probabilities in zip(tiles, classifier.classify_batch(tiles), strict=True):
        values = opened.run((tile.astype(np.int16) - 128).astype(np.int8)[np.newaxis])[0]
        assert values[probabilities.argmax()] == values.max()


def test_tensors_lie_where_the_format_demands(model: Path) -> None:
    part = integer_part(model, read_model_file(model).flatbuffer)
    weights = [buffer.data for buffer in Graph(part.flatbuffer).model.buffers]
    places = [part.flatbuffer.find(data.tobytes()) for data in weights if np.size(data) > 64]
    assert len(places) > 5
    assert {place % 16 for place in places} == {0}


def test_a_model_in_float_is_refused(small_models: Path, tiles: np.ndarray) -> None:
    with pytest.raises(ModelFileError, match="convert with --int8"):
        write_c_array(small_models / "cnn-float32.tflite", tiles)
