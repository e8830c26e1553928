"""The window: where everything stands, and which signal goes where."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QMimeData, QSize, Qt
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QImage,
    QKeySequence,
)
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QLabel,
    QMainWindow,
    QMenu,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QSlider,
    QSplitter,
    QStackedWidget,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from eurosat.existence import exists
from eurosat.images import IMAGE_SUFFIXES
from eurosat.labels import EUROSAT_CLASSES, land_cover
from eurosat.model_file import DEFAULT_MODEL, shipped_model_path

from .answer_panel import AnswerPanel
from .class_bars import Bar, ClassBars
from .class_texts import title_of
from .empty_page import EmptyPage
from .error_window import show_error
from .export_menu import ExportMenu
from .filter_bar import FilterBar
from .help_windows import AboutWindow, ShortcutWindow
from .icon import app_icon
from .image_view import ImageView
from .model_card import ModelCard
from .model_menu import ModelMenu
from .notice import Notice
from .one_line import OneLine
from .pixels import from_qimage
from .results import ResultsFilter, ResultsModel, ResultsTable
from .scene_page import ScenePage
from .scene_session import SceneSession
from .scene_work import SceneWork, Stage
from .session import Session
from .settings import Settings
from .tab_order import walk_as_laid_out
from .theme import THEMES, apply_theme
from .time_texts import time_left
from .workspace import Filter, Item
from .zoom_view import ZoomView

_TITLE = "EuroSAT Edge"
_WIDTH, _HEIGHT = 1280, 800
_LARGEST_SHARE_OF_TABLE = 0.4
_SHARE_OF_ANSWER = 0.27
_MARGIN = 6
_SHORTEST_BAR = 120
_MOST_LINES_PASTED = 10_000
_SCENE_PATTERNS = "*.tif *.tiff *.jp2 *.png *.jpg *.jpeg"


class MainWindow(QMainWindow):
    """The app.

    Attributes:
        session: What is open, and what works on it.
        scenes: The scene that is open, and what works on it.
        scene_page: What is seen of it.
        table: The table of results.
        image: The image that is looked at.
        answer: What the model says of it.
        summary: How many images have each class.
        filter_bar: Which rows are shown.
        export_menu: What can be written.
        model_menu: Which model answers.
        explain: Whether the heat map is shown.
        card_action: Shows the card of the model.
        shortcuts_action: Shows the keys.
        about_action: Shows versions and licences.
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
        self._picture: tuple[Item, QImage] | None = None
        # The image that is looked at, if its file cannot be read now.
        self._gone: Item | None = None
        # The image whose heat map is shown, or on its way.
        self._explained: Item | None = None
        self._explaining_text = self.tr("Finding out which pixels decided…")
        self._was_busy = False
        self._chosen_model: Path | None = None
        # Whether what is opened has not come yet: with it, the page of images is shown.
        self._is_opening = False

        self._model = ResultsModel(self.session.workspace, self.session.thumbnails, self)
        self._shown = ResultsFilter(self._model, self)
        self._make_views()
        self._make_menus()
        self._connect()
        walk_as_laid_out(self._tools, self.centralWidget(), self.statusBar())

        self._had_model = False
        self._restore_layout()
        self._on_scene_changed()
        shipped = shipped_model_path(DEFAULT_MODEL)
        self.session.load_model(
            Path(settings.model) if settings.model else shipped, otherwise=shipped
        )

    # What is seen.

    def _make_views(self) -> None:
        self.filter_bar = FilterBar(self)
        self.table = ResultsTable(self._shown, self)
        self.image = ImageView(self)
        self.answer = AnswerPanel(self)
        self.answer.fixed_order.setChecked(self._settings.fixed_order)
        self._summary_title = QLabel(self)
        self.summary = ClassBars(self.tr("Images of each class"), self)
        self.summary.setToolTip(self.tr("Double-click a class to show only its images"))

        left = _column(self.filter_bar, self.table)
        below = _column(self._summary_title, self.summary)
        self._right = QSplitter(Qt.Orientation.Vertical, self)
        self._right.addWidget(self.answer)
        self._right.addWidget(below)
        # The longest class name, some of its bar, and the number.
        texts = (max((title_of(cover) for cover in EUROSAT_CLASSES), key=len), "100.0%")
        letters = sum(map(self.fontMetrics().horizontalAdvance, texts))
        self._right.setMinimumWidth(letters + _SHORTEST_BAR)
        self._columns = QSplitter(self)
        for widget in (left, self.image, self._right):
            self._columns.addWidget(widget)
        # The image takes most of what a larger window gives.
        for position, share in enumerate((1, 3, 1)):
            self._columns.setStretchFactor(position, share)
        self._columns.setChildrenCollapsible(False)

        self._empty = EmptyPage(self)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(self._empty)
        self._pages.addWidget(self._columns)
        self.scene_page = ScenePage(self.scenes, self._settings, self)
        self._pages.addWidget(self.scene_page)
        self._notice = Notice(self)
        self.setCentralWidget(_column(self._notice, self._pages, margin=0))

        self._counts = OneLine(self)
        self._progress = QProgressBar(self)
        self._progress.setMaximumWidth(220)
        self._progress.setAccessibleName(self.tr("Progress"))
        self._time_left = QLabel(self)
        self._cancel = QPushButton(self.tr("Cancel"), self)
        self._resume = QPushButton(self.tr("Go on"), self)
        bar = self.statusBar()
        bar.setContentsMargins(6, 0, 6, 0)
        bar.addWidget(self._counts, 1)
        for widget in (self._time_left, self._progress, self._resume, self._cancel):
            bar.addPermanentWidget(widget)

    # What can be done.

    def _make_menus(self) -> None:
        self._recent = QMenu(self.tr("Open &recent"), self)
        self._recent.aboutToShow.connect(self._fill_recent)
        self.model_menu = ModelMenu(self)
        self.export_menu = ExportMenu(
            self.session, self._settings, self._shown.items, lambda: self._picture, self
        )
        key = QKeySequence.StandardKey
        open_images = self._action(self.tr("&Open images…"), self._ask_for_images, key.Open)
        open_folder = self._action(self.tr("Open &folder…"), self._ask_for_folder, "Ctrl+Shift+O")
        open_scene = self._action(self.tr("Open s&cene…"), self._ask_for_scene, "Ctrl+Alt+O")
        self._map = self._action(self.tr("&Map the scene"), self.scene_page.map, "Ctrl+M")
        self._preview = self._action(self.tr("&Preview the map"), self.scene_page.preview, "Ctrl+P")
        self.show_scene = self._action(self.tr("Show the &scene"), self._switch_page, "Ctrl+T")
        self.show_scene.setCheckable(True)
        self.show_scene.setToolTip(self.tr("Show the scene, or the images (Ctrl+T)"))
        self._close_scene = self._action(self.tr("Close sce&ne"), self.scenes.close_scene, "Ctrl+W")
        self.explain = self._action(self.tr("&Explain"), self._explain_or_not, "Ctrl+E")
        self.explain.setCheckable(True)
        self.explain.setToolTip(self.tr("Show which pixels decided (Ctrl+E)"))
        self.card_action = self._action(self.tr("Model &card"), self._show_card, "Ctrl+I")

        menu = self.menuBar().addMenu(self.tr("&File"))
        menu.addActions([open_images, open_folder, open_scene])
        menu.addMenu(self._recent)
        menu.addSeparator()
        menu.addActions([self._preview, self._map])
        menu.addSeparator()
        menu.addMenu(self.export_menu)
        menu.addSeparator()
        close_all = self._action(self.tr("Close &all"), self.session.clear, "Ctrl+Shift+W")
        close = self._action(self.tr("Close &selected"), self._close_selected, key.Delete)
        close.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)  # Elsewhere it deletes letters.
        self.table.addAction(close)
        menu.addActions([close, close_all, self._close_scene])
        menu.addSeparator()
        menu.addAction(self._action(self.tr("&Quit"), self.close, "Ctrl+Q"))

        copy = self._action(self.tr("&Copy rows"), self._copy_rows, key.Copy)
        select = self._action(self.tr("Select &all"), self.table.selectAll, key.SelectAll)
        find = self._action(self.tr("&Find"), self.filter_bar.text.setFocus, key.Find)
        show = self._action(self.tr("Show &everything"), self.filter_bar.clear, "Ctrl+R")
        menu = self.menuBar().addMenu(self.tr("&Edit"))
        menu.addAction(copy)
        menu.addAction(self.export_menu.copy_picture)
        self.addAction(self.export_menu.copy_picture)
        menu.addAction(self._action(self.tr("&Paste"), self._paste, key.Paste))
        menu.addAction(select)
        menu.addSeparator()
        menu.addActions([find, show])
        menu.addSeparator()
        menu.addAction(self._action(self.tr("S&top"), self._stop, "Esc"))

        menu = self.menuBar().addMenu(self.tr("&View"))
        zooms = [
            self._action(self.tr("Zoom &in"), self._zoom_in, "Ctrl++"),
            self._action(self.tr("Zoom &out"), self._zoom_out, "Ctrl+-"),
            self._action(self.tr("&Fit"), self._fit, "Ctrl+0"),
            self._action(self.tr("&Actual size"), self._show_actual_size, "Ctrl+1"),
        ]
        menu.addActions(zooms)
        menu.addSeparator()
        menu.addActions([self.explain, self.show_scene])
        menu.addSeparator()
        menu.addMenu(self._theme_menu())

        self.menuBar().addMenu(self.model_menu)
        menu = self.menuBar().addMenu(self.tr("&Help"))
        self.shortcuts_action = self._action(
            self.tr("&Keyboard shortcuts"), self._show_shortcuts, "F1"
        )
        self.about_action = self._action(self.tr("&About EuroSAT Edge"), self._show_about)
        menu.addActions([self.shortcuts_action, self.about_action])

        self._heat = QSlider(Qt.Orientation.Horizontal, self)
        self._heat.setRange(0, 100)
        self._heat.setValue(self._settings.heat_opacity)
        self._heat.setFixedWidth(110)
        self._heat.setAccessibleName(self.tr("Strength of the heat map"))
        self._heat.setToolTip(self.tr("Strength of the heat map"))
        self.image.set_heat_opacity(self._heat.value() / 100)
        self._model_button = _menu_button(self.model_menu, self.tr("Model: loading"), self)
        bar = QToolBar(self.tr("Tools"), self)
        bar.setObjectName("tools")
        bar.setMovable(False)
        bar.addActions([open_images, open_folder, open_scene, self.show_scene])
        bar.addSeparator()
        bar.addWidget(self._model_button)
        bar.addAction(self.card_action)
        bar.addSeparator()
        bar.addAction(self.explain)
        self._heat_action = bar.addWidget(self._heat)
        bar.addSeparator()
        bar.addWidget(_menu_button(self.export_menu, self.tr("Export"), self))
        self._heat_action.setVisible(False)
        self.addToolBar(bar)
        for button in map(bar.widgetForAction, bar.actions()):
            if isinstance(button, QToolButton):
                button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._tools = bar
        # What each of them needs to be seen.
        self._of_opening = [close_all]
        self._of_images = [find, show]
        self._of_rows = [select]
        self._of_selection = [close, copy]
        self._of_readable = [self.explain, self._heat_action]
        self._of_picture = zooms

    def _action(
        self,
        text: str,
        work: Callable[[], object],
        key: QKeySequence.StandardKey | str | None = None,
    ) -> QAction:
        """Make an action of the window."""
        action = QAction(text, self)
        if key is not None:
            action.setShortcut(QKeySequence(key))
        action.triggered.connect(work)
        self.addAction(action)
        return action

    def _theme_menu(self) -> QMenu:
        menu = QMenu(self.tr("&Theme"), self)
        group = QActionGroup(self)
        titles = {
            "system": self.tr("Like the &system"),
            "light": self.tr("&Light"),
            "dark": self.tr("&Dark"),
        }
        for theme in THEMES:
            action = QAction(titles[theme], group)
            action.setCheckable(True)
            action.setChecked(theme == self._settings.theme)
            action.triggered.connect(partial(self._choose_theme, theme))
            menu.addAction(action)
        return menu

    # Which signal goes where.

    def _connect(self) -> None:
        session = self.session
        session.added.connect(self._on_added)
        session.changed.connect(self._on_changed)
        session.removed.connect(self._on_removed)
        session.progressed.connect(self._show_progress)
        session.model_changed.connect(self._on_model_changed)
        session.explained.connect(self._on_explained)
        session.refused.connect(self._notice.tell)
        session.failed.connect(self.show_error)
        session.pixels.image_read.connect(self._on_image_read)
        session.pixels.thumbnail_read.connect(self._model.keep_thumbnail)
        self.table.current_changed.connect(self._on_current_changed)
        self.table.selectionModel().selectionChanged.connect(self._update_enabled)
        self._empty.images_wanted.connect(self._ask_for_images)
        self._empty.folder_wanted.connect(self._ask_for_folder)
        self._empty.scene_wanted.connect(self._ask_for_scene)
        self.filter_bar.changed.connect(self._on_filter_changed)
        self.summary.chosen.connect(self.filter_bar.choose_class)
        self.answer.fixed_order.toggled.connect(partial(setattr, self._settings, "fixed_order"))
        self.model_menu.chosen.connect(self._choose_model)
        self.model_menu.card_wanted.connect(self._show_card)
        self.export_menu.done.connect(self._notice.clear)
        self.export_menu.done.connect(self._tell)
        self.export_menu.refused.connect(self._notice.tell)
        self._heat.valueChanged.connect(self._set_heat_opacity)
        self._cancel.clicked.connect(session.cancel)
        self._resume.clicked.connect(session.resume)
        session.scenes_found.connect(self._on_scenes_found)
        session.scenes_left_out.connect(self._on_scenes_left_out)
        self.scenes.begun.connect(self._forget_sentences)
        self.scenes.changed.connect(self._on_scene_changed)
        self.scenes.refused.connect(self._notice.tell)
        self.scenes.told.connect(self._tell)
        self.scenes.failed.connect(self.show_error)
        self.scene_page.refused.connect(self._notice.tell)
        self.scene_page.panel.settings_chosen.connect(self._on_scene_settings_chosen)

    def open_paths(self, paths: list[Path]) -> None:
        """Open files and folders, as a user names them."""
        if paths:
            self._forget_sentences()
            self._settings.add_recent(paths)
            self._is_opening = True
            self.session.open_paths(paths)

    def show_error(self, error: BaseException) -> None:
        """Show a mistake of ours, unless one is shown already; the app lives on."""
        if not any(box.isVisible() for box in self.findChildren(QMessageBox)):
            show_error(error, self)

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
        self._settings.folder = str(paths[0].parent)  # There, Open scene begins.
        text = self.tr("{path} is a scene and was left out: choose Open scene to map it.")
        if len(paths) > 1:
            text = self.tr(
                "{count:,} scenes were left out, {path} among them: choose Open scene to map one."
            )
        self._notice.tell(text.format(count=len(paths), path=paths[0]))

    def _on_scene_settings_chosen(self) -> None:
        self._notice.clear()  # It may be about the settings before.

    def _on_scene_changed(self) -> None:
        for action in (self._map, self._preview):
            action.setEnabled(self.scenes.can_map)
        self._show_items()

    def _on_added(self, items: list[Item], first: Item) -> None:
        was_opening = self._is_opening
        if was_opening:
            self.show_scene.setChecked(False)
            self._is_opening = False
        if items:
            self._model.add(items)
        self._show_items()
        if was_opening or self.table.current_item() is None:
            self.table.go_to(first)
            if not self._shows_scene:
                self.table.setFocus()

    def _on_changed(self, items: list[Item]) -> None:
        with self.table.steady():
            self._model.update_items(items)
        current = self.table.current_item()
        if current is None and self._shown.rowCount():
            self.table.go_to(self._shown.item(0))  # Nothing fitted the filter before.
        elif current is not None and current in items:
            self._show_answer(current)

    def _on_removed(self) -> None:
        # Of the rows from the current one on, the first that stays.
        rows = range(max(0, self.table.currentIndex().row()), self._shown.rowCount())
        staying = next((item for item in map(self._shown.item, rows) if item.is_open), None)
        self._model.reload()
        self.table.sort_again()
        if staying is not None:
            self.table.go_to(staying)
        elif self._shown.rowCount():
            self.table.go_to(self._shown.item(self._shown.rowCount() - 1))
        if self.table.current_item() is None:
            self._on_current_changed(None)
        self._show_items()

    def _on_current_changed(self, item: Item | None) -> None:
        if item is None:
            self._picture = None
            self.image.show_picture(QImage())
        elif self._picture is None or self._picture[0] is not item:
            self._picture = None
            self.session.hurry(item)
            self.session.pixels.want_image(item)
        self._show_answer(item)

    def _on_image_read(self, item: Item, picture: QImage) -> None:
        if item is self.table.current_item():
            self._picture = (item, picture) if not picture.isNull() else None
            self._gone = item if picture.isNull() else None
            if item is self._gone and item.cover is not None:
                sentence = self.tr("{path} is gone or has changed: it cannot be read any more.")
                self._tell(sentence.format(path=item.location))
            self.image.show_picture(picture)
            self._update_enabled()
            self._explain_or_not()

    def _on_explained(self, item: Item, heat: QImage) -> None:
        if item is self._explained:
            self.image.show_heat(heat)
            if heat.isNull():
                self._tell(self.tr("No single part of this image decides."))

    def _on_filter_changed(self, accepted: Filter) -> None:
        current = self.table.current_item()
        self._shown.set_filter(accepted)
        if current is None or not self._shown.index_of(current).isValid():
            if self._shown.rowCount():
                self.table.go_to(self._shown.item(0))
        else:
            self.table.go_to(current)
        self._show_progress()

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
        title = self.session.model_title
        self._model_button.setText(self.tr("Model: {title}").format(title=title))
        self.model_menu.set_in_use(classifier)
        if path == self._chosen_model:
            self._remember_model(path)
        covers = [land_cover(name, number) for number, name in enumerate(classifier.class_names)]
        self.filter_bar.set_classes(covers)
        self._explained = None  # Another model looks elsewhere.
        self.image.show_heat(QImage())
        if self._had_model:  # What was told before the first one is not about a model.
            self._notice.clear()
        self._had_model = True

    # What is shown of it.

    def _show_items(self) -> None:
        has_items, has_scene = bool(self.session.workspace.items), self.scenes.work is not None
        self.show_scene.setVisible(has_items and has_scene)
        shows_scene = has_scene and (self.show_scene.isChecked() or not has_items)
        self._pages.setCurrentIndex(2 if shows_scene else int(has_items))
        self._show_progress()

    def _switch_page(self) -> None:
        self._show_items()
        (self.scene_page.view if self._shows_scene else self.table).setFocus()

    @property
    def _shows_scene(self) -> bool:
        return self._pages.currentWidget() is self.scene_page

    @property
    def _view(self) -> ZoomView:
        return self.scene_page.view if self._shows_scene else self.image

    def _show_answer(self, item: Item | None) -> None:
        self.answer.show_item(item)
        self._update_enabled()
        self._explain_or_not()

    def _update_enabled(self) -> None:
        """Offer only what can be done with what is seen."""
        sees_images = self._pages.currentWidget() is self._columns
        sees_rows = sees_images and self._shown.rowCount() > 0
        if self._shows_scene:
            has_picture = self.scenes.work is not None and self.scenes.work.facts is not None
        else:
            has_picture = sees_images and self._picture is not None
        # What has not been found yet can be closed as well.
        is_opening = self.session.is_busy and not self._shows_scene
        current = self.table.current_item()
        can_explain = current is not None and not current.reason and current is not self._gone
        for actions, is_possible in (
            (self._of_opening, sees_images or is_opening),
            (self._of_images, sees_images),
            (self._of_rows, sees_rows),
            (self._of_selection, sees_rows and self.table.selectionModel().hasSelection()),
            (self._of_readable, sees_rows and can_explain),
            (self._of_picture, has_picture),
            ([self._close_scene], self._shows_scene),
        ):
            for action in actions:
                action.setEnabled(is_possible)
        self.export_menu.update_enabled(are_rows_seen=sees_rows)

    def _show_progress(self) -> None:
        session, workspace = self.session, self.session.workspace
        total, waiting = len(workspace.items), workspace.waiting
        facts = [self.tr("1 image")] if total == 1 else []
        if total > 1:
            facts.append(self.tr("{count:,} images").format(count=total))
        if self.scenes.work is not None:
            facts.append(self._scene_in_words(self.scenes.work))
        if total != self._shown.rowCount():
            facts.append(self.tr("{count:,} shown").format(count=self._shown.rowCount()))
        if workspace.unreadable:
            facts.append(self.tr("{count:,} could not be read").format(count=workspace.unreadable))
        if waiting and not session.is_running:
            facts.append(self.tr("{count:,} not classified").format(count=waiting))
        seconds = session.pace.seconds_each if session.pace else None
        if seconds is not None:
            facts.append(self.tr("{time:.1f} ms per image").format(time=1000 * seconds))
        if session.classifier is not None:
            facts.append(session.model_title)
        facts.append(self.tr("offline"))
        self._counts.setText(" · ".join(facts))

        self._progress.setVisible(session.is_busy)
        self._cancel.setVisible(session.is_busy)
        self._time_left.setVisible(session.is_running and seconds is not None)
        self._resume.setVisible(bool(waiting) and not session.is_busy and bool(session.classifier))
        self._progress.setMaximum(total if session.is_running else 0)
        self._progress.setValue(total - waiting)
        if seconds is not None:
            self._time_left.setText(time_left(seconds * waiting))
        if self._was_busy and not session.is_busy:
            self.table.sort_again()
        self._was_busy = session.is_busy
        self._clear_explaining()
        self._update_enabled()
        self.answer.set_filtered_out(is_all_hidden=bool(total) and not self._shown.rowCount())
        self._show_summary()

    def _scene_in_words(self, work: SceneWork) -> str:
        """Say that there is a scene; where it is not seen, how far its map has come, too."""
        if self._shows_scene:
            return self.tr("1 scene")
        share = work.windows_done / work.window_count if work.window_count else 0
        texts = {
            Stage.MAPPING: self.tr("1 scene, {share:.0%} mapped"),
            Stage.STOPPED: self.tr("1 scene, map stopped at {share:.0%}"),
            Stage.WRITING: self.tr("1 scene, map being written"),
            Stage.FINISHED: self.tr("1 scene, mapped"),
        }
        text = texts.get(work.stage, self.tr("1 scene")).format(share=share)
        if work.stage is Stage.MAPPING and work.seconds_left is not None:
            text += f", {time_left(work.seconds_left)}"
        return text

    def _show_summary(self) -> None:
        classifier, workspace = self.session.classifier, self.session.workspace
        counts = workspace.class_counts
        if classifier is None:
            return
        largest = max(counts.values(), default=0) or 1
        self.summary.show_bars(
            [
                Bar(land_cover(name, number), counts[name] / largest, f"{counts[name]:,}")
                for number, name in enumerate(classifier.class_names)
            ]
        )
        self._summary_title.setText(
            self.tr("All images: {count:,} classified").format(count=counts.total())
        )

    def _tell(self, sentence: str) -> None:
        self.statusBar().showMessage(sentence, 8000)

    def _forget_sentences(self) -> None:
        """Something is ordered: what was told of the order before is of no use any more."""
        self._notice.clear()
        self.statusBar().clearMessage()

    # What the actions do.

    def _zoom_in(self) -> None:
        self._view.zoom_in()

    def _zoom_out(self) -> None:
        self._view.zoom_out()

    def _fit(self) -> None:
        self._view.fit()

    def _show_actual_size(self) -> None:
        self._view.show_actual_size()

    def _ask_for_scene(self) -> None:
        name, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("Open a scene"),
            self._settings.folder,
            self.tr("Scenes ({patterns});;All files (*)").format(patterns=_SCENE_PATTERNS),
        )
        if name:
            self._settings.folder = str(Path(name).parent)
            self._open_scene(Path(name))

    def _open_scene(self, path: Path) -> None:
        """Open a file as a scene, whatever it looks like."""
        self._settings.add_recent([path], are_scenes=True)
        self._on_scenes_found([path])

    def _ask_for_images(self) -> None:
        patterns = " ".join(f"*{suffix}" for suffix in sorted(IMAGE_SUFFIXES))
        names, _ = QFileDialog.getOpenFileNames(
            self,
            self.tr("Open images"),
            self._settings.folder,
            self.tr("Images ({patterns});;All files (*)").format(patterns=patterns),
        )
        if names:
            self._settings.folder = str(Path(names[0]).parent)
            self.open_paths([Path(name) for name in names])

    def _ask_for_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(
            self, self.tr("Open a folder"), self._settings.folder
        )
        if name:
            self._settings.folder = name
            self.open_paths([Path(name)])

    def _fill_recent(self) -> None:
        self._recent.clear()
        paths, scenes = self._settings.recent, self._settings.recent_scenes
        for path in paths:
            name = str(path).replace("&", "&&")  # A single one marks a letter for the keyboard.
            again = partial(self._open_scene, path)
            if path not in scenes:
                again = partial(self.open_paths, [path])
            self._recent.addAction(name, again)
        self._recent.addSeparator()
        clear = self._recent.addAction(self.tr("Forget these"), self._settings.clear_recent)
        clear.setEnabled(bool(paths))

    def _paste(self) -> None:
        data = QGuiApplication.clipboard().mimeData()
        if not data or not self._open_mime(data):  # An empty clipboard may have none.
            self._tell(self.tr("There is no image and no file name on the clipboard."))

    def _open_mime(self, data: QMimeData) -> bool:
        """Open what was dropped or pasted; tell whether there was something to open."""
        paths = [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]
        if not paths and data.hasImage():
            picture = data.imageData()
            if isinstance(picture, QImage) and not picture.isNull():
                self._forget_sentences()
                self._is_opening = True
                self.session.open_pixels(self.tr("Pasted image"), from_qimage(picture))
                return True
        if not paths and data.hasText():
            lines = data.text().splitlines()[:_MOST_LINES_PASTED]
            found = (Path(line.strip().strip("\"'")) for line in lines if line.strip())
            paths = [path for path in found if exists(path)]
        self.open_paths(paths)
        return bool(paths)

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

    def _explain_or_not(self) -> None:
        """Show or hide the heat map of the image that is looked at."""
        wanted = self.explain.isChecked()
        self._heat_action.setVisible(wanted)
        item = self._picture[0] if self._picture else None
        if not wanted or item is None or item.cover is None:
            self._explained = None
            self.session.explain_nothing()
            self.image.show_heat(QImage())
        elif item is not self._explained:
            self._explained = item
            self.session.explain(item)
            self.statusBar().showMessage(self._explaining_text)
        self._clear_explaining()

    def _clear_explaining(self) -> None:
        bar = self.statusBar()
        if bar.currentMessage() == self._explaining_text and not self.session.is_explaining:
            bar.clearMessage()

    def _set_heat_opacity(self, percent: int) -> None:
        self._settings.heat_opacity = percent
        self.image.set_heat_opacity(percent / 100)

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
        """Take files, and images from other programs. Called by Qt."""
        if event.mimeData().hasUrls() or event.mimeData().hasImage():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped. Called by Qt."""
        if self._open_mime(event.mimeData()):
            event.acceptProposedAction()
        else:
            self._notice.tell(self.tr("Only files and folders of this computer can be opened."))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the layout and end all threads. Called by Qt."""
        self._settings.set_layout("window", self.saveGeometry())
        self._settings.set_layout("columns", self._columns.saveState())
        self._settings.set_layout("scene", self.scene_page.columns.saveState())
        self._settings.set_layout("right", self._right.saveState())
        self._settings.set_layout("table", self.table.horizontalHeader().saveState())
        self._settings.text_height = self.fontMetrics().height()
        for dialog in self.findChildren(QDialog):
            dialog.close()
        self.hide()  # Ending the threads may take a moment.
        self.scenes.stop()
        self.session.close()
        self.scenes.close()
        super().closeEvent(event)

    def _restore_layout(self) -> None:
        self.resize(QSize(_WIDTH, _HEIGHT).boundedTo(self.screen().availableSize()))
        self.restoreGeometry(self._settings.layout("window"))
        # As long as nobody has moved them, the image takes what table and answer leave.
        width = self.width()
        left = self.table.width_of_answers + 2 * _MARGIN
        left = min(left, round(width * _LARGEST_SHARE_OF_TABLE))
        right = max(self._right.minimumWidth(), round(width * _SHARE_OF_ANSWER))
        self._columns.setSizes([left, width - left - right, right])
        self._columns.restoreState(self._settings.layout("columns"))
        self.scene_page.columns.restoreState(self._settings.layout("scene"))
        self._right.restoreState(self._settings.layout("right"))
        # Columns that are wide enough for one font are not for another.
        if self._settings.text_height == self.fontMetrics().height():
            self.table.horizontalHeader().restoreState(self._settings.layout("table"))


def _column(*widgets: QWidget, margin: int = _MARGIN) -> QWidget:
    """Return widgets one below the other; the last one takes the space."""
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(margin, margin, margin, margin)
    for widget in widgets:
        layout.addWidget(widget, int(widget is widgets[-1]))
    return column


def _menu_button(menu: QMenu, text: str, parent: QWidget) -> QToolButton:
    button = QToolButton(parent)
    button.setMenu(menu)
    button.setText(text)
    button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
    return button
