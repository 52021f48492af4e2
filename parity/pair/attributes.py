"""Attributes of a layer that say what it computes: numbers, texts, functions, and arrays of numbers."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from parity.core.modes import PRECISIONS, ulp

ROUNDINGS = 4  # of an array's coarser type: one made in another precision may differ by so many


def is_setting(value: Any) -> bool:
    """Whether a value can be given to a copy of a layer: one that holds no part of the layer, and names no type."""
    if isinstance(value, str):
        return value not in PRECISIONS
    if inspect.isfunction(value):
        return value.__closure__ is None  # which may hold the model's own layers
    return value is None or _is_numbers(value)


def are_same(one: Any, other: Any) -> bool:
    """Whether two attributes say the same; arrays are rounded, as each copy makes them in its own precision."""
    if one is other:
        return True
    if not is_setting(one):
        return False
    if not (_is_numbers(one) and _is_numbers(other)):
        return type(one) is type(other) and one == other
    try:
        keras.tree.assert_same_structure(one, other)
    except (TypeError, ValueError):
        return False
    return all(map(_are_equal, keras.tree.flatten(one), keras.tree.flatten(other)))


def in_type_of(value: Any, known: Any) -> Any:
    """Return a setting with the floating-point types that a copy has in its place."""
    if isinstance(value, Mapping):
        return {key: in_type_of(v, known.get(key) if isinstance(known, Mapping) else None) for key, v in value.items()}
    if isinstance(value, list | tuple):
        others = known if isinstance(known, list | tuple) and len(known) == len(value) else [None] * len(value)
        made = [in_type_of(*each) for each in zip(value, others, strict=True)]
        return made if isinstance(value, list) else tuple(made)
    if not (_is_array(value) and _is_array(known) and _type(value).startswith(_type(known)[:5])):
        return value
    return tf.cast(value, known.dtype) if tf.is_tensor(value) else np.asarray(value, _type(known))


def _is_numbers(value: Any) -> bool:
    """Whether a value is a number, an array of them, or a structure of both."""
    if isinstance(value, Mapping):
        return bool(value) and all(map(_is_numbers, value.values()))
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_numbers, value))
    return isinstance(value, int | float) or _is_array(value)


def _is_array(value: Any) -> bool:
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biufV"  # V: bfloat16
    return isinstance(value, tf.Tensor) and hasattr(value, "numpy") and value.dtype not in (tf.string, tf.resource)


def _type(value: Any) -> str:
    return keras.backend.standardize_dtype(value.dtype)


def _are_equal(one: Any, other: Any) -> bool:
    if not (_is_array(one) and _is_array(other)):
        return type(one) is type(other) and one == other
    a, b = (np.asarray(each).astype("float64") for each in (one, other))
    coarse = max(ulp(1.0, t) if "float" in (t := _type(each)) else 0.0 for each in (one, other))
    rounding = 0.0 if _type(one) == _type(other) else ROUNDINGS * coarse
    return a.shape == b.shape and bool(np.allclose(a, b, rounding, rounding * np.abs(a).max(initial=0), equal_nan=True))
