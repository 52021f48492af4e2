"""PyTorch's initial values: in distribution from Keras's seed, bit for bit after `keras_blitz.manual_seed`.

Source: torch/nn/modules/linear.py, conv.py, torch/nn/init.py.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import keras
import numpy as np

from keras_blitz.keras_internals import call_of
from keras_blitz.random import Generator, default_generator
from keras_blitz.weights.mapped import Mapped
from keras_blitz.weights.mapping import weights

__all__ = ["Normal", "fan_in_uniform", "initialize", "kaiming_fan_out", "skip_init"]


@dataclass(frozen=True)
class Normal:
    """Values that a network of torchvision gives a layer in place of PyTorch's own, when all its layers are made.

    Args:
        std: standard deviation of the weight, mean 0.
        zero_bias: set the bias to 0; otherwise it keeps PyTorch's own values.
    """

    std: float
    zero_bias: bool = False


def fan_in_uniform(fan_in: int) -> keras.initializers.Initializer:
    """Return the initializer of weight and bias of PyTorch's Linear and Conv2d.

    U(−b, b), b = 1/√fan_in

    Keras's own are U(−√(6/(fan_in + fan_out)), …) and 0 (gap init-conv-linear-default). Values come from Keras's seed.

    Args:
        fan_in: inputs of an output, ≥ 1: in_features, or in_channels / groups · kernel height · kernel width.
    """
    return keras.initializers.RandomUniform(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))


def kaiming_fan_out(shape: tuple[int, ...]) -> float:
    """Return the standard deviation of `kaiming_normal_(mode="fan_out", nonlinearity="relu")`, √2/√fan_out.

    Args:
        shape: of the weight in PyTorch's layout, (out, in, kh, kw).
    """
    return math.sqrt(2.0) / math.sqrt(shape[0] * math.prod(shape[2:]))


_wanted = ContextVar("initial values are wanted", default=True)


@contextmanager
def skip_init() -> Iterator[None]:
    """Leave networks made in the block without PyTorch's initial values, as `torch.nn.utils.skip_init` does.

    For weights that are loaded next: vgg16's would take 4 s to draw. PyTorch's random stream stays where it is.
    """
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


@contextmanager
def all_zero() -> Iterator[None]:
    """Let every layer made in the block have weights of zeros, for a network that is filled next.

    Nothing is drawn. TensorFlow would keep what it draws a large weight with: vgg16 is built in 0.55 GB instead of 1.4.
    """
    before = keras.layers.Layer.add_weight

    def add_weight(self, *args, **options):
        return before(self, *args, **{**options, "initializer": "zeros"})

    try:
        keras.layers.Layer.add_weight = add_weight
        yield
    finally:
        keras.layers.Layer.add_weight = before


def initialize(model, generator: Generator | None = None) -> None:
    """Give a model the values that its PyTorch twin has after construction.

    weight, bias ~ U(−b, b), b = 1/√fan_in, layer after layer as the twin constructs them; then what `model.initial`
    has for a layer, where the model has such a method, in the same order

    They are drawn in PyTorch's layout and in float32, whatever the model's type: a float64 model has the values of
    `Net().double()`. The networks of this package call this in their constructors. Batch normalization stays as it is.

    Does nothing inside `skip_init`.

    Args:
        model: a Keras model whose layers with weights have their layout declared (`weights/layout.py`).
        generator: to draw from, bit for bit. None: the default generator once `keras_blitz.manual_seed` was called;
            until then NumPy's, which is faster, with a seed from Keras (`keras.utils.set_random_seed`).

    Raises:
        BlitzError: a layer with weights has no declared layout.
    """
    if not _wanted.get():
        return
    stream = _default_stream() if generator is None else generator
    layers = {layer.name: layer for layer in model.layers}
    chosen = getattr(model, "initial", lambda layer, shape: None)
    plan = [(pair, chosen(layers[name], pair["weight"].shape)) for name, pair in _in_order(model)]
    for pair, normal in plan:
        _draw_default(stream, pair, normal)
    for pair, normal in plan:
        if normal:
            _assign(pair["weight"], stream.normal(0.0, normal.std, pair["weight"].shape))


class _Unseeded:
    """NumPy's generator, under the names of PyTorch's."""

    def __init__(self):
        # An initializer's own seed is what keras.utils.set_random_seed decides.
        self._generator = np.random.default_rng(keras.initializers.RandomUniform().seed)

    def skip(self, count: int) -> None:
        """Do nothing: there is no stream to keep in step with."""

    def uniform(self, low: float, high: float, size: tuple[int, ...]) -> np.ndarray:
        return self._generator.random(size, np.float32) * np.float32(high - low) + np.float32(low)

    def normal(self, mean: float, std: float, size: tuple[int, ...]) -> np.ndarray:
        return self._generator.standard_normal(size, np.float32) * np.float32(std) + np.float32(mean)


def _default_stream() -> Generator | _Unseeded:
    return default_generator if default_generator.seeded else _Unseeded()


def _draw_default(generator, pair: dict[str, Mapped], normal: Normal | None) -> None:
    """Draw weight, then bias; what will be replaced is drawn in vain, as PyTorch does."""
    shape = pair["weight"].shape
    fan_in = math.prod(shape[1:])
    # As kaiming_uniform_(a=√5) computes it: gain/√fan_in is a standard deviation.
    bound = math.sqrt(3.0) * (math.sqrt(2.0 / (1 + math.sqrt(5) ** 2)) / math.sqrt(fan_in))
    if normal:
        generator.skip(math.prod(shape))
    else:
        _assign(pair["weight"], generator.uniform(-bound, bound, shape))
    if "bias" not in pair:
        return
    bias = pair["bias"]
    if normal and normal.zero_bias:
        generator.skip(math.prod(bias.shape))
        _assign(bias, np.zeros(bias.shape, np.float32))
    else:
        _assign(bias, generator.uniform(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), bias.shape))


def _assign(weight: Mapped, values: np.ndarray) -> None:
    weight.assign(values)


def _in_order(model) -> Iterator[tuple[str, dict[str, Mapped]]]:
    """Yield (layer name, its weight and bias) of every layer with a matrix or kernel, as PyTorch constructs them."""
    found: dict[str, dict[str, Mapped]] = {}
    for weight in weights(model):
        name, _, kind = weight.name.rpartition(".")
        found.setdefault(name, {})[kind] = weight
    order = _construction_order(model) or list(found)
    for name in sorted(found, key=order.index):
        if len(found[name]["weight"].shape) > 1:
            yield name, found[name]


def _construction_order(model) -> list[str]:
    """Return the layers of a functional model, each after the layers that feed it, its first input first.

    PyTorch's networks construct their layers so: a block's branches one after another, its shortcut last, an auxiliary
    head (a later output) before the layers after its fork. A subclassed model has no graph; its layers' order holds.
    """
    order, visited = [], set()
    # From the last output to the first; a stack of our own, for a deep network is deeper than Python's.
    stack = [(tensor, False) for tensor in getattr(model, "outputs", None) or []]
    while stack:
        tensor, inputs_done = stack.pop()
        operation, number, sources = call_of(tensor)
        if inputs_done:
            order.append(operation.name)
        elif (operation.name, number) not in visited:
            visited.add((operation.name, number))
            stack.append((tensor, True))
            stack.extend((source, False) for source in reversed(sources))
    return order
