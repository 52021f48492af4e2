"""Where a difference begins: the first tensor that diverges, in the order values flow."""

from collections.abc import Sequence

from parity.core.compare import Row
from parity.core.trace import step_of


def first_divergence(rows: Sequence[Row]) -> Row | None:
    """Return the first failing tensor.

    Forward values come in the order of the forward pass. Gradients are walked backwards, for traces list them from the
    input on: the one nearest the loss is the first. Then come buffers, and the steps one after the other. None where
    nothing fails.
    """
    failed = [(position, row) for position, row in enumerate(rows) if not row.passed]
    return min(failed, key=lambda item: _when(*item))[1] if failed else None


def _when(position: int, row: Row) -> tuple[int, int, int]:
    backwards = row.kind == "gradient"
    phase = {"gradient": 1, "buffer": 2, "slot": 3, "parameter": 4 if step_of(row.name) else 0}.get(row.kind, 0)
    return step_of(row.name), phase, -position if backwards else position
