"""Every id of the inventory has evidence, each piece of evidence is there, and docs/inventory.md says the same."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parity import inventory
from parity.cli import app

ROOT = Path(__file__).parents[1]
COUNTS = {"N": 9, "W": 5, "A": 15, "T": 14, "R": 5, "L": 6, "O": 6, "D": 6, "S": 7, "H": 17}


def marks(path: Path, name: str) -> Iterator[tuple[str, str]]:
    """Yield (evidence, id) of each `covers` mark in a test file, which is not imported."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield from ((f"{name}::{node.name}", id) for mark in node.decorator_list for id in ids_of(mark))
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            yield from ((name, id) for id in ids_of(node.value))


def ids_of(node: ast.expr) -> list[str]:
    """Return the arguments of the `covers` marks in an expression."""
    calls = [one for one in ast.walk(node) if isinstance(one, ast.Call)]
    return [word.value for one in calls if ast.unparse(one.func) == "pytest.mark.covers" for word in one.args]


@pytest.fixture(scope="module")
def marked():
    paths = sorted((ROOT / "tests").rglob("test_*.py"))
    return {entry for path in paths for entry in marks(path, path.relative_to(ROOT).as_posix())}


def problems(items, marked, covered) -> list[str]:
    """Say what is wrong with the inventory: an id without evidence, evidence that is not there, an unknown id."""
    found = []
    known = {item.id for item in items}
    listed = {(path, item.id) for item in items for path in item.evidence}
    tests = {(path, id) for path, id in listed if path.startswith("tests/")}
    found += [f"{id}: {path} carries no mark of it" for path, id in sorted(tests - marked)]
    found += [f"{id}: parity/inventory.py does not list {path}" for path, id in sorted(marked - tests)]
    found += [f"{id}: {path} does not name it" for path, id in sorted(listed - tests) if not names(ROOT / path, id)]
    found += [f"{id}: no such id, but a case covers it" for id in sorted(covered - known)]
    for item in items:
        if item.built != bool(item.evidence or item.id in covered):
            found.append(f"{item.id}: {'no evidence' if item.built else 'has evidence, and is marked as not built'}")
    return found


def names(script: Path, id: str) -> bool:
    return script.is_file() and bool(re.search(rf"\b{id}\b", script.read_text(encoding="utf-8")))


def test_every_id_is_there_once():
    expected = [f"{letter}{number}" for letter, count in COUNTS.items() for number in range(1, count + 1)]
    assert [item.id for item in inventory.ITEMS] == expected
    assert list(inventory.SECTIONS) == list(COUNTS)


def test_every_id_has_evidence_and_every_piece_of_it_exists(marked):
    assert problems(inventory.ITEMS, marked, set(inventory.covered_by_cases())) == []


def test_every_id_is_built():
    assert [item.id for item in inventory.ITEMS if not item.built] == []


@pytest.mark.parametrize(
    ("id", "changes", "problem"),
    [
        ("W5", {"evidence": ()}, "W5: no evidence"),
        ("W5", {"evidence": ("tests/library/test_none.py",)}, "W5: tests/library/test_none.py carries no mark of it"),
        ("L1", {"evidence": ()}, "L1: parity/inventory.py does not list tests/library/test_layers.py"),
        ("S6", {"evidence": ("scripts/none.py",)}, "S6: scripts/none.py does not name it"),
        ("S6", {"evidence": ("scripts/results.py",)}, "S6: scripts/results.py does not name it"),
        ("N1", {"built": False}, "N1: has evidence, and is marked as not built"),
        ("N1", {"id": "N10"}, "N1: no such id, but a case covers it"),
    ],
)
def test_what_is_wrong_with_an_inventory_is_said(marked, id, changes, problem):
    items = [replace(item, **changes) if item.id == id else item for item in inventory.ITEMS]
    assert problem in problems(items, marked, set(inventory.covered_by_cases()))


def test_an_unknown_id_in_a_mark_is_said(marked):
    wrong = marked | {("tests/test_x.py::test_y", "N99")}
    assert problems(inventory.ITEMS, wrong, set(inventory.covered_by_cases())) == [
        "N99: parity/inventory.py does not list tests/test_x.py::test_y"
    ]


def test_marks_are_read_from_modules_and_functions(tmp_path):
    (tmp_path / "test_x.py").write_text(
        "import pytest\n"
        'pytestmark = [pytest.mark.torch, pytest.mark.covers("N1", "N2")]\n'
        '@pytest.mark.covers("N3")\n@pytest.mark.slow\ndef test_y(): ...\n'
        "def test_z(): ...\n"
    )
    found = [("test_x.py", "N1"), ("test_x.py", "N2"), ("test_x.py::test_y", "N3")]
    assert list(marks(tmp_path / "test_x.py", "test_x.py")) == found


def test_the_page_is_what_the_module_prints():
    page = (ROOT / "docs" / "inventory.md").read_text(encoding="utf-8")
    assert page == inventory.page(), "run python -m parity.inventory > docs/inventory.md"


def test_parity_list_shows_every_id():
    done = CliRunner().invoke(app, ["list", "*"])
    assert done.exit_code == 0
    cases, others = (part.splitlines() for part in done.output.split("\n\n"))
    covered = {word for line in cases for word in line.split()[1:]}
    assert {item.id for item in inventory.ITEMS} == (covered - {"slow"}) | {line.split()[0] for line in others}
    assert "L1   tests/library/test_layers.py" in others
