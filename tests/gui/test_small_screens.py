"""The app on a small screen, as a Raspberry Pi has: all can be seen, reached and touched."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QSize, Qt
from PySide6.QtGui import QAccessible, QAction, QContextMenuEvent, QFont
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QLabel,
    QScrollArea,
    QSplitter,
    QStyle,
    QStyleOptionComboBox,
    QToolButton,
)
from pytestqt.qtbot import QtBot

from eurosat.gui.error_window import show_error
from eurosat.gui.legend import Legend
from eurosat.gui.main_window import MainWindow
from eurosat.labels import EUROSAT_CLASSES
from eurosat.scenes.areas import Area

from ..eurosat.scenes.scene_fixtures import texture, write_rgb
from .conftest import PATIENCE_MS, User

TOUCH_SCREEN = QSize(800, 480)
"""That of a Raspberry Pi."""
AT_TWICE_THE_SIZE = TOUCH_SCREEN / 2
LEAST_SHARE_OF_A_SCENE = 0.4
LEAST_HANDLE = 8
SCENE_NAME = "S2B_MSIL1C_20230615T105629_N0509_R094_T31UFQ_20230615T124612.SAFE"


@pytest.fixture
def raspberry_letters(qapp: QApplication) -> Iterator[None]:
    """The size of letters that Raspberry Pi OS comes with."""
    usual = qapp.font()
    font = QFont(usual)
    font.setPointSize(12)
    qapp.setFont(font)
    yield
    qapp.setFont(usual)


@pytest.fixture
def owner(raspberry_letters: None, open_window: Callable[..., MainWindow], qtbot: QtBot) -> User:
    """Somebody who opens the app for the first time on such a screen."""
    del raspberry_letters
    window = open_window()
    window.showNormal()  # The screen of the tests is higher.
    window.resize(TOUCH_SCREEN)
    qtbot.waitUntil(lambda: window.session.classifier is not None, timeout=PATIENCE_MS)
    return User(window, qtbot)


def sees_every_line(user: User, labels: list[QLabel]) -> None:
    """Wait until all is laid out, for which Qt takes several turns."""
    for label in labels:
        if label.isVisible() and label.wordWrap():
            user.waits_for(lambda: label.height() >= label.heightForWidth(label.width()))  # noqa: B023


def opens_a_scene(user: User, folder: Path, name: str = "scene.tif") -> None:
    scenes = user.window.scenes
    scenes.open(write_rgb(folder / name, texture(200, 200, low=60, high=140)))
    user.waits_for(lambda: scenes.can_map)


def test_nothing_that_is_open_makes_the_window_larger_than_a_small_screen(
    user: User, few_tiles: Path, tmp_path: Path
):
    window = user.window
    user.opens(few_tiles)
    opens_a_scene(user, tmp_path)
    user.chooses("Explain")
    for page in (window.images_page, window.scene_page):
        window.show_scene.setChecked(page is window.scene_page)
        user.chooses("Show the scene")
        user.chooses("Show the scene")
        least = window.minimumSizeHint()
        assert least.boundedTo(AT_TWICE_THE_SIZE) == least
        window.resize(AT_TWICE_THE_SIZE)
        assert window.size() == AT_TWICE_THE_SIZE


def test_a_page_that_does_not_fit_can_be_scrolled_to_its_end(user: User, few_tiles: Path):
    user.opens(few_tiles)
    window = user.window
    window.resize(AT_TWICE_THE_SIZE)
    page = window.images_page
    (area,) = [one for one in window.findChildren(QScrollArea) if one.widget() is page]
    user.waits_for(lambda: area.horizontalScrollBar().maximum() > 0)
    assert page.width() >= page.minimumSizeHint().width()
    area.horizontalScrollBar().setValue(area.horizontalScrollBar().maximum())
    area.verticalScrollBar().setValue(area.verticalScrollBar().maximum())
    corner = page.rect().bottomRight()
    assert area.viewport().rect().contains(page.mapTo(area.viewport(), corner))


def test_no_line_is_cut_of_what_is_said_of_a_file_with_a_long_name(owner: User, tmp_path: Path):
    missing = tmp_path / SCENE_NAME / ("a" * 60 + ".tif")
    owner.opens(missing)
    answer = owner.window.answer
    (label,) = [one for one in answer.findChildren(QLabel) if one.text() == answer.description]
    assert str(missing) in label.text()
    sees_every_line(owner, answer.findChildren(QLabel))
    assert owner.window.size() == TOUCH_SCREEN
    lines = label.fontMetrics().boundingRect(
        label.contentsRect(), Qt.TextFlag.TextWordWrap, QLabel.text(label)
    )
    assert lines.width() <= label.contentsRect().width()


def test_what_is_copied_of_a_long_name_is_that_name(
    owner: User, qapp: QApplication, tmp_path: Path
):
    opens_a_scene(owner, tmp_path, SCENE_NAME + ".tif")
    (title,) = [
        one
        for one in owner.window.scene_page.panel.findChildren(QLabel)
        if one.text() == SCENE_NAME + ".tif"
    ]
    title.setSelection(0, len(QLabel.text(title)))
    assert title.selectedText() == SCENE_NAME + ".tif"
    owner.qtbot.keyClick(title, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert qapp.clipboard().text() == SCENE_NAME + ".tif"
    said = QAccessible.queryAccessibleInterface(title)
    assert said.text(QAccessible.Text.Name) == SCENE_NAME + ".tif", "what a screen reader says"


def menu_of(label: QLabel) -> list[QAction]:
    """What a click with the right button offers, in the menu that it opens."""
    place = label.rect().center()
    reason = QContextMenuEvent.Reason.Mouse
    QApplication.sendEvent(label, QContextMenuEvent(reason, place, label.mapToGlobal(place)))
    menu = QApplication.activePopupWidget()
    if menu is None:
        return []
    menu.close()
    return menu.actions()


def test_only_what_can_be_selected_has_a_menu_to_copy_it(
    owner: User, qapp: QApplication, tmp_path: Path
):
    owner.opens(tmp_path / f"\N{SATELLITE}_{SCENE_NAME}.tif")
    answer = owner.window.answer
    headline, description = (
        next(one for one in answer.findChildren(QLabel) if one.text() == text)
        for text in (answer.headline, answer.description)
    )
    assert menu_of(headline) == []
    copy, select_all = menu_of(description)
    assert (copy.text(), copy.isEnabled()) == ("&Copy", False)
    assert select_all.text() == "Select &all"
    select_all.trigger()
    copy, _ = menu_of(description)
    copy.trigger()
    assert qapp.clipboard().text() == answer.description


def test_the_longest_class_can_be_read_where_it_is_chosen(owner: User, few_tiles: Path):
    owner.opens(few_tiles)
    longest = max((cover.title for cover in EUROSAT_CLASSES), key=len)
    owner.filters(longest)
    (box,) = owner.window.filter_bar.findChildren(QComboBox)
    option = QStyleOptionComboBox()
    box.initStyleOption(option)
    control, part = QStyle.ComplexControl.CC_ComboBox, QStyle.SubControl.SC_ComboBoxEditField
    field = box.style().subControlRect(control, option, part, box)
    needed = box.iconSize().width() + box.fontMetrics().horizontalAdvance(longest)
    owner.waits_for(lambda: box.size() == option.rect.size())
    assert field.width() >= needed


@pytest.mark.parametrize(("points", "width"), [(9, 800), (12, 800), (20, 1280)])
def test_export_stands_in_the_tool_bar(
    points: int, width: int, qapp: QApplication, user: User, few_tiles: Path
):
    usual = qapp.font()
    font = QFont(usual)
    font.setPointSize(points)
    qapp.setFont(font)
    window = user.window
    user.opens(few_tiles)
    user.chooses("Explain")
    window.resize(width, 480)
    (button,) = [one for one in window.findChildren(QToolButton) if one.text() == "Export"]
    user.waits_for(button.isVisible)
    qapp.setFont(usual)


def test_a_scene_has_its_share_of_the_screen(owner: User, tmp_path: Path):
    opens_a_scene(owner, tmp_path)
    window = owner.window
    assert window.width() <= TOUCH_SCREEN.width()
    assert window.scene_page.view.width() >= LEAST_SHARE_OF_A_SCENE * window.width()


def test_how_long_a_map_takes_can_be_read(owner: User, tmp_path: Path):
    opens_a_scene(owner, tmp_path)
    window = owner.window
    owner.waits_for(lambda: bool(window.scenes.work and window.scenes.work.seconds_expected))
    (plan,) = [
        one
        for one in window.scene_page.panel.findChildren(QLabel)
        if "windows" in one.text() and "," in one.text()
    ]
    assert plan.fontMetrics().horizontalAdvance(plan.text()) <= plan.width()


def test_the_first_window_fills_a_screen_that_is_smaller_than_it_would_like(
    open_window: Callable[..., MainWindow],
):
    window = open_window()
    assert window.isMaximized()
    window.showNormal()
    window.resize(500, 400)
    window.close()
    assert not open_window().isMaximized(), "but the next one is as the user has left it"


def test_details_of_an_error_stay_on_the_screen(user: User):
    box = show_error(ValueError("no"), user.window)
    screen = box.screen().availableGeometry()
    box.move(100, screen.bottom() - box.height() - 10)
    (details,) = [one for one in box.buttons() if one.text().startswith("Show Details")]
    before = box.height()
    details.click()
    assert box.height() > before
    assert screen.contains(box.frameGeometry())
    box.close()


DIALOG = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QWidget
from eurosat.gui.app import start
from eurosat.gui.settings import Settings
app = start(sys.argv[:1], Settings())
window = QWidget()
window.show()
def tell():
    dialog = app.activeModalWidget()
    print(dialog.screen().availableGeometry().contains(dialog.frameGeometry()))
    dialog.close()
QTimer.singleShot(500, tell)
QFileDialog.getSaveFileName(window, options=QFileDialog.Option.DontUseNativeDialog)
"""


def test_a_dialog_of_qt_fits_on_a_small_screen(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", DIALOG],
        # The screen of the tests has 800 x 800 pixels.
        env={
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "QT_SCALE_FACTOR": "2",
            "XDG_CONFIG_HOME": str(tmp_path),
        },
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.stdout == "True\n", done.stderr


def test_a_class_is_hidden_by_a_touch_of_its_name_or_its_box(user: User, qtbot: QtBot):
    legend = Legend(user.window)
    qtbot.addWidget(legend)
    areas = (Area("Forest", "Forest", "#003300", 1, 100, 1e4, 1, 1),)
    legend.show_areas(areas, set())
    legend.resize(400, 200)
    legend.show()
    told: list[bool] = []
    legend.hidden_changed.connect(lambda _, is_hidden: told.append(is_hidden))
    cell = legend.visualRect(legend.model().index(0, 0))
    for x in (cell.right() - 5, cell.left() + 10, cell.center().x()):
        qtbot.mouseClick(
            legend.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(x, cell.center().y())
        )
    assert told == [True, False, True]
    for button in (Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton):
        qtbot.mouseClick(legend.viewport(), button, pos=cell.center())
    assert told == [True, False, True]
    qtbot.keyClick(legend, Qt.Key.Key_Space)
    assert told[3:] == [False]


def test_what_divides_the_window_is_wide_enough_for_a_finger(user: User):
    for splitter in user.window.findChildren(QSplitter):
        assert splitter.handleWidth() >= LEAST_HANDLE
