"""The likely reasons of a difference: each candidate holds for its mistake, and is silent about another."""

import re

import keras
import numpy as np
import pytest
from keras import layers
from stand_ins import keras_call, layer, module

from keras_blitz.weights import kinds
from keras_blitz.weights.layout import by_rank
from keras_blitz.weights.mapped import Mapped
from parity.core.compare import Row
from parity.gaps import catalogue
from parity.pair import hints
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
        variable.assign(layout.to_keras(getattr(theirs, name).detach().numpy()))


def clue(theirs, ours, shape, change=None):
    """Run both on the same numbers, in PyTorch's shape; `change` is what else is wrong with Keras's layer."""
    torch.manual_seed(0)
    theirs = theirs().double().eval()
    x = torch.tensor(4 * np.random.RandomState(0).standard_normal(shape))  # beyond relu6's 6
    expected = theirs(x).detach().numpy()
    given = by_rank(x.ndim).to_keras(x.numpy())
    made = ours()
    made(given)
    same_weights(theirs, made)
    if change:
        change(made)
    result = made(given).numpy()
    layout = by_rank(result.ndim)
    call = keras_call(made, given, result)
    return hints.Clue(theirs, call, given, layout.to_torch(result), expected, layout, train=False)


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
    "ceil-mode-of-max": (
        lambda: nn.MaxPool2d(2, ceil_mode=True), lambda: layers.MaxPooling2D(2, **F64), (2, 4, 7, 5),
        "maxpool-ceil-mode", "Keras drops the last window that PyTorch keeps",
    ),
    "ceil-mode-of-average": (
        lambda: nn.AvgPool2d(2, ceil_mode=True), lambda: layers.AveragePooling2D(2, **F64), (2, 4, 7, 5),
        "avgpool-ceil", "Keras drops the last window that PyTorch keeps",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_has_its_reason_and_no_other(name):
    theirs, ours, shape, gap, words = MISTAKES[name]
    found = hints.of_layer(clue(theirs, ours, shape))
    assert len(found) == 1
    assert said(found[0]) == ([gap] if gap else [])
    assert words in found[0]


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
    "average-pool-with-same": (
        lambda: nn.AvgPool2d(3, stride=2, padding=1), lambda: layers.AveragePooling2D(3, 2, "same", **F64), PICTURE,
        None,
    ),
    "an-activation-without-a-candidate": (nn.Mish, lambda: layers.Activation("relu", **F64), (5, 7), None),
    "an-activation-of-keras-without-a-candidate": (nn.ReLU, lambda: layers.Activation("mish", **F64), (5, 7), None),
    "a-smaller-pool": (lambda: nn.MaxPool2d(2), lambda: layers.MaxPooling2D(3, **F64), PICTURE, None),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_no_candidate_holds_for_another_reason(name):
    theirs, ours, shape, change = OTHERS[name]
    assert hints.of_layer(clue(theirs, ours, shape, change)) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_the_layer_is_left_as_it_was(name):
    theirs, ours, shape, _, _ = MISTAKES[name]
    given = clue(theirs, ours, shape)
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
        hints._with(made, np.zeros((1, 2)), padding="valid")
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


# What is no activation: running statistics, second biases


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


NAMED = {row[3] for row in MISTAKES.values()} | {row[4] for row in ROWS.values()}


@pytest.mark.parametrize("gap", sorted(NAMED - {None}))
def test_a_reason_names_a_row_of_the_catalogue(gap):
    assert gap in {row.id for row in catalogue()}
