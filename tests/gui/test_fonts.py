"""Letters of another size, which the user chose in the system: everything makes room for them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QTextDocument
from PySide6.QtWidgets import QApplication, QDialog, QLabel, QTableView, QTextBrowser
from pytestqt.qtbot import QtBot

from eurosat.gui.legend import Legend
from eurosat.gui.main_window import MainWindow
from eurosat.gui.workspace import Column
from eurosat.labels import EUROSAT_CLASSES
from eurosat.scenes.areas import Area

from ..eurosat.scenes.scene_fixtures import texture, write_rgb
from .conftest import PATIENCE_MS, User

SIZES = (8, 13, 20)
WIDTH_OF_A_SMALL_SCREEN = 1280
LEAST_SHARE_OF_A_SCENE = 0.45

ChooseSize = Callable[[int], None]


@pytest.fixture
def choose_size(qapp: QApplication) -> Iterator[ChooseSize]:
    """Choose how large letters are, in points."""
    usual = qapp.font()

    def choose(points: int) -> None:
        font = QFont(usual)
        font.setPointSize(points)
        qapp.setFont(font)
        qapp.processEvents()

    yield choose
    qapp.setFont(usual)


@pytest.fixture(params=SIZES)
def points(request: pytest.FixtureRequest, choose_size: ChooseSize) -> int:
    """The size of the letters of the test, in points."""
    choose_size(request.param)
    return request.param


@pytest.fixture
def reader(points: int, open_window: Callable[..., MainWindow], qtbot: QtBot) -> User:
    """A user who has chosen letters of this size before the app was opened."""
    del points
    window = open_window()
    qtbot.waitUntil(lambda: window.session.classifier is not None, timeout=PATIENCE_MS)
    return User(window, qtbot)


def assert_room_for_letters(table: QTableView) -> None:
    for row in range(table.model().rowCount()):
        assert table.rowHeight(row) >= table.fontMetrics().height()


def hints(table: QTableView, *columns: int) -> list[bool]:
    """Whether all that stands in these columns, and their titles, can be read in full."""
    header = table.horizontalHeader()
    return [
        table.columnWidth(column)
        >= max(table.sizeHintForColumn(column), header.sectionSizeHint(column))
        for column in columns
    ]


def test_answers_can_be_read_in_full_in_every_size(reader: User, few_tiles: Path):
    reader.opens(few_tiles)
    window = reader.window
    assert_room_for_letters(window.table)
    assert hints(window.table, Column.CLASS, Column.CONFIDENCE, Column.RUNNER_UP) == [True] * 3
    for bars in (window.answer.bars, window.summary):
        assert len(bars.bars) == len(EUROSAT_CLASSES)
        assert_room_for_letters(bars)
        assert hints(bars, 0, 2) == [True] * 2


def test_the_window_fits_a_small_screen(reader: User, few_tiles: Path):
    reader.opens(few_tiles)
    assert reader.window.minimumSizeHint().width() <= WIDTH_OF_A_SMALL_SCREEN


def test_facts_that_do_not_fit_end_in_an_ellipsis_and_stand_in_the_tooltip(
    user: User,
):
    (facts,) = [one for one in user.window.findChildren(QLabel) if one.text().endswith("offline")]
    all_of_them = "12,345 could not be read · " * 20
    facts.setText(all_of_them)
    seen = facts.grab().toImage()
    assert facts.toolTip() == all_of_them
    letters, width = facts.fontMetrics(), facts.width()
    facts.setText(letters.elidedText(all_of_them, Qt.TextElideMode.ElideRight, width))
    assert facts.text() != all_of_them
    assert facts.grab().toImage() == seen


@pytest.mark.parametrize("name", ["Keyboard shortcuts", "About EuroSAT Edge", "Model card"])
def test_a_window_with_a_text_grows_with_its_letters(name: str, reader: User):
    reader.chooses(name)
    (window,) = reader.window.findChildren(QDialog)
    text = window.findChild(QTextBrowser)
    assert isinstance(text, QTextBrowser)
    screen = window.screen().availableSize()
    letters = window.fontMetrics()
    # The screen of the test has place for so many of the largest.
    assert window.width() >= min(60 * letters.averageCharWidth(), screen.width())
    assert window.height() >= min(24 * letters.lineSpacing(), screen.height())
    assert window.width() <= screen.width()
    assert window.height() <= screen.height()
    assert not text.horizontalScrollBar().isVisible()


def test_letters_that_grow_while_the_app_is_open_get_their_room(
    choose_size: ChooseSize, user: User, few_tiles: Path
):
    user.opens(few_tiles)
    window = user.window
    (headline,) = [
        one for one in window.answer.findChildren(QLabel) if one.text() == window.answer.headline
    ]
    for size in (20, 8, 20):
        choose_size(size)
        assert headline.font().pointSizeF() == pytest.approx(1.9 * size, rel=0.1)
        assert headline.font().bold()
        assert_room_for_letters(window.table)
        assert_room_for_letters(window.summary)
        assert hints(window.table, Column.CLASS, Column.CONFIDENCE) == [True] * 2
        assert hints(window.summary, 0, 2) == [True] * 2


def test_columns_that_were_chosen_for_small_letters_do_not_cut_large_ones(
    choose_size: ChooseSize, open_window: Callable[..., MainWindow]
):
    choose_size(8)
    window = open_window()
    window.table.setColumnWidth(Column.CLASS, 77)
    window.close()
    choose_size(20)
    assert open_window().table.columnWidth(Column.CLASS) > 300
    choose_size(8)
    windows = [open_window()]
    windows[0].table.setColumnWidth(Column.CLASS, 77)
    windows[0].close()
    assert open_window().table.columnWidth(Column.CLASS) == 77


def test_all_rows_of_a_legend_are_seen(points: int, user: User):
    del points
    legend = Legend(user.window)
    areas = [
        Area(cover.name, cover.title, cover.colour, 1, 100, 1e4, 0.1, 0.9)
        for cover in EUROSAT_CLASSES
    ]
    legend.show_areas(tuple(areas), set())
    legend.show()
    assert_room_for_letters(legend)
    assert legend.verticalScrollBar().maximum() == 0
    assert legend.viewport().height() >= legend.verticalHeader().length()


def test_names_that_are_cut_in_a_narrow_legend_stand_in_the_tooltip(user: User):
    legend = Legend(user.window)
    names = [cover.title for cover in EUROSAT_CLASSES] + ["Glacier <moraine>"]
    legend.show_areas(
        tuple(Area(name, name, "#808080", 1, 100, 1e4, 0.1, 0.9) for name in names), set()
    )
    for row, name in enumerate(names):
        item = legend.item(row, 0)
        assert item is not None
        told = QTextDocument()
        told.setHtml(item.toolTip())
        assert told.toPlainText().startswith(item.text())
        assert item.text() == name


def sees_a_map(user: User, folder: Path) -> None:
    """Open a scene on a small screen and preview its map."""
    scene = write_rgb(folder / "scene.tif", texture(200, 200, low=60, high=140))
    window = user.window
    window.resize(WIDTH_OF_A_SMALL_SCREEN, 800)
    window.scenes.open(scene)
    user.waits_for(lambda: window.scenes.can_map)
    window.scene_page.preview()
    user.waits_for(lambda: window.scene_page.panel.legend.rowCount() > 0)
    user.waits_for(lambda: window.scenes.can_map)


def assert_the_panel_can_be_used(user: User) -> None:
    """Check that nothing beside a scene is cut, and that the scene has its share."""
    window = user.window
    panel = window.scene_page.panel
    column = panel.widget()
    assert column is not None
    # Qt takes several turns to lay everything out.
    user.waits_for(lambda: column.width() <= panel.viewport().width())
    assert_room_for_letters(panel.legend)
    assert hints(panel.legend, 1, 2, 3) == [True] * 3
    assert panel.legend.verticalScrollBar().maximum() == 0
    assert panel.legend.iconSize().height() >= panel.legend.fontMetrics().capHeight()
    assert panel.legend.columnWidth(0) > 5 * panel.legend.fontMetrics().averageCharWidth()
    assert window.scene_page.view.width() >= LEAST_SHARE_OF_A_SCENE * WIDTH_OF_A_SMALL_SCREEN


def test_a_scene_keeps_its_share_of_a_small_screen(reader: User, tmp_path: Path):
    sees_a_map(reader, tmp_path)
    assert_the_panel_can_be_used(reader)


def test_the_column_beside_a_scene_cannot_be_made_too_narrow(reader: User, tmp_path: Path):
    sees_a_map(reader, tmp_path)
    page = reader.window.scene_page
    legend, column = page.panel.legend, page.panel.widget()
    assert column is not None
    for is_assumed in (False, True):  # Then a heading is longer.
        page.columns.setSizes([WIDTH_OF_A_SMALL_SCREEN, 0])
        legend.set_assumed(is_assumed=is_assumed)
        reader.waits_for(lambda: column.width() <= page.panel.viewport().width())
        reader.waits_for(
            lambda: legend.columnWidth(0) > 5 * legend.fontMetrics().averageCharWidth()
        )
        assert hints(legend, 1, 2, 3) == [True] * 3
        assert sum(map(legend.columnWidth, range(4))) <= legend.viewport().width()


def test_what_stands_beside_a_scene_follows_letters_that_grow_while_the_app_is_open(
    choose_size: ChooseSize, user: User, tmp_path: Path
):
    sees_a_map(user, tmp_path)
    panel = user.window.scene_page.panel
    (title,) = [one for one in panel.findChildren(QLabel) if one.text() == "scene.tif"]
    for size in (20, 8, 20):
        choose_size(size)
        assert title.font().pointSizeF() == pytest.approx(1.5 * size, rel=0.1)
        assert title.font().bold()
        assert_the_panel_can_be_used(user)


def test_what_is_said_of_a_place_ends_in_an_ellipsis_where_it_does_not_fit(
    user: User, tmp_path: Path
):
    sees_a_map(user, tmp_path)
    window = user.window
    window.resize(window.minimumSizeHint().width(), 600)
    page = window.scene_page
    page.view.pointed.emit(page.view.sceneRect().center())
    (line,) = [one for one in page.findChildren(QLabel) if one.text() == page.read_out]
    margins = line.contentsMargins()
    assert line.fontMetrics().horizontalAdvance(page.read_out) > line.width()
    assert line.toolTip() == page.read_out
    seen = line.grab().toImage()
    width = line.width() - margins.left() - margins.right()
    line.setText(line.fontMetrics().elidedText(page.read_out, Qt.TextElideMode.ElideRight, width))
    assert line.grab().toImage() == seen
