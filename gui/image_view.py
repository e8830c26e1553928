"""The image in the middle: zoom, pan, fit, actual size, and a heat map over it."""

from typing import Final

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import (
    QImage,
    QMouseEvent,
    QPalette,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsPixmapItem, QGraphicsScene, QGraphicsView, QWidget

_ZOOM_STEP: Final = 1.25
_SMALLEST_ZOOM: Final = 0.02
_LARGEST_ZOOM: Final = 64.0
_DEGREES_OF_A_NOTCH: Final = 120.0


class ImageView(QGraphicsView):
    """Shows one picture; small ones large and crisp, large ones smooth.

    Attributes:
        zoomed: Signal with the size of an image pixel on screen: 1.0 is actual size.
    """

    zoomed = Signal(float)

    def __init__(self, parent: QWidget) -> None:
        """Show nothing yet."""
        super().__init__(parent)
        self.setAccessibleName(self.tr("Image"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAcceptDrops(False)  # Files are dropped on the window.
        # The grey of the window, in light and dark; white would change how colours look.
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self.setScene(QGraphicsScene(self))
        self._picture = QGraphicsPixmapItem()
        self._heat = QGraphicsPixmapItem()
        self.scene().addItem(self._picture)
        self.scene().addItem(self._heat)
        self._heat.setTransformationMode(Qt.TransformationMode.SmoothTransformation)
        self.setDragMode(QGraphicsView.DragMode.ScrollHandDrag)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.AnchorUnderMouse)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fits = True

    @property
    def zoom(self) -> float:
        """How large an image pixel is on screen, in pixels of the screen."""
        return self.transform().m11() * self.devicePixelRatioF()

    @property
    def is_fit(self) -> bool:
        """Whether the picture follows the size of the window."""
        return self._fits

    def show_picture(self, picture: QImage) -> None:
        """Show a picture, or nothing if it is null; without a heat map, and fit into the view."""
        self._picture.setPixmap(QPixmap.fromImage(picture))
        self._heat.setPixmap(QPixmap())
        self.scene().setSceneRect(QRectF(self._picture.pixmap().rect()))
        self.fit()

    def show_heat(self, heat: QImage) -> None:
        """Lay a picture with transparency over the whole image; a null one takes it away."""
        self._heat.setPixmap(QPixmap.fromImage(heat))
        if not heat.isNull():
            size = self._picture.pixmap().size()
            across, down = size.width() / heat.width(), size.height() / heat.height()
            self._heat.setTransform(self._heat.transform().fromScale(across, down))

    def set_heat_opacity(self, opacity: float) -> None:
        """Choose how much of the image the heat map hides, 0 to 1."""
        self._heat.setOpacity(opacity)

    @property
    def has_heat(self) -> bool:
        """Whether a heat map lies over the image."""
        return not self._heat.pixmap().isNull()

    def fit(self) -> None:
        """Show the whole picture, as large as the view allows."""
        self._fits = True
        if not self._picture.pixmap().isNull():
            self.fitInView(self._picture, Qt.AspectRatioMode.KeepAspectRatio)
        self._zoom_changed()

    def show_actual_size(self) -> None:
        """Show each pixel of the image as one pixel of the screen."""
        self._set_zoom(1.0)

    def zoom_in(self) -> None:
        """Show the picture larger."""
        self._set_zoom(self.zoom * _ZOOM_STEP)

    def zoom_out(self) -> None:
        """Show the picture smaller."""
        self._set_zoom(self.zoom / _ZOOM_STEP)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom about the place under the mouse. Called by Qt."""
        notches = event.angleDelta().y() / _DEGREES_OF_A_NOTCH
        self._set_zoom(self.zoom * _ZOOM_STEP**notches)
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Fit the picture into the view. Called by Qt."""
        self.fit()
        event.accept()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the picture fit, unless the user has zoomed. Called by Qt."""
        super().resizeEvent(event)
        if self._fits:
            self.fit()

    def _set_zoom(self, zoom: float) -> None:
        if self._picture.pixmap().isNull():
            return
        self._fits = False
        factor = min(max(zoom, _SMALLEST_ZOOM), _LARGEST_ZOOM) / self.zoom
        self.scale(factor, factor)
        self._zoom_changed()

    def _zoom_changed(self) -> None:
        # Enlarged pixels stay squares; a shrunk picture without smoothing would glitter.
        is_enlarged = self.zoom >= 1
        self._picture.setTransformationMode(
            Qt.TransformationMode.FastTransformation
            if is_enlarged
            else Qt.TransformationMode.SmoothTransformation
        )
        self.zoomed.emit(self.zoom)
