"""Scenes in the app: seen, previewed, mapped, stopped, gone on with, and what can go wrong."""

import csv
import errno
import multiprocessing
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QEvent, QPointF, Qt, QThreadPool, QUrl
from PySide6.QtGui import QColor, QDesktopServices, QImage
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QSpinBox,
)
from pytestqt.qtbot import QtBot

from eurosat.classifier import Classifier
from eurosat.errors import ModelFileError
from eurosat.gui import scene_reader, scene_session
from eurosat.gui.main_window import MainWindow
from eurosat.gui.scene_work import Stage
from eurosat.gui.settings import Settings
from eurosat.model_file import shipped_model_path
from eurosat.scenes import scene as scene_module
from eurosat.scenes.cells import NODATA, CellMap
from eurosat.scenes.land_map import map_scene
from eurosat.scenes.map_record import MapSettings
from eurosat.scenes.scene import open_scene

from ..eurosat.scenes.product_fixtures import band_of, metadata_of, write_product, zip_of
from ..eurosat.scenes.scene_fixtures import (
    MAP_FILES,
    REAL_SCENES,
    grid_at,
    make_map,
    rasterio,
    texture,
    write_rgb,
)
from .conftest import PATIENCE_MS, Dialogs, Gate, User, assert_one_sentence, files_in, urls_of

SPAIN = "spain_utm10m_eurosat_scaling.tif"


class SceneUser(User):
    """Somebody who looks at a scene."""

    def waits_for(self, condition: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(condition, timeout=4 * PATIENCE_MS)

    def sees(self, path: Path) -> None:
        """Open a scene and wait until it is seen."""
        self.window.open_paths([path])
        self.waits_until_seen(path)

    def waits_until_seen(self, path: Path) -> None:
        scenes, view = self.window.scenes, self.window.scene_page.view
        self.waits_for(
            lambda: (
                scenes.work is not None
                and scenes.work.path == path
                and scenes.work.facts is not None
                and not view.quick_look.isNull()
                and scenes.can_map
                and scenes.work.seconds_expected is not None
            )
        )

    def maps(self) -> Path:
        """Map the scene and return the folder of the map."""
        self.waits_for(lambda: self.window.scenes.can_map)  # The process before is at its end.
        self.clicks("Map the scene")
        self.waits_for(lambda: self.work.stage is Stage.FINISHED or bool(self.refusal()))
        assert self.refusal() == ""
        assert self.work.finished is not None
        return self.work.finished.folder

    def opens_again(self, path: Path) -> None:
        """Choose a path in the menu of what was opened last."""
        (menu,) = [one for one in self.window.findChildren(QMenu) if "recent" in one.title()]
        menu.aboutToShow.emit()
        (entry,) = [action for action in menu.actions() if action.text() == str(path)]
        entry.trigger()

    def starts_a_long_map(self) -> None:
        """Begin to map a scene of 416 x 521 pixels, and wait until the map grows.

        There are 2,655 windows. With the larger model, they share no work and come row by row.
        """
        self.answers_with(shipped_model_path("mobilenet-int8"))
        self.chooses_in(QComboBox, "every 8 pixels")
        self.clicks("Map the scene")
        self.waits_for(lambda: self.work.windows_done > 46)

    def answers_with(self, model: Path) -> None:
        session = self.window.session
        session.load_model(model)
        self.waits_for(
            lambda: (
                session.classifier is not None
                and session.classifier.model_file.path == model
                and self.window.scenes.can_map
            )
        )

    def previews(self) -> None:
        self.clicks("Preview")
        self.waits_for(lambda: self.work.so_far is not None)

    def points_at(self, column: float, row: float) -> str:
        """Move the mouse over a place of the scene and return what is said of it."""
        view = self.window.scene_page.view
        self.qtbot.mouseMove(view.viewport(), view.mapFromScene(QPointF(column, row)))
        self.qtbot.waitUntil(lambda: "column" in self.window.scene_page.read_out)
        return self.window.scene_page.read_out

    @property
    def work(self):
        work = self.window.scenes.work
        assert work is not None
        return work

    def cells(self) -> CellMap:
        assert self.work.so_far is not None
        return self.work.so_far.cells

    def labels(self) -> np.ndarray:
        return self.cells().labels

    def panel(self) -> str:
        """All that is written beside the scene."""
        labels = self.window.scene_page.panel.findChildren(QLabel)
        text = "\n".join(label.text() for label in labels if label.isVisible())
        return text.replace("\u200b", "")

    def chooses_in(self, kind: type[QComboBox], text: str) -> None:
        """Choose an entry of the one list that has it."""
        boxes = self.window.scene_page.panel.findChildren(kind)
        (box,) = [one for one in boxes if one.findText(text) >= 0]
        box.setCurrentIndex(box.findText(text))
        box.activated.emit(box.currentIndex())

    def legend(self) -> dict[str, tuple[str, ...]]:
        table = self.window.scene_page.panel.legend
        rows = [
            [table.model().index(row, column).data() for column in range(4)]
            for row in range(table.rowCount())
        ]
        return {row[0]: tuple(row[1:]) for row in rows}

    def screen(self) -> QImage:
        return self.window.scene_page.view.viewport().grab().toImage()

    def colour_at(self, column: float, row: float) -> QColor:
        place = self.window.scene_page.view.mapFromScene(QPointF(column, row))
        return self.screen().pixelColor(place)


@pytest.fixture
def user(open_window: Callable[..., MainWindow], qtbot: QtBot) -> SceneUser:
    """Somebody who uses the window with the fastest of the shipped models."""
    Settings().model = str(shipped_model_path("cnn-int8"))
    window = open_window()
    qtbot.waitUntil(lambda: window.session.classifier is not None, timeout=30_000)
    return SceneUser(window, qtbot)


@pytest.fixture
def spain(tmp_path: Path) -> Path:
    """A scene of 416 x 521 pixels: a copy of the real one, or without it one that looks like it."""
    path = tmp_path / "scenes" / SPAIN
    path.parent.mkdir()
    if (REAL_SCENES / SPAIN).exists():
        path.write_bytes((REAL_SCENES / SPAIN).read_bytes())
        return path
    pixels = texture(521, 416, low=60, high=140)
    pixels[:, :9] = pixels[:7] = 0  # Its rim is empty.
    return write_rgb(path, pixels)


def areas_in(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "areas.csv").open(newline="", encoding="utf-8") as file:
        return {row["title"]: row for row in csv.DictReader(file)}


# Seeing


def test_a_scene_is_seen_with_what_is_known_of_it_and_what_a_map_costs(
    user: SceneUser, spain: Path
):
    user.sees(spain)
    assert user.window.scene_page.isVisible()
    panel = user.panel()
    assert SPAIN in panel
    assert "416 × 521 pixels of 10 m, EPSG:32630" in panel
    with open_scene(spain) as scene:
        assert all(note in panel for note in scene.notes)
        pixels, has_data = scene.read_rows(0, 521)
    assert re.search(r"690 windows, (less than a|about \d+) s(econd)? to classify", panel)
    user.chooses_in(QComboBox, "every 32 pixels")
    # The stride decides how windows are classified, so that its time is measured by itself.
    user.waits_for(lambda: user.work.seconds_expected is not None)
    assert "192 windows, " in user.panel()
    look = user.window.scene_page.view.quick_look
    assert (look.height(), look.width()) == (521, 416)
    for row, column in ((100, 200), (300, 50), (500, 400)):
        seen = look.pixelColor(column, row)
        assert (seen.red(), seen.green(), seen.blue()) == tuple(pixels[row, column])
    assert not has_data[0, 0]
    assert look.pixelColor(0, 0).alpha() == 0


def test_the_time_of_a_map_is_not_measured_while_its_scene_is_read(
    user: SceneUser, spain: Path, monkeypatch: pytest.MonkeyPatch
):
    is_read = threading.Event()
    picture = scene_reader._picture  # pyright: ignore[reportPrivateUsage]

    def slow_picture(pixels: np.ndarray, has_data: np.ndarray) -> QImage:
        is_read.wait()
        return picture(pixels, has_data)

    monkeypatch.setattr(scene_reader, "_picture", slow_picture)
    try:
        user.window.open_paths([spain])
        user.waits_for(lambda: "690 windows" in user.panel())
        user.chooses_in(QComboBox, "every 32 pixels")
        QThreadPool.globalInstance().waitForDone()
        QApplication.processEvents()
        assert user.work.seconds_expected is None
    finally:
        is_read.set()
    user.waits_until_seen(spain)
    assert "192 windows, " in user.panel()


def test_the_time_of_a_map_that_was_measured_beside_other_work_is_measured_again(
    user: SceneUser, spain: Path, few_tiles: Path, gate: Gate
):
    user.window.open_paths([few_tiles])
    user.waits_for(lambda: user.window.session.is_running)
    user.sees(spain)
    disturbed = user.work.seconds_expected
    told: list[str] = []
    user.window.scenes.changed.connect(lambda: told.append(user.panel()))
    gate.open()
    user.waits_for(lambda: user.work.seconds_expected != disturbed)
    assert told
    stays = ["690 windows, " in panel for panel in told]
    assert all(stays), "the time before stays until then"
    user.waits_for(lambda: not user.window.session.is_busy)


def test_the_time_of_a_map_is_measured_again_for_another_stride(user: SceneUser, spain: Path):
    user.sees(spain)
    user.waits_for(lambda: 16 in user.work.well_timed)
    before = user.work.seconds_expected
    user.chooses_in(QComboBox, "every 32 pixels")
    user.waits_for(lambda: 32 in user.work.well_timed)
    user.chooses_in(QComboBox, "every 16 pixels")
    assert user.work.seconds_expected == before
    assert "690 windows, " in user.panel()
    user.waits_for(lambda: user.work.seconds_expected != before)


def test_a_time_that_cannot_be_measured_is_tried_once(
    user: SceneUser, spain: Path, monkeypatch: pytest.MonkeyPatch
):
    tries: list[object] = []

    def fail(*order: object) -> float:
        tries.append(order)
        raise ModelFileError("The model fails.")

    monkeypatch.setattr(scene_session, "seconds_per_window", fail)
    user.window.open_paths([spain])
    user.waits_for(lambda: user.refusal() == "The model fails.")
    for _ in range(10):
        QThreadPool.globalInstance().waitForDone()
        QApplication.processEvents()
    assert len(tries) == 1
    user.chooses_in(QComboBox, "every 32 pixels")
    user.waits_for(lambda: len(tries) == 2)


def test_scenes_come_by_drop_by_dialog_and_by_command_line(
    user: SceneUser, spain: Path, dialogs: Dialogs, open_window: Callable[..., MainWindow]
):
    assert user.drops(urls_of(spain), user.window.centralWidget() or user.window)
    user.waits_until_seen(spain)
    user.chooses("Close scene")
    assert user.button("Open images…").isVisible()
    dialogs.paths = [spain]
    user.chooses("Open images")
    user.waits_until_seen(spain)
    user.chooses("Close scene")
    user.chooses("Open scene")
    user.waits_until_seen(spain)
    other = SceneUser(open_window(spain), user.qtbot)
    other.waits_until_seen(spain)


def test_a_product_is_a_scene_as_a_folder_by_its_metadata_and_as_a_zip(
    user: SceneUser, tmp_path: Path, dialogs: Dialogs
):
    product, _ = write_product(tmp_path)
    archive = zip_of(product)
    assert user.drops(urls_of(product), user.window.centralWidget() or user.window)
    user.waits_until_seen(product)
    assert user.rows() == []
    assert "-1000 is added to its values, because it says so" in user.panel()
    user.chooses_in(QComboBox, "every 64 pixels")
    folder = user.maps()
    assert folder == tmp_path / "maps" / product.stem
    expected = make_map(product, tmp_path / "expected", stride=64)
    assert (folder / "areas.csv").read_bytes() == (expected / "areas.csv").read_bytes()
    user.chooses("Close scene")
    dialogs.paths = [metadata_of(product)]
    user.chooses("Open scene")
    user.waits_until_seen(product)
    user.chooses("Close scene")
    dialogs.paths = [archive]
    user.chooses("Open scene")
    user.waits_until_seen(archive)


def test_a_product_that_lacks_a_band_is_refused_in_one_sentence(user: SceneUser, tmp_path: Path):
    product, _ = write_product(tmp_path)
    band_of(product, 4).unlink()
    user.window.open_paths([product])
    user.waits_for(lambda: bool(user.refusal()))
    assert f"{product} lacks T34UCF_20230823T095559_B04.jp2" in user.refusal()
    assert_one_sentence(user.refusal())
    assert user.rows() == []


def test_what_was_opened_as_a_scene_comes_back_as_one_whatever_it_looks_like(
    user: SceneUser, tmp_path: Path, dialogs: Dialogs, open_window: Callable[..., MainWindow]
):
    small = write_rgb(tmp_path / "small.tif", texture(60, 64))
    tile = write_rgb(tmp_path / "tile.tif", texture(60, 64))
    dialogs.paths = [small]
    user.chooses("Open scene")
    user.waits_until_seen(small)
    user.opens(tile)

    later = SceneUser(open_window(), user.qtbot)
    later.opens_again(small)
    later.waits_until_seen(small)
    assert later.rows() == []
    later.opens_again(tile)
    later.waits_for(lambda: later.names() == ["tile.tif"])
    # Whoever opens it as an image wants an image.
    later.opens(small)
    later.opens_again(small)
    later.waits_until_done()
    assert later.names() == ["tile.tif", "small.tif"]
    assert not later.window.scene_page.isVisible()


def test_tiles_and_a_scene_are_open_at_the_same_time(user: SceneUser, spain: Path, few_tiles: Path):
    user.opens(few_tiles)
    user.sees(spain)
    assert not user.window.table.isVisible()
    user.chooses("Show the scene")
    assert user.window.table.isVisible()
    assert len(user.rows()) == 24
    user.chooses("Show the scene")
    assert user.window.scene_page.isVisible()
    user.chooses("Close scene")
    assert user.window.table.isVisible()


OF_IMAGES = (
    "Close selected",
    "Close all",
    "Copy rows",
    "Select all",
    "Find",
    "Show everything",
    "Explain",
    "Table as CSV",
    "Picture of this image",
)
ZOOMS = ("Zoom in", "Zoom out", "Fit", "Actual size")


def test_only_what_is_seen_can_be_worked_on(user: SceneUser, spain: Path, few_tiles: Path):
    def possible() -> set[str]:
        texts = (*OF_IMAGES, *ZOOMS, "Close scene")
        return {text for text in texts if user.action(text).isEnabled()}

    assert possible() == set(), "the window is empty"
    (*_, item) = user.opens(few_tiles)
    user.window.table.go_to(item)
    user.waits_for_picture(item)
    assert possible() == {*OF_IMAGES, *ZOOMS}
    user.sees(spain)
    assert possible() == {*ZOOMS, "Close scene"}
    user.chooses("Show the scene")
    assert possible() == {*OF_IMAGES, *ZOOMS}
    user.window.table.clearSelection()
    assert possible() == {*OF_IMAGES, *ZOOMS} - {"Close selected", "Copy rows"}
    user.window.filter_bar.text.setText("no such image")
    assert possible() == {"Close all", "Find", "Show everything"}
    user.chooses("Close all")
    assert possible() == {*ZOOMS, "Close scene"}
    user.chooses("Close scene")
    assert possible() == set()


def test_text_beside_a_scene_can_be_copied(user: SceneUser, spain: Path):
    user.sees(spain)
    labels = user.window.scene_page.panel.findChildren(QLabel)
    (title,) = [label for label in labels if label.text().replace("\u200b", "") == SPAIN]
    title.setFocus()
    title.setSelection(0, 5)
    user.presses(Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == "spain"


def test_a_scene_can_be_dropped_on_the_field_for_bands(user: SceneUser, spain: Path):
    user.sees(spain)
    user.chooses_in(QComboBox, "every 32 pixels")
    (bands,) = [
        line
        for line in user.window.scene_page.panel.findChildren(QLineEdit)
        if "such as" in line.placeholderText()
    ]
    user.window.scene_page.panel.ensureWidgetVisible(bands)
    data = urls_of(spain)
    data.setText(str(spain))
    assert user.drops(data, bands)
    assert bands.text() == ""
    user.waits_until_seen(spain)


def test_zoomed_in_every_pixel_is_seen_and_the_memory_stays_bounded(
    user: SceneUser, tmp_path: Path
):
    pixels = texture(2600, 3100, seed=3)
    path = write_rgb(tmp_path / "large.tif", pixels, tiled=True)
    user.sees(path)
    view = user.window.scene_page.view
    assert view.quick_look.width() == 2048
    view.cache.limit = 6 * 256 * 256 * 4
    view.show_actual_size()
    view.scale(4, 4)
    for column, row in ((1500, 1300), (3000, 100), (40, 2500), (3060, 2570)):
        view.centerOn(column, row)
        expected = tuple(pixels[row, column])

        def is_sharp(
            column: int = column, row: int = row, expected: tuple[int, ...] = expected
        ) -> bool:
            seen = user.colour_at(column + 0.5, row + 0.5)
            return (seen.red(), seen.green(), seen.blue()) == expected

        user.waits_for(is_sharp)
        assert view.cache.size <= view.cache.limit
    view.show_actual_size()
    before = view.zoom
    user.chooses("Zoom out")
    assert view.zoom == pytest.approx(before / 1.25)
    user.chooses("Fit")
    assert view.seen.width() == pytest.approx(3100, rel=0.01)


def test_other_values_and_bands_are_read_anew_and_what_does_not_fit_is_refused(
    user: SceneUser, spain: Path
):
    user.sees(spain)
    user.chooses_in(QComboBox, "L2A reflectance")
    user.waits_for(lambda: bool(user.refusal()))
    assert_one_sentence(user.refusal())
    assert "choose eurosat" in user.refusal()
    assert not user.button("Map the scene").isEnabled()
    user.chooses_in(QComboBox, "true-colour image of L1C")
    user.waits_until_seen(spain)
    assert "Taken for the true-colour image of an L1C product, as requested." in user.panel()
    (bands,) = [
        line
        for line in user.window.scene_page.panel.findChildren(QLineEdit)
        if "such as" in line.placeholderText()
    ]
    bands.setText("3,2,1")
    bands.editingFinished.emit()
    user.waits_for(lambda: "Bands 3, 2 and 1, as requested." in user.panel())
    user.waits_until_seen(spain)
    with open_scene(spain, bands=(3, 2, 1), kind=user.work.settings.kind) as scene:
        pixels, _ = scene.read_rows(300, 301)
    seen = user.window.scene_page.view.quick_look.pixelColor(200, 300)
    assert (seen.red(), seen.green(), seen.blue()) == tuple(pixels[0, 200])


@pytest.mark.parametrize("order", ["Map the scene", "Preview the map", "a click"])
def test_what_is_ordered_right_after_bands_were_typed_begins_with_them(
    user: SceneUser, spain: Path, order: str
):
    user.sees(spain)
    panel = user.window.scene_page.panel
    (bands,) = [one for one in panel.findChildren(QLineEdit) if "4,3,2" in one.placeholderText()]
    bands.setFocus()
    bands.setText("3,2,1")
    if order == "a click":  # It takes the focus from the bands before it counts.
        user.qtbot.mouseClick(user.button("Map the scene"), Qt.MouseButton.LeftButton)
    else:
        user.chooses(order)
    assert user.work.stage is Stage.OPENING, "with other bands, it is another scene"
    user.waits_for(lambda: user.work.so_far is not None and user.window.scenes.can_map)
    assert user.work.settings.bands == (3, 2, 1)
    assert "Bands 3, 2 and 1, as requested." in user.panel()
    assert (user.work.finished is None) == (order == "Preview the map")
    assert (user.labels() != NODATA).sum() > 600, "all of the scene"


@pytest.mark.parametrize("typed", ["4,3", "4;3;2", "red", "4,3,2,1"])
def test_bands_that_are_none_are_told_and_nothing_begins(typed: str, user: SceneUser, spain: Path):
    user.sees(spain)
    (bands,) = [
        one
        for one in user.window.scene_page.panel.findChildren(QLineEdit)
        if "4,3,2" in one.placeholderText()
    ]
    bands.setFocus()
    bands.setText(typed)
    user.clicks("Map the scene")
    assert user.refusal() == "The bands must be three numbers, such as 4,3,2."
    user.chooses("Preview the map")
    assert user.work.stage is Stage.READY
    assert bands.text() == typed
    bands.clear()
    user.previews()


def test_what_was_typed_for_one_scene_is_gone_with_the_next(
    user: SceneUser, spain: Path, tmp_path: Path
):
    user.sees(spain)
    panel = user.window.scene_page.panel
    (bands,) = [one for one in panel.findChildren(QLineEdit) if "4,3,2" in one.placeholderText()]
    (threshold,) = panel.findChildren(QSpinBox)
    bands.setText("red")
    threshold.setFocus()
    threshold.setValue(30)
    assert threshold.text() == "30 %"
    user.sees(write_rgb(tmp_path / "second.tif", texture(200, 200)))
    assert bands.text() == ""
    assert threshold.text().startswith("as the model asks")
    user.previews()


def test_a_folder_that_opens_does_not_call_back_from_the_scene(
    user: SceneUser, spain: Path, gate: Gate, tiles: Path, monkeypatch: pytest.MonkeyPatch
):
    gate.open()
    user.sees(spain)
    monkeypatch.setattr("eurosat.gui.session._OPENED_AT_A_TIME", 10)
    user.window.open_paths([tiles])
    user.waits_for(lambda: 0 < len(user.rows()) < 60)
    assert user.window.table.isVisible()
    user.chooses("Show the scene")
    user.waits_for(lambda: len(user.rows()) == 60)
    assert user.window.scene_page.isVisible()


def test_a_scene_that_is_opened_with_a_folder_is_in_front_of_it(
    user: SceneUser, spain: Path, few_tiles: Path
):
    user.window.open_paths([few_tiles, spain])
    user.waits_until_seen(spain)
    user.waits_until_done()
    assert len(user.rows()) == 24
    assert user.window.scene_page.isVisible()


def test_scenes_in_a_folder_are_left_out_of_the_table_and_it_is_said_how_to_open_them(
    user: SceneUser, few_tiles: Path, tmp_path: Path, dialogs: Dialogs
):
    folder = tmp_path / "field"
    shutil.copytree(few_tiles / "Forest", folder)
    scene = write_rgb(folder / "scene.tif", texture(100, 130))
    items = user.opens(folder)
    assert user.names() == [path.name for path in files_in(few_tiles / "Forest")]
    assert user.window.scenes.work is None
    assert user.refusal() == f"{scene} is a scene and was left out: choose Open scene to map it."
    assert_one_sentence(user.refusal())
    dialogs.paths = [scene]
    user.chooses("Open scene")
    assert dialogs.began_at == [str(folder)]
    user.waits_until_seen(scene)
    assert user.refusal() == ""
    user.chooses("Close all")

    (folder / "more").mkdir()
    Image.fromarray(texture(1000, 1001)).save(folder / "more" / "photo.png")
    user.window.open_paths([folder, folder / items[0].name])
    user.waits_for(lambda: bool(user.refusal()) and not user.window.session.is_busy)
    assert len(user.rows()) == 4
    first = folder / "more" / "photo.png"
    assert user.refusal() == (
        f"2 scenes were left out, {first} among them: choose Open scene to map one."
    )


def test_products_and_jpeg_2000_in_a_folder_are_left_out_and_told_of(
    user: SceneUser, few_tiles: Path, tmp_path: Path, dialogs: Dialogs
):
    folder = tmp_path / "field"
    shutil.copytree(few_tiles / "Forest", folder)
    product, _ = write_product(folder)
    user.opens(folder)
    assert user.names() == [path.name for path in files_in(few_tiles / "Forest")]
    assert user.refusal() == f"{product} is a scene and was left out: choose Open scene to map it."
    dialogs.paths = [metadata_of(product)]
    user.chooses("Open scene")
    assert dialogs.began_at == [str(product)]
    user.waits_until_seen(product)

    image = Path(shutil.copy(band_of(product, 4), folder / "b04.jp2"))
    user.window.open_paths([folder, product])
    user.waits_for(lambda: bool(user.refusal()) and not user.window.session.is_busy)
    assert user.refusal() == f"{image} is a scene and was left out: choose Open scene to map it."


def test_a_folder_of_nothing_but_a_scene_is_not_called_empty(user: SceneUser, spain: Path):
    user.window.open_paths([spain.parent])
    user.waits_for(lambda: bool(user.refusal()))
    assert user.refusal() == f"{spain} is a scene and was left out: choose Open scene to map it."
    assert user.rows() == []
    assert user.button("Open images…").isVisible()


def test_a_scene_that_is_named_beside_its_folder_is_opened_once(user: SceneUser, spain: Path):
    user.window.open_paths([spain.parent, spain])
    user.waits_until_seen(spain)
    user.waits_until_done()
    assert user.refusal() == ""
    assert user.rows() == []


def test_scrolling_over_the_choices_changes_none_of_them(user: SceneUser, spain: Path):
    user.sees(spain)
    panel = user.window.scene_page.panel
    before = user.work.settings
    for choice in (*panel.findChildren(QComboBox), *panel.findChildren(QSpinBox)):
        user.turns_the_wheel(choice, -1)
        assert user.work.settings == before


# Mapping


def test_a_map_is_the_one_of_the_command_and_stands_beside_the_scene(
    user: SceneUser, spain: Path, tmp_path: Path
):
    user.sees(spain)
    user.chooses_in(QComboBox, "every 32 pixels")
    folder = user.maps()
    assert folder == spain.parent / "maps" / spain.stem
    assert {file.name for file in folder.iterdir()} == MAP_FILES
    expected = make_map(spain, tmp_path / "expected", stride=32)
    for name in ("classes.tif", "confidence.tif", "areas.csv", "classes.geojson", "map.png"):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    areas, legend = areas_in(folder), user.legend()
    assert list(legend) == list(areas)
    for title, row in areas.items():
        if float(row["area_m2"]):
            assert legend[title][0] == f"{float(row['area_ha']):,.1f}"
            if row["share_of_classified"]:
                assert legend[title][1] == f"{float(row['share_of_classified']):.1%}"
            if row["mean_confidence"]:
                percent = float(legend[title][2].rstrip("%"))
                assert percent == pytest.approx(100 * float(row["mean_confidence"]), abs=0.51)
    with rasterio.open(folder / "classes.tif") as file:
        classes = file.read(1)
    labels = user.labels()
    for row, column in ((16, 200), (260, 200), (500, 400)):
        assert labels[row // 32, column // 32] == classes[row, column]
    assert str(folder) in user.panel()


def test_it_is_told_how_much_of_the_files_is_written(user: SceneUser, spain: Path):
    user.sees(spain)
    (bar,) = user.window.scene_page.panel.findChildren(QProgressBar)
    told: list[tuple[int, int]] = []

    def take() -> None:
        if user.work.stage is Stage.WRITING:
            told.append((bar.value(), bar.maximum()))

    user.window.scenes.changed.connect(take)
    user.maps()
    assert told[0][1] == 0, "nobody knows yet"
    done, steps = zip(*told[1:], strict=True)
    assert set(steps) == {5}, "two of 512 rows each, and three of the other files"
    assert sorted({*done}) == [1, 3, 4, 5]
    assert list(done) == sorted(done)


def test_a_map_of_yesterday_is_found_again(user: SceneUser, spain: Path):
    make_map(spain, spain.parent / "maps" / spain.stem)
    before = (spain.parent / "maps" / spain.stem / "classes.tif").stat().st_mtime_ns
    user.sees(spain)
    folder = user.maps()
    assert (folder / "classes.tif").stat().st_mtime_ns == before
    assert (user.labels() != NODATA).any()
    assert "Mapped before" in user.panel()


def test_the_map_grows_stops_and_goes_on_where_it_was(user: SceneUser, spain: Path, tmp_path: Path):
    user.sees(spain)
    user.starts_a_long_map()
    assert user.work.stage is Stage.MAPPING
    done = user.work.windows_done
    row = done // 45
    labels = user.labels()
    assert (labels[:row] != NODATA).any()
    assert (labels[row:] == NODATA).all()
    assert f"{done:,} of 2,655 windows" in user.panel()
    assert sum(float(row[0].replace(",", "") or 0) for row in user.legend().values()) > 0
    overlay = user.window.scene_page.view.overlay
    assert [overlay.pixelColor(30, y).alpha() for y in (row - 1, row)] == [255, 0]
    user.presses(Qt.Key.Key_Escape)
    assert "they are kept" in user.panel()
    user.waits_for(lambda: user.button("Go on with the map").isEnabled())
    assert (user.labels()[:row] != NODATA).any(), "what was done stays on screen"
    user.clicks("Go on with the map")
    user.waits_for(lambda: user.work.seconds_left is not None)
    now_done, pace = user.work.windows_done, user.work.pace
    assert now_done >= done
    assert pace is not None and pace.seconds_each is not None
    assert 0 < pace.done <= now_done - done, "earlier windows took none of this time"
    assert user.work.seconds_left == pace.seconds_each * (2655 - now_done)
    user.waits_for(lambda: user.work.stage is Stage.FINISHED)
    mobilenet = Classifier.shipped("mobilenet-int8")
    expected = map_scene(spain, tmp_path / "expected", mobilenet, MapSettings(stride=8)).folder
    folder = spain.parent / "maps" / spain.stem
    assert (folder / "classes.tif").read_bytes() == (expected / "classes.tif").read_bytes()


def test_beside_the_images_it_is_said_how_far_the_map_has_come(
    user: SceneUser, spain: Path, few_tiles: Path
):
    def of_the_scene() -> str:
        (text,) = [fact for fact in user.facts() if fact.startswith("1 scene")]
        return text

    user.opens(few_tiles)
    user.sees(spain)
    user.starts_a_long_map()
    assert of_the_scene() == "1 scene", "more stands beside it"
    width = user.window.statusBar().minimumSizeHint().width()
    user.chooses("Show the scene")
    user.waits_for(lambda: user.work.seconds_left is not None)
    share = user.work.windows_done / 2655
    assert re.fullmatch(rf"1 scene, {share:.0%} mapped, \d+ (s|min) left", of_the_scene())
    user.waits_for(lambda: user.work.windows_done / 2655 > share + 0.02)
    assert f"{user.work.windows_done / 2655:.0%} mapped" in of_the_scene()
    assert user.window.statusBar().minimumSizeHint().width() == width
    user.window.scenes.stop()
    share = user.work.windows_done / 2655
    assert of_the_scene() == f"1 scene, map stopped at {share:.0%}"
    user.waits_for(lambda: user.window.scenes.can_map)
    user.chooses("Map the scene")
    user.waits_for(lambda: user.work.stage is Stage.FINISHED)
    assert of_the_scene() == "1 scene, mapped"


def test_an_unfinished_map_is_told_of_when_its_scene_is_opened_again(
    user: SceneUser, spain: Path, open_window: Callable[..., MainWindow], dialogs: Dialogs
):
    user.sees(spain)
    user.starts_a_long_map()
    user.window.close()
    (answers,) = (spain.parent / "maps" / spain.stem / "unfinished").glob("*/*.float32")
    kept = answers.stat().st_size // (45 * 10 * 4) * 45

    Settings().model = str(shipped_model_path("mobilenet-int8"))
    # With the command: the scene is there before the model is, or the other way round.
    later = SceneUser(open_window(spain), user.qtbot)
    later.waits_until_seen(spain)
    told = f"Stopped after {kept:,} of 2,655 windows; they are kept."
    assert told in later.panel()
    (bar,) = later.window.scene_page.panel.findChildren(QProgressBar)
    assert (bar.isVisible(), bar.value(), bar.maximum()) == (True, kept, 2655)
    assert later.button("Go on with the map").isEnabled()
    later.previews()
    assert f"A preview; no file was written.\n{told}" in later.panel()
    later.chooses_in(QComboBox, "every 16 pixels")
    assert later.button("Map the scene").isEnabled(), "what is kept has another stride"
    assert "kept" not in later.panel()
    later.chooses_in(QComboBox, "every 8 pixels")
    assert told in later.panel()
    later.answers_with(shipped_model_path("cnn-int8"))
    assert later.button("Map the scene").isEnabled(), "what is kept is of another model"
    later.answers_with(shipped_model_path("mobilenet-int8"))
    assert told in later.panel()
    dialogs.paths = [spain.parent / "other"]
    later.clicks("Change…")
    assert later.button("Map the scene").isEnabled(), "what is kept is in another folder"
    dialogs.paths = [spain.parent / "maps"]
    later.clicks("Change…")
    assert told in later.panel()
    later.clicks("Go on with the map")
    later.waits_for(lambda: later.work.windows_done > 0)
    assert later.work.windows_done >= kept


def test_a_map_that_is_stopped_before_its_first_window_begins_again(user: SceneUser, spain: Path):
    user.sees(spain)
    user.clicks("Map the scene")
    user.clicks("Stop")
    user.waits_for(lambda: user.button("Map the scene").isEnabled())
    assert user.work.stage is Stage.READY
    progress = user.window.scene_page.panel.findChild(QProgressBar)
    assert isinstance(progress, QProgressBar)
    assert not progress.isVisible()


def test_closing_the_window_keeps_what_is_done(user: SceneUser, spain: Path):
    user.sees(spain)
    user.starts_a_long_map()
    done = user.work.windows_done
    user.window.close()
    (answers,) = (spain.parent / "maps" / spain.stem / "unfinished").glob("*/*.float32")
    assert done * 10 * 4 <= answers.stat().st_size < 2655 * 10 * 4
    assert multiprocessing.active_children() == []


def test_a_process_that_is_ended_is_told_in_one_sentence_and_the_map_goes_on(
    user: SceneUser, spain: Path
):
    user.sees(spain)
    user.starts_a_long_map()
    (process,) = multiprocessing.active_children()
    process.kill()
    user.waits_for(lambda: bool(user.refusal()))
    assert user.refusal().startswith("The map broke off, as its process was ended")
    assert user.error_boxes() == []
    # The sentence comes a moment before the run has ended.
    user.waits_for(lambda: user.work.stage is Stage.STOPPED)
    user.waits_for(lambda: user.button("Go on with the map").isEnabled())
    user.clicks("Go on with the map")
    user.waits_for(lambda: user.work.stage is Stage.FINISHED)


@pytest.mark.parametrize("stride", [64, 16])
def test_a_preview_has_the_labels_of_the_map_and_writes_nothing(
    user: SceneUser, spain: Path, stride: int
):
    user.sees(spain)
    user.chooses_in(QComboBox, f"every {stride} pixels")
    view = user.window.scene_page.view
    view.show_actual_size()
    view.scale(3, 3)
    view.centerOn(260, 300)
    user.previews()
    preview = user.labels()
    is_there = preview != NODATA
    assert is_there.any()
    assert not is_there.all()
    assert list(spain.parent.iterdir()) == [spain]
    user.maps()
    np.testing.assert_array_equal(preview[is_there], user.labels()[is_there])


def test_a_preview_counts_the_land_that_the_map_counts_and_nothing_of_an_empty_rim(
    user: SceneUser, tmp_path: Path
):
    pixels = texture(300, 330, seed=7)
    island = pixels[200:210, 3:9].copy()
    pixels[:, :40] = pixels[:9] = 0
    pixels[200:210, 3:9] = island
    user.sees(write_rgb(tmp_path / "scene.tif", pixels))
    user.chooses_in(QComboBox, "every 16 pixels")
    user.previews()
    labels, legend = user.labels(), user.legend()
    assert (labels[:12, :2] == NODATA).all(), "these cells have no data"
    assert labels[12, 0] == user.cells().classes[-1].id, "too small an island to be sure of"
    user.maps()
    np.testing.assert_array_equal(labels, user.labels())
    assert legend == {title: row for title, row in user.legend().items() if title != "No data"}


def test_a_preview_of_a_large_scene_is_its_middle(user: SceneUser, tmp_path: Path):
    path = write_rgb(tmp_path / "scene.tif", texture(1400, 1000, seed=5))
    user.sees(path)
    user.chooses_in(QComboBox, "every 16 pixels")
    user.previews()
    rows, columns = np.nonzero(user.labels() != NODATA)
    # Of 88 x 63 cells.
    assert (rows.min(), rows.max() + 1) == (28, 60)
    assert (columns.min(), columns.max() + 1) == (15, 47)


def test_a_preview_counts_no_land_beyond_the_rim_and_says_where_the_scale_is_a_guess(
    user: SceneUser, tmp_path: Path, dialogs: Dialogs
):
    path = tmp_path / "scene.png"
    Image.fromarray(texture(150, 200)).save(path)
    dialogs.paths = [path]
    user.chooses("Open scene")
    user.waits_until_seen(path)
    assert (Settings().folder, Settings().recent) == (str(tmp_path), [path])
    panel = user.window.scene_page.panel
    (bar,) = panel.findChildren(QProgressBar)
    user.clicks("Preview")
    assert (bar.isVisible(), bar.maximum()) == (True, 0), "nobody knows when it ends"
    user.waits_for(lambda: user.work.so_far is not None)
    assert (user.labels() != NODATA).all()
    hectares = sum(float(row[0] or 0) for row in user.legend().values())
    assert hectares == pytest.approx(150 * 200 / 100, abs=0.5)  # Each row is rounded.
    heading = panel.legend.horizontalHeaderItem(1)
    assert heading is not None
    assert heading.text() == "Area, ha, if 10 m"


def test_without_a_threshold_every_place_gets_a_class(user: SceneUser, spain: Path):
    user.sees(spain)
    (unsure,) = user.window.scene_page.panel.findChildren(QSpinBox)
    unsure.setValue(0)
    user.maps()
    assert user.legend()["Unsure"][0] == ""
    unsure.setValue(100)
    user.waits_for(lambda: user.window.scenes.can_map)
    user.maps()
    shown = {title for title, row in user.legend().items() if row[0]}
    assert shown == {"Unsure", "No data"}


def test_the_threshold_of_the_model_is_told(user: SceneUser, spain: Path):
    user.sees(spain)
    (field,) = user.window.scene_page.panel.findChildren(QSpinBox)
    for model in ("cnn-int8", "mobilenet-int8"):
        user.answers_with(shipped_model_path(model))
        metadata = Classifier.shipped(model).metadata
        assert metadata is not None and metadata.unsure_below is not None
        assert field.text() == f"as the model asks ({100 * metadata.unsure_below:.1f} %)"


def test_another_model_stops_the_map_in_one_sentence(user: SceneUser, spain: Path):
    user.sees(spain)
    user.starts_a_long_map()
    user.waits_for(lambda: user.work.seconds_expected is not None)
    expected = user.work.seconds_expected
    legend = user.window.scene_page.panel.legend
    first = legend.item(0, 0)
    assert first is not None
    first.setCheckState(Qt.CheckState.Unchecked)
    user.window.session.load_model(shipped_model_path("cnn-int8"))
    user.waits_for(lambda: user.work.stage is Stage.READY)
    assert user.message() == "The map was stopped, as another model answers now."
    assert user.work.so_far is None
    assert user.window.scene_page.view.overlay.isNull()
    # The time of the other model was another one.
    user.waits_for(lambda: user.work.seconds_expected not in (None, expected))
    user.chooses_in(QComboBox, "every 64 pixels")
    user.waits_for(lambda: user.window.scenes.can_map)
    folder = user.maps()
    first = legend.item(0, 0)
    assert first is not None
    assert first.checkState() is Qt.CheckState.Checked, "its classes are others"
    assert "cnn-int8" in (folder / "report.html").read_text(encoding="utf-8")
    assert user.error_boxes() == []


# Looking at the map


def test_pointing_at_the_map_tells_class_confidence_and_place(user: SceneUser, spain: Path):
    user.sees(spain)
    assert "%" not in user.points_at(200, 300)
    folder = user.maps()
    with (
        rasterio.open(folder / "classes.tif") as file,
        rasterio.open(folder / "confidence.tif") as percent,
    ):
        label, confidence = file.read(1)[300, 200], percent.read(1)[300, 200]
        title = [entry.title for entry in user.cells().classes][label]
    told = user.points_at(200.5, 300.5)
    assert told.startswith(f"{title} {confidence}%")
    assert "column 200, row 300" in told
    with rasterio.open(spain) as file:
        place = user.window.scene_page.view.mapToScene(
            user.window.scene_page.view.mapFromScene(QPointF(200.5, 300.5))
        )
        x, y = file.transform @ (place.x(), place.y())
        (longitude,), (latitude,) = rasterio.warp.transform(file.crs, "EPSG:4326", [x], [y])
    assert f"EPSG:32630 {x:.0f}, {y:.0f}" in told
    parts = told.split("   ·   ")[1]
    assert "° N, " in parts
    assert parts.endswith("° W")
    north, west = (float(text.split("°")[0]) for text in parts.split(","))
    assert north == pytest.approx(latitude, abs=2e-5)
    assert west == pytest.approx(-longitude, abs=2e-5)


def test_what_is_said_of_a_place_does_not_widen_the_window(user: SceneUser, spain: Path):
    user.sees(spain)
    user.maps()
    user.window.resize(user.window.minimumSizeHint())
    QApplication.processEvents()
    width = user.window.width()
    assert "column" in user.points_at(200, 300)
    for _ in range(10):  # One widget after the other is laid out anew.
        QApplication.processEvents()
    assert user.window.width() == width


def test_the_map_ends_where_the_data_does(user: SceneUser, spain: Path):
    user.sees(spain)
    user.maps()
    user.window.scene_page.panel.opacity.setValue(100)
    with open_scene(spain) as scene:
        _, has_data = scene.read_rows(0, scene.ground.height)
    stride = user.cells().grid.stride
    labels = user.labels().repeat(stride, 0).repeat(stride, 1)[:521, :416]
    empty = ~has_data
    far_from_data = empty[2:, 2:] & empty[:-2, 2:] & empty[2:, :-2] & empty[:-2, :-2]
    row, column = np.argwhere(far_from_data & (labels[1:-1, 1:-1] != NODATA))[0] + 1
    view = user.window.scene_page.view
    ground = view.palette().color(view.viewport().backgroundRole())
    assert user.colour_at(column + 0.5, row + 0.5) == ground
    row, column = np.argwhere(has_data)[len(np.argwhere(has_data)) // 2]
    entry = user.cells().classes[labels[row, column]]
    assert user.colour_at(column + 0.5, row + 0.5) == QColor(entry.colour)


def test_keys_tell_what_is_in_the_middle(user: SceneUser, spain: Path):
    user.sees(spain)
    view = user.window.scene_page.view
    user.chooses("Actual size")
    user.chooses("Zoom in")
    view.setFocus()
    told: set[str] = set()
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down):
        user.presses(key)
        told.add(user.window.scene_page.read_out)
    assert all("column" in words for words in told)
    middle = view.seen.center()
    assert f"column {int(middle.x()):,}, row {int(middle.y()):,}" in user.window.scene_page.read_out


def test_a_class_can_be_hidden_and_the_map_be_faded(user: SceneUser, spain: Path):
    user.sees(spain)
    user.maps()
    panel, view = user.window.scene_page.panel, user.window.scene_page.view
    panel.opacity.setValue(100)
    labels = user.labels()
    row, column = np.argwhere(labels == np.bincount(labels[labels != NODATA]).argmax())[0]
    number, place = int(labels[row, column]), (64 * column + 32, 64 * row + 32)
    colour = QColor(user.cells().classes[number].colour)
    assert user.colour_at(*place) == colour
    item = panel.legend.item(number, 0)
    assert item is not None
    item.setCheckState(Qt.CheckState.Unchecked)
    assert view.overlay.pixelColor(column, row).alpha() == 0
    scene_colour = user.colour_at(*place)
    assert scene_colour != colour
    other = np.argwhere((labels != number) & (labels != NODATA))[0]
    assert view.overlay.pixelColor(int(other[1]), int(other[0])).alpha() == 255
    item.setCheckState(Qt.CheckState.Checked)
    assert user.colour_at(*place) == colour
    panel.opacity.setValue(0)
    assert user.colour_at(*place) == scene_colour
    assert Settings().map_opacity == 0


def test_report_and_folder_are_opened(
    user: SceneUser, spain: Path, monkeypatch: pytest.MonkeyPatch
):
    opened: list[Path] = []

    def open_url(url: QUrl) -> bool:
        opened.append(Path(url.toLocalFile()))
        return True

    monkeypatch.setattr(QDesktopServices, "openUrl", open_url)
    user.sees(spain)
    assert not user.button("Open report").isVisible()
    folder = user.maps()
    user.clicks("Open report")
    user.clicks("Open folder")
    assert opened == [folder / "report.html", folder]
    (folder / "report.html").unlink()
    user.clicks("Open report")
    assert_one_sentence(user.refusal())
    assert "report.html" in user.refusal()


def test_maps_go_where_the_user_says(
    user: SceneUser, spain: Path, tmp_path: Path, dialogs: Dialogs
):
    user.sees(spain)
    dialogs.paths = [tmp_path / "elsewhere"]
    user.clicks("Change…")
    assert user.maps() == tmp_path / "elsewhere" / spain.stem
    assert not (spain.parent / "maps").exists()


def test_a_stopped_map_is_gone_on_with_after_another_threshold_and_from_its_own_folder(
    user: SceneUser, spain: Path, tmp_path: Path, dialogs: Dialogs
):
    user.sees(spain)
    dialogs.paths = [tmp_path / "elsewhere"]
    user.clicks("Change…")
    user.starts_a_long_map()
    user.presses(Qt.Key.Key_Escape)
    user.waits_for(lambda: user.button("Go on with the map").isEnabled())
    done = user.work.windows_done
    (threshold,) = user.window.scene_page.panel.findChildren(QSpinBox)
    threshold.setValue(30)
    assert user.work.settings.unsure_below == 0.3
    assert user.button("Go on with the map").isEnabled()
    assert f"Stopped after {done:,}" in user.panel()

    user.chooses("Close scene")
    user.sees(spain)
    assert user.work.settings.stride == 16
    dialogs.paths = [tmp_path / "elsewhere"]
    user.clicks("Change…")
    assert user.work.settings.stride == 8
    user.waits_for(lambda: user.window.scenes.can_map)
    user.clicks("Go on with the map")
    user.waits_for(lambda: user.work.windows_done > 0)
    assert user.work.windows_done >= done


def test_a_scene_that_was_replaced_since_it_was_opened_is_not_mapped(user: SceneUser, spain: Path):
    user.sees(spain)
    write_rgb(spain, texture(100, 200, seed=9))
    user.clicks("Map the scene")
    user.waits_for(lambda: bool(user.refusal()) and user.work.stage is Stage.READY)
    assert user.refusal().endswith("has changed since it was opened: open it again.")
    assert not (spain.parent / "maps").exists()


def test_a_product_of_which_a_band_was_replaced_is_not_mapped(user: SceneUser, tmp_path: Path):
    product, _ = write_product(tmp_path)
    user.sees(product)
    band = band_of(product, 2)
    band.write_bytes(band.read_bytes() + b"\0")
    user.clicks("Map the scene")
    user.waits_for(lambda: bool(user.refusal()))
    assert f"{product} has changed since it was opened" in user.refusal()


def test_a_model_that_was_replaced_since_it_was_chosen_maps_nothing(
    user: SceneUser, spain: Path, tmp_path: Path
):
    model = tmp_path / "model.tflite"
    model.write_bytes(shipped_model_path("cnn-int8").read_bytes())
    user.sees(spain)
    user.answers_with(model)
    model.write_bytes(shipped_model_path("mobilenet-int8").read_bytes())
    user.clicks("Map the scene")
    user.waits_for(lambda: bool(user.refusal()) and user.work.stage is Stage.READY)
    assert user.refusal().endswith("has changed since it was chosen: choose it again.")
    assert not (spain.parent / "maps").exists()


def test_the_read_out_follows_a_scene_that_moves_under_the_mouse(user: SceneUser, spain: Path):
    user.sees(spain)
    before = user.points_at(300, 200)
    user.chooses("Zoom in")
    user.window.scene_page.view.setFocus()
    zoomed = user.window.scene_page.read_out
    user.presses(Qt.Key.Key_Right)
    moved = user.window.scene_page.read_out
    user.chooses("Fit")
    assert len({before, zoomed, moved}) >= 2
    assert user.window.scene_page.read_out == before
    view = user.window.scene_page.view
    QApplication.sendEvent(view, QEvent(QEvent.Type.Leave))
    assert user.window.scene_page.read_out == "Point at the scene to see what lies there."
    user.presses(Qt.Key.Key_Right)
    middle = view.seen.center()
    assert f"column {int(middle.x())}, row {int(middle.y())}" in user.window.scene_page.read_out


def test_what_is_open_already_is_shown_and_hidden_rows_are_left_alone(
    user: SceneUser, spain: Path, few_tiles: Path
):
    user.opens(few_tiles)
    user.window.table.selectAll()
    user.sees(spain)
    user.chooses("Close selected")
    assert len(user.rows()) == 24
    user.window.open_paths([few_tiles / "Forest"])
    user.waits_for(user.window.table.isVisible)
    assert user.window.table.selected_items() == user.window.session.workspace.items[:1]
    user.chooses("Close selected")
    assert len(user.rows()) == 23


# What can go wrong


def test_a_damaged_scene_is_refused_in_one_sentence_and_the_next_one_opens(
    user: SceneUser, spain: Path, tmp_path: Path
):
    damaged = tmp_path / "damaged.tif"
    damaged.write_bytes(spain.read_bytes()[:30_000])
    user.window.open_paths([damaged])
    user.waits_for(lambda: bool(user.refusal()))
    assert_one_sentence(user.refusal())
    assert "damaged.tif" in user.refusal()
    assert not user.button("Map the scene").isEnabled()
    user.sees(spain)
    assert user.refusal() == ""
    assert user.error_boxes() == []


def test_a_mistake_of_ours_leaves_the_scene_as_it_was(
    user: SceneUser, spain: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake")

    user.sees(spain)
    monkeypatch.setattr(scene_reader, "_previewed", fail)
    user.clicks("Preview")
    user.waits_for(lambda: bool(user.error_boxes()))
    assert user.work.stage is Stage.READY
    assert user.button("Map the scene").isEnabled()


@pytest.mark.parametrize("is_missing", [True, False], ids=["missing", "full"])
def test_a_preview_without_room_for_temporary_files_is_told_in_one_sentence(
    user: SceneUser,
    spain: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_missing: bool,
):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    user.sees(spain)
    if is_missing:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    else:
        monkeypatch.setattr(scene_reader, "preview_map", fail)
    user.clicks("Preview")
    user.waits_for(lambda: bool(user.refusal() or user.error_boxes()))
    assert "temporary files" in user.refusal()
    assert_one_sentence(user.refusal())
    assert user.work.stage is Stage.READY
    assert user.error_boxes() == []


def test_a_threshold_that_was_typed_counts_before_its_field_is_left(user: SceneUser, spain: Path):
    user.sees(spain)
    (field,) = user.window.scene_page.panel.findChildren(QSpinBox)
    field.lineEdit().setText("35 %")
    user.action("Map the scene").trigger()
    assert user.work.settings.unsure_below == 0.35
    user.waits_for(lambda: user.work.stage is Stage.FINISHED)


def test_a_scene_that_vanishes_is_told_in_one_sentence(user: SceneUser, spain: Path):
    user.sees(spain)
    spain.unlink()
    user.clicks("Map the scene")
    user.waits_for(lambda: bool(user.refusal()) and user.work.stage is Stage.READY)
    assert_one_sentence(user.refusal())
    assert SPAIN in user.refusal()
    assert user.error_boxes() == []


def test_a_scene_that_is_cut_short_while_it_is_seen_is_told(
    user: SceneUser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scene_module, "_CACHE_BYTES", 1 << 20)  # It would hold the whole file.
    path = write_rgb(tmp_path / "large.tif", texture(2600, 3100, seed=4), tiled=True)
    user.sees(path)
    with path.open("r+b") as file:
        file.truncate(100_000)
    user.window.scene_page.view.show_actual_size()
    user.waits_for(lambda: bool(user.refusal()))
    assert_one_sentence(user.refusal())
    assert "large.tif is damaged or cut short" in user.refusal()
    assert user.error_boxes() == []


def test_a_place_that_cannot_be_written_to_is_told(
    user: SceneUser, spain: Path, tmp_path: Path, dialogs: Dialogs
):
    user.sees(spain)
    (tmp_path / "a file").write_text("in the way")
    dialogs.paths = [tmp_path / "a file"]
    user.clicks("Change…")
    user.clicks("Map the scene")
    user.waits_for(lambda: bool(user.refusal()))
    assert_one_sentence(user.refusal())
    assert "choose another folder" in user.refusal()


def test_of_several_scenes_one_is_opened_and_it_is_said_which(
    user: SceneUser, spain: Path, tmp_path: Path
):
    second = write_rgb(tmp_path / "second.tif", texture(200, 200), transform=grid_at())
    user.window.open_paths([second, spain])
    user.waits_until_seen(second)
    assert "second.tif was opened" in user.refusal()
    user.previews()
    assert user.refusal() == ""
