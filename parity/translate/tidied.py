"""What is written otherwise than it was recorded, because it reads better: reshapes, and names of a line's results."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from parity.translate import names
from parity.translate.program import Block, Statement, Symbol

RESHAPE = "ops.reshape({0}, {shape})"


def tidy(block: Block) -> None:
    """Join reshapes of reshapes, and name what a line such as `q, k = self.q(x), self.k(x)` assigns."""
    _join_reshapes(block)
    for where, group in groupby(block.statements, key=lambda each: each.where):
        targets = names.assigned(where)
        if len(targets) > 1:
            _name(block, list(group), targets)


def _join_reshapes(block: Block) -> None:
    """Drop a reshape that nothing but another reshape of the same line reads."""
    reads = Counter(map(id, _read(block.statements, block)))
    made: dict[int, Statement] = {}
    for statement in list(block.statements):
        if statement.head != RESHAPE:
            continue
        before = made.get(id(statement.inputs[0]))
        if before and before.where == statement.where and reads[id(statement.inputs[0])] == 1:
            statement.inputs = before.inputs
            block.statements.remove(before)
        made[id(statement.outputs[0])] = statement


def _name(block: Block, group: list[Statement], targets: list[str]) -> None:
    """Give the results of a line the names that it assigns, where there are as many, or one, which is the first."""
    others = set(map(id, _read([each for each in block.statements if each not in group], block)))
    results = [symbol for statement in group for symbol in statement.outputs if id(symbol) in others]
    if len(results) in (1, len(targets)):
        for symbol, name in zip(results, targets, strict=False):
            symbol.hint = symbol.hint or name.strip("_")


def _read(statements: Iterable[Statement], block: Block) -> Iterator[Symbol]:
    """Yield what statements read, and what the block returns."""
    for statement in statements:
        for symbol in statement.symbols():
            yield symbol
            yield from symbol.members
    yield from block.results
