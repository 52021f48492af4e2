"""L5: Conv1d, Conv2d, Conv3d and their transposed forms against torch.nn, over shapes and options."""

from math import prod

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume
from hypothesis import strategies as st

from keras_blitz import layers

pytestmark = [
    pytest.mark.covers("L5"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),  # PyTorch's, of its own speed
]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_same, images, over  # noqa: E402

small = st.integers(1, 3)
pads = st.tuples(*[st.integers(0, 2)] * 3)
seeds = st.integers(0, 2**16)
ranks = st.integers(1, 3)
three = st.tuples(small, small, small)


@over(
    few=25, rank=ranks, seed=seeds, batch=small, groups=st.sampled_from([1, 1, 2, 3]), inputs=small, outputs=small,
    size=st.tuples(*[st.integers(3, 7)] * 3), kernel=three, stride=three, padding=pads,
    dilation=three, bias=st.booleans(), mode=st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]),
    named=st.sampled_from([None, None, "same", "valid"]),
)  # fmt: skip
def test_convolution(
    rank, seed, batch, groups, inputs, outputs, size, kernel, stride, padding, dilation, bias, mode, named
):
    size, kernel, stride, padding, dilation = (each[:rank] for each in (size, kernel, stride, padding, dilation))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    if named:
        padding, stride = named, (1,) * rank
        assume(mode == "zeros" or all(r - 1 < 2 * n for r, n in zip(reach, size, strict=True)))
    assume(named == "same" or all(n >= r for n, r in zip(size, reach, strict=True)))
    options = {"dilation": dilation, "groups": groups, "bias": bias, "padding_mode": mode}
    module = getattr(torch.nn, f"Conv{rank}d")(inputs * groups, outputs * groups, kernel, stride, padding, **options)
    layer = getattr(layers, f"Conv{rank}d")(outputs * groups, kernel, stride, padding, **options, dtype="float64")
    assert_same(module, layer, images(seed, batch, inputs * groups, *size), seed=seed)


@over(
    few=25, rank=ranks, seed=seeds, batch=small, groups=st.sampled_from([1, 1, 2, 3]), inputs=small, outputs=small,
    size=three, kernel=three, stride=three, padding=pads, added=pads,
    dilation=three, bias=st.booleans(),
)  # fmt: skip
def test_transposed_convolution(
    rank, seed, batch, groups, inputs, outputs, size, kernel, stride, padding, added, dilation, bias
):
    size, kernel, stride, padding, dilation = (each[:rank] for each in (size, kernel, stride, padding, dilation))
    added = tuple(min(a, max(s, d) - 1) for a, s, d in zip(added, stride, dilation, strict=False))
    options = {"output_padding": added, "groups": groups, "bias": bias, "dilation": dilation}
    layer = getattr(layers, f"ConvTranspose{rank}d")(
        outputs * groups, kernel, stride, padding, **options, dtype="float64"
    )
    assume(prod(max(n, 0) for n in layer.compute_output_shape((1, *size, 1))))
    module = getattr(torch.nn, f"ConvTranspose{rank}d")(
        inputs * groups, outputs * groups, kernel, stride, padding, **options
    )
    assert_same(module, layer, images(seed, batch, inputs * groups, *size), seed=seed)


@pytest.mark.parametrize(
    ("groups", "outputs", "options"),
    [(1, 4, {"stride": (2, 1)}), (3, 6, {"padding": (0, 2)}), (6, 12, {"dilation": (1, 2), "padding": 1})],
)
def test_convolution_with_a_computed_kernel(groups, outputs, options):
    rng = np.random.RandomState(0)
    shapes = ((2, 6, 7, 5), (outputs, 6 // groups, 3, 2), (outputs,))
    given = [torch.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]
    expected = torch.nn.functional.conv2d(*given, **options, groups=groups)
    expected.sum().backward()
    x, kernel, bias = (tf.constant(each.detach().numpy()) for each in given)
    layer = layers.DynamicConv2d(outputs, (3, 2), **options, groups=groups, dtype="float64")
    with tf.GradientTape() as tape:
        tape.watch([x, kernel, bias])
        actual = layer(tf.transpose(x, (0, 2, 3, 1)), tf.transpose(kernel, (2, 3, 1, 0)), bias)
        total = tf.reduce_sum(actual)
    np.testing.assert_allclose(actual, expected.detach().permute(0, 2, 3, 1), rtol=0, atol=1e-12)
    for gradient, each in zip(tape.gradient(total, [x, kernel, bias]), given, strict=True):
        np.testing.assert_allclose(gradient, each.grad, rtol=0, atol=1e-11)
    symbolic = layer(keras.Input((7, 5, 6), dtype="float64"), tf.transpose(kernel, (2, 3, 1, 0)))
    assert symbolic.shape == (None, *actual.shape[1:])


@pytest.mark.parametrize(
    ("layer", "stride"), [("Conv1d", 2), ("Conv2d", (1, 3)), ("ConvTranspose1d", 3), ("ConvTranspose2d", (2, 1))]
)
def test_a_kernel_of_one_place_with_a_stride(layer, stride):
    rank = int(layer[-2])
    module = getattr(torch.nn, layer)(3, 4, 1, stride)
    assert_same(module, getattr(layers, layer)(4, 1, stride, dtype="float64"), images(0, 2, 3, *(8, 6)[:rank]), seed=0)


def _may_overrun(layer, size, channels):
    """Whether the kernel's gradient is one that oneDNN computes in too little memory."""
    layer.build((None, *size, channels))

    def gradient(x):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(total, layer.kernel.value)

    graph = tf.function(gradient).get_concrete_function(tf.TensorSpec((None, *size, channels), tf.float32)).graph
    convolutions = [each for each in graph.get_operations() if each.type == "Conv2DBackpropFilter"]
    assert convolutions
    return any(
        tuple(layer.kernel.shape[:-2]) == (1,) * len(size)
        and max(each.get_attr("strides")) > 1
        and each.inputs[0].shape[-1] < 16
        for each in convolutions
    )


@pytest.mark.parametrize(
    ("layer", "size", "channels", "overruns"),
    [
        (layers.Conv2d(48, 1, 2), (32, 32), 3, False),
        (layers.Conv2d(48, 1, (1, 2)), (32, 32), 15, False),
        (layers.Conv2d(96, 1, 2, groups=2), (32, 32), 6, False),
        (layers.Conv2d(48, 1, 2), (32, 32), 16, False),  # as many channels as oneDNN's block
        (layers.Conv2d(48, 3, 2, 1), (32, 32), 3, False),
        (layers.Conv1d(48, 1, 2), (512,), 3, False),
        (layers.ConvTranspose2d(3, 1, 2), (16, 16), 48, False),
        (layers.ConvTranspose1d(3, 1, 2), (256,), 48, False),
        (keras.layers.Conv2D(48, 1, 2), (32, 32), 3, True),
        (keras.layers.Conv2DTranspose(3, 1, 2), (16, 16), 48, True),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_no_kernel_gradient_writes_beyond_its_memory(layer, size, channels, overruns):
    assert _may_overrun(layer, size, channels) == overruns


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv1d(4, (3, 3)), r"kernel_size must be a whole number ≥ 1 or one in a tuple, not \(3, 3\)"),
        (lambda: layers.Conv3d(4, 3, padding=-1), "padding must be a whole number ≥ 0 or three of them, not -1"),
        (lambda: layers.Conv2d(4, 3, 2, "same"), 'padding must be numbers, "valid", or "same" with stride 1'),
        (lambda: layers.Conv2d(4, 3, padding_mode="edge"), "padding_mode must be one of zeros, reflect"),
        (lambda: layers.ConvTranspose2d(4, 3, 2, 1, 2), r"output_padding must be less than stride or dilation"),
        (lambda: layers.ConvTranspose1d(4, 3, groups=3), "out_channels must be a multiple of groups, not 4 of 3"),
        (
            lambda: layers.ConvTranspose2d(4, 3, groups=2, name="c").build((None, 8, 8, 3)),
            "c: 3 input channels are not a multiple",
        ),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
