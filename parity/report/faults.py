"""What became of the planted mistakes: the table of `parity faults`, and the same as JSON and HTML."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from keras_blitz.files import atomic_path
from parity.core.interruption import Interruption
from parity.faults.run import Finding, Outcome, RightPair, enough_located
from parity.report.tables import Cell, Column, FittingTable
from parity.suite.run import Result


@dataclass(frozen=True)
class Words:
    """How the mistakes that are not planted in the working port are spoken of.

    Args:
        title: of their column.
        where: they were made.
        doing: the title of the progress bar.
        done: to them.
        right: what they are made in.
        how: that was judged.
    """

    title: str
    where: str
    doing: str
    done: str
    right: str
    how: str


ELSEWHERE = {
    "door": Words(
        "mistake at the user's door", "handed to parity.check", "handing over", "handed over", "right pairs",
        ", eager and graph",
    ),
    "translator": Words(
        "mistake in a rule", "planted in the rules of parity translate", "planting", "planted in the rules",
        "right networks", "",
    ),
}  # fmt: skip


def summary_table(
    outcomes: Sequence[Outcome], unmutated: Sequence[Result], seconds: float, interruption: Interruption | None = None
) -> RenderableType:
    """Return one line per mistake, what was missed, the survivors with their arguments, and the sum."""
    mistakes, survivors = _split(outcomes)
    argued = [line for outcome in survivors for line in _survivor(outcome)]
    return Group(
        *_mistakes("mistake", mistakes), *_block(argued), Text(), _summarize(outcomes, unmutated, seconds, interruption)
    )


def elsewhere_table(
    words: Words,
    outcomes: Sequence[Outcome],
    pairs: Sequence[RightPair],
    seconds: float,
    interruption: Interruption | None = None,
) -> RenderableType:
    """Return the same of the mistakes made elsewhere: one line per mistake, false alarms, and the sum."""
    alarms = [Text(f"false alarm: {pair.id}, {pair.problem}", style="red") for pair in pairs if not pair.passed]
    numbers = _elsewhere_numbers(outcomes, pairs, seconds)
    text = (
        f"{words.where}: {_places(numbers)}: "
        f"{numbers['caught']} caught, {numbers['located']} located\n"
        f"{_count(numbers['false_alarms'], 'false alarm')} on {_count(numbers['pairs'], words.right[:-1])}"
        f"{words.how}; {seconds:.0f} s"
    )
    text = f"{interruption}\n{text}" if interruption else text
    good = "bold yellow" if interruption else "bold green"
    style = good if elsewhere_passed(outcomes, pairs) else "bold red"
    table = _mistakes(words.title, outcomes) if outcomes else []
    return Group(*table, *_block(alarms), Text(), Text(text, style=style))


def _mistakes(title: str, outcomes: Sequence[Outcome]) -> list[RenderableType]:
    """Return the table of these mistakes, then what was missed."""
    numbers = [Column(name, right=True) for name in ("places", "caught", "located")]
    columns = [Column(title, narrow="head"), *numbers, Column("first seen", wraps=30, narrow="below")]
    rows: list[Sequence[Cell]] = [
        (outcome.fault.id, str(len(outcome.findings)), *_counts(outcome), _describe_seen(outcome.findings[0]))
        for outcome in outcomes
    ]
    missed = [Text(line, style="red") for outcome in outcomes for line in _describe_missed(outcome)]
    return [FittingTable(columns, rows), *_block(missed)]


def _split(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Return the mistakes, and the changes that were to survive."""
    survivors = [outcome for outcome in outcomes if outcome.fault.survives]
    return [outcome for outcome in outcomes if not outcome.fault.survives], survivors


def _counts(outcome: Outcome) -> list[Text]:
    found = (sum(f.caught for f in outcome.findings), sum(f.located for f in outcome.findings))
    return [Text(str(n), style="green" if n == len(outcome.findings) else "bold red") for n in found]


def _describe_seen(finding: Finding) -> str:
    return f"{finding.seen or finding.problem or finding.error or 'nowhere'}  in {finding.place.case}"


def _describe_missed(outcome: Outcome) -> list[str]:
    lines = []
    for finding in outcome.findings:
        if not finding.located:
            said = finding.error or finding.problem or "no difference"
            where = f"{finding.place.case}: expected at {finding.place.seen}"
            lines.append(f"{outcome.fault.id}, {where}, seen at {finding.seen or 'none'}: {said}")
    return lines


def _survivor(outcome: Outcome) -> list[Text]:
    style = "" if outcome.survived else "red"
    verdict = "survives" if outcome.survived else "was to survive, and did not"
    cases = ", ".join(finding.place.case for finding in outcome.findings)
    head = Text(f"{outcome.fault.id} {verdict}: {outcome.fault.what} ({cases})", style=style)
    return [head, Text(f"    {outcome.fault.survives}", style="dim")]


def _block(lines: list[Text]) -> list[Text]:
    return [Text(), *lines] if lines else []


def _summarize(
    outcomes: Sequence[Outcome], unmutated: Sequence[Result], seconds: float, interruption: Interruption | None
) -> Text:
    numbers = _numbers(outcomes, unmutated, seconds)
    text = (
        f"{_places(numbers)}: {numbers['caught']} caught, "
        f"{numbers['located']} located; {_count(numbers['survivors'], 'survivor')}\n"
        f"unmutated, {numbers['unmutated_passed']} of {numbers['unmutated_cases']} cases passed; {seconds:.0f} s"
    )
    text = f"{interruption}\n{text}" if interruption else text
    good = "bold yellow" if interruption else "bold green"
    return Text(text, style=good if passed(outcomes, unmutated) else "bold red")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _places(numbers: Mapping[str, int]) -> str:
    return f"{_count(numbers['mistakes'], 'mistake')} in {_count(numbers['places'], 'place')}"


def _numbers(outcomes: Sequence[Outcome], unmutated: Sequence[Result], seconds: float) -> dict[str, Any]:
    mistakes, survivors = _split(outcomes)
    return {
        **_totals(mistakes),
        "survivors": len(survivors),
        "unmutated_cases": len(unmutated),
        "unmutated_passed": sum(result.passed for result in unmutated),
        "seconds": round(seconds, 1),
    }


def _totals(mistakes: Sequence[Outcome]) -> dict[str, int]:
    return {
        "mistakes": len(mistakes),
        "places": sum(len(outcome.findings) for outcome in mistakes),
        "caught": sum(outcome.caught for outcome in mistakes),
        "located": sum(outcome.located for outcome in mistakes),
    }


def _elsewhere_numbers(outcomes: Sequence[Outcome], pairs: Sequence[RightPair], seconds: float) -> dict[str, Any]:
    return {
        **_totals(outcomes),
        "pairs": len(pairs),
        "false_alarms": sum(not pair.passed for pair in pairs),
        "seconds": round(seconds, 1),
    }


def elsewhere_passed(outcomes: Sequence[Outcome], pairs: Sequence[RightPair]) -> bool:
    """Whether every mistake made elsewhere is caught, enough are located, and no right pair is called wrong."""
    caught = all(outcome.caught for outcome in outcomes) and enough_located(outcomes)
    return caught and all(pair.passed for pair in pairs)


def passed(outcomes: Sequence[Outcome], unmutated: Sequence[Result]) -> bool:
    """Whether the port passes, every mistake is caught, enough are located, and what was to survive does."""
    expected = all(outcome.as_expected for outcome in outcomes) and enough_located(outcomes)
    return expected and all(result.passed for result in unmutated)


def to_dict(
    outcomes: Sequence[Outcome],
    unmutated: Sequence[Result],
    seconds: float,
    interruption: Interruption | None = None,
    **meta: Any,
) -> dict[str, Any]:
    """Return a run as a dictionary: summary, the unmutated port's cases, mistakes, survivors."""
    mistakes, survivors = _split(outcomes)
    summary = {
        "passed": passed(outcomes, unmutated) and not interruption,
        **_numbers(outcomes, unmutated, seconds),
        **(interruption.to_dict() if interruption else {}),
    }
    return {
        **meta,
        "summary": summary,
        "unmutated": [{"id": result.case.id, "passed": result.passed} for result in unmutated],
        "mistakes": _with_verdicts(mistakes),
        "survivors": [
            {**_fault_to_dict(outcome), "argument": outcome.fault.survives, "survived": outcome.survived}
            for outcome in survivors
        ],
    }


def elsewhere_dict(outcomes: Sequence[Outcome], pairs: Sequence[RightPair], seconds: float) -> dict[str, Any]:
    """Return what was made elsewhere as a dictionary: summary, right pairs, mistakes."""
    return {
        "summary": {"passed": elsewhere_passed(outcomes, pairs), **_elsewhere_numbers(outcomes, pairs, seconds)},
        "pairs": [
            {"id": pair.id, "passed": pair.passed, "seconds": round(pair.seconds, 2)}
            | ({"problem": pair.problem} if pair.problem else {})
            for pair in pairs
        ],
        "mistakes": _with_verdicts(outcomes),
    }


def write_html(document: dict[str, Any], path: str | os.PathLike) -> None:
    """Write the dictionary of `to_dict`, with those of `elsewhere_dict` under "door" and "translator", as one page."""
    from parity.report.html import environment

    page = (
        environment()
        .get_template("faults.html")
        .render(document, elsewhere=[(words, document[name]) for name, words in ELSEWHERE.items() if name in document])
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _with_verdicts(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [{**_fault_to_dict(outcome), "caught": outcome.caught, "located": outcome.located} for outcome in outcomes]


def _fault_to_dict(outcome: Outcome) -> dict[str, Any]:
    fault = outcome.fault
    return {
        "id": fault.id,
        "what": fault.what,
        "source": fault.source,
        "seconds": round(outcome.seconds, 2),
        "places": [
            {
                "case": finding.place.case,
                "expected": finding.place.seen,
                "seen": finding.seen,
                "problem": finding.problem,
                "caught": finding.caught,
                "located": finding.located,
                **({"error": finding.error} if finding.error else {}),
            }
            for finding in outcome.findings
        ],
    }
