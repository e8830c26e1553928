"""TensorFlow starts quietly or says in one sentence that it is missing.

The hub never loads TensorFlow by itself; the commands that train and convert call this first.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

from eurosat.errors import EurosatError, MissingPackageError


def require_tensorflow() -> None:
    """Say at once if TensorFlow is missing, without loading it.

    Raises:
        MissingPackageError: TensorFlow is not installed.
    """
    if find_spec("tensorflow") is None:
        raise MissingPackageError(
            "This command needs TensorFlow: pip install 'eurosat-edge[train]'."
        )


def start_tensorflow() -> None:
    """Import TensorFlow and run a first operation, without its start-up messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with native_messages_hidden():
        tensorflow = import_module("tensorflow")
        tensorflow.zeros(1)
    tensorflow.get_logger().setLevel("ERROR")


@contextmanager
def native_messages_hidden() -> Iterator[None]:
    """Hide what native code writes to the terminal; show it if the block fails by surprise.

    Not for code that runs beside other threads which write there.
    """
    # Without one of them, which a shell can close, Python has none.
    streams = [(number, file) for number, file in ((1, sys.stdout), (2, sys.stderr)) if file]
    for _, file in streams:
        file.flush()
    kept = [(number, os.dup(number)) for number, _ in streams]
    with tempfile.TemporaryFile() as hidden:
        shown = b""
        try:
            for number, _ in kept:
                os.dup2(hidden.fileno(), number)
            yield
        except Exception as error:
            if not isinstance(error, EurosatError):
                hidden.seek(0)
                shown = hidden.read()
            raise
        finally:
            for _, file in streams:
                file.flush()
            for number, original in kept:
                os.dup2(original, number)
                os.close(original)
            if shown and sys.stderr:
                os.write(2, shown)
