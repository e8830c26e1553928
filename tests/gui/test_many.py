"""Many images: nothing grows without bounds, and Qt's own checker of models finds no fault."""

from pathlib import Path

import pytest
from PySide6.QtCore import QAbstractItemModel, QSortFilterProxyModel, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication

from eurosat.gui import pixels
from eurosat.model_file import shipped_model_path

from .conftest import Pictures, User, files_in


def checked(model: QAbstractItemModel) -> QAbstractItemModelTester:
    """Let Qt look at a model at each of its signals; the first fault fails the test."""
    mode = QAbstractItemModelTester.FailureReportingMode.Fatal
    return QAbstractItemModelTester(model, mode)


def test_qts_checker_finds_no_fault_while_images_stream_in(
    user: User, few_tiles: Path, pictures: Pictures, tmp_path: Path
):
    window = user.window
    shown = window.table.model()
    everything = [shown, window.answer.bars.model(), window.summary.model()]
    checkers = [checked(model) for model in [*everything, source_of(shown)]]
    (tmp_path / "bad.jpg").write_text("no image")
    window.open_paths([few_tiles, tmp_path / "bad.jpg"])
    window.table.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    user.waits_for(lambda: user.window.session.workspace.answered > 0)
    window.open_paths(pictures(40))
    window.filter_bar.text.setText("1")
    user.waits_until_done()
    user.filters("Forest")
    window.filter_bar.clear()
    window.table.selectAll()
    window.session.load_model(shipped_model_path("cnn-int8"))
    user.waits_until_done()
    window.session.remove(window.session.workspace.items[10:30])
    window.answer.fixed_order.click()
    window.table.sortByColumn(-1, Qt.SortOrder.DescendingOrder)
    user.chooses("Close all")
    assert user.rows() == []
    assert len(checkers) == 4


def source_of(model: QAbstractItemModel) -> QAbstractItemModel:
    assert isinstance(model, QSortFilterProxyModel)
    return model.sourceModel()


def test_a_thousand_images_are_opened_scrolled_through_and_closed_without_a_trace(
    user: User, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pixels, "_KEPT_THUMBNAILS", 150)
    window, session = user.window, user.window.session
    folder = pictures(1000)[0].parent
    window.open_paths([folder])
    user.waits_for(lambda: len(session.workspace.items) == 1000)
    bar = window.table.verticalScrollBar()
    most = 0
    for place in range(0, bar.maximum(), max(1, bar.maximum() // 60)):
        bar.setValue(place)
        QApplication.processEvents()
        most = max(most, len(session.thumbnails))
    user.waits_until_done()
    user.waits_for(lambda: len(session.thumbnails) == 150)
    assert most <= 150
    assert sum(session.workspace.class_counts.values()) == 1000

    window.table.selectAll()
    assert len(window.table.selected_items()) == 1000
    user.presses_in_table(Qt.Key.Key_Delete)
    assert user.rows() == []
    assert session.workspace.items == []
    assert +session.workspace.class_counts == {}
    QApplication.processEvents()
    assert len(session.thumbnails) == 0
    assert not session.is_busy
    assert len(files_in(folder)) == 1000
    user.opens(folder / "picture7.png")
    assert user.names() == ["picture7.png"]
