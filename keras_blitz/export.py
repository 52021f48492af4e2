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

__all__ = ["export_onnx", "run_onnx", "save_saved_model"]

OPSET = 17
# Values of a weight from which on tf2onnx is given it as an input: of a constant it makes so many copies that VGG16's
# 550 MB take over 22 GB. Small ones stay constants, so that it folds BatchNorm into the convolutions that have them.
LARGE = 1 << 18


def export_onnx(model, path: str | os.PathLike[str], channels_first: bool = False) -> None:
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
        import keras
        import tensorflow as tf
        import tf2onnx

        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        (spec,) = (tf.TensorSpec(tensor.shape, tensor.dtype, name="input") for tensor in model.inputs)
        large = [variable for variable in model.variables if np.prod(variable.shape) >= LARGE]
        weights = {f"weight{number}": variable for number, variable in enumerate(large)}
        specs = [tf.TensorSpec(variable.shape, variable.dtype, name=name) for name, variable in weights.items()]

        def forward(input, *values):
            with keras.StatelessScope(zip(weights.values(), values, strict=True)):
                return tf.identity(model(input, training=False), name="output")

        with atomic_path(path) as temporary:
            proto, _ = tf2onnx.convert.from_function(
                tf.function(forward), [spec, *specs], opset=OPSET, inputs_as_nchw=["input"] if channels_first else None
            )
            _rename_output(proto.graph)
            _fill_in(proto.graph, {name: variable.numpy() for name, variable in weights.items()})
            temporary.write_bytes(proto.SerializeToString())


def _fill_in(graph, weights: dict[str, np.ndarray]) -> None:
    """Make initializers of the inputs that are weights, transposed where the graph would do so in every run."""
    import onnx

    transposes = [node for node in graph.node if node.op_type == "Transpose" and node.input[0] in weights]
    filled = {
        "input": [entry for entry in graph.input if entry.name not in weights],
        "node": [node for node in graph.node if node not in transposes],
    }
    read = {name for node in filled["node"] for name in node.input}
    for field, entries in filled.items():
        graph.ClearField(field)
        getattr(graph, field).extend(entries)
    values = weights | {n.output[0]: weights[n.input[0]].transpose(n.attribute[0].ints) for n in transposes}
    for name in values.keys() & read:
        graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values[name]), name))


def _rename_output(graph) -> None:
    (output,) = graph.output
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == output.name:
                    names[place] = "output"
    output.name = "output"


def run_onnx(path: str | os.PathLike[str], images: np.ndarray) -> np.ndarray:
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


def save_saved_model(model, path: str | os.PathLike[str]) -> None:
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
