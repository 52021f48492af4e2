"""Sums, means and what else leaves axes out."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import Literal, View, optional
from parity.translate.registry import function
from parity.translate.rules.arithmetic import combine
from parity.translate.rules.by_name import write

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


def _reduce(name: str) -> Callable[..., View | list[View]]:
    def rule(builder: "Builder", x: "Operand", dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        if "unbiased" in options or (
            options.get("dtype") is not None and not (isinstance(x, Value) and x.is_float and builder.out.is_float)
        ):
            raise Untranslatable(f"{name} with {', '.join(options)} has no translation")
        dim = options.get("axis", dim)
        other = options.get("other", dim)
        if isinstance(other, (Value, View)):
            return combine(builder, f"ops.{name}imum({{0}}, {{1}})", x, other)
        if len(builder.call.outputs) > 1:
            return _with_indices(builder, name, x, dim, keepdim)
        return reduce(builder, name, x, dim, keepdim)

    return rule


def reduce(builder: "Builder", name: str, x: "Operand", dim: Any, keepdim: bool, out: Any = None) -> View:
    """Write a reduction over axes; None are all."""
    found = builder.view(x)
    axes = list(range(found.rank)) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    axes = [axis % found.rank for axis in axes]
    order = found.layout if keepdim else layout.without(found.layout, axes)
    places = sorted(found.layout.index(axis) for axis in axes)
    one = -1 if places == [found.rank - 1] else places[0]
    text = f"ops.{name}({{0}}, {{axis}}{', keepdims=True' if keepdim else ''})"
    return builder.op(text, [found], layout=order, out=out, axis=tuple(places) if places[1:] else one)


def _with_indices(builder: "Builder", name: str, x: "Operand", dim: int, keepdim: bool) -> list[View]:
    values, indices = builder.call.outputs
    arg = reduce(builder, f"arg{name}", x, dim, keepdim, out=indices) if builder.is_used(indices) else None
    found = reduce(builder, name, x, dim, keepdim, out=values)
    return [found, arg] if arg else [found]


for _name, _keras in (
    ("mean", "mean"), ("sum", "sum"), ("amax", "max"), ("amin", "min"), ("max", "max"), ("min", "min"),
    ("prod", "prod"), ("logsumexp", "logsumexp"), ("argmax", "argmax"), ("argmin", "argmin"),
):  # fmt: skip
    function(_name)(_reduce(_keras))


@function("var")
def variance(builder: "Builder", x: "Operand", dim: Any = None, unbiased: bool = True, **options: Any) -> View:
    """Write a variance: Keras's is divided by the count n, PyTorch's by n − 1."""
    if _over_batch(x, dim):
        return _with_a_free_count(builder, "var", x, dim, unbiased, options)
    count, less = _counts(x, dim, unbiased, options)
    found = reduce(builder, "var", x, dim, options.get("keepdim", False))
    return found if count == less else builder.op("{0} * ({count} / {less})", [found], count=count, less=less)


@function("std")
def deviation(builder: "Builder", x: "Operand", dim: Any = None, unbiased: bool = True, **options: Any) -> View:
    """Write a standard deviation as the norm of what differs from the mean, because its gradient at 0 is 0."""
    if _over_batch(x, dim):
        return _with_a_free_count(builder, "std", x, dim, unbiased, options)
    _, less = _counts(x, dim, unbiased, options)
    mean = reduce(builder, "mean", x, dim, True, out=_as_ones(x, dim))
    centered = builder.op("{0} - {1}", [builder.view(x), mean], out=x)
    found = norm(builder, centered, dim=dim, keepdim=options.get("keepdim", False))
    return builder.op("{0} / {less}**0.5", [found], less=less)


def _counts(x: "Operand", dim: Any, unbiased: bool, options: Mapping[str, Any]) -> tuple[int, int]:
    """Return n and what PyTorch divides by, n − correction."""
    axes = _axes(x, dim)
    count = math.prod(x.shape[axis] for axis in axes)
    return count, count - options.get("correction", 1 if unbiased else 0)


def _over_batch(x: "Operand", dim: Any) -> bool:
    return any(x.batched[axis] for axis in _axes(x, dim))


def _with_a_free_count(
    builder: "Builder", name: str, x: "Operand", dim: Any, unbiased: bool, options: Mapping[str, Any]
) -> View:
    """Write a variance or deviation over the batch, whose size PyTorch's correction is taken from, by a Function."""
    found, keepdim = builder.view(x), options.get("keepdim", False)
    axes = _axes(x, dim)
    arguments = {
        "function": name,
        "dim": Literal(tuple(sorted(found.layout.index(axis) for axis in axes))),
        "correction": optional(options.get("correction", 1 if unbiased else 0), 1),
        "keepdim": optional(keepdim, False),
    }
    order = found.layout if keepdim else layout.without(found.layout, axes)
    return builder.layer("Function", [found], arguments, layout=order, path="")


def _axes(x: "Operand", dim: Any) -> list[int]:
    axes = range(x.rank) if dim is None else [dim] if isinstance(dim, int) else dim
    return [axis % x.rank for axis in axes]


def _as_ones(x: "Operand", dim: Any) -> Value:
    """Return what has the shape of x, with these axes reduced to 1."""
    axes = _axes(x, dim)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    return Value(shape, x.dtype, batched=tuple(axis not in axes and each for axis, each in enumerate(x.batched)))


@function("std_mean", "var_mean")
def with_mean(builder: "Builder", x: "Operand", dim: Any = None, unbiased: bool = True, **options: Any) -> list[View]:
    """Write a standard deviation or variance, and the mean."""
    rule = deviation if builder.call.target == "std_mean" else variance
    mean = reduce(builder, "mean", x, dim, options.get("keepdim", False), out=builder.call.outputs[1])
    return [rule(builder, x, dim, unbiased, **options), mean]


@function("cumsum")
def cumsum(builder: "Builder", x: "Operand", dim: int, **_: Any) -> View:
    """Write a running sum."""
    found = builder.view(x)
    return builder.op("ops.cumsum({0}, {axis})", [found], axis=found.axis(dim))


@function("norm", "linalg_vector_norm")
def norm(
    builder: "Builder", x: "Operand", p: Any = 2, dim: Any = None, keepdim: bool = False, **options: Any
) -> View | list[View]:
    """Write the Euclidean norm over axes, whose gradient at 0 is 0; another by the layer Function."""
    p = options.get("ord", p)
    if options.get("dtype") is not None:
        raise Untranslatable("a norm with dtype has no translation")
    if p not in (2, "fro", None):
        return write(builder, "norm", x, p, dim, keepdim)
    found = builder.view(x)
    axes = range(found.rank) if dim is None else [dim] if isinstance(dim, int) else dim
    axes = [axis % found.rank for axis in axes]
    order = found.layout if keepdim else layout.without(found.layout, axes)
    places = tuple(sorted(found.layout.index(axis) for axis in axes))
    arguments = {"axis": places if places[1:] else places[0], "keepdims": optional(keepdim, False)}
    return builder.layer("VectorNorm", [found], arguments, layout=order, path="")


@function("normalize")
def normalize(builder: "Builder", x: "Operand", p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> View:
    """Write the division by the Euclidean norm."""
    found = builder.view(x)
    if p == 1:
        text = "{0} / ops.maximum(ops.sum(ops.abs({0}), {axis}, keepdims=True), {eps})"
    elif p == 2:
        text = "{0} / ops.maximum(ops.sqrt(ops.sum({0} * {0}, {axis}, keepdims=True)), {eps})"
    else:
        raise Untranslatable(f"normalize with p={p} has no translation")
    return builder.op(text, [found], axis=found.axis(dim), eps=eps)
