"""What is seen as long as nothing is open: what can be dropped, and buttons that open it."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from .headline import Headline


class EmptyPage(QWidget):
    """The first page.

    Attributes:
        images_wanted: Signal: images are to be asked for.
        folder_wanted: Signal: a folder is to be asked for.
        scene_wanted: Signal: a scene is to be asked for.
    """

    images_wanted = Signal()
    folder_wanted = Signal()
    scene_wanted = Signal()

    def __init__(self, parent: QWidget) -> None:
        """Lay out the page."""
        super().__init__(parent)
        title = Headline(self.tr("Drop images, folders or a scene here"), self)
        text = QLabel(
            self.tr(
                "or open, paste or name them on the command line, and see what covers the land.\n"
                "Everything stays on this computer. The models expect 10 m on the ground to a "
                "pixel, 64 × 64 pixels to an image; a scene of any size becomes a map."
            ),
            self,
        )
        text.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addStretch()
        for name, wanted in (
            (self.tr("Open images…"), self.images_wanted),
            (self.tr("Open folder…"), self.folder_wanted),
            (self.tr("Open scene…"), self.scene_wanted),
        ):
            button = QPushButton(name, self)
            button.clicked.connect(wanted)
            buttons.addWidget(button)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setSpacing(16)
        layout.addStretch()
        for label in (title, text):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            layout.addWidget(label)
        layout.addLayout(buttons)
        layout.addStretch()
