"""A copy of a user's Keras model in a given precision; the model itself stays as it is."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.saving.serialization_lib import SafeModeScope

from keras_blitz.errors import BlitzError, one_line
from keras_blitz.floatx import precision
from parity.core.trace import named_inputs, named_outputs


class NotRebuiltError(BlitzError):
    """A model that cannot be had in this precision."""


def rebuilt(model: Any, dtype: str, run: Callable[[Any], Any]):
    """Return a copy of a model with the same weights, in this precision.

    Args:
        model: a Keras model, or a function dtype -> model.
        dtype: "float32" or "float64".
        run: calls a model once, so that it is built.

    Raises:
        NotRebuiltError: its configuration does not allow it.
    """
    if not isinstance(model, keras.Layer):
        if not callable(model):
            raise BlitzError(
                f"keras_model must be a Keras model, or a function dtype -> model, not {type(model).__name__}"
            )
        with precision(dtype):
            made = model(dtype)
            if not isinstance(made, keras.Layer):
                raise BlitzError(f"keras_model({dtype!r}) returned a {type(made).__name__}, not a Keras model")
            run(made)
        return made
    try:
        copy = _from_configuration(model, dtype)
        with precision(dtype):
            run(copy)
        if not is_functional(model):
            expected = run(model)  # builds it, if it was not
            copy.set_weights(model.get_weights())
            _check_same(expected, run(copy))
        else:
            copy.set_weights(model.get_weights())
    except NotRebuiltError:
        raise
    except Exception as error:  # a user's own constructor or get_config may raise anything
        raise NotRebuiltError(one_line(error)) from None
    wrong = [v.path for v in copy.weights if str(v.dtype).startswith("float") and v.dtype != dtype]
    if wrong:
        raise NotRebuiltError(f"its constructor makes {wrong[0]} in another type than {dtype}")
    return copy


def _check_same(one, other) -> None:
    """Raise where a copy does something else: its configuration does not say all of the original."""
    for (name, a), (_, b) in zip(named_outputs(one), named_outputs(other), strict=True):
        a, b = (np.asarray(keras.ops.convert_to_numpy(value)) for value in (a, b))
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-2, atol=1e-3 * np.abs(a).max(initial=0)):
            raise NotRebuiltError(f"a copy made from it returns another {name}")


def _from_configuration(model, dtype: str):
    layers = [model, *model._flatten_layers(include_self=False)]
    own = {type(layer).__name__: type(layer) for layer in layers}
    own |= {f.__name__: f for layer in layers if inspect.isfunction(f := getattr(layer, "activation", None))}
    own = {name: value for name, value in own.items() if not value.__module__.startswith("keras.src")}
    # A Lambda's function is taken as it is: its code alone would lack the names it uses.
    functions = {f"{layer.name}/function": layer.function for layer in layers if isinstance(layer, keras.layers.Lambda)}
    with precision(dtype), SafeModeScope(False):  # the user's own code, in the user's own process
        if not is_functional(model) and not isinstance(model, keras.Sequential):
            with keras.saving.custom_object_scope(own | functions):
                return _copied(model, dtype, {})
        document = keras.saving.serialize_keras_object(model)
        document.pop("compile_config", None)
        objects = own | functions
        return keras.saving.deserialize_keras_object(_typed(document, dtype), custom_objects=objects, safe_mode=False)


def _copied(layer, dtype: str, done: dict[int, Any]):
    """Return the copy of a layer; one that is in two places stays one.

    A layer of Keras, and whatever has a `get_config` of its own, is made of its configuration. The default one of a
    subclassed model has the constructor's defaults in place of what was given, so that model is copied attribute by
    attribute.
    """
    if id(layer) not in done:
        kept = type(layer).get_config not in (keras.Model.get_config, keras.layers.Layer.get_config)
        if kept or is_functional(layer) or isinstance(layer, keras.Sequential):
            done[id(layer)] = type(layer).from_config(_typed(layer.get_config(), dtype))
        else:
            done[id(layer)] = _of_attributes(layer, dtype, done)
    return done[id(layer)]


def _of_attributes(layer, dtype: str, done: dict[int, Any]):
    base = keras.Model if isinstance(layer, keras.Model) else keras.layers.Layer
    copy = type(layer).__new__(type(layer))
    base.__init__(copy, name=layer.name, dtype=dtype)
    done[id(layer)] = copy
    usual = set(vars(copy))

    def of(value):
        if isinstance(value, keras.layers.Layer):
            return _copied(value, dtype, done)
        if isinstance(value, keras.Variable):
            kind = dtype if str(value.dtype).startswith("float") else value.dtype
            return copy.add_weight(shape=value.shape, dtype=kind, trainable=value.trainable, name=value.name)
        if isinstance(value, Mapping):
            return {key: of(each) for key, each in value.items()}
        if isinstance(value, list):
            return [of(each) for each in value]
        return tuple(map(of, value)) if type(value) is tuple else value

    for name, value in vars(layer).items():
        if name not in usual and not name.startswith("_self_"):
            setattr(copy, name, of(value))
    if layer.built and type(layer).build not in (base.build, keras.layers.Layer.build):
        copy.built = True  # what its own `build` makes has been copied
    copy.trainable = layer.trainable
    return copy


def _typed(config: Any, dtype: str) -> Any:
    """Return a configuration with each floating-point type replaced, and each Lambda's function by name."""
    if isinstance(config, list | tuple):
        return type(config)(_typed(value, dtype) for value in config)
    if not isinstance(config, Mapping):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {**config["config"], "name": dtype}}
    found = {key: _typed(value, dtype) for key, value in config.items()}
    if str(config.get("dtype")).startswith("float"):
        found["dtype"] = dtype
    if config.get("class_name") == "Lambda":
        name = f"{config['config']['name']}/function"
        found["config"]["function"] = {"module": "builtins", "class_name": "function", "config": name}
        found["config"]["function"]["registered_name"] = name
    return found


@contextmanager
def borrowed(model) -> Iterator[Any]:
    """Use a model itself for a block, and give its weights back as they were."""
    before = [variable.numpy() for variable in model.variables]
    trainable = [variable.trainable for variable in model.variables]
    try:
        yield model
    finally:
        for variable, value, was in zip(model.variables, before, trainable, strict=True):
            variable.assign(value)
            variable.trainable = was


def is_functional(model) -> bool:
    """Whether a model has its inputs declared."""
    return bool(getattr(model, "inputs", None))


def ordered_names(model, inputs) -> dict[str, tuple | None]:
    """Return, in the order the model takes its inputs, their names in the trace, with the declared shapes if any.

    Raises:
        BlitzError: the model takes another number of inputs.
    """
    names = [name for name, _ in named_inputs(inputs)]
    if not is_functional(model):
        return dict.fromkeys(names)
    declared = {tensor.name: tuple(tensor.shape) for tensor in model.inputs}
    if len(declared) != len(names):
        raise BlitzError(
            f"{len(names)} inputs were given, the Keras model takes {len(declared)}: {', '.join(declared)}"
        )
    if isinstance(inputs, Mapping) and {f"input:{name}" for name in declared} == set(names):
        return {f"input:{name}": shape for name, shape in declared.items()}
    return dict(zip(names, declared.values(), strict=True))


def caller(inputs) -> Callable[[Any, list, bool], Any]:
    """Return (model, tensors in the trace's order, training) -> output, for inputs of this structure."""
    names = [name for name, _ in named_inputs(inputs)]

    def call(model, tensors: list, training: bool):
        by_name = dict(zip(names, tensors, strict=True))
        mode = {"training": training}
        if is_functional(model):
            given = [by_name[name] for name in ordered_names(model, inputs)]
            struct = getattr(model, "_inputs_struct", None)
            return model(given[0] if struct is None else keras.tree.pack_sequence_as(struct, given), **mode)
        takes = [p for p in inspect.signature(model.call).parameters.values() if p.name not in ("training", "mask")]
        any_number = any(p.kind is p.VAR_POSITIONAL for p in takes)
        if isinstance(inputs, Mapping):
            given = {name.removeprefix("input:"): tensor for name, tensor in by_name.items()}
            return model(**given, **mode) if set(given) <= {p.name for p in takes} else model(given, **mode)
        if len(tensors) == 1 or any_number or len(takes) >= len(tensors):
            return model(*tensors, **mode)
        return model(tuple(tensors), **mode)

    return call
