"""What a user's own model raises, as one line."""

from collections.abc import Callable
from typing import Any

from keras_blitz.errors import BlitzError, one_line

ONE_VALUE = "Expected more than 1 value per channel when training"  # PyTorch's BatchNorm, of one example without pixels


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
        hint = "; give a batch of two examples or more" if ONE_VALUE in str(error) else ""
        raise BlitzError(f"{side} raises {one_line(error)}{hint}") from error
