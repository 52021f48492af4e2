"""Run the blocks of README and docs that are marked python or console, and compare what they print with the page.

    ```python     run after the page's earlier ones, in the same names; one that begins with `# model.py` is that file
    ```           right after a python block: what it prints
    ```py         not run: it downloads, or takes several machines
    ```console    each line after `$ ` is run; the lines below it are what it prints

A line `…` stands for lines that are left out. Whole numbers must be equal; rounding, ratios and times are not compared.
An HTML file that the blocks write is compared with the one of its name beside the page, without its numbers.

python scripts/dev/code_blocks.py docs/start/check.md        writes what the blocks print into the page, and such files
"""

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
OF_THE_MACHINE = re.compile(r"[\d.,]+(?=×|s\b| (?:×|s|GB)(?!\w))")
NOISE = 1e-6  # below it a relative error is rounding


@dataclass(frozen=True)
class Block:
    """A block that is run.

    Args:
        kind: python or console.
        line: of the page.
        text: what is in it.
        span: where the page shows what it prints; of a console block, all of its text; None where nothing is shown.
    """

    kind: str
    line: int
    text: str
    span: tuple[int, int] | None


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page that are run."""
    for one, after in pairwise([*FENCE.finditer(page), None]):
        line = page[: one.start()].count("\n") + 1
        if one["kind"] == "console":
            yield Block("console", line, one["text"], one.span("text"))
        elif one["kind"] == "python":
            follows = after is not None and not after["kind"] and not page[one.end() : after.start()].strip()
            yield Block("python", line, one["text"], after.span("text") if follows else None)


def close(expected: str, actual: str) -> bool:
    """Return whether two numbers are the same; of two that are rounding, nothing is asked."""
    one, other = (float(number.replace(",", "")) for number in (expected, actual))
    if not re.search(r"[.e]", expected):
        return one == other
    return max(one, other) < NOISE or abs(one - other) <= 0.02 * max(one, other)


def same_line(expected: str, actual: str) -> bool:
    """Return whether a line says the same."""
    expected, actual = (" ".join(OF_THE_MACHINE.sub("", line).split()) for line in (expected, actual))
    if NUMBER.sub("#", expected) != NUMBER.sub("#", actual):
        return False
    return all(map(close, NUMBER.findall(expected), NUMBER.findall(actual)))


def shows(expected: str, actual: str) -> bool:
    """Return whether an output is what a page shows, but for what `…` leaves out."""
    return _agree(expected.strip().splitlines(), actual.strip().splitlines())


def _agree(shown: list[str], printed: list[str]) -> bool:
    if not shown:
        return not printed
    if shown[0].strip() == "…":
        return any(_agree(shown[1:], printed[at:]) for at in range(len(printed) + 1))
    return bool(printed) and same_line(shown[0], printed[0]) and _agree(shown[1:], printed[1:])


def run_python(block: Block, names: dict) -> str:
    """Run a block, or write the file that its first line names; return what it prints."""
    file = re.match(r"# (\w+\.py)\n", block.text)
    if file:
        Path(file[1]).write_text(block.text, encoding="utf-8")
        return ""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(block.text, f"line {block.line}", "exec"), names)
    return output.getvalue()


def run_command(line: str) -> str:
    """Run a command and return what it prints; one of ours in this process, which has loaded the frameworks."""
    import keras_blitz.cli
    import parity.cli

    words = shlex.split(line)
    applications = {"parity": parity.cli.app, "keras-blitz": keras_blitz.cli.app}
    if words[0] in applications:
        done = CliRunner().invoke(applications[words[0]], words[1:])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout
    if words[0] == "pytest":
        with contextlib.redirect_stdout(io.StringIO()) as output:
            pytest.main(words[1:])
        return output.getvalue()
    words[0] = sys.executable if words[0] == "python" else words[0]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def run_page(page: str) -> tuple[list[str], str]:
    """Run the blocks of a page in the working folder; return what differs, and the page as it should be."""
    problems, edits, names = [], [], {"__name__": "__main__"}
    for block in blocks(page):
        if block.kind == "python":
            outputs = [("", page[slice(*block.span)] if block.span else None, run_python(block, names))]
        else:
            commands = re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block.text, flags=re.M)
            outputs = [(line, shown, run_command(line.replace("\\\n", ""))) for line, shown in commands]
        wrong = [one for one in outputs if one[1] is not None and not shows(*one[1:])]
        problems += [
            f"line {block.line}: {line}\nshown:\n{shown}\nprinted:\n{printed}" for line, shown, printed in wrong
        ]
        if wrong:
            texts = [(f"$ {line}\n" if line else "") + _shown(printed, shown) for line, shown, printed in outputs]
            edits.append((*block.span, "".join(texts)))
    for start, end, text in reversed(edits):
        page = page[:start] + text + page[end:]
    return problems, page


def stale(page: Path) -> list[Path]:
    """Return the HTML files beside a page that its blocks have written again, otherwise but for the numbers."""
    both = [(path, page.with_name(path.name)) for path in Path.cwd().glob("*.html")]
    return [kept for new, kept in both if kept.exists() and _without_numbers(new) != _without_numbers(kept)]


def _without_numbers(path: Path) -> str:
    return NUMBER.sub("#", path.read_text(encoding="utf-8"))


def _shown(printed: str, shown: str) -> str:
    """Return what the page should show: what it has if that is right; as few lines if it ends with `…`."""
    if shows(shown, printed):
        return shown
    lines, kept = [line.rstrip() for line in printed.strip().splitlines()], shown.strip().splitlines()
    if kept and kept[-1].strip() == "…":
        lines[len(kept) - 1 :] = ["…"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write what the blocks of the named pages print into them."""
    from parity.session import load

    load(live=True)
    import keras

    for page in map(Path.resolve, map(Path, sys.argv[1:])):
        keras.utils.clear_session()
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            sys.path.insert(0, folder)
            page.write_text(run_page(page.read_text(encoding="utf-8"))[1], encoding="utf-8")
            for kept in stale(page):
                shutil.copy(kept.name, kept)
            sys.path.remove(folder)


if __name__ == "__main__":
    main()
