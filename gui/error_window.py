"""The window for a mistake of ours: it says so, can be copied, and lets the app live on."""

import platform
import traceback
from importlib.metadata import PackageNotFoundError, version

from PySide6.QtCore import Qt, qVersion
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QMessageBox, QWidget

from .small_screen import fit_on_screen

_PACKAGES = ("eurosat-edge", "PySide6-Essentials", "ai-edge-litert", "numpy", "Pillow", "rasterio")


class _ErrorBox(QMessageBox):
    """A message that moves up where its details would not fit on the screen."""

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Stay on the screen. Called by Qt."""
        super().resizeEvent(event)
        if self.isVisible():
            fit_on_screen(self)


def show_error(error: BaseException, parent: QWidget | None) -> QMessageBox:
    """Show an unexpected error, without stopping what goes on behind it.

    Args:
        error: The exception, with its traceback.
        parent: The window that it belongs to.

    Returns:
        The message, already shown.
    """
    box = _ErrorBox(parent)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle(box.tr("Something went wrong"))
    box.setText(
        box.tr("This is a mistake in the app, not yours. Nothing is lost, and you can go on.")
    )
    box.setInformativeText(f"{type(error).__name__}: {error}")
    details = diagnostics(error)
    box.setDetailedText(details)
    box.setStandardButtons(QMessageBox.StandardButton.Close)
    box.setDefaultButton(QMessageBox.StandardButton.Close)
    copy = box.addButton(box.tr("Copy details"), QMessageBox.ButtonRole.ActionRole)
    # Copying leaves the window open.
    copy.clicked.disconnect()
    copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(details))
    box.setModal(False)
    box.show()
    return box


def diagnostics(error: BaseException) -> str:
    """Return versions and traceback, as a report of the mistake needs them."""
    trace = "".join(traceback.format_exception(error))
    return f"{versions()}\n\n{trace}"


def versions() -> str:
    """Return a line for the system and for each package that matters."""
    lines = [f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"]
    lines.append(f"Qt {qVersion()}")
    for package in _PACKAGES:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package}, version unknown")
    return "\n".join(lines)
