"""Weights that arrive in the wrong order, place or type."""

from collections.abc import Callable
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.keras_internals import set_untracked
from keras_blitz.weights.layout import SAME, Layout
from keras_blitz.weights.mapped import Mapped, plain
from parity.faults.calls import before, behind
from parity.faults.fault import eager, fault
from parity.faults.plant import Plant, in_layer, together

Planting = Callable[[Plant], None]


def _laid(name: str, layout: Layout | Callable[[Layout], Layout]) -> Planting:
    """One weight copied in another layout."""

    def change(weight: Mapped) -> Mapped:
        if weight.name != name or weight.layout is None:
            return weight
        other = plain("", weight.variable, layout if isinstance(layout, Layout) else layout(weight.layout))
        return replace(other, name=name, trainable=weight.trainable)

    return lambda plant: plant.weights(lambda listed: [change(weight) for weight in listed])


def _exchanged(*pairs: tuple[str, str]) -> Planting:
    """Weights that each have the other's name."""
    names = {**dict(pairs), **{b: a for a, b in pairs}}
    return lambda plant: plant.weights(lambda listed: [replace(w, name=names.get(w.name, w.name)) for w in listed])


def _without(name: str) -> Planting:
    """A weight that the port does not have."""
    return lambda plant: plant.weights(lambda listed: [weight for weight in listed if weight.name != name])


def _loaded(change: Callable[[dict], dict]) -> Planting:
    """Another state_dict."""
    return lambda plant: plant.state(change)


def _changed(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Planting:
    """One tensor of the state_dict changed."""
    return _loaded(lambda state: {name: function(state[name])})


def _swapped_map(layout: Layout) -> Layout:
    """A dense kernel whose rows are taken in C, W, H order."""
    if layout.permutation is None:
        raise ValueError("expected the layout of a dense kernel after a Flatten")
    last, out, height, width = layout.permutation
    return replace(layout, permutation=(last, out, width, height))


def _reshaped(weight: np.ndarray) -> np.ndarray:
    outs, ins, height, width = weight.shape
    return weight.reshape(height, width, ins, outs).transpose(3, 2, 0, 1)


def _positional(layer: str) -> Planting:
    """Mean and variance in each other's place, as a list of arrays in another order leaves them."""
    return _exchanged((f"{layer}.running_mean", f"{layer}.running_var"))


def _fresh_buffers(state: dict) -> dict:
    means = {name: np.zeros_like(value) for name, value in state.items() if name.endswith("running_mean")}
    return means | {name: np.ones_like(value) for name, value in state.items() if name.endswith("running_var")}


def _fresh(*names: str) -> Planting:
    """Weights that were not loaded, and keep what the constructor drew."""
    return _loaded(
        lambda state: {name: np.random.RandomState(0).uniform(-0.1, 0.1, state[name].shape) for name in names}
    )


def _extra_bias(layer: str, size: int) -> Planting:
    """A bias of zeros where PyTorch has bias=False: no output differs until it is trained."""

    def plant(plant: Plant) -> None:
        bias = keras.Variable(np.zeros(size), dtype="float64", name="bias")
        plant.weights(lambda listed: [*listed, plain("bias", bias).below(layer)])
        plant.state(lambda state: {f"{layer}.bias": np.zeros(size)})
        plant.layer(layer, call=behind(lambda x: x + bias))

    return plant


def _no_bias(layer: str, dense: bool) -> Planting:
    def call(found, _, inputs, **__):
        kernel = tf.convert_to_tensor(found.kernel)
        return tf.matmul(inputs, kernel) if dense else tf.nn.conv2d(inputs, kernel, 1, "VALID")

    return together(_without(f"{layer}.bias"), in_layer(layer, call=call))


def _shared(name: str, first: str, second: str, attribute: str) -> Planting:
    """A variable of one layer used by another, too."""

    def change(model):
        layers = {layer.name: layer for layer in model.layers}
        set_untracked(layers[second], attribute, getattr(layers[first], attribute))

    return together(_without(f"{second}.{name}"), lambda plant: plant.network(change))


def _half(state: dict) -> dict:
    return {name: v.astype(np.float16).astype(v.dtype) for name, v in state.items() if v.dtype.kind == "f"}


SHUFFLED = behind(lambda x: tf.roll(x, 1, -1))
INTERLEAVED = before(lambda x: tf.concat([x[..., ::2], x[..., 1::2]], -1))

FAULTS = (
    fault(
        "flatten-order", "the dense kernel after a flatten copied with its rows in C, H, W order", "gap flatten-order",
        eager("lenet", "activation:fc1", _laid("fc1.weight", Layout((1, 0)))),
        eager("mnist", "activation:fc1", _laid("fc1.weight", Layout((1, 0)))),
        eager("small", "activation:fc1", _laid("fc1.weight", Layout((1, 0)))),
    ),
    fault(
        "flatten-map-transposed", "height and width exchanged in the flatten of a square map", "gap flatten-order",
        eager("lenet", "activation:fc1", _laid("fc1.weight", _swapped_map)),
        eager("cifar", "activation:fc1", _laid("fc1.weight", _swapped_map)),
    ),
    fault(
        "kernel-transposed", "height and width exchanged in a square kernel", "gap conv-weight-layout",
        eager("lenet", "activation:conv1", _laid("conv1.weight", Layout((3, 2, 1, 0)))),
        eager("cifar", "activation:conv2", _laid("conv2.weight", Layout((3, 2, 1, 0)))),
        eager("small", "activation:conv3", _laid("conv3.weight", Layout((3, 2, 1, 0)))),
    ),
    fault(
        "kernel-channels-swapped", "inputs and outputs exchanged in a kernel that has as many of both",
        "gap conv-weight-layout",
        eager("small", "activation:conv2", _laid("conv2.weight", Layout((2, 3, 0, 1)))),
        eager("small-train", "activation:conv2", _laid("conv2.weight", Layout((2, 3, 0, 1)))),
    ),
    fault(
        "kernel-reshaped", "a kernel reshaped until it fits, not transposed", "gap conv-weight-layout",
        eager("lenet", "param:conv2.weight", _changed("conv2.weight", _reshaped)),
        eager("cifar", "param:conv1.weight", _changed("conv1.weight", _reshaped)),
    ),
    fault(
        "linear-untransposed", "a square dense kernel copied without a transpose", "gap linear-transpose",
        eager("mlp", "activation:linear_relu_stack.2", _laid("linear_relu_stack.2.weight", SAME)),
        eager("small", "activation:fc2", _laid("fc2.weight", SAME)),
    ),
    fault(
        "gamma-beta-swapped", "BatchNorm's weight and bias exchanged", "gap opt-order-of-params",
        eager("small", "activation:bn1", _exchanged(("bn1.weight", "bn1.bias"))),
        eager("small-train", "activation:bn3", _exchanged(("bn3.weight", "bn3.bias"))),
    ),
    fault(
        "mean-variance-swapped", "running mean and variance exchanged", "gap opt-order-of-params",
        eager("small", "activation:bn2", _positional("bn2")),
        eager("small-train", "step1:buffer:bn1.running_mean", _positional("bn1")),
    ),
    fault(
        "buffers-not-loaded", "only parameters copied, BatchNorm's statistics left at 0 and 1", "gap bn-momentum",
        eager("small", "activation:bn1", _loaded(_fresh_buffers)),
        eager("small-train", "step1:buffer:bn1.running_mean", _loaded(_fresh_buffers)),
    ),
    fault(
        "layers-exchanged", "weights copied by position, two layers of the same shape exchanged",
        "gap opt-order-of-params",
        eager("small", "activation:bn1", _exchanged(*((f"bn1.{n}", f"bn2.{n}") for n in ("weight", "bias")))),
        eager("mlp", "activation:linear_relu_stack.0",
              _exchanged(("linear_relu_stack.0.bias", "linear_relu_stack.2.bias"))),
    ),
    fault(
        "parameter-dropped", "a layer without its bias", "gap init-conv-linear-default",
        eager("lenet", "param:conv2.bias", _no_bias("conv2", dense=False), "missing in the port"),
        eager("small", "param:fc1.bias", _no_bias("fc1", dense=True), "missing in the port"),
    ),
    fault(
        "parameter-added", "a bias, zero at first, where PyTorch has bias=False", "gap init-conv-linear-default",
        eager("small", "param:conv1.bias", _extra_bias("conv1", 6), "only in the port"),
        eager("small-train", "param:conv3.bias", _extra_bias("conv3", 8), "only in the port"),
    ),
    fault(
        "parameter-tied", "two layers share a parameter", "gap opt-order-of-params",
        eager("small", "param:bn2.weight", _shared("weight", "bn1", "bn2", "gamma"), "missing in the port"),
        eager("mlp", "param:linear_relu_stack.2.bias",
              _shared("bias", "linear_relu_stack.0", "linear_relu_stack.2", "bias"), "missing in the port"),
    ),
    fault(
        "layer-not-loaded", "strict=False: a layer keeps its initial values", "gap opt-order-of-params",
        eager("lenet", "param:fc3.weight", _fresh("fc3.weight", "fc3.bias")),
        eager("cifar", "param:conv2.bias", _fresh("conv2.bias")),
    ),
    fault(
        "half-checkpoint", "weights saved in float16", "gap autocast-input-f32",
        eager("lenet", "param:conv1.weight", _loaded(_half)),
        eager("mlp", "param:linear_relu_stack.0.weight", _loaded(_half)),
    ),
    fault(
        "classes-reordered", "the head's classes in another order", "gap data-imagefolder-order",
        eager("lenet", "param:fc3.weight", _changed("fc3.weight", lambda w: np.roll(w, 1, 0))),
        eager("cifar", "param:fc3.bias", _changed("fc3.bias", lambda w: w[::-1])),
    ),
    fault(
        "kernel-bgr", "the first kernel's colors in the order of OpenCV", "gap data-totensor",
        eager("cifar", "param:conv1.weight", _changed("conv1.weight", lambda w: w[:, ::-1])),
        eager("small", "param:conv1.weight", _changed("conv1.weight", lambda w: w[:, ::-1])),
    ),
    fault(
        "channels-shuffled", "a layer's channels in another order", "gap conv-depthwise-layout",
        eager("cifar", "activation:conv1", in_layer("conv1", call=SHUFFLED)),
        eager("small", "activation:relu3", in_layer("relu3", call=SHUFFLED)),
        eager("lenet", "activation:conv2", in_layer("conv2", call=SHUFFLED)),
    ),
    fault(
        "groups-interleaved", "grouped convolution over every other channel", "gap conv-groups",
        eager("small", "activation:conv3", in_layer("conv3", call=INTERLEAVED)),
        eager("small-train", "activation:conv3", in_layer("conv3", call=INTERLEAVED)),
    ),
)  # fmt: skip
