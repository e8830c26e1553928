"""One kernel in the place of interpolation and another: exact, and there and back."""

import numpy as np

from eurosat.doubling import with_doubling, without_doubling


def test_a_picture_of_one_colour_keeps_its_answer():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8))
    joined = without_doubling(kernel)
    np.testing.assert_allclose(joined.sum(axis=(0, 1)), kernel.sum(axis=(0, 1)))
    assert not np.allclose(joined, kernel)


def test_a_slope_is_half_as_steep_and_half_a_pixel_off_in_the_doubled_picture():
    across = np.broadcast_to(np.array([[-1.0, 0, 1]]), (3, 3))[..., None, None] / 3
    joined = without_doubling(across)[..., 0, 0]
    slope = np.broadcast_to(np.array([[-1.0, 0, 1]]), (3, 3))
    assert np.isclose((joined * slope).sum(), 1)


def test_there_and_back_is_where_it_was():
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 8))
    np.testing.assert_allclose(with_doubling(without_doubling(kernel)), kernel)
    np.testing.assert_allclose(without_doubling(with_doubling(kernel)), kernel)
