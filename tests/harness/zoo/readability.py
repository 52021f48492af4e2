"""What can be counted of how a translated source reads."""

import ast
import inspect
import subprocess
import sys
import textwrap
from itertools import pairwise
from typing import Any

from torch import nn

BLOCK = 5  # lines that stand twice in one file are a function or a loop that was not found


def measure(module: nn.Module, source: str) -> dict[str, Any]:
    """Return the figures of a source that was written from a module.

    "functions" and "classes", PyTorch's that are used; "lines" and "source_lines", the code lines of these classes;
    "transposes"; "ruff", what it would change, empty where it would not; "repeated", blocks of five lines that
    occur twice; "as_in_pytorch", the pairs of classes of those that PyTorch's own source has twice as well.
    """
    classes = own_classes(module)
    return {
        "lines": source.count("\n"),
        "functions": sum(isinstance(each, ast.FunctionDef) for each in ast.parse(source).body),
        "classes": len(classes),
        "source_lines": sum(code_lines(inspect.getsource(each)) for each in classes),
        "transposes": source.count("ops.transpose"),
        "ruff": ruff(source),
        "repeated": repeated(source),
        "as_in_pytorch": as_in_pytorch(classes, source),
    }


def faults(figures: dict[str, Any]) -> str:
    """Return what is not readable by these figures; "" where all is well."""
    found = []
    if figures["functions"] > 2 * max(figures["classes"], 1):
        found.append(f"{figures['functions']} functions for {figures['classes']} classes")
    if own := figures["repeated"] - len(figures["as_in_pytorch"]):
        found.append(f"{own} blocks of {BLOCK} lines occur twice")
    if figures["ruff"]:
        found.append(f"ruff: {figures['ruff']}")
    return "; ".join(found)


def own_classes(module: nn.Module) -> list[type]:
    """Return the classes of a module's modules that are not PyTorch's own, in order."""
    every = dict.fromkeys(type(inner) for inner in module.modules())
    return [each for each in every if not each.__module__.startswith("torch.")]


def code_lines(source: str) -> int:
    """Return the number of lines without blank ones, comments and docstrings."""
    source = textwrap.dedent(source)
    prose: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            prose.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(bool(line.strip()) and not line.strip().startswith("#") and n not in prose for n, line in lines)


def repeated(source: str) -> int:
    """Return how many different blocks of five lines occur twice, blank lines left out."""
    return len(repeats(source))


def repeats(source: str) -> list[tuple[str, str]]:
    """Return, for each block of five lines that occurs twice, the classes of the functions that it begins in."""
    lines = [line.strip() for line in source.splitlines() if line.strip()]
    titles = [""]
    for one, line in pairwise(lines):
        titles.append(line.strip('".') if one.startswith(("def ", "):")) and line.startswith('"""') else titles[-1])
    last: dict[tuple[str, ...], int] = {}
    twice: dict[tuple[str, ...], tuple[str, str]] = {}
    for n in range(len(lines) - BLOCK + 1):
        block = tuple(lines[n : n + BLOCK])
        if n >= (first := last.setdefault(block, n)) + BLOCK:
            twice.setdefault(block, (titles[first], titles[n]))
    return list(twice.values())


def as_in_pytorch(classes: list[type], source: str) -> list[tuple[str, str]]:
    """Return the repeats that PyTorch's own source has, too: in two classes, whose sources share five lines."""
    own = {each.__name__: inspect.getsource(each) for each in classes}
    return [pair for pair in repeats(source) if pair[0] != pair[1] and _share(*(own.get(name, "") for name in pair))]


def _share(one: str, other: str) -> bool:
    """Return whether two sources have a block of five lines in common."""
    blocks = []
    for source in (one, other):
        lines = [line.strip() for line in source.splitlines() if line.strip()]
        blocks.append({tuple(lines[n : n + BLOCK]) for n in range(len(lines) - BLOCK + 1)})
    return not blocks[0].isdisjoint(blocks[1])


def ruff(source: str) -> str:
    """Return the first thing that ruff would change in a source; "" where there is none."""
    command = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--line-length", "120", "--quiet"]
    rules = ["--select", "E,F,W,I,B,UP,SIM,RUF", "--output-format", "concise", "--stdin-filename", "net.py"]
    for told in (["check", *options, *rules, "-"], ["format", *options, "--diff", "-"]):
        done = subprocess.run([*command, *told], input=source, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stdout.strip() or done.stderr.strip() or "would format it").splitlines()[0]
    return ""
