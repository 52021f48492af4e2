"""A copy of a user's Keras model in a given precision; the model itself stays as it is."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError, one_line
from parity.core.modes import PRECISIONS
from parity.core.trace import named_outputs
from parity.pair.feed import is_functional
from parity.pair.policy import copy_rounding, policies, running_in


class NotRebuiltError(BlitzError):
    """A model that cannot be had in this precision."""


def rebuilt(model: Any, dtype: str, run: Callable[[Any], Any]):
    """Return a copy of a model with the same weights, in this precision.

    Args:
        model: a Keras model, or a function dtype -> model.
        dtype: a name in `PRECISIONS`.
        run: calls a model once, so that it is built.

    Raises:
        NotRebuiltError: its configuration does not allow it.
    """
    if not isinstance(model, keras.Layer):
        if not callable(model):
            raise BlitzError(
                f"keras_model must be a Keras model, or a function dtype -> model, not {type(model).__name__}"
            )
        with running_in(dtype):
            made = model(dtype)
            if not isinstance(made, keras.Layer):
                raise BlitzError(f"keras_model({dtype!r}) returned a {type(made).__name__}, not a Keras model")
            run(made)
        return made
    try:
        copy = _from_configuration(model, dtype)
        with running_in(dtype):
            run(copy)
        expected = run(model)  # builds it, if it was not
        copy.set_weights(model.get_weights())
        if not PRECISIONS[dtype].is_reduced:  # its own rounding is larger than what would tell
            _check_same(expected, run(copy), copy_rounding(model))
    except NotRebuiltError:
        raise
    except Exception as error:  # a user's own constructor or get_config may raise anything
        raise NotRebuiltError(one_line(error)) from None
    held = PRECISIONS[dtype].variable
    wrong = [v.path for v in copy.weights if "float" in v.dtype and v.dtype != held]
    if wrong:
        raise NotRebuiltError(f"its constructor makes {wrong[0]} in another type than {held}")
    if PRECISIONS[dtype].is_reduced and policies(copy) != [dtype]:
        raise NotRebuiltError(f"its constructor makes layers of another policy than {dtype}")
    return copy


def _check_same(one, other, rounding: float) -> None:
    """Raise where a copy does something else: its configuration does not say all of the original."""
    for (name, a), (_, b) in zip(named_outputs(one), named_outputs(other), strict=True):
        a, b = (np.asarray(keras.ops.convert_to_numpy(value)) for value in (a, b))
        if a.shape != b.shape or not np.allclose(a, b, rtol=rounding, atol=rounding / 10 * np.abs(a).max(initial=0)):
            raise NotRebuiltError(f"a copy made from it returns another {name}")


def _from_configuration(model, dtype: str):
    layers = keras_internals.inner_layers(model, itself=True)
    own: dict[str, Any] = {type(layer).__name__: type(layer) for layer in layers}
    own |= {f.__name__: f for layer in layers if inspect.isfunction(f := getattr(layer, "activation", None))}
    own = {name: value for name, value in own.items() if not keras_internals.is_own(value)}
    # A Lambda's function is taken as it is: its code alone would lack the names it uses.
    functions = {f"{layer.name}/function": layer.function for layer in layers if isinstance(layer, keras.layers.Lambda)}
    with running_in(dtype), keras_internals.unsafe_loading():  # the user's own code, in the user's own process
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
    cls: Any = type(layer)
    copy = cls.__new__(cls)
    base.__init__(copy, name=layer.name, dtype=dtype)
    done[id(layer)] = copy
    usual = set(vars(copy))

    def of(value):
        if isinstance(value, keras.layers.Layer):
            return _copied(value, dtype, done)
        if isinstance(value, keras.Variable):
            kind = PRECISIONS[dtype].variable if "float" in value.dtype else value.dtype
            return copy.add_weight(shape=value.shape, dtype=kind, trainable=value.trainable, name=value.name)
        if isinstance(value, Mapping):
            return {key: of(each) for key, each in value.items()}
        if isinstance(value, list):
            return [of(each) for each in value]
        if isinstance(value, tuple):  # TensorFlow's wrapper of one, too
            made = map(of, value)
            return value.__class__(*made) if hasattr(value, "_fields") else tuple(made)
        return value

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
        found["dtype"] = PRECISIONS[dtype].arrays  # of an Input
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


def fresh_optimizer(optimizer: Any) -> keras.optimizers.Optimizer:
    """Return a new optimizer of the same settings.

    Args:
        optimizer: an optimizer, or () -> optimizer.
    """
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        return optimizer()
    # np.float64, because Keras passes a Python float through float32.
    config = {k: np.float64(_meant(v)) if isinstance(v, float) else v for k, v in optimizer.get_config().items()}
    return type(optimizer).from_config(config)


def _meant(value: float) -> float:
    """Return 0.1 for the 0.10000000149 that a float32 variable, such as the learning rate's, has made of it."""
    rounded = np.float32(value)
    return float(str(rounded)) if float(rounded) == value else value


def lists_slots(optimizers: tuple[Any, Any] | None) -> bool:
    """Whether the Keras optimizer of a pair says which parameter a slot is of, as keras_blitz's do."""
    return optimizers is not None and hasattr(fresh_optimizer(optimizers[1]), "slots")


def fresh_loss(loss: Any) -> Any:
    """Return a loss that takes its type from Keras's floatx of now, where it is a Keras loss."""
    return type(loss).from_config(loss.get_config()) if isinstance(loss, keras.losses.Loss) else loss
