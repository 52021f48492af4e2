"""TensorFlow loaded without its greetings, and Keras checked to run on it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_blitz.errors import BlitzError


def import_tensorflow() -> None:
    """Import TensorFlow and Keras; what they log of drivers and retracing stays out of standard error.

    An import that fails raises as ever.

    Raises:
        BlitzError: Keras is set to another backend, or to channels first.
    """
    _check_backend(_chosen_backend())  # before Keras tries to import another
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _silent_stderr():
            import keras  # noqa: F401
            import tensorflow as tf
            from absl import logging
        tf.get_logger().setLevel("ERROR")
        logging.set_verbosity(logging.ERROR)  # tensorflow-datasets warns of the folder it is about to fill
    check_keras()


def silence_native_code() -> None:
    """Keep standard error for Python alone, for good: gRPC's threads write there whenever another process ends.

    Where the user has set TF_CPP_MIN_LOG_LEVEL to 0, 1 or 2, all of it is shown.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") < "3":
        return
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def check_keras() -> None:
    """Raise where Keras is set up for something that this package cannot run on.

    Raises:
        BlitzError: Keras is set to another backend, or to channels first.
    """
    import keras

    _check_backend(keras.config.backend())
    if keras.config.image_data_format() != "channels_last":
        raise BlitzError('Keras is set to channels_first; set "image_data_format": "channels_last" in keras.json')


def _check_backend(name: str) -> None:
    if name != "tensorflow":
        raise BlitzError(f"Keras is set to run on {name}; set KERAS_BACKEND=tensorflow")


def _chosen_backend() -> str:
    """Return the backend that Keras will take: of KERAS_BACKEND, or of its file keras.json."""
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen
    folder = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    try:
        return str(json.loads((folder / "keras.json").read_text(encoding="utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):  # no file, or one that Keras passes over, too
        return "tensorflow"


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send the process's standard error nowhere; C++ code writes to the descriptor, past `sys.stderr`."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
