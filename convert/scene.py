"""The scene twin of an exported model as a file of its own, for runtimes other than ours.

`eurosat-map` needs no such file: it makes the twin out of the model file.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError
from eurosat.model_file import ModelFile, ModelMetadata, write_model_file
from eurosat.scenes.cells import label_cells
from eurosat.scenes.dense import DenseClassifier
from eurosat.scenes.twin import SceneTwin, make_twin
from eurosat.scenes.windows import Rows, WindowGrid, one_by_one

SIDE: Final = 640
"""Height and width of the large window, in pixels."""

STRIDE: Final = 16
"""Pixels from an answer to the next; the labels are compared at the same stride."""

_MOSAIC_TILES: Final = 144


@dataclass(frozen=True)
class SceneExport:
    """A scene twin and how it compares with the tile model.

    Attributes:
        path: The file; not there if `is_refused`.
        side: Height and width of its window, in pixels.
        step: Pixels from an answer to the next.
        agreement: Share of the cells of a mosaic of validation tiles whose most probable class is
            that of single windows, at stride `STRIDE`, 0 to 1.
        cells: The number of these cells.
        is_refused: Whether the agreement is too low.
    """

    path: Path
    side: int
    step: int
    agreement: float
    cells: int
    is_refused: bool


def export_scene(model: Path, tiles: np.ndarray, labels: np.ndarray, least: float) -> SceneExport:
    """Write the scene twin of a model file beside it, if it says the same.

    Args:
        model: A model file of ours.
        tiles: uint8 RGB [n, 64, 64, 3]: validation tiles.
        labels: int64 [n]: their classes.
        least: The agreement that is asked for, 0 to 1.

    Raises:
        ModelFileError: The model has no twin, or the folder cannot be written to.
    """
    classifier = Classifier(model).one_view
    metadata = classifier.metadata
    if metadata is None:
        raise ModelFileError(f"{model} is not one of ours.")
    path = twin_path(model)
    try:
        path.unlink(missing_ok=True)  # An older model's twin is none of this one.
        twin = make_twin(classifier.model_file, SIDE, SIDE, STRIDE)
        agreement, cells = measure_agreement(classifier, mosaic(tiles, labels))
        is_refused = agreement < least
        if not is_refused:
            described = _described(metadata, twin, classifier.model_file, agreement, cells)
            write_model_file(path, twin.flatbuffer, described)
    except OSError as error:
        raise ModelFileError(
            f"{path.parent} cannot be written to ({error.strerror}): choose another folder."
        ) from error
    return SceneExport(path, twin.height, twin.step, agreement, cells, is_refused)


def twin_path(model: Path) -> Path:
    """Return where the scene twin of a model file stands."""
    return model.with_name(f"{model.stem}-scene.tflite")


def _described(
    metadata: ModelMetadata, twin: SceneTwin, of: ModelFile, agreement: float, cells: int
) -> ModelMetadata:
    """Return what the file of a twin says about itself."""
    return replace(
        metadata,
        name=f"{metadata.name}-scene",
        title=f"{metadata.title}, scene twin",
        description=(
            f"Land cover of every {metadata.height} x {metadata.width} pixel tile, one every"
            f" {twin.step} pixels, in a window of {twin.height} x {twin.width} pixels."
        ),
        height=twin.height,
        width=twin.width,
        accuracy={"scene": {"agreement": agreement, "cells": cells, "stride": STRIDE}},
        provenance={
            **metadata.provenance,
            "scene_twin": {
                "of": metadata.name,
                "sha256": of.sha256,
                "tile": [metadata.height, metadata.width],
                "step": twin.step,
            },
        },
    )


def mosaic(tiles: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Lay tiles side by side, class by class, in a square: uint8 [side, side, 3]."""
    chosen = np.linspace(0, len(tiles) - 1, min(len(tiles), _MOSAIC_TILES)).astype(int)
    across = math.isqrt(len(chosen))
    ordered = tiles[chosen[np.argsort(labels[chosen], kind="stable")]][: across * across]
    side = tiles.shape[1]
    grid = ordered.reshape(across, across, side, side, 3)
    return grid.transpose(0, 2, 1, 3, 4).reshape(across * side, across * side, 3)


def measure_agreement(classifier: Classifier, pixels: np.ndarray) -> tuple[float, int]:
    """Return the share of cells whose most probable class is that of single windows.

    Args:
        classifier: The model.
        pixels: uint8 RGB [height, width, 3].

    Returns:
        The share, 0 to 1, and the number of cells.
    """
    height, width, _ = pixels.shape
    grid = WindowGrid(height, width, STRIDE)
    dense = DenseClassifier(classifier, grid)

    def read(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        return pixels[start:stop], np.ones((stop - start, width), bool)

    strips = grid.strips(dense.rows_at_once)
    # Without a threshold: two that are both unsure would agree on nothing.
    labels = [
        label_cells(
            np.concatenate(list(answers)), grid, classifier.class_names, unsure_below=None
        ).labels
        for answers in (
            dense.answer_strips(Rows(read, height, width), strips),
            one_by_one(Rows(read, height, width), classifier, grid)(strips),
        )
    ]
    return float((labels[0] == labels[1]).mean()), labels[0].size
