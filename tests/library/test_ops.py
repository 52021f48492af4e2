"""T6–T13: every function against torch, over shapes, dimensions, dtypes and special values hypothesis thinks up.

Values and dtypes, gradients in float64 at ties and zeros too, and an error wherever PyTorch raises. NumPy has a file of
its own, test_ops_numpy.py.
"""

import doctest
from importlib import import_module

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy_spellings import DTYPES, SHAPES, SPECIAL, array, seeds
from same_as_torch import REFUSED, assert_close, assert_same, both, outputs

from keras_blitz import ops, random
from keras_blitz.errors import BlitzError

pytestmark = pytest.mark.covers("T6", "T7", "T8", "T9", "T10", "T11", "T12", "T13")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

examples = settings(deadline=None, max_examples=25)
shapes = st.sampled_from(SHAPES)
dtypes = st.sampled_from(DTYPES)
specials = st.sampled_from(SPECIAL)
dims = st.integers(-4, 3)


@pytest.mark.parametrize("name", ["abs", "neg", "sign", "ceil", "floor", "exp", "log", "sqrt", "sigmoid", "tanh"])
@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, special=specials)
def test_of_one_tensor(name, seed, shape, dtype, special):
    assert_same(*both(name), array(np.random.RandomState(seed), shape, dtype, special))


ORDERED = ["eq", "ne", "ge", "gt", "le", "lt"]
pairs = st.sampled_from(
    [((), ()), ((5,), (5,)), ((2, 3), (3,)), ((2, 1), (1, 4)), ((0,), (1,)), ((3,), ()), ((2,), (3,))]
)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", *ORDERED, "pow", "max", "min", "equal"])
@examples
@given(seed=seeds, pair=pairs, first=dtypes, second=dtypes, special=specials)
@example(seed=0, pair=((2, 3), (3,)), first="float64", second="float32", special="none")  # y − 1 in float32: ops.pow
def test_of_two_tensors_with_broadcasting_and_promotion(name, seed, pair, first, second, special):
    rng = np.random.RandomState(seed)
    arrays = array(rng, pair[0], first, special), array(rng, pair[1], second, special)
    if name == "equal":
        try:
            expected = torch.equal(*map(torch.tensor, arrays))
        except RuntimeError:
            return
        assert ops.equal(*map(tf.constant, arrays)) is expected
        return
    assert_same(*both(name), *arrays)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", *ORDERED, "pow"])
@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, special=specials,
       number=st.sampled_from([2, 0, -1, 3, 0.5, -0.5, 0.1, 0.0, 1.0, True]))  # fmt: skip
def test_of_a_tensor_and_a_python_number(name, seed, shape, dtype, special, number):
    assert_same(*both(name, number), array(np.random.RandomState(seed), shape, dtype, special))


@examples
@given(seed=seeds, pair=pairs, first=dtypes, second=dtypes, alpha=st.sampled_from([1, 2, -0.5, True]))
def test_add_and_sub_with_alpha(seed, pair, first, second, alpha):
    rng = np.random.RandomState(seed)
    arrays = array(rng, pair[0], first), array(rng, pair[1], second)
    assert_same(*both("add", alpha=alpha), *arrays)
    assert_same(*both("sub", alpha=alpha), *arrays)


@pytest.mark.parametrize("name", ["addcmul", "addcdiv"])
@examples
@given(seed=seeds, shape=shapes, kinds=st.tuples(dtypes, dtypes, dtypes), value=st.sampled_from([1, 2, 0.1]))
def test_addcmul_and_addcdiv(name, seed, shape, kinds, value):
    rng = np.random.RandomState(seed)
    # Of mixed dtypes PyTorch's own gradient goes through float32.
    gradients = len(set(kinds)) == 1
    assert_same(*both(name, value=value), *(array(rng, shape, dtype) for dtype in kinds), gradients=gradients)


@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, special=specials,
       bounds=st.tuples(*[st.sampled_from([None, -1, 0.5, 1, -1.5])] * 2))  # fmt: skip
def test_clamp(seed, shape, dtype, special, bounds):
    low, high = bounds
    assert_same(*both("clamp", min=low, max=high), array(np.random.RandomState(seed), shape, dtype, special))


@examples
@given(seed=seeds, shape=st.sampled_from([(5,), (2, 3)]), which=st.sampled_from(["min", "max", "both"]))
def test_clamp_between_tensors_which_have_gradients_too(seed, shape, which):
    rng = np.random.RandomState(seed)
    arrays = [array(rng, shape, "float64") for _ in range(3 if which == "both" else 2)]
    if which == "both":
        assert_same(*both("clamp"), *arrays)
    else:
        assert_same(lambda x, b: torch.clamp(x, **{which: b}), lambda x, b: ops.clamp(x, **{which: b}), *arrays)


# Of all elements, or along dimensions, of which some are not there.
@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "norm"])
@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, special=specials, keepdim=st.booleans(),
       dim=st.one_of(st.none(), dims, st.sampled_from([(0, 1), (-1,), (0, 0), (0, -1)])))  # fmt: skip
@example(seed=229, shape=(), dtype="float64", special="nan", keepdim=False, dim=None)  # of one NaN: see ops.var
@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
def test_reductions(name, seed, shape, dtype, special, keepdim, dim):
    values = array(np.random.RandomState(seed), shape, dtype, special)
    if dim is None:
        assert_same(*both(name), values)
    else:
        assert_same(*both(name, dim=dim, keepdim=keepdim), values)


@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, special=specials, keepdim=st.booleans(), dim=st.one_of(st.none(), dims))
def test_prod(seed, shape, dtype, special, keepdim, dim):
    values = array(np.random.RandomState(seed), shape, dtype, special)
    options = {} if dim is None else {"dim": dim, "keepdim": keepdim}
    assert_same(*both("prod", **options), values, scale=100.0, gradients=special == "none")


@pytest.mark.parametrize("name", ["max", "min", "median"])
@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, special=specials, keepdim=st.booleans(), dim=st.one_of(st.none(), dims))
def test_extremes_and_median(name, seed, shape, dtype, special, keepdim, dim):
    """Which of equal elements PyTorch's median names is not said; ours is one of them."""
    values = array(np.random.RandomState(seed), shape, dtype, special)
    if name == "median" and dtype == "float64":  # or the gradients go to different ones
        values = np.random.RandomState(seed).permutation(values.size).reshape(shape).astype(dtype)
    options = {} if dim is None else {"dim": dim, "keepdim": keepdim}
    if name == "median" and not values.size and dim is None:
        return  # PyTorch's is NaN, or the least integer, and its gradient an error
    assert_same(*both(name, **options), values, indices=name != "median" or dtype == "float64")


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "softmax"])
@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, special=specials, dim=dims)
def test_along_a_dimension(name, seed, shape, dtype, special, dim):
    """Of NaN among zeros, PyTorch's gradient of cumprod is one of several; of nothing, softmax takes integers."""
    values = array(np.random.RandomState(seed), shape, dtype, special)
    if name == "softmax" and not values.size:
        values = values.astype("float64")
    assert_same(*both(name, dim=dim), values, scale=100.0, gradients=special == "none")


@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, special=specials, dim=dims, k=st.integers(-1, 5), largest=st.booleans())
def test_topk(seed, shape, dtype, special, dim, k, largest):
    """Without ties, for which of equal elements PyTorch takes is not said; NaN and infinities tie as well."""
    rng = np.random.RandomState(seed)
    values = array(rng, shape, dtype, special)
    if dtype != "bool" and special == "none":
        values = rng.permutation(values.size).reshape(shape).astype(dtype)
    theirs, ours = both("topk", k, dim, largest)
    if shape or k:
        assert_same(theirs, ours, values, indices=special == "none", gradients=special == "none")


@pytest.mark.parametrize("p", [0, 1, 2, 3, 0.5, float("inf"), float("-inf"), "fro"])
@examples
@given(seed=seeds, shape=shapes, dtype=st.sampled_from(["float64", "float32"]))
def test_norm_and_dist(p, seed, shape, dtype):
    rng = np.random.RandomState(seed)
    values = array(rng, shape, dtype)
    empty = not values.size and p in (float("inf"), float("-inf"))
    if not empty:
        assert_same(*both("norm", p), values, gradients=p != 0)
    if p != "fro" and not empty:
        assert_same(*both("dist", p=p), values, array(rng, shape, dtype), gradients=p != 0)


def indices(rng, shape, size, dtype="int64"):
    return rng.randint(0, max(size, 1), shape).astype(dtype)


@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, dim=dims, count=st.integers(0, 4), over=st.sampled_from([0, 0, 0, 1]),
       kind=st.sampled_from(["int64", "int32", "float32"]))  # fmt: skip
def test_index_select(seed, shape, dtype, dim, count, over, kind):
    rng = np.random.RandomState(seed)
    size = shape[dim] if shape and -len(shape) <= dim < len(shape) else 1
    index = indices(rng, (count,), size + over, kind)
    assert_same(
        lambda x, i: torch.index_select(x, dim, i), lambda x, i: ops.index_select(x, dim, i),
        array(rng, shape, dtype), index,
    )  # fmt: skip


@examples
@given(seed=seeds, shape=st.sampled_from([(5,), (2, 3), (2, 3, 4)]), dtype=dtypes, dim=dims,
       smaller=st.tuples(*[st.integers(-1, 2)] * 3), over=st.sampled_from([0, 0, 0, 2]))  # fmt: skip
def test_gather_and_scatter(seed, shape, dtype, dim, smaller, over):
    rng = np.random.RandomState(seed)
    of = tuple(max(size - less, 0) for size, less in zip(shape, smaller, strict=False))
    size = shape[dim] if -len(shape) <= dim < len(shape) else 1
    index = indices(rng, of, size + over)
    x = array(rng, shape, dtype)
    assert_same(lambda x, i: torch.gather(x, dim, i), lambda x, i: ops.gather(x, dim, i), x, index)
    if not -len(shape) <= dim < len(shape) or of[dim] > size:
        return  # what meets in one place is undefined
    order = np.argsort(rng.rand(*of), axis=dim).astype(np.int64)
    src = array(rng, of, dtype)
    assert_same(
        lambda x, i, src: torch.scatter(x, dim, i, src), lambda x, i, src: ops.scatter(x, dim, i, src),
        x, order + over, src,
    )  # fmt: skip


@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, special=specials)
def test_nonzero(seed, shape, dtype, special):
    assert_same(*both("nonzero"), array(np.random.RandomState(seed), shape, dtype, special))


@examples
@given(seed=seeds, pair=pairs, dtype=dtypes, kind=st.sampled_from(["bool", "bool", "bool", "int64"]))
def test_masked_select(seed, pair, dtype, kind):
    rng = np.random.RandomState(seed)
    assert_same(*both("masked_select"), array(rng, pair[0], dtype), array(rng, pair[1], kind))


SIZES = st.lists(st.integers(-1, 4), max_size=3)


@examples
@given(seed=seeds, shape=shapes, dtype=dtypes, to=SIZES, dim=dims)
def test_shapes(seed, shape, dtype, to, dim):
    values = array(np.random.RandomState(seed), shape, dtype)
    for name in ("view", "reshape"):
        assert_same(lambda x, name=name: getattr(x, name)(to), lambda x, name=name: getattr(ops, name)(x, to), values)
    if to:
        assert_same(lambda x: x.permute(*to), lambda x: ops.permute(x, *to), values)
    assert_same(*both("squeeze"), values)
    assert_same(*both("squeeze", dim), values)
    assert_same(*both("unsqueeze", dim), values)
    assert_same(*both("t"), values)
    assert_same(*both("clone"), values)
    if all(size >= 0 for size in to) and np.prod(to) <= values.size:
        assert_same(lambda x: x.clone().resize_(to) if not x.requires_grad else x, lambda x: ops.resize(x, to),
                    values.astype("float32"))  # fmt: skip
    x, mine = torch.tensor(values), tf.constant(values)
    assert (tuple(x.size()), x.numel(), x.dim()) == (ops.size(mine), ops.numel(mine), ops.dim(mine))
    if values.size == 1:
        assert x.item() == ops.item(mine)
        assert type(x.item()) is type(ops.item(mine))


@examples
@given(seed=seeds, first=shapes, second=shapes, dtype=dtypes, other=dtypes, dim=dims)
def test_cat(seed, first, second, dtype, other, dim):
    rng = np.random.RandomState(seed)
    assert_same(
        lambda a, b: torch.cat((a, b), dim), lambda a, b: ops.cat((a, b), dim),
        array(rng, first, dtype), array(rng, second, other), gradients=(0,) not in (first, second),
    )  # fmt: skip


@pytest.mark.parametrize(("name", "ranks"), [("dot", (1, 1)), ("mv", (2, 1)), ("mm", (2, 2)), ("bmm", (3, 3))])
@examples
@given(seed=seeds, sizes=st.tuples(*[st.integers(0, 4)] * 4), dtype=dtypes, other=dtypes,
       wrong=st.sampled_from([0, 0, 0, 0, 1]))  # fmt: skip
def test_products(name, ranks, seed, sizes, dtype, other, wrong):
    rng = np.random.RandomState(seed)
    batch, n, m, p = sizes
    shapes = {"dot": ((m,), (m + wrong,)), "mv": ((n, m), (m + wrong,)), "mm": ((n, m), (m + wrong, p)),
              "bmm": ((batch, n, m), (batch, m + wrong, p))}[name]  # fmt: skip
    if not n * m * p * batch:
        dtype = other = "float64"  # of nothing, PyTorch takes others
    assert_same(*both(name), array(rng, shapes[0], dtype), array(rng, shapes[1], dtype if seed % 4 else other))


@examples
@given(seed=seeds, shape=st.sampled_from([(3,), (3, 3), (4, 2), (2, 4), (2, 3, 2)]), some=st.booleans())
def test_svd(seed, shape, some):
    """U and V up to the signs of their columns; the gradient through S."""
    values = np.random.RandomState(seed).randn(*shape)
    assert_same(lambda x: torch.svd(x, some).S, lambda x: ops.svd(x, some).S, values, gradients=some)
    if len(shape) == 1:
        return
    found, expected = ops.svd(tf.constant(values), some), torch.svd(torch.tensor(values), some)
    assert [part.shape.as_list() for part in found] == [list(part.shape) for part in expected]
    k = min(shape[-2:])
    for one, other in ((found.U, expected.U), (found.V, expected.V)):
        np.testing.assert_allclose(np.abs(one.numpy()[..., :k]), np.abs(other.numpy()[..., :k]), atol=1e-9)
    again = np.einsum("...ik,...k,...jk->...ij", found.U[..., :k], found.S, found.V[..., :k])
    np.testing.assert_allclose(again, values, atol=1e-12)


DATA = ([1, 2], [1.0, 2], [True, False], 3, 2.5, True, [[1.5], [2.5]], [], np.float32([1]), np.arange(3))


@pytest.mark.parametrize("data", DATA, ids=str)
def test_tensor_infers_pytorchs_dtype(data):
    assert_close(ops.tensor(data).numpy(), torch.tensor(data).numpy(), 1.0)


CREATED = {
    "zeros": [(2, 3), ((2, 3),)], "ones": [(2, 3), ([4],)], "eye": [(3,), (2, 4), (0,)],
    "full": [((2,), 7), ((2, 1), 0.1), ((), True)],
    "arange": [(5,), (2, 9), (2, 9, 3), (0, 1, 0.1), (1.0,), (9, 2, -2), (3, 3)],
    "linspace": [(0, 1, 7), (-1, 1, 2), (3, 3, 4), (0, 1, 1), (0, 10, 0), (0.1, 0.7, 10)],
    "logspace": [(0, 2, 3), (-1, 1, 5), (0, 1, 0)],
}  # fmt: skip


ends = st.one_of(st.floats(-1e6, 1e6), st.integers(-100, 100))


@pytest.mark.parametrize("dtype", [None, "float64", "float32"])
@pytest.mark.parametrize(("name", "arguments"), [(n, a) for n, rows in CREATED.items() for a in rows], ids=str)
def test_creation(name, arguments, dtype):
    expected = getattr(torch, name)(*arguments, dtype=dtype and getattr(torch, dtype)).numpy()
    found = getattr(ops, name)(*arguments, dtype=dtype).numpy()
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    ulp = 2 * np.finfo(expected.dtype).eps if expected.dtype.kind == "f" else 0
    np.testing.assert_allclose(found, expected, rtol=ulp)


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="PyTorch's kernel without AVX2 does not fuse its multiply and add",
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(deadline=None, max_examples=200)
@given(start=ends, end=ends, steps=st.integers(0, 100))
def test_linspace_bit_for_bit(start, end, steps, dtype):
    expected = torch.linspace(start, end, steps, dtype=getattr(torch, dtype)).numpy()
    np.testing.assert_array_equal(ops.linspace(start, end, steps, dtype=dtype).numpy(), expected)


@pytest.mark.parametrize("name", ["rand", "randn"])
@pytest.mark.parametrize("dtype", [None, "float64"])
def test_random_numbers_are_pytorchs(name, dtype):
    with random.fork_rng(), torch.random.fork_rng(devices=[]):
        random.manual_seed(3)
        torch.manual_seed(3)
        expected = getattr(torch, name)(3, 7, dtype=dtype and getattr(torch, dtype)).numpy()
        np.testing.assert_array_equal(getattr(ops, name)(3, 7, dtype=dtype).numpy(), expected)


def test_like_and_shared_memory():
    values = np.float32([[1, 2]])
    for name in ("zeros_like", "ones_like"):
        assert_close(getattr(ops, name)(values).numpy(), getattr(torch, name)(torch.tensor(values)).numpy(), 1.0)
    assert_same(*both("full_like", 7), values)
    assert_same(*both("full_like", 2.5), np.array([[1, 2]]))
    assert ops.empty_like(values).shape == values.shape
    copied, shared = ops.from_numpy(values), torch.from_numpy(values)
    values[0, 0] = 5
    assert (copied.numpy()[0, 0], shared[0, 0].item()) == (1, 5)
    assert ops.Tensor([1, 2]).dtype == tf.float32
    assert ops.Tensor(2, 3).shape == tuple(torch.Tensor(2, 3).shape)


IN_PLACE = [name for name in ops.__all__ if name.endswith("_")]


@pytest.mark.parametrize("name", IN_PLACE)
@examples
@given(seed=seeds, dtype=dtypes, other=dtypes, shape=st.sampled_from([(3,), (2, 3), (1,)]))
def test_trailing_underscore(name, seed, dtype, other, shape):
    """A tensor is returned, a variable is assigned; what would not fit is refused."""
    rng = np.random.RandomState(seed)
    x = array(rng, (3,), dtype)
    count = {"add_": 1, "sub_": 1, "mul_": 1, "div_": 1, "pow_": 1, "addcmul_": 2, "addcdiv_": 2}.get(name, 0)
    rest = [array(rng, shape, other) for _ in range(count)]
    options = {"min": -0.5, "max": 1} if name == "clamp_" else {}
    theirs = torch.tensor(x)
    try:
        getattr(theirs, name)(*map(torch.tensor, rest), **options)
    except REFUSED:
        with pytest.raises(BlitzError):
            getattr(ops, name)(tf.constant(x), *rest, **options)
        return
    variable = tf.Variable(x)
    returned = getattr(ops, name)(variable, *rest, **options)
    assert_close(getattr(ops, name)(tf.constant(x), *rest, **options).numpy(), theirs.numpy(), 1.0)
    assert_close(variable.numpy(), theirs.numpy(), 1.0)
    assert_close(np.asarray(returned), theirs.numpy(), 1.0)


@given(st.lists(st.tuples(st.sampled_from([*DTYPES, "uint8", "int8", "int16", "float16"]),
                          st.sampled_from([(), (2,)])), min_size=1, max_size=2),
       st.sampled_from([True, 2, 0.5]))  # fmt: skip
@settings(deadline=None)
def test_result_type(tensors, number):
    """PyTorch's own function takes two."""
    numbers = [number] if len(tensors) == 1 else []
    arrays = [np.zeros(shape, dtype) for dtype, shape in tensors]
    operands, mine = ([*map(make, arrays), *numbers] for make in (torch.tensor, tf.constant))
    assert f"torch.{ops.result_type(*mine).name}" == str(torch.result_type(*operands))


@pytest.mark.parametrize("name", ["max", "std", "median", "cumprod", "norm", "clamp", "pow", "gather"])
def test_inside_a_compiled_step(name):
    """The same values and gradients as in eager mode."""
    x = tf.constant([[1.0, 2.0, 2.0], [0.0, 4.0, 3.0]], tf.float64)
    options = {"max": (1,), "median": (1,), "cumprod": (1,), "clamp": (0.5, 3.0), "pow": (3,),
               "gather": (1, tf.constant([[0, 2], [1, 1]]))}.get(name, ())  # fmt: skip

    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = outputs(getattr(ops, name)(x, *options))[0]
        return value, tape.gradient(value, x)

    for one, other in zip(step(x), tf.function(step)(x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-15)


@pytest.mark.parametrize("table", dict.fromkeys(ops._HOMES.values()))
def test_examples_of_the_docstrings_run(table):
    module = import_module(f"keras_blitz.ops.{table}")
    with random.fork_rng():
        found = doctest.testmod(module)
    assert found.failed == 0
    assert found.attempted or table == "promotion"


def test_every_function_has_an_example_and_the_three_spellings():
    for name in ops.__all__:
        text = getattr(ops, name).__doc__
        if name.endswith("_") or name in ("AMinMax", "Reduced", "SVD", "promote", "result_type"):
            continue
        assert ">>>" in text, name
        assert "PyTorch" in text, name
