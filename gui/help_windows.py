"""The windows behind the help menu: keyboard shortcuts, and about."""

from collections.abc import Iterable
from html import escape

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from .error_window import versions
from .icon import app_icon

_HOME = "https://github.com/phelber/EuroSAT"


class ShortcutWindow(QDialog):
    """Lists every action that has a key."""

    def __init__(self, actions: Iterable[QAction], parent: QWidget) -> None:
        """List the actions with their keys, and what the mouse does."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Keyboard shortcuts"))
        rows = [
            (
                action.shortcut().toString(QKeySequence.SequenceFormat.NativeText),
                action.text().replace("&", "").rstrip("…"),
            )
            for action in actions
            if not action.shortcut().isEmpty()
        ]
        rows += [
            (self.tr("Up, down, page, home, end"), self.tr("Go through the table")),
            (self.tr("Shift or Ctrl with these"), self.tr("Select several rows")),
            (self.tr("Mouse wheel"), self.tr("Zoom")),
            (self.tr("Drag"), self.tr("Move the image")),
            (self.tr("Double click"), self.tr("Fit the image")),
        ]
        table = "".join(
            f"<tr><td><b>{escape(keys)}</b></td><td>{escape(text)}</td></tr>" for keys, text in rows
        )
        _fill(self, f"<table cellpadding='4' cellspacing='0'>{table}</table>", 420, 520)


class AboutWindow(QDialog):
    """Says what this is, in which version, under which licences."""

    def __init__(self, parent: QWidget) -> None:
        """Show versions and licences."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("About EuroSAT Edge"))
        parts = [
            self.tr("See what covers the land, with no network."),
            versions().replace("\n", "<br>"),
            self.tr(
                "EuroSAT Edge is free software under the Apache License 2.0. Qt and PySide6 are "
                "used under the LGPL 3, LiteRT under the Apache License 2.0, NumPy under the BSD "
                "licence, Pillow under the MIT-CMU licence."
            ),
            self.tr(
                "The models learned from EuroSAT (Helber et al. 2019, MIT licence, <i>{home}</i>), "
                "which contains modified Copernicus Sentinel data, and from ImageNet weights "
                "published with Keras under the Apache License 2.0."
            ).format(home=_HOME),
        ]
        _fill(self, "<h2>EuroSAT Edge</h2>" + "".join(f"<p>{part}</p>" for part in parts), 460, 460)
        picture = QLabel(self)
        picture.setPixmap(app_icon().pixmap(64, 64))
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.insertWidget(0, picture, 0, Qt.AlignmentFlag.AlignHCenter)


def _fill(dialog: QDialog, html: str, width: int, height: int) -> None:
    text = QTextBrowser(dialog)
    text.setAccessibleName(dialog.windowTitle())
    text.setHtml(html)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, dialog)
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.addWidget(text)
    layout.addWidget(buttons)
    dialog.resize(width, height)
