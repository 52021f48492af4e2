"""What every command and script does about bad input, a full disk and Ctrl-C."""

import argparse
import errno
import inspect
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.util import find_spec
from threading import Timer
from types import FrameType
from typing import Annotated, Any, TextIO

import typer

from keras_blitz.errors import BlitzError
from keras_blitz.versions import versions

LARGEST = 2**31 - 1  # of counts; TensorFlow's own limit
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def version_line() -> str:
    """Return the version of this package and of what its results depend on, as an issue should say them."""
    further = [name for name in ("torch",) if find_spec(name)]
    (package, own), *others = [(name, text) for name, text in versions(*further).items() if name != "python"]
    return ", ".join([f"{package} {own}", f"python {platform.python_version()}", *(f"{n} {v}" for n, v in others)])


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version_line())
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the versions and exit.")
]


def run(app: Callable[[], int | None], name: str) -> None:
    """Run a command; errors that the user can fix print one line and exit with status 2, Ctrl-C exits with 130.

    A file that cannot be read or written is such an error. A reader that goes away, as `head` does, ends the command
    with status 1 and no word. What is printed to a closed standard output is lost, and nothing else.

    Args:
        app: reads the command line; it returns the exit status, or ends in SystemExit.
        name: of the command, which the line begins with.

    Raises:
        SystemExit: the status is not 0, or `app` raised it.
    """
    _open_streams()
    before, sys.unraisablehook = sys.unraisablehook, _interrupt_again
    try:
        try:
            status = app()
        finally:
            sys.stdout.flush()  # not at Python's end, where an error would be a traceback
    except BlitzError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        status = 2
    except OSError as error:
        status = _status_of(error, name)
    except KeyboardInterrupt:
        status = 130
    finally:
        sys.unraisablehook = before
    if status:
        raise SystemExit(status)


def run_script(main: Callable[..., int | None], name: str) -> None:
    """Run a script as a command; Ctrl-C prints that it was stopped.

    Args:
        main: a function whose arguments are typer's options, and whose docstring is the help.
        name: of the script, which an error's line begins with.

    Raises:
        SystemExit: always.
    """

    @wraps(main)
    def stoppable(*args: Any, version: bool, **kwargs: Any) -> int | None:
        with announce_stop(name):
            return main(*args, **kwargs)

    own = inspect.signature(main)
    asked = inspect.Parameter("version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Version)
    stoppable.__signature__ = own.replace(parameters=[*own.parameters.values(), asked])  # type: ignore[attr-defined]
    stoppable.__annotations__ = {**main.__annotations__, "version": Version}
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(stoppable)
    run(app, name)


def argument_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return the parser of a script that reads its own command line: the docstring is its help, --version is there."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=version_line(), help="Print the versions and exit.")
    return parser


def whole_number(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """Return what reads a whole number within these bounds, for a parser of `argument_parser`."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least:,} to {most:,}, not {text!r}")
        return int(text)

    return read


@contextmanager
def announce_stop(name: str, what: str = "stopped", *, at_once: bool = False) -> Iterator[None]:
    """Print one line on Ctrl-C and exit with status 130.

    Args:
        name: of the script, which the line begins with.
        what: happened.
        at_once: skip Python's own end, which waits for the data pipeline of `fit` and may never come.
    """
    try:
        yield
    except KeyboardInterrupt:
        print(f"{name}: {what}", file=sys.stderr, flush=True)
        if at_once:
            os._exit(130)
        raise SystemExit(130) from None


@contextmanager
def defer_interrupts() -> Iterator[Callable[[], bool]]:
    """Yield what says whether Ctrl-C, or a request to end, came; a second one of the same kind acts at once."""
    came = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt_again(unraisable: Any) -> None:
    """Send Ctrl-C once more where an object's `__del__`, such as that of TensorFlow's functions, swallowed it."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        Timer(0.01, os.kill, [os.getpid(), signal.SIGINT]).start()
    else:
        sys.__unraisablehook__(unraisable)


def _open_streams() -> None:
    """Open the null device for each closed stream, and let a line appear when it is printed, into a pipe too."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 (for good)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)


def _status_of(error: OSError, name: str) -> int:
    """Print one line for what the system refused, and return the exit status; raise again what it does not explain."""
    if error.errno == errno.EPIPE:
        _drop_output(sys.__stdout__)
        return 1
    if error.filename is not None and error.strerror:
        print(f"{name}: error: {os.fsdecode(error.filename)}: {error.strerror}", file=sys.stderr)
        return 2
    if error.errno not in FULL:
        raise error
    _drop_output(sys.__stdout__)
    print(f"{name}: error: standard output cannot be written ({error.strerror})", file=sys.stderr)
    return 2


def _drop_output(stream: TextIO | None) -> None:
    """Send what is still in the buffer nowhere."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
