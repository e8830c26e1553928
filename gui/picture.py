"""A picture of one image with its bars, to keep or to paste: the report of a single answer."""

from typing import Final

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter, QPen

from eurosat.classifier import Prediction

from .answer_panel import bars_of
from .class_bars import draw_bar
from .class_texts import answer_title, description_of, title_of
from .workspace import Item, Status

# All in pixels of the layout, which has half as many pixels across as the picture.
_SCALE: Final = 2
_IMAGE_SIDE: Final = 400
_MARGIN: Final = 24
_TEXT_WIDTH: Final = 440
_ROW_HEIGHT: Final = 26
_TITLE_WIDTH: Final = 170
_NUMBER_WIDTH: Final = 56
_BAR_HEIGHT: Final = 12
_MOST_BARS: Final = 10

_PAPER: Final = QColor("#ffffff")
_INK: Final = QColor("#1f2328")
_FAINT_INK: Final = QColor("#59636e")
_OUTLINE: Final = QColor("#8c959f")


def draw_report(picture: QImage, item: Item, model_title: str) -> QImage:
    """Draw an image, its class, the bars of its most probable classes, and the model's name.

    Args:
        picture: The image itself.
        item: What is known of it; it must have a prediction.
        model_title: What the model is called.
    """
    assert item.cover is not None and isinstance(item.outcome, Prediction)
    bars = bars_of(item.outcome)[:_MOST_BARS]
    width = 3 * _MARGIN + _IMAGE_SIDE + _TEXT_WIDTH
    height = 2 * _MARGIN + _IMAGE_SIDE
    report = QImage(width * _SCALE, height * _SCALE, QImage.Format.Format_RGB32)
    report.setDevicePixelRatio(_SCALE)
    report.fill(_PAPER)
    painter = QPainter(report)
    _draw_image(painter, picture)

    column = QRect(2 * _MARGIN + _IMAGE_SIDE, _MARGIN, _TEXT_WIDTH, height - 2 * _MARGIN)
    font = QFont(painter.font())
    font.setPixelSize(22)  # The longest class name of EuroSAT fits.
    font.setBold(True)
    painter.setFont(font)
    painter.setPen(_INK)
    title = answer_title(item.cover, is_unsure=item.status is Status.UNSURE)
    _write(painter, QRect(column.left(), column.top(), column.width() - 110, 34), title)
    _write(
        painter,
        QRect(column.right() - 110, column.top(), 111, 34),
        f"{item.confidence:.1%}",
        Qt.AlignmentFlag.AlignRight,
    )
    font.setPixelSize(13)
    font.setBold(False)
    painter.setFont(font)
    painter.setPen(_FAINT_INK)
    _write(
        painter,
        QRect(column.left(), column.top() + 40, column.width(), 20),
        description_of(item.cover),
    )

    top = column.top() + 76
    for row, bar in enumerate(bars):
        line = QRect(column.left(), top + row * _ROW_HEIGHT, column.width(), _ROW_HEIGHT)
        painter.setPen(_INK)
        _write(
            painter, QRect(line.left(), line.top(), _TITLE_WIDTH, _ROW_HEIGHT), title_of(bar.cover)
        )
        longest = line.width() - _TITLE_WIDTH - _NUMBER_WIDTH
        place = QRect(
            line.left() + _TITLE_WIDTH, 0, max(2, round(longest * bar.share)), _BAR_HEIGHT
        )
        place.moveTop(line.center().y() - _BAR_HEIGHT // 2)
        draw_bar(painter, place, bar.cover, _OUTLINE)
        number = QRect(line.right() - _NUMBER_WIDTH, line.top(), _NUMBER_WIDTH + 1, _ROW_HEIGHT)
        _write(painter, number, bar.text, Qt.AlignmentFlag.AlignRight)
    painter.setPen(_FAINT_INK)
    _write(
        painter,
        QRect(column.left(), column.bottom() - 20, column.width(), 20),
        f"{item.name} · {model_title} · EuroSAT Edge",
    )
    painter.end()
    return report


def _draw_image(painter: QPainter, picture: QImage) -> None:
    """Draw the image into its square, as large as fits; small ones with crisp pixels."""
    place = QRect(_MARGIN, _MARGIN, _IMAGE_SIDE, _IMAGE_SIDE)
    size = picture.size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio)
    target = QRect(place.topLeft(), size)
    target.moveCenter(place.center())
    is_shrunk = picture.width() > size.width() * _SCALE
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, is_shrunk)
    painter.drawImage(target, picture)
    painter.setPen(QPen(_OUTLINE, 1))
    painter.drawRect(target.adjusted(0, 0, -1, -1))


def _write(
    painter: QPainter,
    place: QRect,
    text: str,
    side: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
) -> None:
    """Write one line, cut with an ellipsis where it does not fit."""
    metrics = QFontMetrics(painter.font())
    fitting = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, place.width())
    painter.drawText(place, side | Qt.AlignmentFlag.AlignVCenter, fitting)
