"""Activations, dropout and what passes its input on."""

from typing import TYPE_CHECKING, Any

from parity.translate.graph import Value
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.arithmetic import combine
from parity.translate.rules.weights import column

if TYPE_CHECKING:
    from collections.abc import Callable

    from parity.translate.builder import Builder, Operand


def _elementwise(builder: "Builder", name: str, x: "Operand", arguments: dict[str, Any]) -> View:
    found = builder.any(x)
    return builder.layer(name, [found], arguments, flat=found.flat)


# Class or function -> Keras's layer and its arguments, of the module or of the function's own arguments.
LAYERS: dict[str, tuple[str, "Callable[[Any], dict[str, Any]]"]] = {
    "ReLU": ("layers.ReLU", lambda m: {}),
    "ReLU6": ("layers.ReLU", lambda m: {"max_value": 6.0}),
    "Sigmoid": ("layers.Activation", lambda m: {"activation": "sigmoid"}),
    "Tanh": ("layers.Activation", lambda m: {"activation": "tanh"}),
    "SiLU": ("layers.Activation", lambda m: {"activation": "silu"}),
    "GELU": ("GELU", lambda m: {"approximate": optional(m.approximate, "none")}),
    "LeakyReLU": ("LeakyReLU", lambda m: {"negative_slope": optional(m.negative_slope, 0.01)}),
    "ELU": ("ELU", lambda m: {"alpha": optional(m.alpha, 1.0)}),
    "CELU": ("CELU", lambda m: {"alpha": optional(m.alpha, 1.0)}),
    "SELU": ("SELU", lambda m: {}),
    "PReLU": ("PReLU", lambda m: {"num_parameters": optional(m.num_parameters, 1)}),
    "Hardtanh": ("Hardtanh", lambda m: {"min_val": optional(m.min_val, -1.0), "max_val": optional(m.max_val, 1.0)}),
    "Softplus": ("Softplus", lambda m: {"beta": optional(m.beta, 1.0), "threshold": optional(m.threshold, 20.0)}),
    "Hardswish": ("layers.Activation", lambda m: {"activation": "hard_silu"}),
    "Hardsigmoid": ("Hardsigmoid", lambda m: {}),
    "Mish": ("layers.Activation", lambda m: {"activation": "mish"}),
    "Softsign": ("layers.Activation", lambda m: {"activation": "softsign"}),
    "LogSigmoid": ("layers.Activation", lambda m: {"activation": "log_sigmoid"}),
    "RReLU": ("RReLU", lambda m: {"lower": optional(m.lower, 1 / 8), "upper": optional(m.upper, 1 / 3)}),
    "AlphaDropout": ("AlphaDropout", lambda m: {"p": m.p}),
}


@module(*LAYERS)
def activation(builder: "Builder", act: Any, x: "Operand") -> View:
    """Write an activation as a layer under the module's name."""
    name = next(cls.__name__ for cls in type(act).__mro__ if cls.__name__ in LAYERS)
    layer, arguments = LAYERS[name]
    given = builder.channels_last(x) if name == "PReLU" else x
    return _elementwise(builder, layer, given, arguments(act))


FUNCTIONS = {
    "relu": "layers.ReLU()({0})",  # a layer, whose output parity.check sees where a Flatten follows
    "sigmoid": "ops.sigmoid({0})",
    "expit": "ops.sigmoid({0})",
    "tanh": "ops.tanh({0})",
    "silu": "ops.silu({0})",
    "exp": "ops.exp({0})",
    "log": "ops.log({0})",
    "sqrt": "ops.sqrt({0})",
    "rsqrt": "1 / ops.sqrt({0})",
    "square": "ops.square({0})",
    "neg": "-{0}",
    "negative": "-{0}",
    "abs": "ops.abs({0})",
    "absolute": "ops.abs({0})",
    "sin": "ops.sin({0})",
    "cos": "ops.cos({0})",
    "erf": "ops.erf({0})",
    "floor": "ops.floor({0})",
    "ceil": "ops.ceil({0})",
    "trunc": "ops.trunc({0})",
    "fix": "ops.trunc({0})",
    "log2": "ops.log2({0})",
    "log10": "ops.log10({0})",
    "atan": "ops.arctan({0})",
    "sinh": "ops.sinh({0})",
    "cosh": "ops.cosh({0})",
    "softsign": "ops.softsign({0})",
    "log_sigmoid": "ops.log_sigmoid({0})",
    "mish": 'layers.Activation("mish")({0})',
    "sign": "ops.sign({0})",
    "log1p": "ops.log1p({0})",
    "expm1": "ops.expm1({0})",
    "reciprocal": "1 / {0}",
    "logical_not": "ops.logical_not({0})",
    "invert": "ops.logical_not({0})",
    "hardswish": "ops.hard_silu({0})",
    "hardsigmoid": "Hardsigmoid()({0})",
    "relu6": "ops.relu6({0})",
    "zeros_like": "ops.zeros_like({0})",
    "zero": "ops.zeros_like({0})",
    "ones_like": "ops.ones_like({0})",
    "tanhshrink": "ops.tanh_shrink({0})",
    "positive": "{0}",
}


def _function(text: str) -> "Callable[..., View]":
    def rule(builder: "Builder", x: "Operand", **_: Any) -> View:
        found = builder.any(x)
        return builder.op(text, [found], flat=found.flat)

    return rule


for _name, _text in FUNCTIONS.items():
    function(_name)(_function(_text))


# Function -> its text, and PyTorch's names and defaults of the numbers after x.
WITH_NUMBERS: "dict[str, tuple[str, dict[str, Any]]]" = {
    "_threshold": ("ops.threshold({0}, {threshold}, {value})", {"threshold": None, "value": None}),
    "softshrink": ("ops.soft_shrink({0}, {lambd})", {"lambd": 0.5}),
    "hardshrink": ("ops.hard_shrink({0}, {lambd})", {"lambd": 0.5}),
}


def _with_numbers(text: str, defaults: dict[str, Any]) -> "Callable[..., View]":
    def rule(builder: "Builder", x: "Operand", *args: Any, **kwargs: Any) -> View:
        given = defaults | dict(zip(defaults, args, strict=False)) | {k: v for k, v in kwargs.items() if k in defaults}
        found = builder.any(x)
        return builder.op(text, [found], flat=found.flat, **given)

    return rule


for _name, _shrink in WITH_NUMBERS.items():
    function(_name)(_with_numbers(*_shrink))


@function("prelu")
def prelu(builder: "Builder", x: "Operand", weight: "Operand") -> View:
    """Write `F.prelu`: of a PReLU's own weight as that layer, of another as a choice."""
    owner = builder.owner(weight) if isinstance(weight, Value) else None
    if isinstance(weight, Value) and type(owner).__name__ == "PReLU":
        builder.call.path = weight.name.rpartition(".")[0]
        return activation(builder, owner, x)
    slopes = weight if weight.shape == (1,) else column(builder, weight, x.rank - 2)
    return combine(builder, "ops.where({0} > 0, {0}, {1} * {0})", x, slopes)


@function("rrelu")
def rrelu(builder: "Builder", x: "Operand", lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> View:
    """Write `F.rrelu` as a layer without a name; in train mode its draws are not PyTorch's."""
    return _unnamed(builder, "RReLU", x, {"lower": optional(lower, 1 / 8), "upper": optional(upper, 1 / 3)})


@function("softmin")
def softmin(builder: "Builder", x: "Operand", dim: int = -1, **_: Any) -> View:
    """Write a softmax of −x over one axis."""
    found = builder.view(x)
    return builder.op("ops.softmax(-{0}, axis={axis})", [found], axis=found.axis(dim))


@function("gelu")
def gelu(builder: "Builder", x: "Operand", approximate: str = "none") -> View:
    """Write `F.gelu` as a layer without a name."""
    return _unnamed(builder, "GELU", x, {"approximate": optional(approximate, "none")})


# Function -> the layer, and PyTorch's defaults of the arguments after x in its order.
UNNAMED: "dict[str, tuple[str, dict[str, float]]]" = {
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "elu": ("ELU", {"alpha": 1.0}),
    "celu": ("CELU", {"alpha": 1.0}),
    "selu": ("SELU", {}),
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 20.0}),
}


def _by_layer(layer: str, defaults: dict[str, float]) -> "Callable[..., View]":
    def rule(builder: "Builder", x: "Operand", *args: Any, **kwargs: Any) -> View:
        given = dict(zip(defaults, args, strict=False)) | {key: kwargs[key] for key in defaults if key in kwargs}
        return _unnamed(builder, layer, x, {key: optional(value, defaults[key]) for key, value in given.items()})

    return rule


for _name, _row in UNNAMED.items():
    function(_name)(_by_layer(*_row))


@function("glu")
def glu(builder: "Builder", x: "Operand", dim: int = -1) -> View:
    """Write `F.glu`: one half times the sigmoid of the other."""
    found = builder.view(x)
    return builder.op("ops.glu({0}, axis={axis})", [found], axis=found.axis(dim))


@function("round")
def round_(builder: "Builder", x: "Operand", *, decimals: int = 0) -> View:
    """Write a rounding to the nearest whole number, halves to the even one."""
    if decimals:
        return builder.op('Function("round", decimals={decimals})({0})', [builder.any(x)], decimals=decimals)
    return builder.op("ops.round({0})", [builder.any(x)])


def _unnamed(builder: "Builder", name: str, x: "Operand", arguments: dict[str, Any]) -> View:
    found = builder.any(x)
    return builder.layer(name, [found], arguments, flat=found.flat, path="")


@module("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout")
def dropout(builder: "Builder", drop: Any, x: "Operand") -> View:
    """Write a dropout that has its mask from PyTorch's in the proof."""
    found = builder.any(x)
    if not drop.p:
        return found
    name = type(drop).__name__
    if name != "Dropout":
        found = builder.channels_last(found)
    return _elementwise(builder, name, found, {"p": drop.p})


@function("dropout")
def functional_dropout(builder: "Builder", x: "Operand", p: float = 0.5, training: bool = False) -> View:
    """Write `F.dropout`: a layer that drops in train mode, as `training=self.training` says."""
    p = builder.call.in_train.get("p", p)
    return _unnamed(builder, "Dropout", x, {"p": p}) if p else builder.any(x)


@module("Identity")
def identity(builder: "Builder", _: Any, x: "Operand") -> View:
    """Write nothing."""
    return builder.any(x)


@function("dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
def other_dropout(builder: "Builder", x: "Operand", p: float = 0.5, training: bool = False, **_: Any) -> View:
    """Write `F.dropout2d` and its like as `functional_dropout` does."""
    p = builder.call.in_train.get("p", p)
    name = "".join(part.capitalize() for part in builder.call.target.split("_"))
    return builder.layer(name, [builder.channels_last(x)], {"p": p}, path="") if p else builder.any(x)


@function("detach")
def detach(builder: "Builder", x: "Operand") -> View:
    """Write nothing: the builder stops the gradient wherever PyTorch did."""
    return builder.any(x)


@module("Softmax", "LogSoftmax")
def softmax_module(builder: "Builder", act: Any, x: "Operand") -> View:
    """Write a softmax over one axis."""
    return _softmax(builder, x, act.dim, "log_softmax" if type(act).__name__ == "LogSoftmax" else "softmax")


@function("softmax")
def softmax(builder: "Builder", x: "Operand", dim: int, **_: Any) -> View:
    """Write a softmax over one axis."""
    return _softmax(builder, x, dim, "softmax")


@function("log_softmax")
def log_softmax(builder: "Builder", x: "Operand", dim: int, **_: Any) -> View:
    """Write a log-softmax over one axis."""
    return _softmax(builder, x, dim, "log_softmax")


def _softmax(builder: "Builder", x: "Operand", dim: int, name: str) -> View:
    found = builder.view(x)
    return builder.op(f"ops.{name}({{0}}, axis={{axis}})", [found], axis=found.axis(dim))
