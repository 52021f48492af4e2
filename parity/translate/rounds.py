"""Layers of a Sequential that come again and again, as VGG's convolution, norm and ReLU, as a loop over a table."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from parity.translate.program import Block, Layer, Statement

NUMBERED = re.compile(r"(.*?)(\d+)")
LEAST, MOST = 3, 2  # rounds of a loop, and columns of its table beside the layers' numbers
Round = list[Layer]


@dataclass(eq=False)
class Rounds(Statement):
    """A loop over rounds of layers: its path is that of the Sequential, with a dot.

    Args:
        template: the layers of a whole round.
        numbers: of the first layer of each round.
        columns: (place in the template, name of an argument) -> its value in each round.
        last: whether each round has the template's last layer; None where all have it.
    """

    template: Sequence[Layer] = ()
    numbers: tuple[int, ...] = ()
    columns: dict[tuple[int, str], tuple[Any, ...]] = field(default_factory=dict)
    last: tuple[bool, ...] | None = None


def roll_layers(block: Block) -> None:
    """Replace layers that come again and again by a loop, where that is shorter."""
    found: list[Statement] = []
    rest = list(block.statements)
    while rest:
        chain = _chain(block, rest)
        made = next(_loops(chain), None)
        if made is None:
            found.append(rest.pop(0))
            continue
        start, stop, loop = made
        found += [*chain[:start], loop]
        rest = rest[stop:]
    block.statements = found


def _chain(block: Block, statements: Sequence[Statement]) -> Round:
    """Return the numbered layers at the beginning, each of which is given what the last one returned."""
    chain: Round = []
    for each in statements:
        if not isinstance(each, Layer) or len(each.inputs) != 1 or len(each.outputs) != 1 or not _number(each):
            break
        if isinstance(each.inputs[0], tuple) or (chain and not _follows(block, chain[-1], each)):
            break
        chain.append(each)
    return chain


def _follows(block: Block, one: Layer, other: Layer) -> bool:
    made = one.outputs[0]
    readers = [each for each in block.statements if made in each.symbols()]
    (prefix, number), (other_prefix, next_number) = _number(one), _number(other)
    alone = readers == [other] and made not in block.results and list(other.inputs) == [made]
    return alone and (other_prefix, next_number) == (prefix, number + 1)


def _number(layer: Layer) -> Any:
    matched = NUMBERED.fullmatch(layer.path or "")
    return (matched[1], int(matched[2])) if matched else None


def _loops(chain: Round) -> Iterator[tuple[int, int, Rounds]]:
    """Yield the loops that a chain can begin with, the longest first: the layers that it replaces, from and to."""
    if not chain:
        return
    starts = [n for n, layer in enumerate(chain) if layer.head == chain[0].head]
    rounds = [chain[a:b] for a, b in zip(starts, [*starts[1:], len(chain)], strict=True)]
    for count in range(len(rounds), LEAST - 1, -1):
        for first in range(len(rounds) - count + 1):
            loop = _loop(rounds[first : first + count])
            if loop:
                yield starts[first], starts[first] + sum(map(len, rounds[first : first + count])), loop


def _loop(rounds: list[Round]) -> Rounds | None:
    """Return the loop of some rounds; None where they are too different, or too short."""
    template = max(rounds, key=len)
    heads = [[(layer.head, tuple(layer.literals)) for layer in each] for each in rounds]
    whole = [(layer.head, tuple(layer.literals)) for layer in template]
    if any(each not in (whole, whole[:-1]) for each in heads):
        return None
    last = tuple(len(each) == len(template) for each in rounds)
    columns: dict[tuple[int, str], tuple[Any, ...]] = {}
    for place, layer in enumerate(template):
        for name in layer.literals:
            values = [each[place].literals[name].value for each in rounds if place < len(each)]
            if len(set(map(repr, values))) > 1:
                columns[place, name] = tuple(values)
    partial = not all(last)
    lines = 1 + len(template) + partial
    if len(columns) + partial > MOST or sum(map(len, rounds)) < lines + 2 or len(template) < 2:
        return None
    if partial and any(place == len(template) - 1 for place, _ in columns):
        return None
    prefix, _ = _number(template[0])
    return Rounds(
        template[0].head, rounds[0][0].inputs, rounds[-1][-1].outputs, {}, prefix, rounds[0][0].where,
        template=template, numbers=tuple(_number(each[0])[1] for each in rounds), columns=columns,
        last=last if partial else None,
    )  # fmt: skip
