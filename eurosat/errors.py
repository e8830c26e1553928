"""The one error family: everything a user can cause, said in one sentence; and names in it."""

from collections.abc import Sequence
from pathlib import Path


class EurosatError(Exception):
    """A refusal whose message is one clear sentence: what is wrong, with which file, what to do.

    Command lines print the message and exit with status 2; the app shows it. Anything that is not
    an `EurosatError` is a bug of ours.
    """

    def __str__(self) -> str:
        """Return the message on one line: names in it may hold line breaks and terminal codes."""
        return printable(super().__str__())


class ImageError(EurosatError, ValueError):
    """An image that is missing, unreadable, damaged, too large or no image at all."""


class SceneError(EurosatError, ValueError):
    """A scene that is missing, unreadable, damaged, or does not say which bands are its colours."""


class DatasetError(EurosatError, ValueError):
    """A data set that cannot be found, downloaded, read or split."""


class RunFolderError(EurosatError, ValueError):
    """A folder that is not a finished training run, or whose files do not fit together."""


class ModelFileError(EurosatError, ValueError):
    """A model file that is missing, damaged, hostile, or not an image classifier."""


class MissingPackageError(EurosatError, ImportError):
    """A missing package of an extra; the message names the command that installs it."""


DAMAGED = "is damaged or cut short: save or download it again."
"""How the refusal of an image or a scene ends that breaks off while it is read."""


def cannot_be_written(path: Path, error: OSError) -> EurosatError:
    """Return the refusal of a file that was to be written."""
    return EurosatError(f"{path} cannot be written: {error.strerror}.")


def damaged_in_run(path: Path) -> RunFolderError:
    """Return the refusal of a file of a training run that is damaged."""
    return RunFolderError(f"{path} is damaged: train again, or restore it.")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind if it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def first_of(names: Sequence[object]) -> str:
    """Return the first of some paths or names for a message, and how many there are besides."""
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return printable(names[0]) + more


def printable(name: object) -> str:
    """Return a path or name for a message, without line breaks, terminal codes or odd bytes."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(name)
    )
