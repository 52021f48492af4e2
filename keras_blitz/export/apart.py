"""A call in a process of its own, for a runtime that can abort the process it runs in."""

import faulthandler
import os
import pickle
import signal
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

from keras_blitz.errors import BlitzError, one_line

LIMIT = 600.0  # seconds; generous, because it only has to end what would never end
LOOKS = 0.001, 0.1  # seconds between two looks at whether the child has ended: at first, and at most


def call_apart(function: Callable[[], Any], what: str, limit: float = LIMIT) -> Any:
    """Return what a function returns, called in a forked copy of this process; called here where a system has no fork.

    Args:
        function: takes nothing; what it returns can be pickled.
        what: it does, for the message.
        limit: seconds after which its process is ended.

    Raises:
        BlitzError: it raised, ended its process, or took longer than the limit.
    """
    if not hasattr(os, "fork"):
        return function()
    with tempfile.TemporaryFile() as file:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which the child does not use
            child = os.fork()
        if child == 0:
            _answer(function, file)
        status = _status_of(child, what, limit)
        if status:
            ended = signal.Signals(-status).name if status < 0 else f"status {status}"
            raise BlitzError(f"{what} ended its process with {ended}")
        file.seek(0)
        value, error = pickle.load(file)  # written by the child, four lines above
    if error:
        raise BlitzError(error)
    return value


def _status_of(child: int, what: str, limit: float) -> int:
    """Return the exit status of a child process, negative for a signal.

    Raises:
        BlitzError: it has not ended within the limit; it is then ended.
    """
    until, pause = time.monotonic() + limit, LOOKS[0]
    try:
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > until:
                raise BlitzError(f"{what} took more than {limit:g} s and was stopped; the file may be damaged")
            time.sleep(pause)
            pause = min(2 * pause, LOOKS[1])
    except BaseException:  # Ctrl-C, too: the child must not run on
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    return os.waitstatus_to_exitcode(ended[1])


def _answer(function: Callable[[], Any], file: Any) -> None:
    """Write what the function returns, or its error in one line, then end the child at once."""
    status = 1
    try:
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the runtime's last words
        try:
            answer = function(), ""
        except Exception as error:  # the runtimes' errors have no common class
            answer = None, one_line(error)
        pickle.dump(answer, file)
        file.flush()
        status = 0
    finally:
        os._exit(status)
