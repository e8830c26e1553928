"""Ctrl-C while modules load: the process ends at once, as there is nothing yet to put in order."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

EXIT_INTERRUPTED: Final = 130
"""What a shell reports of a command that Ctrl-C ended."""


@contextmanager
def interrupts_end_at_once() -> Iterator[None]:
    """Let Ctrl-C end the process, without a word, while the block runs.

    An error raised within an import shows a traceback, and native modules turn it into an error
    of another kind. For blocks that write nothing.
    """
    before = signal.getsignal(signal.SIGINT)
    # A job in the background may be deaf to Ctrl-C, and only the first thread may say otherwise.
    is_ours = (
        before is signal.default_int_handler
        and threading.current_thread() is threading.main_thread()
    )
    if not is_ours:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(EXIT_INTERRUPTED)
