"""Resizing of images and sequences."""

from typing import TYPE_CHECKING, Any

from parity.translate.program import View, optional
from parity.translate.registry import function, module

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d")
def upsample(builder: "Builder", layer: Any, x: "Operand") -> View:
    """Write an Upsample under the module's name."""
    options = (layer.size, layer.scale_factor, layer.mode, layer.align_corners)
    return _resize(builder, x, *options, layer.recompute_scale_factor, None)


@function("interpolate", "upsample")
def interpolate(
    builder: "Builder", x: "Operand", size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> View:  # fmt: skip
    """Write `F.interpolate` as a layer without a name."""
    return _resize(builder, x, size, scale_factor, mode, align_corners, recompute_scale_factor, "", antialias)


def _resize(
    builder: "Builder", x: "Operand", size: Any, scale: Any, mode: str, align: Any, recompute: Any, path: str | None,
    antialias: bool = False,
) -> View:  # fmt: skip
    arguments = {
        "size": optional(_numbers(size), "none"),
        "scale_factor": optional(_numbers(scale), "none"),
        "mode": optional(mode, "nearest"),
        "align_corners": optional(bool(align), False),
        "recompute_scale_factor": optional(bool(recompute), False),
        "antialias": optional(antialias, False),
    }
    for name in ("size", "scale_factor"):
        if arguments[name].value is None:
            del arguments[name]
    return builder.layer("Upsample", [builder.channels_last(x)], arguments, path=path)


def _numbers(sizes: Any) -> Any:
    if isinstance(sizes, (tuple, list)):
        return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)
    return sizes
