"""`torch.nn.BatchNorm1d` and `BatchNorm2d` on channels-last tensors."""

import keras
import tensorflow as tf

from keras_blitz.keras_internals import inner_layers
from keras_blitz.layers import cpu
from keras_blitz.replicas import count_replicas, sum_over_replicas


@keras.saving.register_keras_serializable("keras_blitz")
class BatchNorm(keras.layers.Layer):
    """Batch normalization with PyTorch's running statistics and PyTorch's train and eval mode.

    train:  y = (x − mean(x)) / √(var(x) + eps) · γ + β        var biased, over all axes but the last
            running ← (1 − momentum) · running + momentum · statistic        var unbiased, n/(n−1)
    eval:   y = (x − running_mean) / √(running_var + eps) · γ + β

    What `keras.layers.BatchNormalization` cannot do (measured): it accumulates the biased variance (gap
    bn-unbiased-running-var: eval outputs differ by 4.8e-2 after five steps), it leaves train mode when `trainable` is
    False (gap bn-frozen: 3.1e-1; here `training=` alone decides), and x·s + (β − m·s) loses digits where |mean| ≫ std.

    Args:
        eps: added to the variance, > 0. Keras's default is 1e-3.
        momentum: weight of the new statistic, 0–1; Keras's `momentum` is 1 − this. None: the mean over all batches.
        affine: learn γ and β.
        track_running_stats: keep running statistics; otherwise the batch's own are used in eval mode too.
        synchronized: under a `tf.distribute` strategy, statistics of the whole batch, PyTorch's `SyncBatchNorm`;
            otherwise each replica normalizes its part by itself, as in DistributedDataParallel.

    Shapes:
        input and output (N, …, C).

    Raises:
        ValueError: one value per channel in train mode, whose unbiased variance is 0/0.

    Source: torch/nn/modules/batchnorm.py.
    """

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        synchronized: bool = False,
        **options,
    ):
        super().__init__(**options)
        self.eps, self.momentum = eps, momentum
        self.affine, self.track_running_stats, self.synchronized = affine, track_running_stats, synchronized

    def build(self, input_shape):
        """Make γ, β and the running statistics."""
        shape = (input_shape[-1],)
        if self.affine:
            self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
            self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        if self.track_running_stats:
            buffer = {"shape": shape, "trainable": False, "autocast": False}
            self.moving_mean = self.add_weight(name="moving_mean", initializer="zeros", **buffer)
            self.moving_variance = self.add_weight(name="moving_variance", initializer="ones", **buffer)
            self.num_batches_tracked = self.add_weight(
                name="num_batches_tracked", shape=(), dtype="int64", initializer="zeros", trainable=False
            )

    def call(self, inputs, training=False):
        """Normalize, and in train mode update the running statistics."""
        if training or not self.track_running_stats:
            mean, variance = self._whole_statistics(inputs) if self._is_shared() else self._statistics(inputs)
        else:
            mean, variance = self.moving_mean.value, self.moving_variance.value
        if training and self.track_running_stats:
            self._track(inputs, mean, variance)
        if self.affine and self.track_running_stats and not training:
            outputs = cpu.normalize(inputs, self.gamma, self.beta, mean, variance, self.eps)
            if outputs is not None:
                return outputs
        scale = tf.math.rsqrt(variance + self.eps)
        normalized = (inputs - mean) * (scale * self.gamma if self.affine else scale)
        return normalized + self.beta if self.affine else normalized

    @staticmethod
    def _statistics(inputs):
        axes = list(range(len(inputs.shape) - 1))
        mean = tf.reduce_mean(inputs, axes)
        # The mean's own gradient through the variance is Σ(x − mean) = 0.
        return mean, tf.reduce_mean(tf.math.squared_difference(inputs, tf.stop_gradient(mean)), axes)

    def _is_shared(self) -> bool:
        """Whether the batch is on several replicas that have their statistics in common."""
        return self.synchronized and count_replicas() > 1

    @staticmethod
    def _whole_statistics(inputs):
        """Return mean and variance over the replicas: the sum, then the squares around the mean."""
        axes = list(range(len(inputs.shape) - 1))
        count = sum_over_replicas(_values_per_channel(inputs))
        mean = sum_over_replicas(tf.reduce_sum(inputs, axes)) / count
        # Here the mean's own gradient through the variance is not 0: Σ(x − mean) is over the part alone.
        return mean, sum_over_replicas(tf.reduce_sum(tf.math.squared_difference(inputs, mean), axes)) / count

    def _track(self, inputs, mean, variance):
        if None not in inputs.shape and inputs.shape.num_elements() == inputs.shape[-1]:
            raise ValueError(f"{self.name}: train mode needs more than one value per channel, got {inputs.shape}")
        count = _values_per_channel(inputs)
        if self._is_shared():
            count = sum_over_replicas(count)
        self.num_batches_tracked.assign_add(1)
        if self.momentum is None:
            weight = 1 / tf.cast(self.num_batches_tracked.value, inputs.dtype)
        else:
            weight = tf.constant(self.momentum, inputs.dtype)
        self.moving_mean.assign((1 - weight) * self.moving_mean + weight * mean)
        self.moving_variance.assign((1 - weight) * self.moving_variance + weight * variance * count / (count - 1))

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "eps": self.eps,
            "momentum": self.momentum,
            "affine": self.affine,
            "track_running_stats": self.track_running_stats,
            "synchronized": self.synchronized,
        }


def convert_sync_batchnorm(model: keras.Model) -> keras.Model:
    """Let every BatchNorm of a model share its statistics with the other replicas; return the model, which is changed.

    PyTorch: `nn.SyncBatchNorm.convert_sync_batchnorm(module)`, which runs on GPUs alone; this runs on a CPU too.
    """
    for layer in inner_layers(model):
        if isinstance(layer, BatchNorm):
            layer.synchronized = True
    return model


def _values_per_channel(inputs: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], inputs.dtype)
