"""The command `parity`."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_blitz import command
from keras_blitz.command import announce_stop
from keras_blitz.errors import BlitzError
from keras_blitz.files import check_target
from keras_blitz.progress import track
from keras_blitz.versions import versions
from parity.core.evidence import undecided
from parity.core.modes import DTYPES, MODES
from parity.planting import faults_command
from parity.porting import transfer_command, translate_command
from parity.record.frameworks import torch_installed
from parity.session import (
    TOO_EARLY,
    choose_source,
    each,
    exit_status,
    load,
    make_saver,
    report_results,
    run_cases,
    versions_of,
)
from parity.suite.run import isolated, processes, run
from parity.suite.select import find_listed, select
from parity.suite.training import without_missing

app = typer.Typer(name="parity", no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

Cases = Annotated[
    list[str] | None,
    typer.Argument(metavar="CASE", help="Case ids, prefixes, patterns with *, groups or inventory ids. Default: all."),
]
Slow = Annotated[bool, typer.Option("--slow", help="Also run the slow cases.")]
Live = Annotated[
    bool | None,
    typer.Option(
        "--live/--golden", help="Run PyTorch, or read its golden traces. Default: live if PyTorch is installed."
    ),
]


@app.callback()
def _commands(version: command.Version = False) -> None:
    """Prove that a Keras port equals its PyTorch network, or name the place where they differ.

    There are three verdicts: equivalent; not equivalent; not decided, if the compared tensors prove nothing or the run
    was interrupted. Only "equivalent" passes.

    Exit status: 0 equivalent, 1 a difference or not decided, 2 wrong usage or a missing piece, 130 interrupted.
    """


@app.command("run")
def run_command(
    case: Cases = None,
    live: Live = None,
    slow: Slow = False,
    dtype: Annotated[str, typer.Option(help="Run only these dtypes, separated by commas.")] = ",".join(DTYPES),
    mode: Annotated[str, typer.Option(help="Run only these modes, separated by commas.")] = ",".join(MODES),
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as an HTML page.")] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as JUnit XML.")] = None,
    traces: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Save both traces of each case, for `parity compare`.")
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first case that fails.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Run cases in N processes at a time. Default: one per core, at most 4."),
    ] = None,
) -> None:
    """Run the cases and print how far the port is from PyTorch."""
    chosen = select(
        case or [],
        slow=slow,
        dtypes=_parse_choices("--dtype", dtype, DTYPES),
        modes=_parse_choices("--mode", mode, MODES),
    )
    chosen, skipped = without_missing(chosen)
    for line in skipped:
        print(line, file=sys.stderr)
    live = choose_source(live)
    for path in filter(None, (json, html, junit)):
        check_target(path)
    start = time.perf_counter()
    jobs = processes(chosen, jobs)
    with announce_stop("parity", TOO_EARLY):
        if jobs == 1:
            load(live)
        results, interruption = run_cases(chosen, live, fail_fast, make_saver(traces), jobs)
    seconds = time.perf_counter() - start
    report_results(results, versions_of(results), live, seconds, jobs, json, html, junit, interruption)
    if interruption:
        print(interruption, file=sys.stderr)
        raise typer.Exit(130)
    raise typer.Exit(exit_status(results))


@app.command("list")
def list_command(
    case: Cases = None,
    json: Annotated[bool, typer.Option("--json", help="Print the cases as JSON, one row per case.")] = False,
) -> None:
    """List the cases: each group with its subjects, or the cases of a CASE with the inventory ids they cover.

    A subject is a ported network or function; it has a case for each dtype and mode. For an inventory id, such as L1,
    the tests and scripts that cover it are also listed. `parity list "*"` prints every case and every test, and
    `python -m parity.inventory` prints the meaning of each id.
    """
    from json import dumps

    from parity.report import listing, text

    patterns = case or []
    chosen, evidence = find_listed(patterns)
    if json:
        print(dumps([listing.row(one) for one in chosen], indent=1))
        return
    lines = listing.cases(chosen, evidence) if patterns else listing.groups(chosen, text.console().width)
    print("\n".join(lines))


@app.command("show")
def show_command(
    case: Annotated[str, typer.Argument(help="The id of a case, or a prefix or pattern that matches only one.")],
    live: Live = None,
    isolate: Annotated[
        bool, typer.Option("--isolate", help="Run each layer on its own with PyTorch's input (live, float64).")
    ] = False,
) -> None:
    """Show one case in full: every tensor with its allowed and measured error and its worst entries.

    With --isolate, show each layer's error on its own and its error in the run. Fix only the layers that fail on their
    own; the others merely pass a wrong input on.
    """
    from parity.report import text

    found = select([case], slow=True)
    exact = [one for one in found if one.id == case] or found
    if len(exact) > 1:
        names = ", ".join(one.id for one in exact[:6])
        raise BlitzError(f"{case!r} names {len(exact)} cases: {names}{' …' if len(exact) > 6 else ''}; give one")
    live = choose_source(live)
    load(live)
    if isolate and not live:
        raise BlitzError("--isolate runs PyTorch: it needs pip install 'keras-blitz[torch]', and no --golden")
    result = next(run(exact, live=live))
    if isolate:
        alone = isolated(exact[0])
        text.console().print(text.isolation(result, alone))
        raise typer.Exit(0 if result.passed and alone.passed else 1)
    text.console().print(text.case_in_full(result))
    raise typer.Exit(exit_status([result]))


@app.command("record")
def record_command(
    case: Cases = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder to write to. Default: the folder in the package.")
    ] = None,
) -> None:
    """Write golden traces of PyTorch's side (needs PyTorch)."""
    from parity.suite import golden, oracle

    folder = output or golden.FOLDER
    if not folder.is_dir():
        raise BlitzError(
            f"{folder}: {'is a file, not a folder' if folder.exists() else 'no such folder; make it first'}"
        )
    subjects = {one.subject: one for one in select(case or [], slow=True)}
    for one in track(list(subjects.values()), "recording", lambda one: one.subject):
        path = oracle.record(one, folder)
        print(f"{path}  {path.stat().st_size:,} bytes")


@app.command("compare")
def compare_command(
    reference: Annotated[Path, typer.Argument(metavar="A.npz", help="The expected trace.")],
    port: Annotated[Path, typer.Argument(metavar="B.npz", help="The trace to judge.")],
    truth: Annotated[
        Path | None, typer.Option(metavar="C.npz", help="For float32 traces: the float64 trace to judge both by.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the comparison as an HTML page.")] = None,
) -> None:
    """Compare two saved traces.

    float64 traces are judged by the tolerance table, float32 traces by PyTorch's own float32 error. A contains this
    error if it is a golden trace or was saved by `parity run --traces`; otherwise pass --truth to measure it. Without
    either, float32 is only screened with a loose bound that catches large errors.
    """
    from parity.report import text
    from parity.suite.saved import compare_files

    if html:
        check_target(html)
    start = time.perf_counter()
    comparison = compare_files(reference, port, truth)
    doubts = undecided([comparison])
    text.console().print(text.comparison_in_full(comparison, doubts))
    if html:
        from parity.report import html as page
        from parity.report.json import pair_to_dict

        title, found = f"{reference.name} and {port.name}", {comparison.dtype: comparison}
        meta: dict[str, Any] = {"mode": "saved", "versions": versions(), "seconds": time.perf_counter() - start}
        page.write(pair_to_dict(title, found, undecided=doubts, **meta), html)
    if comparison.screened:
        print("only screened: PyTorch's own float32 error is not known; give --truth for a verdict", file=sys.stderr)
    raise typer.Exit(0 if comparison.passed and not doubts else 1)


app.command("faults")(faults_command)
app.command("transfer")(transfer_command)
app.command("translate")(translate_command)


@app.command("gaps")
def gaps_command(
    gap: Annotated[
        list[str] | None, typer.Argument(metavar="GAP", help="Ids, prefixes of ids, or sections. Default: all.")
    ] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as JSON.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as an HTML page.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the ids without measuring.")] = False,
) -> None:
    """Measure the semantic differences between PyTorch and TensorFlow: the obvious port next to the exact one.

    A single GAP is shown with its explanation and the code of both ports. Exit status 1: an exact port is beyond its
    bound.
    """
    from parity.gaps import select as select_gaps
    from parity.report import gaps as report
    from parity.report import text
    from parity.report.json import write

    chosen = select_gaps(gap or [])
    if listing:
        print("\n".join(f"{one.id:<34}  {one.section}" for one in chosen))
        return
    for path in filter(None, (json, html)):
        check_target(path)
    start = time.perf_counter()
    if not torch_installed():
        raise BlitzError("parity gaps runs PyTorch: pip install 'keras-blitz[torch]'")
    with announce_stop("parity", TOO_EARLY):
        load(live=True)
        from parity.gaps.measure import measure

        measured, interruption = each(measure, chosen, "gaps", "gaps were measured")
    seconds = time.perf_counter() - start
    document = report.to_dict(measured, versions=versions("torch"), seconds=seconds, interruption=interruption)
    text.console().print(
        report.in_full(measured[0]) if len(chosen) == len(measured) == 1 else report.table(measured, interruption)
    )
    print(", ".join(f"{name} {number}" for name, number in document["versions"].items())
          + f", {document['summary']['seconds']:.0f} s")  # fmt: skip
    if json:
        write(document, json)
    if html:
        report.write_html(document, html)
    if interruption:
        print(interruption, file=sys.stderr)
    raise typer.Exit(130 if interruption else 0 if all(one.passed for one in measured) else 1)


def _parse_choices(option: str, text: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names in an option's comma-separated list.

    Raises:
        BlitzError: there are none, or one that is not known.
    """
    chosen = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [part for part in chosen if part not in known]
    if unknown or not chosen:
        raise BlitzError(f"{option} {text!r}: choose among {', '.join(known)}, separated by commas")
    return chosen


def main() -> None:
    """Run the command; user errors print one line and exit with status 2."""
    command.run(app, "parity")


if __name__ == "__main__":
    main()
