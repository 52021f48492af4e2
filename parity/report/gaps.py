"""The catalogue of semantic differences, measured: as text, JSON and HTML."""

import os
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from keras_blitz.files import atomic_path
from parity.core.interruption import Interruption
from parity.gaps import SECTIONS
from parity.gaps.measure import Measurement, Outcome
from parity.report.json import number
from parity.report.tables import Column, FittingTable

STYLES = {"differs": "", "no difference here": "dim"}
SIDES = {"pytorch": "PyTorch", "naive": "naive", "exact": "exact"}


def table(measured: Sequence[Measurement], interruption: Interruption | None = None) -> RenderableType:
    """Return one row for each gap: the naive error beside the exact one."""
    parts: list[RenderableType] = []
    for section, rows in groupby(measured, key=lambda one: one.gap.section):
        together = list(rows)
        columns = [
            Column(section, narrow="head"),
            Column("naive", wraps=40, narrow="below"),
            Column("exact", wraps=30, narrow="below"),
            Column("affects", narrow="head"),
        ]
        cells = [_cells(one) for one in together]
        parts += [FittingTable(columns, cells, [STYLES.get(one.verdict, "bold red") for one in together]), Text()]
    return Group(*parts, *_legend(measured), _summarize(measured, interruption))


def _cells(one: Measurement) -> tuple[str, str, str, str]:
    naive = str(one.naive) if one.differs else f"{one.naive}  no difference here"
    exact = str(one.exact) + ("" if one.passed else f"  BEYOND {one.allowed:.0e}")
    return one.gap.id, naive, exact, one.gap.affects


def _legend(measured: Sequence[Measurement]) -> list[Text]:
    lines = [
        "naive: the obvious TensorFlow port; exact: the one that gives PyTorch's values; affects outputs, gradients, "
        "training (O, G, T)",
        "an error is the largest difference ÷ the tensor's largest value, in outputs and gradients; allowed 1e-12",
    ]
    lines += [
        f"{one.gap.id}: allowed {one.allowed:.1e}: {one.reason}"
        for one in measured
        if one.allowed != 1e-12 and len(measured) > 1
    ]
    return [Text(line, style="dim") for line in lines]


def _summarize(measured: Sequence[Measurement], interruption: Interruption | None) -> Text:
    differ, same, failed = counts(measured)
    text = f"{len(measured)} gaps: {differ} differ and have an exact spelling, {same} show no difference here"
    if failed:
        text += f", {failed} with an exact spelling beyond its bound"
    if interruption:
        text = f"{interruption}; {text}"
    return Text(text, style="bold red" if failed else "bold yellow" if interruption else "bold green")


def counts(measured: Sequence[Measurement]) -> tuple[int, int, int]:
    """Return how many rows differ and hold, show no difference, and fail."""
    verdicts = [one.verdict for one in measured]
    differ, same = verdicts.count("differs"), verdicts.count("no difference here")
    return differ, same, len(verdicts) - differ - same


def in_full(one: Measurement) -> RenderableType:
    """Return one row with its explanation and the code of all three sides."""
    gap = one.gap
    head = Text(f"{gap.id}   {SECTIONS[gap.section]}   affects {gap.affects}", style="bold")
    explained = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    explained.add_column(no_wrap=True)
    explained.add_column(overflow="fold")
    explained.add_row("PyTorch", Text(gap.behavior))
    explained.add_row("naive", Text(gap.naive_spelling))
    explained.add_row("exact", Text(gap.exact_spelling))
    code: list[RenderableType] = []
    for side, title in SIDES.items():
        code += [Text(), Text(title, style="bold"), _python(gap.code(side))]
    if gap.helpers():
        code += [Text(), Text("with", style="bold"), _python("\n\n".join(gap.helpers()))]
    return Group(head, Text(), explained, *code, Text(), *_describe_measured(one))


def _python(code: str) -> Syntax:
    return Syntax(code, "python", background_color="default", word_wrap=True)


def _describe_measured(one: Measurement) -> list[Text]:
    where = {side: f" at {out.tensor}" if out.error and out.tensor and not out.problem else ""
             for side, out in (("naive", one.naive), ("exact", one.exact))}  # fmt: skip
    lines = [
        Text(f"naive  {one.naive}{where['naive']}" + ("" if one.differs else "   no difference here")),
        Text(f"exact  {one.exact}{where['exact']}   allowed {one.allowed:.1e}: {one.reason}"),
    ]
    if not one.passed:
        lines.append(Text(one.verdict, style="bold red"))
    return lines


def to_dict(
    measured: Sequence[Measurement],
    *,
    versions: dict[str, str],
    seconds: float,
    interruption: Interruption | None = None,
) -> dict[str, Any]:
    """Return the catalogue as a dictionary: versions, summary, gaps."""
    differ, same, failed = counts(measured)
    return {
        "versions": versions,
        "summary": {
            "gaps": len(measured),
            "differ": differ,
            "no_difference": same,
            "failed": failed,
            "seconds": round(seconds, 1),
            **(interruption.to_dict() if interruption else {}),
        },
        "gaps": [_gap(one) for one in measured],
    }


def _gap(one: Measurement) -> dict[str, Any]:
    gap = one.gap
    return {
        "id": gap.id,
        "section": gap.section,
        "affects": gap.affects,
        "helpers": gap.helpers(),
        "pytorch": {"spelling": gap.behavior, "code": gap.code("pytorch")},
        "naive": {"spelling": gap.naive_spelling, "code": gap.code("naive"), **_outcome(one.naive)},
        "exact": {"spelling": gap.exact_spelling, "code": gap.code("exact"), **_outcome(one.exact)},
        "allowed": one.allowed,
        "reason": one.reason,
        "verdict": one.verdict,
        "passed": one.passed,
        "seconds": round(one.seconds, 2),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "error": number(outcome.error),
        "outcome": str(outcome),
        "tensor": outcome.tensor,
        "raised": outcome.raised,
    }


def write_html(document: dict[str, Any], path: str | os.PathLike) -> None:
    """Write the dictionary of `to_dict` as one self-contained page; whole or not at all."""
    from parity.report.html import environment

    sections = [
        (name, title, [one for one in document["gaps"] if one["section"] == name]) for name, title in SECTIONS.items()
    ]
    page = environment().get_template("gaps.html").render(document, sections=[s for s in sections if s[2]])
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
