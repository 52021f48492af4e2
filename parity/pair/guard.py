"""What a user's own model raises, as one line."""

from collections.abc import Callable
from typing import Any

from keras_blitz.errors import BlitzError, one_line

# What a framework says -> what to do about it.
HINTS = {
    # PyTorch's BatchNorm, of one example without pixels.
    "Expected more than 1 value per channel when training": "give a batch of two examples or more",
    # TensorFlow has channels first on a CPU from oneDNN alone, which it switches on by itself where there is AVX-512.
    "only supports the NHWC tensor format on the CPU": "channels first needs oneDNN on a CPU: set the environment "
    "variable TF_ENABLE_ONEDNN_OPTS=1 before TensorFlow is imported",
}


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
        hints = [hint for said, hint in HINTS.items() if said in str(error)]
        raise BlitzError("; ".join([f"{side} raises {one_line(error)}", *hints])) from error
