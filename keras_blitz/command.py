"""What every command and script does about bad input, a full disk and Ctrl-C."""

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import Timer
from types import FrameType
from typing import Any

from keras_blitz.errors import BlitzError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run(app: Callable[[], int | None], name: str) -> None:
    """Run a command; errors that the user can fix print one line and exit with status 2, Ctrl-C exits with 130.

    Args:
        app: reads the command line; it returns the exit status, or ends in SystemExit.
        name: of the command, which the line begins with.

    Raises:
        SystemExit: the status is not 0, or `app` raised it.
    """
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
        if error.errno not in FULL:
            raise
        if sys.__stdout__ is not None:  # takes what is still in the buffer
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
        print(f"{name}: error: standard output cannot be written ({error.strerror})", file=sys.stderr)
        status = 2
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
    import typer

    @wraps(main)
    def stoppable(*args: Any, **kwargs: Any) -> int | None:
        with announce_stop(name):
            return main(*args, **kwargs)

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(stoppable)
    run(app, name)


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
