"""What tests of several folders share: a small real data set, a run on it, files made of the run.

All of them are made once, by the commands themselves, and only when a test asks for them.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from eurosat.run_folder import RunFolder

from .commands import Command

TILES_OF_A_CLASS = 40
SMALL_TRAINING = ("cnn", "--epochs", "4", "--batch-size", "16", "--tensorboard")

PROGRAMS = {
    "eurosat-train": "eurosat.train.cli",
    "eurosat-evaluate": "eurosat.train.evaluate_cli",
    "eurosat-tune": "eurosat.train.tune_cli",
    "eurosat-compare": "eurosat.train.compare_cli",
    "eurosat-convert": "eurosat.convert.cli",
    "eurosat-classify": "eurosat.cli",
    "eurosat-benchmark": "eurosat.benchmark_cli",
    "eurosat-map": "eurosat.scenes.cli",
}

PROJECT = tomllib.loads(
    (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
)["project"]
SCRIPTS: dict[str, str] = PROJECT["scripts"] | PROJECT["gui-scripts"]

# The commands silence TensorFlow before they load it. Tests load it first, in their own process.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def line_of(program: str, *arguments: object) -> list[str]:
    """The command as a user's shell would start it, whether or not it is on the path."""
    module, _, start = SCRIPTS[program].partition(":")
    code = f"import sys; from {module} import {start}; sys.exit({start}())"
    return [sys.executable, "-c", code, *map(str, arguments)]


def user_environment(**changes: str) -> dict[str, str]:
    """The environment without what would make a command talk otherwise than to a plain user."""
    unwanted = {"TF_CPP_MIN_LOG_LEVEL", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"}
    return {name: value for name, value in os.environ.items() if name not in unwanted} | changes


def run_command(
    program: str, *arguments: object, cwd: Path, **changes: str
) -> CompletedProcess[str]:
    return subprocess.run(
        line_of(program, *arguments),
        cwd=cwd,
        env=user_environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the user's cache alone. One that the environment names already is used as it is."""
    if os.environ.get("EUROSAT_CACHE"):
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EUROSAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def command_line() -> Callable[..., list[str]]:
    """Make a command line of a command and its arguments: `command_line(program, *arguments)`."""
    return line_of


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run a command in a process of its own, in an empty folder: `command(program, *arguments)`.

    Keywords are variables of its environment.
    """

    def run(program: str, *arguments: object, **changes: str) -> CompletedProcess[str]:
        return run_command(program, *arguments, cwd=tmp_path, **changes)

    return run


@pytest.fixture
def start_command(tmp_path: Path) -> Callable[..., "subprocess.Popen[str]"]:
    """Start a command as `command` runs it, and hand over the process with its standard error."""

    def start(program: str, *arguments: object) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            line_of(program, *arguments),
            cwd=tmp_path,
            env=user_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            # Whoever runs the tests in the background may have them ignore Ctrl-C.
            preexec_fn=None if os.name == "nt" else heed_interrupts,  # noqa: PLW1509
        )

    return start


def heed_interrupts() -> None:
    """Let Ctrl-C interrupt this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def command_here(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Run a command in this process, where TensorFlow need not start again; else like `command`."""

    def run(program: str, *arguments: object) -> CompletedProcess[str]:
        module = import_module(PROGRAMS[program])
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("COLUMNS", raising=False)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            module.main()
        written = capfd.readouterr()
        status = ended.value.code
        assert isinstance(status, int)
        return CompletedProcess(sys.argv, status, written.out, written.err)

    return run


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 40 real tiles of each of EuroSAT's ten classes."""
    source = os.environ.get("EUROSAT_DATA", "")
    if not zipfile.is_zipfile(source):
        pytest.skip("needs EuroSAT: let EUROSAT_DATA name its zip")
    archive = tmp_path_factory.mktemp("data") / "small.zip"
    taken: Counter[str] = Counter()
    with zipfile.ZipFile(source) as everything, zipfile.ZipFile(archive, "w") as small:
        for name in sorted(everything.namelist()):
            folder, _, file = name.rpartition("/")
            if file.endswith(".jpg") and taken[folder] < TILES_OF_A_CLASS:
                taken[folder] += 1
                small.writestr(name, everything.read(name))
    assert list(taken.values()) == [TILES_OF_A_CLASS] * 10
    return archive


@pytest.fixture(scope="session")
def small_training_options() -> tuple[str, ...]:
    """What `eurosat-train` was told for the small run, besides data and folder."""
    return SMALL_TRAINING


@pytest.fixture(scope="session")
def small_training(
    small_archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> CompletedProcess[str]:
    """How `eurosat-train` went on the small archive; its folder of work is in `cwd`."""
    folder = tmp_path_factory.mktemp("training")
    done = run_command(
        "eurosat-train",
        *SMALL_TRAINING,
        *("--data", small_archive, "--out", folder / "run", "--test"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="session")
def small_run(small_training: CompletedProcess[str]) -> Path:
    """The run folder of a CNN trained for a few epochs on the small archive; not to be changed."""
    arguments = small_training.args
    return Path(arguments[arguments.index("--out") + 1])


@pytest.fixture(scope="session")
def small_conversion(
    small_run: Path, small_archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> CompletedProcess[str]:
    """How `eurosat-convert` went on the small run, to four precisions at once."""
    folder = tmp_path_factory.mktemp("conversion")
    done = run_command(
        "eurosat-convert",
        *(small_run, "--data", small_archive, "--out", folder / "models"),
        *("--int8", "--float32", "--float16", "--dynamic"),
        *("--max-drop", 5, "--max-class-drop", 100),
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def small_models(small_conversion: CompletedProcess[str]) -> Path:
    """The folder of model files made of the small run, such as `cnn-int8.tflite`."""
    arguments = small_conversion.args
    return Path(arguments[arguments.index("--out") + 1])


@pytest.fixture(scope="session")
def models_of_views(
    small_run: Path, small_archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of model files made of the small run that look at eight views of a tile."""
    folder = tmp_path_factory.mktemp("views")
    done = run_command(
        "eurosat-convert",
        *(small_run, "--data", small_archive, "--out", folder, "--views", 8),
        *("--int8", "--float32", "--max-drop", 5, "--max-class-drop", 100),
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Callable[[list[str]], CompletedProcess[str]]:
    """Run a command line in a place where `/mnt` is a disk of 100 kB.

    Its standard output ends with what lies on the disk afterwards, a name a line.
    """
    script = (
        'mount -t tmpfs -o size=100k none /mnt && { "$@"; status=$?; find /mnt; exit $status; }'
    )
    apart = ["unshare", "--mount", "--map-root-user"]
    with suppress(FileNotFoundError):
        tried = subprocess.run(
            [*apart, "sh", "-c", script, "sh", "true"], capture_output=True, check=False
        )
        if tried.returncode == 0:
            return lambda line: subprocess.run(
                [*apart, "sh", "-c", script, "sh", *line],
                cwd=tmp_path,
                env=user_environment(),
                capture_output=True,
                encoding="utf-8",
                check=False,
            )
    pytest.skip("needs a system that allows a file system of one's own (unshare)")


@pytest.fixture
def lock_folder(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let this process search a folder no more, even if root runs it: `lock_folder(path)`."""
    search = Path.iterdir

    def lock(folder: Path) -> None:
        def iterdir(path: Path) -> Iterator[Path]:
            if path == folder:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return search(path)

        monkeypatch.setattr(Path, "iterdir", iterdir)

    return lock


@pytest.fixture
def copied_run(small_run: Path, tmp_path: Path) -> RunFolder:
    """A finished run that a test may change."""
    shutil.copytree(small_run, tmp_path / "run")
    return RunFolder(tmp_path / "run")
