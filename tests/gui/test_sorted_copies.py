"""Copies sorted by class: the originals stay, nothing is replaced, a failure is one sentence."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eurosat.classifier import Prediction
from eurosat.errors import EurosatError, ImageError
from eurosat.existence import exists
from eurosat.gui import sorted_copies
from eurosat.gui.sorted_copies import copy_sorted
from eurosat.gui.workspace import Item

from .conftest import assert_one_sentence


def classified(name: str, source: Path | np.ndarray, label: str = "Forest") -> Item:
    item = Item(name, source)
    names = (label, "Other")
    item.answer(Prediction(names, np.array([0.9, 0.1], np.float32), (8, 8)))
    return item


def originals(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(str(path).encode())
    return paths


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_copies_go_into_a_folder_for_each_class_and_originals_stay(tmp_path: Path):
    first, second, third = originals(tmp_path / "in", "a.jpg", "b.png", "c.tif")
    before = content(tmp_path / "in")
    bad, new = Item("bad", third), Item("new", third)
    bad.answer(ImageError("It is damaged."))
    items = [classified("a", first), classified("b", second, "River"), bad, new]
    assert copy_sorted(items, tmp_path / "out") == 2
    assert content(tmp_path / "out") == {
        "Forest/a.jpg": first.read_bytes(),
        "River/b.png": second.read_bytes(),
    }
    assert content(tmp_path / "in") == before


def test_another_model_chosen_meanwhile_changes_nothing(tmp_path: Path):
    first, second = originals(tmp_path / "in", "a.jpg", "b.jpg")
    items = [classified("a", first), classified("b", second)]

    def forget() -> bool:
        for item in items:
            item.forget()
        return False

    assert copy_sorted(items, tmp_path / "out", forget) == 2
    assert sorted(content(tmp_path / "out")) == ["Forest/a.jpg", "Forest/b.jpg"]


def test_a_name_that_has_no_room_for_a_number_is_told(tmp_path: Path):
    name = "x" * 251 + ".jpg"
    first, second = (originals(tmp_path / folder, name)[0] for folder in ("one", "two"))
    with pytest.raises(EurosatError, match="; 1 of 2 copies are there") as refused:
        copy_sorted([classified("a", first), classified("b", second)], tmp_path / "out")
    assert_one_sentence(str(refused.value))
    assert list(content(tmp_path / "out")) == [f"Forest/{name}"]


def test_no_file_is_replaced(tmp_path: Path):
    (first,) = originals(tmp_path / "one", "a.jpg")
    (second,) = originals(tmp_path / "two", "a.jpg")
    originals(tmp_path / "out" / "Forest", "a.jpg", "a (2).jpg")
    taken = content(tmp_path / "out")
    assert copy_sorted([classified("a", first), classified("a", second)], tmp_path / "out") == 2
    assert content(tmp_path / "out") == {
        **taken,
        "Forest/a (3).jpg": first.read_bytes(),
        "Forest/a (4).jpg": second.read_bytes(),
    }


def test_of_many_images_of_one_name_none_is_compared_with_all_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Path] = []

    def exists_and_counts(path: Path) -> bool:
        asked.append(path)
        return exists(path)

    monkeypatch.setattr(sorted_copies, "exists", exists_and_counts)
    paths = [originals(tmp_path / f"{number}", "a.jpg")[0] for number in range(50)]
    assert copy_sorted([classified("a", path) for path in paths], tmp_path / "out") == 50
    assert len(list((tmp_path / "out" / "Forest").iterdir())) == 50
    assert len(asked) == 50


def test_a_folder_can_be_sorted_into_itself(tmp_path: Path):
    (path,) = originals(tmp_path / "Forest", "a.jpg")
    copy_sorted([classified("a", path)], tmp_path)
    assert content(tmp_path) == {
        "Forest/a.jpg": path.read_bytes(),
        "Forest/a (2).jpg": path.read_bytes(),
    }


def test_pasted_images_are_written_as_png(tmp_path: Path):
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    copy_sorted([classified("Pasted image 1", pixels)], tmp_path)
    (path,) = (tmp_path / "Forest").iterdir()
    assert path.name == "Pasted image 1.png"
    np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)


def test_it_stops_when_told_to(tmp_path: Path):
    paths = originals(tmp_path / "in", "a.jpg", "b.jpg", "c.jpg")
    items = [classified(path.name, path) for path in paths]
    answers = iter([False, False, True])
    assert copy_sorted(items, tmp_path / "out", lambda: next(answers)) == 2
    assert set(content(tmp_path / "out")) == {"Forest/a.jpg", "Forest/b.jpg"}


def test_an_image_that_is_gone_is_told_of_and_costs_no_other_its_copy(tmp_path: Path):
    first, second, third = originals(tmp_path / "in", "a.jpg", "b.jpg", "c.jpg")
    second.unlink()
    items = [classified("a", first), classified("b", second), classified("c", third)]
    with pytest.raises(EurosatError, match="; 2 of 3 copies are there") as refused:
        copy_sorted(items, tmp_path / "out")
    assert_one_sentence(str(refused.value))
    assert str(second) in str(refused.value)
    assert set(content(tmp_path / "out")) == {"Forest/a.jpg", "Forest/c.jpg"}


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path):
    (path,) = originals(tmp_path / "in", "a.jpg")
    in_the_way = tmp_path / "out"
    in_the_way.write_text("a file")
    with pytest.raises(EurosatError) as refused:
        copy_sorted([classified("a", path)], in_the_way)
    assert_one_sentence(str(refused.value))
    assert str(in_the_way) in str(refused.value)
    assert in_the_way.read_text() == "a file"


@pytest.mark.parametrize("label", ["../outside", "/outside", "a/b", "..", ".", "a\\b"])
def test_no_class_name_of_a_foreign_model_leads_out_of_the_folder(label: str, tmp_path: Path):
    (path,) = originals(tmp_path / "in", "a.jpg")
    if label.startswith("/"):
        label = f"{tmp_path}{label}"
    assert copy_sorted([classified("a", path, label)], tmp_path / "out") == 1
    (copy,) = content(tmp_path / "out")
    assert len(Path(copy).parts) == 2
    assert set(content(tmp_path)) == {"in/a.jpg", f"out/{copy}"}
