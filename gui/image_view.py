"""The image in the middle, and a heat map over it."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QGraphicsPixmapItem, QWidget

from .zoom_view import ZoomView


class ImageView(ZoomView):
    """Shows one picture; small ones large and crisp, large ones smooth."""

    def __init__(self, parent: QWidget) -> None:
        """Show nothing yet."""
        super().__init__(parent)
        self.setAccessibleName(self.tr("Image"))
        self._picture = QGraphicsPixmapItem()
        self._heat = QGraphicsPixmapItem()
        self.scene().addItem(self._picture)
        self.scene().addItem(self._heat)
        self._heat.setTransformationMode(Qt.TransformationMode.SmoothTransformation)
        self.zoomed.connect(self._choose_smoothness)

    def show_picture(self, picture: QImage) -> None:
        """Show a picture, or nothing if it is null; without a heat map, and fit into the view."""
        self._picture.setPixmap(QPixmap.fromImage(picture))
        self._heat.setPixmap(QPixmap())
        self.show_rectangle(picture.width(), picture.height())

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

    def _choose_smoothness(self, zoom: float) -> None:
        # Enlarged pixels stay squares; a shrunk picture without smoothing would glitter.
        self._picture.setTransformationMode(
            Qt.TransformationMode.FastTransformation
            if zoom >= 1
            else Qt.TransformationMode.SmoothTransformation
        )
