"""The window: where everything stands, and which signal goes where."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QLabel,
    QMainWindow,
    QMessageBox,
    QVBoxLayout,
    QWidget,
)

from eurosat.existence import is_folder
from eurosat.model_file import DEFAULT_MODEL, shipped_model_path

from .actions import Actions, Need
from .empty_page import EmptyPage
from .error_window import show_error
from .export_menu import ExportMenu
from .help_windows import AboutWindow, ShortcutWindow
from .icon import app_icon
from .images_page import ImagesPage
from .menus import ThemeMenu, fill_menu_bar
from .model_card import ModelCard
from .model_menu import ModelMenu
from .notice import Notice
from .opening import Opening
from .pages import Pages
from .scene_page import ScenePage
from .scene_session import SceneSession
from .session import Session
from .settings import Settings
from .small_screen import mark_openers
from .status_bar import StatusBar
from .tab_order import walk_as_laid_out
from .theme import apply_theme
from .tool_bar import ToolBar
from .workspace import Item
from .zoom_view import ZoomView

_TITLE: Final = "EuroSAT Edge"
_WIDTH: Final = 1280
_HEIGHT: Final = 800


class MainWindow(QMainWindow):
    """The app.

    Attributes:
        session: What is open, and what works on it.
        scenes: The scene that is open, and what works on it.
        images_page: What is seen of images.
        table: The table of results, on that page; so are the next four.
        image: The image that is looked at.
        answer: What the model says of it.
        summary: How many images have each class.
        filter_bar: Which rows are shown.
        scene_page: What is seen of the scene.
        export_menu: What can be written.
        model_menu: Which model answers.
        explain: The action that shows the heat map, or not.
        show_scene: The action that shows the scene, or the images.
        card_action: The action that shows the card of the model.
        shortcuts_action: The action that shows the keys.
        about_action: The action that shows versions and licences.
    """

    def __init__(self, settings: Settings) -> None:
        """Build the window and begin to load the model."""
        super().__init__()
        self.setWindowTitle(_TITLE)
        self.setWindowIcon(app_icon())
        self.setAcceptDrops(True)
        self._settings = settings
        self.session = Session(self.devicePixelRatioF())
        self.scenes = SceneSession(self.session)
        self._chosen_model: Path | None = None
        self._had_model = False
        # Whether what is opened has not come yet: with it, the page of images is shown.
        self._is_opening = False

        self._make_pages()
        self._make_actions()
        self._connect_parts()
        self._connect_actions()
        walk_as_laid_out(self._tools, self.centralWidget(), self._status)
        self._restore_layout()
        self._show_page()
        shipped = shipped_model_path(DEFAULT_MODEL)
        self.session.load_model(
            Path(settings.model) if settings.model else shipped, otherwise=shipped
        )

    # Where everything stands.

    def _make_pages(self) -> None:
        self._notice = Notice(self)
        self._empty = EmptyPage(self)
        self.images_page = ImagesPage(self.session, self._settings, self)
        self.table = self.images_page.table
        self.image = self.images_page.image
        self.answer = self.images_page.answer
        self.summary = self.images_page.summary
        self.filter_bar = self.images_page.filter_bar
        self.scene_page = ScenePage(self.scenes, self._settings, self)
        self._pages = Pages(self)
        for page in (self._empty, self.images_page, self.scene_page):
            self._pages.add(page)
        central = QWidget(self)
        column = QVBoxLayout(central)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._notice)
        column.addWidget(self._pages, 1)
        self.setCentralWidget(central)
        self._status = StatusBar(self.session, self)
        self.setStatusBar(self._status)

    def _make_actions(self) -> None:
        page, settings = self.images_page, self._settings
        self._opening = Opening(settings, partial(self.session.start, cancellable=True), self)
        self.model_menu = ModelMenu(self)
        self.export_menu = ExportMenu(
            self.session, settings, page.shown_items, lambda: page.picture, self
        )
        self._themes = ThemeMenu(settings.theme, self)
        self._actions = Actions(self, self.export_menu.copy_picture)
        self.table.addAction(self._actions.close_selected)
        self.explain = self._actions.explain
        self.show_scene = self._actions.show_scene
        self.card_action = self._actions.show_card
        self.shortcuts_action = self._actions.show_shortcuts
        self.about_action = self._actions.show_about
        fill_menu_bar(
            self.menuBar(),
            self._actions,
            recent=self._opening.recent,
            export=self.export_menu,
            theme=self._themes,
            model=self.model_menu,
        )
        self._tools = ToolBar(
            self._actions, self.model_menu, self.export_menu, settings.heat_opacity, self
        )
        self.addToolBar(self._tools)
        mark_openers(self)

    # Which signal goes where.

    def _connect_parts(self) -> None:
        session, scenes, page = self.session, self.scenes, self.images_page
        session.added.connect(self._on_added)
        # The page of images heard of these two before.
        session.removed.connect(self._show_page)
        session.model_changed.connect(self._on_model_changed)
        session.progressed.connect(self._show_progress)
        session.refused.connect(self._notice.tell)
        session.failed.connect(self.show_error)
        session.scenes_found.connect(self._on_scenes_found)
        session.scenes_left_out.connect(self._on_scenes_left_out)
        page.looked.connect(self._update_enabled)
        page.filtered.connect(self._show_progress)
        page.explaining.connect(self._status.tell_of_explaining)
        page.told.connect(self._status.tell_of_image)
        scenes.begun.connect(self._forget_sentences)
        scenes.changed.connect(self._show_page)
        scenes.refused.connect(self._notice.tell)
        scenes.told.connect(self._status.tell)
        scenes.failed.connect(self.show_error)
        self.scene_page.refused.connect(self._notice.tell)
        # What was told may be about the settings before.
        self.scene_page.panel.settings_chosen.connect(self._notice.clear)
        self._opening.paths_chosen.connect(self.open_paths)
        self._opening.scene_chosen.connect(self._open_scene)
        self._opening.pixels_chosen.connect(self._open_pixels)
        self._opening.nothing_found.connect(self._tell_that_nothing_was_found)
        self._empty.images_wanted.connect(self._opening.ask_for_images)
        self._empty.folder_wanted.connect(self._opening.ask_for_folder)
        self._empty.scene_wanted.connect(self._opening.ask_for_scene)
        self.model_menu.chosen.connect(self._choose_model)
        self.model_menu.card_wanted.connect(self._show_card)
        self.export_menu.begun.connect(self._forget_sentences)
        self.export_menu.done.connect(self._status.tell)
        self.export_menu.refused.connect(self._notice.tell)
        self._themes.chosen.connect(self._choose_theme)
        self._tools.heat_opacity_changed.connect(page.set_heat_opacity)

    def _connect_actions(self) -> None:
        actions = self._actions
        actions.explain.toggled.connect(self.images_page.explain)
        for action, work in (
            (actions.open_images, self._opening.ask_for_images),
            (actions.open_folder, self._opening.ask_for_folder),
            (actions.open_scene, self._opening.ask_for_scene),
            (actions.map, self.scene_page.map),
            (actions.preview, self.scene_page.preview),
            (actions.show_scene, self._switch_page),
            (actions.close_scene, self.scenes.close_scene),
            (actions.show_card, self._show_card),
            (actions.close_all, self.session.clear),
            (actions.close_selected, self._close_selected),
            (actions.quit, self.close),
            (actions.copy_rows, self._copy_rows),
            (actions.select_all, self.table.selectAll),
            (actions.find, self.filter_bar.text.setFocus),
            (actions.show_everything, self.filter_bar.clear),
            (actions.paste, self._paste),
            (actions.stop, self._stop),
            (actions.zoom_in, partial(self._zoom, ZoomView.zoom_in)),
            (actions.zoom_out, partial(self._zoom, ZoomView.zoom_out)),
            (actions.fit, partial(self._zoom, ZoomView.fit)),
            (actions.show_actual_size, partial(self._zoom, ZoomView.show_actual_size)),
            (actions.show_shortcuts, self._show_shortcuts),
            (actions.show_about, self._show_about),
        ):
            action.triggered.connect(work)

    # What is opened, and with which model.

    def open_paths(self, paths: list[Path]) -> None:
        """Open files and folders, as a user names them."""
        if paths:
            self._forget_sentences()
            self._settings.add_recent(paths)
            self._is_opening = True
            self.session.open_paths(paths)

    def _open_pixels(self, pixels: np.ndarray) -> None:
        self._forget_sentences()
        self._is_opening = True
        self.session.open_pixels(self.tr("Pasted image"), pixels)

    def _open_scene(self, path: Path) -> None:
        """Open a file as a scene, whatever it looks like."""
        self._settings.add_recent([path], are_scenes=True)
        self._on_scenes_found([path])

    def _on_scenes_found(self, paths: list[Path]) -> None:
        self._is_opening = False  # Images that were opened with it stay behind it.
        self.show_scene.setChecked(True)
        self._forget_sentences()
        self.scenes.open(paths[0])
        if len(paths) > 1:
            self._notice.tell(
                self.tr("One scene is open at a time; {path} was opened.").format(path=paths[0])
            )

    def _on_scenes_left_out(self, paths: list[Path]) -> None:
        # There, Open scene begins; in the folder of a product it shows the metadata.
        self._settings.folder = str(paths[0] if is_folder(paths[0]) else paths[0].parent)
        text = self.tr("{path} is a scene and was left out: choose Open scene to map it.")
        if len(paths) > 1:
            text = self.tr(
                "{count:,} scenes were left out, {path} among them: choose Open scene to map one."
            )
        self._notice.tell(text.format(count=len(paths), path=paths[0]))

    def _on_added(self, items: list[Item], first: Item) -> None:
        was_opening = self._is_opening
        if was_opening:
            self.show_scene.setChecked(False)
            self._is_opening = False
        self.images_page.add(items)
        self._show_page()
        if was_opening or self.table.current_item() is None:
            self.table.go_to(first)
            if not self._shows_scene:
                self.table.setFocus()

    def _choose_model(self, path: Path) -> None:
        self._forget_sentences()
        self._chosen_model = path
        classifier = self.session.classifier
        if classifier is not None and path == classifier.model_file.path:
            self._remember_model(path)  # It may stand in for one that could not be used.
        self.session.load_model(path)

    def _remember_model(self, path: Path) -> None:
        is_default = path == shipped_model_path(DEFAULT_MODEL)
        self._settings.model = "" if is_default else str(path)

    def _on_model_changed(self) -> None:
        classifier = self.session.classifier
        assert classifier is not None
        path = classifier.model_file.path
        self._tools.show_model(self.session.model_title)
        self.model_menu.set_in_use(classifier)
        if path == self._chosen_model:
            self._remember_model(path)
        if self._had_model:  # What was told before the first one is not about a model.
            self._notice.clear()
        self._had_model = True

    # What is shown of it.

    @property
    def _shows_scene(self) -> bool:
        return self._pages.page is self.scene_page

    def _show_page(self) -> None:
        has_items, has_scene = bool(self.session.workspace.items), self.scenes.work is not None
        self.show_scene.setVisible(has_items and has_scene)
        shows_scene = has_scene and (self.show_scene.isChecked() or not has_items)
        page = self.images_page if has_items else self._empty
        self._pages.show_page(self.scene_page if shows_scene else page)
        self._show_progress()

    def _switch_page(self) -> None:
        self._show_page()
        (self.scene_page.view if self._shows_scene else self.table).setFocus()

    def _show_progress(self) -> None:
        self._status.show_progress(
            self.images_page.row_count, self.scenes.work, is_scene_seen=self._shows_scene
        )
        self.images_page.show_progress()
        self._update_enabled()

    def _update_enabled(self) -> None:
        """Offer only what can be done with what is seen."""
        page, work = self.images_page, self.scenes.work
        sees_images = self._pages.page is page
        sees_rows = sees_images and page.row_count > 0
        if self._shows_scene:
            has_picture = work is not None and work.facts is not None
        else:
            has_picture = sees_images and page.picture is not None
        # What has not been found yet can be closed as well.
        is_opening = self.session.is_busy and not self._shows_scene
        has_selection = self.table.selectionModel().hasSelection()
        self._actions.offer(
            {
                Need.CLOSABLE: sees_images or is_opening,
                Need.IMAGES: sees_images,
                Need.ROWS: sees_rows,
                Need.SELECTION: sees_rows and has_selection,
                Need.READABLE: sees_rows and page.can_explain,
                Need.PICTURE: has_picture,
                Need.SCENE: self._shows_scene,
                Need.MAPPABLE: self.scenes.can_order,
            }
        )
        self.export_menu.update_enabled(are_rows_seen=sees_rows)

    def show_error(self, error: BaseException) -> None:
        """Show a mistake of ours, unless one is shown already; the app lives on."""
        if not any(box.isVisible() for box in self.findChildren(QMessageBox)):
            show_error(error, self)

    def _forget_sentences(self) -> None:
        """Something is ordered: what was told of the order before is of no use any more."""
        self._notice.clear()
        self._status.clearMessage()

    # What the actions do.

    def _zoom(self, how: Callable[[ZoomView], None]) -> None:
        how(self.scene_page.view if self._shows_scene else self.image)

    def _paste(self) -> None:
        data = QGuiApplication.clipboard().mimeData()
        if not data or not self._opening.take(data):  # An empty clipboard may have none.
            self._tell_that_nothing_was_found()

    def _tell_that_nothing_was_found(self) -> None:
        self._status.tell(self.tr("There is no image and no file name on the clipboard."))

    def _close_selected(self) -> None:
        self.session.remove(self.table.selected_items())

    def _copy_rows(self) -> None:
        """Copy what is selected: text of a label, where one has the focus, or rows."""
        focus = self.focusWidget()
        if isinstance(focus, QLabel) and focus.hasSelectedText():
            QGuiApplication.clipboard().setText(focus.selectedText())
        else:
            QGuiApplication.clipboard().setText(self.table.selected_text())

    def _stop(self) -> None:
        """Stop the work; or, where somebody is searching by name, only that."""
        search = self.filter_bar.text
        if self._shows_scene:
            self.scenes.stop()
        elif search.hasFocus() and search.text():
            search.clear()
        else:
            self.session.cancel()

    def _choose_theme(self, theme: str) -> None:
        self._settings.theme = theme
        apply_theme(theme)

    def _show_card(self) -> None:
        if self.session.classifier is not None:
            ModelCard(self.session.classifier, self).open()

    def _show_shortcuts(self) -> None:
        ShortcutWindow(self.actions(), self).open()

    def _show_about(self) -> None:
        AboutWindow(self).open()

    # What Qt calls.

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files, and images from other programs, as copies. Called by Qt."""
        data = event.mimeData()
        may_copy = Qt.DropAction.CopyAction in event.possibleActions()
        if may_copy and (data.hasUrls() or data.hasImage()):
            _accept_copy(event)

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped. Called by Qt."""
        if self._opening.take(event.mimeData()):
            _accept_copy(event)
        else:
            self._notice.tell(self.tr("Only files and folders of this computer can be opened."))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the layout and end all threads. Called by Qt."""
        self._settings.set_layout("window", self.saveGeometry())
        self.images_page.remember_layout()
        self.scene_page.remember_layout()
        for dialog in self.findChildren(QDialog):
            dialog.close()
        self.hide()  # Ending the threads may take a moment.
        self.scenes.stop()
        self.session.close()
        self.scenes.close()
        super().closeEvent(event)

    def _restore_layout(self) -> None:
        usual, screen = QSize(_WIDTH, _HEIGHT), self.screen().availableSize()
        self.resize(usual.boundedTo(screen))
        if self.size() != usual:  # Nor is there room for a frame around it.
            self.setWindowState(Qt.WindowState.WindowMaximized)
        self.restoreGeometry(self._settings.layout("window"))
        self.images_page.restore_layout(self.width())
        self.scene_page.restore_layout(self.width())


def _accept_copy(event: QDropEvent) -> None:
    """Take what is dragged, and never as moved: its program might delete its own."""
    event.setDropAction(Qt.DropAction.CopyAction)
    event.accept()
