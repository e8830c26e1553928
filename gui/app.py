"""Starts Qt and the window, and keeps an unexpected error from ending either."""

import gc
import logging
import sys
import threading
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QApplication

from .icon import app_icon
from .main_window import MainWindow
from .settings import APPLICATION, ORGANISATION, Settings
from .theme import apply_theme

_LOG = logging.getLogger(__name__)

_SECONDS_BETWEEN_COLLECTIONS = 10
_SECONDS_OF_A_TURN = 0.001


class ErrorRelay(QObject):
    """Carries errors that nobody has caught to the thread of the window.

    Attributes:
        caught: Signal with the exception.
    """

    caught = Signal(object)

    def install(self) -> None:
        """Take all uncaught errors, of Qt's slots and of all threads."""
        sys.excepthook = self._take
        threading.excepthook = lambda arguments: self._take(
            arguments.exc_type, arguments.exc_value, arguments.exc_traceback
        )

    def _take(
        self,
        kind: type[BaseException],
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QApplication.quit()
            return
        _LOG.error("Uncaught error", exc_info=(kind, error or kind(), trace))
        self.caught.emit(error or kind())


class GarbageCollector(QObject):
    """Lets Python collect garbage on the thread of the window alone, and at regular times.

    On any other thread it could delete what belongs to Qt and crash, and in the middle of a
    classification it would stop the window for longer than a user should feel.
    """

    def __init__(self) -> None:
        """Take over from Python."""
        super().__init__()
        gc.disable()
        gc.collect()
        gc.freeze()  # What the program itself consists of need not be looked at again.
        self._timer = QTimer(self)
        self._timer.timeout.connect(gc.collect)
        self._timer.start(_SECONDS_BETWEEN_COLLECTIONS * 1000)


def start(arguments: list[str], settings: Settings) -> QApplication:
    """Start Qt, looking as the user has chosen.

    Args:
        arguments: The command line, for Qt's own options.
        settings: What was chosen.
    """
    # The window asks for Python's lock hundreds of times while it paints a table; at the usual 5 ms
    # for each turn of another thread, it would be deaf for tenths of a second.
    sys.setswitchinterval(_SECONDS_OF_A_TURN)
    app = QApplication(arguments)
    app.setOrganizationName(ORGANISATION)
    app.setApplicationName(APPLICATION)
    app.setApplicationDisplayName(ORGANISATION)
    app.setDesktopFileName(APPLICATION)
    app.setWindowIcon(app_icon())
    # The same on every system, in light and dark, and at every scale.
    app.setStyle("Fusion")
    apply_theme(settings.theme)
    return app


def run(paths: list[Path], settings: Settings) -> int:
    """Show the window until it is closed.

    Args:
        paths: Files and folders to open.
        settings: What the user has chosen in earlier times.

    Returns:
        The exit status.
    """
    app = start(sys.argv[:1], settings)
    window = MainWindow(settings)
    relay = ErrorRelay()
    relay.caught.connect(window.show_error)
    relay.install()
    window.show()
    window.open_paths(paths)
    collector = GarbageCollector()
    status = app.exec()
    collector.deleteLater()
    return status
