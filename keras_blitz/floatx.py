"""Keras's default floating-point type, set for the length of a block."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Set Keras's `floatx` and default dtype policy to `dtype` inside the block and restore both after.

    Models, losses and optimizers of this package take `dtype` themselves; `fit`, `predict` and Keras's own optimizers
    and losses read `floatx` when they are made, so float64 through them runs inside this block.

    Args:
        dtype: "float32" or "float64".

    Raises:
        ValueError: Keras knows no such `floatx`.
    """
    import keras

    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    # Keras makes its default policy from floatx once, and then keeps it whatever floatx becomes.
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(policy)
