"""A right value with a wrong gradient, and values spoilt so that a weak comparison would not see it."""

from collections.abc import Callable

import tensorflow as tf

from parity.faults.calls import Tensors, before, behind, bent, weighted
from parity.faults.fault import eager, fault, survivor
from parity.faults.plant import in_layer


def _bias_gradient(change: Tensors) -> Callable:
    """A dense or convolution layer whose bias gets another gradient."""
    return weighted(bias=bent(change))


def _kernel_gradient(change: Tensors) -> Callable:
    return weighted(kernel=bent(change))


def _detached_shortcut(_, call, inputs):
    return call([inputs[0], tf.stop_gradient(inputs[1])])


def _averaged(layer, _, given):
    """A convolution whose bias gets the mean over its map, not the sum."""
    outputs = tf.nn.conv2d(given, layer.kernel, 1, "VALID")
    size = outputs.shape[1] * outputs.shape[2]
    return outputs + bent(lambda upstream: upstream / size)(tf.convert_to_tensor(layer.bias))


def _windows(inputs):
    count, height, width, channels = inputs.shape
    split = tf.reshape(inputs, (count, height // 2, 2, width // 2, 2, channels))
    return tf.reduce_max(split, (2, 4))  # splits the gradient evenly where several are the largest


def _nan_in_one(outputs):
    chosen = tf.range(outputs.shape[-1]) == 2
    return tf.where(chosen, tf.constant(float("nan"), outputs.dtype), outputs)


def _noise(size: float) -> Tensors:
    """Noise of mean zero, exactly: what is added to one value is taken from the next."""

    def add(tensor):
        flat = tf.reshape(tensor, [-1])
        sign = tf.cast(1 - 2 * (tf.range(tf.size(flat)) % 2), flat.dtype)
        return tf.reshape(flat + size * sign, tf.shape(tensor))

    return add


def _turned(tensor):
    """The same values in the reverse order."""
    return tf.reshape(tf.reverse(tf.reshape(tensor, [-1]), [0]), tf.shape(tensor))


def _only_below(outputs):
    """The largest value stays what it is, others are lowered."""
    return tf.where(outputs < tf.reduce_max(outputs) / 2, outputs - 0.1, outputs)


HALF = behind(bent(lambda upstream: upstream / 2))
STOPPED = tf.stop_gradient
ONE_SIDED = "NaN or infinite on one side only"

FAULTS = (
    fault(
        "gradient-absent", "a parameter before stop_gradient: no gradient at all", "gap no-grad-detach",
        eager("lenet", "grad:fc2.bias", in_layer("fc2", call=weighted(bias=STOPPED)), "absent gradient"),
        eager("cifar", "grad:conv2.weight", in_layer("conv2", call=weighted(kernel=STOPPED)), "absent gradient"),
    ),
    fault(
        "gradient-zero", "a gradient of zeros, as a product with 0 leaves it", "gap opt-none-grad",
        eager("lenet", "grad:fc2.bias", in_layer("fc2", call=_bias_gradient(tf.zeros_like))),
        eager("mnist", "grad:conv1.weight", in_layer("conv1", call=_kernel_gradient(tf.zeros_like))),
    ),
    fault(
        "gradient-sign", "one gradient with its sign turned", "H8",
        eager("lenet", "grad:fc2.bias", in_layer("fc2", call=_bias_gradient(tf.negative))),
        eager("cifar", "grad:conv1.weight", in_layer("conv1", call=_kernel_gradient(tf.negative))),
    ),
    fault(
        "gradient-halved", "half of the gradient passed on by a layer without parameters", "gap mean-loss-scale",
        eager("lenet", "grad:fc1.bias", in_layer("relu3", call=HALF)),
        eager("small", "grad:bn3.bias", in_layer("relu3", call=HALF)),
        eager("mnist", "grad:conv2.bias", in_layer("pool2", call=HALF)),
    ),
    fault(
        "gradient-off-by-1e-9", "one gradient wrong in the tenth digit", "gap prec-keras-f32-detours",
        eager("lenet", "grad:fc1.weight", in_layer("fc1", call=_kernel_gradient(lambda g: g * (1 + 1e-9)))),
        eager("cifar", "grad:conv1.bias", in_layer("conv1", call=_bias_gradient(lambda g: g * (1 + 1e-9)))),
    ),
    fault(
        "gradient-noise", "noise of mean zero on one gradient, which sums and means do not show", "H8",
        eager("lenet", "grad:fc1.weight", in_layer("fc1", call=_kernel_gradient(_noise(1e-6)))),
        eager("mnist", "grad:conv2.weight", in_layer("conv2", call=_kernel_gradient(_noise(1e-6)))),
    ),
    fault(
        "gradient-permuted", "the right values of one gradient in another order", "H8",
        eager("lenet", "grad:conv2.weight", in_layer("conv2", call=_kernel_gradient(_turned))),
        eager("mlp", "grad:linear_relu_stack.2.bias", in_layer("linear_relu_stack.2", call=_bias_gradient(_turned))),
    ),
    fault(
        "gradient-of-the-input-lost", "the input not watched, or cut off by a conversion", "gap tape-watch",
        eager("lenet", "grad:input", in_layer("conv1", call=before(STOPPED)), "absent gradient"),
        eager("small", "grad:input", in_layer("conv1", call=before(STOPPED)), "absent gradient"),
    ),
    fault(
        "branch-detached", "no gradient through the shortcut", "gap no-grad-detach",
        eager("small", "grad:bn1.bias", in_layer("add", call=_detached_shortcut)),
        eager("small-train", "grad:bn1.bias", in_layer("add", call=_detached_shortcut)),
    ),
    fault(
        "bias-gradient-averaged", "a convolution's bias gets the mean over its map for the sum", "H8",
        eager("lenet", "grad:conv2.bias", in_layer("conv2", call=_averaged)),
        eager("cifar", "grad:conv1.bias", in_layer("conv1", call=_averaged)),
    ),
    fault(
        "maxpool-gradient-split", "reduce_max for max pooling: where several are the largest, each gets a share",
        "gap maxpool-tie-grad",
        eager("lenet-sample", "grad:input", in_layer("pool1", call=lambda _, __, x: _windows(x))),
        eager("mnist-sample", "grad:input", in_layer("pool1", call=lambda _, __, x: _windows(x))),
    ),
    fault(
        "nan-on-one-side", "NaN in one channel of the port", "gap log-softmax-stable",
        eager("lenet", "activation:conv2", in_layer("conv2", call=behind(_nan_in_one)), ONE_SIDED),
        eager("cifar", "activation:conv1", in_layer("conv1", call=behind(_nan_in_one)), ONE_SIDED),
    ),
    fault(
        "activation-noise", "noise of mean zero on an activation", "H8",
        eager("lenet", "activation:conv1", in_layer("conv1", call=behind(_noise(1e-9)))),
        eager("small", "activation:fc1", in_layer("fc1", call=behind(_noise(1e-9)))),
    ),
    fault(
        "activation-permuted", "the right values of an activation in another order", "H8",
        eager("cifar", "activation:conv2", in_layer("conv2", call=behind(_turned))),
        eager("small", "activation:pool2", in_layer("pool2", call=behind(_turned))),
    ),
    fault(
        "activation-lowered", "values lowered, none raised: the largest error with its sign is 0", "H8",
        eager("lenet", "activation:conv1", in_layer("conv1", call=behind(_only_below))),
        eager("small", "activation:conv2", in_layer("conv2", call=behind(_only_below))),
    ),
    survivor(
        "relu-gradient-at-zero", "max(x, 0) for ReLU, whose gradient at exactly 0 is 1",
        "the two differ at x = 0 alone, and no unit of these networks is there: inputs and weights are random numbers "
        "(gap relu-grad-0 has it measured where x is 0)",
        eager("lenet", "", in_layer("relu3", call=lambda _, __, x: tf.maximum(x, tf.zeros_like(x)))),
        eager("mlp", "", in_layer("linear_relu_stack.1", call=lambda _, __, x: tf.maximum(x, tf.zeros_like(x)))),
    ),
)  # fmt: skip
