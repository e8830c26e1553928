"""Run the project on a machine that has nothing but Python: `python tools/run.py app`.

Only the standard library. Each command makes the virtual environment that it needs, with exact
versions and checked hashes, keeps it, and mends it when it is out of date or half-made. The
Makefile is a thin cover of this file, for machines that have make.
"""

from __future__ import annotations  # So that an older Python gets as far as being told so.

import argparse
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Environment(NamedTuple):
    """A virtual environment that this file makes, and the exact packages in it."""

    folder: Path
    packages: Path
    newest_python: tuple[int, int]


# PySide6 6.11 and LiteRT 2.3 have wheels up to Python 3.14, TensorFlow 2.21 up to 3.13.
APP = Environment(ROOT / ".venv", ROOT / "constraints-app.txt", (3, 14))
DEVELOPMENT = Environment(ROOT / ".venv-dev", ROOT / "constraints.txt", (3, 13))
OLDEST_PYTHON = (3, 11)

# What makes bundles comes on top of the app's environment, and only for who makes one.
BUNDLER = ROOT / "constraints-bundle.txt"

MOST_PROCESSES = 2
"""That test at once: each needs up to 3 GB."""

STAMP = "eurosat-edge-stamp.txt"
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130

SPOKES = ("train", "convert", "gui", "models")


class Refusal(Exception):
    """A reason not to go on, in one sentence."""


def main() -> int:
    """Run the command that the command line names.

    Returns:
        The exit status.
    """
    commands = {
        "app": app,
        "test": test,
        "demo": demo,
        "lint": lint,
        "format": tidy,
        "bundle": bundle,
    }
    parser = argparse.ArgumentParser(description="Run EuroSAT Edge from its source folder.")
    parser.add_argument(
        "command",
        choices=commands,
        help="app: open the desktop app; test: run all tests; demo: train, convert and classify"
        " in the terminal; lint: check style and types; format: put code into form; bundle: make a"
        " folder of the app that runs without Python",
    )
    arguments, rest = parser.parse_known_args()
    try:
        return commands[arguments.command](rest)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def app(options: list[str]) -> int:
    """Open the desktop app."""
    # Asked first: nothing need be downloaded to know it.
    sys.path.append(str(ROOT / "gui"))
    import screen  # pyright: ignore[reportMissingImports]  # A file of the app, not yet installed.

    obstacle = screen.obstacle("`make demo` shows the main job in the terminal")
    if obstacle:
        raise Refusal(obstacle)
    # Where the caller is, as paths count from there; -P: nothing there is taken for our code.
    return call(ready(APP), "-P", "-m", "eurosat.gui", *options, folder=Path.cwd())


def test(options: list[str]) -> int:
    """Run the tests, without a screen unless the caller chose one."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # One file after the other in each process: what the tests of a file share is made once.
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    side_by_side = ["--numprocesses", str(processes), "--dist", "loadfile"]
    return call(ready(DEVELOPMENT), "-m", "pytest", *side_by_side, *options)


def demo(options: list[str]) -> int:
    """Do the main job in the terminal."""
    return call(ready(DEVELOPMENT), "tools/demo.py", *options)


def lint(options: list[str]) -> int:
    """Check style and types; all three checks run, whatever the first says."""
    python = ready(DEVELOPMENT)
    lay_out_packages()
    checks = [
        ["-m", "ruff", "check"],
        ["-m", "ruff", "format", "--check"],
        ["-m", "pyright", *options],
    ]
    return max([call(python, *check) for check in checks])


def tidy(options: list[str]) -> int:
    """Put code into the project's form."""
    python = ready(DEVELOPMENT)
    fixed = call(python, "-m", "ruff", "check", "--fix", *options)
    return max(fixed, call(python, "-m", "ruff", "format", *options))


def bundle(options: list[str]) -> int:
    """Make a folder of the app that runs without Python, in dist."""
    python = ready(APP)
    install(python, "--quiet", "--requirement", str(BUNDLER), "--require-hashes")
    # The bundle is made of what a wheel holds. What an old build left would end up in it.
    package = ROOT / "build" / "bundle-package"
    for old in (ROOT / "build" / "lib", package):
        shutil.rmtree(old, ignore_errors=True)
    install(python, "--no-build-isolation", "--quiet", "--target", str(package), str(ROOT))
    os.environ["PYTHONPATH"] = str(package)
    settings = ["--noconfirm", "--log-level", "WARN", "--workpath", "build/bundle"]
    # -P: the folder `eurosat` of the sources is only the hub.
    made = call(python, "-P", "-m", "PyInstaller", *settings, *options, "tools/bundle/bundle.spec")
    if made == 0:
        print(f"The app stands in {ROOT / 'dist' / 'eurosat-edge'}; start eurosat-gui there.")
    return made


def call(python: Path, *arguments: str, folder: Path = ROOT) -> int:
    """Run one Python command in a folder, that of the sources by default.

    Returns:
        Its exit status.
    """
    return subprocess.call([str(python), *arguments], cwd=str(folder))


def ready(environment: Environment) -> Path:
    """Make, mend or just find an environment.

    Returns:
        Its Python.

    Raises:
        Refusal: This machine lacks something.
    """
    check_python(environment.newest_python)
    folder = environment.folder
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # Another Python, another place or other packages: start afresh, so that nothing is left over.
    packages = fingerprint(environment.packages, str(sys.version_info[:2]), str(ROOT))
    project = fingerprint(ROOT / "pyproject.toml")
    stamp = folder / STAMP
    done = stamp.read_text(encoding="utf-8").split() if stamp.exists() else []
    if not python.exists() or done[:1] != [packages]:
        create(folder)
        install(python, "--requirement", str(environment.packages), "--require-hashes")
        done = [packages]
    if done != [packages, project]:
        install(python, "--no-build-isolation", "--quiet", "--editable", str(ROOT))
        # Written last: an environment without a stamp is half-made.
        stamp.write_text(f"{packages}\n{project}\n", encoding="utf-8")
    return python


def check_python(newest: tuple[int, int]) -> None:
    """Refuse a Python that the packages do not support."""
    if OLDEST_PYTHON <= sys.version_info[:2] <= newest:
        return
    oldest_name, newest_name = ("{}.{}".format(*version) for version in (OLDEST_PYTHON, newest))
    raise Refusal(
        f"This needs Python {oldest_name} to {newest_name}, and {sys.executable} is Python"
        f" {platform.python_version()}; name another one, such as `make app PYTHON=python3.12`."
    )


def fingerprint(file: Path, *facts: str) -> str:
    """Return a checksum of a file's bytes and of some facts."""
    return hashlib.sha256(b"\0".join([file.read_bytes(), *map(os.fsencode, facts)])).hexdigest()


def create(folder: Path) -> None:
    """Make an empty virtual environment, in place of one that this function made before."""
    prompt = f"eurosat-edge {folder.name}"
    settings = folder / "pyvenv.cfg"
    if settings.exists() and prompt not in settings.read_text(encoding="utf-8"):
        raise Refusal(
            f"{folder} is an environment that this command did not make; move it away and run"
            " the command again."
        )
    if importlib.util.find_spec("ensurepip") is None:
        raise Refusal(
            "This Python cannot make virtual environments; on Debian or Ubuntu, install what is"
            " missing with `sudo apt install python3-venv`."
        )
    print(f"Making the environment {folder.name}, once.", flush=True)
    command = [sys.executable, "-m", "venv", "--clear", "--prompt", prompt, str(folder)]
    if subprocess.call(command) != 0:
        raise Refusal(f"{folder} could not be made; Python's message stands above.")


def install(python: Path, *what: str) -> None:
    """Install exactly what is named; the files of constraints name every dependency too."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps"]
    # A source package would run code that fetches unchecked packages.
    command += ["--only-binary", ":all:", *what]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", cwd=str(ROOT)
    )
    messages = ""
    for line in process.stderr or ():
        messages += line
        print(line, end="", file=sys.stderr, flush=True)
    if process.wait() != 0:
        raise Refusal(diagnosis(messages))


def diagnosis(messages: str) -> str:
    """Say in one sentence why pip failed, from what it wrote on standard error."""
    if "DO NOT MATCH THE HASHES" in messages:
        return (
            "A package that came over the network is not the one whose hash stands in the"
            " constraints file, so it was not installed; pip names it above."
        )
    if "No space left" in messages:
        return "The disk is full."
    if "Retrying (" in messages or "ConnectionError" in messages or "timed out" in messages:
        return "The packages could not be downloaded; check the network and run the command again."
    if "No matching distribution" in messages:
        return (
            f"A package that pip names above has no build for Python {platform.python_version()}"
            f" on {platform.system()} {platform.machine()}."
        )
    return "The packages could not be installed; pip's message stands above."


def lay_out_packages() -> None:
    """Bring the spokes below one folder `eurosat`, where pyright looks for `eurosat.train`.

    The layout has the hub's `__init__.py` too: without it, pyright takes the folder for less
    than the hub itself and does not look inside.
    """
    layout = ROOT / "build" / "typing" / "eurosat"
    shutil.rmtree(layout, ignore_errors=True)
    layout.mkdir(parents=True)
    shutil.copyfile(ROOT / "eurosat" / "__init__.py", layout / "__init__.py")
    for spoke in SPOKES:
        try:
            (layout / spoke).symlink_to(ROOT / spoke, target_is_directory=True)
        except OSError:  # Windows lets only some users make links.
            shutil.copytree(ROOT / spoke, layout / spoke)


if __name__ == "__main__":
    sys.exit(main())
