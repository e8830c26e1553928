"""Answers stream in: progress, cancel and go on, images that go while they are worked on, the end.

A gate before the reading of images lets a test stop the stream where it wants to.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt, QThread, QThreadPool
from PySide6.QtWidgets import QApplication, QLabel, QProgressBar, QSpinBox
from pytestqt.qtbot import QtBot

from eurosat import classifier as classifier_module
from eurosat.classifier import Classifier, ImageSource
from eurosat.gui.main_window import MainWindow
from eurosat.gui.pace import Pace
from eurosat.gui.results import ResultsFilter
from eurosat.gui.tasks import Task
from eurosat.gui.workspace import Column, Item
from eurosat.images import read_image
from eurosat.model_file import shipped_model_path

from .conftest import PATIENCE_MS, Gate, Pictures, User, assert_answered_by

ANSWERED = {"done", "unsure"}


@pytest.fixture
def busy_user(gate: Gate, user: User, tiles: Path) -> User:
    """A user with 60 tiles open, of which some have an answer and most are waiting."""
    user.window.open_paths([tiles])
    user.waits_for(lambda: len(user.rows()) == 60)
    gate.let_through(20)
    user.waits_for(lambda: user.window.session.workspace.answered > 0)
    assert user.window.session.workspace.waiting >= 40
    return user


def assert_shown_as_counted(user: User) -> None:
    items = user.window.session.workspace.items
    labels = Counter(item.cover.title for item in items if item.cover)
    assert user.summary() == {title: str(labels[title]) for title in user.summary()}


def test_progress_is_shown_as_long_as_there_is_some(busy_user: User, gate: Gate):
    window = busy_user.window
    bar = window.statusBar().findChild(QProgressBar)
    assert isinstance(bar, QProgressBar)
    answered = window.session.workspace.answered
    assert (bar.isVisible(), bar.maximum(), bar.value()) == (True, 60, answered)
    assert busy_user.button("Cancel").isVisible()
    assert not busy_user.button("Go on").isVisible()
    assert len(busy_user.column(2)) - busy_user.column(2).count("") == answered
    assert busy_user.column(5).count("waiting") == 60 - answered
    assert_shown_as_counted(busy_user)
    # As if each image had taken a minute.
    window.session.pace = Pace(started=0, latest=600, done=10)
    busy_user.filters("Forest")
    assert "60000.0 ms per image" in busy_user.facts()
    texts = [one.text() for one in window.statusBar().findChildren(QLabel) if one.isVisible()]
    assert f"{60 - answered} min left" in texts
    busy_user.filters("All classes")
    gate.open()
    busy_user.waits_until_done()
    assert not bar.isVisible()
    assert not busy_user.button("Cancel").isVisible()
    assert not busy_user.button("Go on").isVisible()
    assert any("ms per image" in fact for fact in busy_user.facts())
    assert_shown_as_counted(busy_user)


def test_cancel_keeps_what_is_done_and_go_on_finishes_the_rest(
    busy_user: User, gate: Gate, mobilenet: Classifier
):
    session = busy_user.window.session
    done = {item: item.outcome for item in session.workspace.items if item.outcome}
    busy_user.clicks("Cancel")
    assert not session.is_busy
    assert not busy_user.button("Cancel").isVisible()
    assert f"{60 - len(done)} not classified" in busy_user.facts()
    gate.open()
    busy_user.clicks("Go on")
    busy_user.waits_until_done()
    assert not busy_user.button("Go on").isVisible()
    assert all(item.outcome is outcome for item, outcome in done.items())
    assert_answered_by(mobilenet, session.workspace.items)
    assert_shown_as_counted(busy_user)


def test_what_was_cancelled_is_classified_when_it_is_opened_again(
    busy_user: User, gate: Gate, tiles: Path, mobilenet: Classifier
):
    busy_user.clicks("Cancel")
    gate.open()
    items = busy_user.opens(tiles)
    assert len(items) == 60
    assert_answered_by(mobilenet, items)
    assert_shown_as_counted(busy_user)


def test_escape_cancels_too(busy_user: User):
    busy_user.window.table.setFocus()
    busy_user.presses(Qt.Key.Key_Escape)
    assert not busy_user.window.session.is_busy
    assert busy_user.button("Go on").isVisible()


def test_escape_in_the_search_clears_it_and_cancels_nothing(busy_user: User):
    search = busy_user.window.filter_bar.text
    search.setFocus()
    search.setText("picture")
    busy_user.presses(Qt.Key.Key_Escape)
    assert search.text() == ""
    assert busy_user.window.session.is_busy


def test_answers_that_come_after_a_cancel_are_dropped(
    busy_user: User, gate: Gate, pictures: Pictures
):
    window, workspace = busy_user.window, busy_user.window.session.workspace
    busy_user.chooses("Stop")
    waiting = workspace.waiting_items()
    gate.open()
    # The thread comes to this one only after it has put aside all that was cancelled.
    window.open_paths(pictures(1))
    busy_user.waits_for(lambda: busy_user.column(5)[-1] in ANSWERED)
    assert workspace.waiting_items() == waiting


def test_after_a_cancel_what_is_opened_next_comes_to_an_end(
    busy_user: User, gate: Gate, pictures: Pictures
):
    window = busy_user.window
    busy_user.clicks("Cancel")
    waiting = window.session.workspace.waiting_items()
    gate.open()
    window.open_paths(pictures(2))
    busy_user.waits_for(lambda: ANSWERED.issuperset(busy_user.column(5)[-2:]))
    busy_user.waits_for(lambda: not window.session.is_busy)
    assert busy_user.button("Go on").isVisible()
    window.session.remove(waiting)
    assert not busy_user.button("Go on").isVisible()


def test_what_was_cancelled_is_not_counted_with_what_is_opened_next(
    busy_user: User, gate: Gate, pictures: Pictures
):
    window = busy_user.window
    busy_user.clicks("Cancel")
    answered = window.session.workspace.answered
    window.open_paths(pictures(3))
    busy_user.waits_for(lambda: len(busy_user.rows()) == 63)
    busy_user.waits_for(lambda: window.session.is_running)
    bar = window.statusBar().findChild(QProgressBar)
    assert isinstance(bar, QProgressBar)
    assert (bar.value(), bar.maximum()) == (answered, answered + 3)
    # As if each image had taken a minute.
    window.session.pace = Pace(started=0, latest=600, done=10)
    busy_user.filters("Waiting")
    texts = [one.text() for one in window.statusBar().findChildren(QLabel) if one.isVisible()]
    assert "3 min left" in texts
    gate.open()
    busy_user.waits_for(lambda: not window.session.is_busy)
    assert window.session.workspace.answered == answered + 3


def test_images_closed_while_busy_stay_closed(busy_user: User, gate: Gate, mobilenet: Classifier):
    window = busy_user.window
    items = list(window.session.workspace.items)
    window.table.selectAll()
    kept = items[10:20]
    busy_user.window.session.remove([item for item in items if item not in kept])
    assert busy_user.names() == [item.name for item in kept]
    gate.open()
    busy_user.waits_until_done()
    assert window.session.workspace.items == kept
    assert_answered_by(mobilenet, kept)
    assert_shown_as_counted(busy_user)


def test_close_all_while_busy_ends_the_work(busy_user: User, gate: Gate, tiles: Path):
    busy_user.chooses("Close all")
    assert busy_user.rows() == []
    assert not busy_user.window.session.is_busy
    gate.open()
    busy_user.opens(tiles / "Forest")
    assert len(busy_user.rows()) == 10
    assert busy_user.facts()[0] == "10 images"


def test_close_all_in_the_middle_of_a_search_leaves_nothing_open(user: User, pictures: Pictures):
    folder = pictures(30)[0].parent
    user.window.open_paths([folder])
    # The search has ended on its thread, and what it found is on its way to the window.
    assert QThreadPool.globalInstance().waitForDone(PATIENCE_MS)
    user.chooses("Close all")
    QApplication.processEvents()
    user.waits_until_done()
    assert user.rows() == []


def test_the_image_that_is_looked_at_comes_next(user: User, gate: Gate, tiles: Path):
    window = user.window
    order: list[Item] = []
    window.session.changed.connect(order.extend)
    user.window.open_paths([tiles])
    user.waits_for(lambda: len(user.rows()) == 60)
    last = window.session.workspace.items[-1]
    window.table.go_to(last)
    gate.open()
    user.waits_until_done()
    assert len(order) == 60
    assert order.index(last) < 40


def test_the_image_that_is_looked_at_comes_next_after_a_change_of_model_too(
    user: User, gate: Gate, tiles: Path
):
    session = user.window.session
    user.window.open_paths([tiles])
    user.waits_for(lambda: len(user.rows()) == 60)
    gate.let_through(60)
    user.waits_until_done()
    last = session.workspace.items[-1]
    user.window.table.go_to(last)
    order: list[Item] = []
    session.changed.connect(order.extend)
    session.load_model(shipped_model_path("cnn-int8"))
    user.waits_for(lambda: session.workspace.waiting == 60)
    gate.open()
    user.waits_until_done()
    assert len(order) == 60
    assert order.index(last) < 40


def test_images_that_come_while_others_are_worked_on_are_done_too(
    busy_user: User, gate: Gate, pictures: Pictures
):
    busy_user.window.open_paths([pictures(5)[0].parent])
    busy_user.waits_for(lambda: len(busy_user.rows()) == 65)
    gate.open()
    busy_user.waits_until_done()
    assert ANSWERED.issuperset(busy_user.column(5))


def test_rows_come_into_a_filtered_table_as_they_are_answered(
    busy_user: User, gate: Gate, mobilenet: Classifier
):
    busy_user.filters("River")
    assert busy_user.rows() == []
    gate.open()
    busy_user.waits_until_done()
    items = busy_user.window.session.workspace.items
    rivers = [item.name for item in items if mobilenet.classify(item.source).label == "River"]
    assert len(rivers) > 5
    assert busy_user.names() == rivers
    assert busy_user.current() is not None


def test_rows_fall_into_order_when_all_answers_have_come(busy_user: User, gate: Gate):
    busy_user.window.table.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    gate.open()
    busy_user.waits_until_done()
    shares = [float(text.rstrip("%")) for text in busy_user.column(2)]
    assert shares == sorted(shares, reverse=True)


def item_in(user: User, row: int) -> Item:
    shown = user.window.table.model()
    assert isinstance(shown, ResultsFilter)
    return shown.item(row)


def height_on_screen(user: User) -> int:
    """Where the current row begins, in pixels below the first row that is seen."""
    table = user.window.table
    place = table.visualRect(table.currentIndex())
    assert table.viewport().rect().contains(place.center()), "the current row is out of sight"
    return place.top()


def test_the_image_that_is_looked_at_stays_where_it_is_when_rows_fall_into_order(
    busy_user: User, gate: Gate
):
    table = busy_user.window.table
    table.sortByColumn(Column.CLASS, Qt.SortOrder.DescendingOrder)
    # A highway: four classes will stand above it.
    item = busy_user.window.session.workspace.items[10]
    table.go_to(item)
    table.scrollToTop()
    QApplication.processEvents()
    place, row = height_on_screen(busy_user), table.currentIndex().row()
    gate.open()
    busy_user.waits_until_done()
    assert abs(table.currentIndex().row() - row) > 10
    assert busy_user.current() is item
    assert table.selected_items() == [item]
    assert height_on_screen(busy_user) == place


def test_rows_that_come_above_do_not_push_away_what_is_looked_at(
    user: User, tiles: Path, gate: Gate
):
    user.window.open_paths([tiles])
    user.waits_for(lambda: len(user.rows()) == 60)
    table, workspace = user.window.table, user.window.session.workspace
    table.sortByColumn(Column.IMAGE, Qt.SortOrder.DescendingOrder)
    user.window.filter_bar.findChildren(QSpinBox)[0].setValue(1)  # What has an answer.
    gate.let_through(40)
    user.waits_for(lambda: len(user.rows()) >= 30)
    item = item_in(user, 3)
    table.go_to(item)
    QApplication.processEvents()
    place, count = height_on_screen(user), len(user.rows())
    gate.open()
    user.waits_until_done()
    assert workspace.answered == len(user.rows()) > count
    assert user.current() is item
    assert table.currentIndex().row() > 15
    assert height_on_screen(user) == place


def test_where_nothing_is_selected_the_first_row_that_is_seen_stays(busy_user: User, gate: Gate):
    table = busy_user.window.table
    table.sortByColumn(Column.CLASS, Qt.SortOrder.DescendingOrder)
    table.go_to(busy_user.window.session.workspace.items[0])
    table.verticalScrollBar().setValue(30)
    QApplication.processEvents()
    first = item_in(busy_user, table.indexAt(QPoint(0, 0)).row())
    gate.open()
    busy_user.waits_until_done()
    assert item_in(busy_user, table.indexAt(QPoint(0, 0)).row()) is first


def test_closing_the_window_while_busy_ends_all_threads(
    busy_user: User, gate: Gate, started_threads: list[QThread]
):
    assert len(started_threads) == 2
    assert all(thread.isRunning() for thread in started_threads)
    gate.open()
    assert busy_user.window.session.is_busy
    busy_user.window.close()
    assert all(thread.isFinished() for thread in started_threads)
    assert not busy_user.window.isVisible()


def test_the_window_can_be_closed_before_the_model_has_come(
    open_window: Callable[..., MainWindow], tiles: Path
):
    window = open_window(tiles)
    assert window.session.classifier is None
    window.close()


def test_what_is_opened_before_the_model_has_come_is_answered_by_it(
    open_window: Callable[..., MainWindow], qtbot: QtBot, few_tiles: Path, mobilenet: Classifier
):
    window = open_window(few_tiles)
    assert window.session.classifier is None
    user = User(window, qtbot)
    user.waits_until_done()
    assert_answered_by(mobilenet, window.session.workspace.items)


def test_an_error_of_ours_in_one_image_costs_the_others_nothing(
    user: User, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
):
    paths = pictures(40)

    def read(source: ImageSource) -> np.ndarray:
        if source == paths[3]:
            raise ZeroDivisionError("a mistake")
        return read_image(source)

    monkeypatch.setattr(classifier_module, "read_image", read)
    user.opens(*paths)
    told = user.column(5)
    assert "could not be classified" in told.pop(3)
    assert ANSWERED.issuperset(told)


def test_slots_of_a_task_run_in_the_thread_of_the_window(user: User):
    session = user.window.session
    threads: dict[str, QThread] = {}

    def keep(where: str) -> None:
        threads[where] = QThread.currentThread()

    def work(task: Task) -> int:
        keep("work")
        task.report(1)
        return 2

    def local_function(_: int) -> None:
        keep("local function")

    task = Task(work, session)
    task.reported.connect(lambda _: keep("lambda of a report"))
    task.finished.connect(lambda _: keep("lambda"))
    task.finished.connect(local_function)
    with user.qtbot.waitSignal(task.ended):
        session.start(task)
    own = QApplication.instance()
    assert own is not None
    assert threads.pop("work") != own.thread()
    assert len(threads) == 3
    assert set(threads.values()) == {own.thread()}
