"""The attributes of a user's optimizer: which are settings that a copy gets, and which differ in a copy."""

import re
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# What Keras's own base class keeps of its state: its variables, and what it knows of those it was built with.
_STATE = frozenset({
    "built", "inner_optimizer", "_lock", "_tracker", "_variables", "_trainable_variables", "_iterations",
    "_learning_rate", "_distribution_strategy", "_trainable_variables_indices", "_exclude_from_weight_decay_cache",
})  # fmt: skip
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type, np.generic, np.ndarray, re.Pattern, tf.DType)
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, np.ufunc)
_VARIABLES = (keras.Variable, tf.Variable)
_SEQUENCES, _SETS = (list, tuple), (set, frozenset)


def copy_settings(optimizer: Any, made: Any, config: Mapping[str, Any]) -> None:
    """Set on a new optimizer what was set on the user's after it was constructed.

    Args:
        optimizer: the user's.
        made: a new one of its class, made from the configuration.
        config: what it was made from, whose numbers it has in its own precision.
    """
    for name, value in _attributes(optimizer):
        told = name in config and config[name] is value
        if _is_setting(value) and not told and not _same(vars(made).get(name, _MISSING), value, ((made, optimizer),)):
            bound = isinstance(value, MethodType) and value.__self__ is optimizer
            setattr(made, name, MethodType(value.__func__, made) if bound else value)


def lost(optimizer: Any, made: Any) -> list[str]:
    """Return the attributes of the user's optimizer that its copy does not have, in the order they were set.

    Variables that an optimizer is built with are its state. One that a new optimizer has before it is built, or that an
    optimizer has that was not built, is not: it is lost where its value differs.
    """
    found = []
    for name, value in _attributes(optimizer):
        other = vars(made).get(name, _MISSING)
        state = optimizer.built and _holds_variable(value) and not _holds_variable(other)
        if not state and not _same(other, value, ((made, optimizer),)):
            found.append(name)
    inner = getattr(optimizer, "inner_optimizer", None)
    return (
        found if inner is None else [*found, *(f"inner_optimizer.{name}" for name in lost(inner, made.inner_optimizer))]
    )


_MISSING = object()


def _attributes(optimizer: Any) -> Iterator[tuple[str, Any]]:
    for name, value in vars(optimizer).items():
        if name not in _STATE and not name.startswith("_self_"):  # TensorFlow's, of checkpoints
            yield name, value


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value, *value.values()]
    return list(value) if isinstance(value, _SEQUENCES + _SETS) else []


def _is_container(value: Any) -> bool:
    return isinstance(value, (Mapping, *_SEQUENCES, *_SETS))


def _is_setting(value: Any) -> bool:
    """Whether a value can be given to a copy: it holds no variable, and nothing that a step may change."""
    if _is_container(value):
        return all(map(_is_setting, _parts(value)))
    return isinstance(value, _PLAIN + _FUNCTIONS) or (tf.is_tensor(value) and not isinstance(value, _VARIABLES))


def _holds_variable(value: Any) -> bool:
    return isinstance(value, _VARIABLES) or any(map(_holds_variable, _parts(value)))


def _same(made: Any, given: Any, known: tuple[tuple[Any, Any], ...]) -> bool:
    """Whether a copy's attribute is what was given, but for the digits that float32 does not have.

    Args:
        made: the copy's.
        given: the user's.
        known: pairs of objects that are taken for the same: the two optimizers, and what is being compared.
    """
    if made is given or any(made is one and given is other for one, other in known):
        return True
    if isinstance(made, float) and isinstance(given, float):
        return bool(np.float32(given) == np.float32(made)) or (made != made and given != given)
    arrays = (np.ndarray, np.generic, *_VARIABLES)
    if any(isinstance(one, arrays) or tf.is_tensor(one) for one in (made, given)):
        return _same_numbers(made, given)
    if _is_container(given):
        return _same_parts(made, given, known)
    if type(made) is not type(given):
        return False
    known = (*known, (made, given))
    if isinstance(given, MethodType):
        return made.__func__ is given.__func__ and _same(made.__self__, given.__self__, known)
    if isinstance(given, FunctionType):
        cells = [[cell.cell_contents for cell in each.__closure__ or ()] for each in (made, given)]
        defaults = [[each.__defaults__, each.__kwdefaults__] for each in (made, given)]
        return made.__code__ is given.__code__ and _same(cells[0] + defaults[0], cells[1] + defaults[1], known)
    if type(given).__eq__ is not object.__eq__ or not hasattr(given, "__dict__"):
        return _equal(made, given)
    return _same(vars(made), vars(given), known)


def _same_numbers(made: Any, given: Any) -> bool:
    if made is _MISSING or made is None or given is None:
        return False
    one, other = np.asarray(made), np.asarray(given)
    if one.dtype.kind == other.dtype.kind == "f":
        return bool(np.array_equal(one.astype("float32"), other.astype("float32"), equal_nan=True))
    return bool(np.array_equal(one, other))


def _same_parts(made: Any, given: Any, known: tuple[tuple[Any, Any], ...]) -> bool:
    if isinstance(given, Mapping):
        return (
            isinstance(made, Mapping)
            and list(made) == list(given)
            and all(_same(made[key], given[key], known) for key in given)
        )
    if isinstance(given, _SETS):
        return isinstance(made, _SETS) and _equal(set(made), set(given))
    return (
        isinstance(made, _SEQUENCES)
        and len(made) == len(given)
        and all(_same(one, other, known) for one, other in zip(made, given, strict=True))
    )


def _equal(made: Any, given: Any) -> bool:
    try:
        return bool(made == given)
    except Exception:  # a user's own comparison may raise anything
        return False
