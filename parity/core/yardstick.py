"""PyTorch's own error as a yardstick: of each tensor, or of a pool of small ones."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import sqrt
from statistics import median

from parity.core import tolerance
from parity.core.difference import Difference
from parity.core.trace import kind_of, step_of


@dataclass(frozen=True)
class Yardstick:
    """PyTorch's own error in a tensor, or in a pool of small ones, relative to the tensors' scales."""

    rms: float
    largest: float
    port_rms: float

    @property
    def ratio(self) -> float | None:
        """The port's RMS error ÷ PyTorch's own."""
        return self.port_rms / self.rms if self.rms else None

    @property
    def too_far(self) -> bool:
        """Whether the port's RMS error is more than PyTorch's own explains; the floor is the tensor's affair."""
        return self.port_rms > tolerance.RMS_RATIO * self.rms


def yardsticks(
    sizes: Mapping[str, int], measured: Mapping[str, Difference], own: Mapping[str, Difference], steps: int | None
) -> dict[str, tuple[Difference, Yardstick]]:
    """Return PyTorch's own error in each tensor, and what it is judged by: of a small one all small ones of its kind.

    Args:
        sizes: name -> number of values.
        measured: name -> the port's error.
        own: name -> PyTorch's own.
        steps: judge only the small tensors of so many successive steps together; None: those of all.
    """
    pools: dict[str, list[str]] = {}
    for name in measured:
        together = f"{kind_of(name)} {(step_of(name) - 1) // steps if steps else ''}"
        pools.setdefault(together if sizes[name] < tolerance.POOL_BELOW else name, []).append(name)
    own = {name: replace(own[name], scale=measured[name].scale) for name in measured}
    pools = {key: group for name, members in pools.items() for key, group in _without_outliers(name, members, own)}
    return {
        name: (own[name], yardstick)
        for members in pools.values()
        for yardstick in [_yardstick(members, sizes, measured, own)]
        for name in members
    }


def _without_outliers(name: str, members: list[str], own: Mapping[str, Difference]) -> Iterator[tuple[str, list[str]]]:
    """Split a pool: a tensor that PyTorch itself knows few digits of must not excuse the others, it is judged alone."""
    usual = median(own[member].relative for member in members)
    pooled = [member for member in members if own[member].relative <= tolerance.POOL_OUTLIER * usual]
    yield f"{name} pooled", pooled
    yield from ((member, [member]) for member in members if member not in pooled)


def _yardstick(
    members: Iterable[str],
    sizes: Mapping[str, int],
    measured: Mapping[str, Difference],
    own: Mapping[str, Difference],
) -> Yardstick:
    scaled = [name for name in members if measured[name].scale and own[name].finite]
    values = sum(sizes[name] for name in scaled)
    if not values:
        return Yardstick(0.0, 0.0, 0.0)

    def pooled(errors: Mapping[str, Difference]) -> float:
        return sqrt(sum(sizes[n] * (errors[n].rms / measured[n].scale) ** 2 for n in scaled) / values)

    largest = max(own[name].max_abs / measured[name].scale for name in scaled)
    return Yardstick(pooled(own), largest, pooled(measured))
