"""torch.nn's layers of two inputs, Bilinear, CosineSimilarity and PairwiseDistance; LocalResponseNorm; lengths."""

from typing import Any

import keras
import tensorflow as tf

from keras_blitz.initializers import fan_in_uniform


@keras.saving.register_keras_serializable("keras_blitz")
class Bilinear(keras.layers.Layer):
    """y_k = x1ᵀ·A_k·x2 + b_k

    Keras has no such layer.

    Args:
        out_features: ≥ 1.
        bias: learn b.

    Shapes:
        inputs (…, in1) and (…, in2), weight (out_features, in1, in2), output (…, out_features).

    Source: torch/nn/modules/linear.py.
    """

    def __init__(self, out_features: int, bias: bool = True, **options):
        super().__init__(**options)
        self.out_features, self.use_bias = out_features, bias

    def build(self, x1_shape, x2_shape):
        """Make weight and bias."""
        initial, shape = fan_in_uniform(x1_shape[-1]), (self.out_features, x1_shape[-1], x2_shape[-1])
        self.weight = self.add_weight(name="weight", shape=shape, initializer=initial)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.out_features,), initializer=initial)

    def call(self, x1, x2):
        """Return the form of both inputs."""
        outputs = tf.einsum("...i,kij,...j->...k", x1, self.weight, x2)
        return outputs if self.bias is None else outputs + self.bias

    def compute_output_shape(self, x1_shape, x2_shape):
        """Return (…, out_features)."""
        return (*x1_shape[:-1], self.out_features)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "out_features": self.out_features, "bias": self.use_bias}


@keras.saving.register_keras_serializable("keras_blitz")
class CosineSimilarity(keras.layers.Layer):
    """x1·x2 / (max(‖x1‖, eps)·max(‖x2‖, eps)) along an axis.

    `keras.losses.cosine_similarity` is its negative, and takes eps of the square (gap cosine-similarity).

    Args:
        dim: the axis in this layer's inputs, which is taken away; 1 in PyTorch's (N, C, …) is −1 here.
        eps: the least norm, > 0.

    Source: torch/nn/modules/distance.py.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8, **options):
        super().__init__(**options)
        self.dim, self.eps = dim, eps

    def call(self, x1, x2):
        """Compare."""
        x1, x2 = x1 + tf.zeros_like(x2), x2 + tf.zeros_like(x1)
        lengths = [tf.sqrt(tf.reduce_sum(x * x, self.dim)) for x in (x1, x2)]
        # PyTorch's gradient does not see the floor: that of the norm, also where the floor is taken.
        floors = [n + tf.stop_gradient(tf.maximum(n, tf.constant(self.eps, n.dtype)) - n) for n in lengths]
        one, other = (x / tf.expand_dims(n, self.dim) for x, n in zip((x1, x2), floors, strict=True))
        return tf.reduce_sum(one * other, self.dim)

    def compute_output_shape(self, x1_shape, x2_shape):
        """Return the shape without the axis."""
        axis = self.dim % len(x1_shape)
        return tuple(size for k, size in enumerate(x1_shape) if k != axis)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "dim": self.dim, "eps": self.eps}


@keras.saving.register_keras_serializable("keras_blitz")
class PairwiseDistance(keras.layers.Layer):
    """‖x1 − x2 + eps‖_p along the last axis.

    Keras has no such layer.

    Args:
        p: ≥ 1.
        eps: added to each difference.
        keepdim: keep the last axis with size 1.

    Source: torch/nn/modules/distance.py.
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False, **options):
        super().__init__(**options)
        self.p, self.eps, self.keepdim = float(p), eps, keepdim

    def call(self, x1, x2):
        """Compare."""
        return tf.norm(x1 - x2 + tf.constant(self.eps, x1.dtype), self.p, axis=-1, keepdims=self.keepdim)

    def compute_output_shape(self, x1_shape, x2_shape):
        """Return the shape without the last axis."""
        return (*x1_shape[:-1], 1) if self.keepdim else tuple(x1_shape[:-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "p": self.p, "eps": self.eps, "keepdim": self.keepdim}


@keras.saving.register_keras_serializable("keras_blitz")
class LocalResponseNorm(keras.layers.Layer):
    """y = x / (k + alpha·mean of the squares of `size` neighboring channels)^beta, also `torch.nn.CrossMapLRN2d`.

    `tf.nn.local_response_normalization` takes the sum of the squares, and has no float64 kernel (gap
    local-response-norm).

    Args:
        size: channels, ≥ 1; ⌊size/2⌋ of them before.
        alpha, beta, k: as above.

    Shapes:
        input and output (N, …, C).

    Source: torch/nn/modules/normalization.py.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, **options):
        super().__init__(**options)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def call(self, inputs):
        """Normalize."""
        pads = [[0, 0]] * (len(inputs.shape) - 1) + [[self.size // 2, (self.size - 1) // 2]]
        squares, channels = tf.pad(inputs * inputs, pads), inputs.shape[-1]
        mean = tf.add_n([squares[..., start : start + channels] for start in range(self.size)]) / self.size
        return inputs / tf.pow(mean * self.alpha + self.k, tf.constant(self.beta, inputs.dtype))

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size, "alpha": self.alpha, "beta": self.beta, "k": self.k}


@keras.saving.register_keras_serializable("keras_blitz")
class VectorNorm(keras.layers.Layer):
    """√(Σ x²) over axes, as `torch.linalg.vector_norm` has it: its gradient at 0 is 0.

    That of `keras.ops.norm` is NaN there (gap norm-0).

    Args:
        axis: one axis of this layer's inputs or a tuple of them.
        keepdims: keep them, with size 1.

    Source: torch/linalg/__init__.py.
    """

    def __init__(self, axis: int | tuple[int, ...], keepdims: bool = False, **options):
        super().__init__(**options)
        self.axis: Any = tuple(axis) if isinstance(axis, list) else axis
        self.keepdims = keepdims

    def call(self, inputs):
        """Return the lengths."""
        square = tf.reduce_sum(tf.square(inputs), self.axis, self.keepdims)
        empty = square == 0
        return tf.where(empty, tf.zeros_like(square), tf.sqrt(tf.where(empty, tf.ones_like(square), square)))

    def compute_output_shape(self, input_shape):
        """Return the shape without the axes, or with size 1 there."""
        axes = [axis % len(input_shape) for axis in (self.axis if isinstance(self.axis, tuple) else (self.axis,))]
        kept = [1 if n in axes else size for n, size in enumerate(input_shape)]
        return tuple(size for n, size in enumerate(kept) if self.keepdims or n not in axes)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "axis": self.axis, "keepdims": self.keepdims}
