"""The trace: an ordered mapping from names to arrays, in PyTorch's names and layouts, whoever recorded it.

input[:path]         param:conv1.weight      activation:conv1       output[:path]      loss
grad:conv1.weight    grad:input              buffer:bn1.running_mean
fed:conv1            (what a layer was given, where its error is isolated)
step3:param:fc.weight      step3:slot:momentum_buffer:fc.weight      step3:loss
fact:requires_grad:a       (no array but a truth value or a text)
"""

import json
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from fnmatch import translate
from math import prod
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.lib.npyio import NpzFile

from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path, check_source
from keras_blitz.npz import check_members
from parity.core.fingerprint import BUCKETS, SAMPLES, Fingerprint, Tensor, condensed

FORMAT = 3  # 1 had another hash in its fingerprints, 2 a member of the archive a tensor

KINDS = {
    "input": "input",
    "fed": "fed",
    "param": "parameter",
    "activation": "activation",
    "output": "output",
    "loss": "loss",
    "grad": "gradient",
    "buffer": "buffer",
    "slot": "slot",
    "fact": "fact",
}

PLAIN = (bool, int, float, str, bytes)  # what a model may return beside tensors, and nobody compares

_STEP = re.compile(r"step(\d+):")


class TraceError(BlitzError):
    """A trace file that is missing, broken or of another kind."""


class Absent:
    """A gradient that is not there (`None`), which differs from zero."""

    def __repr__(self) -> str:
        return "absent"

    def __reduce__(self) -> str:
        return "ABSENT"  # from another process it comes as this one, too


ABSENT = Absent()

Value = Tensor | Absent


def is_floating(value: Value | None) -> TypeGuard[Tensor]:
    """Whether there is a tensor, and of floating-point numbers, so that an error can be measured in it."""
    return not isinstance(value, Absent | None) and np.dtype(value.dtype).kind == "f"


def widened(array: np.ndarray) -> np.ndarray:
    """Return a bfloat16 array, of a type that NumPy lacks, as float32, which holds each of its values; others as is."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def kind_of(name: str) -> str:
    """Return what a name stands for: "gradient" for `step3:grad:fc.weight`.

    Raises:
        ValueError: the name is not of a trace.
    """
    head = _STEP.sub("", name, count=1).split(":", 1)[0]
    if head not in KINDS:
        raise ValueError(f"{name!r} is not a name of a trace; names begin with {', '.join(KINDS)} or step<k>:")
    return KINDS[head]


def step_of(name: str) -> int:
    """Return the training step a name belongs to, 0 for what comes before the first update."""
    found = _STEP.match(name)
    return int(found[1]) if found else 0


def named_outputs(output: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and tensors of what a model returned: `output`, or `output:0` …, or `output:<key>` of a dict or a
    dataclass. Numbers and texts beside them are left out, see `plain_outputs`."""
    yield from ((name, value) for name, value in _name_leaves("output", output) if not isinstance(value, PLAIN))


def plain_outputs(output: Any) -> list[str]:
    """Return the names of the numbers and texts that a model returned beside tensors."""
    return [name for name, value in _name_leaves("output", output) if isinstance(value, PLAIN)]


def named_inputs(inputs: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of what a model takes: `input`, `input:0` …, or `input:<key>` of a dict."""
    yield from _name_leaves("input", inputs)


def _name_leaves(name: str, tree: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _name_leaves(f"{name}:{key}", value)
    elif isinstance(tree, tuple | list):
        for number, value in enumerate(tree):
            yield from _name_leaves(f"{name}:{number}", value)
    elif is_dataclass(tree) and not isinstance(tree, type):
        yield from _name_leaves(name, {field.name: getattr(tree, field.name) for field in fields(tree)})
    elif tree is not None:
        yield name, tree


def tensor_of(trace: Mapping[str, Value], name: str) -> Tensor:
    """Return the tensor of a name.

    Raises:
        TypeError: it is absent.
    """
    value = trace[name]
    if isinstance(value, Absent):
        raise TypeError(f"{name} is absent, expected a tensor")
    return value


def array_of(trace: Mapping[str, Value], name: str) -> np.ndarray:
    """Return the tensor of a name, where all tensors are kept whole.

    Raises:
        TypeError: it is absent, or only its fingerprint was kept.
    """
    value = tensor_of(trace, name)
    if isinstance(value, Fingerprint):
        raise TypeError(f"{name} is a fingerprint, expected an array")
    return value


def _any_of(patterns: Iterable[str]) -> Callable[[str], Any]:
    """Return what is true of a name that matches one of the patterns; one expression, because names are many."""
    return re.compile("|".join(map(translate, patterns)) or r"(?!)").match


@dataclass(frozen=True)
class Penalty:
    """What a Keras model adds to its loss for its weights (regularizers), apart from the loss in the trace.

    PyTorch has it in its loss, or in its optimizer's weight_decay.

    Args:
        values: name of a loss or a gradient in the trace -> what the penalty adds to it.
        steps: a parameter's name -> the largest value of the penalty's gradient in each step, or in the one pass.
        moved: a parameter's name -> the same at other weights. The gradient of a penalty on a bias of zero is zero:
            only other weights show that there is one.
        counted: the trace's entries include it.
    """

    values: Mapping[str, np.ndarray]
    steps: Mapping[str, tuple[float, ...]]
    moved: Mapping[str, float]
    counted: bool = False


class Trace(dict[str, Value]):
    """What one framework did, by name, in the order it happened.

    Args:
        keep: of an array with more values than these, keep the fingerprint; None keeps all whole.
        skip: patterns of the names that `put` leaves out, such as "step[3-9]:*".
        terms: for a gradient that is a sum, `grad:conv.bias`, the largest Σ|term| over its values: the scale of its
            rounding where the sum itself is zero; likewise the mean |x| of `buffer:bn.running_mean`; for a `loss` that
            is a sum of outputs, its Σ|term|. None where they were not recorded.
        penalty: what regularizers add to a loss and its gradients; None where there are none.
        meta: what is worth knowing of the recording, such as the framework and its version; JSON values. No verdict
            depends on it.
    """

    def __init__(
        self,
        entries: Iterable[tuple[str, Value]] = (),
        *,
        keep: int | None = None,
        skip: Sequence[str] = (),
        terms: Mapping[str, float] | None = None,
        penalty: Penalty | None = None,
        **meta: Any,
    ):
        super().__init__()
        self.meta: dict[str, Any] = meta
        self.terms: dict[str, float] | None = None if terms is None else dict(terms)
        self.penalty = penalty
        self._keep = keep
        self._skips = _any_of(skip)
        for name, value in entries:
            self.add(name, value)

    def add(self, name: str, value: Value) -> None:
        """Add an entry.

        Raises:
            ValueError: the name is there already, or is not a name of a trace.
        """
        kind_of(name)
        if name in self:
            raise ValueError(f"{name!r} is in the trace already")
        if isinstance(value, Fingerprint | Absent):
            self[name] = value
        else:
            value = widened(np.asarray(value))
            self[name] = value if self._keep is None else condensed(value, self._keep)

    def put(self, name: str, make: Callable[[], Value]) -> None:
        """Add what `make` returns; where the name is left out it is not called: most values of 100 steps are.

        Raises:
            ValueError: as `add`.
        """
        if not self._skips(name):
            self.add(name, make())

    def without(self, patterns: Iterable[str]) -> "Trace":
        """Return the trace without the names that match one of these patterns, such as "step[3-9]:*"."""
        patterns = tuple(patterns)
        if not patterns:
            return self
        left_out = _any_of(patterns)
        return self.with_entries((name, value) for name, value in self.items() if not left_out(name))

    def with_entries(self, entries: Iterable[tuple[str, Value]]) -> "Trace":
        """Return other entries as a trace of the same recording."""
        return Trace(entries, terms=self.terms, penalty=self.penalty, **self.meta)

    def save(self, path: str | os.PathLike[str], **more: Any) -> None:
        """Write the trace as a NumPy archive (.npz), whole or not at all.

        Args:
            path: where to; by convention it ends with .npz.
            more: JSON values to keep beside `meta`; `load` returns them in it.

        Raises:
            BlitzError: the file cannot be written.
        """
        entries, packed = [], _Packed()
        for name, value in self.items():
            form, extra, arrays = _take_apart(value)
            entries.append({"name": name, "form": form, **extra, "arrays": [packed.put(array) for array in arrays]})
        meta = self.meta | ({} if self.terms is None else {"terms": self.terms}) | more
        header = json.dumps({"format": FORMAT, "meta": meta, "entries": entries})
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            trace = np.frombuffer(header.encode(), np.uint8)
            np.savez_compressed(file, trace=trace, **packed.joined())  # type: ignore[arg-type]  # none is allow_pickle

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Trace":
        """Read a trace that `save` wrote; nothing in the file is executed.

        Raises:
            TraceError: the file is missing, broken, or no trace.
        """
        path = Path(path)
        check_source(path, error=TraceError)
        try:
            with path.open("rb") as file:
                if not zipfile.is_zipfile(file):
                    raise TraceError("truncated, or not a trace (it is not a .npz archive)")
                check_members(file)
                file.seek(0)
                with np.load(file, allow_pickle=False) as archive:
                    return cls._from(archive)
        except TraceError as error:
            raise TraceError(f"{path}: {error}") from None
        except PermissionError:
            raise TraceError(f"{path}: cannot be read (permission denied)") from None
        except Exception as error:  # a damaged archive raises whatever its damaged part does: zlib.error, MemoryError …
            said = str(error).splitlines() or [type(error).__name__]
            raise TraceError(f"{path}: truncated, or not a trace ({said[0]})") from None

    @classmethod
    def _from(cls, archive: NpzFile | np.ndarray) -> "Trace":
        if not isinstance(archive, NpzFile) or "trace" not in archive.files:
            raise TraceError("not a trace: a NumPy file of something else")
        header = json.loads(archive["trace"].tobytes())
        if header["format"] != FORMAT:
            raise TraceError(f"a trace of format {header['format']}; this version reads format {FORMAT}")
        trace = cls(**header["meta"])
        packed = _Unpacked(archive)
        for entry in header["entries"]:
            trace.add(entry["name"], _put_together(entry, [packed.take(*each) for each in entry["arrays"]]))
        return trace


class _Packed:
    """Arrays joined into one a type: an archive's member of its own costs more than a small tensor itself."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    def put(self, array: np.ndarray) -> tuple[str, list[int]]:
        self._parts.setdefault(array.dtype.str, []).append(array.reshape(-1))
        return array.dtype.str, list(array.shape)

    def joined(self) -> dict[str, np.ndarray]:
        return {dtype: np.concatenate(parts) for dtype, parts in self._parts.items()}


class _Unpacked:
    """The arrays of an archive, taken out in the order they were put in."""

    def __init__(self, archive: NpzFile):
        self._archive = archive
        self._joined: dict[str, np.ndarray] = {}
        self._taken: dict[str, int] = {}

    def take(self, dtype: str, shape: list[int]) -> np.ndarray:
        if dtype not in self._joined:
            self._joined[dtype] = self._archive[dtype]
        start = self._taken.get(dtype, 0)
        end = self._taken[dtype] = start + prod(shape)
        found = self._joined[dtype][start:end]
        if self._joined[dtype].dtype.str != dtype or found.size != end - start:
            raise TraceError("truncated: it holds fewer values than its header says")
        return found.reshape(shape).copy()  # not a view, which would keep all the others


def _take_apart(value: Value) -> tuple[str, dict[str, object], list[np.ndarray]]:
    """Return the form, the plain facts and the arrays a value is saved as."""
    if isinstance(value, Absent):
        return "absent", {}, []
    if isinstance(value, Fingerprint):
        facts: dict[str, object] = {"shape": list(value.shape), "dtype": value.dtype, "peak": value.peak}
        return "fingerprint", facts, [value.buckets, value.sample]
    return "array", {}, [value]


def _put_together(entry: dict[str, Any], arrays: list[np.ndarray]) -> Value:
    if entry["form"] == "absent":
        return ABSENT
    if entry["form"] == "fingerprint":
        shape = tuple(int(size) for size in entry["shape"])
        kept = Fingerprint(shape, str(entry["dtype"]), float(entry["peak"]), *arrays)
        if kept.buckets.shape != (BUCKETS,) or kept.sample.shape != (SAMPLES,):
            raise TraceError(f"the fingerprint of {entry['name']!r} is broken")
        return kept
    (array,) = arrays
    return array
