"""What every command of the package does about bad input, a full disk and Ctrl-C."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from threading import Timer

from keras_blitz.errors import BlitzError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run(app: Callable[[], None], name: str) -> None:
    """Run a command; what a user can mend is one line and exit status 2, Ctrl-C is status 130.

    Args:
        app: parses the command line and ends in SystemExit.
        name: the command's, which the line begins with.
    """
    sys.unraisablehook = _taken_again
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, for at Python's end it would be a traceback
    except BlitzError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
    except OSError as error:
        if error.errno not in FULL:
            raise
        if sys.__stdout__ is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # where the rest goes
        print(f"{name}: error: standard output cannot be written ({error.strerror})", file=sys.stderr)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(2) from None


def _taken_again(unraisable) -> None:
    """Send Ctrl-C once more where an object's `__del__` swallowed it, as TensorFlow's functions have one."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        Timer(0.01, os.kill, [os.getpid(), signal.SIGINT]).start()
    else:
        sys.__unraisablehook__(unraisable)
