"""Something that is looked at: zoom, pan, fit and actual size."""

from typing import Final

from PySide6.QtCore import QEvent, QRectF, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPalette,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QWidget

_ZOOM_STEP: Final = 1.25
_SMALLEST_ZOOM: Final = 0.005
_LARGEST_ZOOM: Final = 64.0
_DEGREES_OF_A_NOTCH: Final = 120.0
_FRAME_WIDTH: Final = 2


class ZoomView(QGraphicsView):
    """Shows what lies in the rectangle of its scene, as large as fits until the user zooms.

    Attributes:
        zoomed: Signal with the size of an image pixel on screen: 1.0 is actual size.
    """

    zoomed = Signal(float)

    def __init__(self, parent: QWidget) -> None:
        """Show nothing yet."""
        super().__init__(parent)
        self.setFrameStyle(QFrame.Shape.Box | QFrame.Shadow.Plain)
        self.setLineWidth(_FRAME_WIDTH)
        self.setForegroundRole(QPalette.ColorRole.Window)
        self.setAcceptDrops(False)  # Files are dropped on the window.
        # The grey of the window, in light and dark; white would change how colours look.
        self.viewport().setBackgroundRole(QPalette.ColorRole.Window)
        self.setScene(QGraphicsScene(self))
        self.setDragMode(QGraphicsView.DragMode.ScrollHandDrag)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.AnchorUnderMouse)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._fits = True

    @property
    def zoom(self) -> float:
        """How large an image pixel is on screen, in pixels of the screen."""
        return self.transform().m11() * self.devicePixelRatioF()

    def show_rectangle(self, width: float, height: float) -> None:
        """Begin with a picture of another size, in pixels of its own, and fit it into the view."""
        self.scene().setSceneRect(QRectF(0, 0, width, height))
        self.fit()

    def fit(self) -> None:
        """Show the whole picture, as large as the view allows."""
        self._fits = True
        if not self.sceneRect().isEmpty():
            self.fitInView(self.sceneRect(), Qt.AspectRatioMode.KeepAspectRatio)
        self.zoomed.emit(self.zoom)

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

    def viewportEvent(self, event: QEvent) -> bool:
        """Zoom when two fingers are spread on a touchpad. Called by Qt."""
        if (
            isinstance(event, QNativeGestureEvent)
            and event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture
        ):
            self._set_zoom(self.zoom * (1 + event.value()))
            return True
        return super().viewportEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Fit the picture into the view. Called by Qt."""
        self.fit()
        event.accept()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show a frame, so that one sees where keys go. Called by Qt."""
        super().focusInEvent(event)
        self.setForegroundRole(QPalette.ColorRole.Highlight)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Let the frame look like the window. Called by Qt."""
        super().focusOutEvent(event)
        self.setForegroundRole(QPalette.ColorRole.Window)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the picture fit, unless the user has zoomed. Called by Qt."""
        super().resizeEvent(event)
        if self._fits:
            self.fit()

    def _set_zoom(self, zoom: float) -> None:
        if self.sceneRect().isEmpty():
            return
        self._fits = False
        # What fits the view may be larger or smaller than these.
        smallest, largest = min(_SMALLEST_ZOOM, self.zoom), max(_LARGEST_ZOOM, self.zoom)
        factor = min(max(zoom, smallest), largest) / self.zoom
        self.scale(factor, factor)
        self.zoomed.emit(self.zoom)
