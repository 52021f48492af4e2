"""Results for a terminal: the table of `parity run`, and one case in full for `parity show`."""

from collections.abc import Iterable, Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from parity.core.compare import Comparison, Row
from parity.core.interruption import Interruption
from parity.core.locate import first_divergence
from parity.core.modes import MODES, PRECISIONS
from parity.core.tolerance import FLOOR_ULP, MEDIAN_RATIO, RMS_RATIO
from parity.core.vacuous import count_warnings
from parity.report.tables import Cell, Column, FittingTable
from parity.suite.run import Result

SHOWN_FAILURES = 3
SHOWN_PAIRS = 8  # modules and layers that are listed though their names are the same


def summary_table(results: Sequence[Result], interruption: Interruption | None = None) -> RenderableType:
    """Return the table of a run: one line per subject and dtype, one column per mode, then what failed and the sum."""
    heads = [Column(title, narrow="head") for title in ("case", "covers")]
    columns = [*heads, Column("dtype"), Column("tensors", right=True), *map(Column, MODES)]
    rows: list[Sequence[Cell]] = []
    lines: dict[tuple[str, str], dict[str, Result]] = {}
    for result in results:
        lines.setdefault((result.case.subject, result.case.dtype), {})[result.case.mode] = result
    for (subject, dtype), modes in lines.items():
        covers = " ".join(next(iter(modes.values())).case.covers)
        tensors = sum(len(result.comparison.rows) for result in modes.values())
        rows.append((subject, covers, dtype, str(tensors), *(_cell(modes.get(mode)) for mode in MODES)))
    return Group(
        FittingTable(columns, rows, gap=1),
        *_legend(results),
        *_notes(results),
        Text(),
        _summarize(results, interruption),
    )


def _cell(result: Result | None) -> Text:
    """Return the worst relative error in float64, the median and worst ratio to PyTorch's own error in float32."""
    if result is None:
        return Text("-", style="dim")
    if result.error:
        return Text("error", style="bold red")
    failed = len(result.comparison.failures)
    if failed or result.comparison.problem:
        return Text(f"FAIL {failed}/{len(result.comparison.rows)}", style="bold red")
    return Text(_worst(result), style="green")


def _worst(result: Result) -> str:
    rows = result.comparison.rows
    if result.case.dtype == "float64":
        return f"{max((row.relative for row in rows if row.relative is not None), default=0.0):.1e}"
    ratios = [row.ratio for row in rows if row.ratio is not None]
    if not ratios:
        return "exact" if not any(row.max_abs for row in rows) else "within 4 ulp"
    middle = result.comparison.median_ratio
    return f"{'-' if middle is None else f'{middle:.2f}×'} {max(ratios):.2f}×"


def _legend(results: Sequence[Result]) -> list[Text]:
    """Return what the numbers are and how large they may be."""
    bounds = {
        row.allowed
        for result in results
        if result.case.dtype == "float64"
        for row in result.comparison.rows
        if row.allowed
    }
    lines = [Text()]
    if bounds:
        listed = ", ".join(f"{bound:.0e}" for bound in sorted(bounds))
        lines.append(
            Text(f"float64: worst error relative to the tensor's largest value; allowed {listed}", style="dim")
        )
    if any(result.case.dtype == "float32" for result in results):
        allowed = f"allowed {MEDIAN_RATIO:g}× and {RMS_RATIO:g}× (or {FLOOR_ULP} ulp)"
        lines.append(Text(f"float32: median and worst RMS error ÷ PyTorch's own; {allowed}", style="dim"))
    return lines


def _notes(results: Sequence[Result]) -> list[Text]:
    """Return the lines below the table: errors, failures, warnings."""
    lines = [Text()]
    for result in results:
        if result.error:
            lines.append(Text(f"{result.case.id}: {result.error}", style="red"))
        elif not result.passed:
            lines += [Text(line, style="red") for line in _failure_lines(result)]
    named = ((f"{result.case.id} {row.name}", row) for result in results for row in result.comparison.rows)
    lines += [Text(line, style="yellow") for line in _weak_lines(named)]
    return lines if len(lines) > 1 else []


def _weak_lines(named: Iterable[tuple[str, Row]]) -> list[str]:
    """Return a line for each way in which agreement means little, from pairs (tensor, its row)."""
    counted = count_warnings((name, warning) for name, row in named for warning in row.warnings)
    return [
        f"weak evidence, {count} tensor{'s' if count > 1 else ''}: {warning} (first: {first})"
        for warning, count, first in counted
    ]


def _failure_lines(result: Result) -> list[str]:
    comparison, name = result.comparison, result.case.id
    lines = [f"{name}: {comparison.problem}"] if comparison.problem else []
    first = first_divergence(comparison.rows)
    if first:
        lines.append(f"{name}: first divergence at {first.name}: {first.problem}")
    others = [row for row in comparison.failures if row is not first]
    lines += [f"{name}:   {row.name}: {row.problem}" for row in others[:SHOWN_FAILURES]]
    if len(others) > SHOWN_FAILURES:
        lines.append(f"{name}:   and {len(others) - SHOWN_FAILURES} more; parity show {name}")
    return lines


def _summarize(results: Sequence[Result], interruption: Interruption | None) -> Text:
    passed = sum(result.passed for result in results)
    tensors = sum(len(result.comparison.rows) for result in results)
    text = f"{passed} of {len(results)} cases passed, {tensors:,} tensors compared"
    if interruption:
        text = f"{interruption}, {passed:,} passed, {tensors:,} tensors compared"
    return Text(text, style="bold red" if passed < len(results) else "bold yellow" if interruption else "bold green")


def case_in_full(result: Result) -> RenderableType:
    """Return every tensor of a case with what was measured and allowed, and the worst entries of what failed."""
    case, comparison = result.case, result.comparison
    head = Text(f"{case.id}   covers {' '.join(case.covers)}   {result.seconds:.1f} s", style="bold")
    if result.error:
        return Group(head, Text(result.error, style="red"))
    return Group(head, Text(), comparison_table(comparison), *_details(comparison), Text(), _verdict(comparison))


def isolation(result: Result, alone: Comparison) -> RenderableType:
    """Return each layer's error in the run and on its own, and which layers are wrong on their own."""
    numbers = [Column(title, right=True) for title in ("in the run", "on its own", "allowed")]
    columns = [Column("layer", wraps=24, narrow="head"), *numbers, Column("", wraps=24, narrow="head")]
    rows: list[Sequence[Cell]] = []
    in_run = {row.name: row for row in result.comparison.rows}
    for row in alone.rows:
        seen = in_run.get(row.name)
        remark = Text("ok", style="green") if row.passed else Text(f"FAIL {row.problem}", style="red")
        values = [_number(value) for value in (seen.relative if seen else None, row.relative, row.allowed)]
        rows.append((row.name.removeprefix("activation:"), *values, remark))
    wrong = [row.name.removeprefix("activation:") for row in alone.rows if not row.passed]
    verdict = Text(f"each of {len(alone.rows)} layers is right on its own", style="bold green")
    if wrong:
        verdict = Text(f"wrong on their own: {', '.join(wrong)}", style="bold red")
    elif not result.passed:
        verdict = Text(
            "each layer is right on its own: look between the layers, or after the forward pass", style="bold red"
        )
    head = Text(f"{result.case.id}   layers isolated", style="bold")
    return Group(head, Text(), FittingTable(columns, rows), Text(), verdict)


def comparison_table(comparison: Comparison) -> FittingTable:
    """Return a table with one row per tensor."""
    numbers = [Column(title, right=True) for title in ("size", "max error", "relative", "allowed", "ratio")]
    columns = [Column("tensor", wraps=24, narrow="head"), *numbers, Column("", wraps=24, narrow="head")]
    rows: list[Sequence[Cell]] = []
    for row in comparison.rows:
        remark = Text("ok", style="green") if row.passed else Text(f"FAIL {row.problem}", style="red")
        if row.warnings:
            remark.append("  " + "; ".join(row.warnings), style="yellow")
        if row.estimated:
            remark.append("  estimated", style="dim")
        values = [_number(value) for value in (row.max_abs, row.relative, row.allowed)]
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        rows.append((row.name, f"{row.size:,}", *values, ratio, remark))
    return FittingTable(columns, rows)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return "0" if value == 0 else f"{value:.1e}"


def _details(comparison: Comparison) -> list[Text]:
    lines = [Text()]
    failures = comparison.failures
    shown = failures or [row for row in _by_error(comparison.rows)[:SHOWN_FAILURES] if row.max_abs]
    for row in shown[:10]:
        lines += _worst_lines(row)
    if len(shown) > 10:
        lines.append(Text(f"and {len(shown) - 10} more that failed"))
    if comparison.port_only:
        lines.append(Text("only in the port, not judged: " + ", ".join(comparison.port_only), style="dim"))
    return lines if len(lines) > 1 else []


def _by_error(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -(row.relative or 0.0))


def _worst_lines(row: Row) -> list[Text]:
    style = "" if row.passed else "red"
    lines = [Text(f"{row.name}" + (f": {row.problem}" if row.problem else ", its worst entries"), style=style)]
    lines += [
        Text(f"    at {list(entry.index)}   expected {entry.expected:.17g}   actual {entry.actual:.17g}")
        for entry in row.worst
    ]
    return lines


def _verdict(comparison: Comparison) -> Text:
    first = first_divergence(comparison.rows)
    failed = len(comparison.failures)
    if comparison.passed:
        return Text(f"passed: {len(comparison.rows)} tensors", style="bold green")
    where = f"; first divergence at {first.name}" if first else ""
    whole = f"; {comparison.problem}" if comparison.problem else ""
    return Text(f"failed: {failed} of {len(comparison.rows)} tensors{where}{whole}", style="bold red")


def comparison_in_full(comparison: Comparison, undecided: Sequence[str] = ()) -> RenderableType:
    """Return every tensor of two traces compared, and the verdict, with why it is not decided."""
    verdict = [Text(f"NOT decided: {reason}", style="bold yellow") for reason in undecided]
    return Group(comparison_table(comparison), *_details(comparison), Text(), *(verdict or [_verdict(comparison)]))


def check_lines(report, weights: bool = True) -> list[str]:
    """Return the report of `parity.check`.

    The verdict, why it is not decided, each precision, where a difference begins, the weights, weak evidence, notes.

    Args:
        report: of `parity.check`.
        weights: say which layers were paired.
    """
    lines = [f"{report.title}: {report.verdict.headline}", *(f"  {reason}" for reason in _reasons(report))]
    for dtype, comparison in report.comparisons.items():
        failed, total = len(comparison.failures), len(comparison.rows)
        found = f"FAIL {failed} of {total} tensors" if failed or comparison.problem else f"{total} tensors, "
        if comparison.passed:
            found += check_worst(comparison)
        elif not comparison.rows:
            found = "not compared"
        lines.append(f"  {dtype}: {found}" + (f"; {comparison.problem}" if comparison.problem else ""))
    if report.location:
        lines += [f"  {line}" for line in report.location.lines()]
        for entry in report.location.row.worst:
            at = list(entry.index)
            lines.append(f"    at {at}   expected {entry.expected:.9g}   actual {entry.actual:.9g}")
        comparison = next(c for c in report.comparisons.values() if not c.passed)
        others = [row for row in comparison.failures if row.name != report.first_divergence]
        lines += [f"    {row.name}: {row.problem}" for row in others[:SHOWN_FAILURES]]
        lines += [f"    and {len(others) - SHOWN_FAILURES} more"] if len(others) > SHOWN_FAILURES else []
    else:
        failures = [row for comparison in report.comparisons.values() for row in comparison.failures]
        lines += [f"    {row.name}: {row.problem}" for row in failures[:SHOWN_FAILURES]]
    if weights and report.weights:
        lines += ["  weights: " + _describe_pairs(report.weights)]
    named = ((row.name, row) for comparison in report.comparisons.values() for row in comparison.rows)
    return lines + [f"  {line}" for line in (*_weak_lines(named), *report.notes)]


def _reasons(report) -> list[str]:
    """Return what must be read with the verdict."""
    return [*report.reasons, *filter(None, (report.precision, report.unproven, report.coarse, report.rounded))]


def check_worst(comparison: Comparison) -> str:
    """Return the worst error of a comparison that passed."""
    if comparison.dtype == "float64":
        worst = max((row.relative for row in comparison.rows if row.relative is not None), default=0.0)
        allowed = max((row.allowed or 0.0 for row in comparison.rows), default=0.0)
        found = f"worst relative error {worst:.1e}, allowed {allowed:.0e}"
        count, first = len(comparison.by_rounding), next(iter(comparison.by_rounding), "")
        if not count:
            return found
        return f"{found}; {count} of them by PyTorch's own rounding, whose terms cancel (first: {first})"
    ratios = [row.ratio for row in comparison.rows if row.ratio is not None]
    precision = PRECISIONS.get(comparison.dtype)
    if precision is None or not precision.is_reduced:
        found = f"worst error {max(ratios):.2f} × PyTorch's own" if ratios else "within 4 ulp"
        count, first = len(comparison.at_ties), next(iter(comparison.at_ties), "")
        if not count:
            return found
        return (
            f"{found}; {count} of them where rounding decides a ReLU's unit or a maximum as in Keras (first: {first})"
        )
    found = f"worst error {max(ratios):.2f} × PyTorch's {precision.reference}" if ratios else "within 4 ulp"
    return f"{found} (small mistakes do not show here: float64 proves the algebra)"


def _describe_pairs(pairs: Sequence[tuple[str, str, str]]) -> str:
    """Return which module is which layer; of many, those of the same name as a count."""
    alike = sum(path == name for path, name, _ in pairs)
    if len(pairs) <= SHOWN_PAIRS or not alike:
        return ", ".join(_describe_pair(*pair) for pair in pairs)
    others = [_describe_pair(*pair) for pair in pairs if pair[0] != pair[1]]
    more = f"; {len(others)} other{'s' * (len(others) > 1)}: {', '.join(others)}" if others else ""
    return f"{alike} modules and layers of the same names{more}"


def _describe_pair(path: str, name: str, how: str) -> str:
    return path if path == name else f"{path or 'the module itself'} = {name} ({how})"


def console(*, stderr: bool = False) -> Console:
    """Return a console that breaks no line of a table when its output goes to a file."""
    plain = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return plain if plain.is_terminal else Console(stderr=stderr, highlight=False, width=200)
