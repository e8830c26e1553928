"""Which files a search finds, in which order, and what it leaves out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eurosat import images
from eurosat.find_images import IMAGE_SUFFIXES, find_images


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(folder: Path, *names: str) -> list[str]:
    """What is found for some paths in a folder, named from that folder."""
    paths = find_images(folder / name for name in names)
    return [path.relative_to(folder).as_posix() for path in paths]


def test_suffixes_are_those_of_the_formats() -> None:
    assert {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"} == IMAGE_SUFFIXES


def test_folders_are_searched_in_sorted_order_for_image_suffixes(tmp_path: Path) -> None:
    make_files(tmp_path, "b/2.png", "b/1.JPG", "b/c/x.tiff", "b/d.webp", "a.bmp", "z.jpeg", "t.tif")
    make_files(tmp_path, "notes.txt", "b/readme.md", "b/jpg", "b/photo.jpg.part", "x.gif")
    assert found(tmp_path, ".") == [
        "a.bmp",
        "b/1.JPG",
        "b/2.png",
        "b/c/x.tiff",
        "b/d.webp",
        "t.tif",
        "z.jpeg",
    ]


def test_hidden_files_and_folders_are_skipped_unless_named(tmp_path: Path) -> None:
    make_files(tmp_path, "a.jpg", ".b.jpg", ".cache/c.jpg", "d/._e.jpg")
    assert found(tmp_path, ".") == ["a.jpg"]
    assert found(tmp_path, ".b.jpg", ".cache") == [".b.jpg", ".cache/c.jpg"]


def test_named_files_and_missing_paths_are_passed_on_in_their_order(tmp_path: Path) -> None:
    make_files(tmp_path, "z.dat", "a.jpg")
    names = ["z.dat", "missing.jpg", "a.jpg", "a.jpg", "x" * 5000, "a.jpg/b", "a\0b"]
    assert found(tmp_path, *names) == names


def test_a_folder_that_looks_like_an_image_is_searched(tmp_path: Path) -> None:
    make_files(tmp_path, "tiles.jpg/a.png")
    assert found(tmp_path, "tiles.jpg") == found(tmp_path, ".") == ["tiles.jpg/a.png"]


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    make_files(tmp_path, "in/a.jpg", "out/b.jpg")
    (tmp_path / "in/again").symlink_to(tmp_path / "in")
    (tmp_path / "in/out").symlink_to(tmp_path / "out")
    (tmp_path / "out/back").symlink_to(tmp_path / "in")
    (tmp_path / "in/loop.jpg").symlink_to(tmp_path / "in/loop.jpg")
    assert found(tmp_path, "in") == ["in/a.jpg", "in/loop.jpg", "in/out/b.jpg"]
    assert found(tmp_path, "in", "in") == found(tmp_path, "in") * 2


def test_very_deep_folders_are_searched(tmp_path: Path) -> None:
    # Deeper than Python calls may nest.
    folders = [tmp_path]
    for _ in range(1100):
        folders.append(folders[-1] / "d")
        folders[-1].mkdir()
    file = folders[-1] / "x.jpg"
    file.touch()
    assert list(find_images([tmp_path])) == [file]
    # The test runner, which deletes old folders, cannot delete one like this in Python 3.11.
    file.unlink()
    for folder in reversed(folders[1:]):
        folder.rmdir()


def test_a_search_can_be_stopped_before_it_meets_an_image(tmp_path: Path) -> None:
    make_files(tmp_path, *(f"{number}.txt" for number in range(50)), "z.jpg")
    asked: list[int] = []

    def goes_on() -> bool:
        asked.append(len(asked))
        return len(asked) < 20

    assert list(find_images([tmp_path], goes_on)) == []
    assert len(asked) == 20


def test_patterns_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_files(tmp_path, "t/b.jpg", "t/a.jpg", "t/c.png", "t/.d.jpg", "u/v/e.jpg", "u/f.txt")
    assert found(tmp_path, "t/*.jpg") == ["t/a.jpg", "t/b.jpg"]
    assert found(tmp_path, "t/[bc].*", "t/?.png") == ["t/b.jpg", "t/c.png", "t/c.png"]
    assert found(tmp_path, "*") == ["t/a.jpg", "t/b.jpg", "t/c.png", "u/v/e.jpg"]
    assert found(tmp_path, "**/*.jpg") == ["t/a.jpg", "t/b.jpg", "u/v/e.jpg"]
    monkeypatch.chdir(tmp_path)
    assert list(find_images([Path("t/*.jpg")])) == [Path("t/a.jpg"), Path("t/b.jpg")]


def test_a_pattern_without_a_match_and_a_name_like_a_pattern_are_passed_on(tmp_path: Path) -> None:
    make_files(tmp_path, "a[1].jpg", "a1.jpg")
    (tmp_path / "*.png").symlink_to(tmp_path / "missing")
    assert found(tmp_path, "*.bmp", "a[1].jpg", "*.png") == ["*.bmp", "a[1].jpg", "*.png"]


def test_naming_an_image_loads_no_decoder_no_framework_and_nothing_of_scenes() -> None:
    script = (
        "import sys; from pathlib import Path; from eurosat.find_images import find_images;"
        " list(find_images([Path('a.jpg')])); print(*sys.modules)"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(Path(images.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(finished.stdout.split())
    assert "eurosat.find_images" in loaded
    assert loaded.isdisjoint(
        {
            "eurosat.scenes",
            "PIL.JpegImagePlugin",
            "PIL.TiffImagePlugin",
            "tensorflow",
            "keras",
            "scipy",
            "asyncio",
        }
    )
