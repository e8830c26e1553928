"""What a training run is told: one record, with good defaults for each architecture."""

from dataclasses import MISSING, asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Self

from eurosat.dataset import TILE_SIZE
from eurosat.errors import EurosatError, damaged_in_run
from eurosat.run_folder import RunFolder


class Architecture(StrEnum):
    """Which model to train."""

    CNN = "cnn"
    MOBILENET = "mobilenet"


class Optimizer(StrEnum):
    """How weights follow gradients."""

    ADAM = "adam"
    ADAMW = "adamw"
    RMSPROP = "rmsprop"
    SGD = "sgd"


@dataclass(frozen=True)
class TrainingConfiguration:
    """All that decides the outcome of a training run, besides the data.

    Attributes:
        architecture: Which model.
        epochs: Passes over the training tiles, those of the head alone included.
        head_epochs: How many of the epochs fit the head alone, with a frozen pretrained trunk.
        batch_size: Tiles in a step.
        learning_rate: The highest rate; it rises over the first epoch and falls as a cosine to 0.
        optimizer: How weights follow gradients.
        dropout: Share of features dropped before each dense layer, 0 to below 1.
        l2: Factor of the L2 penalty on kernels.
        augment: Whether tiles are flipped, turned and shifted.
        label_smoothing: Share of the target that is spread over all classes, 0 to below 1.
        patience: Epochs without a better validation accuracy before training stops; where epochs
            are averaged, it begins to count with these.
        image_size: Height and width in pixels that the tile is resized to inside the model.
        width: MobileNet's width multiplier alpha; the CNN has none.
        units: Neurons of the dense layer before the logits; 0 leaves it out.
        weights: `"imagenet"`, `"none"` or a file, for MobileNet.
        seed: Seed of the first weights, the order, the augmentation and dropout.
        validation_fraction: Share of the tiles that choices are made on.
        test_fraction: Share of the tiles that are looked at once.
        blocks: Residual blocks of the CNN, 1 to 4.
        filters: Filters of the CNN's first convolution.
        shift: Largest shift of an augmented tile, in pixels.
        jitter: Largest relative change of an augmented tile's brightness and contrast, 0 to
            below 1.
        zoom: Largest relative change of an augmented tile's scale, 0 to below 1.
        rotation: Largest turn of an augmented tile, in degrees, besides the quarter turns that all
            are given; 0 to 45.
        mixup: Strength alpha of mixing pairs of training tiles and their labels, 0 for none; the
            share of one tile is drawn from Beta(alpha, alpha) (Zhang et al. 2018).
        mosaics: Share of training tiles that are put together from pieces of several, labelled by
            what lies in their middle, 0 to 1 (`eurosat.train.mosaic`).
        rivers: Share of training tiles that a river is drawn across, 0 to 1
            (`eurosat.train.rivers`).
        growing: Share of the epochs, 0 to below 1, that see fewer pixels: the first half of them
            half of `image_size`, the others three quarters. Training costs what its pixels cost,
            and most is learnt from few (Howard's progressive resizing; Tan and Le 2021).
        averaged: How many epochs, the last ones, have their weights averaged; the rate stays the
            same in them (Izmailov et al. 2018). 0 for none.
        teacher: A trained model that the model learns from too: a run folder, a `.keras` or
            `.tflite` file, or the name of a shipped one; empty for none.
        from_run: The folder of a finished run whose model is fine-tuned; empty for none.
        from_model: A converted int8 model that is fine-tuned instead: a `.tflite` file, or the name
            of a shipped one; empty for none.
        balanced: Whether tiles are drawn so that an epoch holds every class equally often, and the
            best epoch is that of the highest mean recall; without, every tile counts the same.
        split_seed: Seed of the split; runs that share it are judged on the same tiles.
    """

    architecture: Architecture
    epochs: int
    head_epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Optimizer
    dropout: float
    l2: float
    augment: bool
    label_smoothing: float
    patience: int
    image_size: int
    width: float
    units: int
    weights: str
    seed: int
    validation_fraction: float
    test_fraction: float
    # A run that was recorded before these were settings had these values.
    blocks: int = 4
    filters: int = 16
    shift: int = 4
    jitter: float = 0.0
    zoom: float = 0.0
    rotation: float = 0.0
    mixup: float = 0.0
    mosaics: float = 0.0
    rivers: float = 0.0
    growing: float = 0.0
    averaged: int = 0
    teacher: str = ""
    from_run: str = ""
    from_model: str = ""
    balanced: bool = False
    # But this: such a run was split by its `seed`, as `from_json` knows.
    split_seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained.

        Raises:
            EurosatError: A value is out of its range; the sentence names it.
        """
        for name, lowest in _LOWEST.items():
            if not getattr(self, name) >= lowest:
                raise EurosatError(
                    f"{_option(name)} must be at least {lowest}, not {getattr(self, name)}."
                )
        for name in ("dropout", "label_smoothing", "jitter", "zoom", "growing"):
            if not getattr(self, name) < 1:
                raise EurosatError(f"{_option(name)} must be below 1, not {getattr(self, name)}.")
        for name, highest in _HIGHEST.items():
            if getattr(self, name) > highest:
                raise EurosatError(
                    f"{_option(name)} must be at most {highest}, not {getattr(self, name)}."
                )
        if self.architecture is Architecture.CNN and self.image_size_of(0) < SMALLEST_CNN_IMAGE:
            raise EurosatError(
                f"The CNN needs {SMALLEST_CNN_IMAGE} pixels, not {self.image_size_of(0)}: give a"
                " larger --image-size, or no --growing."
            )
        whole = max(0, self.epochs - max(self.growing_epochs, self.head_epochs))
        if self.averaged > whole:
            raise EurosatError(
                f"--averaged must be at most {whole}, not {self.averaged}: so many epochs train the"
                " whole model at its full size."
            )
        if self.from_run and self.from_model:
            raise EurosatError("--from-run and --from-model both say what to begin with: give one.")
        for name in ("learning_rate", "width"):
            if not getattr(self, name) > 0:
                raise EurosatError(f"{_option(name)} must be above 0, not {getattr(self, name)}.")

    @property
    def growing_epochs(self) -> int:
        """How many epochs see fewer pixels."""
        return int(self.growing * self.epochs)

    @property
    def first_averaged_epoch(self) -> int:
        """The first epoch, from 0, whose weights are averaged; `epochs` where none are."""
        return self.epochs - self.averaged

    def image_size_of(self, epoch: int) -> int:
        """Return height and width, in pixels, that tiles are resized to in an epoch, from 0."""
        if epoch >= self.growing_epochs:
            return self.image_size
        quarters = 2 if 2 * epoch < self.growing_epochs else 3
        return self.image_size * quarters // 4

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON takes them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return the configuration that `to_json` gave.

        Raises:
            KeyError: A value is missing.
            ValueError: A choice is unknown, or a value is out of its range.
            TypeError: A value has the wrong type.
        """
        known = {
            field.name: values[field.name]
            for field in fields(cls)
            if field.default is MISSING or field.name in values
        }
        known.setdefault("split_seed", known["seed"])
        known["architecture"] = Architecture(known["architecture"])
        known["optimizer"] = Optimizer(known["optimizer"])
        for field in fields(cls):
            # JSON does not tell 1 from 1.0, and Python takes True for 1.
            kinds = {int, float} if field.type is float else {field.type}
            if field.name in known and type(known[field.name]) not in kinds:
                raise TypeError(field.name)
        try:
            return cls(**known)
        except EurosatError as error:
            raise ValueError("out of range") from error  # Its sentence is about an option.


CNN_BLOCKS = 4
"""How many residual blocks the CNN has at most."""

SMALLEST_CNN_IMAGE = 25
"""From how many pixels on the CNN's blocks that do not pad leave a feature behind."""

LARGEST_SEED = 2**32 - 1
"""What NumPy and scikit-learn take."""

_LOWEST = {
    "epochs": 1,
    "head_epochs": 0,
    "batch_size": 1,
    "dropout": 0,
    "l2": 0,
    "label_smoothing": 0,
    "patience": 1,
    "image_size": 32,
    "units": 0,
    "seed": 0,
    "split_seed": 0,
    "blocks": 1,
    "filters": 1,
    "shift": 0,
    "jitter": 0,
    "zoom": 0,
    "rotation": 0,
    "mixup": 0,
    "mosaics": 0,
    "rivers": 0,
    "growing": 0,
    "averaged": 0,
}

_HIGHEST = {
    "epochs": 1_000_000,
    "batch_size": 100_000,
    "units": 100_000,
    "filters": 10_000,
    "l2": 1_000,
    "mixup": 1_000,
    "mosaics": 1,
    "rivers": 1,
    "image_size": 1_024,
    "width": 10,
    "seed": LARGEST_SEED,
    "split_seed": LARGEST_SEED,
    "shift": TILE_SIZE // 2,
    "rotation": 45,
    "blocks": CNN_BLOCKS,
}


WITHOUT_EFFECT = {
    Architecture.CNN: ("width", "weights"),
    Architecture.MOBILENET: ("blocks", "filters"),
}
"""What only the other architecture heeds."""


SHAPE = {
    Architecture.CNN: ("architecture", "blocks", "filters", "units"),
    Architecture.MOBILENET: ("architecture", "width", "units"),
}
"""What decides the shapes of the weights, but for those of the logits."""


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


_CNN = TrainingConfiguration(
    architecture=Architecture.CNN,
    epochs=30,
    head_epochs=0,
    batch_size=64,
    learning_rate=2e-3,
    optimizer=Optimizer.ADAMW,
    dropout=0.2,
    l2=0.0,
    augment=True,
    label_smoothing=0.05,
    patience=10,
    image_size=64,
    width=1.0,
    units=128,
    weights="none",
    seed=0,
    validation_fraction=0.1,
    test_fraction=0.1,
)

DEFAULTS = {
    Architecture.CNN: _CNN,
    Architecture.MOBILENET: replace(
        _CNN,
        architecture=Architecture.MOBILENET,
        epochs=24,
        head_epochs=1,
        learning_rate=4e-4,
        image_size=128,
        weights="imagenet",
        growing=0.5,
    ),
}
"""Configurations that give a good model without any option."""


def recorded_configuration(folder: RunFolder) -> TrainingConfiguration:
    """Return the configuration that a run was begun with.

    Raises:
        RunFolderError: The folder is not a training run, or its record is damaged.
    """
    config = folder.read_config()
    try:
        return TrainingConfiguration.from_json(config["training"])
    except (KeyError, ValueError, TypeError) as error:
        raise damaged_in_run(folder.config) from error


def training_command(configuration: TrainingConfiguration) -> list[str]:
    """Return the words of the command that trains so; options are those not as by default."""
    default = DEFAULTS[configuration.architecture]
    words = ["eurosat-train", str(configuration.architecture)]
    for field in fields(TrainingConfiguration):
        value, option = getattr(configuration, field.name), field.name.replace("_", "-")
        if value == getattr(default, field.name):
            continue
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", str(value)]
    return words
