"""Results as JSON, in the keys that tools read."""

import json
import math
import os
from collections.abc import Sequence
from typing import Any

from keras_blitz.files import atomic_path
from parity.compare import Comparison, Row
from parity.locate import first_divergence
from parity.run import Result


def to_dict(results: Sequence[Result], *, mode: str, versions: dict[str, str], seconds: float) -> dict[str, Any]:
    """Return a run as a dictionary: mode, versions, summary, cases."""
    passed = sum(result.passed for result in results)
    return {
        "mode": mode,
        "versions": versions,
        "summary": {
            "cases": len(results),
            "passed": passed,
            "failed": len(results) - passed,
            "tensors": sum(len(result.comparison.rows) for result in results),
            "seconds": round(seconds, 1),
        },
        "cases": [_case(result) for result in results],
    }


def _case(result: Result) -> dict[str, Any]:
    case = result.case
    return {
        "id": case.id,
        "covers": list(case.covers),
        "dtype": case.dtype,
        "mode": case.mode,
        "passed": result.passed,
        "seconds": round(result.seconds, 2),
        **({"error": result.error} if result.error else {}),
        **comparison_dict(result.comparison),
    }


def comparison_dict(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as a dictionary; numbers that JSON has no word for are null."""
    first = first_divergence(comparison.rows)
    return {
        "problem": comparison.problem,
        "median_ratio": _number(comparison.median_ratio),
        "first_divergence": first.name if first else None,
        "port_only": list(comparison.port_only),
        "tensors": [_row(row) for row in comparison.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "size": row.size,
        "max_abs": _number(row.max_abs),
        "relative": _number(row.relative),
        "allowed": _number(row.allowed),
        "ratio": _number(row.ratio),
        "passed": row.passed,
        **({"problem": row.problem} if row.problem else {}),
        **({"warnings": list(row.warnings)} if row.warnings else {}),
        **({"estimated": True} if row.estimated else {}),
    }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def joined(documents: Sequence[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return the documents of several runs, (name, document), as one; each case's id begins with its run's name."""
    summaries = [document["summary"] for _, document in documents]
    return {
        **documents[0][1],
        "summary": {key: round(sum(summary[key] for summary in summaries), 1) for key in summaries[0]},
        "cases": [
            {**case, "id": f"{name}: {case['id']}"} for name, document in documents for case in document["cases"]
        ],
    }


def write(document: dict[str, Any], path: str | os.PathLike) -> None:
    """Write a dictionary as a JSON file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
