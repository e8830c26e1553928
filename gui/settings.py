"""What the app remembers from one time to the next."""

from pathlib import Path
from typing import Final, cast

from PySide6.QtCore import QByteArray, QSettings

from eurosat.existence import exists, is_folder

from .theme import THEMES

ORGANISATION: Final = "EuroSAT Edge"
APPLICATION: Final = "eurosat-edge"

_MOST_RECENT: Final = 9
# No number of more digits is one that this app wrote.
_MOST_DIGITS: Final = 3


class Settings:
    """The choices of this user, kept by Qt in the place that the system has for them.

    A value of the wrong kind, from a file that somebody edited, counts as none.
    """

    def __init__(self) -> None:
        """Read what is there."""
        self._store = QSettings(
            QSettings.Format.IniFormat, QSettings.Scope.UserScope, ORGANISATION, APPLICATION
        )

    def clear(self) -> None:
        """Forget everything."""
        self._store.clear()

    def layout(self, name: str) -> QByteArray:
        """Return the state of a window or splitter; empty if there is none."""
        value = self._store.value(f"layout/{name}")
        return value if isinstance(value, QByteArray) else QByteArray()

    def set_layout(self, name: str, state: QByteArray) -> None:
        """Remember the state of a window or splitter."""
        self._store.setValue(f"layout/{name}", state)

    @property
    def text_height(self) -> int:
        """How high a line of text was in the remembered layout, in pixels; 0 if none is."""
        value = self._text("layout/text_height")
        return int(value) if value.isdecimal() and len(value) <= _MOST_DIGITS else 0

    @text_height.setter
    def text_height(self, pixels: int) -> None:
        self._store.setValue("layout/text_height", str(pixels))

    @property
    def theme(self) -> str:
        """One of `THEMES`."""
        value = self._text("theme")
        return value if value in THEMES else "system"

    @theme.setter
    def theme(self, name: str) -> None:
        self._store.setValue("theme", name)

    @property
    def model(self) -> str:
        """The file of the model that was chosen last; empty for the shipped one."""
        return self._text("model")

    @model.setter
    def model(self, path: str) -> None:
        self._store.setValue("model", path)

    @property
    def folder(self) -> str:
        """Where dialogs begin that open something."""
        return self._folder("folder") or str(Path.home())

    @folder.setter
    def folder(self, path: str) -> None:
        self._store.setValue("folder", path)

    @property
    def export_folder(self) -> str:
        """Where dialogs begin that write something: where the latest did, or else `folder`."""
        return self._folder("export_folder") or self.folder

    @export_folder.setter
    def export_folder(self, path: str) -> None:
        self._store.setValue("export_folder", path)

    @property
    def fixed_order(self) -> bool:
        """Whether classes stand in the order of the model."""
        return self._text("fixed_order") == "true"

    @fixed_order.setter
    def fixed_order(self, value: bool) -> None:
        self._store.setValue("fixed_order", "true" if value else "false")

    @property
    def heat_opacity(self) -> int:
        """How much of the image a heat map hides, in percent."""
        return self._percent("heat_opacity")

    @heat_opacity.setter
    def heat_opacity(self, percent: int) -> None:
        self._store.setValue("heat_opacity", str(percent))

    @property
    def map_opacity(self) -> int:
        """How much of a scene its map hides, in percent."""
        return self._percent("map_opacity")

    @map_opacity.setter
    def map_opacity(self, percent: int) -> None:
        self._store.setValue("map_opacity", str(percent))

    @property
    def recent(self) -> list[Path]:
        """What was opened last, the latest first; without what is there no more."""
        return [path for path in self._paths("recent") if exists(path)]

    @property
    def recent_scenes(self) -> set[Path]:
        """Those of `recent` that were opened as scenes, whatever they look like."""
        return set(self._paths("recent_scenes"))

    def add_recent(self, paths: list[Path], *, are_scenes: bool = False) -> None:
        """Put files and folders at the head of `recent`, the last one first.

        Args:
            paths: The files and folders.
            are_scenes: Whether they are opened as scenes, whatever they look like.
        """
        # Of thousands that were dropped at once, no more are looked at than are kept.
        latest = [path.absolute() for path in paths[: -_MOST_RECENT - 1 : -1] if exists(path)]
        kept = list(dict.fromkeys([*latest, *self.recent]))[:_MOST_RECENT]
        scenes = self.recent_scenes.difference(latest).union(latest if are_scenes else [])
        self._store.setValue("recent", [str(path) for path in kept])
        self._store.setValue("recent_scenes", [str(path) for path in kept if path in scenes])

    def clear_recent(self) -> None:
        """Forget what was opened."""
        self._store.remove("recent")
        self._store.remove("recent_scenes")

    def _paths(self, name: str) -> list[Path]:
        value = self._store.value(name)
        # The format keeps a list of one as a text.
        names = cast("list[object]", value) if isinstance(value, list) else [value]
        return [Path(name) for name in names if isinstance(name, str) and name]

    def _folder(self, name: str) -> str:
        value = self._text(name)
        return value if value and is_folder(Path(value)) else ""

    def _percent(self, name: str) -> int:
        value = self._text(name)
        return min(int(value), 100) if value.isdecimal() and len(value) <= _MOST_DIGITS else 60

    def _text(self, name: str) -> str:
        value = self._store.value(name)
        return value if isinstance(value, str) else ""
