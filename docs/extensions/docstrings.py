"""Docstrings as the packages write them, plain text with `code` and formulas, as reStructuredText; signatures."""

import inspect
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

CODE = re.compile(r"(`[^`]+`)")


def setup(app: Any) -> dict[str, bool]:
    """Convert each docstring before napoleon (priority 500) reads its sections."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True}


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = converted(lines)


def _signature(app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str) -> Any:
    """Return the arguments of `__init__`; Sphinx would show those of Keras's `__new__`, (*args, **kwargs)."""
    ours = [one for one in getattr(obj, "__mro__", ()) if one.__module__.startswith(("keras_blitz", "parity"))]
    own = next((vars(one)["__init__"] for one in ours if "__init__" in vars(one)), None)
    if what != "class" or own is None:
        return None
    arguments = list(inspect.signature(own).parameters.values())[1:]
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in arguments]
    return str(inspect.Signature(plain)), None


def converted(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText: formulas kept line by line, everything else escaped."""
    text: list[str] = []
    for paragraph in _paragraphs(lines):
        if is_formula(paragraph):
            text += ["::", "", *(f"    {line}" for line in paragraph), ""]
        elif paragraph[0].lstrip().startswith(">>>"):
            text += [*paragraph, ""]
        else:
            text += [*map(escaped, paragraph), ""]
    return text


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    for filled, paragraph in groupby(lines, key=lambda line: bool(line.strip())):
        if filled:
            yield list(paragraph)


def is_formula(paragraph: list[str]) -> bool:
    """Return whether a paragraph is set line by line: indented, or of equations and not of sentences."""
    if paragraph[0].endswith(":") and not paragraph[0].startswith(" "):  # a section, "Args:"
        return False
    equations = any(sign in line for line in paragraph for sign in (" = ", "←", "→"))
    return paragraph[0].startswith("    ") or (equations and not paragraph[-1].rstrip().endswith((".", ":")))


def escaped(line: str) -> str:
    """Return a line with `code` as a literal and every other character as it is."""
    parts = CODE.split(line)
    return "".join(f"`{part}`" if CODE.fullmatch(part) else _escaped_prose(part) for part in parts)


def _escaped_prose(text: str) -> str:
    text = re.sub(r"(?<=\w)_(?!\w)|[|]", r"\\\g<0>", text.replace("\\", "\\\\"))
    return re.sub(r"(?<!^)\*|^\*(?! )", r"\\*", text)
