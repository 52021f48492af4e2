"""Whether a function of `keras_blitz.ops` gives PyTorch's values, dtypes, errors and gradients."""

import numpy as np
import pytest
import tensorflow as tf

from keras_blitz import ops
from keras_blitz.errors import BlitzError

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

REFUSED = (RuntimeError, IndexError, TypeError, ValueError)  # what PyTorch raises


def outputs(found):
    return list(found) if isinstance(found, tuple | list) else [found]


def assert_same(theirs, ours, *arrays, indices=True, scale=1.0, gradients=True):
    """Both take tensors; what PyTorch refuses is refused in one line, all else is equal, and so are the gradients."""
    given_torch = [torch.tensor(each) for each in arrays]
    try:
        expected = outputs(theirs(*given_torch))
    except REFUSED:
        with pytest.raises(BlitzError) as refused:
            ours(*map(tf.constant, arrays))
        assert "\n" not in str(refused.value)
        return
    found = outputs(ours(*map(tf.constant, arrays)))
    assert len(found) == len(expected)
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        if number == 0 or indices:
            assert_close(np.asarray(one), np.asarray(other), scale)
    if gradients:
        assert_same_gradients(theirs, ours, arrays, expected, scale)


def assert_close(found, expected, scale):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    unit = 1e-12 if expected.dtype == np.float64 else 4 * np.finfo(np.float32).eps
    np.testing.assert_allclose(found, expected, rtol=unit, atol=unit * scale * max(1.0, finite.max(initial=0.0)))


def assert_same_gradients(theirs, ours, arrays, expected, scale):
    floating = [k for k, each in enumerate(arrays) if each.dtype == np.float64]
    if not floating or expected[0].dtype != torch.float64:
        return
    leaves = [torch.tensor(each, requires_grad=k in floating) for k, each in enumerate(arrays)]
    value = outputs(theirs(*leaves))[0]
    if not value.requires_grad:
        return
    direction = np.asarray(np.random.RandomState(3).rand(*value.shape) + 0.5)
    try:
        wanted = torch.autograd.grad(value, [leaves[k] for k in floating], torch.tensor(direction), allow_unused=True)
    except RuntimeError:  # PyTorch cannot: of a power to a bool, of a quotient of integers
        return
    tensors = list(map(tf.constant, arrays))
    with tf.GradientTape() as tape:
        tape.watch([tensors[k] for k in floating])
        value = outputs(ours(*tensors))[0]
    found = tape.gradient(value, [tensors[k] for k in floating], tf.constant(direction))
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(tf.convert_to_tensor(one).numpy(), other.numpy(force=True), scale)


def both(name, *options, **named):
    """Return a function of PyTorch's and ours of the same name, with the same further arguments."""
    return (
        lambda *tensors: getattr(torch, name)(*tensors, *options, **named),
        lambda *tensors: getattr(ops, name)(*tensors, *options, **named),
    )
