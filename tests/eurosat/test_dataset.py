"""A data set is found, read from a folder or a zip, audited, and kept in the user cache."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eurosat import dataset as dataset_module
from eurosat.dataset import Dataset, find_dataset, load_dataset
from eurosat.download import ARCHIVE_NAME, download_eurosat
from eurosat.errors import DatasetError
from eurosat.find_images import IMAGE_SUFFIXES

from .conftest import (
    Answer,
    Files,
    Server,
    assert_one_sentence,
    decoded,
    encoded,
    permissions_count,
    picture,
    small_files,
    write_folder,
    write_zip,
)

pytestmark = pytest.mark.usefixtures("own_cache")

Write = Callable[[Path, Files], Path]

FILES = small_files()

KINDS = pytest.mark.parametrize("write", [write_folder, write_zip], ids=["folder", "zip"])

TOPS = ["EuroSAT_RGB/", "2750/", "", "two/levels/"]


class Progress:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))


def assert_is(dataset: Dataset, files: Files) -> None:
    """Check that a data set holds just these files of 64 x 64 pixels."""
    classes = sorted({name.split("/")[0] for name in files})
    assert dataset.names == tuple(sorted(files))
    assert dataset.class_names == tuple(classes)
    assert [classes[label] for label in dataset.labels] == [n.split("/")[0] for n in sorted(files)]
    assert dataset.labels.dtype == np.int64
    expected = np.stack([decoded(files[name]) for name in sorted(files)])
    assert dataset.tiles.dtype == np.uint8
    np.testing.assert_array_equal(dataset.tiles, expected)


def assert_equal(one: Dataset, other: Dataset) -> None:
    assert one.fingerprint == other.fingerprint
    assert one.names == other.names
    assert one.class_names == other.class_names
    assert one.audit == other.audit
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.tiles, other.tiles)


def refusal_of(source: Path) -> str:
    """Return the sentence with which a data set is refused."""
    with pytest.raises(DatasetError) as refusal:
        load_dataset(source)
    assert_one_sentence(refusal.value)
    return str(refusal.value)


# Folders and zips


@pytest.mark.parametrize("top", TOPS)
def test_a_folder_and_a_zip_of_the_same_files_are_the_same_data_set(
    tmp_path: Path, own_cache: Path, top: str
):
    reference = load_dataset(write_folder(tmp_path / "reference", FILES))
    assert_is(reference, FILES)
    for source in (
        write_folder(tmp_path / "folder", {top + name: FILES[name] for name in FILES}),
        write_zip(tmp_path / "stored.zip", FILES, top),
        write_zip(tmp_path / "deflated.zip", FILES, top, zipfile.ZIP_DEFLATED),
    ):
        shutil.rmtree(own_cache)
        again = load_dataset(source)
        assert again.source == source
        assert_is(again, FILES)
        assert again.fingerprint == reference.fingerprint
        assert again.audit == reference.audit


def test_a_zip_is_read_without_unpacking(tmp_path: Path):
    load_dataset(write_zip(tmp_path / "data.zip", FILES))
    written = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {".zip", ".npy", ".json", ".txt"}


def test_what_swells_in_a_zip_is_not_unpacked(tmp_path: Path):
    swollen = FILES | {"Barley/swollen.jpg": bytes(100_000_001)}
    path = write_zip(tmp_path / "data.zip", swollen, compression=zipfile.ZIP_DEFLATED)
    unreadable = load_dataset(path).audit.unreadable
    assert unreadable == (
        ("Barley/swollen.jpg", "Barley/swollen.jpg has more than 100 MB inside data.zip."),
    )


def test_the_order_of_files_in_a_zip_does_not_matter(tmp_path: Path):
    one = load_dataset(write_zip(tmp_path / "one.zip", FILES))
    backwards = write_zip(tmp_path / "other.zip", dict(reversed(FILES.items())))
    assert_equal(load_dataset(backwards), one)


@KINDS
def test_files_that_are_no_tiles_are_ignored(tmp_path: Path, own_cache: Path, write: Write):
    clean = load_dataset(write(tmp_path / "clean", FILES))
    tile = encoded(picture(99), "JPEG")
    junk = {
        ".DS_Store": b"junk",
        "Thumbs.db": b"junk",
        "Barley/Thumbs.db": b"junk",
        "Barley/.DS_Store": b"junk",
        "Barley/._b0.jpg": b"junk",
        "__MACOSX/Barley/._b0.jpg": b"junk",
        "__MACOSX/Barley/b0.jpg": tile,
        ".hidden/Barley/b0.jpg": tile,
        "labels.csv": b"b0.jpg,Barley",
        "Rye/notes.txt": b"junk",
        "README": b"junk",
    }
    shutil.rmtree(own_cache)
    dataset = load_dataset(write(tmp_path / "littered", FILES | junk))
    assert_is(dataset, FILES)
    assert dataset.fingerprint == clean.fingerprint
    assert dataset.audit == clean.audit
    assert dataset.audit.unreadable == ()


@KINDS
@pytest.mark.parametrize("suffix", [*sorted(IMAGE_SUFFIXES), ".JPG", ".Png"])
def test_every_image_format_is_read(tmp_path: Path, write: Write, suffix: str):
    kinds = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
    kind = kinds.get(suffix.lower(), suffix[1:].upper())
    files = {f"{name}/0{suffix}": encoded(picture(n), kind) for n, name in enumerate("AB")}
    assert_is(load_dataset(write(tmp_path / "data", files)), files)


@KINDS
def test_any_class_names_do(tmp_path: Path, write: Write):
    names = ["Ödland", "wet land", "A", "A-1", "A.b", "土地", "[x]", "10", "9"]
    files = {f"{name}/0.png": encoded(picture(n), "PNG") for n, name in enumerate(names)}
    dataset = load_dataset(write(tmp_path / "data[0]", files))
    assert_is_any_order(dataset, files)
    assert dataset.class_names == tuple(sorted(names))


def assert_is_any_order(dataset: Dataset, files: Files) -> None:
    """Check name, label and pixels of every tile, each by its name."""
    assert sorted(dataset.names) == sorted(files)
    for name, label, tile in zip(dataset.names, dataset.labels, dataset.tiles, strict=True):
        assert dataset.class_names[label] == name.split("/")[0]
        np.testing.assert_array_equal(tile, decoded(files[name]))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow only Unicode file names")
def test_a_file_name_of_arbitrary_bytes_is_read(tmp_path: Path):
    name = os.fsdecode(b"Rye/stra\xdfe.jpg")
    files = {**FILES, name: encoded(picture(50), "JPEG")}
    source = write_folder(tmp_path / "data", files)
    assert_is(load_dataset(source), files)
    assert_is(load_dataset(source), files)


@pytest.mark.skipif(os.name == "nt", reason="on Windows, links need a privilege")
def test_class_folders_may_be_links(tmp_path: Path):
    write_folder(tmp_path / "elsewhere", FILES)
    source = tmp_path / "data"
    source.mkdir()
    for name in ("Barley", "Oat", "Rye"):
        (source / name).symlink_to(tmp_path / "elsewhere" / name)
    assert_is(load_dataset(source), FILES)


def test_positions_tell_where_the_named_tiles_stand(tmp_path: Path):
    dataset = load_dataset(write_folder(tmp_path / "data", FILES))
    positions = dataset.positions(["Rye/r1.jpg", "Barley/b0.jpg"])
    assert positions.dtype == np.int64
    assert [dataset.names[position] for position in positions] == ["Rye/r1.jpg", "Barley/b0.jpg"]
    with pytest.raises(DatasetError, match=r"Rye/r9\.jpg") as refusal:
        dataset.positions(["Rye/r1.jpg", "Rye/r9.jpg"])
    assert_one_sentence(refusal.value)


# Which data set is read


def test_a_path_comes_before_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    named = write_folder(tmp_path / "named", FILES)
    monkeypatch.setenv("EUROSAT_DATA", str(named))
    other = write_folder(tmp_path / "other", FILES)
    assert find_dataset(other) == other
    assert find_dataset() == named


def test_the_variable_comes_before_the_cache(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    cached = write_zip(own_cache / ARCHIVE_NAME, FILES)
    assert find_dataset() == cached
    named = write_folder(tmp_path / "named", FILES)
    monkeypatch.setenv("EUROSAT_DATA", str(named))
    assert find_dataset() == named


def test_without_any_the_archive_is_downloaded_once(
    tmp_path: Path, own_cache: Path, server: Server, monkeypatch: pytest.MonkeyPatch
):
    server.answer = Answer(write_zip(tmp_path / "served.zip", FILES).read_bytes())
    download = partial(download_eurosat, url=server.url, sha256=server.answer.sha256)
    monkeypatch.setattr(dataset_module, "download_eurosat", download)
    source = find_dataset()
    assert source == own_cache / ARCHIVE_NAME
    assert_is(load_dataset(source), FILES)
    assert find_dataset() == source
    assert server.requests == 1


@pytest.mark.parametrize("name", ["nowhere", "x" * 300])
def test_a_path_that_names_nothing_is_refused(tmp_path: Path, name: str):
    with pytest.raises(DatasetError) as refusal:
        find_dataset(tmp_path / name)
    assert_one_sentence(refusal.value)
    assert str(tmp_path / name) in str(refusal.value)
    assert "EUROSAT_DATA" not in str(refusal.value)


def test_a_variable_that_names_nothing_is_refused_and_named(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
):
    write_zip(own_cache / ARCHIVE_NAME, FILES)
    monkeypatch.setenv("EUROSAT_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DatasetError, match="which EUROSAT_DATA names") as refusal:
        find_dataset()
    assert_one_sentence(refusal.value)
    assert str(tmp_path / "nowhere") in str(refusal.value)


# The cache


@KINDS
def test_the_second_load_decodes_nothing(tmp_path: Path, write: Write):
    source = write(tmp_path / "data", FILES)
    first, second = Progress(), Progress()
    dataset = load_dataset(source, first)
    assert first.calls == [(done, len(FILES)) for done in range(1, len(FILES) + 1)]
    again = load_dataset(source, second)
    assert second.calls == []
    assert_equal(again, dataset)


def test_tiles_are_memory_mapped_and_read_only(tmp_path: Path):
    source = write_folder(tmp_path / "data", FILES)
    for dataset in (load_dataset(source), load_dataset(source)):
        assert isinstance(dataset.tiles, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            dataset.tiles[0] = 0


def same_size_other_content(files: Files) -> Files:
    return files | {"Oat/o1.bmp": encoded(picture(77), "BMP")}


def with_one_more(files: Files) -> Files:
    return files | {"Oat/o7.bmp": encoded(picture(77), "BMP")}


def with_one_less(files: Files) -> Files:
    return {name: files[name] for name in files if name != "Oat/o1.bmp"}


def with_one_renamed(files: Files) -> Files:
    # The new name stands at the same place in the sorted list.
    return with_one_less(files) | {"Oat/o0x.bmp": files["Oat/o1.bmp"]}


def with_one_in_another_class(files: Files) -> Files:
    return with_one_less(files) | {"Rye/o1.bmp": files["Oat/o1.bmp"]}


def with_a_class_renamed(files: Files) -> Files:
    return {name.replace("Oat/", "Oats/"): content for name, content in files.items()}


def make_equal(folder: Path, files: Files, changed: Files) -> None:
    """Change the files in a folder; one that is only renamed keeps its time."""
    gone = {files[name]: folder / name for name in files.keys() - changed.keys()}
    for name, content in changed.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if name not in files and content in gone:
            gone.pop(content).rename(path)
        elif content != files.get(name):
            path.write_bytes(content)
    for path in gone.values():
        path.unlink()


@KINDS
@pytest.mark.parametrize(
    "change",
    [
        same_size_other_content,
        with_one_more,
        with_one_less,
        with_one_renamed,
        with_one_in_another_class,
        with_a_class_renamed,
    ],
)
def test_a_change_is_noticed_and_changes_the_fingerprint(
    tmp_path: Path, write: Write, change: Callable[[Files], Files]
):
    files = FILES | {"Oat/o1.bmp": encoded(picture(76), "BMP")}
    source = write(tmp_path / "data", files)
    before = load_dataset(source)
    assert_is(before, files)
    changed = change(files)
    if source.is_dir():
        make_equal(source, files, changed)
    else:
        write(source, changed)
    after = load_dataset(source)
    assert_is(after, changed)
    assert after.fingerprint != before.fingerprint


def test_new_times_alone_do_not_change_the_fingerprint(tmp_path: Path):
    source = write_folder(tmp_path / "data", FILES)
    before = load_dataset(source)
    for path in source.rglob("*.jpg"):
        os.utime(path)
    assert_equal(load_dataset(source), before)


@KINDS
def test_a_moved_data_set_keeps_its_fingerprint(tmp_path: Path, write: Write):
    source = write(tmp_path / "data", FILES)
    before = load_dataset(source)
    moved = source.rename(tmp_path / "moved")
    after = load_dataset(moved)
    assert_equal(after, before)
    assert after.source == moved


def delete(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def fill_with_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def fill_with_other_json(path: Path) -> None:
    path.write_bytes(b'["not", "what", "was", "here"]')


def fill_with_null(path: Path) -> None:
    path.write_bytes(b"null")


def test_data_that_moved_is_not_decoded_again(tmp_path: Path, own_cache: Path):
    source = write_folder(tmp_path / "data", FILES)
    before = load_dataset(source)
    again = Progress()
    assert_equal(load_dataset(source.rename(tmp_path / "elsewhere"), again), before)
    assert again.calls == []


@pytest.mark.parametrize("name", ["tiles.npy", "manifest.json"])
@pytest.mark.parametrize(
    "damage",
    [delete, empty, cut_in_half, fill_with_zeros, fill_with_other_json, fill_with_null],
)
def test_a_damaged_cache_is_made_again(
    tmp_path: Path, own_cache: Path, name: str, damage: Callable[[Path], None]
):
    source = write_folder(tmp_path / "data", FILES)
    before = load_dataset(source)
    (path,) = own_cache.rglob(name)
    # A new file, since what is mapped into memory must not change.
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    damage(path)
    again, afterwards = Progress(), Progress()
    assert_equal(load_dataset(source, again), before)
    assert len(again.calls) == len(FILES)
    assert_equal(load_dataset(source, afterwards), before)
    assert afterwards.calls == []


def test_a_cache_of_another_format_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source = write_folder(tmp_path / "data", FILES)
    before = load_dataset(source)
    monkeypatch.setattr(dataset_module, "CACHE_FORMAT", dataset_module.CACHE_FORMAT + 1)
    again = Progress()
    assert_equal(load_dataset(source, again), before)
    assert len(again.calls) == len(FILES)


def test_a_cleared_cache_is_made_again(tmp_path: Path, own_cache: Path):
    source = write_folder(tmp_path / "data", FILES)
    load_dataset(source)
    shutil.rmtree(own_cache)
    assert_is(load_dataset(source), FILES)


def test_an_interrupted_load_leaves_nothing_half_written(tmp_path: Path, own_cache: Path):
    source = write_folder(tmp_path / "data", FILES)

    def interrupt(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_dataset(source, interrupt)
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []
    assert_is(load_dataset(source), FILES)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_load_is_made_again(tmp_path: Path, own_cache: Path):
    source = write_folder(tmp_path / "data", FILES)
    program = """if True:
        import os, signal, sys
        from pathlib import Path
        from eurosat.dataset import load_dataset
        def kill(done, total):
            if done == total:
                os.kill(os.getpid(), signal.SIGKILL)
        load_dataset(Path(sys.argv[1]), kill)
        """
    ended = subprocess.run([sys.executable, "-P", "-c", program, source], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not list(own_cache.rglob("tiles.npy"))
    again = Progress()
    assert_is(load_dataset(source, again), FILES)
    assert len(again.calls) == len(FILES)


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(b"no folder")
    monkeypatch.setenv("EUROSAT_CACHE", str(tmp_path / "file" / "cache"))
    sentence = refusal_of(write_folder(tmp_path / "data", FILES))
    assert str(tmp_path / "file" / "cache") in sentence
    assert "EUROSAT_CACHE" in sentence


def test_a_cache_without_permission_is_named(open_folder: Path, monkeypatch: pytest.MonkeyPatch):
    source = write_folder(open_folder / "data", FILES)
    cache = open_folder / "cache"
    cache.mkdir()
    cache.chmod(0o555)
    monkeypatch.setenv("EUROSAT_CACHE", str(cache))
    with permissions_count():
        sentence = refusal_of(source)
    assert str(cache) in sentence
    assert "Permission denied" in sentence
    assert "EUROSAT_CACHE" in sentence


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux makes a small disk this easily")
def test_a_full_disk_is_told_in_one_sentence(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount += [f"mount -t tmpfs -o size=64k none '{disk}' && exec \"$@\"", "sh"]
    try:
        subprocess.run([*mount, "true"], check=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not make a small disk")
    source = write_folder(tmp_path / "data", FILES)
    program = """if True:
        import sys
        from pathlib import Path
        from eurosat.dataset import load_dataset
        from eurosat.errors import DatasetError
        try:
            load_dataset(Path(sys.argv[1]))
        except DatasetError as error:
            print(error, end="")
        print(f" {len(list(Path(sys.argv[2]).rglob('*.npy')))} files left.")
        """
    ended = subprocess.run(
        [*mount, sys.executable, "-P", "-c", program, source, disk],
        env={**os.environ, "EUROSAT_CACHE": str(disk)},
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert ended.returncode == 0
    assert "No space left on device" in ended.stdout
    assert "EUROSAT_CACHE" in ended.stdout
    assert ended.stdout.endswith(". 0 files left.\n")


# What is no data set


@KINDS
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["Barley/0.jpg", "Barley/1.jpg"], id="one class"),
        pytest.param(["0.jpg", "1.jpg"], id="no class folders"),
        pytest.param(["Barley/0.jpg", "Oat/0.jpg", "0.jpg"], id="an image beside the classes"),
        pytest.param(["train/A/0.jpg", "train/B/0.jpg", "val/A/0.jpg", "val/B/0.jpg"], id="nested"),
        pytest.param(["A/0.jpg", "B/0.jpg", "B/more/0.jpg"], id="a folder in a class"),
        pytest.param(["A/0.txt", "B/0.csv"], id="no images"),
    ],
)
@pytest.mark.parametrize("top", ["", "top/"])
def test_another_layout_is_refused(tmp_path: Path, write: Write, names: list[str], top: str):
    files = {top + name: encoded(picture(n), "JPEG") for n, name in enumerate(names)}
    if write is write_zip:
        source = write_zip(tmp_path / "data.zip", files, top="")
    else:
        source = write_folder(tmp_path / "data", files)
    sentence = refusal_of(source)
    assert str(source) in sentence
    assert "one folder of images for each of two or more classes" in sentence


@pytest.mark.parametrize(
    ("image", "folder"), [("runs/cnn/curves.png", "runs/cnn"), ("Oat/map/m.png", "Oat/map")]
)
def test_a_folder_that_lies_elsewhere_than_the_classes_is_named(
    tmp_path: Path, image: str, folder: str
):
    source = write_folder(tmp_path / "data", FILES | {image: encoded(picture(9), "PNG")})
    assert refusal_of(source).endswith(f"side by side, but images lie in {source / folder}, too.")


def test_images_beside_the_class_folders_are_named(tmp_path: Path):
    source = write_folder(tmp_path / "data", FILES | {"map.png": encoded(picture(9), "PNG")})
    assert refusal_of(source).endswith(f"side by side, but images lie in {source}, too.")


def test_a_missing_path_and_an_empty_folder_are_refused(tmp_path: Path):
    assert str(tmp_path / "nowhere") in refusal_of(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refusal_of(tmp_path / "empty")


def test_an_empty_zip_is_refused(tmp_path: Path):
    assert "data.zip" in refusal_of(write_zip(tmp_path / "data.zip", {}))


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_a_zip_that_is_cut_off_is_refused(tmp_path: Path, share: float):
    source = write_zip(tmp_path / "data.zip", FILES)
    content = source.read_bytes()
    source.write_bytes(content[: int(share * len(content))])
    sentence = refusal_of(source)
    assert str(source) in sentence
    assert "damaged or no zip" in sentence


@pytest.mark.parametrize("name", ["data.zip", "data.txt", "tile.jpg"])
def test_another_file_is_refused(tmp_path: Path, name: str):
    source = tmp_path / name
    source.write_text("Barley, Oat and Rye\n" * 100, encoding="utf-8")
    sentence = refusal_of(source)
    assert str(source) in sentence
    assert "damaged or no zip" in sentence


@KINDS
def test_a_data_set_of_broken_images_is_refused(tmp_path: Path, own_cache: Path, write: Write):
    broken = dict.fromkeys(FILES, b"no image")
    sentence = refusal_of(write(tmp_path / "data", broken))
    assert str(tmp_path / "data") in sentence
    assert f"{len(FILES)} cannot be read" in sentence
    assert "Barley/b0.jpg is not a readable" in sentence
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


def test_one_readable_class_is_not_enough(tmp_path: Path):
    files = {n: FILES[n] if n.startswith("Rye/") else b"no image" for n in FILES}
    assert "fewer than two classes" in refusal_of(write_folder(tmp_path / "data", files))


def test_a_class_folder_without_permission_is_refused(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    source = write_folder(open_folder / "data", FILES)
    (source / "Oat").chmod(0o000 if os.geteuid() else 0o700)
    cache = open_folder / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    monkeypatch.setenv("EUROSAT_CACHE", str(cache))
    try:
        with permissions_count():
            sentence = refusal_of(source)
    finally:
        (source / "Oat").chmod(0o700)
    assert str(source / "Oat") in sentence
    assert "Permission denied" in sentence


# Files that cannot be read


def test_broken_images_are_left_out_and_named(tmp_path: Path):
    good = FILES["Rye/r0.jpg"]
    broken = {
        "Barley/b1.jpg": b"",
        "Oat/text.png": b"no image",
        "Rye/r0.jpg": good[: len(good) // 2],
    }
    dataset = load_dataset(write_folder(tmp_path / "data", FILES | broken))
    assert_is(dataset, {name: FILES[name] for name in FILES if name not in broken})
    assert dataset.audit.class_counts == {"Barley": 3, "Oat": 2, "Rye": 2}
    reasons = dict(dataset.audit.unreadable)
    assert list(reasons) == ["Barley/b1.jpg", "Oat/text.png", "Rye/r0.jpg"]
    assert "is empty" in reasons["Barley/b1.jpg"]
    assert "is not a readable" in reasons["Oat/text.png"]
    assert "damaged or cut short" in reasons["Rye/r0.jpg"]
    assert all(reason.startswith(name) for name, reason in reasons.items())


@pytest.mark.parametrize("count", [1, 10, 100])
def test_the_good_tiles_are_right_however_many_are_broken(tmp_path: Path, count: int):
    broken = {f"{name}/x{n}.jpg": b"" for n in range(count) for name in ("Barley", "Rye")}
    source = write_folder(tmp_path / "data", FILES | broken)
    assert_is(load_dataset(source), FILES)
    assert len(load_dataset(source).audit.unreadable) == 2 * count


DATA, LOCAL, CENTRAL = "data", "local header", "central header"


def surgery(path: Path, member: str, place: str, offset: int, value: int) -> None:
    """Write a byte into the data of a member of a zip or into one of its two headers."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
        central = archive.start_dir
    content = bytearray(path.read_bytes())
    if place == CENTRAL:
        start = content.index(member.encode(), central) - 46
    elif place == LOCAL:
        start = info.header_offset
    else:
        start = info.header_offset + 30 + len(member)
    content[start + offset] = value
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("compression", "places"),
    [
        pytest.param(zipfile.ZIP_STORED, [(LOCAL, 6, 1), (CENTRAL, 8, 1)], id="encrypted"),
        pytest.param(zipfile.ZIP_STORED, [(DATA, 300, 0), (DATA, 301, 1)], id="checksum"),
        pytest.param(zipfile.ZIP_DEFLATED, [(DATA, 0, 255)], id="deflate"),
        pytest.param(zipfile.ZIP_BZIP2, [(DATA, 0, 255)], id="bzip2"),
        pytest.param(zipfile.ZIP_LZMA, [(DATA, 20, 255), (DATA, 21, 255)], id="lzma"),
        pytest.param(zipfile.ZIP_STORED, [(LOCAL, 8, 99), (CENTRAL, 10, 99)], id="unknown method"),
        pytest.param(zipfile.ZIP_STORED, [(LOCAL, 0, 0)], id="header"),
        pytest.param(zipfile.ZIP_STORED, [(LOCAL, 7, 8), (LOCAL, 30, 255)], id="name"),
    ],
)
def test_a_damaged_member_of_a_zip_is_left_out_and_named(
    tmp_path: Path, compression: int, places: list[tuple[str, int, int]]
):
    source = write_zip(tmp_path / "data.zip", FILES, compression=compression)
    whole = load_dataset(source)
    for place in places:
        surgery(source, "EuroSAT_RGB/Oat/o1.jpg", *place)
    dataset = load_dataset(source)
    assert_is(dataset, {name: FILES[name] for name in FILES if name != "Oat/o1.jpg"})
    ((name, reason),) = dataset.audit.unreadable
    assert name == "Oat/o1.jpg"
    assert reason == "Oat/o1.jpg is damaged inside data.zip."
    assert dataset.fingerprint != whole.fingerprint


@pytest.mark.parametrize(
    "places",
    [
        pytest.param([(CENTRAL, 6, 255)], id="version"),
        pytest.param([(CENTRAL, 9, 8), (CENTRAL, 46, 255)], id="name"),
        pytest.param([(CENTRAL, 0, 0)], id="signature"),
    ],
)
def test_a_zip_with_a_damaged_directory_is_refused(
    tmp_path: Path, places: list[tuple[str, int, int]]
):
    source = write_zip(tmp_path / "data.zip", FILES)
    for place in places:
        surgery(source, "EuroSAT_RGB/Oat/o1.jpg", *place)
    assert str(source) in refusal_of(source)


TINY = {f"{name}/0.png": encoded(picture(n, 8, 8), "PNG") for n, name in enumerate(("A", "Bé"))}


@given(
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    compression=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]),
)
@settings(max_examples=150, deadline=None)
def test_a_zip_with_any_bytes_changed_is_read_or_refused(
    flips: list[tuple[float, int]], compression: int
):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("EUROSAT_CACHE", str(Path(folder) / "cache"))
        source = write_zip(Path(folder) / "data.zip", TINY, "", compression)
        content = bytearray(source.read_bytes())
        for position, value in flips:
            content[int(position * len(content))] = value
        source.write_bytes(content)
        try:
            dataset = load_dataset(source)
        except DatasetError as error:
            assert str(error).startswith(str(source))
        else:
            assert (
                len(dataset.names) == len(dataset.tiles) == sum(dataset.audit.class_counts.values())
            )
            assert len(dataset.class_names) >= 2


# The audit


def test_the_audit_counts_the_classes(tmp_path: Path):
    audit = load_dataset(write_folder(tmp_path / "data", FILES)).audit
    assert audit.class_counts == {"Barley": 4, "Oat": 2, "Rye": 3}
    assert list(audit.class_counts) == ["Barley", "Oat", "Rye"]
    assert audit.imbalance_ratio == 2.0
    assert audit.unreadable == audit.odd_sizes == audit.duplicates == ()
    assert audit.duplicates_across_classes == ()


def test_a_class_of_which_nothing_can_be_read_is_told(tmp_path: Path):
    broken = {name: b"" for name in FILES if name.startswith("Oat/")}
    source = write_folder(tmp_path / "data", FILES | broken)
    for _ in range(2):  # The second time from the cache.
        text = load_dataset(source).audit.to_text()
        assert text.startswith("7 tiles in 2 classes\n")
        assert "Classes left out, as none of their images can be read: Oat\n" in text


def test_images_of_another_size_are_named_and_resized(tmp_path: Path):
    halves = np.zeros((32, 256, 3), dtype=np.uint8)
    halves[:, :128] = (200, 10, 30)
    halves[:, 128:] = (0, 90, 250)
    odd = {
        "Oat/tall.png": encoded(picture(70, 65, 64), "PNG"),
        "Rye/wide.png": encoded(halves, "PNG"),
    }
    dataset = load_dataset(write_folder(tmp_path / "data", FILES | odd))
    assert dataset.audit.odd_sizes == (("Oat/tall.png", 65, 64), ("Rye/wide.png", 32, 256))
    assert dataset.tiles.shape == (len(FILES) + 2, 64, 64, 3)
    (wide,) = dataset.tiles[dataset.positions(["Rye/wide.png"])]
    # The filter blends the two halves within two pixels of the edge.
    assert (wide[:, :30] == (200, 10, 30)).all()
    assert (wide[:, 34:] == (0, 90, 250)).all()
    kept = dataset.tiles[dataset.positions(sorted(FILES))]
    np.testing.assert_array_equal(kept, [decoded(FILES[name]) for name in sorted(FILES)])


def test_large_images_do_not_wait_in_memory(tmp_path: Path):
    large = encoded(np.full((500, 500, 3), 90, np.uint8), "JPEG")
    files = {f"{label}/{number}.jpg": large for label in ("Oat", "Rye") for number in range(150)}
    all_bytes = len(files) * 500 * 500 * 3

    def slow(done: int, total: int) -> None:
        if done == 1:
            time.sleep(1)  # Long enough to decode them all meanwhile.

    source = write_folder(tmp_path / "data", files)
    tracemalloc.start()
    try:
        dataset = load_dataset(source, slow)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < all_bytes / 2
    assert len(dataset.audit.odd_sizes) == len(files)


def test_equal_pixels_are_found_whatever_the_bytes_and_the_class(tmp_path: Path):
    pixels = decoded(FILES["Barley/b0.jpg"])
    nearly = pixels.copy()
    nearly[63, 63, 2] ^= 1
    copies = {
        "Barley/copy.png": encoded(pixels, "PNG"),
        "Rye/copy.bmp": encoded(pixels, "BMP"),
        "Rye/nearly.png": encoded(nearly, "PNG"),
        "Oat/same.jpg": FILES["Oat/o0.jpg"],
    }
    audit = load_dataset(write_folder(tmp_path / "data", FILES | copies)).audit
    across = ("Barley/b0.jpg", "Barley/copy.png", "Rye/copy.bmp")
    assert sorted(audit.duplicates) == [across, ("Oat/o0.jpg", "Oat/same.jpg")]
    assert audit.duplicates_across_classes == (across,)


def test_the_audit_reads_well(tmp_path: Path):
    pixels = decoded(FILES["Barley/b0.jpg"])
    extra = {
        "Oat/bad.jpg": b"",
        "Oat/copy.png": encoded(pixels, "PNG"),
        "Rye/wide.png": encoded(picture(71, 32, 80), "PNG"),
        **{f"Rye/x{n}.png": encoded(picture(100 + n), "PNG") for n in range(3)},
    }
    audit = load_dataset(write_folder(tmp_path / "data", FILES | extra)).audit
    assert audit.to_text().splitlines() == [
        "14 tiles in 3 classes",
        "  Barley        4",
        "  Oat           3",
        "  Rye           7",
        "Imbalance ratio (largest to smallest class): 2.33",
        "Unreadable files, left out: 1",
        "  Oat/bad.jpg is empty: choose another one.",
        "Other sizes than 64 x 64, resized: 1",
        "  Rye/wide.png (80 x 32)",
        "Groups of equal tiles: 1",
        "  Barley/b0.jpg = Oat/copy.png",
        "Groups of equal tiles across classes: 1",
        "  Barley/b0.jpg = Oat/copy.png",
    ]


def test_the_audit_counts_a_size_that_all_tiles_have_as_no_oddity(tmp_path: Path):
    large = {
        f"{name}/{n}.png": encoded(picture(n, 96, 128), "PNG") for name in "ab" for n in (1, 2)
    }
    lines = load_dataset(write_folder(tmp_path / "data", large)).audit.to_text().splitlines()
    assert "Size of all tiles, resized to 64 x 64: 128 x 96" in lines
    assert "Other sizes than 64 x 64, resized: 0" in lines
    one = {"a/0.png": encoded(picture(0), "PNG")}
    lines = load_dataset(write_folder(tmp_path / "data", one)).audit.to_text().splitlines()
    assert "Other sizes than 64 x 64, resized: 4" in lines
    assert not any(line.startswith("Size of all") for line in lines)


def test_the_audit_lists_ten_files_of_a_kind(tmp_path: Path):
    files: Files = {}
    for n in range(12):
        files[f"Barley/bad{n:02}.jpg"] = b""
        files[f"Oat/odd{n:02}.png"] = encoded(picture(n, 8, 8), "PNG")
        files[f"Rye/twin{n:02}.png"] = files[f"Oat/twin{n:02}.png"] = encoded(picture(n), "PNG")
    lines = (
        load_dataset(write_folder(tmp_path / "data", FILES | files)).audit.to_text().splitlines()
    )
    for mark in ("bad", "odd"):
        assert sum(mark in line for line in lines) == 10
    assert sum("twin" in line for line in lines) == 2 * 10
    assert lines.count("  and 2 more") == 4


@pytest.mark.skipif(os.name == "nt", reason="Windows allows no such file names")
def test_odd_file_names_cannot_disturb_the_terminal(tmp_path: Path):
    odd = {"Rye/a\nb\x1b[2J.png": encoded(picture(72, 8, 8), "PNG")}
    text = load_dataset(write_folder(tmp_path / "data", FILES | odd)).audit.to_text()
    assert "\x1b" not in text
    assert "  Rye/a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[2J.png (8 x 8)" in (
        text.splitlines()
    )


# EuroSAT


@pytest.mark.slow
def test_the_real_archive(real_dataset: Dataset):
    count = len(real_dataset.names)
    # The whole archive, or what is left of it where a tenth of each class is held back.
    assert count in {27_000, 24_300}
    assert real_dataset.tiles.shape == (count, 64, 64, 3)
    assert sum(real_dataset.audit.class_counts.values()) == count
    assert len(real_dataset.class_names) == 10
    assert real_dataset.audit.unreadable == real_dataset.audit.odd_sizes == ()
    assert np.bincount(real_dataset.labels).tolist() == list(
        real_dataset.audit.class_counts.values()
    )
    for label, name in enumerate(real_dataset.class_names):
        (first,) = np.flatnonzero(real_dataset.labels == label)[:1]
        assert real_dataset.names[first].startswith(f"{name}/{name}_")
    # Water is dark and blue; the names come from the archive, the colours from its pixels.
    water = real_dataset.tiles[real_dataset.labels == real_dataset.class_names.index("SeaLake")]
    red, _, blue = water.mean(axis=(0, 1, 2))
    assert blue > 1.2 * red
