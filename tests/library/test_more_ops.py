"""T14: PyTorch's most used functions against PyTorch itself, by the calls of ops_calls.py.

Values, dtypes, shapes and gradients, and an error wherever PyTorch raises.
"""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy_spellings import array
from ops_calls import CALLS, OF_ONE, OF_TWO, arguments
from same_as_torch import assert_same, both, torch

from keras_blitz import ops

pytestmark = [
    pytest.mark.covers("T14"),
    pytest.mark.filterwarnings("ignore:.*degrees of freedom", "ignore:.*floor_divide", "ignore:.*non-tuple"),
]
F = torch.nn.functional


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
