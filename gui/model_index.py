"""Places in Qt's models, as Qt hands them over."""

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex

Index = QModelIndex | QPersistentModelIndex

ROOT: Final = QModelIndex()
"""What all rows of a table lie below."""
