"""The errors a user can mend: each message says what, where and what to do."""

import re


class BlitzError(ValueError):
    """Bad input or a missing piece; the commands print its message as one line and exit with status 2.

    What a foreign file put into the message is escaped: a line break, or what a terminal would obey.
    """

    def __init__(self, message: str = ""):
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in _cause(message)))


class CheckpointError(BlitzError):
    """A checkpoint that is missing, broken, refused, or does not fit the model."""


def one_line(error: Exception) -> str:
    """Return an error's kind and cause as one line, at most 300 characters; a `BlitzError`'s cause alone."""
    lines = [line.strip() for line in _cause(str(error)).splitlines() if line.strip()] or [""]
    # Traced code begins its message with a traceback.
    line = lines[-1] if lines[0].startswith("in user code") else lines[0]
    line = re.sub(r"^\{\{.*?\}\} ", "", line)  # TensorFlow's address of the operation
    return line if isinstance(error, BlitzError) else f"{type(error).__name__}: {line[:300]}"


def _cause(message: str) -> str:
    """Return what Keras puts in bold behind "Exception encountered when calling …", if this is such a message."""
    wrapped = re.search(r"\x1b\[1m(.+?)\x1b\[0m", message, re.DOTALL)
    return wrapped[1] if wrapped else message
