"""A Keras model as a PyTorch network: the same layers and the same weights, there and back."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch  # pyright: ignore[reportMissingImports]
import torch.nn.functional as F  # pyright: ignore[reportMissingImports]
from keras import layers
from torch import nn  # pyright: ignore[reportMissingImports]

# Keras has the axes of a kernel as height, width, inputs, outputs; of a depthwise one, outputs and
# inputs are one, and the last is 1.
_TO_TORCH = {
    layers.Conv2D: (3, 2, 0, 1),
    layers.DepthwiseConv2D: (2, 3, 0, 1),
    layers.Dense: (1, 0),
}


class TorchNetwork(nn.Module):
    """One of our two architectures in PyTorch, from pixels to logits.

    It begins with the weights of the Keras model, and `give_back` gives it those that were fitted.
    """

    def __init__(self, model: keras.Model) -> None:
        """Take the layers of a model up to its logits.

        Raises:
            TypeError: A layer is of a kind that neither of our architectures has.
        """
        super().__init__()
        self._steps: list[tuple[str, list[str], Callable[..., Any]]] = []
        made_by = {id(layer.output): layer.name for layer in model.layers}
        for layer in model.layers[:-1]:
            if isinstance(layer, layers.InputLayer):
                self._input = layer.name
                continue
            given = layer.input if isinstance(layer.input, list) else [layer.input]
            step = self._step(layer)
            if isinstance(step, nn.Module):
                self.add_module(layer.name, step)
            self._steps.append((layer.name, [made_by[id(tensor)] for tensor in given], step))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return logits, float32 `[n, classes]`, of pixels from 0 to 255, float `[n, 3, h, w]`."""
        values = {self._input: pixels}
        for name, given, step in self._steps:
            values[name] = step(*(values[one] for one in given))
        return values[self._steps[-1][0]].float()

    def give_back(self, model: keras.Model) -> None:
        """Give the Keras model, which it was made from, the weights of this network."""
        for layer in model.layers:
            module: Any = getattr(self, layer.name, None)
            if isinstance(module, nn.BatchNorm2d):
                tensors = [module.weight, module.bias, module.running_mean, module.running_var]
                layer.set_weights([tensor.detach().cpu().numpy() for tensor in tensors])
            elif isinstance(module, _Weighted):
                back = np.argsort(_TO_TORCH[type(layer)])
                kernel = module.weight.detach().cpu().numpy().transpose(back)
                bias = [] if module.bias is None else [module.bias.detach().cpu().numpy()]
                layer.set_weights([kernel, *bias])

    def _step(self, layer: Any) -> Callable[..., torch.Tensor]:  # A Keras layer of any kind.
        """Return what computes the same as a layer; a module where there are weights."""
        match layer:
            case layers.Rescaling():
                return lambda x: x * layer.scale + layer.offset
            case layers.ZeroPadding2D():
                (top, bottom), (left, right) = layer.padding
                return lambda x: F.pad(x, (left, right, top, bottom))
            case layers.Cropping2D():
                (top, bottom), (left, right) = layer.cropping
                return lambda x: x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]
            case layers.Resizing():
                size = (layer.height, layer.width)
                return lambda x: F.interpolate(x, size, mode="bilinear", align_corners=False)
            case layers.DepthwiseConv2D() | layers.Conv2D():
                return _Convolution(layer)
            case layers.BatchNormalization():
                return _normalisation(layer)
            case layers.ReLU():
                return F.relu6 if layer.max_value else F.relu
            case layers.Add():
                return torch.add
            case layers.AveragePooling2D():
                return _Pooling(layer)
            case layers.GlobalAveragePooling2D():
                return lambda x: x.mean((2, 3))
            case layers.Dropout():
                return lambda x: F.dropout(x, layer.rate, self.training)
            case layers.Dense():
                return _Dense(layer)
            case _:
                raise TypeError(f"{layer.name} is a {type(layer).__name__}: neither model has it.")


class _Weighted(nn.Module):
    """A kernel and perhaps a bias, taken from a Keras layer."""

    def __init__(self, layer: keras.Layer) -> None:
        super().__init__()
        kernel, *bias = layer.get_weights()
        turned = np.ascontiguousarray(kernel.transpose(_TO_TORCH[type(layer)]))
        self.weight = nn.Parameter(torch.from_numpy(turned))
        self.bias = nn.Parameter(torch.from_numpy(bias[0])) if bias else None


class _Convolution(_Weighted):
    def __init__(self, layer: layers.Conv2D | layers.DepthwiseConv2D) -> None:
        super().__init__(layer)
        self._strides, self._pads = layer.strides, layer.padding == "same"
        self._groups = len(self.weight) if isinstance(layer, layers.DepthwiseConv2D) else 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, padded as TensorFlow does."""
        padding = 0
        if self._pads:
            before, after = _padding(x, self.weight.shape[2], self._strides[0])
            if before == after:
                padding = before
            else:
                x = F.pad(x, (before, after, before, after))
        return F.conv2d(x, self.weight, None, self._strides, padding, 1, self._groups)


class _Pooling:
    def __init__(self, layer: layers.AveragePooling2D) -> None:
        self._size, self._strides = layer.pool_size, layer.strides
        self._pads = layer.padding == "same"

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return means; zeros around the picture do not count in them."""
        if not self._pads:
            return F.avg_pool2d(x, self._size, self._strides)
        before, after = _padding(x, self._size[0], self._strides[0])

        def pooled(padded: torch.Tensor) -> torch.Tensor:
            padded = F.pad(padded, (before, after, before, after))
            return F.avg_pool2d(padded, self._size, self._strides)

        return pooled(x) / pooled(torch.ones_like(x[:1, :1]))


class _Dense(_Weighted):
    def __init__(self, layer: layers.Dense) -> None:
        super().__init__(layer)
        self._activates = layer.activation is keras.activations.relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply, add, and activate where the layer does."""
        x = F.linear(x, self.weight, self.bias)
        return F.relu(x) if self._activates else x


def _normalisation(layer: layers.BatchNormalization) -> nn.BatchNorm2d:
    gamma, beta, mean, variance = (torch.from_numpy(array) for array in layer.get_weights())
    module = nn.BatchNorm2d(len(gamma), eps=layer.epsilon, momentum=1 - layer.momentum)
    module.load_state_dict(
        {"weight": gamma, "bias": beta, "running_mean": mean, "running_var": variance},
        strict=False,
    )
    return module


def _padding(x: torch.Tensor, kernel_size: int, strides: int) -> tuple[int, int]:
    """Return how many zeros TensorFlow's padding "same" puts before and after."""
    size = x.shape[2]
    total = max((-(-size // strides) - 1) * strides + kernel_size - size, 0)
    return total // 2, total - total // 2
