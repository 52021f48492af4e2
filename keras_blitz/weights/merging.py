"""Where a model merges an image's channels with another axis, so that PyTorch has the features in another order."""

from typing import Any

from keras_blitz import keras_internals
from keras_blitz.weights import kinds


def merging(model: Any) -> list[str]:
    """Return the names of the calls that make sequences (N, W, H·C) of images whose channels are last.

    As before the LSTM that reads a line of text: PyTorch's features are in the order (C, H), and the weights after it
    would be silently wrong. Channels that were moved before the other axis, Permute((2, 3, 1)), have PyTorch's order.
    A subclassed model has no graph to read this from, and none are found.
    """
    graph = keras_internals.graph_of(model)
    names: list[str] = []
    if graph is not None:
        _follow(graph, {id(x): len(x.shape) - 1 for x in graph.inputs if len(x.shape) > 3}, names)
    return names


def _follow(graph: Any, axes: dict[int, int], names: list[str]) -> None:
    """Follow the axis of channels through a graph.

    Args:
        graph: a functional model.
        axes: id of a tensor -> its axis of channels, where it is an image; gets those of the graph.
        names: gets the calls that merge it.
    """
    for operation, sources, results in keras_internals.calls(graph):
        axis = axes.get(id(sources[0])) if sources else None
        inner = keras_internals.graph_of(operation)
        if inner is not None:
            pairs = zip(inner.inputs, sources, strict=True)
            axes |= {id(x): axes[id(source)] for x, source in pairs if id(source) in axes}
            _follow(inner, axes, names)
            axes |= {id(a): axes[id(b)] for a, b in zip(results, inner.outputs, strict=True) if id(b) in axes}
        elif sources:
            given, returned = sources[0].shape, results[0].shape
            if axis == len(given) - 1 and _merges(operation, given, returned):
                names.append(operation.name)
            moved = _moved(operation, axis, len(given), len(returned))
            axes |= {id(result): moved for result in results if moved is not None}


def _merges(operation: Any, given: tuple[Any, ...], returned: tuple[Any, ...]) -> bool:
    name = type(getattr(operation, "layer", operation)).__name__  # of what a TimeDistributed calls
    return name in ("Reshape", "Flatten") and len(given) > len(returned) == 3 and returned[-1] != given[-1]


def _moved(operation: Any, axis: int | None, before: int, after: int) -> int | None:
    """Return the axis of channels in what a call returns, None if it is not an image."""
    name, kind = type(operation).__name__, kinds.of_keras(operation)
    if kind is not None and kind.channels == 1 and after > 3:
        return after - 1
    if axis is None or before != after or name == "Reshape":
        return None
    if name == "Permute":
        return 1 + tuple(operation.dims).index(axis)
    if name == "Transpose" and operation.axes is not None:
        return tuple(operation.axes).index(axis)
    return axis
