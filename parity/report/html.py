"""Results as one self-contained HTML page."""

import os
from collections.abc import Sequence
from typing import Any

from keras_blitz.files import atomic_path
from parity.core import tolerance
from parity.core.vacuous import count_warnings
from parity.core.verdict import Verdict, worst
from parity.report import charts

SHOWN_PASSED, SHOWN_FAILED = 30, 300  # rows of a case's table; the JSON has all
SHOWN_ENTRIES = 4  # tensors whose worst entries are listed
LOOKS = {
    Verdict.EQUIVALENT: "passed",
    Verdict.NOT_EQUIVALENT: "failed",
    Verdict.NOT_DECIDED: "weak",
}  # green, red, amber
MARKS = {"passed": "✓", "failed": "✗", "weak": "?"}
SOURCES = {"live": "run live", "golden": "its golden traces", "saved": "a saved trace"}


def write(document: dict[str, Any], path: str | os.PathLike) -> None:
    """Write the dictionary of `parity.report.json` as a page; whole or not at all."""
    page = environment().get_template("page.html").render(_view(document))
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def environment():
    """Return where the templates are, everything they are given escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("parity", "report"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    made.filters |= {"e": _error, "times": _times}
    return made


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}" if value else "0"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ×" if value < 100 else f"{value:.3g} ×"


def _view(document: dict[str, Any]) -> dict[str, Any]:
    """Return what the template shows: cases by subject, subjects by group, each with its charts."""
    pairs = document.get("pairs", [document] if "weights" in document else [])
    cases = [_case(number, case) for number, case in enumerate(document["cases"], 1)]
    groups: dict[str, dict[str, list]] = {}
    for case in cases:
        groups.setdefault(case["group"], {}).setdefault(case["subject"], []).append(case)
    return {
        **document,
        "headline": _headline(document),
        "look": LOOKS[document["verdict"]],
        "marks": MARKS,
        "source": SOURCES[document["mode"]],
        "covers": any(case["covers"] for case in cases),
        "failed": [case for case in cases if case["look"] == "failed" or "error" in case],
        "groups": {
            group: [_subject(title, together, pairs) for title, together in subjects.items()]
            for group, subjects in groups.items()
        },
        "tolerance": tolerance,
    }


def _headline(document: dict[str, Any]) -> str:
    """Return the first line: how many cases passed; of a pair, or of what was interrupted, that before all else."""
    summary = document["summary"]
    undecided = summary["undecided"]
    failed = summary["failed"] - undecided
    rest = (f", {failed} failed" if failed else "") + (f", {undecided} not decided" if undecided else "")
    if summary.get("interrupted"):
        return (
            f"interrupted: {summary['cases']:,} of {summary['chosen']:,} cases ran, {summary['passed']:,} passed{rest}"
        )
    of_a_pair = f"{Verdict(document['verdict']).headline}: " if "weights" in document else ""
    return f"{of_a_pair}{summary['passed']} of {summary['cases']} cases passed{rest}"


def _subject(title: str, cases: Sequence[dict[str, Any]], pairs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "title": title,
        "cases": cases,
        "look": LOOKS[worst(case["verdict"] for case in cases)],
        "tensors": sum(len(case["tensors"]) for case in cases),
        "charts": charts.of_subject(cases),
        "pair": next((pair for pair in pairs if pair["title"] == title), None),
    }


def _case(number: int, case: dict[str, Any]) -> dict[str, Any]:
    rows = case["tensors"]
    shown = sorted(rows, key=_excess, reverse=True)[: SHOWN_PASSED if case["passed"] else SHOWN_FAILED]
    kept = {row["name"] for row in shown}
    listed = sorted((row for row in rows if "worst" in row), key=lambda row: row["name"] != case["first_divergence"])
    return {
        **case,
        "anchor": f"case-{number}",
        "look": LOOKS[case["verdict"]],
        "outcome": _outcome(case),
        "relative": max((row["relative"] for row in rows if row["relative"] is not None), default=None),
        "ratio": max((row["ratio"] for row in rows if row["ratio"] is not None), default=None),
        "first": next((row for row in rows if row["name"] == case["first_divergence"]), None),
        "shown": [row for row in rows if row["name"] in kept],
        "spread": charts.histogram(case["histogram"]) if "histogram" in case else None,
        "listed": listed[:SHOWN_ENTRIES],
        "weak": _weak(rows),
    }


def _weak(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Say why agreement may mean little, in how many tensors, and in which first."""
    counted = count_warnings((row["name"], warning) for row in rows for warning in row.get("warnings", ()))
    return [f"{warning} ({count}, first {first})" for warning, count, first in counted]


def _excess(row: dict[str, Any]) -> tuple[bool, float, float]:
    return not row["passed"], (row["relative"] or 0.0) / (row["allowed"] or 1.0), row["ratio"] or 0.0


def _outcome(case: dict[str, Any]) -> str:
    if case["passed"]:
        return "passed"
    if case.get("error"):
        return "error"
    if case["verdict"] == Verdict.NOT_DECIDED:
        return "not decided"
    return f"{sum(not row['passed'] for row in case['tensors'])} of {len(case['tensors'])} differ"
