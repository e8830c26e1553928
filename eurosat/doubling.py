"""A picture doubled, then convolved with strides of 2: together one convolution of the picture.

Both are linear and their strides cancel out: what bilinear interpolation to twice the size and a
3 x 3 kernel do together, another 3 x 3 kernel does on the picture as it is.
"""

import numpy as np

_SHARES = np.array([[0.25, 0, 0], [0.75, 0.75, 0.25], [0, 0.25, 0.75]])
"""How three pixels in a row (before, at and after a place, downwards) share in the three pixels
(across) that stand there after bilinear interpolation to twice the size, from the place on."""


def without_doubling(kernel: np.ndarray) -> np.ndarray:
    """Return the kernel that does to a picture what one does to it doubled, with strides of 2.

    Args:
        kernel: `[3, 3, channels, filters]`, of the doubled picture.

    Returns:
        Of the picture as it is, with strides of 1; of the same shape.
    """
    return _on_both_axes(_SHARES, kernel)


def with_doubling(kernel: np.ndarray) -> np.ndarray:
    """Return the kernel from which `without_doubling` makes this one."""
    return _on_both_axes(np.linalg.inv(_SHARES), kernel)


def _on_both_axes(shares: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return np.einsum("ai,bj,ijcf->abcf", shares, shares, kernel)
