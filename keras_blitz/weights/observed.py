"""Which layers' inputs were flattened from channels, observed in a run where a model has no graph that tells."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError, one_line
from keras_blitz.weights import kinds
from keras_blitz.weights.flow import flow, is_as_in_torch
from keras_blitz.weights.merging import merging
from keras_blitz.weights.paths import Place

Sizes = tuple[int, ...]

BATCH = 4  # so that a small layer's values do not have another's order by chance
SAMPLE = 4096  # of an array's values, to recognize it by


def flattened_inputs(model: Any, held: Sequence[Place]) -> Mapping[Any, Sizes]:
    """Return layer -> (H, W, C), for each layer whose input a Flatten made of channels last.

    Read from the graph of a functional or Sequential model. A subclassed model, or a graph with a Lambda that flattens,
    is run once on random values of the shape it was built with. A model may declare it instead, as
    `flattened_inputs = {"fc1": (H, W, C)}`.

    Args:
        model: a Keras model.
        held: its layers with weights, see `paths.py`.

    Raises:
        BlitzError: it cannot be seen what comes before a layer; loading would be silently wrong.
    """
    declared = getattr(model, "flattened_inputs", None)
    if declared is not None:
        named = {place.layer: (place.path, place.layer.name) for place in held}
        return {layer: declared[name] for layer, names in named.items() for name in names if name in declared}
    if merged := merging(model):
        raise BlitzError(
            f"{model.name}: {merged[0]} merges channels with another axis, which PyTorch has the other way round; move "
            "the channels before it as PyTorch does, Permute((2, 3, 1)), use parity.transfer, or declare in the class "
            "that the order is right, flattened_inputs = {}"
        )
    found = flow(model)
    asking = [place.layer for place in held if _depends(place.layer)]
    if found.complete or not asking or not _has_channels(model):
        return found.flattened_inputs
    origins = _observe(model, asking)
    for layer in asking:
        if layer not in origins:
            raise _unseen(
                model, layer, "it was not called in a run of the model, or what it was given is not of a layer"
            )
    return {layer: sizes for layer, sizes in origins.items() if sizes}


def _depends(layer: Any) -> bool:
    """Whether a layer has weights whose order is that of the features it is given."""
    kind = kinds.of_keras(layer)
    return (kind is None and not keras_internals.children(layer)) or (kind is not None and kind.flatten != "starts")


def _has_channels(model: Any) -> bool:
    """Whether there is anything to flatten: an input, a kernel or a layer of more axes than features have."""
    inner = keras_internals.inner_layers(model)
    deep = any(len(variable.shape) > 2 for variable in model.weights)
    shapes = any(len(shape) > 2 for shape in _shapes(model).values())
    return deep or shapes or any(type(layer).__name__ in ("Flatten", "Reshape", "Permute", "Lambda") for layer in inner)


def _shapes(model: Any) -> dict[str, tuple[Any, ...]]:
    """Return the shapes of a model's inputs by their names: declared, or of the call that built it."""
    if keras_internals.has_graph(model):
        return {tensor.name: tensor.shape for tensor in model.inputs}
    config = model.get_build_config() or {}
    return {
        name.removesuffix("_shape"): tuple(shape) for name, shape in config.items() if isinstance(shape, tuple | list)
    }


def _call(model: Any, inputs: dict[str, np.ndarray]) -> None:
    import keras

    structure = keras_internals.input_structure(model)
    if structure is not None:
        model(keras.tree.pack_sequence_as(structure, list(inputs.values())))
    elif len(inputs) == 1:
        model(*inputs.values())
    else:
        model(**inputs)


def _unseen(model: Any, layer: Any, reason: str) -> BlitzError:
    return BlitzError(
        f"{model.name}: cannot see what comes before {layer.name} ({reason}), and a Flatten of channels would change "
        "the order of its weights; use parity.transfer, or declare in the class what was flattened, "
        f'flattened_inputs = {{"{layer.name}": (H, W, C)}}, or {{}} where nothing was'
    )


def _observe(model: Any, asking: list[Any]) -> dict[Any, Sizes | None]:
    """Run a model and return layer -> the sizes its input was flattened from, None for other features.

    Raises:
        BlitzError: it cannot be run.
    """
    shapes = _shapes(model)
    if not shapes or any(None in shape[1:] for shape in shapes.values()):
        raise _unseen(model, asking[0], "the shape of the model's input is not known: call it once on data first")
    stream = np.random.RandomState(0)
    inputs = {
        name: stream.uniform(-1, 1, (BATCH, *shape[1:])).astype(model.compute_dtype) for name, shape in shapes.items()
    }
    run = _Run()
    run.seen += [(array, array.shape[1:] if array.ndim > 3 else None) for array in inputs.values()]
    try:
        with ExitStack() as stack:
            for layer in keras_internals.inner_layers(model):
                if not keras_internals.inner_layers(layer):
                    stack.enter_context(keras_internals.called_as(layer, partial(run.call, layer, layer.call)))
            _call(model, inputs)
    except Exception as error:  # a user's own call may raise anything
        raise _unseen(model, asking[0], f"a run of the model raises {one_line(error)}") from None
    return run.origins


@dataclass
class _Run:
    """What was seen so far in a run of a model.

    Args:
        seen: (value, the sizes (H, W, C) in whose order its values are); None where they are in PyTorch's order.
        origins: layer -> the sizes its input was flattened from.
    """

    seen: list[tuple[np.ndarray, Sizes | None]] = field(default_factory=list)
    origins: dict[Any, Sizes | None] = field(default_factory=dict)

    def call(self, layer: Any, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a layer, and note what it was given and returned."""
        if args and (count := getattr(layer, "input_dim", None)):  # the model was given no numbers of an embedding's
            args = (np.random.RandomState(0).randint(0, count, np.shape(args[0])), *args[1:])
        result = call(*args, **kwargs)
        given, returned = _array((*args, *kwargs.values())), _array(result)
        if given is None or returned is None:
            return result
        known, sizes = self._order(given)
        self.seen += [(given, sizes)] if known else []
        if given.ndim > 2:  # the weights are of its last axis, the channels
            self.origins.setdefault(layer, None)
        elif known:
            self.origins.setdefault(layer, sizes)
        kind = kinds.of_keras(layer)
        if returned.ndim > 2:
            its, order = self._order(returned)
            plain = is_as_in_torch(kind, returned.ndim, known and sizes is None and given.ndim == returned.ndim)
            order = returned.shape[1:] if kind is not None and kind.channels == 1 else order
            self.seen += [(returned, None if plain else order)] if its or plain else []
        elif kind is not None and kind.flatten == "keeps":
            self.seen += [(returned, sizes)] if known else []
        elif kind is not None and kind.name != "flatten":  # a Dense layer, or a pool of all of H and W
            self.seen.append((returned, None))
        return result

    def _order(self, value: np.ndarray) -> tuple[bool, Sizes | None]:
        """Return whether the order of an array's values is known, and its sizes as in `seen`."""
        same = [(array, sizes) for array, sizes in reversed(self.seen) if array.size == value.size]
        for array, sizes in same:
            if _follows(value, array):
                return True, sizes
            if array.ndim > 2 and sizes is not None and _follows(value, np.moveaxis(array, -1, 1)):
                return True, None
        if value.ndim > 2:  # a new value, unless a function has moved its axes
            plain = {sizes is None for array, sizes in self.seen if array.ndim == value.ndim == 3}
            known = len(plain) < 2 and not any(_extremes(array) == _extremes(value) for array, _ in same)
            return known, None if plain == {True} else value.shape[1:]
        channels = [array.shape[-1] for array, _ in self.seen if array.ndim > 2]
        return not channels or channels[-1] == value.shape[-1], None  # the mean over H and W has as many as channels


def _extremes(array: np.ndarray) -> tuple[float, float]:
    return float(array.min()), float(array.max())


def _array(value: Any) -> np.ndarray | None:
    """Return the first tensor of what a layer takes or gives."""
    while isinstance(value, tuple | list) and value:
        value = value[0]
    return np.asarray(value) if hasattr(value, "shape") else None


def _follows(value: np.ndarray, array: np.ndarray) -> bool:
    """Whether values are those of an array in its order, or a monotone function of each, such as a ReLU."""
    step = max(1, array.size // SAMPLE)
    given, flat = value.reshape(-1)[::step], array.reshape(-1)[::step]
    ordered = given[np.argsort(flat, kind="stable")]
    return bool((np.diff(ordered) >= 0).all()) and np.unique(ordered).size > ordered.size // 8
