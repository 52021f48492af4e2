"""Names for the program's variables, from the user's own source lines."""

import ast
import builtins
import inspect
import keyword
import linecache
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from parity.translate.graph import Frame, Where

TAKEN = {*dir(builtins), "F", "keras", "layers", "nn", "np", "numpy", "ops", "tf", "torch"}


def assigned(where: Where | None) -> list[str]:
    """Return what a source line assigns to: ["q", "k"] of `q, k = …`."""
    return _assignments(where[0]).get(where[1], []) if where else []


def list_of(where: Where | None) -> str:
    """Return the list that a source line calls something with: features of `torch.cat([x, *features], 1)`."""
    return _lists(where[0]).get(where[1], "") if where else ""


def condition(where: Where | None) -> str:
    """Return what the innermost `if` around a source line asks for: downsample of `if self.downsample:`."""
    return _conditions(where[0]).get(where[1], "") if where else ""


def first_part(relative_path: str) -> str:
    """Return a usable name of a path within a module: conv2 of ".conv2", block3 of ".block.3"."""
    parts = [part for part in relative_path.strip("/.").split(".") if part]
    if not parts:
        return ""
    name = parts[0] if not parts[0].isdigit() else f"layer{parts[0]}"
    if len(parts) > 1 and parts[1].isdigit():
        name += parts[1]
    return name if is_name(name) else ""


def flag(where: Where | None, relative_path: str, text: str) -> str:
    """Return a name for whether a run of statements is there.

    Args:
        where: the user's line of the first.
        relative_path: of its layer, within the module.
        text: its text, "ops.transpose({0}, {axes})".
    """
    called = re.match(r"ops\.(\w+)", text)
    by_path = first_part(relative_path).rstrip("0123456789")
    return condition(where) or by_path or (called[1] if called else "extra")


def parameters(module: Any) -> list[str]:
    """Return the names of what a module's `forward` takes."""
    try:
        given = inspect.signature(type(module).forward).parameters.values()
    except (TypeError, ValueError):
        return []
    return [each.name for each in given if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)][1:]


def given(frame: Frame) -> list[str]:
    """Return the names that `forward` has for what a module was given, in that order."""
    by_place = len(frame.arguments) - len(frame.keywords)
    return [*parameters(frame.module)[:by_place], *frame.keywords] if frame.keywords else parameters(frame.module)


def of_number(known: Sequence[tuple[Frame, Any]]) -> str:
    """Return what the user calls a number that differs between modules of a class: height, num_heads; "" without one.

    Args:
        known: calls of the modules, with the number in each.
    """
    attributes = [
        [dict(zip(given(frame), frame.arguments, strict=False)), vars(frame.module)] for frame, _ in known
    ]  # fmt: skip
    for place in (0, 1):
        for name in attributes[0][place] if attributes else ():
            if is_name(name) and not name.startswith("_") and name != "training":
                pairs = ((own[place].get(name), value) for own, (_, value) in zip(attributes, known, strict=True))
                if all(type(one) is type(other) and one == other for one, other in pairs):
                    return name
    return ""


def own(layer: str, frame: Frame) -> str:
    """Return a name for a layer in the call of a module, where Keras would give it that of another module.

    Keras calls a Dropout without a name "dropout", and so may a user call a module; "" where no such module is.
    """
    name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", layer.rpartition(".")[2]).lower()
    taken = {re.sub(r"_\d+$", "", child) for child, _ in frame.ancestors()[0].module.named_children()}
    return ".".join(filter(None, [frame.path, f"{name}_function"])) if name in taken else ""


def is_name(text: str) -> bool:
    """Return whether a text can be a variable's name: a keyword, a builtin's or a module's cannot."""
    return text.isidentifier() and not keyword.iskeyword(text) and text not in TAKEN


@cache
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return None


@cache
def _assignments(file: str) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    tree = _tree(file)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            targets = _elements(target)
            names = [each.id for each in targets if isinstance(each, ast.Name)]
            if len(names) == len(targets):
                found.update(dict.fromkeys(range(node.lineno, (node.end_lineno or node.lineno) + 1), names))
    return found


def _elements(target: ast.expr) -> list[ast.expr]:
    """Return the targets of an assignment: a, b, c of `a, (b, c) = …`."""
    if isinstance(target, ast.Tuple):
        return [inner for each in target.elts for inner in _elements(each)]
    return [target]


@cache
def _lists(file: str) -> dict[int, str]:
    found: dict[int, str] = {}
    tree = _tree(file)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Call) and node.args:
            every = [each.id for each in ast.walk(node.args[0]) if isinstance(each, ast.Name)]
            named = [name for name in every if is_name(name) and name != "self"]
            if named:
                found.setdefault(node.lineno, named[-1])
    return found


@cache
def _conditions(file: str) -> dict[int, str]:
    found: dict[int, str] = {}
    tree = _tree(file)
    for node in ast.walk(tree) if tree else ():  # outer ones first
        if isinstance(node, ast.If):
            asked = _asked(node.test)
            if is_name(asked):
                last = max((each.end_lineno or each.lineno) for each in node.body)
                found.update(dict.fromkeys(range(node.body[0].lineno, last + 1), asked))
    return found


def _asked(test: ast.expr) -> str:
    """Return what a condition asks for: drop of `self.drop is not None`, with_mask of `mask is not None`."""
    attributes = [each.attr for each in ast.walk(test) if isinstance(each, ast.Attribute)]
    if attributes:
        return attributes[0]
    called = {each.func for each in ast.walk(test) if isinstance(each, ast.Call)}
    plain = [each.id for each in ast.walk(test) if isinstance(each, ast.Name) and each not in called]
    whether = isinstance(test, ast.Name) or (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot))
    return (f"with_{plain[0]}" if whether else plain[0]) if plain else ""
