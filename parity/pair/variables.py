"""The single variables of Keras's units, by the names that a user writes: "dense/kernel", "attention/query/bias"."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from keras_blitz.weights.mapped import Mapped
from parity.pair.fits import tensors
from parity.pair.units import FREE, Unit, projections


class Held(NamedTuple):
    """A variable of Keras's, and PyTorch's tensor that it is, where the layer is known."""

    variable: Any
    known: Mapped | None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that PyTorch's tensor has, the variable's own where the layer is not known."""
        return self.known.shape if self.known else tuple(map(int, self.variable.shape))


def held_by(units: Iterable[Unit]) -> Iterator[tuple[str, Held]]:
    """Yield the name of each variable of Keras's units, and the variable."""
    for unit in (part for whole in units for part in parts_of(whole)):
        if unit.kind == FREE:
            yield unit.name, Held(unit.weights[""].variable, None)
            continue
        single = [weight for weight in unit.weights.values() if len(weight.variables) == 1]
        for part, weight in zip(tensors(unit), single, strict=True):
            yield part.name, Held(weight.variable, weight)


def parts_of(unit: Unit) -> list[Unit]:
    """Return the projections of a Keras attention, any other unit as it is."""
    return (projections(unit) if unit.kind == "attention" and unit.weights else []) or [unit]
