"""What is tracked, what is not, and what may be asked for: requires_grad, no_grad, leaves, scalars."""

from typing import Any

import numpy as np
import tensorflow as tf

from keras_blitz.autograd.graph import trace
from keras_blitz.autograd.tape import Gradients, detach
from keras_blitz.errors import BlitzError
from keras_blitz.losses import BCEWithLogitsLoss
from keras_blitz.random import Generator


def a7_propagation(x=None, y=None, z=None, *, dtype: str = "float64") -> dict:
    """A7: a result requires a gradient if one of its inputs does; x and y do not, z does.

    Args:
        x, y, z: of one shape; None: (5, 5), from 0 to 1.
        dtype: "float32" or "float64".

    Source: blitz/autograd_tutorial, "Exclusion from the DAG".
    """
    generator = Generator().manual_seed(0)
    x, y, z = (tf.constant(generator.rand(5, 5, dtype=dtype) if value is None else value, dtype) for value in (x, y, z))
    with Gradients([z]).record() as recording:
        a, b = x + y, x + z
    return {"x + y": recording.requires_grad(a), "x + z": recording.requires_grad(b)}


def a9_logits(x=None, w=None, b=None, y=None, *, dtype: str = "float64") -> dict:
    """A9: z = x·w + b and its binary cross entropy with y; the functions that the gradient passes, last first.

    z.grad = (sigmoid(z) − y) / n        b.grad = z.grad        w.grad = x ⊗ z.grad

    PyTorch names one function for the loss, BinaryCrossEntropyWithLogitsBackward0; TensorFlow computes it of several,
    the last the division of a mean.

    Args:
        x, w, b, y: (m,), (m, n), (n,), (n,); None: ones(5), normal (5, 3), normal (3,), zeros(3).
        dtype: "float32" or "float64".

    Source: beginner/basics/autogradqs_tutorial.
    """
    generator = Generator().manual_seed(0)
    x = tf.constant(np.ones(5) if x is None else x, dtype)
    w = tf.constant(generator.randn(5, 3, dtype=dtype) if w is None else w, dtype)
    b = tf.constant(generator.randn(3, dtype=dtype) if b is None else b, dtype)
    y = tf.constant(np.zeros(b.shape) if y is None else y, dtype)

    def logits(w, b):
        return (tf.expand_dims(x, 0) @ w)[0] + b

    def cross_entropy(w, b):
        return BCEWithLogitsLoss()(y, logits(w, b))

    gradients = Gradients([w, b])
    with gradients.record() as recording:
        loss = cross_entropy(w, b)
    recording.backward(loss)
    graphs = {"z": trace(logits, w=w, b=b), "loss": trace(cross_entropy, w=w, b=b)}
    return {
        "z": logits(w, b).numpy(),
        "loss": loss.numpy(),
        "w.grad": gradients.grad(w).numpy(),
        "b.grad": gradients.grad(b).numpy(),
        **{f"{name}.grad_fn": graph.nodes[graph.outputs[0]].label for name, graph in graphs.items()},
    }


def a10_switches(x=(1.0, 2.0, 3.0), *, dtype: str = "float64") -> dict:
    """A10: `requires_grad_`, `no_grad`, `set_grad_enabled` and `detach`.

    y = x² · x, with x² detached: x.grad = x², not 3x²

    Args:
        x: any shape.
        dtype: "float32" or "float64".

    Source: beginner/basics/autogradqs_tutorial, "Disabling Gradient Tracking".
    """
    x = tf.constant(x, dtype)
    with Gradients([]).record() as untracked:
        before = x**2
    gradients = Gradients([x])  # x.requires_grad_()
    with gradients.record() as recording:
        after = x**2
        with recording.no_grad():
            silent = x**2
            with recording.set_grad_enabled(True):
                enabled = x**2
        with recording.set_grad_enabled(False):
            disabled = x**2
        cut = detach(after)
        y = cut * x
    values = {"after requires_grad_": after, "no_grad": silent, "enabled in no_grad": enabled}
    values |= {"set_grad_enabled(False)": disabled, "detach": cut}
    tracked = {name: recording.requires_grad(value) for name, value in values.items()}
    recording.backward(y, gradient=tf.ones_like(y))
    return {
        "before requires_grad_": untracked.requires_grad(before),
        **tracked,
        "detached values equal": np.array_equal(cut, after),
        "x.grad": gradients.grad(x).numpy(),
    }


def a14_scalars_and_leaves(x=(1.0, 2.0, 3.0), gradient=(1.0, 0.1, 0.01), *, dtype: str = "float64") -> dict:
    """A14: a scalar needs no gradient argument, several values do; intermediate gradients; leaves.

    y = x²,  z = y.sum() · 3        y.grad = 3        x.grad = 6x        y.backward(v): x.grad = 2x · v

    Args:
        x, gradient: of one shape, more than one value.
        dtype: "float32" or "float64".
    """
    x = tf.constant(x, dtype)
    gradients = Gradients([x])
    with gradients.record() as recording:
        y = x**2
        z = tf.reduce_sum(y) * 3
    found: dict[str, Any] = {"x is a leaf": recording.is_leaf(x), "y is a leaf": recording.is_leaf(y)}
    found["y.grad"] = recording.gradient(z, [y])[0].numpy()
    found["error of y.backward()"] = _error(lambda: recording.backward(y))
    recording.backward(y, gradient=gradient, retain_graph=True)
    found["x.grad of y"] = gradients.grad(x).numpy()
    gradients.zero_grad()
    recording.backward(z)
    found["x.grad of z"] = gradients.grad(x).numpy()
    found["error of a second backward"] = _error(lambda: recording.backward(z))
    return found


def _error(action) -> str:
    try:
        action()
    except BlitzError as error:
        return str(error)
    return ""
