"""Starts Qt and the window; an unexpected error ends neither, and Ctrl-C in the shell both."""

import gc
import logging
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType

from PySide6.QtCore import QObject, QSocketNotifier, QTimer, Signal
from PySide6.QtWidgets import QApplication

from eurosat.interrupts import interrupts_end_at_once

from .icon import app_icon
from .main_window import MainWindow
from .settings import APPLICATION, ORGANISATION, Settings
from .small_screen import keep_dialogs_on_screen
from .theme import apply_theme

_LOG = logging.getLogger(__name__)

_SECONDS_BETWEEN_COLLECTIONS = 10
_SECONDS_OF_A_TURN = 0.001
_MOST_INTERRUPTS = 64


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


class InterruptListener(QObject):
    """Hears Ctrl-C in the shell, even while nothing happens in the window.

    Python would not run before the next event that needs it, and then raise an error in whatever
    Qt asks of it.

    Attributes:
        came: Signal: the app is to end.
    """

    came = Signal()

    def __init__(self) -> None:
        """Listen, unless whoever started the app has made it deaf."""
        super().__init__()
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return
        self._ears = socket.socketpair()
        for ear in self._ears:
            ear.setblocking(False)
        heard, told = self._ears
        self._notifier = QSocketNotifier(heard.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._hear)
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGINT, _raise_nothing)

    def stop(self) -> None:
        """Listen no more; who is at the end anyway need not be told to end."""
        signal.set_wakeup_fd(-1)

    def _hear(self) -> None:
        with suppress(BlockingIOError):  # Qt may wake it a second time for what was read already.
            self._ears[0].recv(_MOST_INTERRUPTS)
            self.came.emit()


def _raise_nothing(number: int, frame: FrameType | None) -> None:
    """Let whatever Qt asks of Python right now come to its end."""


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
    keep_dialogs_on_screen(app)
    return app


def run(paths: list[Path], settings: Settings) -> int:
    """Show the window until it is closed.

    Args:
        paths: Files and folders to open.
        settings: What the user has chosen in earlier times.

    Returns:
        The exit status.
    """
    with interrupts_end_at_once():
        app = start(sys.argv[:1], settings)
        window = MainWindow(settings)
        relay = ErrorRelay()
        relay.caught.connect(window.show_error)
        relay.install()
        window.show()
        window.open_paths(paths)
        collector = GarbageCollector()
    interrupts = InterruptListener()
    interrupts.came.connect(app.quit)
    status = app.exec()
    interrupts.stop()
    collector.deleteLater()
    return status
