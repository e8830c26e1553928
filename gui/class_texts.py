"""What classes are called on screen, in the language of the app."""

from html import escape

from PySide6.QtCore import QCoreApplication

from eurosat.labels import LandCover


def plain_tip(text: str) -> str:
    """Return a text as a tooltip: what looks like HTML in a name is none."""
    return f"<qt>{escape(text)}</qt>" if "<" in text else text


def title_of(cover: LandCover) -> str:
    """Return the name of a class as people read it."""
    return QCoreApplication.translate("LandCover", cover.title)


def answer_title(cover: LandCover, *, is_unsure: bool) -> str:
    """Return the name of the class of an image, with a mark where the model is not sure of it."""
    return title_of(cover) + ("?" if is_unsure else "")


def description_of(cover: LandCover) -> str:
    """Return the sentence about a class; empty for a class that is not EuroSAT's."""
    return QCoreApplication.translate("LandCover", cover.description)
