"""The menu bar: which action stands in which menu; and the menu of themes."""

from functools import partial

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from .actions import Actions
from .theme import THEMES


class ThemeMenu(QMenu):
    """Chooses between light and dark.

    Attributes:
        chosen: Signal with one of `THEMES`.
    """

    chosen = Signal(str)

    def __init__(self, theme: str, parent: QWidget) -> None:
        """Offer the themes; one of them is in use."""
        super().__init__(parent)
        self.setTitle(self.tr("&Theme"))
        titles = {
            "system": self.tr("Like the &system"),
            "light": self.tr("&Light"),
            "dark": self.tr("&Dark"),
        }
        group = QActionGroup(self)
        for name in THEMES:
            action = QAction(titles[name], group)
            action.setCheckable(True)
            action.setChecked(name == theme)
            action.triggered.connect(partial(self.chosen.emit, name))
            self.addAction(action)


def fill_menu_bar(
    bar: QMenuBar, actions: Actions, *, recent: QMenu, export: QMenu, theme: QMenu, model: QMenu
) -> None:
    """Put actions and menus where people look for them; None is a line between two groups."""
    a = actions
    file = (
        *(a.open_images, a.open_folder, a.open_scene, recent, None),
        *(a.preview, a.map, None),
        *(export, None),
        *(a.close_selected, a.close_all, a.close_scene, None),
        a.quit,
    )
    edit = (
        *(a.copy_rows, a.copy_picture, a.paste, a.select_all, None),
        *(a.find, a.show_everything, None),
        a.stop,
    )
    view = (
        *(a.zoom_in, a.zoom_out, a.fit, a.show_actual_size, None),
        *(a.explain, a.show_scene, None),
        theme,
    )
    _fill(bar.addMenu(_tr("&File")), *file)
    _fill(bar.addMenu(_tr("&Edit")), *edit)
    _fill(bar.addMenu(_tr("&View")), *view)
    bar.addMenu(model)
    _fill(bar.addMenu(_tr("&Help")), a.show_shortcuts, a.show_about)


def _fill(menu: QMenu, *entries: QAction | QMenu | None) -> None:
    for entry in entries:
        if entry is None:
            menu.addSeparator()
        elif isinstance(entry, QMenu):
            menu.addMenu(entry)
        else:
            menu.addAction(entry)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Menus", text)
