"""The windows with a text, and what can be copied out of messages."""

import re
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QLabel, QMenu, QTextBrowser

from .conftest import User


def text_of(dialog: QDialog) -> str:
    shown = dialog.findChild(QTextBrowser)
    assert isinstance(shown, QTextBrowser)
    return shown.toPlainText()


def dialogs_of(user: User) -> list[QDialog]:
    return user.window.findChildren(QDialog)


@pytest.mark.parametrize("name", ["Keyboard shortcuts", "About EuroSAT Edge", "Model card"])
def test_a_window_with_a_text_is_gone_once_it_is_closed(name: str, user: User):
    user.chooses(name)
    (window,) = dialogs_of(user)
    assert window.isVisible()
    assert window.windowTitle() == name
    assert len(text_of(window)) > 100
    window.close()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert dialogs_of(user) == []


def test_the_keys_are_told_with_what_they_do(user: User):
    user.chooses("Keyboard shortcuts")
    (window,) = dialogs_of(user)
    lines = text_of(window).splitlines()
    for keys, what in (
        ("Ctrl+O", "Open images"),
        ("Ctrl+Shift+C", "Copy picture"),
        ("Del", "Close selected"),
        ("Ctrl+M", "Map the scene"),
        ("F1", "Keyboard shortcuts"),
        ("Mouse wheel", "Zoom"),
    ):
        assert lines[lines.index(keys) + 1] == what


def test_each_letter_leads_to_one_entry_of_a_menu(user: User):
    for menu in user.window.findChildren(QMenu):
        menu.aboutToShow.emit()
        letters = re.findall(r"&(\w)", "\n".join(entry.text() for entry in menu.actions()).lower())
        assert len(letters) == len(set(letters)), menu.title()


def test_what_is_selected_in_a_message_is_copied_and_not_the_rows(
    user: User, few_tiles: Path, tmp_path: Path
):
    user.opens(few_tiles)
    user.window.table.selectAll()
    user.window.open_paths([tmp_path])
    user.waits_for(lambda: user.refusal() != "")
    (label,) = [one for one in user.window.findChildren(QLabel) if one.text() == user.refusal()]
    label.setFocus()
    label.setSelection(0, 9)
    user.chooses("Copy rows")
    assert QGuiApplication.clipboard().text() == "There are"
    user.window.table.setFocus()
    user.chooses("Copy rows")
    assert QGuiApplication.clipboard().text().count("\n") == 25
