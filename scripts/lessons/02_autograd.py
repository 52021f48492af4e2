"""
Autograd
========

PyTorch records what is done to tensors that ``require grad``, and ``backward()`` leaves each gradient in ``.grad``,
where the next one is *added*. TensorFlow records on a ``GradientTape``, and ``tape.gradient(...)`` returns
gradients and keeps none. This lesson follows the blitz's *A Gentle Introduction to torch.autograd* and the basics'
*Automatic Differentiation*, and shows both habits next to each other.

For code that is written around ``.grad``, ``keras_blitz.autograd`` offers PyTorch's habit on top of the tape:
``Gradients`` keeps the sums, its ``record()`` is the tape, and ``recording.backward(...)`` adds to them.

In the :doc:`inventory </inventory>`: A1 to A12 and A14. A13 is in :doc:`03_networks`, A15 in
:doc:`05_numpy_pytorch_tensorflow`, and freezing (A8) in :doc:`09_finetuning`.
"""

# %%
# Setup
# -----

from parity.lessons import Lesson, torch, torchvision

import matplotlib.pyplot as plt
import tensorflow as tf

import keras_blitz
from keras_blitz import models, optim
from keras_blitz.autograd import (
    Gradients,
    detach,
    hook,
    hvp,
    jacobian,
    jvp,
    trace,
    vjp,
)
from keras_blitz.losses import BCEWithLogitsLoss, MSELoss

compare = Lesson("autograd").compare

# %%
# One step of training
# --------------------
# A ResNet18 gets one random image, the loss is the sum of what it predicts minus what it should, ``backward()``
# finds the gradients, and the optimizer takes a step. ``manual_seed(0)`` gives both networks the same initial
# values, bit for bit, so nothing has to be copied from one to the other. (A1)
#
# This loss can fall without end, whatever the labels are: its gradient is 1 for each output, so the bias of the last
# layer decreases by ``lr`` in each of its 1000 values. It is an exercise in calls, not a useful loss.
#
# We use float64 here, and ask for 1e-10 where 1e-12 is the rule: with one image of 64×64, the last BatchNorms
# divide by the spread of 2×2 values, which multiplies rounding.


# PyTorch
def with_pytorch():
    torch.manual_seed(0)
    model = torchvision.models.resnet18().double()
    data = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    labels = torch.rand(1, 1000, dtype=torch.float64)
    optim = torch.optim.SGD(
        model.parameters(), lr=1e-2, momentum=0.9
    )
    prediction = model(data)
    loss = (prediction - labels).sum()
    loss.backward()
    optim.step()
    after = (model(data) - labels).sum()
    return {
        "loss": loss,
        "conv1.weight.grad": model.conv1.weight.grad[
            0, 0, 0
        ],
        "fc.bias.grad": model.fc.bias.grad[:3],
        "loss after": after,
    }


# Keras
def with_keras():
    keras_blitz.manual_seed(0)
    model = models.resnet18(
        dtype="float64", input_shape=(64, 64, 3)
    )
    rand = keras_blitz.random.rand
    data = rand(1, 3, 64, 64, dtype="float64")
    data = tf.transpose(data, (0, 2, 3, 1))
    labels = rand(1, 1000, dtype="float64")
    optimizer = optim.SGD(lr=1e-2, momentum=0.9)
    weights = model.trainable_variables
    with tf.GradientTape() as tape:
        prediction = model(data, training=True)
        loss = tf.reduce_sum(prediction - labels)
    grads = tape.gradient(loss, weights)
    optimizer.apply(grads, weights)
    after = model(data, training=True) - labels
    by_name = {w.path: g for w, g in zip(weights, grads)}
    return {
        "loss": loss,
        "conv1.weight.grad": by_name["conv1/kernel"][
            0, :, 0, 0
        ],
        "fc.bias.grad": by_name["fc/bias"][:3],
        "loss after": tf.reduce_sum(after),
    }


compare(
    "training step",
    with_pytorch,
    with_keras,
    within=1e-10,
)

# %%
# Three things differ in the code, and none in the values. Images have their channels last. Train mode is an
# argument of the call, ``training=True``, not a state of the model. And PyTorch's kernel (out, in, height, width)
# is Keras's (height, width, in, out): ``grad[0, 0, 0]`` there is ``grad[0, :, 0, 0]`` here.
#
# Gradients by hand
# -----------------
# Q = 3a³ − b², for a and b of two values each. ∂Q/∂a = 9a² and ∂Q/∂b = −2b. Q has two values, so ``backward`` must be
# told with which weights they count: ``gradient=[1, 1]``. (A2)


# PyTorch
def with_pytorch():
    a = torch.tensor([2.0, 3.0], requires_grad=True)
    b = torch.tensor([6.0, 4.0], requires_grad=True)
    Q = 3 * a**3 - b**2
    external_grad = torch.tensor([1.0, 1.0])
    Q.backward(gradient=external_grad)
    return {"a.grad": a.grad, "b.grad": b.grad}


# Keras
def with_keras():
    a = tf.constant([2.0, 3.0])
    b = tf.constant([6.0, 4.0])
    with tf.GradientTape() as tape:
        tape.watch([a, b])
        Q = 3 * a**3 - b**2
    external_grad = tf.constant([1.0, 1.0])
    grads = tape.gradient(Q, [a, b], external_grad)
    return {"a.grad": grads[0], "b.grad": grads[1]}


compare("powers", with_pytorch, with_keras)

# %%
# A tape watches variables by itself, and tensors only when told to. That is the counterpart of ``requires_grad=True``.
#
# ``Q.sum().backward()`` is the same, because the sum's gradient for each value is 1. (A3) For several values PyTorch
# *demands* the gradient argument. TensorFlow silently takes ones: the gradient of the sum. ``keras_blitz.autograd``
# demands it, too. (A14)


# PyTorch
def with_pytorch():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = x**2
    try:
        y.backward()
        refused = False
    except RuntimeError:
        refused = True
    y.backward(torch.tensor([1.0, 0.1, 0.01]))
    return {
        "y.backward() is refused": refused,
        "x.grad": x.grad,
    }


# Keras
def with_keras():
    x = tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x**2
    tape.gradient(
        y, x
    )  # no error: the gradient of sum(y)
    v = tf.constant([1.0, 0.1, 0.01])
    return {
        "y.backward() is refused": False,
        "x.grad": tape.gradient(y, x, v),
    }


why = "the tape takes ones for the missing argument"
compare(
    "non-scalar",
    with_pytorch,
    with_keras,
    differs={"y.backward() is refused": why},
)

# %%
# Products with the Jacobian
# --------------------------
# ``backward(v)`` does not compute the Jacobian J = ∂y/∂x; it computes the product vᵀJ, in one pass. The other products
# are a pass forward (Jv) and two passes backward (Hv, H the Hessian of the sum of y). Here they are beside the whole
# matrix. (A4)


# PyTorch
def with_pytorch():
    F = torch.autograd.functional
    x = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    v = torch.tensor(
        [0.1, 1.0, 0.01], dtype=torch.float64
    )

    def y(x):
        return torch.stack(
            [
                x[0] ** 2 * x[1],
                torch.sin(x[1]) + x[2],
                x.prod(),
            ]
        )

    J = F.jacobian(y, x)
    return {
        "J": J,
        "vjp": F.vjp(y, x, v)[1],
        "v @ J": v @ J,
        "jvp": F.jvp(y, x, v)[1],
        "hvp": F.hvp(lambda x: y(x).sum(), x, v)[1],
    }


# Keras
def with_keras():
    x = tf.constant([1.0, 2.0, 3.0], tf.float64)
    v = tf.constant([0.1, 1.0, 0.01], tf.float64)

    def y(x):
        return tf.stack(
            [
                x[0] ** 2 * x[1],
                tf.sin(x[1]) + x[2],
                x[0] * x[1] * x[2],
            ]
        )

    J = jacobian(y, [x])[0]
    return {
        "J": J,
        "vjp": vjp(y, [x], v)[1][0],
        "v @ J": tf.linalg.matvec(J, v, transpose_a=True),
        "jvp": jvp(y, [x], [v])[1],
        "hvp": hvp(
            lambda x: tf.reduce_sum(y(x)), [x], [v]
        )[1][0],
    }


compare("products", with_pytorch, with_keras)

# %%
# The graph
# ---------
# PyTorch's result knows how it was computed: ``Q.grad_fn`` is the last operation, and its ``next_functions`` lead
# back to the leaves. A tape does not show what it holds. ``keras_blitz.autograd.trace`` records a function and
# draws the same graph, with PyTorch's names: the gradient enters at the top and stays in the leaves. (A5)


# PyTorch
def with_pytorch():
    a = torch.tensor([2.0, 3.0], requires_grad=True)
    b = torch.tensor([6.0, 4.0], requires_grad=True)
    Q = 3 * a**3 - b**2

    def walk(node):
        yield node.name()
        for source, _ in node.next_functions:
            if source is not None:
                yield from walk(source)

    return {"nodes": sorted(walk(Q.grad_fn))}


# Keras
def with_keras():
    a = tf.constant([2.0, 3.0])
    b = tf.constant([6.0, 4.0])
    graph = trace(lambda a, b: 3 * a**3 - b**2, a=a, b=b)
    print(graph.text())
    names = [
        "torch::autograd::AccumulateGrad"
        if node.leaf
        else node.label
        for node in graph.nodes.values()
    ]
    return {"nodes": sorted(names)}


compare("graph", with_pytorch, with_keras)

# %%
# As a picture:


def draw(graph, places):
    """Draw the nodes of a graph at the given places, and the way that gradients take between them."""
    _, axes = plt.subplots(
        figsize=(6, 4), layout="constrained"
    )
    axes.axis("off")
    colors = graph.colors()
    for name, node in graph.nodes.items():
        box = {
            "boxstyle": "round",
            "facecolor": colors[name],
        }
        axes.text(
            *places[name],
            node.label,
            ha="center",
            va="center",
            bbox=box,
            color="black",
        )
    for start, end in graph.edges():
        style = {
            "arrowstyle": "->",
            "color": "gray",
            "shrinkA": 14,
            "shrinkB": 14,
        }
        axes.annotate(
            "",
            xy=places[end],
            xytext=places[start],
            arrowprops=style,
        )
    axes.set(xlim=(-0.3, 1.3), ylim=(-0.2, 3.2))


graph = trace(
    lambda a, b: 3 * a**3 - b**2,
    a=tf.zeros(2),
    b=tf.zeros(2),
)
cube, square = [
    name
    for name, node in graph.nodes.items()
    if node.label == "PowBackward0"
]
draw(
    graph,
    {
        graph.outputs[0]: (0.5, 3),
        "mul": (0, 2),
        cube: (0, 1),
        square: (1, 1.5),
        "a": (0, 0),
        "b": (1, 0),
    },
)
plt.show()

# %%
# Control flow
# ------------
# Both frameworks record what was *done*, not what was written: a loop that runs eleven times is eleven operations.
# Here ``a`` is doubled until it is large, and multiplied by 100 if it is negative. So c = a · k, with a k that
# depends on ``a``, and the gradient is k = c / a. (A6)


# PyTorch
def with_pytorch():
    grads = []
    for value in (0.5, -3.0, 700.0):
        a = torch.tensor(value, requires_grad=True)
        b = a * 2
        while b.abs() < 1000:
            b = b * 2
        c = b if b > 0 else 100 * b
        c.backward()
        grads.append(a.grad)
    return {"a.grad": torch.stack(grads)}


# Keras
def with_keras():
    grads = []
    for value in (0.5, -3.0, 700.0):
        a = tf.constant(value)
        with tf.GradientTape() as tape:
            tape.watch(a)
            b = a * 2
            while tf.abs(b) < 1000:
                b = b * 2
            c = b if b > 0 else 100 * b
        grads.append(tape.gradient(c, a))
    return {"a.grad": tf.stack(grads)}


compare("control flow", with_pytorch, with_keras)

# %%
# What is tracked
# ---------------
# A result requires grad if one of its inputs does. (A7) With a tape, the question is which *leaves* are watched;
# ``recording.requires_grad`` answers it.
#
# Tracking is switched off by ``no_grad`` and ``set_grad_enabled``, and ``detach`` cuts a value off: it counts as a
# constant. So y = detach(x²) · x has the gradient x², and not 3x². (A10)


# PyTorch
def with_pytorch():
    x, y = torch.rand(5, 5), torch.rand(5, 5)
    z = torch.rand((5, 5), requires_grad=True)
    found = {"x + y": (x + y).requires_grad}
    found["x + z"] = (x + z).requires_grad
    with torch.no_grad():
        found["no_grad"] = (z**2).requires_grad

    w = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (w**2).detach() * w
    y.sum().backward()
    return {**found, "w.grad": w.grad}


# Keras
def with_keras():
    x, y, z = (
        tf.random.uniform((5, 5)) for _ in range(3)
    )
    with Gradients([z]).record() as recording:
        a, b = x + y, x + z
        with recording.no_grad():
            c = z**2
    found = {"x + y": recording.requires_grad(a)}
    found["x + z"] = recording.requires_grad(b)
    found["no_grad"] = recording.requires_grad(c)
    w = tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(w)
        y = detach(w**2) * w  # tf.stop_gradient
    return {**found, "w.grad": tape.gradient(y, w)}


compare("tracking", with_pytorch, with_keras)

# %%
# Logits and a loss
# -----------------
# z = x·w + b, and the binary cross entropy of z with zeros. The gradient of the loss is (sigmoid(z) − y)/3 for each of
# the three outputs; it arrives unchanged at b, and multiplied by x = 1 at each row of w. (A9)


# PyTorch
def with_pytorch():
    torch.manual_seed(0)
    x, y = torch.ones(5), torch.zeros(3)
    w = torch.randn(5, 3, requires_grad=True)
    b = torch.randn(3, requires_grad=True)
    z = torch.matmul(x, w) + b
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        z, y
    )
    loss.backward()
    return {
        "loss": loss,
        "w.grad": w.grad,
        "b.grad": b.grad,
        "sigmoid(z) / 3": torch.sigmoid(z) / 3,
        "z.grad_fn": z.grad_fn.name(),
    }


# Keras
def with_keras():
    keras_blitz.manual_seed(0)
    x, y = tf.ones(5), tf.zeros(3)
    w = tf.Variable(keras_blitz.random.randn(5, 3))
    b = tf.Variable(keras_blitz.random.randn(3))

    def logits(w, b):
        return (
            tf.linalg.matvec(w, x, transpose_a=True) + b
        )

    with tf.GradientTape() as tape:
        z = logits(w, b)
        loss = BCEWithLogitsLoss()(y, z)
    w_grad, b_grad = tape.gradient(loss, [w, b])
    graph = trace(logits, w=w.value(), b=b.value())
    return {
        "loss": loss,
        "w.grad": w_grad,
        "b.grad": b_grad,
        "sigmoid(z) / 3": tf.sigmoid(z) / 3,
        "z.grad_fn": graph.nodes[graph.outputs[0]].label,
    }


compare("logits", with_pytorch, with_keras)

# %%
# Mind the order of arguments: a PyTorch loss takes (prediction, target), a Keras loss (target, prediction). For the
# squared error a swap goes unnoticed.
#
# Gradients add up
# ----------------
# ``out = (inp + 1)²``, backward with ones: 2 · (inp + 1), which is 4 on the diagonal of the identity and 2
# elsewhere. A second ``backward`` *adds*, and zeroing starts again. (A11) ``tape.gradient`` does not add, so a port in
# plain TensorFlow that relies on accumulation silently loses it; ``Gradients`` adds as PyTorch does.


# PyTorch
def with_pytorch():
    inp = torch.eye(2, requires_grad=True)
    out = (inp + 1).pow(2)
    ones = torch.ones_like(out)
    out.backward(ones, retain_graph=True)
    first = inp.grad.clone()
    out.backward(ones, retain_graph=True)
    second = inp.grad.clone()
    inp.grad.zero_()
    out.backward(ones)
    return {
        "first": first,
        "second": second,
        "zeroed": inp.grad,
    }


# Keras
def with_keras():
    inp = tf.eye(2)
    gradients = Gradients([inp])
    with gradients.record() as recording:
        out = (inp + 1) ** 2
    ones = tf.ones_like(out)
    recording.backward(out, ones, retain_graph=True)
    first = gradients.grad(inp)
    recording.backward(out, ones, retain_graph=True)
    second = gradients.grad(inp)
    gradients.zero_grad()
    recording.backward(out, ones)
    return {
        "first": first,
        "second": second,
        "zeroed": gradients.grad(inp),
    }


compare("twice", with_pytorch, with_keras)

# %%
# It is useful on purpose: three small batches, each loss divided by 3, add up to the gradient of the whole batch.
# And it is a bug by accident: whoever forgets ``zero_grad`` counts the first batch twice. (A12)


# PyTorch
def with_pytorch():
    torch.manual_seed(0)
    x = torch.randn(12, 4, dtype=torch.float64)
    y = torch.randn(12, 1, dtype=torch.float64)
    w = torch.randn(
        4, 1, dtype=torch.float64, requires_grad=True
    )
    mse = torch.nn.MSELoss()
    mse(x @ w, y).backward()
    whole = w.grad.clone()
    mse(x @ w, y).backward()  # zero_grad forgotten
    forgotten = w.grad.clone()
    w.grad = None
    for part, target in zip(x.chunk(3), y.chunk(3)):
        (mse(part @ w, target) / 3).backward()
    return {
        "whole": whole.T,
        "forgotten": forgotten.T,
        "added up": w.grad.T,
    }


# Keras
def with_keras():
    keras_blitz.manual_seed(0)
    randn = keras_blitz.random.randn
    x = tf.constant(randn(12, 4, dtype="float64"))
    y = tf.constant(randn(12, 1, dtype="float64"))
    w = tf.constant(randn(4, 1, dtype="float64"))
    mse, gradients = MSELoss(), Gradients([w])

    def backward(part, target, share=1):
        with gradients.record() as recording:
            loss = mse(target, part @ w) / share
        recording.backward(loss)
        return tf.transpose(gradients.grad(w))

    whole = backward(x, y)
    forgotten = backward(x, y)
    gradients.zero_grad()
    for part, target in zip(
        tf.split(x, 3), tf.split(y, 3)
    ):
        added = backward(part, target, share=3)
    return {
        "whole": whole,
        "forgotten": forgotten,
        "added up": added,
    }


compare("small batches", with_pytorch, with_keras)

# %%
# Leaves, intermediate values and hooks
# -------------------------------------
# Only leaves keep their gradient; of an intermediate value PyTorch keeps it after ``retain_grad()``, and a tape
# returns it when asked. A hook changes a gradient on its way; in TensorFlow it is a part of the computation. A
# parameter that took no part has the gradient ``None``, which is not zero: an optimizer with momentum leaves it
# alone. (A14)


# PyTorch
def with_pytorch():
    x = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    unused = torch.ones(3, requires_grad=True)
    y = x**2
    y.retain_grad()
    y.register_hook(lambda grad: 10 * grad)
    z = 3 * y.sum()
    z.backward()
    return {
        "x is a leaf": x.is_leaf,
        "y is a leaf": y.is_leaf,
        "x.grad": x.grad,
        "unused.grad": unused.grad,
    }


# Keras
def with_keras():
    x = tf.constant([1.0, 2.0, 3.0])
    unused = tf.ones(3)
    gradients = Gradients([x, unused])
    with gradients.record() as recording:
        y = hook(x**2, lambda grad: 10 * grad)
        z = 3 * tf.reduce_sum(y)
    leaves = recording.is_leaf(x), recording.is_leaf(y)
    recording.backward(z)
    return {
        "x is a leaf": leaves[0],
        "y is a leaf": leaves[1],
        "x.grad": gradients.grad(x),
        "unused.grad": gradients.grad(unused),
    }


compare("leaves", with_pytorch, with_keras)

# %%
# What to take along
# ------------------
# * A tape returns gradients; PyTorch adds them up. Port the loop, not the lines.
# * ``tape.gradient`` of several values is the gradient of their sum; PyTorch asks.
# * Train mode is an argument in Keras. Forget it, and BatchNorm and dropout run in eval mode.
# * A loss takes (target, prediction) in Keras.
#
# Next: :doc:`03_networks`.
