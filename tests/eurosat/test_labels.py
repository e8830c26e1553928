"""The ten classes have the names of their folders, and each is told apart from the others."""

import re

import pytest

from eurosat.dataset import Dataset
from eurosat.labels import EUROSAT_CLASSES, LandCover, land_cover


@pytest.mark.slow
def test_the_classes_are_those_of_the_archive_in_the_same_order(real_dataset: Dataset):
    assert tuple(land_cover.name for land_cover in EUROSAT_CLASSES) == real_dataset.class_names


def test_there_are_ten_classes_in_label_order():
    names = [land_cover.name for land_cover in EUROSAT_CLASSES]
    assert len(names) == 10
    assert names == sorted(set(names))


def test_titles_descriptions_and_colours_are_fit_to_be_shown():
    assert len({land_cover.title for land_cover in EUROSAT_CLASSES}) == 10
    assert len({land_cover.colour for land_cover in EUROSAT_CLASSES}) == 10
    for known in EUROSAT_CLASSES:
        assert re.fullmatch(r"[A-Z][a-z ]+", known.title)
        assert re.fullmatch(r"[A-Z][A-Za-z, ]+\.", known.description)
        assert re.fullmatch(r"#[0-9A-F]{6}", known.colour)


@pytest.mark.parametrize("known", EUROSAT_CLASSES, ids=lambda known: known.name)
def test_a_known_class_is_the_same_wherever_it_stands(known: LandCover):
    assert land_cover(known.name) is known
    assert land_cover(known.name, 7) is known


def test_a_foreign_class_gets_its_name_as_title_and_a_colour_by_position():
    classes = [land_cover(f"Class {position}", position) for position in range(11)]
    assert [foreign.title for foreign in classes] == [f"Class {n}" for n in range(11)]
    assert {foreign.description for foreign in classes} == {""}
    assert len({foreign.colour for foreign in classes[:10]}) == 10
    assert classes[10].colour == classes[0].colour
    assert not {one.colour for one in classes} & {known.colour for known in EUROSAT_CLASSES}
