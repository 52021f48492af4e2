"""Blocks of a class of which some are given less, or return less, than others: they are given None, or a tensor twice.

T5's first block makes the bias that the others are given, and returns it; they return what they were given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from parity.translate import names
from parity.translate.program import NOTHING, Block, Symbol
from parity.translate.skeleton import (
    MOST_NUMBERS,
    NONE,
    Id,
    Skeleton,
    Unlike,
    aligned,
    differing,
    ids_of,
    inputs_of,
    key_of,
    merge,
    places_in,
)

Place = tuple[int, tuple[int, ...]]  # of a read: the statement's number, and the input's
Variants = Sequence[Sequence[Block]]


@dataclass
class Before:
    """What a block was before it was changed."""

    block: Block

    def __post_init__(self) -> None:
        block, call = self.block, self.block.call
        assert call is not None
        self.own = block.parameters, block.results
        self.inputs = [statement.inputs for statement in block.statements]
        self.given = call.inputs, call.outputs

    def restore(self) -> None:
        """Undo the changes."""
        block, call = self.block, self.block.call
        assert call is not None
        block.parameters, block.results = self.own
        call.inputs, call.outputs = self.given
        for statement, own in zip(block.statements, self.inputs, strict=True):
            statement.inputs = own


@dataclass
class _Instead:
    """What a variant has for a tensor that it is not given: another parameter, or None; and where it reads it."""

    parameter: int | None = None
    places: dict[Place, None] = field(default_factory=dict)


def merge_with_none(members: Variants, own: Sequence[Block]) -> Skeleton:
    """Return one function for blocks of several variants, the last of which lacks tensors or has more; see `merge`.

    Raises:
        Unlike: no function serves all; the blocks are as before.
    """
    everyone = [*members, own]
    if any(block.call is None for blocks in everyone for block in blocks):
        raise Unlike
    before = [Before(block) for blocks in everyone for block in blocks]
    try:
        _even(members, [own])
        merged = merge(everyone)
        if differing(merged.slots) > MOST_NUMBERS:
            raise Unlike  # two functions read better
        return merged
    except Unlike:
        for each in before:
            each.restore()
        raise


def _even(one: Variants, other: Variants) -> None:
    """Let the blocks of both sides take the same tensors, and return as many."""
    left, right = _labels(one), _labels(other)
    forward = names.parameters(one[0][0].frame.module)
    union = [*left, *(label for label in right if label not in left)]
    union.sort(key=lambda label: forward.index(label) if label in forward else len(forward))
    plans = [
        (blocks, own, {label: _instead(blocks[0], against, label) for label in union if label not in own})
        for side, against, own in ((one, other, left), (other, one, right))
        for blocks in side
    ]
    results = _results(one[0][0], other[0][0])
    ends = [
        [[_end(blocks[0], against[0][0], pair[n], pair[1 - n]) for pair in results] for blocks in side]
        for n, (side, against) in enumerate(((one, other), (other, one)))
    ]
    for side, ends_of_others in ((one, ends[1]), (other, ends[0])):
        _name_results(side, ends_of_others[0], other[0][0] if side is one else one[0][0])
    for (blocks, own, instead), numbers in zip(plans, [*ends[0], *ends[1]], strict=True):
        for block in blocks:
            _return(block, numbers)
            _give(block, union, own, instead)


def _labels(variants: Variants) -> list[str]:
    """Return the names of what the blocks of one side are given."""
    every = {tuple(blocks[0].labels.get(id(symbol), "") for symbol in blocks[0].parameters) for blocks in variants}
    labels = list(every.pop())
    if every or "" in labels or len(set(labels)) < len(labels):
        raise Unlike
    return labels


def _pairs(one: Block, other: Block) -> Iterator[tuple[int, int]]:
    """Yield the numbers of statements that both blocks have."""
    keys, own = ([key_of(block, statement) for statement in block.statements] for block in (one, other))
    rows, _, shared = aligned([{0: n} for n in range(len(keys))], keys, own, 1)
    if shared * 2 < max(len(keys), len(own)):
        raise Unlike
    return ((row[0], row[1]) for row in rows if len(row) > 1)


def _instead(block: Block, against: Variants, label: str) -> _Instead:
    """Return what a block reads where others read what they are given under a name."""
    found = _Instead()
    read: set[Id] = set()
    ids = ids_of(block, range(len(block.statements)))
    for blocks in against:
        other = blocks[0]
        number = [other.labels.get(id(symbol), "") for symbol in other.parameters].index(label)
        others = ids_of(other, range(len(other.statements)))
        pairs = list(_pairs(block, other))
        shared = {own for own, _ in pairs}
        for own, theirs in pairs:
            inputs = inputs_of(block.statements[own], ids), inputs_of(other.statements[theirs], others)
            for (place, a), (_, b) in zip(*map(places_in, inputs), strict=True):
                made_instead = a[0] == "out" and a[1] not in shared  # a phi chooses between the two
                if b == ("in", number) and not made_instead:
                    read.add(a)
                    found.places[own, place] = None
    if read - {NONE}:
        if len(read) > 1 or next(iter(read))[0] != "in":
            raise Unlike
        found.parameter = read.pop()[1]
    return found


def _give(block: Block, union: list[str], own: list[str], instead: dict[str, _Instead]) -> None:
    """Let a block take every tensor of a list, of which it has some."""
    assert block.call is not None
    old, given = block.parameters, block.call.inputs
    block.parameters, block.call.inputs = [], []
    for label in union:
        if label in own:
            new, handed = old[own.index(label)], given[own.index(label)]
        elif (twice := instead[label].parameter) is not None:
            new, handed = replace(old[twice], hint=label), given[twice]
        else:
            new, handed = Symbol((), "", None, label, is_none=True), NOTHING
        block.parameters.append(new)
        block.call.inputs.append(handed)
        block.labels[id(new)] = label
        for number, place in instead[label].places if label in instead else ():
            put(block, number, place, new)


def put(block: Block, number: int, place: tuple[int, ...], symbol: Symbol) -> None:
    """Let a statement read a symbol at a place."""
    inputs = list(block.statements[number].inputs)
    if len(place) == 1:
        inputs[place[0]] = symbol
    else:
        inner = list(inputs[place[0]])  # type: ignore[arg-type]
        inner[place[1]] = symbol
        inputs[place[0]] = tuple(inner)
    block.statements[number].inputs = inputs


def _results(one: Block, other: Block) -> list[tuple[int | None, int | None]]:
    """Pair the numbers of what two blocks return; None where one of them does not return it."""
    same: dict[int, Symbol] = {}
    for a, b in _pairs(one, other):
        same.update(zip(map(id, one.statements[a].outputs), other.statements[b].outputs, strict=True))
    found: list[tuple[int | None, int | None]] = []
    for number, symbol in enumerate(one.results):
        twin = same.get(id(symbol))
        found.append((number, other.results.index(twin) if twin in other.results else None))
    taken = {pair[1] for pair in found}
    return [*found, *((None, n) for n in range(len(other.results)) if n not in taken)]


def _end(block: Block, against: Block, own: int | None, theirs: int | None) -> Id:
    """Return where a block has a result: ("result", n), ("out", statement, n), or ("in", n) of what it is given."""
    if own is not None:
        return "result", own
    wanted = against.results[theirs or 0]
    for a, b in _pairs(block, against):
        if wanted in against.statements[b].outputs:
            return "out", a, list(against.statements[b].outputs).index(wanted)
    labels = [against.labels.get(id(symbol)) for symbol in against.parameters if not symbol.is_none]
    more = [n for n, symbol in enumerate(block.parameters) if block.labels.get(id(symbol)) not in labels]
    if len(more) != 1 or block.parameters[more[0]].is_none:
        raise Unlike
    return "in", more[0]


def _name_results(variants: Variants, others: list[Id], against: Block) -> None:
    """Name what blocks return that others return as it was given to them."""
    for blocks in variants:
        for block in blocks:
            for symbol, end in zip(block.results, others, strict=False):
                if end[0] == "in" and not symbol.hint:
                    symbol.hint = against.labels.get(id(against.parameters[end[1]]), "")


def _return(block: Block, ends: list[Id]) -> None:
    """Let a block return these, of which its caller reads what it did before."""
    assert block.call is not None
    results, outputs = block.results, block.call.outputs
    block.results, made = [], list[Symbol]()
    for kind, number, *place in ends:
        if kind == "result":
            block.results.append(results[number])
            made.append(outputs[number])
            continue
        symbol = block.parameters[number] if kind == "in" else block.statements[number].outputs[place[0]]
        block.results.append(symbol)
        made.append(replace(symbol, hint=block.labels.get(id(symbol), symbol.hint), members=(), owner=None))
    block.call.outputs = made
