"""PyTorch's tensor functions in keras_blitz."""

from typing import Any

import tensorflow as tf

from keras_blitz import ops
from parity.twins.arguments import named, positional


def calls(*, calls: tuple, **arrays) -> dict:
    """Return what each function gives, and the gradients of its first result for the floating tensors it took.

    Args:
        calls: see parity/cases/ops.py.
        arrays: the tensors.
    """
    found: dict[str, Any] = {}
    for key, name, names, options in calls:
        taken = {each: tf.identity(arrays[each.split("=")[-1]]) for each in names}
        leaves = {each: tensor for each, tensor in taken.items() if tensor.dtype.is_floating}
        with tf.GradientTape() as tape:
            tape.watch(list(leaves.values()))
            value = getattr(ops, name)(*positional(taken, options), **named(taken, options))
            outputs = list(value) if isinstance(value, tuple) else [value]
            if name == "svd":
                outputs = [value.S]
        found |= {f"output:{key}.{number}": tf.convert_to_tensor(each) for number, each in enumerate(outputs)}
        if isinstance(outputs[0], tf.Tensor) and outputs[0].dtype.is_floating and leaves:
            upstream = tf.reshape(tf.range(1, tf.size(outputs[0]) + 1), tf.shape(outputs[0]))
            gradients = tape.gradient(outputs[0], list(leaves.values()), tf.cast(upstream, outputs[0].dtype))
            found |= {
                f"grad:{key}.{each}": None if gradient is None else tf.convert_to_tensor(gradient)
                for each, gradient in zip(leaves, gradients, strict=True)
            }
    return found
