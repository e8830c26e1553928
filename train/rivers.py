"""Rivers drawn across tiles of other land, for windows of scenes that show both.

In EuroSAT a tile is a river's because a wide one fills much of it. Models that know such tiles
alone see orchards or a town where a narrow one leads through these. That what is pasted on any
background is learned whatever the background is from Dwibedi, Misra and Hebert, "Cut, Paste and
Learn: Surprisingly Easy Synthesis for Instance Detection", 2017.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import tensorflow as tf

from eurosat.errors import EurosatError

from .bent_edges import distances

RIVER: Final = "River"
"""The name of the class."""

_WIDTHS: Final = (2.5, 12.0)
"""In pixels of 10 m. Of widths, and of brightnesses, every ratio between two is as likely."""

_LARGEST_BEND: Final = 10.0
"""How far a river swings to either side at most, in pixels."""

_WAVES: Final = (40.0, 160.0)
"""After how many pixels it swings the same way again."""

_BRIGHTNESSES: Final = (50.0, 170.0)
"""Mean of red, green and blue: about that of rivers in EuroSAT's training tiles."""

_REDNESSES: Final = (0.71, 1.05)
"""Red as a share of the brightness, where that is 100: from what is usual in EuroSAT to the brown
of a flood, which it hardly shows."""

_REDDENING: Final = 0.35
"""How much that share rises where the brightness is e times as high."""

_BLUENESS: Final = (1.87, -0.87)
"""The share of blue, by that of red: the colours of water in EuroSAT lie near one line."""

_NOISE: Final = 8.0
"""Standard deviation of a pixel, before the mean with its neighbours is taken."""

_BANKS: Final = (-2.0, 3.0)
"""Width of the strip along either side, in pixels; below 0, there is none."""

_DARK_BANK: Final = 0.75
_PALE_BANK: Final = 1.2
"""Brightness of trees along a river, and of a dam, compared with the land."""

_REACH: Final = 14.0
"""How far beside the middle of a tile a river counts for e⁻¹ of the label, in pixels."""


def place_of_river(class_names: Sequence[str]) -> int:
    """Return where the class of rivers stands in label order.

    Raises:
        EurosatError: There is none.
    """
    if RIVER not in class_names:
        raise EurosatError(f"--rivers needs a class {RIVER}, and there is none: leave it out.")
    return class_names.index(RIVER)


def draw_rivers(
    tiles: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, share: float, river: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draw a river across a share of the tiles.

    The label becomes that of rivers, the more the nearer the river is to the middle of the tile: a
    map asks a window about the land in its middle.

    Args:
        tiles: uint8 `[b, h, w, 3]`, with `h == w`.
        labels: float32 `[b, classes]`.
        seed: int64 `[2]`; the same seed gives the same result.
        share: Share of the tiles that get a river, 0 to 1; the others stay as they are.
        river: Its place in label order.

    Returns:
        Tiles and labels of the same shapes and types.
    """
    batch, side = tf.shape(tiles)[0], tiles.shape[1]
    course_seed, look_seed, choice_seed = tf.unstack(tf.random.split(seed, 3))
    beside = _beside(batch, side, course_seed)
    drawn = _painted(tiles, beside, look_seed)
    half = side // 2
    gap = tf.nn.relu(tf.reduce_mean(beside[:, half - 1 : half + 1, half - 1 : half + 1], [1, 2]))
    weight = tf.exp(-tf.square(gap / _REACH))[:, tf.newaxis]
    has_river = tf.random.stateless_uniform([batch, 1, 1, 1], choice_seed) < share
    named = tf.one_hot(river, labels.shape[1])
    return (
        tf.where(has_river, drawn, tiles),
        tf.where(has_river[:, 0, 0], labels + weight * (named - labels), labels),
    )


def _beside(batch: tf.Tensor, side: int, seed: tf.Tensor) -> tf.Tensor:
    """Lay a river across each tile; return how far pixels are beside it, below 0 in it.

    Returns:
        float32 `[b, side, side]`, in pixels.
    """
    draws = tf.unstack(tf.random.stateless_uniform([7, batch, 1, 1], seed))
    angle, place, more, bend, wave, phase, width = draws
    from_middle = distances(
        side,
        angle=2 * np.pi * angle,
        # Mostly near the middle, as in tiles that were chosen for it.
        place=side / 2 * (place + more - 1),
        bend=_LARGEST_BEND * bend,
        pace=2 * np.pi / _between(_WAVES, wave),
        phase=2 * np.pi * phase,
    )
    return tf.abs(from_middle) - _between_by_ratio(_WIDTHS, width) / 2


def _painted(tiles: tf.Tensor, beside: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return tiles, uint8, with rivers and their banks painted over what lies there."""
    seed, noise_seed = tf.unstack(tf.random.split(seed, 2))
    draws = tf.unstack(tf.random.stateless_uniform([6, tf.shape(tiles)[0], 1, 1], seed))
    bright, red, bank, pale, dense, full = draws
    land = tf.cast(tiles, tf.float32)
    usual = tf.reduce_mean(land, axis=[1, 2], keepdims=True)
    bank_colour = usual * tf.where(pale < 0.3, _PALE_BANK, _DARK_BANK)[..., tf.newaxis]
    bank_cover = (0.3 + 0.6 * dense) * _covered(beside - _between(_BANKS, bank))
    land += bank_cover[..., tf.newaxis] * (bank_colour - land)

    brightness = _between_by_ratio(_BRIGHTNESSES, bright)
    redness = _between(_REDNESSES, red) + _REDDENING * tf.math.log(brightness / 100)
    blueness = _BLUENESS[0] + _BLUENESS[1] * redness
    colour = tf.stack([redness, 3 - redness - blueness, blueness], axis=-1)
    noise = tf.random.stateless_normal(tf.shape(beside), noise_seed, stddev=_NOISE)
    noise = tf.nn.avg_pool2d(noise[..., tf.newaxis], 3, 1, "SAME")
    cover = (0.8 + 0.2 * full) * _covered(beside)
    land += cover[..., tf.newaxis] * (brightness[..., tf.newaxis] * colour + noise - land)
    return tf.saturate_cast(tf.round(land), tf.uint8)


def _covered(beside: tf.Tensor) -> tf.Tensor:
    """Return how much of each pixel is covered, 0 to 1, by how far its middle is beside it."""
    return tf.clip_by_value(0.5 - beside, 0, 1)


def _between(ends: tuple[float, float], draw: tf.Tensor) -> tf.Tensor:
    return ends[0] + draw * (ends[1] - ends[0])


def _between_by_ratio(ends: tuple[float, float], draw: tf.Tensor) -> tf.Tensor:
    return ends[0] * tf.pow(ends[1] / ends[0], draw)
