"""Draw tiles that look like land from above, for pictures that may be shown anywhere.

python tools/drawn_tiles.py FOLDER
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 64
TILES_OF_A_KIND = 6

Colour = tuple[int, int, int]
Dice = np.random.Generator

WATER: Colour = (38, 62, 104)
SHORE: Colour = (92, 98, 84)
TREES: Colour = (44, 70, 62)
SOILS: tuple[Colour, ...] = ((168, 132, 120), (120, 112, 92), (96, 116, 84), (182, 156, 138))


def main() -> None:
    """Draw some tiles of each kind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where they are put")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (name, draw) in enumerate(KINDS.items()):
        dice = np.random.default_rng(seed)
        for number in range(1, TILES_OF_A_KIND + 1):
            _developed(draw(dice), dice).save(folder / f"{name} {number}.png")


def _developed(image: Image.Image, dice: Dice) -> Image.Image:
    """Return a drawing as a satellite sees it: a little blurred, with grain and some shade."""
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)), np.float64)
    shade = Image.fromarray(dice.integers(0, 256, (5, 5), dtype=np.uint8)).resize((SIDE, SIDE), 3)
    soft += (np.asarray(shade, np.float64)[..., None] - 128) / 16 + dice.normal(0, 2.5, soft.shape)
    return Image.fromarray(soft.clip(0, 255).astype(np.uint8))


def _canvas(colour: Colour) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (SIDE, SIDE), colour)
    return image, ImageDraw.Draw(image)


def _pick(dice: Dice, colours: tuple[Colour, ...]) -> Colour:
    return colours[dice.integers(len(colours))]


def _lake(dice: Dice) -> Image.Image:
    return _canvas(WATER)[0]


def _forest(dice: Dice) -> Image.Image:
    image, draw = _canvas(TREES)
    for x, y in dice.integers(0, SIDE, (300, 2)):
        tone = dice.integers(-9, 10)
        draw.ellipse((x, y, x + 3, y + 3), fill=tuple(int(c + tone) for c in TREES))
    return image


def _fields(dice: Dice) -> Image.Image:
    image, draw = _canvas(SOILS[0])
    slant = int(dice.integers(-14, 15))
    edges = sorted(dice.integers(4, SIDE, 4))
    for left, right in zip([-20, *edges], [*edges, SIDE + 20], strict=True):
        corners = [(left, 0), (right, 0), (right + slant, SIDE), (left + slant, SIDE)]
        draw.polygon(corners, fill=_pick(dice, SOILS))
    return image


def _river(dice: Dice) -> Image.Image:
    image = _fields(dice) if dice.random() < 0.5 else _forest(dice)
    draw = ImageDraw.Draw(image)
    rows = np.arange(-8, SIDE + 8)
    bend, phase = dice.uniform(6, 14), dice.uniform(0, 6)
    course = [(SIDE / 2 + bend * np.sin(row / 14 + phase) + row / 8, float(row)) for row in rows]
    for width, colour in ((20, SHORE), (14, WATER)):
        draw.line(course, fill=colour, width=width, joint="curve")
    return image


KINDS: dict[str, Callable[[Dice], Image.Image]] = {
    "lake": _lake,
    "forest": _forest,
    "fields": _fields,
    "river": _river,
}

if __name__ == "__main__":
    main()
