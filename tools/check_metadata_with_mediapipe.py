"""Reads a model file with MediaPipe, which shares no code with EuroSAT Edge.

MediaPipe has its own reader of TFLite metadata and its own way from an image to classes. It is
large and needs other versions of packages, so it gets an environment of its own:

    python -m venv mediapipe-environment
    mediapipe-environment/bin/pip install mediapipe==1.2.3
    mediapipe-environment/bin/python tools/check_metadata_with_mediapipe.py MODEL.tflite IMAGE.png

The image should have the size of the model's input, as MediaPipe resizes in a way of its own. On
Linux MediaPipe needs the system libraries libEGL and libGLESv2.

One JSON object is printed: the name of the model, the name of its input, the files that its
metadata lists for the output, and the classes with their scores, the best first. The exit status
is 0 if `--expect` was not given or names the best class, else 1. `tests/eurosat/test_model_file.py`
runs this script and compares the answer with that of `eurosat.classifier`.
"""

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path

EXIT_REFUSED = 2


def read_description(model: Path) -> dict[str, object]:
    """Read the metadata inside a model file with the code that MediaPipe generated for it.

    Args:
        model: The `.tflite` file.

    Returns:
        The name of the model, the name of its input, and the files listed for its output.
    """
    from mediapipe.tasks.metadata import (  # pyright: ignore[reportMissingImports]
        metadata_schema_py_generated as metadata_schema,
    )
    from mediapipe.tasks.metadata import (  # pyright: ignore[reportMissingImports]
        schema_py_generated as model_schema,
    )

    root = model_schema.Model.GetRootAs(model.read_bytes(), 0)
    entries = [root.Metadata(index) for index in range(root.MetadataLength())]
    (buffer,) = [entry.Buffer() for entry in entries if entry.Name() == b"TFLITE_METADATA"]
    content = root.Buffers(buffer).DataAsNumpy().tobytes()
    assert metadata_schema.ModelMetadata.ModelMetadataBufferHasIdentifier(content, 0)
    metadata = metadata_schema.ModelMetadata.GetRootAs(content, 0)
    subgraph = metadata.SubgraphMetadata(0)
    output = subgraph.OutputTensorMetadata(0)
    files = [output.AssociatedFiles(index) for index in range(output.AssociatedFilesLength())]
    return {
        "name": metadata.Name().decode(),
        "input": subgraph.InputTensorMetadata(0).Name().decode(),
        "output_files": [entry.Name().decode() for entry in files],
    }


def classify(model: Path, image: Path) -> list[tuple[str, float]]:
    """Classify an image with MediaPipe's own task.

    Args:
        model: The `.tflite` file.
        image: A PNG or JPEG file.

    Returns:
        All classes with their scores, the best first.
    """
    import mediapipe  # pyright: ignore[reportMissingImports]
    from mediapipe.tasks.python import BaseOptions  # pyright: ignore[reportMissingImports]
    from mediapipe.tasks.python.vision import (  # pyright: ignore[reportMissingImports]
        ImageClassifier,
        ImageClassifierOptions,
    )

    options = ImageClassifierOptions(base_options=BaseOptions(model_asset_path=str(model)))
    with ImageClassifier.create_from_options(options) as classifier:
        result = classifier.classify(mediapipe.Image.create_from_file(str(image)))
    return [(entry.category_name, entry.score) for entry in result.classifications[0].categories]


def main() -> int:
    """Print what MediaPipe makes of a model file and an image; return the exit status."""
    parser = argparse.ArgumentParser(description="Read a model file with MediaPipe.")
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--expect", metavar="CLASS", help="fail unless this class is the best")
    arguments = parser.parse_args()
    # Installed only where this script runs.
    if find_spec("mediapipe") is None:
        print("MediaPipe is missing: pip install mediapipe==1.2.3.", file=sys.stderr)
        return EXIT_REFUSED
    classes = classify(arguments.model, arguments.image)
    print(json.dumps(read_description(arguments.model) | {"classes": classes}))
    return 0 if arguments.expect in {None, classes[0][0]} else 1


if __name__ == "__main__":
    sys.exit(main())
