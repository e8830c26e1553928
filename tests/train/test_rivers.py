"""Rivers drawn across tiles: where they lie, how they look, and what labels say."""

import numpy as np
import pytest
import tensorflow as tf

from eurosat.errors import EurosatError
from eurosat.labels import EUROSAT_CLASSES
from eurosat.train.rivers import draw_rivers, place_of_river

NAMES = [entry.name for entry in EUROSAT_CLASSES]
RIVER = NAMES.index("River")
LAND = NAMES.index("PermanentCrop")
COUNT, SIDE, DARK = 600, 64, 10


def drawn(share: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Tiles darker than any river, with rivers across them, and their labels."""
    tiles = tf.fill([COUNT, SIDE, SIDE, 3], tf.constant(DARK, tf.uint8))
    labels = tf.one_hot(np.full(COUNT, LAND), len(NAMES))
    seeds = tf.constant([seed, 2], tf.int64)
    made, named = draw_rivers(tiles, labels, seeds, share, RIVER)
    return made.numpy().astype(int), named.numpy()


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_so_many_tiles_get_a_river_and_the_others_stay_as_they_are(share: float):
    tiles, labels = drawn(share)
    untouched = (tiles == DARK).all(axis=(1, 2, 3))
    assert (labels[untouched, LAND] > 0.98).all(), "at most a river that passes beside the tile"
    assert abs(untouched.mean() - (1 - share)) < 0.06
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-5)


def test_the_nearer_a_river_is_to_the_middle_the_more_the_label_is_its_own():
    tiles, labels = drawn(1.0)
    is_water = tiles.mean(axis=3) > 25
    seen = is_water.any(axis=(1, 2))
    distance = np.hypot(*(np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2))
    nearest = np.where(is_water[seen], distance, np.inf).min(axis=(1, 2))
    weight = 1 - labels[seen, LAND]
    assert (weight[nearest < 1] > 0.97).all()
    assert (weight[nearest > 28] < 0.1).all()
    order = np.argsort(nearest)
    assert np.corrcoef(nearest[order], weight[order])[0, 1] < -0.9
    np.testing.assert_allclose(labels[seen, RIVER], weight, atol=1e-5)


def test_rivers_may_be_narrow_or_wide():
    tiles, labels = drawn(1.0)
    areas = (tiles.mean(axis=3) > 25)[labels[:, RIVER] > 0.9].sum(axis=(1, 2))
    assert len(areas) > 200
    assert np.percentile(areas, 10) < 5 * SIDE
    assert np.percentile(areas, 90) > 8 * SIDE


def test_water_is_blue_where_it_is_dark_and_brown_where_it_is_bright():
    tiles, labels = drawn(1.0)
    middle = tiles[labels[:, RIVER] > 0.999, 31:33, 31:33].mean(axis=(1, 2))
    brightness = middle.mean(axis=1)
    red, blue = middle[:, 0] / brightness, middle[:, 2] / brightness
    assert len(middle) > 50
    assert (red < blue)[brightness < 70].mean() > 0.9
    assert (red > blue)[brightness > 140].mean() > 0.2
    assert np.corrcoef(red, blue)[0, 1] < -0.9


def test_the_same_seed_gives_the_same_and_another_gives_others():
    for one, other in zip(drawn(0.5), drawn(0.5), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (drawn(0.5)[0] != drawn(0.5, seed=2)[0]).any()


def test_a_data_set_without_rivers_is_told():
    assert place_of_river(["forest", "River"]) == 1
    with pytest.raises(EurosatError, match="--rivers needs a class River, and there is none"):
        place_of_river(["river", "road"])
