"""What a user gets from `eurosat.images`: the picture, or one sentence that says why not."""

import io
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import ExifTags, Image

from eurosat import images
from eurosat.errors import ImageError
from eurosat.find_images import find_images
from eurosat.images import MAX_PIXELS, read_image, resize_image

# The test runner puts aside the filter that `eurosat.images` sets for what Pillow says.
pytestmark = pytest.mark.filterwarnings(r"ignore:::PIL\.")

LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "BMP": {},
    "TIFF": {},
    "TIFF compressed": {"compression": "tiff_lzw"},
    "WEBP": {"lossless": True, "exact": True},
}


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind.partition(" ")[0], **{**LOSSLESS.get(kind, {}), **options})
    return stream.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(size: tuple[int, int], depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG of some width and height; each row of `rows` starts with a zero byte."""
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")


def png_rows(values: np.ndarray) -> bytes:
    return b"".join(b"\0" + row.tobytes() for row in values)


def with_tiff_tag(content: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF with another value of a tag that holds one number."""
    directory = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, directory)[0]
    for position in range(directory + 2, directory + 2 + 12 * count, 12):
        if struct.unpack_from("<H", content, position)[0] == tag:
            entry = struct.pack("<HHII", tag, 4, 1, value)
            return content[:position] + entry + content[position + 12 :]
    raise AssertionError(f"no tag {tag}")


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


PICTURE = Image.fromarray(noise(20, 28))
TURNED = Image.Exif()
TURNED[ExifTags.Base.Orientation] = 6

SAMPLES: dict[str, bytes] = {
    "JPEG": encoded(PICTURE, "JPEG"),
    "JPEG with EXIF": encoded(PICTURE, "JPEG", exif=TURNED),
    "JPEG in CMYK": encoded(PICTURE.convert("CMYK"), "JPEG"),
    "progressive JPEG": encoded(PICTURE, "JPEG", progressive=True),
    "PNG": encoded(PICTURE, "PNG"),
    "palette PNG": encoded(PICTURE.convert("P"), "PNG", transparency=b"\x00\x80"),
    "animated PNG": encoded(PICTURE, "PNG", save_all=True, append_images=[PICTURE.rotate(90)]),
    "TIFF": encoded(PICTURE, "TIFF"),
    "LZW TIFF with EXIF": encoded(PICTURE, "TIFF compressed", exif=TURNED),
    "deflate TIFF": encoded(PICTURE, "TIFF", compression="tiff_adobe_deflate"),
    "JPEG TIFF": encoded(PICTURE, "TIFF", compression="jpeg"),
    "WebP": encoded(PICTURE, "WEBP", lossless=False),
    "lossless WebP with EXIF": encoded(PICTURE, "WEBP", exif=TURNED),
    "BMP": encoded(PICTURE, "BMP"),
}


def tile_contents() -> Iterator[bytes]:
    source = Path(os.environ["EUROSAT_DATA"])
    if source.is_dir():
        yield from (path.read_bytes() for path in sorted(source.rglob("*.jpg")))
    else:
        with zipfile.ZipFile(source) as archive:
            yield from (archive.read(name) for name in archive.namelist() if name.endswith(".jpg"))


@pytest.fixture(scope="module")
def tiles() -> list[bytes]:
    """The first 40 JPEG files of the real data set."""
    contents = [content for content, _ in zip(tile_contents(), range(40), strict=False)]
    assert len(contents) == 40
    return contents


def assert_is_picture(image: np.ndarray) -> None:
    assert image.dtype == np.uint8
    assert image.ndim == 3 and image.shape[2] == 3 and image.size > 0
    assert image.flags.c_contiguous and image.flags.owndata and image.flags.writeable


def refusal(source: Any, **options: Any) -> str:
    """The message with which `read_image` refuses; fails if it does anything else."""
    with pytest.raises(ImageError) as caught:
        read_image(source, **options)
    message = str(caught.value)
    assert message.endswith(".") and message.isprintable()
    # No name of an object or of an error; a folder may be called by chance like an address.
    assert " at 0x" not in message and "object at" not in message and "Error" not in message
    return message


def picture_or_refusal(content: bytes) -> None:
    try:
        image = read_image(content)
    except ImageError:
        assert refusal(content).startswith("The image ")
    else:
        assert_is_picture(image)


# Pictures as a user sees them


def test_real_tiles_are_read_exactly_from_bytes_and_from_files(
    tiles: list[bytes], tmp_path: Path
) -> None:
    for number, content in enumerate(tiles):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(content)
        expected = np.asarray(Image.open(path).convert("RGB"))
        for source in (content, path, str(path)):
            image = read_image(source)
            assert_is_picture(image)
            assert image.shape == (64, 64, 3)
            np.testing.assert_array_equal(image, expected)


def test_many_threads_read_the_same_as_one(tiles: list[bytes]) -> None:
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(read_image, tiles))
    for image, content in zip(parallel, tiles, strict=True):
        np.testing.assert_array_equal(image, read_image(content))


rgb_arrays = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))
rgba_arrays = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4)))
grey_arrays = hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)))
deep_arrays = hnp.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@given(rgb_arrays, st.sampled_from(sorted(LOSSLESS)))
def test_colour_pictures_come_back_exactly(pixels: np.ndarray, kind: str) -> None:
    image = read_image(encoded(Image.fromarray(pixels), kind))
    assert_is_picture(image)
    np.testing.assert_array_equal(image, pixels)


@given(grey_arrays, st.sampled_from(sorted(LOSSLESS)))
def test_grey_pictures_become_three_equal_channels(pixels: np.ndarray, kind: str) -> None:
    image = read_image(encoded(Image.fromarray(pixels), kind))
    assert_is_picture(image)
    np.testing.assert_array_equal(image, np.stack([pixels] * 3, axis=-1))


@given(
    hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))),
    st.sampled_from(["PNG", "BMP", "TIFF", "TIFF compressed"]),
)
def test_one_bit_pictures_become_black_and_white(pixels: np.ndarray, kind: str) -> None:
    image = read_image(encoded(Image.fromarray(pixels), kind))
    np.testing.assert_array_equal(image, np.stack([pixels * np.uint8(255)] * 3, axis=-1))


@given(
    grey_arrays,
    hnp.arrays(np.uint8, (256, 3)),
    st.sampled_from(["PNG", "BMP", "TIFF", "TIFF compressed"]),
)
def test_palette_pictures_take_their_colours(
    pixels: np.ndarray, palette: np.ndarray, kind: str
) -> None:
    picture = Image.fromarray(pixels)
    picture.putpalette(palette.tobytes())
    np.testing.assert_array_equal(read_image(encoded(picture, kind)), palette[pixels])


def over_black(rgba: np.ndarray) -> np.ndarray:
    return rgba[..., :3] * (rgba[..., 3:] / 255)


@given(rgba_arrays, st.sampled_from(["PNG", "TIFF", "TIFF compressed", "WEBP"]))
def test_transparent_pixels_are_laid_over_black(pixels: np.ndarray, kind: str) -> None:
    image = read_image(encoded(Image.fromarray(pixels), kind))
    assert_is_picture(image)
    np.testing.assert_allclose(image, over_black(pixels), atol=0.51)


def test_transparent_palette_entries_are_laid_over_black() -> None:
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    picture.putpalette([200, 100, 50] * 3)
    content = encoded(picture, "PNG", transparency=bytes([0, 51, 255]))
    np.testing.assert_array_equal(read_image(content)[0], [[0, 0, 0], [40, 20, 10], [200, 100, 50]])


def test_a_transparent_colour_is_laid_over_black() -> None:
    pixels = np.array([[[10, 20, 30], [10, 20, 31]]], np.uint8)
    content = encoded(Image.fromarray(pixels), "PNG", transparency=(10, 20, 30))
    np.testing.assert_array_equal(read_image(content)[0], [[0, 0, 0], [10, 20, 31]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha_is_laid_over_black(kind: str) -> None:
    picture = Image.fromarray(np.array([[[200, 255], [200, 0], [100, 51]]], np.uint8), "LA")
    image = read_image(encoded(picture, kind))
    np.testing.assert_array_equal(image[0], [[200] * 3, [0] * 3, [20] * 3])


@given(deep_arrays, st.sampled_from(["PNG", "TIFF", "TIFF compressed"]))
@example(np.array([[0, 128, 129, 256, 257, 65278, 65407, 65408, 65535]], np.uint16), "PNG")
def test_16_bit_grey_is_scaled_and_not_clipped(pixels: np.ndarray, kind: str) -> None:
    image = read_image(encoded(Image.fromarray(pixels), kind))
    assert_is_picture(image)
    np.testing.assert_array_equal(image, np.stack([np.round(pixels / 257)] * 3, axis=-1))


@given(deep_arrays)
def test_16_bit_grey_is_scaled_in_big_endian_and_32_bit_files(pixels: np.ndarray) -> None:
    expected = np.stack([np.round(pixels / 257)] * 3, axis=-1)
    for stored in (pixels.astype(">u2"), pixels.astype(np.int32)):
        image = read_image(encoded(Image.fromarray(stored), "TIFF"))
        np.testing.assert_array_equal(image, expected)


def test_16_bit_colour_keeps_its_upper_8_bits() -> None:
    pixels = np.array([[[0, 255, 256], [65535, 65280, 32768]]], ">u2")
    image = read_image(png((2, 1), 16, 2, png_rows(pixels)))
    np.testing.assert_array_equal(image, pixels >> 8)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("inks", "colour"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((255, 0, 255, 0), (0, 255, 0)),
        ((255, 255, 0, 0), (0, 0, 255)),
    ],
)
def test_cmyk_inks_become_their_colours(
    kind: str, inks: tuple[int, ...], colour: tuple[int, ...]
) -> None:
    image = read_image(encoded(Image.new("CMYK", (16, 16), inks), kind))
    np.testing.assert_allclose(image, np.broadcast_to(colour, (16, 16, 3)), atol=3)


STORED_AS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", sorted(STORED_AS))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "TIFF compressed", "WEBP"])
def test_pictures_stand_upright_as_exif_says(kind: str, orientation: int) -> None:
    corners = np.array([[[250, 0, 0], [0, 250, 0], [0, 0, 250]], [[0] * 3, [120] * 3, [250] * 3]])
    upright = corners.astype(np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    stored = np.ascontiguousarray(STORED_AS[orientation](upright))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options = {"subsampling": 0, "quality": 95} if kind == "JPEG" else {}
    image = read_image(encoded(Image.fromarray(stored), kind, exif=exif, **options))
    assert_is_picture(image)
    assert image.shape == upright.shape
    np.testing.assert_allclose(image.astype(int), upright, atol=8 if kind == "JPEG" else 0)


def test_16_bit_and_transparent_pictures_are_turned_too() -> None:
    deep = np.array([[0, 257], [514, 771], [1028, 1285]], np.uint16)
    image = read_image(encoded(Image.fromarray(deep), "PNG", exif=TURNED))
    np.testing.assert_array_equal(image[..., 0], [[4, 2, 0], [5, 3, 1]])
    faint = np.zeros((3, 2, 4), np.uint8)
    faint[0, 0] = [9, 8, 7, 255]
    image = read_image(encoded(Image.fromarray(faint), "PNG", exif=TURNED))
    assert image.shape == (2, 3, 3)
    np.testing.assert_array_equal(image[0, 2], [9, 8, 7])


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"]
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_damaged_exif_does_not_cost_the_picture(kind: str, exif: bytes) -> None:
    image = read_image(encoded(PICTURE, kind, exif=exif))
    np.testing.assert_array_equal(image, np.asarray(PICTURE))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_the_first_of_many_pictures_is_read(kind: str) -> None:
    others = [PICTURE.rotate(180), PICTURE.rotate(90)]
    content = encoded(PICTURE, kind, save_all=True, append_images=others)
    np.testing.assert_array_equal(read_image(content), np.asarray(PICTURE))


# Arrays


@given(rgb_arrays)
def test_an_rgb_array_is_copied_as_it_is(pixels: np.ndarray) -> None:
    original = pixels.copy()
    image = read_image(pixels)
    assert_is_picture(image)
    np.testing.assert_array_equal(image, original)
    image += 1
    np.testing.assert_array_equal(pixels, original)


@given(grey_arrays)
def test_a_grey_array_becomes_three_equal_channels(pixels: np.ndarray) -> None:
    for array in (pixels, pixels[..., np.newaxis]):
        image = read_image(array)
        assert_is_picture(image)
        np.testing.assert_array_equal(image, np.stack([pixels] * 3, axis=-1))


@given(rgba_arrays)
def test_an_rgba_array_is_laid_over_black(pixels: np.ndarray) -> None:
    image = read_image(pixels)
    assert_is_picture(image)
    np.testing.assert_allclose(image, over_black(pixels), atol=0.51)


@given(deep_arrays, st.sampled_from(["<u2", ">u2"]))
def test_a_16_bit_array_is_scaled(pixels: np.ndarray, dtype: str) -> None:
    image = read_image(pixels.astype(dtype))
    assert_is_picture(image)
    np.testing.assert_array_equal(image, np.stack([np.round(pixels / 257)] * 3, axis=-1))


def test_views_in_any_memory_order_are_read() -> None:
    pixels = noise(6, 8)
    for view in (pixels[::-1, ::2], pixels.swapaxes(0, 1), np.asfortranarray(pixels)):
        image = read_image(view)
        assert_is_picture(image)
        np.testing.assert_array_equal(image, view)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 3), np.bool_),
        np.zeros((4, 4, 3), np.int64),
        np.zeros((4, 4, 3), np.uint32),
        np.full((4, 4, 3), None),
        np.zeros((3, 4, 5), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 0), np.uint8),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_other_arrays_are_refused_with_their_type_and_shape(array: np.ndarray) -> None:
    message = refusal(array)
    assert message.startswith("The array ")
    assert f"type {array.dtype} and shape {list(array.shape)}" in message
    assert "uint8 or uint16 of shape [height, width]" in message
    assert refusal(array, name="Frame 3").startswith("Frame 3 ")


@pytest.mark.parametrize("source", [None, 7, [1, 2], object(), bytearray(b"x"), PICTURE])
def test_anything_else_is_refused_with_its_type(source: Any) -> None:
    assert f"given as {type(source).__name__}:" in refusal(source)


# Bad files


def huge_files(width: int = 50_000, height: int = 50_000) -> dict[str, bytes]:
    """Small files of every format whose headers promise a huge picture."""
    jpeg = bytearray(SAMPLES["JPEG"])
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, height, width)
    bmp = bytearray(SAMPLES["BMP"])
    struct.pack_into("<ii", bmp, 18, width, height)
    webp = bytearray(SAMPLES["lossless WebP with EXIF"])
    webp[24:30] = (16383).to_bytes(3, "little") * 2
    return {
        "JPEG": bytes(jpeg),
        "PNG": png((width, height), 8, 2, b""),
        "BMP": bytes(bmp),
        "TIFF": with_tiff_tag(with_tiff_tag(SAMPLES["TIFF"], 256, width), 257, height),
        "WebP": bytes(webp),
    }


@pytest.mark.parametrize("kind", sorted(huge_files()))
def test_huge_pictures_are_refused_by_their_header(kind: str, tmp_path: Path) -> None:
    settings_before = Image.MAX_IMAGE_PIXELS
    content = huge_files()[kind]
    assert "more than 150 million pixels" in refusal(content)
    path = tmp_path / "huge.img"
    path.write_bytes(content)
    assert refusal(path).startswith(f"{path} has more than 150 million pixels")
    assert settings_before == Image.MAX_IMAGE_PIXELS


def test_pictures_just_above_the_limit_are_refused_and_a_whole_satellite_tile_is_not() -> None:
    assert "more than 150 million" in refusal(png((12_500, 12_001), 8, 0, b""))
    assert MAX_PIXELS >= 10_980 * 10_980


def test_the_limit_itself_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", PICTURE.width * PICTURE.height)
    for content in SAMPLES.values():
        assert_is_picture(read_image(content))
    monkeypatch.setattr(images, "MAX_PIXELS", PICTURE.width * PICTURE.height - 1)
    for content in SAMPLES.values():
        assert "million pixels" in refusal(content)


NO_IMAGES: dict[str, bytes] = {
    "text": b"Hello, this is a text file.\n",
    "web page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
    "GIF": encoded(PICTURE, "GIF"),
    "JPEG 2000": encoded(PICTURE, "JPEG2000"),
    "PPM": encoded(PICTURE, "PPM"),
    "ICO": encoded(PICTURE, "ICO"),
    "zeros": bytes(4096),
    "one byte": b"\xff",
    "PNG signature only": b"\x89PNG\r\n\x1a\n",
    "JPEG signature only": b"\xff\xd8\xff",
}


@pytest.mark.parametrize("kind", sorted(NO_IMAGES))
def test_other_files_are_refused_whatever_their_suffix(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "tile.jpg"
    path.write_bytes(NO_IMAGES[kind])
    for message in (refusal(path), refusal(NO_IMAGES[kind])):
        assert "JPEG, PNG, TIFF, WebP or BMP" in message


def test_a_tiff_of_many_bands_is_refused_with_what_to_do() -> None:
    many_bands = with_tiff_tag(SAMPLES["TIFF"], 277, 13)
    assert "three bands, red, green and blue" in refusal(many_bands)


def test_tiffs_of_values_without_a_plain_colour_are_refused() -> None:
    assert "floating-point" in refusal(encoded(Image.new("F", (4, 4), 0.5), "TIFF"))
    assert "Lab" in refusal(encoded(Image.new("LAB", (4, 4)), "TIFF"))
    assert "beyond 0 to 65535" in refusal(encoded(Image.new("I", (4, 4), 65536), "TIFF"))
    assert "beyond 0 to 65535" in refusal(encoded(Image.new("I", (4, 4), -1), "TIFF"))


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_files_cut_short_are_refused(kind: str, tmp_path: Path) -> None:
    content = SAMPLES[kind]
    first_picture = len(content) // 2 if kind == "animated PNG" else len(content)
    path = tmp_path / "cut"
    for percent in range(5, 95, 9):
        cut = content[: first_picture * percent // 100]
        path.write_bytes(cut)
        refusal(cut)
        assert str(path) in refusal(path)


def test_a_real_tile_cut_anywhere_is_refused(tiles: list[bytes]) -> None:
    for length in range(1, len(tiles[0])):
        refusal(tiles[0][:length])


ODD_CHUNKS: dict[str, bytes] = {
    "short transparency": png_chunk(b"tRNS", b""),
    "short gamma": png_chunk(b"gAMA", b"\0"),
    "short resolution": png_chunk(b"pHYs", b"\0"),
    "short animation": png_chunk(b"acTL", b"\0"),
    "second header without content": png_chunk(b"IHDR", b""),
    "text that unpacks to 16 million bytes": png_chunk(
        b"zTXt", b"note\0\0" + zlib.compress(bytes(1 << 24))
    ),
}


@pytest.mark.parametrize("kind", sorted(ODD_CHUNKS))
def test_a_png_with_a_damaged_part_is_refused(kind: str) -> None:
    assert "damaged" in refusal(png((1, 1), 8, 0, b"\0\7", ODD_CHUNKS[kind]))
    assert_is_picture(read_image(png((1, 1), 8, 0, b"\0\7")))


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (MemoryError(), "does not fit into memory"),
        *(
            (kind("text of the decoder"), "is damaged or cut short")
            for kind in (
                *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError),
                *(OverflowError, AttributeError, AssertionError, RuntimeError),
                *(struct.error, zlib.error),
            )
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_error_of_a_decoder_gets_out(
    error: Exception, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(images.Image, "open", fail)
    message = refusal(SAMPLES["PNG"])
    assert problem in message
    assert "text of the decoder" not in message


def test_empty_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    assert refusal(path).startswith(f"{path} is empty")
    assert refusal(b"").startswith("The image is empty")


@given(
    st.sampled_from([b"", *(content[:30] for content in SAMPLES.values())]),
    st.binary(max_size=300),
)
@settings(max_examples=200, deadline=None)
def test_random_bytes_are_a_picture_or_refused(start: bytes, rest: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "MAX_PIXELS", 1_000_000)
        picture_or_refusal(start + rest)


mutations = st.lists(
    st.tuples(
        st.sampled_from(["change", "insert", "delete"]),
        # Most of what a decoder can trip over stands in the first bytes.
        st.one_of(st.integers(0, 80), st.integers(0, 3000)),
        st.one_of(st.sampled_from([b"\0", b"\xff"]), st.binary(min_size=1, max_size=4)),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("kind", sorted(SAMPLES))
@given(mutations)
@settings(max_examples=80, deadline=None)
def test_damaged_files_are_a_picture_or_refused(
    kind: str, changes: list[tuple[str, int, bytes]]
) -> None:
    content = bytearray(SAMPLES[kind])
    for action, place, inserted in changes:
        position = place % max(1, len(content))
        removed = 0 if action == "insert" else len(inserted)
        content[position : position + removed] = b"" if action == "delete" else inserted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "MAX_PIXELS", 1_000_000)
        picture_or_refusal(bytes(content))


def test_odd_files_print_nothing(tmp_path: Path) -> None:
    corrupt_exif = with_tiff_tag(SAMPLES["LZW TIFF with EXIF"], 274, 1)
    files = {
        "large.png": png((10_000, 10_000), 1, 0, b""),  # Pillow warns above 89 million pixels
        "huge.png": png((12_500, 12_500), 1, 0, b""),
        "bands.tif": with_tiff_tag(SAMPLES["TIFF"], 277, 13),
        "animation.png": png((1, 1), 8, 0, b"\0\7", png_chunk(b"acTL", bytes(8))),
        "exif.tif": corrupt_exif[:-6],
        "tile.txt": b"text",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    script = (
        "import sys\n"
        "from eurosat.errors import ImageError\n"
        "from eurosat.images import read_image\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        read_image(path)\n"
        "    except ImageError:\n"
        "        pass\n"
    )
    finished = subprocess.run(
        [sys.executable, "-W", "always", "-c", script, *(str(tmp_path / name) for name in files)],
        env={**os.environ, "PYTHONPATH": str(Path(images.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout + finished.stderr == ""


# Paths that are no files


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "missing.jpg"
    for source in (path, str(path)):
        assert refusal(source) == f"{path} does not exist: check the path."
    file = tmp_path / "file.txt"
    file.write_text("text")
    assert "does not exist" in refusal(file / "x.jpg")
    (tmp_path / "dangling.jpg").symlink_to(path)
    assert "does not exist" in refusal(tmp_path / "dangling.jpg")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} is a folder: name an image in it."


def test_devices_and_pipes_are_refused_without_waiting_for_them(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", Path("/dev/zero"), Path("/dev/null")):
        assert refusal(path) == f"{path} is a device or a pipe: name an image file."


def test_impossible_paths_are_refused(tmp_path: Path) -> None:
    assert "is not a path" in refusal("a\0b.jpg")
    assert "is not a path" in refusal(b"\0\0.jpg".decode() + "\ud800")
    assert "cannot be opened" in refusal(tmp_path / ("x" * 5000))
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    assert "cannot be opened" in refusal(tmp_path / "loop.jpg")


@contextmanager
def ordinary_user() -> Generator[None, None, None]:
    """Root may read everything; so the block runs as another user where the tests run as root."""
    if not hasattr(os, "seteuid"):
        pytest.skip("this system has no file permissions of this kind")
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("is_told", [True, False])
def test_unreadable_files_and_folders_are_refused(is_told: bool) -> None:
    # Not in `tmp_path`, whose parent folders another user may not enter.
    with tempfile.TemporaryDirectory() as name:
        outside = Path(name)
        outside.chmod(0o755)
        file, folder, last = outside / "tile.jpg", outside / "folder", outside / "z.jpg"
        for image in (file, last):
            image.write_bytes(SAMPLES["JPEG"])
        told: list[Path] = []
        locked = told.append if is_told else None
        folder.mkdir()
        file.chmod(0)
        folder.chmod(0)
        try:
            with ordinary_user():
                assert refusal(file).startswith(f"{file} may not be read: ")
                assert refusal(folder / "x.jpg").startswith(f"{folder / 'x.jpg'} may not be read: ")
                assert list(find_images([folder / "x.jpg"])) == [folder / "x.jpg"]
                with pytest.raises(ImageError, match="cannot be searched") as caught:
                    list(find_images([folder], locked=locked))
                assert str(caught.value).startswith(f"{folder} ")
                assert told == [], "what is named is refused, and not told of"
                search = find_images([outside], locked=locked)
                if is_told:
                    assert list(search) == [file, last], "one folder does not stop the rest"
                    assert told == [folder]
                else:
                    with pytest.raises(ImageError, match="cannot be searched"):
                        list(search)
        finally:
            folder.chmod(0o700)


def test_messages_take_the_name_they_are_given(tmp_path: Path) -> None:
    for source in (b"text", b"", tmp_path / "missing", tmp_path, np.zeros(3), None):
        assert refusal(source, name="Upload 7").startswith("Upload 7 ")


def test_unprintable_names_stay_on_one_line(tmp_path: Path) -> None:
    message = refusal(tmp_path / "a\nb\x1b[31m\udcff.jpg")
    assert message.startswith(f"{tmp_path}/a\ufffdb\ufffd[31m\ufffd.jpg does not exist")
    assert message.encode()


# Resizing


def test_an_image_of_the_right_size_is_returned_itself() -> None:
    image = noise(5, 9)
    assert resize_image(image, 5, 9) is image


@given(rgb_arrays, st.integers(1, 20), st.integers(1, 20))
def test_a_resized_image_has_the_size_and_range_of_colours_asked_for(
    pixels: np.ndarray, height: int, width: int
) -> None:
    image = resize_image(pixels, height, width)
    assert image.dtype == np.uint8 and image.shape == (height, width, 3)
    assert (image.min(axis=(0, 1)) >= pixels.min(axis=(0, 1))).all()
    assert (image.max(axis=(0, 1)) <= pixels.max(axis=(0, 1))).all()


def test_shrinking_averages_fine_patterns() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    image = resize_image(read_image(board.astype(np.uint8)), 8, 8)
    np.testing.assert_allclose(image, 127.5, atol=8)


def test_resizing_keeps_left_right_top_and_bottom() -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    image[0, 3] = [255, 100, 50]
    enlarged = resize_image(image, 20, 40)
    np.testing.assert_array_equal(enlarged[0, -1], [255, 100, 50])
    assert enlarged[10:, :20].sum() == 0
