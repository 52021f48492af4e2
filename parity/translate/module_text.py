"""The whole file: imports, a function for each class, and the network."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from keras_blitz import layers
from parity.translate.emit import INDENT, Text, definition
from parity.translate.functions import Function
from parity.translate.graph import Value
from parity.translate.lines import literal
from parity.translate.program import View
from parity.translate.repeats import without_repeats

LINE = 120


def file_text(
    functions: Sequence[Function], inputs: Sequence[View], outputs: Any, views: Mapping[Value, View],
    stubs: Mapping[str, str], header: str,
) -> str:  # fmt: skip
    """Return the source of a program.

    Args:
        functions: each after those that it calls; the last is the network.
        inputs: of the network.
        outputs: what the module returned, with values for tensors.
        views: value -> its symbol and layout.
        stubs: name of a function that has to be written -> what it stands for.
        header: the docstring.
    """
    *inner, network = functions
    every = [*(function.name for function in functions), *layers.__all__]
    parts = [_stub(name, reason) for name, reason in stubs.items()]
    parts += [definition(function, every) for function in inner]
    parts.append(_network(network, every, inputs, outputs, views))
    body = without_repeats(formatted("\n\n\n".join(parts)))
    return formatted(f'"""{header}"""\n\n{_imports(body)}\n\n\n{body}\n')


def formatted(source: str) -> str:
    """Return a source as ruff formats it, or as it is where ruff is not installed."""
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", str(LINE), "-"]
    try:
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False, encoding="utf-8")
    except OSError:
        return source
    return done.stdout if done.returncode == 0 else source


def _stub(name: str, reason: str) -> str:
    return f"def {name}(*inputs):\n{INDENT}raise NotImplementedError({json.dumps(reason, ensure_ascii=False)})"


def _network(
    function: Function, every: Sequence[str], inputs: Sequence[View], outputs: Any, views: Mapping[Value, View]
) -> str:
    count = len(function.skeleton.blocks[0].parameters)
    text = Text(function, every, kept=[("in", n) for n in range(count)] if count > 1 else [])
    paths = {statement.path for slot in function.skeleton.slots for statement in slot.members.values()}
    lines = [f'"""Return {function.title} as a functional Keras model, channels last."""']
    names = []
    for number, view in enumerate(inputs):
        known = next((n for n, s in enumerate(text.block.parameters) if s is view.symbol), None)
        name = text.names["in", known] if known is not None else f"unused_{number}"
        size, *sizes = view.symbol.shape
        given = literal(tuple(sizes)) if size is None else f"batch_shape={literal((size, *sizes))}"
        kind = "" if "float" in view.dtype else f', dtype="{"bool" if view.dtype == "bool" else "int32"}"'
        alone = len(inputs) == 1
        names.append("inputs" if alone else f"{name}_in" if name in ("x", "y") else name)
        assigned = f"inputs = {name}" if alone else f"{names[-1]} = {name}" if names[-1] != name else name
        label = "" if alone else f', name="{name}_input"' if name in paths else f', name="{name}"'
        lines.append(f"{assigned} = keras.Input({given}{kind}{label})")
    body = text.body()
    *start, last = body
    results = dict(zip([id(s) for s in text.block.results], _result_texts(last), strict=True))
    returned = _structure(outputs, views, results)
    given = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    lines += [*start, f"return keras.Model({given}, {returned}, name={literal(function.name)})"]
    return f"def {function.name}():\n" + "\n".join(INDENT + line for line in lines)


def _result_texts(last: str) -> list[str]:
    """Return what the last line of a function returns."""
    expression = last.removeprefix("return ")
    return expression.split(", ") if re.fullmatch(r"[\w, ]+", expression) else [expression]


def _structure(outputs: Any, views: Mapping[Value, View], results: Mapping[int, str]) -> str:
    if isinstance(outputs, Value):
        return results[id(views[outputs].symbol)]
    if isinstance(outputs, Mapping):
        inner = [(key, _structure(each, views, results)) for key, each in outputs.items() if each is not None]
        return "{" + ", ".join(f"{json.dumps(str(key))}: {text}" for key, text in inner if text) + "}"
    if isinstance(outputs, (tuple, list)):
        inner_texts = [_structure(each, views, results) for each in outputs]
        kept = [text for text in inner_texts if text]
        return f"({', '.join(kept)},)" if len(kept) == 1 else f"({', '.join(kept)})"
    return ""


def _imports(body: str) -> str:
    own = [
        name
        for name in sorted(layers.__all__, key=lambda name: (not name.isupper(), name))
        if re.search(rf"(?<![\w.]){name}\(", body)
    ]
    keras = [name for name in ("layers", "ops") if re.search(rf"(?<![\w.]){name}\.", body)]
    found = ["import keras"]
    found += [f"from keras import {', '.join(keras)}"] if keras else []
    return "\n".join(found) + (f"\n\nfrom keras_blitz.layers import {', '.join(own)}" if own else "")
