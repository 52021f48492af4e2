"""PyTorch's own error in a precision: the measure of a port's."""

from collections.abc import Iterable, Mapping

from parity.core.difference import Difference, largest, measure
from parity.core.trace import Value, is_floating, tensor_of


def own_error(truth: Mapping[str, Value], runs: Iterable[Mapping[str, Value]]) -> dict[str, Difference]:
    """Return PyTorch's own error in every floating-point tensor of `truth`: the largest of its runs in one precision.

    A relu's unit so near zero that rounding decides its sign moves gradients by much more than rounding. One run may
    miss it: vgg16's gradients in PyTorch are 2e-7 off, or 5e-4, as its weights are moved by two units in the last
    place. So deep networks take several runs, each from weights moved by rounding.
    """
    floating = {name: value for name, value in truth.items() if is_floating(value)}
    found: dict[str, Difference] = {}
    for run in runs:
        errors = {name: measure(value, tensor_of(run, name)) for name, value in floating.items()}
        found = larger(found, errors) if found else errors
        del run  # before the next one is made: BERT's weights and gradients are 0.9 GB
    return found


def larger(one: Mapping[str, Difference], other: Mapping[str, Difference]) -> dict[str, Difference]:
    """Return the larger of two own errors of each tensor, of the same tensors."""
    return {name: largest([one[name], other[name]]) for name in one}


def floating_names(trace: Mapping[str, Value]) -> list[str]:
    """Return the names of the floating-point tensors."""
    return [name for name, value in trace.items() if is_floating(value)]
