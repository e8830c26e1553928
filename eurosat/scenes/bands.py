"""Which bands of a file are red, green and blue."""

import re
from typing import TYPE_CHECKING, Final

from eurosat.errors import SceneError
from eurosat.scenes.product import PRODUCT_BANDS

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

Bands = tuple[int, int, int]
"""The numbers of the red, the green and the blue band; the first band of a file is 1."""

_SENTINEL_COUNTS: Final = {12, 13}
"""Files with so many bands hold all of Sentinel-2, or all but B10, in their usual order."""

_COLOUR_NAMES: Final = (
    re.compile(r"(?<![a-z0-9])(b0?4|(?<!infra.)red)(?![a-z0-9]|.?edge)|^r$"),
    re.compile(r"(?<![a-z0-9])(b0?3|green)(?![a-z0-9])|^g$"),
    re.compile(r"^(?!.*coastal).*(?<![a-z0-9])(b0?2|blue)(?![a-z0-9])|^b$"),
)
"""In names in lower case: what may be red, green and blue."""

_BARE_NAME: Final = re.compile(r"b0?[234]|red|green|blue|[rgb]")
"""A name that says nothing else."""

_LANDSAT_NAME: Final = re.compile(r"(?<![a-z0-9])sr_b\d(?![a-z0-9])(?!.*(red|green|blue))")
_LANDSAT_8_OR_9: Final = re.compile(
    r"(?<![a-z0-9])(sr_b6|st_b10)(?![a-z0-9])|(?<![a-z0-9])l[co]0[89]_"
)
"""Bands that these alone have, and how the names of their products begin. Of all other Landsats,
SR_B4 is infrared."""


def parse_bands(text: str) -> Bands | None:
    """Return the three numbers of "4,3,2", or None if they are no such numbers."""
    parts = text.replace(" ", "").split(",")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        return None
    red, green, blue = map(int, parts)
    return red, green, blue


def band_names(dataset: "DatasetReader") -> list[str]:
    """Return what a file calls each of its bands; an empty text for one without a name."""
    return [description or "" for description in dataset.descriptions]


def bands_of_product(bands: Bands | None, name: str) -> tuple[Bands, str]:
    """Return where red, green and blue are in `one_raster`, and a sentence that says why.

    Args:
        bands: Which ones the user asks for, if any.
        name: How messages name the product.

    Raises:
        SceneError: Other bands are asked for.
    """
    if bands not in {None, PRODUCT_BANDS}:
        raise SceneError(
            f"{name} is a Sentinel-2 product, of which bands {_listed(PRODUCT_BANDS)} are read:"
            " choose these or none."
        )
    return (1, 2, 3), f"Bands {_listed(PRODUCT_BANDS)} of a Sentinel-2 product."


def choose_bands(dataset: "DatasetReader", bands: Bands | None, name: str) -> tuple[Bands, str]:
    """Return which bands are red, green and blue, and a sentence that says why.

    Args:
        dataset: The scene.
        bands: Which ones the user asks for, if any.
        name: How messages name the scene.

    Raises:
        SceneError: Nobody can tell, or there are no such bands.
    """
    count = dataset.count
    if not count and dataset.subdatasets:
        raise SceneError(
            f"{name} holds several rasters and no picture of its own, as whole products do: name a"
            " file with red, green and blue, such as the true-colour image (TCI) in it."
        )
    if bands is not None:
        if not all(1 <= band <= count for band in bands):
            raise SceneError(
                f"{name} has {count} band{'s' * (count != 1)}, and not all that were asked for:"
                " name others."
            )
        return bands, f"Bands {_listed(bands)}, as requested."
    if count < 3:
        raise SceneError(
            f"{name} has {count} band{'s' * (count != 1)}, but red, green and blue are needed:"
            " name a true-colour image, or a file that holds all three bands."
        )
    colours = [colour.name for colour in dataset.colorinterp]
    for kind, names in (("names", band_names(dataset)), ("colours", colours)):
        red, green, blue = (_bands_called(pattern, names) for pattern in _COLOUR_NAMES)
        are_told = len(red) == len(green) == len(blue) == 1 and not _may_be_infrared(
            names[red[0] - 1], [name, *names]
        )
        if are_told:
            chosen = (red[0], green[0], blue[0])
            return chosen, f"Bands {_listed(chosen)}, by the {kind} that the file gives them."
        if (red or green or blue) and kind == "names" and not _are_numbers(names):
            # A picture in false colours, say: without a word, it would be mapped as a true one.
            told = ", ".join(text for text in names if text)
            if red and green and blue:
                reason = "which do not tell for certain which are red, green and blue"
            else:
                reason = "which are not red, green and blue"
            raise SceneError(
                f"{name} names its bands {told}, {reason}: choose the bands that are, such as"
                " 3,2,1, or another file."
            )
    if count == 3:
        return (1, 2, 3), "Bands 1, 2 and 3."
    if count in _SENTINEL_COUNTS:
        told = f"Bands {_listed(PRODUCT_BANDS)}, the order of a file of {count} Sentinel-2 bands."
        return PRODUCT_BANDS, told
    raise SceneError(
        f"{name} has {count} bands and does not say which are red, green and blue: choose the"
        " bands, such as 3,2,1."
    )


def _bands_called(pattern: re.Pattern[str], names: list[str]) -> list[int]:
    """Return the bands that may be of a colour; those alone that are called just so, if any are."""
    fits = [n for n, text in enumerate(names, 1) if pattern.search(text.lower())]
    bare = [n for n in fits if _BARE_NAME.fullmatch(names[n - 1].strip().lower())]
    return bare or fits


def _may_be_infrared(red: str, told: list[str]) -> bool:
    """Tell whether a band would be red in Landsat 8 and 9, but infrared in those before.

    Args:
        red: The name of the band.
        told: All names, of which some may tell the satellite.
    """
    is_of_landsat = _LANDSAT_NAME.search(red.lower()) is not None
    return is_of_landsat and not any(_LANDSAT_8_OR_9.search(text.lower()) for text in told)


def _are_numbers(names: list[str]) -> bool:
    """Tell whether names only say where each band stands, such as "B1", "B2" and "B3"."""
    return all(text.lower() == f"b{number}" for number, text in enumerate(names, 1))


def _listed(bands: Bands) -> str:
    return f"{bands[0]}, {bands[1]} and {bands[2]}"
