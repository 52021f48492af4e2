"""Keras's default floating-point type, set for the length of a block."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Set Keras's `floatx` to `dtype` inside the block and restore it after.

    Models, losses and optimizers of this package take `dtype` themselves; `fit`, `predict` and Keras's own optimizers
    and losses read `floatx` when they are made, so float64 through them runs inside this block.

    Args:
        dtype: "float32" or "float64".

    Raises:
        ValueError: Keras knows no such `floatx`.
    """
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)
