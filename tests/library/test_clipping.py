"""O3: gradient clipping against torch.nn.utils in float64, over gradients hypothesis thinks up."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_blitz.optim import clip_grad_norm_, clip_grad_value_

pytestmark = pytest.mark.covers("O3")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

SHAPES = ((3, 4), (2,), (), (1, 2, 3))
INFINITE = float("inf")
norms = st.sampled_from([2.0, 1.0, INFINITE, -INFINITE, 0.0, 3.0, 0.5])
examples = settings(deadline=None, max_examples=100)
MODES = {"eager": lambda f: f, "graph": tf.function, "xla": tf.function(jit_compile=True)}


def arrays(seed, scale=1.0, dtypes=("float64",) * 4):
    rng = np.random.RandomState(seed)
    return [np.asarray(scale * rng.randn(*shape)).astype(dtype) for shape, dtype in zip(SHAPES, dtypes, strict=True)]


def parameters(gradients):
    """PyTorch's parameters with these gradients; None stays without."""
    made = []
    for gradient in gradients:
        made.append(torch.nn.Parameter(torch.zeros(1 if gradient is None else gradient.shape)))
        if gradient is not None:
            made[-1] = torch.nn.Parameter(torch.tensor(gradient) * 0)
            made[-1].grad = torch.tensor(gradient)
    return made


def tensors(gradients):
    return [None if gradient is None else tf.constant(gradient) for gradient in gradients]


def assert_clipped(found, params, rtol=1e-12):
    for gradient, parameter in zip(found, params, strict=True):
        if parameter.grad is None:
            assert gradient is None
        else:
            assert gradient.dtype.name == str(parameter.grad.dtype).removeprefix("torch.")
            np.testing.assert_allclose(gradient.numpy(), parameter.grad.numpy(), rtol=rtol)


@examples
@given(
    seed=st.integers(0, 2**16), absent=st.sets(st.integers(0, 3), max_size=3), norm_type=norms,
    max_norm=st.sampled_from([0.0, 0.1, 1.0, 5.0, 1e9]), scale=st.sampled_from([0.0, 1e-6, 1.0, 1e6]),
)  # fmt: skip
def test_norm(seed, absent, norm_type, max_norm, scale):
    gradients = [None if index in absent else array for index, array in enumerate(arrays(seed, scale))]
    params = parameters(gradients)
    expected = torch.nn.utils.clip_grad_norm_(params, max_norm, norm_type)
    found, total = clip_grad_norm_(tensors(gradients), max_norm, norm_type)
    assert total.dtype == "float64"
    np.testing.assert_allclose(total.numpy(), expected.numpy(), rtol=1e-12)
    assert_clipped(found, params)


bounds = st.floats(0, 3, allow_subnormal=False)  # TensorFlow makes 0 of a subnormal number (gap prec-denormals)


@examples
@given(seed=st.integers(0, 2**16), absent=st.sets(st.integers(0, 3), max_size=3), clip_value=bounds)
def test_value(seed, absent, clip_value):
    gradients = [None if index in absent else array for index, array in enumerate(arrays(seed))]
    params = parameters(gradients)
    torch.nn.utils.clip_grad_value_(params, clip_value)
    assert_clipped(clip_grad_value_(tensors(gradients), clip_value), params, rtol=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("norm_type", [2.0, INFINITE, 3.0])
def test_norm_in_a_compiled_step(mode, norm_type):
    params = parameters(arrays(1))
    expected = torch.nn.utils.clip_grad_norm_(params, 0.3, norm_type)
    found, total = MODES[mode](lambda g: clip_grad_norm_(g, 0.3, norm_type))(tensors(arrays(1)))
    np.testing.assert_allclose(total.numpy(), expected.numpy(), rtol=1e-12)
    assert_clipped(found, params)


@pytest.mark.parametrize("mode", MODES)
def test_value_in_a_compiled_step(mode):
    params = parameters(arrays(1))
    torch.nn.utils.clip_grad_value_(params, 0.3)
    assert_clipped(MODES[mode](lambda g: clip_grad_value_(g, 0.3))(tensors(arrays(1))), params, rtol=0)


@pytest.mark.parametrize("below", [0.0, 1e-7, 5e-7])
def test_a_norm_just_below_the_bound_is_scaled_too(below):
    """The 1e-6 in PyTorch's quotient."""
    gradient = np.array([0.6, 0.8]) * (1 - below)
    params = parameters([gradient])
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    (found,), _ = clip_grad_norm_(tensors([gradient]), 1.0)
    assert found.numpy()[0] < gradient[0]
    assert_clipped([found], params)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_finite_goes_on_as_in_pytorch(mode, bad):
    """An infinite norm scales by 0, and 0 · ∞ is NaN; a NaN spreads to every gradient."""
    gradients = [np.array([1.0, bad]), np.array([2.0])]
    params = parameters(gradients)
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    found, _ = MODES[mode](lambda g: clip_grad_norm_(g, 1.0))(tensors(gradients))
    assert_clipped(found, params)
    params = parameters(gradients)
    torch.nn.utils.clip_grad_value_(params, 1.0)
    assert_clipped(MODES[mode](lambda g: clip_grad_value_(g, 1.0))(tensors(gradients)), params)


def test_each_gradient_keeps_its_dtype():
    params = parameters(arrays(1, dtypes=("float32", "float64", "float32", "float64")))
    gradients = tensors([parameter.grad.numpy().copy() for parameter in params])
    torch.nn.utils.clip_grad_norm_(params, 0.3)
    found, total = clip_grad_norm_(gradients, 0.3)
    assert total.dtype == "float64"
    assert_clipped(found, params, rtol=4 * 2**-23)  # 4 ulp of float32


def test_no_gradient_is_no_norm():
    found, total = clip_grad_norm_([None, None], 1.0)
    assert found == [None, None]
    assert total == torch.nn.utils.clip_grad_norm_(parameters([None, None]), 1.0).item() == 0


def test_a_generator_of_slices_of_an_embedding():
    """A row looked up twice counts with its sum, as in PyTorch's dense gradient."""
    table = torch.nn.Parameter(torch.ones(3, 2, dtype=torch.float64))
    (torch.nn.functional.embedding(torch.tensor([1, 1, 2]), table) ** 2).sum().backward()
    torch.nn.utils.clip_grad_norm_([table], 1.0)
    rows = tf.Variable(np.ones((3, 2)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.gather(rows, [1, 1, 2]) ** 2)
    (found,), _ = clip_grad_norm_((gradient for gradient in [tape.gradient(loss, rows)]), 1.0)
    np.testing.assert_allclose(found.numpy(), table.grad.numpy(), rtol=1e-12)


def test_a_norm_that_is_not_finite_is_an_error_if_wanted():
    bad = tensors([np.array([1.0, np.nan])])
    with pytest.raises(ValueError, match="total norm of the gradients is not finite"):
        clip_grad_norm_(bad, 1.0, error_if_nonfinite=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="total norm of the gradients is not finite"):
        tf.function(lambda g: clip_grad_norm_(g, 1.0, error_if_nonfinite=True))(bad)
    assert clip_grad_norm_(tensors([np.array([3.0, 4.0])]), 1.0, error_if_nonfinite=True)[1] == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: clip_grad_norm_(tf.ones(3), 1.0), "gradients must be a list of tensors"),
        (lambda: clip_grad_value_(tf.ones(3), 1.0), "gradients must be a list of tensors"),
        (lambda: clip_grad_norm_([tf.ones(3)], -1.0), "max_norm must be ≥ 0, not -1.0"),
        (lambda: clip_grad_value_([tf.ones(3)], float("nan")), "clip_value must be ≥ 0, not nan"),
    ],
    ids=["norm-of-a-tensor", "value-of-a-tensor", "negative-norm", "nan-value"],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
