"""Results as JSON, in the keys that tools read."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from keras_blitz.files import atomic_path
from parity.core.compare import Comparison, Row
from parity.core.difference import Histogram
from parity.core.evidence import verdict_of
from parity.core.interruption import Interruption
from parity.core.locate import first_divergence
from parity.core.modes import mode_of
from parity.core.trace import step_of
from parity.core.verdict import Verdict, worst
from parity.suite.run import Result


def to_dict(
    results: Sequence[Result],
    *,
    mode: str,
    versions: dict[str, str],
    seconds: float,
    interruption: Interruption | None = None,
) -> dict[str, Any]:
    """Return a run as a dictionary: verdict, mode, versions, summary, cases."""
    doubtful = [result for result in results if result.verdict is Verdict.NOT_DECIDED]
    undecided = [f"{result.case.id}: {result.error or result.comparison.problem}" for result in doubtful]
    document = _document([_case(result) for result in results], mode, versions, seconds, undecided)
    return interrupted(document, interruption) if interruption else document


def interrupted(document: dict[str, Any], interruption: Interruption) -> dict[str, Any]:
    """Return a document that says that its run was interrupted, and so is not a verdict on all."""
    verdict = worst([document["verdict"], Verdict.NOT_DECIDED])
    return {
        **document,
        "verdict": verdict.value,
        "undecided": [str(interruption), *document["undecided"]],
        "summary": {**document["summary"], **interruption.to_dict()},
    }


def pair_to_dict(
    title: str,
    comparisons: Mapping[str, Comparison],
    *,
    mode: str,
    versions: Mapping[str, str],
    seconds: float,
    undecided: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the comparisons of one pair, "float64" or "float64-graph" -> verdict, in the keys of a run.

    A pair of which nothing was compared has one case, of no dtype, so that no count leaves it out.

    Args:
        title: which models.
        comparisons: dtype, with the mode if it is not eager -> what was compared.
        mode: where PyTorch's side is from.
        versions: of the packages that the figures depend on.
        seconds: wall time.
        undecided: why agreement proves nothing, a line each.
    """
    cases = [
        {
            "id": f"{title}, {key}" if key else title,
            "subject": title,
            "group": "",
            "covers": [],
            "dtype": key.partition("-")[0],
            "mode": mode_of(key) if mode == "live" else "",
            **_verdict_to_dict(verdict_of(found, undecided)),
            "seconds": round(seconds, 2),
            **_comparison(found),
        }
        for key, found in (comparisons or {"": Comparison(())}).items()
    ]
    return _document(cases, mode, versions, seconds, undecided)


def _verdict_to_dict(verdict: Verdict) -> dict[str, Any]:
    return {"passed": verdict is Verdict.EQUIVALENT, "verdict": verdict.value}


def _document(
    cases: list[dict[str, Any]], mode: str, versions: Mapping[str, str], seconds: float, undecided: Sequence[str]
) -> dict[str, Any]:
    passed = sum(case["passed"] for case in cases)
    verdicts = [case["verdict"] for case in cases]
    return {
        "verdict": worst(verdicts).value,
        "undecided": list(undecided),
        "mode": mode,
        "versions": dict(versions),
        "summary": {
            "cases": len(cases),
            "passed": passed,
            "failed": len(cases) - passed,
            "undecided": verdicts.count(Verdict.NOT_DECIDED),
            "tensors": sum(len(case["tensors"]) for case in cases),
            "seconds": round(seconds, 1),
        },
        "cases": cases,
    }


def _case(result: Result) -> dict[str, Any]:
    case = result.case
    return {
        "id": case.id,
        "subject": case.subject,
        "group": case.group,
        "covers": list(case.covers),
        "dtype": case.dtype,
        "mode": case.mode,
        **_verdict_to_dict(result.verdict),
        "seconds": round(result.seconds, 2),
        **({"error": result.error} if result.error else {}),
        **_comparison(result.comparison),
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    first, counted = first_divergence(comparison.rows), comparison.histogram
    return {
        "problem": comparison.problem,
        "median_ratio": number(comparison.median_ratio),
        "first_divergence": first.name if first else None,
        "port_only": list(comparison.port_only),
        **({"histogram": _histogram(counted)} if counted else {}),
        **({"losses": losses} if (losses := _losses(comparison)) else {}),
        "tensors": [_row(row, counted is not None and row.name == counted.tensor) for row in comparison.rows],
    }


def _histogram(counted: Histogram) -> dict[str, Any]:
    own = counted.own
    return {
        "tensor": counted.tensor,
        "counts": list(counted.counts),
        "reach": counted.reach,
        **({"own": {"max_abs": number(own.max_abs), "rms": number(own.rms)}} if own else {}),
    }


def _losses(comparison: Comparison) -> list[list[float | None]]:
    """Return (step, PyTorch's loss, the port's) of each step's loss; a loss is one value, so its worst entry is it."""
    return [
        [step_of(row.name), number(entry.expected), number(entry.actual)]
        for row in comparison.rows
        if row.kind == "loss" and step_of(row.name) and row.size == 1
        for entry in row.worst
    ]


def _row(row: Row, with_worst: bool) -> dict[str, Any]:
    """Return a row; the worst entries of what failed and of the worst tensor."""
    worst = [
        {"index": list(entry.index), "expected": number(entry.expected), "actual": number(entry.actual)}
        for entry in row.worst
    ]
    return {
        "name": row.name,
        "kind": row.kind,
        "size": row.size,
        "max_abs": number(row.max_abs),
        "relative": number(row.relative),
        "allowed": number(row.allowed),
        "ratio": number(row.ratio),
        **({"own": number(row.own)} if row.own is not None else {}),
        "passed": row.passed,
        **({"problem": row.problem} if row.problem else {}),
        **({"warnings": list(row.warnings)} if row.warnings else {}),
        **({"estimated": True} if row.estimated else {}),
        **({"worst": worst} if worst and (with_worst or not row.passed) else {}),
    }


def number(value: float | None) -> float | None:
    """Return a number, or None for what JSON has no word for."""
    return value if value is not None and math.isfinite(value) else None


def joined(documents: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return the documents of several pairs, (name, document), as one; each case begins with its pair's name."""
    cases, pairs, undecided = [], [], []
    for name, document in documents:
        for case in document["cases"]:
            cases.append({**case, "id": f"{name}: {case['id']}", "subject": f"{name}: {case['subject']}"})
        undecided += [f"{name}: {reason}" for reason in document["undecided"]]
        kept = {key: document[key] for key in ("weights", "notes", "location", "undecided")}
        pairs.append({"title": f"{name}: {document['title']}", **kept})
    seconds = sum(document["summary"]["seconds"] for _, document in documents)
    first = documents[0][1]
    return {**_document(cases, first["mode"], first["versions"], seconds, undecided), "pairs": pairs}


def write(document: dict[str, Any], path: str | os.PathLike) -> None:
    """Write a dictionary as a JSON file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
