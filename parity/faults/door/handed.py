"""What a user hands to `parity.check`, and how one thing of it is made wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError


@dataclass(frozen=True)
class Handed:
    """The arguments of `parity.check`.

    Args:
        module: PyTorch's.
        model: Keras's.
        inputs: in PyTorch's layout.
        options: all other arguments, by name.
    """

    module: Any
    model: Any
    inputs: Any
    options: Mapping[str, Any] = field(default_factory=dict)


Change = Callable[[Handed], Handed]


def argument(**options: Any) -> Change:
    """Return what gives `parity.check` other arguments."""
    return lambda handed: replace(handed, options={**handed.options, **options})


def keras_loss(loss: Any) -> Change:
    """Return what gives Keras's side another loss."""
    return lambda handed: argument(loss=(handed.options["loss"][0], loss))(handed)


def keras_optimizer(make: Callable[[], Any]) -> Change:
    """Return what gives Keras's side another optimizer; `make` makes a new one for each check."""
    return lambda handed: argument(optimizer=(handed.options["optimizer"][0], make()))(handed)


def optimizer_set(**attributes: Any) -> Change:
    """Return what assigns to the Keras optimizer's attributes after it was made."""

    def change(handed: Handed) -> Handed:
        for name, value in attributes.items():
            setattr(handed.options["optimizer"][1], name, value)
        return handed

    return change


def keras_model(function: Callable[[Any], Any]) -> Change:
    """Return what hands over function(model) in place of the Keras model."""
    return lambda handed: replace(handed, model=function(handed.model))


def torch_module(function: Callable[[Any], Any]) -> Change:
    """Return what changes the PyTorch module in place: function(module)."""

    def change(handed: Handed) -> Handed:
        function(handed.module)
        return handed

    return change


def inputs(function: Callable[[Any], Any]) -> Change:
    """Return what hands over function(inputs)."""
    return lambda handed: replace(handed, inputs=function(handed.inputs))


def together(*changes: Change) -> Change:
    """Return several changes that make one mistake."""

    def change(handed: Handed) -> Handed:
        for each in changes:
            handed = each(handed)
        return handed

    return change


def inner(model: Any, name: str) -> Any:
    """Return the layer of this name, or else the first of a class of this name, also inside other layers.

    Raises:
        BlitzError: there is none, so a mistake would change nothing.
    """
    layers = list(keras_internals.inner_layers(model))
    for key in (lambda layer: layer.name, lambda layer: type(layer).__name__):
        for layer in layers:
            if key(layer) == name:
                return layer
    raise BlitzError(f"{model.name} has no layer {name!r} to plant a mistake in")


def attribute(name: str, **values: Any) -> Change:
    """Return what assigns to a layer's attributes after the model was made."""

    def change(model: Any) -> Any:
        for key, value in values.items():
            setattr(inner(model, name), key, value)
        return model

    return keras_model(change)


def configured(name: str, **config: Any) -> Change:
    """Return what builds the functional or Sequential model again with other arguments of one layer's constructor."""
    return replaced(name, with_config(**config))


def with_config(**config: Any) -> Callable[[Any], Any]:
    """Return what makes a layer of the same class, of some other arguments."""
    return lambda layer: type(layer).from_config({**layer.get_config(), **config})


def replaced(name: str, function: Callable[[Any], Any]) -> Change:
    """Return what builds the functional or Sequential model again with another layer, function(layer), in its place."""
    return rebuilt({name: function})


def rebuilt(functions: Mapping[str, Callable[[Any], Any]]) -> Change:
    """Return what builds the functional or Sequential model again with other layers: name -> function(layer)."""

    def change(model: Any) -> Any:
        targets = {id(inner(model, name)): function for name, function in functions.items()}

        def clone(layer: Any) -> Any:
            if isinstance(layer, keras.layers.Lambda):  # whose code a configuration may not hold
                return keras.layers.Lambda(layer.function, name=layer.name)
            return targets.get(id(layer), with_config())(layer)

        made = keras.models.clone_model(model, clone_function=clone)
        if [weight.shape for weight in made.weights] == [weight.shape for weight in model.weights]:
            made.set_weights(model.get_weights())
        return made

    return keras_model(change)


def dropped(name: str) -> Change:
    """Return what leaves a layer out of a functional or Sequential model."""
    return replaced(name, lambda layer: keras.layers.Identity())


def appended(make: Callable[[], Any]) -> Change:
    """Return what adds a layer after a Keras model of one input and output."""

    def change(model: Any) -> Any:
        return keras.Sequential([keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype), model, make()])

    return keras_model(change)


def prepended(make: Callable[[], Any]) -> Change:
    """Return what adds a layer before a Keras model of one input and output."""

    def change(model: Any) -> Any:
        return keras.Sequential([keras.Input(model.input_shape[1:], dtype=model.inputs[0].dtype), make(), model])

    return keras_model(change)
