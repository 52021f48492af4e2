"""The layouts along a Keras model's graph: what a Flatten does to the weights after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from keras_blitz.weights import kinds
from keras_blitz.weights.kinds import Kind, Weights
from keras_blitz.weights.layout import SAME, Layout, by_rank, dense_kernel, feature_vector, flattened

# Layers and operations that have no row in the table of kinds, and keep the order of features: of all they are given.
ELEMENTWISE = frozenset({
    "Absolute", "ActivityRegularization", "Add", "Average", "Clip", "Divide", "Exp", "GaussianNoise", "Log", "Masking",
    "Maximum", "Minimum", "Multiply", "Negative", "Power", "Rescaling", "Sqrt", "Square", "Subtract", "TrueDivide",
    "UnitNormalization",
})  # fmt: skip


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
    raise BlitzError(
        f"layer {layer.name!r}: no weight layout is declared for {name} after a Flatten; use parity.transfer"
    )


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
        given = [_layout(layouts, source) for source in sources]
        incoming, bare = given[0] if given else SAME, _without_time(operation)
        if incoming.split:
            found.flattened_inputs[bare] = incoming.split[1]
        number = calls.get(operation.name, 0)
        calls[operation.name] = number + 1
        inner = keras_internals.graph_of(bare)
        if inner is not None and bare is not operation:
            step = {id(x): flattened(incoming.split[1]) for x in inner.inputs if incoming.split}
            _follow(inner, step, calls, found)
            layouts |= {id(a): _in_time(step[id(b)], a) for a, b in zip(results, inner.outputs, strict=True)}
        elif inner is not None:
            layouts |= {id(x): layout for x, layout in zip(inner.inputs, given, strict=True)}
            _follow(inner, layouts, calls, found)
            layouts |= {id(a): layouts[id(b)] for a, b in zip(results, inner.outputs, strict=True)}
        else:
            layouts |= {id(result): _passed_on(operation, sources, result, incoming) for result in results}
            found.complete &= not (sources and _reorders(operation, sources[0].shape, results[0].shape))
            found.complete &= not (sources and _hides(operation, sources[0].shape, incoming))
            found.complete &= not any(layout.split for layout in given) or _is_known(bare, given)
        found.outputs[operation.name, number] = layouts[id(results[0])]


def _layout(layouts: Mapping[int, Layout], tensor: Any) -> Layout:
    """Return the layout of a tensor; images have channels last, a model's sequences are as PyTorch has them."""
    return layouts.get(id(tensor), by_rank(len(tensor.shape)) if len(tensor.shape) > 3 else SAME)


def _is_known(operation: Any, given: Sequence[Layout]) -> bool:
    """Whether it is known what a call does with features that were flattened."""
    name = type(operation).__name__
    if name in ELEMENTWISE:
        return all(layout == given[0] for layout in given)
    return kinds.of_keras(operation) is not None or name in ("Flatten", "Reshape")


def _without_time(operation: Any) -> Any:
    """Return what a TimeDistributed calls at each step; any other operation as it is."""
    return operation.layer if type(operation).__name__ == "TimeDistributed" else operation


def _in_time(step: Layout, result: Any) -> Layout:
    """Return the layout of a sequence (N, T, …) by that of a step (N, …)."""
    return flattened(step.split[1], 2) if step.split else by_rank(len(result.shape))


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
    if not sources:
        return _layout({}, result)
    kind, name = kinds.of_keras(_without_time(operation)), type(operation).__name__
    shape, rank = tuple(sources[0].shape), len(result.shape)
    if name in ("Flatten", "Reshape") and rank == 2 < len(shape):
        return flattened(shape[1:]) if is_reordered(shape[1:], incoming) else SAME
    if name == "Reshape" and rank == 2:  # of features to features
        return incoming
    if incoming.split and ((kind and kind.flatten == "keeps") or name in ELEMENTWISE):
        return incoming
    return SAME if is_as_in_torch(kind, rank, len(shape) == rank and incoming == SAME) else by_rank(rank)


def is_reordered(sizes: tuple[int, ...], layout: Layout) -> bool:
    """Return whether flattening an axis of channels with others makes another order than PyTorch's.

    Args:
        sizes: (H, W, C).
        layout: of what is flattened.
    """
    return layout != SAME and sizes[-1] != 1 and any(size != 1 for size in sizes[:-1])


def is_as_in_torch(kind: Kind | None, rank: int, given: bool) -> bool:
    """Return whether PyTorch has the axes of what a layer returns in the same order.

    Sequences (N, T, C) of embeddings, recurrent layers and attentions are the same in both frameworks; PyTorch's
    convolutions have them as (N, C, T). What works on each step by itself returns what it was given.

    Args:
        kind: of the layer.
        rank: of what it returns.
        given: whether PyTorch has the same order in what the layer is given, which has as many axes.
    """
    if rank != 3 or kind is None or kind.channels == 1:
        return rank < 3 or (rank == 3 and kind is None and given)
    return kind.whole or kind.paired == "embedding" or given
