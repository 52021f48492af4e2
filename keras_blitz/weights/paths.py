"""Which of PyTorch's modules a Keras layer is: its path, `layer1.0.conv1`."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from keras_blitz.weights import kinds


@dataclass(frozen=True)
class Place:
    """A layer that holds weights, and where.

    Args:
        path: PyTorch's module path, "" for the model itself.
        layer: Keras's.
        variables: those that are its own, and not of a layer inside it that has a place too.
    """

    path: str
    layer: Any
    variables: tuple[Any, ...]


def places(model: Any) -> list[Place]:
    """List the layers of a model that hold weights, however deep, in the order of PyTorch's `state_dict`.

    A layer's path is its name. Where Keras made the name (`dense_3`), it is the attribute that holds the layer
    (`self.fc1`, `self.blocks[0]`), or its position in a Sequential model whose layers have no other names. The path of
    a layer inside another layer or model starts with that one's, unless its name does already; one of Keras's own
    models inside that has neither a name nor an attribute adds nothing.

    Raises:
        BlitzError: two layers have the same path.
    """
    listed: dict[int, Place] = {}
    for place in _inside(model, ""):
        listed.setdefault(id(place.layer), place)  # a layer that is called in two places has one set of weights
    for path, count in Counter(place.path for place in listed.values()).items():
        if count > 1:
            raise BlitzError(f"{model.name}: {count} of its layers have the path {path!r}; give them other names")
    return list(listed.values())


def _inside(layer: Any, path: str) -> Iterator[Place]:
    """Yield the places in a layer or model, its own first."""
    inner = _children(layer)
    below = {id(variable) for each in inner for variable in each.weights}
    if own := tuple(variable for variable in layer.weights if id(variable) not in below):
        yield Place(path, layer, own)
    for each, name in zip(inner, _names(layer, inner), strict=True):
        yield from _inside(_unwrap(each), _join(path, name))


def _children(layer: Any) -> list[Any]:
    """Return the layers inside that PyTorch has as modules."""
    kind = kinds.of_keras(layer)
    if kind is not None and (kind.special or kind.whole):
        return []
    return [each for each in keras_internals.children(layer) if each.weights]


def _names(layer: Any, inner: list[Any]) -> Iterator[str]:
    """Yield the path of each inner layer within the layer."""
    import keras

    held = _attributes(layer)
    if isinstance(layer, keras.Sequential) and all(map(keras_internals.has_automatic_name, inner)):
        held |= {id(each): str(position) for position, each in enumerate(layer.layers)}
    for each in inner:
        made, bare = keras_internals.has_automatic_name(each), _unwrap(each)
        if made and bare is not each and id(each) not in held:
            made, each = keras_internals.has_automatic_name(bare), bare
        nameless = _children(each) and kinds.is_of_framework(type(each))  # a Sequential or functional model
        yield held.get(id(each), "" if nameless else each.name) if made else each.name


def _unwrap(layer: Any) -> Any:
    """Return the layer inside a TimeDistributed: PyTorch's layers take any number of axes by themselves."""
    import keras

    return layer.layer if isinstance(layer, keras.layers.TimeDistributed) else layer


def _attributes(layer: Any) -> dict[int, str]:
    """Return id of a layer -> the attribute that holds it, also in lists and dictionaries: `blocks.0`."""
    held: dict[int, str] = {}
    for name, value in vars(layer).items():
        if not name.startswith("_") or _is_layer(value):
            for path, each in _in_attribute(name, value):
                held.setdefault(id(each), path)
    return held


def _in_attribute(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if _is_layer(value):
        yield path, value
    elif isinstance(value, dict | list | tuple):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _in_attribute(f"{path}.{key}", each)


def _is_layer(value: Any) -> bool:
    import keras

    return isinstance(value, keras.Layer)


def _join(path: str, name: str) -> str:
    if not path or name.startswith(path + "."):
        return name
    return f"{path}.{name}" if name else path
