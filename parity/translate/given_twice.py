"""Blocks of a class that are given one tensor where others are given two: self-attention is attention to itself.

They are one function if a block takes its one tensor twice: `attention(x, x, path)` beside `attention(x, y, path)`.
"""

from collections.abc import Sequence
from dataclasses import replace

from parity.translate.optional import Before, put
from parity.translate.program import Block, Symbol
from parity.translate.skeleton import Skeleton, Unlike, aligned, ids_of, inputs_of, key_of, merge, places_in

Place = tuple[int, ...]  # of a read: the input's number, and that in a list


def merge_evened(variants: Sequence[Sequence[Block]]) -> Skeleton:
    """Return one function for blocks of several variants, also where some take a tensor twice; see `merge`.

    Raises:
        Unlike: no function serves all; the blocks are as before.
    """
    most = max((blocks[0] for blocks in variants), key=lambda block: len(block.parameters))
    fewer = [blocks for blocks in variants if len(blocks[0].parameters) < len(most.parameters)]
    changes = [(blocks, _reads(most, blocks[0])) for blocks in fewer]
    before = []
    for blocks, (own, reads) in changes:
        for block in blocks:
            before.append(Before(block))
            _give_twice(block, most, own, reads)
    try:
        return merge(variants)
    except Unlike:
        for each in before:
            each.restore()
        raise


def _reads(most: Block, fewer: Block) -> tuple[list[int], list[tuple[int, Place, int]]]:
    """Return which of its tensors a block has for each of the other's, and where it reads them: statement, place."""
    keys, own = ([key_of(block, statement) for statement in block.statements] for block in (most, fewer))
    rows, _, shared = aligned([{0: n} for n in range(len(keys))], keys, own, 1)
    if shared * 2 < max(len(keys), len(own)):
        raise Unlike
    ids, others = (ids_of(block, range(len(block.statements))) for block in (most, fewer))
    found: dict[int, int] = {}
    reads = []
    for row in rows:
        if len(row) < 2:
            continue
        pairs = zip(
            places_in(inputs_of(most.statements[row[0]], ids)),
            places_in(inputs_of(fewer.statements[row[1]], others)),
            strict=True,
        )
        for (place, one), (_, two) in pairs:
            if one[0] == "in":
                if two[0] != "in" or found.setdefault(one[1], two[1]) != two[1]:
                    raise Unlike
                reads.append((row[1], place, one[1]))
    if sorted(found) != list(range(len(most.parameters))) or len(set(found.values())) < len(fewer.parameters):
        raise Unlike
    return [found[n] for n in sorted(found)], reads


def _give_twice(block: Block, most: Block, own: list[int], reads: list[tuple[int, Place, int]]) -> None:
    """Let a block have as many tensors as another; those that it has twice are two symbols."""
    old = block.parameters
    new: list[Symbol] = []
    for n, which in enumerate(own):
        label = most.labels.get(id(most.parameters[n]), "")
        new.append(old[which] if which not in own[:n] else replace(old[which], hint=label))
    block.parameters = new
    for n, place, parameter in reads:
        put(block, n, place, new[parameter])
    assert block.call is not None
    block.call.inputs = [block.call.inputs[which] for which in own]
