"""The two models: our own CNN and a MobileNetV2 with our own dense head.

Both take raw uint8 RGB tiles `[n, 64, 64, 3]` and give float32 probabilities `[n, classes]`;
rescaling, and resizing where the model wants more pixels, are layers inside.
"""

import warnings
import zipfile
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from eurosat.dataset import TILE_SIZE
from eurosat.errors import EurosatError
from eurosat.run_folder import LOGITS_LAYER, RESCALING_LAYER

from .sources import check_weights

BATCH_NORMALISATION_MOMENTUM = 0.95
"""MobileNetV2 comes with 0.999, which needs thousands of steps to forget ImageNet's statistics."""

MOBILENET_WEIGHTS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"

IMAGENET_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
"""Those whose weights Keras publishes."""


@dataclass(frozen=True)
class _Block:
    """A residual block of the CNN.

    Attributes:
        widening: How many filters of it come to one of the first convolution.
        strides: What it divides height and width by.
        pads: Whether its convolutions pad with zeros, or lose the rim.
    """

    widening: int
    strides: int
    pads: bool


_BLOCKS = (
    _Block(3, strides=1, pads=False),
    _Block(4, strides=2, pads=False),
    _Block(6, strides=2, pads=True),
    _Block(7, strides=1, pads=True),
)


def build_cnn(
    class_count: int,
    *,
    image_size: int = TILE_SIZE,
    blocks: int = 4,
    filters: int = 16,
    units: int = 128,
    dropout: float = 0.2,
) -> keras.Model:
    """Build the custom CNN: a small residual network (He et al. 2016) of plain 3 x 3 convolutions.

    Plain convolutions, batch normalisation and ReLU lose little in int8. The first convolution
    keeps every pixel: at 64 px, a road is one or two pixels wide. The first half, which costs most,
    pads nothing: a feature depends on the pixels under it and not on where a tile ends, so that
    overlapping tiles of a scene share it (`eurosat.scenes.twin`). The blocks of the second half,
    which are small, pad: they see how the features lie in the tile as a whole.

    Args:
        class_count: Number of classes.
        image_size: Height and width in pixels that the tile is resized to inside the model; at
            least 25.
        blocks: Residual blocks, 1 to 4.
        filters: Filters of the first convolution; the blocks have 3, 4, 6 and 7 times as many.
        units: Neurons of the dense layer before the logits; 0 leaves it out.
        dropout: Share of features that are dropped in training, 0 to below 1.
    """
    inputs, features = _scaled_input(image_size)
    features = _convolution(features, filters)
    features = _convolution(features, filters * _BLOCKS[0].widening, strides=2)
    for block in _BLOCKS[:blocks]:
        features = _residual_block(features, filters * block.widening, block)
    return _with_head(inputs, features, class_count, units=units, dropout=dropout, name="cnn")


def build_mobilenet(
    class_count: int,
    *,
    image_size: int = 128,
    width: float = 1.0,
    units: int = 128,
    dropout: float = 0.2,
    weights: str = "imagenet",
) -> keras.Model:
    """Build MobileNetV2 (Sandler et al. 2018) without its top and with our dense head.

    Args:
        class_count: Number of classes.
        image_size: Height and width in pixels that the tile is resized to inside the model.
        width: MobileNet's width multiplier alpha.
        units: Neurons of the dense layer before the logits; 0 leaves it out.
        dropout: Share of features that are dropped in training, 0 to below 1.
        weights: `"imagenet"`, `"none"`, or the path of a weight file without top.

    Raises:
        EurosatError: The weights cannot be found, downloaded or used.
    """
    inputs, features = _scaled_input(image_size)
    weight_file = None if weights == "none" else find_weights(weights, width)
    try:
        with warnings.catch_warnings(category=UserWarning, action="ignore"):
            # Of weights that do not fit, Keras warns a hundred times before it refuses them.
            trunk = keras.applications.MobileNetV2(
                input_tensor=features, include_top=False, alpha=width, weights=weight_file
            )
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise EurosatError(
            f"The weights {weight_file} do not fit a MobileNetV2 of width {width} without top."
        ) from error
    for layer in trunk.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORMALISATION_MOMENTUM
    model = _with_head(
        inputs, trunk.output, class_count, units=units, dropout=dropout, name="mobilenet"
    )
    return _padded_before_doubling(model) if image_size == 2 * TILE_SIZE else model


def head_layers(model: keras.Model) -> list[keras.Layer]:
    """Return the layers behind the trunk: what is fitted while a pretrained trunk stays frozen."""
    names = [layer.name for layer in model.layers]
    return model.layers[names.index("pooled") :]


def find_weights(weights: str, width: float) -> str:
    """Return the path of a weight file for MobileNet's trunk, downloaded first if it must be.

    The trunk is fully convolutional, so the weights fitted at 224 px serve every input size.

    Args:
        weights: `"imagenet"` or a file.
        width: MobileNet's width multiplier alpha.

    Raises:
        EurosatError: There is no such file, or none for the width, or it cannot be downloaded.
    """
    if weights != "imagenet":
        check_weights(weights)
        return weights
    if width not in IMAGENET_WIDTHS:
        known = ", ".join(map(str, IMAGENET_WIDTHS))
        raise EurosatError(
            f"There are no ImageNet weights of width {width}: give a --width of {known}, or "
            "--weights none."
        )
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(width)}_224_no_top.h5"
    try:
        return keras.utils.get_file(name, MOBILENET_WEIGHTS_URL + name, cache_subdir="models")
    except Exception as error:  # Keras raises no narrower type here.
        raise EurosatError(
            f"The ImageNet weights {name} could not be downloaded: connect to the network once, "
            f"or put the file into the folder models of KERAS_HOME."
        ) from error


def _scaled_input(image_size: int) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the uint8 input and the same pixels resized, from -1 to 1."""
    # Keras annotates nothing that a layer gives.
    inputs: Any = keras.Input((TILE_SIZE, TILE_SIZE, 3), dtype="uint8", name="tile")
    pixels = layers.Rescaling(1 / 127.5, offset=-1.0, name=RESCALING_LAYER)(inputs)
    if image_size != TILE_SIZE:
        # Of float pixels: what Keras resizes, it rounds to the type that it was given.
        pixels = layers.Resizing(image_size, image_size, name="resized")(pixels)
    return inputs, pixels


def _padded_before_doubling(model: keras.Model) -> keras.Model:
    """Return a MobileNet of doubled tiles whose first zeros lie around the tile itself.

    Its first convolution would pad the larger picture, below and right. With the zeros around the
    smaller one, doubling and convolution are together one convolution of the tile, which is what
    int8 computes (`eurosat.convert.export`).
    """

    def copied(layer: keras.Layer) -> keras.Layer:
        settings = layer.get_config()
        if layer.name == "resized":
            settings |= {"height": 2 * (TILE_SIZE + 2), "width": 2 * (TILE_SIZE + 2)}
        elif layer.name == "Conv1":
            settings["padding"] = "valid"
        return layer.__class__.from_config(settings)

    def called(layer: keras.Layer, *arguments: Any, **options: Any) -> Any:
        if layer.name != "resized":
            return layer(*arguments, **options)
        doubled = layer(layers.ZeroPadding2D(1, name="padded")(arguments[0]))
        # Two rows of what was doubled lie above the tile; below, the convolution reads one.
        return layers.Cropping2D(((2, 1), (2, 1)), name="cropped")(doubled)

    copy = keras.models.clone_model(model, clone_function=copied, call_function=called)
    copy.set_weights(model.get_weights())
    return copy


def _convolution(
    features: keras.KerasTensor,
    filters: int,
    *,
    kernel_size: int = 3,
    strides: int = 1,
    pads: bool = False,
    activate: bool = True,
) -> keras.KerasTensor:
    padding = "same" if pads else "valid"
    features = layers.Conv2D(
        filters, kernel_size, strides=strides, padding=padding, use_bias=False
    )(features)
    features = layers.BatchNormalization(momentum=BATCH_NORMALISATION_MOMENTUM)(features)
    return layers.ReLU()(features) if activate else features


def _residual_block(features: keras.KerasTensor, filters: int, block: _Block) -> keras.KerasTensor:
    branch = _convolution(features, filters, strides=block.strides, pads=block.pads)
    branch = _convolution(branch, filters, pads=block.pads, activate=False)
    shortcut = features
    if not block.pads:
        # It loses what the two convolutions lose, so that both stand over the same pixels.
        shortcut = layers.Cropping2D(2)(shortcut)
    if block.strides > 1:
        shortcut = layers.AveragePooling2D(
            3, strides=block.strides, padding="same" if block.pads else "valid"
        )(shortcut)
    if shortcut.shape[-1] != filters:
        shortcut = _convolution(shortcut, filters, kernel_size=1, activate=False)
    return layers.ReLU()(layers.Add()([branch, shortcut]))


def _with_head(
    inputs: keras.KerasTensor,
    features: keras.KerasTensor,
    class_count: int,
    *,
    units: int,
    dropout: float,
    name: str,
) -> keras.Model:
    features = layers.GlobalAveragePooling2D(name="pooled")(features)
    if units:
        features = layers.Dropout(dropout, name="pooled_dropout")(features)
        features = layers.Dense(units, activation="relu", name="dense")(features)
    features = layers.Dropout(dropout, name="dropout")(features)
    logits = layers.Dense(class_count, name=LOGITS_LAYER)(features)
    # In float32 whatever the policy: a softmax loses the small probabilities first.
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(logits)
    return keras.Model(inputs, probabilities, name=name)
