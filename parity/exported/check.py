"""The door: a PyTorch module and the file that it, or its Keras port, was exported to."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.export.reading import Exported, open_exported
from keras_blitz.versions import versions
from parity.core import inputs as streams
from parity.core.compare import compare
from parity.core.difference import Difference
from parity.core.own_error import own_error
from parity.core.trace import Trace, named_inputs
from parity.exported.arrange import assigned, channels_last, order_of
from parity.pair.equivalence import Report, require_torch
from parity.pair.options import inputs_of
from parity.pair.rounded import rounded_inputs, rounded_weights, with_step


def check_export(
    torch_module,
    path: str | os.PathLike[str],
    inputs,
    *,
    channels_first: bool | None = None,
    names: Mapping[str, str] | None = None,
) -> Report:
    """Run a PyTorch module in eval mode and an exported file on the same inputs, and compare the outputs.

    float32 outputs are judged as `parity.check` judges float32: by PyTorch's own float32 error against float64. An
    output that the file makes of 8-bit whole numbers is judged by the same multiples of what 8 bits do to PyTorch's
    module itself: each kernel, and what each module with a kernel is given, are rounded to 8 bits, then the output to
    the file's step s (RMS error s/√12, largest error s/2).

    Args:
        torch_module: a `torch.nn.Module`.
        path: a .onnx or .tflite file, or the folder of a SavedModel; whoever wrote it.
        inputs: as of `parity.check`, in PyTorch's layout; axis 0 is the batch. A file of a fixed batch size is run on
            as many examples at a time.
        channels_first: whether the file has channels on axis 1; None: as the sizes say.
        names: {the name of forward's argument, or its number: the file's name}, where shapes do not tell.

    Raises:
        BlitzError: PyTorch or onnxruntime is missing, the module or the file raises, or the inputs do not fit.
    """
    require_torch("parity.check_export")
    start = time.perf_counter()
    from parity.pair.theirs import dry_run

    torch_side = dry_run(torch_module, inputs_of(inputs))
    opened = open_exported(path)
    given = {_short(name): value for name, value in named_inputs(torch_side.inputs)}
    if names:
        given = _renamed(given, names)
    places = assigned(given, {entry.name: entry.shape for entry in opened.inputs}, channels_first)
    orders = _orders(opened, given, places, channels_first)
    fed = {name: given[places[name]].transpose(order) for name, order in orders.items()}
    moved = any(order != tuple(range(len(order))) for order in orders.values())
    truth, own, of_8_bits = _reference(torch_side)
    trace, steps, notes = _of_file(opened, _run(opened, fed), truth, moved)
    if steps:
        errors = of_8_bits()
        own |= {name: with_step(errors[name], step) for name, step in steps.items()}
    return Report(
        title=f"{type(torch_module).__name__} and {opened.kind} {opened.path.name}",
        comparisons={"float32": compare(truth, trace, case="check", dtype="float32", own=own)},
        weights=[],
        notes=[*_say_inputs(places), *notes, "outputs alone are compared: a file shows no activations and gradients"],
        location=None,
        seconds=time.perf_counter() - start,
        versions=versions("torch"),
        undecided=[torch_side.random] if torch_side.random else [],
        precision=_say_steps(steps),
    )


def _short(name: str) -> str:
    return name.removeprefix("input:")


def _renamed(given: Mapping[str, np.ndarray], names: Mapping[str, str]) -> dict[str, np.ndarray]:
    wanted = {str(name): new for name, new in names.items()}
    if unknown := sorted(set(wanted) - set(given)):
        raise BlitzError(f"names: the module has no input {unknown[0]!r}; there are {', '.join(given)}")
    return {wanted.get(name, name): value for name, value in given.items()}


def _orders(
    opened: Exported, given: Mapping[str, np.ndarray], places: Mapping[str, str], channels_first: bool | None
) -> dict[str, tuple[int, ...]]:
    """Return PyTorch's axes in the file's order for each input of the file."""
    orders = {}
    for entry in opened.inputs:
        source = places[entry.name]
        order = order_of(source, given[source].shape, entry.shape, channels_first)
        if order is None:
            raise BlitzError(f"{source}, {given[source].shape}, does not fit the file's {entry.name} {entry.shape}")
        orders[entry.name] = order
    return orders


def _reference(torch_side: Any) -> tuple[Trace, dict[str, Difference], Callable[[], dict[str, Difference]]]:
    """Return PyTorch's outputs in float64, its own float32 errors in them, and what returns those of 8 bits."""
    from parity.pair import theirs
    from parity.pair.options import Options
    from parity.pair.reduced import SAMPLES

    options = Options(
        loss=False, weights="auto", train=False, optimizer=None, steps=0, dtypes=("float32",), target=None
    )
    state = theirs.state_of(torch_side, {})

    def outputs(dtype: str, weights: Mapping[str, np.ndarray], within: Any = None) -> Trace:
        trace = theirs.record(torch_side, options, dtype, weights, left_out=(), last_only=(), within=within)
        return trace.with_entries((name, value) for name, value in trace.items() if name.startswith("output"))

    truth = outputs("float64", state)
    runs = (outputs("float32", streams.moved(state, sample)) for sample in range(SAMPLES))

    def of_8_bits() -> dict[str, Difference]:
        return dict(own_error(truth, [outputs("float64", rounded_weights(state), rounded_inputs())]))

    return truth, dict(own_error(truth, runs)), of_8_bits


def _run(opened: Exported, fed: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run a file on all examples, as many at a time as it takes."""
    count = len(next(iter(fed.values())))
    at_once = {entry.shape[0] for entry in opened.inputs} - {None}
    size = at_once.pop() if len(at_once) == 1 else count
    if not size or count % size:
        raise BlitzError(f"{opened.path}: takes {size} examples at a time, and {count} were given")
    parts = [
        opened.run({name: value[begin : begin + size] for name, value in fed.items()})
        for begin in range(0, count, size)
    ]
    if len(parts) == 1:
        return parts[0]  # an output may have no axis to join
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _of_file(
    opened: Exported, outputs: Mapping[str, np.ndarray], truth: Trace, moved: bool
) -> tuple[Trace, dict[str, float], list[str]]:
    """Return the file's outputs by PyTorch's names in PyTorch's layout, the steps of those that have one, and notes.

    Names that both have decide, else the order. Where an output fits in both layouts it has that of the inputs.
    """
    trace, steps, notes = Trace(framework=opened.kind, version=""), dict[str, float](), list[str]()
    by_name = {f"output:{entry.name}": entry for entry in opened.outputs}
    if not set(truth) <= set(by_name):
        by_name = dict(zip(truth, opened.outputs, strict=False))
        notes += [f"outputs in order: {', '.join(f'{n} is {e.name}' for n, e in by_name.items())}"]
    for name, entry in by_name.items():
        trace.add(name, _in_torch_layout(outputs[entry.name], truth.get(name), moved))
        if entry.step and name in truth:
            steps[name] = entry.step
    extra = [entry.name for entry in opened.outputs if entry not in by_name.values()]
    notes += [f"the file's outputs {', '.join(extra)} have no counterpart"] if extra else []
    return trace, steps, notes


def _in_torch_layout(value: np.ndarray, expected: Any, moved: bool) -> np.ndarray:
    shape = getattr(expected, "shape", value.shape)
    order = channels_last(value.ndim)
    back = value.transpose(np.argsort(order))
    if back.shape == tuple(shape) and (moved or value.shape != tuple(shape)):
        return back
    return value


def _say_inputs(places: Mapping[str, str]) -> Iterator[str]:
    if len(places) > 1:
        yield "inputs: " + ", ".join(f"{source} is the file's {name}" for name, source in places.items())


def _say_steps(steps: Mapping[str, float]) -> str:
    if not steps:
        return ""
    each = ", ".join(f"{name} {step:.3g}" for name, step in steps.items())
    own = "«PyTorch's own» below is its error with kernels and inputs rounded to 8 bits"
    return f"8-bit whole numbers: {own}; steps: {each}"
