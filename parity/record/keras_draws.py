"""Gives a Keras model fixed random numbers, wherever its layers draw them.

Keras's dropout layers, attention, recurrent cells, noise layers and `keras.random` all call `dropout`, `uniform` or
`normal` of its backend. These and TensorFlow's own are replaced for a block, and only while the model runs, so that a
layer of the user's own is run as it is written.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from keras_blitz.layers import Dropout, Dropout2d
from parity.core.draws import dropout_mask
from parity.record.keras_recorder import first


@dataclass(frozen=True)
class Place:
    """Where a Keras model draws random numbers.

    Args:
        layer: the innermost layer that runs.
        number: of the draw in this layer in this pass, from 0.
        kind: "uniform", "mask" or "normal", as of a `Draw`.
        shape: of the numbers; None where it is not known before the graph runs.
        given: what they are applied to, if known, and what the layer was given; empty in a graph.
    """

    layer: Any
    number: int
    kind: str
    shape: tuple[int, ...] | None
    given: tuple[np.ndarray, ...]


Numbers = Callable[[Place], np.ndarray | None]


@contextmanager
def shared_draws(model: Any, numbers: Numbers) -> Iterator[None]:
    """Replace the random numbers that a model draws in the block.

    Args:
        model: a Keras model.
        numbers: place -> the numbers, float64; None lets the layer draw its own.
    """
    drawing = _Drawing(model, numbers)
    layers = {id(layer): layer for layer in keras_internals.inner_layers(model, itself=True)}
    with ExitStack() as stack:
        for layer in layers.values():
            stack.enter_context(keras_internals.called_as(layer, drawing.following(layer)))
            if isinstance(layer, Dropout | Dropout2d):
                stack.enter_context(_replaced(layer, "mask", lambda _: None))
        for module, name, replacement in REPLACED:
            stack.enter_context(_replaced(module(), name, partial(partial, replacement, drawing)))
        yield


@contextmanager
def _replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Let an attribute be what `make` returns, given the one there was, for the block."""
    before = getattr(owner, name)
    object.__setattr__(owner, name, make(before))
    try:
        yield
    finally:
        object.__setattr__(owner, name, before)


class _Drawing:
    """Knows which layer runs, and how often each has drawn in this pass."""

    def __init__(self, model: Any, numbers: Numbers):
        self.model, self.numbers = model, numbers
        self.running: list[tuple[Any, Any]] = []  # (layer, what it was given)
        self.counts: dict[int, int] = {}

    def following(self, layer: Any) -> Callable:
        """Return a layer's call that says that this layer runs."""
        call = layer.call

        def followed(*args: Any, **kwargs: Any) -> Any:
            if layer is self.model:
                self.counts.clear()
            given = args or tuple(kwargs.values())
            self.running.append((layer, first(given) if given else None))
            try:
                return call(*args, **kwargs)
            finally:
                self.running.pop()

        return followed

    def draw(self, kind: str, shape: Any, *applied: Any) -> np.ndarray | None:
        """Return the next numbers of the layer that runs; None where none runs or it draws its own."""
        if not self.running:
            return None
        layer, given = self.running[-1]
        number = self.counts.get(id(layer), 0)
        self.counts[id(layer)] = number + 1
        known = tuple(value.numpy() for value in (*applied, given) if isinstance(value, tf.Tensor) and _is_eager(value))
        return self.numbers(Place(layer, number, kind, _static(shape), known))


def _is_eager(tensor: Any) -> bool:
    return hasattr(tensor, "numpy")


def _static(shape: Any) -> tuple[int, ...] | None:
    known = tf.get_static_value(shape) if tf.is_tensor(shape) else shape
    sizes = None if known is None else [tf.get_static_value(size) if tf.is_tensor(size) else size for size in known]
    return None if sizes is None or None in sizes else tuple(map(int, sizes))


def _dropout(drawing: _Drawing, own: Callable, x: Any, rate: Any, noise_shape: Any = None, *args: Any, **kwargs: Any):
    """Return x times a mask; zeros at a rate of 1, with a gradient of zero as in PyTorch."""
    inputs = tf.convert_to_tensor(x)
    if rate in (0, 1):
        return inputs * tf.constant(1 - rate, inputs.dtype)
    sizes = inputs.shape if noise_shape is None else noise_shape
    shape = [size if own_size is None else own_size for size, own_size in zip(inputs.shape, sizes, strict=True)]
    uniform = drawing.draw("mask", shape, inputs)
    if uniform is None:
        return own(x, rate, noise_shape, *args, **kwargs)
    return inputs * tf.constant(dropout_mask(uniform, float(rate)), inputs.dtype)


def _uniform(
    drawing: _Drawing, own: Callable, shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None,
    seed: Any = None, **kwargs: Any,
):  # fmt: skip
    dtype = tf.as_dtype(dtype or keras.config.floatx())
    values = drawing.draw("uniform", shape) if dtype.is_floating else None
    if values is None:
        return own(shape, minval=minval, maxval=maxval, dtype=dtype, seed=seed, **kwargs)
    return tf.constant(minval + (maxval - minval) * values, dtype)


def _normal(
    drawing: _Drawing, own: Callable, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None,
    seed: Any = None, **kwargs: Any,
):  # fmt: skip
    dtype = tf.as_dtype(dtype or keras.config.floatx())
    values = drawing.draw("normal", shape)
    if values is None:
        return own(shape, mean=mean, stddev=stddev, dtype=dtype, seed=seed, **kwargs)
    return tf.constant(mean + stddev * values, dtype)


def _stateless(replacement: Callable, drawing: _Drawing, own: Callable, shape: Any, seed: Any, *args: Any, **kw: Any):
    """Adapt to the order of TensorFlow's stateless functions, which have the seed second."""
    return replacement(drawing, own, shape, *args, seed=seed, **kw)


# where a function is, its name, what stands for it: (drawing, the function itself, its arguments …) -> its result
REPLACED: tuple[tuple[Callable[[], Any], str, Callable], ...] = (
    (keras_internals.random_module, "dropout", _dropout),
    (keras_internals.random_module, "uniform", _uniform),
    (keras_internals.random_module, "normal", _normal),
    (lambda: tf.nn, "dropout", _dropout),
    (lambda: tf.random, "uniform", _uniform),
    (lambda: tf.random, "normal", _normal),
    (lambda: tf.random, "stateless_uniform", partial(_stateless, _uniform)),
    (lambda: tf.random, "stateless_normal", partial(_stateless, _normal)),
)
