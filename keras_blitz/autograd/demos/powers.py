"""Q = 3a³ − b² and a vector function: products with their derivatives, and the graph."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_blitz.autograd.graph import trace
from keras_blitz.autograd.products import hvp, jacobian, jvp, vjp
from keras_blitz.autograd.tape import Gradients

A, B = (2.0, 3.0), (6.0, 4.0)


def powers(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Return Q = 3a³ − b²."""
    return 3 * a**3 - b**2


def leaves() -> dict[str, tf.Tensor]:
    """Return the tutorial's a and b."""
    return {"a": tf.constant(A, "float64"), "b": tf.constant(B, "float64")}


def a2_powers(a=A, b=B, gradient=(1.0, 1.0), *, dtype: str = "float64") -> dict:
    """A2: backward through Q with an external gradient.

    a.grad = 9a² · gradient        b.grad = −2b · gradient

    Args:
        a, b, gradient: of one shape.
        dtype: "float32" or "float64".

    Source: blitz/autograd_tutorial.
    """
    a, b = tf.constant(a, dtype), tf.constant(b, dtype)
    gradients = Gradients([a, b])
    with gradients.record() as recording:
        q = powers(a, b)
    recording.backward(q, gradient=gradient)
    return {"Q": q.numpy(), "a.grad": gradients.grad(a).numpy(), "b.grad": gradients.grad(b).numpy()}


def a3_powers_summed(a=A, b=B, *, dtype: str = "float64") -> dict:
    """A3: backward through `Q.sum()`, one value, which needs no external gradient.

    a.grad = 9a²        b.grad = −2b

    Source: blitz/autograd_tutorial.
    """
    a, b = tf.constant(a, dtype), tf.constant(b, dtype)
    gradients = Gradients([a, b])
    with gradients.record() as recording:
        total = tf.reduce_sum(powers(a, b))
    recording.backward(total)
    return {"Q.sum": total.numpy(), "a.grad": gradients.grad(a).numpy(), "b.grad": gradients.grad(b).numpy()}


def vector_function(x: tf.Tensor) -> tf.Tensor:
    """Return y = (x0² · x1, sin(x1) + x2, x0 · x1 · x2), from (3,) to (3,)."""
    return tf.stack([x[0] ** 2 * x[1], tf.sin(x[1]) + x[2], x[0] * x[1] * x[2]])


def a4_products(x=(1.0, 2.0, 3.0), vector=(0.1, 1.0, 0.01), *, dtype: str = "float64") -> dict:
    """A4: vector-Jacobian, Jacobian-vector and Hessian-vector product, and what the whole matrices give.

    vjp = vᵀJ        jvp = Jv        hvp = Hv, H of y.sum()

    Args:
        x, vector: (3,).
        dtype: "float32" or "float64".
    """
    x, vector = tf.constant(x, dtype), tf.constant(vector, dtype)

    def summed(x):
        return tf.reduce_sum(vector_function(x))

    def slope(x):
        return vjp(summed, [x])[1][0]

    (whole,), (hessian,) = jacobian(vector_function, [x]), jacobian(slope, [x])
    found = {
        "jacobian": whole,
        "hessian": hessian,
        "vjp": vjp(vector_function, [x], vector)[1][0],
        "vjp by the jacobian": tf.linalg.matvec(whole, vector, transpose_a=True),
        "jvp": jvp(vector_function, [x], [vector])[1],
        "jvp by the jacobian": tf.linalg.matvec(whole, vector),
        "hvp": hvp(summed, [x], [vector])[1][0],
        "hvp by the hessian": tf.linalg.matvec(hessian, vector),
    }
    return {name: value.numpy() for name, value in found.items()}


def a5_graph(function: Callable = powers, **given) -> dict:
    """A5: the graph of recorded operations, drawn.

    Args:
        function: of the leaves by name.
        given: its leaves, tensors; none: those of A2.

    Returns:
        `text`, `dot`, `operations` (backward functions, outputs first), `leaves`, and `edges`, sorted.

    Source: blitz/autograd_tutorial, "Computational Graph".
    """
    graph = trace(function, **(given or leaves()))
    nodes = list(graph.nodes.values())
    edges = [(graph.nodes[node].label, graph.nodes[source].label) for node, source in graph.edges()]
    return {
        "text": graph.text(),
        "dot": graph.dot(),
        "operations": np.array([node.label for node in reversed(nodes) if not node.leaf]),
        "leaves": np.array([node.label for node in nodes if node.leaf]),
        "edges": np.array(sorted(f"{node} -> {source}" for node, source in edges)),
    }
