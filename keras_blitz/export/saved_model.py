"""A network as TensorFlow's SavedModel."""

import os
import shutil
import tempfile
from pathlib import Path

from keras_blitz.errors import BlitzError


def save_saved_model(model, path: str | os.PathLike[str]) -> None:
    """Write a network in eval mode as a SavedModel folder, whole or not at all.

    `saved = tf.saved_model.load(path)`, then `saved.serve(images)` runs it without this package.

    Raises:
        BlitzError: there is something at `path` already, or it cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise BlitzError(f"{path}: exists already; remove it or give another name")
    try:
        temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=path.parent))
    except OSError as error:
        raise BlitzError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        model.export(temporary / "model", format="tf_saved_model", verbose=False)
        (temporary / "model").rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
