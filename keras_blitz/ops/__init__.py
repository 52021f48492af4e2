"""PyTorch's tensor functions on `tf.Tensor`, one table of the inventory a file.

`ops.max(x, 1)`, `ops.std(x)`, `ops.gather(x, 1, index)` … take PyTorch's arguments and give PyTorch's values, dtypes,
gradients and errors. Each docstring has the spelling in NumPy, PyTorch and TensorFlow, and the trap between them.
"""

from importlib import import_module

_ELEMENTWISE = "abs add addcdiv addcmul ceil clamp div exp floor log mul neg pow sigmoid sign sqrt sub tanh"
_TABLES = {
    "creation": (
        "Tensor arange empty_like eye from_numpy full full_like linspace logspace ones ones_like rand randn tensor "
        "zeros zeros_like"
    ),
    "shape": "cat clone contiguous dim item numel permute reshape resize size squeeze unsqueeze view",
    "selection": "gather index_select masked_select nonzero scatter",
    "elementwise": f"{_ELEMENTWISE} softmax {' '.join(f'{name}_' for name in _ELEMENTWISE.split())}",
    "reduction": "Reduced cumprod cumsum dist mean median norm prod std sum var",
    "comparison": "eq equal ge gt le lt max min ne topk",
    "linalg": "SVD bmm dot mm mv svd t",
    "promotion": "promote result_type",
    "functions": (
        "acos acosh asin asinh atan atanh cos cosh deg2rad digamma erf erfc erfinv exp2 expm1 lgamma log10 log1p "
        "log2 logit polygamma rad2deg reciprocal rsqrt sin sinc sinh square tan"
    ),
    "rounding": "frac isfinite isinf isnan isneginf isposinf nan_to_num positive round sgn signbit trunc",
    "pairs": (
        "atan2 copysign float_power floor_divide fmax fmin fmod gcd heaviside hypot lcm lerp logaddexp logaddexp2 "
        "maximum minimum remainder xlogy"
    ),
    "logic": (
        "allclose bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor isclose "
        "isin logical_and logical_not logical_or logical_xor"
    ),
    "statistics": (
        "AMinMax all amax amin aminmax any argmax argmin count_nonzero log_softmax logsumexp nanmean nanmedian "
        "nansum std_mean var_mean"
    ),
    "sorting": (
        "argsort bincount bucketize histc kthvalue mode msort nanquantile quantile searchsorted sort unique "
        "unique_consecutive"
    ),
    "running": "cummax cummin cumulative_trapezoid diff logcumsumexp trapezoid",
    "indexing": (
        "argwhere index_add index_copy index_fill index_put masked_fill masked_scatter narrow one_hot scatter_add "
        "scatter_reduce select take take_along_dim where"
    ),
    "rearranging": (
        "broadcast_tensors broadcast_to expand flatten flip fliplr flipud movedim ravel repeat repeat_interleave "
        "roll rot90 swapaxes tile transpose unflatten unfold"
    ),
    "joining": (
        "atleast_1d atleast_2d atleast_3d block_diag cartesian_prod chunk column_stack combinations dstack hstack "
        "meshgrid split stack tensor_split unbind vstack"
    ),
    "triangles": "diag diag_embed diagonal trace tril tril_indices triu triu_indices",
    "products": (
        "addbmm addmm addmv addr baddbmm cdist corrcoef cov cross einsum inner kron matmul outer renorm tensordot "
        "vander"
    ),
}
_HOMES = {name: module for module, names in _TABLES.items() for name in names.split()}

__all__ = list(_HOMES)


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"keras_blitz.ops.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'keras_blitz.ops' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
