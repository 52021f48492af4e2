"""Sums, means and what else leaves axes out."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.program import View, optional
from parity.translate.registry import function

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


def _reduce(name: str) -> Callable[..., View | list[View]]:
    def rule(builder: "Builder", x: "Operand", dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        if options.get("dtype") is not None or "unbiased" in options:
            raise Untranslatable(f"{name} with {', '.join(options)} has no translation")
        dim = options.get("axis", dim)
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
    """Write the biased variance."""
    correction = options.get("correction", 1 if unbiased else 0)
    if correction != 0:
        raise Untranslatable("the unbiased variance has no translation; use unbiased=False")
    return reduce(builder, "var", x, dim, options.get("keepdim", False))


@function("cumsum")
def cumsum(builder: "Builder", x: "Operand", dim: int, **_: Any) -> View:
    """Write a running sum."""
    found = builder.view(x)
    return builder.op("ops.cumsum({0}, {axis})", [found], axis=found.axis(dim))


@function("norm", "linalg_vector_norm")
def norm(builder: "Builder", x: "Operand", p: Any = 2, dim: Any = None, keepdim: bool = False, **options: Any) -> View:
    """Write the Euclidean norm over axes, whose gradient at 0 is 0."""
    if p not in (2, "fro", None) or options.get("dtype") is not None or options.get("ord", 2) != 2:
        raise Untranslatable(f"a norm with p={p} has no translation")
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
    if p != 2:
        raise Untranslatable(f"normalize with p={p} has no translation")
    found = builder.view(x)
    text = "{0} / ops.maximum(ops.sqrt(ops.sum({0} * {0}, {axis}, keepdims=True)), {eps})"
    return builder.op(text, [found], axis=found.axis(dim), eps=eps)
