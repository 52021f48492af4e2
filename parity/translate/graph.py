"""What was recorded of a PyTorch module: values, the calls that made them, and the modules the calls were made in."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

Where = tuple[str, int]  # a file and a line of it


@dataclass(eq=False)
class Value:
    """A tensor at one moment of the run.

    Args:
        shape: PyTorch's.
        dtype: PyTorch's, by its name, "float32".
        kind: what it is; constants do not depend on the inputs or the parameters.
        name: of a parameter or buffer, its path.
        where: the user's line that made it.
        batched: the axes whose size follows the batch size.
        period: by how many rows axis 0 grows with each example more.
        array: of a constant, its values.
    """

    shape: tuple[int, ...]
    dtype: str
    kind: Literal["input", "parameter", "constant", "computed"] = "computed"
    name: str = ""
    where: Where | None = None
    batched: tuple[bool, ...] = ()
    period: int = 0
    array: np.ndarray | None = None

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def is_leaf(self) -> bool:
        """Whether it is a parameter or a constant, which have no layout of their own."""
        return self.kind in ("parameter", "constant")

    @property
    def is_float(self) -> bool:
        """Whether it holds floating-point numbers."""
        return "float" in self.dtype


@dataclass(eq=False)
class Frame:
    """One call of a module whose inside was recorded.

    Args:
        module: the module.
        path: its path.
        parent: the frame that called it.
        arguments: what it was given, in order.
        where: the user's line that called it.
        keywords: the names of the last arguments, which it was given by name.
    """

    module: Any
    path: str
    parent: "Frame | None" = None
    arguments: Sequence[Any] = ()
    where: Where | None = None
    keywords: Sequence[str] = ()

    @property
    def title(self) -> str:
        """The name of its class."""
        return type(self.module).__name__

    def ancestors(self) -> list["Frame"]:
        """Return the frames from the outermost to this one."""
        return [*(self.parent.ancestors() if self.parent else ()), self]


@dataclass(eq=False)
class Call:
    """A function, or a module that is translated as one.

    Args:
        target: the function's name, or the module.
        frame: where it was called.
        args: positional arguments; `Value` where there was a tensor.
        kwargs: arguments by name.
        where: the user's line.
        path: of a module; "" of a function.
        number: of a module, how many times it was called before.
        outputs: what it returned, tensors alone.
        function: of a function, itself: a user's rule is found by it.
        in_train: arguments by name that are numbers, as they are in train mode.
        detached: a gradient could have passed and does not, as inside `torch.no_grad`.
    """

    target: Any
    frame: Frame
    args: tuple
    kwargs: Mapping[str, Any]
    where: Where | None
    path: str = ""
    number: int = 0
    outputs: list[Value] = field(default_factory=list)
    function: Callable | None = None
    in_train: Mapping[str, Any] = field(default_factory=dict)
    detached: bool = False

    def constants(self) -> "list[Value]":
        """Return the constants that it was given."""
        return [value for value in values_in((self.args, self.kwargs)) if value.kind == "constant"]

    @property
    def title(self) -> str:
        """What a message calls it."""
        if isinstance(self.function, type):
            return f"{self.target}, an autograd.Function with a gradient of its own"
        return f"torch's {self.target}" if isinstance(self.target, str) else type(self.target).__name__


@dataclass
class Recording:
    """A run of a module.

    Args:
        root: the outermost frame.
        calls: in their order.
        inputs: what the module was given.
        outputs: what it returned, in the structure it returned it in.
        uses: path of a module -> how many times it was called.
        values: all, in their order.
        names: of the parameters and buffers that are one tensor, the first name of each.
        decisions: lines at which the value of an input, or of what was computed from it, decided.
    """

    root: Frame
    calls: list[Call]
    inputs: list[Value]
    outputs: Any
    uses: Mapping[str, int]
    values: list[Value]
    names: Mapping[str, str] = field(default_factory=dict)
    decisions: Sequence[Where] = ()

    @property
    def opened(self) -> dict[str, str]:
        """Path of a module that calls a function of its own weights, and may do more -> the function's name."""
        return {call.frame.path: call.target for call in self.calls if _is_own(call)}

    @cached_property
    def tied(self) -> dict[str, str]:
        """Path of a Linear whose weight is another module's -> path of that module."""
        pairs = ((name.rpartition(".")[0], first.rpartition(".")[0]) for name, first in self.names.items())
        return {path: owner for path, owner in pairs if path != owner}


def unused_names(recording: Recording) -> set[str]:
    """Return the names of the parameters and buffers that no output depends on, as of a mask only training has."""
    live = set(values_in(recording.outputs))
    used: set[str] = set()
    for call in reversed(recording.calls):
        if live.isdisjoint(call.outputs):
            continue
        live.update(given := values_in((call.args, call.kwargs)))
        used.update(value.name for value in given if value.name)
        if not isinstance(call.target, str):
            used.update(f"{call.path}.{name}" for name, _ in call.target.named_parameters())
            used.update(f"{call.path}.{name}" for name, _ in call.target.named_buffers())
    names = {**{name: name for name, _ in recording.root.module.named_buffers()}, **recording.names}
    return {name for name, first in names.items() if not {name, first} & used}


def _is_own(call: Call) -> bool:
    return bool(call.path) and isinstance(call.target, str) and call.frame.path == call.path


def values_in(tree: Any) -> list[Value]:
    """Return the values in nested lists, tuples and dicts, in order."""
    if isinstance(tree, Value):
        return [tree]
    if isinstance(tree, Mapping):
        tree = tree.values()
    elif not isinstance(tree, (list, tuple)):
        return []
    return [value for item in tree for value in values_in(item)]


def homes(calls: Iterable[Call], tied: Mapping[str, str]) -> dict[str, list[Frame]]:
    """Return where each module, and each parameter by itself, is used: the frames, without doubles."""
    found: defaultdict[str, dict[Frame, None]] = defaultdict(dict)
    for call in calls:
        if call.path:
            found[tied.get(call.path, call.path)][call.frame] = None
        for value in values_in((call.args, call.kwargs)):
            if value.kind == "parameter":
                found[value.name][call.frame] = None
    return {name: list(frames) for name, frames in found.items()}


def common(frames: Sequence[Frame]) -> Frame:
    """Return the innermost frame that contains all of these."""
    chains = [frame.ancestors() for frame in frames]
    return [column[0] for column in zip(*chains, strict=False) if len(set(map(id, column))) == 1][-1]
