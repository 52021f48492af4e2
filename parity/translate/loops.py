"""Runs of calls of one function, each given what the last returned, as a loop."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parity.translate.program import Block, BlockCall, Literal, Statement, Symbol

if TYPE_CHECKING:
    from parity.translate.functions import Function

NUMBERED = re.compile(r"(.*?)(\d+)")


@dataclass(eq=False)
class Loop(Statement):
    """A loop over numbered modules: its head is the path before the number.

    Args:
        function: what is called.
        carried: the place among the inputs of what the last call returned.
        rows: names of the function's parameters that differ between the calls; their literals hold a tuple.
    """

    function: "Function | None" = None
    carried: int = 0
    rows: tuple[str, ...] = ()
    members: list[BlockCall] = field(default_factory=list)


def roll_up(block: Block) -> None:
    """Replace each run of calls in a block by a loop."""
    readers: dict[int, int] = {}
    for symbol in [*block.results, *(s for statement in block.statements for s in statement.symbols())]:
        readers[id(symbol)] = readers.get(id(symbol), 0) + 1
    found: list[Statement] = []
    rest = list(block.statements)
    while rest:
        run = _run(rest, readers, alike=True)
        if len(run) < 2 and len(_run(rest[1:], readers, alike=True)) < 2:
            longer = _run(rest, readers, alike=False)
            run = longer if len(longer) > 2 else run
        found.append(_loop(run) if len(run) > 1 else rest[0])
        rest = rest[max(len(run), 1) :]
    block.statements = found


def _run(statements: list[Statement], readers: dict[int, int], alike: bool) -> list[BlockCall]:
    """Return the calls at the beginning that a loop can make; `alike`: without a number that differs between them."""
    first = statements[0] if statements else None
    if not isinstance(first, BlockCall) or len(first.outputs) != 1 or not _numbered(first):
        return []
    run = [first]
    for other in statements[1:]:
        if not isinstance(other, BlockCall) or not _follows(run[0], run[-1], other, len(run), readers):
            break
        if alike and repr(other.literals) != repr(first.literals):
            break
        run.append(other)
    return run


def _follows(first: BlockCall, last: BlockCall, other: BlockCall, count: int, readers: dict[int, int]) -> bool:
    if other.function is not first.function or len(other.outputs) != 1 or len(other.inputs) != len(last.inputs):
        return False
    one, two = _numbered(first), _numbered(other)
    if not one or not two or two != (one[0], one[1] + count):
        return False
    made: Symbol = last.outputs[0]
    places = [n for n, each in enumerate(other.inputs) if each is made]
    same = all(a is b for n, (a, b) in enumerate(zip(last.inputs, other.inputs, strict=True)) if n not in places)
    return len(places) == 1 and same and readers[id(made)] == 1


def _numbered(call: BlockCall) -> tuple[str, int] | None:
    matched = NUMBERED.fullmatch(call.path or "")
    return (matched[1], int(matched[2])) if matched else None


def _loop(run: list[BlockCall]) -> Loop:
    first, last = run[0], run[-1]
    prefix, start = _numbered(first) or ("", 0)
    carried = next(n for n, each in enumerate(run[1].inputs) if each is first.outputs[0])
    values: dict[str, list[Any]] = {name: [call.literals[name].value for call in run] for name in first.literals}
    rows = tuple(name for name, each in values.items() if len(set(map(repr, each))) > 1)
    literals = {"start": Literal(start), "count": Literal(len(run))}
    for name, each in values.items():
        literals[name] = Literal(tuple(each)) if name in rows else first.literals[name]
    return Loop(
        first.head, first.inputs, last.outputs, literals, prefix, first.where, function=first.function,
        carried=carried, rows=rows, members=run,
    )  # fmt: skip
