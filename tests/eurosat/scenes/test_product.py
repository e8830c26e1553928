"""Sentinel-2 products as they are downloaded: folders and zips, read, mapped, and refused."""

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio

from eurosat.errors import SceneError
from eurosat.find_images import find_images
from eurosat.scenes.input_kind import InputKind, Scaling
from eurosat.scenes.product import scene_named_by, scene_state
from eurosat.scenes.scene import open_scene
from eurosat.scenes.scene_or_tile import is_scene

from ...commands import Command
from ..conftest import assert_one_sentence
from .product_fixtures import band_of, metadata_of, write_product, zip_of
from .scene_fixtures import grid_at, make_map, read_all, texture, write_rgb

SMALL = ("--model", "cnn-int8", "--stride", "64")


def itself(product: Path) -> Path:
    return product


WAYS = [itself, metadata_of, zip_of]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("level", "baseline", "offset"),
    # Of baseline 05.00 with an offset are old pictures that were processed again, too.
    [("1C", "02.08", None), ("1C", "05.09", -1000), ("2A", "05.00", -1000), ("2A", "02.14", None)],
)
def test_a_product_is_read_as_its_metadata_say(
    tmp_path: Path, way: Callable[[Path], Path], level: str, baseline: str, offset: int | None
):
    product, values = write_product(tmp_path, level, baseline=baseline, offset=offset)
    with open_scene(way(product)) as scene:
        expected = Scaling(InputKind(f"l{level.lower()}"), offset or 0)
        assert scene.scaling == expected
        pixels, has_data = read_all(scene)
        np.testing.assert_array_equal(pixels, np.moveaxis(expected.to_pixels(values), 0, 2))
        assert has_data.all()
        assert scene.ground.transform == grid_at()
        assert scene.ground.crs_name == "EPSG:32630"
        told = "-1000 is added to its values, because it says so" if offset else "no offset"
        assert scene.notes[0] == "Bands 4, 3 and 2 of a Sentinel-2 product."
        assert f"L{level} reflectance, because its metadata say so; {told}" in scene.notes[1]


def test_metadata_decide_even_where_values_and_names_say_otherwise(tmp_path: Path):
    product, _ = write_product(tmp_path, "1C", baseline="05.09", offset=None)
    with open_scene(product) as scene:
        assert scene.scaling == Scaling(InputKind.L1C)
    with open_scene(product, kind=InputKind.L2A, offset=-500) as scene:
        assert scene.scaling == Scaling(InputKind.L2A, -500)
        assert "as requested; -500 is added to its values, as requested" in scene.notes[1]
    with pytest.raises(SceneError, match="choose l1c or l2a"):
        open_scene(product, kind=InputKind.EUROSAT).__enter__()


def test_another_quantification_is_heeded(tmp_path: Path):
    product, values = write_product(tmp_path, one=20_000, offset=-2000)
    with open_scene(product) as scene:
        expected = Scaling(InputKind.L1C, -1000, 0.5)
        assert scene.scaling == expected
        np.testing.assert_array_equal(
            read_all(scene)[0], np.moveaxis(expected.to_pixels(values), 0, 2)
        )


def test_only_the_bands_of_a_true_picture_are_read(tmp_path: Path):
    product, _ = write_product(tmp_path)
    with open_scene(product, bands=(4, 3, 2)) as named, open_scene(product) as plain:
        assert named.notes == plain.notes
    with pytest.raises(SceneError, match="bands 4, 3 and 2 are read") as refusal:
        open_scene(product, bands=(8, 4, 3)).__enter__()
    assert_one_sentence(refusal.value)


def test_empty_pixels_of_a_product_are_no_data(tmp_path: Path):
    product, values = write_product(tmp_path)
    for band, pixels in zip((4, 3, 2), values, strict=True):
        pixels[:, :50] = 0
        with rasterio.open(band_of(product, band)) as file:
            profile = file.profile | {"QUALITY": "100", "REVERSIBLE": "YES"}
        with rasterio.open(band_of(product, band), "w", **profile) as file:
            file.write(pixels, 1)
    with open_scene(product) as scene:
        has_data = read_all(scene)[1]
    assert not has_data[:, :50].any()
    assert has_data[:, 50:].all()


def test_a_quick_look_is_made_of_the_resolution_levels_of_the_files(tmp_path: Path):
    product, values = write_product(tmp_path, side=600)
    bands = [rasterio.open(band_of(product, band)) for band in (4, 3, 2)]
    levels = np.stack([band.read(1, out_shape=(150, 150)) for band in bands])
    assert not np.array_equal(levels, values[:, ::4, ::4])
    with open_scene(product) as scene:
        look, _ = scene.preview(150)
        np.testing.assert_array_equal(look, np.moveaxis(scene.scaling.to_pixels(levels), 0, 2))


# Maps


def test_a_product_is_mapped_into_a_folder_of_its_name(tmp_path: Path, command_here: Command):
    product, _ = write_product(tmp_path)
    name = product.stem
    done = command_here("eurosat-map", product, metadata_of(product), "--out", "maps", *SMALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"{product.name} mapped") == 1
    assert "because its metadata say so; -1000 is added" in " ".join(done.stderr.split())
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {name}
    assert product.name in (tmp_path / "maps" / name / "report.html").read_text()

    again = command_here("eurosat-map", metadata_of(product), "--out", "maps", *SMALL)
    assert f"{product.name} was mapped before" in again.stdout
    archive = zip_of(product).rename(tmp_path / f"{product.name}.zip")
    shutil.rmtree(product)
    packed = command_here("eurosat-map", archive, "--out", "packed", *SMALL)
    assert packed.returncode == 0, packed.stderr
    for file in ("classes.tif", "areas.csv"):
        maps = [tmp_path / folder / name / file for folder in ("maps", "packed")]
        assert maps[0].read_bytes() == maps[1].read_bytes()


def test_processes_map_a_product_too(tmp_path: Path, command_here: Command):
    product, _ = write_product(tmp_path)
    done = command_here("eurosat-map", product, "--out", "maps", *SMALL, "--processes", "1")
    assert done.returncode == 0, done.stderr
    alone = make_map(product, tmp_path / "alone", stride=64)
    made = tmp_path / "maps" / product.stem
    assert (made / "areas.csv").read_bytes() == (alone / "areas.csv").read_bytes()


def test_a_product_has_changed_when_its_images_have(tmp_path: Path):
    product, _ = write_product(tmp_path)
    state = scene_state(product)
    (product / "notes.txt").write_text("of mine")
    band = band_of(product, 3)
    band.with_name(f"{band.name}.aux.xml").write_text("statistics of another program")
    assert scene_state(product) == state
    band.write_bytes(band.read_bytes() + b"\0")
    assert scene_state(product)[0] == state[0] + 1


# What is one


def test_products_are_scenes_and_other_folders_and_zips_are_not(tmp_path: Path):
    product, _ = write_product(tmp_path)
    archive = zip_of(product)
    renamed = Path(shutil.copy(archive, tmp_path / "renamed.zip"))
    unpacked = tmp_path / "unpacked"
    shutil.unpack_archive(archive, unpacked)
    inside = unpacked / product.name
    (unpacked / "maps").mkdir()
    for path in (product, metadata_of(product), archive, renamed, unpacked, inside):
        assert is_scene(path), path
        with open_scene(path) as scene:
            assert scene.scaling.kind is InputKind.L1C
            assert scene.path == (inside if path == unpacked else scene_named_by(path))
    plain = tmp_path / "plain"
    write_rgb(plain.with_suffix(".tif"), texture(64, 64))
    plain.mkdir()
    (plain / "a.txt").write_text("a")
    other = Path(shutil.make_archive(str(plain), "zip", plain))
    (unpacked / "maps of 2019").mkdir()
    for path in (tmp_path, plain, other, unpacked):
        assert not is_scene(path), path


def test_pictures_in_a_product_are_no_tiles(tmp_path: Path):
    tile = write_rgb(tmp_path / "tile.tif", texture(64, 64))
    product, _ = write_product(tmp_path)
    archive = zip_of(product)
    image = shutil.copy(band_of(product, 4), tmp_path / "b04.JP2")
    left_out: list[Path] = []
    assert list(find_images([tmp_path], left_out=left_out.append)) == [tile]
    assert set(left_out) == {product, archive, image}
    named = [product, archive, metadata_of(product)]
    assert list(find_images(named)) == named


def test_scenes_that_are_no_images_are_told_of_where_tiles_are_classified(
    tmp_path: Path, command_here: Command
):
    product, _ = write_product(tmp_path / "field")
    (tmp_path / "field" / "notes.txt").write_text("of mine")
    done = command_here("eurosat-classify", "field", *SMALL[:2])
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"There are no images but scenes, such as field/{product.name}, in field: `eurosat-map`"
        " makes maps of them.\n"
    )
    write_rgb(tmp_path / "field" / "tile.tif", texture(64, 64))
    done = command_here("eurosat-classify", "field", *SMALL[:2])
    assert done.returncode == 0, done.stderr
    told = f"field/{product.name} is a whole scene and was left out: `eurosat-map` makes a map."
    assert done.stderr.endswith(f"Warning: {told}\n")
    image = shutil.copy(band_of(product, 4), tmp_path / "field" / "b04.jp2")
    archive = zip_of(product).rename(tmp_path / "renamed.zip")
    named = (product, metadata_of(product), archive, image)
    done = command_here("eurosat-classify", "field", *named, *SMALL[:2])
    assert done.returncode == 1
    assert "2 whole scenes, " in done.stderr
    assert "looked at as one tile" not in done.stderr
    for path in named[:3]:
        assert f"{path} is a whole scene: `eurosat-map` makes a map of it." in done.stderr
    assert f"{image} is JPEG 2000, as whole scenes are: `eurosat-map` makes a map" in done.stderr


# What is refused


def without_a_band(product: Path) -> None:
    band_of(product, 3).unlink()


def with_a_band_cut_short(product: Path) -> None:
    whole = band_of(product, 2).read_bytes()
    band_of(product, 2).write_bytes(whole[: len(whole) // 2])


def with_a_band_that_is_no_image(product: Path) -> None:
    band_of(product, 2).write_bytes(b"no image")


def with_a_band_of_another_size(product: Path) -> None:
    other, _ = write_product(product.parent / "other", side=150)
    shutil.copy(band_of(other, 4), band_of(product, 4))


def with_metadata_cut_short(product: Path) -> None:
    whole = metadata_of(product).read_text()
    metadata_of(product).write_text(whole[: len(whole) // 2])


def with_an_offset_that_is_no_number(product: Path) -> None:
    whole = metadata_of(product).read_text()
    metadata_of(product).write_text(whole.replace("-1000", "much"))


def without_an_end_of_its_scale(product: Path) -> None:
    whole = metadata_of(product).read_text()
    metadata_of(product).write_text(whole.replace(">10000<", ">1e400<"))


def with_other_offsets(product: Path) -> None:
    whole = metadata_of(product).read_text()
    metadata_of(product).write_text(whole.replace('id="2">-1000', 'id="2">-900'))


def without_metadata(product: Path) -> None:
    metadata_of(product).unlink()


def of_two_tiles(product: Path) -> None:
    whole = metadata_of(product).read_text()
    twice = re.sub("(<IMAGE_FILE>GRANULE/)(.+?</IMAGE_FILE>)", r"\1\2\1second_\2", whole)
    metadata_of(product).write_text(twice)


@pytest.mark.parametrize("way", [itself, zip_of])
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (without_a_band, "lacks T34UCF_20230823T095559_B03.jp2: download it again"),
        (with_a_band_cut_short, "is damaged or cut short"),
        (with_a_band_that_is_no_image, "Band 2 of .+ is damaged or cut short"),
        (with_a_band_of_another_size, "differ in size or place: download it again"),
        (with_metadata_cut_short, "is damaged or cut short"),
        (with_an_offset_that_is_no_number, "is damaged or cut short"),
        (without_an_end_of_its_scale, "is damaged or cut short"),
        (with_other_offsets, "another offset in each of its bands"),
        (without_metadata, "has no MTD_MSIL1C.xml or MTD_MSIL2A.xml"),
        (of_two_tiles, "has 2 images of band 4 at 10 m"),
    ],
)
def test_a_product_that_cannot_be_read_is_refused_in_one_sentence(
    tmp_path: Path,
    damage: Callable[[Path], None],
    told: str,
    way: Callable[[Path], Path],
):
    product, _ = write_product(tmp_path / "products")
    damage(product)
    path = way(product)
    assert is_scene(path), "so that the app opens it and tells"
    with pytest.raises(SceneError, match=told) as refusal:
        open_scene(path).__enter__()
    assert_one_sentence(refusal.value)
    assert path.name in str(refusal.value)


def test_a_zip_cut_short_is_refused(tmp_path: Path, command_here: Command):
    product, _ = write_product(tmp_path)
    archive = zip_of(product)
    archive.write_bytes(archive.read_bytes()[:20_000])
    assert is_scene(archive)
    done = command_here("eurosat-map", archive, "--out", "maps", *SMALL)
    assert done.returncode == 2
    assert f"{archive.name} is damaged or cut short" in done.stderr
    assert not (tmp_path / "maps").exists()


def test_a_damaged_zip_of_any_name_is_no_product(tmp_path: Path, command_here: Command):
    archive = tmp_path / "tiles.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "a")
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 255  # The version that is needed to unpack it.
    archive.write_bytes(content)
    assert not is_scene(archive)
    done = command_here("eurosat-classify", archive, *SMALL[:2])
    assert done.returncode == 2
    assert "is not a readable JPEG, PNG, TIFF, WebP or BMP image" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_of_products_is_refused_and_one_of_them_named(tmp_path: Path):
    write_rgb(tmp_path / "scene.tif", texture(64, 64))
    with pytest.raises(SceneError, match=r"is a folder: name a scene in it\.$"):
        open_scene(tmp_path).__enter__()
    product, _ = write_product(tmp_path)
    with pytest.raises(SceneError, match=f"name a scene in it, such as {product.name}"):
        open_scene(tmp_path).__enter__()
    other = Path(shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path, "scene.tif"))
    with pytest.raises(SceneError, match="is a zip without a Sentinel-2 product"):
        open_scene(other).__enter__()
