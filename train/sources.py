"""The models that a run learns from: where they are, and whether they are still the same."""

import hashlib
from pathlib import Path

from eurosat.errors import EurosatError, ModelFileError
from eurosat.existence import exists, is_file, is_folder
from eurosat.model_file import shipped_model_names
from eurosat.run_folder import RunFolder, find_run_or_model

from .configuration import TrainingConfiguration

SOURCES = ("teacher", "from_run", "from_model")
"""Options that name a model."""


def lasting(source: str) -> str:
    """Return a name of a model that holds wherever a run is gone on with: paths are absolute."""
    is_path = source and source not in shipped_model_names() and exists(Path(source))
    return str(Path(source).absolute()) if is_path else source


def check_teacher(source: str) -> None:
    """Refuse a teacher that is not there.

    Raises:
        ModelFileError: There is no such file, folder or shipped model.
    """
    if not exists(Path(source)) and source not in shipped_model_names():
        raise ModelFileError(
            f"The teacher {source} is not there: put it back, or name a run folder, a "
            f".keras or .tflite file, {' or '.join(shipped_model_names())}."
        )


def check_weights(weights: str) -> None:
    """Refuse first weights that are neither a file nor a word that stands for some.

    Raises:
        EurosatError: There is no such file.
    """
    if weights not in {"imagenet", "none"} and not is_file(Path(weights)):
        raise EurosatError(
            f"There is no weight file {weights}: name a file, or say imagenet or none."
        )


def source_digests(configuration: TrainingConfiguration) -> dict[str, str]:
    """Return the SHA-256 of each model that is named, as hexadecimal digits, by option.

    Raises:
        EurosatError: One cannot be read.
    """
    named = {name: getattr(configuration, name) for name in SOURCES}
    return {name: _digest(source) for name, source in named.items() if source}


def check_source(folder: RunFolder, name: str, source: str) -> None:
    """Refuse a model that is no longer the one that a run began with.

    A shipped model keeps its name from version to version, and a run may be trained anew.

    Args:
        folder: The run; where nothing is recorded, as by an earlier version, nothing is refused.
        name: The option that named the model.
        source: The model.

    Raises:
        EurosatError: It is another one, or cannot be read.
    """
    recorded = folder.read_config().get("sources") if exists(folder.config) else None
    expected = recorded.get(name) if isinstance(recorded, dict) else None
    found = _digest(source) if expected else None
    if expected != found:
        raise EurosatError(
            f"{source} is no longer the model that {folder.path} began with: put that "
            f"one back, whose SHA-256 begins with {str(expected)[:12]}."
        )


def sha256_of_model(path: Path) -> str:
    """Return the SHA-256, as hexadecimal digits, of a model file or of the model in a run folder.

    Raises:
        EurosatError: It cannot be read.
    """
    path = RunFolder(path).model if is_folder(path) else path
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EurosatError(f"{path} cannot be read ({error.strerror}): put it back.") from error


def _digest(source: str) -> str:
    return sha256_of_model(find_run_or_model(source))
