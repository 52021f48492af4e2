"""A table of learning rates as a Keras schedule."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_blitz")
class RateTable(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of each update, looked up; in a `tf.function` and under XLA too, exact in its dtype.

    Beyond the table the rate is NaN: under XLA nothing can be raised, and holding the last rate would hide the mistake.

    Args:
        values: the rate at update 0, 1, …
        dtype: of the rate returned; an optimizer rounds it to that of its variables.
    """

    def __init__(self, values: list[float], dtype: str = "float64"):
        self.values, self.dtype = [float(value) for value in values], dtype

    def __call__(self, step: Any) -> tf.Tensor:
        """Return the rate at `step`, a whole number ≥ 0."""
        step = tf.cast(step, tf.int64)
        rate = tf.gather(tf.constant(self.values, self.dtype), tf.minimum(step, len(self.values) - 1))
        return tf.where(step < len(self.values), rate, tf.constant(float("nan"), self.dtype))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"values": self.values, "dtype": self.dtype}
