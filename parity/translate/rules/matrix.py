"""Matrix products; in whatever layout the factors have, as an einsum."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.layout import Layout
from parity.translate.program import View, sizes
from parity.translate.registry import function
from parity.translate.rules.arithmetic import add, scaled

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand

BATCH = "nhgabcd"  # letters of the axes before the matrices


@function("matmul", "bmm", "mm", "mv", "dot", "vdot", "linalg_matmul")
def matmul(builder: "Builder", one: "Operand", other: "Operand") -> View:
    """Write a product of matrices."""
    return product(builder, one, other, builder.out)


def product(builder: "Builder", one: "Operand", other: "Operand", out: "Operand") -> View:
    """Write a product of matrices with this shape."""
    left, right = builder.view(one), builder.view(other)
    if out.rank != left.rank or left.rank != right.rank:
        left = builder.last(left) if right.rank == 2 else builder.natural(left)
        order = left.layout if out.rank == left.rank else layout.natural(out.rank)
        return builder.op("ops.matmul({0}, {1})", [left, builder.natural(right)], layout=order, out=out)
    natural = layout.natural(out.rank)
    if left.layout == right.layout == natural:
        return builder.op("ops.matmul({0}, {1})", [left, right], layout=natural, out=out)
    lead = BATCH[: out.rank - 2]
    # Where the right factor has its columns last, the heads can stay where they are.
    stays = right.layout[-1] == out.rank - 1 and right.layout[-2] != out.rank - 2
    order = right.layout if stays else natural
    factors = [_unrepeated(builder, *each, out) for each in ((left, f"{lead}qx"), (right, f"{lead}xk"))]
    views, letters = zip(*factors, strict=True)
    return _einsum(builder, views, letters, f"{lead}qk", order, out)


def _unrepeated(builder: "Builder", x: View, letters: str, out: "Operand") -> tuple[View, str]:
    """Return a factor without the axes of size 1 that the other has more of, and its letters: einsum repeats none."""
    alone = [axis for axis in range(x.rank - 2) if x.shape[axis] != out.shape[axis]]
    if not alone:
        return x, letters
    kept = [axis for axis in range(x.rank) if axis not in alone]
    like = Value(tuple(x.shape[a] for a in kept), x.dtype, batched=tuple(x.batched[a] for a in kept))
    order = layout.without(x.layout, alone)
    found = builder.op("ops.reshape({0}, {shape})", [x], layout=order, out=like, shape=sizes(like, order))
    return found, "".join(letters[axis] for axis in kept)


@function("einsum")
def einsum(builder: "Builder", equation: str, *operands: Any) -> View:
    """Write an einsum, with the letters of each factor in its layout."""
    factors = operands[0] if isinstance(operands[0], (list, tuple)) else operands
    equation = _explicit(equation.replace(" ", ""), [x.rank for x in factors])
    letters = dict.fromkeys(letter for letter in equation if letter.isalpha())
    lower = dict(zip(letters, "abcdefghijklmnopqrstuvwxyz", strict=False))
    if any(letter.isupper() for letter in letters):  # Keras takes none
        equation = "".join(lower.get(letter, letter) for letter in equation)
    left, right = equation.split("->")
    views = [builder.view(x) for x in factors]
    return _einsum(builder, views, left.split(","), right, layout.natural(builder.out.rank), builder.out)


def _explicit(equation: str, ranks: Sequence[int]) -> str:
    """Return an equation with what it makes, and with letters in place of an ellipsis of as many axes everywhere."""
    left, arrow, right = equation.partition("->")
    counts = {rank - len(part) + 3 for part, rank in zip(left.split(","), ranks, strict=True) if "..." in part}
    if len(counts) > 1:
        raise Untranslatable("einsum with an ellipsis of other axes in each factor has no translation")
    free = (letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation)
    lead = "".join(next(free) for _ in range(max(counts, default=0)))
    if not arrow:
        once = sorted(letter for letter in set(left) if letter.isalpha() and left.count(letter) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    return f"{left}->{right}".replace("...", lead)


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
def addmm(
    builder: "Builder", x: "Operand", one: Any = None, other: Any = None, beta: float = 1, alpha: float = 1,
    **factors: "Operand",
) -> View:  # fmt: skip
    """Write beta · x + alpha · one · other."""
    one, other = (
        next((factors[name] for name in names if name in factors), each)
        for each, names in ((one, ("mat1", "batch1")), (other, ("mat2", "batch2")))
    )
    return add(builder, scaled(builder, x, beta), matmul(builder, one, other), alpha=alpha)
