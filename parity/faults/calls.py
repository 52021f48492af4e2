"""What several mistakes are made of: a dense or convolution layer with other weights, a bent gradient."""

from collections.abc import Callable

import tensorflow as tf

Tensors = Callable[[tf.Tensor], tf.Tensor]


def as_is(tensor: tf.Tensor) -> tf.Tensor:
    """Return the tensor."""
    return tensor


def weighted(kernel: Tensors = as_is, bias: Tensors = as_is, inputs: Tensors = as_is) -> Callable:
    """Return the `call` of a Dense, or of an unpadded Conv2D of stride 1, with something done to what it multiplies."""

    def call(layer, _, given, **__):
        given, weight = inputs(given), kernel(tf.convert_to_tensor(layer.kernel))
        dense = weight.shape.rank == 2
        product = tf.matmul(given, weight) if dense else tf.nn.conv2d(given, weight, 1, "VALID")
        return product + bias(tf.convert_to_tensor(layer.bias))

    return call


def before(function: Tensors) -> Callable:
    """Return a layer's `call` on changed inputs."""
    return lambda layer, call, inputs, **options: call(function(inputs), **options)


def behind(function: Tensors) -> Callable:
    """Return a layer's `call` with its outputs changed."""
    return lambda layer, call, inputs, **options: function(call(inputs, **options))


def at_training(training: bool):
    """Return a layer's `call` that is told another mode."""

    return lambda layer, call, inputs, **_: call(inputs, training=training)


def skipped(layer, call, inputs, **options):
    """Return the inputs: the layer was left out."""
    return inputs


def bent(change: Tensors) -> Tensors:
    """Return the identity whose gradient is changed on its way back."""

    @tf.custom_gradient
    def same(tensor):
        return tf.identity(tensor), change

    return same
