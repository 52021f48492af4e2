"""Runs of calls of one function as a loop: each is given what the last returned, or the list of all before it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parity.translate import names
from parity.translate.program import Block, BlockCall, Literal, Statement, Symbol

if TYPE_CHECKING:
    from parity.translate.functions import Function

NUMBERED = re.compile(r"(.*?)(\d+)")
FEW, SHORT = 5, 4  # so many calls, or fewer, that differ in up to so many numbers stand one by one, a line each
HEAD = 80  # columns whose names together are longer have no place in a line of a loop's head
Input = Symbol | tuple[Symbol, ...]


@dataclass(frozen=True)
class Step:
    """How a call goes on from the one before.

    Args:
        place: among the inputs, of what changes; None where all calls are given the same.
        grows: it is a list, which got what the last call returned; else it is that itself.
    """

    place: int | None
    grows: bool = False


@dataclass(eq=False)
class Loop(Statement):
    """A loop over numbered modules: its head is the path before the number.

    Args:
        function: what is called.
        step: how a call goes on from the one before.
        gathers: what the calls return is kept in a list, the loop's last output; its last input is its beginning.
        rows: names of the function's parameters that differ between the calls; their literals hold a tuple.
    """

    function: "Function | None" = None
    step: Step = Step(0)
    gathers: bool = False
    rows: tuple[str, ...] = ()
    members: list[BlockCall] = field(default_factory=list)


def roll_up(block: Block) -> None:
    """Replace each run of calls in a block by a loop."""
    found: list[Statement] = []
    rest = list(block.statements)
    while rest:
        run, step = _run(block, rest, alike=True)
        if len(run) < 2 and len(_run(block, rest[1:], alike=True)[0]) < 2:
            longer, other = _run(block, rest, alike=False)
            run, step = (longer, other) if len(longer) > 2 and not _reads_better_apart(longer) else (run, step)
        if len(run) > 1:
            found.append(_loop(block, run, step))
        else:
            found.append(rest[0])
        rest = rest[max(len(run), 1) :]
    block.statements = found


def roll_up_alike(blocks: Sequence[Block]) -> None:
    """Let a call be a loop of one round where other blocks of the class have a loop."""
    loops = [
        {(each.path or "").removeprefix(block.frame.path): each for each in block.statements if isinstance(each, Loop)}
        for block in blocks
    ]
    for number, block in enumerate(blocks):
        known = {path: each for own in loops[:number] + loops[number + 1 :] for path, each in own.items()}
        for n, call in enumerate(block.statements if known else ()):
            if not isinstance(call, BlockCall) or len(call.outputs) > 1 or not (numbered := _numbered(call)):
                continue
            path = numbered[0].removeprefix(block.frame.path)
            loop = known.get(path)
            simple = loop and loop.step.place is not None and not (loop.step.grows or loop.gathers)
            if loop and simple and path not in loops[number] and loop.function is call.function:
                block.statements[n] = _loop(block, [call], loop.step)


def _reads_better_apart(run: list[BlockCall]) -> bool:
    """Return whether a few calls differ in several numbers, which the head of a loop would have as a table."""
    values = {name: {repr(call.literals[name].value) for call in run} for name in run[0].literals}
    columns = [name for name, each in values.items() if len(each) > 1]
    return len(run) <= FEW and len(columns) > 1 and (len(columns) <= SHORT or len(", ".join(columns)) > HEAD)


def _run(block: Block, statements: list[Statement], alike: bool) -> tuple[list[BlockCall], Step]:
    """Return the calls at the beginning that a loop can make; `alike`: without a number that differs between them."""
    first, step = statements[0] if statements else None, None
    if not isinstance(first, BlockCall) or len(first.outputs) != 1 or not _numbered(first):
        return [], Step(None)
    run = [first]
    for other in statements[1:]:
        if not isinstance(other, BlockCall) or not _is_next(first, other, len(run)):
            break
        if alike and repr(other.literals) != repr(first.literals):
            break
        steps = _step(run[-1], other)
        if steps is None or (step is not None and steps != step):
            break
        run.append(other)
        step = steps
    step = step or Step(None)
    while len(run) > 1 and not _can_be_one(block, run, step):
        run.pop()
    return run, step


def _is_next(first: BlockCall, other: BlockCall, count: int) -> bool:
    one, two = _numbered(first), _numbered(other)
    same = other.function is first.function and len(other.outputs) == 1 and len(other.inputs) == len(first.inputs)
    return same and bool(one and two) and two == (one[0], one[1] + count)  # type: ignore[index]


def _step(last: BlockCall, other: BlockCall) -> Step | None:
    """Return how a call goes on from the one before; None where it does not."""
    made = last.outputs[0]
    pairs = list(zip(last.inputs, other.inputs, strict=True))
    changed = [n for n, (a, b) in enumerate(pairs) if a is not b and a != b]
    if not changed:
        return Step(None)
    a, b = pairs[changed[0]]
    if len(changed) > 1 or (b is not made and not (isinstance(a, tuple) and b == (*a, made))):
        return None
    return Step(changed[0], grows=b is not made)


def _can_be_one(block: Block, run: list[BlockCall], step: Step) -> bool:
    """Return whether what a loop makes is read as one makes it: the last alone, or all as a list."""
    made = [call.outputs[0] for call in run]
    alone, lists = _readers(block, run)
    if step.place is None or step.grows:
        return bool(lists) and not alone
    return alone <= {id(made[-1])} and (not lists or len(made) > 1)


def _readers(block: Block, run: list[BlockCall]) -> tuple[set[int], list[tuple[Symbol, ...]]]:
    """Return the outputs of a run that are read alone, and the lists with all of them, in what is not of the run."""
    made = [call.outputs[0] for call in run]
    others = [each for statement in block.statements if statement not in run for each in statement.inputs]
    alone: set[int] = set()
    lists = []
    for each in [*others, *block.results]:
        if isinstance(each, tuple) and _place_in(each, made) is not None:
            lists.append(each)
        else:
            alone.update(id(s) for s in (each if isinstance(each, tuple) else (each,)) if s in made)
    return alone, lists


def _place_in(listed: Sequence[Symbol], made: list[Symbol]) -> int | None:
    """Return where a list has all that a run made, one after another; None where it does not."""
    if made[0] not in listed:
        return None
    start = listed.index(made[0])
    return start if list(listed[start : start + len(made)]) == made else None


def _numbered(call: BlockCall) -> tuple[str, int] | None:
    matched = NUMBERED.fullmatch(call.path or "")
    return (matched[1], int(matched[2])) if matched else None


def _loop(block: Block, run: list[BlockCall], step: Step) -> Loop:
    first, last = run[0], run[-1]
    prefix, start = _numbered(first) or ("", 0)
    values: dict[str, list[Any]] = {name: [call.literals[name].value for call in run] for name in first.literals}
    rows = tuple(name for name, each in values.items() if len(set(map(repr, each))) > 1)
    literals = {"start": Literal(start), "count": Literal(len(run))}
    for name, each in values.items():
        literals[name] = Literal(tuple(each)) if name in rows else first.literals[name]
    inputs, outputs = list(first.inputs), list(last.outputs)
    lists = _readers(block, run)[1] if len(run) > 1 else []
    if lists:
        gathered, before = _gather(block, run, step, lists)
        outputs = [gathered] if step.place is None or step.grows else [*outputs, gathered]
        inputs.append(before)
    return Loop(
        first.head, inputs, outputs, literals, prefix, first.where, function=first.function,
        step=step, gathers=bool(lists), rows=rows, members=run,
    )  # fmt: skip


def _gather(
    block: Block, run: list[BlockCall], step: Step, lists: list[tuple[Symbol, ...]]
) -> tuple[Symbol, tuple[Symbol, ...]]:
    """Let all that read what a run returned as a list read one symbol; return it, and what is in the list before."""
    made = [call.outputs[0] for call in run]
    if step.grows:
        before = run[0].inputs[step.place or 0]
        assert isinstance(before, tuple)
    else:
        before = _common_start([each[: _place_in(each, made)] for each in lists], _made_before(block, run[0]))
    readers = [each for each in block.statements if each not in run and any(x in lists for x in each.inputs)]
    where = run[0].where if step.grows else readers[0].where
    gathered = Symbol((), "", None, names.list_of(where) or "features", is_list=True)
    whole = [*before, *made]
    for reader in readers:
        reader.inputs = [_with_list(each, whole, gathered) if each in lists else each for each in reader.inputs]
    return gathered, before


def _with_list(listed: Input, whole: list[Symbol], gathered: Symbol) -> Input:
    """Return a list in which one symbol stands for those of a run; that symbol where there is no other."""
    assert isinstance(listed, tuple)
    start = listed.index(whole[0])
    found = (*listed[:start], gathered, *listed[start + len(whole) :])
    return gathered if len(found) == 1 else found


def _made_before(block: Block, call: BlockCall) -> set[int]:
    earlier = block.statements[: block.statements.index(call)]
    return {id(symbol) for symbol in (*block.parameters, *(s for each in earlier for s in each.outputs))}


def _common_start(lists: Sequence[Sequence[Symbol]], known: Iterable[int]) -> tuple[Symbol, ...]:
    """Return what all lists begin with, as far as it was made before."""
    found = []
    for column in zip(*lists, strict=False):
        if len(set(map(id, column))) > 1 or id(column[0]) not in known:
            break
        found.append(column[0])
    whole = all(len(each) == len(found) for each in lists)
    return tuple(found) if whole else ()
