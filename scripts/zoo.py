"""Translate and prove the models that people use: transformers, timm, and networks of our own. Print the table.

python scripts/zoo.py                          all groups that are installed; what zoo.json has already is not run again
python scripts/zoo.py transformers --only BERT    one model
python scripts/zoo.py timm --again             those that did not pass, once more
"""

import json
import multiprocessing
import sys
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from keras_blitz import command
from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "harness"))

NEEDS = {"transformers": "transformers", "own": "torch", "timm": "timm", "torchvision": "torchvision"}
GiB = 2**30


def run(group: str, name: str, sources: Path | None, end: Any) -> None:
    """Judge one model, in a process of its own, and send what was found."""
    from zoo import rows
    from zoo.judge import judge

    try:
        found = judge(rows(group)[name])
    except Exception as error:  # a fault of the translator, or of the harness: the table has it, and the run goes on
        found = {"reason": f"crashed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
    source = found.pop("source", None)
    if sources and source:
        sources.mkdir(parents=True, exist_ok=True)
        (sources / f"{group}_{name.replace(' ', '_').replace(',', '')}.py").write_text(source)
    end.send(found)


def apart(group: str, name: str, limit: float, sources: Path | None) -> dict[str, Any]:
    """Judge one model in a process that may take so many seconds."""
    context = multiprocessing.get_context("fork")  # the frameworks are loaded already: 10 s a model
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=run, args=(group, name, sources, send))
    process.start()
    send.close()
    found: dict[str, Any] = {"reason": f"took over {limit:.0f} s"}
    try:
        if receive.poll(limit):
            found = receive.recv()
    except EOFError:
        process.join()
        found = {"reason": f"the process ended without a result, by status {process.exitcode}; −9 is too little memory"}
    finally:
        process.kill()
        process.join()
    return found


def table(results: dict[str, dict[str, Any]]) -> str:
    """Return the results as a Markdown table, those that pass first, and the median of the lines that were written."""
    lines = [
        "| model | lines / PyTorch's | functions / classes | transposes | proof | reads |",
        "|---|---|---|---|---|---|",
    ]
    ratios = []
    for name, each in sorted(results.items(), key=lambda item: bool(item[1]["reason"])):
        said = each["reason"] or f"{' and '.join(each['modes'])}, {each['tensors']} tensors"
        if "source_lines" not in each:
            lines.append(f"| {name} | | | | {said} | |")
            continue
        counts = f"{each['lines']} / {each['source_lines']} | {each['functions']} / {each['classes']}"
        twice = {" and ".join(pair) for pair in each.get("as_in_pytorch", ())}
        reads = "; ".join([each["unreadable"] or "well", *(f"{pair} repeat as in PyTorch" for pair in twice)])
        lines.append(f"| {name} | {counts} | {each['transposes']} | {said} | {reads} |")
        if each["source_lines"]:
            ratios.append(each["lines"] / each["source_lines"])
    end = f"\n\nlines for each line of PyTorch's classes: {median(ratios):.2f} (median)" if ratios else ""
    return "\n".join(lines) + end


def load(path: Path) -> dict[str, Any]:
    """Return what a file of results holds.

    Raises:
        BlitzError: it is not such a file.
    """
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BlitzError(f"{path} cannot be read as results: {error}") from None


def installed(groups: list[str]) -> list[str]:
    """Return the groups to run.

    Raises:
        BlitzError: one does not exist, or was named and is not installed.
    """
    if unknown := [group for group in groups if group not in NEEDS]:
        raise BlitzError(f"no group {unknown[0]!r}: there are {', '.join(NEEDS)}")
    missing = [group for group in groups if find_spec(NEEDS[group]) is None]
    if missing:
        raise BlitzError(f"{NEEDS[missing[0]]} is not installed: pip install 'keras-blitz[zoo]'")
    return groups or [group for group in NEEDS if find_spec(NEEDS[group])]


def main(
    groups: Annotated[list[str] | None, typer.Argument(help="transformers, own or timm; default: all")] = None,
    results: Annotated[Path, typer.Option(help="the JSON file of results; a later run continues from it")] = Path(
        "zoo.json"
    ),
    only: Annotated[list[str] | None, typer.Option(help="run only these models, even if they have a result")] = None,
    again: Annotated[bool, typer.Option(help="run the models that did not pass again")] = False,
    limit: Annotated[float, typer.Option(help="seconds that one model may take", min=1)] = 300,
    sources: Annotated[Path | None, typer.Option(help="a folder for the generated sources")] = None,
) -> None:
    """Translate and prove the models of a zoo; exit status 1 where one does not pass."""
    chosen = installed(groups or [])
    known = load(results)
    from zoo import rows
    from zoo.judge import judge  # noqa: F401  # loads the frameworks before the processes are made

    for group in chosen:
        todo = [
            name
            for name in rows(group)
            if (name in only if only else (again and known.get(group, {}).get(name, {}).get("reason")))
            or (not only and name not in known.get(group, {}))
        ]
        for number, name in enumerate(todo, 1):
            print(f"{group} {number}/{len(todo)} {name} …", end=" ", file=sys.stderr, flush=True)
            found = known.setdefault(group, {})[name] = apart(group, name, limit, sources)
            print(found["reason"][:150] or f"passes, {found['seconds']} s", file=sys.stderr)
            with atomic_path(results) as temporary:
                temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
    for group in chosen:
        passed = sum(not each["reason"] for each in known.get(group, {}).values())
        print(f"\n{group}: {passed} of {len(known.get(group, {}))} pass\n\n{table(known.get(group, {}))}")
    if any(each["reason"] for group in chosen for each in known.get(group, {}).values()):
        sys.exit(1)


if __name__ == "__main__":
    command.run_script(main, "zoo")
