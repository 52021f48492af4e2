"""How a function of arrays is recorded on both sides: a loss, a demo, an operation."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module

import numpy as np

from keras_blitz.floatx import precision
from parity.cases.rows import CallRow
from parity.core import inputs
from parity.core.modes import DTYPES, MODES, any_matches
from parity.core.trace import ABSENT, Trace
from parity.suite.case import Case


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


def _function(framework: str, name: str) -> Callable:
    file, function = name.split(".")
    return getattr(import_module(f"parity.twins.{framework}.{file}"), function)


def _cast_inputs(row: CallRow, dtype: str, sample: int = 0) -> dict[str, np.ndarray]:
    floats = {name: array for name, array in row.arrays.items() if array.dtype.kind == "f"}
    floats = {name: array.astype(dtype) for name, array in inputs.moved(floats, sample).items()}
    return dict(row.arrays) | floats


def _record_reference(row: CallRow, dtype: str, sample: int = 0) -> Trace:
    import torch

    function = _function("torch", row.reference)
    given = {name: torch.from_numpy(array.copy()) for name, array in _cast_inputs(row, dtype, sample).items()}
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        found = function(**given, **dict(row.options))
    finally:
        torch.set_default_dtype(before)
    return _trace(
        found, lambda tensor: tensor.detach().cpu().numpy(), keep=row.keep, framework="torch", version=torch.__version__
    )


def _record_port(row: CallRow, dtype: str, mode: str, left_out: Sequence[str] = ()) -> Trace:
    import tensorflow as tf

    function = partial(_function("keras", row.port), **dict(row.options))
    given = {name: tf.constant(array) for name, array in _cast_inputs(row, dtype).items()}
    if mode != "eager":
        function = tf.function(function, autograph=False, jit_compile=mode == "xla")
    with precision(dtype):
        found = function(**given)
    options = {"keep": row.keep, "framework": "tensorflow", "version": tf.__version__}
    return _trace(found, lambda tensor: tensor.numpy(), **options).without(left_out)


def _trace(found: Mapping, array: Callable, **options) -> Trace:
    return Trace(((name, _value(value, array)) for name, value in found.items()), **options)


def _value(value, array: Callable):
    if value is None:
        return ABSENT
    return array(value) if hasattr(value, "numpy") else np.asarray(value)
