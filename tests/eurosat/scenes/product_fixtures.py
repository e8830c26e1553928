"""Small Sentinel-2 products that the tests write, with the layout and the names of real ones."""

import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np

from .scene_fixtures import texture, write_scene

TILE: Final = "T34UCF"
TIME: Final = "20230823T095559"
BANDS: Final = (4, 3, 2)

_OFFSETS: Final = {
    "1C": ("Radiometric_Offset_List", "RADIO_ADD_OFFSET"),
    "2A": ("BOA_ADD_OFFSET_VALUES_LIST", "BOA_ADD_OFFSET"),
}
_ONE: Final = {
    "1C": "<QUANTIFICATION_VALUE unit='none'>{one}</QUANTIFICATION_VALUE>",
    "2A": "<QUANTIFICATION_VALUES_LIST><BOA_QUANTIFICATION_VALUE unit='none'>{one}"
    "</BOA_QUANTIFICATION_VALUE><AOT_QUANTIFICATION_VALUE unit='none'>1000.0"
    "</AOT_QUANTIFICATION_VALUE></QUANTIFICATION_VALUES_LIST>",
}


def write_product(
    folder: Path,
    level: str = "1C",
    *,
    baseline: str = "05.09",
    offset: int | None = -1000,
    one: int = 10_000,
    side: int = 200,
    seed: int = 0,
    **profile: Any,
) -> tuple[Path, np.ndarray]:
    """Write a product.

    Args:
        folder: Where.
        level: "1C" or "2A".
        baseline: Its processing baseline.
        offset: What its metadata ask to be added, or None if they say nothing.
        one: The value that stands for a reflectance of 1.
        side: Pixels along a side.
        seed: What its pixels are drawn from.
        profile: Options of its images for rasterio.

    Returns:
        Its `.SAFE` folder, and its values as uint16 of shape [3, side, side]: red, green and blue.
    """
    name = f"S2B_MSIL{level}_{TIME}_N{baseline.replace('.', '')}_R122_{TILE}_20230823T120234.SAFE"
    product = folder / name
    granule = Path("GRANULE", f"L{level}_{TILE}_A033753_20230823T095553")
    resolutions = {"": ""} if level == "1C" else {"R10m/": "_10m", "R20m/": "_20m"}
    images = [
        f"{granule.as_posix()}/IMG_DATA/{place}{TILE}_{TIME}_{band}{end}"
        for place, end in resolutions.items()
        for band in ("B02", "B03", "B04", "B08", "TCI")
    ]
    colours = np.moveaxis(texture(side, side, seed), 2, 0)
    reflectance = colours.astype(int) * 2750 // 255
    values = (reflectance * one // 10_000 - (offset or 0)).astype(np.uint16)
    for band, pixels in zip(BANDS, values, strict=True):
        path = product / f"{_image_of(images, band)}.jp2"
        path.parent.mkdir(parents=True, exist_ok=True)
        options = {"driver": "JP2OpenJPEG", "quality": 100, "reversible": "YES"}
        write_scene(path, pixels[np.newaxis], **options, **profile)
    (product / f"MTD_MSIL{level}.xml").write_text(_metadata(level, baseline, offset, one, images))
    (product / granule / "MTD_TL.xml").write_text("<tile/>")
    (product / "manifest.safe").write_text("<manifest/>")
    (product / "HTML").mkdir()
    shutil.copy(Path(__file__).parents[3] / "docs" / "app.png", product / "HTML" / "banner_1.png")
    return product, values


def band_of(product: Path, band: int) -> Path:
    """Return the file of a band at 10 m."""
    found = [*product.rglob(f"*_B{band:02}.jp2"), *product.rglob(f"*_B{band:02}_10m.jp2")]
    (path,) = found
    return path


def metadata_of(product: Path) -> Path:
    """Return the metadata of a product."""
    (path,) = product.glob("MTD_MSIL*.xml")
    return path


def zip_of(product: Path) -> Path:
    """Write the zip of a product beside it and return it."""
    archive = shutil.make_archive(str(product), "zip", product.parent, product.name)
    return Path(archive)


def _image_of(images: list[str], band: int) -> str:
    return next(image for image in images if f"_B{band:02}" in image)


def _metadata(level: str, baseline: str, offset: int | None, one: int, images: list[str]) -> str:
    outer, inner = _OFFSETS[level]
    offsets = "".join(f'<{inner} band_id="{band}">{offset}</{inner}>' for band in range(13))
    listed = "".join(f"<IMAGE_FILE>{image}</IMAGE_FILE>" for image in images)
    space = f"https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-{level}.xsd"
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-{level}_User_Product xmlns:n1="{space}">
  <n1:General_Info>
    <Product_Info>
      <PROCESSING_LEVEL>Level-{level}</PROCESSING_LEVEL>
      <PRODUCT_TYPE>S2MSI{level}</PRODUCT_TYPE>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
      <Query_Options completeSingleTile="true">
        <PRODUCT_FORMAT>SAFE_COMPACT</PRODUCT_FORMAT>
      </Query_Options>
      <Product_Organisation><Granule_List><Granule imageFormat="JPEG2000">
        {listed}
      </Granule></Granule_List></Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      {_ONE[level].format(one=one)}
      {"" if offset is None else f"<{outer}>{offsets}</{outer}>"}
    </Product_Image_Characteristics>
  </n1:General_Info>
</n1:Level-{level}_User_Product>
"""
