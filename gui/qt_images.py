"""Arrays of pixels as pictures of Qt, and back; icons that keep their colours."""

import numpy as np
from PySide6.QtGui import QIcon, QImage, QPixmap


def to_qimage(pixels: np.ndarray) -> QImage:
    """Return a picture, with memory of its own, of a uint8 array of shape [height, width, 3]."""
    height, width = pixels.shape[:2]
    pixels = np.ascontiguousarray(pixels)
    # RGB32 is what the screen takes; converting here spares the window's thread.
    return QImage(
        pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888
    ).convertToFormat(QImage.Format.Format_RGB32)


def to_qimage_with_alpha(pixels: np.ndarray) -> QImage:
    """Return a picture, with memory of its own, of a uint8 array of shape [height, width, 4]."""
    height, width = pixels.shape[:2]
    pixels = np.ascontiguousarray(pixels)
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()


def from_qimage(image: QImage) -> np.ndarray:
    """Return a uint8 array of shape [height, width, 3] of a picture, over black."""
    # Qt does it, as the window waits for it. Colours times their opacity are those over black.
    if image.hasAlphaChannel():
        image = image.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)
        image.reinterpretAsFormat(QImage.Format.Format_RGB32)
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    height, width = image.height(), image.width()
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine())
    return rows[:, : 3 * width].reshape(height, width, 3).copy()


def to_icon(pixmap: QPixmap) -> QIcon:
    """Return an icon that keeps its colours in a selected row, where Qt would tint it."""
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
