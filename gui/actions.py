"""Every action of the window: what it is called, its key, and what must be seen to offer it."""

from collections.abc import Mapping
from enum import Enum, auto

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget


class Need(Enum):
    """What an action needs, to be of use."""

    CLOSABLE = auto()
    """There are images, or some are on their way."""
    IMAGES = auto()
    """The page of images is seen."""
    ROWS = auto()
    """The table shows an image."""
    SELECTION = auto()
    """A row is selected."""
    READABLE = auto()
    """The image that is looked at can be read."""
    PICTURE = auto()
    """An image or a scene is seen."""
    SCENE = auto()
    """The page of the scene is seen."""
    MAPPABLE = auto()
    """A map can begin."""


class Actions(QObject):
    """The actions, in the order in which the window of keys lists them.

    They are put into menus by `fill_menu_bar`; the window says what each of them does.
    """

    def __init__(self, window: QWidget, copy_picture: QAction) -> None:
        """Make the actions, which do nothing yet.

        Args:
            window: Where their keys are heard.
            copy_picture: The action that is made with the menu of exports.
        """
        super().__init__(window)
        self._window = window
        self._needing: dict[Need, list[QAction]] = {need: [] for need in Need}
        key, add = QKeySequence.StandardKey, self._add
        self.open_images = add(self.tr("&Open images…"), key.Open)
        self.open_folder = add(self.tr("Open &folder…"), "Ctrl+Shift+O")
        self.open_scene = add(self.tr("Open s&cene…"), "Ctrl+Alt+O")
        self.map = add(self.tr("&Map the scene"), "Ctrl+M", Need.MAPPABLE)
        self.preview = add(self.tr("&Preview the map"), "Ctrl+P", Need.MAPPABLE)
        self.show_scene = add(self.tr("Show the &scene"), "Ctrl+T")
        self.show_scene.setCheckable(True)
        self.show_scene.setToolTip(self.tr("Show the scene, or the images (Ctrl+T)"))
        self.close_scene = add(self.tr("Close sce&ne"), "Ctrl+W", Need.SCENE)
        self.explain = add(self.tr("&Explain"), "Ctrl+E", Need.READABLE)
        self.explain.setCheckable(True)
        self.explain.setToolTip(self.tr("Show which pixels decided (Ctrl+E)"))
        self.show_card = add(self.tr("Model &card"), "Ctrl+I")
        self.close_all = add(self.tr("Close &all"), "Ctrl+Shift+W", Need.CLOSABLE)
        self.close_selected = add(self.tr("Close &selected"), key.Delete, Need.SELECTION)
        # Heard by the table alone: elsewhere it deletes letters.
        self.close_selected.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        self.quit = add(self.tr("&Quit"), "Ctrl+Q")
        self.copy_rows = add(self.tr("&Copy rows"), key.Copy, Need.SELECTION)
        self.select_all = add(self.tr("Select &all"), key.SelectAll, Need.ROWS)
        self.find = add(self.tr("&Find"), key.Find, Need.IMAGES)
        self.show_everything = add(self.tr("Show &everything"), "Ctrl+R", Need.IMAGES)
        self.copy_picture = copy_picture
        window.addAction(copy_picture)
        self.paste = add(self.tr("&Paste"), key.Paste)
        self.stop = add(self.tr("S&top"), "Esc")
        self.zoom_in = add(self.tr("Zoom &in"), "Ctrl++", Need.PICTURE)
        self.zoom_out = add(self.tr("Zoom &out"), "Ctrl+-", Need.PICTURE)
        self.fit = add(self.tr("&Fit"), "Ctrl+0", Need.PICTURE)
        self.show_actual_size = add(self.tr("&Actual size"), "Ctrl+1", Need.PICTURE)
        self.show_shortcuts = add(self.tr("&Keyboard shortcuts"), "F1")
        self.show_about = add(self.tr("&About EuroSAT Edge"), None)

    def offer(self, met: Mapping[Need, bool]) -> None:
        """Offer only what can be done.

        Args:
            met: Which needs are met now; those that are not named stay as they were.
        """
        for need, is_met in met.items():
            for action in self._needing[need]:
                action.setEnabled(is_met)

    def _add(
        self, text: str, key: QKeySequence.StandardKey | str | None, need: Need | None = None
    ) -> QAction:
        action = QAction(text, self._window)
        if key is not None:
            action.setShortcut(QKeySequence(key))
        if need is not None:
            self._needing[need].append(action)
        self._window.addAction(action)
        return action
