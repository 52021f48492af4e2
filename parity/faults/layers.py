"""Layers that compute something else: padding, pooling, activations, shortcuts, dropout."""

import tensorflow as tf

from keras_blitz.layers import MaxPool2d
from parity.faults.calls import at_training, before, behind, skipped, weighted
from parity.faults.fault import eager, fault, graph, survivor
from parity.faults.plant import Plant, in_layer, together


def _same(layer, _, inputs):
    """TensorFlow's SAME: at stride 2 on an even size 0 before and 1 after."""
    return tf.nn.conv2d(inputs, layer.kernel, layer.stride, "SAME")


def _same_in_groups(layer, _, inputs):
    parts = zip(tf.split(inputs, 2, -1), tf.split(tf.convert_to_tensor(layer.kernel), 2, -1), strict=True)
    return tf.concat([tf.nn.conv2d(x, kernel, layer.stride, "SAME") for x, kernel in parts], -1)


def _all_behind(layer, _, inputs):
    """As much padding as there should be, none of it before the image."""
    outputs = tf.nn.conv2d(tf.pad(inputs, [[0, 0], [0, 2], [0, 2], [0, 0]]), layer.kernel, layer.stride, "VALID")
    return outputs if layer.bias is None else outputs + layer.bias


def _reflected(layer, _, inputs):
    padded = tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")
    outputs = tf.nn.conv2d(padded, layer.kernel, layer.stride, "VALID")
    return outputs if layer.bias is None else outputs + layer.bias


def _zero_padded(_, __, inputs):
    return tf.nn.max_pool2d(tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 2, "VALID")


def _plus_relu(layer, call, inputs):
    return tf.nn.relu(call(inputs))


def _with_last_relu(plant: Plant) -> None:
    """A ReLU after the last layer, as an edition of the tutorial has it."""
    plant.layer("", call=behind(tf.nn.relu))


def _without_shortcut(_, __, inputs):
    return inputs[0]


def _shortcut_from(name: str):
    """The shortcut taken at another layer's output than PyTorch's, where that overwrites it in place."""

    def plant(plant: Plant) -> None:
        kept = {}

        def keep(_, call, inputs):
            kept["x"] = call(inputs)
            return kept["x"]

        plant.layer(name, call=keep)
        plant.layer("add", call=lambda _, call, inputs: call([inputs[0], kept["x"]]))

    return plant


def _relu_first(layer, call, inputs, **options):
    return call(tf.nn.relu(inputs), **options)


def _unscaled(layer, call, inputs, **options):
    return call(inputs, **options) * (1 - layer.rate)


def _own_mask(layer, _, inputs, **__):
    return tf.nn.experimental.stateless_dropout(inputs, layer.rate, seed=(0, 1))


def _one_a_channel(layer, _, inputs, **__):
    """Whole channels dropped."""
    mask = tf.constant(layer.mask(tuple(inputs.shape)), inputs.dtype)
    return inputs * (mask[:, :1, :1] if inputs.shape.rank == 4 else mask[:, :1])


def _twice(_, __, inputs):
    return tf.nn.relu(tf.nn.relu(inputs))


def _flipped(kernel):
    """A convolution as mathematics has it."""
    return kernel[::-1, ::-1]


def _with_ceil(_, __, inputs):
    return MaxPool2d(2, ceil_mode=True, dtype=inputs.dtype.name)(inputs)


def _average(_, __, inputs):
    return tf.nn.avg_pool2d(inputs, 2, 2, "VALID")


def _pool_then_relu(plant: Plant) -> None:
    plant.layer("relu1", call=skipped)
    plant.layer("pool1", call=behind(tf.nn.relu))


TRANSPOSED = before(lambda x: tf.transpose(x, (0, 2, 1, 3)))

FAULTS = (
    fault(
        "same-at-stride-2", 'padding="same" for PyTorch\'s padding=1 at stride 2', "gap conv-same-stride2",
        eager("small", "activation:conv1", in_layer("conv1", call=_same)),
        eager("small", "activation:conv3", in_layer("conv3", call=_same_in_groups)),
        eager("resnet18", "activation:layer3.0.conv1", in_layer("layer3.0.conv1", call=_same)),
    ),
    fault(
        "padding-on-one-side", "all of the padding after the image", "gap conv-even-kernel-same",
        eager("small", "activation:conv2", in_layer("conv2", call=_all_behind)),
        eager("small-train", "activation:conv1", in_layer("conv1", call=_all_behind)),
    ),
    fault(
        "padding-reflected", "the image mirrored into the padding, where PyTorch has zeros", "gap conv-padding-mode",
        eager("small", "activation:conv2", in_layer("conv2", call=_reflected)),
        eager("small-train", "activation:conv1", in_layer("conv1", call=_reflected)),
    ),
    fault(
        "kernel-flipped", "a true convolution, the kernel turned by 180°", "gap conv-weight-layout",
        eager("lenet", "activation:conv1", in_layer("conv1", call=weighted(kernel=_flipped))),
        eager("mnist", "activation:conv2", in_layer("conv2", call=weighted(kernel=_flipped))),
    ),
    fault(
        "bias-added-twice", "a bias in the layer and after it", "H8",
        eager("lenet", "activation:conv1", in_layer("conv1", call=weighted(bias=lambda b: 2 * b))),
        eager("mlp", "activation:linear_relu_stack.4",
              in_layer("linear_relu_stack.4", call=weighted(bias=lambda b: 2 * b))),
    ),
    fault(
        "maxpool-zero-padding", "max pooling over zeros where PyTorch pads with −∞", "gap maxpool-pad-zero",
        eager("small", "activation:pool1", in_layer("pool1", call=_zero_padded)),
        eager("small-train", "activation:pool1", in_layer("pool1", call=_zero_padded)),
    ),
    fault(
        "maxpool-same", 'padding="same" for PyTorch\'s padding=1: windows one further', "gap maxpool-same",
        *(eager(case, "activation:pool1", in_layer("pool1", call=lambda *a: tf.nn.max_pool2d(a[-1], 3, 2, "SAME")))
          for case in ("small", "small-train")),
    ),
    fault(
        "avgpool-padding-uncounted", "the mean of what is within the image alone", "gap avgpool-count-include-pad",
        eager("small", "activation:pool2", in_layer("pool2", count_include_pad=False)),
        eager("small-train", "activation:pool2", in_layer("pool2", count_include_pad=False)),
    ),
    fault(
        "average-for-max", "the mean of a window for its maximum", "H8",
        eager("cifar", "activation:pool", in_layer("pool", call=_average)),
        eager("lenet", "activation:conv2", in_layer("pool1", call=_average)),
    ),
    fault(
        "relu-dropped", "a ReLU left out", "H8",
        eager("lenet", "activation:conv2", in_layer("relu1", call=skipped)),
        eager("small", "activation:relu3", in_layer("relu3", call=skipped)),
        eager("mlp", "activation:linear_relu_stack.3", in_layer("linear_relu_stack.3", call=skipped)),
    ),
    fault(
        "relu-behind-the-head", "a ReLU too many, after the last layer", "the tutorial's earlier edition",
        eager("mlp", "output", _with_last_relu),
        eager("lenet", "output", _with_last_relu),
    ),
    fault(
        "relu-in-the-layer", "activation='relu' in a layer that has none", "H8",
        eager("cifar", "activation:fc3", in_layer("fc3", call=behind(tf.nn.relu))),
        eager("small", "activation:conv1", in_layer("conv1", call=_plus_relu)),
    ),
    fault(
        "leaky-relu", "a leaky ReLU for a ReLU", "gap leaky-relu-slope",
        eager("lenet", "activation:fc2", in_layer("relu3", call=lambda _, __, x: tf.nn.leaky_relu(x, 0.01))),
        eager("small", "activation:relu1", in_layer("relu1", call=lambda _, __, x: tf.nn.leaky_relu(x, 0.01))),
    ),
    fault(
        "relu-before-batchnorm", "ReLU and BatchNorm exchanged", "H8",
        eager("small", "activation:bn3", together(in_layer("bn3", call=_relu_first), in_layer("relu3", call=skipped))),
        eager("small-train", "activation:bn2", in_layer("bn2", call=_relu_first)),
    ),
    fault(
        "shortcut-lost", "a residual connection left out", "H8",
        eager("small", "activation:relu2", in_layer("add", call=_without_shortcut)),
        eager("small-train", "activation:relu2", in_layer("add", call=_without_shortcut)),
    ),
    fault(
        "shortcut-before-relu", "the shortcut taken before the ReLU, which in PyTorch overwrites it in place",
        "gap inplace-version",
        eager("small", "activation:relu2", _shortcut_from("pool1")),
        eager("small-train", "activation:relu2", _shortcut_from("pool1")),
    ),
    fault(
        "softmax-in-the-model", "softmax after the last layer, and a loss that takes logits", "gap ce-logits",
        eager("cifar", "output", in_layer("", call=behind(tf.nn.softmax))),
        eager("mnist", "output", in_layer("", call=behind(tf.nn.softmax))),
    ),
    fault(
        "map-transposed", "height and width of a square image exchanged on the way into the network",
        "gap data-totensor",
        eager("lenet", "activation:conv1", in_layer("conv1", call=TRANSPOSED)),
        eager("cifar", "activation:conv1", in_layer("", call=TRANSPOSED)),
    ),
    fault(
        "dropout-left-on", "dropout in eval mode", "gap f-dropout-functional",
        eager("small", "activation:drop1", in_layer("drop1", call=at_training(True))),
        eager("small", "activation:drop2", in_layer("drop2", call=at_training(True))),
    ),
    fault(
        "dropout-off", "no dropout in train mode", "gap default-train-mode",
        eager("small-train", "activation:drop1", in_layer("drop1", call=at_training(False))),
        eager("small-train", "activation:drop2", in_layer("drop2", call=at_training(False))),
    ),
    fault(
        "dropout-unscaled", "what is kept not divided by 1 − p", "gap dropout-scale-f64",
        eager("small-train", "activation:drop1", in_layer("drop1", call=_unscaled)),
        eager("small-train", "activation:drop2", in_layer("drop2", call=_unscaled)),
    ),
    fault(
        "dropout-keep-probability", "p taken for the probability to keep", "gap dropout-rng",
        eager("small-train", "activation:drop1", in_layer("drop1", rate=0.7)),
        eager("small-frozen", "activation:drop2", in_layer("drop2", rate=0.7)),
    ),
    fault(
        "dropout-own-mask", "a mask from Keras's seed", "gap dropout-rng",
        eager("small-train", "activation:drop1", in_layer("drop1", call=_own_mask)),
        eager("small-train", "activation:drop2", in_layer("drop2", call=_own_mask)),
    ),
    fault(
        "dropout-of-channels", "Dropout2d for Dropout", "gap dropout2d",
        eager("small-train", "activation:drop1", in_layer("drop1", call=_one_a_channel)),
        eager("small-frozen", "activation:drop1", in_layer("drop1", call=_one_a_channel)),
    ),
    survivor(
        "relu-twice", "a ReLU after a ReLU",
        "ReLU is idempotent, in its gradient too: relu(relu(x)) = relu(x), and where that is positive both pass it on",
        eager("lenet", "", in_layer("relu1", call=_twice)),
        eager("small", "", in_layer("relu3", call=_twice)),
    ),
    survivor(
        "relu-behind-the-pool", "ReLU and max pooling exchanged",
        "both are monotone and so commute; where a window's maximum is negative neither order has a gradient",
        eager("lenet", "", _pool_then_relu),
        eager("mnist", "", _pool_then_relu),
    ),
    survivor(
        "maxpool-ceil-mode", "ceil_mode for max pooling of maps that the window divides",
        "⌈n/2⌉ = ⌊n/2⌋ for even n: there is no incomplete window to keep",
        eager("lenet", "", in_layer("pool1", call=_with_ceil)),
        eager("cifar", "", in_layer("pool", call=_with_ceil)),
    ),
    survivor(
        "maxpool-zero-behind-relu", "max pooling over zeros, where PyTorch pads with −∞, after a ReLU",
        "nothing after a ReLU is below zero; where all of a window is zero the padding takes the gradient, which ReLU "
        "would have stopped (gap maxpool-zero-after-relu)",
        eager("resnet18", "", in_layer("maxpool", call=_zero_padded)),
        graph("resnet18-train", "", in_layer("maxpool", call=_zero_padded)),
    ),
)  # fmt: skip
