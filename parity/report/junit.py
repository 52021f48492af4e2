"""Results as JUnit XML, which continuous integration servers read."""

import os
from collections.abc import Sequence
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from keras_blitz.files import atomic_path
from parity.core.interruption import Interruption
from parity.core.verdict import Verdict
from parity.suite.run import Result


def write(
    results: Sequence[Result],
    path: str | os.PathLike,
    *,
    seconds: float,
    interruption: Interruption | None = None,
) -> None:
    """Write a test suite with a test case a parity case; whole or not at all.

    One that is not decided is a failure, because a skipped test counts as passed. An interrupted run has one more test
    case, an error, so that what ran cannot pass for the whole.
    """
    errors = sum(bool(result.error) for result in results)
    failures = sum(not result.passed for result in results) - errors
    cut = int(interruption is not None)
    suite = Element(
        "testsuite", name="parity", tests=str(len(results) + cut), failures=str(failures), errors=str(errors + cut),
        time=f"{seconds:.2f}",
    )  # fmt: skip
    for result in results:
        case = SubElement(suite, "testcase", classname=f"parity.{result.case.group}", name=result.case.id)
        case.set("time", f"{result.seconds:.2f}")
        if result.error:
            SubElement(case, "error", message=_printable(result.error), type=result.verdict.value)
        elif not result.passed:
            rows = result.comparison.failures
            problem = result.comparison.problem or f"{len(rows)} of {len(result.comparison.rows)} tensors differ"
            failure = SubElement(case, "failure", message=_printable(problem), type=result.verdict.value)
            failure.text = _printable("\n".join(f"{row.name}: {row.problem}" for row in rows))
    if interruption:
        case = SubElement(suite, "testcase", classname="parity", name="interrupted", time="0")
        SubElement(case, "error", message=str(interruption), type=Verdict.NOT_DECIDED.value)
    tree = ElementTree(suite)
    indent(tree)
    with atomic_path(path) as temporary:
        tree.write(temporary, encoding="utf-8", xml_declaration=True)


def _printable(text: str) -> str:
    """Return the text without the control characters that XML cannot hold."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t")
