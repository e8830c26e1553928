"""Several runs side by side on the same tiles: what `eurosat-compare` finds out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from eurosat.benchmark import Speed, measure_speed
from eurosat.classifier import Classifier
from eurosat.dataset import Dataset
from eurosat.run_folder import RunFolder
from eurosat.significance import mcnemar_p
from eurosat.split import Part

from .fit import Epoch, read_history
from .judgement import Judgement, judge
from .report import sheet_positions
from .trained_model import choose_tiles, open_model


@dataclass(frozen=True)
class Contender:
    """One model of a run: the Keras model, or a file made of it.

    Attributes:
        name: The run and how the model is stored, such as "first, int8".
        run: Name of the run.
        judgement: What it says of the tiles.
        size_bytes: Size of the file.
        speed: How fast a model file runs here on one thread; None for a Keras model.
    """

    name: str
    run: str
    judgement: Judgement
    size_bytes: int
    speed: Speed | None


@dataclass(frozen=True)
class Pair:
    """Two contenders, and the tiles that only one of them has right.

    Attributes:
        first: Index of the one.
        second: Index of the other.
        only_first: Tiles that only the first has right.
        only_second: Tiles that only the second has right.
        p: Two-sided p-value of McNemar's exact test.
    """

    first: int
    second: int
    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class RunComparison:
    """Runs of one split, compared.

    Attributes:
        dataset: The data.
        part: Which part of it all were asked about.
        contenders: The models, those of a run together.
        pairs: Each two of them.
        histories: Figures of every epoch, by run.
        seconds: Time of training in seconds, by run.
        differences: Training options that differ: their values by run, by option.
        sheet: Positions, among the tiles asked about, of those that are shown.
    """

    dataset: Dataset
    part: Part
    contenders: tuple[Contender, ...]
    pairs: tuple[Pair, ...]
    histories: Mapping[str, Sequence[Epoch]]
    seconds: Mapping[str, float]
    differences: Mapping[str, Mapping[str, Any]]
    sheet: np.ndarray


def compare_runs(
    folders: Sequence[RunFolder],
    dataset: Dataset,
    part: Part,
    say: Callable[[str], None] = lambda _: None,
) -> RunComparison:
    """Ask every model of every run about the same tiles.

    Args:
        folders: Runs of one split.
        dataset: Their data set.
        part: What to ask about.
        say: Told what is being done.

    Raises:
        RunFolderError: A run is not finished or is damaged.
        DatasetError: The data set is another one.
        ModelFileError: A model file in a run is damaged.
    """
    names = _short_names(folders)
    contenders: list[Contender] = []
    for folder, run in zip(folders, names, strict=True):
        for path in [folder.path, *model_files(folder)]:
            say(f"Asking {path}")
            contenders.append(_contender(path, run, dataset, part))
    split = folders[0].read_split()
    histories = {
        run: read_history(folder.history) for folder, run in zip(folders, names, strict=True)
    }
    return RunComparison(
        dataset=dataset,
        part=part,
        contenders=tuple(contenders),
        pairs=tuple(_pairs(contenders)),
        histories=histories,
        seconds={run: sum(epoch.seconds for epoch in epochs) for run, epochs in histories.items()},
        differences=_differences(folders, names),
        sheet=sheet_positions(split.seed, len(contenders[0].judgement.labels)),
    )


def model_files(folder: RunFolder) -> list[Path]:
    """Return the model files that `eurosat-convert` left in a run, without those set aside."""
    files = sorted(folder.path.glob("*.tflite"))
    return [path for path in files if not path.stem.endswith(".previous")]


def _contender(path: Path, run: str, dataset: Dataset, part: Part) -> Contender:
    model = open_model(path)
    part, positions = choose_tiles(model, dataset, part)
    is_file = path.is_file()
    precision = model.metadata.precision if model.metadata else path.stem
    return Contender(
        name=f"{run}, {precision if is_file else 'Keras'}",
        run=run,
        judgement=judge(model, dataset, part, positions),
        size_bytes=(path if is_file else RunFolder(path).model).stat().st_size,
        speed=measure_speed(Classifier(path, threads=1)) if is_file else None,
    )


def _short_names(folders: Sequence[RunFolder]) -> list[str]:
    """Return the names of the folders; whole paths where two have the same name."""
    names = [folder.path.resolve().name for folder in folders]
    if len(set(names)) == len(names):
        return names
    return [str(folder.path) for folder in folders]


def _pairs(contenders: Sequence[Contender]) -> list[Pair]:
    pairs = []
    for first, second in combinations(range(len(contenders)), 2):
        right = contenders[first].judgement.is_right
        other_right = contenders[second].judgement.is_right
        only_first = int((right & ~other_right).sum())
        only_second = int((~right & other_right).sum())
        p = mcnemar_p(only_first, only_second)
        pairs.append(Pair(first, second, only_first, only_second, p))
    return pairs


def _differences(folders: Sequence[RunFolder], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the training options that are not the same in all runs."""
    options = [folder.read_config().get("training", {}) for folder in folders]
    keys = dict.fromkeys(key for record in options for key in record)
    return {
        key: {name: record.get(key) for name, record in zip(names, options, strict=True)}
        for key in keys
        if any(record.get(key) != options[0].get(key) for record in options)
    }
