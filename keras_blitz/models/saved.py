"""Networks of this package from `.keras` files."""

import os
import re
import zipfile
from typing import Any

from keras_blitz.errors import CheckpointError, first_sentence
from keras_blitz.models import register
from keras_blitz.weights.checkpoint import existing
from keras_blitz.weights.pickles import check_sums


def load_model(path: str | os.PathLike[str]) -> Any:
    """Load a network or a model with layers of this package from a `.keras` file; hidden code is refused (safe mode).

    `keras.saving.load_model` does the same once the classes have been imported: `import keras_blitz.layers` for the
    layers, `import keras_blitz.models` for the networks.

    Args:
        path: a `.keras` file.

    Raises:
        CheckpointError: the file is missing, broken, refused, or of another kind.
    """
    import keras

    path = existing(path)
    if path.name.endswith(".weights.h5"):
        raise CheckpointError(f"{path}: holds weights only, no model; give the .keras file")
    if not zipfile.is_zipfile(path):  # Keras reports such a file as missing
        raise CheckpointError(f"{path}: truncated, or not a .keras file (no zip archive)")
    check_sums(path, ".keras file")
    register()
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the broken part raised
        if missing := re.search(r"Could not locate (?:class|function) '([^']+)'", str(error)):
            raise CheckpointError(
                f"{path}: needs {missing[1]}, which no imported module registers with Keras "
                "(@keras.saving.register_keras_serializable()); import the module that does first"
            ) from None
        raise CheckpointError(f"{path}: cannot be read as a .keras file ({first_sentence(error)})") from None
