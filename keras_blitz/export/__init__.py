"""A network as a file that runs without this package: ONNX, TFLite, SavedModel."""

import os

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.export.onnx import export_onnx
from keras_blitz.export.reading import Exported, open_exported
from keras_blitz.export.saved_model import save_saved_model
from keras_blitz.export.tflite import export_tflite

__all__ = ["Exported", "export_onnx", "export_tflite", "open_exported", "run_onnx", "save_saved_model"]


def run_onnx(path: str | os.PathLike[str], images: np.ndarray) -> np.ndarray:
    """Return what onnxruntime makes of images, in the file's layout, where the file has one input and one output.

    Raises:
        BlitzError: onnxruntime is not installed, or the file is missing, broken or does not take these images.
    """
    opened = open_exported(path)
    if len(opened.inputs) != 1 or len(opened.outputs) != 1:
        raise BlitzError(
            f"{path}: has {len(opened.inputs)} inputs and {len(opened.outputs)} outputs; open_exported runs it"
        )
    return opened.run({opened.inputs[0].name: images})[opened.outputs[0].name]
