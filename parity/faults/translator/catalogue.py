"""All mistakes in the translator's rules."""

from dataclasses import replace
from typing import Any

from parity.faults.fault import Fault, fault
from parity.faults.translator.mistake import (
    at,
    constant,
    given,
    instead,
    passing_on,
    reading,
    refused,
    returning,
    trained,
    without_stop,
)
from parity.translate import registry
from parity.translate.rules.linear import _dense
from parity.translate.rules.matrix import matmul

# With weights of its own choice `parity.check` finds the model right; it is wrong with those that are written.
WRITTEN = "with the weights that are written"


def backwards(values: Any) -> Any:
    """Return a tuple or list in the other order."""
    return values[::-1]


def nearest() -> dict[str, Any]:
    """Return what makes an interpolation take the nearest value."""
    return {"mode": constant("nearest"), "align_corners": constant(None)}


def unpadded(padding: Any) -> Any:
    """Return no padding for that of a first convolution."""
    return (0, 0) if tuple(padding) in ((1, 0), (1, 1)) else padding


def undilated() -> Any:
    """Return what reads a convolution without its dilation, and with the padding that keeps the size."""
    return reading(dilation=constant((1, 1)), padding=lambda padding: (1, 1) if padding == (2, 2) else padding)


def bare(rule: Any, builder: Any, x: Any, *_: Any, **__: Any) -> Any:
    """Leave out the arguments after the tensor."""
    return rule(builder, x)


def without_shortcut(_: Any, builder: Any, one: Any, other: Any) -> Any:
    """Return the second of two branches alone."""
    return builder.any(other)


def transposed(rule: Any, builder: Any, one: Any, other: Any) -> Any:
    """Multiply by the transpose of a square weight."""
    return rule(builder, one, builder.turned(builder.natural(other), (1, 0)) if other.rank == 2 else other)


def exchanged(rule: Any, builder: Any, one: Any, other: Any, **options: Any) -> Any:
    """Take the operands in the other order."""
    return rule(builder, other, one, **options)


def untied(rule: Any, builder: Any, dense: Any, x: Any) -> Any:
    """Write a layer of its own for a weight that is tied to the embedding's."""
    if builder.call.path != "head":
        return rule(builder, dense, x)
    return _dense(builder, x, dense.out_features, False, dense)


def in_other_order(builder: Any, views: Any, *_: Any) -> Any:
    """Return the parts of a split the other way round."""
    return views[::-1]


def order_forgotten(builder: Any, view: Any, *_: Any) -> Any:
    """Forget that features are in Keras's order after a Flatten."""
    return replace(view, flat=None)


def summed(builder: Any, x: Any, *args: Any, **options: Any) -> Any:
    """Write a sum."""
    return registry.FUNCTIONS["sum"](builder, x, *args, **options)


def shifted(index: tuple) -> tuple:
    """Return an assignment's place one channel or step earlier."""
    return (index[0], slice(index[1].start - 1, index[1].stop - 1), *index[2:])


def along_the_next(rule: Any, builder: Any, x: Any, dim: int) -> Any:
    """Take the axis after the right one."""
    return rule(builder, x, dim + 1)


def place_by_place(builder: Any, x: Any, *counts: int) -> Any:
    """Repeat each place of the last axis in place of the whole."""
    return registry.FUNCTIONS["repeat_interleave"](builder, x, counts[-1], -1)


def as_a_whole(builder: Any, x: Any, count: int, _: int) -> Any:
    """Repeat the last axis as a whole in place of each of its places."""
    return registry.FUNCTIONS["repeat"](builder, x, 1, 1, count)


# id, what the rule does, and where that must be seen
MISTAKES: tuple[Fault, ...] = (
    fault(
        "translate-stride-swapped", "a stride of (2, 1) taken as (1, 2)", "H8",
        at("layers", "activation:conv1", "Conv2d", reading(stride=backwards)),
        at("functions", "activation:bn", "conv2d", given(stride=backwards)),
    ),
    fault(
        "translate-padding-lost", "a convolution without its padding", "H8",
        at("layers", "activation:conv1", "Conv2d", reading(padding=unpadded)),
        at("growing", "activation:conv", "Conv2d", reading(padding=unpadded)),
    ),
    fault(
        "translate-dilation-lost", "a convolution without its dilation", "H8",
        at("layers", "activation:conv2", "Conv2d", undilated()),
        at("functions", "activation:body", "Conv2d", undilated()),
    ),
    fault(
        "translate-groups-lost", "a convolution of one group in place of two", "H8",
        refused("functions", "body", "Conv2d", reading(groups=constant(1))),
        refused("growing", "conv", "Conv2d", reading(groups=constant(1))),
    ),
    fault(
        "translate-bias-lost", "a layer without its bias", "H8",
        refused("gates", "left.bias", "Linear", reading(bias=constant(None))),
        refused("growing", "conv", "Conv2d", reading(bias=constant(None))),
    ),
    fault(
        "translate-bn-eps", "a BatchNorm with the default eps", "H8",
        at("layers", "activation:bn", "BatchNorm2d", reading(eps=constant(1e-5))),
        at("functions", "activation:bn", "BatchNorm2d", reading(eps=constant(1e-5))),
    ),
    fault(
        "translate-bn-momentum", "a BatchNorm with the default momentum", "H8",
        at("layers", "buffer:bn.running_*", "BatchNorm2d", reading(momentum=constant(0.1))),
        at("functions", "buffer:bn.running_*", "BatchNorm2d", reading(momentum=constant(0.1))),
    ),
    fault(
        "translate-layernorm-eps", "a LayerNorm with the default eps", "H8",
        at("language", "activation:block.norm", "LayerNorm", reading(eps=constant(1e-5))),
        at("attention", "activation:norm", "LayerNorm", reading(eps=constant(1e-5))),
    ),
    fault(
        "translate-slope-lost", "a LeakyReLU with the default slope", "H8",
        at("layers", "activation:act", "LeakyReLU", reading(negative_slope=constant(0.01))),
        at("functions", "activation:body", "leaky_relu", bare),
    ),
    fault(
        "translate-pool-border", "an average that counts the padding", "H8",
        at("layers", "activation:pool", "AvgPool2d", reading(count_include_pad=constant(True))),
        at("functions", "activation:drop", "avg_pool2d", given(count_include_pad=constant(True))),
    ),
    fault(
        "translate-pool-ceil", "a pooling that leaves the last window out", "H8",
        at("layers", "activation:pool", "AvgPool2d", reading(ceil_mode=constant(False))),
        refused("functions", "fc", "avg_pool2d", given(ceil_mode=constant(False))),
    ),
    fault(
        "translate-branch-dropped", "one of two branches is not added", "H8",
        at("layers", "activation:pool", "add", without_shortcut),
        at("functions", "activation:drop", "add", without_shortcut),
        at("language", "activation:block.gate", "add", without_shortcut),
        refused("layers", "conv2", "add", passing_on),
    ),
    fault(
        "translate-sum-for-mean", "a sum in place of a mean", "H8",
        at("layers", "activation:fc", "mean", instead(summed)),
        at("gates", "activation:tail", "mean", instead(summed)),
    ),
    fault(
        "translate-flatten-order", "flattened features taken to be in PyTorch's order", "H8",
        refused("functions", WRITTEN, "flatten", returning(order_forgotten)),
        refused("growing", WRITTEN, "flatten", returning(order_forgotten)),
    ),
    fault(
        "translate-weight-transposed", "a square weight used without, or with, its transpose", "H8",
        refused("attention", WRITTEN, "linear", instead(lambda builder, x, weight: matmul(builder, x, weight))),
        refused("attention", WRITTEN, "matmul", transposed),
    ),
    fault(
        "translate-attention-scale", "attention without its scale", "H8",
        at("language", "activation:block.proj", "scaled_dot_product_attention", given(scale=constant(1.0))),
        at("attention", "activation:norm", "scaled_dot_product_attention", given(scale=constant(1.0))),
    ),
    fault(
        "translate-mask-lost", "attention that sees what is masked", "H8",
        at("language", "activation:block.proj", "scaled_dot_product_attention", given(is_causal=constant(False))),
        at("attention", "activation:norm", "masked_fill", passing_on),
    ),
    fault(
        "translate-softmax-axis", "a softmax over another axis", "H8",
        at("attention", "activation:norm", "softmax", given(dim=constant(1))),
        at("steps", "activation:fc", "log_softmax", given(dim=constant(-1))),
    ),
    fault(
        "translate-gelu-exact", "GELU's exact form in place of its approximation", "H8",
        at("language", "activation:block.gelu", "GELU", reading(approximate=constant("none"))),
        at("attention", "activation:out", "gelu", given(approximate=constant("none"))),
    ),
    fault(
        "translate-split-order", "the parts of a split in the other order", "H8",
        at("language", "activation:block.proj", "chunk", returning(in_other_order)),
        at("steps", "activation:fc", "split", returning(in_other_order)),
    ),
    fault(
        "translate-cat-order", "joined in the other order", "H8",
        at("steps", "activation:fc", "cat", given(tensors=backwards)),
        at("gates", "activation:tail", "cat", given(tensors=backwards)),
    ),
    fault(
        "translate-roll-direction", "rolled the other way", "H8",
        at("steps", "activation:fc", "roll", given(shifts=lambda shifts: -shifts)),
        at("teacher", "output", "roll", given(shifts=lambda shifts: -shifts)),
    ),
    fault(
        "translate-cumsum-axis", "a running sum along another axis", "H8",
        at("steps", "activation:fc", "cumsum", given(dim=constant(-1))),
        at("teacher", "output", "cumsum", given(dim=constant(-1))),
    ),
    fault(
        "translate-clamp-lost", "bounds that are not kept", "H8",
        at("steps", "activation:fc", "clamp", passing_on),
        at("gates", "activation:tail", "clamp", passing_on),
    ),
    fault(
        "translate-alpha-lost", "a difference without the factor `alpha`", "H8",
        at("gates", "activation:tail", "sub", given(alpha=constant(1))),
        at("teacher", "output", "sub", given(alpha=constant(1))),
    ),
    fault(
        "translate-operands-swapped", "a − b written as b − a", "H8",
        at("gates", "activation:tail", "sub", exchanged),
        at("teacher", "grad:body.*", "sub", exchanged),
    ),
    fault(
        "translate-detach-lost", "a gradient passes where PyTorch stops it", "H8",
        at("gates", "grad:left.*", "detach", without_stop),
        at("teacher", "grad:body.*", "Linear", without_stop),
    ),
    fault(
        "translate-frozen-lost", "a layer is trained that PyTorch does not train", "H8",
        at("gates", "grad:right.*", "Linear", trained),
        at("growing", "grad:conv.*", "Conv2d", trained),
    ),
    fault(
        "translate-untied", "the output layer has a weight of its own in place of the embedding's", "H8",
        refused("language", "head", "Linear", untied),
        refused("teacher", "head", "Linear", untied),
    ),
    fault(
        "translate-dropout-rate", "a dropout of half in place of its rate", "H8",
        at("functions", "activation:drop", "Dropout", reading(p=constant(0.5))),
        at("growing", "activation:drop", "Dropout", reading(p=constant(0.5))),
    ),
    fault(
        "translate-dropout-lost", "no dropout in train mode", "H8",
        at("functions", "activation:fc", "Dropout", passing_on),
        at("growing", "activation:fc", "Dropout", passing_on),
    ),
    fault(
        "translate-align-corners", "an interpolation that does not align the corners", "H8",
        at("growing", "activation:resize", "Upsample", reading(align_corners=constant(False))),
        at("growing", "activation:shuffle", "interpolate", given(align_corners=constant(False))),
    ),
    fault(
        "translate-resize-mode", "the nearest value in place of an interpolation", "H8",
        at("growing", "activation:resize", "Upsample", reading(**nearest())),
        at("growing", "activation:shuffle", "interpolate", given(**nearest())),
    ),
    fault(
        "translate-transposed-padding", "a transposed convolution without a padding", "H8",
        at("growing", "activation:up", "ConvTranspose2d", reading(padding=constant((0, 1)))),
        at("growing", "activation:up", "ConvTranspose2d", reading(padding=constant((0, 0)))),
    ),
    fault(
        "translate-recurrent-options", "a recurrent layer with another function, or other axes", "H8",
        at("steps", "activation:rnn", "RNN", reading(nonlinearity=constant("tanh"))),
        refused("steps", "norm", "RNN", reading(bidirectional=constant(False))),
    ),
    fault(
        "translate-assignment-place", "an assignment to a part that is one place earlier", "H8",
        at("pieces", "activation:norm", "setitem", given(index=shifted)),
        at("warped", "activation:conv2", "setitem", given(index=shifted)),
    ),
    fault(
        "translate-repeat-order", "each place repeated in place of the whole, or the reverse", "H8",
        at("pieces", "activation:norm", "repeat", instead(place_by_place)),
        at("pieces", "activation:norm", "repeat_interleave", instead(as_a_whole)),
    ),
    fault(
        "translate-function-axis", "a function of keras_blitz.ops along another axis", "H8",
        at("pieces", "activation:out", "logcumsumexp", along_the_next),
        at("warped", "activation:norm2", "logcumsumexp", along_the_next),
    ),
    fault(
        "translate-grid-corners", "a grid whose corners are pixels' borders in place of their centers", "H8",
        at("warped", "activation:norm1", "grid_sample", given(align_corners=constant(False))),
        at("warped", "activation:norm1", "affine_grid", given(align_corners=constant(False))),
    ),
)  # fmt: skip
