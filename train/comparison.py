"""Several models side by side on the same tiles: what `eurosat-compare` finds out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from eurosat.benchmark import Speed, measure_speed
from eurosat.classifier import Classifier
from eurosat.dataset import Dataset
from eurosat.errors import RunFolderError
from eurosat.run_folder import RunFolder
from eurosat.significance import mcnemar_p
from eurosat.split import Part

from .fit import Epoch, read_history
from .judgement import Judgement, judge
from .report import sheet_positions
from .trained_model import TrainedModel, open_model, recorded_split


@dataclass(frozen=True)
class Contender:
    """One model: the Keras model of a run, a file made of it, or a file by itself.

    Attributes:
        name: The run and how the model is stored, such as "first, int8"; the name of a file by
            itself.
        source: Name of the run, or of the file by itself.
        judgement: What it says of the tiles.
        size_bytes: Size of the file.
        speed: How fast a model file runs here on one thread; None for a Keras model.
    """

    name: str
    source: str
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
class Comparison:
    """Models of one split, compared.

    Attributes:
        dataset: The data.
        part: Which part of it all were asked about.
        sources: Names of the runs and of the files by themselves.
        contenders: The models, those of a run together.
        pairs: Each two of them.
        histories: Figures of every epoch, by run.
        differences: Training options that differ: their values by source, by option.
        sheet: Positions, among the tiles asked about, of those that are shown.
    """

    dataset: Dataset
    part: Part
    sources: tuple[str, ...]
    contenders: tuple[Contender, ...]
    pairs: tuple[Pair, ...]
    histories: Mapping[str, Sequence[Epoch]]
    differences: Mapping[str, Mapping[str, Any]]
    sheet: np.ndarray


def compare_models(
    sources: Sequence[Path],
    dataset: Dataset,
    part: Part,
    say: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Ask every model of every run, and every file by itself, about the same tiles.

    Args:
        sources: Folders of runs, and model files.
        dataset: What all were trained on.
        part: What to ask about.
        say: Told what is being done.

    Raises:
        RunFolderError: A run is not finished or is damaged, or the models were trained on
            different tiles.
        DatasetError: The data set is another one.
        ModelFileError: A model file is damaged, or does not say what it was trained on.
    """
    names = _short_names(sources)
    contenders: list[Contender] = []
    options: list[Mapping[str, Any]] = []
    positions: np.ndarray | None = None
    seed = 0
    for source, name in zip(sources, names, strict=True):
        for path in [source, *RunFolder(source).model_files()] if source.is_dir() else [source]:
            say(f"Asking {path}")
            model = open_model(path)
            split = recorded_split(model, dataset, "compare what eurosat-convert made")
            wanted = dataset.positions(split.test if part is Part.TEST else split.validation)
            if positions is not None and not np.array_equal(positions, wanted):
                raise RunFolderError(
                    f"{sources[0]} and {path} were split differently, so no tiles are new to both: "
                    "compare models with the same data, --split-seed and fractions."
                )
            positions = wanted
            judgement = judge(model, dataset, part, wanted)
            contenders.append(_contender(judgement, path, name, is_alone=path is source))
            seed = split.seed
        options.append(_training_options(source, contenders[-1].judgement.model))
    histories = {
        name: read_history(RunFolder(source).history)
        for source, name in zip(sources, names, strict=True)
        if source.is_dir()
    }
    return Comparison(
        dataset=dataset,
        part=part,
        sources=tuple(names),
        contenders=tuple(contenders),
        pairs=tuple(_pairs(contenders)),
        histories=histories,
        differences=_differences(options, names),
        sheet=sheet_positions(seed, len(contenders[0].judgement.labels)),
    )


def _contender(judgement: Judgement, path: Path, source: str, *, is_alone: bool) -> Contender:
    """Add to a judgement what else is compared.

    Args:
        judgement: What the model says.
        path: Its run folder, or its file.
        source: The name of what the user named.
        is_alone: Whether that is the model itself, and not the run that the model file lies in.
    """
    is_run, is_model_file = path.is_dir(), path.suffix == ".tflite"
    metadata = judgement.model.metadata
    if is_run:
        name = f"{source}, Keras"
    elif is_alone:
        name = source
    else:
        name = f"{source}, {metadata.precision if metadata else path.stem}"
    return Contender(
        name=name,
        source=source,
        judgement=judgement,
        size_bytes=(RunFolder(path).model if is_run else path).stat().st_size,
        speed=measure_speed(Classifier(path, threads=1)) if is_model_file else None,
    )


def _short_names(sources: Sequence[Path]) -> list[str]:
    """Return the names of folders and files; whole paths where two have the same name."""
    names = [source.resolve().name if source.is_dir() else source.stem for source in sources]
    if len(set(names)) == len(names):
        return names
    return [str(source) for source in sources]


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


def _training_options(source: Path, model: TrainedModel) -> Mapping[str, Any]:
    if source.is_dir():
        options = RunFolder(source).read_config().get("training")
        return options if isinstance(options, dict) else {}
    return model.metadata.provenance.get("training", {}) if model.metadata else {}


def _differences(
    options: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the training options that are not the same for all."""
    keys = dict.fromkeys(key for record in options for key in record)
    return {
        key: {name: record.get(key) for name, record in zip(names, options, strict=True)}
        for key in keys
        if any(record.get(key) != options[0].get(key) for record in options)
    }
