"""torch.nn's activations where Keras's own differ; the others are in the table of docs/layers.md."""

from collections.abc import Callable
from math import pi, sqrt
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

SIXTH = float(np.float32(1) / np.float32(6))  # what PyTorch's kernel multiplies the gradient of hardsigmoid by


class _Activation(keras.layers.Layer):
    """A function of each value; its configuration is the attributes named in `arguments`."""

    arguments: ClassVar[tuple[str, ...]] = ()

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.arguments}}


def _below(inputs: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Return x where x > 0, a function of it elsewhere, which sees no value above 0."""
    above = inputs > 0
    return tf.where(above, inputs, function(tf.where(above, tf.zeros_like(inputs), inputs)))


@keras.saving.register_keras_serializable("keras_blitz")
class Hardtanh(_Activation):
    """min(max(x, min_val), max_val), whose derivative is 0 at both edges.

    `keras.ops.hard_tanh` has 1 there (gap hardtanh-edges), and no other edges than −1 and 1.

    Source: torch/nn/modules/activation.py, as for all in this file.
    """

    arguments = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, **options):
        super().__init__(**options)
        if max_val <= min_val:
            raise ValueError(f"max_val must be above min_val, not {max_val} and {min_val}")
        self.min_val, self.max_val = min_val, max_val

    def call(self, inputs):
        """Clip."""
        clipped = tf.clip_by_value(inputs, *(tf.constant(edge, inputs.dtype) for edge in (self.min_val, self.max_val)))
        return tf.where((inputs > self.min_val) & (inputs < self.max_val), inputs, tf.stop_gradient(clipped))


@keras.saving.register_keras_serializable("keras_blitz")
class LeakyReLU(_Activation):
    """x where x > 0, negative_slope·x elsewhere.

    `keras.layers.LeakyReLU` has a slope of 0.3, and passes it through float32 (gap leaky-relu-slope: 2.9e-10).
    """

    arguments = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, **options):
        super().__init__(**options)
        self.negative_slope = negative_slope

    def call(self, inputs):
        """Scale what is not above 0."""
        return tf.where(inputs > 0, inputs, self.negative_slope * inputs)


@keras.saving.register_keras_serializable("keras_blitz")
class RReLU(_Activation):
    """x where x > 0, a·x elsewhere; a is drawn from U(lower, upper) in train mode, and (lower + upper)/2 in eval mode.

    Keras has no such layer (gap rrelu).
    """

    arguments = ("lower", "upper")

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, **options):
        super().__init__(**options)
        self.lower, self.upper = lower, upper
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, inputs, training=False):
        """Scale what is not above 0."""
        slope: Any = (self.lower + self.upper) / 2
        if training:
            shape = tf.shape(inputs)
            slope = keras.random.uniform(shape, self.lower, self.upper, inputs.dtype, self.seed_generator)
        return tf.where(inputs > 0, inputs, slope * inputs)


@keras.saving.register_keras_serializable("keras_blitz")
class PReLU(_Activation):
    """x where x > 0, a·x elsewhere; a is learned.

    `keras.layers.PReLU` learns a slope for every value, 0 at first (gap prelu: differs by 0.28).

    Args:
        num_parameters: 1, or the channels: a slope for each.
        init: the slopes at first.

    Shapes:
        input and output (N, …, C), weight (num_parameters,).
    """

    arguments = ("num_parameters", "init")

    def __init__(self, num_parameters: int = 1, init: float = 0.25, **options):
        super().__init__(**options)
        self.num_parameters, self.init = num_parameters, init

    def build(self, input_shape):
        """Make the slopes."""
        if self.num_parameters not in (1, input_shape[-1]):
            raise ValueError(
                f"{self.name}: num_parameters must be 1 or the {input_shape[-1]} channels, not {self.num_parameters}"
            )
        initial = keras.initializers.Constant(self.init)
        self.weight = self.add_weight(name="weight", shape=(self.num_parameters,), initializer=initial)

    def call(self, inputs):
        """Scale what is not above 0."""
        return tf.where(inputs > 0, inputs, self.weight * inputs)


@keras.saving.register_keras_serializable("keras_blitz")
class ELU(_Activation):
    """x where x > 0, alpha·(exp(x) − 1) elsewhere.

    `keras.layers.ELU` takes exp(x) − 1, which cancels near 0: an error of 3e-9 of the value at −1e-8 (gap elu-small-x).
    """

    arguments = ("alpha",)

    def __init__(self, alpha: float = 1.0, **options):
        super().__init__(**options)
        self.alpha = alpha

    def call(self, inputs):
        """Curve what is not above 0."""
        return _below(inputs, lambda x: self.alpha * tf.math.expm1(x))


@keras.saving.register_keras_serializable("keras_blitz")
class CELU(_Activation):
    """x where x > 0, alpha·(exp(x/alpha) − 1) elsewhere.

    `keras.ops.celu` has a derivative of 2 at 0 (gap celu-selu-grad-0).
    """

    arguments = ("alpha",)

    def __init__(self, alpha: float = 1.0, **options):
        super().__init__(**options)
        self.alpha = alpha

    def call(self, inputs):
        """Curve what is not above 0."""
        return _below(inputs, lambda x: self.alpha * tf.math.expm1(x / self.alpha))


@keras.saving.register_keras_serializable("keras_blitz")
class SELU(_Activation):
    """scale·x where x > 0, scale·α·(exp(x) − 1) elsewhere; α ≈ 1.673, scale ≈ 1.051.

    `keras.ops.selu` has another derivative at 0, scale in place of scale·α (gap celu-selu-grad-0).
    """

    def call(self, inputs):
        """Curve what is not above 0, and scale."""
        alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
        return scale * _below(inputs, lambda x: alpha * tf.math.expm1(x))


@keras.saving.register_keras_serializable("keras_blitz")
class GELU(_Activation):
    """x·Φ(x), or with approximate="tanh" ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))).

    `keras.activations.gelu` passes its constants through float32: 4.9e-9 in float64 (gaps gelu, gelu-tanh).
    """

    arguments = ("approximate",)

    def __init__(self, approximate: str = "none", **options):
        super().__init__(**options)
        if approximate not in ("none", "tanh"):
            raise ValueError(f'approximate must be "none" or "tanh", not {approximate!r}')
        self.approximate = approximate

    def call(self, inputs):
        """Gate each value by its size."""
        if self.approximate == "none":
            return 0.5 * inputs * (1 + tf.math.erf(inputs * sqrt(0.5)))
        return 0.5 * inputs * (1 + tf.tanh(sqrt(2 / pi) * (inputs + 0.044715 * inputs * inputs * inputs)))


@keras.saving.register_keras_serializable("keras_blitz")
class Softplus(_Activation):
    """log(1 + exp(beta·x))/beta where beta·x ≤ threshold, x itself above.

    `keras.ops.softplus` has neither: 5e-10 without the threshold (gap softplus-threshold).
    """

    arguments = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0, **options):
        super().__init__(**options)
        self.beta, self.threshold = beta, threshold

    def call(self, inputs):
        """Smooth the corner of a ReLU."""
        straight = inputs * self.beta > self.threshold
        curved = tf.nn.softplus(tf.where(straight, tf.zeros_like(inputs), inputs * self.beta)) / self.beta
        return tf.where(straight, inputs, curved)


@keras.saving.register_keras_serializable("keras_blitz")
class Hardsigmoid(_Activation):
    """relu6(x + 3)/6, whose derivative within (−3, 3) is float32's 1/6, also in float64.

    `keras.ops.hard_sigmoid` has float64's 1/6 there (gap hardsigmoid-grad-f64: 3e-8).
    """

    def call(self, inputs):
        """Clip a line."""
        return _hardsigmoid(inputs)


@tf.custom_gradient
def _hardsigmoid(inputs):
    sixth = SIXTH

    def gradient(upstream):
        return tf.where((inputs > -3) & (inputs < 3), upstream * sixth, tf.zeros_like(upstream))

    return tf.nn.relu6(inputs + 3.0) / 6.0, gradient
