"""Batches of training tiles as `tf.data`: shuffled and augmented by seed and epoch alone."""

import numpy as np
import tensorflow as tf

from .configuration import TrainingConfiguration
from .mosaic import put_together
from .rivers import draw_rivers
from .teacher import Teacher

TEACHER_SHARE = 0.5
"""How much of a label is what the teacher says; the rest is the truth, which so always leads."""


class TrainingTiles:
    """Training tiles in memory, given out as one shuffled and augmented epoch after the other.

    What an epoch holds depends on the seed and the number of the epoch, and on nothing that came
    before: a run that is taken up again sees the same batches as one that never stopped.
    """

    def __init__(
        self,
        tiles: np.ndarray,
        labels: np.ndarray,
        class_count: int,
        configuration: TrainingConfiguration,
        teacher: Teacher | None = None,
        river: int = 0,
    ) -> None:
        """Take the tiles.

        Args:
            tiles: uint8 RGB `[n, h, w, 3]`, with `h == w`.
            labels: int64 `[n]`.
            class_count: Number of classes, the length of a one-hot label.
            configuration: Says with which seed and how tiles are drawn, augmented and mixed.
            teacher: Is asked about every tile, as it was changed, before mosaics are made; half of
                the label is its answer.
            river: The label of rivers, where the configuration asks for some to be drawn.
        """
        with tf.device("CPU"):
            self._tiles = tf.constant(tiles)
            self._labels = tf.one_hot(labels, class_count)
        self._classes = labels
        self._configuration = configuration
        self._teacher = teacher
        self._river = river

    def batch_count(self, batch_size: int) -> int:
        """Return how many batches an epoch has; the last one may be short."""
        return -(-self._tiles.shape[0] // batch_size)

    def epoch(self, number: int, batch_size: int, *, taught: bool = True) -> tf.data.Dataset:
        """Return one epoch of `(uint8 [b, h, w, 3], float32 labels [b, classes])`.

        Args:
            number: Number of the epoch, from 0.
            batch_size: Tiles in a batch; the last one may have fewer.
            taught: Whether the teacher, where there is one, is asked; it does not change a tile.
        """
        asked = self._configuration
        rng = np.random.default_rng((asked.seed, number))
        order = rng.permutation(self._tiles.shape[0])
        if asked.balanced:
            order = balanced_draw(order, self._classes, rng)

        def take(step: tf.Tensor, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            tiles = tf.gather(self._tiles, positions)
            labels = tf.gather(self._labels, positions)
            step_of_run = step + number * self.batch_count(batch_size)
            seed = tf.stack([tf.cast(asked.seed, tf.int64), step_of_run])
            if asked.augment:
                tiles = augment(
                    tiles,
                    seed,
                    shift=asked.shift,
                    jitter=asked.jitter,
                    zoom=asked.zoom,
                    rotation=asked.rotation,
                )
            if asked.mixup:
                tiles, labels = mix(tiles, labels, tf.random.fold_in(seed, 3), asked.mixup)
            if self._teacher and taught:
                answer = tf.numpy_function(self._teacher, [tiles], tf.float32, stateful=False)
                answer = tf.ensure_shape(answer, labels.shape)
                labels = (1 - TEACHER_SHARE) * labels + TEACHER_SHARE * answer
            if asked.mosaics:
                # Last: a teacher says what the whole tiles show that pieces are taken from.
                tiles, labels = put_together(
                    tiles, labels, tf.random.fold_in(seed, 5), asked.mosaics
                )
            if asked.rivers:
                tiles, labels = draw_rivers(
                    tiles, labels, tf.random.fold_in(seed, 6), asked.rivers, self._river
                )
            return tiles, labels

        return (
            tf.data.Dataset.from_tensor_slices(order)
            .batch(batch_size)
            .enumerate()
            .map(take, num_parallel_calls=2, deterministic=True)
            .prefetch(4)
            .with_options(untuned())
        )


def class_weights(classes: np.ndarray) -> np.ndarray:
    """Return what each tile weighs so that every class weighs the same.

    Args:
        classes: int64 `[n]`, the class of each tile.

    Returns:
        float64 `[n]`, inverse to the frequency of the class; 1 on average.
    """
    _, kinds, counts = np.unique(classes, return_inverse=True, return_counts=True)
    return (len(classes) / (len(counts) * counts))[kinds]


def balanced_draw(order: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw as many tiles as there are so that every class comes equally often.

    A tile is drawn as many times as it weighs, rounded down or up by chance. To weight the loss
    instead would need a rule for the share of each class in smoothed, mixed and taught labels, and
    some steps would hang on one rare tile.

    Args:
        order: int64 `[n]`, positions of the tiles in chance order.
        classes: int64 `[n]`, the class of each tile.
        rng: Where chance comes from.

    Returns:
        int64 `[n]`, positions in chance order.
    """
    by_class = order[np.argsort(classes[order], kind="stable")]
    # Systematic sampling: marks one apart fall on a ruler on which a tile is as long as it weighs.
    ends = np.cumsum(class_weights(classes)[by_class])
    marks = rng.random() + np.arange(len(order))
    hit = np.minimum(np.searchsorted(ends, marks, side="right"), len(order) - 1)
    return rng.permutation(by_class[hit])


def untuned() -> tf.data.Options:
    """Return the option not to tune a data set while it runs.

    How many threads work is said already, and the tuner, which sleeps for up to a minute at a time,
    is waited for when an epoch ends: measured, up to 60 s of 144 s.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def augment(
    tiles: tf.Tensor,
    seed: tf.Tensor,
    *,
    shift: int,
    jitter: float,
    zoom: float = 0.0,
    rotation: float = 0.0,
) -> tf.Tensor:
    """Flip, turn and shift every tile by chance; change its scale, brightness and contrast.

    Seen from above, a tile has no up and no left: the eight flips and quarter turns are as likely
    as the original. Works on the whole batch of uint8 pixels at once, which costs next to nothing.

    Args:
        tiles: uint8 `[b, h, w, 3]`, with `h == w`.
        seed: int64 `[2]`; the same seed gives the same result.
        shift: Largest shift in pixels; the rim is filled by reflection.
        jitter: Largest relative change of brightness and contrast; 0 leaves every pixel as it is.
        zoom: Largest relative change of scale; 0 leaves it.
        rotation: Largest turn in degrees, besides quarter turns; 0 for none. What zoom and rotation
            interpolate is blurred, so that half of the tiles are spared both.

    Returns:
        uint8 `[b, h, w, 3]`.
    """
    batch, size = tf.shape(tiles)[0], tiles.shape[1]
    shift_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))

    padding = [[0, 0], [shift, shift], [shift, shift], [0, 0]]
    shifts = tf.random.stateless_uniform(
        [2, batch, 1], shift_seed, 0, 2 * shift + 1, dtype=tf.int32
    )
    rows, columns = tf.unstack(shifts + tf.range(size))
    tiles = tf.pad(tiles, padding, mode="REFLECT")
    tiles = tf.gather(tiles, rows, axis=1, batch_dims=1)
    tiles = tf.gather(tiles, columns, axis=2, batch_dims=1)

    chances = tf.random.stateless_uniform([3, batch, 1, 1, 1], flip_seed) < 0.5
    upside_down, mirrored, transposed = tf.unstack(chances)
    tiles = tf.where(upside_down, tf.reverse(tiles, [1]), tiles)
    tiles = tf.where(mirrored, tf.reverse(tiles, [2]), tiles)
    tiles = tf.where(transposed, tf.transpose(tiles, [0, 2, 1, 3]), tiles)
    if zoom or rotation:
        tiles = _zoomed_and_rotated(tiles, tf.random.fold_in(seed, 4), zoom, rotation)
    return _jittered(tiles, tf.random.fold_in(seed, 2), jitter) if jitter else tiles


def mix(
    tiles: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blend every tile and its label with the tile that is as far from the end of the batch.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018; every tile has a share of its
    own. The batch is in chance order, so that its mirror image is as good as any.

    Args:
        tiles: uint8 `[b, h, w, 3]`.
        labels: float32 `[b, classes]`.
        seed: int64 `[2]`; the same seed gives the same result.
        alpha: Strength, above 0; the share of the tile itself is drawn from Beta(alpha, alpha).

    Returns:
        Tiles and labels of the same shapes and types.
    """
    # Two gamma variates of one scale make a beta variate.
    first, second = tf.unstack(tf.random.stateless_gamma([2, tf.shape(tiles)[0], 1], seed, alpha))
    share = first / (first + second)
    share_of_pixels = share[..., tf.newaxis, tf.newaxis]
    pixels = tf.cast(tiles, tf.float32)
    mixed = share_of_pixels * pixels + (1 - share_of_pixels) * tf.reverse(pixels, [0])
    return (
        tf.saturate_cast(tf.round(mixed), tf.uint8),
        share * labels + (1 - share) * tf.reverse(labels, [0]),
    )


def _zoomed_and_rotated(
    tiles: tf.Tensor, seed: tf.Tensor, zoom: float, rotation: float
) -> tf.Tensor:
    """Change the scale of half of the tiles and turn them about their middle, by chance."""
    draws = tf.random.stateless_uniform([3, tf.shape(tiles)[0]], seed, -1, 1)
    spared, scale_draw, angle_draw = draws[0] < 0, draws[1], draws[2]
    # A factor and its inverse are as likely, so that tiles do not grow on the whole.
    step = tf.pow(1 + zoom, scale_draw)
    angle = angle_draw * (rotation * np.pi / 180)
    across, down = step * tf.cos(angle), step * tf.sin(angle)
    middle = (tiles.shape[1] - 1) / 2
    # A pixel (x, y) comes from (a x - b y + c, b x + a y + d); the last two stand for perspective.
    nothing = tf.zeros_like(step)
    column = [across, -down, middle * (1 - across + down)]
    row = [down, across, middle * (1 - across - down)]
    sources = tf.stack([*column, *row, nothing, nothing], axis=1)
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(tiles, tf.float32),
        transforms=sources,
        output_shape=tf.shape(tiles)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    moved = tf.saturate_cast(tf.round(moved), tf.uint8)
    return tf.where(spared[:, tf.newaxis, tf.newaxis, tf.newaxis], tiles, moved)


def _jittered(tiles: tf.Tensor, seed: tf.Tensor, jitter: float) -> tf.Tensor:
    """Multiply every tile's brightness and its contrast by a chance factor near 1."""
    factors = tf.random.stateless_uniform(
        [2, tf.shape(tiles)[0], 1, 1, 1], seed, 1 - jitter, 1 + jitter
    )
    brightness, contrast = tf.unstack(factors)
    pixels = tf.cast(tiles, tf.float32)
    mean = tf.reduce_mean(pixels, axis=[1, 2, 3], keepdims=True)
    pixels = brightness * (mean + contrast * (pixels - mean))
    return tf.saturate_cast(tf.round(pixels), tf.uint8)
