"""What the scripts share as commands: errors as one line, Ctrl-C."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from keras_blitz.errors import BlitzError


@contextmanager
def errors_as_one_line() -> Iterator[None]:
    """Print what the user can mend as one line and exit with status 2; with 130 on Ctrl-C."""
    try:
        yield
    except BlitzError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        raise SystemExit(130) from None
