"""The view-model: what is open, what was predicted, what is left to do. It knows nothing of Qt."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from pathlib import Path
from unicodedata import normalize

import numpy as np

from eurosat.classifier import Prediction
from eurosat.errors import EurosatError
from eurosat.labels import LandCover, land_cover

Outcome = Prediction | EurosatError
"""What the model said of an image, or why it said nothing."""


class Status(Enum):
    """How far an image has come."""

    WAITING = auto()
    SURE = auto()
    UNSURE = auto()
    UNREADABLE = auto()


class Item:
    """One open image: a row of the table.

    Attributes:
        name: What it is called on screen.
        source: Its path, or a uint8 array of shape [height, width, 3] for a pasted image.
        outcome: What was found, or None as long as it waits.
        status: How far it has come.
        cover: The most probable class, or None.
        confidence: Its probability, 0 to 1; -1 without a prediction.
        runner_up: The second most probable class, or None.
        runner_up_confidence: Its probability.
        is_open: Whether it is still in the workspace.
    """

    __slots__ = (
        "confidence",
        "cover",
        "is_open",
        "name",
        "name_key",
        "outcome",
        "runner_up",
        "runner_up_confidence",
        "source",
        "status",
    )

    def __init__(self, name: str, source: Path | np.ndarray) -> None:
        """Open an image that nothing is known of yet."""
        self.name = name
        self.source = source
        # Numbers sort by their value: tile 2 before tile 10.
        self.name_key = re.sub(r"\d+", lambda digits: digits[0].zfill(12), name.casefold())
        self.is_open = True
        self.forget()

    def forget(self) -> None:
        """Let the image wait again."""
        self.outcome: Outcome | None = None
        self.status = Status.WAITING
        self.cover: LandCover | None = None
        self.runner_up: LandCover | None = None
        self.confidence = -1.0
        self.runner_up_confidence = -1.0

    def answer(self, outcome: Outcome) -> None:
        """Keep what was found, in the form that tables and filters ask for again and again."""
        self.forget()
        self.outcome = outcome
        if isinstance(outcome, EurosatError):
            self.status = Status.UNREADABLE
            return
        self.status = Status.UNSURE if outcome.is_unsure else Status.SURE
        (first, self.confidence), (second, self.runner_up_confidence) = outcome.top(2)
        self.cover = class_of(outcome, first)
        self.runner_up = class_of(outcome, second)

    @property
    def location(self) -> str:
        """Where it is: the path, or the name of a pasted image."""
        return str(self.source) if isinstance(self.source, Path) else self.name

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width in pixels, once the image has been read."""
        return self.outcome.image_size if isinstance(self.outcome, Prediction) else None

    @property
    def reason(self) -> str:
        """Why there is no prediction; empty where there is one, or may be yet."""
        return str(self.outcome) if isinstance(self.outcome, EurosatError) else ""


def class_of(prediction: Prediction, name: str) -> LandCover:
    """Return title, description and colour of one of the classes of a prediction."""
    return land_cover(name, prediction.class_names.index(name))


@dataclass(frozen=True)
class Filter:
    """Which images the table shows.

    Attributes:
        text: What their location must contain, in any case.
        class_name: The class that they must have, or None.
        status: The status that they must have, or None.
        lowest: The smallest confidence, 0 to 1.
        highest: The largest confidence, 0 to 1.
    """

    text: str = ""
    class_name: str | None = None
    status: Status | None = None
    lowest: float = 0.0
    highest: float = 1.0

    def accepts(self, item: Item) -> bool:
        """Tell whether the table shows an image."""
        if self.status is not None and item.status is not self.status:
            return False
        if self.class_name is not None and (
            item.cover is None or item.cover.name != self.class_name
        ):
            return False
        if (self.lowest > 0 or self.highest < 1) and not (
            self.lowest <= item.confidence <= self.highest
        ):
            return False
        return not self.text or _comparable(self.text) in _comparable(item.location)


def _comparable(text: str) -> str:
    """Return a text without case; letters with accents, which have two forms, in one of them."""
    return normalize("NFC", text.casefold())


class Column(IntEnum):
    """The columns of the table, from left to right."""

    IMAGE = 0
    CLASS = 1
    CONFIDENCE = 2
    RUNNER_UP = 3
    SIZE = 4
    STATUS = 5


def _pixels(item: Item) -> int:
    height, width = item.image_size or (0, 0)
    return height * width


# What a column is sorted by; None goes to the end, whichever way it is sorted.
_SORT_KEYS: dict[Column, Callable[[Item], str | float | None]] = {
    Column.IMAGE: lambda item: item.name_key,
    Column.CLASS: lambda item: item.cover.title if item.cover else None,
    Column.CONFIDENCE: lambda item: item.confidence if item.cover else None,
    Column.RUNNER_UP: lambda item: item.runner_up.title if item.runner_up else None,
    Column.SIZE: lambda item: _pixels(item) or None,
    Column.STATUS: lambda item: item.status.value,
}


def sort_items(items: Iterable[Item], column: Column, *, descending: bool) -> list[Item]:
    """Return images sorted by a column; those that have nothing there come last."""
    key = _SORT_KEYS[column]
    keyed = [(value, item) for item in items if (value := key(item)) is not None]
    keyed.sort(key=lambda pair: pair[0], reverse=descending)
    return [item for _, item in keyed] + [item for item in items if key(item) is None]


class Workspace:
    """All open images and what is known of them.

    Every order to classify carries the number of the generation that it belongs to. A change of
    model or a cancel begins a new generation, and answers to an old one are dropped.

    Attributes:
        items: The open images, in the order in which they were opened.
        generation: The number of the current generation.
        class_counts: How many images have each class, by its name.
        unreadable: How many images could not be read.
    """

    def __init__(self) -> None:
        """Begin with nothing open."""
        self.items: list[Item] = []
        self.generation = 0
        self.class_counts: Counter[str] = Counter()
        self.unreadable = 0
        self._by_path: dict[Path, Item] = {}
        self._pasted = 0

    @property
    def answered(self) -> int:
        """How many images have a prediction or a reason why not."""
        return self.class_counts.total() + self.unreadable

    @property
    def waiting(self) -> int:
        """How many images have no answer yet."""
        return len(self.items) - self.answered

    def waiting_items(self) -> list[Item]:
        """Return the images that have no answer yet."""
        return [item for item in self.items if item.outcome is None]

    def add_paths(self, paths: Iterable[Path]) -> list[Item]:
        """Open files; return those that were not open yet."""
        added: list[Item] = []
        for path in paths:
            if path not in self._by_path:
                item = Item(path.name, path)
                self._by_path[path] = item
                added.append(item)
        self.items += added
        return added

    def find(self, path: Path) -> Item | None:
        """Return the open image of a path, if it is open."""
        return self._by_path.get(path)

    def add_pixels(self, name: str, pixels: np.ndarray) -> Item:
        """Open an image that has no file.

        Args:
            name: What to call it; a number is added.
            pixels: A uint8 array of shape [height, width, 3].
        """
        self._pasted += 1
        item = Item(f"{name} {self._pasted}", pixels)
        self.items.append(item)
        return item

    def remove(self, items: Sequence[Item]) -> None:
        """Close images. Answers that are still on their way to them are dropped."""
        for item in items:
            item.is_open = False
            self._uncount(item)
            if isinstance(item.source, Path):
                self._by_path.pop(item.source, None)
        self.items = [item for item in self.items if item.is_open]

    def begin_generation(self, *, forget: bool = False) -> int:
        """Begin a new generation: what is under way counts no more.

        Args:
            forget: Whether all answers are to be asked for again.

        Returns:
            The number of the generation.
        """
        self.generation += 1
        if forget:
            for item in self.items:
                item.forget()
            self.class_counts.clear()
            self.unreadable = 0
        return self.generation

    def forget(self, items: Iterable[Item]) -> None:
        """Let images wait again."""
        for item in items:
            self._uncount(item)
            item.forget()

    def record(self, generation: int, answers: Iterable[tuple[Item, Outcome]]) -> list[Item]:
        """Keep answers that are not late; return the images that have changed."""
        if generation != self.generation:
            return []
        changed = [(item, outcome) for item, outcome in answers if item.is_open]
        for item, outcome in changed:
            self._uncount(item)
            item.answer(outcome)
            if item.cover:
                self.class_counts[item.cover.name] += 1
            else:
                self.unreadable += 1
        return [item for item, _ in changed]

    def _uncount(self, item: Item) -> None:
        if item.cover:
            self.class_counts[item.cover.name] -= 1
        elif item.status is Status.UNREADABLE:
            self.unreadable -= 1
