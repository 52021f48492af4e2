"""Backpropagation by hand, in NumPy, beside the tape's."""

import numpy as np
import tensorflow as tf

from keras_blitz.autograd.tape import Gradients
from keras_blitz.random import Generator


def a15_two_layers_by_hand(
    x=None, y=None, w1=None, w2=None, *, lr: float = 1e-6, steps: int = 5, dtype: str = "float64"
) -> dict:
    """A15: a two-layer network trained by gradients written by hand and by the tape's.

    h = x·w1,  r = max(h, 0),  p = r·w2,  loss = Σ (p − y)²
    ∂p = 2(p − y),  ∂w2 = rᵀ·∂p,  ∂r = ∂p·w2ᵀ,  ∂h = ∂r where h ≥ 0,  ∂w1 = xᵀ·∂h

    The tutorial's `clamp(min=0)` lets the gradient through at h = 0, as `tf.maximum(h, 0)` does (gap
    clamp-tensor-bounds); a relu does not.

    Args:
        x, y, w1, w2: (N, m), (N, n), (m, h), (h, n); None: normal, N = 64, m = 1000, h = 100, n = 10.
        lr: learning rate.
        steps: of plain gradient descent.
        dtype: "float32" or "float64".

    Returns:
        `losses` (one before each step), the last step's gradients and the final weights, as "numpy.…" and
        "tensorflow.…".

    Source: beginner/pytorch_with_examples, "Warm-up: NumPy".
    """
    generator = Generator().manual_seed(0)
    shapes = ((64, 1000), (64, 10), (1000, 100), (100, 10))
    x, y, w1, w2 = (
        np.asarray(generator.randn(*shape, dtype=dtype) if value is None else value, dtype)
        for value, shape in zip((x, y, w1, w2), shapes, strict=True)
    )
    by_hand, by_tape = _numpy(x, y, w1, w2, lr, steps), _tensorflow(x, y, w1, w2, lr, steps)
    return {f"numpy.{name}": value for name, value in by_hand.items()} | {
        f"tensorflow.{name}": value for name, value in by_tape.items()
    }


def _numpy(x, y, w1, w2, lr: float, steps: int) -> dict:
    losses = []
    dw1, dw2 = np.zeros_like(w1), np.zeros_like(w2)
    for _ in range(steps):
        h = x @ w1
        r = np.maximum(h, 0)
        p = r @ w2
        losses.append(np.square(p - y).sum())
        dp = 2 * (p - y)
        dw2 = r.T @ dp
        dh = np.where(h < 0, 0, dp @ w2.T)
        dw1 = x.T @ dh
        w1, w2 = w1 - lr * dw1, w2 - lr * dw2
    return {"losses": np.array(losses), "w1.grad": dw1, "w2.grad": dw2, "w1": w1, "w2": w2}


def _tensorflow(x, y, w1, w2, lr: float, steps: int) -> dict:
    w1, w2 = tf.Variable(w1), tf.Variable(w2)
    gradients, losses = Gradients([w1, w2]), []
    for _ in range(steps):
        gradients.zero_grad()
        with gradients.record() as recording:
            loss = tf.reduce_sum((tf.maximum(x @ w1, 0) @ w2 - y) ** 2)
        recording.backward(loss)
        losses.append(loss.numpy())
        for weight in (w1, w2):
            weight.assign_sub(lr * gradients.grad(weight))
    found = {"losses": np.array(losses), "w1": w1.numpy(), "w2": w2.numpy()}
    return found | {"w1.grad": gradients.grad(w1).numpy(), "w2.grad": gradients.grad(w2).numpy()}
