"""A network as ONNX."""

import logging
import os
import warnings

import numpy as np

from keras_blitz.export.names import names_of, structured
from keras_blitz.export.needs import need
from keras_blitz.files import atomic_path

OPSET = 17
# Values of a weight from which on tf2onnx is given it as an input: of a constant it makes so many copies that VGG16's
# 550 MB take over 22 GB. Small ones stay constants, so that it folds BatchNorm into the convolutions that have them.
LARGE = 1 << 18


def export_onnx(model, path: str | os.PathLike[str], channels_first: bool = False) -> None:
    """Write a network in eval mode as an ONNX file, whole or not at all; the batch size stays open.

    Args:
        model: a functional Keras model.
        path: ending in .onnx. One input is called "input", one output "output"; several have the model's own names.
        channels_first: let inputs of four axes be (N, C, H, W), as in a file that `torch.onnx.export` wrote.

    Raises:
        BlitzError: tf2onnx is not installed, or the file cannot be written.
    """
    need("tf2onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy's old names, which tf2onnx uses
        import keras
        import tensorflow as tf
        import tf2onnx

        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        inputs, outputs = names_of(model)
        given = [
            tf.TensorSpec(tensor.shape, tensor.dtype, name=name)
            for name, tensor in zip(inputs, model.inputs, strict=True)
        ]
        large = [variable for variable in model.variables if np.prod(variable.shape) >= LARGE]
        weights = {f"weight{number}": variable for number, variable in enumerate(large)}
        specs = [tf.TensorSpec(variable.shape, variable.dtype, name=name) for name, variable in weights.items()]

        def forward(*values):
            with keras.StatelessScope(zip(weights.values(), values[len(given) :], strict=True)):
                called = model(structured(model, values[: len(given)]), training=False)
            return [tf.identity(each) for each in keras.tree.flatten(called)]

        images = [spec.name for spec in given if len(spec.shape) == 4]
        with atomic_path(path) as temporary:
            proto, _ = tf2onnx.convert.from_function(
                tf.function(forward), [*given, *specs], opset=OPSET, inputs_as_nchw=images if channels_first else None
            )
            _rename_outputs(proto.graph, outputs)
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


def _rename_outputs(graph, names: list[str]) -> None:
    """Give the outputs these names, wherever the graph has theirs."""
    new = dict(zip([output.name for output in graph.output], names, strict=True))
    for node in graph.node:
        for of in (node.input, node.output):
            of[:] = [new.get(name, name) for name in of]
    for output in graph.output:
        output.name = new[output.name]
