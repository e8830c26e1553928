"""Which models can be compared, found out without loading any of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from eurosat.dataset import Dataset
from eurosat.errors import DatasetError, RunFolderError
from eurosat.existence import is_folder
from eurosat.model_file import read_model_file
from eurosat.run_folder import RunFolder
from eurosat.split import Split

NAMED_CLASSES = 4
"""Up to so many classes are named in a sentence."""


@dataclass(frozen=True)
class Known:
    """What a model was trained on, as far as it says so.

    Attributes:
        source: The run or the file.
        class_names: The classes that it tells apart.
        fingerprint: Of its data; None for a file that does not say.
        split: Of a run; None for a file by itself.
    """

    source: Path
    class_names: tuple[str, ...]
    fingerprint: str | None
    split: Split | None


def check_models(sources: Sequence[Path]) -> list[Known]:
    """Refuse models that cannot be compared, whatever the data; return what is known of the others.

    Args:
        sources: Folders of runs, and model files.

    Raises:
        RunFolderError: A source is named twice, a folder is no run, or no tiles are new to all.
        ModelFileError: A model file is missing or damaged.
    """
    _check_named(sources)
    known = [one for one in map(_known, sources) if one]
    _check_comparable(known)
    return known


def _check_named(sources: Sequence[Path]) -> None:
    """Refuse what is named twice.

    Raises:
        RunFolderError: A source is named twice, or with the run that it belongs to; or a folder is
            no run.
    """
    paths = [source.resolve() for source in sources]
    for source, path in zip(sources, paths, strict=True):
        if paths.count(path) > 1:
            raise RunFolderError(f"{source} is named twice: name each model once.")
    for folder in (RunFolder(source) for source in sources if is_folder(source)):
        folder.read_config()
        for path in (folder.model, *folder.model_files()):
            if path.resolve() in paths:
                raise RunFolderError(
                    f"{path} belongs to the run in {folder.path}, which is named too: name one of "
                    "them."
                )


def _known(source: Path) -> Known | None:
    """Return what a run or a file says of its training, without loading it; None if nothing.

    Raises:
        RunFolderError: The run is damaged.
        ModelFileError: The model file is missing or damaged.
    """
    if is_folder(source):
        split = RunFolder(source).read_split()
        return Known(source, split.class_names, split.fingerprint, split)
    if source.suffix == ".keras":
        return None
    metadata = read_model_file(source).metadata
    if metadata is None:
        return None
    fingerprint = metadata.provenance.get("data_fingerprint")
    return Known(source, metadata.class_names, fingerprint, None)


def _check_comparable(known: Sequence[Known]) -> None:
    """Refuse models that no tiles are new to all of.

    Raises:
        RunFolderError: Two tell different classes apart, or were trained on different data, or were
            split differently.
    """
    for one, other in combinations(known, 2):
        if set(one.class_names) != set(other.class_names):
            raise RunFolderError(
                f"{_what_one_alone_knows(one, other)}, so not every tile has an answer that both "
                "can give: go on from one of them with the data of the other (eurosat-train "
                "--from-run or --from-model) and compare what comes out, or judge each by itself "
                "with eurosat-evaluate."
            )
        if one.fingerprint and other.fingerprint and one.fingerprint != other.fingerprint:
            reason = "were trained on different data"
        elif one.split and other.split and not one.split.has_exam_of(other.split):
            reason = "were split differently"
        else:
            continue
        raise RunFolderError(
            f"{one.source} and {other.source} {reason}, so no tiles are known to be new to "
            "both: compare models with the same data, --split-seed and fractions."
        )


def check_data(known: Sequence[Known], dataset: Dataset) -> None:
    """Refuse data that a model was not trained on.

    Raises:
        DatasetError: They are others than those of a run or a file.
        RunFolderError: The split of a run is none of theirs.
    """
    for one in known:
        if one.split:
            one.split.check_matches(dataset)
        elif one.fingerprint not in (None, dataset.fingerprint):
            raise DatasetError(
                f"{one.source} was trained on other data than {dataset.source}, so no tiles are "
                "known that are new to it: name its own with --data, or judge it on all of these "
                "with eurosat-evaluate."
            )


def _what_one_alone_knows(one: Known, other: Known) -> str:
    """Return for a sentence which classes only one of two models tells apart."""
    alone = [
        (first.source, [name for name in first.class_names if name not in second.class_names])
        for first, second in ((one, other), (other, one))
    ]
    told = ", and only ".join(f"{source} knows {_few(names)}" for source, names in alone if names)
    return f"Only {told}"


def _few(names: Sequence[str]) -> str:
    """Return the first names of some, and how many more there are."""
    more = len(names) - NAMED_CLASSES
    return ", ".join([*names[:NAMED_CLASSES], *([f"{more} more"] if more > 0 else [])])
