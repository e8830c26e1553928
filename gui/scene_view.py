"""A scene of any size on screen: tiles that are read when they are seen, and a map over them."""

from collections import OrderedDict
from math import ceil, floor, log2
from typing import Final

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QTransform
from PySide6.QtWidgets import (
    QGraphicsItem,
    QGraphicsObject,
    QStyleOptionGraphicsItem,
    QWidget,
)

from eurosat.scenes.cells import CellMap

from .scene_reader import TILE_SIDE, Tile, tile_window
from .zoom_view import ZoomView

CACHE_BYTES: Final = 128 << 20
"""What tiles may take of the memory."""


class TileCache:
    """The tiles that were shown last, of at most so many bytes together."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        """Begin with none."""
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[Tile, QImage] = OrderedDict()

    def get(self, tile: Tile) -> QImage | None:
        """Return a tile, if it is at hand."""
        picture = self._kept.get(tile)
        if picture is not None:
            self._kept.move_to_end(tile)
        return picture

    def keep(self, tile: Tile, picture: QImage) -> None:
        """Keep a tile, and let go of those that were not shown for the longest time."""
        if tile in self._kept:
            return
        self._kept[tile] = picture
        self.size += picture.sizeInBytes()
        while self.size > self.limit:
            self.size -= self._kept.popitem(last=False)[1].sizeInBytes()

    def clear(self) -> None:
        """Let go of all."""
        self._kept.clear()
        self.size = 0


class SceneView(ZoomView):
    """Shows a scene and its map.

    Attributes:
        tiles_wanted: Signal with a list of tiles that are on screen and not at hand, those in the
            middle first.
        pointed: Signal with the place under the mouse, or in the middle of what is seen where keys
            move it, in pixels of the scene; None outside.
        cache: The tiles that are at hand.
    """

    tiles_wanted = Signal(list)
    pointed = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        """Show nothing yet."""
        super().__init__(parent)
        self.setAccessibleName(self.tr("Scene"))
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.cache = TileCache()
        self._wanted: set[Tile] = set()
        # Where the mouse is on screen, if it is over the scene.
        self._mouse: QPoint | None = None
        self._item = _SceneItem(self)
        self.scene().addItem(self._item)
        self.zoomed.connect(self._tell_place)

    def show_scene(self, height: int, width: int) -> None:
        """Begin with a scene of so many pixels, of which nothing has been read."""
        self.cache.clear()
        self._wanted = set()
        self._item.begin(height, width)
        self.show_rectangle(width, height)

    def show_quick_look(self, picture: QImage) -> None:
        """Show the whole scene in less detail."""
        self._item.quick_look = picture
        self._item.update()

    def show_tile(self, tile: Tile, picture: QImage) -> None:
        """Show a tile that was read."""
        self._wanted.discard(tile)
        self.cache.keep(tile, picture)
        self._item.update_tile(tile)

    def show_map(self, cells: CellMap | None, hidden: set[int]) -> None:
        """Lay a map over the scene.

        Args:
            cells: The map, or None to take it away.
            hidden: The numbers of the classes that are not shown.
        """
        self._item.stride = cells.grid.stride if cells else 1
        self._item.overlay = coloured(cells, hidden) if cells else QImage()
        self._item.update()

    def set_map_opacity(self, opacity: float) -> None:
        """Choose how much of the scene the map hides, 0 to 1."""
        self._item.map_opacity = opacity
        self._item.update()

    @property
    def quick_look(self) -> QImage:
        """The whole scene in less detail; null as long as it is not read."""
        return self._item.quick_look

    @property
    def overlay(self) -> QImage:
        """The map, a pixel for each cell; null if there is none."""
        return self._item.overlay

    @property
    def seen(self) -> QRectF:
        """The part of the scene that is on screen, in its pixels."""
        shown = self.mapToScene(self.viewport().rect()).boundingRect()
        return shown.intersected(self.sceneRect())

    def want_tiles(self, missing: list[Tile]) -> None:
        """Ask for tiles, unless they have been asked for and are on their way."""
        if not self._wanted.issuperset(missing):
            self._wanted = set(missing)
            self.tiles_wanted.emit(missing)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell what is pointed at. Called by Qt."""
        super().mouseMoveEvent(event)
        self._mouse = event.position().toPoint()
        self._tell_place()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move with the arrow keys, and tell what is in the middle then. Called by Qt."""
        super().keyPressEvent(event)
        if self._mouse is None:
            self.pointed.emit(self.seen.center())
        else:
            self._tell_place()

    def leaveEvent(self, event: QEvent) -> None:
        """Tell that nothing is pointed at. Called by Qt."""
        super().leaveEvent(event)
        self._mouse = None
        self.pointed.emit(None)

    def _tell_place(self) -> None:
        """Tell what lies under the mouse, which may stay where it is while the scene moves."""
        if self._mouse is not None:
            self.pointed.emit(self.mapToScene(self._mouse))


class _SceneItem(QGraphicsObject):
    """Paints what is seen of the scene and of its map."""

    def __init__(self, view: SceneView) -> None:
        super().__init__()
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)
        self._view = view
        self._width = self._height = 0
        self.quick_look = QImage()
        self.overlay = QImage()
        self.stride = 1
        self.map_opacity = 1.0

    def begin(self, height: int, width: int) -> None:
        self.prepareGeometryChange()
        self._height, self._width = height, width
        self.quick_look = self.overlay = QImage()

    def update_tile(self, tile: Tile) -> None:
        self.update(_rectangle(*tile_window(tile, self._height, self._width)))

    def boundingRect(self) -> QRectF:
        return QRectF(0, 0, self._width, self._height)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionGraphicsItem,
        widget: QWidget | None = None,
    ) -> None:
        exposed: QRectF = option.exposedRect.intersected(self.boundingRect())
        zoom = self._view.zoom
        # Enlarged pixels stay squares; a shrunk picture without smoothing would glitter.
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, zoom < 1)
        if not self.quick_look.isNull():
            self._paint_quick_look(painter, exposed)
            across, down = self._quick_pixel
            if min(across, down) > 1:
                self._paint_tiles(painter, zoom, exposed, across)
        if not self.overlay.isNull():
            self._paint_map(painter, exposed)

    @property
    def _quick_pixel(self) -> tuple[float, float]:
        """Width and height of a pixel of the quick look, in pixels of the scene."""
        return self._width / self.quick_look.width(), self._height / self.quick_look.height()

    def _paint_quick_look(self, painter: QPainter, exposed: QRectF) -> None:
        _draw_part(painter, self.quick_look, self._quick_pixel, exposed, self.boundingRect())

    def _paint_map(self, painter: QPainter, exposed: QRectF) -> None:
        """Lay the map over what has data: a cell at the rim is a square that may reach beyond."""
        to_screen = painter.worldTransform()
        place = to_screen.mapRect(exposed).toAlignedRect()
        ratio = painter.device().devicePixelRatioF()
        layer = QImage(place.size() * ratio, QImage.Format.Format_ARGB32_Premultiplied)
        layer.setDevicePixelRatio(ratio)
        layer.fill(Qt.GlobalColor.transparent)
        on_layer = QPainter(layer)
        on_layer.setWorldTransform(to_screen * QTransform.fromTranslate(-place.x(), -place.y()))
        size = (self.stride, self.stride)
        _draw_part(on_layer, self.overlay, size, exposed, self.boundingRect())
        if not self.quick_look.isNull():
            on_layer.setCompositionMode(QPainter.CompositionMode.CompositionMode_DestinationIn)
            self._paint_quick_look(on_layer, exposed)
        on_layer.end()
        painter.save()
        painter.resetTransform()
        painter.setOpacity(self.map_opacity)
        painter.drawImage(place.topLeft(), layer)
        painter.restore()

    def _paint_tiles(
        self, painter: QPainter, zoom: float, exposed: QRectF, quick_shrink: float
    ) -> None:
        halvings = max(0, floor(log2(1 / zoom)))
        seen = self._view.seen
        if 1 << halvings >= quick_shrink or seen.isEmpty():
            return  # The quick look shows as much.
        missing: list[Tile] = []
        for tile in _tiles_in(seen, halvings):
            place = _rectangle(*tile_window(tile, self._height, self._width))
            picture = self._view.cache.get(tile)
            if picture is None:
                missing.append(tile)
            elif place.intersects(exposed):
                painter.drawImage(place, picture)
        middle = seen.center() / (TILE_SIDE << halvings) - QPointF(0.5, 0.5)
        missing.sort(key=lambda tile: (tile[1] - middle.y()) ** 2 + (tile[2] - middle.x()) ** 2)
        self._view.want_tiles(missing)


def coloured(cells: CellMap, hidden: set[int]) -> QImage:
    """Return a map as a picture with a pixel for each cell, transparent where there is nothing."""
    labels = np.ascontiguousarray(cells.labels)
    height, width = labels.shape
    indexed = QImage(labels.data, width, height, width, QImage.Format.Format_Indexed8)
    table = [0] * 256
    for entry in cells.classes:
        if entry.id not in hidden:
            table[entry.id] = QColor(entry.colour).rgba()
    indexed.setColorTable(table)
    return indexed.convertToFormat(QImage.Format.Format_ARGB32_Premultiplied)


def _tiles_in(seen: QRectF, halvings: int) -> list[Tile]:
    span = TILE_SIDE << halvings
    rows = range(floor(seen.top() / span), ceil(seen.bottom() / span))
    columns = range(floor(seen.left() / span), ceil(seen.right() / span))
    return [(halvings, row, column) for row in rows for column in columns]


def _rectangle(rows: tuple[int, int], columns: tuple[int, int]) -> QRectF:
    return QRectF(columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])


def _draw_part(
    painter: QPainter,
    picture: QImage,
    size: tuple[float, float],
    exposed: QRectF,
    limits: QRectF,
) -> None:
    """Draw the part of a picture that is exposed.

    Qt steps through a picture in rounded steps; over a whole scene their errors would add up.

    Args:
        painter: Where to draw.
        picture: The picture; its upper left corner is that of the scene.
        size: Width and height of one of its pixels, in pixels of the scene.
        exposed: The part, in pixels of the scene.
        limits: The scene. A picture that is larger is cut off there.
    """
    across, down = size
    left, top = floor(exposed.left() / across) - 1, floor(exposed.top() / down) - 1
    right, bottom = ceil(exposed.right() / across) + 1, ceil(exposed.bottom() / down) + 1
    place = QRectF(left * across, top * down, (right - left) * across, (bottom - top) * down)
    place = place.intersected(limits)
    source = QRectF(
        place.left() / across,
        place.top() / down,
        place.width() / across,
        place.height() / down,
    )
    painter.drawImage(place, picture, source)
