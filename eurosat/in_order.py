"""Work that is handed out ahead, and its results in the order in which it was handed out."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

Item = TypeVar("Item")


def in_order(submit: Callable[[Item], Any], items: Iterable[Item], limit: int) -> Iterator[Any]:
    """Hand out items and yield their results in order.

    Whoever stops early need not wait for what nobody wants any more: it is cancelled.

    Args:
        submit: Hands out an item and returns its future, of `concurrent.futures` or of Dask.
        items: What is to be done; taken as it is handed out.
        limit: How many are handed out at once, at most.
    """
    waiting: deque[Any] = deque()
    try:
        for item in items:
            waiting.append(submit(item))
            if len(waiting) >= limit:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            # Without a scheduler none can be cancelled, which must not hide why this ends.
            with suppress(Exception):
                future.cancel()
