"""How a function of arrays is recorded on both sides: a loss, a demo, an operation."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module

import numpy as np

from keras_blitz.floatx import precision
from parity import inputs
from parity.cases.case import DTYPES, MODES, Case, any_matches
from parity.trace import ABSENT, Trace


@dataclass(frozen=True)
class CallRow:
    """One function, called with the same arrays in PyTorch and in the port.

    Both return a mapping of a trace's names ("output:x", "grad:w", "fact:raised") to tensors, arrays, texts, truth
    values, or None for what is absent.

    Args:
        name: the subject.
        covers: ids of the inventory.
        group: of the cases.
        reference: file and function in parity/reference; takes the arrays as tensors by name.
        port: file and function in parity/ports, the same in TensorFlow.
        arrays: by name, float32 values or integers.
        options: further arguments of both, no tensors.
        keep: of a tensor with more values than these, only the fingerprint is recorded.
        samples: how many float32 runs PyTorch's own error is the largest of.
        runs: patterns of <dtype>-<mode> to run in; what returns facts runs eagerly.
        slow: patterns of those of them that a plain run leaves out.
    """

    name: str
    covers: tuple[str, ...]
    group: str
    reference: str
    port: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    options: tuple[tuple[str, object], ...] = ()
    keep: int | None = None
    samples: int = 4  # of few values one run's error is luck
    runs: tuple[str, ...] = ("*",)
    slow: tuple[str, ...] = ()


def cases(rows: Iterable[CallRow]) -> Iterator[Case]:
    """Yield the cases of these functions."""
    for row in rows:
        runs = [(f"{d}-{m}", d, m) for d in DTYPES for m in MODES if any_matches(f"{d}-{m}", row.runs)]
        samples = row.samples if "float32" in [dtype for _, dtype, _ in runs] else 0
        for run, dtype, mode in runs:
            yield Case(
                subject=row.name,
                group=row.group,
                covers=row.covers,
                dtype=dtype,
                mode=mode,
                record_reference=partial(_record_reference, row),
                record_port=partial(_record_port, row),
                samples=samples,
                slow=any_matches(run, row.slow),
            )


def _function(package: str, name: str) -> Callable:
    file, function = name.split(".")
    return getattr(import_module(f"parity.{package}.{file}"), function)


def _typed(row: CallRow, dtype: str, sample: int = 0) -> dict[str, np.ndarray]:
    floats = {name: array for name, array in row.arrays.items() if array.dtype.kind == "f"}
    floats = {name: array.astype(dtype) for name, array in inputs.moved(floats, sample).items()}
    return dict(row.arrays) | floats


def _record_reference(row: CallRow, dtype: str, sample: int = 0) -> Trace:
    import torch

    function = _function("reference", row.reference)
    given = {name: torch.from_numpy(array.copy()) for name, array in _typed(row, dtype, sample).items()}
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        found = function(**given, **dict(row.options))
    finally:
        torch.set_default_dtype(before)
    return _trace(
        found, lambda tensor: tensor.detach().cpu().numpy(), keep=row.keep, framework="torch", version=torch.__version__
    )


def _record_port(row: CallRow, dtype: str, mode: str) -> Trace:
    import tensorflow as tf

    function = partial(_function("ports", row.port), **dict(row.options))
    given = {name: tf.constant(array) for name, array in _typed(row, dtype).items()}
    if mode != "eager":
        function = tf.function(function, autograph=False, jit_compile=mode == "xla")
    with precision(dtype):
        found = function(**given)
    return _trace(found, lambda tensor: tensor.numpy(), keep=row.keep, framework="tensorflow", version=tf.__version__)


def _trace(found: Mapping, array: Callable, **options) -> Trace:
    return Trace(((name, _value(value, array)) for name, value in found.items()), **options)


def _value(value, array: Callable):
    if value is None:
        return ABSENT
    return array(value) if hasattr(value, "numpy") else np.asarray(value)
