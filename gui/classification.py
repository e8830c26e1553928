"""The thread that classifies: it takes images from a queue and hands back answers in handfuls."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Condition
from time import perf_counter
from typing import Final

import numpy as np
from PySide6.QtCore import QThread, Signal

from eurosat.classifier import Classifier
from eurosat.errors import EurosatError

from .workspace import Item, Outcome

_LOG = logging.getLogger(__name__)

# Answers are handed over at most so often: each handful costs the window some work.
_SECONDS_BETWEEN: Final = 0.05


class ClassificationThread(QThread):
    """Classifies images in the order in which they were asked for.

    Attributes:
        answered: Signal with a generation and a list of pairs of item and outcome.
    """

    answered = Signal(int, list)

    def __init__(self) -> None:
        """Prepare the thread; `start` lets it run."""
        super().__init__()
        # All that the window and the thread share is guarded by this.
        self._changed = Condition()
        self._queue: deque[Item] = deque()
        self._generation = 0
        self._classifier: Classifier | None = None
        self._is_stopped = False
        # Only the thread itself touches these.
        self._handful: list[tuple[Item, Outcome]] = []
        self._handed_over = 0.0

    def classify(self, generation: int, classifier: Classifier, items: Iterable[Item]) -> None:
        """Ask for answers. What was asked for in an older generation is dropped."""
        with self._changed:
            if generation != self._generation:
                self._queue.clear()
            self._generation = generation
            self._classifier = classifier
            self._queue.extend(items)
            self._changed.notify()

    def hurry(self, item: Item) -> None:
        """Take an image next, if it is still in the queue."""
        with self._changed:
            if item in self._queue:
                self._queue.remove(item)
                self._queue.appendleft(item)

    def drop(self, generation: int) -> None:
        """Drop all that was asked for before this generation."""
        with self._changed:
            self._queue.clear()
            self._generation = generation

    def stop(self) -> None:
        """End the thread after at most the few images that it is at; return when it has ended."""
        with self._changed:
            self._queue.clear()
            self._generation = -1
            self._is_stopped = True
            self._changed.notify()
        self.wait()

    def run(self) -> None:
        """Work until told to stop. Called by Qt."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._is_stopped)
                if self._is_stopped:
                    return
                generation, classifier = self._generation, self._classifier
            if classifier is not None:
                self._classify_queue(generation, classifier)

    def _classify_queue(self, generation: int, classifier: Classifier) -> None:
        """Classify what is in the queue, as one stream on all cores, until a new generation."""
        under_way: deque[Item] = deque()

        def sources() -> Iterator[Path | np.ndarray]:
            while (item := self._next(generation)) is not None:
                under_way.append(item)
                yield item.source

        stream = classifier.classify_stream(sources())
        try:
            for _, outcome in stream:
                self._answer(generation, under_way.popleft(), outcome)
                if generation != self._generation:
                    break
        except Exception:  # noqa: BLE001 - Nothing in a file may end the thread.
            # A model that fails on an image, or a mistake of ours. One by one, the images that
            # are to blame get the reason, and the others their answers.
            _LOG.warning("A stream of images broke off", exc_info=True)
            for item in under_way:
                self._answer(generation, item, _outcome_of(classifier, item))
        self._hand_over(generation)

    def _next(self, generation: int) -> Item | None:
        with self._changed:
            while self._queue and generation == self._generation:
                item = self._queue.popleft()
                if item.is_open:
                    return item
        return None

    def _answer(self, generation: int, item: Item, outcome: Outcome) -> None:
        self._handful.append((item, outcome))
        if perf_counter() - self._handed_over > _SECONDS_BETWEEN:
            self._hand_over(generation)

    def _hand_over(self, generation: int) -> None:
        if self._handful:
            self.answered.emit(generation, self._handful)
            self._handful = []
            self._handed_over = perf_counter()


def _outcome_of(classifier: Classifier, item: Item) -> Outcome:
    try:
        return classifier.classify(item.source)
    except EurosatError as error:
        return error
    except Exception as error:  # noqa: BLE001 - No image may end the thread.
        return EurosatError(
            f"{item.location} could not be classified ({type(error).__name__}): restart the app, "
            "and report this if it stays."
        )
