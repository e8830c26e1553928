"""What the model says of an image: a headline in plain words, and a bar for each class."""

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from eurosat.classifier import Prediction

from .class_bars import Bar, ClassBars
from .class_texts import description_of, title_of
from .headline import Headline
from .long_text import LongText
from .workspace import Item, Status, class_of


class AnswerPanel(QWidget):
    """The confidence of every class for one image.

    Attributes:
        fixed_order: The switch between the order of confidence and that of the model.
        bars: The bars.
    """

    def __init__(self, parent: QWidget) -> None:
        """Show no image yet."""
        super().__init__(parent)
        self._item: Item | None = None
        self._is_all_hidden = False
        self._title = Headline("", self)
        self._confidence = Headline("", self)
        for label in (self._title, self._confidence):
            font = label.font()
            font.setBold(True)
            label.setFont(font)
        self._confidence.setWordWrap(False)
        self._title.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._confidence.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        self._description = LongText("", self)
        self._description.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.bars = ClassBars(self.tr("Confidence of each class"), self)
        self.fixed_order = QCheckBox(self.tr("Always in the same order"), self)
        self.fixed_order.toggled.connect(self._show)

        headline = QHBoxLayout()
        headline.addWidget(self._title, 1)
        headline.addWidget(self._confidence)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(headline)
        layout.addWidget(self._description)
        layout.addWidget(self.bars, 1)
        layout.addWidget(self.fixed_order)
        self.show_item(None)

    @property
    def headline(self) -> str:
        """The class as it is shown."""
        return self._title.text()

    @property
    def description(self) -> str:
        """The sentence below the headline."""
        return self._description.text()

    def minimumSizeHint(self) -> QSize:
        """Return the height at which no line of the texts is cut. Called by Qt."""
        size, layout = super().minimumSizeHint(), self.layout()
        lines = layout.minimumHeightForWidth(self.width()) if layout else 0
        return QSize(size.width(), max(size.height(), lines))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Make room for more lines, where they have become shorter. Called by Qt."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def show_item(self, item: Item | None) -> None:
        """Show what is known of an image."""
        self._item = item
        self._show()

    def set_filtered_out(self, *, is_all_hidden: bool) -> None:
        """Say whether there are images, but none that the filter shows."""
        if is_all_hidden != self._is_all_hidden:
            self._is_all_hidden = is_all_hidden
            self._show()

    def _show(self) -> None:
        item = self._item
        prediction = item.outcome if item and isinstance(item.outcome, Prediction) else None
        title, confidence, description = "", "", ""
        if item is None and self._is_all_hidden:
            description = self.tr("No image fits the filter.")
        elif item is None:
            description = self.tr("Select an image to see what covers the land.")
        elif item.reason:
            title, description = self.tr("Unreadable"), item.reason
        elif item.cover is None:
            description = self.tr("Waiting for its turn.")
        else:
            title, description = title_of(item.cover), description_of(item.cover)
            confidence = f"{item.confidence:.1%}"
            if item.status is Status.UNSURE:
                title = self.tr("Unsure: {title}").format(title=title.lower())
                description = self.tr(
                    "The model is not sure enough of this answer; look at the image."
                )
        self._title.setText(title)
        self._title.setVisible(bool(title))
        self._confidence.setText(confidence)
        self._confidence.setVisible(bool(confidence))
        self._description.setText(description)
        self.bars.show_bars(bars_of(prediction, fixed_order=self.fixed_order.isChecked()))
        self.fixed_order.setVisible(prediction is not None)


def bars_of(prediction: Prediction | None, *, fixed_order: bool = False) -> list[Bar]:
    """Return a bar for each class, the most probable first or in the order of the model."""
    if prediction is None:
        return []
    names = prediction.class_names
    if fixed_order:
        shares = list(zip(names, prediction.probabilities.tolist(), strict=True))
    else:
        shares = prediction.top(len(names))
    return [Bar(class_of(prediction, name), share, f"{share:.1%}") for name, share in shares]
