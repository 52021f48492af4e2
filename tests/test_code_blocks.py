"""Every block of README and docs that is marked python or console is run, page by page, and prints what the page shows.

    ```python     run after the page's earlier ones, in the same names; one that begins with `# model.py` is that file
    ```console    each line after `$ ` is run; the lines below it are what it prints
    ```           right after a python block: what that prints

A line `…` stands for lines that are left out. Whole numbers must be equal; what is rounding, a ratio or a time, is not compared.
"""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(DOCS.glob("start/*.md")),
    *sorted(DOCS.glob("porting/*.md")),
]
LISTINGS = {"translated.md"}  # tests/harness/test_translated_page.py has what it shows written again

FENCE = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
OF_THE_MACHINE = re.compile(r"[\d.,]+(?=×| (?:×|s|GB)(?!\w))")
NOISE = 1e-6  # below it a relative error is rounding


@dataclass(frozen=True)
class Block:
    """A block of a page, its line, and for python what it is to print; None where the page does not show it."""

    kind: str
    text: str
    line: int
    prints: str | None = None


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page that are run."""
    found = list(FENCE.finditer(page))
    for one, after in pairwise([*found, None]):
        follows = after is not None and not after["kind"] and not page[one.end() : after.start()].strip()
        line = page[: one.start()].count("\n") + 1
        if one["kind"] in ("python", "console"):
            yield Block(one["kind"], one["text"], line, after["text"] if follows and one["kind"] == "python" else None)


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
    lines, at = actual.strip().splitlines(), 0
    parts = [part.strip("\n").splitlines() for part in re.split(r"^ *… *$", expected.strip(), flags=re.M)]
    for number, part in enumerate(parts):
        places = range(at, len(lines) - len(part) + 1)
        if number == 0:
            places = places[:1]
        if number == len(parts) - 1 and part:
            places = [place for place in places if place + len(part) == len(lines)]
        at = next((p + len(part) for p in places if all(map(same_line, part, lines[p : p + len(part)]))), None)
        if at is None:
            return False
    return True


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
    """Run a command of the page; ours in this process, which has the frameworks loaded."""
    import keras_blitz.cli
    import parity.cli

    words = shlex.split(line)
    apps = {"parity": parity.cli.app, "keras-blitz": keras_blitz.cli.app}
    if words[0] in apps:
        done = CliRunner().invoke(apps[words[0]], words[1:])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.stdout
    words = [sys.executable, "-m", "pytest"] + words[1:] if words[0] == "pytest" else words
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout


def run_page(page: str) -> list[str]:
    """Run the blocks of a page in the working folder; return what printed something else than the page shows."""
    problems, names = [], {"__name__": "__main__"}
    for block in blocks(page):
        if block.kind == "python":
            outputs = [("", block.prints, run_python(block, names))]
        else:
            commands = re.split(r"^\$ ", block.text, flags=re.M)[1:]
            commands = [command.replace("\\\n", "").partition("\n") for command in commands]
            outputs = [(command, shown, run_command(command)) for command, _, shown in commands]
        problems += [
            f"line {block.line}: {command}\nshown:\n{shown}\nprinted:\n{printed}"
            for command, shown, printed in outputs
            if shown is not None and not shows(shown, printed)
        ]
    return problems


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, from which modules are imported, and fresh names of Keras's layers."""
    import keras

    keras.utils.clear_session()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in LISTINGS], ids=lambda page: page.name)
def test_blocks_run_and_print_what_the_page_shows(page, folder):
    assert run_page(page.read_text(encoding="utf-8")) == []


def test_the_blocks_of_a_page():
    page = "a\n```python\nx = 1\n```\n\n```\n1\n```\n```python\ny\n```\nb\n```\n2\n```\n```text\n$ no\n```\n```console\n$ parity\nout\n```\n"
    assert list(blocks(page)) == [
        Block("python", "x = 1\n", 2, "1\n"),
        Block("python", "y\n", 9),
        Block("console", "$ parity\nout\n", 18),
    ]


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("8 of 17 tensors", "8 of 17 tensors", True),
        ("8 of 17 tensors", "9 of 17 tensors", False),
        ("3,739 tensors in 27 s", "3,739 tensors in 31 s", True),
        ("differs by 4.9e-04", "differs by 4.93e-04", True),
        ("differs by 4.9e-04", "differs by 4.9e-03", False),
        ("worst 2.7e-16", "worst 1.1e-15", True),
        ("worst 2.7e-16", "worst 1.1e-03", False),
        ("1075.44 × PyTorch's own", "980.1 × PyTorch's own", True),
        ("one\n…\nthree", "one\ntwo\n2.5\nthree", True),
        ("one\n…", "one\ntwo", True),
        ("one\n…\nthree", "one\ntwo\nthree\nfour", False),
        ("one", "one\ntwo", False),
        ("two", "one\ntwo", False),
    ],
)
def test_what_a_page_shows(expected, actual, same):
    assert shows(expected, actual) is same


def test_a_page_that_is_wrong_is_said(folder):
    wrong = "```python\n# two.py\nTWO = 3\n```\n```python\nimport two\nprint(two.TWO)\n```\n```\n2\n```\n"
    (problem,) = run_page(wrong)
    assert problem.startswith("line 5: \nshown:\n2\n\nprinted:\n3\n")
    assert run_page(wrong.replace("\n2\n", "\n3\n")) == []
    with pytest.raises(NameError):
        run_page("```python\nmissing\n```\n")
