"""Functions that are PyTorch's in `keras_blitz.ops`, written as the layer `Function`."""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from keras_blitz import ops
from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value, values_in
from parity.translate.program import Literal, View, optional
from parity.translate.registry import function
from parity.translate.rules.arithmetic import combine

if TYPE_CHECKING:
    from parity.translate.builder import Builder

# PyTorch's name of an argument -> that of `keras_blitz.ops`, where the two differ.
RENAMED = {"input": "x", "self": "x", "other": "y", "axis": "dim"}

LEFT_OUT = ("out", "compute_mode")  # which change nothing of the values

# Of each value by itself.
ELEMENTWISE = (
    "acos acosh asin asinh atan atanh bitwise_not deg2rad digamma erfc erfinv exp2 frac isfinite isinf isnan isneginf "
    "isposinf lgamma logit nan_to_num polygamma rad2deg sgn signbit sinc tan"
)
# Of two values.
PAIRS = (
    "atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign float_power fmax fmin "
    "fmod gcd heaviside hypot lcm logaddexp logaddexp2 logical_xor xlogy"
)
# Along one axis, the others are as they were.
ALONG = "argsort cummax cummin cumprod diff logcumsumexp sort"
# Of tensors in PyTorch's own order of axes.
WHOLE = (
    "addbmm addcdiv addmv addr all aminmax any cdist corrcoef count_nonzero cov cumulative_trapezoid diag diag_embed "
    "dist dot inner isclose isin kron kthvalue lerp median mode msort mv nanmean nanmedian nanquantile "
    "nansum outer quantile renorm rot90 take tensordot trace trapezoid vander"
)
ALIASES = {
    "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "ger": "outer", "xor": "bitwise_xor", "ixor": "bitwise_xor",
    "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift", "trapz": "trapezoid",
}  # fmt: skip


def _bound(name: str, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by their names in `keras_blitz.ops`.

    Raises:
        Untranslatable: PyTorch was given one that the function there does not have.
    """
    named = {RENAMED.get(key, key): value for key, value in kwargs.items() if value is not None and key not in LEFT_OUT}
    try:
        return signature(getattr(ops, name)).bind(*args, **named).arguments
    except TypeError as error:
        raise Untranslatable(f"{name} with these arguments has no translation ({error})") from None


def _numbers(name: str, given: Mapping[str, Any]) -> dict[str, Literal]:
    """Return the arguments that are not tensors; those before the last tensor also where they have their default."""
    parameters = signature(getattr(ops, name)).parameters
    places = list(parameters)
    last = max(places.index(key) for key, value in given.items() if isinstance(value, (Value, View)))
    found = {}
    for place, (key, parameter) in enumerate(parameters.items()):
        value = given.get(key, parameter.default)
        if isinstance(value, (Value, View)) or value is Parameter.empty:
            continue
        if values_in(value):
            raise Untranslatable(f"{name} of a list of tensors has no translation")
        value = tuple(value) if isinstance(value, list) else value
        default = None if place < last or parameter.default is None else parameter.default
        if place < last or value is not None:
            found[key] = Literal(value) if default is None else optional(value, default)
    return found


def _whole(name: str) -> Callable[..., Any]:
    def rule(builder: "Builder", *args: Any, **kwargs: Any) -> View | list[View]:
        return write(builder, name, *args, **kwargs)

    return rule


def write(builder: "Builder", name: str, *args: Any, **kwargs: Any) -> View | list[View]:
    """Write a function of `keras_blitz.ops`, of tensors in PyTorch's own order of axes."""
    given = _bound(name, args, kwargs)
    views = [builder.natural(x) for x in given.values() if isinstance(x, (Value, View))]
    arguments = {"function": name, **_numbers(name, given)}
    outputs = builder.call.outputs
    if len(outputs) == 1:
        return builder.layer("Function", views, arguments, layout=layout.natural(builder.out.rank), path="")
    return builder.layer_of_several("Function", views, arguments, [layout.natural(each.rank) for each in outputs])


def _elementwise(name: str) -> Callable[..., View]:
    def rule(builder: "Builder", *args: Any, **kwargs: Any) -> View:
        given = _bound(name, args, kwargs)
        found = builder.any(next(x for x in given.values() if isinstance(x, (Value, View))))
        return builder.layer(
            "Function", [found], {"function": name, **_numbers(name, given)}, flat=found.flat, path=""
        )  # fmt: skip

    return rule


def _number_of(x: Any) -> Any:
    """Return the number that a constant of one value is, which the program's text would have; others as they are."""
    alone = isinstance(x, Value) and x.kind == "constant" and x.array is not None and x.shape == ()
    return x.array.item() if alone else x


def _pair(name: str) -> Callable[..., View]:
    def rule(builder: "Builder", one: Any, other: Any) -> View:
        one, other = _number_of(one), _number_of(other)
        pair = list(signature(getattr(ops, name)).parameters)[:2]
        for key, number, x in zip(pair, (one, other), (other, one), strict=True):
            if not isinstance(number, (Value, View)):
                found = builder.any(x)
                text = f'Function("{name}", {key}={{number}})({{0}})'
                return builder.op(text, [found], flat=found.flat, number=number)
        return combine(builder, f'Function("{name}")({{0}}, {{1}})', one, other)

    return rule


def along(name: str) -> Callable[..., Any]:
    """Return the rule of a function along one axis, which leaves the others where they are."""

    def rule(builder: "Builder", *args: Any, **kwargs: Any) -> View | list[View]:
        given = _bound(name, args, kwargs)
        found = builder.view(given["x"])
        dim = given.get("dim", signature(getattr(ops, name)).parameters["dim"].default)
        arguments = {"function": name, **_numbers(name, given), "dim": Literal(found.axis(dim))}
        if len(builder.call.outputs) == 1:
            return builder.layer("Function", [found], arguments, path="")
        return builder.layer_of_several("Function", [found], arguments, [found.layout] * 2)

    return rule


for _names, _make in ((ELEMENTWISE, _elementwise), (PAIRS, _pair), (ALONG, along), (WHOLE, _whole)):
    for _name in _names.split():
        function(_name, *(alias for alias, own in ALIASES.items() if own == _name))(_make(_name))
