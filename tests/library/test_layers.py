"""L1: every layer against torch.nn in float64, outputs and gradients, over shapes hypothesis thinks up."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_blitz import layers, speed

pytestmark = pytest.mark.covers("L1")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

small = st.integers(1, 3)
pairs = st.tuples(small, small)
pads = st.tuples(st.integers(0, 2), st.integers(0, 2))
sizes = st.integers(1, 11)
seeds = st.integers(0, 2**16)
examples = settings(deadline=None, max_examples=60)


def images(seed, *shape, integers=False):
    """Images (N, C, H, W); whole numbers make ties, where gradients part ways."""
    rng = np.random.RandomState(seed)
    return rng.randint(-2, 3, shape).astype("float64") if integers else rng.randn(*shape)


def nhwc(array):
    return np.transpose(array, (0, *range(2, array.ndim), 1))


def nchw(array):
    return np.transpose(array, (0, array.ndim - 1, *range(1, array.ndim - 1)))


def assert_same(module, layer, array, *, training=False, exact=False):
    """The layer gives the module's output and gradients: of the input and, where it has them, of weight and bias."""
    module = module.double().train(training)
    x = torch.tensor(array, requires_grad=True)
    expected = module(x)
    direction = np.random.RandomState(1).randn(*expected.shape)
    expected.backward(torch.tensor(direction))
    with tf.GradientTape() as tape:
        y = tf.constant(nhwc(array))
        tape.watch(y)
        actual = layer(y, training=training)
    variables = list(layer.trainable_variables)
    gradients = tape.gradient(actual, [y, *variables], nhwc(direction))
    assert layer.compute_output_shape(y.shape) == tuple(actual.shape)
    assert actual.dtype == "float64"
    bound = {"rtol": 0, "atol": 0} if exact else {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(nchw(actual.numpy()), expected.detach().numpy(), **bound)
    np.testing.assert_allclose(nchw(gradients[0].numpy()), x.grad.numpy(), rtol=1e-12, atol=1e-12)
    for variable, gradient in zip(variables, gradients[1:], strict=True):
        of = module.weight.grad if variable.name in ("kernel", "gamma") else module.bias.grad
        found = gradient.numpy().transpose(3, 2, 0, 1) if variable.name == "kernel" else gradient.numpy()
        np.testing.assert_allclose(found, of.numpy(), rtol=1e-12, atol=1e-11)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


@examples
@given(
    seed=seeds, batch=small, groups=st.sampled_from([1, 1, 1, 2, 3]), inputs=small, outputs=small, height=sizes,
    width=sizes, kernel=pairs, stride=pairs, padding=pads, dilation=pairs, bias=st.booleans(),
)  # fmt: skip
def test_conv2d(seed, batch, groups, inputs, outputs, height, width, kernel, stride, padding, dilation, bias):
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    assume(height + 2 * padding[0] >= reach[0])
    assume(width + 2 * padding[1] >= reach[1])
    channels = inputs * groups, outputs * groups
    module = torch.nn.Conv2d(*channels, kernel, stride, padding, dilation, groups, bias).double()
    layer = layers.Conv2d(channels[1], kernel, stride, padding, dilation, groups, bias, dtype="float64")
    layer.build((None, height, width, channels[0]))
    layer.kernel.assign(module.weight.detach().numpy().transpose(2, 3, 1, 0))
    if bias:
        layer.bias.assign(module.bias.detach().numpy())
    assert_same(module, layer, images(seed, batch, channels[0], height, width))


@examples
@given(
    seed=seeds, batch=small, inputs=small, outputs=small, height=sizes, width=sizes, kernel=pairs, padding=pads,
)  # fmt: skip
def test_conv2d_whose_gradient_goes_by_rows(seed, batch, inputs, outputs, height, width, kernel, padding):
    assume(height + 2 * padding[0] >= kernel[0])
    assume(width + 2 * padding[1] >= kernel[1])
    module = torch.nn.Conv2d(inputs, outputs, kernel, padding=padding).double()
    layer = layers.Conv2d(outputs, kernel, padding=padding, banded=True, dtype="float64")
    layer.build((None, height, width, inputs))
    layer.kernel.assign(module.weight.detach().numpy().transpose(2, 3, 1, 0))
    layer.bias.assign(module.bias.detach().numpy())
    assert_same(module, layer, images(seed, batch, inputs, height, width))


@pytest.mark.parametrize(("batch", "chosen", "halved"), [(1, True, True), (2, True, False), (1, False, False)])
def test_conv2d_of_one_image_and_many_weights(batch, chosen, halved):
    """Where it is chosen the product is cut in halves; the gradient is the whole one's."""
    module = torch.nn.Conv2d(129, 100, 3, padding=1).double()
    layer = layers.Conv2d(100, 3, padding=1, dtype="float64")
    layer.build((None, 2, 2, 129))
    layer.kernel.assign(module.weight.detach().numpy().transpose(2, 3, 1, 0))
    layer.bias.assign(module.bias.detach().numpy())
    with speed.using(halved_products=chosen):
        assert_same(module, layer, images(0, batch, 129, 2, 2))
        graph = tf.function(layer).get_concrete_function(tf.TensorSpec((batch, 2, 2, 129), tf.float64)).graph
    assert [op.type for op in graph.get_operations()].count("MatMul") == 1 + halved


@examples
@given(
    seed=seeds, batch=small, channels=small, height=sizes, width=sizes, kernel=pairs, stride=st.none() | pairs,
    padding=pads, dilation=st.just((1, 1)) | pairs, ceil_mode=st.booleans(), ties=st.booleans(),
)  # fmt: skip
def test_max_pool2d(seed, batch, channels, height, width, kernel, stride, padding, dilation, ceil_mode, ties):
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    assume(height + 2 * padding[0] >= reach[0])
    assume(width + 2 * padding[1] >= reach[1])
    layer = layers.MaxPool2d(kernel, stride, padding, dilation, ceil_mode, dtype="float64")
    assume(every_window_has_a_value(layer, (height, width)))
    array = images(seed, batch, channels, height, width, integers=ties)
    module = torch.nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    assert_same(module, layer, array, exact=True)


def every_window_has_a_value(layer, size) -> bool:
    """Whether no window is entirely in the padding, where PyTorch 2.13's gradient writes outside its memory."""
    outputs = layer.compute_output_shape((1, *size, 1))[1:3]
    geometry = zip(size, outputs, layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
    return all(
        any(0 <= start + tap * dilation < length for tap in range(kernel))
        for length, count, kernel, stride, padding, dilation in geometry
        for start in range(-padding, count * stride - padding, stride)
    )


@examples
@given(
    seed=seeds, batch=small, channels=small, height=sizes, width=sizes, kernel=pairs, stride=st.none() | pairs,
    padding=pads, ceil_mode=st.booleans(), count=st.booleans(), divisor=st.none() | st.integers(1, 5),
)  # fmt: skip
def test_avg_pool2d(seed, batch, channels, height, width, kernel, stride, padding, ceil_mode, count, divisor):
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    assume(height + 2 * padding[0] >= kernel[0])
    assume(width + 2 * padding[1] >= kernel[1])
    array = images(seed, batch, channels, height, width)
    module = torch.nn.AvgPool2d(kernel, stride, padding, ceil_mode, count, divisor)
    layer = layers.AvgPool2d(kernel, stride, padding, ceil_mode, count, divisor, dtype="float64")
    assert_same(module, layer, array)


@examples
@given(
    seed=seeds,
    batch=small,
    channels=small,
    height=sizes,
    width=sizes,
    output=st.tuples(sizes, sizes),
    ties=st.booleans(),
)
def test_adaptive_max_pool2d(seed, batch, channels, height, width, output, ties):
    array = images(seed, batch, channels, height, width, integers=ties)
    module = torch.nn.AdaptiveMaxPool2d(output)
    assert_same(module, layers.AdaptiveMaxPool2d(output, dtype="float64"), array, exact=True)


@examples
@given(seed=seeds, batch=small, channels=small, height=sizes, width=sizes, output=st.tuples(sizes, sizes))
def test_adaptive_avg_pool2d(seed, batch, channels, height, width, output):
    array = images(seed, batch, channels, height, width)
    assert_same(torch.nn.AdaptiveAvgPool2d(output), layers.AdaptiveAvgPool2d(output, dtype="float64"), array)


@examples
@given(
    seed=seeds, batch=st.integers(2, 4), channels=small, height=sizes, width=sizes, training=st.booleans(),
    affine=st.booleans(), tracked=st.booleans(), momentum=st.none() | st.floats(0, 1),
    eps=st.sampled_from([1e-5, 1e-3]), offset=st.sampled_from([0.0, 100.0]),
)  # fmt: skip
def test_batch_norm(seed, batch, channels, height, width, training, affine, tracked, momentum, eps, offset):
    module = torch.nn.BatchNorm2d(channels, eps, momentum, affine, tracked).double()
    layer = layers.BatchNorm(eps, momentum, affine, tracked, dtype="float64")
    layer.build((None, None, None, channels))
    rng = np.random.RandomState(seed)
    if affine:
        for parameter, variable in ((module.weight, layer.gamma), (module.bias, layer.beta)):
            parameter.data = torch.tensor(rng.randn(channels))
            variable.assign(parameter.detach().numpy())
    for step in range(3):  # what the statistics have become shows in eval mode
        array = images(seed + step, batch, channels, height, width) + offset
        module.train()(torch.tensor(array))
        layer(nhwc(array), training=True)
    if tracked:
        np.testing.assert_allclose(layer.moving_mean, module.running_mean, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(layer.moving_variance, module.running_var, rtol=1e-12)
        assert int(layer.num_batches_tracked) == int(module.num_batches_tracked) == 3
    found = images(seed + 9, batch, channels, height, width)  # 2 values a channel make 1/σ large: an honest scale
    assert_same(module, layer, found * 1.0, training=training and height * width * batch > 6)


@examples
@given(seed=seeds, batch=st.integers(2, 4), channels=small, length=st.integers(1, 6))
def test_batch_norm_1d(seed, batch, channels, length):
    module, layer = torch.nn.BatchNorm1d(channels), layers.BatchNorm(dtype="float64")
    assert_same(module, layer, images(seed, batch, channels, length + 3), training=True)


@pytest.mark.parametrize("size", [5, 2])  # in one operation, and not
def test_batch_norm_in_eval_mode_keeps_float32s_digits_and_gradients(size):
    rng = np.random.RandomState(0)
    x = (1000 + rng.randn(4, size, size, 3)).astype(np.float32)  # |mean| ≫ std
    upstream = rng.randn(*x.shape)
    found = []
    for dtype in ("float32", "float64"):
        layer = layers.BatchNorm(dtype=dtype)
        layer.build(x.shape)
        values = [[0.5, 2, 3], [1, -1, 0], [1000, 1000.5, 999], [1, 0.5, 2], 1]
        layer.set_weights([np.array(value) for value in values])
        inputs = tf.constant(x, dtype)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=False)
        of = [inputs, *(weight.value for weight in layer.trainable_weights)]
        found.append([outputs, *tape.gradient(outputs, of, tf.constant(upstream, dtype))])
    for here, truth in zip(*found, strict=True):
        np.testing.assert_allclose(here.numpy(), truth.numpy(), atol=1e-6 * np.abs(truth.numpy()).max())


def test_batch_norm_mode_is_independent_of_freezing():
    layer = layers.BatchNorm(dtype="float64")
    layer.build((None, 3))
    layer.trainable = False
    array = np.random.RandomState(0).randn(5, 3) + 7
    outputs = layer(array, training=True).numpy()
    np.testing.assert_allclose(outputs.mean(0), 0, atol=1e-12)
    assert layer.moving_mean.numpy().min() > 0.5
    assert layer.trainable_variables == []


def test_batch_norm_of_one_value_a_channel_raises_as_in_pytorch():
    with pytest.raises(ValueError, match="train mode needs more than one value per channel"):
        layers.BatchNorm(name="bn")(np.ones((1, 1, 1, 3), "float32"), training=True)
    with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
        torch.nn.BatchNorm2d(3)(torch.ones(1, 3, 1, 1))


@pytest.mark.parametrize(("layer", "module", "shape"), [
    (layers.Dropout(0.3, dtype="float64"), torch.nn.Dropout(0.3), (4, 3, 5, 6)),
    (layers.Dropout2d(0.3, dtype="float64"), torch.nn.Dropout2d(0.3), (4, 3, 1, 1)),
])  # fmt: skip
def test_dropout_through_pytorchs_mask(layer, module, shape):
    array = images(0, 4, 3, 5, 6)
    torch.manual_seed(5)
    module.double()
    mask = module(torch.ones(4, 3, 5, 6, dtype=torch.float64)).numpy()[:, :, : shape[2], : shape[3]]
    layer.mask = lambda _: nhwc(mask)
    torch.manual_seed(5)
    assert_same(module, layer, array, training=True)
    assert_same(module, layer, array, training=False)


def test_dropout_draws_its_own_mask_where_none_is_given():
    outputs = layers.Dropout(0.25, seed=1)(np.ones((100, 100), "float32"), training=True).numpy()
    assert 0.2 < (outputs == 0).mean() < 0.3
    assert outputs.max() == np.float32(1 / 0.75)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2d(4, 0), r"kernel_size must be a whole number ≥ 1 or a pair of them, not 0"),
        (lambda: layers.Conv2d(4, 3, padding=(1, 2, 3)), r"padding must be a whole number ≥ 0 or a pair"),
        (lambda: layers.Conv2d(4, 3, 2, banded=True), r"groups 1, not \(2, 2\), \(1, 1\) and 1"),
        (lambda: layers.Conv2d(4, 3, dilation=3, banded=True), r"groups 1, not \(1, 1\), \(3, 3\) and 1"),
        (lambda: layers.Conv2d(4, 3, groups=2, banded=True), r"groups 1, not \(1, 1\), \(1, 1\) and 2"),
        (lambda: layers.Conv2d(4, 3, groups=3), "out_channels must be a multiple of groups, not 4 of 3"),
        (
            lambda: layers.Conv2d(4, 3, groups=2, name="c").build((None, 8, 8, 3)),
            "c: 3 input channels are not a multiple",
        ),
        (lambda: layers.MaxPool2d(2, padding=2), r"padding must be at most half of kernel_size"),
        (lambda: layers.AvgPool2d(2, divisor_override=0), "divisor_override must not be zero"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()


LAYERS = [
    (lambda: layers.Conv2d(4, 3, 2, 1), (2, 8, 9, 3)),
    (lambda: layers.Conv2d(4, 3, 1, 2, dilation=2, groups=2), (2, 8, 9, 4)),
    (lambda: layers.Conv2d(4, 3, 1, 1, banded=True), (2, 8, 9, 3)),
    (lambda: layers.Conv2d(100, 3, 1, 1), (1, 2, 2, 128)),
    (lambda: layers.MaxPool2d(3, 2, 1), (2, 8, 9, 3)),
    (lambda: layers.MaxPool2d(3, 2, ceil_mode=True), (2, 8, 9, 3)),
    (lambda: layers.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 8, 9, 3)),
    (lambda: layers.AdaptiveMaxPool2d((3, 2)), (2, 8, 9, 3)),
    (lambda: layers.AdaptiveAvgPool2d((3, 2)), (2, 8, 9, 3)),
    (lambda: layers.AdaptiveAvgPool2d((4, 3)), (2, 8, 9, 3)),
    (lambda: layers.BatchNorm(), (2, 8, 9, 3)),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_layer_runs_compiled_and_gives_the_same(make, shape, dtype):
    """Graph and XLA, training, gradients: nothing depends on the eager mode."""
    array = tf.constant(np.random.RandomState(0).randn(*shape).astype(dtype))
    keras.utils.set_random_seed(0)
    layer = make()
    layer.dtype_policy = dtype
    layer.build(shape)

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, training=True)
            energy = tf.reduce_sum(outputs**2)
        return outputs, tape.gradient(energy, x)

    bound = {"float32": 1e-4, "float64": 1e-12}[dtype]
    expected = run(array)
    for jit in (False, True):
        for found, wanted in zip(tf.function(run, jit_compile=jit)(array), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=bound, atol=bound)
