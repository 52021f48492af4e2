"""Networks of this package from `.keras` files."""

import os
import zipfile
from typing import Any

from keras_blitz.errors import CheckpointError, first_sentence
from keras_blitz.models import register
from keras_blitz.weights.checkpoint import existing


def load_model(path: str | os.PathLike[str]) -> Any:
    """Load a network of this package from a `.keras` file; code hidden in it is refused (Keras's safe mode).

    `keras.saving.load_model` does the same once the network's class has been imported.

    Args:
        path: a `.keras` file.

    Raises:
        CheckpointError: the file is missing, broken, refused, or of another kind.
    """
    import keras

    path = existing(path)
    if not zipfile.is_zipfile(path):  # Keras reports such a file as missing
        raise CheckpointError(f"{path}: truncated, or not a .keras file (no zip archive)")
    register()
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the broken part raised
        raise CheckpointError(f"{path}: cannot be read as a .keras file ({first_sentence(error)})") from None
