"""Parts of the program's text: literals, layers, and heads of loops."""

import json
import re
from math import isinf
from typing import Any

from parity.translate.program import Statement


def literal(value: Any) -> str:
    """Return a value as Python text."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and isinf(value):
        return f'float("{value}")'
    if isinstance(value, (tuple, list)):
        inner = ", ".join(map(literal, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)" if len(value) == 1 else f"({inner})"
    return repr(value)


def layer_line(layer: Statement, values: dict[str, str | None], path: str, inputs: list[str]) -> str:
    """Return a layer that is made, and called where it has inputs."""
    given = [
        text if layer.literals[name].positional else f"{name}={text}"
        for name, text in values.items()
        if text is not None
    ]
    made = f"{layer.head}({', '.join([*given, *([f'name={path}'] if path else [])])})"
    return f"{made}({', '.join(inputs)})" if inputs else made


def title_of(head: str) -> str:
    """Return what a table calls whether a round has a layer: pool of MaxPool2d."""
    return "pool" if "pool" in head.lower() else re.sub(r"\W|\d.*", "", head.rpartition(".")[2]).lower()


def head_of_loop(start: str, count: str, rows: dict[str, str], own: dict[str, str]) -> str:
    """Return the head of a loop over numbered modules, with a table of the numbers that differ."""
    if not rows:
        both = start.isdigit() and count.isdigit()
        stop = str(int(start) + int(count)) if both else count if start == "0" else f"{count} + {start}"
        return f"for i in range({stop}):" if start == "0" else f"for i in range({start}, {stop}):"
    first = f", {start}" if start != "0" else ""
    if len(rows) == 1:
        (name, values), *_ = rows.items()
        values = re.sub(r"^\((.*?),?\)$", r"[\1]", values)
        return f"for i, {own[name]} in enumerate({values}{first}):"
    return (
        f"for i, ({', '.join(own.values())}) in enumerate(zip({', '.join(rows.values())}, strict=True){first}):"
    )  # fmt: skip
