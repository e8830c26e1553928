"""How teachers and both models are trained, one after the other; `train.py` asks for it."""

import json
import logging
import math
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from time import perf_counter
from typing import Any

import keras
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from augmentation import JITTER, ROTATION, ZOOM, augment, flip, mix
from fitting import DEVICE, Sample, fit, logits_of, measure_normalisation
from network import TorchNetwork
from teachers import Teacher, taught_labels, taught_views
from torch import nn  # pyright: ignore[reportMissingImports]

from eurosat.atomic import write_text
from eurosat.dataset import Dataset, find_dataset, load_dataset
from eurosat.keras_model import predict
from eurosat.run_folder import RunFolder
from eurosat.split import Split, split_dataset
from eurosat.train.configuration import DEFAULTS, Architecture, TrainingConfiguration
from eurosat.train.first_weights import check_first_run
from eurosat.train.fit import Epoch, build_model, save_model, write_history
from eurosat.train.run import prepare_run, record_run, report_run

BATCH_SIZE = 256
SEED = 0

TEACHER_EPOCHS = {0: 24, 1: 21, 2: 23}
"""For EfficientNet-Lite 0, 1 and 2."""

TEACHER_RATE = 6e-4
TEACHER_MIXUP = 0.2

_AUGMENTATION = {"zoom": ZOOM, "rotation": math.degrees(ROTATION), "jitter": JITTER}
"""What `augmentation.py` does, in the words of a configuration."""

STUDENTS = {
    Architecture.MOBILENET: (139, 1e-3, {}),
    Architecture.CNN: (554, 3e-3, {"dropout": 0.0}),
}
"""For each architecture epochs, learning rate, and what else is not its default."""

REFINED = Architecture.CNN
REFINED_EPOCHS = 74
REFINED_RATE = 1e-3
"""Which student goes on with fresh views, labelled by those before it, and how long."""

_log = logging.getLogger("train")


@dataclass(frozen=True)
class _Part:
    """Tiles of one part of the split.

    Attributes:
        tiles: uint8 `[n, 3, h, w]` on the GPU.
        labels: float32 `[n, classes]` on the GPU, one-hot.
    """

    tiles: torch.Tensor
    labels: torch.Tensor


def train_both(asked: Namespace) -> None:
    """Train teachers, then the two models.

    Args:
        asked: Options of `train.py`.

    Raises:
        EurosatError: The data or the teacher cannot be used.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.backends.cudnn.benchmark = True
    # What half precision does not do shall be exact.
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(SEED)
    dataset = load_dataset(find_dataset(asked.data))
    split = split_dataset(dataset, seed=SEED)
    if asked.teacher:
        check_first_run(str(asked.teacher), split)
    train, validation = (_part(dataset, names) for names in (split.train, split.validation))

    def epochs(count: float) -> float:
        return count * asked.share

    teachers: list[nn.Module] = []
    answers: list[np.ndarray] = []
    for number, count in TEACHER_EPOCHS.items():
        teacher = Teacher(number, len(dataset.class_names))
        sample = _augmented(train, mixup=TEACHER_MIXUP)
        fit(teacher, sample, _steps(epochs(count), train), TEACHER_RATE, BATCH_SIZE)
        measure_normalisation(teacher, _augmented(train))
        teachers.append(teacher)
        answers.append(_logits_of_views(teacher, validation))
        _log.info("EfficientNet-Lite%d: %s", number, _judgement(answers[-1], validation))
    if asked.teacher:
        saved: Any = keras.saving.load_model(RunFolder(asked.teacher).model, compile=False)
        own = TorchNetwork(saved)
        teachers.append(own.to(DEVICE).to(memory_format=torch.channels_last).eval())
        answers.append(_logits_of_views(own, validation))
        _log.info("%s: %s", asked.teacher, _judgement(answers[-1], validation))
    together = np.mean(answers, axis=0)
    _log.info("%d teachers: %s", len(teachers), _judgement(together, validation))
    views = _Part(*taught_views(teachers, train.tiles, train.labels))
    teachers.clear()

    for architecture, (count, rate, others) in STUDENTS.items():
        more = REFINED_EPOCHS if architecture is REFINED else 0
        configuration = replace(
            DEFAULTS[architecture],
            epochs=max(1, round(epochs(count + more))),
            head_epochs=0,
            batch_size=BATCH_SIZE,
            learning_rate=rate,
            label_smoothing=0.0,
            growing=0.0,
            **_AUGMENTATION,
            **others,
        )
        model = build_model(configuration, len(dataset.class_names))
        network = TorchNetwork(model)
        started = perf_counter()
        loss, accuracy = fit(
            network, _flipped(views), _steps(epochs(count), train), rate, BATCH_SIZE
        )
        if more:
            before = [weight.detach().clone() for weight in network.parameters()]
            sample = _augmented(train, teachers=teachers)
            loss, accuracy = fit(
                network, sample, _steps(epochs(more), train), REFINED_RATE, BATCH_SIZE
            )
            with torch.no_grad():
                for weight, earlier in zip(network.parameters(), before, strict=True):
                    weight.lerp_(earlier, 0.5)
        measure_normalisation(network, _augmented(train))
        seconds = perf_counter() - started
        teachers.append(network)
        network.give_back(model)
        judgement = _judgement(_logits_of_views(network, validation), validation)
        _log.info("%s: %s", architecture, judgement)
        folder = RunFolder(asked.out / f"{architecture}-gpu")
        _write_run(folder, configuration, dataset, split, model, loss, accuracy, seconds)


def _part(dataset: Dataset, names: Sequence[str]) -> _Part:
    positions = dataset.positions(names)
    tiles = np.ascontiguousarray(dataset.tiles[positions].transpose(0, 3, 1, 2))
    labels = torch.from_numpy(dataset.labels[positions]).to(DEVICE)
    return _Part(
        torch.from_numpy(tiles).to(DEVICE), F.one_hot(labels, len(dataset.class_names)).float()
    )


def _steps(epochs: float, train: _Part) -> int:
    return max(1, round(epochs * len(train.tiles) / BATCH_SIZE))


def _augmented(part: _Part, mixup: float = 0.0, teachers: Sequence[nn.Module] = ()) -> Sample:
    """Return what gives out augmented tiles with their true labels, or with those of teachers."""

    def sample(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(part.tiles), (count,), device=DEVICE)
        pixels, labels = augment(part.tiles[chosen]), part.labels[chosen]
        if teachers:
            labels = taught_labels(teachers, pixels, labels)
        return mix(pixels, labels, mixup) if mixup else (pixels, labels)

    return sample


def _flipped(views: _Part) -> Sample:
    """Return what gives out views, flipped and turned by chance, with the teachers' labels."""

    def sample(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.randint(len(views.tiles), (count,), device=DEVICE)
        return flip(views.tiles[chosen]).float(), views.labels[chosen]

    return sample


def _logits_of_views(network: nn.Module, part: _Part) -> np.ndarray:
    """Return logits `[8, n, classes]` of all flips and turns, in the order of `eurosat.views`."""
    tiles = part.tiles
    for axes in ((3,), (2,)):
        tiles = torch.cat([tiles, tiles.flip(axes)])
    tiles = torch.cat([tiles, tiles.transpose(2, 3)])
    return logits_of(network, tiles).reshape(8, len(part.tiles), -1)


def _judgement(logits: np.ndarray, part: _Part) -> str:
    truth = part.labels.argmax(1).cpu().numpy()
    one, four = (
        float((answers.argmax(-1) == truth).mean()) for answers in (logits, logits[:4].mean(0))
    )
    return f"{one:.2%} with one view, the mean of eight; {four:.2%} with four views"


def _write_run(
    folder: RunFolder,
    configuration: TrainingConfiguration,
    dataset: Dataset,
    split: Split,
    model: keras.Model,
    loss: float,
    accuracy: float,
    seconds: float,
) -> None:
    """Write a run folder as `eurosat-train` does, with one line of history: the last epoch's."""
    prepare_run(configuration, dataset, split)
    record_run(folder, configuration, dataset, split)
    record = folder.read_config()
    record["versions"]["torch"] = version("torch")
    write_text(folder.config, json.dumps(record, indent=2))
    save_model(model, folder.model)
    positions = dataset.positions(split.validation)
    truth = dataset.labels[positions]
    probabilities = predict(model, dataset.tiles[positions])
    history = [
        Epoch(
            epoch=configuration.epochs,
            loss=loss,
            accuracy=accuracy,
            validation_loss=float(-np.log(probabilities[np.arange(len(truth)), truth]).mean()),
            validation_accuracy=float((probabilities.argmax(axis=1) == truth).mean()),
            seconds=seconds,
            image_size=configuration.image_size,
        )
    ]
    write_history(folder.history, history)
    report_run(folder, dataset, split, history, test=False)
