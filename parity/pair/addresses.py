"""How a layer inside a Keras model is addressed: by its name, or by the way to it, `block.left` or `layers.0.left`.

A copy gives inner layers that have no name of their own another one, `dense_7`; the way to them is the same.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from parity.pair import byhand
from parity.pair.feed import is_functional
from parity.record.keras_recorder import leaves


def lasting(model: Any, weights: Any) -> Any:
    """Return `weights=` with the ways to layers in place of their names, which hold in each copy of the model.

    Args:
        model: the user's own, or a function dtype -> model, whose names are taken as they are.
        weights: as `parity.check` takes it.
    """
    if not (isinstance(weights, Mapping) and isinstance(model, keras.Layer)):
        return weights
    ways = _ways(model)
    return _rename(model, weights, lambda layer: ways.get(id(layer)))


def unit_names(model: Any, weights: Mapping) -> dict:
    """Return `weights=` with the names of this model's units in place of the ways to their layers."""
    names = {id(layer): name for name, layer in leaves(model).items()}
    return _rename(model, weights, lambda layer: names.get(id(layer)))


def way_to(model: Any, name: str) -> str:
    """Return how a user can write the name of a unit: one that each copy of the model understands."""
    head, _, rest = name.partition("/")
    listed = {layer.name for layer in model.layers} if is_functional(model) else set()
    layers, ways = leaves(model), _ways(model)
    for known, after in ((name, ""), (head, rest)):
        if known in layers:
            way = known if known in listed else ways.get(id(layers[known]), known)
            return f"{way}/{after}" if after else way
    return name


def _rename(model: Any, weights: Mapping, name_of: Callable[[Any], str | None]) -> dict:
    layers = leaves(model)

    def of(address: str) -> str:
        head, _, rest = address.partition("/")  # "scale/gamma" is a weight of the layer "scale"
        for known, after in ((address, ""), (head, f"/{rest}")):
            name = name_of(layers.get(known) or _at(model, known))
            if name is not None:
                return name + after
        return address

    return byhand.renamed(weights, of)


def _ways(model: Any) -> dict[int, str]:
    """Return the way to each layer inside a model, by the layer's id; the first where there are several."""
    found: dict[int, str] = {}

    def walk(layer: Any, before: str) -> None:
        for step, child in _children(layer):
            if id(child) not in found:
                found[id(child)] = before + step
                walk(child, f"{before}{step}.")

    walk(model, "")
    return found


def _at(layer: Any, address: str) -> Any:
    """Return the layer that a way leads to, None where it leads nowhere."""
    for step, child in _children(layer):
        if address == step:
            return child
        if address.startswith(f"{step}.") and (found := _at(child, address[len(step) + 1 :])) is not None:
            return found
    return None


def _children(layer: Any) -> Iterator[tuple[str, Any]]:
    inner = layer.layers if isinstance(layer, keras.Model) else []
    yield from _held("layers", inner)  # before the names, which a copy may have others of
    yield from ((child.name, child) for child in inner)
    for name, value in vars(layer).items():
        if not name.startswith("_"):
            yield from _held(name, value)


def _held(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers that an attribute holds, also in lists and dictionaries."""
    if isinstance(value, keras.Layer):
        yield name, value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _held(f"{name}.{key}", each)
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _held(f"{name}.{number}", each)
