"""Numbers that differ between the blocks of a class and follow from the shapes that they are given.

They are written as a good engineer would, `channels = x.shape[-1]` and `4 * channels`, and are not parameters then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from parity.translate.program import Block, Literal

# Argument of a layer, or number in an expression -> what it counts. Of a kernel or a stride, equality is chance.
ROLES = {
    **dict.fromkeys(("units", "out_channels", "normalized_shape", "groups"), "channels"),
    **dict.fromkeys(("shape", "sizes", "start", "stop", "count"), "size"),
}
AXES = {4: ("height", "width", "channels"), 3: ("length", "channels"), 2: ("channels",)}  # by rank, after the batch
MOST_TIMES, MOST_PARTS = 8, 128  # an MLP's width is 4 × the channels, a head is channels // 64


@dataclass(frozen=True)
class Size:
    """A size of what a function is given: `name = x.shape[axis]`.

    Args:
        parameter: its number among the tensors.
        axis: Keras's; the last is −1.
        rank: of the tensor.
        name: of the variable.
    """

    parameter: int
    axis: int
    rank: int
    name: str


Sizes = list[tuple[Size, dict[Block, int]]]  # with each block's value


def role_of(name: str, literal: Literal) -> str:
    """Return what a number counts, "channels" or "size"; "" of one that no shape decides."""
    return literal.role or ROLES.get(name.rstrip("0123456789"), "")


def sizes_of(blocks: list[Block]) -> Sizes:
    """Return the sizes of what all blocks are given, with each block's value: channels first."""
    found = []
    for number in range(len(blocks[0].parameters)):
        shapes = {block: block.parameters[number].shape for block in blocks}
        ranks = {len(shape) for shape in shapes.values()}
        rank = ranks.pop()
        if ranks or rank not in AXES:
            continue
        for axis, name in zip(range(1, rank), AXES[rank], strict=True):
            values = {block: shape[axis] for block, shape in shapes.items()}
            known = {block: size for block, size in values.items() if size is not None}
            if len(known) == len(values):
                own = name if not number else f"{name}_{number + 1}"
                found.append((Size(number, -1 if axis == rank - 1 else axis, rank, own), known))
    return sorted(found, key=lambda each: (each[0].axis != -1, each[0].parameter))


def equal_size(role: str, values: Mapping[Block, Any], sizes: Sizes, axis: int | None) -> tuple[str, list[Size]]:
    """Return the text of a number that is a size, or height × width, and these; "" of one that is not.

    Args:
        role: what it counts; channels follow from channels alone.
        values: block -> number, of the blocks that have it.
        sizes: of what all blocks are given.
        axis: where it stands; where height and width are equal, this decides.
    """
    sizes = sorted(sizes, key=lambda each: each[0].axis not in (-1, axis))
    for made, text, used in _candidates(role, sizes):
        if all(repr(made[block]) == repr(value) for block, value in values.items()):
            return text, used
    return "", []


def multiple_size(role: str, values: Mapping[Block, Any], sizes: Sizes) -> tuple[str, list[Size]]:
    """Return the text of a number that is a multiple, or a part, of the channels, and these; "" of one that is not."""
    for size, own in sizes if role else ():
        if size.axis == -1 and (text := multiple_of(size.name, own, values)):
            return text, [size]
    return "", []


def multiple_of(name: str, own: Mapping[Block, int], values: Mapping[Block, Any]) -> str:
    """Return `4 * name` or `name // 4` where all values are that of another number; "" where they are not."""
    if not all(type(each[block]) is int and each[block] > 0 for block in values for each in (own, values)):
        return ""
    for left, right, text, most in (
        (values, own, f"{{}} * {name}", MOST_TIMES),
        (own, values, f"{name} // {{}}", MOST_PARTS),
    ):
        ratios = {divmod(left[block], right[block]) for block in values}
        if len(ratios) == 1:
            ratio, rest = ratios.pop()
            if not rest and 1 < ratio <= most:
                return text.format(ratio)
    return ""


def _candidates(role: str, sizes: Sizes) -> Iterator[tuple[Mapping[Block, int], str, list[Size]]]:
    """Yield the sizes, and the products of height and width."""
    for size, own in sizes if role else ():
        if role == "size" or size.axis == -1:
            yield own, size.name, [size]
    if role != "size":
        return
    for size, own in sizes:
        for other, also in sizes:
            if (size.axis, other.axis) == (1, 2) and size.parameter == other.parameter:
                product = {block: own[block] * also[block] for block in own}
                yield product, f"{size.name} * {other.name}", [size, other]


def assignments(sizes: list[Size], tensors: list[str]) -> list[str]:
    """Return the lines that read sizes: `height, width = x.shape[1:3]`."""
    lines = []
    for number in dict.fromkeys(size.parameter for size in sizes):
        own = sorted((size for size in sizes if size.parameter == number), key=lambda each: each.axis % 9)
        tensor = tensors[number]
        if [size.axis for size in own] == [1, 2]:
            lines.append(f"{own[0].name}, {own[1].name} = {tensor}.shape[1:3]")
        elif 1 < len(own) == own[0].rank - 1:
            lines.append(f"{', '.join(size.name for size in own)} = {tensor}.shape[1:]")
        else:
            lines += [f"{size.name} = {tensor}.shape[{size.axis}]" for size in own]
    return lines
