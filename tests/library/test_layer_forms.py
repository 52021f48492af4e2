"""Every layer: compiled it gives the same, from a .keras file it comes back, and its weights have PyTorch's names."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from torch_twin import in_train_mode

from keras_blitz import layers
from keras_blitz.weights import state_dict
from keras_blitz.weights.kinds import of_keras

pytestmark = pytest.mark.covers("L5")

# A layer with options that its configuration must keep, the shape it takes, and the names of its weights
LAYERS = {
    "LayerNorm": (lambda: layers.LayerNorm((9, 3), 1e-3, bias=False), (2, 8, 9, 3), "weight"),
    "RMSNorm": (lambda: layers.RMSNorm(3, 1e-3), (2, 8, 3), "weight"),
    "GroupNorm": (lambda: layers.GroupNorm(2, 1e-3), (2, 8, 9, 4), "weight bias"),
    "InstanceNorm": (
        lambda: layers.InstanceNorm(1e-3, 0.3, True, True),
        (2, 8, 9, 3),
        "weight bias running_mean running_var num_batches_tracked",
    ),
    "LSTM": (lambda: layers.LSTM(4, bidirectional=True, proj_size=3), (2, 5, 3), " ".join(
        f"{weight}_l0{side}" for side in ("", "_reverse")
        for weight in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    )),
    "GRU": (lambda: layers.GRU(4, batch_first=False), (2, 5, 3), "weight_ih_l0 weight_hh_l0 bias_ih_l0 bias_hh_l0"),
    "RNN": (lambda: layers.RNN(4, nonlinearity="relu", bias=False), (2, 5, 3), "weight_ih_l0 weight_hh_l0"),
    "LSTMCell": (lambda: layers.LSTMCell(4), (2, 3), "weight_ih weight_hh bias_ih bias_hh"),
    "GRUCell": (lambda: layers.GRUCell(4), (2, 3), "weight_ih weight_hh bias_ih bias_hh"),
    "RNNCell": (lambda: layers.RNNCell(4, False, "relu"), (2, 3), "weight_ih weight_hh"),
    "Conv1d": (lambda: layers.Conv1d(4, 3, 2, 1, 2, 2, padding_mode="circular"), (2, 9, 4), "weight bias"),
    "Conv2d same": (lambda: layers.Conv2d(4, 2, 1, "same", padding_mode="reflect"), (2, 8, 9, 3), "weight bias"),
    "Conv3d": (lambda: layers.Conv3d(4, 2, 2, 1, (1, 2, 1)), (2, 5, 6, 4, 3), "weight bias"),
    "ConvTranspose1d": (lambda: layers.ConvTranspose1d(4, 3, 2, 1, 1, 2, dilation=2), (2, 5, 4), "weight bias"),
    "ConvTranspose2d": (lambda: layers.ConvTranspose2d(4, 3, 2, 1, 1, bias=False), (2, 5, 4, 3), "weight"),
    "ConvTranspose3d": (lambda: layers.ConvTranspose3d(4, 2, 2), (2, 3, 4, 2, 3), "weight bias"),
    "Upsample": (lambda: layers.Upsample((7, 3), mode="bicubic", align_corners=True), (2, 5, 4, 3), ""),
    "Upsample nearest": (lambda: layers.Upsample(scale_factor=2.6), (2, 5, 3), ""),
    "MaxPool1d": (lambda: layers.MaxPool1d(3, 2, 1, 2, ceil_mode=True), (2, 9, 3), ""),
    "MaxPool3d": (lambda: layers.MaxPool3d(2, (2, 1, 2), 1), (2, 4, 5, 6, 3), ""),
    "AvgPool1d": (lambda: layers.AvgPool1d(3, 2, 1, True, False), (2, 9, 3), ""),
    "AvgPool3d": (lambda: layers.AvgPool3d(2, divisor_override=3), (2, 4, 5, 6, 3), ""),
    "LPPool1d": (lambda: layers.LPPool1d(2, 3, 2, ceil_mode=True), (2, 9, 3), ""),
    "LPPool2d": (lambda: layers.LPPool2d(2, 2), (2, 4, 5, 3), ""),
    "LPPool3d": (lambda: layers.LPPool3d(2, 2), (2, 4, 5, 6, 3), ""),
    "AdaptiveAvgPool1d": (lambda: layers.AdaptiveAvgPool1d(4), (2, 9, 3), ""),
    "AdaptiveAvgPool3d": (lambda: layers.AdaptiveAvgPool3d((2, None, 3)), (2, 4, 5, 6, 3), ""),
    "AdaptiveMaxPool1d": (lambda: layers.AdaptiveMaxPool1d(4), (2, 9, 3), ""),
    "AdaptiveMaxPool3d": (lambda: layers.AdaptiveMaxPool3d(2), (2, 4, 5, 6, 3), ""),
    "MultiheadAttention": (lambda: layers.MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True), (2, 3, 4),
        "in_proj_weight in_proj_bias bias_k bias_v out_proj.weight out_proj.bias"),
    "Embedding": (lambda: layers.Embedding(5, 3, -1, 1.0, 1.0, True), (2, 4), "weight"),
    "EmbeddingBag": (lambda: layers.EmbeddingBag(5, 3, mode="max", padding_idx=0), (2, 4), "weight"),
    "PReLU": (lambda: layers.PReLU(3, 0.1), (2, 4, 3), "weight"),
    "Hardtanh": (lambda: layers.Hardtanh(-2.0, 0.5), (2, 4, 3), ""),
    "LeakyReLU": (lambda: layers.LeakyReLU(0.2), (2, 4, 3), ""),
    "ELU": (lambda: layers.ELU(0.2), (2, 4, 3), ""),
    "CELU": (lambda: layers.CELU(0.2), (2, 4, 3), ""),
    "SELU": (lambda: layers.SELU(), (2, 4, 3), ""),
    "GELU": (lambda: layers.GELU("tanh"), (2, 4, 3), ""),
    "Softplus": (lambda: layers.Softplus(2.0, 1.0), (2, 4, 3), ""),
    "Hardsigmoid": (lambda: layers.Hardsigmoid(), (2, 4, 3), ""),
    **{
        f"{mode}Pad{n}d": (lambda mode=mode, n=n: pad(f"{mode}Pad{n}d"), (*(2, 4, 3, 5)[: n + 1], 2), "")
        for mode in ("Constant", "Zero", "Reflection", "Replication", "Circular")
        for n in (1, 2, 3)
    },
    "PixelShuffle": (lambda: layers.PixelShuffle(2), (2, 3, 4, 8), ""),
    "PixelUnshuffle": (lambda: layers.PixelUnshuffle(2), (2, 4, 6, 3), ""),
    "ChannelShuffle": (lambda: layers.ChannelShuffle(2), (2, 3, 4), ""),
    "Unfold": (lambda: layers.Unfold(3, 1, 1, 2), (2, 5, 6, 3), ""),
    "Fold": (lambda: layers.Fold((4, 5), 2, 1, 1, (2, 1)), (2, 18, 12), ""),
    "VectorNorm": (lambda: layers.VectorNorm((1, -1), True), (2, 4, 5), ""),
    "LocalResponseNorm": (lambda: layers.LocalResponseNorm(3, 0.1, 0.6, 2.0), (2, 4, 5), ""),
}  # fmt: skip


def pad(name):
    return getattr(layers, name)(1, 0.5) if name.startswith("Constant") else getattr(layers, name)(1)


# Those of tests/library/test_layers.py; what is random when compiled; what takes two inputs, or reads none
OTHERS = {
    "Dropout1d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout", "RReLU", "Bilinear", "CosineSimilarity",
    "PairwiseDistance", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AvgPool2d", "BatchNorm", "Dropout", "Dropout2d",
    "AffineGrid", "Criterion", "DynamicConv1d", "DynamicConv2d", "DynamicConv3d", "DynamicConvTranspose1d",
    "DynamicConvTranspose2d", "DynamicConvTranspose3d", "Function", "GridSample", "MaxPool2d", "Parameter",
    "RepeatBatch", "StochasticDepth",
}  # fmt: skip

BOUND = {"float32": 1e-4, "float64": 1e-12}


def test_every_layer_is_here():
    named = {name.split()[0] for name in LAYERS}
    assert named | OTHERS == {name for name in layers.__all__ if isinstance(getattr(layers, name), type)}
    assert named & OTHERS == set()


def filled(make, shape, dtype):
    """Return a layer of this type with weights of noise, and an input."""
    rng = np.random.RandomState(0)
    made = make()
    layer = type(made).from_config(made.get_config() | {"dtype": dtype})
    layer.build(shape)
    for variable in layer.weights:
        if variable.dtype != "int64":
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return layer, given(rng, layer, shape, dtype)


def given(rng, layer, shape, dtype):
    if of_keras(layer) is not None and of_keras(layer).name.startswith("embedding"):
        return tf.constant(rng.randint(0, 5, shape))
    return tf.constant(rng.randn(*shape).astype(dtype))


def flat(result):
    return [np.asarray(each) for each in keras.tree.flatten(result)]


def results(layer, x):
    """Return outputs and gradients of the input and of every weight, in train mode."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = keras.tree.flatten(layer(x, **in_train_mode(layer)))
        energy = tf.add_n([tf.reduce_sum(tf.square(each)) for each in outputs])
    of = [*([x] if x.dtype.is_floating else []), *(weight.value for weight in layer.trainable_weights)]
    return outputs, [tf.convert_to_tensor(gradient) for gradient in tape.gradient(energy, of)]


@pytest.mark.parametrize(
    ("dtype", "jit"),
    [("float64", False), *(pytest.param(dtype, True, marks=pytest.mark.slow) for dtype in BOUND)],
    ids=["graph", "float32-xla", "float64-xla"],
)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_runs_compiled_and_gives_the_same(name, dtype, jit):
    """Graph and XLA, gradients too: nothing depends on the eager mode."""
    layer, x = filled(*LAYERS[name][:2], dtype)
    state = [np.asarray(weight) for weight in layer.weights]
    expected = flat(results(layer, x))
    layer.set_weights(state)
    compiled = tf.function(lambda x: results(layer, x), jit_compile=jit)
    for found, wanted in zip(flat(compiled(x)), expected, strict=True):
        scale = max(1.0, np.abs(wanted).max())
        np.testing.assert_allclose(found, wanted, rtol=0, atol=BOUND[dtype] * scale)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_comes_back_from_a_file(name, tmp_path):
    layer, x = filled(*LAYERS[name][:2], "float32")
    inputs = keras.Input(x.shape[1:], dtype=x.dtype.name)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "net.keras")
    again = keras.models.load_model(tmp_path / "net.keras")
    assert again.layers[-1].get_config() == layer.get_config()
    for found, wanted in zip(flat(again(x)), flat(model(x)), strict=True):
        np.testing.assert_array_equal(found, wanted)
    for symbolic, wanted in zip(keras.tree.flatten(model.outputs), flat(model(x)), strict=True):
        assert all(size in (None, known) for size, known in zip(symbolic.shape, wanted.shape, strict=True))


@pytest.mark.parametrize("name", [name for name, row in LAYERS.items() if row[2]])
def test_a_layers_weights_have_pytorchs_names(name):
    layer, x = filled(*LAYERS[name][:2], "float32")
    layer.name = "net"
    inputs = keras.Input(x.shape[1:], dtype=x.dtype.name)
    found = state_dict(keras.Model(inputs, layer(inputs)))
    assert list(found) == [f"net.{each}" for each in LAYERS[name][2].split()]
