"""How much of what a map calls water is water, by infrared bands, which no model sees.

Run it as `python benchmarks/map_water.py SCENE MAP/classes.tif...`, with a scene whose bands say
that they are Sentinel-2's B3 and B11. Water is where the modified normalised difference water index
is above 0, which means more green than short-wave infrared (Xu, "Modification of normalised
difference water index to enhance open water features in remotely sensed imagery", 2006). It finds
floods among fields and a river of 40 m, and takes wet soil and some shadows for water.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from eurosat.console import refusals_told
from eurosat.errors import SceneError, first_line

WATER = ("River", "SeaLake")
BANDS = ("B3", "B11")


def main() -> None:
    """Measure and print; refuse what is no scene or map in a sentence and with status 2."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scene", metavar="SCENE", help="its bands say that they are B3 and B11")
    parser.add_argument("maps", nargs="+", metavar="MAP/classes.tif", help="maps of the scene")
    asked = parser.parse_args()
    with refusals_told():
        try:
            measure(asked.scene, asked.maps)
        except RasterioError as error:
            raise SceneError(f"{first_line(error)}: name another file.") from error


def measure(scene: str, maps: Sequence[str]) -> None:
    """Compare, and print a line for each map.

    Raises:
        SceneError: The scene has no such bands.
        RasterioError: A file is missing or cannot be read.
    """
    bands = bands_of(scene)
    print(f"{'map':40}{'called water':>14}{'of this, water':>16}{'of water, found':>17}")
    for path in maps:
        with rasterio.open(path) as file:
            classes, tags = file.read(1), file.tags()
            grid = {"crs": file.crs, "transform": file.transform}
            grid |= {"width": file.width, "height": file.height}
            has_data = classes != file.nodata
        is_water = water_of(scene, bands, grid) & has_data
        numbers = [
            int(key[6:]) for key, name in tags.items() if key[:6] == "CLASS_" and name in WATER
        ]
        is_called = np.isin(classes, numbers)
        found = (is_water & is_called).sum()
        print(
            f"{path:40}{is_called.sum() / has_data.sum():>14.1%}{found / is_called.sum():>16.1%}"
            f"{found / is_water.sum():>17.1%}"
        )


def bands_of(scene: str) -> list[int]:
    """Return the numbers of green and short-wave infrared in a scene."""
    with rasterio.open(scene) as file:
        names = list(file.descriptions)
    if not {*BANDS} <= {*names}:
        raise SceneError(
            f"{scene} has no bands that are called {' and '.join(BANDS)}: name another file."
        )
    return [names.index(name) + 1 for name in BANDS]


def water_of(scene: str, bands: Sequence[int], grid: dict[str, Any]) -> np.ndarray:
    """Return where a scene shows water, bool on the grid of a map."""
    with (
        rasterio.open(scene) as file,
        WarpedVRT(file, resampling=Resampling.bilinear, **grid) as vrt,
    ):
        green, infrared = (vrt.read(band).astype(np.int32) for band in bands)
    return green > infrared


if __name__ == "__main__":
    main()
