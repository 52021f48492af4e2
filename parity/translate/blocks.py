"""Which blocks become functions, and what each takes and returns."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator

from torch import nn

from parity.translate import names
from parity.translate.graph import values_in
from parity.translate.program import Block, BlockCall, Statement, Symbol
from parity.translate.tidied import tidy

INLINED = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def settle(root: Block, inputs: list[Symbol], outputs: list[Symbol], views: dict) -> None:
    """Inline what needs no function, then say what each block reads from outside and what is read of it.

    Args:
        root: the outermost block.
        inputs: what the network takes.
        outputs: what the network returns.
        views: value -> its symbol; for the order in which a module was given them.
    """
    _drop_dead(root, set(map(id, outputs)))
    _inline(root)
    _connect(root, outputs)
    for block in blocks_in(root):
        given = [views[value].symbol for value in values_in(list(block.frame.arguments)) if value in views]
        order = {id(symbol): number for number, symbol in reversed(list(enumerate(given)))}
        block.labels = _labels(block, views)
        block.parameters.sort(key=lambda symbol: order.get(id(symbol), len(order)))
    root.parameters, root.results, root.labels = list(inputs), list(dict.fromkeys(outputs)), _labels(root, views)
    for block in (root, *blocks_in(root)):
        for statement in block.statements:
            if isinstance(statement, BlockCall) and statement.block:
                frame = statement.block.frame
                statement.inputs = [s.members if s.owner is frame else s for s in statement.block.parameters]
                statement.outputs = statement.block.results
                statement.block.call = statement
    _order_results(list(blocks_in(root)))
    for block in (root, *blocks_in(root)):
        tidy(block)


def _order_results(blocks: Iterable[Block]) -> None:
    """Let the blocks of a class that return the same return it in one order, even if their callers read it in several.

    The calls share the list, and so they are ordered, too.
    """
    groups: defaultdict[Hashable, list[tuple[Block, list[int]]]] = defaultdict(list)
    for block in blocks:
        made = [id(symbol) for statement in block.statements for symbol in statement.outputs]
        places = [made.index(id(symbol)) if id(symbol) in made else -1 for symbol in block.results]
        groups[block.frame.title, len(made), *sorted(places)].append((block, places))
    for alike in groups.values():
        if len({tuple(places) for _, places in alike}) > 1:
            for block, places in alike:
                block.results[:] = [block.results[n] for n in sorted(range(len(places)), key=places.__getitem__)]


def _labels(block: Block, views: dict) -> dict[int, str]:
    """Return the names that `forward` has for what it is given."""
    found: dict[int, str] = {}
    for name, argument in zip(names.given(block.frame), block.frame.arguments, strict=False):
        inner = values_in(argument)
        for number, value in enumerate(inner):
            if value in views:
                found.setdefault(id(views[value].symbol), name if len(inner) == 1 else f"{name}_{number}")
    return found


def blocks_in(block: Block) -> Iterator[Block]:
    """Yield the blocks called in one, the innermost first."""
    for statement in block.statements:
        if isinstance(statement, BlockCall) and statement.block:
            yield from blocks_in(statement.block)
            yield statement.block


def _drop_dead(block: Block, live: set[int]) -> None:
    """Drop what no output depends on, such as a pooling whose result the caller leaves; `live` gets what is read."""
    kept: list[Statement] = []
    for statement in reversed(block.statements):
        if isinstance(statement, BlockCall) and statement.block:
            _drop_dead(statement.block, live)
            if statement.block.statements:
                kept.append(statement)
        elif not live.isdisjoint(map(id, statement.outputs)):
            kept.append(statement)
            _add_read(statement.symbols(), live)
    block.statements = kept[::-1]


def _add_read(symbols: Iterable[Symbol], live: set[int]) -> None:
    for symbol in symbols:
        live.add(id(symbol))
        _add_read(symbol.members, live)


def _inline(block: Block) -> None:
    found: list[Statement] = []
    for statement in block.statements:
        if isinstance(statement, BlockCall) and statement.block:
            _inline(statement.block)
            if type(statement.block.frame.module) in INLINED or len(statement.block.statements) < 2:
                for inner in statement.block.statements:
                    own = statement.block.frame
                    inner.inputs = [s.members if isinstance(s, Symbol) and s.owner is own else s for s in inner.inputs]
                found += statement.block.statements
                continue
        found.append(statement)
    block.statements = found


def _connect(root: Block, outputs: list[Symbol]) -> None:
    made: dict[int, tuple[Block, ...]] = {}
    read: list[tuple[Symbol, tuple[Block, ...]]] = [(symbol, (root,)) for symbol in outputs]

    def walk(block: Block, chain: tuple[Block, ...]) -> None:
        for statement in block.statements:
            if isinstance(statement, BlockCall) and statement.block:
                walk(statement.block, (*chain, statement.block))
                continue
            for symbol in statement.symbols():
                note(symbol, chain)
            made.update({id(symbol): chain for symbol in statement.outputs})

    def note(symbol: Symbol, chain: tuple[Block, ...]) -> None:
        if symbol.owner is None:
            read.append((symbol, chain))
            return
        place = next(n for n, block in enumerate(chain) if block.frame is symbol.owner)
        for block in chain[place:]:
            if symbol not in block.parameters:
                block.parameters.append(symbol)
        for member in symbol.members:
            note(member, chain[:place])

    walk(root, (root,))
    for symbol, chain in read:
        home = made.get(id(symbol), (root,))
        for block in chain:
            if block not in home and symbol not in block.parameters:
                block.parameters.append(symbol)
        for block in home:
            if block not in chain and symbol not in block.results:
                block.results.append(symbol)
