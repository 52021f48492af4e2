"""The options of an optimizer: their rules, and which parameter group has which."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import keras

from keras_blitz.errors import BlitzError
from keras_blitz.weights.layout import PARAMETERS

# What a group is given for all parameters that no pattern takes.
EVERYTHING = "*"

Options = dict[str, Any]


def _number(least: float, below: float = float("inf")) -> tuple[Callable[[Any], bool], str]:
    """Return the check least ≤ value < below, and how to say it."""
    said = f"a number ≥ {least:g}" if below == float("inf") else f"a number in [{least:g}, {below:g})"
    return lambda value: _is_number(value) and least <= value < below, said


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_rate(value: Any) -> bool:
    return isinstance(value, keras.optimizers.schedules.LearningRateSchedule) or _number(0)[0](value)


def _are_betas(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_number(0, 1)[0], value))


_AT_LEAST_0 = _number(0)
_TRUTH = (lambda value: isinstance(value, bool), "True or False")

# option -> (check, the rule in words); the rules are PyTorch's
RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "lr": (_is_rate, "a number ≥ 0 or a Keras schedule"),
    "momentum": _AT_LEAST_0,
    "dampening": (_is_number, "a number"),
    "weight_decay": _AT_LEAST_0,
    "eps": _AT_LEAST_0,
    "betas": (_are_betas, "two numbers in [0, 1)"),
    "alpha": _AT_LEAST_0,
    "rho": (lambda value: _is_number(value) and 0 <= value <= 1, "a number in [0, 1]"),
    "lr_decay": _AT_LEAST_0,
    "initial_accumulator_value": _AT_LEAST_0,
    "momentum_decay": _AT_LEAST_0,
    **dict.fromkeys(("nesterov", "maximize", "amsgrad", "centered", "decoupled_weight_decay"), _TRUTH),
}


def checked(options: Options, where: str = "") -> Options:
    """Return the options with every number as a Python float.

    Raises:
        BlitzError: a value that breaks its rule; `where` names the group it stands in.
    """
    for name, value in options.items():
        holds, rule = RULES[name]
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
        return tuple(map(float, value))
    return float(value) if _is_number(value) else value


def groups(defaults: Options, given: Iterable) -> list[tuple[str, Options]]:
    """Return (pattern, all options) of every group: that of the defaults, then those given in their order.

    Args:
        defaults: every option of the optimizer.
        given: (pattern, {option: value}) pairs; an option left out takes the default.

    Raises:
        BlitzError: no such pair, an option that the optimizer does not have, or a value that breaks its rule.
    """
    rows = [(EVERYTHING, checked(defaults))]
    for row in given:
        if not (isinstance(row, (tuple, list)) and len(row) == 2 and isinstance(row[1], Mapping)):
            raise BlitzError(f"groups must be (pattern, {{option: value}}) pairs, not {row!r}")
        pattern, own = row
        if unknown := [name for name in own if name not in defaults]:
            raise BlitzError(f"groups: {pattern!r} sets {', '.join(unknown)}; the options are {', '.join(defaults)}")
        rows.append((pattern, checked({**defaults, **own}, f"groups: {pattern!r}: ")))
    return rows


def assigned(patterns: list[str], names: list[str]) -> list[int]:
    """Return the number of the group that each parameter belongs to: the first whose pattern matches, otherwise 0.

    Args:
        patterns: of all groups, that of the defaults first.
        names: PyTorch's names of the parameters.

    Raises:
        BlitzError: a group that no parameter belongs to.
    """
    order = [*range(1, len(patterns)), 0]
    members = [next(group for group in order if fnmatchcase(name, patterns[group])) for name in names]
    for group, pattern in enumerate(patterns[1:], 1):
        if group not in members:
            raise BlitzError(
                f"groups: {pattern!r} takes no parameter; there are {', '.join(names)} (fit leaves out frozen ones, "
                "and the first pattern that matches takes a parameter)"
            )
    return members


# Keras's names of weights -> PyTorch's; a variable does not know the class of its layer.
_NAMES = {keras_name: name for row in PARAMETERS.values() for keras_name, (name, _) in row.items()}


def parameter_name(variable) -> str:
    """Return PyTorch's name of a Keras variable by its path: `conv1/kernel` is `conv1.weight`.

    What stands before the layer's name (`sequential/fc/kernel`) is the model's, and no part of PyTorch's names. A
    variable outside of any layer keeps its name, as does one whose layer has no row in `PARAMETERS`.
    """
    path = getattr(variable, "path", variable.name.split(":")[0])
    *layer, name = path.split("/")[-2:]
    return ".".join([*layer, _NAMES.get(name, name)]) if layer else name
