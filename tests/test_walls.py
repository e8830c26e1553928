"""The walls of the house: who may import whom, and what the hub may load."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SPOKES = ("train", "convert", "gui", "models")
HEAVY = ("tensorflow", "keras", "sklearn", "matplotlib", "PySide6", "rasterio")
HOMES = {"tensorflow": {"train", "convert"}, "keras": {"train", "convert"}, "PySide6": {"gui"}}

HUB_MODULES = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for file in (ROOT / "eurosat").rglob("*.py")
)
FILES = sorted(file for room in ("eurosat", *SPOKES) for file in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("module", HUB_MODULES)
def test_a_hub_module_loads_nothing_heavy(module: str, tmp_path: Path) -> None:
    assert _loaded_by(module, tmp_path) & set(HEAVY) == set()


def test_what_a_module_loads_is_seen(tmp_path: Path) -> None:
    assert {"sqlite3", "email"} <= _loaded_by("sqlite3, email.message", tmp_path)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_file_reaches_through_a_wall(file: Path) -> None:
    room = file.relative_to(ROOT).parts[0]
    package = "eurosat" if room == "eurosat" else f"eurosat.{room}"
    inside = file.relative_to(ROOT / room).parent.parts
    package = ".".join([package, *inside])
    assert list(_breaches(file.read_text(encoding="utf-8"), room, package)) == []


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("import eurosat.train", "gui"),
        ("import eurosat.train.fit as fit", "convert"),
        ("from eurosat.train.fit import fit", "gui"),
        ("from eurosat import gui", "train"),
        ("from .. import convert", "train"),
        ("from ..convert.export import export", "train"),
        ("from eurosat.models import card", "gui"),
        ("import train", "gui"),
        ("from train import cli", "convert"),
        ("def late():\n    from eurosat.gui import app", "eurosat"),
        ("from .gui import app", "eurosat"),
        ("from . import gui", "eurosat"),
        ("import keras", "gui"),
        ("from tensorflow.lite import Interpreter", "eurosat"),
        ("from PySide6.QtCore import Qt", "eurosat"),
    ],
)
def test_a_breach_is_found(source: str, room: str) -> None:
    package = "eurosat" if room == "eurosat" else f"eurosat.{room}"
    assert list(_breaches(source, room, package)) != []


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("from eurosat.labels import LABELS", "gui"),
        ("from eurosat import labels", "gui"),
        ("from .fit import fit", "train"),
        ("from . import fit", "train"),
        ("from eurosat.train.fit import fit", "train"),
        ("import keras.models", "convert"),
        ("from PySide6 import QtWidgets", "gui"),
        ("from .labels import LABELS", "eurosat"),
        ("import training", "gui"),
    ],
)
def test_an_open_door_is_no_breach(source: str, room: str) -> None:
    package = "eurosat" if room == "eurosat" else f"eurosat.{room}"
    assert list(_breaches(source, room, package)) == []


def _loaded_by(modules: str, folder: Path) -> set[str]:
    """Return the top-level names that a fresh interpreter has loaded after an import."""
    code = f"import {modules}, sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def _breaches(source: str, room: str, package: str) -> Iterator[str]:
    """Yield the imports of a file that its room may not make."""
    for name in _imported(source, package):
        parts = name.removeprefix("eurosat.").split(".")
        spoke = parts[0] in SPOKES and parts[0] != room
        stranger = room not in HOMES.get(parts[0], {room})
        if spoke or stranger:
            yield name


def _imported(source: str, package: str) -> Iterator[str]:
    """Yield the full name of everything that a file imports, modules and names alike."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = [*(above if node.level else []), *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)
