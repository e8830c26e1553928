"""An occlusion map as a picture to lay over the image."""

from typing import Final

import numpy as np
from PySide6.QtGui import QImage

# From weak to strong: dark violet, red, orange, light yellow. It grows lighter all the way, so it
# reads without colour vision too.
_COLOURS: Final = np.array([(40, 11, 84), (158, 40, 100), (237, 105, 37), (252, 255, 164)])
# What moves the log-odds by less than this is not worth showing, in nats.
_FAINTEST: Final = 0.05


def heat_picture(heat: np.ndarray) -> QImage:
    """Return a picture of the places that speak for the class: the stronger, the more opaque.

    Args:
        heat: A float32 array of shape [height, width], as `eurosat.explain.occlusion_map` gives it.

    Returns:
        A picture of the same size; a null one where no place matters.
    """
    strongest = float(heat.max())
    if strongest < _FAINTEST:
        return QImage()
    strength = np.clip(heat / strongest, 0, 1)
    stops = np.linspace(0, 1, len(_COLOURS))
    height, width = heat.shape
    colours = np.empty((height, width, 4), np.uint8)
    for channel in range(3):
        colours[..., channel] = np.interp(strength, stops, _COLOURS[:, channel]).round()
    colours[..., 3] = (255 * strength).round()
    picture = QImage(colours.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return picture.copy()  # With memory of its own.
