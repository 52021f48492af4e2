"""Where two models part: the first tensor that differs, its layer, and the likely reasons."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_blitz.weights import kinds, layout
from parity.core.compare import Comparison, Row
from parity.core.difference import measure
from parity.core.ranks import aligned, regrouped
from parity.core.tolerance import SAME_VALUE
from parity.core.trace import Trace, array_of, is_floating, named_outputs
from parity.pair import feed, hints, layouts, reasons
from parity.pair.port import Port, as_array
from parity.pair.wiring import KerasCall
from parity.record import torch_recorder
from parity.record.keras_recorder import recorded_calls
from parity.record.torch_recorder import Call

LISTED = 3  # modules between two activations that a report names


@dataclass(frozen=True)
class Location:
    """What is known of the place where two models part.

    Args:
        row: the first tensor that differs.
        layer: the Keras layer's name and class; "" where it has none.
        fed: how far the layer's input is from PyTorch's there, relative; None where it is not known.
        explained: the likely reasons, those that were tested and hold.
        before: the last activation before it, which agrees.
        between: PyTorch's modules between the two that have no counterpart, with their classes.
    """

    row: Row
    layer: str = ""
    fed: float | None = None
    explained: tuple[str, ...] = ()
    before: str = ""
    between: tuple[str, ...] = ()

    @property
    def is_fed_alike(self) -> bool:
        """Whether the layer was given what PyTorch's module was, within what is allowed of its result."""
        return self.fed is not None and self.fed <= (self.row.allowed or SAME_VALUE)

    def lines(self) -> list[str]:
        """Return it in words."""
        name = "the output of the module itself" if self.row.name == "activation:" else self.row.name
        found = [f"first divergence at {name}: {self.row.problem}"]
        if self.layer and self.fed is not None:
            alike = f"received the same input on both sides ({self.fed:.1e}), so the error is in this layer"
            between = f"look between {self.before or 'the input'} and it"
            apart = f"received an input that differs already ({self.fed:.1e}): {between}"
            found.append(f"  Keras's {self.layer} {alike if self.is_fed_alike else apart}")
            if self.between and not self.is_fed_alike:
                more = f" and {len(self.between) - LISTED} more" if len(self.between) > LISTED else ""
                names = ", ".join(self.between[:LISTED]) + more
                found.append(f"  between the two PyTorch runs {names}, without a Keras layer to compare with")
        elif self.before:
            found.append(f"  {self.before}, before it, agrees")
        return found + [f"  {reason}" for reason in self.explained]


def locate(
    port: Port,
    row: Row,
    comparison: Comparison,
    state: Mapping[str, np.ndarray],
    fed: Mapping[str, np.ndarray],
    truth: Trace,
) -> Location:
    """Say how far the layer's input is from PyTorch's where a difference begins, and try the likely reasons.

    Args:
        port: the Keras model.
        row: the first tensor that differs.
        comparison: where it stands.
        state: PyTorch's weights.
        fed: `fed:path` -> what PyTorch's modules were given.
        truth: PyTorch's trace.
    """
    location = _located(port, row, comparison, state, fed, truth)
    if location.explained:
        return location
    return replace(location, explained=reasons.of_masks(port, row, state, truth))


def _located(
    port: Port,
    row: Row,
    comparison: Comparison,
    state: Mapping[str, np.ndarray],
    fed: Mapping[str, np.ndarray],
    truth: Trace,
) -> Location:
    before = _last_before(row, comparison)
    _, _, path = row.name.rpartition("activation:")
    call = port.by_path.get(path) if row.kind == "activation" else None
    module = next((c.module for c in port.theirs.calls if c.name == path), None)
    if row.kind == "output":
        return Location(row, explained=_of_output(_Run(port, state), row, truth), before=before)
    if call is None or module is None or row.name not in truth:  # on one side only, beside a shape that differs
        return Location(row, explained=reasons.explain(port, row, comparison, state, truth), before=before)
    run = _Run(port, state)
    here = run.call(call.name, call.number)
    location = Location(
        row, f"{call.name} ({type(call.layer).__name__})", _distance(port, path, here, module, fed.get(f"fed:{path}")),
        before=before,
    )  # fmt: skip
    if location.is_fed_alike or location.fed is None:
        way = port.layout_of(truth, row.name, here.result.shape)
        given = fed.get(f"fed:{path}")
        said = hints.of_layer(run.clue(module, here, array_of(truth, row.name), way, row, given))
        return replace(location, explained=tuple(said))
    given, between = fed[f"fed:{path}"], _calls_between(port, before, path)
    way = _input_layout(port, path, here, given)
    told = _of_input(run, row, here, given, way) or _of_operations(between, fed, (way.to_torch(here.given), given))
    told = told or _of_sum(way.to_torch(here.given), given, row, comparison, truth)
    names = tuple(map(_with_class, between))
    return replace(location, explained=told, between=names)


def is_cropped(port: Port, row: Row, truth: Trace, trace: Trace) -> bool:
    """Return whether a convolution of Keras's returns the first part of what PyTorch's does, which PyTorch then crops.

    One that is padded on both sides and cropped after it is a causal one in Keras; a pooling that lacks PyTorch's last
    window (ceil_mode) is wrong.

    Args:
        port: the Keras model.
        row: one that differs.
        truth: PyTorch's trace.
        trace: Keras's.
    """
    module = next((c.module for c in port.theirs.calls if f"activation:{c.name}" == row.name), None)
    kind = kinds.of_torch(module)
    if kind is None or not kind.linear or row.name not in truth or row.name not in trace:
        return False
    expected, actual = array_of(truth, row.name), array_of(trace, row.name)
    if expected.ndim != actual.ndim or expected.shape == actual.shape:
        return False
    part = expected[tuple(map(slice, actual.shape))]
    return part.shape == actual.shape and measure(part, actual).relative < SAME_VALUE


def is_mispaired(
    port: Port, row: Row, comparison: Comparison, state: Mapping[str, np.ndarray], fed: Mapping[str, np.ndarray],
    truth: Trace,
) -> bool:  # fmt: skip
    """Return whether a layer without weights is not PyTorch's module of this name, though it does the same.

    Of two branches one may have a function where the other has a layer, in PyTorch and in Keras the other way round.
    Then the module was given what a layer returns on both sides, the Keras layer something else, and layers with
    weights after it agree. The arguments are those of `locate`.
    """
    path = row.name.removeprefix("activation:")
    call, given = port.by_path.get(path), fed.get(f"fed:{path}")
    if call is None or given is None or call.layer.weights or row.name not in truth:
        return False
    weighted = {one.path for one, _, _ in port.pairing.units}
    at = comparison.rows.index(row)
    agreeing = [each for each in comparison.rows if each.passed and each.kind == "activation"]
    after = [each for each in comparison.rows[at:] if each in agreeing and _path_of(each) in weighted]
    known = any(np.array_equal(array_of(truth, each.name), given) for each in agreeing if each.name in truth)
    if not (after and known):
        return False
    apart = _distance(port, path, _Run(port, state).call(call.name, call.number), None, given)
    return apart is None or apart > (row.allowed or SAME_VALUE)


def _path_of(row: Row) -> str:
    return row.name.removeprefix("activation:").partition("#")[0]


class _Run:
    """A forward pass of the Keras model, call by call.

    Args:
        port: the model.
        state: PyTorch's weights.
    """

    def __init__(self, port: Port, state: Mapping[str, np.ndarray]):
        self.port = port
        if not port.options.keeps:
            for weight in port.pairing.weights:
                weight.assign(state[weight.name])
        self._given: dict = {}
        with recorded_calls(port.model, self._given, fused=True) as self._results:
            output = feed.run(port.theirs, port.model, port.dtype, port.options.train)
        self.outputs = {name: as_array(value) for name, value in named_outputs(output)}

    def call(self, name: str, number: int) -> KerasCall:
        """Return a call with its values."""
        layer = self.port.layers[name.removesuffix("/activation")]
        given, result = (as_array(side[name, number]) for side in (self._given, self._results))
        return KerasCall(name, number, layer, given, result)

    def source(self, value: np.ndarray) -> KerasCall | None:
        """Return the last call that returned this value, if PyTorch has no module for it."""
        for name, number in reversed(self._results):
            if np.array_equal(as_array(self._results[name, number]), value):
                return None if (name, number) in self.port.names else self.call(name, number)
        return None

    def clue(
        self, module: Any, call: KerasCall, expected: np.ndarray, way: layout.Layout, row: Row,
        fed: np.ndarray | None = None,
    ) -> hints.Clue:  # fmt: skip
        """Return what the hints are told of a call."""
        actual = regrouped(aligned(way.to_torch(call.result), expected.shape), expected.shape)
        bound = row.allowed or SAME_VALUE
        return hints.Clue(module, call, call.given, actual, expected, way, self.port.options.train, bound, fed)


def _of_output(run: _Run, row: Row, truth: Trace) -> tuple[str, ...]:
    """Explain an output that a layer of Keras's returns which PyTorch has no module for."""
    own = {run.port.renamed.get(name, name): value for name, value in run.outputs.items()}.get(row.name)
    if own is None or not is_floating(truth.get(row.name)):
        return ()
    expected, call = array_of(truth, row.name), run.source(own)
    if call is None:
        return ()
    way = run.port.layout_of(truth, row.name, own.shape)
    return _told(call, hints.of_layer(run.clue(None, call, expected, way, row)))


def _of_input(run: _Run, row: Row, call: KerasCall, expected: np.ndarray, way: layout.Layout) -> tuple[str, ...]:
    """Explain a layer's input that a layer of Keras's returns which PyTorch has no module for."""
    source, actual = run.source(call.given), way.to_torch(call.given)
    factor = hints.of_factor(actual, expected, row.allowed or SAME_VALUE, shifted=True)
    told = _told(source, hints.of_layer(run.clue(None, source, expected, way, row))) if source else ()
    return (*told, *filter(None, [f"of this input {factor}" * bool(factor and not told)]))


def _of_operations(
    between: list[Call], fed: Mapping[str, np.ndarray], here: tuple[np.ndarray, np.ndarray]
) -> tuple[str, ...]:  # fmt: skip
    """Explain an input by what Keras computes in place of one of PyTorch's modules without weights.

    Args:
        between: PyTorch's calls before the layer, without a counterpart.
        fed: `fed:path` -> what PyTorch's modules were given.
        here: what Keras's layer was given, in PyTorch's layout, and what PyTorch's module was.
    """
    told = []
    for call in between:
        given = fed.get(f"fed:{call.name}")
        if given is None or given.dtype.kind != "f" or any(True for _ in call.module.parameters()):
            continue
        try:
            result = torch_recorder.run(call.module, given, dtype=str(given.dtype))
        except Exception:  # a user's module may take more than its first input
            continue
        told.append(hints.of_activation(_with_class(call), given, result.outputs.get("output", given), *here))
    return tuple(filter(None, told))


def _of_sum(
    actual: np.ndarray, expected: np.ndarray, row: Row, comparison: Comparison, truth: Trace
) -> tuple[str, ...]:  # fmt: skip
    """Explain an input by a sum with an earlier tensor that one side lacks."""
    rows = comparison.rows[: comparison.rows.index(row)]
    names = [each.name for each in rows if each.kind in ("input", "activation") and is_floating(truth.get(each.name))]
    return tuple(filter(None, [hints.of_sum(actual, expected, {name: array_of(truth, name) for name in names})]))


def _calls_between(port: Port, before: str, path: str) -> list[Call]:
    """Return PyTorch's calls after one activation and before another that have no counterpart."""
    names = [call.name for call in port.theirs.calls]
    start = names.index(before.removeprefix("activation:")) + 1 if before.removeprefix("activation:") in names else 0
    unmatched = {name for name in port.unmatched if name}
    return [call for call in port.theirs.calls[start : names.index(path)] if call.name in unmatched]


def _with_class(call: Call) -> str:
    return f"{call.name} ({type(call.module).__name__})"


def _told(call: KerasCall, reasons: list[str]) -> tuple[str, ...]:
    return tuple(f"at Keras's {call.name}: {reason}" for reason in reasons)


def _input_layout(port: Port, path: str, call: KerasCall, expected: np.ndarray) -> layout.Layout:
    if sizes := port.flattened.get((call.name, call.number)):
        return layout.flattened(sizes)
    return layouts.fit(call.given.shape, expected.shape, port.channels_first(path), inner=True)


def _distance(port: Port, path: str, call: KerasCall, module: Any, expected: np.ndarray | None) -> float | None:
    """Return how far a layer's input is from PyTorch's, None where the two cannot be compared."""
    if expected is None:
        return None
    actual = regrouped(_input_layout(port, path, call, expected).to_torch(call.given), expected.shape)
    known = [expected]
    if path.partition("#")[0] in port.theirs.recurrent and not module.batch_first:
        known.append(expected.swapaxes(0, 1))  # what PyTorch was given, which is traced as Keras has sequences
    return min((measure(each, actual).relative for each in known if each.shape == actual.shape), default=None)


def _last_before(row: Row, comparison: Comparison) -> str:
    """Return the last activation that agrees before a row, "" where there is none."""
    names = [other.name for other in comparison.rows[: comparison.rows.index(row)] if other.kind == "activation"]
    return names[-1] if row.kind in ("activation", "output", "loss") and names else ""
