"""T6–T13: every function against NumPy, by the rows of numpy_spellings.py."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy_spellings import ELEMENTWISE, EXEMPT, ROWS
from ops_calls import CALLS, OF_ONE, OF_TWO

from keras_blitz import ops

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.covers("T6", "T7", "T8", "T9", "T10", "T11", "T12", "T13"),
]  # NumPy's, of NaN, infinities and nothing
examples = settings(deadline=None, max_examples=10)
IN_PLACE = [name for name in ops.__all__ if name.endswith("_")]


def assert_as_numpy(found, expected, scale):
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if scale is None or expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
        return
    greatest = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
    unit = 1e-12 if expected.dtype == np.float64 else 4 * np.finfo(np.float32).eps
    np.testing.assert_allclose(found, expected, rtol=unit, atol=unit * scale * greatest)


@pytest.mark.parametrize("key", ROWS)
@examples
@given(data=st.data())
def test_as_numpy(key, data):
    row = ROWS[key]
    arguments = data.draw(row.arguments)
    function = row.ours or getattr(ops, key.split()[0].strip(","))
    found, expected = function(*arguments), row.numpy(*arguments)
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    for one, other in zip(found, expected, strict=True):
        assert_as_numpy(one, other, row.scale)


@pytest.mark.parametrize("name", IN_PLACE)
@examples
@given(data=st.data())
def test_trailing_underscore_as_numpys_out(name, data):
    """A variable holds what NumPy's `out=x` would; what NumPy cannot put there is left to test_ops.py."""
    row = ELEMENTWISE[name[:-1]]
    x, *rest = data.draw(row.arguments)
    expected = np.asarray(row.numpy(x, *rest))
    if (expected.dtype, expected.shape) != (x.dtype, x.shape):
        return
    variable = tf.Variable(x)
    options = {"value": rest.pop()} if name in ("addcmul_", "addcdiv_") else {}
    getattr(ops, name)(variable, *rest, **options)
    assert_as_numpy(variable, expected, row.scale)


def test_every_function_has_a_numpy_spelling_or_a_reason():
    rows = {key.split()[0].strip(",") for key in ROWS} | {name for name in IN_PLACE if name[:-1] in ELEMENTWISE}
    held_to_pytorch = {*OF_ONE, *OF_TWO, *CALLS}  # T14: test_more_ops.py
    assert rows | set(EXEMPT) | held_to_pytorch == set(ops.__all__)
    assert not rows & set(EXEMPT)
