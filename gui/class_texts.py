"""What classes are called on screen, in the language of the app."""

from PySide6.QtCore import QCoreApplication

from eurosat.labels import LandCover


def title_of(cover: LandCover) -> str:
    """Return the name of a class as people read it."""
    return QCoreApplication.translate("LandCover", cover.title)


def description_of(cover: LandCover) -> str:
    """Return the sentence about a class; empty for a class that is not EuroSAT's."""
    return QCoreApplication.translate("LandCover", cover.description)
