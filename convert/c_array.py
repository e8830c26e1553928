"""An int8 model as C source, for runtimes of microcontrollers that have no files."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eurosat.atomic import write_text
from eurosat.calibration import softmax
from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError, cannot_be_written
from eurosat.graph import Graph
from eurosat.runtime import open_model
from eurosat.views import seen_from

BYTES_IN_A_LINE = 16

# Integer kernels give the same integers wherever they run; only the float softmax may round.
LARGEST_DIFFERENCE = 1e-5

HEADER = """\
/* {title}: {description}
 *
 * Input:  int8 [1, {height}, {width}, 3], an RGB tile; each value is the pixel, 0 to 255,
 *         minus 128.
 * Output: int8 [1, {count}]; the most probable class has the largest value. A logit is
 *         (value - ({zero_point})) * {scale}. For a calibrated confidence, take the
 *         softmax of the logits divided by {temperature}; below
 *         {unsure_below} an answer is unsure.{views}
 * Operators: {operators}.
 */
#ifndef {guard}
#define {guard}

#include <stddef.h>

#define {macro}_HEIGHT {height}
#define {macro}_WIDTH {width}
#define {macro}_CLASS_COUNT {count}
#define {macro}_OUTPUT_SCALE {scale}f
#define {macro}_OUTPUT_ZERO_POINT ({zero_point})

#ifdef __cplusplus
extern "C" {{
#endif

/* A TFLite FlatBuffer, aligned to 16 bytes. */
extern const unsigned char {name}[];
extern const size_t {name}_size;

extern const char *const {name}_classes[{macro}_CLASS_COUNT];

#ifdef __cplusplus
}}
#endif

#endif
"""

VIEWS = """
 *         Temperature and threshold were fitted to the mean of {views} flips and turns of a
 *         tile; this model sees the tile as it is alone."""
"""What the header of a model says that has fewer views than the file which it comes from."""

SOURCE = """\
#include "{stem}.h"

#include <stdalign.h>

alignas(16) const unsigned char {name}[] = {{
{lines}
}};
const size_t {name}_size = sizeof({name});

const char *const {name}_classes[{macro}_CLASS_COUNT] = {{
{classes}
}};
"""


@dataclass(frozen=True)
class IntegerModel:
    """The part of a model that computes in integers, from the pixels to the logits.

    Attributes:
        flatbuffer: A TFLite model with int8 input and output, without anything appended.
        operators: The kinds of its operators, as runtimes of microcontrollers want them named.
        scale: Logit = (value - `zero_point`) * `scale`.
        zero_point: See `scale`.
    """

    flatbuffer: bytes
    operators: tuple[str, ...]
    scale: float
    zero_point: int


def write_c_array(path: Path, tiles: np.ndarray) -> tuple[Path, Path]:
    """Write an int8 model file as a `.c` and a `.h` file beside it.

    Args:
        path: A model file that `eurosat-convert --int8` wrote.
        tiles: uint8 RGB `[n, 64, 64, 3]`; on these the integers must give the file's own answers.

    Returns:
        The two files.

    Raises:
        ModelFileError: The model does not compute in int8, or its integers say something else.
        EurosatError: A file cannot be written.
    """
    whole = Classifier(path, is_calibrated=False)
    classifier = whole.one_view
    metadata = whole.metadata
    if metadata is None:
        raise ModelFileError(f"{path} is not a file of eurosat-convert: convert a run.")
    model = integer_part(path, classifier.model_file.flatbuffer)
    _verify(path, model, classifier, tiles)
    name = "".join(letter if letter.isalnum() else "_" for letter in path.stem)
    facts = {
        "title": metadata.title,
        "description": metadata.description.replace(seen_from(metadata.views), ""),
        "height": metadata.height,
        "width": metadata.width,
        "count": len(metadata.class_names),
        "scale": repr(model.scale),
        "zero_point": model.zero_point,
        "temperature": metadata.temperature,
        "unsure_below": metadata.unsure_below,
        "views": VIEWS.format(views=metadata.views) if metadata.views > 1 else "",
        "operators": ", ".join(model.operators),
        "guard": f"{name.upper()}_H",
        "macro": name.upper(),
        "name": name,
        "stem": path.stem,
        "lines": _lines(model.flatbuffer),
        "classes": "\n".join(
            f"    {json.dumps(label, ensure_ascii=False)}," for label in metadata.class_names
        ),
    }
    source, header = c_paths(path)
    for file, text in ((header, HEADER), (source, SOURCE)):
        try:
            write_text(file, text.format(**facts))
        except OSError as error:
            raise cannot_be_written(file, error) from error
    return source, header


def c_paths(path: Path) -> tuple[Path, Path]:
    """Return where the `.c` and the `.h` file of a model file stand."""
    return path.with_suffix(".c"), path.with_suffix(".h")


def integer_part(path: Path, flatbuffer: bytes) -> IntegerModel:
    """Cut off what is not int8: the step from uint8 at the start, the softmax at the end.

    Args:
        path: How the error names the model.
        flatbuffer: A model that `export` made.

    Raises:
        ModelFileError: The model does not compute in int8.
    """
    graph = Graph(flatbuffer)
    first, *inner, dequantise, last = graph.operators
    kinds = tuple(map(graph.kind, (first, dequantise, last)))
    if kinds != ("QUANTIZE", "DEQUANTIZE", "SOFTMAX"):
        raise ModelFileError(f"{path} does not compute in int8 throughout: convert with --int8.")
    graph.operators = inner
    graph.input, graph.output = int(first.outputs[0]), int(dequantise.inputs[0])
    graph.model.signatureDefs = []
    graph.model.metadata = []
    logits = graph.tensor(graph.output).quantization
    return IntegerModel(
        flatbuffer=graph.packed(),
        operators=tuple(sorted({graph.kind(operator) for operator in inner})),
        scale=float(logits.scale[0]),
        zero_point=int(logits.zeroPoint[0]),
    )


def _verify(path: Path, model: IntegerModel, classifier: Classifier, tiles: np.ndarray) -> None:
    """Compare the integers with the file that they were cut from."""
    opened = open_model(model.flatbuffer, str(path))
    pixels = (tiles.astype(np.int16) - 128).astype(np.int8)
    values = np.concatenate([opened.run(tile[np.newaxis]) for tile in pixels])
    logits = (values.astype(np.float64) - model.zero_point) * model.scale
    difference = np.abs(softmax(logits) - classifier.classify_batch(tiles)).max()
    if not difference < LARGEST_DIFFERENCE:
        raise ModelFileError(
            f"The integers of {path} give probabilities that are off by {difference:.2g}: no C "
            "files are written."
        )


def _lines(content: bytes) -> str:
    starts = range(0, len(content), BYTES_IN_A_LINE)
    return "\n".join(
        "    " + "".join(f"0x{byte:02x}," for byte in content[start : start + BYTES_IN_A_LINE])
        for start in starts
    )
