"""Calls of the functions of T14, written once and read by PyTorch and by `keras_blitz.ops`.

A call is an expression of tensors by name: what a name stands for is in `SHAPES`, float64 and int64 by turns unless the
row says otherwise. Functions that PyTorch has as methods alone are called as functions, too.
"""

import re

import numpy as np
from numpy_spellings import array

SHAPES = {
    "x": (2, 3), "y": (2, 3), "v": (5,), "w": (5,), "u": (3,), "c": (2, 3, 4), "d": (2, 3, 4), "m": (3, 3), "n": (3, 4),
    "s": (), "r": (2, 1), "e": (0,), "z": (2, 0), "q": (7,), "long": (40,),
}  # fmt: skip
# Tensors that are not of the row's dtype.
FIXED = {
    "mask": np.array([[True, False, True], [False, True, True]]),
    "flags": np.array([True, False, True, True, False]),
    "index": np.array([[0, 2, 1], [1, 1, 0]]),
    "low": np.array([[0, 1, 1], [1, 0, 0]]),
    "rows": np.array([1, 0, 1]),
    "places": np.array([4, 0, 2]),
    "twice": np.array([2, 2, 0, 1, 2]),
    "counts": np.array([2, 0, 1, 3, 1]),
    "sorted": np.array([-1.0, 0.0, 0.0, 0.5, 2.0]),
    "levels": np.array([0.0, 0.25, 0.6, 1.0]),
    "distinct": np.random.RandomState(5).permutation(24).reshape(2, 3, 4) / 4,
    "positive": np.array([0.5, 1.0, 2.0, 0.25, 3.0]),
}
FLOATS, NUMBERS, INTEGERS = ("float64",), ("float64", "int64"), ("int64", "int32")
ALL = (*NUMBERS, "bool")


def arguments(call: str, dtype: str, seed: int, special: str = "none") -> dict[str, np.ndarray]:
    """Return the arrays that a call names, in their order."""
    names = [name for name in dict.fromkeys(re.findall(r"[a-z]\w*", call)) if name in SHAPES or name in FIXED]
    rng = np.random.RandomState(seed)
    return {
        name: FIXED[name] if name in FIXED else array(rng, SHAPES[name], dtype, special)
        for name in names
    }  # fmt: skip


# Of one tensor and of two, without options: tried over shapes, dtypes, NaN and infinities.
OF_ONE = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "bitwise_not",
    "cos",
    "cosh",
    "deg2rad",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp2",
    "expm1",
    "frac",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "lgamma",
    "log10",
    "log1p",
    "log2",
    "logical_not",
    "logit",
    "nan_to_num",
    "positive",
    "rad2deg",
    "reciprocal",
    "round",
    "rsqrt",
    "sgn",
    "signbit",
    "sin",
    "sinc",
    "sinh",
    "square",
    "tan",
    "trunc",
]
OF_TWO = [
    "atan2",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "copysign",
    "float_power",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "gcd",
    "heaviside",
    "hypot",
    "isclose",
    "lcm",
    "logaddexp",
    "logaddexp2",
    "logical_and",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "remainder",
    "xlogy",
]

# name: (dtypes, calls)
ELEMENTWISE = {
    "float_power": (NUMBERS, ["float_power(x, 2)", "float_power(2, x)"]),
    "fmod": (NUMBERS, ["fmod(x, 2)", "fmod(x, -1.5)", "fmod(x, 0.5)"]),
    "floor_divide": (NUMBERS, ["floor_divide(x, 2)", "floor_divide(x, -1.5)"]),
    "isclose": (FLOATS, ["isclose(x, x + 1e-7)", "isclose(x, y, rtol=0.1, atol=0.2)", "isclose(x, y, 0, 0)"]),
    "isin": (NUMBERS, ["isin(x, y)", "isin(x, v, invert=True)", "isin(x, e)"]),
    "lerp": (FLOATS, ["lerp(x, y, 0.25)", "lerp(x, y, 0.75)", "lerp(x, y, c[0, 0, :3])", "lerp(x, r, 2.0)"]),
    "logit": (FLOATS, ["logit(x, 0.1)", "logit(x / 4, eps=0.25)"]),
    "nan_to_num": (NUMBERS, ["nan_to_num(x, 2.0)", "nan_to_num(x, nan=1.0, posinf=5.0, neginf=-5.0)"]),
    "polygamma": (FLOATS, ["polygamma(1, positive)", "polygamma(2, positive)", "polygamma(0, positive)"]),
    "remainder": (NUMBERS, ["remainder(x, 2)", "remainder(x, -1.5)", "remainder(x, 0.5)"]),
    "round": (FLOATS, ["round(x, decimals=1)", "round(x * 100, decimals=-1)", "round(x * 1.005, decimals=2)"]),
}

STATISTICS = {
    "all": (ALL, ["all(x)", "all(x, 1)", "all(c, (0, -1), keepdim=True)", "all(e)", "all(s)", "all(x, 5)"]),
    "any": (ALL, ["any(x)", "any(x, 1)", "any(c, (0, -1), keepdim=True)", "any(e)", "any(z, 1)"]),
    "count_nonzero": (ALL, ["count_nonzero(c)", "count_nonzero(c, 1)", "count_nonzero(c, (0, 2))", "count_nonzero(s)"]),
    "amax": (ALL, ["amax(c)", "amax(c, 1)", "amax(c, (0, -1), True)", "amax(s)", "amax(z, 1)", "amax(z, 0)", "amax(e)"]),
    "amin": (ALL, ["amin(c)", "amin(c, 1)", "amin(c, (0, -1), True)", "amin(s)", "amin(x, (0, 0))"]),
    "aminmax": (NUMBERS, ["aminmax(c)", "aminmax(c, dim=1)", "aminmax(c, dim=-1, keepdim=True)", "aminmax(c)[1]"]),
    "argmax": (ALL, ["argmax(c)", "argmax(c, 1)", "argmax(c, -1, True)", "argmax(c, keepdim=True)", "argmax(e)", "argmax(s)"]),
    "argmin": (ALL, ["argmin(c)", "argmin(c, 1)", "argmin(c, -1, True)", "argmin(z, 1)", "argmin(s, 0)"]),
    "logsumexp": (NUMBERS, ["logsumexp(c, 1)", "logsumexp(c, (0, 2), True)", "logsumexp(s, 0)", "logsumexp(1000 * x, 0)"]),
    "log_softmax": (FLOATS, ["log_softmax(c, 1)", "log_softmax(c, -1)", "log_softmax(s, 0)", "log_softmax(300 * x, 0)"]),
    "nansum": (ALL, ["nansum(c)", "nansum(c, 1)", "nansum(c, (0, 2), True)", "nansum(e)"]),
    "nanmean": (NUMBERS, ["nanmean(c)", "nanmean(c, 1)", "nanmean(c, (0, 2), True)", "nanmean(e)"]),
    "nanmedian": (FLOATS, ["nanmedian(c * 1.0)", "nanmedian(v / 0 * 0)"]),
    "std_mean": (NUMBERS, ["std_mean(c)", "std_mean(c, 1)", "std_mean(c, dim=(0, 2), correction=0, keepdim=True)"]),
    "var_mean": (NUMBERS, ["var_mean(c)", "var_mean(c, 1)", "var_mean(c, 1)[1]", "var_mean(c, dim=(0, 2), correction=0)"]),
}  # fmt: skip

SORTING = {
    "sort": (ALL, ["sort(c, stable=True)", "sort(c, dim=1, stable=True)", "sort(long, dim=0, descending=True, stable=True)", "sort(s)",
                   "sort(z, 1)", "sort(x, 2)", "sort(long, stable=True)"]),
    "argsort": (ALL, ["argsort(long, stable=True)", "argsort(c, dim=1, descending=True, stable=True)", "argsort(e)"]),
    "msort": (NUMBERS, ["msort(c)", "msort(v)"]),
    "kthvalue": (NUMBERS, ["kthvalue(long, 7).values", "kthvalue(c, 2, 1).values", "kthvalue(c, 1, 0, True).values",
                           "kthvalue(x, 4)", "kthvalue(x, 0)", "kthvalue(q, 3)[0]"]),
    "mode": (NUMBERS, ["mode(long).values", "mode(c, 1).values", "mode(c, 0, True).values", "mode(e)", "mode(index)"]),
    "quantile": (FLOATS, ["quantile(x, 0.3)", "quantile(c, levels, 1)", "quantile(c, 0.6, -1, True)", "quantile(x, levels)",
                          *(f"quantile(q, levels, interpolation='{how}')" for how in
                            ("lower", "higher", "midpoint", "nearest")),
                          "quantile(x, 1.5)", "quantile(e, 0.5)", "quantile(distinct, levels, keepdim=True)", "quantile(x, s)"]),
    "nanquantile": (FLOATS, ["nanquantile(x, 0.3)", "nanquantile(c, levels, 1)", "nanquantile(c, 0.6, -1, True)",
                             "nanquantile(q, levels, interpolation='midpoint')"]),
    "unique": (ALL, ["unique(long)", "unique(c, return_inverse=True)", "unique(long, True, True, True)", "unique(e)",
                     "unique(index, return_counts=True)", "unique(low, dim=1, return_inverse=True, return_counts=True)",
                     "unique(c, dim=1)", "unique(s)", "unique(mask, dim=0)"]),
    "unique_consecutive": (ALL, ["unique_consecutive(long)", "unique_consecutive(twice, True, True)",
                                 "unique_consecutive(low, dim=1)", "unique_consecutive(low, True, True, 0)",
                                 "unique_consecutive(e)"]),
    "searchsorted": (FLOATS, ["searchsorted(sorted, x)", "searchsorted(sorted, x, right=True)", "searchsorted(sorted, s)",
                              "searchsorted(sorted, x, out_int32=True)", "searchsorted(sort(n).values, m)",
                              "searchsorted(sorted, index)", "searchsorted(sort(n).values, x)"]),
    "bucketize": (FLOATS, ["bucketize(x, sorted)", "bucketize(x, sorted, right=True)", "bucketize(x, m)"]),
    "bincount": (NUMBERS, ["bincount(twice)", "bincount(twice, v)", "bincount(twice, minlength=7)", "bincount(v)",
                           "bincount(index)", "bincount(twice, u)"]),
    "histc": (NUMBERS, ["histc(long)", "histc(long, 7, -1, 1)", "histc(x, bins=4)", "histc(x, 0)", "histc(x, 3, 2, 1)",
                        "histc(sorted, 6, -1, 2)"]),
}  # fmt: skip

RUNNING = {
    "cummax": (ALL, ["cummax(c, 1)", "cummax(long, 0)", "cummax(s, 0)", "cummax(z, 1)", "cummax(c, 3)", "cummax(c, -1)[1]"]),
    "cummin": (ALL, ["cummin(c, 1)", "cummin(long, -1)", "cummin(e, 0)"]),
    "logcumsumexp": (FLOATS, ["logcumsumexp(c, 1)", "logcumsumexp(long, 0)", "logcumsumexp(s, 0)",
                              "logcumsumexp(300 * long, 0)", "logcumsumexp(e, 0)"]),
    "diff": (ALL, ["diff(c)", "diff(c, 2, 1)", "diff(v, 9)", "diff(s)", "diff(x, dim=0, prepend=y)", "diff(x, 1, 1, y, r)"]),
    "trapezoid": (NUMBERS, ["trapezoid(c)", "trapezoid(c, dim=1)", "trapezoid(x, y)", "trapezoid(x, u)", "trapezoid(v, dx=0.5)",
                            "trapezoid(e)"]),
    "cumulative_trapezoid": (NUMBERS, ["cumulative_trapezoid(c)", "cumulative_trapezoid(c, dim=1)", "cumulative_trapezoid(x, u)",
                                       "cumulative_trapezoid(v, dx=0.5)"]),
}  # fmt: skip

INDEXING = {
    "where": (ALL, ["where(mask, x, y)", "where(mask, x, 2)", "where(mask, 0.5, x)", "where(mask, x, s)", "where(mask)[1]",
                    "where(mask, 1.0, 2.0)", "where(x, x, y)", "where(mask, x, v)", "where(mask[0], x, r)", "where(x)[0]"]),
    "masked_fill": (NUMBERS, ["masked_fill(x, mask, 7)", "masked_fill(c, flags[:4], -1)", "masked_fill(x, mask, s)",
                              "masked_fill(x, x, 1)", "masked_fill(x, mask, v)", "masked_fill(x, mask, True)"]),
    "masked_scatter": (NUMBERS, ["masked_scatter(x, mask, y)", "masked_scatter(x, mask, v)", "masked_scatter(x, mask, u)",
                                 "masked_scatter(x, mask[0], v)", "masked_scatter(u, mask, v)"]),
    "argwhere": (ALL, ["argwhere(x)", "argwhere(s)", "argwhere(e)"]),
    "take": (NUMBERS, ["take(x, rows)", "take(x, low)", "take(x, -1 - rows)", "take(u, places)", "take(x, v)"]),
    "take_along_dim": (NUMBERS, ["take_along_dim(x, index, 1)", "take_along_dim(x, low, 0)", "take_along_dim(x, rows)",
                                 "take_along_dim(c, index[:, :, None], 1)", "take_along_dim(x, low[:, :1], 1)",
                                 "take_along_dim(v, index, 0)"]),
    "scatter_add": (NUMBERS, ["scatter_add(x, 1, index, y)", "scatter_add(x, 0, low, y)", "scatter_add(v, 0, twice, w)",
                              "scatter_add(x, 1, index, v)", "scatter_add(v, -1, places, w)"]),
    "scatter_reduce": (NUMBERS, [
        *(f"scatter_reduce(v, 0, twice, w, '{how}', include_self={whether})"
          for how in ("sum", "prod", "mean", "amax", "amin") for whether in (True, False)),
        "scatter_reduce(x, 1, index, y, 'amax')", "scatter_reduce(x, 0, low, y, 'mean')", "scatter_reduce(x, 0, low, y, 'median')",
    ]),
    "index_add": (NUMBERS, ["index_add(v, 0, twice, w)", "index_add(m, 1, rows, m)", "index_add(v, 0, twice, w, alpha=2)",
                            "index_add(v, 0, twice, u)", "index_add(v, 0, places, u, alpha=0.5)"]),
    "index_copy": (NUMBERS, ["index_copy(v, 0, places, u)", "index_copy(x, 1, places - 2, x)", "index_copy(v, 0, places, w)"]),
    "index_fill": (NUMBERS, ["index_fill(v, 0, places, 7)", "index_fill(c, -2, rows, -1)", "index_fill(v, 0, -1 - places, 1)",
                             "index_fill(x, 1, places, 1)", "index_fill(v, 0, places, s)"]),
    "index_put": (NUMBERS, ["index_put(v, (places,), u)", "index_put(v, (twice,), w, accumulate=True)",
                            "index_put(x, (low, index), s, True)", "index_put(x, (mask,), s)", "index_put(c, (rows,), c[0])",
                            "index_put(x, (rows - 1,), u, accumulate=True)", "index_put(x, (twice,), u)",
                            "index_put(v, (places,), w)"]),
    "one_hot": (INTEGERS, ["one_hot(index)", "one_hot(index, 5)", "one_hot(rows, 1)", "one_hot(e)", "one_hot(v)"]),
    "narrow": (ALL, ["narrow(c, 1, 1, 2)", "narrow(c, -1, -2, 1)", "narrow(x, 0, 1, 2)", "narrow(x, 0, 2, 0)", "narrow(s, 0, 0, 1)"]),
    "select": (ALL, ["select(c, 1, 2)", "select(c, -1, -1)", "select(x, 0, 2)", "select(s, 0, 0)"]),
}  # fmt: skip

REARRANGING = {
    "transpose": (ALL, ["transpose(c, 0, -1)", "transpose(x, 0, 1)", "transpose(s, 0, -1)", "transpose(x, 0, 2)"]),
    "swapaxes": (ALL, ["swapaxes(c, 1, 2)"]),
    "movedim": (ALL, ["movedim(c, 0, -1)", "movedim(c, (0, 1), (2, 0))", "movedim(c, (0, 0), (1, 2))", "movedim(c, 1, 1)"]),
    "flatten": (ALL, ["flatten(c)", "flatten(c, 1)", "flatten(c, 0, -2)", "flatten(s)", "flatten(c, 2, 1)", "flatten(z)"]),
    "ravel": (ALL, ["ravel(c)", "ravel(s)"]),
    "unflatten": (ALL, ["unflatten(n, 1, (2, 2))", "unflatten(n, -1, (2, -1))", "unflatten(n, 0, (2, 2))"]),
    "expand": (ALL, ["expand(r, -1, 4)", "expand(r, 3, 2, 4)", "expand(x, 2, 4)", "expand(s, 2)", "expand(v, -1, 5)"]),
    "broadcast_to": (ALL, ["broadcast_to(r, (2, 4))", "broadcast_to(s, (3,))", "broadcast_to(x, (3,))"]),
    "broadcast_tensors": (ALL, ["broadcast_tensors(r, u)", "broadcast_tensors(x, v)"]),
    "tile": (ALL, ["tile(x, (2,))", "tile(x, (2, 1, 3))", "tile(s, (2,))", "tile(x, (0, 1))"]),
    "repeat": (ALL, ["repeat(x, 2, 3)", "repeat(x, 4, 2, 1)", "repeat(c, 2)", "repeat(s, 2)"]),
    "repeat_interleave": (ALL, ["repeat_interleave(x, 2)", "repeat_interleave(v, counts)", "repeat_interleave(c, rows, 1)",
                                "repeat_interleave(x, 3, dim=-1)", "repeat_interleave(v, rows)", "repeat_interleave(s, 2)"]),
    "roll": (ALL, ["roll(c, 5)", "roll(c, -1, 1)", "roll(c, (1, -2), (0, 2))", "roll(c, (1, 2), 0)", "roll(s, 1)"]),
    "flip": (ALL, ["flip(c, (0, 2))", "flip(c, (-1,))", "flip(c, (0, 0))", "flip(s, (0,))"]),
    "fliplr": (ALL, ["fliplr(c)", "fliplr(v)"]),
    "flipud": (ALL, ["flipud(c)", "flipud(s)"]),
    "rot90": (ALL, ["rot90(c)", "rot90(c, 2)", "rot90(c, -1, (0, 2))", "rot90(c, 5, (2, 1))", "rot90(v)", "rot90(x, 1, (1, -1))"]),
    "unfold": (ALL, ["unfold(v, 0, 2, 1)", "unfold(c, 2, 2, 2)", "unfold(c, 1, 3, 1)", "unfold(v, 0, 6, 1)", "unfold(s, 0, 1, 1)",
                     "unfold(v, 0, 2, 0)"]),
}  # fmt: skip

JOINING = {
    "stack": (ALL, ["stack((x, y))", "stack((x, y), -1)", "stack((x, index))", "stack((x, u))", "stack((s, s), 0)"]),
    "hstack": (ALL, ["hstack((x, y))", "hstack((v, u))", "hstack((s, u))", "hstack((x, index))", "hstack((x, v))"]),
    "vstack": (ALL, ["vstack((x, y))", "vstack((v, w))", "vstack((x, u))", "vstack((s, s))", "vstack((x, v))"]),
    "dstack": (ALL, ["dstack((x, y))", "dstack((v, w))", "dstack((c, d))"]),
    "column_stack": (ALL, ["column_stack((v, w))", "column_stack((m, u))", "column_stack((s, s))", "column_stack((v, u))"]),
    "atleast_1d": (ALL, ["atleast_1d(s)", "atleast_1d(x)"]),
    "atleast_2d": (ALL, ["atleast_2d(s)", "atleast_2d(v)", "atleast_2d(c)"]),
    "atleast_3d": (ALL, ["atleast_3d(s)", "atleast_3d(v)", "atleast_3d(x)", "atleast_3d(c)"]),
    "split": (ALL, ["split(v, 2)", "split(c, 3, 2)", "split(c, (1, 2), 1)", "split(v, (2, 2))", "split(s, 1)", "split(e, 2)",
                    "split(v, 2)[2]", "split(v, 0)"]),
    "chunk": (ALL, ["chunk(v, 2)", "chunk(v, 4)", "chunk(c, 2, -1)", "chunk(v, 9)", "chunk(v, 0)", "chunk(e, 2)"]),
    "tensor_split": (ALL, ["tensor_split(v, 3)", "tensor_split(v, (1, 3))", "tensor_split(c, 2, 2)", "tensor_split(v, 7)",
                           "tensor_split(v, (3, 1))", "tensor_split(v, (-1, 9))", "tensor_split(v, 0)"]),
    "unbind": (ALL, ["unbind(x)", "unbind(c, 1)", "unbind(s)"]),
    "meshgrid": (ALL, ["meshgrid(u, v, indexing='ij')", "meshgrid(u, v, q, indexing='xy')", "meshgrid(s, u, indexing='ij')",
                       "meshgrid(x, u, indexing='ij')", "meshgrid(u, v, indexing='ji')"]),
    "cartesian_prod": (ALL, ["cartesian_prod(u, v)", "cartesian_prod(u)", "cartesian_prod(u, v, q)", "cartesian_prod(x, u)"]),
    "combinations": (ALL, ["combinations(v)", "combinations(v, 3)", "combinations(v, 2, True)", "combinations(u, 4)",
                           "combinations(x)"]),
    "block_diag": (NUMBERS, ["block_diag(x, m)", "block_diag(x, u, s)", "block_diag(x, index)", "block_diag(c)"]),
}  # fmt: skip

TRIANGLES = {
    "tril": (ALL, ["tril(m)", "tril(c, 1)", "tril(n, -1)", "tril(v)"]),
    "triu": (ALL, ["triu(m)", "triu(c, 1)", "triu(n, -1)", "triu(div(m, 0))"]),
    "tril_indices": (NUMBERS, ["tril_indices(3, 4)", "tril_indices(4, 2, 1)", "tril_indices(2, 3, -1)", "tril_indices(0, 2)"]),
    "triu_indices": (NUMBERS, ["triu_indices(3, 4)", "triu_indices(4, 2, 1)", "triu_indices(2, 3, -1)"]),
    "diag": (ALL, ["diag(v)", "diag(v, 2)", "diag(v, -1)", "diag(n)", "diag(n, 1)", "diag(n, -2)", "diag(c)"]),
    "diagonal": (ALL, ["diagonal(n)", "diagonal(c, 1)", "diagonal(c, 0, 0, 2)", "diagonal(c, -1, 1, 2)", "diagonal(c, 0, 1, 1)",
                       "diagonal(n, 7)"]),
    "diag_embed": (ALL, ["diag_embed(x)", "diag_embed(v, 1)", "diag_embed(x, -1)", "diag_embed(x, 1, 0, 2)",
                         "diag_embed(x, 1, 2, 0)", "diag_embed(x, 0, 1, 1)"]),
    "trace": (NUMBERS, ["trace(m)", "trace(n)", "trace(c)"]),
}  # fmt: skip

PRODUCTS = {
    "matmul": (NUMBERS, ["matmul(x, n)", "matmul(v, w)", "matmul(x, u)", "matmul(u, n)", "matmul(c, n)", "matmul(s, x)",
                         "matmul(m, n)", "matmul(x, index)", "matmul(m, d)", "matmul(u, d)"]),
    "addmm": (NUMBERS, ["addmm(s, x, n)", "addmm(r, x, n, beta=2, alpha=3)", "addmm(r, x, m, beta=0)", "addmm(m, x, n)",
                        "addmm(r, x, n, alpha=0.5)"]),
    "addmv": (NUMBERS, ["addmv(u, m, u)", "addmv(s, m, u, beta=2, alpha=-1)", "addmv(v, m, u)"]),
    "addr": (NUMBERS, ["addr(m, u, u)", "addr(s, v, u, beta=2, alpha=3)", "addr(m, v, u)"]),
    "baddbmm": (NUMBERS, ["baddbmm(s, c, transpose(d, 1, 2))", "baddbmm(u, c, transpose(d, 1, 2), beta=3, alpha=2)"]),
    "addbmm": (NUMBERS, ["addbmm(m, c, transpose(d, 1, 2))", "addbmm(u, c, transpose(d, 1, 2), beta=3, alpha=2)"]),
    "outer": (ALL, ["outer(u, v)", "outer(v, places)", "outer(x, v)"]),
    "inner": (NUMBERS, ["inner(v, w)", "inner(x, y)", "inner(c, d)", "inner(x, s)", "inner(x, v)"]),
    "kron": (NUMBERS, ["kron(x, m)", "kron(u, x)", "kron(c, v)", "kron(s, v)", "kron(x, places)"]),
    "cross": (NUMBERS, ["cross(x, y)", "cross(u, u + 1)", "cross(c, d, 1)", "cross(x, u)", "cross(v, w)", "cross(c, d, 0)"]),
    "tensordot": (NUMBERS, ["tensordot(x, n, 1)", "tensordot(c, d, ([0, 2], [0, 2]))", "tensordot(x, y, 2)", "tensordot(u, v, 0)",
                            "tensordot(x, m, 2)"]),
    "einsum": (NUMBERS, ["einsum('ij,jk->ik', x, n)", "einsum('ij->ji', x)", "einsum('ijk->', c)", "einsum('ii->i', m)",
                         "einsum('...j,j->...', c, n[0])", "einsum('i,j', u, v)", "einsum('ij,ij->i', x, y)",
                         "einsum('ij,jk', x, x)", "einsum('bij,bkj->bik', c, d)"]),
    "cdist": (FLOATS, ["cdist(x, m)", "cdist(c, d)", "cdist(x, x)", "cdist(x, m, 1.0)", "cdist(x, m, p=3.0)",
                       "cdist(x, m, p=1e400)", "cdist(x, v)"]),
    "cov": (NUMBERS, ["cov(x)", "cov(m, correction=0)", "cov(v)", "cov(c)", "cov(x, fweights=rows)",
                      "cov(x, aweights=positive[:3])"]),
    "corrcoef": (FLOATS, ["corrcoef(m + 0.1 * distinct[0, :, :3])", "corrcoef(v)"]),
    "vander": (ALL, ["vander(v)", "vander(u, 5)", "vander(u, 2, True)", "vander(u, 0)", "vander(x)"]),
    "renorm": (FLOATS, ["renorm(x, 2, 0, 1.0)", "renorm(c, 1, 1, 2.0)", "renorm(c, 3, -1, 0.5)", "renorm(v, 2, 0, 1.0)"]),
}  # fmt: skip

CALLS = ELEMENTWISE | STATISTICS | SORTING | RUNNING | INDEXING | REARRANGING | JOINING | TRIANGLES | PRODUCTS
