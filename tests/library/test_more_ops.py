"""T14: PyTorch's most used functions against PyTorch itself, by the calls of ops_calls.py.

Values, dtypes, shapes and gradients, and an error wherever PyTorch raises.
"""

from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf
from numpy_spellings import array
from ops_calls import CALLS, OF_ONE, OF_TWO, RUNNING, SORTING, STATISTICS, arguments
from same_as_torch import assert_same, both, outputs, torch

from keras_blitz import ops

pytestmark = [
    pytest.mark.covers("T14"),
    pytest.mark.filterwarnings(
        "ignore:.*degrees of freedom", "ignore:.*floor_divide", "ignore:Using torch.cross", "ignore:.*indexing argument"
    ),
]
F = torch.nn.functional

# Which of equal elements, or of several NaN, has the gradient or the index, PyTorch does not say.
UNDECIDED = ("kthvalue", "mode", "quantile", "nanquantile", "unique")

# An interval's edge in float32 is one unit of the last place off PyTorch's, and values stand on it; a call that has a
# float64 array of its own.
APART = {("histc", "float32"), ("corrcoef", "float32")}


class Names(dict):
    """What the words of a call mean in one framework; PyTorch's methods and functionals are functions, too."""

    def __init__(self, library, tensors: Mapping):
        super().__init__(tensors)
        self.library = library

    def __missing__(self, word):
        homes = (self.library,) if self.library is ops else (torch, torch.Tensor, F)
        for home in homes:
            if hasattr(home, word):
                return getattr(home, word)
        raise KeyError(word)


def evaluate(call: str, library, names, tensors):
    return eval(call, {}, Names(library, dict(zip(names, tensors, strict=True))))


def check(call, dtype, seed=0, special="none", **options):
    named = arguments(call, dtype, seed, special)
    assert_same(
        lambda *tensors: evaluate(call, torch, named, tensors),
        lambda *tensors: evaluate(call, ops, named, tensors),
        *named.values(), **options,
    )  # fmt: skip


@pytest.mark.parametrize("name", OF_ONE)
@pytest.mark.parametrize(
    ("shape", "dtype", "special"),
    [((2, 3), "float64", "none"), ((9,), "float64", "nan"), ((9,), "float64", "infinite"), ((), "float32", "none"),
     ((5,), "int64", "none"), ((2,), "bool", "none"), ((0,), "float64", "none")],
)  # fmt: skip
def test_of_one_tensor(name, shape, dtype, special):
    assert_same(*both(name), array(np.random.RandomState(1), shape, dtype, special))


@pytest.mark.parametrize("name", OF_TWO)
@pytest.mark.parametrize(
    ("shapes", "dtypes", "special"),
    [(((9,), (9,)), ("float64", "float64"), "none"), (((20,), (20,)), ("float64", "float64"), "nan"),
     (((20,), (20,)), ("float64", "float64"), "infinite"), (((2, 3), (3,)), ("float32", "float64"), "none"),
     (((20,), (20,)), ("int64", "int64"), "none"), (((2, 1), (1, 3)), ("int32", "int64"), "none"),
     (((4,), (4,)), ("bool", "bool"), "none"), (((0,), (1,)), ("float64", "int64"), "none"),
     (((3,), (2,)), ("float64", "float64"), "none")],
)  # fmt: skip
def test_of_two_tensors(name, shapes, dtypes, special):
    rng = np.random.RandomState(2)
    arrays = [array(rng, shape, dtype, special) for shape, dtype in zip(shapes, dtypes, strict=True)]
    # Of mixed dtypes PyTorch's own gradient goes through float32.
    assert_same(*both(name), *arrays, gradients=len(set(dtypes)) == 1)


@pytest.mark.parametrize(("name", "call"), [(name, call) for name, row in CALLS.items() for call in row[1]])
def test_call(name, call):
    for dtype in CALLS[name][0]:
        check(call, dtype)


@pytest.mark.parametrize("special", ["nan", pytest.param("infinite", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [*STATISTICS, *SORTING, *RUNNING, "lerp", "where", "tril", "nan_to_num", "renorm"])
def test_nan_and_infinities(name, special):
    if special == "infinite" and name in ("std_mean", "var_mean"):
        pytest.skip("PyTorch's running mean of infinities is NaN or not by their order; ours is that of mean")
    if special == "nan" and name == "mode":
        pytest.skip("PyTorch sorts by an order that NaN is not in")
    for seed, call in enumerate(CALLS[name][1]):
        if "searchsorted(sort(" not in call and "unique(c, dim" not in call:  # what has NaN is not sorted
            check(call, "float64", seed, special, gradients=name not in UNDECIDED, indices=name not in UNDECIDED)


@pytest.mark.parametrize(("x", "y", "options"), [
    ([1.0, 2.0], [1.0, 2.0 + 1e-9], {}), ([1.0], [1.1], {}), ([1.0], [1.1], {"rtol": 0.2}), ([np.nan], [np.nan], {}),
    ([np.nan], [np.nan], {"equal_nan": True}), ([], [], {}), ([np.inf], [np.inf], {}),
])  # fmt: skip
def test_allclose(x, y, options):
    expected = torch.allclose(torch.tensor(x), torch.tensor(y), **options)
    assert ops.allclose(ops.tensor(x), ops.tensor(y), **options) is expected


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "bool"])
@pytest.mark.parametrize("name", CALLS)
def test_call_over_more_values_and_dtypes(name, dtype):
    like = {"int32": "int64", "float32": "float64"}.get(dtype, dtype)
    if like not in CALLS[name][0] or (name, dtype) in APART:
        return
    decided = name not in UNDECIDED
    for call in CALLS[name][1]:
        for seed in range(1, 4):
            check(call, dtype, seed, scale=100.0 if dtype == "float32" else 1.0, gradients=decided, indices=decided)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_in_a_compiled_step(name):
    """The same values in graph mode; there histc and one_hot need the range that they would look for."""
    call = CALLS[name][1][name in ("histc", "one_hot")]
    named = arguments(call, CALLS[name][0][0], 0)
    tensors = [tf.constant(each) for each in named.values()]
    eager = outputs(evaluate(call, ops, named, tensors))
    compiled = outputs(tf.function(lambda *given: evaluate(call, ops, named, given))(*tensors))
    for one, other in zip(compiled, eager, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)
