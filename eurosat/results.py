"""Answers about many images as files: CSV and JSON, the same from the shell and from the app."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eurosat.atomic import replacing, write_text
from eurosat.classifier import Prediction
from eurosat.errors import EurosatError, cannot_be_written

Answer = tuple[str | Path, Prediction | EurosatError]
"""The path or name of an image, and the prediction or the reason why there is none."""

CSV_COLUMNS = ("path", "class", "confidence", "unsure", "runner_up")
"""The first columns of a CSV file; the classes and the error follow."""


def write_csv(path: Path, class_names: tuple[str, ...], answers: Iterable[Answer]) -> None:
    """Write a row for each image: its class, confidence and so on, all probabilities, or its error.

    Raises:
        EurosatError: The file cannot be written.
    """
    try:
        with (
            replacing(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            writer = csv.writer(file)
            writer.writerow([*CSV_COLUMNS, *class_names, "error"])
            for image, prediction in answers:
                if isinstance(prediction, EurosatError):
                    blanks = [""] * (len(CSV_COLUMNS) - 1 + len(class_names))
                    writer.writerow([image, *blanks, prediction])
                else:
                    writer.writerow(
                        [
                            image,
                            prediction.label,
                            prediction.confidence,
                            prediction.is_unsure,
                            prediction.runner_up,
                            *prediction.probabilities.tolist(),
                            "",
                        ]
                    )
    except OSError as error:
        raise cannot_be_written(path, error) from error


def to_json(answers: Iterable[Answer], top: int) -> str:
    """Return a JSON list with an object for each image: class, confidence, `top` classes, or error.

    Args:
        answers: The images and what was found.
        top: How many of the most probable classes to name.
    """
    return json.dumps([_as_json(*answer, top) for answer in answers], indent=2)


def write_json(path: Path, answers: Iterable[Answer], top: int) -> None:
    """Write what `to_json` returns.

    Raises:
        EurosatError: The file cannot be written.
    """
    try:
        write_text(path, to_json(answers, top) + "\n")
    except OSError as error:
        raise cannot_be_written(path, error) from error


def _as_json(image: str | Path, prediction: Prediction | EurosatError, top: int) -> dict[str, Any]:
    if isinstance(prediction, EurosatError):
        return {"path": str(image), "error": str(prediction)}
    return {
        "path": str(image),
        "class": prediction.label,
        "confidence": prediction.confidence,
        "unsure": prediction.is_unsure,
        "top": [{"class": name, "confidence": share} for name, share in prediction.top(top)],
    }
