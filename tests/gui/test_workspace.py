"""The view-model: what is open, what is known of it, what is shown, without a window."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eurosat.classifier import Prediction
from eurosat.errors import ImageError
from eurosat.gui.pace import Pace
from eurosat.gui.time_texts import duration, time_left
from eurosat.gui.workspace import (
    Column,
    Filter,
    Item,
    Outcome,
    Status,
    Workspace,
    sort_items,
)

NAMES = ("Forest", "SeaLake", "River")


def predicted(
    *probabilities: float, size: tuple[int, int] = (64, 64), names: tuple[str, ...] = NAMES
) -> Prediction:
    return Prediction(names, np.array(probabilities, np.float32), size)


def forest(share: float = 0.75) -> Prediction:
    return predicted(share, 1 - share, 0)


def unsure() -> Prediction:
    return replace(predicted(0.25, 0.125, 0.625), unsure_below=0.7)


def unreadable(text: str = "It is damaged.") -> ImageError:
    return ImageError(text)


def item_of(outcome: Outcome | None, name: str = "tile.jpg") -> Item:
    item = Item(name, Path("/folder") / name)
    if outcome is not None:
        item.answer(outcome)
    return item


@pytest.mark.parametrize("module", ["workspace", "sorted_copies"])
def test_the_view_model_knows_nothing_of_qt(module: str, tmp_path: Path):
    code = f"import sys, eurosat.gui.{module}; print([n for n in sys.modules if 'PySide' in n])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_new_image_waits():
    item = item_of(None)
    assert item.status is Status.WAITING
    assert (item.cover, item.runner_up, item.image_size) == (None, None, None)
    assert item.reason == ""
    assert item.location == str(Path("/folder/tile.jpg"))


def test_an_answer_is_kept_in_plain_words():
    item = item_of(predicted(0.25, 0.7, 0.05, size=(30, 40)))
    assert item.cover is not None and item.runner_up is not None
    assert item.cover.title == "Sea or lake"
    assert item.confidence == pytest.approx(0.7)
    assert item.runner_up.title == "Forest"
    assert item.runner_up_confidence == pytest.approx(0.25)
    assert item.image_size == (30, 40)
    item.answer(unreadable())
    assert item.status is Status.UNREADABLE
    assert item.reason == "It is damaged."
    assert (item.cover, item.runner_up, item.image_size) == (None, None, None)
    item.forget()
    assert item.status is Status.WAITING
    assert item.reason == ""


def test_paths_are_opened_once_and_in_order():
    workspace = Workspace()
    first, second, third = (Path(f"/{name}.jpg") for name in "bac")
    added = workspace.add_paths([first, second, first])
    assert [item.source for item in added] == [first, second]
    assert [item.source for item in workspace.add_paths([second, third])] == [third]
    assert [item.source for item in workspace.items] == [first, second, third]
    workspace.remove(added[:1])
    assert workspace.find(first) is None
    (again,) = workspace.add_paths([first])
    assert again is not added[0]
    assert [item.source for item in workspace.items] == [second, third, first]
    assert workspace.find(first) is again


def test_pasted_images_get_names_of_their_own():
    workspace = Workspace()
    pixels = np.zeros((2, 2, 3), np.uint8)
    names = [workspace.add_pixels("Pasted", pixels).name for _ in range(2)]
    workspace.remove(list(workspace.items))
    names.append(workspace.add_pixels("Pasted", pixels).name)
    assert len(set(names)) == 3
    assert workspace.items[0].location == names[-1]


def test_late_answers_of_an_older_generation_are_dropped():
    workspace = Workspace()
    items = workspace.add_paths([Path("/a.jpg"), Path("/b.jpg")])
    old = workspace.generation
    assert workspace.record(old, [(items[0], forest())]) == items[:1]
    new = workspace.begin_generation()
    assert new != old
    assert workspace.record(old, [(items[1], forest())]) == []
    assert workspace.waiting_items() == items[1:]
    assert workspace.record(new, [(items[1], unreadable())]) == items[1:]
    assert (workspace.answered, workspace.waiting, workspace.unreadable) == (2, 0, 1)


def test_a_change_of_model_forgets_all_answers_and_a_cancel_none():
    workspace = Workspace()
    items = workspace.add_paths([Path("/a.jpg"), Path("/b.jpg")])
    workspace.record(workspace.generation, [(items[0], forest()), (items[1], unreadable())])
    workspace.begin_generation()
    assert workspace.answered == 2
    workspace.begin_generation(forget=True)
    assert (workspace.answered, workspace.waiting, workspace.unreadable) == (0, 2, 0)
    assert workspace.class_counts.total() == 0
    assert workspace.waiting_items() == items


def test_answers_to_closed_images_are_dropped():
    workspace = Workspace()
    items = workspace.add_paths([Path("/a.jpg"), Path("/b.jpg")])
    workspace.remove(items[:1])
    answers = [(item, forest()) for item in items]
    assert workspace.record(workspace.generation, answers) == items[1:]
    assert items[0].outcome is None
    assert workspace.class_counts == Counter(Forest=1)


outcomes = st.sampled_from(
    [predicted(0.9, 0.1, 0), predicted(0.1, 0.6, 0.3), unsure(), unreadable()]
)
steps = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 9)),
    st.tuples(st.just("paste"), st.none()),
    st.tuples(st.just("remove"), st.integers(0, 30)),
    st.tuples(st.just("forget"), st.none()),
    st.tuples(st.just("cancel"), st.none()),
    st.tuples(st.sampled_from(["answer", "late answer"]), st.tuples(st.integers(0, 30), outcomes)),
)


@given(st.lists(steps, max_size=40))
def test_counts_equal_a_recount_whatever_happens(history: list[tuple[str, object]]):
    workspace = Workspace()
    ever: list[Item] = []
    for step, what in history:
        if step == "add":
            ever += workspace.add_paths([Path(f"/{what}.jpg")])
        elif step == "paste":
            ever.append(workspace.add_pixels("Pasted", np.zeros((1, 1, 3), np.uint8)))
        elif step == "remove" and workspace.items:
            assert isinstance(what, int)
            workspace.remove([workspace.items[what % len(workspace.items)]])
        elif step in {"forget", "cancel"}:
            workspace.begin_generation(forget=step == "forget")
        elif isinstance(what, tuple) and ever:
            number, outcome = what
            # Closed images are answered too, as the thread may be at them.
            generation = workspace.generation - (step == "late answer")
            workspace.record(generation, [(ever[number % len(ever)], outcome)])

        items = workspace.items
        labels = [item.outcome.label for item in items if isinstance(item.outcome, Prediction)]
        assert +workspace.class_counts == Counter(labels)
        assert min(workspace.class_counts.values(), default=0) >= 0
        assert workspace.unreadable == sum(isinstance(i.outcome, ImageError) for i in items)
        assert workspace.answered == sum(item.outcome is not None for item in items)
        assert workspace.waiting == len(workspace.waiting_items())
        assert all(item.is_open == (item in items) for item in ever)


@pytest.mark.parametrize(
    ("accepted", "shown"),
    [
        (Filter(), "sure weak lake odd bad new"),
        (Filter(class_name="Forest"), "sure weak"),
        (Filter(class_name="River"), "odd"),
        (Filter(class_name="Highway"), ""),
        (Filter(status=Status.UNSURE), "odd"),
        (Filter(status=Status.SURE), "sure weak lake"),
        (Filter(status=Status.UNREADABLE), "bad"),
        (Filter(status=Status.WAITING), "new"),
        (Filter(lowest=0.9), "sure"),
        (Filter(highest=0.75), "weak lake odd"),
        (Filter(lowest=0.6, highest=0.75), "weak lake odd"),
        (Filter(text="EA"), "weak"),
        (Filter(text="older/s"), "sure"),
        (Filter(text="l", class_name="SeaLake", lowest=0.5), "lake"),
    ],
)
def test_a_filter_shows_what_fits_all_that_it_asks_for(accepted: Filter, shown: str):
    items = {
        "sure": item_of(forest(0.9375), "sure"),
        "weak": item_of(forest(0.75), "weak"),
        "lake": item_of(predicted(0.25, 0.625, 0.125), "lake"),
        "odd": item_of(unsure(), "odd"),
        "bad": item_of(unreadable(), "bad"),
        "new": item_of(None, "new"),
    }
    assert [name for name, item in items.items() if accepted.accepts(item)] == shown.split()


def sorted_names(items: list[Item], column: Column, *, descending: bool = False) -> list[str]:
    return [item.name for item in sort_items(items, column, descending=descending)]


def test_numbers_in_names_sort_by_their_value_and_case_does_not_count():
    names = ["tile10.jpg", "Tile2.jpg", "tile1.jpg", "a100b3", "a100b20"]
    items = [item_of(None, name) for name in names]
    ascending = ["a100b3", "a100b20", "tile1.jpg", "Tile2.jpg", "tile10.jpg"]
    assert sorted_names(items, Column.IMAGE) == ascending
    assert sorted_names(items, Column.IMAGE, descending=True) == ascending[::-1]


@pytest.mark.parametrize(
    ("column", "ascending"),
    [
        (Column.CLASS, ["forest", "river", "lake"]),
        (Column.CONFIDENCE, ["lake", "forest", "river"]),
        (Column.RUNNER_UP, ["lake", "forest", "river"]),
        (Column.SIZE, ["river", "lake", "forest"]),
    ],
)
def test_what_has_no_value_comes_last_both_ways(column: Column, ascending: list[str]):
    items = [
        item_of(unreadable(), "bad"),
        item_of(predicted(0.75, 0.05, 0.2, size=(90, 10)), "forest"),
        item_of(predicted(0.3, 0.5, 0.2, size=(10, 80)), "lake"),
        item_of(None, "new"),
        item_of(predicted(0.02, 0.1, 0.88, size=(3, 3)), "river"),
    ]
    assert sorted_names(items, column) == [*ascending, "bad", "new"]
    assert sorted_names(items, column, descending=True) == [*ascending[::-1], "bad", "new"]


@given(
    st.lists(st.one_of(st.none(), outcomes), max_size=12), st.sampled_from(Column), st.booleans()
)
def test_sorting_keeps_every_image_and_the_order_of_equals(
    found: list[Outcome | None], column: Column, descending: bool
):
    items = [item_of(outcome, f"{number % 3}") for number, outcome in enumerate(found)]
    order = sort_items(items, column, descending=descending)
    assert sorted(map(id, order)) == sorted(map(id, items))
    again = sort_items(order, column, descending=descending)
    assert again == order


def test_pace_is_the_mean_time_of_an_answer():
    pace = Pace(started=100.0, latest=100.0)
    assert pace.seconds_each is None
    pace.advance(30, 103.0)
    assert pace.seconds_each == pytest.approx(0.1)
    pace.advance(10, 108.0)
    assert pace.seconds_each == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("seconds", "all_of_it", "what_is_left"),
    [
        (0.2, "less than a second", "1 s left"),
        (45, "about 45 s", "45 s left"),
        (150, "about 2 min", "2 min left"),
        (18_000, "about 5.0 h", "5.0 h left"),
    ],
)
def test_times_are_told_in_fitting_units(seconds: float, all_of_it: str, what_is_left: str):
    assert duration(seconds) == all_of_it
    assert time_left(seconds) == what_is_left
