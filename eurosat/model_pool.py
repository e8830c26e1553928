"""Loaded copies of one model, each lent to one borrower at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from queue import LifoQueue

from eurosat.runtime import OpenModel, open_model


class ModelPool:
    """Copies of one model, loaded when they are first needed."""

    def __init__(
        self, flatbuffer: bytes, name: str, *, size: int, threads: int = 1, is_scene: bool = False
    ) -> None:
        """Take the model; nothing is loaded yet.

        Args:
            flatbuffer: The model, as in `ModelFile.flatbuffer`.
            name: How messages name it.
            size: How many copies may be in use at once.
            threads: How many threads each of them computes with.
            is_scene: Whether the model gives a grid of answers, see `eurosat.scenes.twin`.
        """
        self._open = partial(open_model, flatbuffer, name, threads=threads, is_scene=is_scene)
        # None stands for a copy that is yet to be loaded. The last one put back is taken first, so
        # no more are loaded than were ever needed at once.
        self._idle: LifoQueue[OpenModel | None] = LifoQueue()
        for _ in range(size):
            self._idle.put(None)

    @property
    def has_idle(self) -> bool:
        """Whether a borrower would not have to wait, if no other came first."""
        return not self._idle.empty()

    @contextmanager
    def lent(self) -> Iterator[OpenModel]:
        """Lend a copy; wait for one if all are in use.

        Raises:
            ModelFileError: The model cannot be loaded, see `open_model`.
            MissingPackageError: There is no runtime.
        """
        model = self._idle.get()
        try:
            if model is None:
                model = self._open()
            yield model
        finally:
            self._idle.put(model)
