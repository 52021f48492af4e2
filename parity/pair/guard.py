"""What a user's own model raises, as one line."""

from collections.abc import Callable
from typing import Any

from keras_blitz.errors import BlitzError, one_line


def guarded(side: str, function: Callable, *args: Any) -> Any:
    """Call what runs a user's model.

    Args:
        side: which model, given what; the subject of the message.
        function: the call.
        args: its arguments.

    Raises:
        BlitzError: what the model raised, in one line.
    """
    try:
        return function(*args)
    except BlitzError:
        raise
    except Exception as error:  # a user's model may raise anything
        raise BlitzError(f"{side} raises {one_line(error)}") from error
