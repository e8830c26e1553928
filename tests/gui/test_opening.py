"""Ways in: the command line, dropping, pasting, dialogs, and what was opened before."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QColor, QGuiApplication, QImage
from PySide6.QtWidgets import QLabel, QMenu, QToolButton
from pytestqt.qtbot import QtBot

from eurosat.classifier import Classifier
from eurosat.gui import opening
from eurosat.gui.main_window import MainWindow
from eurosat.gui.settings import Settings

from .conftest import (
    PATIENCE_MS,
    Dialogs,
    Pictures,
    User,
    assert_one_sentence,
    files_in,
    urls_of,
)


def test_paths_of_the_command_line_are_opened_and_classified(
    open_window: Callable[..., MainWindow], qtbot: QtBot, tiles: Path
):
    single = files_in(tiles / "Highway")[3]
    user = User(open_window(tiles / "Forest", single), qtbot)
    user.waits_until_done()
    assert user.names() == [path.name for path in [*files_in(tiles / "Forest"), single]]
    assert user.classes().count("Forest") >= 8
    assert user.facts()[0] == "11 images"
    assert user.facts()[-1] == "offline"


def test_an_empty_window_says_what_to_do_until_something_is_open(user: User, pictures: Pictures):
    hint = user.button("Open images…")
    assert hint.isVisible()
    user.opens(*pictures(1))
    assert not hint.isVisible()
    assert user.window.table.isVisible()
    user.chooses("Close all")
    assert hint.isVisible()


@pytest.mark.parametrize("place", ["table", "image", "search field", "summary", "empty window"])
def test_files_and_folders_can_be_dropped_anywhere(place: str, user: User, pictures: Pictures):
    paths = pictures(4)
    if place != "empty window":
        user.opens(*pictures(1))
    window = user.window
    on = {
        "table": window.table.viewport(),
        "image": window.image.viewport(),
        "search field": window.filter_bar.text,
        "summary": window.summary.viewport(),
        "empty window": window.centralWidget() or window,
    }[place]
    before = len(window.session.workspace.items)
    assert user.drops(urls_of(paths[0].parent, paths[2]), on)
    user.waits_for(lambda: len(window.session.workspace.items) == before + 4)
    assert window.filter_bar.text.text() == ""


def test_what_is_dropped_is_copied_even_while_shift_is_held(user: User, pictures: Pictures):
    (path,) = pictures(1)
    copy, move = Qt.DropAction.CopyAction, Qt.DropAction.MoveAction
    shift = Qt.KeyboardModifier.ShiftModifier
    assert not user.drops(urls_of(path), user.window, move, shift)
    assert user.names() == []
    assert user.drops(urls_of(path), user.window, copy | move, shift)
    user.waits_for(lambda: user.names() == [path.name])


def test_an_image_of_another_program_can_be_dropped(user: User):
    picture, pixels = painted(20, 10)
    data = QMimeData()
    data.setImageData(picture)
    assert user.drops(data, user.window)
    (item,) = user.window.session.workspace.items
    np.testing.assert_array_equal(item.source, pixels)


def test_what_is_no_file_is_not_taken(user: User):
    web = QMimeData()
    web.setUrls([QUrl("https://example.org/tile.png")])
    assert not user.drops(web, user.window)
    words = QMimeData()
    words.setText("words")
    assert not user.drops(words, user.window)


def painted(width: int, height: int) -> tuple[QImage, np.ndarray]:
    """A picture with a different colour at each pixel, for Qt and as an array."""
    across, down = np.arange(width), np.arange(height)[:, None]
    pixels = np.stack(np.broadcast_arrays(across, down, (across * down) % 251), -1)
    pixels = np.ascontiguousarray(pixels, np.uint8)
    picture = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    return picture, pixels


def test_a_pasted_image_is_opened_as_it_is(user: User, mobilenet: Classifier):
    picture, pixels = painted(50, 30)
    QGuiApplication.clipboard().setImage(picture)
    user.chooses("Paste")
    user.waits_until_done()
    (item,) = user.window.session.workspace.items
    assert user.names() == [item.name]
    assert item.name.startswith("Pasted image")
    assert isinstance(item.source, np.ndarray)
    np.testing.assert_array_equal(item.source, pixels)
    expected = mobilenet.classify(pixels)
    assert user.column(2) == [f"{expected.confidence:.1%}"]
    assert user.column(4) == ["50 × 30"]


def test_a_pasted_image_is_seen_as_it_is(user: User):
    picture, _ = painted(50, 30)
    QGuiApplication.clipboard().setImage(picture)
    with user.qtbot.waitSignal(user.window.session.pixels.image_read) as read:
        user.chooses("Paste")
    assert read.args is not None
    assert read.args[1] == picture.convertToFormat(QImage.Format.Format_RGB32)


def test_a_pasted_image_with_transparency_lies_over_black(user: User):
    picture = QImage(8, 8, QImage.Format.Format_ARGB32)
    picture.fill(QColor(200, 100, 50, 0))
    picture.setPixelColor(0, 0, QColor(200, 100, 50, 255))
    QGuiApplication.clipboard().setImage(picture)
    user.chooses("Paste")
    (item,) = user.window.session.workspace.items
    assert isinstance(item.source, np.ndarray)
    assert item.source.shape == (8, 8, 3)
    assert item.source[0, 0].tolist() == [200, 100, 50]
    assert item.source[1:].max() == 0


@pytest.mark.parametrize("form", ["urls", "lines", "quoted"])
def test_pasted_file_names_are_opened(form: str, user: User, pictures: Pictures):
    paths = pictures(3)
    data = urls_of(*paths)
    if form != "urls":
        data = QMimeData()
        quote = '"' if form == "quoted" else ""
        data.setText("\n".join(f"{quote}{path}{quote}" for path in paths))
    QGuiApplication.clipboard().setMimeData(data)
    user.chooses("Paste")
    user.waits_for(lambda: user.names() == [path.name for path in paths])


@pytest.mark.parametrize("text", ["", "Dear all, see you", "a\0b", "x" * 5000])
def test_pasting_anything_else_is_told(text: str, user: User):
    data = QMimeData()
    data.setText(text)
    QGuiApplication.clipboard().setMimeData(data)
    user.chooses("Paste")
    assert user.message() == "There is no image and no file name on the clipboard."
    assert user.window.session.workspace.items == []


@pytest.mark.parametrize("form", [QImage.Format.Format_ARGB32, QImage.Format.Format_RGBA64])
def test_a_pasted_image_that_is_half_transparent_is_half_as_bright(form: QImage.Format, user: User):
    picture = QImage(7, 5, form)
    picture.fill(QColor(200, 100, 50, 128))
    QGuiApplication.clipboard().setImage(picture)
    user.chooses("Paste")
    (item,) = user.window.session.workspace.items
    assert isinstance(item.source, np.ndarray)
    assert item.source.shape == (5, 7, 3)
    np.testing.assert_allclose(item.source, np.broadcast_to([100, 50, 25], (5, 7, 3)), atol=1)


def paste_lines(user: User, lines: list[str]) -> None:
    data = QMimeData()
    data.setText("\n".join(lines))
    QGuiApplication.clipboard().setMimeData(data)
    user.chooses("Paste")


def test_file_names_among_thousands_of_lines_are_opened(user: User, pictures: Pictures):
    paths = pictures(3)
    paste_lines(user, [*map(str, paths), "no file"] + ["", '""'] * 3000)
    user.waits_for(lambda: user.names() == [path.name for path in paths])


def test_it_is_told_that_thousands_of_lines_name_no_file(user: User):
    paste_lines(user, ["Dear all,", "see you"] * 3000)
    user.waits_for(lambda: user.message() != "")
    assert user.message() == "There is no image and no file name on the clipboard."
    assert user.window.session.workspace.items == []


def test_the_window_does_not_wait_for_a_slow_disk_and_need_not(
    user: User, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
):
    found = Event()

    def exists(_: Path) -> bool:
        if not found.wait(PATIENCE_MS / 1000):
            found.set()  # The window is waiting: of no use any more.
        return True

    monkeypatch.setattr(opening, "exists", exists)
    paste_lines(user, [str(path) for path in pictures(1) * 1000])
    assert not found.is_set()
    assert user.window.session.is_busy
    user.chooses("Stop")
    found.set()
    user.waits_for(lambda: not user.window.session.is_busy)
    assert user.window.session.workspace.items == []
    assert user.message() == ""


def test_dialogs_open_images_and_folders_and_begin_where_the_last_one_ended(
    user: User, pictures: Pictures, dialogs: Dialogs
):
    paths = pictures(3)
    dialogs.paths = paths[:1]
    user.chooses("Open images")
    user.waits_for(lambda: user.names() == [paths[0].name])
    assert Settings().folder == str(paths[0].parent)
    dialogs.paths = [paths[0].parent]
    user.chooses("Open folder")
    user.waits_for(lambda: len(user.names()) == 3)
    dialogs.paths = []
    user.chooses("Open images")
    user.chooses("Open folder")
    folder = str(paths[0].parent)
    assert dialogs.began_at == [str(Path.home()), folder, folder, folder]
    assert len(user.names()) == 3


def recent_entries(user: User) -> list[str]:
    menus = [menu for menu in user.window.findChildren(QMenu) if "recent" in menu.title()]
    menus[0].aboutToShow.emit()
    return [action.text() for action in menus[0].actions() if action.text()]


def test_recent_files_are_offered_without_those_that_are_gone(user: User, pictures: Pictures):
    first, second = pictures(2)
    folder = pictures(1)[0].parent
    for path in (first, second, folder):
        user.opens(path)
    assert recent_entries(user) == [str(folder), str(second), str(first), "Forget these"]
    second.unlink()
    assert recent_entries(user) == [str(folder), str(first), "Forget these"]
    user.chooses("Close all")
    (menu,) = [menu for menu in user.window.findChildren(QMenu) if "recent" in menu.title()]
    menu.actions()[1].trigger()
    user.waits_for(lambda: user.names() == [first.name])
    assert recent_entries(user)[0] == str(first)
    menu.actions()[-1].trigger()
    assert recent_entries(user) == ["Forget these"]


def test_at_most_nine_recent_files_are_offered(user: User, pictures: Pictures):
    paths = pictures(12)
    user.opens(*paths)
    assert Settings().recent == paths[:2:-1]


def test_what_is_open_is_not_opened_twice(user: User, pictures: Pictures):
    paths = pictures(3)
    user.opens(paths[0].parent)
    user.opens(paths[1], paths[0].parent)
    assert user.names() == [path.name for path in paths]


def test_what_is_opened_is_looked_at_even_if_it_was_open_already(user: User, pictures: Pictures):
    old, new = pictures(3), pictures(2)
    user.opens(*old)
    items = user.opens(*new)
    assert user.current() is items[3]
    user.opens(old[1], new[0])
    assert user.current() is items[1]
    assert user.window.table.selected_items() == [items[1]]
    QGuiApplication.clipboard().setImage(painted(50, 30)[0])
    user.chooses("Paste")
    assert user.current() is user.window.session.workspace.items[-1]


def test_what_is_dropped_while_shift_is_held_is_selected_alone(user: User, pictures: Pictures):
    user.opens(*pictures(3))
    new = pictures(2)[0]
    user.qtbot.keyPress(user.window, Qt.Key.Key_Shift, Qt.KeyboardModifier.ShiftModifier)
    assert QGuiApplication.keyboardModifiers() == Qt.KeyboardModifier.ShiftModifier
    try:
        items = user.opens(new)
    finally:
        user.qtbot.keyRelease(user.window, Qt.Key.Key_Shift)
    assert user.window.table.selected_items() == [items[3]]


def test_an_unreadable_file_is_a_row_with_its_reason(
    user: User, pictures: Pictures, tmp_path: Path
):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    missing = tmp_path / "missing.png"
    good = pictures(1)[0]
    user.opens(bad, good, missing)
    rows = user.rows()
    for row, path in ((rows[0], bad), (rows[2], missing)):
        assert row[0] == path.name
        assert "unreadable" in row[1]
        assert row[2:5] == ["", "", ""]
        assert str(path) in row[5]
        assert_one_sentence(row[5])
    assert "2 could not be read" in user.facts()
    assert user.refusal() == ""
    assert user.error_boxes() == []
    user.window.table.go_to(user.window.session.workspace.items[0])
    assert user.window.answer.headline == "Unreadable"
    assert user.window.answer.description == rows[0][5]
    assert user.bars() == []


def test_a_file_that_was_mended_is_read_when_it_is_opened_again(
    user: User, pictures: Pictures, tmp_path: Path
):
    mended = tmp_path / "mended.png"
    mended.write_bytes(b"")
    item, *_ = user.opens(mended, *pictures(2))
    assert user.window.answer.headline == "Unreadable"
    Image.new("RGB", (20, 20), "green").save(mended)
    before = [other.outcome for other in user.window.session.workspace.items[1:]]
    user.opens(mended.parent)
    assert item.cover is not None
    assert user.rows()[0][4] == "20 × 20"
    assert not any("could not be read" in fact for fact in user.facts())
    assert user.window.answer.headline.endswith(item.cover.title)
    user.waits_for_picture(item)
    user.waits_for(lambda: len(user.window.session.thumbnails) == 3)
    icon = user.window.session.thumbnails.get(item)
    assert icon is not None and not icon.isNull()
    after = [other.outcome for other in user.window.session.workspace.items[1:]]
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_an_image_can_be_walked_to_and_from_an_unreadable_one(user: User, tmp_path: Path):
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    good = tmp_path / "good.png"
    Image.new("RGB", (20, 20), "green").save(good)
    first, second = user.opens(bad, good)
    assert not user.is_pictured(first)
    user.window.table.go_to(second)
    user.waits_for_picture(second)
    user.window.table.go_to(first)
    user.waits_for(lambda: not user.window.export_menu.save_picture.isEnabled())


def test_a_folder_without_images_gives_one_sentence(user: User, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("nothing to see")
    user.window.open_paths([tmp_path / "empty"])
    user.waits_for(lambda: user.refusal() != "")
    assert user.refusal() == f"There are no images in {tmp_path / 'empty'}."
    assert user.window.session.workspace.items == []


def test_a_sentence_that_is_closed_is_not_read_out_any_more(user: User, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    user.window.open_paths([tmp_path / "empty"])
    user.waits_for(lambda: user.refusal() != "")
    told = user.refusal()
    assert told in [label.accessibleName() for label in user.window.findChildren(QLabel)]
    (close,) = [
        button
        for button in user.window.findChildren(QToolButton)
        if button.accessibleName() == "Close this message"
    ]
    close.click()
    assert user.refusal() == ""
    assert told not in [label.accessibleName() for label in user.window.findChildren(QLabel)]


def test_many_folders_without_images_give_one_short_sentence(user: User, tmp_path: Path):
    folders = [tmp_path / f"empty\n{number}" for number in range(150)]
    for folder in folders:
        folder.mkdir()
    height = user.window.height()
    user.window.open_paths(folders)
    user.waits_for(lambda: user.refusal() != "")
    assert user.refusal() == f"There are no images in {tmp_path}/empty\ufffd0 and 149 more."
    assert_one_sentence(user.refusal())
    assert user.window.minimumSizeHint().height() <= height


def test_a_folder_that_may_not_be_searched_does_not_stop_the_rest(
    user: User, pictures: Pictures, lock_folder: Callable[[Path], None]
):
    paths = pictures(3)
    locked = paths[0].parent / "lost+found"
    locked.mkdir()
    lock_folder(locked)
    user.opens(locked.parent)
    assert user.names() == [path.name for path in paths]
    user.waits_for(lambda: user.refusal() != "")
    told = f"{locked} cannot be searched and was left out: check its permissions."
    assert user.refusal() == told
    user.window.open_paths([locked])
    user.waits_for(lambda: user.refusal() not in {"", told})
    assert user.refusal().startswith(f"{locked} cannot be searched (")
    assert_one_sentence(user.refusal())


def test_a_name_that_is_not_unicode_is_opened_like_any_other(user: User, tmp_path: Path):
    odd = Path(f"{tmp_path}/tile\udcff.png")
    try:
        Image.new("RGB", (20, 20), "green").save(tmp_path / "plain.png")
        (tmp_path / "plain.png").rename(odd)
    except OSError:
        pytest.skip("this file system has Unicode names only")
    user.opens(tmp_path)
    assert len(user.rows()) == 1
    assert user.column(1) != [""]
    user.waits_for_picture(user.window.session.workspace.items[0])


def test_what_is_said_before_the_model_is_ready_stays(
    open_window: Callable[..., MainWindow], qtbot: QtBot, tmp_path: Path
):
    (tmp_path / "empty").mkdir()
    user = User(open_window(tmp_path / "empty"), qtbot)
    user.waits_for(lambda: user.window.session.classifier is not None and bool(user.refusal()))
    qtbot.wait(50)
    assert user.refusal() == f"There are no images in {tmp_path / 'empty'}."


def test_what_was_refused_is_forgotten_when_something_else_is_opened(
    user: User, pictures: Pictures, tmp_path: Path
):
    (tmp_path / "empty").mkdir()
    user.window.open_paths([tmp_path / "empty"])
    user.waits_for(lambda: bool(user.refusal()))
    user.chooses("Paste")
    assert user.message() != ""
    user.opens(*pictures(1))
    assert user.refusal() == ""
    assert user.message() == ""


def test_a_link_to_the_web_is_no_file(user: User):
    data = QMimeData()
    data.setUrls([QUrl("https://example.org/tile.jpg")])
    user.drops(data, user.window)
    user.waits_for(lambda: bool(user.refusal()))
    assert user.refusal() == "Only files and folders of this computer can be opened."


def test_a_name_of_any_length_keeps_the_window_as_wide_as_it_was(user: User, tmp_path: Path):
    width = user.window.width()
    (empty := tmp_path / ("x" * 240)).mkdir()
    user.window.open_paths([empty])
    user.waits_for(lambda: bool(user.refusal()))
    assert user.window.minimumSizeHint().width() <= width
    assert user.window.width() == width
