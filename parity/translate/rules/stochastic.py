"""Stochastic depth: torchvision's StochasticDepth, and the DropPath that timm and many models have copied."""

from typing import TYPE_CHECKING, Any

from parity.translate.capture import Untranslatable
from parity.translate.program import View, optional
from parity.translate.registry import alike

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@alike("StochasticDepth")
def stochastic_depth(builder: "Builder", depth: Any, x: "Operand") -> View:
    """Write torchvision's StochasticDepth."""
    return _written(builder, x, depth.p, depth.mode)


@alike("DropPath")
def drop_path(builder: "Builder", drop: Any, x: "Operand") -> View:
    """Write timm's DropPath, which leaves out rows."""
    if not getattr(drop, "scale_by_keep", True):
        raise Untranslatable(f"{type(drop).__name__} with scale_by_keep=False has no translation")
    return _written(builder, x, drop.drop_prob, "row")


def _written(builder: "Builder", x: "Operand", p: float | None, mode: str) -> View:
    found = builder.any(x)
    if not p:
        return found
    if found.axis(0) != 0:
        found = builder.natural(found)
    return builder.layer("StochasticDepth", [found], {"p": p, "mode": optional(mode, "row")}, flat=found.flat)
