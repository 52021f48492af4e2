"""Gradients through Python's control flow, and gradients that add up."""

import numpy as np
import tensorflow as tf

from keras_blitz.autograd.tape import Gradients
from keras_blitz.losses import MSELoss
from keras_blitz.random import Generator


def a6_control_flow(inputs=(0.5, -3.0, 700.0, -0.01), limit: float = 1000.0, *, dtype: str = "float64") -> dict:
    """A6: a graph that each input builds from scratch: a loop of unknown length, then a branch.

    b = 2a, doubled until |b| ≥ limit;  c = b if b > 0, else 100b        dc/da = c/a

    Args:
        inputs: a, one after the other, not 0.
        limit: > 0.
        dtype: "float32" or "float64".
    """
    outputs, slopes, doublings = [], [], []
    for value in inputs:
        a = tf.constant(value, dtype)
        gradients = Gradients([a])
        with gradients.record() as recording:
            b, count = a * 2, 1
            while tf.abs(b) < limit:
                b, count = b * 2, count + 1
            c = b if b > 0 else 100 * b
        recording.backward(c)
        outputs.append(c.numpy())
        slopes.append(gradients.grad(a).numpy())
        doublings.append(count)
    return {"c": np.array(outputs), "a.grad": np.array(slopes), "doublings": np.array(doublings)}


def a11_backward_twice(inputs=None, *, dtype: str = "float64") -> dict:
    """A11: out = (inp + 1)², backward with ones; again, which adds; zeroed, and once more.

    inp.grad = 2 · (inp + 1), then twice that, then the first again

    Args:
        inputs: any shape; None: eye(5).
        dtype: "float32" or "float64".

    Source: beginner/basics/autogradqs_tutorial, "Tensor Gradients and Jacobian Products".
    """
    inputs = tf.constant(np.eye(5) if inputs is None else inputs, dtype)
    gradients, found = Gradients([inputs]), {}
    with gradients.record() as recording:
        out = (inputs + 1) ** 2
    recording.backward(out, tf.ones_like(out), retain_graph=True)
    found["first"] = gradients.grad(inputs).numpy()
    recording.backward(out, tf.ones_like(out), retain_graph=True)
    found["second"] = gradients.grad(inputs).numpy()
    gradients.zero_grad()
    recording.backward(out, tf.ones_like(out))
    found["zeroed"] = gradients.grad(inputs).numpy()
    return found


def a12_small_batches(x=None, y=None, w=None, k: int = 3, *, dtype: str = "float64") -> dict:
    """A12: k small batches whose gradients add up to one large batch's; and zeroing forgotten.

    Σ_j ∂(loss_j / k)/∂w = ∂loss/∂w        mean squared error of x·w against y, N/k examples in each small batch

    Args:
        x, y, w: (N, m), (N, n), (m, n); None: normal, (12, 4), (12, 2), (4, 2).
        k: number of small batches; divides N.
        dtype: "float32" or "float64".

    Returns:
        w's gradient of the `whole`, `accumulated`, and `forgotten`: the whole's a second time without zeroing.
    """
    generator = Generator().manual_seed(0)
    x = tf.constant(generator.randn(12, 4, dtype=dtype) if x is None else x, dtype)
    y = tf.constant(generator.randn(12, 2, dtype=dtype) if y is None else y, dtype)
    w = tf.constant(generator.randn(4, 2, dtype=dtype) if w is None else w, dtype)
    gradients = Gradients([w])

    def accumulate(batches, share):
        for inputs, targets in batches:
            with gradients.record() as recording:
                loss = MSELoss()(targets, inputs @ w) / share
            recording.backward(loss)
        return gradients.grad(w).numpy()

    found = {"whole": accumulate([(x, y)], 1)}
    found["forgotten"] = accumulate([(x, y)], 1)
    gradients.zero_grad()
    found["accumulated"] = accumulate(zip(tf.split(x, k), tf.split(y, k), strict=True), k)
    return found
