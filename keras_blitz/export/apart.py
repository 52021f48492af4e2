"""A call in a process of its own, for a runtime that can abort the process it runs in."""

import faulthandler
import os
import pickle
import signal
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

from keras_blitz.errors import BlitzError, one_line


def call_apart(function: Callable[[], Any], what: str) -> Any:
    """Return what a function returns, called in a forked copy of this process; called here where a system has no fork.

    Args:
        function: takes nothing; what it returns can be pickled.
        what: it does, for the message.

    Raises:
        BlitzError: it raised, or ended its process.
    """
    if not hasattr(os, "fork"):
        return function()
    with tempfile.TemporaryFile() as file:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which the child does not use
            child = os.fork()
        if child == 0:
            _answer(function, file)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            ended = signal.Signals(-status).name if status < 0 else f"status {status}"
            raise BlitzError(f"{what} ended its process with {ended}")
        file.seek(0)
        value, error = pickle.load(file)  # written by the child, four lines above
    if error:
        raise BlitzError(error)
    return value


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
