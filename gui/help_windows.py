"""The windows behind the help menu: keyboard shortcuts, and about."""

from collections.abc import Iterable
from html import escape

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QLabel, QWidget

from .error_window import versions
from .icon import app_icon
from .text_window import TextWindow

_HOME = "https://github.com/phelber/EuroSAT"


class ShortcutWindow(TextWindow):
    """Lists every action that has a key."""

    def __init__(self, actions: Iterable[QAction], parent: QWidget) -> None:
        """List the actions with their keys, and what the mouse does."""
        rows = [
            (
                action.shortcut().toString(QKeySequence.SequenceFormat.NativeText),
                action.text().replace("&", "").rstrip("…"),
            )
            for action in actions
            if not action.shortcut().isEmpty()
        ]
        rows += [
            (_tr("Up, down, page, home, end"), _tr("Go through the table")),
            (_tr("Shift or Ctrl with these"), _tr("Select several rows")),
            (_tr("Enter on a class"), _tr("Show only its images, or all again")),
            (
                _tr("Arrow keys"),
                _tr("Move the scene, and tell what is in the middle"),
            ),
            (_tr("Mouse wheel"), _tr("Zoom")),
            (_tr("Drag"), _tr("Move the image")),
            (_tr("Double click"), _tr("Fit the image")),
        ]
        table = "".join(
            f"<tr><td><b>{escape(keys)}</b></td><td>{escape(text)}</td></tr>" for keys, text in rows
        )
        html = f"<table cellpadding='4' cellspacing='0'>{table}</table>"
        super().__init__(_tr("Keyboard shortcuts"), html, 70, 36, parent)


class AboutWindow(TextWindow):
    """Says what this is, in which version, under which licences."""

    def __init__(self, parent: QWidget) -> None:
        """Show versions and licences."""
        parts = [
            _tr("See what covers the land, with no network."),
            versions().replace("\n", "<br>"),
            _tr(
                "EuroSAT Edge is free software under the Apache License 2.0. Qt and PySide6 are "
                "used under the LGPL 3, LiteRT under the Apache License 2.0, NumPy under the BSD "
                "licence, Pillow under the MIT-CMU licence."
            ),
            _tr(
                "The models learned from EuroSAT (Helber et al. 2019, MIT licence, <i>{home}</i>), "
                "which contains modified Copernicus Sentinel data, and from ImageNet weights "
                "published with Keras under the Apache License 2.0."
            ).format(home=_HOME),
        ]
        html = "<h2>EuroSAT Edge</h2>" + "".join(f"<p>{part}</p>" for part in parts)
        super().__init__(_tr("About EuroSAT Edge"), html, 75, 32, parent)
        picture = QLabel(self)
        picture.setPixmap(app_icon().pixmap(64, 64))
        self.column.insertWidget(0, picture, 0, Qt.AlignmentFlag.AlignHCenter)


def _tr(text: str) -> str:
    return QCoreApplication.translate("HelpWindows", text)
