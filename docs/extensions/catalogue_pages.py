"""The pages of the catalogue of differences, made from `parity.gaps` and stored measurements: nothing is measured."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pages import write_pages

from keras_blitz.errors import BlitzError
from parity.gaps import SECTIONS, catalogue
from parity.gaps.gap import Gap

STORED = Path(__file__).parents[1] / "measured.json"  # python scripts/dev/measured.py > docs/measured.json
SIDES = {"pytorch": "PyTorch", "naive": "naive", "exact": "exact"}
LETTERS = {"O": "outputs", "G": "gradients", "T": "training"}
FIELD = '<input class="filter" type="search" placeholder="Filter: a layer, a word, an id" aria-label="Filter the rows">'


def setup(app: Any) -> dict[str, bool]:
    """Write the pages when a build begins."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir) / "catalogue", catalogue_pages()))
    return {"parallel_read_safe": True}


def catalogue_pages() -> dict[str, str]:
    """Return the index of all rows and a page for each subject."""
    rows, stored = catalogue(), json.loads(STORED.read_text(encoding="utf-8"))
    missing = [row.id for row in rows if row.id not in stored["rows"]]
    if missing:
        raise BlitzError(f"docs/measured.json lacks {', '.join(missing)}; scripts/dev/measured.py writes it again")
    measured = stored["rows"]
    pages = {"index": _index(rows, stored)}
    for section, title in SECTIONS.items():
        chosen = [row for row in rows if row.section == section]
        pages[section] = "\n".join([f"# {title}\n", EXPLANATION, *(_row(row, measured[row.id]) for row in chosen)])
    return pages


def _index(rows: Sequence[Gap], stored: dict[str, Any]) -> str:
    measured = stored["rows"]
    lines = [_line(row, measured[row.id]) for row in rows]
    differ = sum(one["differs"] for one in measured.values())
    versions = ", ".join(f"{name} {version}" for name, version in stored["versions"].items())
    head = INTRODUCTION.format(rows=len(rows), differ=differ, same=len(rows) - differ, versions=versions)
    titles = "\n".join(f"{section}" for section in SECTIONS)
    return "\n".join([
        head, FIELD, "", "| id | PyTorch | the obvious port | shows in |", "|---|---|---|---|", *lines, "",
        f"```{{toctree}}\n:hidden:\n\n{titles}\n```", "",
    ])  # fmt: skip


def _line(row: Gap, measured: dict[str, Any]) -> str:
    cells = (row.behavior, _naive(measured), _affects(row.affects))
    return f"| [{row.id}]({row.section}.md#{row.id.lower()}) | {' | '.join(map(_cell, cells))} |"


INTRODUCTION = """# Where the obvious port differs

{rows} places where a model that was ported line by line may quietly do something else than PyTorch. Each row has three
small functions that should do the same: PyTorch's, the **naive** port (what one would write at first), and an **exact**
one. All three ran on the same inputs in float64, gradients included. The figure is the largest error, relative to the
tensor's largest value. With these versions {differ} naive ports differ and {same} do not: a row without a difference
answers a question that people have.

Measured with {versions}. `parity gaps` measures all of it on your machine, and `parity gaps conv-same-stride2` one row.
"""


EXPLANATION = """*naive* is what one would write at first, *exact* computes what PyTorch does, and the error is
relative to the tensor's largest value. [The catalogue](index.md) says how it was measured, and has all rows with a filter.
"""


def _row(row: Gap, measured: dict[str, Any]) -> str:
    return "\n".join([
        f"## {row.id}", "",
        f"* **PyTorch**: {row.behavior}",
        f"* **naive**, {_naive(measured)}: {row.naive_spelling}",
        f"* **exact**, {_error(measured['exact'])}: {row.exact_spelling}",
        f"* shows in: {_affects(row.affects)}", "",
        "<details><summary>Code</summary>", "", *_code(row), "</details>", "",
    ])  # fmt: skip


def _naive(measured: dict[str, Any]) -> str:
    """Return what the naive port came to, in words."""
    if not measured["differs"]:
        return "no difference"
    return _error(measured["naive"])


def _error(outcome: str) -> str:
    """Return an outcome with its figure kept on one line."""
    if outcome == "0":
        return "no error"
    is_number = re.fullmatch(r"[\d.]+e[+-]\d+", outcome)
    return f"error\N{NO-BREAK SPACE}{outcome.replace('-', '−')}" if is_number else outcome


def _code(row: Gap) -> Iterator[str]:
    for side, title in SIDES.items():
        yield f"{title}:\n\n```python3\n{row.code(side)}\n```\n"
    if row.helpers():
        yield "with\n\n```python3\n" + "\n\n\n".join(row.helpers()) + "\n```\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _affects(letters: str) -> str:
    words = re.sub(r"\b[OGT]\b", lambda found: LETTERS[found[0]], letters)
    return re.sub(r"\b(outputs|gradients) (?=gradients|training)", r"\1, ", words)
