"""What the commands share: cases run under a progress bar, their report, the exit status."""

import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.files import make_folder
from keras_blitz.progress import progress_bar, track
from keras_blitz.versions import versions
from parity.core.interruption import Interruption
from parity.record.frameworks import load_frameworks, torch_installed
from parity.suite.case import Case
from parity.suite.run import Result, run

TOO_EARLY = "interrupted before the first result: no report was written"  # yesterday's stays as it is


def exit_status(results: Sequence[Result]) -> int:
    """Return 0 where all passed, 1 where one is out of bounds, 2 where a piece is missing."""
    if any(result.missing for result in results):
        return 2
    return 0 if all(result.passed for result in results) else 1


def choose_source(live: bool | None) -> bool:
    """Return whether PyTorch runs: as asked, else wherever it is installed.

    Raises:
        BlitzError: it was asked for and is not installed.
    """
    if live is None:
        return torch_installed()
    if live and not torch_installed():
        raise BlitzError("--live needs PyTorch: pip install 'keras-blitz[torch]', or use --golden")
    return live


def make_saver(folder: Path | None) -> Callable[[Result], None] | None:
    """Return what saves both traces of a result to a folder, which is made; None where there is no folder.

    Raises:
        BlitzError: it is a file, or cannot be made or written to.
    """
    if folder is None:
        return None
    make_folder(folder)

    def save(result: Result) -> None:
        if result.reference is not None and result.port is not None:
            result.reference.save(folder / f"{result.case.id}.torch.npz")
            result.port.save(folder / f"{result.case.id}.keras.npz")

    return save


def load(live: bool) -> None:
    """Import what the cases run on, PyTorch too where it runs."""
    load_frameworks(live)
    gc.freeze()  # the frameworks stay: each of the cases' 50 collections would look through them, 0.2 s


def run_cases(
    chosen: list[Case], live: bool, fail_fast: bool, save: Callable[[Result], None] | None, jobs: int = 1
) -> tuple[list[Result], Interruption | None]:
    """Run the cases and return the results in the cases' order; Ctrl-C ends the run and keeps what is done.

    Raises:
        KeyboardInterrupt: before a case was done, as while TensorFlow loads.
    """
    results: dict[str, Result] = {}
    interruption = None
    with progress_bar(len(chosen), "parity", "{task.fields[name]}", name="") as move:
        running = run(
            chosen, live=live, keep_traces=save is not None, jobs=jobs, started=lambda case: move(name=case.id)
        )
        try:
            for result in running:
                move(advance=1)
                if save:
                    result = _save_traces(result, save)
                results[result.case.id] = replace(result, reference=None, port=None)
                if fail_fast and not result.passed:
                    break
        except KeyboardInterrupt:
            if not results:
                raise
            interruption = Interruption(len(results), len(chosen))
        finally:
            running.close()  # which ends the processes it has started
    return [results[case.id] for case in chosen if case.id in results], interruption


def _save_traces(result: Result, save: Callable[[Result], None]) -> Result:
    """Save a result's traces; one whose traces cannot be written has failed, the others go on."""
    try:
        save(result)
    except BlitzError as error:
        return replace(result, error=str(error), missing=True)
    return result


def report_results(
    results: list[Result],
    versions: dict[str, str],
    live: bool,
    seconds: float,
    jobs: int,
    json: Path | None,
    html: Path | None,
    junit: Path | None,
    interruption: Interruption | None = None,
) -> None:
    """Print the results, and write the files that were asked for; each says how far an interrupted run came.

    Raises:
        BlitzError: a file cannot be written; the others are.
    """
    from parity.report import text

    mode = "live" if live else "golden"
    console = text.console()
    console.print(text.summary_table(results, interruption))
    names = ", ".join(f"{name} {number}" for name, number in versions.items())
    processes = f" in one of {jobs} processes" if jobs > 1 else ""
    console.print(f"{mode}, {names}, {seconds:.0f} s{_peak_memory()}{processes}")
    from parity.report import html as page
    from parity.report import junit as xml
    from parity.report.json import to_dict, write

    meta: dict[str, Any] = {"seconds": seconds, "interruption": interruption}
    document = to_dict(results, mode=mode, versions=versions, **meta) if json or html else {}
    problems = []
    for path, written in (
        (json, lambda path: write(document, path)),
        (html, lambda path: page.write(document, path)),
        (junit, lambda path: xml.write(results, path, **meta)),
    ):
        try:
            if path:
                written(path)
        except BlitzError as error:  # the others may have room yet
            problems.append(str(error))
    if problems:
        raise BlitzError("; ".join(problems))


def _peak_memory() -> str:
    """Say the most memory that this process, or one it has started, has held; nothing where the system does not."""
    try:
        import resource
    except ImportError:  # Windows
        return ""
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return f", {most / (1e9 if sys.platform == 'darwin' else 1e6):.1f} GB at most"  # bytes there, kB elsewhere


def versions_of(results: Sequence[Result]) -> dict[str, str]:
    """Return the versions that the figures depend on; PyTorch's is that of the run, or of the golden recording."""
    torch = sorted({result.torch for result in results if result.torch})
    return versions() | ({"torch": ", ".join(torch)} if torch else {})


def each(function: Callable[[Any], Any], chosen: Sequence, title: str, what: str) -> tuple[list, Interruption | None]:
    """Call a function with each under a progress bar; Ctrl-C ends it and keeps what is done.

    Args:
        function: one of `chosen` -> what comes of it.
        chosen: with ids.
        title: of the progress bar.
        what: is done with them, in the words of an interruption.

    Raises:
        KeyboardInterrupt: before the first was done.
    """
    done: list = []
    try:
        done.extend(function(one) for one in track(chosen, title, lambda one: getattr(one, "id", one)))
    except KeyboardInterrupt:
        if not done:
            raise
        return done, Interruption(len(done), len(chosen), what)
    return done, None
