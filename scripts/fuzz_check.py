"""Hand random pairs to `parity.check`: right ports and ports with one random mistake. Count what it gets wrong.

python scripts/fuzz_check.py --count 500 --seed 0        the figures
python scripts/fuzz_check.py --only 17                   one pair: its description, the mistake, and what was said
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from keras_blitz import command
from keras_blitz.files import check_target

PROBLEMS = ("false alarm", "false pass", "refused", "not decided", "crashed")

NUMBERS = 2**31 - 1  # a pair's number seeds NumPy, which takes 32 bits; the last of a run must fit, too


def figures(lines: list[dict]) -> str:
    """Return the table of what was counted: verdicts by what is right, and where each kind of mistake was located."""
    right, wrong = ([line for line in lines if line["truth"] == truth] for truth in ("right", "wrong"))
    unchanged = sum(bool(line["mistake"]) for line in right)
    seconds = sorted(line["seconds"] for line in lines)
    rows = [f"{len(lines)} pairs, {sum(seconds):.0f} s of CPU, median {seconds[len(seconds) // 2]:.1f} s"]
    rows += [f"right: {len(right)}, of which {unchanged} have a mistake that changes nothing: {_verdicts(right)}"]
    rows += [f"wrong: {len(wrong)}: {_verdicts(wrong)}"]
    rows += [f"unclear: {len(lines) - len(right) - len(wrong)}"]
    rows += [f"located, of the wrong: {_counts(line['where'] or line['seen'] for line in wrong)}"]
    for kind in sorted({line["mistake"] for line in wrong}):
        of_kind = [line for line in wrong if line["mistake"] == kind]
        rows.append(f"  {kind:16} {_counts(line['where'] or line['seen'] for line in of_kind)}")
    for problem in PROBLEMS:
        numbers = [str(line["number"]) for line in lines if line["problem"] == problem]
        rows += [f"{problem}: {len(numbers)}{': ' if numbers else ''}{', '.join(numbers)}"]
    return "\n".join(rows)


def _verdicts(lines: list[dict]) -> str:
    return _counts(line["seen"] for line in lines)


def _counts(words) -> str:
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


def checked(number: int) -> dict:
    """Check one pair and return what became of it."""
    from parity.faults.random.run import check

    result = check(number)
    kind = result.pair.mistake.kind if result.pair.mistake else ""
    return {
        "number": number, "mistake": kind, "truth": result.truth, "seen": result.seen, "where": result.where,
        "problem": result.problem, "said": result.said, "seconds": round(result.seconds, 2),
    }  # fmt: skip


def show(number: int) -> None:
    """Print a pair, the mistake in it, and what is said of it."""
    from parity.faults.random.run import pair

    made = pair(number)
    print(made.network)
    if made.mistake:
        print(f"mistake: {made.mistake.kind} at {', '.join(made.mistake.at)}; Keras's side:\n{made.mistake.network}")
    print(json.dumps(checked(number), indent=1))


def main(
    count: Annotated[int, typer.Option(help="number of pairs, at least 1", min=1, max=NUMBERS)] = 500,
    seed: Annotated[int, typer.Option(help="the number of the first pair", min=0, max=NUMBERS)] = 0,
    only: Annotated[int | None, typer.Option(help="show only this pair", min=0, max=NUMBERS)] = None,
    lines: Annotated[Path | None, typer.Option(help="append a JSON line for each pair to this file")] = None,
) -> None:
    """Check random pairs and print the figures; exit status 1 where a verdict is wrong."""
    from parity.record.frameworks import load_frameworks

    if lines:
        check_target(lines)
    load_frameworks(live=True)
    if only is not None:
        show(only)
        return
    done = []
    for number in range(seed, seed + count):
        done.append(checked(number))
        line = done[-1]
        if line["problem"]:
            print(f"{number}: {line['problem']}: {line['mistake'] or 'right'}: {line['said'][:200]}", file=sys.stderr)
        if lines:
            with lines.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    print(figures(done))
    if any(line["problem"] in ("false alarm", "false pass", "crashed") for line in done):
        sys.exit(1)


if __name__ == "__main__":
    command.run_script(main, "fuzz_check")
