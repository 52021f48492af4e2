"""Reasons why a parameter differs after a step: the steps are made again with another optimizer on the Keras side."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import keras
import numpy as np

from keras_blitz import keras_internals, optim
from keras_blitz.optim.groups import parameter_name
from parity.pair.hints.clue import Hint, vanishes

# PyTorch's setting -> Keras's
SETTINGS = {
    "lr": "learning_rate", "momentum": "momentum", "nesterov": "nesterov", "eps": "epsilon", "alpha": "rho",
    "rho": "rho", "weight_decay": "weight_decay", "amsgrad": "amsgrad", "centered": "centered",
    "initial_accumulator_value": "initial_accumulator_value",
}  # fmt: skip
Make = Callable[[], keras.optimizers.Optimizer]


@dataclass(frozen=True)
class StepClue:
    """A parameter that differs after a step though the gradients do not.

    Args:
        theirs: PyTorch's class, "Adam".
        groups: the settings of each of PyTorch's parameter groups.
        members: the Keras variables of each of these groups.
        copy: () -> a new optimizer of the settings of Keras's.
        error: (() -> optimizer) -> the largest difference after the steps made with it, relative.
        before: the largest difference there is.
        bound: within which a value is PyTorch's, relative.
    """

    theirs: str
    groups: Sequence[Mapping[str, Any]]
    members: Sequence[Sequence[Any]]
    copy: Make
    error: Callable[[Make], float]
    before: float
    bound: float

    def agrees(self, make: Make) -> bool:
        """Whether the steps made with another optimizer are PyTorch's."""
        return vanishes(self.error(make), self.before, self.bound)


def _theirs(clue: StepClue) -> dict[str, Any]:
    """Return PyTorch's settings of its first group under Keras's names."""
    return _in_keras(clue.groups[0])


def _mine(clue: StepClue) -> dict[str, Any]:
    """Return Keras's settings."""
    return _in_keras(_plain(clue.copy()).get_config())


def _in_keras(settings: Mapping[str, Any]) -> dict[str, Any]:
    found = {SETTINGS.get(name, name): value for name, value in settings.items()}
    if "betas" in found:
        found["beta_1"], found["beta_2"] = found.pop("betas")
    return found | {"weight_decay": found.get("weight_decay") or 0.0}


def _plain(optimizer: Any) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)


def _differing(clue: StepClue) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ, beyond float32: name -> (PyTorch's, Keras's)."""
    theirs, mine = _theirs(clue), _mine(clue)
    both = {name: (theirs[name], mine[name]) for name in theirs if name in mine}
    return {
        name: pair
        for name, pair in both.items()
        if all(isinstance(each, bool | int | float) for each in pair) and np.float32(pair[0]) != np.float32(pair[1])
    }


def _with(clue: StepClue, **settings: Any) -> keras.optimizers.Optimizer:
    """Return Keras's optimizer with other settings."""
    made = clue.copy()
    if "lr" in _plain(made).get_config():  # of keras_blitz, which is told by PyTorch's names
        config, names = _plain(made).get_config(), {mine: theirs for theirs, mine in SETTINGS.items()}
        if {"beta_1", "beta_2"} & set(settings):
            config["betas"] = [settings.pop(f"beta_{k}", config["betas"][k - 1]) for k in (1, 2)]
        return type(_plain(made)).from_config(config | {names[name]: value for name, value in settings.items()})
    for name, value in settings.items():
        setattr(_plain(made), name, np.float64(value) if isinstance(value, float) else value)
    return made


def _one_setting(clue: StepClue) -> str:
    for name, (theirs, mine) in _differing(clue).items():
        if clue.agrees(partial(_with, clue, **{name: theirs})):
            return f"{_in_words({name: (theirs, mine)})}, and with PyTorch's it agrees"
    return ""


def _all_settings(clue: StepClue) -> str:
    differing = _differing(clue)
    theirs = {name: pair[0] for name, pair in differing.items()}
    if len(differing) < 2 or not clue.agrees(partial(_with, clue, **theirs)):
        return ""
    return f"{_in_words(differing)}, and with PyTorch's it agrees"


def _in_words(differing: Mapping[str, tuple[Any, Any]]) -> str:
    return "; ".join(
        f"{name} is {theirs:.6g} in PyTorch, {mine:.6g} in Keras" for name, (theirs, mine) in differing.items()
    )


def _each_by_itself(clue: StepClue) -> str:
    norm = _mine(clue).get("clipnorm")
    if not norm or not clue.agrees(partial(_with, clue, clipnorm=None, global_clipnorm=norm)):
        return ""
    return (
        f"clipnorm={norm:g} clips each gradient by itself, clip_grad_norm_ all together: with global_clipnorm={norm:g} "
        "it agrees"
    )


def _divisor(clue: StepClue) -> str:
    settings = _mine(clue)
    norm = settings.get("global_clipnorm") or settings.get("clipnorm")
    if not norm or not clue.agrees(partial(_clip, clue, norm)):
        return ""
    return (
        "clip_grad_norm_ divides by the norm of all gradients + 1e-6, and so clipped "
        "(keras_blitz.optim.clip_grad_norm_) it agrees"
    )


def _clip(clue: StepClue, norm: float) -> keras.optimizers.Optimizer:
    made = _with(clue, clipnorm=None, global_clipnorm=None)
    own = type(made)

    def apply(self: Any, grads: Any, trainable_variables: Any = None) -> Any:
        return own.apply(self, optim.clip_grad_norm_(grads, norm)[0], trainable_variables)

    made.__class__ = type(own.__name__, (own,), {"apply": apply, "__module__": __name__})
    return made


def _unclipped(clue: StepClue) -> str:
    clips = {name: value for name in ("clipnorm", "global_clipnorm", "clipvalue") if (value := _mine(clue).get(name))}
    if not clips or not clue.agrees(partial(_with, clue, **dict.fromkeys(clips))):
        return ""
    return f"Keras's clips ({', '.join(f'{name}={value:g}' for name, value in clips.items())}), and without it agrees"


def _accumulate(clue: StepClue) -> str:
    every = _mine(clue).get("gradient_accumulation_steps")
    if not every or not clue.agrees(partial(_with, clue, gradient_accumulation_steps=None)):
        return ""
    return f"Keras's updates once in {every} steps (gradient_accumulation_steps), and without that it agrees"


def _constrain(clue: StepClue) -> str:
    """A constraint of Keras's changes a weight after each step."""
    held = [(v, v.constraint) for members in clue.members for v in members if v.constraint is not None]
    try:
        for variable, _ in held:
            variable.constraint = None
        if not held or not clue.agrees(clue.copy):
            return ""
    finally:
        for variable, constraint in held:
            variable.constraint = constraint
    name = type(held[0][1]).__name__
    return f"Keras's {name} constrains {held[0][0].path} after each step, and without its constraints it agrees"


def _undecayed(clue: StepClue) -> list[Any]:
    """Return the Keras variables of the parameters without weight decay, where there are others."""
    decays = [bool(group.get("weight_decay")) for group in clue.groups]
    each = zip(decays, clue.members, strict=True)
    return [variable for decay, members in each if not decay for variable in members] if any(decays) else []


def _groups(clue: StepClue) -> str:
    """PyTorch's groups without weight decay, which Keras decays too."""
    excluded = _undecayed(clue)
    if not excluded or not clue.agrees(partial(_excluding, clue, excluded)):
        return ""
    more = f" and {len(excluded) - 1} more" if len(excluded) > 1 else ""
    return (
        "PyTorch does not decay all parameters, and with exclude_from_weight_decay for the others "
        f"({excluded[0].path}{more}) Keras's agrees"
    )


def _excluding(clue: StepClue, excluded: Sequence[Any]) -> keras.optimizers.Optimizer:
    made = clue.copy()
    _plain(made).weight_decay = max(group.get("weight_decay", 0.0) for group in clue.groups)
    _plain(made).exclude_from_weight_decay(var_list=list(excluded))
    return made


# The gap of a rule, by PyTorch's class; the first whose setting PyTorch has, "" fits always.
RULES = (
    ("opt-maximize", "", "maximize"),
    ("opt-adam-weight-decay", "Adam", "weight_decay"),
    ("opt-adam-amsgrad", "Adam", "amsgrad"),
    ("opt-adam-eps-position", "Adam", ""),
    ("opt-adam-eps-position", "AdamW", ""),
    ("opt-sgd-dampening", "SGD", "dampening"),
    ("opt-sgd-weight-decay", "SGD", "weight_decay"),
    ("opt-sgd-nesterov", "SGD", "nesterov"),
    ("opt-sgd-momentum", "SGD", "momentum"),
    ("opt-rmsprop-momentum-centered", "RMSprop", "centered"),
    ("opt-rmsprop-momentum-centered", "RMSprop", "momentum"),
    ("opt-rmsprop", "RMSprop", ""),
    ("opt-adagrad", "Adagrad", ""),
    ("opt-adadelta", "Adadelta", ""),
    ("opt-adamax", "Adamax", ""),
    ("opt-nadam", "NAdam", ""),
)


def _gap_of(clue: StepClue) -> str:
    fits = (
        gap for gap, cls, setting in RULES if cls in ("", clue.theirs) and (not setting or clue.groups[0].get(setting))
    )
    return next(fits, "")


def _rule(clue: StepClue, gap: str) -> str:
    """PyTorch's update from Keras's settings, then from its own."""
    if _gap_of(clue) != gap or "lr" in _plain(clue.copy()).get_config() or not hasattr(optim, clue.theirs):
        return ""
    others = [name for group in clue.groups for name in _others(group, clue.groups[0])]
    others = [] if set(others) == {"weight_decay"} and _decays_alike(clue) else others
    grouped = f" and with its parameter groups ({', '.join(dict.fromkeys(others))})" if others else ""
    said = f"by PyTorch's rule, which keras_blitz.optim.{clue.theirs} has,{grouped} it agrees"
    if clue.agrees(partial(_ruled, clue, _mine(clue))):
        return said
    differing = _differing(clue)
    if differing and clue.agrees(partial(_ruled, clue, _theirs(clue))):
        return f"{_in_words(differing)}; with PyTorch's and {said}"
    return ""


def _decays_alike(clue: StepClue) -> bool:
    """Whether Keras's optimizer excludes from weight decay what PyTorch's groups do."""
    made = _plain(clue.copy())
    each = [(v, bool(group["weight_decay"])) for group, m in zip(clue.groups, clue.members, strict=True) for v in m]
    return all(keras_internals.decays(made, variable) == decays for variable, decays in each)


def _ruled(clue: StepClue, settings: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """Return keras_blitz's optimizer of PyTorch's class, with these settings and otherwise with PyTorch's own."""
    cls, first = getattr(optim, clue.theirs), clue.groups[0]
    given = {name: _setting(name, settings, first) for name in signature(cls).parameters if name in first}
    rows = [
        (parameter_name(variable), own)
        for group, members in zip(clue.groups, clue.members, strict=True)
        if (own := _others(group, first))
        for variable in members
    ]
    return cls(**given, groups=rows)


def _others(group: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a group sets otherwise than the first."""
    return {name: value for name, value in group.items() if value != first[name]}


def _setting(name: str, settings: Mapping[str, Any], theirs: Mapping[str, Any]) -> Any:
    if name == "betas":
        return tuple(settings.get(f"beta_{k}", theirs[name][k - 1]) for k in (1, 2))
    return settings.get(SETTINGS.get(name, name), theirs[name])


def rows() -> Iterator[Hint]:
    """Return the reasons in the order in which they are tried: a single setting before another rule."""
    yield Hint("", _one_setting)
    yield Hint("clip-grad-norm-each", _each_by_itself)
    yield Hint("clip-grad-norm", _divisor)
    yield Hint("", _unclipped)
    yield Hint("", _accumulate)
    yield Hint("", _constrain)
    yield Hint("opt-param-groups", _groups)
    yield Hint("", _all_settings)
    yield from (Hint(gap, partial(_rule, gap=gap)) for gap in dict.fromkeys([*(gap for gap, _, _ in RULES), ""]))


HINTS = tuple(rows())
