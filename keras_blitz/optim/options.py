"""The rules that PyTorch has for the options of its optimizers."""

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_blitz.errors import BlitzError

# option -> its value
Options = dict[str, Any]

# PyTorch's key -> the variable of one parameter that holds it; TensorFlow has no types
Slots = dict[str, Any]


# option -> (check, the rule in words)
Rules = Mapping[str, tuple[Callable[[Any], bool], str]]


def _number(least: float, below: float = float("inf")) -> tuple[Callable[[Any], bool], str]:
    """Return the check least ≤ value < below, and how to say it."""
    said = f"a number ≥ {least:g}" if below == float("inf") else f"a number in [{least:g}, {below:g})"
    return lambda value: is_number(value) and least <= value < below, said


def is_number(value: Any) -> bool:
    """Whether it is a Python number, and not a truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_rate(value: Any) -> bool:
    return isinstance(value, keras.optimizers.schedules.LearningRateSchedule) or _number(0)[0](value)


def pair(first: Callable[[Any], bool], second: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return the check of two values, each by its own."""
    return lambda value: isinstance(value, (tuple, list)) and len(value) == 2 and first(value[0]) and second(value[1])


_AT_LEAST_0 = _number(0)
_TRUTH = (lambda value: isinstance(value, bool), "True or False")

# The rules are PyTorch's.
RULES: Rules = {
    "lr": (_is_rate, "a number ≥ 0 or a Keras schedule"),
    "momentum": _AT_LEAST_0,
    "dampening": (is_number, "a number"),
    "weight_decay": _AT_LEAST_0,
    "eps": _AT_LEAST_0,
    "betas": (pair(_number(0, 1)[0], _number(0, 1)[0]), "two numbers in [0, 1)"),
    "alpha": _AT_LEAST_0,
    "rho": (lambda value: is_number(value) and 0 <= value <= 1, "a number in [0, 1]"),
    "lr_decay": _AT_LEAST_0,
    "initial_accumulator_value": _AT_LEAST_0,
    "momentum_decay": _AT_LEAST_0,
    "lambd": (is_number, "a number"),
    "t0": (is_number, "a number"),
    "etas": (
        pair(lambda value: is_number(value) and 0 < value < 1, lambda value: is_number(value) and value > 1),
        "two numbers, the first in (0, 1), the second above 1",
    ),
    "step_sizes": (pair(is_number, is_number), "two numbers"),
    "beta2_decay": (lambda value: is_number(value) and value <= 0, "a number ≤ 0"),
    "d": _number(1),
    **dict.fromkeys(("nesterov", "maximize", "amsgrad", "centered", "decoupled_weight_decay"), _TRUTH),
}


def checked(options: Options, own_rules: Rules, where: str = "") -> Options:
    """Return the options with every number as a Python float; an optimizer's own rules come before the others.

    Raises:
        BlitzError: a value that breaks its rule; `where` names the group it stands in.
    """
    rules = {**RULES, **own_rules}
    for name, value in options.items():
        holds, rule = rules[name]
        if not holds(value):
            raise BlitzError(f"{where}{name} must be {rule}, not {value!r}")
    if options.get("nesterov") and (options["momentum"] == 0 or options["dampening"] != 0):
        momentum, dampening = options["momentum"], options["dampening"]
        raise BlitzError(
            f"{where}nesterov needs a momentum above 0 and a dampening of 0, not {momentum!r} and {dampening!r}"
        )
    return {name: _plain(value) for name, value in options.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(map(_plain, value))
    return float(value) if is_number(value) else value
