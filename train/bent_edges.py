"""Where the pixels of a tile lie beside an edge that leads through it, straight or bent."""

import numpy as np
import tensorflow as tf


def distances(
    side: int,
    *,
    angle: tf.Tensor,
    place: tf.Tensor,
    bend: tf.Tensor,
    pace: tf.Tensor,
    phase: tf.Tensor,
) -> tf.Tensor:
    """Return how far pixels lie beyond an edge that swings to and fro as a sine.

    All tensors are float32 `[b, 1, 1]`.

    Args:
        side: Height and width of the tiles in pixels.
        angle: In which direction beyond is, in radians from the right, clockwise.
        place: How far the edge lies from the middle of the tile in that direction, in pixels.
        bend: How far it swings to either side, in pixels.
        pace: How far the sine goes on from a pixel to the next, in radians.
        phase: Where the sine begins, in radians.

    Returns:
        float32 `[b, side, side]` in pixels, negative on this side; where the edge bends, about
        right near it.
    """
    middle = np.arange(side, dtype=np.float32) - (side - 1) / 2
    across, down = map(tf.constant, np.meshgrid(middle, middle))
    along = across * tf.sin(angle) - down * tf.cos(angle)
    beyond = across * tf.cos(angle) + down * tf.sin(angle)
    swing = pace * along + phase
    slope = bend * pace * tf.cos(swing)
    return (beyond + bend * tf.sin(swing) - place) / tf.sqrt(1 + tf.square(slope))
