"""Whether a PyTorch module is random: two runs with the same weights and inputs differ.

No port of such a module can be judged. In float32 anything would pass, because PyTorch's own error is taken from runs
that differ by chance.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from parity.core.repeat import Split, first_split
from parity.pair.options import typed

if TYPE_CHECKING:
    from parity.record.torch_recorder import Call, Run

RUNS = 40  # of a module that draws random numbers and agrees with itself: a dropout of 5 % of 12 values often does so

# A first difference in float32 of less than this share of the tensor may come from another order of summation. The runs
# are then repeated in float64, where rounding stays below ROUNDING and random values do not.
CLEAR = 1e-3
ROUNDING = 1e-10


def describe(run: Callable[..., "Run"], inputs: Any, first: "Run | None", train: bool) -> str:
    """Say where a module differs from itself; "" where it does not.

    Args:
        run: (inputs, dtype=…) -> a run of a fresh copy of the module.
        inputs: a structure of arrays in PyTorch's layout, float32.
        first: a run in float32 and in this mode, where there has been one.
        train: the runs are in train mode.
    """
    split, calls = _split(run, inputs, 0.0, first)
    if split and split.size < CLEAR:
        split, calls = _split(partial(run, dtype="float64"), typed(inputs, "float64"), ROUNDING)
    if split is None:
        return ""
    call = next((call for call in calls if call.name == split.inside), None)
    return (
        f"PyTorch's module is random{' in train mode' if train else ''}: two runs with the same weights and inputs "
        f"differ, first {split.place()}. {_reason(call, train)}"
    )


def _split(
    run: Callable[..., "Run"], inputs: Any, bound: float, first: "Run | None" = None
) -> tuple[Split | None, tuple["Call", ...]]:
    """Return where runs differ, of two or, where random numbers are drawn, of up to `RUNS`; and the calls."""
    one = first or run(inputs)
    for _ in range(RUNS - 1 if one.drew else 1):
        if split := first_split(one.values, run(inputs).values, bound):
            return split, one.calls
    return None, one.calls


def _reason(call: "Call | None", train: bool) -> str:
    """Say what makes a module random, and what to do."""
    if call is None and not train:
        return (
            "A dropout that stays on in eval mode, F.dropout(x) without training=self.training, does so: use "
            "nn.Dropout, or pass training=self.training"
        )
    if call is None:
        return (
            "It draws values that Keras cannot be given, such as those of Python's random or of NumPy: draw them with "
            "torch.rand, torch.bernoulli or torch.randn, or check with train=False"
        )
    name = type(call.module).__name__
    advice = "leave it out, or check with train=False" if train else "make it depend on self.training"
    return f"{name} draws random values of its own: {advice}"
