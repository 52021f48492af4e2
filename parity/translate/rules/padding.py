"""Padding."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from parity.translate.program import View
from parity.translate.registry import function, module
from parity.translate.rules.convolution import _single as single
from parity.translate.rules.indexing import getitem

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand

KINDS = ("Zero", "Constant", "Reflection", "Replication", "Circular")


@module(*(f"{kind}Pad{rank}d" for kind in KINDS for rank in (1, 2, 3)))
def pad(builder: "Builder", layer: Any, x: "Operand") -> View:
    """Write a padding under the module's name."""
    arguments = {"padding": single(layer.padding)}
    if type(layer).__name__.startswith("Constant"):
        arguments["value"] = layer.value
    return builder.layer(type(layer).__name__, [builder.channels_last(x)], arguments)


@function("pad")
def functional(
    builder: "Builder", x: "Operand", pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> View:
    """Write `F.pad`: by a number or by reflection as Keras's, else as a layer without a name."""
    found = builder.view(x)
    widths = [(0, 0)] * found.rank
    for number in range(len(pad) // 2):
        widths[found.rank - 1 - number] = (pad[2 * number], pad[2 * number + 1])
    if not any(map(any, widths)):
        return found
    if min(map(min, widths)) < 0:
        return getitem(builder, x, tuple(slice(-a or None, b or None) for a, b in widths))
    if mode in ("replicate", "circular"):
        kind = "Replication" if mode == "replicate" else "Circular"
        name = f"{kind}Pad{len(pad) // 2}d"
        return builder.layer(name, [builder.channels_last(x)], {"padding": single(tuple(pad))}, path="")
    own = tuple(widths[axis] for axis in found.layout)
    if mode == "reflect":
        return builder.op("ops.pad({0}, {widths}, 'reflect')", [found], widths=own)
    if value:
        return builder.op("ops.pad({0}, {widths}, constant_values={value})", [found], widths=own, value=value)
    return builder.op("ops.pad({0}, {widths})", [found], widths=own)
