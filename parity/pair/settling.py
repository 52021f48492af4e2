"""The layouts of the outputs, and of activations that fit in several: where shapes do not tell, values do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from keras_blitz.weights.layout import Layout
from parity.core import tolerance
from parity.core.modes import PRECISIONS
from parity.pair import layouts
from parity.pair.alike import Value, apart, distance
from parity.pair.layouts import Sizes
from parity.pair.theirs import Theirs
from parity.pair.wiring import KerasCall


@dataclass(frozen=True)
class Fits:
    """A tensor of both sides.

    Args:
        layouts: in which Keras's has PyTorch's shape, the likelier first; or the likeliest where it has it in none.
        expected: () -> PyTorch's value in float64.
        actual: () -> Keras's value on PyTorch's weights.
    """

    layouts: list[Layout]
    expected: Callable[[], np.ndarray]
    actual: Callable[[], np.ndarray]


def settled(tensors: Mapping[str, Fits], dtype: str) -> dict[str, Layout]:
    """Return the layout of each tensor: the one in which the values agree, the likelier where they agree in none.

    Args:
        tensors: by PyTorch's names in a trace.
        dtype: a name in `PRECISIONS`, Keras's.
    """
    bound = tolerance.GIVEN[PRECISIONS[dtype].compute]
    return {
        name: each.layouts[0]
        if len(each.layouts) == 1
        else layouts.by_values(each.layouts, each.actual(), each.expected(), bound)
        for name, each in tensors.items()
    }


def output(theirs: Theirs, name: str, shape: Sizes, ours: Sizes, kept: bool, actual: Callable[[], np.ndarray]) -> Fits:
    """Return what is known of an output.

    Args:
        theirs: PyTorch's side.
        name: PyTorch's.
        shape: PyTorch's, as it is compared.
        ours: Keras's.
        kept: the Keras model keeps its channels on axis 1.
        actual: () -> Keras's value.
    """
    alike = len(ours) == len(shape)
    candidates = output_layouts(theirs, name, len(ours), kept, shape)
    fitting = layouts.fitting(candidates, ours, shape) if alike else []
    return Fits(fitting or candidates[:1], lambda: theirs.flow.outputs[name].reshape(shape), actual)


def output_layouts(theirs: Theirs, name: str, rank: int, kept: bool, shape: Sizes) -> list[Layout]:
    """Return the layouts in which a Keras output of this rank may be, the likelier first; see `layouts.of_output`."""
    square = len(shape) > 2 and shape[1] == shape[2]
    last = theirs.calls[-1].name if theirs.calls else ""
    axes = theirs.flow.axes.get(name, "")
    axes = axes if len(axes) == rank else ""
    return layouts.of_output(rank, axes, theirs.channels_first.get(last, False), kept, square)


def output_distance(theirs: Theirs, name: str, expected: Value, actual: Value, kept: bool, bound: float) -> float:
    """Return the distance of an output from PyTorch's in the nearest layout that it may have; infinite beyond a bound.

    Otherwise two layers of one shape could be exchanged where a product of both is then transposed.

    Args:
        theirs: PyTorch's side.
        name: of the output.
        expected: PyTorch's value.
        actual: Keras's.
        kept: the Keras model keeps its channels on axis 1.
        bound: the distance from which two tensors are not the same.
    """
    rank = expected.array.ndim
    if rank < 3 or actual.array.ndim != rank or rank != len(theirs.flow.axes.get(name, "")):
        return distance(expected, actual, bound)
    nearest = min(
        apart(expected, Value(each.to_torch(actual.array)))
        for each in output_layouts(theirs, name, rank, kept, expected.array.shape)
    )
    return nearest if nearest <= bound else np.inf


def cubes(
    theirs: Theirs, calls: Mapping[Any, KerasCall], channels_first: Callable[[str], bool],
    results: Callable[[], Mapping[tuple[str, int], np.ndarray]],
) -> dict[str, Fits]:  # fmt: skip
    """Return what is known of the activations that fit in both orders, by their names in a trace.

    Args:
        theirs: PyTorch's side.
        calls: PyTorch's name of a call -> Keras's call.
        channels_first: PyTorch's name of a call -> whether its axis 1 holds the channels that Keras has last.
        results: () -> (name, number) of Keras's call -> what it returns on PyTorch's weights.
    """
    found: dict[str, Fits] = {}
    for each in theirs.calls:
        call = calls.get(each.name)
        if call is None or each.path in theirs.recurrent or call.result.ndim != len(each.shape) or len(each.shape) < 3:
            continue
        fitting = layouts.fitting(
            layouts.both_orders(len(each.shape), channels_first(each.name)), call.result.shape, each.shape
        )
        if len(fitting) > 1:
            expected = partial(_exact, theirs, each.name)
            found[f"activation:{each.name}"] = Fits(fitting, expected, partial(_result, results, call))
    return found


def _exact(theirs: Theirs, name: str) -> np.ndarray:
    return theirs.exact["activation", name].array


def _result(results: Callable[[], Mapping[tuple[str, int], np.ndarray]], call: KerasCall) -> np.ndarray:
    return results()[call.name, call.number]
