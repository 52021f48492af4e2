"""A network as TFLite (LiteRT): float32, or whole numbers of 8 bits."""

import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError, one_line
from keras_blitz.export.saved_model import save_saved_model
from keras_blitz.files import atomic_path

# The largest step of 8 bits: a range of 2.6e22 comes from a constant that stands for −∞, not from values.
LARGEST_STEP = 1e20


def export_tflite(model: Any, path: str | os.PathLike[str], examples: Any = None) -> None:
    """Write a network in eval mode as a TFLite file, whole or not at all; the batch size stays open.

    Args:
        model: a functional Keras model; the file has its input names, and "output_0", "output_1" … in its order.
        path: ending in .tflite.
        examples: None for float32. Inputs as the network sees them, (N, …) for one, a list or a dict by name for
            several, make a file of 8-bit whole numbers whose ranges are those of these examples; 100 are enough. Its
            inputs and outputs stay float32.

    Raises:
        BlitzError: the network has an operation that TFLite does not, or the file cannot be written.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        with nullcontext() if examples is None else _written_for_8_bits():
            save_saved_model(model, Path(folder) / "model")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(Path(folder) / "model"))
        if examples is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: _one_by_one(model, examples)
        try:
            with without_notice():
                blob = converter.convert()
        except Exception as error:  # the converter's errors have no common class
            raise BlitzError(f"{model.name} cannot be written as TFLite: {one_line(error)}") from error
    refuse_endless_steps(model.name, blob)
    with atomic_path(path) as temporary:
        temporary.write_bytes(blob)


@contextmanager
def _written_for_8_bits() -> Iterator[None]:
    """Write the operations whose ranges 8 bits can have, as few of them as can be: each one rounds.

    A small map as a product (`speed.Choice.small_maps`) keeps BatchNorm apart from the convolution, three operations
    that round more than the folded one: ResNet18 on 32×32 pixels has 152 operations with it.
    """
    from keras_blitz import speed
    from keras_blitz.layers.pooling import pad_by_edges

    with speed.using(small_maps=False), pad_by_edges():
        yield


def refuse_endless_steps(name: str, blob: bytes) -> None:
    """Refuse a file of whole numbers whose steps leave nothing of the values; TFLite's interpreter aborts on some.

    Args:
        name: of the file or network, for the message.
        blob: the file.

    Raises:
        BlitzError: a tensor's step is not finite, or over `LARGEST_STEP`.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    for tensor in flatbuffer_utils.convert_bytearray_to_object(bytearray(blob)).subgraphs[0].tensors:
        scale = getattr(tensor.quantization, "scale", None)
        if scale is not None and not np.all(np.abs(scale) < LARGEST_STEP):
            operation = tensor.name.decode().split(";")[-1]
            raise BlitzError(
                f"{name}: 8 bits cannot have the values of {operation}, whose step would be "
                f"{np.max(scale):.2g}: a constant like −∞ or −1e30 (a mask, a padding) has to be replaced"
            )


@contextmanager
def without_notice() -> Iterator[None]:
    """Keep TensorFlow's notice that its interpreter becomes a package of its own (ai_edge_litert) from the user."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        yield


def _one_by_one(model: Any, examples: Any) -> Iterator[dict[str, np.ndarray]]:
    """Yield each example by the names of the inputs; the converter's own order is another."""
    names = [tensor.name for tensor in model.inputs]
    if isinstance(examples, Mapping):
        given = [examples[name] for name in names]
    else:
        given = list(examples) if len(names) > 1 and isinstance(examples, Sequence) else [examples]
    for row in range(len(given[0])):
        yield {name: np.asarray(each[row : row + 1]) for name, each in zip(names, given, strict=True)}
