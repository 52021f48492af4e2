"""L2: every loss against torch.nn in float64, values and gradients, over inputs hypothesis thinks up."""

import json
import re
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

import keras_blitz
from keras_blitz import losses

pytestmark = pytest.mark.covers("L2")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

seeds = st.integers(0, 2**16)
reductions = st.sampled_from(["none", "mean", "sum"])
positions = st.sampled_from([(), (1,), (4,), (2, 3), (2, 3, 2)])
weightings = st.sampled_from([None, "positive", "some zero"])
scales = st.sampled_from(["normal", "wide", "±100", "zero"])
examples = settings(deadline=None, max_examples=120)


def logits(rng, scale, *shape):
    """Logits: ordinary, saturated, or 0, where one-sided derivatives would show."""
    if scale == "±100":
        return rng.choice([-100.0, 100.0, 0.0], shape)
    return rng.randn(*shape) * {"normal": 1, "wide": 20, "zero": 0}[scale]


def weights(rng, kind, *shape):
    if kind is None:
        return None
    return rng.rand(*shape) + 0.1 if kind == "positive" else rng.randint(0, 2, shape) * rng.rand(*shape)


def tensor(array):
    return None if array is None else torch.tensor(np.asarray(array))  # rand() alone is a Python float: float32


def direction(shape):
    """Gradients with respect to the loss: no two alike."""
    return np.random.RandomState(5).rand(*shape) + 0.5 if shape else np.float64(1)


def swapped(array, there: int, back: int):
    """PyTorch's layout, and back: its class axis comes after the batch."""
    return np.moveaxis(array, there, back).copy() if array.ndim > 2 else np.asarray(array)


def from_pytorch(module, y, x, *, classes=False, soft=False):
    """Return PyTorch's loss and its gradients for x and, where it is soft, for the target."""
    y, x = (swapped(array, -1, 1) if classes and array.ndim == x.ndim else np.asarray(array) for array in (y, x))
    y, x = torch.tensor(y, requires_grad=soft), torch.tensor(x, requires_grad=True)
    loss = module(x, y)
    gradients = torch.autograd.grad(loss, [x, y] if soft else [x], torch.tensor(direction(loss.shape)))
    return loss.detach().numpy(), [swapped(g.numpy(), 1, -1) if classes else g.numpy() for g in gradients]


def from_port(loss, y, x, *, soft=False, wrap=lambda function: function):
    def step(y, x):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            value = loss(y, x)
        upstream = tf.constant(direction(tuple(value.shape)), value.dtype)
        return value, tape.gradient(value, [x, y] if soft else [x], upstream)

    value, gradients = wrap(step)(tf.constant(np.asarray(y)), tf.constant(np.asarray(x)))
    return value.numpy(), [gradient.numpy() for gradient in gradients]


def assert_close(actual, expected, terms=0.0):
    """Within 1e-12 of the largest magnitude: of the values, or of the terms they are the difference of."""
    assert (actual.shape, actual.dtype) == (expected.shape, expected.dtype)
    largest = np.max(np.abs(expected[np.isfinite(expected)]), initial=terms)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12 * largest)


def assert_same(loss, module, y, x, *, terms, of_loss=0.0, **options):
    """The loss and its gradients are PyTorch's; `terms` is the largest magnitude a gradient is the difference of,

    `of_loss` the largest that the loss itself is the difference of.
    """
    (expected, wanted) = from_pytorch(module, y, x, **options)
    options.pop("classes", None)
    actual, found = from_port(loss, y, x, **options)
    assert_close(actual, expected, of_loss)
    for gradient, want in zip(found, wanted, strict=True):
        assert_close(gradient, want, terms)


def share(reduction, counts):
    """How much of a loss's own gradient gets through the reduction: w/Σw; `counts` are the divisor's terms."""
    return {"none": 1.5, "sum": 1.0, "mean": 1 / np.sum(counts) if np.sum(counts) else 1.0}[reduction]


@examples
@given(
    seed=seeds, reduction=reductions, shape=positions, classes=st.integers(1, 6), scale=scales, weighting=weightings,
    ignore=st.sampled_from([-100, 0, 255]), ignored=st.sampled_from([0.0, 0.3, 1.0]),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
)  # fmt: skip
@example(0, "mean", (), 4, "normal", "some zero", -100, 0.0, 0.1)  # all weight on other classes than the target's
def test_cross_entropy_of_indices(seed, reduction, shape, classes, scale, weighting, ignore, ignored, smoothing):
    rng = np.random.RandomState(seed)
    x, weight = logits(rng, scale, *shape, classes), weights(rng, weighting, classes)
    y = np.where(rng.rand(*shape) < ignored, ignore, rng.randint(0, classes, shape))
    options = {"ignore_index": ignore, "reduction": reduction, "label_smoothing": smoothing}
    of = np.ones(classes) if weight is None else weight
    assert_same(
        losses.CrossEntropyLoss(weight, **options), torch.nn.CrossEntropyLoss(tensor(weight), **options), y, x,
        classes=True, terms=np.max(of) * share(reduction, of[y[y != ignore]]),
    )  # fmt: skip


@examples
@given(
    seed=seeds, reduction=reductions, shape=positions, classes=st.integers(1, 6), scale=scales, weighting=weightings,
    smoothing=st.sampled_from([0.0, 0.1, 1.0]), kind=st.sampled_from(["distribution", "any", "one-hot"]),
)  # fmt: skip
def test_cross_entropy_of_probabilities(seed, reduction, shape, classes, scale, weighting, smoothing, kind):
    rng = np.random.RandomState(seed)
    x, weight = logits(rng, scale, *shape, classes), weights(rng, weighting, classes)
    y = np.eye(classes)[rng.randint(0, classes, shape)] if kind == "one-hot" else rng.rand(*shape, classes)
    if kind == "distribution":
        y = y / y.sum(-1, keepdims=True)
    options = {"reduction": reduction, "label_smoothing": smoothing}
    of = np.ones(classes) if weight is None else weight
    assert_same(
        losses.CrossEntropyLoss(weight, **options), torch.nn.CrossEntropyLoss(tensor(weight), **options), y, x,
        classes=True, soft=True, terms=np.max(of) * classes * share(reduction, np.ones(shape)),
    )  # fmt: skip


@examples
@given(
    seed=seeds, reduction=reductions, sizes=st.lists(st.integers(1, 3), min_size=1, max_size=3), weighting=weightings,
    ignored=st.sampled_from([0.0, 0.3, 1.0]), smoothing=st.sampled_from([0.0, 0.1]),
)  # fmt: skip
@example(0, "mean", [3, 1], "positive", 0.9, 0.1)  # all of one part is ignored
def test_cross_entropy_of_parts_is_that_of_the_batch(seed, reduction, sizes, weighting, ignored, smoothing):
    rng, count = np.random.RandomState(seed), sum(sizes)
    x, weight = logits(rng, "normal", count, 4), weights(rng, weighting, 4)
    y = np.where(np.arange(count) < ignored * count, 2, rng.randint(0, 4, count))
    options = {"ignore_index": 2, "reduction": reduction, "label_smoothing": smoothing}
    loss, of = losses.CrossEntropyLoss(weight, **options), np.ones(4) if weight is None else weight
    assert_same(
        lambda y, x: loss.of_parts(tf.split(y, sizes), tf.split(x, sizes)),
        torch.nn.CrossEntropyLoss(tensor(weight), **options), y, x, terms=np.max(of) * share(reduction, of[y[y != 2]]),
    )  # fmt: skip


@examples
@given(
    seed=seeds, reduction=reductions, shape=positions, classes=st.integers(1, 6), weighting=weightings,
    ignore=st.sampled_from([-100, 0, 255]), ignored=st.sampled_from([0.0, 0.3, 1.0]), infinite=st.booleans(),
)  # fmt: skip
def test_nll(seed, reduction, shape, classes, weighting, ignore, ignored, infinite):
    rng = np.random.RandomState(seed)
    x, weight = -rng.rand(*shape, classes), weights(rng, weighting and "positive", classes)
    y = np.where(rng.rand(*shape) < ignored, ignore, rng.randint(0, classes, shape))
    if infinite:
        x[np.arange(classes) != np.minimum(y, classes - 1)[..., np.newaxis]] = -np.inf
    options = {"ignore_index": ignore, "reduction": reduction}
    assert_same(
        losses.NLLLoss(weight, **options), torch.nn.NLLLoss(tensor(weight), **options), y, x, classes=True, terms=0.0
    )


@examples
@given(seed=seeds, reduction=reductions, shape=positions, equal=st.booleans())
def test_mse(seed, reduction, shape, equal):
    rng = np.random.RandomState(seed)
    x = np.asarray(rng.randn(*shape))
    y = x.copy() if equal else np.asarray(rng.randn(*shape))
    assert_same(losses.MSELoss(reduction), torch.nn.MSELoss(reduction=reduction), y, x, soft=True, terms=0.0)


@examples
@given(
    seed=seeds, reduction=reductions, shape=positions, weighted=st.booleans(),
    p=st.sampled_from(["0 and 1", "uniform", "tiny"]), y=st.sampled_from(["0 and 1", "uniform"]),
)  # fmt: skip
def test_bce(seed, reduction, shape, weighted, p, y):
    rng = np.random.RandomState(seed)
    x = {
        "0 and 1": rng.randint(0, 2, shape) * 1.0,
        "uniform": rng.rand(*shape),
        "tiny": 10 ** rng.uniform(-20, 0, shape),
    }
    target = {"0 and 1": rng.randint(0, 2, shape) * 1.0, "uniform": rng.rand(*shape)}[y]
    weight = rng.rand(*shape[1:]) if weighted else None
    assert_same(
        losses.BCELoss(weight, reduction), torch.nn.BCELoss(tensor(weight), reduction=reduction), target,
        x[p], soft=True, terms=0.0,
    )  # fmt: skip


@examples
@given(
    seed=seeds, reduction=reductions, shape=positions, scale=scales, weighted=st.booleans(), positive=st.booleans(),
    hard=st.booleans(),
)  # fmt: skip
def test_bce_with_logits(seed, reduction, shape, scale, weighted, positive, hard):
    rng = np.random.RandomState(seed)
    x = logits(rng, scale, *shape)
    y = rng.randint(0, 2, shape) * 1.0 if hard else rng.rand(*shape)
    weight = rng.rand(*shape) if weighted else None
    pos_weight = 3 * rng.rand(*shape[-1:]) if positive else None
    assert_same(
        losses.BCEWithLogitsLoss(weight, reduction, pos_weight),
        torch.nn.BCEWithLogitsLoss(tensor(weight), reduction=reduction, pos_weight=tensor(pos_weight)),
        y, x, soft=True, terms=share(reduction, np.ones(shape)),
        # x(1 - y) + log(1 + exp(-x)): a confident right answer's loss is the difference of two terms as large as x
        of_loss=np.max(np.abs(x)) * share(reduction, np.ones(shape)),
    )  # fmt: skip


# id -> the loss, PyTorch's, the target, the output; float64 values that float32 has too
LOGITS = np.array([[100.0, -100.0, 0.0, 1.5], [0.25, -2.0, 3.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
PROBABILITIES = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.25]])
CLASSES, SOFT = np.array([1, -100, 3]), np.array([[0.5, 0.25, 0.25, 0.0]] * 3)
WEIGHT = [0.5, 2.0, 0.25, 1.0]
TARGETS = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 0.25]])
CASES = {
    "cross-entropy": (losses.CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), CLASSES, LOGITS),
    "cross-entropy-all-options": (
        losses.CrossEntropyLoss(WEIGHT, label_smoothing=0.1),
        torch.nn.CrossEntropyLoss(torch.tensor(WEIGHT, dtype=torch.float64), label_smoothing=0.1),
        CLASSES, LOGITS,
    ),
    "cross-entropy-all-ignored": (losses.CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), CLASSES * 0 - 100, LOGITS),
    "cross-entropy-probabilities": (losses.CrossEntropyLoss(), torch.nn.CrossEntropyLoss(), SOFT, LOGITS),
    "nll": (losses.NLLLoss(reduction="none"), torch.nn.NLLLoss(reduction="none"), CLASSES, -np.abs(LOGITS)),
    "mse": (losses.MSELoss("sum"), torch.nn.MSELoss(reduction="sum"), SOFT, LOGITS),
    "bce": (losses.BCELoss(), torch.nn.BCELoss(), TARGETS, PROBABILITIES),
    "bce-with-logits": (
        losses.BCEWithLogitsLoss(pos_weight=WEIGHT),
        torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(WEIGHT, dtype=torch.float64)),
        SOFT, LOGITS,
    ),
}  # fmt: skip
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
MODES = {"graph": tf.function, "xla": tf.function(jit_compile=True)}


@cases
@pytest.mark.parametrize("mode", MODES)
def test_compiled(case, mode):
    loss, module, y, x = case
    expected, (wanted,) = from_pytorch(module, y, x)
    actual, (found,) = from_port(loss, y, x, wrap=MODES[mode])
    assert_close(np.asarray(actual), expected)
    assert_close(found, wanted, terms=2.0)


@cases
def test_the_dtype_is_the_outputs(case):
    """Whatever floatx is: a float64 model keeps its digits, a float32 one its speed."""
    loss, _, y, x = case
    soft = y.dtype.kind == "f"
    with keras_blitz.precision("float64"):
        assert loss(y.astype("float32") if soft else y, tf.constant(x, "float32")).dtype == "float32"
    assert loss(y.astype("float32") if soft else y, tf.constant(x)).dtype == "float64"


@cases
def test_configuration_survives_json(case):
    loss, _, y, x = case
    saved = json.loads(json.dumps(keras.losses.serialize(loss)))
    again = keras.losses.deserialize(saved)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    np.testing.assert_array_equal(again(y, x), loss(y, x))


def linear(loss, **options):
    """A compiled 4 -> 3 model of fixed weights, in float64, and the same in PyTorch."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.5), loss=loss, **options)
    kernel = np.random.RandomState(2).randn(4, 3)
    model.set_weights([kernel, np.zeros(3)])
    module = torch.nn.Linear(4, 3).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor(kernel.T))
        module.bias.zero_()
    return model, module


X = np.random.RandomState(3).randn(5, 4)
Y = np.array([0, 2, -100, 1, 2])


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_fit_is_pytorchs_loop_also_in_the_last_short_batch(jit):
    weight = [1.0, 0.5, 3.0]
    with keras_blitz.precision("float64"):
        model, module = linear(losses.CrossEntropyLoss(weight, label_smoothing=0.1), jit_compile=jit)
        history = model.fit(X, Y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    criterion = torch.nn.CrossEntropyLoss(torch.tensor(weight).double(), label_smoothing=0.1)
    optimizer = torch.optim.SGD(module.parameters(), 0.5)
    for epoch in range(2):
        total = 0.0
        for start in (0, 2, 4):
            optimizer.zero_grad()
            loss = criterion(module(torch.tensor(X[start : start + 2])), torch.tensor(Y[start : start + 2]))
            loss.backward()
            optimizer.step()
            total += loss.item() * len(Y[start : start + 2])
        assert history.history["loss"][epoch] == pytest.approx(total / 5, rel=1e-12)
    np.testing.assert_allclose(model.get_weights()[0], module.weight.detach().numpy().T, rtol=1e-12)


def test_a_compiled_model_reloads(tmp_path):
    model, _ = linear(losses.CrossEntropyLoss([1.0, 0.1, 3.0], ignore_index=1, label_smoothing=0.1))
    before = model.evaluate(X, Y % 3, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == model.loss.get_config()
    assert again.evaluate(X, Y % 3, verbose=0) == before


def test_a_float64_model_trains_in_float64_under_floatx_float32():
    """`fit` rounds the inputs and the loss shown to floatx, but not the gradients."""
    kernel = []
    for floatx in ("float32", "float64"):
        with keras_blitz.precision("float64"):
            model, _ = linear(losses.CrossEntropyLoss())
        with keras_blitz.precision(floatx):
            model.fit(X.astype("float32"), Y, batch_size=5, verbose=0)
        kernel.append(model.get_weights()[0])
    np.testing.assert_allclose(kernel[0], kernel[1], rtol=1e-12)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize(("loss", "y", "shape"), [
    (losses.CrossEntropyLoss, np.array([[1, 0], [3, 2], [0, 0]]), (3, 2, 4)),
    (losses.MSELoss, np.ones((3, 2)), (3, 2)),
], ids=["cross-entropy", "mse"])  # fmt: skip
@pytest.mark.parametrize("weights", [[2.0, 0.0, 0.1], [[2.0, 0.0], [0.1, 0.1], [0.0, 1.0]]], ids=["rows", "elements"])
def test_sample_weights_multiply_before_the_reduction(loss, y, shape, reduction, weights):
    x = np.random.RandomState(1).randn(*shape)
    each = loss(reduction="none")(y, x).numpy()
    weighted = each * np.reshape(weights, (3, -1))
    expected = {"none": weighted, "mean": weighted.sum() / 6, "sum": weighted.sum()}[reduction]
    np.testing.assert_allclose(loss(reduction=reduction)(y, x, sample_weight=weights), expected, rtol=1e-14)


def test_mse_broadcasts_and_warns_as_pytorch_does():
    x, y = np.random.RandomState(1).randn(4, 1), np.random.RandomState(2).randn(4)
    with pytest.warns(UserWarning, match="size"):
        expected = torch.nn.MSELoss()(torch.tensor(x), torch.tensor(y))
    with pytest.warns(UserWarning, match=r"y_true \(4,\) differs from y_pred \(4, 1\) and is broadcast"):
        assert losses.MSELoss()(y, x).numpy() == pytest.approx(expected.item(), rel=1e-14)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_class_indices_may_have_any_dtype(dtype):
    y = np.array([3, 255, 0])
    loss = losses.CrossEntropyLoss(ignore_index=255)
    assert loss(y.astype(dtype), LOGITS) == loss(y, LOGITS)
    default = losses.CrossEntropyLoss()
    assert default((y % 4).astype(dtype), LOGITS) == default(y % 4, LOGITS)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("index", [4, -1, 0.5])
def test_a_class_that_is_none_is_nan_where_nothing_can_be_raised(mode, index):
    compiled = MODES[mode](losses.CrossEntropyLoss(reduction="none"))
    found = compiled(tf.constant([0, index, 2]), tf.constant(LOGITS)).numpy()
    np.testing.assert_array_equal(np.isnan(found), [False, True, False])


CE, NLL, BCE, BCEL, MSE = (losses.CrossEntropyLoss, losses.NLLLoss, losses.BCELoss, losses.BCEWithLogitsLoss,
                           losses.MSELoss)  # fmt: skip
REFUSED = {
    "reduction": (lambda: CE(reduction="avg"), 'reduction must be "none", "mean" or "sum", not \'avg\''),
    "smoothing": (lambda: CE(label_smoothing=1.5), "label_smoothing must be in 0–1, not 1.5"),
    "class-too-large": (lambda: CE()([0, 4, 1], LOGITS), "class index 4 is not among 0, 1, … 3"),
    "class-negative": (lambda: NLL()([0, -1, 1], LOGITS), "class index -1 is not among"),
    "column-of-classes": (lambda: CE()([[0], [1], [2]], LOGITS), "pass whole class indices of shape (3,), or"),
    "one-hot-integers": (lambda: CE()(np.eye(4, dtype=int)[:3], LOGITS), "(3, 4) int64 for y_pred (3, 4)"),
    "half-a-class": (lambda: CE()([0.0, 1.5, 2.0], LOGITS), "class index 1.5 is not among"),
    "batch": (lambda: CE()([0, 1], LOGITS), "class indices of shape (2,) for y_pred (3, 4)"),
    "class-weights": (
        lambda: CE([1.0, 2.0])([0, 1, 2], LOGITS),
        "weight must have 4 values, one for each class, not (2,)",
    ),
    "ignored-probability": (lambda: CE(ignore_index=1)(SOFT, LOGITS), "ignore_index=1 needs class indices"),
    "whole-output": (lambda: MSE()([1, 2], np.array([1, 2])), "y_pred must be floating, not int64"),
    "mse-shapes": (lambda: MSE()(np.ones(3), np.ones(4)), "y_true (3,) and y_pred (4,) must broadcast"),
    "bce-shapes": (lambda: BCE()(np.ones(4), np.ones((4, 1))), "y_true (4,) must have y_pred's shape (4, 1)"),
    "logits-shapes": (lambda: BCEL()(np.ones(4), np.ones((4, 1))), "y_true (4,) must have y_pred's shape (4, 1)"),
    "bce-logits": (lambda: BCE()(np.ones(2), np.array([0.5, 1.5])), "y_pred must be in 0–1, found 1.5"),
    "bce-nan": (lambda: BCE()(np.ones(1), np.array([np.nan])), "y_pred must be in 0–1, found nan"),
    "bce-target": (lambda: BCE()(np.array([-1.0]), np.ones(1)), "y_true must be in 0–1, found -1.0"),
    "sample-weight": (
        lambda: MSE()(np.ones(3), np.ones(3), [1.0, 2.0]),
        "sample_weight (2,) must have the losses' first axes, (3,)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line(case):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_a_keras_mask_is_refused():
    model = keras.Sequential([keras.Input((3, 2)), keras.layers.Masking(), keras.layers.Dense(4)])
    output = model(np.zeros((1, 3, 2)))
    with pytest.raises(ValueError, match="has a Keras mask"):
        losses.CrossEntropyLoss()(np.zeros((1, 3), int), output)


# The losses that take no probabilities: a target for each, and what the warning says to do.
OF_LOGITS = {
    "CrossEntropyLoss": (np.zeros(1, int), "leave that activation out"),
    "NLLLoss": (np.zeros(1, int), "end in log_softmax"),
    "BCEWithLogitsLoss": (np.ones((1, 4)), "leave that activation out"),
    "MultiLabelSoftMarginLoss": (np.ones((1, 4)), "leave that activation out"),
}


@pytest.mark.parametrize("name", OF_LOGITS)
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_softmax_before_a_loss_that_takes_logits_is_warned_of(name, activation):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation=activation)])
    loss, (target, remedy) = getattr(losses, name)(), OF_LOGITS[name]
    with pytest.warns(UserWarning, match=f"takes log.*the output of a softmax or sigmoid.*: {remedy}"):
        loss(target, model(np.ones((1, 3))))


@pytest.mark.parametrize("activation", [None, "relu", "log_softmax", "tanh"])
def test_other_outputs_are_not_warned_of(activation):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation=activation)])
    output = model(np.ones((1, 3)))
    for loss in (losses.CrossEntropyLoss(), losses.NLLLoss()):
        loss(np.zeros(1, int), output)
    probabilities = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="sigmoid")])
    losses.BCELoss()(np.ones((1, 4)), probabilities(np.ones((1, 3))))
    losses.MSELoss()(np.ones((1, 4)), probabilities(np.ones((1, 3))))


def test_fit_warns_of_a_softmax_once():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, activation="softmax")])
    model.compile("sgd", losses.CrossEntropyLoss())
    with pytest.warns(UserWarning, match="leave that activation out") as caught:
        model.fit(np.ones((4, 3)), np.zeros(4, int), batch_size=2, verbose=0)
    assert len(caught) == 1


@pytest.mark.parametrize(("over_replicas", "mean", "total"), [("whole", 1 / 2, 3), ("each", 1 / 4, 3 / 4)])
def test_means_over_replicas(monkeypatch, over_replicas, mean, total):
    """Of four replicas, whose gradients Keras sums: this one has 3 of 6 losses."""
    context = SimpleNamespace(num_replicas_in_sync=4, all_reduce=lambda _, count: count + 3)
    monkeypatch.setattr(tf.distribute, "get_replica_context", lambda: context)
    for reduction, expected in (("mean", mean), ("sum", total)):
        loss = losses.MSELoss(reduction)
        loss.over_replicas = over_replicas
        assert loss(np.ones(3), np.zeros(3)) == expected
