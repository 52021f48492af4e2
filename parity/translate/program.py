"""The Keras program that is being written: symbols and the statements that make them, a block for each module."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.translate.capture import Untranslatable
from parity.translate.graph import Frame, Value, Where
from parity.translate.layout import Layout

Sizes = tuple[int | None, ...]


@dataclass(eq=False)
class Symbol:
    """A variable of the program.

    Args:
        shape: Keras's; None where a size follows the batch.
        dtype: by its name.
        where: the user's line that it comes from, which may name it.
        hint: a name for it, where no line has one.
        is_layer: a layer that is made once and called in several places.
        is_constant: made of constants alone, when the program is run.
        is_list: a list that a loop fills.
        is_none: what a block is not given, and others of its class are.
        members: of a list that a module was given: what it holds.
        owner: the call of that module.
    """

    shape: Sizes
    dtype: str
    where: Where | None = None
    hint: str = ""
    is_layer: bool = False
    is_constant: bool = False
    is_list: bool = False
    is_none: bool = False
    members: "tuple[Symbol, ...]" = ()
    owner: Frame | None = None


NOTHING = Symbol((), "", hint="None", is_none=True)  # what a block that is given None is called with


@dataclass(frozen=True)
class View:
    """A PyTorch tensor as a symbol that holds its values.

    Args:
        symbol: the variable.
        shape: PyTorch's.
        batched: PyTorch's axes whose size follows the batch.
        layout: Keras's axis i is PyTorch's axis layout[i].
        flat: (H, W, C) where axis 1 was flattened from a channels-last tensor: its features are in Keras's order.
    """

    symbol: Symbol
    shape: tuple[int, ...]
    batched: tuple[bool, ...]
    layout: Layout
    flat: tuple[int, ...] | None = None

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> str:
        """By its name."""
        return self.symbol.dtype

    def axis(self, axis: int) -> int:
        """Return Keras's axis of one of PyTorch's; the last is −1."""
        found = self.layout.index(axis % self.rank)
        return -1 if found == self.rank - 1 else found


@dataclass(frozen=True)
class Literal:
    """A value in the program's text.

    Args:
        value: a number, a text, a truth value, or a tuple of them.
        default: of an argument, which is left out where the value is this; None: never.
        positional: the argument has no name in the call.
        role: of an argument of a block, what it counts; see `parity.translate.derived`.
        is_free: of an argument that this call does not use: any value does.
    """

    value: Any
    default: Any = None
    positional: bool = False
    role: str = ""
    is_free: bool = False


@dataclass(eq=False)
class Statement:
    """A line of the program.

    Args:
        head: of an expression its text, "{0} + {1}" with literals by name; of a layer its class.
        inputs: symbols, or tuples of them, which are lists in the text.
        outputs: what is assigned.
        literals: by the argument's name.
        path: of a layer, its name: PyTorch's module path.
        where: the user's line.
        names: of a layer's inputs in the call, "" where they are positional.
    """

    head: str
    inputs: Sequence[Symbol | tuple[Symbol, ...]]
    outputs: Sequence[Symbol]
    literals: Mapping[str, Literal] = field(default_factory=dict)
    path: str | None = None
    where: Where | None = None
    names: Sequence[str] = ()

    def symbols(self) -> Iterator[Symbol]:
        """Yield what the line reads."""
        for each in self.inputs:
            yield from each if isinstance(each, tuple) else (each,)


class Expression(Statement):
    """An expression."""


class Layer(Statement):
    """A layer that is made and called; without inputs it is made alone, and called elsewhere by `LayerCall`."""


class LayerCall(Statement):
    """A layer made before, its first input, is called."""


@dataclass(eq=False)
class BlockCall(Statement):
    """The function of another block is called; what it takes and returns is known when all is written."""

    block: "Block | None" = None
    function: Any = None


@dataclass(eq=False)
class Block:
    """What one call of a module does.

    Args:
        frame: the call.
        statements: in order.
        parameters: symbols from outside that it reads.
        results: symbols that are read outside.
        labels: id of a parameter -> its name in `forward`.
        call: the statement that calls it; None of the outermost.
    """

    frame: Frame
    statements: list[Statement] = field(default_factory=list)
    parameters: list[Symbol] = field(default_factory=list)
    results: list[Symbol] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    call: BlockCall | None = None


def sizes(x: "Value | View", order: Layout) -> tuple[int, ...]:
    """Return the argument of a reshape: a tensor's shape in a layout, −1 where it follows the batch.

    Raises:
        Untranslatable: two axes do.
    """
    found = tuple(-1 if x.batched[axis] else x.shape[axis] for axis in order)
    if found.count(-1) > 1:
        raise Untranslatable("two axes of one tensor follow the batch size")
    return found


def optional(value: Any, default: Any) -> Literal:
    """Return an argument that is left out where it has its default value."""
    return Literal(value, default)


def literals_of(arguments: Mapping[str, Any]) -> dict[str, Literal]:
    """Return arguments as literals; those without a default are positional."""
    return {
        name: each if isinstance(each, Literal) else Literal(each, positional=True) for name, each in arguments.items()
    }
