"""The layouts along a Keras model's graph: what a Flatten does to the weights after it."""

from dataclasses import dataclass, field
from typing import Any

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from keras_blitz.weights import kinds
from keras_blitz.weights.kinds import Weights
from keras_blitz.weights.layout import SAME, Layout, by_rank, dense_kernel, feature_vector, flattened


def parameters(layer: Any) -> Weights:
    """Return a layer's weights as the table of kinds declares them.

    Raises:
        BlitzError: the layer has weights and its kind is not in the table.
    """
    kind = kinds.of_keras(layer)
    if kind and kind.verbatim:
        return {variable.name: (variable.name, SAME) for variable in layer.weights}
    if kind and kind.weights:
        return kind.weights
    if layer.weights:
        raise BlitzError(f"layer {layer.name!r}: no weight layout is declared for {type(layer).__name__}")
    return {}


def after_flatten(layer: Any, variable: str, sizes: tuple[int, ...]) -> Layout:
    """Return the layout of a layer's weight whose input was flattened from `sizes` (H, W, C).

    Raises:
        BlitzError: it is not declared what the layer does with the order of features.
    """
    kind = kinds.of_keras(layer)
    if kind and kind.flatten == "mixes":
        return dense_kernel(sizes) if variable == "kernel" else SAME
    if kind and kind.flatten == "keeps":
        return SAME if variable == "num_batches_tracked" else feature_vector(sizes)
    name = type(layer).__name__
    raise BlitzError(f"layer {layer.name!r}: no weight layout is declared for {name} after a Flatten")


@dataclass
class Flow:
    """The layouts along a model's graph.

    Args:
        outputs: (layer name, number of the call from 0) -> layout of what that call returns.
        flattened_inputs: layer -> (H, W, C), for each layer whose input a Flatten made.
        complete: there is a graph, and it says what every call does with the order of features.
    """

    outputs: dict[tuple[str, int], Layout] = field(default_factory=dict)
    flattened_inputs: dict[Any, tuple[int, ...]] = field(default_factory=dict)
    complete: bool = True


def flow(model: Any) -> Flow:
    """Follow the layout of every tensor from the model's inputs to its outputs, through models inside it too.

    A `Flatten` (or a `Reshape` to one axis) of a channels-last tensor reorders the features; what works on each feature
    by itself keeps the order; everything else starts from its rank. A subclassed model has no graph to follow, see
    `observed.py`.
    """
    graph = keras_internals.graph_of(model)
    found = Flow(complete=graph is not None)
    if graph is not None:
        _follow(graph, {}, {}, found)
    return found


def _follow(graph: Any, layouts: dict[int, Layout], calls: dict[str, int], found: Flow) -> None:
    """Follow the calls of a graph.

    Args:
        graph: a functional model.
        layouts: id of a tensor -> its layout; gets those of the graph.
        calls: layer name -> number of its calls so far.
        found: gets what is known.
    """
    for operation, sources, results in keras_internals.calls(graph):
        incoming = layouts.get(id(sources[0]), SAME) if sources else SAME
        if incoming.split:
            found.flattened_inputs[operation] = incoming.split[1]
        number = calls.get(operation.name, 0)
        calls[operation.name] = number + 1
        inner = keras_internals.graph_of(operation)
        if inner is not None:
            pairs = zip(inner.inputs, sources, strict=True)
            layouts |= {id(x): layouts[id(source)] for x, source in pairs if id(source) in layouts}
            _follow(inner, layouts, calls, found)
            layouts |= {id(a): layouts[id(b)] for a, b in zip(results, inner.outputs, strict=True)}
        else:
            layouts |= {id(result): _passed_on(operation, sources, result, incoming) for result in results}
            found.complete &= not (sources and _reorders(operation, sources[0].shape, results[0].shape))
            found.complete &= not (sources and _hides(operation, sources[0].shape, incoming))
        found.outputs[operation.name, number] = layouts[id(results[0])]


def _reorders(operation: Any, given: tuple[int, ...], returned: tuple[int, ...]) -> bool:
    """Whether a call may flatten or reorder channels in a way that its class does not tell, as a Lambda may."""
    name = type(operation).__name__
    if name in ("Permute", "Transpose"):
        return True
    flattens = len(given) > len(returned) == 2 and returned[-1] != given[-1]
    return flattens and kinds.of_keras(operation) is None and name not in ("Flatten", "Reshape")


def _hides(operation: Any, given: tuple[int, ...], incoming: Layout) -> bool:
    """Whether layers inside a layer may get features that were flattened before it, or in it."""
    kind = kinds.of_keras(operation)
    known = kind is not None and (kind.special or kind.whole)
    inner = [] if known or not getattr(operation, "weights", ()) else keras_internals.inner_layers(operation)
    return bool(inner) and bool(incoming.split or len(given) > 3)


def _passed_on(operation: Any, sources: list[Any], result: Any, incoming: Layout) -> Layout:
    kind = kinds.of_keras(operation)
    if type(operation).__name__ in ("Flatten", "Reshape") and len(sources[0].shape) > len(result.shape) == 2:
        return flattened(tuple(sources[0].shape[1:]))
    if incoming.split and kind and kind.flatten == "keeps":
        return incoming
    return by_rank(len(result.shape))
