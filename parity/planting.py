"""The command `parity faults`: mistakes planted in the working port, at the user's door and in the translator."""

import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_blitz.command import announce_stop
from keras_blitz.files import check_target
from parity.core.interruption import Interruption
from parity.record.frameworks import torch_installed
from parity.session import TOO_EARLY, each, exit_status, load, run_cases, versions_of

WITH_PYTORCH = ("door-", "translate-")  # how the ids of the mistakes begin that are made beside PyTorch


def faults_command(
    fault: Annotated[
        list[str] | None, typer.Argument(metavar="FAULT", help="Ids, or patterns with *. Default: all.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as an HTML page.")] = None,
) -> None:
    """Plant each mistake of the catalogue in the correct port, and show which are caught and located.

    The golden traces judge the mistakes, without PyTorch. The correct port runs first and must pass. If PyTorch is
    installed, mistakes are also made in calls of parity.check and in the rules of parity translate; the correct pairs
    and networks run as well and must pass.
    """
    for path in filter(None, (json, html)):
        check_target(path)
    start = time.perf_counter()
    with announce_stop("parity", TOO_EARLY):
        load(live=torch_installed())
    from parity.faults.catalogue import select as select_faults
    from parity.faults.run import cases_of, outcome
    from parity.report import faults as report
    from parity.report import text

    elsewhere = _with_pytorch()
    hidden = () if torch_installed() else WITH_PYTORCH
    chosen = select_faults(fault or [], [one for mistakes in elsewhere.values() for one in mistakes], hidden)
    handed = {where: [one for one in chosen if one in mistakes] for where, mistakes in elsewhere.items()}
    chosen = [one for one in chosen if not any(one in mistakes for mistakes in handed.values())]
    cases = cases_of(chosen)
    with announce_stop("parity", TOO_EARLY):
        unmutated, early = run_cases(cases, live=False, fail_fast=False, save=None)
        if early:  # of the mistakes nothing is known yet
            raise KeyboardInterrupt
    if not all(result.passed for result in unmutated):
        text.console().print(text.summary_table(unmutated))
        print("the port fails before a mistake is planted", file=sys.stderr)
        raise typer.Exit(exit_status(unmutated))
    by_id = {case.id: case for case in cases}
    with announce_stop("parity", TOO_EARLY):
        outcomes, interruption = each(lambda one: outcome(one, by_id), chosen, "planting", "mistakes were planted")
    seconds = time.perf_counter() - start
    text.console().print(report.summary_table(outcomes, unmutated, seconds, interruption))
    meta: dict[str, Any] = {"mode": "golden", "versions": versions_of(unmutated)}
    document = report.to_dict(outcomes, unmutated, seconds, interruption, **meta)
    for where, mistakes in handed.items():
        if mistakes and not interruption:
            interruption = _elsewhere(where, mistakes, document, everything=not fault)
    if not torch_installed():
        print("no mistakes were handed to parity.check, which runs PyTorch: pip install 'keras-blitz[torch]'")
    if json:
        from parity.report.json import write

        write(document, json)
    if html:
        report.write_html(document, html)
    if interruption:
        print(interruption, file=sys.stderr)
    raise typer.Exit(130 if interruption else 0 if document["summary"]["passed"] else 1)


def _with_pytorch() -> dict[str, Sequence]:
    """Return the mistakes that need PyTorch: those handed to `parity.check`, those in the rules; none without it."""
    if not torch_installed():
        return {}
    from parity.faults.door import catalogue as door
    from parity.faults.translator import catalogue as translator

    return {"door": door.MISTAKES, "translator": translator.MISTAKES}


def _elsewhere(where: str, mistakes: list, document: dict[str, Any], *, everything: bool) -> Interruption | None:
    """Judge right pairs and mistakes of the door or the translator, print the result and add it to the document."""
    from parity.report import faults as report
    from parity.report import text

    judge = import_module(f"parity.faults.{where}.run")
    words = report.ELSEWHERE[where]
    start = time.perf_counter()
    outcomes: list = []
    with announce_stop("parity", TOO_EARLY):
        pairs, interruption = each(
            judge.check_pair, judge.pairs_of(mistakes, everything), words.right, f"{words.right} were checked"
        )
        if not interruption:
            outcomes, interruption = each(judge.outcome, mistakes, words.doing, f"mistakes were {words.done}")
    seconds = time.perf_counter() - start
    text.console().print(report.elsewhere_table(words, outcomes, pairs, seconds, interruption))
    document[where] = report.elsewhere_dict(outcomes, pairs, seconds)
    whole = report.elsewhere_passed(outcomes, pairs) and not interruption
    document["summary"]["passed"] = document["summary"]["passed"] and whole
    return interruption
