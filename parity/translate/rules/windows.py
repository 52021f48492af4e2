"""Windows of an image or a sequence, and their way back."""

from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.convolution import _single as single

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("Unfold")
def unfold_module(builder: "Builder", layer: Any, x: "Operand") -> View:
    """Write an Unfold under the module's name."""
    return _columns(builder, x, (layer.kernel_size, layer.dilation, layer.padding, layer.stride), None)


@function("unfold")
def unfold(builder: "Builder", x: "Operand", *numbers: Any, **named: Any) -> View:
    """Write `F.unfold` as a layer without a name, and the tensor's own `unfold` as a take of its windows."""
    if builder.out.rank == x.rank + 1:
        given = dict(zip(("dimension", "size", "step"), numbers, strict=False)) | named
        return _windows(builder, x, given["dimension"] % x.rank, given["size"], given["step"])
    given = {"dilation": 1, "padding": 0, "stride": 1}
    given |= dict(zip(("kernel_size", "dilation", "padding", "stride"), numbers, strict=False)) | named
    return _columns(builder, x, tuple(given[name] for name in ("kernel_size", "dilation", "padding", "stride")), "")


@module("Fold")
def fold_module(builder: "Builder", layer: Any, x: "Operand") -> View:
    """Write a Fold under the module's name."""
    sizes = layer.kernel_size, layer.dilation, layer.padding, layer.stride
    return _image(builder, x, layer.output_size, sizes, None)


@function("fold")
def fold(
    builder: "Builder", x: "Operand", output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
    stride: Any = 1,
) -> View:  # fmt: skip
    """Write `F.fold` as a layer without a name."""
    return _image(builder, x, output_size, (kernel_size, dilation, padding, stride), "")


def _columns(builder: "Builder", x: "Operand", sizes: tuple, path: str | None) -> View:
    if x.rank != 4:
        raise Untranslatable("Unfold without a batch axis has no translation")
    return builder.layer("Unfold", [builder.channels_last(x)], _arguments(sizes), layout=(0, 2, 1), path=path)


def _image(builder: "Builder", x: "Operand", output: Any, sizes: tuple, path: str | None) -> View:
    if x.rank != 3:
        raise Untranslatable("Fold without a batch axis has no translation")
    arguments = {"output_size": single(output), **_arguments(sizes)}
    last = layout.channels_last(4)
    return builder.layer("Fold", [builder.to(x, (0, 2, 1))], arguments, layout=last, path=path)


def _arguments(sizes: tuple) -> dict[str, Any]:
    kernel, dilation, padding, stride = map(single, sizes)
    return {
        "kernel_size": kernel,
        "dilation": optional(dilation, 1),
        "padding": optional(padding, 0),
        "stride": optional(stride, 1),
    }


def _windows(builder: "Builder", x: "Operand", axis: int, size: int, step: int) -> View:
    """Write the windows along one axis; their values are a new last axis of PyTorch's."""
    found, count = builder.view(x), builder.out.shape[axis]
    place = found.layout.index(axis)
    order = (*found.layout[: place + 1], found.rank, *found.layout[place + 1 :])
    text = "ops.take({0}, ops.arange({count})[:, None] * {step} + ops.arange({size}), {axis})"
    return builder.op(text, [found], layout=order, count=count, step=step, size=size, axis=place)
