"""What a translator made of a network, measured against PyTorch: its error, its gradients, a line of JSON."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from networks import Question, ask

OUTPUTS, GRADIENTS = 1e-4, 1e-3  # allowed in float32, relative to the tensor's largest value
PACKED = (1, 2, 3, 4)  # a parameter may be held in so many parts: an LSTM's gates, an attention's q, k and v


@dataclass(frozen=True)
class Answer:
    """A translation.

    Args:
        output: in PyTorch's layout.
        transposes: that it has, as operations of its graph.
        lines: of source; None: it has none.
        trainable: (value, gradient) of each of its weights that can be trained.
    """

    output: np.ndarray
    transposes: int
    lines: int | None = None
    trainable: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)


def to_keras(array: np.ndarray) -> np.ndarray:
    """Return images (N, C, H, W) with their channels last; anything else as it is."""
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def to_torch(array: np.ndarray) -> np.ndarray:
    """Return images (N, H, W, C) with their channels second; anything else as it is."""
    return np.moveaxis(array, -1, 1) if array.ndim == 4 else array


def run_keras(model: Any, question: Question) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Return a Keras model's output in eval mode, in PyTorch's layout, and (value, gradient) of each weight."""
    import tensorflow as tf

    variables = [each if isinstance(each, tf.Variable) else each.value for each in model.trainable_weights]
    with tf.GradientTape() as tape:
        output = model(to_keras(question.given.numpy()), training=False)
        loss = tf.reduce_sum(output * to_keras(question.upstream))
    gradients = [
        tf.convert_to_tensor(each).numpy() for each in tape.gradient(loss, variables, unconnected_gradients="zero")
    ]
    values = [each.numpy() for each in variables]
    return to_torch(output.numpy()), list(zip(values, gradients, strict=True))


def count_agreeing(question: Question, trainable: list[tuple[np.ndarray, np.ndarray]]) -> int:
    """Return how many of PyTorch's parameters have a weight of the same values, with the same gradient.

    Weights are found by their values and compared in the order of these, since a translator may rename and permute
    them. A parameter may be held in equal parts, an LSTM's gates or an attention's query, key and value.
    """
    held = [_by_value(*each) for each in trainable]
    largest = {name: abs(each).max() or 1 for name, each in question.gradients.items()}
    return sum(
        any(
            all(_has(held, *part, largest[name]) for part in zip(*_split(value, gradient, parts), strict=True))
            for parts in PACKED
        )
        for name, gradient in question.gradients.items()
        for value in [question.parameters[name]]
    )


def _split(value: np.ndarray, gradient: np.ndarray, parts: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return (np.array_split(value, parts), np.array_split(gradient, parts))


def _by_value(value: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Return value + i·gradient, flat, in the order of the values; equal values in that of their gradients."""
    return np.sort((value + 1j * gradient).astype("complex64").ravel())


def _has(held: list[np.ndarray], value: np.ndarray, gradient: np.ndarray, largest: float) -> bool:
    wanted = _by_value(value, gradient)
    return any(
        np.array_equal(wanted.real, other.real) and bool((abs(wanted.imag - other.imag) <= GRADIENTS * largest).all())
        for other in held
        if other.shape == wanted.shape
    )


def main(translate: Callable[[Question], Any], answer: Callable[[Any, Question], Answer]) -> None:
    """Translate the network that the command line names, and write what was measured to the file that it names.

    Args:
        translate: returns whatever the translator makes; this alone is timed, in seconds of CPU time.
        answer: runs that.
    """
    name, path = sys.argv[1:]
    question = ask(name)
    begun = time.process_time()
    made = translate(question)
    seconds = time.process_time() - begun
    found = answer(made, question)
    error = float(abs(found.output - question.output).max() / abs(question.output).max())
    row = {
        "error": error,
        "passes": error <= OUTPUTS,  # False where it is not finite
        "parameters": len(question.gradients),
        "agreeing": count_agreeing(question, found.trainable) if found.trainable else None,
        "transposes": found.transposes,
        "lines": found.lines,
        "seconds": round(seconds, 1),
    }
    Path(path).write_text(json.dumps(row), encoding="utf-8")
