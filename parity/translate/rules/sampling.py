"""Images sampled at the places of a grid."""

from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.program import View, optional
from parity.translate.registry import function

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@function("grid_sample")
def grid_sample(
    builder: "Builder", x: "Operand", grid: "Operand", mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> View:  # fmt: skip
    """Write `F.grid_sample` as a layer without a name."""
    if x.rank != 4 or mode == "bicubic":
        raise Untranslatable("grid_sample of volumes, or bicubic, has no translation")
    arguments = {
        "mode": optional(mode, "bilinear"),
        "padding_mode": optional(padding_mode, "zeros"),
        "align_corners": optional(bool(align_corners), False),
    }
    return builder.layer("GridSample", [builder.channels_last(x), builder.natural(grid)], arguments, path="")


@function("affine_grid")
def affine_grid(builder: "Builder", theta: "Operand", size: Any, align_corners: bool | None = None) -> View:
    """Write `F.affine_grid` as a layer without a name."""
    if len(size) != 4:
        raise Untranslatable("affine_grid of volumes has no translation")
    arguments = {
        "height": int(size[2]), "width": int(size[3]), "align_corners": optional(bool(align_corners), False),
    }  # fmt: skip
    return builder.layer("AffineGrid", [builder.natural(theta)], arguments, layout=layout.natural(4), path="")
