"""The demos of keras_blitz.autograd, under a trace's names."""

import numpy as np
import tensorflow as tf

from keras_blitz.autograd import Gradients, demos, hook


def _named(found: dict) -> dict:
    """Return a demo's values by what they are: `x.grad` is a gradient; truth values and texts are facts."""
    return {_name(name, np.asarray(value)): value for name, value in found.items()}


def _name(name: str, value: np.ndarray) -> str:
    if name.endswith(".grad"):
        return f"grad:{name.removesuffix('.grad')}"
    return f"output:{name}" if value.dtype.kind in "fi" else f"fact:{name}"


def powers(a, b, gradient) -> dict:
    """A2."""
    return _named(demos.a2_powers(a, b, gradient, dtype=a.dtype))


def powers_summed(a, b) -> dict:
    """A3."""
    return _named(demos.a3_powers_summed(a, b, dtype=a.dtype))


def products(x, vector) -> dict:
    """A4."""
    return _named(demos.a4_products(x, vector, dtype=x.dtype))


def graph() -> dict:
    """A5: its edges, sorted; a leaf goes by its name."""
    found = demos.a5_graph()
    return {"fact:edges": found["edges"], "fact:leaves": found["leaves"]}


def control_flow(inputs) -> dict:
    """A6."""
    return _named(demos.a6_control_flow(inputs, dtype=inputs.dtype))


def propagation(x, y, z) -> dict:
    """A7."""
    return _named(demos.a7_propagation(x, y, z, dtype=x.dtype))


def logits(x, w, b, y) -> dict:
    """A9; the loss is one function in PyTorch and several in TensorFlow, so only that of z is compared by name."""
    found = demos.a9_logits(x, w, b, y, dtype=x.dtype)
    del found["loss.grad_fn"]
    return _named(found)


def switches(x) -> dict:
    """A10."""
    return _named(demos.a10_switches(x, dtype=x.dtype))


def backward_twice(inputs) -> dict:
    """A11: the gradient after each pass."""
    return {f"grad:{name}": value for name, value in demos.a11_backward_twice(inputs, dtype=inputs.dtype).items()}


def small_batches(x, y, w, *, k: int) -> dict:
    """A12: the gradients."""
    return {f"grad:{name}": value for name, value in demos.a12_small_batches(x, y, w, k, dtype=x.dtype).items()}


def net(images, gradient, target, **state) -> dict:
    """A13: both backward passes and the parameters after the step."""
    state = {name: value.numpy() for name, value in state.items()}
    images = tf.transpose(images, [0, 2, 3, 1])
    found = demos.a13_lenet_step(state, images, gradient, target, dtype=images.dtype)
    kinds = {"random": "grad:random", "grad": "grad", "state": "step1:param"}
    parts = {name: name.partition(".")[::2] for name in found if name.partition(".")[0] in kinds}
    return {
        "output": found["output"],
        "loss": found["loss"],
        "fact:absent before": found["conv1.bias.grad is None before"],
        **{f"{kinds[kind]}:{name}": found[key] for key, (kind, name) in parts.items()},
    }


def leaves(x, gradient) -> dict:
    """A14."""
    found = demos.a14_scalars_and_leaves(x, gradient, dtype=x.dtype)
    return {
        "fact:x is a leaf": found["x is a leaf"],
        "fact:y is a leaf": found["y is a leaf"],
        "fact:error": found["error of y.backward()"].partition(";")[0],
        "fact:second backward fails": bool(found["error of a second backward"]),
        "grad:y": found["y.grad"],
        "grad:x of y": found["x.grad of y"],
        "grad:x of z": found["x.grad of z"],
    }


def hooks(x, unused) -> dict:
    """The tape layer's hooks, absent gradients and the two ways of zeroing."""
    gradients = Gradients([x, unused])
    with gradients.record() as recording:
        hooked = hook(x, lambda gradient: 3 * gradient)
        loss = tf.reduce_sum(hooked**2 + 0 * x)
        cut = tf.reduce_sum(0 * x)
    recording.backward(loss, retain_graph=True)
    found = {"loss": loss, "grad:x": gradients.grad(x), "grad:unused": gradients.grad(unused)}
    gradients.zero_grad(set_to_none=False)
    found |= {"fact:x is zeroed": not np.any(gradients.grad(x)), "grad:unused zeroed": gradients.grad(unused)}
    gradients.zero_grad()
    found["grad:x forgotten"] = gradients.grad(x)
    recording.backward(cut)
    return found | {"fact:x times 0 is zeros": not np.any(gradients.grad(x))}


def two_layers(x, y, w1, w2, *, lr: float, steps: int) -> dict:
    """A15."""
    found = demos.a15_two_layers_by_hand(x, y, w1, w2, lr=lr, steps=steps, dtype=x.dtype.name)
    return _named(found)
