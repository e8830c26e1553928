"""How much of what a map calls water is water, by infrared bands, which no model sees.

Run it as `python benchmarks/map_water.py SCENE MAP/classes.tif...`, with a scene whose bands say
that they are Sentinel-2's B3 and B11. Water is where the modified normalised difference water index
is above 0, which means more green than short-wave infrared (Xu, "Modification of normalised
difference water index to enhance open water features in remotely sensed imagery", 2006). It finds
floods among fields and a river of 40 m, and takes wet soil and some shadows for water.
"""

import sys
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

WATER = ("River", "SeaLake")


def main() -> None:
    """Compare, and print a line for each map."""
    scene, *maps = sys.argv[1:]
    print(f"{'map':40}{'called water':>14}{'of this, water':>16}{'of water, found':>17}")
    for path in maps:
        with rasterio.open(path) as file:
            classes, tags = file.read(1), file.tags()
            grid = {"crs": file.crs, "transform": file.transform}
            grid |= {"width": file.width, "height": file.height}
            has_data = classes != file.nodata
        is_water = water_of(scene, grid) & has_data
        numbers = [
            int(key[6:]) for key, name in tags.items() if key[:6] == "CLASS_" and name in WATER
        ]
        is_called = np.isin(classes, numbers)
        found = (is_water & is_called).sum()
        print(
            f"{path:40}{is_called.sum() / has_data.sum():>14.1%}{found / is_called.sum():>16.1%}"
            f"{found / is_water.sum():>17.1%}"
        )


def water_of(scene: str, grid: dict[str, Any]) -> np.ndarray:
    """Return where a scene shows water, bool on the grid of a map."""
    with (
        rasterio.open(scene) as file,
        WarpedVRT(file, resampling=Resampling.bilinear, **grid) as vrt,
    ):
        green, infrared = (
            vrt.read(file.descriptions.index(name) + 1).astype(np.int32) for name in ("B3", "B11")
        )
    return green > infrared


if __name__ == "__main__":
    main()
