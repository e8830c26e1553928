"""Tries a model file that was never seen before in a child process.

LiteRT checks the structure of a file, but a damaged or hostile model can still end the process
while its tensors are laid out or computed. So a model is run once in a process of its own, under
limits of time and memory, before the process of the user loads it.
"""

import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from eurosat import atomic
from eurosat.errors import ModelFileError, printable
from eurosat.model_file import ModelFile, is_shipped
from eurosat.runtime import load_runtime, open_model, runtime_version
from eurosat.user_cache import user_cache

_LOG = logging.getLogger(__name__)

PROBE_SECONDS: Final = 60.0
"""How long the child process may take to load and run a model, in seconds."""

# Beyond what the child has in use with the file read: enough for a model that unpacks its weights
# from 8-bit to 32-bit numbers, far below what makes a computer unusable.
_MEMORY_BYTES: Final = 2_000_000_000
_MEMORY_FACTOR: Final = 8

CHILD_OPTION: Final = "--try-model"
"""In a bundle, the first argument of the child process; the second names the model."""


def probe(model_file: ModelFile, *, seconds: float = PROBE_SECONDS) -> None:
    """Make sure that a model can be opened without ending the process.

    Files that came with the installation are trusted. Any other file is opened and run once in a
    child process, which gets the very bytes that were read; a file that passed is remembered by
    its SHA-256 and the version of LiteRT in the user's cache folder.

    Args:
        model_file: The file.
        seconds: How long the child process may take.

    Raises:
        ModelFileError: The model crashes, takes too long or is no image classifier.
        MissingPackageError: There is no runtime.
    """
    if is_shipped(model_file.sha256):
        return
    version = runtime_version()
    marker = user_cache() / "probed-models" / f"{model_file.sha256} {version}"
    with suppress(OSError):
        if marker.exists():
            return
    _run_in_child(model_file, seconds)
    try:
        atomic.write_text(marker, "")
    except OSError as error:
        _LOG.debug("The probe of %s cannot be remembered: %s", model_file.path, error)


def _run_in_child(model_file: ModelFile, seconds: float) -> None:
    """Open a model in a child process.

    Raises:
        ModelFileError: The model crashes, takes too long or is no image classifier.
    """
    import subprocess

    name = printable(model_file.path)
    # The child must find this package and LiteRT wherever this process found them.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    }
    try:
        child = subprocess.run(
            [*_child_command(), name],
            input=model_file.flatbuffer,
            capture_output=True,
            timeout=seconds,
            check=False,
            env=environment,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFileError(
            f"{name} did not answer within {seconds:.0f} seconds: choose another model."
        ) from error
    except OSError as error:
        raise ModelFileError(
            f"{name} cannot be checked, as no process can be started ({error.strerror})."
        ) from error
    _LOG.debug("The probe of %s ended with %d: %s", name, child.returncode, child.stderr)
    try:
        refusal = json.loads(child.stdout.splitlines()[-1])["refusal"]
    except (ValueError, LookupError, TypeError) as error:
        raise _crashes(name) from error
    if refusal is not None:
        raise ModelFileError(str(refusal))
    # A model can also crash when it is unloaded, after the report.
    if child.returncode != 0:
        raise _crashes(name)


def _child_command() -> list[str]:
    """Return the command that runs `main` in another process, less the name of the model."""
    # In a bundle without Python, this is the app itself; `tools/bundle/start.py` knows the option.
    if getattr(sys, "frozen", False):
        return [sys.executable, CHILD_OPTION]
    # Without -P, Python would run what lies in the current folder.
    return [sys.executable, "-P", "-m", "eurosat.probe"]


def main() -> None:
    """Open the model that comes in on standard input; print a line of JSON: why it is refused."""
    name = sys.argv[-1]
    flatbuffer = sys.stdin.buffer.read()
    load_runtime()
    _limit_resources(len(flatbuffer))
    refusal = None
    try:
        model = open_model(flatbuffer, name)
        model.run(np.zeros(model.input.shape, model.input.dtype))
    except ModelFileError as error:
        refusal = str(error)
    sys.stdout.write(json.dumps({"refusal": refusal}) + "\n")


def _limit_resources(size: int) -> None:
    """Limit the memory of this process, and have it leave no core file if it crashes."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Only Linux says here how much is in use and keeps to the limit.
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + _MEMORY_BYTES + _MEMORY_FACTOR * size
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (min(limit, sys.maxsize), hard))


def _crashes(name: str) -> ModelFileError:
    return ModelFileError(
        f"{name} crashes LiteRT, so it is damaged or made for another version: convert or download "
        "it again."
    )


if __name__ == "__main__":
    main()
