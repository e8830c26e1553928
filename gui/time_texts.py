"""How long something takes, in words."""

from PySide6.QtCore import QCoreApplication


def duration(seconds: float) -> str:
    """Return such as "about 2 min"."""
    if seconds < 1:
        return _translated("less than a second")
    if seconds < 90:
        return _translated("about {count} s").format(count=round(seconds))
    if seconds < 5400:
        return _translated("about {count} min").format(count=round(seconds / 60))
    return _translated("about {count:.1f} h").format(count=seconds / 3600)


def time_left(seconds: float) -> str:
    """Return such as "2 min left"."""
    if seconds < 60:
        return _translated("{count} s left").format(count=max(1, round(seconds)))
    if seconds < 5400:
        return _translated("{count} min left").format(count=round(seconds / 60))
    return _translated("{count:.1f} h left").format(count=seconds / 3600)


def _translated(text: str) -> str:
    return QCoreApplication.translate("Time", text)
