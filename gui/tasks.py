"""Work that is done once, away from the window: it reports, can be cancelled, and never raises."""

import logging
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThreadPool, Signal

from eurosat.errors import EurosatError

_LOG = logging.getLogger(__name__)


class Task(QObject):
    """A function that runs on a thread of Qt's pool.

    Attributes:
        reported: Signal with whatever the function reports on its way.
        finished: Signal with what it returned.
        refused: Signal with the sentence of an `EurosatError`.
        failed: Signal with any other exception, which is a mistake of ours.
        ended: Signal after any of these, and after a cancel.
        is_cancelled: Whether nobody wants the result any more; long functions look at it.
    """

    reported = Signal(object)
    finished = Signal(object)
    refused = Signal(str)
    failed = Signal(object)
    ended = Signal()

    def __init__(self, work: "Callable[[Task], Any]", parent: QObject) -> None:
        """Prepare the work.

        Args:
            work: The function; it gets this task.
            parent: What keeps the task until it has ended.
        """
        super().__init__(parent)
        self._work = work
        self.is_cancelled = False

    def start(self) -> None:
        """Begin, as soon as a thread is free."""
        QThreadPool.globalInstance().start(self._run)

    def cancel(self) -> None:
        """Let the function end early; its result is dropped."""
        self.is_cancelled = True

    def report(self, progress: Any) -> None:
        """Tell the window how far the work has come."""
        if not self.is_cancelled:
            self.reported.emit(progress)

    def _run(self) -> None:
        try:
            result = self._work(self)
        except EurosatError as error:
            if not self.is_cancelled:
                self.refused.emit(str(error))
        except Exception as error:  # noqa: BLE001 - It reaches the user as a message.
            _LOG.debug("A task failed", exc_info=True)
            self.failed.emit(error)
        else:
            if not self.is_cancelled:
                self.finished.emit(result)
        self.ended.emit()
