"""Values put where an index says."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import View
from parity.translate.registry import function
from parity.translate.rules.by_name import write
from parity.translate.rules.indexing import repeat_batch

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


def _scatter(name: str) -> Callable[..., View | list[View]]:
    def rule(builder: "Builder", x: "Operand", dim: int, index: "Operand", *args: Any, **named: Any) -> Any:
        if "value" in named:
            named["src"] = named.pop("value")
        like = next((builder.any(each) for each in (x, index, *args, *named.values()) if _follows_batch(each)), None)
        args = tuple(each_example(builder, each, like) for each in (x, dim, index, *args))
        return write(builder, name, *args, **{k: each_example(builder, v, like) for k, v in named.items()})

    return rule


def _follows_batch(x: Any) -> bool:
    return isinstance(x, Value) and not x.is_leaf and any(x.batched)


def each_example(builder: "Builder", x: Any, like: View | None) -> Any:
    """Return a constant with a row for each example, such as `torch.zeros(len(x), 5)`; others as they are."""
    if like is None or not isinstance(x, Value) or not x.is_leaf or not any(x.batched):
        return x
    return repeat_batch(builder, builder.natural(x), like)


for _name in ("scatter", "scatter_add", "scatter_reduce", "index_copy", "index_fill"):
    function(_name)(_scatter(_name))


@function("bucketize", "searchsorted")
def bucketize(builder: "Builder", one: "Operand", other: "Operand", **options: Any) -> Any:
    """Write the places of values among sorted boundaries, which `bucketize` is given last and `searchsorted` first."""
    if options.pop("sorter", None) is not None or options.get("side") not in (None, "left", "right"):
        raise Untranslatable("searchsorted with a sorter has no translation")
    side = options.pop("side", None)
    options["right"] = bool(options.get("right")) or side == "right"
    return write(builder, builder.call.target, one, other, **options)


@function("one_hot")
def one_hot(builder: "Builder", x: "Operand", num_classes: int = -1) -> View:
    """Write a row of one 1 for each whole number."""
    if num_classes < 0:
        raise Untranslatable("one_hot without num_classes has a size that follows the values, and no translation")
    text, order = 'ops.one_hot({0}, {count}, dtype="int32")', layout.natural(builder.out.rank)
    return builder.op(text, [builder.natural(x)], layout=order, count=num_classes)
