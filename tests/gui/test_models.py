"""Which model answers: a change in the middle, files of others, damaged ones, and the card."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from PySide6.QtCore import Qt, QThreadPool
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QApplication, QDialog, QTextBrowser
from pytestqt.qtbot import QtBot

from eurosat.classifier import Classifier, Prediction
from eurosat.gui.main_window import MainWindow
from eurosat.gui.settings import Settings
from eurosat.labels import land_cover
from eurosat.model_file import read_model_file, shipped_model_path, write_model_file

from .conftest import (
    PATIENCE_MS,
    Dialogs,
    Gate,
    Pictures,
    User,
    assert_answered_by,
    assert_one_sentence,
)

CNN = shipped_model_path("cnn-int8")


def entries(user: User) -> dict[str, QAction]:
    """The menu of models as it opens."""
    menu = user.window.model_menu
    menu.aboutToShow.emit()
    return {re.sub("[&…]", "", one.text()): one for one in menu.actions() if one.text()}


def title(path: Path) -> str:
    metadata = read_model_file(path).metadata
    assert metadata is not None
    return metadata.title


def in_use(user: User) -> Path:
    classifier = user.window.session.classifier
    assert classifier is not None
    return classifier.model_file.path


def chooses_file(user: User, dialogs: Dialogs, path: Path) -> None:
    dialogs.paths = [path]
    entries(user)["Open a model file"].trigger()


def test_the_shipped_models_are_offered_and_the_one_in_use_is_marked(user: User):
    shipped = entries(user)
    marked = {text: action.isChecked() for text, action in shipped.items() if action.isCheckable()}
    assert marked == {title(CNN): False, title(shipped_model_path("mobilenet-int8")): True}
    assert title(in_use(user)) in user.facts()


def test_a_change_of_model_in_the_middle_leaves_no_answer_of_the_old_one(
    gate: Gate, user: User, tiles: Path, cnn: Classifier, mobilenet: Classifier
):
    window = user.window
    window.open_paths([tiles])
    user.waits_for(lambda: len(user.rows()) == 60)
    gate.let_through(20)
    user.waits_for(lambda: window.session.workspace.answered > 0)
    with user.qtbot.waitSignal(window.session.model_changed, timeout=PATIENCE_MS):
        entries(user)[title(CNN)].trigger()
    assert window.session.workspace.answered == 0
    gate.open()
    user.waits_until_done()
    items = window.session.workspace.items
    assert_answered_by(cnn, items)
    first = items[0]
    assert isinstance(first.source, Path) and isinstance(first.outcome, Prediction)
    old = mobilenet.classify(first.source).probabilities
    assert not np.array_equal(first.outcome.probabilities, old)
    assert entries(user)[title(CNN)].isChecked()
    assert Settings().model == str(CNN)
    assert title(CNN) in user.facts()


def test_a_change_of_model_keeps_what_is_selected(user: User, pictures: Pictures):
    items = user.opens(*pictures(12))
    table = user.window.table
    table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    kept = [items[number] for number in (11, 10, 8, 3, 2)]
    table.go_to(items[5])
    table.select(kept)
    with user.qtbot.waitSignal(user.window.session.model_changed, timeout=PATIENCE_MS):
        entries(user)[title(CNN)].trigger()
    user.waits_until_done()
    assert table.selected_items() == kept
    assert user.current() is items[5]


def test_choosing_the_model_in_use_asks_for_nothing_again(user: User, pictures: Pictures):
    items = user.opens(*pictures(3))
    answers = [item.outcome for item in items]
    changes: list[int] = []
    user.window.session.model_changed.connect(lambda: changes.append(1))
    Settings().model = "gone.tflite"
    entries(user)[title(in_use(user))].trigger()
    assert QThreadPool.globalInstance().waitForDone(PATIENCE_MS)
    QApplication.processEvents()
    assert changes == []
    assert all(item.outcome is answer for item, answer in zip(items, answers, strict=True))
    assert Settings().model == ""


def test_a_model_file_that_was_written_anew_is_another_model(
    user: User, dialogs: Dialogs, tmp_path: Path
):
    path = tmp_path / "model.tflite"
    path.write_bytes(CNN.read_bytes())
    chooses_file(user, dialogs, path)
    user.waits_for(lambda: in_use(user) == path)
    path.write_bytes(shipped_model_path("mobilenet-int8").read_bytes())
    with user.qtbot.waitSignal(user.window.session.model_changed, timeout=PATIENCE_MS):
        chooses_file(user, dialogs, path)
    assert title(shipped_model_path("mobilenet-int8")) in user.facts()


def test_the_choice_is_remembered(
    open_window: Callable[..., MainWindow], qtbot: QtBot, pictures: Pictures
):
    Settings().model = str(CNN)
    user = User(open_window(*pictures(1)), qtbot)
    user.waits_until_done()
    assert in_use(user) == CNN


@pytest.mark.parametrize("content", [b"no model", b"", None], ids=["text", "empty", "cut short"])
def test_a_damaged_model_leaves_the_old_one_running_and_says_why(
    content: bytes | None, user: User, dialogs: Dialogs, pictures: Pictures, tmp_path: Path
):
    user.opens(*pictures(3))
    rows, before = user.rows(), in_use(user)
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(CNN.read_bytes()[:20_000] if content is None else content)
    chooses_file(user, dialogs, damaged)
    user.waits_for(lambda: user.refusal() != "")
    assert_one_sentence(user.refusal())
    assert "damaged.tflite" in user.refusal()
    assert in_use(user) == before
    assert user.rows() == rows
    assert user.error_boxes() == []
    assert Settings().model == ""
    user.opens(*pictures(2))
    assert user.column(2).count("") == 0


@pytest.mark.parametrize("is_there", [True, False], ids=["damaged", "gone"])
def test_a_remembered_model_that_cannot_be_used_is_replaced_by_the_shipped_one(
    is_there: bool,
    open_window: Callable[..., MainWindow],
    qtbot: QtBot,
    pictures: Pictures,
    tmp_path: Path,
):
    remembered = tmp_path / "remembered.tflite"
    if is_there:
        remembered.write_text("no model any more")
    Settings().model = str(remembered)
    user = User(open_window(*pictures(2)), qtbot)
    user.waits_until_done()
    assert in_use(user) == shipped_model_path("mobilenet-int8")
    assert "remembered.tflite" in user.refusal()
    assert_one_sentence(user.refusal())
    # It may lie on a disk that is not there today.
    assert Settings().model == str(remembered)


def test_a_bad_choice_before_any_model_is_there_leaves_the_shipped_one(
    open_window: Callable[..., MainWindow], qtbot: QtBot, pictures: Pictures, tmp_path: Path
):
    damaged = tmp_path / "damaged.tflite"
    damaged.write_text("no model")
    user = User(open_window(*pictures(2)), qtbot)
    assert user.window.session.classifier is None
    user.window.session.load_model(damaged)
    user.waits_until_done()
    assert in_use(user) == shipped_model_path("mobilenet-int8")
    assert "damaged.tflite" in user.refusal()


def test_the_latest_of_two_choices_counts(user: User, pictures: Pictures, cnn: Classifier):
    user.opens(*pictures(2))
    session = user.window.session
    session.load_model(shipped_model_path("mobilenet-int8"))
    session.load_model(CNN)
    user.waits_for(lambda: in_use(user) == CNN and not session.is_busy)
    assert_answered_by(cnn, session.workspace.items)


def plain_file(path: Path) -> Path:
    """Write the network of a shipped model as others would: nothing said of classes or origin."""
    model: Any = schema.ModelT.InitFromPackedBuf(read_model_file(CNN).flatbuffer, 0)
    model.metadata = []
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


def test_a_plain_file_of_others_works(
    user: User, dialogs: Dialogs, few_tiles: Path, tmp_path: Path
):
    items = user.opens(few_tiles)
    user.filters("Forest")
    plain = plain_file(tmp_path / "plain.tflite")
    chooses_file(user, dialogs, plain)
    user.waits_for(lambda: in_use(user) == plain and not user.window.session.is_busy)
    assert user.refusal() == ""
    assert entries(user)["plain.tflite"].isChecked()
    assert_answered_by(Classifier(plain), items)
    names = [f"class {number}" for number in range(10)]
    assert list(user.summary()) == names
    assert len(user.rows()) == 24, "a filter by a class that is gone is gone too"
    assert set(user.classes()) <= set(names)
    assert {name for name, _ in user.bars()} == set(names)
    entries(user)[title(CNN)].trigger()
    user.waits_for(lambda: in_use(user) == CNN and not user.window.session.is_busy)
    assert "Forest" in user.summary()


def renamed_file(path: Path, *names: str) -> Path:
    """Write a shipped model anew with other names for its classes; those left out keep theirs."""
    file = read_model_file(CNN)
    assert file.metadata is not None
    all_names = (*names, *file.metadata.class_names[len(names) :])
    write_model_file(path, file.flatbuffer, replace(file.metadata, class_names=all_names))
    return path


def test_classes_are_told_apart_whatever_they_are_called(
    user: User, dialogs: Dialogs, few_tiles: Path, tmp_path: Path
):
    same_title = [land_cover("SeaLake").title, "All classes", "Waiting"]
    path = renamed_file(tmp_path / "same.tflite", *same_title)
    chooses_file(user, dialogs, path)
    user.waits_for(lambda: in_use(user) == path)
    items = user.opens(few_tiles)
    summary = user.window.summary
    assert Counter(bar.cover.title for bar in summary.bars)["Sea or lake"] == 2
    of_it: list[str] = []
    for row, bar in enumerate(summary.bars):
        summary.activated.emit(summary.model().index(row, 0))
        of_it = [item.name for item in items if item.cover and item.cover.name == bar.cover.name]
        assert user.names() == of_it, bar.cover.name
        # Of a model with the same classes, the same one stays chosen.
        user.window.filter_bar.set_classes([one.cover for one in summary.bars])
        assert user.names() == of_it, bar.cover.name
    user.window.filter_bar.choose_class(land_cover("a class of another model"))
    assert user.names() == of_it


def test_no_title_is_cut_after_a_change_to_a_model_with_longer_ones(
    user: User, dialogs: Dialogs, few_tiles: Path, tmp_path: Path
):
    user.opens(few_tiles)
    path = renamed_file(tmp_path / "long.tflite", "Herbaceous wetland with open water in spring")
    chooses_file(user, dialogs, path)
    user.waits_for(lambda: in_use(user) == path)
    user.waits_until_done()
    for bars in (user.window.summary, user.window.answer.bars):
        assert bars.columnWidth(0) >= bars.sizeHintForColumn(0)


def card_of(user: User, dialogs: Dialogs, path: Path) -> str:
    """What the card of a model file says."""
    chooses_file(user, dialogs, path)
    user.waits_for(lambda: in_use(user) == path)
    user.chooses("Model card")
    (card,) = [one for one in user.window.findChildren(QDialog) if one.isVisible()]
    shown = card.findChild(QTextBrowser)
    assert isinstance(shown, QTextBrowser)
    card.close()
    return shown.toPlainText()


def test_the_card_shows_what_few_test_tiles_do_not_prove(
    user: User, dialogs: Dialogs, tmp_path: Path
):
    path = tmp_path / "few.tflite"
    file = read_model_file(CNN)
    assert file.metadata is not None
    told = {"reserves": ["17 tiles do not prove <more>.", 5]}
    accuracy = {**file.metadata.accuracy, **told}
    write_model_file(path, file.flatbuffer, replace(file.metadata, accuracy=accuracy))
    assert "\n17 tiles do not prove <more>.\n" in card_of(user, dialogs, path)


@pytest.mark.parametrize("share", [10**400, -1, "high"], ids=["huge", "negative", "text"])
def test_the_card_shows_no_share_that_is_none(
    share: object, user: User, dialogs: Dialogs, tmp_path: Path
):
    path = tmp_path / "odd.tflite"
    file = read_model_file(CNN)
    assert file.metadata is not None
    figures = {"accuracy": share, "macro_f1": 0.5}
    accuracy = {"test": {"original": figures, "exported": figures}}
    write_model_file(path, file.flatbuffer, replace(file.metadata, accuracy=accuracy))
    text = card_of(user, dialogs, path)
    assert "\nAccuracy\n-\n-\nMacro F1\n50.00%\n50.00%\n" in text
    assert user.error_boxes() == []


@pytest.mark.parametrize("path", [CNN, None], ids=["ours", "plain"])
def test_the_card_shows_what_is_in_the_file(
    path: Path | None, user: User, dialogs: Dialogs, tmp_path: Path
):
    if path is None:
        path = tmp_path / "plain <b>.tflite"
        plain_file(path)
    text = card_of(user, dialogs, path)
    file = read_model_file(path)
    assert file.sha256 in text
    assert path.name in text
    assert f"{file.size_bytes:,}" in text
    if file.metadata is not None:
        assert file.metadata.title in text
        measured = file.metadata.accuracy["test"]
        before, after = (measured[key]["accuracy"] for key in ("original", "exported"))
        assert f"\nBefore conversion\nThis file\nAccuracy\n{before:.2%}\n{after:.2%}\n" in text
        sure = file.metadata.accuracy["calibration"]["test"]
        coverage, right = (f"{sure[key]:.2%}" for key in ("coverage", "sure_accuracy"))
        assert f"{coverage} of the answers were sure, and {right} of these right." in text
        split = file.metadata.provenance["split"]
        train, validation, test = (f"{split[key]:,}" for key in ("train", "validation", "test"))
        data = f"{train} tiles for training, {validation} for validation, {test} for test"
        assert data in text
        assert "Permanent crop" in text
