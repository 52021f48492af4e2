"""Reshapes and permutations. A permutation is a change of layout, which writes nothing."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.program import View, sizes
from parity.translate.registry import function, module

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("Flatten")
def flatten_module(builder: "Builder", _: Any, x: "Operand") -> View:
    """Write a Flatten under the module's name."""
    return reshape(builder, x, flatten_path=builder.call.path)


@module("Unflatten")
def unflatten_module(builder: "Builder", _: Any, x: "Operand") -> View:
    """Write a reshape."""
    return reshape(builder, x)


@function("flatten")
def flatten(builder: "Builder", x: "Operand", *_: Any, **__: Any) -> View:
    """Write a reshape, or a Flatten where all but the batch becomes one axis."""
    return reshape(builder, x, flatten_path="")


@function("reshape", "view", "unflatten", "unsqueeze", "squeeze", "reshape_as", "view_as", "_unsafe_view")
def reshape(builder: "Builder", x: "Operand", *_: Any, flatten_path: str | None = None, **__: Any) -> View:
    """Write the result in whatever layout needs no transpose.

    Flattened from channels last, a result keeps Keras's order of features: the layer that takes it has its weights
    permuted instead.
    """
    out, found = builder.out, builder.view(x)
    if out.shape == found.shape and tuple(out.batched) == tuple(found.batched):
        return found
    groups = layout.groups(found.shape, out.shape)
    last = layout.channels_last(found.rank)
    if not layout.keeps_order(found.layout, found.shape, groups):
        flattens = out.rank == 2 and found.rank > 2 and found.layout == last and out.shape[0] == found.shape[0]
        if flattens and any(out.batched):
            flat = tuple(found.shape[axis] for axis in last[1:])
            return builder.layer("layers.Flatten", [found], {}, layout=(0, 1), flat=flat, path=flatten_path or "")
        found = builder.to(found, layout.gathered(found.layout, found.shape, groups, out.shape))
    order = layout.reshaped(found.layout, found.shape, groups, out.shape)
    shape = sizes(out, order)
    if shape == sizes(found, found.layout):
        return View(found.symbol, out.shape, out.batched, order)
    if (
        out.rank == 2
        and order == (0, 1)
        and shape[0] == -1
        and found.layout[0] == 0
        and found.batched[0]
        and found.shape[0] == out.shape[0]
        and flatten_path is not None
    ):
        return builder.layer("layers.Flatten", [found], {}, layout=order, path=flatten_path)
    return builder.op("ops.reshape({0}, {shape})", [found], layout=order, shape=shape)


@function("permute")
def permute(builder: "Builder", x: "Operand", *axes: Any, dims: Sequence[int] | None = None) -> View:
    """Change the layout."""
    order = dims or (axes[0] if isinstance(axes[0], (tuple, list)) else axes)
    return builder.turned(x, order)


@function("transpose", "swapaxes", "swapdims")
def transpose(builder: "Builder", x: "Operand", dim0: int, dim1: int) -> View:
    """Change the layout."""
    axes = list(range(x.rank))
    axes[dim0], axes[dim1] = axes[dim1], axes[dim0]
    return builder.turned(x, axes)


@function("movedim", "moveaxis")
def movedim(builder: "Builder", x: "Operand", source: Any, destination: Any) -> View:
    """Change the layout."""
    pairs = [(source, destination)] if isinstance(source, int) else zip(source, destination, strict=True)
    places = {to % x.rank: axis % x.rank for axis, to in pairs}
    left = iter([axis for axis in range(x.rank) if axis not in places.values()])
    return builder.turned(x, [places[to] if to in places else next(left) for to in range(x.rank)])


@function("T", "mT", "H", "mH", "t", "adjoint")
def turned(builder: "Builder", x: "Operand") -> View:
    """Change the layout."""
    axes = list(range(x.rank))
    axes[-2:] = axes[-1], axes[-2]
    return builder.turned(x, axes)


@function("contiguous")
def contiguous(builder: "Builder", x: "Operand", *_: Any, **__: Any) -> View:
    """Write nothing, or the transpose of a table made of weights alone: once here, not wherever it is added."""
    return builder.any(x) if any(x.batched) else builder.natural(x)


@function("clone", "alias", "requires_grad")
def same(builder: "Builder", x: "Operand", *_: Any, **__: Any) -> View:
    """Write nothing."""
    return builder.any(x)


@function("to", "type", "float", "double", "half", "long", "int", "bool", "byte", "char", "short", "type_as")
def cast(builder: "Builder", x: "Operand", *_: Any, **__: Any) -> View:
    """Write a cast where the kind of number changes; which floating-point type it is, is the model's own."""
    out, found = builder.out, builder.any(x)
    source = x.dtype
    if source == out.dtype or ("float" in source and out.is_float):
        return found
    if out.is_float:
        return builder.op("ops.cast({0}, keras.config.floatx())", [found], flat=found.flat)
    return builder.op("ops.cast({0}, {dtype})", [found], flat=found.flat, dtype=out.dtype)


# Class -> the attribute that is its layer's one argument.
DEALT = {"PixelShuffle": "upscale_factor", "PixelUnshuffle": "downscale_factor", "ChannelShuffle": "groups"}


@module(*DEALT)
def shuffle(builder: "Builder", layer: Any, x: "Operand") -> View:
    """Write PixelShuffle, PixelUnshuffle or ChannelShuffle under the module's name."""
    name = type(layer).__name__
    return builder.layer(name, [builder.channels_last(x)], {DEALT[name]: getattr(layer, DEALT[name])})


def _functional(name: str, argument: str) -> Callable[..., View]:
    def rule(builder: "Builder", x: "Operand", *number: int, **named: int) -> View:
        (value,) = (*number, *named.values())
        return builder.layer(name, [builder.channels_last(x)], {argument: value}, path="")

    return rule


for _name, _argument in DEALT.items():
    function(_name.lower().replace("shuffle", "_shuffle").replace("un_", "_un"))(_functional(_name, _argument))


@function("ravel", "atleast_1d", "atleast_2d", "atleast_3d")
def ravel(builder: "Builder", x: "Operand") -> View:
    """Write a reshape."""
    return reshape(builder, x)


@function("diagonal")
def diagonal(builder: "Builder", x: "Operand", offset: int = 0, dim1: int = 0, dim2: int = 1) -> View:
    """Write a diagonal, which becomes the last axis."""
    order, text = layout.natural(builder.out.rank), "ops.diagonal({0}, {offset}, {axis1}, {axis2})"
    one, other = dim1 % x.rank, dim2 % x.rank
    return builder.op(text, [builder.natural(x)], layout=order, offset=offset, axis1=one, axis2=other)


@function("linalg_diagonal")
def diagonal_of_matrices(builder: "Builder", x: "Operand", *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> View:
    """Write a diagonal, of the last two axes if none are named."""
    return diagonal(builder, x, offset, dim1, dim2)


@function("cross", "linalg_cross")
def cross(builder: "Builder", x: "Operand", other: "Operand", dim: int = -1) -> View:
    """Write the cross product along an axis of size 3."""
    views = [builder.natural(each) for each in (x, other)]
    if len(views[0].shape) != len(views[1].shape) or x.shape[dim] != 3:
        raise Untranslatable("cross along no axis of its own, or of other ranks, has no translation")
    order = layout.natural(builder.out.rank)
    return builder.op("ops.cross({0}, {1}, axis={axis})", views, layout=order, axis=dim % x.rank)


@function("tril", "triu")
def triangle(builder: "Builder", x: "Operand", diagonal: int = 0) -> View:
    """Write the lower or upper triangle of matrices."""
    name = builder.call.target.strip("_")
    return builder.op(f"ops.{name}({{0}}, {{k}})", [builder.last(x, 2)], k=diagonal)
