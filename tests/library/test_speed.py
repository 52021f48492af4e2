"""Every shortcut for speed: it gives what the plain rule gives, and its switch changes the graph."""

import subprocess
import sys
import threading
from dataclasses import fields, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_blitz import layers, losses, optim, speed
from keras_blitz.layers import cpu

small = st.integers(1, 3)
pairs = st.tuples(small, small)
pads = st.tuples(st.integers(0, 2), st.integers(0, 2))
sizes = st.integers(1, 11)
seeds = st.integers(0, 2**16)
examples = settings(deadline=None, max_examples=60)


def outputs_and_gradients(layer, inputs, training=False):
    """Return a layer's outputs, and the gradients of its inputs and weights along a fixed direction."""
    x = tf.constant(inputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x, training=training)
    upstream = tf.constant(np.random.RandomState(1).randn(*outputs.shape), outputs.dtype)
    sources = [x, *(weight.value for weight in layer.trainable_weights)]
    return [outputs.numpy(), *(gradient.numpy() for gradient in tape.gradient(outputs, sources, upstream))]


def assert_plain_gives_the_same(layer, inputs):
    """The layer gives in float64 with its shortcuts what it gives without: outputs and gradients to 1e-12."""
    fast = outputs_and_gradients(layer, inputs)
    with speed.plain():
        plain = outputs_and_gradients(layer, inputs)
    for actual, expected in zip(fast, plain, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * max(np.abs(expected).max(), 1))


def convolution(inputs, outputs, kernel, **options):
    layer = layers.Conv2d(outputs, kernel, dtype="float64", **options)
    layer.build((None, None, None, inputs))
    return layer


# The layers: fast == plain


@examples
@given(
    seed=seeds, batch=small, groups=st.sampled_from([1, 1, 2]), inputs=small, outputs=small, height=sizes, width=sizes,
    kernel=pairs, stride=pairs, padding=pads, dilation=st.just((1, 1)) | pairs,
)  # fmt: skip
def test_conv2d(seed, batch, groups, inputs, outputs, height, width, kernel, stride, padding, dilation):
    for size, k, p, d in zip((height, width), kernel, padding, dilation, strict=True):
        assume(size + 2 * p >= d * (k - 1) + 1)
    channels = inputs * groups
    layer = convolution(
        channels, outputs * groups, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    assert_plain_gives_the_same(layer, np.random.RandomState(seed).randn(batch, height, width, channels))


@examples
@given(seed=seeds, batch=small, inputs=small, outputs=small, height=sizes, width=sizes, padding=pads)
def test_conv2d_that_keeps_the_size(seed, batch, inputs, outputs, height, width, padding):
    kernel = tuple(2 * zeros + 1 for zeros in padding)
    with speed.using(small_maps=False):
        layer = convolution(inputs, outputs, kernel, padding=padding)
        assert_plain_gives_the_same(layer, np.random.RandomState(seed).randn(batch, height, width, inputs))


@examples
@given(
    seed=seeds, inputs=small, outputs=small, height=st.integers(3, 4), width=st.integers(2, 4), kernel=pairs,
    stride=pairs,
)  # fmt: skip
def test_conv2d_whose_product_is_in_halves(seed, inputs, outputs, height, width, kernel, stride):
    assume(height >= kernel[0])
    assume(width >= kernel[1])
    layer = convolution(inputs, outputs, kernel, stride=stride)
    with pytest.MonkeyPatch.context() as patch, speed.using(halved_products=True):
        patch.setattr(cpu, "MANY", 1)
        assert_plain_gives_the_same(layer, np.random.RandomState(seed).randn(1, height, width, inputs))


@examples
@given(
    seed=seeds, batch=small, inputs=small, outputs=small, height=sizes, width=sizes, kernel=pairs, padding=pads,
)  # fmt: skip
def test_conv2d_whose_gradient_goes_by_rows(seed, batch, inputs, outputs, height, width, kernel, padding):
    assume(height + 2 * padding[0] >= kernel[0])
    assume(width + 2 * padding[1] >= kernel[1])
    layer = convolution(inputs, outputs, kernel, padding=padding, banded=True)
    assert_plain_gives_the_same(layer, np.random.RandomState(seed).randn(batch, height, width, inputs))


@examples
@given(seed=seeds, batch=small, channels=small, window=pairs, output=pairs)
def test_adaptive_avg_pool2d_with_windows_of_one_size(seed, batch, channels, window, output):
    height, width = (size * outputs for size, outputs in zip(window, output, strict=True))
    layer = layers.AdaptiveAvgPool2d(output, dtype="float64")
    assert_plain_gives_the_same(layer, np.random.RandomState(seed).randn(batch, height, width, channels))


def test_batch_norm_in_one_operation_is_as_near_to_float64_as_the_plain_rule():
    """It has no float64 kernel; so both are compared with the plain rule in float64."""
    rng = np.random.RandomState(0)
    inputs = rng.randn(3, 5, 7, 4).astype("float32")
    weights = [rng.randn(4), rng.randn(4), rng.randn(4), rng.rand(4) + 0.5, np.array(0)]
    found = {}
    for kind in ("float64", "plain", "fast"):
        dtype = "float64" if kind == "float64" else "float32"
        layer = layers.BatchNorm(dtype=dtype)
        layer.build(inputs.shape)
        layer.set_weights([value.astype("float32") for value in weights])
        with speed.using(fused_batch_norm=kind == "fast"):
            found[kind] = outputs_and_gradients(layer, inputs.astype(dtype))
    for truth, plain, fast in zip(found["float64"], found["plain"], found["fast"], strict=True):
        largest = np.abs(truth).max()
        assert np.abs(plain - truth).max() < 2e-6 * largest
        assert np.abs(fast - truth).max() < 2e-6 * largest


# The optimizer and the losses: fast == plain


@pytest.mark.parametrize("options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "weight_decay": 0.1, "maximize": True}])
def test_sgd(options):
    found = []
    for fused in (True, False):
        rng = np.random.RandomState(0)
        variables = [keras.Variable(rng.randn(*shape), dtype="float64") for shape in ((3, 4), (5,))]
        optimizer = optim.SGD(0.1, **options)
        optimizer.build(variables)
        with speed.using(fused_sgd=fused):
            for _ in range(5):
                optimizer.apply([tf.constant(rng.randn(*variable.shape)) for variable in variables], variables)
        found.append([value.numpy() for value in (*variables, *(slot.variable for slot in optimizer.slots()))])
    for actual, expected in zip(*found, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@examples
@given(
    seed=seeds, reduction=st.sampled_from(["none", "mean", "sum"]),
    sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), weighted=st.booleans(), ignored=st.integers(-1, 4),
    smoothing=st.sampled_from([0.0, 0.1]),
)  # fmt: skip
def test_cross_entropy(seed, reduction, sizes, weighted, ignored, smoothing):
    """Of the batch, and of the batch in parts; where all targets are ignored the mean is NaN either way."""
    rng, count = np.random.RandomState(seed), sum(sizes)
    x, y = tf.constant(rng.randn(count, 4)), tf.constant(rng.randint(0, 4, count))
    weight = rng.rand(4) + 0.1 if weighted else None
    loss = losses.CrossEntropyLoss(weight, ignored, reduction, smoothing)

    def both():
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            of_batch, of_parts = loss(y, x), loss.of_parts(tf.split(y, sizes), tf.split(x, sizes))
        return of_batch, of_parts, tape.gradient(of_batch, x), tape.gradient(of_parts, x)

    fast = both()
    with speed.plain():
        plain = both()
    for actual, expected in zip(fast, plain, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


# The switch


def layer_step(make, *shape, dtype="float32"):
    """Return a function that makes a layer and gives its outputs and gradients, with its arguments' specification."""

    def make_step():
        layer = make()
        layer.dtype_policy = dtype
        layer.build(shape)

        def step(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = layer(x)
            return outputs, tape.gradient(outputs, [x, *(weight.value for weight in layer.trainable_weights)])

        return step, [tf.TensorSpec(shape, dtype)]

    return make_step


def sgd_step():
    variable = keras.Variable(np.ones((3, 4)), dtype="float32")
    optimizer = optim.SGD(0.1, momentum=0.9)
    optimizer.build([variable])
    return lambda gradient: optimizer.apply([gradient], [variable]), [tf.TensorSpec((3, 4), "float32")]


def loss_of_batch():
    loss = losses.CrossEntropyLoss()
    return loss, [tf.TensorSpec((6,), "int64"), tf.TensorSpec((6, 4), "float32")]


def loss_of_parts():
    loss = losses.CrossEntropyLoss()
    specification = [tf.TensorSpec((3,), "int64"), tf.TensorSpec((3, 4), "float32")]
    return lambda y, x: loss.of_parts([y, y], [x, x]), specification


# name in `Choice` -> what the switch changes, the operations the shortcut alone has, those the plain rule alone has
SWITCHES = {
    "same_padding": (layer_step(lambda: layers.Conv2d(5, 3, 1, 1), 2, 8, 9, 3), set(), {"Pad"}),
    "small_maps": (layer_step(lambda: layers.Conv2d(5, 3), 2, 5, 6, 3), {"MatMul", "GatherV2"}, {"Conv2D"}),
    "halved_products": (layer_step(lambda: layers.Conv2d(100, 3), 1, 4, 3, 128), {"SplitV"}, set()),
    "gradient_by_rows": (
        layer_step(lambda: layers.Conv2d(5, 3, banded=True), 2, 8, 9, 3), {"GatherV2", "Pad"}, set(),
    ),
    "fused_batch_norm": (layer_step(lambda: layers.BatchNorm(), 2, 8, 9, 3), {"FusedBatchNormV3"}, {"Rsqrt"}),
    "equal_windows": (layer_step(lambda: layers.AdaptiveAvgPool2d((4, 3)), 2, 8, 9, 3), {"AvgPool"}, {"Einsum"}),
    "counted_targets": (loss_of_batch, {"NotEqual"}, set()),
    "parts_apart": (loss_of_parts, {"AddN"}, set()),
    "fused_sgd": (sgd_step, {"ResourceApplyMomentum"}, {"AssignSubVariableOp"}),
}  # fmt: skip


def operations(make_step):
    """Return the operations of a step's graph, in their order, its functions' included."""
    step, specification = make_step()
    graph = tf.function(step).get_concrete_function(*specification).graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return [node.op for node in nodes]


@pytest.mark.parametrize("name", SWITCHES)
def test_the_switch_changes_the_graph(name):
    make_step, of_shortcut, of_plain_rule = SWITCHES[name]
    with speed.using(**{name: True}):
        fast = operations(make_step)
    with speed.using(**{name: False}):
        slow = operations(make_step)
    with speed.plain():
        plain = operations(make_step)
    assert fast != slow
    for without in (slow, plain):
        assert of_shortcut <= set(fast) - set(without)
        assert of_plain_rule <= set(without) - set(fast)


def test_every_shortcut_has_a_test_of_its_switch():
    assert {field.name for field in fields(speed.Choice)} == set(SWITCHES)


def test_all_shortcuts_are_taken_but_the_halves():
    assert speed.choice() == speed.Choice()
    assert [name for name, value in vars(speed.Choice()).items() if not value] == ["halved_products"]


def test_a_block_is_restored_after_an_error_and_blocks_nest():
    before = speed.choice()
    with pytest.raises(KeyError), speed.using(small_maps=False):
        assert speed.choice() == replace(before, small_maps=False)
        with speed.plain():
            assert not any(vars(speed.choice()).values())
        assert speed.choice() == replace(before, small_maps=False)
        raise KeyError
    assert speed.choice() == before


def test_a_block_holds_in_its_own_thread():
    found = []
    with speed.plain():
        thread = threading.Thread(target=lambda: found.append(speed.choice()))
        thread.start()
        thread.join()
    assert found == [speed.Choice()]


def test_the_choice_of_the_process_holds_in_every_thread_and_outside_of_blocks_alone():
    found = []
    try:
        with speed.using(fused_sgd=False):
            speed.choose(halved_products=True)
            assert not speed.choice().halved_products
        thread = threading.Thread(target=lambda: found.append(speed.choice()))
        thread.start()
        thread.join()
        assert found == [speed.choice()] == [speed.Choice(halved_products=True)]
    finally:
        speed.choose(halved_products=False)


def test_an_unknown_shortcut_is_refused():
    with pytest.raises(TypeError, match="fast_maps"), speed.using(fast_maps=True):
        pass
    with pytest.raises(TypeError, match="fast_maps"):
        speed.choose(fast_maps=True)


# TensorFlow's threads

GRAPHS = """
import sys; sys.path.insert(0, sys.argv[1])
from keras_blitz.quiet import import_tensorflow
import_tensorflow()
import tensorflow as tf
{setting}
import test_speed
print(",".join(operation for make_step, *_ in test_speed.SWITCHES.values()
               for operation in test_speed.operations(make_step)))
"""


@pytest.mark.parametrize(
    ("setting", "halved"),
    [
        ("tf.config.threading.set_intra_op_parallelism_threads(1)", False),
        ("from keras_blitz.training.cpu import tune_cpu; tune_cpu(1, 2)", True),
        ("from keras_blitz.training.cpu import tune_cpu; tune_cpu(2, 2)", False),
    ],
)
def test_graphs_follow_the_choice_and_not_tensorflows_threads(setting, halved):
    code = GRAPHS.format(setting=setting)
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", code, here], capture_output=True, text=True, check=True)
    with speed.using(halved_products=halved):
        expected = [operation for make_step, *_ in SWITCHES.values() for operation in operations(make_step)]
    assert done.stdout.strip().split(",") == expected
