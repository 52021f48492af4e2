"""Convolutions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.leaves import array_of
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.weights import frozen, own_path

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("Conv1d", "Conv2d", "Conv3d")
def convolution(builder: "Builder", conv: Any, x: "Operand") -> View:
    """Write PyTorch's convolution; its padding is on both sides, whatever the stride."""
    rank = len(conv.kernel_size)
    if x.rank != rank + 2:
        raise Untranslatable(f"Conv{rank}d without a batch axis has no translation")
    options = (conv.stride, conv.padding, conv.dilation)
    arguments = {
        **_geometry(conv.out_channels, conv.kernel_size, options, conv.groups),
        "bias": optional(conv.bias is not None, True),
        "padding_mode": optional(conv.padding_mode, "zeros"),
        **frozen(conv),
    }
    return builder.layer(f"Conv{rank}d", [builder.channels_last(x)], arguments)


@function("conv1d", "conv2d", "conv3d")
def functional(
    builder: "Builder", x: "Operand", weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> View:  # fmt: skip
    """Write `F.conv2d` of a module's own weights as that module's convolution, of others with a computed kernel."""
    options = tuple(_repeated(each, weight.rank - 2) for each in (stride, padding, dilation))
    arguments = _geometry(weight.shape[0], weight.shape[2:], options, groups)
    path = own_path(weight, bias)
    if path is None or not type(builder.module(path)).__name__.startswith("Conv"):
        return _with_computed_kernel(builder, x, weight, bias, arguments)
    builder.call.path = path
    arguments |= {"bias": optional(bias is not None, True), **frozen(builder.module(path))}
    return builder.layer(f"Conv{weight.rank - 2}d", [builder.channels_last(x)], arguments)


def _with_computed_kernel(
    builder: "Builder", x: "Operand", weight: "Operand", bias: "Operand | None", arguments: dict[str, Any]
) -> View:
    """Write a convolution whose kernel is an input: one that is normalized, or of a parameter."""
    if weight.rank != 4:
        raise Untranslatable("a convolution with a computed kernel has a translation for images alone")
    given = [builder.channels_last(x), _kernel(builder, weight)]
    return builder.layer("DynamicConv2d", [*given, *([builder.natural(bias)] if bias is not None else [])], arguments)


def _kernel(builder: "Builder", weight: "Operand") -> View:
    """Return a kernel (out, in, height, width) in Keras's order; a constant is held in that order."""
    order = (2, 3, 1, 0)
    if not isinstance(weight, Value) or weight.kind != "constant":
        return builder.to(weight, order)
    array = array_of(weight).transpose(order)
    return builder.leaves.held(Value(array.shape, weight.dtype, "constant", array=array))


@module("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
def transposed(builder: "Builder", conv: Any, x: "Operand", output_size: Any = None) -> View:
    """Write PyTorch's transposed convolution."""
    rank = len(conv.kernel_size)
    if output_size is not None:
        raise Untranslatable("output_size= of a transposed convolution has no translation; use output_padding")
    if conv.padding_mode != "zeros":
        raise Untranslatable(f"padding_mode={conv.padding_mode!r} of a convolution has no translation")
    found = builder.channels_last(x)
    arguments = {
        "out_channels": conv.out_channels,
        "kernel_size": _single(conv.kernel_size),
        "stride": optional(_single(conv.stride), 1),
        "padding": optional(_single(conv.padding), 0),
        "output_padding": optional(_single(conv.output_padding), 0),
        "groups": optional(conv.groups, 1),
        "bias": optional(conv.bias is not None, True),
        "dilation": optional(_single(conv.dilation), 1),
        **frozen(conv),
    }
    return builder.layer(f"ConvTranspose{rank}d", [found], arguments)


def _geometry(channels: int, kernel: Sequence[int], options: Sequence[Any], groups: int) -> dict[str, Any]:
    """Return the arguments of a convolution but for those about its weights."""
    stride, padding, dilation = options
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        padding = padding if any(each % 2 for each in total) else [each // 2 for each in total]
    return {
        "out_channels": channels,
        "kernel_size": _single(kernel),
        "stride": optional(_single(stride), 1),
        "padding": optional(_single(padding), 0),
        "dilation": optional(_single(dilation), 1),
        "groups": optional(groups, 1),
    }


def _single(sizes: Any) -> Any:
    """Return a number where all sizes are the same."""
    if isinstance(sizes, (int, str)):
        return sizes
    return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


def _repeated(size: Any, count: int) -> Any:
    if isinstance(size, (tuple, list)) and len(size) == 1:
        size = size[0]
    return (size,) * count if isinstance(size, int) else size
