"""The table: sorting, filtering, selecting, copying, closing, and walking through it by keys."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import QItemSelectionModel, QPoint, QSize, Qt
from PySide6.QtGui import QGuiApplication, QTextDocument
from PySide6.QtWidgets import QSpinBox, QTableView

from eurosat.classifier import Classifier
from eurosat.gui.workspace import Column, Item, Status

from .conftest import Pictures, User, files_in

Descending = Qt.SortOrder.DescendingOrder


@pytest.fixture
def landscape(user: User, few_tiles: Path, tmp_path: Path) -> User:
    """A user who has an unreadable file and four real tiles of each of six classes open."""
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    user.opens(bad, few_tiles)
    return user


def shares(user: User) -> list[float]:
    return [float(text.rstrip("%")) for text in user.column(Column.CONFIDENCE) if text]


def select(user: User, *rows: int) -> None:
    table = user.window.table
    table.clearSelection()
    flags = QItemSelectionModel.SelectionFlag
    for row in rows:
        table.selectionModel().select(table.model().index(row, 0), flags.Select | flags.Rows)


def percent_box(user: User, name: str) -> QSpinBox:
    boxes = user.window.filter_bar.findChildren(QSpinBox)
    (box,) = [box for box in boxes if box.accessibleName() == f"{name} confidence"]
    return box


def test_a_row_tells_all_that_was_found(landscape: User, mobilenet: Classifier):
    items = landscape.window.session.workspace.items
    for row, item in zip(landscape.rows()[1:], items[1:], strict=True):
        assert isinstance(item.source, Path)
        expected = mobilenet.classify(item.source)
        assert item.cover is not None and item.runner_up is not None
        assert (item.cover.name, item.runner_up.name) == (expected.label, expected.runner_up)
        cover = item.cover.title + "?" * expected.is_unsure
        assert row[:3] == [item.source.name, cover, f"{expected.confidence:.1%}"]
        assert row[3] == f"{item.runner_up.title} {expected.top(2)[1][1]:.1%}"
        assert row[4] == "64 × 64"


def colours_in(view: QTableView, row: int) -> list[str]:
    """What colours are seen in the first two cells of a row, pixel by pixel."""
    first = view.visualRect(view.model().index(row, 0))
    place = first.united(view.visualRect(view.model().index(row, 1)))
    seen = view.viewport().grab(place).toImage()
    return [seen.pixelColor(x, y).name() for x in range(seen.width()) for y in range(seen.height())]


def test_a_selected_row_keeps_the_colours_of_class_and_thumbnail(user: User, tmp_path: Path):
    Image.new("RGB", (64, 64), (200, 40, 30)).save(tmp_path / "red.png")
    (item,) = user.opens(tmp_path / "red.png")
    assert item.cover is not None
    table, summary = user.window.table, user.window.summary
    title = [bar.cover for bar in summary.bars].index(item.cover)
    for view, row, colours in (
        (table, 0, ["#c8281e", item.cover.colour.lower()]),
        (summary, title, [item.cover.colour.lower()]),
    ):
        view.clearSelection()
        user.waits_for(lambda: "#c8281e" in colours_in(table, 0))
        counts = [colours_in(view, row).count(colour) for colour in colours]
        assert min(counts) > 50
        view.selectRow(row)
        assert [colours_in(view, row).count(colour) for colour in colours] == counts


def test_names_stand_in_line_whatever_form_an_image_has(user: User, tmp_path: Path):
    for name, size in (("portrait", (20, 64)), ("square", (64, 64)), ("wide", (64, 20))):
        Image.new("RGB", size, (200, 40, 30)).save(tmp_path / f"{name}.png")
    user.opens(tmp_path)
    session = user.window.session
    user.waits_for(lambda: len(session.thumbnails) == 3)
    sizes = [
        icon.availableSizes()
        for icon in map(session.thumbnails.get, session.workspace.items)
        if icon
    ]
    assert sizes == [[QSize(32, 32)]] * 3


def test_titles_stand_over_their_columns(landscape: User):
    model = landscape.window.table.model()
    role = Qt.ItemDataRole.TextAlignmentRole
    for column in Column:
        title = model.headerData(column, Qt.Orientation.Horizontal, role)
        assert title == model.index(0, column).data(role)


def test_the_current_image_stays_in_view_when_rows_are_sorted(user: User, pictures: Pictures):
    item = user.opens(*pictures(60))[0]
    table = user.window.table
    table.go_to(item)
    header = table.horizontalHeader()
    place = QPoint(header.sectionViewportPosition(Column.IMAGE) + 20, header.height() // 2)
    for _ in range(2):
        user.qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert user.current() is item
    assert table.currentIndex().row() == 59
    assert table.viewport().rect().contains(table.visualRect(table.currentIndex()).center())


VALUES: dict[Column, Callable[[Item], str | float]] = {
    Column.IMAGE: lambda item: re.sub(r"\d+", lambda found: found[0].zfill(9), item.name.lower()),
    Column.CLASS: lambda item: item.cover.title if item.cover else "",
    Column.CONFIDENCE: lambda item: item.confidence,
    Column.RUNNER_UP: lambda item: item.runner_up.title if item.runner_up else "",
    Column.SIZE: lambda item: item.image_size[0] * item.image_size[1] if item.image_size else 0,
    Column.STATUS: lambda item: item.status is Status.UNREADABLE,
}


@pytest.mark.parametrize("column", Column)
def test_a_click_on_a_title_sorts_and_another_one_turns_it_round(column: Column, landscape: User):
    window = landscape.window
    of_name = {item.name: item for item in window.session.workspace.items}
    header = window.table.horizontalHeader()
    place = QPoint(header.sectionViewportPosition(column) + 20, header.height() // 2)
    for is_turned in (False, True):
        landscape.qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
        items = [of_name[name] for name in landscape.names()]
        assert len(items) == len(of_name)
        if column not in {Column.IMAGE, Column.STATUS}:
            assert items.pop().name == "bad.jpg", "what has no value comes last"
        values = [VALUES[column](item) for item in items]
        assert values == sorted(values, reverse=is_turned)
    landscape.qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert landscape.names() == list(of_name), "a third click brings the order of opening back"


def test_the_current_image_stays_current_when_rows_are_sorted(landscape: User):
    item = landscape.window.session.workspace.items[9]
    landscape.window.table.go_to(item)
    landscape.window.table.sortByColumn(Column.CONFIDENCE, Descending)
    assert landscape.current() is item
    assert landscape.window.table.selected_items() == [item]


def test_rows_stay_sorted_when_some_are_closed_and_others_come(landscape: User, pictures: Pictures):
    landscape.window.table.sortByColumn(Column.CONFIDENCE, Descending)
    select(landscape, 3, 5)
    landscape.chooses("Close selected")
    assert len(landscape.rows()) == 23
    assert shares(landscape) == sorted(shares(landscape), reverse=True)
    landscape.opens(*pictures(5))
    assert len(landscape.rows()) == 28
    assert shares(landscape) == sorted(shares(landscape), reverse=True)


def test_the_filter_by_class_shows_that_class(landscape: User):
    for title, count in Counter(landscape.classes()[1:]).items():
        landscape.filters(title)
        assert landscape.classes() == [title] * count
        assert f"{count} shown" in landscape.facts()
    landscape.filters("All classes")
    assert len(landscape.rows()) == 25


def test_the_filter_by_text_goes_by_name_and_folder(landscape: User):
    field = landscape.window.filter_bar.text
    landscape.qtbot.keyClicks(field, "highway_1")
    names = landscape.names()
    assert names
    assert all(name.startswith("Highway_1") for name in names)
    field.setText("sealake/")
    assert len(landscape.rows()) == 4
    field.setText("no such image")
    assert landscape.rows() == []
    landscape.chooses("Show everything")
    assert len(landscape.rows()) == 25
    assert field.text() == ""


def test_a_name_is_found_in_whichever_form_its_accents_are(user: User, tmp_path: Path):
    # Those of files from a Mac are often letters of their own.
    for name in ("Mu\u0308ritz.png", "Röbel.png"):
        Image.new("RGB", (20, 20), "green").save(tmp_path / name)
    user.opens(tmp_path)
    for typed, found in (("müritz", "Mu\u0308ritz.png"), ("RO\u0308BEL", "Röbel.png")):
        user.window.filter_bar.text.setText(typed)
        assert user.names() == [found]


def test_the_filter_by_confidence_keeps_within_its_bounds(landscape: User, pictures: Pictures):
    items = landscape.opens(*pictures(20))
    lowest, highest = percent_box(landscape, "Lowest"), percent_box(landscape, "Highest")
    lowest.setValue(60)
    assert landscape.names() == [item.name for item in items if item.confidence >= 0.6]
    highest.setValue(95)
    kept = [item.name for item in items if 0.6 <= item.confidence <= 0.95]
    assert landscape.names() == kept
    assert 0 < len(kept) < 40
    lowest.setValue(0)
    assert "bad.jpg" not in landscape.names()
    landscape.chooses("Show everything")
    assert len(landscape.names()) == 45
    assert (lowest.value(), highest.value()) == (0, 100)


def test_a_bound_of_confidence_takes_the_other_one_along(landscape: User):
    lowest, highest = percent_box(landscape, "Lowest"), percent_box(landscape, "Highest")
    highest.setValue(20)
    lowest.setValue(80)
    assert highest.value() == 80
    highest.setValue(30)
    assert lowest.value() == 30


def test_a_bound_that_is_typed_counts_once_it_is_complete(landscape: User):
    lowest, highest = percent_box(landscape, "Lowest"), percent_box(landscape, "Highest")
    lowest.setValue(60)
    highest.selectAll()
    landscape.qtbot.keyClicks(highest, "95")
    assert lowest.value() == 60
    landscape.qtbot.keyClick(highest, Qt.Key.Key_Return)
    assert (lowest.value(), highest.value()) == (60, 95)


def test_the_filter_by_status_finds_what_could_not_be_read(landscape: User):
    landscape.filters("Unreadable")
    assert landscape.names() == ["bad.jpg"]
    landscape.filters("Waiting")
    assert landscape.names() == []


def test_an_unsure_answer_says_so_and_can_be_found(landscape: User, pictures: Pictures):
    items = landscape.opens(*pictures(30))
    unsure = [item for item in items if item.status is Status.UNSURE]
    assert unsure, "the model is sure of painted rectangles"
    landscape.filters("Unsure")
    assert landscape.names() == [item.name for item in unsure]
    assert set(landscape.column(Column.STATUS)) == {"unsure"}
    landscape.window.table.go_to(unsure[0])
    assert unsure[0].cover is not None
    assert landscape.window.answer.headline == f"Unsure: {unsure[0].cover.title.lower()}"
    assert len(landscape.bars()) == 10


def test_a_filter_that_hides_the_current_image_goes_to_one_that_is_shown(landscape: User):
    forest, lake = (
        next(item for item in landscape.window.session.workspace.items if title in item.location)
        for title in ("Forest/", "SeaLake/")
    )
    landscape.window.table.go_to(lake)
    landscape.filters("Sea or lake")
    assert landscape.current() is lake
    landscape.filters("Forest")
    assert landscape.current() is not None
    assert landscape.window.answer.headline == "Forest"
    landscape.window.filter_bar.text.setText("no such image")
    assert landscape.current() is None
    assert landscape.window.answer.description == "No image fits the filter."
    assert landscape.bars() == []
    assert not landscape.window.export_menu.save_picture.isEnabled()
    landscape.chooses("Show everything")
    assert landscape.current() is not None
    assert forest.is_open


def test_a_double_click_in_the_summary_shows_that_class_and_then_all_again(landscape: User):
    summary = landscape.window.summary
    titles = [bar.cover.title for bar in summary.bars]
    index = summary.model().index(titles.index("River"), 0)
    summary.activated.emit(index)
    assert set(landscape.classes()) == {"River"}
    summary.activated.emit(index)
    assert len(landscape.rows()) == 25


def test_the_summary_counts_what_the_table_shows(landscape: User):
    counted = Counter(landscape.classes()[1:])
    assert landscape.summary() == {title: str(counted[title]) for title in landscape.summary()}
    assert len(landscape.summary()) == 10
    largest = max(counted.values())
    for bar in landscape.window.summary.bars:
        assert bar.share == counted[bar.cover.title] / largest
    select(landscape, 0, *range(10, 20))
    landscape.presses_in_table(Qt.Key.Key_Delete)
    counted = Counter(landscape.classes())
    assert counted.total() == 14
    assert landscape.summary() == {title: str(counted[title]) for title in landscape.summary()}
    assert landscape.facts()[0] == "14 images"
    assert not any("could not be read" in fact for fact in landscape.facts())


def test_the_delete_key_closes_all_selected_rows_and_no_file(landscape: User, few_tiles: Path):
    names = landscape.names()
    select(landscape, 2, 3, 10)
    landscape.presses_in_table(Qt.Key.Key_Delete)
    assert landscape.names() == [name for row, name in enumerate(names) if row not in {2, 3, 10}]
    assert landscape.current() is not None
    assert len(files_in(few_tiles)) == 24


def test_closing_the_only_image_that_a_filter_shows_leaves_nothing_to_look_at(landscape: User):
    landscape.filters("Unreadable")
    select(landscape, 0)
    landscape.presses_in_table(Qt.Key.Key_Delete)
    assert landscape.rows() == []
    assert landscape.current() is None
    assert landscape.window.answer.headline == ""
    assert landscape.bars() == []


def test_after_closing_all_nothing_is_left_to_export(landscape: User):
    item = landscape.window.session.workspace.items[5]
    landscape.window.table.go_to(item)
    landscape.waits_for_picture(item)
    landscape.chooses("Close all")
    assert landscape.rows() == []
    assert landscape.bars() == []
    assert not any("ms per image" in fact for fact in landscape.facts())
    entries = [one for one in landscape.window.export_menu.actions() if one.text()]
    assert len(entries) == 5
    assert [one.text() for one in entries if one.isEnabled()] == []
    assert landscape.summary() == dict.fromkeys(landscape.summary(), "0")


def test_selected_rows_are_copied_as_a_spreadsheet_takes_them(landscape: User):
    rows = landscape.rows()
    select(landscape, 7, 2, 4)
    landscape.chooses("Copy rows")
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].split("\t") == ["Image", "Class", "Confidence", "Runner-up", "Size", "Status"]
    assert [line.split("\t") for line in lines[1:]] == [rows[2], rows[4], rows[7]]
    landscape.window.table.clearSelection()
    landscape.chooses("Copy rows")
    assert QGuiApplication.clipboard().text().splitlines() == lines, "nothing was selected"


def test_a_name_that_would_begin_a_cell_or_a_row_is_copied_into_one_cell(
    user: User, few_tiles: Path, tmp_path: Path
):
    path = tmp_path / "a\tb\nc.jpg"
    path.write_bytes(files_in(few_tiles)[0].read_bytes())
    user.opens(path)
    user.chooses("Select all")
    user.chooses("Copy rows")
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[1:] == ["\t".join(["a b c.jpg", *user.rows()[0][1:]])]


def test_a_name_that_would_be_a_formula_is_copied_as_text(
    user: User, few_tiles: Path, tmp_path: Path
):
    names = ["+1.jpg", "-1.jpg", "=HYPERLINK(1).jpg", "@a.jpg", "a=1.jpg"]
    for name in names:
        (tmp_path / name).write_bytes(files_in(few_tiles)[0].read_bytes())
    user.opens(*(tmp_path / name for name in names))
    user.chooses("Select all")
    user.chooses("Copy rows")
    _, *lines = QGuiApplication.clipboard().text().splitlines()
    copied = [line.split("\t")[0] for line in lines]
    assert copied == [*(f"'{name}" for name in names[:4]), "a=1.jpg"]


def test_all_rows_can_be_selected_and_only_those_that_are_shown(landscape: User):
    landscape.filters("Forest")
    landscape.chooses("Select all")
    assert [item.name for item in landscape.window.table.selected_items()] == landscape.names()


def test_the_table_is_walked_through_with_the_keyboard_alone(landscape: User):
    window = landscape.window
    items = window.session.workspace.items
    window.table.setFocus()
    keys = Qt.Key
    for key, expected in (
        (keys.Key_Home, 0),
        (keys.Key_Down, 1),
        (keys.Key_Down, 2),
        (keys.Key_Up, 1),
        (keys.Key_End, 24),
        (keys.Key_Up, 23),
    ):
        landscape.presses(key)
        assert landscape.current() is items[expected]
        assert window.table.selected_items() == [items[expected]]
    assert window.answer.headline == "Sea or lake"
    landscape.waits_for_picture(items[23])
    landscape.presses(keys.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert window.table.selected_items() == items[22:24]
    landscape.presses(keys.Key_PageUp)
    current = landscape.current()
    assert current is not None
    assert 0 < items.index(current) < 22


def test_find_goes_to_the_search_field_and_tab_leaves_the_table(landscape: User):
    window = landscape.window
    window.table.setFocus()
    landscape.presses(Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    assert window.focusWidget() is window.filter_bar.text
    landscape.qtbot.keyClicks(window.filter_bar.text, "river")
    assert len(landscape.rows()) == 4
    window.table.setFocus()
    landscape.presses(Qt.Key.Key_Tab)
    assert window.focusWidget() is not window.table


def test_keys_in_the_search_field_edit_the_text_and_close_no_rows(landscape: User):
    field = landscape.window.filter_bar.text
    field.setFocus()
    landscape.qtbot.keyClicks(field, "river")
    landscape.presses(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    landscape.presses(Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "river"
    landscape.presses(Qt.Key.Key_Delete)
    assert field.text() == ""
    assert len(landscape.rows()) == 25


def test_after_closing_the_next_image_is_looked_at(landscape: User):
    items = list(landscape.window.session.workspace.items)
    landscape.window.table.go_to(items[5])
    landscape.presses_in_table(Qt.Key.Key_Delete)
    assert landscape.current() is items[6]
    assert landscape.window.table.selected_items() == [items[6]]
    landscape.window.table.go_to(items[-1])
    landscape.presses_in_table(Qt.Key.Key_Delete)
    assert landscape.current() is items[-2]


def test_a_name_with_brackets_is_told_as_it_is(user: User, few_tiles: Path, tmp_path: Path):
    path = tmp_path / "<b>bold.jpg"
    path.write_bytes(files_in(few_tiles)[0].read_bytes())
    user.opens(path)
    told = user.window.table.model().index(0, Column.CLASS).data(Qt.ItemDataRole.ToolTipRole)
    document = QTextDocument()
    document.setHtml(told)
    assert document.toPlainText() == str(path)
