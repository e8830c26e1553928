"""How fast answers come, of images or of the windows of a scene. It knows nothing of Qt."""

from dataclasses import dataclass
from typing import Final

# The first answer also waits for the model to warm up.
_FEWEST_TO_TELL: Final = 10


@dataclass
class Pace:
    """How fast answers come, from the times at which they came.

    Attributes:
        started: When the first was asked for, in seconds of any clock.
        latest: When the latest came, on the same clock.
        done: How many have come.
    """

    started: float
    latest: float
    done: int = 0

    def advance(self, count: int, now: float) -> None:
        """Count answers."""
        self.done += count
        self.latest = now

    @property
    def seconds_each(self) -> float | None:
        """How long an answer takes, or None as long as too few have come to tell."""
        if self.done < _FEWEST_TO_TELL:
            return None
        return (self.latest - self.started) / self.done
