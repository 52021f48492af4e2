"""The layouts along a Keras model's graph: what a Flatten does to the weights after it."""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Flow:
    """The layouts along a model's graph.

    Args:
        outputs: (layer name, number of the call from 0) -> layout of what that call returns.
        flattened_inputs: layer name -> (H, W, C), for each layer whose input a Flatten made.
    """

    outputs: dict[tuple[str, int], Layout]
    flattened_inputs: dict[str, tuple[int, ...]]


def flow(model: Any) -> Flow:
    """Follow the layout of every tensor from the model's inputs to its outputs.

    A `Flatten` (or a `Reshape` to one axis) of a channels-last tensor reorders the features; what works on each feature
    by itself keeps the order; everything else starts from its rank. A subclassed model has no graph to follow: it
    declares `flattened_inputs = {"fc1": (H, W, C)}` where it needs to.
    """
    outputs: dict[tuple[str, int], Layout] = {}
    flattened_inputs: dict[str, tuple[int, ...]] = dict(getattr(model, "flattened_inputs", {}))
    layouts: dict[int, Layout] = {}
    calls: dict[str, int] = {}
    for operation, sources, results in keras_internals.calls(model):
        incoming = layouts.get(id(sources[0]), SAME) if sources else SAME
        if incoming.split:
            flattened_inputs[operation.name] = incoming.split[1]
        number = calls.get(operation.name, 0)
        calls[operation.name] = number + 1
        for result in results:
            layouts[id(result)] = _passed_on(operation, sources, result, incoming)
        outputs[operation.name, number] = layouts[id(results[0])]
    return Flow(outputs, flattened_inputs)


def _passed_on(operation: Any, sources: list[Any], result: Any, incoming: Layout) -> Layout:
    kind = kinds.of_keras(operation)
    if type(operation).__name__ in ("Flatten", "Reshape") and len(sources[0].shape) > len(result.shape) == 2:
        return flattened(tuple(sources[0].shape[1:]))
    if incoming.split and kind and kind.flatten == "keeps":
        return incoming
    return by_rank(len(result.shape))
