"""Where two models part: the first tensor that differs, its layer, and the likely reasons."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from keras_blitz.weights import kinds, layout
from parity.core.compare import Comparison, Row
from parity.core.difference import measure
from parity.core.tolerance import SAME_VALUE
from parity.core.trace import Trace, array_of
from parity.pair import feed, hints, layouts
from parity.pair.port import Port, as_array
from parity.record.keras_recorder import recorded_calls


@dataclass(frozen=True)
class Location:
    """What is known of the place where two models part.

    Args:
        row: the first tensor that differs.
        layer: the Keras layer's name and class; "" where it has none.
        fed: how far the layer's input is from PyTorch's there, relative; None where it is not known.
        explained: the likely reasons, those that were tested and hold.
        before: the last activation before it, which agrees.
    """

    row: Row
    layer: str = ""
    fed: float | None = None
    explained: tuple[str, ...] = ()
    before: str = ""

    def lines(self) -> list[str]:
        """Return it in words."""
        name = "the output of the module itself" if self.row.name == "activation:" else self.row.name
        found = [f"first divergence at {name}: {self.row.problem}"]
        if self.layer and self.fed is not None:
            equal = self.fed < SAME_VALUE
            how = "is equal on both sides" if equal else "differs already"
            where = "the difference is made in it" if equal else f"look between {self.before or 'the input'} and it"
            found.append(f"  the input of Keras's {self.layer} {how} ({self.fed:.1e}): {where}")
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
    before = _last_before(row, comparison)
    _, _, path = row.name.rpartition("activation:")
    call = port.by_path.get(path) if row.kind == "activation" else None
    module = next((c.module for c in port.theirs.calls if c.name == path), None)
    if call is None or module is None or row.name not in truth:  # on one side only, beside a shape that differs
        return Location(row, explained=tuple(hints.of_row(port.pairing, row)), before=before)
    if port.options.weights != "keep":
        for weight in port.pairing.weights:
            weight.assign(state[weight.name])
    given: dict = {}
    train = port.options.train
    with recorded_calls(port.model, given, fused=True) as results:
        feed.run(port.theirs, port.model, port.dtype, train)
    x, y = (as_array(side[call.name, call.number]) for side in (given, results))
    distance = _distance(port, path, (call.name, call.number), x, fed.get(f"fed:{path}"))
    reasons: list[str] = []
    if distance is not None and distance < SAME_VALUE:
        way = port.layout_of(truth, row.name, y.shape)
        reasons = hints.of_layer(hints.Clue(module, call, x, way.to_torch(y), array_of(truth, row.name), way, train))
    return Location(row, f"{call.name} ({type(call.layer).__name__})", distance, tuple(reasons), before)


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


def _distance(
    port: Port, path: str, call: tuple[str, int], given: np.ndarray, expected: np.ndarray | None
) -> float | None:
    """Return how far a layer's input is from PyTorch's, None where the two cannot be compared."""
    if expected is None:
        return None
    sizes = port.flattened.get(call)
    first = port.channels_first(path)
    own = layout.flattened(sizes) if sizes else layouts.fit(given.shape, expected.shape, first, inner=True)
    actual = own.to_torch(given)
    return measure(expected, actual).relative if actual.shape == expected.shape else None


def _last_before(row: Row, comparison: Comparison) -> str:
    """Return the last activation that agrees before a row, "" where there is none."""
    names = [other.name for other in comparison.rows[: comparison.rows.index(row)] if other.kind == "activation"]
    return names[-1] if row.kind in ("activation", "output", "loss") and names else ""
