"""The augmentation of `eurosat-train --zoom 0.25 --rotation 45 --jitter 0.1`, on a GPU."""

import math

import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]

SHIFT = 4
ZOOM = 0.25
ROTATION = math.pi / 4
JITTER = 0.1


def augment(tiles: torch.Tensor) -> torch.Tensor:
    """Flip, turn and shift every tile by chance; change its scale, brightness and contrast.

    Half of the tiles are spared scale and rotation, which blur.

    Args:
        tiles: uint8 `[n, 3, h, w]`, with `h == w`.

    Returns:
        float32 of the same shape: whole numbers from 0 to 255.
    """
    count, size = len(tiles), tiles.shape[-1]
    middle = (size - 1) / 2

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, device=tiles.device)

    across, down = (torch.where(draw(count) < 0.5, -1.0, 1.0) for _ in range(2))
    transposed = draw(count) < 0.5
    changed = draw(count) >= 0.5
    step = torch.where(changed, (1 + ZOOM) ** (2 * draw(count) - 1), torch.ones_like(across))
    angle = torch.where(changed, (2 * draw(count) - 1) * ROTATION, torch.zeros_like(across))
    cosine, sine = step * torch.cos(angle), step * torch.sin(angle)
    x = torch.stack([across * cosine, -across * sine], 1)
    y = torch.stack([down * sine, down * cosine], 1)
    rows = torch.stack(
        [torch.where(transposed[:, None], y, x), torch.where(transposed[:, None], x, y)], 1
    )
    shifts = torch.floor(draw(count, 2) * (2 * SHIFT + 1)) - SHIFT
    grid = F.affine_grid(
        torch.cat([rows, (shifts / middle)[:, :, None]], 2), list(tiles.shape), align_corners=True
    )
    # Where a tile is spared, the grid meets its pixels, and bilinear means nearest.
    pixels = F.grid_sample(
        tiles.float(), grid, mode="bilinear", padding_mode="reflection", align_corners=True
    )
    pixels = pixels.round().clamp(0, 255)
    brightness, contrast = (1 + JITTER * (2 * draw(count, 1, 1, 1) - 1) for _ in range(2))
    mean = pixels.mean((1, 2, 3), keepdim=True)
    return (brightness * (mean + contrast * (pixels - mean))).round().clamp(0, 255)


def flip(tiles: torch.Tensor) -> torch.Tensor:
    """Give every tile one of its eight flips and quarter turns, by chance.

    Args:
        tiles: `[n, 3, h, w]`, with `h == w`.
    """
    for turned in (lambda x: x.flip(2), lambda x: x.flip(3), lambda x: x.transpose(2, 3)):
        chosen = torch.rand(len(tiles), 1, 1, 1, device=tiles.device) < 0.5
        tiles = torch.where(chosen, turned(tiles), tiles)
    return tiles


def mix(
    pixels: torch.Tensor, labels: torch.Tensor, alpha: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend every tile and its label with the tile that is as far from the end of the batch.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018.

    Args:
        pixels: float32 `[n, 3, h, w]`.
        labels: float32 `[n, classes]`.
        alpha: The share of the tile itself is drawn from Beta(alpha, alpha).
    """
    # Two gamma variates of one scale make a beta variate. Arguments that are checked would stop a
    # CUDA graph.
    one = torch.ones((2, len(pixels)), device=pixels.device)
    first, second = torch.distributions.Gamma(alpha * one, one, validate_args=False).sample()
    share = first / (first + second)
    of_pixels, of_labels = share[:, None, None, None], share[:, None]
    return (
        of_pixels * pixels + (1 - of_pixels) * pixels.flip(0),
        of_labels * labels + (1 - of_labels) * labels.flip(0),
    )
