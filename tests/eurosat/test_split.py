"""A split is stratified, seeded and complete, keeps equal tiles together, and is read back."""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eurosat.dataset import Audit, Dataset, load_dataset
from eurosat.errors import DatasetError, MissingPackageError, RunFolderError
from eurosat.run_folder import RunFolder
from eurosat.split import Split, split_dataset

from .conftest import assert_one_sentence, encoded, picture, write_folder

Groups = Iterable[tuple[str, ...]]


def dataset_of(counts: Mapping[str, int], duplicates: Groups = ()) -> Dataset:
    """Return a data set in memory with so many tiles of each class, named `Class/<n>.jpg`."""
    names = tuple(f"{name}/{n:04}.jpg" for name in sorted(counts) for n in range(counts[name]))
    return Dataset(
        source=Path("fields.zip"),
        fingerprint="0123456789abcdef",
        class_names=tuple(sorted(counts)),
        names=names,
        labels=np.repeat(np.arange(len(counts)), [counts[name] for name in sorted(counts)]),
        tiles=np.zeros((len(names), 64, 64, 3), dtype=np.uint8),
        audit=Audit(
            class_counts=dict(sorted(counts.items())),
            unreadable=(),
            odd_sizes=(),
            duplicates=tuple(duplicates),
        ),
    )


def parts(split: Split) -> tuple[tuple[str, ...], ...]:
    return split.train, split.validation, split.test


def assert_complete(split: Split, dataset: Dataset) -> None:
    """Check that every tile is in exactly one part, and every class in each."""
    assert sorted(chain(*parts(split))) == sorted(dataset.names)
    for part in parts(split):
        assert {name.split("/")[0] for name in part} == set(dataset.class_names)


def assert_together(split: Split, groups: Groups) -> None:
    """Check that each group lies in one part."""
    for group in groups:
        assert sum(not set(group).isdisjoint(part) for part in parts(split)) == 1


def assert_stratified(
    split: Split, dataset: Dataset, shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
) -> None:
    """Check that each part has its share of each class, within one tile."""
    for part, share in zip(parts(split), shares, strict=True):
        found = Counter(name.split("/")[0] for name in part)
        for name, count in dataset.audit.class_counts.items():
            assert abs(found[name] - share * count) <= 1 + 1e-9, (name, share)


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param({"Barley": 300, "Oat": 300}, id="equal"),
        pytest.param({"Barley": 1000, "Oat": 37, "Rye": 250, "Spelt": 111}, id="unequal"),
        pytest.param({f"Class {n}": 20 + n for n in range(10)}, id="small"),
    ],
)
def test_each_part_has_its_share_of_each_class(counts: dict[str, int]):
    dataset = dataset_of(counts)
    split = split_dataset(dataset)
    assert_complete(split, dataset)
    assert_stratified(split, dataset)
    assert split.fingerprint == dataset.fingerprint
    assert split.class_names == dataset.class_names
    assert split.seed == 0


def test_other_shares_may_be_asked_for():
    dataset = dataset_of({"Barley": 200, "Oat": 120})
    split = split_dataset(dataset, validation_fraction=0.2, test_fraction=0.3)
    assert_complete(split, dataset)
    assert_stratified(split, dataset, (0.5, 0.2, 0.3))


def test_tiles_are_drawn_from_everywhere_in_a_class():
    """Neighbours in the archive may be neighbours on the ground."""
    split = split_dataset(dataset_of({"Barley": 1000, "Oat": 1000}))
    for part in (split.validation, split.test):
        tens = {int(name[-8:-4]) // 100 for name in part if name.startswith("Barley")}
        assert tens == set(range(10))


def test_the_same_seed_gives_the_same_split_and_another_seed_another():
    dataset = dataset_of({"Barley": 100, "Oat": 50})
    first = split_dataset(dataset, seed=3)
    assert split_dataset(dataset, seed=3) == first
    assert first.seed == 3
    other = split_dataset(dataset, seed=4)
    for one, another in zip(parts(first), parts(other), strict=True):
        assert one != another


def test_equal_tiles_are_not_parted(tmp_path: Path, own_cache: Path):
    """As found by reading files: within a class, across classes, in files of other bytes."""
    files = {
        f"{name}/{n:02}.png": encoded(picture(100 * label + n), "PNG")
        for label, name in enumerate(("Barley", "Oat"))
        for n in range(40)
    }
    groups = []
    for n in range(0, 40, 2):
        kind, copy = ("BMP", "bmp") if n % 4 else ("PNG", "png")
        names = (f"Barley/{n:02}.png", f"Barley/{n:02}-copy.{copy}", f"Rye/{n:02}-copy.{copy}")
        files[names[1]] = files[names[2]] = encoded(picture(n), kind)
        groups.append(names)
    files.update({f"Rye/{n:02}.png": encoded(picture(300 + n), "PNG") for n in range(40)})
    dataset = load_dataset(write_folder(tmp_path / "data", files))
    for seed in range(5):
        split = split_dataset(dataset, seed=seed)
        assert_complete(split, dataset)
        assert_together(split, groups)
        pictures = [
            {tile.tobytes() for tile in dataset.tiles[dataset.positions(part)]}
            for part in parts(split)
        ]
        assert sum(map(len, pictures)) == len(set().union(*pictures))


@st.composite
def grouped_names(draw: st.DrawFn) -> list[tuple[str, ...]]:
    """Draw groups of equal tiles among the first 25 of each of three classes."""
    names = [f"{name}/{n:04}.jpg" for name in ("Barley", "Oat", "Rye") for n in range(25)]
    shuffled = draw(st.permutations(names))
    sizes = draw(st.lists(st.integers(2, 12), max_size=30))
    groups: list[tuple[str, ...]] = []
    for size in sizes:
        start = sum(map(len, groups))
        if start + size > len(shuffled):
            break
        groups.append(tuple(sorted(shuffled[start : start + size])))
    return groups


@given(groups=grouped_names(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_groups_of_any_kind_are_not_parted(groups: list[tuple[str, ...]], seed: int):
    dataset = dataset_of({"Barley": 60, "Oat": 50, "Rye": 40}, groups)
    split = split_dataset(dataset, seed=seed)
    assert_complete(split, dataset)
    assert_together(split, groups)
    assert split_dataset(dataset, seed=seed) == split


@pytest.mark.parametrize(
    ("validation", "test"),
    [
        (0, 0.1),
        (0.1, 0),
        (-0.1, 0.1),
        (0.1, -0.1),
        (0.5, 0.5),
        (0.9, 0.2),
        (math.nan, 0.1),
        (0.1, math.nan),
        (math.inf, 0.1),
    ],
)
def test_impossible_fractions_are_refused(validation: float, test: float):
    with pytest.raises(DatasetError, match="fractions must be above 0") as refusal:
        split_dataset(
            dataset_of({"Barley": 100, "Oat": 100}),
            validation_fraction=validation,
            test_fraction=test,
        )
    assert_one_sentence(refusal.value)
    assert str(validation) in str(refusal.value)
    assert str(test) in str(refusal.value)


@pytest.mark.parametrize("least", [1, 2, 3])
def test_a_class_with_too_few_tiles_is_refused_and_named(least: int):
    with pytest.raises(DatasetError, match=rf"Oat has {least}\b") as refusal:
        split_dataset(dataset_of({"Barley": 100, "Oat": least, "Rye": 100}))
    assert_one_sentence(refusal.value)
    assert "fields.zip has too few different tiles" in str(refusal.value)


def test_a_data_set_with_too_few_tiles_is_refused():
    with pytest.raises(DatasetError, match="too few different tiles") as refusal:
        split_dataset(dataset_of({f"Class {n}": 3 for n in range(10)}))
    assert_one_sentence(refusal.value)


@pytest.mark.parametrize(
    ("fractions", "part"),
    [
        ({"test_fraction": 0.005}, "a test fraction of 0.005 (Oat has 40)"),
        ({"validation_fraction": 0.005}, "a validation fraction of 0.005 (Oat has 40)"),
        (
            {"validation_fraction": 0.5, "test_fraction": 0.49},
            "a share for training of 0.01 (Oat has 40)",
        ),
    ],
)
def test_a_fraction_that_is_too_small_for_a_class_is_named(fractions: dict[str, Any], part: str):
    with pytest.raises(DatasetError, match="give other fractions") as refusal:
        split_dataset(dataset_of({"Barley": 100, "Oat": 40, "Rye": 100}), **fractions)
    assert_one_sentence(refusal.value)
    assert f"fields.zip has too few different tiles for {part}: " in str(refusal.value)


def test_a_class_of_copies_of_one_tile_is_refused():
    copies = tuple(f"Oat/{n:04}.jpg" for n in range(50))
    with pytest.raises(DatasetError, match=r"Oat has 1\b") as refusal:
        split_dataset(dataset_of({"Barley": 40, "Oat": 50}, [copies]))
    assert_one_sentence(refusal.value)


def test_missing_scikit_learn_is_told_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    with pytest.raises(MissingPackageError, match="pip install 'eurosat-edge"):
        split_dataset(dataset_of({"Barley": 100, "Oat": 100}))


# The file


@pytest.fixture
def split() -> Split:
    return split_dataset(dataset_of({"Ödland": 40, "Oat": 40}), seed=5)


def test_a_split_is_read_back_as_it_was_written(tmp_path: Path, split: Split):
    path = tmp_path / "run" / "split.json"
    split.write(path)
    assert Split.read(path) == split
    assert RunFolder(tmp_path / "run").read_split() == split
    assert list(path.parent.iterdir()) == [path]


def test_the_file_is_json_that_names_every_tile(tmp_path: Path, split: Split):
    path = tmp_path / "split.json"
    split.write(path)
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["test"] == list(split.test)
    assert record["seed"] == 5


@pytest.mark.parametrize("folder", ["nowhere", "here"])
def test_a_missing_file_is_refused(tmp_path: Path, folder: str):
    (tmp_path / "here").mkdir()
    with pytest.raises(RunFolderError, match="not the folder of a training run") as refusal:
        RunFolder(tmp_path / folder).read_split()
    assert_one_sentence(refusal.value)
    assert str(tmp_path / folder) in str(refusal.value)


def without(key: str) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        record = json.loads(content)
        del record[key]
        return json.dumps(record).encode()

    return damage


def with_value(key: str, value: Any) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | {key: value}).encode()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[: len(content) // 2], id="cut off"),
        pytest.param(lambda content: bytes(len(content)), id="zeros"),
        pytest.param(lambda content: b"\xff" + content, id="not UTF-8"),
        pytest.param(lambda content: b"null", id="null"),
        pytest.param(lambda content: b"[]", id="list"),
        pytest.param(lambda content: b"3", id="number"),
        pytest.param(lambda content: content.replace(b'"seed": 5', b'"seed": "five"'), id="seed"),
        pytest.param(without("fingerprint"), id="no fingerprint"),
        pytest.param(without("class_names"), id="no classes"),
        pytest.param(without("test"), id="no test"),
        pytest.param(with_value("seed", math.inf), id="an endless seed"),
        pytest.param(with_value("train", 5), id="a number of tiles"),
        pytest.param(with_value("train", "Forest/1.jpg"), id="a name of a tile"),
        pytest.param(with_value("train", [["Forest/1.jpg"]]), id="lists of tiles"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, split: Split, damage: Callable[[bytes], bytes]):
    path = tmp_path / "split.json"
    split.write(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RunFolderError, match="is damaged") as refusal:
        Split.read(path)
    assert_one_sentence(refusal.value)
    assert str(path) in str(refusal.value)


def test_a_split_fits_its_data_set_and_refuses_another(tmp_path: Path, own_cache: Path):
    files = {
        f"{name}/{n}.png": encoded(picture(100 * label + n, 8, 8), "PNG")
        for label, name in enumerate(("Barley", "Oat"))
        for n in range(20)
    }
    source = write_folder(tmp_path / "data", files)
    split = split_dataset(load_dataset(source))
    split.check_matches(load_dataset(source))
    (source / "Oat" / "3.png").unlink()
    with pytest.raises(DatasetError, match="is not the one of this training run") as refusal:
        split.check_matches(load_dataset(source))
    assert_one_sentence(refusal.value)
    assert str(source) in str(refusal.value)
    assert split.fingerprint[:12] in str(refusal.value)


def test_a_split_that_is_none_of_its_data_set_is_refused(split: Split):
    dataset = dataset_of(dict.fromkeys(split.class_names, 30))
    sound = split_dataset(dataset, seed=split.seed)
    sound.check_matches(dataset)
    for changed in (
        replace(sound, class_names=sound.class_names[::-1]),
        replace(sound, test=(*sound.test, sound.train[0])),
        replace(sound, train=(*sound.train, "Forest/none.jpg")),
        replace(sound, validation=(*sound.validation, sound.validation[0])),
    ):
        with pytest.raises(RunFolderError, match="names other classes or tiles than") as refusal:
            changed.check_matches(dataset)
        assert_one_sentence(refusal.value)


# EuroSAT


@pytest.mark.slow
def test_the_split_of_the_real_archive(real_dataset: Dataset):
    split = split_dataset(real_dataset)
    tenth = len(real_dataset.names) // 10
    assert [len(part) for part in parts(split)] == [8 * tenth, tenth, tenth]
    assert_complete(split, real_dataset)
    assert_together(split, real_dataset.audit.duplicates)
    assert_stratified(split, real_dataset)
