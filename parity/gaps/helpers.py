"""What many rows share: layouts, inputs, and errors as facts."""

from collections.abc import Callable

import numpy as np

from parity.gaps.lazy import tf


def channels_last(x):
    """Return (N, C, H, W) as (N, H, W, C)."""
    return tf.transpose(x, [0, 2, 3, 1])


def channels_first(x):
    """Return (N, H, W, C) as (N, C, H, W)."""
    return tf.transpose(x, [0, 3, 1, 2])


def hwio(w):
    """Return a kernel of PyTorch's, (out, in, h, w), as TensorFlow's (h, w, in, out)."""
    return tf.transpose(w, [2, 3, 1, 0])


def on_images(layer, x, *weights, **options):
    """Apply a channels-last Keras layer, with these weights if any, to an (N, C, H, W) tensor."""
    x = channels_last(x)
    if not weights:
        return channels_first(layer(x, **options))
    return channels_first(with_weights(layer, x, *weights, **options))


def with_weights(layer, x, *weights, **options):
    """Apply a Keras layer with tensors in place of its weights, so that gradients reach them."""
    if not layer.built:
        layer.build(x.shape)
    state = [v.value for v in layer.non_trainable_variables]
    outputs, _ = layer.stateless_call(list(weights), state, x, **options)
    return outputs


def padded(x, before: int, after: int, value: float = 0.0):
    """Pad height and width of a channels-last tensor."""
    return tf.pad(x, [[0, 0], [before, after], [before, after], [0, 0]], constant_values=value)


def positive(*shape: int) -> Callable:
    """Return what makes an input of values in [0.1, 1.1)."""
    return lambda stream: stream.uniform(0.1, 1.1, shape)


def integers(high: int, *shape: int) -> Callable:
    """Return what makes an input of whole numbers in [0, high)."""
    return lambda stream: stream.randint(0, high, shape).astype(np.int64)


def rounded(*shape: int) -> Callable:
    """Return what makes an input with many equal values: normal noise rounded to whole numbers."""
    return lambda stream: np.round(stream.standard_normal(shape))


def float32(*shape: int) -> Callable:
    """Return what makes an input of normal noise in float32."""
    return lambda stream: stream.standard_normal(shape).astype(np.float32)


def raised(function: Callable) -> str:
    """Return "raises", or "does not": whether a call is refused, whatever each framework calls the error."""
    try:
        function()
    except Exception:
        return "raises"
    return "does not"


def numbers(*values: float | list[float]) -> Callable:
    """Return what makes an input of these values."""
    return lambda stream: np.array(values, np.float64)


def dtype(tensor) -> str:
    """Return the name of a tensor's type, the same for both frameworks."""
    return getattr(tensor.dtype, "name", str(tensor.dtype)).removeprefix("torch.")
