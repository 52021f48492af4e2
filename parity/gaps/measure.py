"""A row of the catalogue measured: each spelling's distance from PyTorch."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, isfinite
from time import perf_counter
from typing import Any, TypeGuard

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.floatx import precision
from parity.core import tolerance
from parity.core.compare import mismatch
from parity.core.difference import measure as distance
from parity.core.trace import ABSENT, Value, is_floating
from parity.gaps.gap import Gap, Takes
from parity.gaps.lazy import tf, torch


@dataclass(frozen=True)
class Outcome:
    """What a spelling came to.

    Args:
        error: the largest error relative to the tensor's scale; infinite where no number can say it.
        tensor: the one it was found in.
        problem: what differs, in words, where no number can say it.
        raised: the spelling raised an error.
    """

    error: float
    tensor: str = ""
    problem: str = ""
    raised: bool = False

    def __str__(self) -> str:
        return self.problem or ("0" if not self.error else f"{self.error:.1e}")


@dataclass(frozen=True)
class Measurement:
    """A row measured.

    Args:
        gap: the row.
        naive, exact: what the two spellings came to.
        allowed: the bound on the error.
        reason: the tolerance table's reason for it.
        seconds: how long it took.
    """

    gap: Gap
    naive: Outcome
    exact: Outcome
    allowed: float
    reason: str
    seconds: float

    @property
    def passed(self) -> bool:
        """The exact spelling is within its bound."""
        return self.exact.error <= self.allowed

    @property
    def differs(self) -> bool:
        """The naive spelling is beyond the bound."""
        return not self.naive.error <= self.allowed

    @property
    def verdict(self) -> str:
        """What the row shows with the installed versions."""
        if not self.passed:
            return "the exact spelling raises" if self.exact.raised else "the exact spelling is beyond its bound"
        return "differs" if self.differs else "no difference here"


def measure(gap: Gap) -> Measurement:
    """Run the three spellings on the same inputs, in float64 unless the row says otherwise.

    Raises:
        BlitzError: PyTorch's own side raises.
    """
    start = perf_counter()
    bound = tolerance.float64_bound(f"gap:{gap.id}", "*")
    try:
        with _settings():
            expected = _pytorch(gap, gap.arrays())
    except Exception as error:
        raise BlitzError(f"{gap.id}: PyTorch's side raises {_said(error)}") from error
    naive, exact = (_outcome(expected, gap, spelling) for spelling in (gap.naive, gap.exact))
    return Measurement(gap, naive, exact, bound.relative, bound.reason, perf_counter() - start)


@contextmanager
def _settings() -> Iterator[None]:
    """Set float64, one thread for PyTorch's small tensors, and no warnings: what a naive spelling does is measured."""
    threads, default = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    try:
        with precision("float64"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(default)


def _outcome(expected: Mapping[str, Value], gap: Gap, spelling: Callable[..., Any]) -> Outcome:
    try:
        with _settings():
            return compared(expected, _tensorflow(gap, gap.arrays(), spelling))
    except Exception as error:
        return Outcome(inf, problem=f"raises: {_said(error)}", raised=True)


def _said(error: Exception) -> str:
    """Return an error's name and first line, without TensorFlow's node names and Keras's frame around it."""
    text = re.sub(r"\{\{function_node .*?\}\} *|\x1b\[[0-9;]*m", "", str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip() and "Exception encountered" not in line]
    return _short(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 100 else text[:99] + "…"


def compared(expected: Mapping[str, Value], actual: Mapping[str, Value]) -> Outcome:
    """Return the worst of all differences between what two sides returned; what is not a number before all numbers."""
    outcomes = [Outcome(0.0)]
    for name in dict.fromkeys([*expected, *actual]):
        one, other = expected.get(name), actual.get(name)
        dtype = str(one.dtype) if isinstance(one, np.ndarray) else ""
        problem = mismatch(one, other, {dtype})
        if problem and _is_whole(one) and _is_whole(other) and (one.dtype, one.shape) == (other.dtype, other.shape):
            outcomes.append(Outcome(distance(one, other).relative, name))
        elif problem:
            outcomes.append(Outcome(inf, name, _short(f"{name}: {problem}")))
        elif is_floating(one) and is_floating(other):
            outcomes.append(Outcome(distance(one, other).relative, name))
    return max(outcomes, key=lambda outcome: outcome.error if isfinite(outcome.error) else inf)


def _is_whole(value: Value | None) -> TypeGuard[np.ndarray]:
    """Whether a value is an array of whole numbers: of two of one type and shape, how far they differ can be said."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def _pytorch(gap: Gap, inputs: Mapping[str, Any]) -> dict[str, Value]:
    if gap.takes is Takes.ARRAYS:
        return _named(gap.pytorch(**inputs))
    tensors = {name: torch.tensor(x) if isinstance(x, np.ndarray) else x for name, x in inputs.items()}
    if gap.takes is Takes.OUTPUTS:
        return _named(gap.pytorch(**tensors))
    leaves = {name: tensors[name].requires_grad_() for name in _floating(inputs)}
    outputs = gap.pytorch(**tensors)
    tracked = [y for y in _listed(outputs) if isinstance(y, torch.Tensor) and y.requires_grad]
    cotangents = [torch.tensor(v) for v in _cotangents(tracked)]
    gradients = torch.autograd.grad(tracked, list(leaves.values()), cotangents, allow_unused=True)
    return _named(outputs) | _gradients(leaves, gradients)


def _tensorflow(gap: Gap, inputs: Mapping[str, Any], spelling: Callable[..., Any]) -> dict[str, Value]:
    if gap.takes is Takes.ARRAYS:
        return _named(spelling(**inputs))
    tensors = {name: tf.constant(x) if isinstance(x, np.ndarray) else x for name, x in inputs.items()}
    if gap.takes is Takes.OUTPUTS:
        return _named(spelling(**tensors))
    leaves = {name: tensors[name] for name in _floating(inputs)}
    with tf.GradientTape() as tape:
        tape.watch(list(leaves.values()))
        outputs = spelling(**tensors)
    tracked = [y for y in _listed(outputs) if tf.is_tensor(y) and y.dtype.is_floating]
    cotangents = [tf.constant(v) for v in _cotangents(tracked)]
    return _named(outputs) | _gradients(leaves, tape.gradient(tracked, list(leaves.values()), cotangents))


def _floating(inputs: Mapping[str, Any]) -> list[str]:
    return [name for name, x in inputs.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f"]


def _listed(outputs: Any) -> list[Any]:
    if isinstance(outputs, Mapping):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]


def _cotangents(outputs: Sequence[Any]) -> list[np.ndarray]:
    """Return what the outputs' gradients are weighted with: the same noise on both sides."""
    stream = np.random.RandomState(1)
    dtypes = [np.float32 if "float32" in str(y.dtype) else np.float64 for y in outputs]
    return [np.asarray(stream.standard_normal(tuple(y.shape)), dtype) for y, dtype in zip(outputs, dtypes, strict=True)]


def _gradients(leaves: Mapping[str, Any], gradients: Sequence[Any]) -> dict[str, Value]:
    return {f"grad:{name}": _array(g) for name, g in zip(leaves, gradients, strict=True)}


def _named(outputs: Any) -> dict[str, Value]:
    if isinstance(outputs, Mapping):
        return {str(name): _array(value) for name, value in outputs.items()}
    values = _listed(outputs)
    return {"output" if len(values) == 1 else f"output:{i}": _array(value) for i, value in enumerate(values)}


def _array(value: Any) -> Value:
    """Return a tensor of either framework, or a number or text, as an array; a gradient that is not there as such."""
    if value is None:
        return ABSENT
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    if hasattr(value, "indices") and hasattr(value, "dense_shape"):  # IndexedSlices
        value = tf.convert_to_tensor(value)
    array = np.asarray(value)
    return np.stack([array.real, array.imag], -1) if array.dtype.kind == "c" else array
