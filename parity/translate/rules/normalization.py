"""Normalization layers."""

from typing import TYPE_CHECKING, Any

from torch.nn.modules.instancenorm import _InstanceNorm

from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.arithmetic import combine
from parity.translate.rules.weights import column, frozen, own_path, same_module

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm")
def batch_norm(builder: "Builder", norm: Any, x: "Operand") -> View:
    """Write BatchNorm; of flattened features the weights are permuted when they are transferred."""
    return _batch_norm(builder, norm, x)


@function("batch_norm")
def functional_batch_norm(
    builder: "Builder", x: "Operand", mean: Value | None, variance: Value | None, weight: "Operand | None" = None,
    bias: "Operand | None" = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> View:  # fmt: skip
    """Write `F.batch_norm` of a module's own weights and statistics under its name; of none, for a kernel's rows."""
    if mean is None and variance is None and x.shape[0] == 1 and not any(x.batched):
        return _rows(builder, x, weight, bias, eps)
    builder.call.path = same_module(weight, bias, mean, variance)
    return _batch_norm(builder, builder.module(builder.call.path), x)


def _rows(builder: "Builder", x: "Operand", weight: "Operand | None", bias: "Operand | None", eps: float) -> View:
    """Write the standardization of each row of (1, rows, …), as of a convolution's kernel."""
    arguments = {"eps": optional(eps, 1e-5), "elementwise_affine": optional(False, True)}
    found = _trailing(builder, "LayerNorm", x, x.shape[2:], None, arguments, path="")
    for text, each in (("{0} * {1}", weight), ("{0} + {1}", bias)):
        if each is not None:
            found = combine(builder, text, found, column(builder, each, x.rank - 2))
    return found


def _batch_norm(builder: "Builder", norm: Any, x: "Operand") -> View:
    arguments = {
        "eps": optional(norm.eps, 1e-5),
        "momentum": optional(norm.momentum, 0.1),
        "affine": optional(norm.affine, True),
        "track_running_stats": optional(norm.track_running_stats, True),
        **frozen(norm),
    }
    found = builder.any(x)
    if not (found.flat and found.rank == 2):
        found = builder.channels_last(found)
    return builder.layer("BatchNorm", [found], arguments, flat=found.flat)


@module("LayerNorm")
def layer_norm(builder: "Builder", norm: Any, x: "Operand") -> View:
    """Write LayerNorm over the last axes."""
    return _trailing(builder, "LayerNorm", x, norm.normalized_shape, norm, _affine(norm, 1e-5))


@module("RMSNorm")
def rms_norm(builder: "Builder", norm: Any, x: "Operand") -> View:
    """Write RMSNorm over the last axes."""
    arguments = {"eps": optional(norm.eps, None), "elementwise_affine": optional(norm.elementwise_affine, True)}
    if norm.eps is None:
        del arguments["eps"]
    return _trailing(builder, "RMSNorm", x, norm.normalized_shape, norm, arguments)


@function("layer_norm")
def functional_layer_norm(
    builder: "Builder", x: "Operand", shape: Any, weight: Value | None = None, bias: Value | None = None,
    eps: float = 1e-5,
) -> View:  # fmt: skip
    """Write `F.layer_norm`, of a module's own weights under its name."""
    arguments = {
        "eps": optional(eps, 1e-5),
        "elementwise_affine": optional(weight is not None, True),
        "bias": optional(bias is not None or weight is None, True),
    }
    if weight is None:
        return _trailing(builder, "LayerNorm", x, shape, None, arguments)
    builder.call.path = same_module(weight, bias)
    return _trailing(builder, "LayerNorm", x, shape, builder.module(builder.call.path), arguments)


@module("GroupNorm")
def group_norm(builder: "Builder", norm: Any, x: "Operand") -> View:
    """Write GroupNorm."""
    arguments = {"num_groups": norm.num_groups, "eps": optional(norm.eps, 1e-5), "affine": optional(norm.affine, True)}
    return builder.layer("GroupNorm", [builder.channels_last(x)], {**arguments, **frozen(norm)})


@function("rms_norm")
def functional_rms_norm(
    builder: "Builder", x: "Operand", shape: Any, weight: Value | None = None, eps: float | None = None
) -> View:
    """Write `F.rms_norm`: without a weight, and of another than a module's own as a product after it."""
    arguments = {} if eps is None else {"eps": optional(eps, None)}
    if weight is not None and own_path(weight) is not None:
        builder.call.path = same_module(weight)
        return _trailing(builder, "RMSNorm", x, shape, builder.module(builder.call.path), arguments)
    arguments["elementwise_affine"] = optional(False, True)
    found = _trailing(builder, "RMSNorm", x, shape, None, arguments, path="")
    return found if weight is None else combine(builder, "{0} * {1}", found, weight)


@function("instance_norm")
def functional_instance_norm(
    builder: "Builder", x: "Operand", running_mean: Value | None = None, running_var: Value | None = None,
    weight: "Operand | None" = None, bias: "Operand | None" = None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-5,
) -> View:  # fmt: skip
    """Write `F.instance_norm`, of a module's own weights and statistics under its name."""
    own = weight, bias, running_mean, running_var
    if own == (None,) * 4:
        return builder.layer("InstanceNorm", [builder.channels_last(x)], {"eps": optional(eps, 1e-5)}, path="")
    path = own_path(*own)
    if path is None or not isinstance(builder.module(path), _InstanceNorm):
        raise Untranslatable("instance_norm with weights that are not an InstanceNorm's has no translation")
    builder.call.path = path
    return instance_norm(builder, builder.module(path), x)


@function("local_response_norm")
def functional_local_response_norm(
    builder: "Builder", x: "Operand", size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> View:
    """Write `F.local_response_norm` as a layer without a name."""
    arguments = {"size": size, "alpha": optional(alpha, 1e-4), "beta": optional(beta, 0.75), "k": optional(k, 1.0)}
    return builder.layer("LocalResponseNorm", [builder.channels_last(x)], arguments, path="")


@function("group_norm")
def functional_group_norm(
    builder: "Builder", x: "Operand", num_groups: int, weight: Value | None = None, bias: Value | None = None,
    eps: float = 1e-5,
) -> View:  # fmt: skip
    """Write `F.group_norm`, of a module's own weights under its name."""
    arguments = {"num_groups": num_groups, "eps": optional(eps, 1e-5), "affine": optional(weight is not None, True)}
    if weight is not None:
        builder.call.path = same_module(weight, bias)
        arguments |= frozen(builder.module(builder.call.path))
    return builder.layer("GroupNorm", [builder.channels_last(x)], arguments)


@module("LocalResponseNorm")
def local_response_norm(builder: "Builder", norm: Any, x: "Operand") -> View:
    """Write LocalResponseNorm."""
    arguments = {
        "size": norm.size,
        "alpha": optional(norm.alpha, 1e-4),
        "beta": optional(norm.beta, 0.75),
        "k": optional(norm.k, 1.0),
    }
    return builder.layer("LocalResponseNorm", [builder.channels_last(x)], arguments)


@module("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
def instance_norm(builder: "Builder", norm: Any, x: "Operand") -> View:
    """Write InstanceNorm."""
    if x.rank < len(type(norm).__name__) - len("InstanceNorm"):
        raise Untranslatable("InstanceNorm without a batch axis has no translation")
    arguments = {
        "eps": optional(norm.eps, 1e-5),
        "momentum": optional(norm.momentum, 0.1),
        "affine": optional(norm.affine, False),
        "track_running_stats": optional(norm.track_running_stats, False),
    }
    return builder.layer("InstanceNorm", [builder.channels_last(x)], {**arguments, **frozen(norm)})


def _affine(norm: Any, eps: float) -> dict[str, Any]:
    return {
        "eps": optional(norm.eps, eps),
        "elementwise_affine": optional(norm.elementwise_affine, True),
        "bias": optional(norm.bias is not None or not norm.elementwise_affine, True),
    }


def _trailing(
    builder: "Builder", name: str, x: "Operand", shape: Any, owner: Any, arguments: dict[str, Any],
    path: str | None = None,
) -> View:  # fmt: skip
    found = builder.last(x, len(shape))
    if found.rank > 3:  # parity.check compares what the layer returns, in PyTorch's order or channels last
        found = builder.natural(found)
    size = shape[0] if len(shape) == 1 else tuple(shape)
    trainable = frozen(owner) if owner is not None else {}
    return builder.layer(name, [found], {"normalized_shape": size, **arguments, **trainable}, path=path)
