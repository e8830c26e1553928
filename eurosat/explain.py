"""Which pixels decided: an occlusion map, for any model file, and a picture of it."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eurosat.classifier import Classifier, Prediction
from eurosat.images import resize_image
from eurosat.labels import land_cover

# The patch covers an eighth of the tile's side, 8 pixels or 80 m of a EuroSAT tile, and moves by
# half of that: 225 runs of the model, and one of the whole tile.
_PATCHES_ACROSS: Final = 8
# Between so many runs it is asked whether anybody still wants the answer.
_RUNS_AT_A_TIME: Final = 32
_SMALLEST_PROBABILITY: Final = 1e-6

# From weak to strong: dark violet, red, orange, light yellow. It grows lighter all the way, so it
# reads without colour vision too.
_HEAT_COLOURS: Final = np.array([(40, 11, 84), (158, 40, 100), (237, 105, 37), (252, 255, 164)])
# What moves the log-odds by less than this is not worth showing, in nats.
_FAINTEST: Final = 0.05

# Of a picture for people, in pixels.
_PICTURE_SIDE: Final = 256
_MARGIN: Final = 12
_TEXT_SIZE: Final = 16
_COLUMNS: Final = 4


def occlusion_map(
    classifier: Classifier,
    image: np.ndarray,
    class_index: int,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> np.ndarray:
    """Measure how much the answer rests on each part of an image, by covering it.

    A patch of the image's mean colour is moved over the image. Where the log-odds of the class
    fall, the model needs what is covered; where they rise, it speaks against the class. Each pixel
    gets the mean over the patches that cover it, weighted by how near their middle it is (after
    Zeiler and Fergus 2014, section 4.2).

    Args:
        classifier: The model.
        image: A uint8 array of shape [height, width, 3], of any size.
        class_index: The class to explain, in label order.
        is_cancelled: Tells whether nobody wants the answer any more; it is asked again and again.

    Returns:
        A float32 array of shape `classifier.input_size`: the fall of the log-odds, in nats; zeros
        after a cancel.

    Raises:
        ModelFileError: The model fails.
    """
    height, width = classifier.input_size
    tile = resize_image(image, height, width)
    colour = tile.mean(axis=(0, 1)).round().astype(np.uint8)
    rows, columns = (_spans(side) for side in (height, width))
    areas = [(row, column) for row in rows for column in columns]
    fall = np.zeros((height, width))
    weight = np.zeros((height, width))
    answers: list[np.ndarray] = []
    covered = [*areas, (slice(0), slice(0))]  # Of the last copy, nothing is.
    for start in range(0, len(covered), _RUNS_AT_A_TIME):
        if is_cancelled():
            return fall.astype(np.float32)
        some = covered[start : start + _RUNS_AT_A_TIME]
        copies = np.repeat(tile[np.newaxis], len(some), axis=0)
        for copy, area in zip(copies, some, strict=True):
            copy[area] = colour
        answers.append(classifier.classify_batch(copies)[:, class_index])
    odds = _log_odds(np.concatenate(answers))
    for area, without in zip(areas, odds, strict=False):
        near = np.outer(*(_nearness(span) for span in area))
        fall[area] += near * (odds[-1] - without)
        weight[area] += near
    return (fall / weight).astype(np.float32)


def heat_colours(heat: np.ndarray) -> np.ndarray:
    """Return colours to lay over an image: the stronger a place speaks for the class, the denser.

    Args:
        heat: A float32 array of shape [height, width], as `occlusion_map` returns it.

    Returns:
        A uint8 array of shape [height, width, 4], RGBA; transparent everywhere if no place matters.
    """
    strongest = float(heat.max())
    colours = np.zeros((*heat.shape, 4), np.uint8)
    if strongest < _FAINTEST:
        return colours
    strength = np.clip(heat / strongest, 0, 1)
    stops = np.linspace(0, 1, len(_HEAT_COLOURS))
    for channel in range(3):
        colours[..., channel] = np.interp(strength, stops, _HEAT_COLOURS[:, channel]).round()
    colours[..., 3] = (255 * strength).round()
    return colours


def draw_explanation(
    classifier: Classifier, image: np.ndarray, prediction: Prediction, name: str
) -> np.ndarray:
    """Draw an image beside itself under its heat map, with its class, confidence and name.

    Args:
        classifier: The model that made the prediction.
        image: A uint8 array of shape [height, width, 3].
        prediction: What the model says of it.
        name: What the image is called; its end is shown if it is too long.

    Returns:
        A picture as a uint8 array of shape [height, width, 3], always of the same size.

    Raises:
        ModelFileError: The model fails.
    """
    heat = Image.fromarray(heat_colours(occlusion_map(classifier, image, prediction.index)))
    size = (_PICTURE_SIDE, _PICTURE_SIDE)
    plain = Image.fromarray(resize_image(image, *classifier.input_size))
    plain = plain.resize(size, Image.Resampling.NEAREST)
    heated = plain.copy()
    heated.paste(heat := heat.resize(size, Image.Resampling.BILINEAR), mask=heat)

    width = 2 * _PICTURE_SIDE + 3 * _MARGIN
    height = _PICTURE_SIDE + 2 * _MARGIN + 3 * _TEXT_SIZE
    sheet = Image.new("RGB", (width, height), "white")
    sheet.paste(plain, (_MARGIN, _MARGIN))
    sheet.paste(heated, (2 * _MARGIN + _PICTURE_SIDE, _MARGIN))
    title = f"{land_cover(prediction.label).title} {prediction.confidence:.1%}"
    top = _MARGIN + _PICTURE_SIDE + _TEXT_SIZE // 2
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT_SIZE)
    pen.text((_MARGIN, top), title, fill="black", font=font)
    while pen.textlength(name, font) > width - 2 * _MARGIN:
        name = name[1:]
    pen.text((_MARGIN, top + _TEXT_SIZE * 3 // 2), name, fill="dimgrey", font=font)
    return np.array(sheet)


def arrange(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Put pictures of one size in rows, white where the last row ends early.

    Args:
        pictures: uint8 arrays of shape [height, width, 3], at least one.

    Returns:
        A uint8 array of shape [rows * height, columns * width, 3].
    """
    columns = min(len(pictures), _COLUMNS)
    rows = -(-len(pictures) // columns)
    height, width, _ = pictures[0].shape
    sheet = np.full((rows, height, columns, width, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        sheet[number // columns, :, number % columns] = picture
    return sheet.reshape(rows * height, columns * width, 3)


def _spans(side: int) -> list[slice]:
    """Return what the patches cover along a side; the last one ends where the side does."""
    patch = -(-side // _PATCHES_ACROSS)
    starts = [*range(0, side - patch, max(1, patch // 2)), side - patch]
    return [slice(start, start + patch) for start in starts]


def _nearness(span: slice) -> np.ndarray:
    """Return how near each pixel of a span is to its middle: 1 there, falling to the ends."""
    count = span.stop - span.start
    return 1 - np.abs(np.arange(count) - (count - 1) / 2) / (count / 2)


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    limited = probabilities.astype(np.float64).clip(
        _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY
    )
    return np.log(limited / (1 - limited))
