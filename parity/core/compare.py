"""Two traces compared: structure before values, every tensor, PyTorch's error as the measure below float64."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from statistics import median

import numpy as np

from parity.core import cancellation, tolerance
from parity.core.difference import Difference, Entry, Histogram, count_beyond, histogram, measure, worst_entries
from parity.core.fingerprint import Fingerprint, Tensor
from parity.core.modes import PRECISIONS, Precision, ulp
from parity.core.trace import ABSENT, Absent, Trace, Value, is_floating, kind_of, step_of, tensor_of
from parity.core.vacuous import Content, content_of, warnings_for
from parity.core.yardstick import Yardstick, yardsticks


@dataclass(frozen=True)
class Row:
    """The verdict on one tensor.

    Args:
        name: its name in the trace.
        kind: what it is ("gradient").
        size: its number of values.
        max_abs: the largest error; None where no number can say it.
        relative: `max_abs` by the largest magnitude expected.
        allowed: the bound on `relative`.
        ratio: below float64: the port's RMS error ÷ PyTorch's own (of the pool for a small tensor); None where PyTorch
            has none.
        own: below float64: PyTorch's own largest error, by the largest magnitude expected; None where it is not known.
        passed: within bounds, or not `decided`.
        problem: what is wrong, in words, where it failed.
        warnings: why the agreement may mean little.
        estimated: measured against a fingerprint.
        reason: the tolerance table's reason for `allowed`.
        worst: places of the largest errors.
        content: what the port's tensor holds.
        decided: whether it could be judged; a reduced precision in which PyTorch itself overflows measures nothing.
    """

    name: str
    size: int
    passed: bool
    max_abs: float | None = None
    relative: float | None = None
    allowed: float | None = None
    ratio: float | None = None
    own: float | None = None
    problem: str = ""
    warnings: tuple[str, ...] = ()
    estimated: bool = False
    reason: str = ""
    worst: tuple[Entry, ...] = ()
    content: Content = Content.VARIED
    decided: bool = True

    @property
    def kind(self) -> str:
        """What the tensor is."""
        return kind_of(self.name)

    @property
    def excess(self) -> float:
        """The error by what is allowed; infinite where it failed and no number says by how much."""
        if self.allowed and self.relative is not None:
            return self.relative / self.allowed
        return 0.0 if self.passed else np.inf


@dataclass(frozen=True)
class Comparison:
    """The verdict on a case.

    Args:
        rows: one verdict per tensor, in the trace's order.
        median_ratio: below float64: the median of the ratios of activations, outputs and loss, or else of gradients.
        problem: what is wrong with the case as a whole.
        port_only: activations of layers that only the port has; listed, not judged.
        screened: float32 without PyTorch's own error to judge by.
        dtype: what the port was run in.
        histogram: the errors of the worst tensor, if it has `tolerance.POOL_BELOW` values or more.
        by_rounding: in float64: the tensors that pass because PyTorch's own error tells that rounding moves them by
            more than the bound, and would fail without it.
        at_ties: in float32: the gradients that pass because PyTorch's were taken at what Keras's layers returned, and
            would fail at its own values: rounding decides the sign of a ReLU's unit, or a maximum.
    """

    rows: tuple[Row, ...]
    median_ratio: float | None = None
    problem: str = ""
    port_only: tuple[str, ...] = ()
    screened: bool = False
    dtype: str = ""
    histogram: Histogram | None = None
    by_rounding: tuple[str, ...] = ()
    at_ties: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Every tensor is within bounds, and so is the case."""
        return not self.problem and all(row.passed for row in self.rows)

    @property
    def undecided(self) -> list[Row]:
        """The tensors that could not be judged."""
        return [row for row in self.rows if not row.decided]

    @property
    def failures(self) -> list[Row]:
        """The tensors out of bounds, worst first; what no number can say before all others.

        One mistake often moves many tensors by the same factor. Those equal to two digits stay in the trace's order,
        else rounding, which differs between machines, would sort them.
        """
        failed = [row for row in self.rows if not row.passed]
        return sorted(failed, key=lambda row: -float(f"{row.excess:.1e}"))


def compare(
    truth: Trace,
    port: Trace,
    *,
    case: str,
    dtype: str,
    own: Mapping[str, Difference] | None = None,
) -> Comparison:
    """Compare the port's trace with PyTorch's.

    Args:
        truth: PyTorch's trace in float64, arrays or fingerprints.
        port: the port's trace.
        case: the case's id, for the tolerance table.
        dtype: what the port was run in, a name in `PRECISIONS`.
        own: PyTorch's own error against `truth`, by name. Below float64: in the same precision; without it float32 is
            only screened. For float64: in float32, which tells how far rounding moves a tensor.

    Raises:
        ValueError: a reduced precision without PyTorch's own error.
    """
    precision = PRECISIONS[dtype]
    if precision.is_reduced and own is None:
        raise ValueError(f"{dtype} is judged by PyTorch's own error in it; own=None")
    port_only = tuple(name for name in port if name not in truth and kind_of(name) == "activation")
    names = [*truth, *(name for name in port if name not in truth and name not in port_only)]
    if not truth or not names:
        return Comparison((), problem="nothing was compared", port_only=port_only, dtype=dtype)
    rows: dict[str, Row] = {}
    measured: dict[str, Difference] = {}
    for name in names:
        expected, actual = truth.get(name), port.get(name)
        problem = mismatch(expected, actual, precision.types)
        if precision.is_reduced and own and name in own and not own[name].finite and _comparable(expected, actual):
            rows[name] = _unmeasured_row(name, _size(expected), dtype)
        elif problem:
            rows[name] = Row(name, _size(truth.get(name, actual)), False, problem=problem)
        elif is_floating(expected) and is_floating(actual):
            measured[name] = measure(expected, actual)
        else:
            rows[name] = Row(name, _size(expected), True, 0.0, 0.0, 0.0)
    cancelled = cancellation.cancelled(measured, truth.terms or {})
    measured |= {name: replace(measured[name], scale=total) for name, total in cancelled.items()}
    plain = measured
    terms = {name: cancellation.terms_of(name, truth.terms or {}) for name in plain}
    measured = {name: _scale(found, (own or {}).get(name), terms[name], precision) for name, found in plain.items()}
    sizes = {name: _size(port[name]) for name in measured}
    by_rounding: tuple[str, ...] = ()
    if dtype == "float64":
        rows |= {name: _float64_row(case, name, sizes[name], found) for name, found in measured.items()}
        strict = (_float64_row(case, name, sizes[name], found) for name, found in plain.items())
        by_rounding = tuple(row.name for row in strict if rows[row.name].passed and not row.passed)
    elif own is None:
        rows |= {name: _screened_row(name, sizes[name], found) for name, found in measured.items()}
    else:
        judged_by = yardsticks(sizes, measured, own, tolerance.pooled_steps(case))
        rows |= {
            name: _own_error_row(name, sizes[name], measured[name], *each, precision)
            for name, each in judged_by.items()
        }
    rows = _without_lost(rows, truth.get("loss"), port.get("loss"))
    still = {name.replace("grad:", "param:", 1) for name in cancelled}
    finished = tuple(_with_detail(rows[name], truth, port, still) for name in names)
    middle = _median_ratio(finished)
    problem = ""
    if middle is not None and middle > tolerance.MEDIAN_RATIO:
        problem = f"the median error is {middle:.2f} × PyTorch's own, allowed {tolerance.MEDIAN_RATIO:g} ×"
    screened = dtype == "float32" and own is None
    counted = _histogram(finished, truth, port, measured, None if dtype == "float64" else own)
    return Comparison(finished, middle, problem, port_only, screened, dtype, counted, by_rounding)


def _histogram(
    rows: Iterable[Row],
    truth: Trace,
    port: Trace,
    measured: Mapping[str, Difference],
    own: Mapping[str, Difference] | None,
) -> Histogram | None:
    """Return the errors of the worst tensor that has values enough."""
    large = [row for row in rows if row.name in measured and row.size >= tolerance.POOL_BELOW and row.max_abs]
    if not large:
        return None
    worst = max(large, key=lambda row: (not row.passed, row.excess))
    expected, actual = tensor_of(truth, worst.name), tensor_of(port, worst.name)
    return histogram(worst.name, expected, actual, own[worst.name] if own else None)


def _scale(found: Difference, own: Difference | None, terms: float, precision: Precision) -> Difference:
    """Return a difference whose scale is not the tensor's largest value, where rounding moves the tensor by more.

    What cancels in one layer makes all gradients before it small, or zero: those before a GroupNorm with a channel a
    group, whose values are then averaged. Where the terms are not recorded, PyTorch's own error tells their size.
    """
    if precision.name == "float64":
        found = replace(found, scale=max(found.scale, terms * tolerance.SUMMED_SCALE))
    if own is None or not own.finite:
        return found
    if precision.name == "float64":
        return replace(found, scale=max(found.scale, own.max_abs * tolerance.ROUNDED_SCALE))
    return replace(found, scale=own.max_abs / ulp(1.0, precision.compute)) if own.max_abs > found.scale else found


def _median_ratio(rows: Iterable[Row]) -> float | None:
    """Return the median ratio of the first forward pass, or of the gradients where nothing of it was recorded.

    Gradients are left out, because all of them jump together where rounding decides a relu; and parameters after a
    step: what they differ by is mostly the rounding of the parameter itself, the same on both sides.
    """
    ratios: dict[str, list[float]] = {}
    for row in rows:
        if row.ratio is not None and not step_of(row.name):
            ratios.setdefault("forward" if row.kind in ("activation", "output", "loss") else row.kind, []).append(
                row.ratio
            )
    enough = [found for kind in ("forward", "gradient") if len(found := ratios.get(kind, ())) >= tolerance.MEDIAN_OF]
    return median(enough[0]) if enough else None


def mismatch(expected: Value | None, actual: Value | None, types: Collection[str]) -> str:
    """Say what keeps two entries from being compared by value, or return "".

    Args:
        expected: PyTorch's.
        actual: the port's.
        types: what a floating-point tensor of the port may be.
    """
    if expected is None:
        return "only in the port"
    if actual is None:
        return "missing in the port"
    if isinstance(expected, Absent) or isinstance(actual, Absent):
        return "" if expected is actual else f"expected {_describe(expected)}, the port has {_describe(actual)}"
    if tuple(expected.shape) != tuple(actual.shape):
        return f"shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    if is_floating(expected):
        if str(actual.dtype) not in types:  # the truth is float64 whatever the port was run in
            return f"type {actual.dtype}, expected {' or '.join(sorted(types))}"
        return _not_finite(expected, actual)
    if isinstance(expected, Fingerprint) or isinstance(actual, Fingerprint) or not _same_type(expected, actual):
        return f"type {actual.dtype}, expected {expected.dtype}"
    return "" if np.array_equal(expected, actual) else f"{_list_values(actual)}, expected {_list_values(expected)}"


def _same_type(expected: np.ndarray, actual: np.ndarray) -> bool:
    """Whether two types are equal; those of texts differ by the longest text."""
    return actual.dtype == expected.dtype or expected.dtype.kind == actual.dtype.kind == "U"


def _describe(value: Value) -> str:
    return "an absent gradient (None)" if isinstance(value, Absent) else f"a tensor {tuple(value.shape)}"


def _list_values(array: np.ndarray) -> str:
    return np.array2string(array, threshold=8, edgeitems=3)


def _not_finite(expected: Tensor, actual: Tensor) -> str:
    """Say where only one side is NaN or infinite; a fingerprint was taken of a finite tensor."""
    if isinstance(actual, Fingerprint):
        finite = isinstance(expected, Fingerprint) or np.isfinite(expected).all()
        return "" if finite else "finite, expected NaN or infinity"
    wrong = ~np.isfinite(actual)
    if not isinstance(expected, Fingerprint):
        wrong = (wrong | ~np.isfinite(expected)) & ~_same(expected, actual)
    if not wrong.any():
        return ""
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"NaN or infinite on one side only, {int(wrong.sum())} of {actual.size} values, first at {place}"


def _same(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    return (expected == actual) | (np.isnan(expected) & np.isnan(actual))


def _size(value: Value | None) -> int:
    return 0 if value is None or isinstance(value, Absent) else prod(value.shape)


def _float64_row(case: str, name: str, size: int, found: Difference) -> Row:
    bound = tolerance.float64_bound(case, name)
    return _judge(name, size, found, bound.relative, reason=bound.reason)


def _comparable(expected: Value | None, actual: Value | None) -> bool:
    """Whether both sides have a floating-point tensor of one shape."""
    return is_floating(expected) and is_floating(actual) and tuple(expected.shape) == tuple(actual.shape)


def _unmeasured_row(name: str, size: int, dtype: str) -> Row:
    reason = f"PyTorch's own {dtype} is not finite here: no measure"
    return Row(name, size, True, warnings=(reason,), decided=False)


def _without_lost(rows: dict[str, Row], expected: Value | None, actual: Value | None) -> dict[str, Row]:
    """Return the rows; where both losses are NaN, a gradient that differs is not decided: frameworks have their own."""
    if not all(isinstance(loss, np.ndarray) and not np.isfinite(loss).all() for loss in (expected, actual)):
        return rows
    lost = {n for n, row in rows.items() if not row.passed and (row.kind == "gradient" or step_of(n))}
    reason = ("the loss is NaN or infinite: no measure",)
    return rows | {n: Row(n, rows[n].size, True, warnings=reason, decided=False) for n in lost}


def _screened_row(name: str, size: int, found: Difference) -> Row:
    bound = tolerance.FLOAT32_SCREEN
    return _judge(name, size, found, bound.relative, reason=bound.reason)


def _judge(
    name: str,
    size: int,
    found: Difference,
    allowed: float,
    *,
    ratio: float | None = None,
    own: float | None = None,
    problem: str = "",
    reason: str = "",
) -> Row:
    """Make the row of a measured tensor: it fails by its largest error, or by a problem said already."""
    allowed = allowed if found.scale else 0.0  # nothing is small beside zero
    if not problem and not found.relative <= allowed:
        problem = f"differs by {found.relative:.1e} of its scale, allowed {allowed:.1e}"
    return Row(
        name, size, not problem, found.max_abs, found.relative, allowed, ratio, own, problem,
        estimated=found.estimated, reason=reason,
    )  # fmt: skip


def _own_error_row(
    name: str, size: int, found: Difference, own: Difference, yardstick: Yardstick, precision: Precision
) -> Row:
    if not own.finite:
        return Row(name, size, False, found.max_abs, problem="PyTorch's own float32 is not finite here: no measure")
    held = kind_of(name) in ("parameter", "buffer", "slot")
    unit = precision.variable if held else precision.compute
    floor = tolerance.floor(found.scale, unit) / found.scale if found.scale else 0.0
    allowed = max(tolerance.MAX_RATIO * yardstick.largest, floor)
    allowed_rms = max(tolerance.RMS_RATIO * yardstick.rms, floor)
    rms = found.rms / found.scale if found.scale else found.rms
    problem = ""
    if yardstick.too_far and rms > allowed_rms:  # of a pool that is too far, the tensors that make it so
        problem = f"RMS error {rms:.1e} of its scale, allowed {allowed_rms:.1e} (PyTorch's own is {yardstick.rms:.1e})"
    reason = f"the larger of {tolerance.MAX_RATIO:g} × PyTorch's own error and {tolerance.FLOOR_ULP} ulp"
    return _judge(name, size, found, allowed, ratio=yardstick.ratio, own=own.relative, problem=problem, reason=reason)


def _with_detail(row: Row, truth: Mapping[str, Value], port: Trace, still: set[str]) -> Row:
    """Add the content, the worst entries and, where the tensor agreed, what makes the agreement weak."""
    expected, actual = truth.get(row.name), port.get(row.name)
    row = replace(row, content=content_of(row.name, actual, _before(row.name, port)))
    if expected is None or isinstance(expected, Absent) or not is_floating(actual):
        return row
    worst = worst_entries(expected, actual) if tuple(expected.shape) == tuple(actual.shape) and actual.size else ()
    weak = row.passed and row.decided
    problem = _count_mismatched(row, expected, actual) if worst else row.problem
    warnings = warnings_for(row.name, actual, _initial(row.name, port, still)) if weak else row.warnings
    fields = {**vars(row), "worst": worst, "warnings": warnings, "problem": problem}
    return Row(**fields)


def _count_mismatched(row: Row, expected: Tensor, actual: Tensor) -> str:
    """Return a row's problem after how many of its values are beyond what is allowed, where they can be counted."""
    if row.passed or row.size < 2 or not row.relative or row.allowed is None or row.max_abs is None:
        return row.problem
    count = count_beyond(expected, actual, row.allowed * row.max_abs / row.relative)
    return f"mismatched {count:,} / {row.size:,}; {row.problem}" if count else row.problem


def _initial(name: str, port: Trace, still: set[str]) -> Value | None:
    """Return a parameter's value before the first step, if it has a gradient to be moved by; `still` ones have none."""
    before = _before(name, port)
    if before is None or name.split(":", 1)[1] in still:
        return None
    return None if port.get(name.split(":", 1)[1].replace("param:", "grad:", 1)) is ABSENT else before


def _before(name: str, port: Trace) -> Value | None:
    """Return the value of a parameter before the first step, None for what is not a parameter after one."""
    return port.get(name.split(":", 1)[1]) if step_of(name) and kind_of(name) == "parameter" else None
