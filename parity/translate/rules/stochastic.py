"""Stochastic depth: torchvision's StochasticDepth, and the DropPath that timm and many models have copied."""

from typing import TYPE_CHECKING, Any

from parity.translate.capture import Untranslatable
from parity.translate.program import View, optional
from parity.translate.registry import alike

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@alike("StochasticDepth")
def stochastic_depth(builder: "Builder", depth: Any, x: "Operand") -> View:
    """Write torchvision's StochasticDepth; where some block draws, that of a block with p = 0, too."""
    every = builder.recording.root.module.modules()
    draws = any(inner.p for inner in every if type(inner) is type(depth))
    return _written(builder, x, depth.p, depth.mode) if depth.p or not draws else _layer(builder, x, 0.0, depth.mode)


@alike("DropPath")
def drop_path(builder: "Builder", drop: Any, x: "Operand") -> View:
    """Write timm's DropPath, which leaves out rows."""
    if not getattr(drop, "scale_by_keep", True):
        raise Untranslatable(f"{type(drop).__name__} with scale_by_keep=False has no translation")
    return _written(builder, x, drop.drop_prob, "row")


def _written(builder: "Builder", x: "Operand", p: float | None, mode: str) -> View:
    return _layer(builder, x, p, mode) if p else builder.any(x)


def _layer(builder: "Builder", x: "Operand", p: float, mode: str) -> View:
    found = builder.any(x)
    if found.axis(0) != 0:
        found = builder.natural(found)
    return builder.layer("StochasticDepth", [found], {"p": p, "mode": optional(mode, "row")}, flat=found.flat)
