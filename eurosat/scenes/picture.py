"""A land-cover map as one picture for people: scene, map, legend with areas, scale bar, north."""

import unicodedata
from dataclasses import dataclass
from math import cos, floor, log10, radians, sin
from typing import Final

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from eurosat.scenes.areas import Area, area_title
from eurosat.scenes.cells import NODATA, CellMap
from eurosat.scenes.ground import Ground, degrees_to_north
from eurosat.scenes.scene import Scene

# All in pixels of the picture.
_PANEL: Final = 720
_THINNEST_PANEL: Final = 60
_LONGEST_PANEL: Final = 2000
_NARROWEST_COLUMN: Final = 200
_SMALLEST_WIDTH: Final = 1000
_MARGIN: Final = 36
_ROW: Final = 30
_SWATCH: Final = 20
_TITLE: Final = 28
_TEXT: Final = 18
_SMALL: Final = 15

_ARROW: Final = ((0, -11), (-8, 11), (0, 5), (8, 11))
"""The corners of the arrow to the north, right of its middle and down, before it is turned."""

_WIDE: Final = 1.6
"""From this ratio of width to height on, scene and map stand one above the other."""

_INK: Final = "#1A1A1A"
_PALE: Final = "#6B6B6B"
_LINE: Final = "#BDBDBD"


@dataclass(frozen=True)
class _Column:
    """Where the legend puts what; from the left edge of the picture."""

    title: int
    bar: int
    bar_end: int
    hectares: int
    share: int
    confidence: int


def draw_map(
    scene: Scene, cells: CellMap, areas: tuple[Area, ...], title: str, footer: tuple[str, ...]
) -> Image.Image:
    """Draw a map.

    Args:
        scene: The scene, of which a small view is read.
        cells: Its labels.
        areas: What `measure_areas` returned.
        title: The line on top.
        footer: Sentences for the end.

    Raises:
        SceneError: The scene is damaged.
    """
    ground = scene.ground
    sides = (ground.height, ground.width)
    # A long, thin scene gets more room, so that there is something to see across.
    longest = min(max(_PANEL, _THINNEST_PANEL * max(sides) / min(sides)), _LONGEST_PANEL)
    pixels, has_data = scene.preview(round(longest))
    pixels = np.where(has_data[..., np.newaxis], pixels, 255).astype(np.uint8)
    panels = [
        _enlarged(pixels, longest, Image.Resampling.BICUBIC),
        _enlarged(_coloured(cells, has_data), longest, Image.Resampling.NEAREST),
    ]
    width, height = panels[0].size
    is_wide = width > _WIDE * height
    column = max(width, _NARROWEST_COLUMN)
    across = column if is_wide else 2 * column + _MARGIN
    sheet_width = max(_SMALLEST_WIDTH, across + 2 * _MARGIN)
    title = _drawable(title)
    lines = [
        line
        for text in map(_drawable, footer)
        for line in _wrapped(text, sheet_width - 2 * _MARGIN)
    ]

    top = _MARGIN + _TITLE + _ROW
    step = (0, height + 2 * _ROW) if is_wide else (column + _MARGIN, 0)
    legend_top = top + height + step[1] + 3 * _ROW
    footer_top = legend_top + (len(areas) + 2) * _ROW
    sheet = Image.new(
        "RGB", (sheet_width, footer_top + len(lines) * (_SMALL + 7) + _MARGIN), "white"
    )
    draw = ImageDraw.Draw(sheet)
    font = _fitting_font(title, _TITLE, sheet_width - 2 * _MARGIN)
    draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=font)
    for index, (panel, caption) in enumerate(zip(panels, ("Scene", "Land cover"), strict=True)):
        x, y = _MARGIN + index * step[0], top + index * step[1]
        draw.text((x, y), caption, fill=_PALE, font=_font(_SMALL))
        y += _ROW - 6
        sheet.paste(panel, (x, y))
        draw.rectangle((x - 1, y - 1, x + width, y + height), outline=_LINE)
    under = (_MARGIN + step[0], top + _ROW + step[1] + height)
    _draw_scale(draw, ground, under, column, ground.width * ground.pixel_size[1] / width)
    heading = area_title(ground.pixel_name)
    _draw_legend(draw, areas, heading, (_MARGIN, legend_top), sheet_width - _MARGIN)
    for index, line in enumerate(lines):
        place = (_MARGIN, footer_top + index * (_SMALL + 7))
        draw.text(place, line, fill=_PALE, font=_font(_SMALL))
    return sheet


def _coloured(cells: CellMap, has_data: np.ndarray) -> np.ndarray:
    """Return the map as uint8 RGB in the size of a small view of the scene."""
    height, width = has_data.shape
    rows = ((np.arange(height) + 0.5) * cells.grid.height / height).astype(int)
    columns = ((np.arange(width) + 0.5) * cells.grid.width / width).astype(int)
    stride = cells.grid.stride
    labels = cells.labels[rows[:, np.newaxis] // stride, columns // stride]
    palette = np.full((NODATA + 1, 3), 255, np.uint8)
    for entry in cells.classes:
        palette[entry.id] = ImageColor.getrgb(entry.colour)
    return palette[np.where(has_data, labels, NODATA)]


def _enlarged(pixels: np.ndarray, longest: float, resampling: Image.Resampling) -> Image.Image:
    """Enlarge the picture of a small scene to the size of a panel."""
    height, width = pixels.shape[:2]
    times = longest / max(height, width)
    size = (max(1, round(width * times)), max(1, round(height * times)))
    return Image.fromarray(pixels).resize(size, resampling)


def _draw_scale(
    draw: ImageDraw.ImageDraw,
    ground: Ground,
    place: tuple[int, int],
    width: int,
    metres_per_pixel: float,
) -> None:
    """Draw a scale bar of a round length and an arrow to the north."""
    length = _round_length(width * metres_per_pixel / 3)
    x, y = place[0], place[1] + 12
    end = x + round(length / metres_per_pixel)
    draw.rectangle((x, y, end, y + 6), fill=_INK)
    if end - x > 2:
        draw.rectangle(((x + end) // 2, y + 1, end - 1, y + 5), fill="white")
    name = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    if ground.crs is None:
        draw.text((x, y + 12), f"{name}, if a pixel is 10 m", fill=_INK, font=_font(_SMALL))
        return
    draw.text((x, y + 12), name, fill=_INK, font=_font(_SMALL))
    x, y = place[0] + width - 12, y + 7
    turn = radians(degrees_to_north(ground.crs, ground.transform, ground.height, ground.width))
    arrow = [
        (x + right * cos(turn) - down * sin(turn), y + right * sin(turn) + down * cos(turn))
        for right, down in _ARROW
    ]
    draw.polygon(arrow, fill=_INK)
    draw.text((x, y + 13), "N", fill=_INK, font=_font(_SMALL), anchor="ma")


def _draw_legend(
    draw: ImageDraw.ImageDraw,
    areas: tuple[Area, ...],
    heading: str,
    place: tuple[int, int],
    right: int,
) -> None:
    """Draw a row for each class: colour, title, bar, area, share and confidence."""
    x, y = place
    at = _Column(
        title=x + _SWATCH + 12,
        bar=x + 260,
        bar_end=right - 390,
        hectares=right - 230,
        share=right - 115,
        confidence=right,
    )
    for column, name in (
        (at.hectares, heading),
        (at.share, "Share"),
        (at.confidence, "Confidence"),
    ):
        draw.text((column, y), name, fill=_PALE, font=_font(_SMALL), anchor="ra")
    largest = max(area.m2 for area in areas) or 1
    for area in areas:
        y += _ROW
        ink = _INK if area.pixels else _LINE
        box = (x, y, x + _SWATCH, y + _SWATCH)
        draw.rectangle(box, fill=area.colour, outline=_PALE)
        name = _drawable(area.title)
        font = _fitting_font(name, _TEXT, at.bar - at.title - 12)
        draw.text((at.title, y), name, fill=ink, font=font)
        end = at.bar + round((at.bar_end - at.bar) * area.m2 / largest)
        if area.pixels:
            bar = (at.bar, y + 3, max(end, at.bar + 1), y + _SWATCH - 3)
            draw.rectangle(bar, fill=area.colour, outline=_PALE)
        texts = (
            (at.hectares, f"{area.hectares:,.1f} ha"),
            (at.share, "" if area.share is None else f"{area.share:.1%}"),
            (at.confidence, "" if area.confidence is None else f"{area.confidence:.0%}"),
        )
        for column, text in texts:
            draw.text((column, y), text, fill=ink, font=_font(_TEXT), anchor="ra")


def _round_length(longest: float) -> float:
    """Return the largest of 1, 2 or 5 times a power of ten that is not longer."""
    longest *= 1 + 1e-9  # It may be such a length itself, but for its last digit.
    power = 10.0 ** floor(log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest)


def _drawable(text: str) -> str:
    """Return a text in letters that the font has: é becomes e, and what is no Latin letter a ?."""
    plain = unicodedata.normalize("NFKD", text.replace("×", "x"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode()


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines that fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _font(_SMALL).getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _fitting_font(text: str, size: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font in which a text fits, of this size or smaller."""
    needed = _font(size).getlength(text)
    return _font(size if needed <= width else max(1, int(size * width / needed)))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
