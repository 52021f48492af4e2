"""The losses of keras_blitz, with their gradients."""

import tensorflow as tf

from keras_blitz import losses


def loss(x, y, upstream=None, *, name: str, weights: dict, hard: bool = False, **options) -> dict:
    """Return a loss, and its gradients for the prediction and for a soft target, as PyTorch lays them out.

    Args:
        x: prediction; classes on axis 1.
        y: target.
        upstream: what comes back from behind an unreduced loss.
        name: of the class in keras_blitz.losses.
        weights: the class's arguments that are tensors.
        hard: the target takes no gradient: it is no number but a choice.
        options: its other arguments.
    """
    module = getattr(losses, name)(**weights, **options)
    soft = {"x": x} | ({"y": y} if y.dtype.is_floating and not hard else {})
    with tf.GradientTape() as tape:
        tape.watch(list(soft.values()))
        value = module(_classes_last(y), _classes_last(x)) if name in ("CrossEntropyLoss", "NLLLoss") else module(y, x)
    gradients = tape.gradient(value, list(soft.values()), upstream)
    return {"loss": value} | {f"grad:{key}": gradient for key, gradient in zip(soft, gradients, strict=True)}


def _classes_last(tensor):
    """Move axis 1 to the end; class indices have no such axis."""
    if not tensor.dtype.is_floating or tensor.shape.rank < 3:
        return tensor
    return tf.transpose(tensor, [0, *range(2, tensor.shape.rank), 1])
