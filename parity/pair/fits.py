"""Whether a Keras unit can hold the weights of a PyTorch unit, and in which form.

A unit is what it computes, not its class: a scale may be a layer in one framework and a bare parameter in the other,
(C, 1, 1) in one and (C,) in the other. Where no unit of the other side fits one as a whole, its tensors are units.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from keras_blitz.weights import kinds
from keras_blitz.weights.kinds import torch_name
from keras_blitz.weights.mapped import Mapped, plain, shifted, stack
from parity.pair import pieces
from parity.pair.units import FREE, RECURRENT, Unit, join_path, projections

# What a tensor does nothing with, which the other framework may do without; a norm's weight, any bias.
NEUTRAL = {"weight": 1.0, "bias": 0.0}
NORMS = frozenset({"batchnorm", "layernorm", "groupnorm", "rmsnorm"})


def fitted(one: Unit, other: Unit) -> Unit | None:
    """Return Keras's unit with the names and shapes of PyTorch's weights, None where it cannot hold them.

    The arguments are those of `forms`, of which this is the first.
    """
    return next(iter(forms(one, other)), None)


def forms(one: Unit, other: Unit) -> list[Unit]:
    """Return Keras's unit with the names and shapes of PyTorch's weights, in each form that fits, the likeliest first.

    A weight that PyTorch lacks is left as it is where it does nothing, see `idle`. A single matrix may be transposed,
    where one side multiplies as in `x @ w` and the other as in `F.linear(x, w)`.

    Args:
        one: PyTorch's.
        other: Keras's.
    """
    if one.kind == FREE == other.kind:
        weights = [_in_order(other.weights[""], one.shapes[""], order) for order in _orders(one, other)]
        return [replace(other, shapes=one.shapes, weights={"": weight}) for weight in _shifts(one, other, weights)]
    if one.signature == other.signature:
        return [_multiplied_by_one_more(other), other] if one.plus_one else [other]
    idle = [leaf for leaf in other.shapes if leaf not in one.shapes]
    if not _are_alike(one, other) or len(one.shapes) + len(idle) != len(other.shapes):
        return []
    in_shape = {leaf: _in_shape(other.weights[leaf], shape) for leaf, shape in one.shapes.items()}
    kept = {leaf: weight for leaf, weight in in_shape.items() if weight is not None}
    if len(kept) < len(in_shape) or not all(_is_neutral(other.kind, leaf, other.weights[leaf]) for leaf in idle):
        return []
    return [replace(other, shapes=one.shapes, weights=kept, idle=tuple(other.weights[leaf] for leaf in idle))]


def _shifts(one: Unit, other: Unit, weights: Sequence[Mapped]) -> list[Mapped]:
    """Return a scale as it is, and as 1 more, or 1 less, than PyTorch's: some norms multiply by 1 + w.

    Of PyTorch's it is seen; that a Keras layer which is none of Keras's own does, only values tell. The likelier comes
    first: what multiplies by 1 + w begins with zeros.
    """
    shape, leaves = one.shapes[""], {leaf_of(one), leaf_of(other)}
    if not weights or sum(size > 1 for size in shape) > 1:
        return list(weights)
    own = kinds.of_keras(other.owner) is None and not kinds.is_of_framework(type(other.owner))
    if one.plus_one:
        more = [shifted(weights[0], 1), *weights]
        return more if not own or other.start == 1 else more[::-1]
    less = [shifted(weights[0], -1), *weights]
    if not (own and leaves & {"weight", "scale", "gamma"}):
        return list(weights)
    is_zero = other.start == 0 and not other.name.endswith("gamma")  # a LayerScale's, which begins with zeros, too
    return less if is_zero else less[::-1]


def _multiplied_by_one_more(other: Unit) -> Unit:
    return replace(other, weights={**other.weights, "weight": shifted(other.weights["weight"], 1)})


def _are_alike(one: Unit, other: Unit) -> bool:
    """Return whether two units may compute the same: a convolution of size 1 is a linear map.

    Norms of two kinds may, too: over (N, C) a GroupNorm of one group is a LayerNorm. What they compute is compared.
    """
    kinds = {one.kind, other.kind}
    return len(kinds) == 1 or kinds <= NORMS or all(_is_linear(unit) for unit in (one, other))


def _is_linear(unit: Unit) -> bool:
    sizes = unit.shapes.get("weight", ())[2:]
    return unit.kind == "linear" or (unit.kind.startswith("conv") and unit.kind[4].isdigit() and set(sizes) == {1})


def prepared(
    theirs: Sequence[Unit], ours: Sequence[Unit], given: Mapping[str, str] | None = None
) -> tuple[list[Unit], list[Unit]]:
    """Return both sides' units in the form in which they are compared.

    Args:
        theirs: PyTorch's.
        ours: Keras's.
        given: the pairs that were given by hand, which may name single tensors.
    """
    given = given or {}
    theirs = [_unnumbered(unit) for unit in theirs]
    ours = [part for other in ours for part in _project(other, theirs)]
    ours = [part for other in ours for part in _as_declared(other, theirs)]
    theirs = [part for one in theirs for part in pieces.opened(one, ours, _fits)]
    theirs, ours = pieces.cut(theirs, ours, _fits), pieces.cut(ours, theirs, lambda other, one: _fits(one, other))
    free = [[unit for unit in side if unit.kind == FREE] for side in (theirs, ours)]
    apart = _given_by_tensor(theirs, ours, given)
    left = [part for one in theirs for part in _loosened(one, ours, free[1], apart)]
    right = [part for other in ours for part in _loosened(other, theirs, free[0], apart)]
    return left, right


def _fits(one: Unit, other: Unit) -> bool:
    return fitted(one, other) is not None


def leaf_of(unit: Unit) -> str:
    """Return the name of a single tensor as PyTorch's layers have it: "weight" of `norm/gamma`."""
    return torch_name(unit.name.replace("/", ".").rpartition(".")[2])


def _project(unit: Unit, theirs: Sequence[Unit]) -> list[Unit]:
    """Return a Keras attention as the Linears that PyTorch has in place of one: three and an output, or one for three.

    Args:
        unit: any unit of Keras's.
        theirs: PyTorch's.
    """
    if unit.kind != "attention" or any(fitted(one, unit) for one in theirs):
        return [unit]
    parts = projections(unit)
    if not parts:
        return [unit]
    shapes: dict[str, list] = {}
    for part in parts[:-1]:
        for leaf in part.shapes:
            shapes.setdefault(leaf, []).append(part.weights[leaf])
    if all(len(weights) == 3 and len({w.shape[1:] for w in weights}) == 1 for weights in shapes.values()):
        stacked = {leaf: stack(leaf, weights) for leaf, weights in shapes.items()}
        sizes = {leaf: weight.shape for leaf, weight in stacked.items()}
        packed = Unit(f"{unit.name}/query+key+value", "linear", sizes, stacked, unit.owner)
        if any(fitted(one, packed) and not pieces.is_by_head(one) for one in theirs):
            return [packed, parts[-1]]
    return parts


def _as_declared(unit: Unit, theirs: Sequence[Unit]) -> list[Unit]:
    """Return the kernel and bias of an EinsumDense as they are, where PyTorch has the kernel so, as for `einsum`."""
    raw = [plain("", each.variable) for each in unit.weights.values()] if hasattr(unit.owner, "equation") else []
    shapes = {one.shapes[""] for one in theirs if one.kind == FREE}
    if unit.kind != "linear" or not raw or raw[0].shape not in shapes or any(fitted(one, unit) for one in theirs):
        return [unit]
    return [Unit(f"{unit.name}/{each.variable.name}", FREE, {"": each.shape}, {"": each}, unit.owner) for each in raw]


def _given_by_tensor(theirs: Sequence[Unit], ours: Sequence[Unit], given: Mapping[str, str]) -> set[int]:
    """Return the ids of the units, of both sides, that are given by the names of their tensors."""
    found = set()
    for names in given.items():
        for side, name in zip((theirs, ours), names, strict=True):
            if any(part.name == name for unit in side if unit.kind != FREE for part in tensors(unit)):
                found |= {
                    id(unit)
                    for side, name in zip((theirs, ours), names, strict=True)
                    for unit in side
                    if unit.name == name or any(part.name == name for part in tensors(unit))
                }
    return found


def _loosened(unit: Unit, others: Sequence[Unit], free: Sequence[Unit], apart: Collection[int]) -> list[Unit]:
    """Return the tensors of a unit, each as a unit, where none of the other side fits the whole, but some fit those.

    Args:
        unit: of either side.
        others: the other side's.
        free: those of them that are single tensors.
        apart: ids of the units that are taken apart in any case.
    """
    parts = list(tensors(unit))
    if unit.kind == FREE or not parts:
        return [unit]
    if id(unit) in apart:
        return parts
    if unit.kind in RECURRENT:
        return [unit]
    pairs = [(unit, each) if not unit.weights else (each, unit) for each in others if _are_alike(unit, each)]
    if any(fitted(*pair) for pair in pairs):
        return [unit]
    alone = not unit.weights and unit.kind == "groupnorm" and "InstanceNorm" in type(unit.owner).__name__
    fit = all(any(_can_be(part, each) for each in free) for part in parts)
    return parts if fit or alone else [unit]


def _can_be(one: Unit, other: Unit) -> bool:
    return bool(_orders(one, other)) or bool(_orders(other, one))


def tensors(unit: Unit) -> Iterable[Unit]:
    """Yield the tensors of a unit of a known kind, each as a unit; of Keras's those that one variable holds."""
    for leaf, shape in unit.shapes.items():
        weight = unit.weights.get(leaf)
        columns = False if unit.kind == "linear" and leaf == "weight" else unit.columns
        if weight is None:  # PyTorch's
            yield replace(unit, name=join_path(unit.name, leaf), kind=FREE, shapes={"": shape}, columns=columns)
        elif len(weight.variables) == 1:
            name = f"{unit.name}/{weight.variables[0].name}"
            part = replace(unit, name=name, kind=FREE, shapes={"": shape}, columns=columns)
            plain = {"": replace(unit.plain[leaf], name="")} if unit.plain else {}
            yield replace(part, weights={"": replace(weight, name="")}, plain=plain)


def _in_shape(weight: Mapped, shape: tuple[int, ...]) -> Mapped | None:
    """Return a weight as a tensor of this shape of PyTorch's, None where it cannot be one."""
    if weight.shape == tuple(shape):
        return weight
    order = _permutation(tuple(shape), weight.shape)
    return None if order is None else _in_order(weight, tuple(shape), order)


def _in_order(weight: Mapped, shape: tuple[int, ...], order: tuple[int, ...]) -> Mapped:
    """Return a weight with its axes in another order, as a tensor of this shape of PyTorch's."""
    if order == tuple(range(len(order))) and weight.shape == tuple(shape):
        return weight
    moved = tuple(weight.shape[axis] for axis in order)
    back = np.argsort(order)
    return replace(
        weight, shape=tuple(shape), layout=None,
        join=lambda arrays: weight.join(arrays).transpose(order).reshape(shape),
        part=lambda array: weight.part(array.reshape(moved).transpose(back)),
    )  # fmt: skip


def _orders(one: Unit, other: Unit) -> list[tuple[int, ...]]:
    """Return the orders of the axes in which Keras's single tensor may be PyTorch's, the likeliest first."""
    expected, actual = one.shapes[""], other.shapes[""]
    same = _permutation(expected, actual)
    plain: list[tuple[int, ...]] = [same] if same is not None else []
    turned: list[tuple[int, ...]] = [(1, 0)] if len(actual) == 2 and tuple(expected) == tuple(reversed(actual)) else []
    if one.columns is None:  # not known as a matrix that something is multiplied by, such as a table of positions
        return plain
    if other.columns is None:  # a variable of a layer of one's own: most write x @ w in Keras
        return [*plain, *turned] if one.columns else [*turned, *plain]
    return plain if one.columns == other.columns else turned


def _permutation(expected: tuple[int, ...], actual: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the order of the axes in which a tensor has the expected sizes, but for axes of 1; None without one.

    As it is, or channels last made first: (H, W, C) for (C, H, W), (1, H, W, C) for (1, C, H, W).
    """
    rank = len(actual)
    if prod(expected) != prod(actual):
        return None
    orders = [tuple(range(rank))]
    orders += [(rank - 1, *range(rank - 1)), (0, rank - 1, *range(1, rank - 1))] if rank > 2 else []
    sizes = [size for size in expected if size != 1]
    return next((o for o in orders if [actual[axis] for axis in o if actual[axis] != 1] == sizes), None)


def _is_neutral(kind: str, leaf: str, weight: Mapped) -> bool:
    if leaf not in NEUTRAL or (leaf == "weight" and kind not in NORMS):
        return False
    return all(np.all(np.asarray(variable.numpy()) == NEUTRAL[leaf]) for variable in weight.variables)


def _unnumbered(unit: Unit) -> Unit:
    """Name the weights of a recurrent layer as Keras's are, without the number in its stack."""
    if unit.kind not in RECURRENT:
        return unit
    shapes = {_base(name): shape for name, shape in unit.shapes.items()}
    return replace(unit, shapes=shapes, numbered={_base(name): name for name in unit.shapes})


def _base(name: str) -> str:
    """Return weight_ih_reverse of weight_ih_l1_reverse."""
    reverse = name.endswith("_reverse")
    if "_l" not in name:  # of a cell, which is in no stack
        return name
    return name.removesuffix("_reverse").rpartition("_l")[0] + ("_reverse" if reverse else "")
