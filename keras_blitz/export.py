"""A network as ONNX, checked with onnxruntime, and as TensorFlow's SavedModel."""

import logging
import os
import shutil
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path

OPSET = 17


def export_onnx(model, path: str | os.PathLike, channels_first: bool = False) -> None:
    """Write a network in eval mode as an ONNX file, whole or not at all; the batch size stays open.

    Args:
        model: a Keras model of one input and one output.
        path: ending in .onnx. The input is called "input", the output "output".
        channels_first: let the input be (N, C, H, W), as in a file that `torch.onnx.export` wrote.

    Raises:
        BlitzError: tf2onnx is not installed, or the file cannot be written.
    """
    _need("tf2onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy's old names, which tf2onnx uses
        import tensorflow as tf
        import tf2onnx

        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        (spec,) = (tf.TensorSpec(tensor.shape, tensor.dtype, name="input") for tensor in model.inputs)
        forward = tf.function(lambda input: tf.identity(model(input, training=False), name="output"))
        with atomic_path(path) as temporary:
            proto, _ = tf2onnx.convert.from_function(
                forward, [spec], opset=OPSET, inputs_as_nchw=["input"] if channels_first else None
            )
            _rename_output(proto.graph)
            temporary.write_bytes(proto.SerializeToString())


def _rename_output(graph) -> None:
    (output,) = graph.output
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == output.name:
                    names[place] = "output"
    output.name = "output"


def run_onnx(path: str | os.PathLike, images: np.ndarray) -> np.ndarray:
    """Return what onnxruntime makes of images, in the file's layout.

    Raises:
        BlitzError: onnxruntime is not installed, or the file is missing, broken or does not take these images.
    """
    _need("onnxruntime")
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
        (entry,) = session.get_inputs()
        (output,) = session.run(None, {entry.name: images})
    except Exception as error:  # onnxruntime's errors have no common class
        raise BlitzError(f"{path}: {(str(error).splitlines() or ['cannot be run'])[0][:200]}") from error
    return output


def save_saved_model(model, path: str | os.PathLike) -> None:
    """Write a network in eval mode as a SavedModel folder, whole or not at all.

    `saved = tf.saved_model.load(path)`, then `saved.serve(images)` runs it without this package.

    Raises:
        BlitzError: there is something at `path` already, or it cannot be written.
    """
    path = Path(path)
    if path.exists():
        raise BlitzError(f"{path}: is there already; remove it or give another name")
    try:
        temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=path.parent))
    except OSError as error:
        raise BlitzError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        model.export(temporary / "model", format="tf_saved_model", verbose=False)
        (temporary / "model").rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _need(package: str) -> None:
    if find_spec(package) is None:
        raise BlitzError(f"this needs {package}: pip install 'keras-blitz[scripts]'")
