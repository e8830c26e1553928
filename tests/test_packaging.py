"""What reaches a user: the wheel, the pinned packages, and no trace of a developer's machine."""

import mimetypes
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from configparser import RawConfigParser
from pathlib import Path
from typing import NamedTuple

import pytest

from eurosat.find_images import IMAGE_SUFFIXES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: dict[str, str] = PROJECT["tool"]["setuptools"]["package-dir"]
SCRIPTS: dict[str, str] = PROJECT["project"]["scripts"] | PROJECT["project"]["gui-scripts"]


class Installation(NamedTuple):
    """The wheel, and a folder outside the checkout that it was installed into."""

    wheel: Path
    folder: Path

    def run(self, *command: str | Path) -> str:
        """Run a command that sees only the installed wheel of all our code."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    # Built from a copy: an old build folder in the checkout would end up inside the wheel.
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    for folder in PACKAGES.values():
        no_caches = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / folder, source / folder, ignore=no_caches)
    built = tmp_path_factory.mktemp("built")
    installed = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built)]
    _must_run([*build, str(source)])
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    _must_run([*pip, "--target", str(installed), str(wheel)])
    return Installation(wheel, installed)


def test_all_packages_import_from_the_wheel(installation: Installation) -> None:
    code = "from importlib import import_module as load\n" + "\n".join(
        f"print(load({package!r}).__file__)" for package in PACKAGES
    )
    places = installation.run(sys.executable, "-c", code).splitlines()
    assert [Path(place).is_relative_to(installation.folder) for place in places] == [True] * 5


def test_the_wheel_holds_every_module(installation: Installation) -> None:
    expected = {
        f"{package.replace('.', '/')}/{file.relative_to(ROOT / folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for file in (ROOT / folder).rglob("*.py")
    }
    with zipfile.ZipFile(installation.wheel) as wheel:
        assert {name for name in wheel.namelist() if name.endswith(".py")} == expected


def test_the_wheel_holds_models_cards_and_licences(installation: Installation) -> None:
    data = [file for file in (ROOT / "models").iterdir() if _is_model_data(file)]
    with zipfile.ZipFile(installation.wheel) as wheel:
        for file in data:
            assert wheel.read(f"eurosat/models/{file.name}") == file.read_bytes()
        names = wheel.namelist()
    assert "eurosat/py.typed" in names
    for licence in ("LICENSE", "NOTICE"):
        assert [name for name in names if name.endswith(f".dist-info/licenses/{licence}")] != []
    ours = f"eurosat_edge-{PROJECT['project']['version']}"
    top = {name.split("/")[0] for name in names}
    assert top == {"eurosat", f"{ours}.dist-info", f"{ours}.data"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_command_answers_help(installation: Installation, script: str) -> None:
    suffix = ".exe" if os.name == "nt" else ""
    answer = installation.run(installation.folder / "bin" / f"{script}{suffix}", "--help")
    assert script in answer


def test_the_app_tells_its_version(installation: Installation) -> None:
    answer = installation.run(sys.executable, "-P", "-m", "eurosat.gui", "--version")
    assert answer == f"EuroSAT Edge {PROJECT['project']['version']}\n"


def test_a_desktop_finds_the_app_its_icon_and_its_files(installation: Installation) -> None:
    share = installation.folder / "share"
    file = RawConfigParser(delimiters="=")
    file.read(share / "applications" / "eurosat-edge.desktop", encoding="utf-8")
    entry = file["Desktop Entry"]
    assert entry["Exec"].split()[0] in PROJECT["project"]["gui-scripts"]
    icon = share / "icons" / "hicolor" / "scalable" / "apps" / f"{entry['Icon']}.svg"
    assert icon.read_bytes() == (ROOT / "gui" / "eurosat-edge.svg").read_bytes()
    # Python itself knows WebP from 3.13 on.
    known = {mimetypes.types_map.get(suffix, "image/webp") for suffix in IMAGE_SUFFIXES}
    assert known - set(entry["MimeType"].split(";")) == set()


def test_every_dependency_is_pinned_with_hashes() -> None:
    pins = _pins("constraints.txt") | _pins("constraints-bundle.txt")
    extras: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
    groups: dict[str, list[str | dict[str, str]]] = PROJECT["dependency-groups"]
    named = [*PROJECT["project"]["dependencies"]]
    named += [entry for extra in ("train", "gui", "scene", "cluster") for entry in extras[extra]]
    groups.pop("peers")  # Only a benchmark wants them.
    groups.pop("gpu")  # Only tools/gpu/train.py wants these.
    named += [entry for group in groups.values() for entry in group if isinstance(entry, str)]
    # An extra may contain another one.
    others = {_name(requirement) for requirement in named} - {PROJECT["project"]["name"]}
    assert others - pins.keys() == set()
    assert [pin for pin, hashes in pins.items() if not hashes] == []


def test_the_app_is_pinned_to_the_same_versions() -> None:
    everything = _pins("constraints.txt")
    app = _pins("constraints-app.txt")
    assert {name: everything.get(name) for name in app} == app
    bundler = _pins("constraints-bundle.txt")
    assert {name: bundler.get(name, app[name]) for name in app} == app
    assert {"pyside6-essentials", "rasterio"} <= app.keys()
    assert "tensorflow" not in app


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can lack a screen")
def test_the_app_says_that_there_is_no_screen() -> None:
    screens = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in screens}
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "run.py", "app"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "make demo" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="needs a Unix shell")
def test_the_app_is_given_paths_as_they_count_where_it_is_called(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (tmp_path / "fields").mkdir()
    # As if the environment were made.
    code = "import run, sys; run.ready = lambda _: sys.argv[1]; sys.exit(run.app(['field.tif']))"
    done = subprocess.run(
        [sys.executable, "-c", code, python],
        cwd=tmp_path / "fields",
        env={**os.environ, "PYTHONPATH": str(ROOT / "tools"), "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder, *arguments = done.stdout.splitlines()
    assert folder == str(tmp_path / "fields")
    assert arguments == ["-P", "-m", "eurosat.gui", "field.tif"]


def test_no_file_names_a_registry_or_a_machine() -> None:
    # Written so that no pattern matches itself.
    registries = r"pyp[i]\.org|pythonhoste[d]|registry\.npm[j]s|deb\.debia[n]"
    machine = r"(?<![\w.~$}>])/(?:work|root|home|Users|tmp)/\w"
    trace = re.compile(f"{registries}|{machine}")
    found = [
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in _files_in_git()
        for match in trace.finditer(_text(file))
    ]
    assert found == []


def _is_model_data(file: Path) -> bool:
    return file.suffix in {".tflite", ".md"} or file.name == "SHA256SUMS"


def _must_run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _pins(name: str) -> dict[str, set[str]]:
    """Return the hashes of each pinned package; where Pythons differ, of all its versions."""
    pins: dict[str, set[str]] = {}
    current = ""
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if "==" in line:
            current = line.split("==")[0]
            pins.setdefault(current, set())
        elif "--hash=" in line:
            pins[current].add(line.strip(" \\"))
    return pins


def _name(requirement: str) -> str:
    """Return the normal name of the package that a requirement asks for."""
    return re.split(r"[^\w.-]", requirement)[0].replace("_", "-").replace(".", "-").lower()


def _files_in_git() -> list[Path]:
    """Return what is in git or would be added to it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def _text(file: Path) -> str:
    """Return the text of a file, or nothing if it holds none."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""
