"""Matrix products; in whatever layout the factors have, as an einsum."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.layout import Layout
from parity.translate.program import View
from parity.translate.registry import function

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand

BATCH = "nhgabcd"  # letters of the axes before the matrices


@function("matmul", "bmm", "mm")
def matmul(builder: "Builder", one: "Operand", other: "Operand") -> View:
    """Write a product of matrices."""
    return product(builder, one, other, builder.out)


def product(builder: "Builder", one: "Operand", other: "Operand", out: "Operand") -> View:
    """Write a product of matrices with this shape."""
    left, right = builder.view(one), builder.view(other)
    if out.rank != left.rank or left.rank != right.rank or left.shape[:-2] != right.shape[:-2]:
        left = builder.last(left) if right.rank == 2 else builder.natural(left)
        return builder.op("ops.matmul({0}, {1})", [left, builder.natural(right)], layout=left.layout, out=out)
    natural = layout.natural(out.rank)
    if left.layout == right.layout == natural:
        return builder.op("ops.matmul({0}, {1})", [left, right], layout=natural, out=out)
    lead = BATCH[: out.rank - 2]
    # Where the right factor has its columns last, the heads can stay where they are.
    stays = right.layout[-1] == out.rank - 1 and right.layout[-2] != out.rank - 2
    order = right.layout if stays else natural
    return _einsum(builder, [left, right], [f"{lead}qx", f"{lead}xk"], f"{lead}qk", order, out)


@function("einsum")
def einsum(builder: "Builder", equation: str, *operands: Any) -> View:
    """Write an einsum, with the letters of each factor in its layout."""
    factors = operands[0] if isinstance(operands[0], (list, tuple)) else operands
    equation = equation.replace(" ", "")
    if "." in equation or "->" not in equation:
        raise Untranslatable("einsum with an ellipsis or without -> has no translation")
    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    lower = dict(zip(letters, "abcdefghijklmnopqrstuvwxyz", strict=False))
    if any(letter.isupper() for letter in letters):  # Keras takes none
        equation = "".join(lower.get(letter, letter) for letter in equation)
    left, right = equation.split("->")
    views = [builder.view(x) for x in factors]
    return _einsum(builder, views, left.split(","), right, layout.natural(builder.out.rank), builder.out)


def _einsum(
    builder: "Builder", views: Sequence[View], letters: Sequence[str], result: str, order: Layout, out: "Operand"
) -> View:
    def spell(text: str, axes: Layout) -> str:
        return "".join(text[axis] for axis in axes)

    left = ",".join(spell(text, view.layout) for text, view in zip(letters, views, strict=True))
    slots = ", ".join(f"{{{n}}}" for n in range(len(views)))
    text = f"ops.einsum({{equation}}, {slots})"
    return builder.op(text, views, layout=order, out=out, equation=f"{left}->{spell(result, order)}")


@function("addmm", "baddbmm")
def addmm(builder: "Builder", bias: "Operand", one: "Operand", other: "Operand", **options: Any) -> View:
    """Write a product and a sum."""
    if any(value != 1 for value in options.values()):
        raise Untranslatable("addmm with alpha or beta has no translation")
    from parity.translate.rules.arithmetic import add

    return add(builder, matmul(builder, one, other), bias)
