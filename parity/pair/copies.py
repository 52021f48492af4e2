"""A user's Keras model for each precision: the model itself, borrowed, or a copy of it."""

import inspect
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError, one_line
from parity.core.modes import PRECISIONS
from parity.core.trace import named_outputs
from parity.pair import attributes
from parity.pair.cloned import cloned, configuration, is_graph
from parity.pair.guard import guarded
from parity.pair.policy import copy_rounding, policies, running_in
from parity.record.memory import held


class NotRebuiltError(BlitzError):
    """A model that cannot be copied in this precision."""


def made(function: Callable[[str], Any], dtype: str, run: Callable[[Any], Any]) -> Any:
    """Return the model that a user's function makes for this precision, built.

    Args:
        function: dtype -> model.
        dtype: a name in `PRECISIONS`.
        run: calls a model once.

    Raises:
        BlitzError: it is not a function, or it returns something else.
    """
    if not callable(function):
        raise BlitzError(
            f"keras_model must be a Keras model, or a function dtype -> model, not {type(function).__name__}"
        )
    if isinstance(function, type):
        raise BlitzError(
            f"keras_model must be a Keras model, or a function dtype -> model; {function.__name__} is a class"
        )
    with running_in(dtype):
        model = _called(function, dtype)
        if not isinstance(model, keras.Layer):
            raise BlitzError(
                f"keras_model({dtype!r}) returned a {type(model).__name__}, not a Keras model; for an exported file "
                "use parity.check_export"
            )
        run(model)
    if PRECISIONS[dtype].is_reduced and policies(model) != [dtype]:
        raise BlitzError(f"keras_model({dtype!r}) returned a model of another precision")
    return model


def _called(function: Callable[[str], Any], dtype: str) -> Any:
    """Return what the user's function makes.

    Raises:
        BlitzError: it raises, or takes no dtype.
    """
    takes: Collection[str] = ("dtype",)
    try:
        takes = inspect.signature(function).parameters
        inspect.signature(function).bind(dtype)
    except TypeError as error:
        raise BlitzError(
            f"the function keras_model is called with a dtype, keras_model({dtype!r}), and does not take it ({error}): "
            "give the model itself, or a function dtype -> model"
        ) from error
    except ValueError:  # a function of C tells no signature
        pass
    try:
        return guarded(f"the function keras_model({dtype!r})", function, dtype)
    except BlitzError as error:
        if "dtype" in takes:
            raise
        name = getattr(function, "__name__", "function")
        raise BlitzError(
            f"{error} (a function is called with a dtype; if it takes none, give its model, {name}())"
        ) from error


def rebuilt(model: keras.Layer, dtype: str, run: Callable[[Any], Any], weights: list[np.ndarray] | None = None) -> Any:
    """Return a copy of a model in this precision: with the same weights, settings and frozen layers.

    Whether it does what the model does is another question, which `parity.pair.proof` answers.

    Args:
        model: a Keras model.
        dtype: a name in `PRECISIONS`.
        run: calls a model once, so that it is built.
        weights: what `get_weights` returned before the model was used; by default those that it has.

    Raises:
        NotRebuiltError: its configuration does not allow it.
    """
    copy = _fill(model, dtype, run, weights)
    held = PRECISIONS[dtype].variable
    wrong = [v.path for v in copy.weights if "float" in v.dtype and v.dtype != held]
    if wrong:
        raise NotRebuiltError(f"its constructor makes {wrong[0]} in another type than {held}")
    if PRECISIONS[dtype].is_reduced and policies(copy) != [dtype]:
        raise NotRebuiltError(f"its constructor makes layers of another policy than {dtype}")
    return copy


def _fill(model, dtype: str, run: Callable[[Any], Any], weights: list[np.ndarray] | None = None) -> Any:
    """Return a copy in this precision, "" for the types that the model's layers have, with its weights and settings."""
    reason = ""
    for way in [_from_configuration, *([_layer_by_layer] if is_graph(model) else [])]:
        try:
            with warnings.catch_warnings(action="ignore"):  # Keras warns of layers without `build`; the proof judges
                copy = way(model, dtype)
            with running_in(dtype or _usual_precision(model)):
                run(copy)
            if not model.built:
                run(model)
            copy.set_weights(model.get_weights() if weights is None else weights)
            _carry_over(model, copy)
            return copy
        except Exception as error:  # a user's own constructor or get_config may raise anything
            reason = one_line(error)
    raise NotRebuiltError(reason)


def _usual_precision(model) -> str:
    return min(policies(model), default="float32")


def in_float32(model: keras.Layer, run: Callable[[Any], Any]) -> Any:
    """Return a float32 copy of a model of reduced or mixed precision.

    The model rounds so coarsely that a comparison with it proves little. So one more copy is made, of the same
    configuration but with the types that the model has: it must return the model's outputs to the last bit.

    Raises:
        NotRebuiltError: its configuration does not allow it, or a copy returns something else.
    """
    copy, same = rebuilt(model, "float32", run), _fill(model, "", run)
    try:
        expected, again, repeated, actual = (_outputs(run(each)) for each in (model, model, same, copy))
    except Exception as error:  # a user's own layer may raise anything
        raise NotRebuiltError(one_line(error)) from None
    rounding = copy_rounding(model)
    for name, value in expected.items():
        size = np.abs(value).max(initial=0)
        spread = np.abs(value - again[name]).max(initial=0)  # 0, but for sums that are added in an order by chance
        if not (
            _are_close(value, repeated[name], 0.0, 4 * spread)
            and _are_close(value, actual[name], rounding, rounding / 10 * size)
        ):
            raise NotRebuiltError(f"a copy made from it returns another {name}")
    return copy


def _outputs(output: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(keras.ops.convert_to_numpy(each), "float64") for name, each in named_outputs(output)}


def _are_close(one: np.ndarray, other: np.ndarray, rtol: float, atol: float) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol, atol)


def _carry_over(model, copy) -> None:
    """Give a copy what was set after construction: settings, and what is frozen.

    A configuration may lack these, as that of a layer that says its constructor's arguments alone.
    """
    usual = {*vars(keras.Model()), "stop_training"} - {"name"}  # what Keras sets itself, such as `compiled`
    for one, other in zip(*(keras_internals.inner_layers(each, itself=True) for each in (model, copy)), strict=False):
        if type(one) is not type(other):
            return  # another structure, which the proof finds
        for name, value in vars(one).items():
            known = vars(other).get(name)
            if name in usual or name.startswith("_") or attributes.are_same(value, known):
                continue
            if attributes.is_setting(value) and attributes.is_setting(known):
                keras_internals.set_untracked(other, name, attributes.in_type_of(value, known))
        if other.trainable != one.trainable:
            other.trainable = one.trainable
        if isinstance(other, keras.layers.Normalization):
            other.finalize_state()  # which computes what it subtracts from the weights
    for one, other in zip(model.variables, copy.variables, strict=False):
        if other.trainable != one.trainable:
            other.trainable = one.trainable


def _layer_by_layer(model, dtype: str):
    """Return a copy of a functional or Sequential model, of copies of its layers."""
    with running_in(dtype or _usual_precision(model)), _known_names(model):
        return _clone(model, dtype, {})


def _clone(model, dtype: str, done: dict[int, Any]):
    def copied(layer):
        return _clone(layer, dtype, done) if is_graph(layer) else _copy(layer, dtype, done)

    if id(model) not in done:
        done[id(model)] = cloned(model, dtype, copied)
    return done[id(model)]


@contextmanager
def _known_names(model) -> Iterator[dict[str, Any]]:
    """Let Keras find the user's own classes and functions by their names in a block."""
    layers = keras_internals.inner_layers(model, itself=True)
    own: dict[str, Any] = {type(layer).__name__: type(layer) for layer in layers}
    own |= {f.__name__: f for layer in layers if inspect.isfunction(f := getattr(layer, "activation", None))}
    own = {name: value for name, value in own.items() if not keras_internals.is_own(value)}
    # A Lambda's function is taken as it is: its code alone would lack the names it uses.
    functions = {f"{layer.name}/function": layer.function for layer in layers if isinstance(layer, keras.layers.Lambda)}
    with keras_internals.unsafe_loading(), keras.saving.custom_object_scope(own | functions):  # the user's own code
        yield own | functions


def _from_configuration(model, dtype: str):
    with running_in(dtype or _usual_precision(model)), _known_names(model) as objects:
        if not is_graph(model):
            return _copy(model, dtype, {})
        document = keras.saving.serialize_keras_object(model)
        document.pop("compile_config", None)
        return keras.saving.deserialize_keras_object(_cast(document, dtype), custom_objects=objects, safe_mode=False)


def _copy(layer, dtype: str, done: dict[int, Any]):
    """Return the copy of a layer; one that is in two places stays one.

    A layer of Keras, and whatever has a `get_config` of its own, is made of its configuration. The default one of a
    subclassed model has the constructor's defaults in place of what was given, so that model is copied attribute by
    attribute.
    """
    if id(layer) not in done:
        kept = type(layer).get_config not in (keras.Model.get_config, keras.layers.Layer.get_config)
        if is_graph(layer):
            done[id(layer)] = _graph_copied(layer, dtype, done)
        elif isinstance(layer, keras.layers.Lambda):  # whose `from_config` takes the function's code alone
            done[id(layer)] = type(layer)(**{**configuration(layer), "dtype": dtype or layer.dtype_policy})
        elif kept:
            done[id(layer)] = type(layer).from_config(_cast(configuration(layer), dtype))
        else:
            done[id(layer)] = _of_attributes(layer, dtype, done)
    return done[id(layer)]


def _graph_copied(model, dtype: str, done: dict[int, Any]):
    """Return the copy of a model inside a model: of its configuration, else layer by layer."""
    try:
        return type(model).from_config(_cast(model.get_config(), dtype))
    except Exception:  # of the user's own code
        return _clone(model, dtype, done)


def _of_attributes(layer, dtype: str, done: dict[int, Any]):
    base = keras.Model if isinstance(layer, keras.Model) else keras.layers.Layer
    cls: Any = type(layer)
    copy = cls.__new__(cls)
    base.__init__(copy, name=layer.name, dtype=dtype or layer.dtype_policy)
    done[id(layer)] = copy
    usual = set(vars(copy))

    def of(value):
        if isinstance(value, keras.layers.Layer):
            return _copy(value, dtype, done)
        if isinstance(value, keras.Variable):
            kind = PRECISIONS[dtype].variable if dtype and "float" in value.dtype else value.dtype
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


def _cast(config: Any, dtype: str) -> Any:
    """Return a configuration with each floating-point type replaced, but by "", and each Lambda's function by name."""
    if isinstance(config, list | tuple):
        return type(config)(_cast(value, dtype) for value in config)
    if not isinstance(config, Mapping):
        return config
    if dtype and config.get("class_name") == "DTypePolicy":
        return {**config, "config": {**config["config"], "name": dtype}}
    found = {key: _cast(value, dtype) for key, value in config.items()}
    if dtype and str(config.get("dtype")).startswith("float"):
        found["dtype"] = PRECISIONS[dtype].arrays  # of an Input
    if config.get("class_name") == "Lambda":
        name = f"{config['config']['name']}/function"
        found["config"]["function"] = {"module": "builtins", "class_name": "function", "config": name}
        found["config"]["function"]["registered_name"] = name
    return found


@contextmanager
def borrowed(model) -> Iterator[Any]:
    """Use a model itself for a block, and put back what it was: its variables and what is frozen.

    These are its weights, the states of its seeds and metrics, and its optimizer's, if it is compiled.
    """
    layers = keras_internals.inner_layers(model, itself=True)
    own = [getattr(layer, "optimizer", None) for layer in layers]
    optimizers = {id(each): each for each in own if isinstance(each, keras.optimizers.Optimizer)}
    variables = [*model.variables, *(v for optimizer in optimizers.values() for v in optimizer.variables)]
    frozen = [(layer, layer.trainable) for layer in layers]
    before = [(variable, held(variable), variable.trainable) for variable in variables]
    try:
        yield model
    finally:
        for layer, was in frozen:
            if layer.trainable != was:
                layer.trainable = was
        for variable, value, was in before:
            variable.assign(value)
            variable.trainable = was
