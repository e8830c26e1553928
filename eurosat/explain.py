"""Which pixels decided: an occlusion map, for any model file."""

from typing import Final

import numpy as np

from eurosat.classifier import Classifier
from eurosat.images import resize_image

# The patch covers an eighth of the tile's side, 8 pixels or 80 m of a EuroSAT tile, and moves by
# half of that: 225 runs of the model.
_PATCHES_ACROSS: Final = 8
_SMALLEST_PROBABILITY: Final = 1e-6


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
