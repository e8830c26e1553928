"""Which pixels decided: an occlusion map, for any model file, and a picture of it."""

from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from eurosat.classifier import Classifier, Prediction
from eurosat.images import resize_image
from eurosat.labels import land_cover

# The patch covers an eighth of the tile's side, 8 pixels or 80 m of a EuroSAT tile, and moves by
# half of that: 225 runs of the model, and one of the whole tile.
_PATCHES_ACROSS: Final = 8
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


def occlusion_map(classifier: Classifier, image: np.ndarray, class_index: int) -> np.ndarray:
    """Measure how much the answer rests on each part of an image, by covering it.

    A patch of the image's mean colour is moved over the image. Where the log-odds of the class
    fall, the model needs what is covered; where they rise, it speaks against the class. Each pixel
    gets the mean over the patches that cover it, weighted by how near their middle it is (after
    Zeiler and Fergus 2014, section 4.2).

    Args:
        classifier: The model.
        image: A uint8 array of shape [height, width, 3], of any size.
        class_index: The class to explain, in label order.

    Returns:
        A float32 array of shape `classifier.input_size`: the fall of the log-odds, in nats.

    Raises:
        ModelFileError: The model fails.
    """
    height, width = classifier.input_size
    tile = resize_image(image, height, width)
    colour = tile.mean(axis=(0, 1)).round().astype(np.uint8)
    rows, columns = (_spans(side) for side in (height, width))
    areas = [(row, column) for row in rows for column in columns]
    covered = np.repeat(tile[np.newaxis], len(areas) + 1, axis=0)
    for copy, area in zip(covered, areas, strict=False):
        copy[area] = colour
    odds = _log_odds(classifier.classify_batch(covered)[:, class_index])

    fall = np.zeros((height, width))
    weight = np.zeros((height, width))
    for area, without in zip(areas, odds, strict=False):
        near = np.outer(*(_nearness(span) for span in area))
        fall[area] += near * (odds[-1] - without)  # The last copy has nothing covered.
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
    classifier: Classifier, image: np.ndarray, prediction: Prediction
) -> np.ndarray:
    """Draw an image beside itself under its heat map, with its class and confidence.

    Args:
        classifier: The model that made the prediction.
        image: A uint8 array of shape [height, width, 3].
        prediction: What the model says of it.

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
    height = _PICTURE_SIDE + 2 * _MARGIN + 2 * _TEXT_SIZE
    sheet = Image.new("RGB", (width, height), "white")
    sheet.paste(plain, (_MARGIN, _MARGIN))
    sheet.paste(heated, (2 * _MARGIN + _PICTURE_SIDE, _MARGIN))
    title = f"{land_cover(prediction.label).title} {prediction.confidence:.1%}"
    ImageDraw.Draw(sheet).text(
        (_MARGIN, _MARGIN + _PICTURE_SIDE + _TEXT_SIZE // 2),
        title,
        fill="black",
        font=ImageFont.load_default(_TEXT_SIZE),
    )
    return np.array(sheet)


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
