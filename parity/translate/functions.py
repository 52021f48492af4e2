"""The functions of the program: one for the blocks of a class; numbers that differ between them are parameters."""

import builtins
import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

from parity.translate import names
from parity.translate.blocks import blocks_in
from parity.translate.derived import Size, Sizes, equal_size, multiple_of, multiple_size, role_of, sizes_of
from parity.translate.given_twice import merge_evened
from parity.translate.loops import Loop, roll_up, roll_up_alike
from parity.translate.optional import merge_with_none
from parity.translate.program import Block, BlockCall, Literal
from parity.translate.rounds import roll_layers
from parity.translate.skeleton import Skeleton, Unlike, variant_of

HIDDEN = frozenset(["keras", "layers", "ops", *dir(builtins)])
Place = tuple[int, str, int | None]  # slot, literal's name, component of a tuple
MISSING = object()
NAMELESS = re.compile(r"(sizes?|shape|number|start|stop|count)(_?\d+)?")  # numbers that no layer has a name for


@dataclass
class Argument:
    """A parameter of a function beside its tensors and its path.

    Args:
        name: in the text.
        values: block -> value.
        default: left out of a call that has this value; None: never.
        role: what it counts, where all that it stands for count that.
        unused: the blocks that do not use it.
    """

    name: str
    values: dict[Block, Any]
    default: Any = None
    role: str = ""
    unused: frozenset[Block] = frozenset()

    def of(self, block: Block) -> Literal:
        """Return what a call of a block hands to it."""
        return Literal(self.values[block], self.default, role=self.role, is_free=block in self.unused)


@dataclass(eq=False)
class Function:
    """A function of the program.

    Args:
        name: in the text.
        skeleton: what it does.
        arguments: its parameters beside tensors and path.
        places: where in the slots an argument stands, or what follows from one or from a size, instead of a number.
        flags: first slot of a run that some blocks skip -> the argument that says so.
        elses: first slots of the runs that all blocks fill which skip the run just before.
        asks: first slot of such a run -> the tensor that is None in its blocks alone (True), or in the others (False).
        sizes: of what the function is given, which it reads.
    """

    name: str
    skeleton: Skeleton
    arguments: list[Argument] = field(default_factory=list)
    places: dict[Place, str] = field(default_factory=dict)
    flags: dict[int, str] = field(default_factory=dict)
    asks: dict[int, tuple[int, bool]] = field(default_factory=dict)
    elses: set[int] = field(default_factory=set)
    sizes: list[Size] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The class that it is of."""
        return self.skeleton.blocks[0].frame.title


def functions_of(root: Block) -> list[Function]:
    """Return the functions of a program, each after those that it calls; the last is the network."""
    found: list[Function] = []
    for blocks in [*_in_order(root), [root]]:
        for block in blocks:
            roll_up(block)
            if len(blocks) == 1:
                roll_layers(block)
        roll_up_alike(blocks)
        for skeleton in _skeletons(blocks):
            known = [each.name for each in found]
            name = _free_name(_function_name(skeleton.blocks[0].frame.title), known)
            _share_rows(skeleton)
            function = Function(name, skeleton)
            _parametrize(function, [*known, name])
            found.append(function)
            _give(function, root)
    return found


def snake(name: str) -> str:
    """Return basic_block for BasicBlock, se_layer for SELayer."""
    name = re.sub(
        r"(?<=[a-z])(Net|NeXt)(?![a-z])", lambda found: found[0].lower(), name
    )  # ResNet is resnet, NeuralNetwork neural_network
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")
    return re.sub(r"(?<=[a-z])_(?=\d)", "", name) or "block"


def _function_name(title: str) -> str:
    """Return the name of a class's function, which hides nothing that the file uses: layers_block for Layers."""
    name = snake(title)
    name = name if name.isidentifier() else f"net_{name}"
    return name if names.is_name(name) and name not in HIDDEN else f"{name}_block"


def _in_order(root: Block) -> list[list[Block]]:
    """Return the blocks by class, each class after those that its blocks call."""
    blocks = list(blocks_in(root))
    heights: dict[Block, int] = {}
    for block in blocks:  # innermost first
        inner = [s.block for s in block.statements if isinstance(s, BlockCall) and s.block]
        heights[block] = 1 + max((heights[each] for each in inner), default=0)
    graph: dict[Hashable, set] = {}
    groups: defaultdict[Hashable, list[Block]] = defaultdict(list)
    for block in blocks:
        inner = [s.block for s in block.statements if isinstance(s, BlockCall) and s.block]
        graph.setdefault(block.frame.title, set()).update(each.frame.title for each in inner)
        groups[block.frame.title].append(block)
    try:
        return [groups[title] for title in TopologicalSorter(graph).static_order()]
    except CycleError:  # a class that contains itself: by depth
        by_height: defaultdict[tuple[int, str], list[Block]] = defaultdict(list)
        for block in blocks:
            by_height[heights[block], block.frame.title].append(block)
        return [by_height[key] for key in sorted(by_height)]


def _skeletons(blocks: Sequence[Block]) -> list[Skeleton]:
    """Return as few functions as serve all blocks of a class."""
    variants: dict[Hashable, list[Block]] = {}
    for block in blocks:
        variants.setdefault((variant_of(block), *_equations(block)), []).append(block)
    found: list[tuple[list[list[Block]], Skeleton]] = []
    for blocks_alike in sorted(variants.values(), key=lambda each: -len(each[0].statements)):
        for n, (members, _) in enumerate(found):
            one, other = _equations(members[0][0]), _equations(blocks_alike[0])
            if one != other and len(one) == len(other):
                continue  # in another layout, two functions read better
            if merged := _merged(members, blocks_alike):
                found[n] = ([*members, blocks_alike], merged)
                break
        else:
            found.append(([blocks_alike], merge_evened([blocks_alike])))
    return [skeleton for _, skeleton in found]


def _equations(block: Block) -> list[Any]:
    """Return the equations of a block's einsums."""
    literals = [each for statement in block.statements for each in statement.literals.items()]
    return [literal.value for name, literal in literals if name.startswith("equation")]


def _merged(members: Sequence[Sequence[Block]], blocks: Sequence[Block]) -> Skeleton | None:
    """Return one function for blocks that have one, and others; None where there is none."""
    for merged in (lambda: merge_evened([*members, blocks]), lambda: merge_with_none(members, blocks)):
        try:
            return merged()
        except Unlike:
            continue
    return None


def _give(function: Function, root: Block) -> None:
    """Let the calls of a function know it, and what they hand to it."""
    members = set(function.skeleton.blocks)
    for block in (root, *blocks_in(root)):
        for statement in block.statements:
            if isinstance(statement, BlockCall) and statement.block in members:
                statement.function = function
                statement.literals = {each.name: each.of(statement.block) for each in function.arguments}


def _share_rows(skeleton: Skeleton) -> None:
    """Let a loop have a row for each number in which the loop of another block has one, even if its own are all one."""
    for slot in skeleton.slots:
        loops = [each for each in slot.members.values() if isinstance(each, Loop)]
        every = tuple(dict.fromkeys(name for loop in loops for name in loop.rows))
        for loop in loops:
            count = loop.literals["count"].value
            own = {name: Literal((loop.literals[name].value,) * count) for name in every if name not in loop.rows}
            loop.rows, loop.literals = every, {**loop.literals, **own}


def _parametrize(function: Function, functions: Sequence[str]) -> None:
    """Make parameters of what differs between the blocks, none of which has the name of a function."""
    skeleton = function.skeleton
    # start and count are a loop's own
    taken = {"path", "x", "y", "ops", "layers", "keras", "start", "count", *functions}
    for start, pattern in _runs(skeleton):
        values = {block: block in pattern for block in skeleton.blocks}
        before = set(skeleton.slots[start - 1].members) if start else set()
        if before | pattern == set(skeleton.blocks) and not before & pattern:
            function.elses.add(start)
        if asked := _asked(values):
            function.asks[start] = asked
            continue
        opposite = {block: not value for block, value in values.items()}
        if other := next((each for each in function.arguments if each.values == opposite), None):
            function.flags[start] = f"not {other.name}"
            continue
        same = next((each for each in function.arguments if each.values == values), None)
        if same is None:
            slot = skeleton.slots[start]
            name = _free_name(names.flag(slot.first.where, slot.path, slot.first.head), taken)
            taken.add(name)
            same = Argument(name, values, False)
            function.arguments.append(same)
        function.flags[start] = same.name
    _settle_free(skeleton)
    sizes = sizes_of(skeleton.blocks)
    taken |= {size.name for size, _ in sizes}
    for place, values, default in _literals(skeleton):
        if len({repr(value) for value in values.values() if value is not MISSING}) < 2:
            continue
        function.places[place] = _text_of(function, place, values, default, sizes, taken)
    for each in function.arguments:
        each.unused = frozenset(block for block, value in each.values.items() if value is MISSING)
        each.values = _filled(each.values, each.default)
    flags = set(function.flags.values())  # without those that are asked for by "not"
    function.arguments.sort(key=lambda each: (_default_of(each) is not None, each.name in flags))
    for each in function.arguments:
        each.default = _default_of(each)


def _asked(values: dict[Block, bool]) -> tuple[int, bool] | None:
    """Return the tensor whose being None, or not, says which blocks fill a run; None without one."""
    for number in range(len(next(iter(values)).parameters)):
        given = {block: not block.parameters[number].is_none for block in values}
        if all(given[block] == value for block, value in values.items()):
            return number, False
        if all(given[block] != value for block, value in values.items()):
            return number, True
    return None


def _text_of(
    function: Function, place: Place, values: dict[Block, Any], default: Any, sizes: Sizes, taken: set[str]
) -> str:
    """Return what stands for a number that differs: a size, an argument, a multiple of one, or a new argument."""
    literal = function.skeleton.slots[place[0]].first.literals[place[1]]
    role = role_of(place[1], literal)
    known = {block: value for block, value in values.items() if value is not MISSING}
    digits = re.search(r"\d*$", place[1])
    axis = place[2] if place[2] is not None else int(digits[0]) if digits and digits[0] else None
    text, used = equal_size(role, known, sizes, axis)
    if not text:
        for each in function.arguments:
            if _agree(each.values, values):
                each.role = each.role if each.role == role else ""
                each.values.update(known)
                return each.name
        text, used = multiple_size(role, known, sizes)
    if not text:
        text, used = _multiple(function, role, known, sizes)
    if not text:
        text, used = _scale(function, known, sizes)
    function.sizes += [size for size in used if size not in function.sizes]
    return text or _new(function, place, values, default, role, taken)


def _multiple(function: Function, role: str, known: dict[Block, Any], sizes: Sizes) -> tuple[str, list[Size]]:
    """Return the text of a size that an argument decides, `2 * size` or `channels // size`; "" of one without."""
    if role != "size" or any(type(value) is not int for value in known.values()):
        return "", []
    for each in function.arguments:
        if each.role == "size" and all(type(each.values[block]) is int for block in known):
            if "*" in (text := multiple_of(each.name, each.values, known)):
                return text, []
            for size, own in sizes:
                if size.axis == -1 and all(own[b] == each.values[b] * value for b, value in known.items()):
                    return f"{size.name} // {each.name}", [size]
    return "", []


def _scale(function: Function, known: dict[Block, Any], sizes: Sizes) -> tuple[str, list[Size]]:
    """Return the text of attention's scale, 1 / √(channels of a head); "" of another number."""
    heads = [each for each in function.arguments if each.role == "size"]
    for size, own in sizes if all(type(value) is float for value in known.values()) else ():
        for each in heads if size.axis == -1 else ():
            whole = {
                block: count for block in known if type(count := each.values[block]) is int and 0 < count <= own[block]
            }
            if all(block in whole and value == (own[block] // whole[block]) ** -0.5 for block, value in known.items()):
                return f"({size.name} // {each.name}) ** -0.5", [size]
    return "", []


def _new(function: Function, place: Place, values: dict[Block, Any], default: Any, role: str, taken: set[str]) -> str:
    made = Argument(_argument_name(function.skeleton, place, taken, values), values, default, role)
    taken.add(made.name)
    function.arguments.append(made)
    return made.name


def _runs(skeleton: Skeleton) -> list[tuple[int, set[Block]]]:
    """Return the first slots of the runs that some blocks skip, and the blocks that do not."""
    found: list[tuple[int, set[Block]]] = []
    before: set[Block] = set(skeleton.blocks)
    for number, slot in enumerate(skeleton.slots):
        pattern = set(slot.members)
        if len(pattern) < len(skeleton.blocks) and pattern != before:
            found.append((number, pattern))
        before = pattern
    return found


def _settle_free(skeleton: Skeleton) -> None:
    """Let the calls that do not use an argument have a value that others have."""
    for slot in skeleton.slots:
        for name in slot.first.literals:
            every = [statement.literals[name] for statement in slot.members.values()]
            used = [each for each in every if not each.is_free]
            for statement in slot.members.values() if used else ():
                if statement.literals[name].is_free:
                    statement.literals = {**statement.literals, name: replace(used[0], is_free=True)}


def _literals(skeleton: Skeleton) -> list[tuple[Place, dict[Block, Any], Any]]:
    """Return the places of literals, with each block's value and the default; tuples of one length by component."""
    found: list[tuple[Place, dict[Block, Any], Any]] = []
    for number, slot in enumerate(skeleton.slots):
        for name, literal in slot.first.literals.items():
            if name == "count" and isinstance(slot.first, Loop) and slot.first.rows:
                continue  # the rows say how many
            values: dict[Block, Any] = {
                block: _value_of(slot.members[block].literals[name]) if block in slot.members else MISSING
                for block in skeleton.blocks
            }
            known = [value for value in values.values() if value is not MISSING]
            rows = isinstance(slot.first, Loop) and name in slot.first.rows
            lengths = {len(value) if isinstance(value, tuple) else -1 for value in known}
            if len(lengths) == 1 and lengths != {-1} and not rows:
                for part in range(lengths.pop()):
                    own: dict[Block, Any] = {b: v if v is MISSING else v[part] for b, v in values.items()}
                    found.append(((number, name, part), own, None))
            else:
                found.append(((number, name, None), values, literal.default))
    return found


def _value_of(literal: Literal) -> Any:
    return MISSING if literal.is_free else literal.value


def _agree(one: dict[Block, Any], other: dict[Block, Any]) -> bool:
    """Return whether one argument can be both, where some blocks skip what it stands for."""
    both = {block: repr(one[block]) for block in one if MISSING not in (one[block], other[block])}
    if any(repr(other[block]) != each for block, each in both.items()):
        return False
    return len(both) == sum(value is not MISSING for value in other.values()) or len(set(both.values())) > 1


def _filled(values: dict[Block, Any], default: Any) -> dict[Block, Any]:
    known = [value for value in values.values() if value is not MISSING]
    filler = default if default is not None and any(value == default for value in known) else known[0]
    return {block: filler if value is MISSING else value for block, value in values.items()}


def _default_of(argument: Argument) -> Any:
    """Return a layer's own default where it occurs among the values."""
    default = argument.default
    if default is None or not any(repr(value) == repr(default) for value in argument.values.values()):
        return None
    return default


def _argument_name(skeleton: Skeleton, place: Place, taken: set[str], values: dict[Block, Any]) -> str:
    slot = skeleton.slots[place[0]]
    known = [(block.frame, value) for block, value in values.items() if value is not MISSING]
    if NAMELESS.fullmatch(place[1]) and (own := names.of_number(known)) and own not in taken:
        return own
    name = place[1] if place[2] is None else "size" if place[1] in ("shape", "sizes") else place[1]
    if name not in taken:
        return name
    prefix = names.first_part(slot.path)
    return _free_name(f"{prefix}_{name}" if prefix else name, taken)


def _free_name(name: str, taken: Any) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
