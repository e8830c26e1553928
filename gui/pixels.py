"""The thread that reads images for the eye: the one that is looked at, and thumbnails."""

import logging
from collections import OrderedDict
from collections.abc import Iterable
from threading import Condition
from typing import Final

import numpy as np
from PySide6.QtCore import QSize, Qt, QThread, Signal
from PySide6.QtGui import QIcon, QImage, QPainter, QPixmap

from eurosat.errors import EurosatError
from eurosat.images import read_image

from .qt_images import to_icon, to_qimage
from .workspace import Item

_LOG = logging.getLogger(__name__)

THUMBNAIL_SIDE: Final = 32
"""Height and width of a thumbnail, in pixels of the layout."""

# The largest side at which an image is shown; larger ones are shrunk first. It keeps a whole
# Sentinel-2 tile (10980 pixels) from taking half a gigabyte.
_LARGEST_SIDE: Final = 4096

_KEPT_THUMBNAILS: Final = 2000
# Who scrolls past hundreds of rows does not wait for the thumbnails of the first ones.
_WANTED_THUMBNAILS: Final = 200


class PixelThread(QThread):
    """Reads the latest image asked for first, then thumbnails, the latest asked for first.

    Attributes:
        image_read: Signal with an item and its picture (a `QImage`, null if it cannot be read).
        thumbnail_read: Signal with an item and its thumbnail (a `QImage`, null if unreadable).
    """

    image_read = Signal(object, QImage)
    thumbnail_read = Signal(object, QImage)

    def __init__(self, device_pixel_ratio: float) -> None:
        """Prepare the thread; `start` lets it run.

        Args:
            device_pixel_ratio: How many pixels of the screen a pixel of the layout has.
        """
        super().__init__()
        self._device_pixel_ratio = device_pixel_ratio
        self._changed = Condition()
        self._wanted_image: Item | None = None
        self._wanted_thumbnails: OrderedDict[Item, None] = OrderedDict()
        self._is_stopped = False

    def want_image(self, item: Item) -> None:
        """Ask for an image. One asked for before and not yet begun is forgotten."""
        with self._changed:
            self._wanted_image = item
            self._changed.notify()

    def want_thumbnail(self, item: Item) -> None:
        """Ask for a thumbnail."""
        with self._changed:
            self._wanted_thumbnails[item] = None
            self._wanted_thumbnails.move_to_end(item)
            while len(self._wanted_thumbnails) > _WANTED_THUMBNAILS:
                self._wanted_thumbnails.popitem(last=False)
            self._changed.notify()

    def stop(self) -> None:
        """End the thread; return when it has ended."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self.wait()

    def run(self) -> None:
        """Work until told to stop. Called by Qt."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._wanted_image or self._wanted_thumbnails or self._is_stopped
                )
                if self._is_stopped:
                    return
                shown, self._wanted_image = self._wanted_image, None
                small = None if shown else self._wanted_thumbnails.popitem()[0]
            if shown:
                self._read_image(shown)
            elif small:
                self._read_thumbnail(small)

    def _read_image(self, item: Item) -> None:
        picture, size = _read(item)
        if max(size) > _LARGEST_SIDE:
            picture = picture.scaled(
                QSize(_LARGEST_SIDE, _LARGEST_SIDE),
                Qt.AspectRatioMode.KeepAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        self.image_read.emit(item, picture)

    def _read_thumbnail(self, item: Item) -> None:
        picture, _ = _read(item)
        side = round(THUMBNAIL_SIDE * self._device_pixel_ratio)
        if not picture.isNull():
            picture = _in_a_square(picture, side)
            picture.setDevicePixelRatio(self._device_pixel_ratio)
        self.thumbnail_read.emit(item, picture)


def _in_a_square(picture: QImage, side: int) -> QImage:
    """Return a picture as large as fits in the middle of a square, so that all are as wide."""
    picture = picture.scaled(
        QSize(side, side),
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    square = QImage(side, side, QImage.Format.Format_ARGB32_Premultiplied)
    square.fill(Qt.GlobalColor.transparent)
    painter = QPainter(square)
    painter.drawImage((side - picture.width()) // 2, (side - picture.height()) // 2, picture)
    painter.end()
    return square


def _read(item: Item) -> tuple[QImage, tuple[int, int]]:
    try:
        pixels = item.source if isinstance(item.source, np.ndarray) else read_image(item.source)
        height, width = pixels.shape[:2]
        return to_qimage(pixels), (height, width)
    except (EurosatError, MemoryError) as error:
        # The classification says the same to the user.
        _LOG.debug("%s cannot be shown: %s", item.location, error)
        return QImage(), (0, 0)


class ThumbnailCache:
    """The thumbnails that were shown last, at most so many; others are asked for when shown."""

    def __init__(self, pixel_thread: PixelThread) -> None:
        """Begin with none."""
        self._pixel_thread = pixel_thread
        self._kept: OrderedDict[Item, QIcon] = OrderedDict()

    def get(self, item: Item) -> QIcon | None:
        """Return a thumbnail; or None, and ask for it."""
        icon = self._kept.get(item)
        if icon is None:
            self._pixel_thread.want_thumbnail(item)
        else:
            self._kept.move_to_end(item)
        return icon

    def keep(self, item: Item, picture: QImage) -> None:
        """Keep a thumbnail that was read; a null picture too, so that it is not read again."""
        if not item.is_open:
            return  # Closed while it was read.
        self._kept[item] = to_icon(QPixmap.fromImage(picture)) if not picture.isNull() else QIcon()
        while len(self._kept) > _KEPT_THUMBNAILS:
            self._kept.popitem(last=False)

    def forget(self, items: Iterable[Item]) -> None:
        """Let go of thumbnails, and with them of images that were pasted."""
        for item in items:
            self._kept.pop(item, None)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._kept)
