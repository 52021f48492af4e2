"""The losses of keras_blitz, with their gradients."""

import tensorflow as tf

from keras_blitz import losses


def loss(x, y, upstream=None, *, name: str, weights: dict, hard: bool = False, **options) -> dict:
    """Return a loss, and its gradients for the prediction and for a soft target, as PyTorch lays them out.

    Args:
        x: prediction; classes on axis 1.
        y: target.
        upstream: what comes back from what follows an unreduced loss.
        name: of the class in keras_blitz.losses.
        weights: the class's arguments that are tensors.
        hard: the target takes no gradient: it is not a number but a choice.
        options: its other arguments.
    """
    module = getattr(losses, name)(**weights, **options)
    soft = {"x": x} | ({"y": y} if y.dtype.is_floating and not hard else {})
    with tf.GradientTape() as tape:
        tape.watch(list(soft.values()))
        value = module(_classes_last(y), _classes_last(x)) if name in ("CrossEntropyLoss", "NLLLoss") else module(y, x)
    gradients = tape.gradient(value, list(soft.values()), upstream)
    return {"loss": value} | {f"grad:{key}": gradient for key, gradient in zip(soft, gradients, strict=True)}


def of_several(x1, x2=None, x3=None, y=None, upstream=None, *, name: str, options: dict) -> dict:
    """Return a loss of up to three predictions, and its gradients for them and for a soft target.

    Args:
        x1, x2, x3: predictions.
        y: target; None of a loss that has none.
        upstream: the gradient of an unreduced loss.
        name: of the class in keras_blitz.losses.
        options: its arguments; "hard": the target takes no gradient.
    """
    options = dict(options)
    hard = options.pop("hard", False)
    predictions = {name: x for name, x in {"x1": x1, "x2": x2, "x3": x3}.items() if x is not None}
    soft = predictions | ({} if hard or y is None or not y.dtype.is_floating else {"y": y})
    with tf.GradientTape() as tape:
        tape.watch(list(soft.values()))
        value = getattr(losses, name)(**options)(y, x1 if len(predictions) == 1 else tuple(predictions.values()))
    gradients = tape.gradient(value, list(soft.values()), upstream)
    return {"loss": value} | {f"grad:{key}": gradient for key, gradient in zip(soft, gradients, strict=True)}


def ctc(x, targets, input_lengths, target_lengths, upstream=None, *, name: str, options: dict) -> dict:
    """Return the CTC loss of logits (T, N, C), and its gradients for them and for their log-probabilities.

    Args:
        x: logits.
        targets, input_lengths, target_lengths: the target.
        upstream: the gradient of an unreduced loss.
        name: of the class in keras_blitz.losses.
        options: its arguments.
    """
    with tf.GradientTape() as tape:
        tape.watch(x)
        log_probs = tf.nn.log_softmax(x)
        loss = getattr(losses, name)(**options)
        value = loss((targets, input_lengths, target_lengths), tf.transpose(log_probs, [1, 0, 2]))
    to_x, to_log_probs = tape.gradient(value, [x, log_probs], upstream)
    return {"loss": value, "grad:x": to_x, "grad:log_probs": to_log_probs}


def _classes_last(tensor):
    """Move axis 1 to the end; class indices have no such axis."""
    if not tensor.dtype.is_floating or tensor.shape.rank < 3:
        return tensor
    return tf.transpose(tensor, [0, *range(2, tensor.shape.rank), 1])
