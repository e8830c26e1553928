"""How right maps are where the truth is known: scenes put together from labelled tiles.

Run it as `python benchmarks/map_accuracy.py [RUN_OR_MODEL...]`; `EUROSAT_DATA` names EuroSAT. Of a
run, the Keras model is asked, at stride 16 alone, so that validation may lead a choice. A field is
a square of validation tiles of one class, drawn by chance; its neighbours are of any class. Edges
are harder and straighter than on the ground, but windows meet them as they do there, now here and
now there: tiles are cut to 60 pixels, so that no stride keeps step with them. They are like those
of the mosaics that models may learn from, so that what these gain here may be less on the ground. A
second table tells how many pixels maps call sure of their class, at the model's own threshold, and
how many of these are right.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import numpy as np

from eurosat.calibration import Calibration, apply_temperature
from eurosat.classifier import Classifier
from eurosat.console import refusals_told
from eurosat.dataset import Dataset, find_dataset, load_dataset
from eurosat.model_file import shipped_model_names
from eurosat.run_folder import find_run_or_model
from eurosat.scenes.cells import label_cells
from eurosat.scenes.land_map import dense_classifier
from eurosat.scenes.map_record import DEFAULT_STRIDE, MapSettings
from eurosat.scenes.windows import STRIDES, Rows, WindowGrid, average_over_cells, one_by_one
from eurosat.split import split_dataset
from eurosat.tensorflow_start import start_tensorflow

if TYPE_CHECKING:
    from eurosat.train.trained_model import TrainedModel

TILES_ACROSS = 24
FIELDS = (1, 2, 4)
"""Tiles along the side of a field."""

SIDE = 60
"""Pixels along the side of a tile that are shown."""


def main() -> None:
    """Measure and print; refuse what is no model in a sentence and with status 2."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "models",
        nargs="*",
        metavar="RUN_OR_MODEL",
        default=shipped_model_names(),
        help="what makes the maps; all shipped models without it",
    )
    arguments = parser.parse_args()
    with refusals_told():
        measure(arguments.models)


def measure(sources: Sequence[str]) -> None:
    """Make scenes, map them, and print the share of pixels that get the right class.

    Raises:
        EurosatError: There is no such model, or its data set is not there.
    """
    # The cheap refusals come first: nobody should wait for the data to be told of them.
    paths = [find_run_or_model(source) for source in sources]
    dataset = load_dataset(find_dataset())
    positions = dataset.positions(split_dataset(dataset).validation)
    scenes = {field: make_scene(dataset, positions, field) for field in FIELDS}
    for source, path in zip(sources, paths, strict=True):
        is_run = path.is_dir()
        model = KerasRun.read(path) if is_run else Classifier(path)
        strides = (DEFAULT_STRIDE,) if is_run else STRIDES
        right: dict[int, list[str]] = {field: [] for field in FIELDS}
        sure: dict[int, list[str]] = {field: [] for field in FIELDS}
        for field, (pixels, truth) in scenes.items():
            for stride in strides:
                grid = WindowGrid(*truth.shape, stride)
                answers = classify(pixels, model, grid)
                share, part, of_part = judge(answers, grid, model, truth)
                right[field].append(f"{share:.1%}")
                sure[field].append(f"{part:.1%} {of_part:.1%}")
        print_table(f"{source}, pixels with the right class", strides, right)
        print_table(
            f"{source}, pixels that are sure, and how many of these are right", strides, sure
        )


@dataclass(frozen=True)
class KerasRun:
    """A run's Keras model, with what `one_by_one` asks of a classifier."""

    model: "TrainedModel"
    calibration: Calibration
    class_names: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open a finished run."""
        start_tensorflow()
        from eurosat.train.trained_model import open_model

        model = open_model(path)
        assert model.calibration
        assert model.class_names
        return cls(model, model.calibration, model.class_names)

    @property
    def one_view(self) -> Self:
        """The model itself, which looks at a tile as it is."""
        return self

    def classify_batch(self, tiles: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities."""
        return apply_temperature(self.model.predict(tiles), self.calibration.temperature)


def judge(
    answers: np.ndarray, grid: WindowGrid, model: Classifier | KerasRun, truth: np.ndarray
) -> tuple[float, float, float]:
    """Return the shares of pixels that are right, that are sure, and of these that are right."""
    labels = average_over_cells(answers, grid).argmax(axis=2)
    is_right = spread(labels, grid.stride, truth.shape) == truth
    if isinstance(model, KerasRun):
        threshold = model.calibration.unsure_below
    else:
        threshold = MapSettings().threshold_of(model)
    cells = label_cells(answers, grid, model.class_names, threshold)
    is_sure = spread(cells.labels, grid.stride, truth.shape) != len(model.class_names)
    return float(is_right.mean()), float(is_sure.mean()), float(is_right[is_sure].mean())


def print_table(title: str, strides: Sequence[int], rows: dict[int, list[str]]) -> None:
    """Print a row for each size of a field, and a column for each stride."""
    print(title)
    print(f"{'fields of':12}" + "".join(f"{f'stride {stride}':>16}" for stride in strides))
    for field, cells in rows.items():
        print(f"{f'{field * SIDE * 10:,} m':12}" + "".join(f"{cell:>16}" for cell in cells))


def make_scene(
    dataset: Dataset, positions: np.ndarray, field: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels, uint8 `[side, side, 3]`, and their classes, `[side, side]`."""
    chance = np.random.default_rng(0)
    fields = chance.integers(0, len(dataset.class_names), (TILES_ACROSS // field,) * 2)
    classes = fields.repeat(field, 0).repeat(field, 1)
    labels = dataset.labels[positions]
    rows = [
        [
            dataset.tiles[positions[chance.choice(np.flatnonzero(labels == label))]][:SIDE, :SIDE]
            for label in row
        ]
        for row in classes
    ]
    pixels = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    return pixels, classes.repeat(SIDE, 0).repeat(SIDE, 1)


def classify(pixels: np.ndarray, model: Classifier | KerasRun, grid: WindowGrid) -> np.ndarray:
    """Ask as maps do; return probabilities, `[windows down, windows across, classes]`."""
    has_data = np.ones(pixels.shape[:2], bool)
    rows = Rows(lambda start, stop: (pixels[start:stop], has_data[start:stop]), *has_data.shape)
    if isinstance(model, Classifier) and (dense := dense_classifier(model, grid)):
        return np.concatenate(list(dense.answer_strips(rows, grid.strips(dense.rows_at_once))))
    answer = one_by_one(rows, cast("Classifier", model), grid)
    return np.concatenate(list(answer(grid.strips(1))))


def spread(cells: np.ndarray, stride: int, shape: tuple[int, ...]) -> np.ndarray:
    """Give every pixel the value of its cell."""
    return cells.repeat(stride, 0).repeat(stride, 1)[: shape[0], : shape[1]]


if __name__ == "__main__":
    main()
