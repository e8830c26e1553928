"""The icon of the app."""

from importlib import resources

from PySide6.QtGui import QIcon


def app_icon() -> QIcon:
    """Return the icon, sharp at every size."""
    return QIcon(str(resources.files("eurosat.gui") / "eurosat-edge.svg"))
