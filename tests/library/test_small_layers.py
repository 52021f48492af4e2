"""L5: activations, padding, rearranging and comparing layers, and the masks of dropout, against torch.nn."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume
from hypothesis import strategies as st

from keras_blitz import layers

pytestmark = pytest.mark.covers("L5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_close, assert_same, first, images, last, over, same  # noqa: E402

nn = torch.nn
small = st.integers(1, 3)
seeds = st.integers(0, 2**16)

# Where the pieces of some activation meet, and values near and far
POINTS = np.array([-1e3, -30, -3, -2, -1, -0.5, -1e-8, 0, 1e-8, 0.3, 0.5, 1, 2, 3, 6, 10, 20, 21, 30, 1e3])

ACTIVATIONS = [
    ("Hardtanh", ()), ("Hardtanh", (-2.0, 3.0)), ("LeakyReLU", ()), ("LeakyReLU", (0.2,)), ("RReLU", ()), ("ELU", ()),
    ("ELU", (1.5,)), ("CELU", ()), ("CELU", (0.5,)), ("SELU", ()), ("GELU", ()), ("GELU", ("tanh",)), ("Softplus", ()),
    ("Softplus", (2.0, 6.0)), ("Hardsigmoid", ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), ACTIVATIONS, ids=lambda value: str(value))
def test_activation(name, options):
    module, layer = getattr(nn, name)(*options), getattr(layers, name)(*options, dtype="float64")
    for points in (POINTS, np.linspace(-8, 8, 97)):
        x = torch.tensor(points, requires_grad=True)
        expected = module.eval()(x)
        expected.sum().backward()
        ours = tf.constant(points)
        with tf.GradientTape() as tape:
            tape.watch(ours)
            actual = layer(ours)
        np.testing.assert_allclose(actual, expected.detach(), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(tape.gradient(actual, ours), x.grad, rtol=1e-12, atol=1e-13)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("name", ["ELU", "CELU", "SELU"])
def test_small_values_keep_their_digits(name):
    x = -np.logspace(-8, -4, 50)
    expected = getattr(nn, name)()(torch.tensor(x)).numpy()
    np.testing.assert_allclose(getattr(layers, name)(dtype="float64")(x), expected, rtol=1e-14)


def test_rrelu_draws_its_slopes_in_train_mode():
    outputs = layers.RReLU(0.2, 0.4)(-np.ones((1000,), "float32"), training=True).numpy()
    assert -0.4 <= outputs.min() < -0.39
    assert -0.21 < outputs.max() <= -0.2


@over(seed=seeds, channels=small, several=st.booleans(), rank=st.integers(0, 2))
def test_prelu(seed, channels, several, rank):
    module = nn.PReLU(channels if several else 1)
    layer = layers.PReLU(channels if several else 1, dtype="float64")
    assert_same(module, layer, images(seed, 2, channels, *(3, 4)[:rank], integers=True), seed=seed)


@over(
    few=20, seed=seeds, rank=st.integers(1, 3), mode=st.sampled_from(["Constant", "Zero", "Reflection", "Replication",
    "Circular"]), size=st.lists(st.integers(3, 5), min_size=3, max_size=3),
    padding=st.lists(st.integers(-1, 2), min_size=6, max_size=6), whole=st.booleans(),
)  # fmt: skip
def test_padding(seed, rank, mode, size, padding, whole):
    padding = padding if mode in ("Constant", "Zero") else [abs(each) for each in padding]
    given = padding[0] if whole else tuple(padding[: 2 * rank])
    value = (1.5,) if mode == "Constant" else ()
    module = getattr(nn, f"{mode}Pad{rank}d")(given, *value)
    layer = getattr(layers, f"{mode}Pad{rank}d")(given, *value, dtype="float64")
    assert_same(module, layer, images(seed, 2, 2, *size[:rank]), exact=True)


@over(seed=seeds, channels=small, factor=small, height=small, width=small)
def test_pixel_shuffles(seed, channels, factor, height, width):
    array = images(seed, 2, channels * factor**2, height, width)
    assert_same(nn.PixelShuffle(factor), layers.PixelShuffle(factor, dtype="float64"), array, exact=True)
    array = images(seed, 2, channels, height * factor, width * factor)
    assert_same(nn.PixelUnshuffle(factor), layers.PixelUnshuffle(factor, dtype="float64"), array, exact=True)
    array = images(seed, 2, channels * factor, height, width)
    assert_same(nn.ChannelShuffle(factor), layers.ChannelShuffle(factor, dtype="float64"), array, exact=True)


pairs, pads = st.tuples(small, small), st.tuples(st.integers(0, 2), st.integers(0, 2))


@over(
    few=10, seed=seeds, channels=small, size=st.tuples(st.integers(3, 6), st.integers(3, 6)), kernel=pairs,
    dilation=pairs, padding=pads, stride=pairs,
)  # fmt: skip
def test_unfold_and_fold(seed, channels, size, kernel, dilation, padding, stride):
    reach = zip(size, padding, dilation, kernel, strict=True)
    assume(all(n + 2 * p > d * (k - 1) for n, p, d, k in reach))
    options = (kernel, dilation, padding, stride)
    array = images(seed, 2, channels, *size)
    unfold = layers.Unfold(*options, dtype="float64")
    windows = nn.Unfold(*options)(torch.tensor(array)).numpy()
    assert_close(first(unfold(last(array)).numpy()), windows, exact=True)
    assert unfold.compute_output_shape((2, *size, channels)) == last(windows).shape
    assert_same(nn.Fold(size, *options), layers.Fold(size, *options, dtype="float64"), windows)
    assert unfold.from_config(unfold.get_config()).get_config() == unfold.get_config()


@over(seed=seeds, channels=st.integers(2, 7), size=st.integers(1, 5), rank=st.integers(1, 3))
def test_local_response_norm(seed, channels, size, rank):
    module = nn.LocalResponseNorm(size, 0.1, 0.6, 2.0)
    layer = layers.LocalResponseNorm(size, 0.1, 0.6, 2.0, dtype="float64")
    assert_same(module, layer, images(seed, 2, channels, *(3, 4, 2)[:rank]))


@over(few=8, seed=seeds, one=small, other=small, outputs=small, bias=st.booleans())
def test_bilinear(seed, one, other, outputs, bias):
    layer = layers.Bilinear(outputs, bias, dtype="float64")
    layer.build((None, 4, one), (None, 4, other))
    arrays = images(seed, 2, 4, one), images(seed + 1, 2, 4, other)
    layer.compute_output_shape = lambda shape: (*shape[:-1], outputs)
    assert_same(nn.Bilinear(one, other, outputs, bias), layer, *arrays, seed=seed, there=same, back=same)


@pytest.mark.parametrize("options", [{}, {"dim": -1, "eps": 0.5}])
def test_cosine_similarity(options):
    layer = layers.CosineSimilarity(**options, dtype="float64")
    arrays = images(0, 4, 5, 3) * np.array([1.0, 1e-3, 1, 1])[:, np.newaxis, np.newaxis], images(1, 4, 5, 3)
    compute = layer.compute_output_shape
    layer.compute_output_shape = lambda shape: compute(shape, shape)
    assert_same(nn.CosineSimilarity(**options), layer, *arrays, there=same, back=same)


@pytest.mark.parametrize("options", [{}, {"p": 1.0}, {"p": 3.0, "eps": 1e-3, "keepdim": True}])
def test_pairwise_distance(options):
    layer = layers.PairwiseDistance(**options, dtype="float64")
    compute = layer.compute_output_shape
    layer.compute_output_shape = lambda shape: compute(shape, shape)
    arrays = images(0, 4, 3), images(1, 4, 3)
    assert_same(nn.PairwiseDistance(**options), layer, *arrays, there=same, back=same)


@pytest.mark.parametrize(("axis", "keepdims"), [(1, False), ((1, -1), True)])
def test_vector_norm_and_its_gradient_at_zero(axis, keepdims):
    array = images(0, 3, 4, 5)
    array[1] = 0
    given, x = torch.tensor(array, requires_grad=True), tf.constant(array)
    expected = torch.linalg.vector_norm(given, dim=axis, keepdim=keepdims)
    expected.sum().backward()
    with tf.GradientTape() as tape:
        tape.watch(x)
        actual = layers.VectorNorm(axis, keepdims, dtype="float64")(x)
    assert_close(actual.numpy(), expected.detach().numpy())
    assert_close(tape.gradient(actual, x).numpy(), given.grad.numpy())


@pytest.mark.parametrize(
    ("name", "size"),
    [("Dropout1d", (5,)), ("Dropout3d", (2, 3, 4)), ("AlphaDropout", (5, 6)), ("FeatureAlphaDropout", (5, 6))],
)
def test_dropout_through_pytorchs_mask(name, size):
    array = images(0, 3, 4, *size)
    layer, module = getattr(layers, name)(0.3, dtype="float64"), getattr(nn, name)(0.3).double()
    torch.manual_seed(5)
    ones = torch.ones(3, 4, *size, dtype=torch.float64)
    single = (..., *[slice(1)] * len(size))  # one value for each channel
    drawn = {"AlphaDropout": ones, "FeatureAlphaDropout": ones[single]}  # their noise is drawn as dropout's is
    mask = nn.functional.dropout(drawn[name], 0.3).numpy() if name in drawn else module(ones).numpy()[single]
    layer.mask = lambda _: last(mask)
    torch.manual_seed(5)
    assert_same(module, layer, array, training=True)
    assert_same(module, layer, array, training=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Hardtanh(1.0, 1.0), "max_val must be above min_val, not 1.0 and 1.0"),
        (lambda: layers.GELU("erf"), 'approximate must be "none" or "tanh", not \'erf\''),
        (lambda: layers.PReLU(2, name="p").build((None, 3)), "p: num_parameters must be 1 or the 3 channels, not 2"),
        (lambda: layers.ReflectionPad2d((1, 2)), r"padding must be a whole number or 4 of them, not \(1, 2\)"),
        (lambda: layers.ReflectionPad1d(3)(np.ones((1, 3, 1))), "reflect padding must be from 0 to 2 on an axis of 3"),
        (lambda: layers.CircularPad1d(-1)(np.ones((1, 3, 1))), "circular padding must be from 0 to 3 on an axis of 3"),
        (lambda: layers.PixelShuffle(2, name="s")(np.ones((1, 2, 2, 6))), "s: 6 channels are not a multiple of"),
        (lambda: layers.PixelUnshuffle(2, name="s")(np.ones((1, 3, 2, 6))), "s: height and width .* are not multiples"),
        (lambda: layers.ChannelShuffle(4, name="s")(np.ones((1, 3, 6))), "s: 6 channels are not a multiple of"),
        (lambda: layers.Fold(4, 2, name="f")(np.ones((1, 8, 4))), "f: needs 9 windows of C·4 values"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_grid_sample(mode, padding, align_corners):
    array, grid = images(0, 2, 3, 4, 5), np.random.RandomState(1).uniform(-2.5, 2.5, (2, 3, 4, 2))
    given = [torch.tensor(each, requires_grad=True) for each in (array, grid)]
    expected = nn.functional.grid_sample(*given, mode, padding, align_corners)
    weight = images(2, *expected.shape)
    (expected * torch.tensor(weight)).sum().backward()
    x, places = tf.constant(last(array)), tf.constant(grid)
    layer = layers.GridSample(mode, padding, align_corners, dtype="float64")
    with tf.GradientTape() as tape:
        tape.watch([x, places])
        actual = layer(x, places)
        total = tf.reduce_sum(actual * last(weight))
    assert_close(first(actual.numpy()), expected.detach().numpy())
    gradients = tape.gradient(total, [x, places], unconnected_gradients="zero")
    assert_close(first(gradients[0].numpy()), given[0].grad.numpy())
    assert_close(gradients[1].numpy(), given[1].grad.numpy())
    assert layer.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("align_corners", [False, True])
def test_affine_grid(align_corners):
    theta = images(0, 2, 2, 3)
    expected = nn.functional.affine_grid(torch.tensor(theta), (2, 3, 4, 5), align_corners)
    layer = layers.AffineGrid(4, 5, align_corners, dtype="float64")
    assert_close(layer(tf.constant(theta)).numpy(), expected.numpy())
    assert layer.from_config(layer.get_config()).get_config() == layer.get_config()


def test_function_is_pytorchs_also_for_a_batch_that_is_not_known():
    x, y = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([x, y], layers.Function("scatter_add", dim=1)(x, keras.ops.argsort(y), y * 2))
    a, b = (np.random.RandomState(seed).randn(2, 3).astype("f") for seed in (0, 1))
    at = torch.tensor(b).argsort(1)
    assert_close(model([a, b]).numpy(), torch.tensor(a).scatter_add(1, at, torch.tensor(b) * 2).numpy())
    with pytest.raises(ValueError, match="a name of keras_blitz"):
        layers.Function("no_such_function")
