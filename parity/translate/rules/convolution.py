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
        return _with_computed_kernel(builder, "Conv", x, weight, bias, arguments)
    builder.call.path = path
    arguments |= {"bias": optional(bias is not None, True), **frozen(builder.module(path))}
    return builder.layer(f"Conv{weight.rank - 2}d", [builder.channels_last(x)], arguments)


def _with_computed_kernel(
    builder: "Builder", name: str, x: "Operand", weight: "Operand", bias: "Operand | None", arguments: dict[str, Any]
) -> View:
    """Write a convolution whose kernel is an input: one that is normalized, or of a parameter."""
    if x.rank != weight.rank:
        raise Untranslatable("a convolution without a batch axis has no translation")
    given = [builder.channels_last(x), _kernel(builder, weight), *([builder.natural(bias)] if bias is not None else [])]
    return builder.layer(f"Dynamic{name}{weight.rank - 2}d", given, arguments)


def _kernel(builder: "Builder", weight: "Operand") -> View:
    """Return a kernel (out, in, …) in Keras's order, (…, in, out); a constant is held in that order."""
    order = (*range(2, weight.rank), 1, 0)
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
    options = (conv.stride, conv.padding, conv.output_padding, conv.groups, conv.dilation)
    arguments = _transposed_geometry(conv.out_channels, conv.kernel_size, *options)
    arguments |= {"bias": optional(conv.bias is not None, True), **frozen(conv)}
    return builder.layer(f"ConvTranspose{rank}d", [builder.channels_last(x)], arguments)


@function("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def functional_transposed(
    builder: "Builder", x: "Operand", weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> View:  # fmt: skip
    """Write `F.conv_transpose2d` of a module's own weights as that module's layer, of others with a computed kernel."""
    options = (stride, padding, output_padding, groups, dilation)
    arguments = _transposed_geometry(weight.shape[1] * groups, weight.shape[2:], *options)
    path = own_path(weight, bias)
    if path is None or not type(builder.module(path)).__name__.startswith("ConvTranspose"):
        return _with_computed_kernel(builder, "ConvTranspose", x, weight, bias, arguments)
    builder.call.path = path
    arguments |= {"bias": optional(bias is not None, True), **frozen(builder.module(path))}
    return builder.layer(f"ConvTranspose{weight.rank - 2}d", [builder.channels_last(x)], arguments)


def _transposed_geometry(
    channels: int, kernel: Sequence[int], stride: Any, padding: Any, added: Any, groups: int, dilation: Any
) -> dict[str, Any]:
    """Return the arguments of a transposed convolution but for those about its weights."""
    return {
        "out_channels": channels,
        "kernel_size": _single(kernel),
        "stride": optional(_single(stride), 1),
        "padding": optional(_single(padding), 0),
        "output_padding": optional(_single(added), 0),
        "groups": optional(groups, 1),
        "dilation": optional(_single(dilation), 1),
    }


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
