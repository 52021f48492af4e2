"""L5: LayerNorm, RMSNorm, GroupNorm and InstanceNorm against torch.nn, float32 errors beside PyTorch's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_blitz import layers
from parity import torch_table

pytestmark = pytest.mark.covers("L5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_same, copy_weights, first, images, last, over, same  # noqa: E402

nn = torch.nn
small = st.integers(1, 3)
shapes = st.lists(st.integers(3, 5), min_size=1, max_size=3)
seeds = st.integers(0, 2**16)
offsets = st.sampled_from([0.0, 3.0])  # at more, PyTorch's own float64 is not good to 1e-12
places = st.lists(st.integers(2, 5), min_size=1, max_size=3)  # sizes of the axes of positions


@over(
    seed=seeds, outer=st.lists(small, min_size=1, max_size=2), shape=shapes,
    eps=st.sampled_from([1e-5, 1e-3]), affine=st.booleans(), bias=st.booleans(), offset=offsets,
)  # fmt: skip
def test_layer_norm(seed, outer, shape, eps, affine, bias, offset):
    module = nn.LayerNorm(shape, eps, affine, bias)
    layer = layers.LayerNorm(tuple(shape), eps, affine, bias, dtype="float64")
    assert_same(module, layer, images(seed, *outer, *shape) + offset, seed=seed, there=same, back=same)


@over(
    seed=seeds, outer=st.lists(small, min_size=1, max_size=2), shape=shapes,
    eps=st.sampled_from([None, 1e-5]), affine=st.booleans(), scale=st.sampled_from([1.0, 1e-7]),
)  # fmt: skip
def test_rms_norm(seed, outer, shape, eps, affine, scale):
    layer = layers.RMSNorm(tuple(shape), eps, affine, dtype="float64")
    module = nn.RMSNorm(shape, eps, affine)
    assert_same(module, layer, images(seed, *outer, *shape) * scale, seed=seed, there=same, back=same)


@over(
    seed=seeds, batch=small, groups=small, width=st.integers(2, 3), sizes=places, affine=st.booleans(), offset=offsets,
)  # fmt: skip
def test_group_norm(seed, batch, groups, width, sizes, affine, offset):
    module = nn.GroupNorm(groups, groups * width, affine=affine)
    layer = layers.GroupNorm(groups, affine=affine, dtype="float64")
    assert_same(module, layer, images(seed, batch, groups * width, *sizes) + offset, seed=seed)


@over(
    seed=seeds, batch=small, channels=small, sizes=places, affine=st.booleans(), tracked=st.booleans(),
    momentum=st.none() | st.floats(0, 1), training=st.booleans(),
)  # fmt: skip
def test_instance_norm(seed, batch, channels, sizes, affine, tracked, momentum, training):
    kind = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)[len(sizes) - 1]
    module = kind(channels, 1e-4, momentum, affine, tracked)
    layer = layers.InstanceNorm(1e-4, momentum, affine, tracked, dtype="float64")
    assert_same(module, layer, images(seed, batch, channels, *sizes) + 3, seed=seed, training=training)


def rms(array):
    return np.sqrt(np.mean(np.square(array)))


def outputs_and_gradients(module, layer, x, there, back):
    """Return both sides' float32 results and the truth: outputs and the gradients of x, γ and β."""
    upstream = np.random.RandomState(1).randn(*x.shape).astype("float32")
    found = []
    for dtype in (torch.float64, torch.float32):
        module.to(dtype).zero_grad()
        given = torch.tensor(x, dtype=dtype, requires_grad=True)
        result = module(given)
        result.backward(torch.tensor(upstream, dtype=dtype))
        found.append(
            [each.detach().numpy().copy() for each in (result, given.grad, module.weight.grad, module.bias.grad)]
        )
    given = tf.constant(there(x))
    layer.build(given.shape)
    layer.set_weights([module.weight.detach().numpy(), module.bias.detach().numpy()])
    with tf.GradientTape() as tape:
        tape.watch(given)
        result = layer(given)
    inputs, gamma, beta = tape.gradient(result, [given, *layer.trainable_variables], there(upstream))
    return *found, [back(result.numpy()), back(inputs.numpy()), gamma.numpy(), beta.numpy()]


@pytest.mark.parametrize("mean", [0, 50, 1000])
@pytest.mark.parametrize(("kind", "shape"), [("group", (1, 64, 32, 24)), ("layer", (8, 50, 64))])
def test_float32_is_as_good_as_pytorchs(kind, shape, mean):
    """RMS errors of outputs and gradients, each at most 2 × PyTorch's own; Keras's GroupNormalization fails this."""
    x = (np.random.RandomState(0).randn(*shape) + mean).astype("float32")
    there, back = (last, first) if kind == "group" else (same, same)
    module = nn.GroupNorm(4, 64) if kind == "group" else nn.LayerNorm(64)
    layer = layers.GroupNorm(4) if kind == "group" else layers.LayerNorm(64)
    truth, theirs, ours = outputs_and_gradients(module, layer, x, there, back)
    ratios = [rms(o - t) / rms(p - t) for t, p, o in zip(truth, theirs, ours, strict=True)]
    assert max(ratios) <= 2, ratios
    if kind == "group" and mean:
        keras_layer = keras.layers.GroupNormalization(4, epsilon=1e-5)
        truth, theirs, ours = outputs_and_gradients(module, keras_layer, x, there, back)
        assert rms(ours[0] - truth[0]) / rms(theirs[0] - truth[0]) > 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.LayerNorm(()), r"normalized_shape must be one or more whole numbers ≥ 1, not \(\)"),
        (
            lambda: layers.LayerNorm((3, 4), name="n").build((None, 3, 5)),
            r"n: .* last axes must be normalized_shape, \(3, 4\), not \(3, 5\)",
        ),
        (
            lambda: layers.RMSNorm(4, name="n").build((None, 3)),
            r"n: .* last axes must be normalized_shape, \(4,\), not \(3,\)",
        ),
        (lambda: layers.GroupNorm(0), "num_groups must be a whole number ≥ 1, not 0"),
        (lambda: layers.GroupNorm(2, name="n").build((None, 3)), "n: 3 channels are not a multiple of 2 groups"),
        (lambda: layers.InstanceNorm(name="n")(np.ones((2, 1, 3))), "n: needs more than one position"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_instance_norms_statistics_after_three_batches_are_pytorchs():
    module = nn.InstanceNorm2d(3, track_running_stats=True).double()
    layer = layers.InstanceNorm(track_running_stats=True, dtype="float64")
    layer.build((None, 4, 5, 3))
    copy_weights(module, layer)
    for seed in range(3):
        array = images(seed, 2, 3, 4, 5) + seed
        module(torch.tensor(array))
        layer(last(array), training=True)
    np.testing.assert_allclose(layer.moving_mean, module.running_mean, rtol=1e-13)
    np.testing.assert_allclose(layer.moving_variance, module.running_var, rtol=1e-13)
    assert int(layer.num_batches_tracked) == int(module.num_batches_tracked)


def float32_ratio(layer, module, x, there, back):
    """Return the RMS error of a layer's float32 outputs divided by PyTorch's own."""
    truth = module.double()(torch.tensor(x, dtype=torch.float64)).detach().numpy()
    theirs = module.float()(torch.tensor(x)).detach().numpy()
    return rms(back(layer(there(x)).numpy()) - truth) / rms(theirs - truth)


@pytest.mark.parametrize("row", torch_table.RATIOS, ids=lambda row: f"{row[0]}-{row[2]}")
def test_the_published_ratios_are_measured(row):
    """docs/layers.md, before (Keras's own) and after (ours); other processors sum in another order."""
    name, shape, mean = row
    group = name.startswith("GroupNorm")
    x = (np.random.RandomState(0).randn(*((1, 64, 32, 24) if group else (8, 50, 64))) + mean).astype("float32")
    there, back = (last, first) if group else (same, same)
    module = nn.GroupNorm(4, 64) if group else nn.LayerNorm(64)
    theirs = (
        keras.layers.GroupNormalization(4, epsilon=1e-5) if group else keras.layers.LayerNormalization(epsilon=1e-5)
    )
    ours = layers.GroupNorm(4) if group else layers.LayerNorm(64)
    assert there(x).shape == tuple(map(int, shape.strip("()").split(", ")))
    for layer, published in zip((theirs, ours), torch_table.RATIOS[row], strict=True):
        ratio = float32_ratio(layer, module, x, there, back)
        assert published / 1.5 - 0.01 < ratio < 1.5 * published + 0.01
