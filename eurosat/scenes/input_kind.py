"""What the values of a scene mean, and how they become pixels like those of EuroSAT.

EuroSAT RGB was made from Sentinel-2 Level-1C with `gdal_translate -scale 0 2750 1 255`: reflectance
0 to 0.275 becomes 1 to 255, and 0 stays for pixels without data.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import numpy as np

from eurosat.errors import SceneError

EUROSAT_MEAN: Final = (87.8, 97.2, 104.1)
"""Mean red, green and blue of EuroSAT's tiles, 0 to 255."""

EUROSAT_SPREAD: Final = (43.4, 28.6, 23.4)
"""Standard deviation over EuroSAT's tiles of their mean red, green and blue."""

FAR: Final = 1.5
"""From so many of those standard deviations on, a scene's mean is called unlike EuroSAT.

Within lie the means of each of the ten classes. Outside lies the blue of haze-free (L2A) pictures.
"""

_BRIGHTEST_OF_8_BITS: Final = 255

_BRIGHTEST: Final = 2750
"""The digital number, reflectance times 10 000, that EuroSAT shows as 255."""

_STEPS: Final = 254
"""Steps from 1, which stands for no reflectance, to 255."""

_BASELINE_OFFSET: Final = -1000
"""What products since processing baseline 04.00 (January 2022) ask to be added."""

_BASELINE: Final = re.compile(
    r"_MSIL(?:1C|2A)_\d{8}T\d{6}_N(\d{2})(\d{2})_|PROCESSING_BASELINE': '(\d{2})\.(\d{2})"
)
"""In the name of a product, or in the tags of a file."""

_MOST_SENSIBLE: Final = 1e9
"""A scale or an offset beyond, or a scale below one part of it, is a mistake of the file."""

_VALUES_AT_A_TIME: Final = 1 << 18
"""NumPy makes indices of 8 bytes of the values that it looks up."""

_DARKEST_PERCENT: Final = 1
_HAZE_OF_BLUE: Final = 500
"""Seen through air, even a dark pixel reflects 5 % of blue light; an L2A product took that away."""

_OFFSET_SIGN: Final = (1000, 1600)
"""Where the darkest values of a product with the offset lie, in the darkest of the three bands."""


class InputKind(StrEnum):
    """What the values of a scene are."""

    AUTO = "auto"
    EUROSAT = "eurosat"
    L1C = "l1c"
    L2A = "l2a"
    L1C_TCI = "l1c-tci"
    L2A_TCI = "l2a-tci"


StatedScale = tuple[float, float]
"""What a file says that makes reflectance of its values: a factor, and what is added then."""

TITLES: Final = {
    InputKind.EUROSAT: "8-bit colours scaled like EuroSAT",
    InputKind.L1C: "L1C reflectance",
    InputKind.L2A: "L2A reflectance",
    InputKind.L1C_TCI: "the true-colour image of an L1C product",
    InputKind.L2A_TCI: "the true-colour image of an L2A product",
}

_TCI_BRIGHTEST: Final = {InputKind.L1C_TCI: 3558, InputKind.L2A_TCI: 2000}
"""The digital number that ESA's 8-bit true-colour image (TCI) shows as 255."""

_WITHOUT_SKY: Final = (InputKind.L2A, InputKind.L2A_TCI)
_USUAL_SUN: Final = 40
"""Degrees from the zenith: that of the summer months over Europe, when satellites pass."""

_WAVELENGTHS: Final = np.array([0.6646, 0.5598, 0.4924])
"""Of Sentinel-2's bands 4, 3 and 2, in micrometres."""


def clear_sky(sun: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what air without dust does to the light that a satellite sees straight below.

    Rayleigh scattering at sea level with the optical depth of Hansen and Travis 1974: light that is
    scattered once reaches the satellite, and half of what is scattered misses the ground.

    Models that know L1C only need it: without it, they name about half of the tiles from which such
    a sky was taken away (`benchmarks/scene_pixels.py`).

    Args:
        sun: Degrees of the sun from the zenith.

    Returns:
        For red, green and blue: the digital number (reflectance times 10 000) that the air adds,
        and the share of the ground's that it lets pass.
    """
    inverse_square = _WAVELENGTHS**-2
    depth = (
        0.008569 * inverse_square**2 * (1 + 0.0113 * inverse_square + 0.00013 * inverse_square**2)
    )
    height = np.cos(np.radians(sun))
    phase = 0.75 * (1 + height**2)
    added = 10_000 * depth * phase / (4 * height)
    return added, np.exp(-depth / 2 * (1 + 1 / height))


def numbers_of(pixels: np.ndarray) -> np.ndarray:
    """Return the digital numbers of Level-1C of which EuroSAT's pixels were made.

    Args:
        pixels: uint8 of any shape, 1 to 255.

    Returns:
        Reflectance times 10 000, float64 of the same shape, but for rounding to a pixel.
    """
    return (pixels.astype(np.float64) - 1) * _BRIGHTEST / _STEPS


@dataclass(frozen=True)
class Scaling:
    """How the values of a scene become pixels.

    Attributes:
        kind: What the values are; not `AUTO`.
        offset: What is added to digital numbers, such as -1000; 0 for 8-bit kinds.
        factor: What makes digital numbers of the values first: 10 000 for reflectance from 0 to 1,
            else 1, times the scale that the file states.
    """

    kind: InputKind
    offset: int = 0
    factor: float = 1

    def to_pixels(self, values: np.ndarray) -> np.ndarray:
        """Scale values as EuroSAT's tiles were scaled.

        L2A gets back what a clear sky adds, see `clear_sky`.

        Args:
            values: Red, green and blue as an array of shape [3, ...].

        Returns:
            uint8 of the same shape, 1 to 255, for `EUROSAT` 0 to 255. It means nothing where the
            scene has no data.
        """
        if self.kind is InputKind.EUROSAT:
            return np.clip(values, 0, 255).astype(np.uint8)
        if values.dtype.kind not in "iu" or values.dtype.itemsize > 2:
            return np.stack([_scaled(self, band, index) for index, band in enumerate(values)])
        bits = np.dtype(f"u{values.dtype.itemsize}")
        pixels = np.empty(values.shape, np.uint8)
        parts = max(1, values[0].size // _VALUES_AT_A_TIME)
        for table, band, its_pixels in zip(
            _pixels_of_every_value(self, values.dtype), values, pixels, strict=True
        ):
            for numbers, found in zip(
                np.array_split(band.view(bits), parts),
                np.array_split(its_pixels, parts),
                strict=True,
            ):
                found[...] = table[numbers]
        return pixels


@lru_cache(maxsize=4)
def _pixels_of_every_value(scaling: Scaling, dtype: np.dtype[Any]) -> list[np.ndarray]:
    """Return what every whole number of a type becomes: much cheaper than to compute each pixel.

    Returns:
        For red, green and blue a table, to be indexed by the number without its sign.
    """
    bits = np.dtype(f"u{dtype.itemsize}")
    every_value = np.arange(np.iinfo(bits).max + 1).astype(bits).view(dtype)
    return [_scaled(scaling, every_value, band) for band in range(3)]


def _scaled(scaling: Scaling, values: np.ndarray, band: int) -> np.ndarray:
    if scaling.kind in _TCI_BRIGHTEST:
        numbers = values * (_TCI_BRIGHTEST[scaling.kind] / 255)
    else:
        numbers = values.astype(np.float64) * scaling.factor + scaling.offset
    if scaling.kind in _WITHOUT_SKY:
        added, passed = clear_sky(_USUAL_SUN)
        numbers = added[band] + passed[band] * numbers
    pixels = np.floor(1.5 + numbers * (_STEPS / _BRIGHTEST))  # As GDAL rounds to a byte.
    return np.clip(np.nan_to_num(pixels, nan=1), 1, 255).astype(np.uint8)


def choose_scaling(
    kind: InputKind,
    offset: int | None,
    sample: np.ndarray,
    *,
    name: str,
    names: str,
    band_names: Sequence[str],
    stated: StatedScale = (1, 0),
    product: InputKind | None = None,
) -> tuple[Scaling, str]:
    """Find out what the values are, as far as the user did not say it.

    Args:
        kind: What the user says that the values are, or `AUTO`.
        offset: What the user says is to be added, or None to find it out.
        sample: Red, green and blue of some pixels with data, in the type of the file: shape [3, n].
        name: How messages name the scene.
        names: The path and all tags of the file as one text: products carry their level and
            baseline in their names.
        band_names: The names of the bands that the file has, such as "B10".
        stated: The scale and the offset that the file states, for other than 8-bit values.
        product: What the values are if the file is a product, whose metadata say it. Then
            the offset that is stated holds even if it is 0.

    Returns:
        The scaling, and a sentence that says what was decided and why.

    Raises:
        SceneError: The values fit no kind.
    """
    is_8_bit = sample.dtype == np.uint8
    if sample.dtype.kind == "c":
        raise SceneError(
            f"{name} holds complex numbers, as radar pictures do: name a picture in colours."
        )
    scale, added = stated
    # A file can say anything, infinite numbers and what is none too.
    is_sensible = 1 / _MOST_SENSIBLE <= scale <= _MOST_SENSIBLE and abs(added) <= _MOST_SENSIBLE
    if is_8_bit or not is_sensible:
        scale, added = 1, 0
    factor: float = scale
    if (sample.dtype.kind == "f" or scale != 1) and np.percentile(sample * scale, 99) <= 2:
        factor = scale * 10_000  # Reflectance itself.
    stated_offset = round(added * factor / scale)
    if not stated_offset and product is None:
        stated_offset = None
    numbers = sample.astype(np.float64) * factor
    reason = "as requested"
    if kind is InputKind.AUTO:
        if product is not None:
            kind, reason = product, "because its metadata say so"
        elif is_8_bit:
            kind, reason = _kind_of_8_bit(sample, names)
        elif 2 < numbers.max() <= _BRIGHTEST_OF_8_BITS:
            raise SceneError(
                f"{name} has values of type {sample.dtype} that reach {numbers.max():.0f}, as 8-bit"
                " colours do: save it with 8 bits, or choose l1c or l2a if they are reflectance."
            )
        else:
            offset_guess = _offset(numbers, names, stated_offset)[0] if offset is None else offset
            kind, reason = _kind_of_reflectance(numbers + offset_guess, names, band_names)
    if kind in _TCI_BRIGHTEST or kind is InputKind.EUROSAT:
        if not is_8_bit:
            raise SceneError(
                f"{name} has values of type {sample.dtype}, but {kind} means 8-bit colours: choose"
                " l1c or l2a."
            )
        told = "" if offset is None else "; the offset is left out, as 8-bit colours have none"
        return Scaling(kind), f"Taken for {TITLES[kind]}, {reason}{told}{_sky(kind)}."
    if is_8_bit:
        raise SceneError(
            f"{name} has 8-bit colours, but {kind} means reflectance: choose eurosat, l1c-tci or"
            " l2a-tci."
        )
    if offset is None:
        offset, why = _offset(numbers, names, stated_offset)
        told = f"{offset} is added to its values, {why}" if offset else f"no offset, {why}"
    else:
        told = f"{offset} is added to its values, as requested"
    if scale != 1:
        told = f"its values are multiplied by {scale:g}, because it says so; {told}"
    return Scaling(kind, offset, factor), f"Taken for {TITLES[kind]}, {reason}; {told}{_sky(kind)}."


def _sky(kind: InputKind) -> str:
    """Return what else to tell of products that look as if there were no air."""
    if kind not in _WITHOUT_SKY:
        return ""
    return "; what a clear sky adds is put back, as the models were trained on L1C"


def warnings_of(kind: InputKind, means: Sequence[float]) -> list[str]:
    """Warn about a product or colours that the models never saw in training.

    Args:
        kind: What the values of the scene are.
        means: Mean red, green and blue of the scaled scene, 0 to 255.

    Returns:
        Sentences.
    """
    found = []
    if kind in _WITHOUT_SKY:
        found.append(
            "How often answers about L2A products are right was measured on simulated ones only."
        )
    spans = zip(means, EUROSAT_MEAN, EUROSAT_SPREAD, strict=True)
    if any(abs(mean - usual) > FAR * spread for mean, usual, spread in spans):
        here, usual = ("/".join(f"{value:.0f}" for value in row) for row in (means, EUROSAT_MEAN))
        found.append(
            f"The colours are far from those of the training (mean red/green/blue {here}, EuroSAT"
            f" {usual}), so that answers are less reliable than the model's figures say."
        )
    return found


def _kind_of_8_bit(sample: np.ndarray, names: str) -> tuple[InputKind, str]:
    if re.search(r"(?<![A-Za-z])TCI(?![A-Za-z])", names):
        level = _level(names)
        if level:
            kind = InputKind.L1C_TCI if level == "L1C" else InputKind.L2A_TCI
            return kind, f"because the names say TCI and {level}"
        red, _, blue = sample.mean(axis=1)
        if blue < red:
            return InputKind.L2A_TCI, "because the name says TCI and blue lacks the haze of L1C"
        return InputKind.L1C_TCI, "because the name says TCI and blue has the haze of L1C"
    return InputKind.EUROSAT, "because it has 8 bits and no name says TCI"


def _kind_of_reflectance(
    numbers: np.ndarray, names: str, band_names: Sequence[str]
) -> tuple[InputKind, str]:
    level = _level(names)
    if level:
        return InputKind(level.lower()), f"because the names say {level}"
    if any(name.upper() == "B10" for name in band_names):
        return InputKind.L1C, "because it has band B10, which L2A lacks"
    darkest_blue = np.percentile(numbers[2], _DARKEST_PERCENT)
    if darkest_blue < _HAZE_OF_BLUE:
        return InputKind.L2A, f"because its darkest blue, {darkest_blue:.0f}, is free of haze"
    return InputKind.L1C, f"because its darkest blue, {darkest_blue:.0f}, has the haze of L1C"


def _level(names: str) -> str | None:
    """Return "L1C" or "L2A" if the names of the scene tell, and tell only one."""
    found = re.findall(r"(?<![A-Za-z0-9])(?:MSI)?(?:L|Level-)(1C|2A)(?![A-Za-z0-9])", names)
    return f"L{found[0]}" if len(set(found)) == 1 else None


def _offset(numbers: np.ndarray, names: str, stated: int | None) -> tuple[int, str]:
    """Return what is to be added to digital numbers, and why."""
    if stated is not None:
        return stated, "because it says so" if stated else "because it states none"
    baseline = _BASELINE.search(names)
    if baseline:
        told = ".".join(filter(None, baseline.groups()))
        offset = _BASELINE_OFFSET if told >= "04.00" else 0
        return offset, f"because it says that its processing baseline is {told}"
    darkest = min(np.percentile(band, _DARKEST_PERCENT) for band in numbers)
    low, high = _OFFSET_SIGN
    if low <= darkest <= high:
        return _BASELINE_OFFSET, f"because its darkest value is {darkest:.0f}"
    return 0, f"because its darkest value is {darkest:.0f}"
