"""Batches of training tiles: every tile once an epoch, the same for the same seed and epoch."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from eurosat.train.configuration import DEFAULTS, Architecture
from eurosat.train.pipeline import TrainingTiles, augment, mix

COUNT, SIDE, BATCH, SHIFT = 50, 16, 16, 4
TILES = np.random.default_rng(1).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)

Batches = list[tuple[np.ndarray, np.ndarray]]


def training_tiles(tiles: np.ndarray, labels: np.ndarray, **changes: Any) -> TrainingTiles:
    asked = replace(DEFAULTS[Architecture.CNN], shift=SHIFT, **changes)
    return TrainingTiles(tiles, labels, labels.max() + 1, asked)


def epoch(
    number: int, *, seed: int = 0, augment: bool = True, tiles: np.ndarray = TILES
) -> Batches:
    """The batches of an epoch. Each tile is a class of its own: a label says which tile it is."""
    training = training_tiles(tiles, np.arange(len(tiles)), seed=seed, augment=augment)
    return [(t.numpy(), one_hot.numpy()) for t, one_hot in training.epoch(number, BATCH)]


def joined(batches: Batches) -> tuple[np.ndarray, np.ndarray]:
    """All tiles of an epoch, and which tile each was made of."""
    tiles, one_hot = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return tiles, one_hot.argmax(axis=1)


def originals(tile: np.ndarray) -> dict[tuple[int, int, int], bytes]:
    """All that may be made of a tile: the eight turns and flips of all its shifts."""
    padded = np.pad(tile, ((SHIFT,) * 2, (SHIFT,) * 2, (0, 0)), mode="reflect")
    made = {}
    for row in range(2 * SHIFT + 1):
        for column in range(2 * SHIFT + 1):
            shifted = padded[row : row + SIDE, column : column + SIDE]
            for turn in range(4):
                turned = np.rot90(shifted, turn)
                made[row, column, turn] = turned.tobytes()
                made[row, column, turn + 4] = turned[:, ::-1].tobytes()
    return made


@pytest.mark.parametrize("augment", [True, False])
def test_every_tile_comes_once_an_epoch(augment: bool):
    for number in range(3):
        batches = epoch(number, augment=augment)
        assert [len(tiles) for tiles, _ in batches] == [16, 16, 16, 2]
        assert all(tiles.dtype == np.uint8 for tiles, _ in batches)
        assert all((one_hot.sum(axis=1) == 1).all() for _, one_hot in batches)
        _, which = joined(batches)
        assert sorted(which) == list(range(COUNT))


@pytest.mark.parametrize(("size", "batches"), [(1, 50), (16, 4), (25, 2), (50, 1), (1000, 1)])
def test_the_number_of_batches_is_what_an_epoch_gives(size: int, batches: int):
    training = training_tiles(TILES, np.zeros(COUNT, np.int64))
    assert training.batch_count(size) == batches == len(list(training.epoch(0, size)))


def test_the_same_seed_and_epoch_give_the_same_batches():
    one = training_tiles(TILES, np.arange(COUNT), seed=7)
    list(one.epoch(0, BATCH))
    list(one.epoch(1, BATCH))
    after_two_others = [(t.numpy(), label.numpy()) for t, label in one.epoch(2, BATCH)]
    for first, second in zip(after_two_others, epoch(2, seed=7), strict=True):
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])


def test_other_epochs_and_other_seeds_give_another_order():
    orders = [
        tuple(joined(epoch(number, seed=seed))[1])
        for number, seed in ((0, 0), (1, 0), (2, 0), (0, 1))
    ]
    assert len(set(orders)) == 4
    assert all(order != tuple(range(COUNT)) for order in orders)


def test_without_balancing_the_order_is_that_of_the_seed_and_the_epoch():
    _, which = joined(epoch(2, seed=7))
    np.testing.assert_array_equal(which, np.random.default_rng((7, 2)).permutation(COUNT))


SKEWED = np.repeat([0, 1, 2], [100, 40, 3])
NUMBERED = np.arange(len(SKEWED), dtype=np.uint8)[:, None, None, None] * np.ones(
    (8, 8, 3), np.uint8
)


def test_balanced_epochs_hold_every_class_equally_often_and_use_every_tile():
    training = training_tiles(NUMBERED, SKEWED, balanced=True, augment=False)
    totals = np.zeros(len(SKEWED), int)
    for number in range(40):
        ((tiles, labels),) = [(t.numpy(), one.numpy()) for t, one in training.epoch(number, 200)]
        drawn = tiles[:, 0, 0, 0]
        np.testing.assert_array_equal(labels.argmax(axis=1), SKEWED[drawn])
        assert len(drawn) == len(SKEWED)
        assert np.ptp(np.bincount(SKEWED[drawn])) <= 1
        counts = np.bincount(drawn, minlength=len(SKEWED))
        for label, weight in enumerate(len(SKEWED) / 3 / np.bincount(SKEWED)):
            of_class = counts[label == SKEWED]
            assert int(weight) <= of_class.min() <= of_class.max() <= int(weight) + 1
        # In chance order: the first third holds about a third of each class.
        assert np.bincount(SKEWED[drawn[:48]], minlength=3).min() > 4
        totals += counts
    assert totals.min() > 0
    assert np.ptp(totals[SKEWED == 0]) < 25, "some tiles of a large class are drawn more often"


def test_balanced_epochs_are_the_same_for_the_same_seed_and_epoch():
    def tiles_of(number: int) -> np.ndarray:
        training = training_tiles(NUMBERED, SKEWED, balanced=True)
        return np.concatenate([tiles.numpy() for tiles, _ in training.epoch(number, 64)])

    np.testing.assert_array_equal(tiles_of(3), tiles_of(3))
    assert not np.array_equal(tiles_of(3), tiles_of(4))


def test_mixed_labels_of_balanced_epochs_weigh_all_classes_the_same():
    training = training_tiles(NUMBERED, SKEWED, balanced=True, mixup=1.0)
    labels = np.concatenate([one.numpy() for n in range(20) for _, one in training.epoch(n, 200)])
    np.testing.assert_allclose(labels.mean(axis=0), 1 / 3, atol=0.01)


def test_other_epochs_and_other_seeds_augment_otherwise():
    made = []
    for number, seed in ((0, 0), (1, 0), (0, 1)):
        tiles, which = joined(epoch(number, seed=seed))
        made.append(tiles[np.argsort(which)])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        same = (made[one] == made[other]).all(axis=(1, 2, 3)).sum()
        assert same < COUNT / 10


def test_without_augmentation_tiles_are_untouched():
    tiles, which = joined(epoch(3, augment=False))
    np.testing.assert_array_equal(tiles, TILES[which])


def test_augmented_tiles_are_their_originals_turned_flipped_and_shifted():
    found: list[tuple[int, int, int]] = []
    for number in range(8):
        tiles, which = joined(epoch(number))
        for tile, index in zip(tiles, which, strict=True):
            made = originals(TILES[index])
            ways = [way for way, content in made.items() if content == tile.tobytes()]
            assert len(ways) == 1, "the tile is not made of the one that its label says"
            found += ways
    # 400 draws: every shift and every turn occurs, and none much more often than the others.
    for values, kinds in zip(zip(*found, strict=True), (9, 9, 8), strict=True):
        counts = np.bincount(values, minlength=kinds)
        assert len(counts) == kinds
        assert counts.min() > 400 / kinds / 2
        assert counts.max() < 400 / kinds * 2


def test_turns_and_flips_keep_every_pixel():
    # The rim is of one colour and wider than a shift, so that a shift too takes nothing away.
    tiles = np.full((COUNT, SIDE, SIDE, 3), 9, np.uint8)
    inner = slice(2 * SHIFT - 2, SIDE - 2 * SHIFT + 2)
    tiles[:, inner, inner] = TILES[:, inner, inner]
    made, which = joined(epoch(0, tiles=tiles))
    for tile, index in zip(made, which, strict=True):
        assert sorted(map(tuple, tile.reshape(-1, 3))) == sorted(
            map(tuple, tiles[index].reshape(-1, 3))
        )


@pytest.mark.parametrize("shift", [0, 1, 7])
def test_tiles_are_shifted_as_far_as_asked(shift: int):
    # The columns of a tile are its numbers; away from the rim, a shift adds to them.
    tiles = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None], (400, 32, 32, 3))
    made = augment(tf.constant(tiles), tf.constant([1, 2], tf.int64), shift=shift, jitter=0.0)
    # Whatever was flipped and turned, the middle is shifted at most so far.
    middle = made.numpy()[:, 15:17, 15:17].reshape(400, -1).astype(int)
    assert (middle.min(axis=1) >= 15 - shift).all()
    assert (middle.max(axis=1) <= 16 + shift).all()
    assert middle.min() == 15 - shift
    assert middle.max() == 16 + shift


def test_jitter_changes_brightness_and_contrast_within_its_bounds():
    rng = np.random.default_rng(3)
    tiles = rng.integers(90, 110, (300, SIDE, SIDE, 3), dtype=np.uint8)
    seed = tf.constant([5, 6], tf.int64)
    plain, jittered = (
        augment(tf.constant(tiles), seed, shift=2, jitter=jitter).numpy().astype(float)
        for jitter in (0.0, 0.2)
    )
    axes = (1, 2, 3)
    brightness = jittered.mean(axis=axes) / plain.mean(axis=axes)
    contrast = jittered.std(axis=axes) / plain.std(axis=axes) / brightness
    for factor in (brightness, contrast):
        # Rounding to whole pixels adds a little.
        assert factor.min() > 0.77
        assert factor.max() < 1.23
        assert factor.std() > 0.09, "a uniform factor of 0.8 to 1.2 spreads by 0.115"
    assert abs(np.corrcoef(brightness, contrast)[0, 1]) < 0.2
    # Flips, turns and shifts are the same: what was bright is bright.
    matches = [
        np.corrcoef(p.ravel(), j.ravel())[0, 1] for p, j in zip(plain, jittered, strict=True)
    ]
    assert min(matches) > 0.99


def test_jitter_saturates_and_never_wraps_around():
    tiles = np.full((200, 8, 8, 3), 250, np.uint8)
    tiles[:, :4] = 3
    made = augment(tf.constant(tiles), tf.constant([0, 0], tf.int64), shift=0, jitter=0.9).numpy()
    assert made.max() == 255
    bright = np.sort(made.reshape(200, -1), axis=1)
    assert (bright[:, -1] >= bright[:, 0]).all()
    assert (bright[:, 96] > bright[:, 95]).mean() > 0.9


@pytest.mark.parametrize(("zoom", "rotation"), [(0.5, 0.0), (0.0, 20.0), (0.25, 45.0)])
def test_half_of_the_tiles_change_scale_and_turn_within_their_bounds(zoom: float, rotation: float):
    # A slope: how steep it is tells the scale, and where it leads the angle.
    slope = np.broadcast_to(4 * np.arange(32, dtype=np.uint8)[:, None, None], (600, 32, 32, 3))
    seed = tf.constant([5, 6], tf.int64)
    plain, moved = (
        augment(tf.constant(slope), seed, shift=0, jitter=0.0, **how).numpy().astype(float)[..., 1]
        for how in ({}, {"zoom": zoom, "rotation": rotation})
    )
    spared = (plain == moved).all(axis=(1, 2))
    assert 0.4 < spared.mean() < 0.6

    def rise(tiles: np.ndarray) -> np.ndarray:
        down = tiles[:, 21, 16] - tiles[:, 11, 16]
        right = tiles[:, 16, 21] - tiles[:, 16, 11]
        return (right + 1j * down) / 10

    # From here to there, so that flips and quarter turns, which both have, fall out.
    turned = rise(moved)[~spared] / rise(plain)[~spared]
    scale, angle = abs(turned), np.degrees(np.angle(turned))
    assert 1 / (1 + zoom) - 0.03 < scale.min() < 1 / (1 + 0.8 * zoom) + 0.03
    assert 1 + 0.8 * zoom - 0.03 < scale.max() < 1 + zoom + 0.03
    assert abs((scale > 1.01).mean() - (scale < 0.99).mean()) < 0.15
    assert 0.8 * rotation - 2 < angle.max() < rotation + 2
    assert -rotation - 2 < angle.min() < -0.8 * rotation + 2
    # About the middle, and with no black corners: what is outside is a reflection.
    np.testing.assert_allclose(moved[:, 15:17, 15:17].mean(axis=(1, 2)), 62, atol=1)
    assert abs(moved.mean(axis=(1, 2)) - 62).max() < 4


def test_mixed_tiles_carry_the_labels_of_what_is_in_them():
    # One colour each, which is the class: 0 is black, 1 is grey of 200.
    truth = np.arange(60) % 2
    tiles = np.broadcast_to(truth[:, None, None, None] * 200, (60, 8, 8, 3)).astype(np.uint8)
    training = training_tiles(tiles, truth, augment=False, mixup=0.5)
    ((mixed, labels),) = [(t.numpy(), one.numpy()) for t, one in training.epoch(0, 60)]
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], 200 * labels[:, 1], atol=0.51)
    between = (labels[:, 1] > 0.05) & (labels[:, 1] < 0.95)
    assert 5 < between.sum() < 30, "half of the pairs are of one class"
    ((again, same),) = [(t.numpy(), one.numpy()) for t, one in training.epoch(0, 60)]
    assert np.array_equal(mixed, again)
    assert np.array_equal(labels, same)


def test_weak_mixing_leaves_most_of_a_tile_and_strong_mixing_blends():
    tiles = tf.zeros((4000, 1, 1, 3), tf.uint8)
    labels = tf.one_hot(np.arange(4000) % 2, 2)
    ownership = {
        alpha: mix(tiles, labels, tf.constant([1, 2], tf.int64), alpha)[1].numpy().max(axis=1)
        for alpha in (0.1, 8.0)
    }
    assert np.median(ownership[0.1]) > 0.99
    assert 0.5 < np.median(ownership[8.0]) < 0.65


def test_the_default_augmentation_is_the_one_that_the_shipped_models_were_trained_with():
    default = DEFAULTS[Architecture.CNN]
    made = augment(
        tf.constant(TILES),
        tf.constant([0, 7], tf.int64),
        shift=default.shift,
        jitter=default.jitter,
    )
    digest = hashlib.sha256(made.numpy().tobytes()).hexdigest()
    assert digest[:16] == "8acffb5ef28360ce"
