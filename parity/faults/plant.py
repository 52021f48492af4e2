"""Plants a mistake in the working port, and surely takes it out again."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import getattr_static
from typing import Any
from unittest import mock

from keras_blitz.errors import BlitzError
from keras_blitz.keras_internals import set_untracked
from parity.record import keras_recorder
from parity.record.keras_recorder import KerasRecorder
from parity.suite import networks


class Plant:
    """What a mistake is made with; all of it is undone when `planted` ends."""

    def __init__(self, undo: ExitStack):
        self._undo = undo

    def attribute(self, target: Any, name: str, value: Any) -> None:
        """Replace an attribute of a module, a class or an object."""
        self._undo.enter_context(mock.patch.object(target, name, value))

    def around(self, target: Any, name: str, function: Callable) -> None:
        """Replace a function, or a class's method: function(original, *arguments)."""
        original = getattr(target, name)
        self.attribute(target, name, lambda *args, **options: function(original, *args, **options))

    def arguments(self, cls: type, **changed: Any) -> None:
        """Give a class's constructor other arguments."""
        self.around(cls, "__init__", lambda init, self, **options: init(self, **(options | changed)))

    def network(self, change: Callable) -> None:
        """Change each network before it is recorded: change(model)."""

        def init(original, recorder, model, **options):
            change(model)
            original(recorder, model, **options)

        self.around(KerasRecorder, "__init__", init)

    def layer(self, name: str, **changes: Any) -> None:
        """Change a layer: a function becomes its method (layer, original, *arguments), anything else its attribute.

        Args:
            name: of the layer; "" is the network itself.
            changes: by the name of the method or attribute.
        """
        self.network(lambda model: _change(_layer(model, name), changes))

    def weights(self, change: Callable) -> None:
        """Change the list of the network's weights, `keras_blitz.weights.weights`: list -> list."""
        self.around(keras_recorder, "weights", lambda listed, model: change(listed(model)))

    def state(self, change: Callable) -> None:
        """Change the state_dict that is loaded: dictionary -> what is to replace in it."""
        self.around(keras_recorder, "load", lambda load, weights, state: load(weights, {**state, **change(state)}))

    def batch(self, change: Callable) -> None:
        """Change the batch: (inputs, target) -> (inputs, target), in PyTorch's layout."""

        def record(original, self, state, inputs, target=None, *rest):
            return original(self, state, *change(inputs, target), *rest)

        self.around(KerasRecorder, "record", record)

    def updates(self, change: Callable) -> None:
        """Change how gradients are applied: change(apply, gradients, variables, memory), the memory a dictionary."""

        def init(original, recorder, *args, **options):
            original(recorder, *args, **options)
            apply = recorder.optimizer.apply
            memory: dict[str, Any] = {}
            set_untracked(recorder.optimizer, "apply", lambda g, v: change(apply, list(g), list(v), memory))

        self.around(KerasRecorder, "__init__", init)


@contextmanager
def planted(plant: Callable[[Plant], None]) -> Iterator[None]:
    """Keep a mistake in the port for the block."""
    networks._recorder.cache_clear()  # a recorder made before would not have the mistake
    with ExitStack() as undo:
        undo.callback(networks._recorder.cache_clear)  # one made here would have it still
        plant(Plant(undo))
        yield


def together(*plants: Callable[[Plant], None]) -> Callable[[Plant], None]:
    """Return what plants several changes that make one mistake."""

    def plant_all(plant: Plant) -> None:
        for each in plants:
            each(plant)

    return plant_all


def in_layer(name: str, **changes: Any) -> Callable[[Plant], None]:
    """Return what changes a layer, see `Plant.layer`."""
    return lambda plant: plant.layer(name, **changes)


def _layer(model, name: str):
    found = model if not name else next((layer for layer in model.layers if layer.name == name), None)
    if found is None:
        raise BlitzError(f"{model.name} has no layer {name!r} to plant a mistake in")
    return found


def _change(layer, changes: dict[str, Any]) -> None:
    """Give one layer a class of its own, of the same name, because its class's name says what a layer is."""
    kind = type(layer)

    def method(name: str, function: Callable) -> Callable:
        original, static = getattr(kind, name), isinstance(getattr_static(kind, name), staticmethod)

        def changed(self, *args, **options):
            return function(self, original if static else partial(original, self), *args, **options)

        return changed

    methods = {name: method(name, value) for name, value in changes.items() if callable(value)}
    set_untracked(layer, "__class__", type(kind.__name__, (kind,), methods))
    for name in changes.keys() - methods.keys():
        set_untracked(layer, name, changes[name])
