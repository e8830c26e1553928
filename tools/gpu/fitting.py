"""Fit a PyTorch network as fast as a GPU can: a whole step, data included, is one CUDA graph."""

import logging
import math
from collections.abc import Callable
from time import perf_counter

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from torch import nn  # pyright: ignore[reportMissingImports]

from eurosat.train.fit import WEIGHT_DECAY

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HALF = torch.float16 if DEVICE == "cuda" else torch.bfloat16
WARM_UP = 0.03
"""Over what share of the steps the rate rises, before it falls as a cosine to 0."""

LOSS_SCALE = 1024.0
"""Keeps small gradients above what float16 can hold; Adam's steps do not depend on it."""

STATISTICS_BATCHES = 80
STATISTICS_BATCH = 512
JUDGED_BATCH = 486

Sample = Callable[[int], tuple[torch.Tensor, torch.Tensor]]
"""From a number n, pixels from 0 to 255, float32 `[n, 3, h, w]`, and labels `[n, classes]`."""

_log = logging.getLogger(__name__)


def fit(
    network: nn.Module, sample: Sample, steps: int, rate: float, batch_size: int
) -> tuple[float, float]:
    """Fit a network with AdamW and a cosine schedule, in half precision.

    Args:
        network: On any device; is left on `DEVICE`. Its batch normalisation is to be measured yet.
        sample: Gives out batches.
        steps: How many.
        rate: The highest learning rate.
        batch_size: Tiles in a step.

    Returns:
        Mean loss, and the share of labels met, of the last eighth of the steps.
    """
    network.to(DEVICE).to(memory_format=torch.channels_last).train()
    kernels = [weight for weight in network.parameters() if weight.dim() > 1]
    others = [weight for weight in network.parameters() if weight.dim() <= 1]
    current_rate = torch.zeros((), device=DEVICE)
    optimizer = torch.optim.AdamW(
        [{"params": kernels}, {"params": others, "weight_decay": 0.0}],
        lr=current_rate,
        weight_decay=WEIGHT_DECAY,
        eps=1e-7 * LOSS_SCALE,
        capturable=DEVICE == "cuda",
        fused=DEVICE == "cuda",
    )
    totals = torch.zeros(2, device=DEVICE)

    def step() -> None:
        pixels, labels = sample(batch_size)
        with torch.autocast(DEVICE, HALF, cache_enabled=False):
            logits = network(pixels.contiguous(memory_format=torch.channels_last))
        loss = -(labels * F.log_softmax(logits.float(), 1)).sum(1).mean()
        optimizer.zero_grad(set_to_none=True)
        (loss * LOSS_SCALE).backward()
        optimizer.step()
        met = (logits.detach().argmax(1) == labels.argmax(1)).float().mean()
        totals.add_(torch.stack([loss.detach(), met]))

    replay = _as_graph(step) if DEVICE == "cuda" else step
    totals.zero_()
    started, told, loss, met = perf_counter(), 0, math.nan, math.nan
    for number in range(steps):
        done = number / steps
        fallen = 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
        current_rate.fill_(rate * (done / WARM_UP if done < WARM_UP else fallen))
        replay()
        if (number + 1) % max(1, steps // 8) == 0:
            loss, met = (totals / (number + 1 - told)).tolist()
            speed = (number + 1) * batch_size / (perf_counter() - started)
            _log.info("step %d of %d: loss %.4f, %.0f tiles/s", number + 1, steps, loss, speed)
            totals.zero_()
            told = number + 1
    return loss, met


@torch.no_grad()
def measure_normalisation(network: nn.Module, sample: Sample) -> None:
    """Measure means and variances of batch normalisation anew, in float32, for final weights."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in norms:
        module.reset_running_stats()
        # The mean of all batches, each as much as the other.
        module.momentum = None
    network.train()
    for _ in range(STATISTICS_BATCHES):
        network(sample(STATISTICS_BATCH)[0].contiguous(memory_format=torch.channels_last))
    network.eval()


@torch.no_grad()
def logits_of(network: nn.Module, tiles: torch.Tensor) -> np.ndarray:
    """Return float32 logits `[n, classes]` of uint8 tiles `[n, 3, h, w]`, without augmentation."""
    network.eval()
    parts = [
        network(part.float().contiguous(memory_format=torch.channels_last))
        for part in tiles.split(JUDGED_BATCH)
    ]
    return torch.cat(parts).cpu().numpy()


def _as_graph(step: Callable[[], None]) -> Callable[[], None]:
    """Record a step as a CUDA graph, so that its many small kernels need not wait for Python."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(4):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay
