"""What is remembered, and what an edited or damaged file of settings does: nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QSlider
from pytestqt.qtbot import QtBot

from eurosat.gui.main_window import MainWindow
from eurosat.gui.settings import Settings

from .conftest import Pictures, User


def test_choices_are_remembered(tmp_path: Path):
    first = Settings()
    first.theme = "dark"
    first.fixed_order = True
    first.heat_opacity = 35
    first.folder = str(tmp_path)
    assert first.export_folder == str(tmp_path)
    first.export_folder = str(tmp_path.parent)
    first.model = "/a/model.tflite"
    first.add_recent([tmp_path])
    second = Settings()
    assert (second.theme, second.fixed_order, second.heat_opacity) == ("dark", True, 35)
    assert (second.folder, second.model, second.recent) == (
        str(tmp_path),
        "/a/model.tflite",
        [tmp_path],
    )
    assert second.export_folder == str(tmp_path.parent)
    second.clear()
    third = Settings()
    assert (third.theme, third.fixed_order, third.model, third.recent) == ("system", False, "", [])
    assert third.folder == str(Path.home())


def test_it_is_remembered_which_of_the_latest_files_are_scenes(pictures: Pictures):
    paths = pictures(12)
    Settings().add_recent(paths[:2], are_scenes=True)
    Settings().add_recent(paths[2:4])
    assert Settings().recent_scenes == {*paths[:2]}
    Settings().add_recent(paths[:1])
    assert Settings().recent_scenes == {paths[1]}
    Settings().add_recent(paths[3:])
    assert paths[1] not in Settings().recent
    assert Settings().recent_scenes == set()
    Settings().add_recent(paths[:1], are_scenes=True)
    Settings().clear_recent()
    assert (Settings().recent, Settings().recent_scenes) == ([], set())


def test_the_size_of_the_window_is_remembered(open_window: Callable[..., MainWindow]):
    window = open_window()
    window.resize(750, 610)  # No larger than the screen, which is small here.
    chosen = window.size()
    window.close()
    assert chosen.height() == 610
    parts = ("window", "columns", "scene", "right", "table")
    assert [part for part in parts if Settings().layout(part).isEmpty()] == []
    assert open_window().size() == chosen


def test_what_is_chosen_in_the_window_is_kept_and_the_next_one_begins_with_it(
    open_window: Callable[..., MainWindow],
):
    def sliders(window: MainWindow) -> list[QSlider]:
        named = {one.accessibleName(): one for one in window.findChildren(QSlider)}
        return [named["Strength of the heat map"], named["Strength of the map"]]

    window = open_window()
    for slider, percent in zip(sliders(window), (35, 45), strict=True):
        slider.setValue(percent)
    themes = [Settings().theme]
    for title in ("&Dark", "Like the &system"):
        (theme,) = [one for one in window.findChildren(QAction) if one.text() == title]
        theme.trigger()
        themes.append(Settings().theme)
    assert themes == ["system", "dark", "system"]
    window.close()
    assert [slider.value() for slider in sliders(open_window())] == [35, 45]


GARBAGE = """[General]
theme=pink
fixed_order=@Variant(\\0\\0\\0\\x7f)
heat_opacity=-7.5
folder=/no/such/folder
model=@ByteArray(\\x1\\x2)
recent=1, 2, @Invalid()
recent_scenes=@Variant(\\0\\0)
[layout]
window=text
columns=@ByteArray(nonsense)
right=17
"""


@pytest.mark.parametrize("content", [GARBAGE, "\0\xff no settings", ""])
def test_a_file_of_settings_that_somebody_has_edited_does_no_harm(
    content: str, open_window: Callable[..., MainWindow], qtbot: QtBot, tmp_path: Path
):
    file = tmp_path / "settings" / "EuroSAT Edge" / "eurosat-edge.ini"
    file.parent.mkdir(parents=True)
    file.write_text(content, encoding="latin-1")
    settings = Settings()
    assert settings.theme == "system"
    assert settings.folder == str(Path.home())
    assert settings.recent == []
    assert 0 <= settings.heat_opacity <= 100
    user = User(open_window(), qtbot)
    user.waits_until_done()
    assert user.window.isVisible()
    assert user.refusal() == ""


def test_what_may_not_be_asked_for_is_not_there(user: User, few_tiles: Path):
    long = "x" * 300
    text = f"[General]\nrecent=/{long}\nfolder=/{long}\nmodel=/{long}\nheat_opacity={'9' * 5000}\n"
    settings = Settings()
    Path(settings._store.fileName()).write_text(text)  # pyright: ignore[reportPrivateUsage]
    edited = Settings()
    assert (edited.recent, edited.heat_opacity) == ([], 60)
    assert edited.folder == str(Path.home())
    edited.add_recent([Path(f"/{long}"), few_tiles])
    assert edited.recent == [few_tiles]


def test_the_first_window_is_no_larger_than_the_screen(window: MainWindow):
    size = window.screen().availableSize()
    assert window.frameSize() == QSize(1280, 800).boundedTo(size)
