"""The NumPy spelling of every function of `keras_blitz.ops`, and the arguments it is tried with.

A row takes PyTorch's arguments in PyTorch's order and says them in NumPy. Where NumPy means something else, the row
adapts or the arguments are restricted, with a word why.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from hypothesis import strategies as st

from keras_blitz import ops

FLOATS = ("float64", "float32")
NUMBERS = (*FLOATS, "int64", "int32")
DTYPES = (*NUMBERS, "bool")
SHAPES = ((), (1,), (5,), (0,), (2, 3), (3, 0), (1, 4), (2, 3, 4))
WITH_DIMS = SHAPES[1:]
FILLED = ((1,), (5,), (2, 3), (1, 4), (2, 3, 4))
# Of mixed kinds NumPy has float64 where PyTorch has float32; 0-dimensional tensors count only in NumPy.
AGREED = (*((d, d) for d in DTYPES), ("float32", "float64"), ("int32", "int64"), ("bool", "int32"), ("bool", "float32"))
BROADCAST = (((5,), (5,)), ((2, 3), (3,)), ((2, 1), (1, 4)), ((0,), (1,)))


class Row(NamedTuple):
    """One way to call a function: the first word of its key."""

    numpy: Callable
    arguments: st.SearchStrategy
    # Rounding allowed, in units of 1e-12 (float64) or 4 ulp (float32) of the greatest value; None: the same bits.
    scale: float | None = None
    ours: Callable | None = None


def array(rng, shape, dtype, special="none"):
    """Return values with ties and zeros, and NaN or infinities among them."""
    values = np.asarray(rng.randint(-4, 5, shape) * 0.5)
    if dtype in FLOATS:
        if rng.rand() < 0.5:
            values = values + np.asarray(rng.randn(*shape))
        if special != "none" and values.size:
            wild = [np.nan] if special == "nan" else [np.inf, -np.inf, 0.0]
            values = np.where(rng.rand(*shape) < 0.3, rng.choice(wild, shape), values)
    return np.asarray(values).astype(dtype)


seeds = st.integers(0, 2**16)
SPECIAL = ("none", "none", "nan", "infinite")


@st.composite
def one(draw, shapes=SHAPES, dtypes=DTYPES, special=SPECIAL):
    """(x,)"""
    shape, dtype = draw(st.sampled_from(shapes)), draw(st.sampled_from(dtypes))
    return (array(np.random.RandomState(draw(seeds)), shape, dtype, draw(st.sampled_from(special))),)


@st.composite
def along(draw, shapes=WITH_DIMS, dtypes=DTYPES, special=SPECIAL):
    """(x, dim)"""
    (x,) = draw(one(shapes, dtypes, special))
    return x, draw(st.integers(-x.ndim, x.ndim - 1))


@st.composite
def two(draw, pairs=BROADCAST, dtypes=AGREED, special=SPECIAL):
    """(x, y)"""
    rng = np.random.RandomState(draw(seeds))
    kinds, wild = draw(st.sampled_from(dtypes)), draw(st.sampled_from(special))
    shapes = draw(st.sampled_from(pairs))
    return tuple(array(rng, shape, dtype, wild) for shape, dtype in zip(shapes, kinds, strict=True))


def same(dtypes):
    return tuple((dtype, dtype) for dtype in dtypes)


def then(arguments, *more):
    """Return the arguments followed by one of each of the others."""
    return st.tuples(arguments, *(st.sampled_from(each) for each in more)).map(lambda all: (*all[0], *all[1:]))


@st.composite
def three(draw, dtypes, special=("none",)):
    """(t, a, b)"""
    dtype, wild, seed = draw(st.sampled_from(dtypes)), draw(st.sampled_from(special)), draw(seeds)
    return tuple(array(np.random.RandomState(seed + k), (2, 3), dtype, wild) for k in range(3))


@st.composite
def factors(draw, ranks):
    """Matrices or vectors that go together, some of nothing."""
    batch, n, m, p = (draw(st.integers(0, 4)) for _ in range(4))
    pairs = {
        (1, 1): ((m,), (m,)),
        (2, 1): ((n, m), (m,)),
        (2, 2): ((n, m), (m, p)),
        (3, 3): ((batch, n, m), (batch, m, p)),
    }
    return draw(two([pairs[ranks]], same(NUMBERS), ("none",)))


@st.composite
def alike(draw):
    """Two tensors, often equal."""
    (x,) = draw(one())
    return draw(st.sampled_from([(x, x.copy()), (x, x[:1] if x.ndim else x), (x, x.astype("float64"))]))


@st.composite
def indexed(draw, function):
    """(x, dim, index …), with the index and the rest a function of a generator, x and dim."""
    x, dim = draw(along(FILLED, special=("none",)))
    return x, dim, *function(np.random.RandomState(draw(seeds)), x, dim)


def list_of_indices(rng, x, dim):
    return (rng.randint(0, x.shape[dim], rng.randint(0, 5)),)


def index_of_any_length(rng, x, dim):
    shape = list(x.shape)
    shape[dim] = rng.randint(0, 5)  # the other sizes are those of x: NumPy would broadcast smaller ones
    return (rng.randint(0, x.shape[dim], shape),)


def places_and_values(rng, x, dim):
    """No two in one place: which of them stays is not said."""
    return np.argsort(rng.rand(*x.shape), dim), array(rng, x.shape, x.dtype.name)


@st.composite
def joined(draw):
    """((x, y), dim): unlike only along the dimension."""
    x, dim = draw(along(FILLED))
    shape = list(x.shape)
    shape[dim] = draw(st.integers(0, 3))
    other = draw(st.sampled_from([b for a, b in AGREED if a == x.dtype.name]))
    return (x, array(np.random.RandomState(draw(seeds)), shape, other)), dim


@st.composite
def topmost(draw, dtypes=NUMBERS, special=("none",)):
    """(x, k, dim, largest)"""
    x, dim = draw(along(FILLED, dtypes, special))
    return x, draw(st.integers(0, x.shape[dim])), dim, draw(st.booleans())


@st.composite
def reshaped(draw):
    """(x, shape)"""
    (x,) = draw(one())
    return x, draw(st.sampled_from([x.shape[::-1], (x.size,), (-1,), (x.size, 1)]))


@st.composite
def permuted(draw):
    """(x, dims), some counted from the end."""
    (x,) = draw(one())
    return x, tuple(d - x.ndim * draw(st.integers(0, 1)) for d in draw(st.permutations(range(x.ndim))))


def in_float32(function):
    """Integers and bool become float64 in NumPy, the default float32 in PyTorch."""
    return lambda *all: function(*(x if x.dtype.kind == "f" else x.astype("float32") for x in all))


def softmax(x, dim):
    powers = np.exp(x - np.max(x, dim, keepdims=True, initial=-np.inf))
    return powers / powers.sum(dim, keepdims=True)


def median(x, dim):
    """The lower of the middle two, where `np.median` has their mean; NaN where there is one."""
    middle = (x.shape[dim] - 1) // 2
    found = np.take(np.partition(x, middle, dim), middle, dim)
    return np.where(np.isnan(x).any(dim), np.nan, found).astype(x.dtype)


def topk(x, k, dim, largest):
    """NaN is the largest in both."""
    order = np.sort(x, dim)
    return np.take(np.flip(order, dim) if largest else order, range(k), dim)


def scatter(x, dim, index, src):
    x = x.copy()
    np.put_along_axis(x, index, src, dim)
    return x


def masked(x, mask):
    x, mask = np.broadcast_arrays(x, mask)  # NumPy does not broadcast them itself
    return x[mask]


def of_indices(found, x, dim):
    """Return the values, and what stands at the indices; which of equal elements is named is not said."""
    at = np.expand_dims(found.indices, dim)
    return found.values, np.take_along_axis(x, at, dim).squeeze(dim)


def product_of_parts(found):
    return found.S, np.einsum("...ik,...k,...jk->...ij", *found)


MATRICES = ((3, 3), (4, 2), (2, 4), (2, 3, 2))
SIZES = ((), (0,), (2, 3), (4, 1, 2))
ENDS = ((-2.0, 0, 0.1, 3), (1.0, 7, -0.7))
float_x = one(dtypes=FLOATS)
number_x = one(dtypes=NUMBERS)
powers = st.one_of(  # NumPy raises at integers to a negative power
    two(dtypes=same(FLOATS)), two(dtypes=same(("int64", "int32"))).map(lambda pair: (pair[0], np.abs(pair[1])))
)
norms = (0, 1, 2, 3, 0.5, np.inf, -np.inf)

CREATION = {
    "tensor": Row(np.array, one()),
    "tensor of floats": Row(lambda x: np.array(x, "float32"), float_x.map(lambda all: (all[0].tolist(),))),
    "tensor of ints": Row(np.array, one([(5,), (2, 3)], ["int64"]).map(lambda all: (all[0].tolist(),))),
    "Tensor": Row(lambda x: np.array(x, "float32"), one(WITH_DIMS).map(lambda all: (all[0].tolist(),))),
    "from_numpy": Row(np.array, one()),
    "zeros": Row(lambda size: np.zeros(size, "float32"), st.tuples(st.sampled_from(SIZES))),
    "ones": Row(lambda size: np.ones(size, "float32"), st.tuples(st.sampled_from(SIZES))),
    "full": Row(np.full, then(st.tuples(st.sampled_from(SIZES)), (7, 1, 0), DTYPES)),
    "zeros_like": Row(np.zeros_like, one()),
    "ones_like": Row(np.ones_like, one()),
    "full_like": Row(np.full_like, then(one(), (7, 1, 0))),
    "eye": Row(lambda n, m, dtype: np.eye(n, m, dtype=dtype),
               st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from(DTYPES))),
    "arange": Row(np.arange, then(st.tuples(), (-3, 0, 2), (2, 5, 9), (1, 3))),
    # NumPy rounds start + step before it counts.
    "arange of floats": Row(np.arange, then(st.tuples(), (-1.0, 0.1), (2.0, 3.5), (0.1, 0.5, 0.7), FLOATS), 1.0),
    # NumPy counts from the start alone, PyTorch from both ends; NumPy's float32 is rounded from float64.
    "linspace": Row(lambda a, b, n, d: np.linspace(a, b, n, dtype=d), then(st.tuples(), *ENDS, range(12), FLOATS), 1.0,
                    lambda a, b, n, d: ops.linspace(a, b, n, dtype=d)),
    "logspace": Row(lambda a, b, n, d: np.logspace(a, b, n, dtype=d), then(st.tuples(), *ENDS, range(12), FLOATS), 1.0,
                    lambda a, b, n, d: ops.logspace(a, b, n, dtype=d)),
}  # fmt: skip

SHAPE = {
    "size": Row(np.shape, one()),
    "numel": Row(np.size, one()),
    "dim": Row(np.ndim, one()),
    "item": Row(lambda x: x.item(), one([(), (1,), (1, 1)])),
    "view": Row(np.reshape, reshaped()),
    "reshape": Row(np.reshape, reshaped()),
    # NumPy's repeats what is too little, ours refuses it.
    "resize": Row(np.resize, then(one([(5,), (2, 3)]), ((), (2, 2), (0,), (1, 5)))),
    "squeeze": Row(np.squeeze, one()),
    # NumPy refuses a dimension of another size than 1.
    "squeeze along": Row(lambda x, dim: np.squeeze(x, dim) if x.shape[dim] == 1 else x, along()),
    "unsqueeze": Row(np.expand_dims, along()),
    "permute": Row(np.transpose, permuted()),
    "contiguous": Row(np.ascontiguousarray, one(WITH_DIMS)),  # NumPy's has at least one dimension
    "clone": Row(np.copy, one()),
    "cat": Row(np.concatenate, joined()),
}

SELECTION = {
    "index_select": Row(lambda x, dim, index: np.take(x, index, dim), indexed(list_of_indices)),
    "gather": Row(lambda x, dim, index: np.take_along_axis(x, index, dim), indexed(index_of_any_length)),
    "scatter": Row(scatter, indexed(places_and_values)),
    "nonzero": Row(np.argwhere, one()),
    "masked_select": Row(masked, two(dtypes=[(dtype, "bool") for dtype in DTYPES])),
}

ELEMENTWISE = {
    "abs": Row(np.abs, number_x),
    "neg": Row(np.negative, number_x),
    "sign": Row(lambda x: np.where(np.isnan(x), 0, np.sign(x)).astype(x.dtype), number_x),  # NumPy's of NaN is NaN
    "ceil": Row(lambda x: np.ceil(x).astype(x.dtype), number_x),  # older NumPy makes integers float64
    "floor": Row(lambda x: np.floor(x).astype(x.dtype), number_x),
    "exp": Row(in_float32(np.exp), one(), 1.0),
    "log": Row(in_float32(np.log), one(), 1.0),
    "sqrt": Row(in_float32(np.sqrt), one()),
    "tanh": Row(in_float32(np.tanh), one(), 1.0),
    "sigmoid": Row(in_float32(lambda x: 1 / (1 + np.exp(-x))), one(), 1.0),
    "softmax": Row(softmax, along(dtypes=FLOATS), 1.0),
    "add": Row(np.add, two()),
    "sub": Row(np.subtract, two(dtypes=same(NUMBERS))),
    "mul": Row(np.multiply, two()),
    "div": Row(in_float32(np.divide), two()),
    "addcmul": Row(lambda t, a, b, value: t + value * a * b, then(three(NUMBERS, SPECIAL), (1, 2, 3)), None,
                   lambda t, a, b, value: ops.addcmul(t, a, b, value=value)),
    "addcdiv": Row(lambda t, a, b, value: t + value * a / b, then(three(FLOATS, SPECIAL), (1, 2, 0.1)), None,
                   lambda t, a, b, value: ops.addcdiv(t, a, b, value=value)),
    # Whole bounds: integers within floats are float64 in NumPy.
    "clamp": Row(np.clip, then(number_x, (-1, 0, 1), (None, 1, -1, 0))),
    "clamp between": Row(np.clip, three(NUMBERS)),
    "pow": Row(np.power, powers, 4.0),
}  # fmt: skip

REDUCTION = {
    "sum": Row(np.sum, one(), 10.0),
    "sum along": Row(np.sum, along(), 10.0),
    "prod": Row(np.prod, one(), 10.0),
    "prod along": Row(np.prod, along(), 10.0),
    "mean": Row(np.mean, float_x, 10.0),
    "mean along": Row(np.mean, along(dtypes=FLOATS), 10.0),
    "var": Row(lambda x: np.var(x, ddof=1), float_x, 10.0),
    "var along": Row(lambda x, dim, ddof: np.var(x, dim, ddof=ddof), then(along(dtypes=FLOATS), (0, 1)), 10.0),
    "std": Row(lambda x: np.std(x, ddof=1), float_x, 10.0),
    "std along": Row(lambda x, dim, ddof: np.std(x, dim, ddof=ddof), then(along(dtypes=FLOATS), (0, 1)), 10.0),
    # Flat, for of a matrix NumPy's is another norm.
    "norm": Row(lambda x, p: np.linalg.norm(x.ravel(), p), then(one(FILLED, FLOATS), norms), 10.0),
    "norm along": Row(lambda x, p, dim: np.linalg.norm(x, p, dim),
                      st.tuples(along(FILLED, FLOATS), st.sampled_from(norms)).map(
                          lambda all: (all[0][0], all[1], all[0][1])), 10.0),
    "dist": Row(lambda x, y, p: np.linalg.norm((x - y).ravel(), p),
                then(two([((2, 3), (2, 3)), ((5,), (5,))], same(FLOATS)), norms), 10.0),
    "median": Row(lambda x: median(x.ravel(), 0), one(FILLED, NUMBERS)),
    "median along": Row(lambda x, dim: (median(x, dim),) * 2, along(FILLED, NUMBERS), None,
                        lambda x, dim: of_indices(ops.median(x, dim), x, dim)),
    "cumsum": Row(np.cumsum, along(), 10.0),
    "cumprod": Row(np.cumprod, along(), 10.0),
}  # fmt: skip

COMPARISON = {
    "eq": Row(np.equal, two()),
    "ne": Row(np.not_equal, two()),
    "ge": Row(np.greater_equal, two()),
    "gt": Row(np.greater, two()),
    "le": Row(np.less_equal, two()),
    "lt": Row(np.less, two()),
    "equal": Row(np.array_equal, alike()),
    "max": Row(np.max, one(FILLED)),
    "max along": Row(lambda x, dim: (np.max(x, dim), np.argmax(x, dim)), along(FILLED)),
    "max of two": Row(np.maximum, two()),
    "min": Row(np.min, one(FILLED)),
    "min along": Row(lambda x, dim: (np.min(x, dim), np.argmin(x, dim)), along(FILLED)),
    "min of two": Row(np.minimum, two()),
    "topk": Row(topk, topmost(special=SPECIAL), None, lambda *all: ops.topk(*all).values),
    "topk, its indices": Row(
        lambda x, k, dim, largest: np.take(np.argsort(-x if largest else x, dim, kind="stable"), range(k), dim),
        topmost(), None, lambda *all: ops.topk(*all).indices),
}  # fmt: skip

LINALG = {
    "dot": Row(np.dot, factors((1, 1)), 10.0),
    "mv": Row(np.matmul, factors((2, 1)), 10.0),
    "mm": Row(np.matmul, factors((2, 2)), 10.0),
    "bmm": Row(np.matmul, factors((3, 3)), 10.0),
    "t": Row(np.transpose, one([shape for shape in SHAPES if len(shape) < 3])),  # PyTorch refuses more
    # The signs of the columns are anybody's choice: singular values, and U · diag(S) · Vᵀ.
    "svd": Row(lambda x: (np.linalg.svd(x, compute_uv=False), x), one(MATRICES, FLOATS, ("none",)), 10.0,
               lambda x: product_of_parts(ops.svd(x))),
}  # fmt: skip

PROMOTION = {
    "promote": Row(lambda a, b: np.promote_types(a, b).name, st.sampled_from(AGREED), None,
                   lambda a, b: ops.promote(tf.as_dtype(a), tf.as_dtype(b)).name),
    "result_type": Row(lambda *all: np.result_type(*all).name, two(), None,
                       lambda *all: ops.result_type(*map(tf.constant, all)).name),
}  # fmt: skip

ROWS = CREATION | SHAPE | SELECTION | ELEMENTWISE | REDUCTION | COMPARISON | LINALG | PROMOTION

# No spelling in NumPy.
EXEMPT = {
    "rand": "another generator; PyTorch's bits are asked for in test_ops.py",
    "randn": "another generator; PyTorch's bits are asked for in test_ops.py",
    "Reduced": "the type of two results, seen in max, min, median and topk",
    "AMinMax": "the type of two results, seen in aminmax",
    "allclose": "one bool, asked of PyTorch in test_more_ops.py",
    "empty_like": "values that nobody has set",
    "SVD": "the type of three results, seen in svd",
}
