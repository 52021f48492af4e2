"""Pooling."""

from typing import TYPE_CHECKING, Any

from parity.translate.capture import Untranslatable
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.convolution import _single as single

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("MaxPool1d", "MaxPool2d", "MaxPool3d")
def max_pool_module(builder: "Builder", pool: Any, x: "Operand") -> View:
    """Write a max pooling."""
    if pool.return_indices:
        raise Untranslatable("a max pooling that returns indices has no translation")
    options = (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)
    return _max_pool(builder, x, *options, path=None)


@function("max_pool1d", "max_pool2d", "max_pool3d", "boolean_dispatch")
def max_pool(
    builder: "Builder", x: "Operand", kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> View:  # fmt: skip
    """Write `F.max_pool2d` as a layer without a name."""
    if return_indices:
        raise Untranslatable("a max pooling that returns indices has no translation")
    return _max_pool(builder, x, kernel_size, stride, padding, dilation, ceil_mode, path="")


def _max_pool(
    builder: "Builder", x: "Operand", kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, path: Any
) -> View:
    """Write Keras's own layer for images where it can do what PyTorch's does: no padding, no dilation, no ceil_mode."""
    size, step = single(kernel), optional(single(stride or kernel), single(kernel))
    if x.rank == 4 and (single(padding), single(dilation), ceil) == (0, 1, False):
        plain = {"pool_size": size, "strides": step}
        return builder.layer("layers.MaxPooling2D", [builder.channels_last(x)], plain, path=path)
    arguments = {
        "kernel_size": size,
        "stride": step,
        "padding": optional(single(padding), 0),
        "dilation": optional(single(dilation), 1),
        "ceil_mode": optional(ceil, False),
    }
    return builder.layer(f"MaxPool{x.rank - 2}d", [builder.channels_last(x)], arguments, path=path)


@module("AvgPool1d", "AvgPool2d", "AvgPool3d")
def avg_pool_module(builder: "Builder", pool: Any, x: "Operand") -> View:
    """Write an average pooling."""
    divisor = getattr(pool, "divisor_override", None)
    options = (pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode, pool.count_include_pad, divisor)
    return _avg_pool(builder, x, *options, path=None)


@function("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(
    builder: "Builder", x: "Operand", kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> View:  # fmt: skip
    """Write `F.avg_pool2d` as a layer without a name."""
    options = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _avg_pool(builder, x, *options, path="")


def _avg_pool(
    builder: "Builder", x: "Operand", kernel: Any, stride: Any, padding: Any, ceil: bool, include: bool, divisor: Any,
    path: Any,
) -> View:  # fmt: skip
    arguments = {
        "kernel_size": single(kernel),
        "stride": optional(single(stride or kernel), single(kernel)),
        "padding": optional(single(padding), 0),
        "ceil_mode": optional(ceil, False),
        "count_include_pad": optional(include, True),
    }
    if divisor is not None:
        arguments["divisor_override"] = optional(divisor, 0)
    return builder.layer(f"AvgPool{x.rank - 2}d", [builder.channels_last(x)], arguments, path=path)


@module(*(f"Adaptive{kind}Pool{rank}d" for kind in ("Avg", "Max") for rank in (1, 2, 3)))
def adaptive_module(builder: "Builder", pool: Any, x: "Operand") -> View:
    """Write an adaptive pooling."""
    return _adaptive(builder, type(pool).__name__, x, pool.output_size, None)


@function("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_avg_pool(builder: "Builder", x: "Operand", output_size: Any) -> View:
    """Write `F.adaptive_avg_pool2d` as a layer without a name."""
    return _adaptive(builder, f"AdaptiveAvgPool{x.rank - 2}d", x, output_size, "")


@function("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def adaptive_max_pool(builder: "Builder", x: "Operand", output_size: Any, return_indices: bool = False) -> View:
    """Write `F.adaptive_max_pool2d` as a layer without a name."""
    if return_indices:
        raise Untranslatable("a max pooling that returns indices has no translation")
    return _adaptive(builder, f"AdaptiveMaxPool{x.rank - 2}d", x, output_size, "")


@module("LPPool1d", "LPPool2d", "LPPool3d")
def lp_pool_module(builder: "Builder", pool: Any, x: "Operand") -> View:
    """Write a pooling by the p-norm."""
    return _lp_pool(builder, x, pool.norm_type, pool.kernel_size, pool.stride, pool.ceil_mode, None)


@function("lp_pool1d", "lp_pool2d", "lp_pool3d")
def lp_pool(
    builder: "Builder", x: "Operand", norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> View:
    """Write `F.lp_pool2d` as a layer without a name."""
    return _lp_pool(builder, x, norm_type, kernel_size, stride, ceil_mode, "")


def _lp_pool(
    builder: "Builder", x: "Operand", norm: float, kernel: Any, stride: Any, ceil: bool, path: str | None
) -> View:
    size = single(kernel)
    arguments = {
        "norm_type": norm,
        "kernel_size": size,
        "stride": optional(single(stride or kernel), size),
        "ceil_mode": optional(ceil, False),
    }
    return builder.layer(f"LPPool{x.rank - 2}d", [builder.channels_last(x)], arguments, path=path)


def _adaptive(builder: "Builder", name: str, x: "Operand", size: Any, path: Any) -> View:
    if isinstance(size, (tuple, list)):
        size = tuple(each or x.shape[2 + axis] for axis, each in enumerate(size))
    return builder.layer(name, [builder.channels_last(x)], {"output_size": single(size)}, path=path)
