"""The likely reasons of a difference: each candidate holds for its mistake, and is silent about another."""

import re
from dataclasses import replace
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from stand_ins import keras_call, layer, module

from keras_blitz.layers import BatchNorm
from keras_blitz.weights import kinds
from keras_blitz.weights.layout import by_rank
from keras_blitz.weights.mapped import Mapped
from parity.core.compare import Row
from parity.gaps import catalogue
from parity.pair import hints
from parity.pair.hints.clue import called_with
from parity.pair.pairing import Pairing
from parity.pair.units import Unit

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn
F64 = {"dtype": "float64"}


def same_weights(theirs, ours):
    """Give a Keras layer a PyTorch module's kernel and bias."""
    for variable in ours.weights:
        name, layout = kinds.of_keras(ours).weights[variable.name]
        if getattr(theirs, name) is not None:  # running statistics, which a module may be told not to keep
            variable.assign(layout.to_keras(getattr(theirs, name).detach().numpy()))


def clue(theirs, ours, shape, change=None, ring=0.0):
    """Run both on the same numbers, in PyTorch's shape.

    Args:
        theirs: () -> PyTorch's module.
        ours: () -> Keras's layer.
        shape: PyTorch's.
        change: what else is wrong with Keras's layer.
        ring: of a picture, how many zeros are around what Keras's layer is given.
    """
    torch.manual_seed(0)
    theirs = theirs().double().eval()
    x = torch.tensor(8 * np.random.RandomState(0).standard_normal(shape))  # beyond relu6's 6, and softplus's 20
    expected = theirs(x).detach().numpy()
    given = by_rank(x.ndim).to_keras(x.numpy())
    given = np.pad(given, [(0, 0), (ring, ring), (ring, ring), (0, 0)]) if ring else given
    made = ours()
    made(given)
    same_weights(theirs, made)
    if change:
        change(made)
    result = made(given).numpy()
    layout = by_rank(result.ndim)
    call = keras_call(made, given, result)
    return hints.Clue(theirs, call, given, layout.to_torch(result), expected, layout, train=False, bound=1e-12)


class Resize(nn.Module):
    """A resize as people call it, by a function."""

    def __init__(self, **options):
        super().__init__()
        self.options = options

    def forward(self, x):
        return nn.functional.interpolate(x, **self.options)


class Quick(nn.Module):
    """The fast form of gelu, as in CLIP and GPT-2's forerunners."""

    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Scaled(nn.Module):
    """An activation of one's own."""

    def forward(self, x):
        return torch.clip(0.2 * x + 0.5, 0, 1)


def symmetric(x):
    """Pad by one on each side, and repeat the border."""
    return tf.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], "SYMMETRIC")


def said(text):
    """Return the gap that a hint names."""
    return re.findall(r"see `parity gaps (\S+)`", text)


PICTURE, FEATURES = (2, 4, 8, 6), (5, 7)
# PyTorch's module, Keras's layer with one mistake, PyTorch's shape, the gap, more that is said
MISTAKES = {
    "epsilon-of-batchnorm": (
        lambda: nn.BatchNorm2d(4), lambda: layers.BatchNormalization(**F64), PICTURE, "bn-eps-default",
        "eps is 1e-05 in PyTorch, 0.001 in Keras",
    ),
    "epsilon-of-layernorm": (
        lambda: nn.LayerNorm(7), lambda: layers.LayerNormalization(**F64), FEATURES, "layernorm-eps",
        "eps is 1e-05 in PyTorch, 0.001 in Keras",
    ),
    "epsilon-of-groupnorm": (
        lambda: nn.GroupNorm(2, 4), lambda: layers.GroupNormalization(2, **F64), PICTURE, "groupnorm",
        "eps is 1e-05 in PyTorch, 0.001 in Keras",
    ),
    "gelu-by-tanh": (
        nn.GELU, lambda: layers.Activation(lambda x: keras.ops.gelu(x, approximate=True), **F64), (5, 7), "gelu",
        "PyTorch's is gelu (erf), Keras's is gelu (tanh)",
    ),
    "slope-of-leaky-relu": (
        nn.LeakyReLU, lambda: layers.LeakyReLU(**F64), (5, 7), "leaky-relu-slope",
        "PyTorch's is leaky_relu(0.01), Keras's is leaky_relu(0.3)",
    ),
    "another-activation": (
        nn.SiLU, lambda: layers.Activation("tanh", **F64), (5, 7), None, "PyTorch's is silu, Keras's is tanh",
    ),
    "no-activation": (
        nn.ReLU6, lambda: layers.Identity(**F64), (5, 7), None, "PyTorch's is relu6, Keras's is identity",
    ),
    "same-padding-in-a-convolution": (
        lambda: nn.Conv2d(4, 3, 3, stride=2, padding=1),
        lambda: layers.Conv2D(3, 3, strides=2, padding="same", **F64), PICTURE, "conv-same-stride2",
        "with (1, 1) padded on each side",
    ),
    "same-padding-before-an-activation": (
        lambda: nn.Conv2d(4, 3, 3, stride=2, padding=(1, 1)),
        lambda: layers.Conv2D(3, 3, strides=2, padding="same", activation="tanh", **F64), PICTURE,
        "conv-same-stride2", "padding='valid' it agrees",
    ),
    "same-padding-in-a-sequence": (
        lambda: nn.Conv1d(5, 3, 3, stride=2, padding=1),
        lambda: layers.Conv1D(3, 3, strides=2, padding="same", **F64), (2, 5, 8), "conv-same-stride2",
        "with (1,) padded on each side",
    ),
    "same-padding-in-a-pool": (
        lambda: nn.MaxPool2d(3, stride=2, padding=1), lambda: layers.MaxPooling2D(3, 2, "same", **F64), PICTURE,
        "maxpool-same", "with (1, 1) padded on each side",
    ),
    "same-padding-in-a-transposed-convolution": (
        lambda: nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
        lambda: layers.Conv2DTranspose(3, 3, strides=2, padding="same", **F64), PICTURE, "convtranspose-same",
        "cropped by (1, 1) in front agrees",
    ),
    "groups": (
        lambda: nn.GroupNorm(4, 4), lambda: layers.GroupNormalization(2, epsilon=1e-5, **F64), PICTURE, "groupnorm",
        "PyTorch has 4 groups, Keras 2",
    ),
    "statistics-of-the-batch": (
        lambda: nn.BatchNorm2d(4, track_running_stats=False),
        lambda: layers.BatchNormalization(epsilon=1e-5, **F64), PICTURE, "bn-track-false", "with training=True",
    ),
    "gelu-by-erf": (
        lambda: nn.GELU("tanh"), lambda: layers.Activation(lambda x: keras.ops.gelu(x, approximate=False), **F64),
        FEATURES, "gelu-tanh", "PyTorch's is gelu (tanh), Keras's is gelu (erf)",
    ),
    "hard-sigmoid-of-keras-2": (
        nn.Hardsigmoid, lambda: layers.Activation(lambda x: tf.clip_by_value(0.2 * x + 0.5, 0, 1), **F64), FEATURES,
        None, "hard_sigmoid (x/6 + 0.5), Keras's is hard_sigmoid (0.2·x + 0.5)",
    ),
    "quick-gelu-in-pytorch": (
        Quick, lambda: layers.Activation("gelu", **F64), FEATURES, None, "PyTorch's is gelu (x·sigmoid(1.702·x))",
    ),
    "quick-gelu-in-keras": (
        nn.GELU, lambda: layers.Activation(lambda x: x * tf.sigmoid(1.702 * x), **F64), FEATURES, "gelu",
        "Keras's is gelu (x·sigmoid(1.702·x))",
    ),
    "hard-swish-of-keras-2": (
        nn.Hardswish, lambda: layers.Activation(lambda x: x * tf.clip_by_value(0.2 * x + 0.5, 0, 1), **F64), FEATURES,
        None, "hard_swish (x·(x/6 + 0.5)), Keras's is hard_swish (x·(0.2·x + 0.5))",
    ),
    "antialias-in-keras": (
        lambda: Resize(size=(5, 4), mode="bilinear"), lambda: layers.Resizing(5, 4, antialias=True, **F64), PICTURE,
        None, "PyTorch's is bilinear, Keras's is bilinear, antialias=True",
    ),
    "align-corners-of-cubic-ones": (
        lambda: Resize(size=(16, 12), mode="bicubic", align_corners=True),
        lambda: layers.Resizing(16, 12, "bicubic", **F64), PICTURE, "upsample-align-corners", "align_corners=True",
    ),
    "a-factor-of-its-own": (
        nn.Identity, lambda: layers.Rescaling(1 / 255.0, **F64), FEATURES, None, "PyTorch's is 255 × Keras's",
    ),
    "sigmoid-for-a-hard-one": (
        Scaled, lambda: layers.Activation("sigmoid", **F64), FEATURES, None, "PyTorch's is hard_sigmoid (0.2·x + 0.5)",
    ),
    "softplus-above-20": (
        nn.Softplus, lambda: layers.Activation("softplus", **F64), (40, 40), "softplus-threshold", "x itself above 20",
    ),
    "softmax-over-another-axis": (
        lambda: nn.Softmax(1), lambda: layers.Softmax(axis=1, **F64), PICTURE, "softmax-implicit-dim",
        "PyTorch's is softmax(dim=1), Keras's is softmax(dim=2)",
    ),
    "softmax-in-the-model": (
        nn.Identity, lambda: layers.Softmax(**F64), FEATURES, "ce-softmax-in-model", "Keras's is softmax(dim=1)",
    ),
    "zeros-for-a-mirrored-border": (
        lambda: nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"),
        lambda: layers.Conv2D(3, 3, padding="same", **F64), PICTURE, "conv-padding-mode", "padding_mode is 'reflect'",
    ),
    "a-border-repeated": (
        lambda: nn.ReflectionPad2d(1), lambda: layers.Lambda(symmetric, **F64), PICTURE, "pad-symmetric-vs-reflect",
        "PyTorch's padding is 'reflect', Keras's is 'symmetric'",
    ),
    "zeros-in-a-maximum": (
        lambda: nn.MaxPool2d(3, stride=2, padding=1), lambda: layers.MaxPooling2D(3, 2, **F64), PICTURE,
        "maxpool-pad-zero", "padded by −∞",
    ),
    "zeros-counted-in-pytorch": (
        lambda: nn.AvgPool2d(3, stride=2, padding=1), lambda: layers.AveragePooling2D(3, 2, "same", **F64), PICTURE,
        "avgpool-count-include-pad", "PyTorch counts the zeros",
    ),
    "zeros-counted-in-keras": (
        lambda: nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
        lambda: layers.AveragePooling2D(3, 2, **F64), PICTURE, "avgpool-count-include-pad", "count_include_pad=False",
    ),
    "adaptive-average": (
        lambda: nn.AdaptiveAvgPool2d((3, 4)), lambda: layers.AveragePooling2D(3, (2, 1), **F64), PICTURE,
        "adaptive-avgpool", "of unlike sizes",
    ),
    "adaptive-maximum": (
        lambda: nn.AdaptiveMaxPool2d((3, 4)), lambda: layers.MaxPooling2D(3, (2, 1), **F64), PICTURE,
        "adaptive-maxpool", "of unlike sizes",
    ),
    "align-corners": (
        lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        lambda: layers.UpSampling2D(2, interpolation="bilinear", **F64), PICTURE, "upsample-align-corners",
        "PyTorch's is bilinear, align_corners=True, Keras's is bilinear",
    ),
    "without-half-pixels": (
        lambda: Resize(size=(5, 9), mode="bilinear"),
        lambda: layers.Lambda(lambda x: tf.compat.v1.image.resize(x, (5, 9)), **F64), PICTURE, "upsample-bilinear",
        "Keras's is bilinear, without half pixels",
    ),
    "bilinear-in-float32": (
        lambda: Resize(size=(16, 12), mode="bilinear"), lambda: layers.UpSampling2D(2, interpolation="bilinear", **F64),
        PICTURE, "upsample-bilinear", "in float32 whatever it is given",
    ),
    "antialias": (
        lambda: Resize(size=(5, 4), mode="bilinear", antialias=True),
        lambda: layers.Resizing(5, 4, **F64), PICTURE, None, "PyTorch's is bilinear, antialias=True",
    ),
    "nearest": (
        lambda: Resize(size=(5, 4)), lambda: layers.Resizing(5, 4, "nearest", **F64), PICTURE, "upsample-nearest",
        "PyTorch's is nearest, Keras's is",
    ),
    "bicubic": (
        lambda: Resize(size=(16, 12), mode="bicubic"), lambda: layers.Resizing(16, 12, "bicubic", **F64), PICTURE,
        "upsample-bicubic", "a = −0.5 in Keras",
    ),
    "scale-factor": (
        lambda: nn.Upsample(scale_factor=1.7, mode="bilinear"), lambda: layers.Resizing(13, 10, **F64), PICTURE,
        "upsample-scale-factor", "scale_factor=1.7",
    ),
    "ceil-mode-of-max": (
        lambda: nn.MaxPool2d(2, ceil_mode=True), lambda: layers.MaxPooling2D(2, **F64), (2, 4, 7, 5),
        "maxpool-ceil-mode", "Keras drops the last window that PyTorch keeps",
    ),
    "ceil-mode-of-average": (
        lambda: nn.AvgPool2d(2, ceil_mode=True), lambda: layers.AveragePooling2D(2, **F64), (2, 4, 7, 5),
        "avgpool-ceil", "Keras drops the last window that PyTorch keeps",
    ),
}  # fmt: skip


RINGS = {"zeros-in-a-maximum": 1, "zeros-counted-in-keras": 1}  # a ZeroPadding2D before Keras's layer


@cache
def mistaken(name):
    """Return the clue of a mistake; hints leave its layer as it was."""
    theirs, ours, shape, _, _ = MISTAKES[name]
    return clue(theirs, ours, shape, ring=RINGS.get(name, 0))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_its_reason_and_no_other(name):
    _, _, _, gap, words = MISTAKES[name]
    found = hints.of_layer(mistaken(name))
    assert len(found) == 1
    assert said(found[0]) == ([gap] if gap else [])
    assert words in found[0]


@pytest.mark.parametrize("name", MISTAKES)
def test_no_reason_holds_where_another_mistake_is_made_too(name):
    given = mistaken(name)
    channels = np.linspace(1, 1.001, given.expected.shape[1])
    wrong = given.expected * channels.reshape(-1, *[1] * (given.expected.ndim - 2))
    assert hints.of_layer(replace(given, expected=wrong)) == []


def shifted(made):
    """Make something else wrong that no candidate explains."""
    made.weights[-1].assign(made.weights[-1] + 0.3)


# What looks like a mistake that has a candidate, but has another reason
OTHERS = {
    "batchnorm-of-the-same-epsilon": (
        lambda: nn.BatchNorm2d(4), lambda: layers.BatchNormalization(epsilon=1e-5, **F64), PICTURE, shifted,
    ),
    "batchnorm-wrong-twice": (lambda: nn.BatchNorm2d(4), lambda: layers.BatchNormalization(**F64), PICTURE, shifted),
    "layernorm-wrong-twice": (lambda: nn.LayerNorm(7), lambda: layers.LayerNormalization(**F64), FEATURES, shifted),
    "convolution-wrong-twice": (
        lambda: nn.Conv2d(4, 3, 3, stride=2, padding=1),
        lambda: layers.Conv2D(3, 3, strides=2, padding="same", **F64), PICTURE, shifted,
    ),
    "convolution-of-valid-padding": (
        lambda: nn.Conv2d(4, 3, 3), lambda: layers.Conv2D(3, 3, **F64), PICTURE, shifted,
    ),
    "convolution-of-the-same-word": (
        lambda: nn.Conv2d(4, 3, 3, padding="same"), lambda: layers.Conv2D(3, 3, padding="same", **F64), PICTURE,
        shifted,
    ),
    "transposed-wrong-twice": (
        lambda: nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
        lambda: layers.Conv2DTranspose(3, 3, strides=2, padding="same", **F64), PICTURE, shifted,
    ),
    "average-of-the-same-size": (
        lambda: nn.AvgPool2d(2, ceil_mode=True), lambda: layers.MaxPooling2D(2, **F64), PICTURE, None,
    ),
    "an-activation-without-a-candidate": (nn.Softshrink, lambda: layers.Activation("relu", **F64), (5, 7), None),
    "an-activation-of-keras-without-a-candidate": (
        nn.ReLU, lambda: layers.Activation(keras.ops.soft_shrink, **F64), (5, 7), None,
    ),
    "the-same-resize-of-another-size": (
        lambda: Resize(size=(5, 4), mode="bilinear"), lambda: layers.Resizing(4, 5, **F64), PICTURE, None,
    ),
    "a-smaller-pool": (lambda: nn.MaxPool2d(2), lambda: layers.MaxPooling2D(3, **F64), PICTURE, None),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_no_candidate_holds_for_another_reason(name):
    theirs, ours, shape, change = OTHERS[name]
    assert hints.of_layer(clue(theirs, ours, shape, change)) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_the_layer_is_left_as_it_was(name):
    given = mistaken(name)
    before = {
        key: value for key, value in vars(given.call.layer).items() if key in ("epsilon", "padding", "activation")
    }
    hints.of_layer(given)
    assert {key: vars(given.call.layer)[key] for key in before} == before
    assert np.array_equal(given.call.layer(given.given), given.call.result)


def test_a_candidate_that_raises_leaves_the_layer_as_it_was():
    theirs, ours, shape, _, _ = MISTAKES["same-padding-in-a-convolution"]
    made = clue(theirs, ours, shape).call.layer
    with pytest.raises(Exception, match=r"."):
        called_with(made, np.zeros((1, 2)), padding="valid")
    assert made.padding == "same"


def test_epsilon_is_tried_in_train_mode_where_the_difference_was():
    """With the batch's own variance PyTorch's epsilon agrees; with the running one it would not."""
    theirs, ours, shape, _, _ = MISTAKES["epsilon-of-batchnorm"]
    given = clue(theirs, ours, shape)
    x = torch.tensor(by_rank(4).to_torch(given.given))
    expected = given.module.train()(x).detach().numpy()
    actual = given.layout.to_torch(given.call.layer(given.given, training=True).numpy())
    in_train = hints.Clue(given.module, given.call, given.given, actual, expected, given.layout, train=True)
    assert [said(text) for text in hints.of_layer(in_train)] == [["bn-eps-default"]]
    in_eval = hints.Clue(given.module, given.call, given.given, actual, expected, given.layout, train=False)
    assert hints.of_layer(in_eval) == []


# Not activations: running statistics, second biases


def pairing(kind, torch_momentum, keras_momentum):
    """Return the pairing of a norm `bn1` and of an LSTM whose second bias is a twin."""
    theirs = Unit("bn1", "batchnorm", {}, owner=module("_BatchNorm", momentum=torch_momentum))
    ours = Unit("bn", "batchnorm", {}, owner=layer(kind, "bn", momentum=keras_momentum))
    biases = [
        Mapped(f"lstm.{name}", (3,), (), True, None, None, twin)
        for name, twin in (("bias_ih_l0", False), ("bias_hh_l0", True))
    ]
    return Pairing(biases, [(theirs, ours, "name")], [], [])


# The tensor, PyTorch's momentum, Keras's class and momentum, the gap, more that is said
ROWS = {
    "another-momentum": (
        "buffer:bn1.running_mean", 0.1, "BatchNormalization", 0.99, "bn-momentum",
        "PyTorch's momentum 0.1 is 0.9 in Keras, which has 0.99",
    ),
    "another-momentum-after-a-step": (
        "step2:buffer:bn1.running_var", 0.1, "BatchNormalization", 0.99, "bn-momentum", "which has 0.99",
    ),
    "the-biased-variance": (
        "buffer:bn1.running_var", 0.1, "BatchNormalization", 0.9, "bn-unbiased-running-var", "biased variance",
    ),
    "the-mean-has-no-bias": ("buffer:bn1.running_mean", 0.1, "BatchNormalization", 0.9, None, ""),
    "momentum-none": ("buffer:bn1.running_mean", None, "BatchNormalization", 0.9, "bn-momentum-none", ""),
    "keras_blitz-has-the-unbiased": ("buffer:bn1.running_var", 0.1, "BatchNorm", 0.1, None, ""),
    "another-buffer": ("buffer:bn1.table", 0.1, "BatchNormalization", 0.99, None, ""),
    "a-norm-that-is-not-paired": ("buffer:bn2.running_var", 0.1, "BatchNormalization", 0.99, None, ""),
    "a-parameter-of-the-norm": ("step1:param:bn1.weight", 0.1, "BatchNormalization", 0.99, None, ""),
    "a-second-bias": ("step1:param:lstm.bias_hh_l0", 0.1, "BatchNormalization", 0.9, "lstm-map", "two biases"),
    "a-first-bias": ("step1:param:lstm.bias_ih_l0", 0.1, "BatchNormalization", 0.9, None, ""),
    "a-bias-that-ends-alike": ("step1:param:other.lstm.bias_hh_l0", 0.1, "BatchNormalization", 0.9, None, ""),
    "before-any-step": ("grad:lstm.bias_hh_l0", 0.1, "BatchNormalization", 0.9, None, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_the_reason_of_what_is_no_activation(name):
    tensor, theirs, kind, ours, gap, words = ROWS[name]
    found = list(hints.of_row(pairing(kind, theirs, ours), Row(tensor, 3, False)))
    assert [gaps for text in found for gaps in said(text)] == ([gap] if gap else [])
    assert all(words in text for text in found)


def test_the_momentum_of_our_own_batchnorm_is_pytorchs():
    theirs = Unit("bn1", "batchnorm", {}, owner=module("_BatchNorm", momentum=0.03))

    def reasons(momentum):
        ours = Unit("bn", "batchnorm", {}, owner=BatchNorm(momentum=momentum))
        return list(
            hints.of_row(Pairing([], [(theirs, ours, "name")], [], []), Row("buffer:bn1.running_mean", 3, False))
        )

    assert reasons(0.03) == []
    (reason,) = reasons(0.97)
    assert said(reason) == ["bn-momentum"]
    assert "PyTorch's own, 0.03; the port has 0.97" in reason


NAMED = {row[3] for row in MISTAKES.values()} | {row[4] for row in ROWS.values()}


@pytest.mark.parametrize("gap", sorted(NAMED - {None}))
def test_a_reason_names_a_row_of_the_catalogue(gap):
    assert gap in {row.id for row in catalogue()}
