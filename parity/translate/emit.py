"""The program as text."""

from collections.abc import Sequence
from typing import Any

from parity.translate import names
from parity.translate.derived import assignments
from parity.translate.functions import Function
from parity.translate.lines import head_of_loop, layer_line, literal, title_of
from parity.translate.loops import Loop
from parity.translate.program import Block, BlockCall, Layer, LayerCall, Literal, Statement
from parity.translate.rounds import Rounds
from parity.translate.skeleton import NONE, Id, Slot, is_list, relative

RESERVED = {"path", "ops", "layers", "keras", "i", "inputs"}
INDENT = "    "
NAMELESS = 9  # so many numbers of a call can do without their names
CALL = 96  # a call of this length fits into a line, with what it is assigned to
INDENTED = 112  # arguments of this length fit into a line of their own, in a loop, too


class Text:
    """Writes one function.

    Args:
        function: what to write.
        all_names: of all functions and layers, which no variable may have.
        kept: parameters that are read after the last line, too.
    """

    def __init__(self, function: Function, all_names: Sequence[str], kept: Sequence[Id] = ()):
        self.function, self.skeleton = function, function.skeleton
        self.block: Block = self.skeleton.blocks[0]
        own = {each.name for each in function.arguments} | {each.name for each in function.sizes}
        self.reserved = RESERVED | set(all_names) | own
        self.names: dict[Id, str] = {}
        self.uses = self._uses(kept)
        self.made = {phi.made: ("phi", n) for n, phi in enumerate(self.skeleton.phis)}
        self.lines: list[str] = []
        for number, symbol in enumerate(self.block.parameters):
            self._name_parameter(("in", number), self.block.labels.get(id(symbol)) or symbol.hint or "x")

    def _name_parameter(self, key: Id, wish: str) -> None:
        taken = {*self.names.values(), *self.reserved, "input"}
        wish = wish if names.is_name(wish) else "x"  # a module's path may end in a number
        options = [wish, "x", "y", "z", *(f"{wish}_{n}" for n in range(2, 99))]
        self.names[key] = next(each for each in options if each not in taken)

    def _uses(self, kept: Sequence[Id]) -> dict[Id, list[int]]:
        """Return the numbers of the slots that read each value; that after the last is the caller's."""
        uses: dict[Id, list[int]] = {}
        for number, slot in enumerate(self.skeleton.slots):
            for each in _flat(slot.inputs):
                uses.setdefault(each, []).append(number)
        for each in (*self.skeleton.results, *kept):
            uses.setdefault(each, []).append(len(self.skeleton.slots))
        return uses

    # The lines.

    def body(self) -> list[str]:
        """Return the lines of the function, without its head."""
        run_end, indent = 0, ""
        given = [self.names["in", n] for n in range(len(self.block.parameters))]
        self.lines = assignments(self.function.sizes, given)
        total = len(self.skeleton.blocks)
        for number, slot in enumerate(self.skeleton.slots):
            if number >= run_end:
                self._shorten()
                indent = ""
            if number in self.function.flags or number in self.function.asks:
                count = len(self.lines)
                self._before_run(number)
                follows = number in self.function.elses and len(self.lines) == count
                self.lines.append("else:" if follows else f"if {self._condition(number)}:")
                indent, run_end = INDENT, self._run_end(number)
            assert indent or len(slot.members) == total
            self.lines += [indent + line for line in self._slot(number, slot)]
        self._shorten()
        return [*self.lines[:-1], *self._ending()]

    def _shorten(self) -> None:
        """Write an if and else that assign one variable, a line each, as one line."""
        if [line.split(" ")[0].rstrip(":") for line in self.lines[-4::2]] != ["if", "else"]:
            return
        asked, (name, _, one), (other, _, two) = (
            self.lines[-4][3:-1], *(line.strip().partition(" = ") for line in self.lines[-3::2])
        )  # fmt: skip
        text = f"{name} = {one} if {asked} else {two}"
        if name == other and one and two and len(text) <= CALL + 2 * len(INDENT) + 12:
            self.lines[-4:] = [text]

    def _condition(self, start: int) -> str:
        if start in self.function.flags:
            return self.function.flags[start]
        number, is_none = self.function.asks[start]
        return f"{self.names['in', number]} is {'None' if is_none else 'not None'}"

    def _run_end(self, start: int) -> int:
        pattern = set(self.skeleton.slots[start].members)
        stop = start
        while stop < len(self.skeleton.slots) and set(self.skeleton.slots[stop].members) == pattern:
            stop += 1
        return stop

    def _ending(self) -> list[str]:
        """Return the last line and the return, as one where the line assigns what is returned."""
        result = ", ".join(self.names[each] for each in self.skeleton.results)
        last = self.lines[-1] if self.lines else ""
        assigned, _, expression = last.partition(" = ")
        if expression and assigned == result and not last.startswith(" ") and "," not in assigned:
            return [f"return {expression}"]
        return [*self.lines[-1:], f"return {result}"]

    def _before_run(self, start: int) -> None:
        """Name what a run may replace: the value that it replaces, under another name where that is still needed."""
        for number, phi in enumerate(self.skeleton.phis):
            if phi.run != start:
                continue
            key, base = ("phi", number), self.names[phi.base]
            wishes = names.assigned(self.skeleton.slots[phi.made[1]].first.where)
            replaced = ("in", self.function.asks.get(start, ())[:1]) == ("in", phi.base[1:]) and phi.base[0] == "in"
            last = max(self.uses.get(phi.base, [-1]))
            if phi.apart or replaced or (wishes[:1] in ([], [base]) and last <= phi.made[1]):
                self.names[key] = base
            else:
                self.names[key] = self._free(start - 1, [*wishes[:1], "x", "y", "z"], (), self._joined(key))
                self.lines.append(f"{self.names[key]} = {base}")

    def _slot(self, number: int, slot: Slot) -> list[str]:
        statement = slot.first
        inputs = [self._input(each) for each in slot.inputs]
        if isinstance(statement, Loop):
            return self._loop(number, slot, statement, inputs)
        if isinstance(statement, Rounds):
            return self._rounds(number, slot, statement)
        outputs = self._outputs(number, slot, inputs)
        text = self._expression(number, statement, inputs)
        if len(outputs) == 3 and statement.head == "LSTM":  # the states are a pair
            outputs = [outputs[0], "_" if outputs[1:] == ["_", "_"] else f"({outputs[1]}, {outputs[2]})"]
        return [f"{', '.join(outputs)} = {text}" if outputs else text]

    def _input(self, each: Any) -> str:
        if is_list(each):
            return f"[{', '.join(f'*{self.names[x]}' if self._is_list(x) else self.names[x] for x in each)}]"
        return "None" if each == NONE else self.names[each]

    def _is_list(self, each: Id) -> bool:
        return each[0] == "out" and self.skeleton.slots[each[1]].first.outputs[each[2]].is_list

    def _outputs(self, number: int, slot: Slot, inputs: list[str]) -> list[str]:
        """Name what a statement assigns."""
        found: list[str] = []
        for place in range(len(slot.first.outputs)):
            found.append(self._output(number, slot, place, inputs, found))
        return found

    def _output(self, number: int, slot: Slot, place: int, inputs: list[str], also: Sequence[str] = ()) -> str:
        """Name one output: as the user's line does, else as the statement's first input if that is not read again."""
        key, outputs = ("out", number, place), slot.first.outputs
        if key in self.made and self.made[key] in self.names:
            self.names[key] = self.names[self.made[key]]
            return self.names[key]
        wishes = names.assigned(slot.first.where)
        own = [outputs[place].hint] if outputs[place].hint else []
        if len(wishes) == len(outputs):
            own.append(wishes[place])
        elif len(wishes) == 1 and place == 0:
            own += wishes
        elif len(outputs) == 1 and len(wishes) > 1 and isinstance(slot.first, Layer):
            own.append(slot.path.rpartition(".")[2])  # qkv of `q, k, v = self.qkv(x).chunk(3)`
        tensors = inputs[1:] if isinstance(slot.first, LayerCall) else inputs
        first = [tensors[0]] if tensors and not place and names.is_name(tensors[0]) else []
        read = key in self.uses or key in self.made or self._joined(key) or isinstance(slot.first, Loop)
        if not read and len(outputs) > 1:
            own = ["_"]
        self.names[key] = self._free(
            number, [*own, *first, "x", "y", "z"], [*also, *self._replaced(number, key)], self._joined(key)
        )
        return self.names[key]

    def _joined(self, key: Id) -> list[int]:
        """Return the slots of other runs that make what has the name of a value: that of the if, in the else."""
        found: list[int] = []
        for number, phi in enumerate(self.skeleton.phis):
            if phi.apart and phi.base == key:
                found += [phi.made[1], *self._joined(("phi", number))]
        return found

    def _replaced(self, number: int, key: Id) -> list[str]:
        """Return the names that a run assigns while a value is still needed, which the value may not have."""
        return [
            self.names["phi", n]
            for n, phi in enumerate(self.skeleton.phis)
            if ("phi", n) in self.names and number < phi.made[1] < max(self.uses.get(key, [-1]))
        ]

    def _free(self, number: int, wishes: Sequence[str], also: Sequence[str] = (), others: Sequence[int] = ()) -> str:
        live = {name for key, name in self.names.items() if any(self._lives(key, n) for n in (number, *others))}
        taken = (live | self.reserved | set(also)) - {"_"}
        options = [*wishes, *(f"t{n}" for n in range(1, 999))]
        return next(each for each in options if each not in taken and names.is_name(each) and each != "self")

    def _lives(self, key: Id, number: int) -> bool:
        """Return whether a later slot reads a value under its name."""
        if key in self.made:
            key = self.made[key]
        if key[0] == "phi":
            phi = self.skeleton.phis[key[1]]
            if phi.run <= number < phi.made[1] and self.names[phi.base] != self.names.get(key):
                return False  # the run replaces it
        if key[0] == "out" and not self._meet(key[1], number):
            return False
        read = any(use > number and self._meet(use, number) for use in self.uses.get(key, ()))
        return read or any(phi.base == key and phi.run > number for phi in self.skeleton.phis)

    def _meet(self, one: int, other: int) -> bool:
        """Return whether a block fills both slots."""
        slots = self.skeleton.slots
        both = [slots[n].members.keys() for n in (one, other) if 0 <= n < len(slots)]
        return len(both) < 2 or not both[0].isdisjoint(both[1])

    # Their parts.

    def _value(self, number: int, name: str, each: Literal) -> str | None:
        """Return the text of a literal; None where it is left out."""
        places = self.function.places
        if (number, name, None) in places:
            return places[number, name, None]
        if isinstance(each.value, tuple):
            parts = [places.get((number, name, n)) or literal(value) for n, value in enumerate(each.value)]
            if any((number, name, n) in places for n in range(len(parts))):
                return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        if each.default is not None and repr(each.value) == repr(each.default):
            return None
        return literal(each.value)

    def _expression(self, number: int, statement: Statement, inputs: list[str]) -> str:
        values = {name: self._value(number, name, each) for name, each in statement.literals.items()}
        if isinstance(statement, BlockCall):
            return self._call(statement.function, inputs, self._path(number), values)
        called = [inputs.pop(0)] if isinstance(statement, LayerCall) else []
        named = [f"{name}={each}" for name, each in zip(statement.names, inputs, strict=False) if name]
        if named:
            inputs = [each for name, each in zip(statement.names, inputs, strict=True) if not name] + named
        if called:
            keywords = [statement.head] if statement.head else []
            return f"{called[0]}({', '.join([*inputs, *keywords])})"
        if not isinstance(statement, Layer):
            return statement.head.format(*inputs, **values)
        return layer_line(statement, values, self._path(number) if statement.path else "", inputs)

    def _path(self, number: int) -> str:
        own = self.skeleton.slots[number].path
        if own.startswith("/"):
            return literal(own[1:])
        return f'f"{{path}}{own}"' if own else "path"

    def _call(self, function: Function, inputs: list[str], path: str, values: dict[str, str | None]) -> str:
        """Return a call, with the names of its numbers where there are several and they fit into one line."""
        required = [each.name for each in function.arguments if each.default is None]
        given = [*inputs, *([path] if uses_path(function) else [])]
        named, short = list(given), list(given)
        for name, text in values.items():
            if text is not None:
                named.append(text if name in required and len(required) < 3 else f"{name}={text}")
                short.append(text if name in required else f"{name}={text}")
        texts = [f"{function.name}({', '.join(each)})" for each in (named, short)]
        in_a_line = len(texts[0]) > CALL >= len(texts[1])
        indented = len(", ".join(named)) > INDENTED >= len(", ".join(short))
        return texts[1] if (in_a_line or indented) and len(required) <= NAMELESS else texts[0]

    def _loop(self, number: int, slot: Slot, loop: Loop, inputs: list[str]) -> list[str]:
        before = inputs.pop() if loop.gathers else ""
        name, lines = "", list[str]()
        if loop.step.place is not None and not loop.step.grows:
            name = inputs[loop.step.place] = self._carried(number, slot, loop.step.place, lines)
        listed = ""
        if loop.gathers:
            key = ("out", number, len(loop.outputs) - 1)
            hint, joined = loop.outputs[-1].hint, self.made.get(key)  # in an else, the list has the name of the if's
            also = [name, *(self.names[each] for each in _flat(slot.inputs[:-1]))]
            free = self._free(number, [hint, f"{hint}_list", "features"], also, self._joined(key))
            listed = self.names[key] = self.names.get(joined, free) if joined else free
            lines.insert(0, f"{listed} = {before}")  # before the loop's variable takes the name of what is in it
        if loop.step.grows:
            inputs[loop.step.place or 0] = listed
        head, call = self._round(number, slot, loop, inputs)
        made = [f"{name} = {call}"] if name else []
        kept = [f"{listed}.append({name or call})"] if listed else []
        return [*lines, head, *(INDENT + line for line in made + kept)] if head else [*lines, *made, *kept]

    def _carried(self, number: int, slot: Slot, place: int, lines: list[str]) -> str:
        """Return the variable that each round replaces, which begins as what the first is given."""
        key, carried = ("out", number, 0), slot.inputs[place]
        before = self.names[carried]
        if not (self._lives(carried, number) or key in self.made):
            self.names[key] = before
            return before
        name = self._output(number, slot, 0, [])
        if name != before:
            lines.append(f"{name} = {before}")
        return name

    def _round(self, number: int, slot: Slot, loop: Loop, inputs: list[str]) -> tuple[str, str]:
        """Return the head of a loop, "" of one with one round, and what it calls in each round."""
        values = {n: self._value(number, n, each) for n, each in loop.literals.items()}
        start, count = values.pop("start") or "0", values.pop("count") or "0"
        rows = {n: values[n] or "" for n in loop.rows}
        own = {n: f"{n}_" if n in self.reserved else n for n in rows}
        prefix = slot.path
        whole = prefix.startswith("/") or self.block.frame.parent is None  # a Sequential's blocks have numbers alone
        once = count == "1" and start.isdigit() and not rows
        last = start if once else "{i}"
        if whole:
            path = literal(prefix.removeprefix("/") + last) if once else f'f"{prefix.removeprefix("/")}{last}"'
        else:
            path = f'f"{{path}}{prefix}{last}"'
        assert loop.function is not None
        call = self._call(loop.function, inputs, path, {**values, **own})
        return "" if once else head_of_loop(start, count, rows, own), call

    def _rounds(self, number: int, slot: Slot, loop: Rounds) -> list[str]:
        """Return a loop over rounds of layers."""
        lines: list[str] = []
        name = self._carried(number, slot, 0, lines)
        wishes = [*(wish for _, wish in loop.columns), *([title_of(loop.template[-1].head)] if loop.last else [])]
        columns = [*loop.columns.values(), *([loop.last] if loop.last else [])]
        own: list[str] = []
        for wish in wishes:
            taken = {*self.names.values(), *self.reserved, *own}
            own.append(next(each for each in (wish, *(f"{wish}_{n}" for n in range(2, 99))) if each not in taken))
        table = list(zip(loop.numbers, *columns, strict=True))
        rows = literal([row[0] if len(row) == 1 else row for row in table])
        lines.append(f"for {', '.join(['i', *own])} in {rows}:")
        prefix = slot.path[1:] if slot.path.startswith("/") else f"{{path}}{slot.path}"
        by_place = dict(zip(loop.columns, own, strict=False))
        for place, layer in enumerate(loop.template):
            values = {n: by_place.get((place, n)) or self._value(-1, n, each) for n, each in layer.literals.items()}
            text = layer_line(layer, values, f'f"{prefix}{{i{f" + {place}" if place else ""}}}"', [name])
            indent = INDENT
            if loop.last and place == len(loop.template) - 1:
                lines.append(f"{INDENT}if {own[-1]}:")
                indent = 2 * INDENT
            lines.append(f"{indent}{name} = {text}")
        return lines


def uses_path(function: Function) -> bool:
    """Return whether a function names a layer by its own path."""
    for slot in function.skeleton.slots:
        for block, statement in slot.members.items():
            own = relative(block, statement.path)
            inner = getattr(statement, "function", None)
            if own is not None and not own.startswith("/") and (inner is None or uses_path(inner)):
                return True
    return False


def _flat(inputs: Sequence[Any]) -> list[Id]:
    found: list[Id] = []
    for each in inputs:
        found += each if is_list(each) else [each]
    return found


def definition(function: Function, all_names: Sequence[str]) -> str:
    """Return the text of a function of the program that is not the network."""
    text = Text(function, all_names)
    given = [*text.names.values(), *(["path"] if uses_path(function) else [])]
    for each in function.arguments:
        given.append(each.name if each.default is None else f"{each.name}={literal(each.default)}")
    lines = [f'"""{function.title}."""', *text.body()]
    return f"def {function.name}({', '.join(given)}):\n" + "\n".join(INDENT + line for line in lines)
