"""Mistakes in the model: a layer with another argument, another layer, one too few, other inputs."""

import keras
from keras import layers, ops

from parity.faults.door.handed import (
    appended,
    configured,
    dropped,
    inputs,
    keras_model,
    prepended,
    rebuilt,
    replaced,
    together,
    torch_module,
    with_config,
)
from parity.faults.door.images import SeparableKeras
from parity.faults.door.mistake import at, refused
from parity.faults.door.sequences import text
from parity.faults.fault import fault


def function(of, **options):
    """Return what makes a Lambda in place of a layer."""
    return lambda layer: layers.Lambda(of, **options)


def nothing(layer):
    """Return a layer that does nothing."""
    return layers.Identity()


def first_of(layer):
    """Return a layer that passes on the first of its inputs."""
    return layers.Lambda(lambda values: values[0], name="first")


def reversed_concatenation(layer):
    """Return a concatenation in the other order."""
    return layers.Lambda(lambda values: ops.concatenate(values[::-1], -1), name="reversed")


def text_with(**options):
    """Return what hands over the text classifier with other arguments."""
    return keras_model(lambda _: text(**options).model)


def swapped_outputs(model):
    """Return a functional model with its outputs in the other order."""
    return keras.Model(model.inputs, model.outputs[::-1])


def swapped_names(model):
    """Return a model of outputs by name, each under the other's name."""
    made = model(model.inputs)
    return keras.Model(model.inputs, {"label": made["value"], "value": made["label"]})


def swapped_inputs(model):
    """Return a functional model with its inputs in the other order."""
    return keras.Model(model.inputs[::-1], model.outputs)


def second_input_twice(model):
    """Return a model of two inputs that makes use of the second alone."""
    return keras.Model(model.inputs, model([model.inputs[1]] * 2))


def tanh_gelu(layer):
    """Return GELU by its approximation."""
    return layers.Lambda(lambda x: ops.gelu(x, approximate=True), name="tanh_gelu")


SAME = with_config(padding="same", output_padding=None)

MISTAKES = (
    fault(
        "door-same-padding", "`padding=\"same\"` for PyTorch's padding, at stride 2", "gap conv-same-stride2",
        at("conv-bn", "activation:0", together(dropped("pad"), configured("conv", padding="same"))),
        at("conv1d", "activation:conv2", together(dropped("pad"), configured("second", padding="same"))),
    ),
    fault(
        "door-ceil-mode", "a pool that rounds down for `ceil_mode=True`", "gap maxpool-ceil-mode",
        at("separable", "activation:pool", keras_model(lambda _: SeparableKeras("valid", 1))),
        refused("separable", "maxpool-ceil-mode", keras_model(lambda _: SeparableKeras("valid"))),
    ),
    fault(
        "door-bn-eps", "BatchNormalization's own epsilon", "gap bn-eps-default",
        at("conv-bn", "activation:1", configured("bn", epsilon=1e-3)),
        at("residual", "activation:bn1", configured("bn1", epsilon=1e-3)),
        at("conv1d", "activation:bn1", configured("norm", epsilon=1e-3)),
    ),
    fault(
        "door-layernorm-eps", "LayerNormalization's own epsilon", "gap layernorm-eps",
        at("bag", "activation:norm", configured("norm", epsilon=1e-3)),
        at("transformer", "activation:norm1", configured("before", epsilon=1e-3)),
    ),
    fault(
        "door-groupnorm-eps", "GroupNormalization's own epsilon", "gap groupnorm",
        at("unet", "activation:down.1", configured("left_norm", epsilon=1e-3)),
        at("instance-norm", "activation:norm", configured("group", epsilon=1e-3)),
    ),
    fault(
        "door-groups", "another number of groups", "mistaken argument",
        at("unet", "activation:bottom.1", configured("bottom_norm", groups=4)),
        at("instance-norm", "activation:norm", configured("group", groups=1)),
    ),
    fault(
        "door-gelu-form", "GELU by its approximation", "gap gelu-tanh",
        at("transformer", "activation:mlp.1", replaced("gelu", tanh_gelu)),
        at("two-heads", "activation:label", replaced("gelu", tanh_gelu)),
    ),
    fault(
        "door-leaky-slope", "LeakyReLU's own slope", "gap leaky-relu-slope",
        at("averaged", "activation:1", configured("leaky", negative_slope=0.3)),
        at("averaged", "activation:1", replaced("leaky", lambda _: layers.ReLU(name="relu"))),
    ),
    fault(
        "door-softmax-axis", "a softmax over another axis", "mistaken argument",
        at("pooled", "activation:softmax", configured("softmax", axis=-1)),
        at("probabilities", "activation:1", replaced("Activation", function(lambda x: ops.log_softmax(x, 0)))),
    ),
    fault(
        "door-activation", "another activation", "mistaken argument",
        at("mlp-momentum", "activation:1", configured("tanh", activation="relu")),
        at("lenet", "activation:fc2", configured("fc1", activation="elu")),
        at("bag", "activation:fc", configured("silu", activation="gelu")),
    ),
    fault(
        "door-activation-lost", "an activation left out", "mistaken argument",
        at("lenet", "activation:fc3", configured("fc2", activation=None)),
        at("residual", "activation:conv2", dropped("relu1")),
        at("averaged", "output", dropped("softplus")),
    ),
    fault(
        "door-hard-sigmoid", "gates with a hard sigmoid, as Keras 1 had them", "Keras 1",
        at("text", "activation:lstm", text_with(recurrent_activation="hard_sigmoid")),
        at("lstm", "activation:rnn", configured("lstm", recurrent_activation="hard_sigmoid")),
        at("gru", "activation:rnn", configured("gru", recurrent_activation="hard_sigmoid")),
    ),
    fault(
        "door-reset-after", "a GRU that resets before the product", "gap gru-map",
        at("gru", "activation:rnn", configured("gru", reset_after=False)),
        at("text", "activation:gru", text_with(reset_after=False)),
    ),
    fault(
        "door-time-reversed", "a recurrent layer that runs backwards", "mistaken argument",
        at("lstm", "activation:rnn", configured("lstm", go_backwards=True)),
        at("gru", "activation:rnn", configured("gru", go_backwards=True)),
    ),
    fault(
        "door-transposed-same", "a transposed convolution with `padding=\"same\"`", "gap convtranspose-same",
        at("unet", "activation:up", rebuilt({"crop": nothing, "right": SAME})),
        at("unet", "activation:up", configured("crop", cropping=((0, 2), (0, 2)))),
    ),
    fault(
        "door-pool-kind", "the mean for the maximum, or the other way round", "mistaken argument",
        at("lenet", "activation:conv2", replaced("pool1", lambda _: layers.AveragePooling2D(2, name="mean"))),
        at("averaged", "activation:2", replaced("pool", lambda _: layers.MaxPooling2D(2, name="max"))),
        at("bag", "activation:norm", replaced("mean", function(lambda x: ops.max(x, 1)))),
    ),
    fault(
        "door-shortcut-lost", "a residual connection left out", "mistaken wiring",
        at("residual", "activation:fc", replaced("add", first_of)),
        at("transformer", "activation:norm2", replaced("add1", first_of)),
    ),
    fault(
        "door-concatenation-order", "a concatenation in the other order", "mistaken wiring",
        at("unet", "activation:out", replaced("both", reversed_concatenation)),
        at("two-heads", "activation:label", replaced("both", reversed_concatenation)),
    ),
    fault(
        "door-average-for-sum", "branches averaged instead of added", "mistaken wiring",
        at("residual", "activation:fc", replaced("add", lambda _: layers.Average(name="average"))),
        at("transformer", "activation:norm2", replaced("add1", lambda _: layers.Average(name="average"))),
    ),
    fault(
        "door-dilation", "a dilation that PyTorch has not", "mistaken argument",
        at("conv1d", "activation:conv1", configured("first", dilation_rate=2)),
        at("scaled-inputs", "activation:conv", configured("conv", dilation_rate=2)),
    ),
    fault(
        "door-heads", "another number of heads of the same width together", "mistaken argument",
        at("transformer", "activation:attention", configured("attention", num_heads=4, key_dim=2, value_dim=2)),
        at("across", "activation:attention", configured("attention", num_heads=4, key_dim=2, value_dim=2)),
    ),
    fault(
        "door-key-scaled", "something more before an attention's keys", "mistaken wiring",
        at("across", "activation:attention", replaced("key", lambda _: layers.Rescaling(1.1, name="more"))),
        at("across", "activation:attention", replaced("key", lambda _: layers.Activation("tanh", name="more"))),
    ),
    fault(
        "door-masked", "`mask_zero`, where PyTorch embeds the padding too", "public reports of padded sequences",
        at("text", "activation:lstm", configured("words", mask_zero=True)),
        at("bag", "activation:norm", configured("words", mask_zero=True)),
    ),
    fault(
        "door-softmax-before-the-loss", "a softmax in the model and in the loss", "public reports",
        at("mlp-momentum", "output", appended(lambda: layers.Softmax(name="softmax"))),
        at("lenet", "output", appended(lambda: layers.Softmax(name="softmax"))),
    ),
    fault(
        "door-output-order", "the auxiliary output first", "public reports",
        at("auxiliary", "output:0", keras_model(swapped_outputs)),
        at("two-heads", "output:label", keras_model(swapped_names)),
    ),
    fault(
        "door-input-order", "inputs of one shape in the other order", "public reports",
        at("difference", "activation:left", keras_model(swapped_inputs)),
        at("difference", "activation:left", keras_model(second_input_twice)),
    ),
    fault(
        "door-channels-last-given", "inputs in Keras's layout", "public reports",
        refused("lenet", "the PyTorch module, given (3, 32, 32, 1)", inputs(lambda x: x.transpose(0, 2, 3, 1))),
        refused("conv-bn", "the PyTorch module, given (3, 12, 16, 3)", inputs(lambda x: x.transpose(0, 2, 3, 1))),
    ),
    fault(
        "door-bgr", "blue first", "public reports",
        at("scaled-inputs", "activation:conv", prepended(lambda: layers.Lambda(lambda x: x[..., ::-1], name="bgr"))),
        at("residual", "activation:conv1", prepended(lambda: layers.Lambda(lambda x: x[..., ::-1], name="bgr"))),
    ),
    fault(
        "door-pixel-scale", "pixels scaled otherwise", "public reports",
        at("scaled-inputs", "activation:conv", configured("scale", scale=1 / 255)),
        at("scaled-inputs", "activation:conv", configured("scale", offset=0.0)),
        at("lenet", "activation:conv1", prepended(lambda: layers.Rescaling(1 / 255, name="more"))),
    ),
    fault(
        "door-width-for-height", "height and width exchanged", "mistaken layout",
        at("lenet", "activation:conv1", prepended(lambda: layers.Permute((2, 1, 3), name="turned"))),
        at("lenet-blitz", "activation:conv1", prepended(lambda: layers.Permute((2, 1, 3), name="turned"))),
    ),
    fault(
        "door-tokens-shifted", "tokens counted from one", "public reports",
        at("text", "activation:embedding", prepended(lambda: layers.Lambda(lambda x: (x + 1) % 30, name="shift"))),
        at("bag", "activation:words", prepended(lambda: layers.Lambda(lambda x: (x + 1) % 30, name="shift"))),
    ),
    fault(
        "door-pytorch-changed", "PyTorch's module was changed after the port was written", "mistaken argument",
        at("conv-bn", "activation:1", torch_module(lambda module: setattr(module[1], "eps", 1e-3))),
        at("averaged", "activation:1", torch_module(lambda module: setattr(module[1], "negative_slope", 0.01))),
        at("bag", "activation:norm", torch_module(lambda module: setattr(module.norm, "eps", 1e-6))),
    ),
)  # fmt: skip
