"""Tiles put together from pieces of others, labelled by what lies in their middle.

A tile of EuroSAT shows one kind of land. A window of a scene often shows several, and a map asks it
about the land in its middle. Pieces of one image pasted on another, with labels mixed by area, are
from Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
Features", 2019; that the middle counts most, and that edges lie at all angles and bend, is ours.
"""

import math

import tensorflow as tf

from eurosat.scenes.windows import middle_weights

from .bent_edges import distances

LARGEST_BEND = 6.0
"""How far an edge between two pieces bends to either side at most, in pixels."""


def put_together(
    tiles: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, share: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Paste pieces of two to four tiles of a batch together, for a share of the batch.

    One edge, or in half of the mosaics two, which mostly cross, divide the tile. An edge is at most
    half a side from the middle and lies at any angle, half of them along rows or columns; half of
    them bend. Each piece keeps its place in the tile that it comes from. In a batch of fewer than
    four tiles, some pieces are of the same tile.

    A label is the mean of those of the pieces, weighted by their area, where a pixel counts the
    more the nearer it is to the middle: as a window counts by its place for a fine cell of a map.

    Args:
        tiles: uint8 `[b, h, w, 3]`, with `h == w`.
        labels: float32 `[b, classes]`.
        seed: int64 `[2]`; the same seed gives the same result.
        share: Share of the tiles that become mosaics, 0 to 1; the others stay as they are.

    Returns:
        Tiles and labels of the same shapes and types.
    """
    batch, side = tf.shape(tiles)[0], tiles.shape[1]
    first_seed, second_seed, kind_seed = tf.unstack(tf.random.split(seed, 3))
    chosen, crossed = tf.unstack(tf.random.stateless_uniform([2, batch, 1, 1], kind_seed))
    is_mosaic = chosen < share
    is_beyond = is_mosaic & _sides_of_edges(batch, side, first_seed)
    is_across = is_mosaic & (crossed < 0.5) & _sides_of_edges(batch, side, second_seed)
    pieces = [
        ~is_beyond & ~is_across,
        is_beyond & ~is_across,
        ~is_beyond & is_across,
        is_beyond & is_across,
    ]
    weights = tf.constant(middle_weights(side), tf.float32)
    mosaics, mixed = tf.zeros_like(tiles), tf.zeros_like(labels)
    # The batch is in chance order, so that a neighbour is as good a partner as any.
    for step, piece in enumerate(pieces):
        mosaics = tf.where(piece[..., tf.newaxis], tf.roll(tiles, step, axis=0), mosaics)
        area = tf.reduce_sum(tf.cast(piece, tf.float32) * weights, axis=[1, 2])
        mixed += area[:, tf.newaxis] * tf.roll(labels, step, axis=0)
    return mosaics, mixed


def _sides_of_edges(batch: tf.Tensor, side: int, seed: tf.Tensor) -> tf.Tensor:
    """Lay an edge through each tile; say which pixels lie beyond it: bool `[b, side, side]`."""
    draws = tf.random.stateless_uniform([7, batch, 1, 1], seed)
    is_level, is_bent = draws[0] < 0.5, draws[1] < 0.5
    angle = 2 * math.pi * draws[2]
    angle = tf.where(is_level, tf.round(angle / (math.pi / 2)) * (math.pi / 2), angle)
    return (
        distances(
            side,
            angle=angle,
            place=side * (draws[3] - 0.5),
            bend=tf.where(is_bent, LARGEST_BEND * draws[4], 0.0),
            # A whole wave is from a third of a tile to three tiles long.
            pace=2 * math.pi / side * (1 / 3 + draws[5] * (3 - 1 / 3)),
            phase=2 * math.pi * draws[6],
        )
        > 0
    )
