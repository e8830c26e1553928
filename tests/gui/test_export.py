"""Ways out: tables that read back, copies sorted by class, pictures in files or the clipboard."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtWidgets import QMessageBox

from eurosat.classifier import Classifier, Prediction
from eurosat.gui import picture as picture_module
from eurosat.gui.export_menu import save_png
from eurosat.gui.settings import Settings
from eurosat.gui.workspace import Status
from eurosat.images import read_image
from eurosat.model_file import shipped_model_path

from .conftest import Dialogs, Gate, Pictures, User, assert_one_sentence, files_in


@pytest.fixture
def landscape(user: User, few_tiles: Path, tmp_path: Path) -> User:
    """A user who has real tiles and an unreadable file open."""
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    user.opens(few_tiles / "Forest", bad, few_tiles / "River")
    return user


def exports(user: User, dialogs: Dialogs, what: str, path: Path) -> None:
    dialogs.paths = [path]
    user.chooses(what)
    user.waits_for(lambda: bool(user.message() or user.refusal()))


def test_csv_reads_back_what_was_found(
    landscape: User, dialogs: Dialogs, mobilenet: Classifier, tmp_path: Path
):
    path = tmp_path / "table.csv"
    exports(landscape, dialogs, "Table as CSV", path)
    assert landscape.message() == f"9 rows are in {path}."
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    items = landscape.window.session.workspace.items
    assert [row["path"] for row in rows] == [item.location for item in items]
    for row, item in zip(rows, items, strict=True):
        if not isinstance(item.outcome, Prediction):
            assert row["error"] == item.reason != ""
            assert row["class"] == ""
            continue
        expected = mobilenet.classify(row["path"])
        assert row["class"] == expected.label
        assert float(row["confidence"]) == expected.confidence
        shares = [np.float32(row[name]) for name in mobilenet.class_names]
        np.testing.assert_array_equal(shares, expected.probabilities)


def test_json_reads_back_what_was_found(
    landscape: User, dialogs: Dialogs, mobilenet: Classifier, tmp_path: Path
):
    path = tmp_path / "table.json"
    exports(landscape, dialogs, "Table as JSON", path)
    answers = json.loads(path.read_text(encoding="utf-8"))
    items = landscape.window.session.workspace.items
    assert [answer["path"] for answer in answers] == [item.location for item in items]
    for answer, item in zip(answers, items, strict=True):
        if not isinstance(item.outcome, Prediction):
            assert answer["error"] == item.reason
            continue
        expected = mobilenet.classify(answer["path"])
        assert answer["class"] == expected.label
        ranked = [(one["class"], one["confidence"]) for one in answer["top"]]
        assert ranked == expected.top(10)


def test_an_export_holds_what_the_table_shows_in_its_order(
    landscape: User, dialogs: Dialogs, tmp_path: Path
):
    landscape.filters("River")
    landscape.window.table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    shown = landscape.names()
    assert 0 < len(shown) < 9
    exports(landscape, dialogs, "Table as CSV", tmp_path / "table.csv")
    assert dialogs.began_at == [str(Path.home() / "results.csv")]
    with (tmp_path / "table.csv").open(newline="", encoding="utf-8") as file:
        assert [Path(row["path"]).name for row in csv.DictReader(file)] == shown
    exports(landscape, dialogs, "Table as JSON", tmp_path / "table.json")
    answers = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert [Path(answer["path"]).name for answer in answers] == shown
    landscape.window.filter_bar.text.setText(shown[0])
    exports(landscape, dialogs, "Table as CSV", tmp_path / "one.csv")
    assert landscape.message() == f"1 row is in {tmp_path / 'one.csv'}."


def test_an_export_begins_where_the_one_before_ended(
    landscape: User, dialogs: Dialogs, tmp_path: Path, few_tiles: Path
):
    landscape.waits_for_picture(landscape.window.session.workspace.items[0])
    home, tables, pictures, copies = (tmp_path / name for name in ("home", "a", "b", "c"))
    for folder in (home, tables, pictures, copies):
        folder.mkdir()
    Settings().folder = str(home)
    exports(landscape, dialogs, "Table as CSV", tables / "table.csv")
    exports(landscape, dialogs, "Table as JSON", tables / "table.json")
    exports(landscape, dialogs, "Picture of this image", pictures / "forest.png")
    exports(landscape, dialogs, "Copies sorted into class folders", copies)
    dialogs.paths = []
    landscape.chooses("Table as CSV")
    landscape.chooses("Copies sorted into class folders")
    assert [Path(start).parent for start in dialogs.began_at[:3]] == [home, tables, tables]
    assert dialogs.began_at[3] == str(pictures)
    assert dialogs.began_at[4:] == [str(copies / "results.csv"), str(copies)]
    # What is opened comes from elsewhere, and a folder may be gone by then.
    dialogs.paths = [few_tiles / "Forest"]
    landscape.chooses("Open folder")
    assert dialogs.began_at[-1] == str(home)
    landscape.waits_until_done()
    shutil.rmtree(copies)
    dialogs.paths = []
    landscape.chooses("Table as CSV")
    assert Path(dialogs.began_at[-1]).parent == few_tiles / "Forest"


@pytest.mark.parametrize(
    ("what", "suffix"),
    [("Table as CSV", ".csv"), ("Table as JSON", ".json"), ("Picture of this image", ".png")],
)
@pytest.mark.parametrize("typed", ["typed", "typed v1.2", "typed.jpg"])
def test_a_name_without_the_right_ending_gets_it(
    what: str, suffix: str, typed: str, landscape: User, dialogs: Dialogs, tmp_path: Path
):
    landscape.waits_for_picture(landscape.window.session.workspace.items[0])
    exports(landscape, dialogs, what, tmp_path / typed)
    assert (tmp_path / f"{typed}{suffix}").stat().st_size > 0
    assert not (tmp_path / typed).exists()


def test_a_name_with_the_right_ending_stays_as_it_is(
    landscape: User, dialogs: Dialogs, tmp_path: Path
):
    exports(landscape, dialogs, "Table as CSV", tmp_path / "RESULTS.CSV")
    assert landscape.message() == f"9 rows are in {tmp_path / 'RESULTS.CSV'}."


@pytest.mark.parametrize("what", ["Table as CSV", "Table as JSON", "Picture of this image"])
def test_a_file_that_cannot_be_written_is_told(
    what: str, landscape: User, dialogs: Dialogs, tmp_path: Path
):
    landscape.waits_for_picture(landscape.window.session.workspace.items[0])
    (tmp_path / "file").write_text("in the way")
    exports(landscape, dialogs, what, tmp_path / "file" / "out.dat")
    assert "cannot be written" in landscape.refusal()
    assert_one_sentence(landscape.refusal())
    assert landscape.error_boxes() == []
    assert (tmp_path / "file").read_text() == "in the way"


def test_what_was_written_before_is_not_told_beside_what_cannot_be(
    landscape: User, dialogs: Dialogs, tmp_path: Path
):
    exports(landscape, dialogs, "Table as CSV", tmp_path / "table.csv")
    assert landscape.message() != ""
    (tmp_path / "file").write_text("in the way")
    exports(landscape, dialogs, "Table as CSV", tmp_path / "file" / "table.csv")
    assert "cannot be written" in landscape.refusal()
    assert landscape.message() == ""
    exports(landscape, dialogs, "Table as CSV", tmp_path / "table.csv")
    assert landscape.message() != ""
    assert landscape.refusal() == ""


def test_what_was_found_is_written_though_another_model_comes_behind_the_dialog(
    landscape: User, dialogs: Dialogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    landscape.waits_for_picture(landscape.window.session.workspace.items[0])
    session = landscape.window.session
    ask = landscape.window.export_menu._ask_for_file  # pyright: ignore[reportPrivateUsage]

    def ask_and_change(title: str, name: str, kind: str) -> Path | None:
        session.load_model(shipped_model_path("cnn-int8"))
        landscape.waits_for(lambda: session.model_title.startswith("CNN"))
        return ask(title, name, kind)

    for what, name in (("Table as CSV", "table.csv"), ("Picture of this image", "report.png")):
        monkeypatch.setattr(landscape.window.export_menu, "_ask_for_file", ask_and_change)
        exports(landscape, dialogs, what, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 1000
        session.load_model(shipped_model_path("mobilenet-int8"))
        landscape.waits_for(lambda: session.model_title.startswith("MobileNet"))
        landscape.waits_until_done()
    assert landscape.error_boxes() == []


@pytest.mark.parametrize(
    "what",
    [
        *("Table as CSV", "Table as JSON", "Picture of this image"),
        "Copies sorted into class folders",
    ],
)
def test_a_cancelled_dialog_writes_nothing(
    what: str, landscape: User, dialogs: Dialogs, tmp_path: Path
):
    landscape.waits_for_picture(landscape.window.session.workspace.items[0])
    before = files_in(tmp_path)
    dialogs.paths = []
    landscape.chooses(what)
    assert len(dialogs.asked) == 1
    assert landscape.message() == ""
    landscape.waits_for(lambda: not landscape.window.session.is_busy)
    assert files_in(tmp_path) == before


def test_nothing_is_offered_before_there_is_something_to_write(user: User, pictures: Pictures):
    def offered() -> list[bool]:
        return [one.isEnabled() for one in user.window.export_menu.actions() if one.text()]

    assert not any(offered())
    (item,) = user.opens(*pictures(1))
    user.waits_for_picture(item)
    assert all(offered())


@pytest.mark.parametrize(
    ("what", "shown"),
    [
        *(("Table as CSV", "Waiting"), ("Table as JSON", "Waiting")),
        ("Copies sorted into class folders", "Unreadable"),
    ],
)
def test_where_nothing_that_is_shown_could_be_written_that_is_said_and_no_file_replaced(
    what: str,
    shown: str,
    user: User,
    gate: Gate,
    dialogs: Dialogs,
    pictures: Pictures,
    tmp_path: Path,
):
    (tmp_path / "bad.jpg").write_text("no image")
    user.window.open_paths([tmp_path / "bad.jpg", *pictures(2)])
    gate.let_through(1)
    user.waits_for(lambda: user.window.session.workspace.answered == 1)
    user.filters(shown)
    assert user.rows() != []
    user.chooses(what)
    assert user.refusal().startswith("No image that the table shows has ")
    assert_one_sentence(user.refusal())
    assert dialogs.asked == []


def test_a_name_that_is_not_unicode_can_be_exported(
    user: User, dialogs: Dialogs, pictures: Pictures, tmp_path: Path
):
    odd = Path(f"{tmp_path}/in/tile\udcff.png")
    odd.parent.mkdir()
    try:
        odd.write_bytes(pictures(1)[0].read_bytes())
    except OSError:
        pytest.skip("this file system has Unicode names only")
    user.opens(odd)
    for what, name in (("Table as CSV", "table.csv"), ("Table as JSON", "table.json")):
        exports(user, dialogs, what, tmp_path / name)
        assert "tile" in (tmp_path / name).read_text(encoding="utf-8")
    assert user.refusal() == ""
    assert user.error_boxes() == []


def test_copies_are_sorted_by_class_and_originals_stay(
    landscape: User, dialogs: Dialogs, few_tiles: Path, tmp_path: Path
):
    before = {path: path.read_bytes() for path in files_in(few_tiles)}
    exports(landscape, dialogs, "Copies sorted into class folders", tmp_path / "out")
    assert landscape.message() == f"8 copies are in {tmp_path / 'out'}."
    items = [item for item in landscape.window.session.workspace.items if item.cover]
    expected = sorted(
        tmp_path / "out" / item.cover.name / item.name for item in items if item.cover
    )
    assert files_in(tmp_path / "out") == expected
    for item in items:
        assert isinstance(item.source, Path) and item.cover is not None
        copy = tmp_path / "out" / item.cover.name / item.name
        assert copy.read_bytes() == item.source.read_bytes()
    assert {path: path.read_bytes() for path in files_in(few_tiles)} == before


def test_only_what_the_table_shows_is_copied_and_pasted_images_as_png(
    landscape: User, dialogs: Dialogs, tmp_path: Path
):
    picture = QImage(20, 20, QImage.Format.Format_RGB32)
    picture.fill(0x123CB4)
    QGuiApplication.clipboard().setImage(picture)
    landscape.chooses("Paste")
    landscape.waits_until_done()
    landscape.window.filter_bar.text.setText("Pasted")
    exports(landscape, dialogs, "Copies sorted into class folders", tmp_path / "out")
    assert landscape.message() == f"1 copy is in {tmp_path / 'out'}."
    (copy,) = files_in(tmp_path / "out")
    assert copy.suffix == ".png"
    assert QImage(str(copy)).convertToFormat(picture.format()) == picture


def test_copying_can_be_cancelled_and_says_how_far_it_came(
    user: User, dialogs: Dialogs, pictures: Pictures, tmp_path: Path
):
    user.opens(*pictures(400))
    dialogs.paths = [tmp_path / "out"]
    user.chooses("Copies sorted into class folders")
    assert user.button("Cancel").isVisible()
    user.clicks("Cancel")
    user.waits_for(lambda: user.message().startswith("Stopped"))
    count = len(files_in(tmp_path / "out"))
    assert user.message() == f"Stopped: {count} of 400 copies are in {tmp_path / 'out'}."
    assert count < 400
    user.waits_for(lambda: not user.button("Cancel").isVisible())


def test_copies_that_cannot_be_made_are_told(landscape: User, dialogs: Dialogs, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    exports(landscape, dialogs, "Copies sorted into class folders", tmp_path / "file")
    assert "cannot be copied" in landscape.refusal()
    assert_one_sentence(landscape.refusal())


def test_the_picture_of_an_image_is_written_with_its_tile_and_its_bars(
    landscape: User, dialogs: Dialogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    texts: list[str] = []
    write = picture_module._write  # pyright: ignore[reportPrivateUsage]

    def listen(painter: QPainter, place: QRect, text: str, *side: Qt.AlignmentFlag) -> None:
        texts.append(text)
        write(painter, place, text, *side)

    monkeypatch.setattr(picture_module, "_write", listen)
    (item, *_) = landscape.window.session.workspace.items
    landscape.waits_for_picture(item)
    path = tmp_path / "report.png"
    exports(landscape, dialogs, "Picture of this image", path)
    report = read_image(path)
    height, width = report.shape[:2]
    assert width > height > 400
    # The tile on the left has many colours, the bars on the right have those of the classes.
    tile = {tuple(colour) for colour in report[:, : width // 2].reshape(-1, 3).tolist()}
    assert len(tile) > 100
    assert item.cover is not None
    assert texts[:2] == [
        item.cover.title + "?" * (item.status is Status.UNSURE),
        landscape.bars()[0][1],
    ]
    assert texts[3:-1] == [text for bar in landscape.bars() for text in bar]
    colour = bytes.fromhex(item.cover.colour.removeprefix("#"))
    bars = report[:, width // 2 :]
    assert (bars == np.frombuffer(colour, np.uint8)).all(axis=-1).sum() > 1000
    assert [one for one in files_in(tmp_path) if one.suffix == ".png"] == [path]


def test_the_picture_is_put_on_the_clipboard(landscape: User, dialogs: Dialogs, tmp_path: Path):
    landscape.waits_for_picture(landscape.window.session.workspace.items[0])
    landscape.chooses("Copy picture")
    assert landscape.message() == "The picture is on the clipboard."
    exports(landscape, dialogs, "Picture of this image", tmp_path / "report.png")
    copied = QGuiApplication.clipboard().image()
    written = QImage(str(tmp_path / "report.png"))
    assert copied.convertToFormat(written.format()) == written


@pytest.mark.parametrize("typed", ["results", "results v1.2"])
@pytest.mark.parametrize("may_replace", [True, False])
def test_a_name_without_the_right_ending_replaces_no_file_unasked(
    landscape: User,
    dialogs: Dialogs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    may_replace: bool,
):
    path = tmp_path / f"{typed}.csv"
    path.write_text("mine")
    buttons = QMessageBox.StandardButton
    asked: list[str] = []

    def answer(_: object, title: str, text: str, *_others: object) -> QMessageBox.StandardButton:
        asked.append(text)
        return buttons.Yes if may_replace else buttons.No

    monkeypatch.setattr(QMessageBox, "question", answer)
    dialogs.paths = [tmp_path / typed]
    landscape.chooses("Table as CSV")
    assert asked == [f"{path} exists: replace it?"]
    if may_replace:
        landscape.waits_for(lambda: path.read_text() != "mine")
    else:
        assert landscape.message() == ""
        assert path.read_text() == "mine"


def test_a_picture_may_have_the_longest_name_there_is(tmp_path: Path):
    picture = QImage(4, 4, QImage.Format.Format_RGB888)
    path = tmp_path / f"{'é' * 125}.png"
    save_png(picture, path)
    assert files_in(tmp_path) == [path]
