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
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [(stream, os.dup(stream)) for stream in (1, 2)]
    with tempfile.TemporaryFile() as hidden:
        shown = b""
        try:
            for stream, _ in kept:
                os.dup2(hidden.fileno(), stream)
            yield
        except Exception as error:
            if not isinstance(error, EurosatError):
                hidden.seek(0)
                shown = hidden.read()
            raise
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, original in kept:
                os.dup2(original, stream)
                os.close(original)
            os.write(2, shown)
