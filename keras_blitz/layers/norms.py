"""`torch.nn`'s LayerNorm, RMSNorm, GroupNorm and InstanceNorm on channels-last tensors."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def standardize(inputs: tf.Tensor, axes: list[int], eps: float) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return (x − mean) / √(var + eps) with the mean and the biased variance over `axes`, which are kept with size 1.

    In two passes: E[x²] − mean² in one pass, or x·s − mean·s, loses the digits that |mean| ≫ std needs. The mean of the
    differences is what the first mean has lost to rounding, and is taken off again.
    """
    rough = _mean(inputs, axes)
    centered = inputs - tf.stop_gradient(rough)
    lost = _mean(centered, axes)
    centered -= lost
    variance = _mean(tf.square(centered), axes)
    return centered * tf.math.rsqrt(variance + eps), tf.stop_gradient(rough) + lost, variance


def _mean(values: tf.Tensor, axes: list[int]) -> tf.Tensor:
    """Return the mean over axes, one after the other.

    In one sum over all of them float32 adds small terms to a large one: over 12,288 values the variance is so far off
    that the outputs have 10 × PyTorch's error.
    """
    for axis in axes:
        values = tf.reduce_mean(values, axis, keepdims=True)
    return values


def _spread(weight: Any, like: tf.Tensor) -> tf.Tensor:
    """Return a weight as (N, …, 1, C): its gradient is then summed along the last axis of positions first.

    In one sum over all positions float32 adds small terms to a large one: 6,144 positions, 3.9 × PyTorch's error.
    """
    outer = len(like.shape) - len(weight.shape) - 1
    if outer < 1:
        return weight
    return tf.ones(tf.concat([tf.shape(like)[:outer], [1] * (1 + len(weight.shape))], 0), like.dtype) * weight


class _Norm(keras.layers.Layer):
    """What all four share: eps, γ and β."""

    def __init__(self, eps: float | None, affine: bool, bias: bool, **options):
        super().__init__(**options)
        self.eps: Any = eps
        self.affine, self.use_bias = affine, affine and bias

    def _make_affine(self, shape: tuple[int, ...], gamma: str = "gamma") -> None:
        self.gamma = self.add_weight(name=gamma, shape=shape, initializer="ones") if self.affine else None
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros") if self.use_bias else None

    def _apply_affine(self, normalized: tf.Tensor) -> tf.Tensor:
        scaled = normalized if self.gamma is None else normalized * _spread(self.gamma, normalized)
        return scaled if self.beta is None else scaled + _spread(self.beta, normalized)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "eps": self.eps}


class _TrailingNorm(_Norm):
    """What LayerNorm and RMSNorm share: they normalize over the last axes, whose sizes are given."""

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float | None, affine: bool, bias: bool, **options: Any
    ):
        super().__init__(eps, affine, bias, **options)
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        if not shape or any(not isinstance(size, int) or size < 1 for size in shape):
            raise ValueError(f"normalized_shape must be one or more whole numbers ≥ 1, not {normalized_shape!r}")
        self.normalized_shape = shape

    def _check(self, input_shape) -> None:
        last = tuple(input_shape)[-len(self.normalized_shape) :]
        if last != self.normalized_shape:
            raise ValueError(
                f"{self.name}: the input's last axes must be normalized_shape, {self.normalized_shape}, not {last}"
            )

    @property
    def _axes(self) -> list[int]:
        return list(range(-len(self.normalized_shape), 0))

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "normalized_shape": self.normalized_shape, "elementwise_affine": self.affine}


@keras.saving.register_keras_serializable("keras_blitz")
class LayerNorm(_TrailingNorm):
    """Layer normalization over the last axes.

    y = (x − mean(x)) / √(var(x) + eps) · γ + β        var biased, over the last axes

    `keras.layers.LayerNormalization` has an epsilon of 1e-3 and takes axes, not sizes (gap layernorm-eps: 1.9 on unit
    noise). With epsilon=1e-5 it is exact in float64; where |mean| ≫ std its float32 error is PyTorch's own, 1.1 × at a
    mean of 50, and ours 0.03 × (docs/layers.md).

    Args:
        normalized_shape: the sizes of the last axes, here in Keras's order: (H, W, C) for PyTorch's (C, H, W).
        eps: added to the variance, > 0.
        elementwise_affine: learn γ and β.
        bias: learn β.

    Shapes:
        input and output (…, *normalized_shape); γ and β normalized_shape.

    Raises:
        ValueError: the input has other last axes.

    Source: torch/nn/modules/normalization.py.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        **options,
    ):
        super().__init__(normalized_shape, eps, elementwise_affine, bias, **options)

    def build(self, input_shape):
        """Make γ and β."""
        self._check(input_shape)
        self._make_affine(self.normalized_shape)

    def call(self, inputs):
        """Normalize each example."""
        return self._apply_affine(standardize(inputs, self._axes, self.eps)[0])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "bias": self.use_bias or not self.affine}


@keras.saving.register_keras_serializable("keras_blitz")
class RMSNorm(_TrailingNorm):
    """Normalization by the root of the mean square over the last axes.

    y = x / √(mean(x²) + eps) · γ

    `keras.layers.RMSNormalization` has an epsilon of 1e-6 (gap rmsnorm: on inputs of 1e-2 it differs by 1 %).

    Args:
        normalized_shape: the sizes of the last axes.
        eps: added to the mean square, > 0; None: the machine epsilon of the input's type, 1.2e-7 in float32.
        elementwise_affine: learn γ.

    Shapes:
        input and output (…, *normalized_shape); γ normalized_shape.

    Raises:
        ValueError: the input has other last axes.

    Source: torch/nn/modules/normalization.py.
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float | None = None,
        elementwise_affine: bool = True,
        **options,
    ):
        super().__init__(normalized_shape, eps, elementwise_affine, False, **options)

    def build(self, input_shape):
        """Make γ."""
        self._check(input_shape)
        self._make_affine(self.normalized_shape, "scale")

    def call(self, inputs):
        """Divide each example by its root mean square."""
        eps = float(np.finfo(inputs.dtype.as_numpy_dtype).eps) if self.eps is None else self.eps
        square = tf.reduce_mean(tf.square(inputs), self._axes, keepdims=True)
        return self._apply_affine(inputs * tf.math.rsqrt(square + eps))


@keras.saving.register_keras_serializable("keras_blitz")
class GroupNorm(_Norm):
    """Normalization of each example over its positions and the channels of a group.

    y = (x − mean(x)) / √(var(x) + eps) · γ + β        var biased, over positions and C/num_groups channels

    `keras.layers.GroupNormalization` has an epsilon of 1e-3 (gap groupnorm), and in float32 computes E[x²] − mean² and
    x·s − mean·s: for one image, its RMS error is 10 × PyTorch's own at a mean of 0 and 24 × at 50, where ours is 1.2 ×
    and 0.03 × (docs/layers.md).

    Args:
        num_groups: ≥ 1, a divisor of the channels.
        eps: added to the variance, > 0.
        affine: learn γ and β, one value for each channel.

    Shapes:
        input and output (N, …, C); γ and β (C,).

    Raises:
        ValueError: `num_groups` does not divide the channels.

    Source: torch/nn/modules/normalization.py.
    """

    def __init__(self, num_groups: int, eps: float = 1e-5, affine: bool = True, **options):
        super().__init__(eps, affine, True, **options)
        if num_groups < 1:
            raise ValueError(f"num_groups must be a whole number ≥ 1, not {num_groups!r}")
        self.num_groups = num_groups

    def build(self, input_shape):
        """Make γ and β."""
        if input_shape[-1] % self.num_groups:
            raise ValueError(f"{self.name}: {input_shape[-1]} channels are not a multiple of {self.num_groups} groups")
        self._make_affine((input_shape[-1],))

    def call(self, inputs):
        """Normalize each group of each example."""
        shape, axis = tf.shape(inputs), len(inputs.shape) - 1
        parts = [self.num_groups, inputs.shape[-1] // self.num_groups]
        groups = tf.reshape(inputs, tf.concat([shape[:-1], parts], 0))
        axes = [*range(1, axis), axis + 1]
        normalized = tf.reshape(standardize(groups, axes, self.eps)[0], shape)
        normalized.set_shape(inputs.shape)
        return self._apply_affine(normalized)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "num_groups": self.num_groups, "affine": self.affine}


@keras.saving.register_keras_serializable("keras_blitz")
class InstanceNorm(_Norm):
    """`torch.nn.InstanceNorm1d`, `InstanceNorm2d` and `InstanceNorm3d`: each channel of each example by itself.

    y = (x − mean(x)) / √(var(x) + eps) · γ + β        var biased, over the positions
    train, with running statistics:  running ← (1 − momentum) · running + momentum · the examples' mean, var unbiased
    eval, with running statistics:   they take the place of mean and var

    Keras has no such layer: `GroupNormalization(groups=-1)` keeps no statistics, has other defaults (epsilon 1e-3, γ
    and β) and in float32 the errors of `GroupNorm`'s docstring.

    Args:
        eps: added to the variance, > 0.
        momentum: weight of the new statistic, 0–1; None is 0.
        affine: learn γ and β.
        track_running_stats: keep running statistics, and use them in eval mode.

    Shapes:
        input and output (N, …, C) with at least one axis of positions; γ, β and statistics (C,).

    Raises:
        ValueError: one position, whose unbiased variance is 0/0, where the example's own statistics are taken.

    Source: torch/nn/modules/instancenorm.py.
    """

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        **options,
    ):
        super().__init__(eps, affine, True, **options)
        self.momentum, self.track_running_stats = momentum, track_running_stats

    def build(self, input_shape):
        """Make γ, β and the running statistics."""
        shape = (input_shape[-1],)
        self._make_affine(shape)
        if self.track_running_stats:
            buffer = {"trainable": False, "autocast": False}
            self.moving_mean = self.add_weight(name="moving_mean", shape=shape, initializer="zeros", **buffer)
            self.moving_variance = self.add_weight(name="moving_variance", shape=shape, initializer="ones", **buffer)
            # PyTorch registers the count, and never adds to it.
            self.num_batches_tracked = self.add_weight(
                name="num_batches_tracked", shape=(), dtype="int64", initializer="zeros", trainable=False
            )

    def call(self, inputs, training=False):
        """Normalize, and in train mode update the running statistics."""
        if self.track_running_stats and not training:
            scale = tf.math.rsqrt(self.moving_variance.value + self.eps)
            return self._apply_affine((inputs - self.moving_mean.value) * scale)
        positions = inputs.shape[1:-1]
        if positions.num_elements() == 1:
            raise ValueError(f"{self.name}: needs more than one position for each channel, got {inputs.shape}")
        normalized, mean, variance = standardize(inputs, list(range(1, len(inputs.shape) - 1)), self.eps)
        if self.track_running_stats:
            self._track(inputs, mean, variance)
        return self._apply_affine(normalized)

    def _track(self, inputs, mean, variance):
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[1:-1]), inputs.dtype)
        weight = tf.constant(self.momentum or 0.0, inputs.dtype)
        axes = list(range(len(inputs.shape) - 1))
        mean, variance = tf.reduce_mean(mean, axes), tf.reduce_mean(variance, axes) * count / (count - 1)
        self.moving_mean.assign((1 - weight) * self.moving_mean + weight * mean)
        self.moving_variance.assign((1 - weight) * self.moving_variance + weight * variance)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "affine": self.affine,
            "track_running_stats": self.track_running_stats,
        }
