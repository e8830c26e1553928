"""What is said of the image that is looked at: headline, bars, picture and heat map."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt, QThreadPool
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from eurosat.classifier import Classifier, Prediction
from eurosat.explain import heat_colours, occlusion_map
from eurosat.gui import pixels as pixels_module
from eurosat.gui import session as session_module
from eurosat.gui.qt_images import to_qimage_with_alpha
from eurosat.gui.settings import Settings
from eurosat.gui.workspace import Item
from eurosat.images import read_image
from eurosat.labels import land_cover
from eurosat.model_file import shipped_model_path

from .conftest import PATIENCE_MS, User, assert_one_sentence, files_in


def test_headline_and_bars_are_those_of_the_classifier(
    user: User, few_tiles: Path, mobilenet: Classifier
):
    for item in user.opens(few_tiles)[::3]:
        user.window.table.go_to(item)
        assert isinstance(item.source, Path)
        expected = mobilenet.classify(item.source)
        cover = land_cover(expected.label)
        if not expected.is_unsure:
            assert user.window.answer.headline == cover.title
            assert user.window.answer.description == cover.description
        ranked = expected.top(10)
        assert user.window.answer.bars.verticalHeader().count() == 10
        assert user.bars() == [(land_cover(name).title, f"{share:.1%}") for name, share in ranked]
        for bar, (name, share) in zip(user.window.answer.bars.bars, ranked, strict=True):
            assert bar.share == share
            assert bar.cover.colour == land_cover(name).colour


def test_bars_can_stand_in_the_order_of_the_model_which_is_remembered(
    user: User, few_tiles: Path, mobilenet: Classifier
):
    user.opens(files_in(few_tiles)[-1])
    ranked = user.bars()
    user.window.answer.fixed_order.click()
    in_order = user.bars()
    assert [title for title, _ in in_order] == [
        land_cover(name).title for name in mobilenet.class_names
    ]
    assert sorted(in_order) == sorted(ranked)
    assert Settings().fixed_order
    user.window.answer.fixed_order.click()
    assert user.bars() == ranked


def test_a_small_picture_is_shown_large_with_its_own_pixels(user: User, few_tiles: Path):
    path = files_in(few_tiles)[0]
    (item,) = user.opens(path)
    user.waits_for_picture(item)
    assert user.window.image.zoom > 2
    seen = user.window.image.viewport().grab().toImage()
    centre = seen.pixelColor(seen.rect().center())
    pixels = read_image(path)[30:34, 30:34].reshape(-1, 3)
    assert [centre.red(), centre.green(), centre.blue()] in pixels.tolist()
    before = user.window.image.zoom
    user.window.resize(1600, 900)
    user.waits_for(lambda: user.window.image.zoom > before)


def test_a_tiny_picture_is_not_made_smaller_by_zooming_in(user: User, tmp_path: Path):
    path = tmp_path / "tiny.png"
    Image.fromarray(np.full((3, 3, 3), 90, np.uint8)).save(path)
    (item,) = user.opens(path)
    user.waits_for_picture(item)
    before = user.window.image.zoom
    user.chooses("Zoom in")
    assert user.window.image.zoom >= before


def test_zoom_fit_and_actual_size(user: User, few_tiles: Path):
    view = user.window.image
    (item,) = user.opens(files_in(few_tiles)[0])
    user.waits_for_picture(item)
    whole = view.zoom
    user.chooses("Actual size")
    assert view.zoom == pytest.approx(1)
    user.chooses("Zoom in")
    assert view.zoom == pytest.approx(1.25)
    user.chooses("Zoom out")
    assert view.zoom == pytest.approx(1)
    for _ in range(60):
        user.chooses("Zoom in")
    assert view.zoom == pytest.approx(64)
    user.chooses("Fit")
    assert view.zoom == pytest.approx(whole)
    user.turns_the_wheel(view.viewport(), 1)
    assert view.zoom == pytest.approx(whole * 1.25)
    user.qtbot.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton)
    assert view.zoom == pytest.approx(whole)


def test_the_heat_map_comes_and_goes_with_its_switch(user: User, few_tiles: Path):
    (item,) = user.opens(files_in(few_tiles)[5])
    user.waits_for_picture(item)
    before = user.window.image.viewport().grab().toImage()
    user.chooses("Explain")
    user.waits_for(lambda: user.window.image.has_heat)
    assert user.window.image.viewport().grab().toImage() != before
    user.chooses("Explain")
    assert not user.window.image.has_heat
    assert user.window.image.viewport().grab().toImage() == before


def test_the_heat_map_is_that_of_the_image_and_its_class(
    user: User, few_tiles: Path, mobilenet: Classifier
):
    path = files_in(few_tiles)[5]
    (item,) = user.opens(path)
    user.waits_for_picture(item)
    with user.qtbot.waitSignal(user.window.session.explained, timeout=PATIENCE_MS) as explained:
        user.chooses("Explain")
    assert explained.args is not None
    assert isinstance(item.outcome, Prediction)
    index = mobilenet.class_names.index(item.outcome.label)
    heat = heat_colours(occlusion_map(mobilenet, read_image(path), index))
    assert explained.args[0] is item
    assert explained.args[1] == to_qimage_with_alpha(heat)


def test_the_heat_map_follows_the_image_that_is_looked_at(user: User, few_tiles: Path):
    first, second = user.opens(*files_in(few_tiles)[4:6])
    user.waits_for_picture(first)
    user.chooses("Explain")
    user.waits_for(lambda: user.window.image.has_heat)
    with user.qtbot.waitSignal(user.window.session.explained, timeout=PATIENCE_MS) as explained:
        user.window.table.go_to(second)
    assert explained.args is not None
    assert explained.args[0] is second
    assert user.window.image.has_heat


def test_what_cannot_be_read_cannot_be_explained(user: User, few_tiles: Path, tmp_path: Path):
    (tmp_path / "bad.jpg").write_text("no image")
    bad, good = user.opens(tmp_path / "bad.jpg", files_in(few_tiles)[5])
    explain = user.action("Explain")
    assert user.current() is bad
    assert not explain.isEnabled()
    user.window.table.go_to(good)
    assert explain.isEnabled()
    user.waits_for_picture(good)
    user.chooses("Explain")
    user.waits_for(lambda: user.window.image.has_heat)
    user.window.table.go_to(bad)
    user.waits_for(lambda: not user.window.image.has_heat)
    assert not explain.isEnabled()
    user.window.table.go_to(good)
    user.waits_for(lambda: user.window.image.has_heat)


def test_an_image_whose_file_is_gone_is_told_of_and_cannot_be_explained(
    user: User, few_tiles: Path, tmp_path: Path
):
    paths = [tmp_path / name for name in ("first.jpg", "second.jpg")]
    for path in paths:
        path.write_bytes(files_in(few_tiles)[5].read_bytes())
    first, second = user.opens(*paths)
    user.waits_for_picture(first)
    paths[1].unlink()
    user.window.table.go_to(second)
    user.waits_for(lambda: str(paths[1]) in user.message())
    assert_one_sentence(user.message())
    assert user.window.answer.headline == user.rows()[1][1].removesuffix("?")
    assert not user.action("Explain").isEnabled()
    user.window.table.go_to(first)
    user.waits_for_picture(first)
    assert user.action("Explain").isEnabled()


def test_a_heat_map_never_lies_over_another_image(
    user: User, few_tiles: Path, monkeypatch: pytest.MonkeyPatch
):
    first, second = user.opens(*files_in(few_tiles)[4:6])
    user.waits_for_picture(first)
    # The picture of the second image is a long time coming.
    come = Event()

    def read_late(source: Path) -> np.ndarray:
        come.wait()
        return read_image(source)

    monkeypatch.setattr(pixels_module, "read_image", read_late)
    try:
        user.chooses("Explain")
        with user.qtbot.waitSignal(
            user.window.session.explained,
            timeout=PATIENCE_MS,
            check_params_cb=lambda item, _: item is second,
        ):
            user.window.table.go_to(second)
            user.window.session.explain(second)
        assert not user.window.image.has_heat
    finally:
        come.set()
    user.waits_for_picture(second)
    user.waits_for(lambda: user.window.image.has_heat)


def test_the_heat_map_is_made_anew_when_another_model_answers(user: User, few_tiles: Path):
    (item,) = user.opens(files_in(few_tiles)[5])
    user.waits_for_picture(item)
    heats: list[QImage] = []
    user.window.session.explained.connect(lambda _, heat: heats.append(heat))
    user.chooses("Explain")
    user.waits_for(lambda: user.window.image.has_heat)
    of_the_first = len(heats)
    user.window.session.load_model(shipped_model_path("cnn-int8"))
    user.waits_for(lambda: len(heats) > of_the_first)
    assert heats[-1] != heats[0]


def test_a_heat_map_of_the_old_model_that_comes_late_is_not_shown(
    user: User, few_tiles: Path, monkeypatch: pytest.MonkeyPatch
):
    (item,) = user.opens(files_in(few_tiles)[5])
    user.waits_for_picture(item)
    old = user.window.session.classifier
    come = Event()

    def occlusion_map_of_the_old_one_late(model: Classifier, *arguments: Any) -> np.ndarray:
        if model is old:
            come.wait()
        return occlusion_map(model, *arguments)

    monkeypatch.setattr(session_module, "occlusion_map", occlusion_map_of_the_old_one_late)
    heats: list[QImage] = []
    user.window.session.explained.connect(lambda _, heat: heats.append(heat))
    try:
        user.chooses("Explain")
        user.window.session.load_model(shipped_model_path("cnn-int8"))
        user.waits_for(lambda: len(heats) == 1)
    finally:
        come.set()
    assert QThreadPool.globalInstance().waitForDone(PATIENCE_MS)
    QApplication.processEvents()
    assert len(heats) == 1


def test_a_cancel_does_not_cost_the_heat_map(user: User, few_tiles: Path):
    (item,) = user.opens(files_in(few_tiles)[5])
    user.waits_for_picture(item)
    user.chooses("Explain")
    user.chooses("Stop")
    user.waits_for(lambda: user.window.image.has_heat)


def test_while_an_image_is_explained_that_is_said(
    user: User, few_tiles: Path, monkeypatch: pytest.MonkeyPatch
):
    first, second = user.opens(*files_in(few_tiles)[4:6])
    user.waits_for_picture(first)
    asked: list[Callable[[], bool]] = []
    may_go_on = Event()

    def slow(_: Classifier, pixels: np.ndarray, __: int, cancelled: Callable[[], bool]) -> Any:
        asked.append(cancelled)
        may_go_on.wait(30)
        return np.ones(pixels.shape[:2], np.float32)

    monkeypatch.setattr(session_module, "occlusion_map", slow)
    try:
        user.chooses("Explain")
        assert user.message() == "Finding out which pixels decided…"
        user.waits_for(lambda: len(asked) == 1)
        user.window.table.go_to(second)
        assert asked[0](), "nobody looks at the first one any more"
        user.waits_for(lambda: len(asked) == 2)
        assert not asked[1]()
        assert user.message() == "Finding out which pixels decided…"
        user.chooses("Explain")
        assert asked[1]()
        assert user.message() == ""
        user.chooses("Explain")
    finally:
        may_go_on.set()
    user.waits_for(lambda: user.window.image.has_heat and user.message() == "")


def test_where_no_part_decides_that_is_said(user: User, tmp_path: Path):
    Image.new("RGB", (64, 64), (90, 100, 110)).save(tmp_path / "grey.png")
    (item,) = user.opens(tmp_path / "grey.png")
    user.waits_for_picture(item)
    user.chooses("Explain")
    user.waits_for(lambda: user.message() == "No single part of this image decides.")
    user.waits_for(lambda: not user.window.session.is_explaining)
    assert user.message() == "No single part of this image decides."
    assert not user.window.image.has_heat


def test_what_was_said_of_one_image_does_not_stay_under_another(
    user: User, few_tiles: Path, tmp_path: Path
):
    Image.new("RGB", (64, 64), (90, 100, 110)).save(tmp_path / "grey.png")
    grey, tile = user.opens(tmp_path / "grey.png", files_in(few_tiles)[5])
    user.waits_for_picture(grey)
    user.chooses("Explain")
    user.waits_for(lambda: user.message() == "No single part of this image decides.")
    user.chooses("Explain")
    user.window.table.go_to(tile)
    assert user.message() == ""
    user.waits_for_picture(tile)
    # What is said of something else stays.
    user.chooses("Copy picture")
    user.window.table.go_to(grey)
    assert user.message() == "The picture is on the clipboard."


def test_whoever_walks_on_does_not_wait_for_what_was_passed(
    user: User, few_tiles: Path, monkeypatch: pytest.MonkeyPatch
):
    items = user.opens(few_tiles)
    asked: list[int] = []
    may_go_on = Event()

    def slow(_: Classifier, pixels: np.ndarray, index: int, *__: object) -> np.ndarray:
        asked.append(index)
        may_go_on.wait(30)
        return np.ones(pixels.shape[:2], np.float32)

    monkeypatch.setattr(session_module, "occlusion_map", slow)
    explained: list[Item] = []
    user.window.session.explained.connect(lambda item, _: explained.append(item))
    for item in items:
        user.window.session.explain(item)
    may_go_on.set()
    user.waits_for(lambda: bool(explained))
    assert explained == [items[-1]]
    assert len(asked) <= QThreadPool.globalInstance().maxThreadCount() + 1 < len(items)
