"""Tiles put together from pieces of others: what they show, and what their labels say of it."""

import numpy as np
import pytest
import tensorflow as tf

from eurosat.scenes.windows import WindowGrid, average_over_cells, middle_weights
from eurosat.train.mosaic import put_together

COUNT, SIDE, CLASSES = 800, 64, 7
KINDS = np.arange(COUNT) % CLASSES
PLAIN = np.broadcast_to(KINDS[:, None, None, None] * 30, (COUNT, SIDE, SIDE, 3)).astype(np.uint8)
"""One colour each, which is the class, so that neighbours in the batch differ."""


def made(share: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The classes that each pixel shows, `[n, h, w]`, and the labels."""
    seeds = tf.constant([seed, 2], tf.int64)
    labels = tf.one_hot(KINDS, CLASSES)
    tiles, mixed = put_together(tf.constant(PLAIN), labels, seeds, share)
    return tiles.numpy()[..., 0] // 30, mixed.numpy()


def test_a_label_counts_pixels_by_how_near_the_middle_they_are():
    shown, labels = made(1.0)
    weights = middle_weights(SIDE)
    for kind in range(CLASSES):
        expected = ((shown == kind) * weights).sum(axis=(1, 2))
        np.testing.assert_allclose(labels[:, kind], expected, atol=1e-5)
    # What lies in a corner hardly counts, and what lies in the middle does.
    assert weights[:8, :8].sum() < 0.001
    assert weights[16:48, 16:48].sum() > 0.6


def test_the_middle_counts_as_it_does_in_maps():
    grid = WindowGrid(64, 192, 8)
    answers = np.zeros((*grid.windows, 2), np.float32)
    answers[..., 0] = 1
    chosen = 8
    answers[0, chosen] = (0, 1)
    share = average_over_cells(answers, grid)[0, chosen : chosen + 8, 1]
    across = middle_weights(8)[4]
    # A cell is seen by eight windows, whose weights come to the same everywhere.
    np.testing.assert_allclose(share, across / across.sum(), atol=1e-3)


def test_pieces_are_of_two_to_four_tiles_and_keep_their_places():
    places = np.stack(np.mgrid[:SIDE, :SIDE], axis=-1).astype(np.uint8)
    tile = np.concatenate([places, places[..., :1]], axis=-1)
    labels = tf.one_hot(np.arange(COUNT), COUNT)
    seed = tf.constant([1, 2], tf.int64)
    tiles = tf.constant(np.broadcast_to(tile, (COUNT, *tile.shape)))
    made_of, mixed = put_together(tiles, labels, seed, 1.0)
    np.testing.assert_array_equal(made_of, tiles)
    counts = np.bincount((mixed.numpy() > 0).sum(axis=1), minlength=5)[1:]
    one, two, three, four = counts / COUNT
    # A bend at the rim may leave one tile alone; where two edges do not cross, there are three.
    assert one < 0.02
    assert two > 0.4
    assert three > 0.1
    assert four > 0.15


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_so_many_become_mosaics_and_the_others_stay_as_they_are(share: float):
    shown, labels = made(share)
    whole = (shown == KINDS[:, None, None]).all(axis=(1, 2))
    np.testing.assert_allclose(labels[whole], np.eye(CLASSES)[KINDS[whole]], atol=1e-6)
    assert abs(whole.mean() - (1 - share)) < 0.06


def test_edges_lie_everywhere_and_at_all_angles():
    shown, _ = made(1.0)
    kinds = np.array([len(np.unique(tile)) for tile in shown])
    upright = (shown == shown[:, :1]).all(axis=(1, 2)) & (kinds == 2)
    level = (shown == shown[:, :, :1]).all(axis=(1, 2)) & (kinds == 2)
    # Of two pieces' edges, half lie along rows or columns, and half of these do not bend.
    for straight in (upright, level):
        assert 0.06 < straight.sum() / (kinds == 2).sum() < 0.2
    places = {np.flatnonzero(np.diff(tile[0])).item() for tile in shown[upright]}
    assert len(places) > 25
    assert min(places) < 6
    assert max(places) > SIDE - 8


def test_the_same_seed_gives_the_same_and_another_gives_others():
    for one, other in zip(made(0.5), made(0.5), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (made(0.5)[0] != made(0.5, seed=2)[0]).any()
