"""A data set on disk: find it, audit it, decode it once.

A data set is a folder of class folders, or a zip of one, whatever its top folder is called.
The tiles are decoded into one array that is kept in the user cache and memory-mapped from then on.
"""

import hashlib
import json
import os
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from eurosat.atomic import replacing, write_text
from eurosat.cores import usable_cores
from eurosat.download import cached_archive, download_eurosat
from eurosat.errors import DatasetError, ImageError, printable
from eurosat.existence import exists
from eurosat.find_images import IMAGE_SUFFIXES, find_images
from eurosat.images import read_image, resize_image
from eurosat.progress import Progress
from eurosat.user_cache import user_cache

TILE_SIZE = 64
"""Height and width of a tile in pixels; images of another size are resized to it."""

GROUND_RESOLUTION_M = 10.0
"""Metres on the ground that a EuroSAT pixel covers."""

DATA_VARIABLE = "EUROSAT_DATA"
"""Environment variable that names the data set where no path is given."""

_LARGEST_ENTRY = 100_000_000
"""Bytes of an image in a zip; one that claims to hold more is not unpacked into memory."""

CACHE_FORMAT = 1
"""Number of the layout of the cache; another number decodes afresh."""


@dataclass(frozen=True)
class Audit:
    """What reading every file of a data set found.

    Attributes:
        class_counts: Readable tiles of each class, in label order.
        unreadable: `(file name, reason)` of every image file that cannot be read; these are left
            out of the data set.
        odd_sizes: `(file name, height, width)` of every image that is not 64 x 64 pixels; these
            are resized.
        duplicates: Groups of two and more file names whose pixels are the same.
    """

    class_counts: dict[str, int]
    unreadable: tuple[tuple[str, str], ...]
    odd_sizes: tuple[tuple[str, int, int], ...]
    duplicates: tuple[tuple[str, ...], ...]

    @property
    def imbalance_ratio(self) -> float:
        """Tiles of the largest class over tiles of the smallest."""
        return max(self.class_counts.values()) / min(self.class_counts.values())

    @property
    def lost_classes(self) -> tuple[str, ...]:
        """Names of class folders that hold images of which none can be read."""
        return tuple(
            sorted({_class_of(name) for name, _ in self.unreadable} - {*self.class_counts})
        )

    @property
    def duplicates_across_classes(self) -> tuple[tuple[str, ...], ...]:
        """Those groups of duplicates whose files stand in more than one class folder."""
        return tuple(
            group
            for group in self.duplicates
            if len({PurePosixPath(name).parent for name in group}) > 1
        )

    def to_text(self) -> str:
        """Return the audit as lines for a person; of each kind of trouble the first ten files."""
        longest = max(map(len, self.class_counts))
        total = sum(self.class_counts.values())
        lines = [f"{total:,} tiles in {len(self.class_counts)} classes"]
        lines += [f"  {name:<{longest}}  {count:>7,}" for name, count in self.class_counts.items()]
        lines.append(f"Imbalance ratio (largest to smallest class): {self.imbalance_ratio:.2f}")
        if self.lost_classes:
            lost = ", ".join(self.lost_classes)
            lines.append(f"Classes left out, as none of their images can be read: {lost}")
        across = self.duplicates_across_classes
        odd_sizes = [f"{name} ({width} x {height})" for name, height, width in self.odd_sizes]
        sizes = {(height, width) for _, height, width in self.odd_sizes}
        if len(odd_sizes) == total and len(sizes) == 1:
            ((height, width),) = sizes
            lines.append(f"Size of all tiles, resized to 64 x 64: {width} x {height}")
            odd_sizes = []
        for title, found in (
            ("Unreadable files, left out", [reason for _, reason in self.unreadable]),
            ("Other sizes than 64 x 64, resized", odd_sizes),
            ("Groups of equal tiles", [" = ".join(group) for group in self.duplicates]),
            ("Groups of equal tiles across classes", [" = ".join(group) for group in across]),
        ):
            lines.append(f"{title}: {len(found)}")
            lines += [f"  {line}" for line in found[:10]]
            if len(found) > 10:
                lines.append(f"  and {len(found) - 10:,} more")
        return "\n".join(map(printable, lines))


@dataclass(frozen=True)
class Dataset:
    """A decoded data set.

    Attributes:
        source: The folder or zip that it was read from.
        fingerprint: SHA-256 over the class, name and content of every file; a folder and a zip of
            the same files have the same fingerprint.
        class_names: Class folder names, sorted: label `i` is `class_names[i]`.
        names: `"Class/file.jpg"` of every readable tile, sorted.
        labels: int64 `[n]`, the label of each tile.
        tiles: uint8 RGB `[n, 64, 64, 3]`, memory-mapped and read-only.
        audit: What reading every file found.
    """

    source: Path
    fingerprint: str
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray
    tiles: np.ndarray
    audit: Audit

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.names)}

    def positions(self, names: Sequence[str]) -> np.ndarray:
        """Return int64 `[len(names)]`: where each named tile stands in `tiles`.

        Raises:
            DatasetError: A name is not in the data set.
        """
        try:
            return np.array([self._position[name] for name in names], dtype=np.int64)
        except KeyError as missing:
            raise DatasetError(f"The data set {self.source} has no tile {missing}.") from None


def find_dataset(path: Path | None = None) -> Path:
    """Return the folder or zip to read.

    That is `path`, else what the environment variable `EUROSAT_DATA` names, else the archive in
    the user cache, which is downloaded first where it is not there yet.

    Raises:
        DatasetError: The path or the variable names nothing, or the download fails.
    """
    named = os.environ.get(DATA_VARIABLE)
    origin = ""
    if path is None and named:
        path, origin = Path(named), f", which {DATA_VARIABLE} names"
    if path is None:
        return cached_archive() if cached_archive().exists() else download_eurosat()
    if not exists(path):
        raise DatasetError(
            f"There is no data set at {path}{origin}: name a folder of class folders or a zip "
            f"of one."
        )
    return path


def check_outside(folder: Path, source: Path) -> None:
    """Refuse a folder for results inside a data set: their pictures would be taken for tiles.

    Raises:
        DatasetError: It lies there.
    """
    if folder.resolve().is_relative_to(source.resolve()):
        raise DatasetError(
            f"{folder} lies inside the data set {source}, which pictures of results would make "
            "unreadable: name another folder with --out."
        )


def load_dataset(source: Path, progress: Progress | None = None) -> Dataset:
    """Read a data set: from its files the first time, from the user cache from then on.

    Args:
        source: A folder of class folders or a zip of one.
        progress: Called as tiles are decoded; not called when they come from the cache.

    Raises:
        DatasetError: The source is neither, holds fewer than two classes, or cannot be read; or
            the cache folder cannot be written to.
    """
    cache = user_cache() / "datasets"
    receipt = cache / "seen" / f"{_state(source)}.txt"
    try:
        seen = _from_cache(source, cache / receipt.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        seen = None  # Not seen yet, or the receipt was cleared or damaged.
    if seen:
        return seen

    files = _ZipFiles(source) if source.is_file() else _FolderFiles(source)
    try:
        fingerprint = _fingerprint(files)
        folder = cache / fingerprint
        dataset = _from_cache(source, folder)  # From another place, perhaps.
        if dataset is None:
            dataset = _decode(files, fingerprint, folder, progress)
        write_text(receipt, fingerprint)
        return dataset
    except OSError as error:
        raise DatasetError(
            f"The decoded tiles cannot be kept in {cache} ({error.strerror}): make room, or "
            f"name another folder with EUROSAT_CACHE."
        ) from error
    finally:
        files.close()


def _state(source: Path) -> str:
    """Return a digest that changes when a file of the data set does, without reading any of them.

    Raises:
        DatasetError: The source cannot be looked at.
    """
    digest = hashlib.sha256()
    try:
        digest.update(_encoded(f"{source.resolve()}"))
        for path in [source] if source.is_file() else _image_paths(source):
            status = path.stat()
            digest.update(_encoded(f"{path}\t{status.st_size}\t{status.st_mtime_ns}\n"))
    except OSError as error:
        raise DatasetError(f"{source} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()


def _image_paths(folder: Path) -> list[Path]:
    """Return the image files in a folder, sorted.

    Raises:
        DatasetError: A folder may not be searched.
    """
    try:
        return [path for path in find_images([folder]) if path.is_file()]
    except ImageError as error:
        raise DatasetError(str(error)) from error


def _encoded(text: str) -> bytes:
    """Return text as UTF-8, even if it holds a file name that is no UTF-8."""
    return text.encode(errors="surrogatepass")


def _from_cache(source: Path, folder: Path) -> Dataset | None:
    """Return the data set that `_decode` put into `folder`; None if it is not there, or damaged."""
    try:
        return _read_cache(source, folder)
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def _read_cache(source: Path, folder: Path) -> Dataset:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    tiles = np.load(folder / "tiles.npy", mmap_mode="r")
    class_names = tuple(manifest["class_counts"])
    names = tuple(manifest["names"])
    if manifest["format"] != CACHE_FORMAT or tiles.shape != (len(names), TILE_SIZE, TILE_SIZE, 3):
        raise ValueError("the cached tiles do not fit their manifest")
    label_of = {name: label for label, name in enumerate(class_names)}
    return Dataset(
        source=source,
        fingerprint=manifest["fingerprint"],
        class_names=class_names,
        names=names,
        labels=np.array([label_of[_class_of(name)] for name in names], dtype=np.int64),
        tiles=tiles,
        audit=Audit(
            class_counts=manifest["class_counts"],
            unreadable=tuple((name, reason) for name, reason in manifest["unreadable"]),
            odd_sizes=tuple((name, height, width) for name, height, width in manifest["odd_sizes"]),
            duplicates=tuple(tuple(group) for group in manifest["duplicates"]),
        ),
    )


def _decode(
    files: "_ZipFiles | _FolderFiles", fingerprint: str, folder: Path, progress: Progress | None
) -> Dataset:
    """Decode every file of a data set into `tiles.npy` and describe them in `manifest.json`.

    The manifest is written last: where it is, the tiles are whole.

    Raises:
        DatasetError: Fewer than two classes have a readable tile, or one has a name that a model
            file cannot hold.
        OSError: The folder cannot be written to.
    """
    unreadable: list[tuple[str, str]] = []
    odd_sizes: list[tuple[str, int, int]] = []
    names: list[str] = []
    names_by_pixels: dict[bytes, list[str]] = defaultdict(list)
    class_counts: dict[str, int] = defaultdict(int)
    total = len(files.names)
    for label in sorted({_class_of(name) for name in files.names}):
        if not label.isprintable() or label != label.strip():
            raise DatasetError(
                f"The class folder {printable(label)!r} of {files.source} begins or ends with a"
                " space, or holds what cannot be printed: rename it."
            )

    # The tiles are written one after another and not into a memory-mapped file: where the disk is
    # full, that would not raise an error but end the process.
    with replacing(folder / "tiles.npy") as temporary, temporary.open("wb") as stream:
        _write_header(stream, total)
        for done, (name, found) in enumerate(_read_tiles(files), start=1):
            if isinstance(found, str):
                unreadable.append((name, found))
            else:
                height, width, tile = found
                if (height, width) != (TILE_SIZE, TILE_SIZE):
                    odd_sizes.append((name, height, width))
                pixels = tile.tobytes()
                stream.write(pixels)
                names_by_pixels[hashlib.sha256(pixels).digest()].append(name)
                class_counts[_class_of(name)] += 1
                names.append(name)
            if progress:
                progress(done, total)
        if len(class_counts) < 2:
            raise DatasetError(
                f"{files.source} has fewer than two classes with readable images: "
                f"{len(unreadable)} cannot be read, and the first {unreadable[0][1]}"
            )
        stream.seek(0)
        _write_header(stream, len(names))

    manifest = {
        "format": CACHE_FORMAT,
        "fingerprint": fingerprint,
        "names": names,
        "class_counts": dict(sorted(class_counts.items())),
        "unreadable": unreadable,
        "odd_sizes": odd_sizes,
        "duplicates": [group for group in names_by_pixels.values() if len(group) > 1],
    }
    write_text(folder / "manifest.json", json.dumps(manifest))
    return _read_cache(files.source, folder)


def _write_header(stream: IO[bytes], count: int) -> None:
    """Write the head of a `.npy` file of `count` tiles, which is equally long for every count."""
    shape = (count, TILE_SIZE, TILE_SIZE, 3)
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )


def _read_tiles(
    files: "_ZipFiles | _FolderFiles",
) -> Iterable[tuple[str, tuple[int, int, np.ndarray] | str]]:
    """Yield every file's name with what is in it, or with the sentence why it cannot be read.

    That is the height and width of its image in pixels, and its tile, uint8 RGB `[64, 64, 3]`.
    """

    def read(name: str) -> tuple[int, int, np.ndarray] | str:
        try:
            image = read_image(files.read(name), name=name)
        except ImageError as error:
            return str(error)  # The error itself would keep the content of the file.
        # Here and not by who takes them: many wait for that, and an image can take 450 MB.
        height, width = image.shape[:2]
        return height, width, resize_image(image, TILE_SIZE, TILE_SIZE)

    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(files.names), 1024):  # So that few tiles wait in memory.
            chunk = files.names[start : start + 1024]
            yield from zip(chunk, pool.map(read, chunk), strict=True)


def _fingerprint(files: "_ZipFiles | _FolderFiles") -> str:
    """Return the SHA-256, in hexadecimal digits, of all names and contents."""
    digest = hashlib.sha256()
    for name in files.names:
        try:
            content = hashlib.sha256(files.read(name)).hexdigest()
        except ImageError:
            content = "unreadable"
        digest.update(_encoded(f"{name}\t{content}\n"))
    return digest.hexdigest()


def _class_of(name: str) -> str:
    return name.rpartition("/")[0]


def _names_by_class(source: Path, paths: Iterable[str]) -> dict[str, str]:
    """Return `"Class/file.jpg"` → path, sorted, for the image files of one level of folders.

    Raises:
        DatasetError: The image files do not stand in two or more folders side by side.
    """
    images = [
        path
        for path in map(PurePosixPath, paths)
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith((".", "__MACOSX")) for part in path.parts)
    ]
    folders = {path.parent for path in images}
    parents = Counter(folder.parent for folder in folders if folder != PurePosixPath())
    # Most of them are classes: what lies elsewhere is odd.
    (usual, _), *_ = parents.most_common(1) or [(None, 0)]
    odd = sorted(
        folder for folder in folders if folder == PurePosixPath() or folder.parent != usual
    )
    if odd or len(folders) < 2:
        but = f", but images lie in {source / odd[0]}, too" if len(folders) > 1 else ""
        raise DatasetError(
            f"{source} is not a data set: it must hold one folder of images for each of two or "
            f"more classes, side by side{but}."
        )
    return dict(sorted((f"{path.parent.name}/{path.name}", str(path)) for path in images))


class _FolderFiles:
    """The image files in a folder of class folders, by their names `"Class/file.jpg"`."""

    def __init__(self, source: Path) -> None:
        self.source = source
        relative = (path.relative_to(source).as_posix() for path in _image_paths(source))
        self._paths = _names_by_class(source, relative)
        self.names = tuple(self._paths)

    def read(self, name: str) -> bytes:
        try:
            return (self.source / self._paths[name]).read_bytes()
        except OSError as error:
            raise ImageError(f"{name} cannot be read: {error.strerror}.") from error

    def close(self) -> None:
        pass


class _ZipFiles:
    """The image files in a zip of class folders, by their names `"Class/file.jpg"`."""

    def __init__(self, source: Path) -> None:
        self.source = source
        try:
            self._zip = zipfile.ZipFile(source)
        except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is damaged or no zip archive"
            raise DatasetError(
                f"{source} cannot be read as a data set ({reason}): name a folder of class "
                f"folders or a zip of one."
            ) from error
        self._paths = _names_by_class(source, self._zip.namelist())
        self.names = tuple(self._paths)

    def read(self, name: str) -> bytes:
        entry = self._zip.getinfo(self._paths[name])
        if entry.file_size > _LARGEST_ENTRY:
            raise ImageError(f"{name} has more than 100 MB inside {self.source.name}.")
        try:
            return self._zip.read(entry)
        except Exception as error:  # zipfile raises errors of many types for a damaged archive.
            raise ImageError(f"{name} is damaged inside {self.source.name}.") from error

    def close(self) -> None:
        self._zip.close()
