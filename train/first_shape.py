"""Which architecture and sizes a new model takes over from the one that it begins with.

All of it is read from what the earlier model records of its training, so that an option that does
not go with it is refused before TensorFlow is there.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eurosat.errors import EurosatError, ModelFileError, RunFolderError
from eurosat.existence import exists
from eurosat.model_file import find_model, read_model_file, shipped_model_names
from eurosat.run_folder import RunFolder

from .configuration import SHAPE, TrainingConfiguration, recorded_configuration

INT8 = "int8"
"""The precision of files that can be gone on from."""


def shape_to_take_over(given: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return architecture and sizes of the model to begin with; nothing where there is none.

    Args:
        given: Options that were given; `from_run` or `from_model` names the model.
        asked: What was asked for, be it by other means than options.

    Raises:
        RunFolderError: The folder is no training run, or is damaged.
        ModelFileError: The file is missing, damaged, or no int8 model of ours.
        EurosatError: Others were asked for.
    """
    for name, read in _READERS.items():
        source = given.get(name)
        if not source:
            continue
        theirs = read(source)
        shape = {key: getattr(theirs, key) for key in SHAPE[theirs.architecture]} if theirs else {}
        leave_out = f"leave out --{name.replace('_', '-')}."
        kind = shape.get("architecture")
        if kind and asked.get("architecture", kind) != kind:
            raise EurosatError(
                f"{source} is a {kind}, not a {asked['architecture']}: write `eurosat-train "
                f"{kind}`, or {leave_out}"
            )
        for key, value in shape.items():
            if asked.get(key, value) != value:
                raise EurosatError(
                    f"The model of {source}, gone on from, has {key} {value}, not {asked[key]}: "
                    f"leave that out, or {leave_out}"
                )
        return shape
    return {}


def no_int8_model(path: Path) -> ModelFileError:
    """Return the refusal of a file that cannot be gone on from."""
    return ModelFileError(
        f"{path} is no int8 model of eurosat-convert: convert the model to go on from with --int8."
    )


def _configuration_of_run(run: str) -> TrainingConfiguration:
    folder = RunFolder(Path(run))
    is_shipped = run in shipped_model_names() and not exists(folder.config)
    if folder.path.suffix == ".tflite" or is_shipped:
        raise RunFolderError(f"{run} is a converted model and no run: name it with --from-model.")
    return recorded_configuration(folder)


def _configuration_of_file(source: str) -> TrainingConfiguration | None:
    """Return how the model of a file was trained; None if the file does not say."""
    path = find_model(source)
    metadata = read_model_file(path).metadata
    if metadata is None or metadata.precision != INT8:
        raise no_int8_model(path)
    try:
        return TrainingConfiguration.from_json(metadata.provenance["training"])
    except (KeyError, ValueError, TypeError):
        return None  # Then its weights are compared with those of the new model, later.


_READERS: dict[str, Callable[[str], TrainingConfiguration | None]] = {
    "from_run": _configuration_of_run,
    "from_model": _configuration_of_file,
}
"""By option, what tells how the model that it names was trained."""
