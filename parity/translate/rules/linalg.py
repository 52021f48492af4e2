"""Linear algebra of square matrices, and of several factors."""

from collections.abc import Callable, Sequence
from functools import reduce as fold
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import View
from parity.translate.registry import function
from parity.translate.rules.arithmetic import combine
from parity.translate.rules.matrix import product
from parity.translate.rules.reduction import norm, reduce

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand

TEXTS = {
    ("det", "linalg_det"): "ops.det({0})",
    ("inverse", "linalg_inv"): "ops.inv({0})",
    ("logdet",): "ops.logdet({0})",
    ("slogdet", "linalg_slogdet"): "ops.slogdet({0})",
}


def _of_a_matrix(text: str) -> Callable[..., View | list[View]]:
    def rule(builder: "Builder", x: "Operand") -> View | list[View]:
        order = layout.natural(builder.out.rank)
        if len(builder.call.outputs) > 1:
            return builder.several(text, [builder.natural(x)], order)
        return builder.op(text, [builder.natural(x)], layout=order)

    return rule


for _names, _text in TEXTS.items():
    function(*_names)(_of_a_matrix(_text))


@function("cholesky", "linalg_cholesky")
def cholesky(builder: "Builder", x: "Operand", *, upper: bool = False) -> View:
    """Write the lower triangle L of x = L · Lᵀ."""
    if upper:
        raise Untranslatable("cholesky with upper=True has no translation")
    return builder.op("ops.cholesky({0})", [builder.natural(x)], layout=layout.natural(x.rank))


@function("linalg_solve")
def solve(builder: "Builder", x: "Operand", other: "Operand", *, left: bool = True) -> View:
    """Write the solution of x · y = other, both with the same axes."""
    if not left or x.rank != other.rank:
        raise Untranslatable("linalg.solve of a vector, of a broadcast, or with left=False has no translation")
    views = [builder.natural(each) for each in (x, other)]
    return builder.op("ops.solve({0}, {1})", views, layout=layout.natural(x.rank))


@function("linalg_solve_triangular")
def solve_triangular(
    builder: "Builder", x: "Operand", other: "Operand", *, upper: bool, left: bool = True, unitriangular: bool = False
) -> View:
    """Write the solution of x · y = other with a triangle x."""
    if not left or unitriangular or x.rank != other.rank:
        raise Untranslatable("solve_triangular of a broadcast, with left=False or unitriangular has no translation")
    text = "ops.solve_triangular({0}, {1}, lower={lower})"
    views = [builder.natural(each) for each in (x, other)]
    return builder.op(text, views, layout=layout.natural(x.rank), lower=not upper)


@function("chain_matmul", "linalg_multi_dot")
def chain(builder: "Builder", *matrices: Any) -> View:
    """Write the product of several matrices, from left to right."""
    factors: Sequence[Any] = matrices[0] if isinstance(matrices[0], (list, tuple)) else matrices
    if any(each.rank != 2 for each in factors):
        raise Untranslatable("multi_dot of vectors has no translation")

    def multiply(one: "Operand", other: "Operand") -> View:
        follows = bool(one.batched) and one.batched[0]
        out = Value((one.shape[0], other.shape[1]), one.dtype, batched=(follows, False))
        return product(builder, one, other, out)

    return fold(multiply, factors)


@function("matrix_power", "linalg_matrix_power")
def power(builder: "Builder", x: "Operand", n: int) -> View:
    """Write a product of n equal matrices."""
    if n < 1:
        raise Untranslatable("matrix_power of a number below 1 has no translation")
    found = builder.natural(x)
    for _ in range(n - 1):
        found = product(builder, found, x, builder.out)
    return found


@function("linalg_vecdot")
def vecdot(builder: "Builder", x: "Operand", y: "Operand", *, dim: int = -1) -> View:
    """Write a sum of products along one axis."""
    if x.shape != y.shape:
        raise Untranslatable("vecdot of two shapes has no translation")
    return reduce(builder, "sum", combine(builder, "{0} * {1}", x, y, out=x), dim, False)


@function("linalg_matrix_norm")
def matrix_norm(
    builder: "Builder", x: "Operand", ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False
) -> View | list[View]:
    """Write the Frobenius norm of matrices."""
    if ord != "fro":
        raise Untranslatable(f"a matrix norm of ord={ord!r} has no translation")
    return norm(builder, x, 2, dim, keepdim)


@function("linalg_norm")
def any_norm(builder: "Builder", x: "Operand", ord: Any = None, dim: Any = None, keepdim: bool = False) -> Any:
    """Write the norm of vectors; of matrices the Frobenius norm."""
    of_matrices = x.rank == 2 if dim is None else not isinstance(dim, int) and len(dim) == 2
    if of_matrices and ord not in (None, "fro"):
        raise Untranslatable(f"a matrix norm of ord={ord!r} has no translation")
    return norm(builder, x, 2 if ord is None else ord, dim, keepdim)


@function("meshgrid")
def meshgrid(builder: "Builder", *tensors: Any, indexing: str = "ij") -> View | list[View]:
    """Write the coordinates of a grid of lists."""
    lists = tensors[0] if isinstance(tensors[0], (list, tuple)) else tensors
    if any(each.rank != 1 for each in lists):
        raise Untranslatable("meshgrid of single numbers has no translation")
    text = f"ops.meshgrid({', '.join(f'{{{n}}}' for n in range(len(lists)))}, indexing={{indexing}})"
    return builder.several(
        text, [builder.natural(each) for each in lists], layout.natural(len(lists)), indexing=indexing
    )


@function("cartesian_prod")
def cartesian_product(builder: "Builder", *lists: "Operand") -> View:
    """Write all combinations of one number of each list."""
    if len(lists) < 2 or any(each.rank != 1 for each in lists):
        raise Untranslatable("cartesian_prod of one list has no translation")
    grid = f'ops.meshgrid({", ".join(f"{{{n}}}" for n in range(len(lists)))}, indexing="ij")'
    text = f"ops.reshape(ops.stack({grid}, axis=-1), (-1, {{count}}))"
    return builder.op(text, [builder.natural(each) for each in lists], layout=(0, 1), count=len(lists))
