"""Arithmetic and comparisons of two tensors, or of a tensor and a number."""

from collections.abc import Callable
from math import inf, prod
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.graph import Value
from parity.translate.program import View, sizes
from parity.translate.registry import function

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


def combine(builder: "Builder", text: str, one: Any, other: Any, out: "Operand | None" = None) -> View:
    """Write an expression of two operands that broadcast as in PyTorch, in the layout of the larger.

    Of two that are as large it is a usual one: in an odd one every sum after this would stay there.
    """
    out = builder.out if out is None else out
    if not isinstance(one, (Value, View)) or not isinstance(other, (Value, View)):
        return _with_number(builder, text, one, other, out)
    views = [each for each in (one, other) if not (isinstance(each, Value) and each.is_leaf)]
    seen = [builder.any(each) for each in views]
    if len(seen) == 2 and seen[0].flat and seen[0].flat == seen[1].flat:
        return builder.op(text, seen, out=out, flat=seen[0].flat)
    largest = max(seen, key=lambda each: (each.rank, prod(each.shape), layout.is_usual(each.layout)), default=None)
    big = builder.view(largest or max(one, other, key=lambda each: (each.rank, prod(each.shape))))
    order = big.layout if big.rank == out.rank else layout.natural(out.rank)
    pair = [_broadcast(builder, each, out.rank, order, big) for each in (one, other)]
    return builder.op(text, pair, layout=order, out=out)


def _broadcast(builder: "Builder", x: "Operand", rank: int, order: layout.Layout, big: View) -> View:
    """Return an operand that broadcasts against a tensor of this rank and layout."""
    if isinstance(x, Value) and x.is_leaf:
        return builder.leaf(x, rank, order, beside=big)
    if x.rank == rank:
        return builder.to(x, order)
    found = builder.natural(x)
    if order == layout.natural(rank):
        return found
    lead = rank - x.rank
    full = Value((1,) * lead + x.shape, found.dtype, batched=(False,) * lead + found.batched)
    return builder.op("ops.reshape({0}, {shape})", [found], layout=order, out=full, shape=sizes(full, order))


def _with_number(builder: "Builder", text: str, one: Any, other: Any, out: "Operand") -> View:
    x, number = (one, other) if isinstance(one, (Value, View)) else (other, one)
    found = builder.any(x)
    text = text.replace("{1}", "{number}") if x is one else text.replace("{0}", "{number}").replace("{1}", "{0}")
    return builder.op(text, [found], out=out, flat=found.flat, number=number)


@function("add", "iadd", "radd")
def add(builder: "Builder", one: Any, other: Any, alpha: float = 1) -> View:
    """Write a sum."""
    return combine(builder, "{0} + {1}", one, scaled(builder, other, alpha))


@function("sub", "isub", "subtract")
def subtract(builder: "Builder", one: Any, other: Any, alpha: float = 1) -> View:
    """Write a difference."""
    return combine(builder, "{0} - {1}", one, scaled(builder, other, alpha))


@function("rsub")
def subtract_from(builder: "Builder", one: Any, other: Any, alpha: float = 1) -> View:
    """Write other − one."""
    return combine(builder, "{0} - {1}", other, scaled(builder, one, alpha))


def scaled(builder: "Builder", x: Any, factor: float) -> Any:
    """Write a product with a number."""
    if factor == 1:
        return x
    return x * factor if not isinstance(x, (Value, View)) else _with_number(builder, "{0} * {1}", x, factor, x)


@function("div", "truediv", "itruediv", "true_divide", "divide")
def divide(builder: "Builder", one: Any, other: Any, rounding_mode: str | None = None) -> View:
    """Write a quotient."""
    texts = {None: "{0} / {1}", "floor": "{0} // {1}", "trunc": "ops.trunc({0} / {1})"}
    return combine(builder, texts[rounding_mode], one, other)


@function("rdiv", "rtruediv")
def divide_into(builder: "Builder", one: Any, other: Any) -> View:
    """Write other / one."""
    return combine(builder, "{0} / {1}", other, one)


def _binary(text: str) -> Callable[..., View]:
    def rule(builder: "Builder", one: Any, other: Any) -> View:
        return combine(builder, text, one, other)

    return rule


TEXTS = {
    ("mul", "imul", "rmul", "multiply"): "{0} * {1}",
    ("pow",): "{0} ** {1}",
    ("rpow",): "{1} ** {0}",
    ("floor_divide", "floordiv"): "{0} // {1}",
    ("rfloordiv",): "{1} // {0}",
    ("remainder", "mod"): "{0} % {1}",
    ("rmod",): "{1} % {0}",
    ("maximum",): "ops.maximum({0}, {1})",
    ("minimum",): "ops.minimum({0}, {1})",
    ("eq",): "ops.equal({0}, {1})",
    ("ne", "not_equal"): "ops.not_equal({0}, {1})",
    ("gt", "greater"): "{0} > {1}",
    ("lt", "less"): "{0} < {1}",
    ("ge", "greater_equal"): "{0} >= {1}",
    ("le", "less_equal"): "{0} <= {1}",
    ("and", "logical_and", "iand"): "ops.logical_and({0}, {1})",
    ("or", "logical_or", "ior"): "ops.logical_or({0}, {1})",
}
for _names, _text in TEXTS.items():
    function(*_names)(_binary(_text))


@function("clamp", "clip", "clamp_min", "clamp_max", "hardtanh")
def clamp(builder: "Builder", x: "Operand", min: Any = None, max: Any = None, **options: Any) -> View:
    """Write a clip between two numbers."""
    low, high = options.get("min_val", min), options.get("max_val", max)
    if builder.call.target == "clamp_max":
        low, high = None, low if high is None else high
    if any(isinstance(each, (Value, View)) for each in (low, high)) and None not in (low, high):
        return combine(builder, "ops.minimum({0}, {1})", combine(builder, "ops.maximum({0}, {1})", x, low), high)
    if low is None or high is None:
        name, number = ("minimum", high) if low is None else ("maximum", low)
        return combine(builder, f"ops.{name}({{0}}, {{1}})", x, number)
    found = builder.any(x)
    return builder.op("ops.clip({0}, {low}, {high})", [found], flat=found.flat, low=low, high=high)


@function("masked_fill")
def masked_fill(builder: "Builder", x: "Operand", mask: "Operand", value: Any) -> View:
    """Write a where with a number."""
    if isinstance(value, (Value, View)):
        return where(builder, mask, value, x)
    number = repr(float(value)) if abs(value) != inf else f'float("{"-" if value < 0 else ""}inf")'
    return combine(builder, f"ops.where({{1}}, {number}, {{0}})", x, mask)


@function("where")
def where(builder: "Builder", condition: "Operand", one: Any, other: Any) -> View:
    """Write a choice between two tensors or numbers."""
    given = [each for each in (condition, one, other) if isinstance(each, (Value, View))]
    if len(given) == 1:
        return builder.op("ops.where({0}, {one}, {other})", [builder.any(condition)], one=one, other=other)
    if len(given) < 3:
        number = one if not isinstance(one, (Value, View)) else other
        text = f"ops.where({{0}}, {number!r}, {{1}})" if number is one else f"ops.where({{0}}, {{1}}, {number!r})"
        return combine(builder, text, given[0], given[1])
    rank = builder.out.rank
    big = builder.view(max((x for x in given if not (isinstance(x, Value) and x.is_leaf)), key=lambda x: x.rank))
    order = big.layout if big.rank == rank else layout.natural(rank)
    views = [_broadcast(builder, each, rank, order, big) for each in given]
    return builder.op("ops.where({0}, {1}, {2})", views, layout=order)


@function("addcmul")
def addcmul(builder: "Builder", x: Any, one: Any, other: Any, value: float = 1) -> View:
    """Write x + value · one · other."""
    return add(builder, x, combine(builder, "{0} * {1}", one, other), alpha=value)
