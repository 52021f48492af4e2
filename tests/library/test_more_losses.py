"""L4: the other losses of torch.nn in float64, values and gradients of every input, over what hypothesis thinks up."""

import json
import re
import warnings
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import keras_blitz
from keras_blitz import losses

pytestmark = pytest.mark.covers("L4")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

seeds = st.integers(0, 2**16)
reductions = st.sampled_from(["none", "mean", "sum"])
shapes = st.sampled_from([(), (1,), (4,), (3, 5), (2, 3, 2)])
rows = st.sampled_from([(5,), (1, 1), (4, 3), (3, 6)])
examples = settings(deadline=None, max_examples=20)


def direction(shape):
    """Upstream gradients, no two alike."""
    return np.random.RandomState(5).rand(*shape) + 0.5 if shape else np.float64(1)


def from_pytorch(call, inputs):
    tensors = [torch.tensor(np.asarray(x), requires_grad=np.asarray(x).dtype.kind == "f") for x in inputs]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reduction: 'mean' divides")
        value = call(*tensors)
    soft = [tensor for tensor in tensors if tensor.requires_grad]
    return value.detach().numpy(), [
        gradient.numpy()
        for gradient in torch.autograd.grad(value, soft, torch.tensor(direction(value.shape)), materialize_grads=True)
    ]


def from_port(call, inputs, wrap=lambda function: function):
    def step(*tensors):
        soft = [tensor for tensor in tensors if tensor.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch(soft)
            value = call(*tensors)
        upstream = tf.constant(direction(tuple(value.shape)), value.dtype)
        return value, tape.gradient(value, soft, upstream, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    value, gradients = wrap(step)(*(tf.constant(np.asarray(x)) for x in inputs))
    return value.numpy(), [gradient.numpy() for gradient in gradients]


def assert_close(actual, expected, terms=0.0):
    """Within 1e-12 of the largest magnitude: of the values, or of the terms they are the difference of."""
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    largest = np.max(np.abs(expected[np.isfinite(expected)]), initial=terms)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * largest)


def assert_same(port, module, *inputs, terms=1.0, **options):
    """Both calls take the inputs in PyTorch's order; the loss and every gradient are PyTorch's."""
    value, gradients = from_pytorch(module, inputs)
    actual, slopes = from_port(port, inputs, **options)
    assert_close(actual, value, terms)
    for slope, gradient in zip(slopes, gradients, strict=True):
        assert_close(slope, gradient, terms)


def swap(loss):
    """Call a Keras loss in PyTorch's order: the prediction first."""
    return lambda x, y: loss(y, x)


def pair(loss):
    return lambda x1, x2, y: loss(y, (x1, x2))


def near(rng, shape, edge):
    """Normal noise, with 0, ±edge and large values among it: the kinks of a loss."""
    x = np.asarray(rng.randn(*shape))
    return np.where(rng.rand(*shape) < 0.4, rng.choice([0.0, edge, -edge, 40.0], shape), x)


@examples
@given(seed=seeds, reduction=reductions, shape=shapes, width=st.sampled_from([1.0, 0.3, 0.0, 2.5]))
def test_absolute_differences(seed, reduction, shape, width):
    rng = np.random.RandomState(seed)
    y = np.asarray(rng.randn(*shape))
    x = y + near(rng, shape, width)
    nn = torch.nn
    assert_same(swap(losses.L1Loss(reduction)), nn.L1Loss(reduction=reduction), x, y)
    assert_same(swap(losses.SmoothL1Loss(reduction, width)), nn.SmoothL1Loss(reduction=reduction, beta=width), x, y)
    if width:
        assert_same(swap(losses.HuberLoss(reduction, width)), nn.HuberLoss(reduction, width), x, y)


@examples
@given(
    seed=seeds, shape=shapes, reduction=st.sampled_from(["none", "mean", "sum", "batchmean"]), log_target=st.booleans(),
    zeros=st.booleans(),
)  # fmt: skip
def test_kl_div(seed, shape, reduction, log_target, zeros):
    rng = np.random.RandomState(seed)
    x, y = -np.asarray(rng.rand(*shape)), np.asarray(rng.rand(*shape))
    y = np.log(y) if log_target else np.where(rng.rand(*shape) < 0.3, 0.0, y) if zeros else y
    options = {"reduction": reduction, "log_target": log_target}
    assert_same(swap(losses.KLDivLoss(**options)), torch.nn.KLDivLoss(**options), x, y)


@examples
@given(seed=seeds, reduction=reductions, shape=shapes, log_input=st.booleans(), full=st.booleans())
def test_poisson_nll(seed, reduction, shape, log_input, full):
    rng = np.random.RandomState(seed)
    x = np.asarray(rng.randn(*shape) if log_input else rng.choice([0.0, 0.3, 2.0], shape))
    y = np.asarray(rng.randint(0, 5, shape) * 1.0)
    options = {"log_input": log_input, "full": full, "eps": 1e-7, "reduction": reduction}
    assert_same(swap(losses.PoissonNLLLoss(**options)), torch.nn.PoissonNLLLoss(**options), x, y, terms=1e7)


@examples
@given(
    seed=seeds, reduction=reductions, full=st.booleans(),
    sizes=st.sampled_from([((4,), (4,)), ((4, 3), (4, 3)), ((4, 3), (4,)), ((4, 3), (4, 1)), ((2, 3, 2), (2, 1, 2))]),
)  # fmt: skip
def test_gaussian_nll(seed, reduction, full, sizes):
    rng = np.random.RandomState(seed)
    x, y, v = (rng.randn(*sizes[0]), rng.randn(*sizes[0]), rng.choice([0.0, 1e-8, 0.01, 0.7, 3.0], sizes[1]))
    options = {"full": full, "eps": 1e-5, "reduction": reduction}
    module = torch.nn.GaussianNLLLoss(**options)
    assert_same(lambda x, y, v: losses.GaussianNLLLoss(**options)(y, (x, v)), module, x, y, v)


def test_gaussian_nll_takes_one_variance_for_all():
    x, y = np.random.RandomState(1).randn(2, 3, 4)
    expected = torch.nn.GaussianNLLLoss()(torch.tensor(x), torch.tensor(y), 0.3)
    assert losses.GaussianNLLLoss()(y, (x, 0.3)).numpy() == pytest.approx(expected.item(), rel=1e-14)


@examples
@given(seed=seeds, reduction=reductions, shape=shapes, margin=st.sampled_from([1.0, 0.3, 0.0]))
def test_hinge_embedding(seed, reduction, shape, margin):
    rng = np.random.RandomState(seed)
    x, y = near(rng, shape, margin), np.asarray(rng.choice([-1.0, 1.0, 0.0], shape))
    y = y.astype(int)
    module = torch.nn.HingeEmbeddingLoss(margin, reduction=reduction)
    assert_same(swap(losses.HingeEmbeddingLoss(margin, reduction)), module, x, y)


@examples
@given(seed=seeds, reduction=reductions, shape=shapes, scale=st.sampled_from([1.0, 300.0, 1000.0]))
def test_soft_margin(seed, reduction, shape, scale):
    """Where PyTorch overflows, so does the port."""
    rng = np.random.RandomState(seed)
    x, y = np.asarray(rng.randn(*shape)) * scale, np.asarray(rng.choice([-1, 1], shape))
    assert_same(swap(losses.SoftMarginLoss(reduction)), torch.nn.SoftMarginLoss(reduction=reduction), x, y)


@examples
@given(seed=seeds, reduction=reductions, shape=rows, weighted=st.booleans())
def test_multi_label_soft_margin(seed, reduction, shape, weighted):
    rng = np.random.RandomState(seed)
    x, y = rng.randn(*shape) * 5, rng.rand(*shape)
    weight = rng.rand(shape[-1]) if weighted else None
    module = torch.nn.MultiLabelSoftMarginLoss(torch.tensor(weight) if weighted else None, reduction=reduction)
    assert_same(swap(losses.MultiLabelSoftMarginLoss(weight, reduction)), module, x, y)


@examples
@given(
    seed=seeds, reduction=reductions, shape=rows, p=st.sampled_from([1, 2]), margin=st.sampled_from([1.0, 0.5]),
    weighted=st.booleans(),
)  # fmt: skip
def test_multi_margin(seed, reduction, shape, p, margin, weighted):
    rng = np.random.RandomState(seed)
    x, y = rng.choice([0.0, 0.5, 1.0, -0.25], shape), np.asarray(rng.randint(0, shape[-1], shape[:-1]))
    weight = rng.rand(shape[-1]) if weighted else None
    tensor = torch.tensor(weight) if weighted else None
    module = torch.nn.MultiMarginLoss(p, margin, tensor, reduction=reduction)
    assert_same(swap(losses.MultiMarginLoss(p, margin, weight, reduction)), module, x, y)


@examples
@given(seed=seeds, reduction=reductions, shape=rows)
def test_multi_label_margin(seed, reduction, shape):
    """Targets end at the first −1, may be none or all, and may be named twice."""
    rng = np.random.RandomState(seed)
    x, y = rng.choice([0.0, 0.5, 1.0, -0.25], shape), rng.randint(-1, shape[-1], shape)
    module = torch.nn.MultiLabelMarginLoss(reduction=reduction)
    assert_same(swap(losses.MultiLabelMarginLoss(reduction)), module, x, y)


@examples
@given(seed=seeds, reduction=reductions, shape=shapes, margin=st.sampled_from([0.0, 0.5]))
def test_margin_ranking(seed, reduction, shape, margin):
    rng = np.random.RandomState(seed)
    x1, x2 = (np.asarray(rng.choice([0.0, 0.5, 1.0], shape)) for _ in range(2))
    y = np.asarray(rng.choice([-1.0, 1.0], shape))
    module = torch.nn.MarginRankingLoss(margin, reduction=reduction)
    assert_same(pair(losses.MarginRankingLoss(margin, reduction)), module, x1, x2, y)


@examples
@given(
    seed=seeds, reduction=reductions, shape=rows, margin=st.sampled_from([0.0, 0.5, -1.0]),
    kind=st.sampled_from(["apart", "equal", "zero"]),
)  # fmt: skip
def test_cosine_embedding(seed, reduction, shape, margin, kind):
    rng = np.random.RandomState(seed)
    x1, x2 = rng.randn(2, *shape)
    x1, x2 = {"apart": (x1, x2), "equal": (x1, x1.copy()), "zero": (x1, 0 * x1)}[kind]
    y = np.asarray(rng.choice([-1, 1, 0], shape[:-1]))
    module = torch.nn.CosineEmbeddingLoss(margin, reduction=reduction)
    terms = 1e6 if kind == "zero" else 1.0  # 1/√ε
    assert_same(pair(losses.CosineEmbeddingLoss(margin, reduction)), module, x1, x2, y, terms=terms)


def is_tied_by_rounding(parts, margin, swapped, eps, p=2.0):
    """Return whether ε makes two distances, or the hinge and 0, equal up to the order in which terms are summed.

    On which side rounding leaves them decides the gradient; ties that are exact are equal in both frameworks.
    """
    anchor, positive, negative = (torch.tensor(part) for part in parts)
    distance = partial(torch.nn.functional.pairwise_distance, p=p, eps=eps)
    near, far, other = distance(anchor, positive), distance(anchor, negative), distance(positive, negative)
    hinge = margin + near - (torch.minimum(far, other) if swapped else far)
    close = [hinge.abs(), (far - other).abs()] if swapped else [hinge.abs()]
    return bool(eps) and any(bool((each < 1e-12 * (margin + near + far)).any()) for each in close)


def triplet(rng, shape, kind):
    if kind == "ties":
        return rng.choice([0.0, 1.0], (3, *shape))
    anchor, positive, negative = rng.randn(3, *shape)
    return anchor, anchor.copy() if kind == "equal" else positive, negative


@examples
@given(
    seed=seeds, reduction=reductions, shape=rows, margin=st.sampled_from([1.0, 0.2]), eps=st.sampled_from([1e-6, 0.0]),
    p=st.sampled_from([2.0, 1.0, 3.0, 1.5, 0.5, 0.0, float("inf")]), swapped=st.booleans(),
    kind=st.sampled_from(["apart", "equal", "ties"]),
)  # fmt: skip
@example(0, "none", (4, 3), 1.0, 0.0, float("inf"), True, "ties")
def test_triplet_margin(seed, reduction, shape, margin, eps, p, swapped, kind):
    parts = triplet(np.random.RandomState(seed), shape, kind)
    assume(not is_tied_by_rounding(parts, margin, swapped, eps, p))
    options = {"margin": margin, "p": p, "eps": eps, "swap": swapped, "reduction": reduction}
    loss = losses.TripletMarginLoss(**options)
    terms = 1e4 if p < 1 else 1.0  # 1/√ε
    assert_same(lambda *parts: loss(None, parts), torch.nn.TripletMarginLoss(**options), *parts, terms=terms)


@keras.saving.register_keras_serializable("tests")
def manhattan(x, y):
    return abs(x - y).sum(-1) if isinstance(x, torch.Tensor) else tf.reduce_sum(abs(x - y), -1)


@examples
@given(
    seed=seeds, reduction=reductions, shape=rows, swapped=st.booleans(), function=st.sampled_from([None, manhattan]),
    kind=st.sampled_from(["apart", "ties"]),
)  # fmt: skip
def test_triplet_margin_with_distance(seed, reduction, shape, swapped, function, kind):
    parts = triplet(np.random.RandomState(seed), shape, kind)
    assume(function is not None or not is_tied_by_rounding(parts, 0.7, swapped, 1e-6))
    options = {"margin": 0.7, "swap": swapped, "reduction": reduction, "distance_function": function}
    loss = losses.TripletMarginWithDistanceLoss(**options)
    assert_same(lambda *parts: loss(None, parts), torch.nn.TripletMarginWithDistanceLoss(**options), *parts)


def sequences(rng, batch, steps, labels, classes, blank):
    """Log-probabilities (T, N, C), padded targets and both lengths, too long targets among them."""
    x = rng.randn(steps, batch, classes)
    x -= np.log(np.exp(x).sum(-1, keepdims=True))
    targets = rng.choice([label for label in range(classes) if label != blank], (batch, labels))
    return x, targets, rng.randint(1, steps + 1, batch), rng.randint(0, labels + 1, batch)


@examples
@given(
    seed=seeds, reduction=reductions, batch=st.integers(1, 3), steps=st.integers(1, 7), labels=st.integers(1, 4),
    blank=st.sampled_from([0, 2]), zero_infinity=st.booleans(), row=st.booleans(),
)  # fmt: skip
def test_ctc(seed, reduction, batch, steps, labels, blank, zero_infinity, row):
    rng = np.random.RandomState(seed)
    x, targets, inputs, lengths = sequences(rng, batch, steps, labels, 4, blank)
    if row:
        targets = np.concatenate([target[:n] for target, n in zip(targets, lengths, strict=True)])
    options = {"blank": blank, "reduction": reduction, "zero_infinity": zero_infinity}
    loss, module = losses.CTCLoss(**options), torch.nn.CTCLoss(**options)
    assert_same(lambda x, *y: loss(y, tf.transpose(x, [1, 0, 2])), module, x, targets, inputs, lengths)


def test_ctc_of_one_sequence():
    x, targets, inputs, lengths = sequences(np.random.RandomState(4), 1, 6, 3, 4, 0)
    one = x[:, 0], targets[0, :2], inputs[0] * 0 + 6, lengths[0] * 0 + 2
    assert_same(lambda x, *y: losses.CTCLoss()(y, x), torch.nn.CTCLoss(), *one)


@pytest.mark.parametrize("padding", [0, -1])
def test_ctc_reads_the_lengths_off_padded_targets(padding):
    x, targets, _, _ = sequences(np.random.RandomState(4), 2, 6, 3, 4, 0)
    targets[1, 1:] = padding
    module = lambda x: torch.nn.CTCLoss()(x, torch.tensor(targets), torch.tensor([6, 6]), torch.tensor([3, 1]))  # noqa: E731
    assert_same(lambda x: losses.CTCLoss()(targets, tf.transpose(x, [1, 0, 2])), module, x)


def test_ctc_of_long_sequences_is_finite_and_exact():
    """The product of 80 probabilities is 0 in float32; the sum of their logarithms is exact."""
    x, targets, _, _ = sequences(np.random.RandomState(4), 2, 80, 30, 6, 0)
    x = x * 4 - np.log(np.exp(x * 4).sum(-1, keepdims=True))
    inputs, lengths = np.array([80, 66]), np.array([30, 21])
    loss = losses.CTCLoss(reduction="sum")
    module = torch.nn.CTCLoss(reduction="sum")
    assert_same(lambda x, *y: loss(y, tf.transpose(x, [1, 0, 2])), module, x, targets, inputs, lengths)


R = np.random.RandomState(7)
A, B, C, Y = R.randn(4, 3, 4)
SIGNS, ONES = np.array([1.0, -1.0, 1.0]), np.sign(Y)
LOG = np.log(R.dirichlet(np.ones(4), 3))
CTC = (np.array([[1, 2], [3, 3], [1, 0]]), np.array([5, 4, 3]), np.array([2, 2, 1]))
# id -> the loss, y_true, y_pred
CASES = {
    "l1": (losses.L1Loss("sum"), Y, A),
    "smooth-l1": (losses.SmoothL1Loss(beta=0.3), Y, A),
    "huber": (losses.HuberLoss(delta=0.3), Y, A),
    "kl-div": (losses.KLDivLoss("batchmean"), np.exp(LOG[::-1]), LOG),
    "poisson": (losses.PoissonNLLLoss(full=True, eps=0.1, log_input=False), np.round(np.exp(Y)), np.exp(A)),
    "gaussian": (losses.GaussianNLLLoss(full=True, eps=0.1), Y, (A, B**2)),
    "hinge-embedding": (losses.HingeEmbeddingLoss(0.3), ONES, A),
    "soft-margin": (losses.SoftMarginLoss(), ONES, A),
    "multi-label-soft-margin": (losses.MultiLabelSoftMarginLoss([0.1, 1.0, 2.0, 0.3]), Y > 0, A),
    "multi-margin": (losses.MultiMarginLoss(2, 0.3, [0.1, 1.0, 2.0, 0.3]), np.array([0, 3, 1]), A),
    "multi-label-margin": (losses.MultiLabelMarginLoss("none"), np.array([[0, 2, -1, 1], [-1] * 4, [3, 3, 1, -1]]), A),
    "margin-ranking": (losses.MarginRankingLoss(0.3), ONES, (A, B)),
    "cosine-embedding": (losses.CosineEmbeddingLoss(0.3), SIGNS, (A, B)),
    "triplet": (losses.TripletMarginLoss(0.3, 3.0, 1e-3, swap=True), None, (A, B, C)),
    "triplet-distance": (losses.TripletMarginWithDistanceLoss(distance_function=manhattan), None, (A, B, C)),
    "ctc": (losses.CTCLoss(zero_infinity=True), CTC, np.log(R.dirichlet(np.ones(4), (3, 5)))),
}  # fmt: skip
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
MODES = {"graph": tf.function, "xla": tf.function(jit_compile=True)}


@pytest.mark.parametrize("id", ["gaussian", "multi-label-margin", "ctc"])
def test_under_xla(id):
    """As in eager mode, which is PyTorch's. The cases of L4 run every loss in a graph, and in XLA with --slow."""
    loss, y, x = CASES[id]
    parts = x if isinstance(x, tuple) else (x,)
    call = (lambda *parts: loss(y, parts)) if len(parts) > 1 else (lambda x: loss(y, x))
    value, gradients = from_port(call, parts)
    actual, slopes = from_port(call, parts, wrap=MODES["xla"])
    assert_close(np.asarray(actual), np.asarray(value))
    for slope, gradient in zip(slopes, gradients, strict=True):
        assert_close(slope, gradient)


@cases
def test_the_dtype_is_the_outputs(case):
    loss, y, x = case
    with keras_blitz.precision("float64"):
        low = tuple(part.astype("float32") for part in x) if isinstance(x, tuple) else x.astype("float32")
        assert loss(y, low).dtype == "float32"
    assert loss(y, x).dtype == "float64"


@cases
def test_configuration_survives_json(case):
    loss, y, x = case
    again = keras.losses.deserialize(json.loads(json.dumps(keras.losses.serialize(loss))))
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    np.testing.assert_array_equal(again(y, x), loss(y, x))


@cases
def test_sample_weights_multiply_before_the_reduction(case):
    loss, y, x = case
    config = loss.get_config()
    each = type(loss).from_config({**config, "reduction": "none"})(y, x).numpy()
    if config["reduction"] == "mean" and isinstance(loss, losses.CTCLoss):
        each = each / np.maximum(y[2], 1)
    weighted = each * np.reshape([2.0, 0.0, 0.1], (3,) + (1,) * (each.ndim - 1))
    size = {"none": 1, "sum": 1, "mean": each.size, "batchmean": 3}[config["reduction"]]
    expected = weighted if config["reduction"] == "none" else weighted.sum() / size
    np.testing.assert_allclose(loss(y, x, sample_weight=[2.0, 0.0, 0.1]), expected, rtol=1e-13)


@pytest.mark.parametrize("id", ["gaussian", "margin-ranking", "cosine-embedding", "triplet"])
def test_parts_on_the_last_axis_are_taken_apart(id):
    loss, y, x = CASES[id]
    np.testing.assert_array_equal(loss(y, np.stack(x, -1)), loss(y, x))


def test_fit_of_a_loss_of_several_predictions_is_pytorchs_loop():
    x = np.random.RandomState(3).randn(5, 3, 4)
    kernel = np.random.RandomState(2).randn(4, 6)
    with keras_blitz.precision("float64"):
        inputs = keras.Input((3, 4))
        embedded = keras.layers.Dense(6, use_bias=False, name="embed")(inputs)
        model = keras.Model(inputs, keras.layers.Permute((2, 1))(embedded))  # (N, D, 3)
        model.compile(keras.optimizers.SGD(np.float64(0.5)), losses.TripletMarginLoss(swap=True))
        model.set_weights([kernel])
        model.fit(x, np.zeros(5), batch_size=2, epochs=2, shuffle=False, verbose=0)
    module = torch.nn.Linear(4, 6, bias=False).double()
    module.weight.data = torch.tensor(kernel.T)
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    for start in (0, 2, 4) * 2:
        optimizer.zero_grad()
        torch.nn.TripletMarginLoss(swap=True)(*module(torch.tensor(x[start : start + 2])).unbind(1)).backward()
        optimizer.step()
    np.testing.assert_allclose(model.get_weights()[0], module.weight.detach().numpy().T, rtol=1e-12)


def test_fit_with_ctc():
    x, targets, _, _ = sequences(np.random.RandomState(4), 4, 6, 3, 5, 0)
    model = keras.Sequential([keras.Input((6, 5)), keras.layers.Dense(5), keras.layers.Activation("log_softmax")])
    model.compile(keras.optimizers.Adam(0.1), losses.CTCLoss(zero_infinity=True))
    history = model.fit(np.moveaxis(x, 0, 1), targets, epochs=3, verbose=0).history["loss"]
    assert history[2] < history[0]


def test_elements_are_broadcast_with_a_warning():
    x, y = np.random.RandomState(1).randn(4, 1), np.random.RandomState(2).randn(4)
    with pytest.warns(UserWarning, match="size"):
        expected = torch.nn.L1Loss()(torch.tensor(x), torch.tensor(y))
    with pytest.warns(UserWarning, match=r"y_true \(4,\) differs from y_pred \(4, 1\) and is broadcast"):
        assert losses.L1Loss()(y, x).numpy() == pytest.approx(expected.item(), rel=1e-14)


@pytest.mark.parametrize("loss", [losses.SmoothL1Loss(), losses.HuberLoss(), losses.L1Loss()])
def test_an_infinite_difference_has_a_finite_gradient(loss):
    _, (slope,) = from_port(lambda x: loss(np.zeros(2), x), [np.array([np.inf, -np.inf])])
    np.testing.assert_array_equal(slope, [0.5, -0.5])


@pytest.mark.parametrize("mode", MODES)
def test_a_class_that_is_none_is_nan_where_nothing_can_be_raised(mode):
    compiled = MODES[mode](losses.MultiMarginLoss(reduction="none"))
    values = compiled(tf.constant([0, 4, 2]), tf.constant(A)).numpy()
    np.testing.assert_array_equal(np.isnan(values), [False, True, False])


NEGATIVE = np.array([[1.0, -0.5, 1.0, 1.0]] * 3)
REFUSED = {
    "reduction": (lambda: losses.L1Loss("batchmean"), 'must be "none", "mean" or "sum", not \'batchmean\''),
    "kl-reduction": (lambda: losses.KLDivLoss("avg"), '"none", "mean", "sum" or "batchmean", not \'avg\''),
    "beta": (lambda: losses.SmoothL1Loss(beta=-1.0), "beta must be at least 0, not -1.0"),
    "delta": (lambda: losses.HuberLoss(delta=0), "delta must be above 0, not 0"),
    "shapes": (lambda: losses.L1Loss()(np.ones(3), np.ones(4)), "y_true (3,) and y_pred (4,) must broadcast"),
    "variance": (lambda: losses.GaussianNLLLoss()(Y, (A, NEGATIVE)), "variance must be at least 0, not -0.5"),
    "variance-shape": (lambda: losses.GaussianNLLLoss()(Y, (A, np.ones(4))), "variance (4,) does not fit the mean"),
    "one-part": (lambda: losses.GaussianNLLLoss()(Y, A), "has them on its last axis, which is of size 2"),
    "parts": (lambda: losses.TripletMarginLoss()(None, (A, B)), "hold (anchor, positive, negative), not 2 tensors"),
    "dtypes": (lambda: losses.MarginRankingLoss()(Y, (A, B.astype("float32"))), "one dtype, not float32, float64"),
    "whole": (lambda: losses.CosineEmbeddingLoss()(SIGNS, (A > 0, B > 0)), "y_pred must be floating, not bool"),
    "axes": (lambda: losses.MarginRankingLoss()(SIGNS, (A, B)), "must have the same number of axes"),
    "cosine-target": (lambda: losses.CosineEmbeddingLoss()(Y, (A, B)), "y_true (3, 4) without the last axis"),
    "margin": (lambda: losses.TripletMarginLoss(0), "margin must be above 0, not 0"),
    "p": (lambda: losses.TripletMarginLoss(p=-1), "p must be at least 0, not -1"),
    "triplet-axes": (lambda: losses.TripletMarginLoss()(None, (A, B, C[0])), "must have the same number of axes"),
    "multi-margin-p": (lambda: losses.MultiMarginLoss(3), "p must be 1 or 2, not 3"),
    "class": (lambda: losses.MultiMarginLoss()([0, 4, 1], A), "class index 4 is not among 0, … 3"),
    "classes": (lambda: losses.MultiMarginLoss()([0, 4], A), "class indices of shape (2,) for y_pred (3, 4)"),
    "maps": (lambda: losses.MultiMarginLoss()([[0]], [[[1.0]]]), "y_pred must have shape (N, C) or (C,)"),
    "class-weights": (lambda: losses.MultiMarginLoss(weight=[1.0])([0, 1, 1], A), "weight must have 4 values"),
    "labels": (lambda: losses.MultiLabelMarginLoss()(np.full((3, 4), -2), A), "class index -2 is not among -1, … 3"),
    "label-shapes": (lambda: losses.MultiLabelMarginLoss()([0, 1, 1], A), "y_true (3,) must have y_pred's shape"),
    "soft-shapes": (lambda: losses.MultiLabelSoftMarginLoss()(SIGNS, A), "y_true (3,) must have y_pred's shape"),
    "ctc-rank": (lambda: losses.CTCLoss()(CTC, np.ones(3)), "y_pred must have shape (N, T, C) or (T, C), not (3,)"),
    "ctc-parts": (lambda: losses.CTCLoss()(CTC[:2], np.ones((3, 5, 4))), "(targets, input_lengths, target_lengths)"),
    "ctc-lengths": (lambda: losses.CTCLoss()(CTC, np.ones((3, 2, 4))), "input_lengths must be in 0–2, not 5"),
    "ctc-labels": (lambda: losses.CTCLoss()(CTC, np.ones((3, 5, 3))), "labels must be in 0–2, not 3"),
    "ctc-targets": (lambda: losses.CTCLoss()(np.ones(3), np.ones((3, 5, 3))), "must be (N, S) and lengths (N,)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line(case):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_keras_masks_are_refused():
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.Masking(), keras.layers.Dense(2)])
    output = model(np.zeros((1, 3, 2)))
    for loss in (losses.L1Loss(), losses.GaussianNLLLoss(), losses.CTCLoss()):
        with pytest.raises(ValueError, match="has a Keras mask"):
            loss(np.zeros((1, 3)), output)
