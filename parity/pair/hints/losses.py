"""Reasons why a loss differs though the outputs do not: Keras's is computed again, otherwise spelled."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.losses import BCELoss
from parity.core.tolerance import SAME_VALUE
from parity.pair.hints.clue import Hint, vanishes

SMOOTHINGS = (0.1, 0.05, 0.2)  # what people give; tried where PyTorch's loss is a function and does not say


@dataclass(frozen=True)
class LossClue:
    """A loss that differs though its arguments do not.

    Args:
        theirs: PyTorch's loss, a module or a function.
        ours: Keras's, an object or a function.
        target: what Keras's is given.
        output: likewise, as PyTorch's has it.
        actual: Keras's value, as it is part of the training step.
        expected: PyTorch's value.
        bound: within which a value is PyTorch's, relative.
    """

    theirs: Any
    ours: Any
    target: Any
    output: Any
    actual: float
    expected: float
    bound: float = SAME_VALUE

    def agrees(self, value: Any) -> bool:
        """Whether a loss has PyTorch's value; several values are averaged."""
        before, error = (abs(float(np.mean(each)) - self.expected) for each in (self.actual, value))
        scale = abs(self.expected) or 1.0
        return vanishes(error / scale, before / scale, self.bound)

    def has(self, *names: str) -> bool:
        """Whether Keras's loss is one of these, by its class or its function's name, "MeanSquaredError"."""
        own = getattr(self.ours, "__name__", type(self.ours).__name__)
        return own.lower().replace("_", "") in [name.lower() for name in names]


def _change(loss: Any, **settings: Any) -> Any:
    """Return a Keras loss, or one of its functions, with other settings; raises where it has none of them."""
    if not isinstance(loss, keras.losses.Loss):
        signature(loss).bind_partial(**settings)
        return partial(loss, **settings)
    config = loss.get_config()
    if not set(settings) <= set(config):
        raise TypeError(f"{type(loss).__name__} has no {', '.join(settings)}")
    made = type(loss).from_config({**config, **settings})
    reduction = settings.get("reduction", loss.reduction)
    keras.losses.Loss.__init__(made, name=loss.name, reduction=reduction, dtype=loss.dtype)
    return made


def _logits(clue: LossClue) -> bool | None:
    """Return what `from_logits` must be for the losses to agree; None where it is not the reason."""
    for value in (True, False):
        if clue.agrees(_change(clue.ours, from_logits=value)(clue.target, clue.output)):
            return value
    return None


def _is_binary(clue: LossClue) -> bool:
    return clue.has("BinaryCrossentropy", "BinaryFocalCrossentropy")


def _from_logits(clue: LossClue, *, binary: bool) -> str:
    if _is_binary(clue) != binary or _is_probability(clue.output, binary) or not _logits(clue):
        return ""
    return "PyTorch's takes logits, and with from_logits=True it agrees"


def _is_probability(output: Any, binary: bool) -> bool:
    values = np.asarray(output)
    inside = bool((values >= 0).all() and (values <= 1).all())
    return inside and (binary or bool(np.allclose(values.sum(-1), 1, atol=SAME_VALUE)))


def _twice(clue: LossClue) -> str:
    """The output is a probability already, and one of the losses takes it for a logit."""
    binary = _is_binary(clue)
    if not _is_probability(clue.output, binary):
        return ""
    what, logits = "sigmoid" if binary else "softmax", _logits(clue)
    if logits is None:
        return ""
    side = "PyTorch's" if logits else "Keras's"
    return (
        f"the model's output is a {what} already and {side} loss takes a {what} again, {what} twice: with "
        f"from_logits={logits} Keras's agrees"
    )


def _probabilities(clue: LossClue) -> str:
    if not _is_binary(clue) or _is_probability(clue.output, True) or _logits(clue) is not False:
        return ""
    return "PyTorch's takes probabilities, and with from_logits=False it agrees"


def _log_probabilities(clue: LossClue) -> str:
    value = _change(clue.ours, from_logits=False)(clue.target, tf.exp(clue.output))
    return "PyTorch's takes log-probabilities, and given exp(output) Keras's agrees" * clue.agrees(value)


def _exponential(clue: LossClue, name: str, what: str) -> str:
    if not clue.has(name):
        return ""
    agrees = clue.agrees(clue.ours(clue.target, tf.exp(clue.output)))
    return f"PyTorch's takes {what}, and given exp(output) Keras's agrees" * agrees


def _broadcast(clue: LossClue) -> str:
    """PyTorch subtracts (N,) from (N, 1) by broadcasting, N×N values; Keras squeezes the last axis first."""
    target, output = tf.convert_to_tensor(clue.target), tf.convert_to_tensor(clue.output)
    if target.shape == output.shape:
        return ""
    shape = np.broadcast_shapes(tuple(target.shape), tuple(output.shape))
    value = clue.ours(tf.broadcast_to(target, shape), tf.broadcast_to(output, shape))
    if not clue.agrees(value):
        return ""
    return (
        f"PyTorch's has an output {tuple(output.shape)} and a target {tuple(target.shape)} broadcast to {shape}, and "
        "so broadcast Keras's agrees: give the target the output's shape"
    )


def _label_smoothing(clue: LossClue) -> str:
    given = getattr(clue.theirs, "label_smoothing", None)
    for smoothing in SMOOTHINGS if given is None else (given,):
        for loss, target in _smooth(clue, smoothing):
            if clue.agrees(loss(target, clue.output)):
                return f"PyTorch's label_smoothing is {smoothing:g}, and with it Keras's agrees"
    return ""


def _smooth(clue: LossClue, smoothing: float) -> Iterator[tuple[Any, Any]]:
    """Return Keras's loss with this smoothing and its target, one-hot where Keras has it for one-hot targets only."""
    if clue.has("SparseCategoricalCrossentropy"):
        logits = clue.ours.get_config()["from_logits"] if isinstance(clue.ours, keras.losses.Loss) else False
        loss = keras.losses.CategoricalCrossentropy(logits, smoothing, dtype=clue.output.dtype)
        classes = clue.output.shape[-1]
        yield loss, tf.one_hot(tf.cast(tf.reshape(clue.target, clue.output.shape[:-1]), "int32"), classes)
    else:
        yield _change(clue.ours, label_smoothing=smoothing), clue.target


def _labels(clue: LossClue) -> np.ndarray:
    return np.asarray(clue.target).reshape(clue.output.shape[:-1]).astype(int)


def _ignored(clue: LossClue) -> str:
    """PyTorch leaves a class out of the sum, and out of the number that it divides by."""
    ignored = getattr(clue.theirs, "ignore_index", None)
    counted = _labels(clue) != ignored
    if ignored is None or counted.all():
        return ""
    values = _each(clue, np.where(counted, _labels(clue), 0))
    if not clue.agrees(values[counted].mean()):
        return ""
    return f"PyTorch leaves out targets of ignore_index={ignored}, and Keras's mean over the others agrees"


def _class_weight(clue: LossClue) -> str:
    """PyTorch divides by the sum of the examples' weights, Keras by their number."""
    weight = getattr(clue.theirs, "weight", None)
    if weight is None:
        return ""
    weights = np.asarray(weight.detach())[_labels(clue)]
    if not clue.agrees((_each(clue, _labels(clue)) * weights).sum() / weights.sum()):
        return ""
    return "PyTorch weighs classes and divides by the sum of the weights, not by N, and so weighed Keras's agrees"


def _each(clue: LossClue, labels: np.ndarray) -> np.ndarray:
    """Return Keras's loss of each example, not reduced."""
    return np.asarray(_change(clue.ours, reduction=None)(tf.constant(labels), clue.output))


REDUCTIONS = {
    "mse-reduction": ("MeanSquaredError",),
    "l1-reduction": ("MeanAbsoluteError",),
    "huber-reduction": ("Huber",),
    "kldiv-batchmean": ("KLDivergence", "KLDiv", "KLDivLoss"),
}


def _reduction(clue: LossClue, gap: str) -> str:
    """Keras's value times a number of values: the losses divide by other numbers."""
    known = next((each for each, names in REDUCTIONS.items() if clue.has(*names)), "")
    shape = tuple(np.shape(clue.output))
    if known != gap or not shape:
        return ""
    rest = int(np.prod(shape[1:]))
    numbers = {"values": shape[0] * rest, "examples": shape[0], "values of each example": rest, "last axis": shape[-1]}
    for what, number in numbers.items():
        if number == 1:
            continue
        if clue.agrees(clue.actual * number):
            return f"PyTorch's is {number} × Keras's, the number of {what}: one sums where the other averages"
        if clue.agrees(clue.actual / number):
            return f"Keras's is {number} × PyTorch's, the number of {what}: one sums where the other averages"
    return ""


def _clamp(clue: LossClue) -> str:
    """Keras clips probabilities to 1e-7, PyTorch clamps the logarithm at −100."""
    if not clue.has("BinaryCrossentropy") or not _is_probability(clue.output, True):
        return ""
    agrees = clue.agrees(BCELoss()(clue.target, clue.output))
    return "Keras clips probabilities at 1e-7, PyTorch logarithms at −100, and with PyTorch's it agrees" * agrees


def _delta(clue: LossClue) -> str:
    """SmoothL1Loss(beta) is HuberLoss(delta=beta) / beta."""
    beta, delta = (getattr(clue.theirs, name, None) for name in ("beta", "delta"))
    theirs = beta or delta
    if not clue.has("Huber") or not theirs:
        return ""
    value = keras.losses.huber(clue.target, clue.output, delta=theirs)  # not in Huber's configuration
    if not clue.agrees(tf.reduce_mean(value) / (beta or 1.0)):
        return ""
    return f"with delta={theirs:g}{' and divided by it' if beta else ''}, as in PyTorch, Keras's agrees"


def _without_what_is_added(clue: LossClue) -> str:
    if not clue.agrees(clue.ours(clue.target, clue.output)):
        return ""
    return (
        "the Keras model adds to its loss (add_loss, an activity regularizer), and without that the loss is PyTorch's"
    )


HINTS = (
    Hint("", _without_what_is_added),
    Hint("mse-broadcast", _broadcast),
    Hint("ce-softmax-in-model", _twice),
    Hint("nll", _log_probabilities),  # before ce-logits: the softmax of log-probabilities is the same
    Hint("ce-logits", partial(_from_logits, binary=False)),
    Hint("bce-with-logits", partial(_from_logits, binary=True)),
    Hint("bce-with-logits", _probabilities),
    Hint("ce-label-smoothing", _label_smoothing),
    Hint("ce-ignore-index-mean", _ignored),
    Hint("ce-class-weight", _class_weight),
    Hint("bce-clamp", _clamp),
    Hint("smoothl1-huber", _delta),
    Hint("poisson-nll", partial(_exponential, name="Poisson", what="the logarithm of the rate")),
    Hint("kldiv", partial(_exponential, name="KLDivergence", what="log-probabilities")),
    *(Hint(gap, partial(_reduction, gap=gap)) for gap in [*REDUCTIONS, ""]),
)
