"""A model file running on LiteRT: tiles in, probabilities out."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Self, TypeVar

import numpy as np

from eurosat.calibration import apply_temperature, softmax
from eurosat.cores import usable_cores
from eurosat.errors import ImageError, MissingPackageError, ModelFileError, printable
from eurosat.images import read_image, resize_image
from eurosat.in_order import in_order
from eurosat.model_file import (
    ModelFile,
    ModelMetadata,
    read_model_file,
    shipped_model_path,
)
from eurosat.model_pool import ModelPool
from eurosat.probe import probe
from eurosat.runtime import OpenModel, Tensor
from eurosat.standard_metadata import Normalization
from eurosat.views import with_one_view

ImageSource = str | os.PathLike[str] | bytes | np.ndarray
"""Whatever `eurosat.images.read_image` reads."""

_Source = TypeVar("_Source", bound=ImageSource)

# After how many tiles of a batch a thread lets others have its model, and how many images a stream
# reads ahead for each thread.
_TILES_AT_A_TIME: Final = 16
_IMAGES_AHEAD: Final = 8

# The scales of an int8 input whose range is that of pixels. It is exactly 1 if the images that the
# model was calibrated with reach from 0 to 255, and below if they do not.
_PIXEL_SCALES: Final = (0.5, 1.5)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of one image.

    Attributes:
        class_names: The names of the classes, in label order.
        probabilities: A float32 array of shape [classes], in label order; the values lie from 0 to
            1 and add up to 1, apart from rounding (by up to 1/512 each in 8-bit models).
        image_size: Height and width of the image as it was given, in pixels.
        unsure_below: The confidence below which the answer is unsure, or None if the model file
            states none.
    """

    class_names: tuple[str, ...]
    probabilities: np.ndarray
    image_size: tuple[int, int]
    unsure_below: float | None = None

    @property
    def index(self) -> int:
        """The place of the most probable class in label order; of equals, the first."""
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.class_names[self.index]

    @property
    def confidence(self) -> float:
        """The probability of the most probable class, from 0 to 1."""
        return float(self.probabilities[self.index])

    @property
    def is_unsure(self) -> bool:
        """Whether the confidence is too low to rely on; False if the file has no threshold."""
        return self.unsure_below is not None and self.confidence < self.unsure_below

    @property
    def runner_up(self) -> str:
        """The second most probable class."""
        return self.top(2)[1][0]

    def top(self, count: int) -> list[tuple[str, float]]:
        """Return the `count` most probable classes with their probabilities, the best first.

        Among equals the first in label order comes first.
        """
        order = np.argsort(-self.probabilities, kind="stable")[:count]
        return [(self.class_names[index], float(self.probabilities[index])) for index in order]


class Classifier:
    """A model file that is ready to classify images.

    Each image is run by itself: a single one on all threads, and of several each on one. An answer
    does not depend, to the last bit, on the size of a batch or the number of threads. All methods
    may be called from several threads at once.

    Probabilities are calibrated with the temperature that the file states, if it states one.

    Attributes:
        model_file: The file, as it was read.
        class_names: The names of the classes, in label order, each another; "class 0", "class 1"
            and so on if the file does not name them.
        input_size: Height and width of the tiles that the model takes, in pixels. Images of other
            sizes are resized.
        threads: How many threads work on an image, or on several at once.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int | None = None,
        is_calibrated: bool = True,
    ) -> None:
        """Read, check and load a model file.

        A file seen for the first time is tried in a child process before, see `eurosat.probe`.

        Args:
            path: The `.tflite` file.
            threads: How many threads work on an image, or on several at once; by default the
                number of processor cores that this process may use.
            is_calibrated: False for the model's own probabilities, whatever the file states: what
                a temperature is fitted to.

        Raises:
            ModelFileError: The file is missing, damaged, no image classifier, or does not say how
                pixels are to be scaled.
            MissingPackageError: LiteRT is not installed.
            ValueError: `threads` is less than 1.
        """
        self.threads = usable_cores() if threads is None else threads
        if self.threads < 1:
            raise ValueError(f"threads is {threads}, but must be at least 1")
        self.model_file: ModelFile = read_model_file(path)
        self._name = printable(self.model_file.path)
        probe(self.model_file)
        self._prepare_models()
        self._temperature: float | None = None
        self._unsure_below: float | None = None
        self._needs_softmax = False
        with self._wide.lent() as model:
            self.input_size: tuple[int, int] = (model.input.shape[1], model.input.shape[2])
            self.class_names = self._choose_class_names(model.output.shape[1])
            self._pixel_values = _pixel_values(
                self._name, model.input, self.model_file.normalization
            )
            self._needs_softmax = not self._gives_probabilities(model)
        if is_calibrated and self.metadata is not None:
            self._temperature = self.metadata.temperature
            self._unsure_below = self.metadata.unsure_below

    @classmethod
    def shipped(cls, name: str, *, threads: int | None = None) -> Self:
        """Load a model that came with the installation, such as "mobilenet-int8".

        Args:
            name: One of `eurosat.model_file.shipped_model_names()`.
            threads: As in `Classifier`.

        Raises:
            ModelFileError: There is no model of that name.
            MissingPackageError: LiteRT is not installed.
        """
        return cls(shipped_model_path(name), threads=threads)

    @cached_property
    def one_view(self) -> Self:
        """The same model, looking at a tile as it is and not at its flips and turns too.

        It is faster as many times as the file has views. Confidences are those that the file's
        temperature gives, which was fitted to all views.

        Raises:
            ModelFileError: The file says that it has several views, but its layers do not.
            MissingPackageError: LiteRT's description of the format is not installed.
        """
        if self.metadata is None or self.metadata.views == 1:
            return self
        # The generated code raises errors of many types for a graph that is not ours.
        try:
            flatbuffer = with_one_view(self.model_file.flatbuffer)
        except MissingPackageError:
            raise
        except Exception as error:
            raise ModelFileError(
                f"{self._name} says that it looks at {self.metadata.views} views of a tile, but it "
                "does not: convert or download it again."
            ) from error
        single = copy(self)
        single.model_file = replace(
            self.model_file, flatbuffer=flatbuffer, metadata=replace(self.metadata, views=1)
        )
        single._prepare_models()
        return single

    @property
    def metadata(self) -> ModelMetadata | None:
        """What the file says about itself; None for a file that others made."""
        return self.model_file.metadata

    def classify(self, image: ImageSource) -> Prediction:
        """Classify one image.

        Args:
            image: A path, the bytes of an image file, or an array, as `read_image` takes them.

        Returns:
            The probability of each class.

        Raises:
            ImageError: The image cannot be read.
            ModelFileError: The model fails on this image.
        """
        return self._predict(self._for_one, image)

    def classify_batch(self, tiles: np.ndarray) -> np.ndarray:
        """Classify many tiles of one size, on all threads.

        Args:
            tiles: A uint8 array of shape [n, height, width, 3] with RGB values from 0 to 255; n may
                be 0.

        Returns:
            A float32 array of shape [n, classes]: the probabilities of each tile.

        Raises:
            ImageError: The array has another type or shape.
            ModelFileError: The model fails on a tile.
        """
        if tiles.dtype != np.uint8 or tiles.shape[3:] != (3,) or 0 in tiles.shape[1:]:
            raise ImageError(
                f"The tiles have type {tiles.dtype} and shape {list(tiles.shape)}: give uint8 of "
                "shape [n, height, width, 3]."
            )
        answers = np.empty((len(tiles), len(self.class_names)), np.float32)
        waiting = deque(range(len(tiles)))
        models = self._for_one if len(tiles) == 1 else self._narrow

        def classify_waiting() -> None:
            while waiting:
                with models.lent() as model:
                    for _ in range(_TILES_AT_A_TIME):
                        try:
                            index = waiting.popleft()
                        except IndexError:  # Another thread took the last one.
                            return
                        answers[index] = self._answer(model, tiles[index])

        helpers = min(self.threads, len(tiles)) - 1
        if helpers < 1:
            classify_waiting()
        else:
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(helpers) as executor:
                futures = [executor.submit(classify_waiting) for _ in range(helpers)]
                try:
                    classify_waiting()
                    for future in futures:
                        future.result()
                finally:
                    # Whoever is interrupted must not wait for the helpers to do the rest.
                    waiting.clear()
        # Of all at once: tile by tile, it took a tenth of the time of the CNN.
        return self.probabilities(answers)

    def classify_stream(
        self, images: Iterable[_Source]
    ) -> Iterator[tuple[_Source, Prediction | ImageError]]:
        """Read and classify images one after the other, on all threads and in bounded memory.

        Args:
            images: Paths, bytes or arrays, which are taken a few ahead of the answers.

        Yields:
            Each image as it was given, in the same order, with the prediction or, for an image
            that cannot be read, with the error. It does not stop the others.

        Raises:
            ModelFileError: The model fails on an image.
        """

        def answer(image: _Source) -> tuple[_Source, Prediction | ImageError]:
            try:
                return image, self._predict(self._narrow, image)
            except ImageError as error:
                return image, error

        if self.threads == 1:
            yield from map(answer, images)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self.threads) as executor:
            yield from in_order(
                lambda image: executor.submit(answer, image), images, self.threads * _IMAGES_AHEAD
            )

    def probabilities(self, answers: np.ndarray) -> np.ndarray:
        """Return what the model's own answers mean: calibrated probabilities.

        Args:
            answers: float32 of shape [..., classes]: logits or probabilities, as the model has it.

        Returns:
            float32 of the same shape; the values lie from 0 to 1.

        Raises:
            ModelFileError: Some answers are no numbers.
        """
        if not np.isfinite(answers).all():
            raise ModelFileError(
                f"{self._name} answers with values that are no numbers: convert or download it "
                "again."
            )
        if self._needs_softmax:
            answers = softmax(answers.astype(np.float64)).astype(np.float32)
        if self._temperature is not None:
            answers = apply_temperature(answers, self._temperature)
        return answers

    def _prepare_models(self) -> None:
        """Set up the models to run: one on all threads, and as many as there are, each on one."""
        flatbuffer, threads = self.model_file.flatbuffer, self.threads
        self._narrow = ModelPool(flatbuffer, self._name, size=threads)
        self._wide = (
            self._narrow
            if threads == 1
            else ModelPool(flatbuffer, self._name, size=1, threads=threads)
        )

    @property
    def _for_one(self) -> ModelPool:
        """What a single image runs on: all threads, unless another one has them already."""
        return self._wide if self._wide.has_idle else self._narrow

    def _predict(self, models: ModelPool, image: ImageSource) -> Prediction:
        pixels = read_image(image)
        with models.lent() as model:
            probabilities = self.probabilities(self._answer(model, pixels))
        height, width = pixels.shape[:2]
        return Prediction(self.class_names, probabilities, (height, width), self._unsure_below)

    def _choose_class_names(self, count: int) -> tuple[str, ...]:
        """Return the names of the file's classes; check that it is consistent with itself."""
        labels = self.model_file.labels
        if labels and len(labels) != count:
            raise ModelFileError(
                f"{self._name} names {len(labels)} classes but has {count}: convert it again with "
                "the right labels."
            )
        metadata = self.metadata
        if metadata is not None and (metadata.height, metadata.width) != self.input_size:
            raise ModelFileError(
                f"{self._name} takes tiles of another size than its metadata says: convert it "
                "again."
            )
        return _distinct(labels) or tuple(f"class {index}" for index in range(count))

    def _gives_probabilities(self, model: OpenModel) -> bool:
        """Tell whether a model ends in probabilities, rather than in logits, by running it once."""
        height, width = self.input_size
        gradient = np.linspace(0, 255, height * width * 3).astype(np.uint8)
        values = self.probabilities(self._answer(model, gradient.reshape(height, width, 3)))
        # The probabilities of 8-bit models are multiples of 1/256, each off by up to half of that.
        tolerance = len(values) / 512 + 0.001
        return bool(
            values.min() >= 0
            and values.max() <= 1
            and abs(values.sum(dtype=np.float64) - 1) <= tolerance
        )

    def _answer(self, model: OpenModel, pixels: np.ndarray) -> np.ndarray:
        """Run the model on a uint8 RGB image; return what it says, of shape [classes]."""
        pixels = resize_image(pixels, *self.input_size)
        if self._pixel_values is not None:
            pixels = self._pixel_values[pixels, np.arange(3)]
        values = model.run(pixels[np.newaxis])[0]
        if model.output.dtype == np.float32:
            return values
        scale = np.float32(model.output.scale)
        return (values.astype(np.float32) - model.output.zero_point) * scale


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Tell names apart that stand there twice, as ImageNet has "crane" for two of its classes."""
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    if len(counts) == len(names):
        return names
    return tuple(
        f"{name} (class {index})" if counts[name] > 1 else name for index, name in enumerate(names)
    )


def _pixel_values(
    name: str, tensor: Tensor, normalization: Normalization | None
) -> np.ndarray | None:
    """Tell what the model wants to be given for each value that a pixel can have.

    A model of ours takes the pixels themselves. A model of others that takes float32 or int8
    states in its standard metadata how pixels are to be scaled. Without that, int8 is taken for
    shifted pixels if its range is that of pixels; anything else is refused, as a guess that is
    wrong gives answers that are wrong but look right.

    Args:
        name: How messages name the model.
        tensor: The input.
        normalization: What the metadata says.

    Returns:
        An array of shape [256, 3], of the type of the input, to be indexed by pixel value and
        channel; None if the model takes uint8 pixels as they are.

    Raises:
        ModelFileError: The file does not say how pixels are to be scaled.
    """
    if tensor.dtype == np.uint8:
        return None
    is_int8 = tensor.dtype == np.int8
    low, high = _PIXEL_SCALES
    is_understood = normalization is not None or (is_int8 and low <= tensor.scale <= high)
    if not is_understood or (is_int8 and tensor.scale == 0):
        raise ModelFileError(
            f"{name} does not say how pixels are to be scaled: convert it with uint8 input, or add "
            "TFLite metadata with NormalizationOptions."
        )
    mean, std = normalization or ((0.0,), (1.0,))
    pixels = np.arange(256, dtype=np.float32)[:, np.newaxis]
    values = (pixels - np.array(mean, np.float32)) / np.array(std, np.float32)
    values = np.broadcast_to(values, (256, 3))
    if is_int8:
        stored = np.round(values / np.float32(tensor.scale)) + tensor.zero_point
        values = np.clip(stored, -128, 127)
    return values.astype(tensor.dtype)
