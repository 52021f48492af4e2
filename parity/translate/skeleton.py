"""What the blocks of one class have in common: one sequence of slots, some of which only some blocks fill."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from parity.translate.loops import Loop
from parity.translate.program import NOTHING, Block, BlockCall, Statement, Symbol

# What a statement reads: ("in", k) a parameter, ("out", slot, k) what another made, ("phi", n) one of two of them.
Id = tuple
NONE: Id = ("none",)
MOST_RUNS, MOST_NUMBERS = 3, 8  # runs of a function that has an else, and numbers that differ between its blocks


@dataclass(eq=False)
class Slot:
    """A statement of a function.

    Args:
        members: block -> its statement; the blocks without one skip the slot.
        inputs: what it reads; a tuple is a list in the text.
    """

    members: dict[Block, Statement]
    inputs: list[Id | tuple[Id, ...]] = field(default_factory=list)

    @property
    def block(self) -> Block:
        """The first block that has a statement."""
        return next(iter(self.members))

    @property
    def first(self) -> Statement:
        """That statement."""
        return self.members[self.block]

    @property
    def path(self) -> str:
        """Its path within the block's module, as `relative` has it."""
        return relative(self.block, self.first.path) or ""


@dataclass(frozen=True)
class Phi:
    """A value that is `made` in a block that fills a run of slots, and `base` in one that skips it.

    Args:
        made: the one.
        base: the other.
        run: the first slot of the run.
        apart: `base` is made in another run, which no block that fills this one fills, too: if and else.
    """

    made: Id
    base: Id
    run: int
    apart: bool = False


@dataclass(eq=False)
class Skeleton:
    """A function's slots, with the blocks that are calls of it."""

    blocks: list[Block]
    slots: list[Slot]
    results: list[Id]
    phis: list[Phi]


class Unlike(Exception):
    """Blocks are too different for one function."""


def key_of(block: Block, statement: Statement) -> Hashable:
    """Return what two statements must share to be one slot."""
    arity = tuple(len(each) if isinstance(each, tuple) else -1 for each in statement.inputs)
    head: Hashable = statement.head
    if isinstance(statement, BlockCall):
        head = id(statement.function)
    if isinstance(statement, Loop):
        head = id(statement.function), statement.step, statement.gathers
    kind = type(statement).__name__
    return (
        kind,
        head,
        tuple(statement.names),
        relative(block, statement.path),
        arity,
        len(statement.outputs),
        tuple(statement.literals),
    )


def relative(block: Block, path: str | None) -> str | None:
    """Return a path within a block's module: ".conv1"; "" is the module itself, "/name" another's."""
    if path is None or path == block.frame.path:
        return path and ""
    own = block.frame.path
    if not own:
        return f"/{path}"
    return path[len(own) :] if path.startswith((f"{own}.", f"{own}_")) else f"/{path}"


def variant_of(block: Block) -> Hashable:
    """Return what two blocks share that do the same with other numbers."""
    ids = ids_of(block, range(len(block.statements)))
    keys = [(key_of(block, each), tuple(inputs_of(each, ids))) for each in block.statements]
    return tuple(keys), tuple(ids[id(symbol)] for symbol in block.results), len(block.parameters)


def merge(variants: Sequence[Sequence[Block]]) -> Skeleton:
    """Return one function for blocks of several variants.

    Raises:
        Unlike: no sequence of slots serves all, or they share too little.
    """
    firsts = [blocks[0] for blocks in variants]
    if len({(len(first.parameters), len(first.results)) for first in firsts}) > 1:
        raise Unlike
    rows: list[dict[int, int]] = [{0: n} for n in range(len(firsts[0].statements))]  # variant -> its statement's number
    keys = [key_of(firsts[0], statement) for statement in firsts[0].statements]
    for number, first in enumerate(firsts[1:], 1):
        own = [key_of(first, statement) for statement in first.statements]
        rows, keys, shared = aligned(rows, keys, own, number)
        if shared * 2 < max(len(own), len(rows)):
            raise Unlike
    return _resolve(variants, rows)


def aligned(rows: list[dict[int, int]], keys: list, own: list, number: int) -> tuple[list[dict[int, int]], list, int]:
    """Merge a variant into the slots, by the longest common subsequence."""
    best = [[0] * (len(own) + 1) for _ in range(len(keys) + 1)]
    for i in range(len(keys) - 1, -1, -1):
        for j in range(len(own) - 1, -1, -1):
            best[i][j] = best[i + 1][j + 1] + 1 if keys[i] == own[j] else max(best[i + 1][j], best[i][j + 1])
    i = j = shared = 0
    merged: list[dict[int, int]] = []
    order = []
    while i < len(keys) or j < len(own):
        if i < len(keys) and j < len(own) and keys[i] == own[j]:
            merged.append({**rows[i], number: j})
            order.append(keys[i])
            i, j, shared = i + 1, j + 1, shared + 1
        elif j == len(own) or (i < len(keys) and best[i + 1][j] >= best[i][j + 1]):
            merged.append(rows[i])
            order.append(keys[i])
            i += 1
        else:
            merged.append({number: j})
            order.append(own[j])
            j += 1
    return merged, order, shared


def _resolve(variants: Sequence[Sequence[Block]], rows: list[dict[int, int]]) -> Skeleton:
    """Give every slot what it reads, by a phi where that depends on slots that were skipped."""
    everyone = range(len(variants))
    ids = []
    for number, blocks in enumerate(variants):
        places = {row[number]: slot for slot, row in enumerate(rows) if number in row}
        ids.append(ids_of(blocks[0], [places[n] for n in range(len(blocks[0].statements))]))
    reads: list[dict[int, list]] = []
    for row in rows:
        reads.append({v: inputs_of(variants[v][0].statements[n], ids[v]) for v, n in row.items()})
    reads.append({v: [ids[v][id(symbol)] for symbol in variants[v][0].results] for v in everyone})
    phis: list[Phi] = []
    start = 0
    while start < len(rows):
        stop = start + 1
        while stop < len(rows) and set(rows[stop]) == set(rows[start]):
            stop += 1
        if len(rows[start]) < len(variants):
            _find_phis(reads, start, stop, [set(row) for row in rows], phis)
        start = stop
    slots = []
    for number, row in enumerate(rows):
        members = {block: block.statements[n] for v, n in row.items() for block in variants[v]}
        slots.append(Slot(members, _only(reads[number])))
    many = len({phi.run for phi in phis}) > MOST_RUNS or differing(slots) > MOST_NUMBERS
    if many and any(phi.apart for phi in phis):
        raise Unlike  # two functions read better
    return Skeleton([block for blocks in variants for block in blocks], slots, _only(reads[-1]), phis)


def differing(slots: Sequence[Slot]) -> int:
    """Return how many numbers differ between the blocks; one that several statements have is one number."""
    blocks = {block for slot in slots for block in slot.members}
    rows = set()
    for slot in slots:
        for name in slot.first.literals:
            values = {block: each.literals[name].value for block, each in slot.members.items()}
            lengths = {len(value) if isinstance(value, tuple) else -1 for value in values.values()}
            parts = range(lengths.pop()) if len(lengths) == 1 and lengths != {-1} else [None]
            for n in parts:
                own = {block: repr(value if n is None else value[n]) for block, value in values.items()}
                if len(set(own.values())) > 1:
                    rows.add(tuple(own.get(block) for block in blocks))
    return len(rows)


def _find_phis(reads: list[dict[int, list]], start: int, stop: int, members: list[set[int]], phis: list[Phi]) -> None:
    """Replace what is read of a run of slots, where other variants skip it and read something else."""
    filled, everyone = members[start], set(reads[-1])
    made = {
        each for row in reads[stop:] for v in filled & set(row) for each in _flat(row[v]) if _within(each, start, stop)
    }
    for value in sorted(made, key=str):
        bases = set()
        places = []
        for row in reads[stop:]:
            for v in filled & set(row):
                for at, each in places_in(row[v]):
                    others = {_get(row[w], at) for w in set(row) - filled}
                    if each == value and others:
                        places.append((row, at))
                        bases |= {other for other in others if not _later(other, stop)}
        if not places or not bases:  # or a later run makes what the others read
            continue
        if len(bases) != 1 or NONE in bases:
            raise Unlike
        base = bases.pop()
        known = _known_in(base, members, phis, everyone)
        if known != everyone and known & filled:
            raise Unlike
        phi = ("phi", len(phis))
        phis.append(Phi(value, base, start, known != everyone))
        for row in reads[stop:]:
            for v in row:
                for at, each in places_in(row[v]):
                    if (v in filled and each == value) or (v not in filled and each == base and (row, at) in places):
                        _put(row[v], at, phi)


def _known_in(value: Id, members: list[set[int]], phis: list[Phi], everyone: set[int]) -> set[int]:
    """Return the variants in which a value is made."""
    if value[0] == "phi":
        phi = phis[value[1]]
        return members[phi.made[1]] | _known_in(phi.base, members, phis, everyone)
    return members[value[1]] if value[0] == "out" else everyone


def _within(each: Id, start: int, stop: int) -> bool:
    return each[0] == "out" and start <= each[1] < stop


def _later(each: Id, stop: int) -> bool:
    return each[0] == "out" and each[1] >= stop


def is_list(each: Id | tuple[Id, ...]) -> bool:
    """Return whether what is read is a list in the text, which may be empty."""
    return not each or isinstance(each[0], tuple)


def places_in(inputs: list) -> list[tuple[tuple[int, ...], Id]]:
    """Return what a statement reads, one by one, with its place: (1,), or (0, 2) in a list."""
    found: list = []
    for n, each in enumerate(inputs):
        if is_list(each):
            found += [((n, m), inner) for m, inner in enumerate(each)]
        else:
            found.append(((n,), each))
    return found


def _flat(inputs: list) -> list[Id]:
    return [each for _, each in places_in(inputs)]


def _get(inputs: list, at: tuple[int, ...]) -> Id:
    return inputs[at[0]] if len(at) == 1 else inputs[at[0]][at[1]]


def _put(inputs: list, at: tuple[int, ...], each: Id) -> None:
    if len(at) == 1:
        inputs[at[0]] = each
    else:
        inner = list(inputs[at[0]])
        inner[at[1]] = each
        inputs[at[0]] = tuple(inner)


def _only(row: dict[int, list]) -> list:
    """Return what all variants read alike.

    Raises:
        Unlike: they do not.
    """
    first = next(iter(row.values()))
    if any(other != first for other in row.values()):
        raise Unlike
    return first


def ids_of(block: Block, places: Sequence[int]) -> dict[int, Id]:
    """Return id of a symbol -> its id in the function; statement n of the block stands in slot places[n]."""
    found: dict[int, Id] = {id(symbol): ("in", n) for n, symbol in enumerate(block.parameters)}
    for statement, slot in zip(block.statements, places, strict=True):
        found.update({id(symbol): ("out", slot, n) for n, symbol in enumerate(statement.outputs)})
    return found


def inputs_of(statement: Statement, ids: dict[int, Id]) -> list:
    """Return what a statement reads by its ids in the function; a tuple is a list."""

    def one(symbol: Symbol) -> Id:
        return NONE if symbol is NOTHING else ids[id(symbol)]

    return [tuple(map(one, each)) if isinstance(each, tuple) else one(each) for each in statement.inputs]
