"""Convolutions."""

from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.weights import frozen, same_module

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("Conv1d", "Conv2d", "Conv3d")
def convolution(builder: "Builder", conv: Any, x: "Operand") -> View:
    """Write PyTorch's convolution; its padding is zeros on both sides, whatever the stride."""
    rank = len(conv.kernel_size)
    if conv.padding_mode != "zeros":
        raise Untranslatable(f"padding_mode={conv.padding_mode!r} of a convolution has no translation")
    if x.rank != rank + 2:
        raise Untranslatable(f"Conv{rank}d without a batch axis has no translation")
    options = (conv.stride, conv.padding, conv.dilation)
    return _convolve(builder, x, conv.out_channels, conv.kernel_size, options, conv.groups, conv.bias is not None, conv)


@function("conv1d", "conv2d", "conv3d")
def functional(
    builder: "Builder", x: "Operand", weight: Value, bias: Value | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> View:  # fmt: skip
    """Write `F.conv2d` of a module's own weights as that module's convolution."""
    path = same_module(weight, bias)
    builder.call.path = path
    owner = builder.module(path)
    options = tuple(_repeated(each, weight.rank - 2) for each in (stride, padding, dilation))
    return _convolve(builder, x, weight.shape[0], weight.shape[2:], options, groups, bias is not None, owner)


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


def _convolve(
    builder: "Builder", x: "Operand", channels: int, kernel: Any, options: Any, groups: int, bias: bool, owner: Any
) -> View:
    stride, padding, dilation = options
    if padding == "valid":
        padding = 0
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(each % 2 for each in total):
            raise Untranslatable("padding='same' of an even kernel has no translation: PyTorch pads one side more")
        padding = [each // 2 for each in total]
    found = builder.to(x, layout.channels_last(x.rank))
    arguments = {
        "out_channels": channels,
        "kernel_size": _single(kernel),
        "stride": optional(_single(stride), 1),
        "padding": optional(_single(padding), 0),
        "dilation": optional(_single(dilation), 1),
        "groups": optional(groups, 1),
        "bias": optional(bias, True),
        **frozen(owner),
    }
    return builder.layer(f"Conv{len(kernel)}d", [found], arguments)


def _single(sizes: Any) -> Any:
    """Return a number where all sizes are the same."""
    if isinstance(sizes, int):
        return sizes
    return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


def _repeated(size: Any, count: int) -> Any:
    return (size,) * count if isinstance(size, int) else size
