"""User errors: each message says what, where and what to do."""

import re
import textwrap

__all__ = ["BlitzError", "CheckpointError", "one_line"]


class BlitzError(ValueError):
    """Bad input or a missing piece; the commands print its message as one line and exit with status 2.

    What a foreign file put into the message is escaped: a line break, or what a terminal would obey.
    """

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in _cause(super().__str__()))


class CheckpointError(BlitzError):
    """A checkpoint that is missing, broken, refused, or does not fit the model."""


def one_line(error: Exception) -> str:
    """Return an error's kind and cause as one line, at most 300 characters; a `BlitzError`'s cause alone."""
    lines = [line.strip() for line in _cause(str(error)).splitlines() if line.strip()] or [""]
    line = re.sub(r"^\{\{.*?\}\} ", "", lines[0])  # TensorFlow's address of the operation
    return line if isinstance(error, BlitzError) else f"{type(error).__name__}: {line[:300]}"


def first_sentence(error: BaseException) -> str:
    """Return the first sentence of an error's message, shortened; its class where it has none."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    return textwrap.shorten(lines[0].split(". ")[0], 160, placeholder=" …").rstrip(" .")


def _cause(message: str) -> str:
    """Return a message without what Keras and traced code put around it."""
    wrapped = re.search(r"\x1b\[1m(.+?)\x1b\[0m", message, re.DOTALL)  # after "Exception encountered when calling …"
    message = wrapped[1] if wrapped else message
    return message.strip().splitlines()[-1].strip() if message.lstrip().startswith("in user code") else message
