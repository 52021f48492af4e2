"""
From NumPy to PyTorch to TensorFlow
===================================

*Learning PyTorch with Examples* trains the same small network again and again: first in NumPy with gradients
derived by hand, then with autograd, then with ready layers and optimizers. Here TensorFlow is the third
column. The second half goes through the tutorials' NumPy operations in all three libraries.

In the :doc:`inventory </inventory>`: A15, T1 to T5, T13.
"""

# %%
# Setup
# -----

from parity.lessons import Lesson, nn, torch

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from keras_blitz import data, ops, optim, random
from keras_blitz.initializers import initialize
from keras_blitz.losses import MSELoss

compare = Lesson("numpy-pytorch-tensorflow").compare

# %%
# Two layers, by hand and by tape
# -------------------------------
# h = x·w1, r = max(h, 0), p = r·w2, and the loss is Σ (p − y)². By hand the gradients are, from the back to the front:
# ∂p = 2(p − y), ∂w2 = rᵀ·∂p, ∂r = ∂p·w2ᵀ, ∂h = ∂r where h ≥ 0, ∂w1 = xᵀ·∂h. The frameworks find the same. (A15)
#
# All three take the same random numbers, drawn with PyTorch's generator.

random.manual_seed(0)
x, y, w1, w2 = (
    random.randn(*shape, dtype="float64")
    for shape in (
        (64, 1000),
        (64, 10),
        (1000, 100),
        (100, 10),
    )
)
learning_rate, steps = 1e-6, 50
curve = {}


# NumPy
def with_numpy():
    W1, W2, losses = w1.copy(), w2.copy(), []
    for _ in range(steps):
        h = x @ W1
        r = np.maximum(h, 0)
        p = r @ W2
        losses.append(np.square(p - y).sum())

        dp = 2 * (p - y)
        dW2 = r.T @ dp
        dh = dp @ W2.T
        dh[h < 0] = 0
        dW1 = x.T @ dh
        W1 -= learning_rate * dW1
        W2 -= learning_rate * dW2
    curve["losses"] = losses
    return {"losses": np.array(losses[::10]), "w2": W2[0]}


# PyTorch
def with_pytorch():
    X, Y = torch.tensor(x), torch.tensor(y)
    W1 = torch.tensor(w1, requires_grad=True)
    W2 = torch.tensor(w2, requires_grad=True)
    losses = []
    for _ in range(steps):
        p = X.mm(W1).clamp(min=0).mm(W2)
        loss = (p - Y).pow(2).sum()
        losses.append(loss.detach())

        loss.backward()
        with torch.no_grad():
            W1 -= learning_rate * W1.grad
            W2 -= learning_rate * W2.grad
            W1.grad.zero_()
            W2.grad.zero_()
    return {"losses": losses[::10], "w2": W2[0]}


# TensorFlow
def with_tensorflow():
    W1, W2, losses = tf.Variable(w1), tf.Variable(w2), []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            p = tf.maximum(x @ W1, 0) @ W2
            loss = tf.reduce_sum((p - y) ** 2)
        losses.append(loss)

        dW1, dW2 = tape.gradient(loss, [W1, W2])
        W1.assign_sub(learning_rate * dW1)
        W2.assign_sub(learning_rate * dW2)
    return {"losses": losses[::10], "w2": W2[0]}


compare(
    "by hand", with_numpy, with_pytorch, with_tensorflow
)

# %%
# The line ``W1 -= learning_rate * W1.grad`` changes a tensor in place, which must be hidden from autograd by
# ``no_grad``. A TensorFlow variable is changed by ``assign_sub``, outside the tape. And nothing needs to be zeroed
# there.

plt.figure(figsize=(5, 3), layout="constrained")
plt.semilogy(curve["losses"])
plt.xlabel("step")
plt.ylabel("sum of squares")
plt.show()

# %%
# Your own function
# -----------------
# A new function with its own gradient: ``torch.autograd.Function`` there, ``tf.custom_gradient`` here. It is the
# polynomial P₃(x) = (5x³ − 3x)/2, whose derivative is 1.5 · (5x² − 1).


# PyTorch
def with_pytorch():
    class LegendrePolynomial3(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 0.5 * (5 * x**3 - 3 * x)

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            return grad_output * 1.5 * (5 * x**2 - 1)

    x = torch.tensor([-1.0, 0.2, 2.0], requires_grad=True)
    value = LegendrePolynomial3.apply(x)
    value.sum().backward()
    return {"P3": value, "gradient": x.grad}


# TensorFlow
def with_tensorflow():
    @tf.custom_gradient
    def legendre_polynomial_3(x):
        def backward(grad_output):
            return grad_output * 1.5 * (5 * x**2 - 1)

        return 0.5 * (5 * x**3 - 3 * x), backward

    x = tf.constant([-1.0, 0.2, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = legendre_polynomial_3(x)
    return {
        "P3": value,
        "gradient": tape.gradient(value, x),
    }


compare("own function", with_pytorch, with_tensorflow)

# %%
# Ready layers and optimizers
# ---------------------------
# The tutorial's next example fits sin(x) by a cubic: a linear layer of x, x² and x³, first with the weights moved by
# hand, then by an optimizer. ``MSELoss(reduction="sum")`` is a Keras loss with PyTorch's arguments.

line = np.linspace(-np.pi, np.pi, 2000, dtype=np.float32)
powers = np.stack([line, line**2, line**3], axis=1)
target = np.sin(line)
fitted = {}


# PyTorch
def with_pytorch():
    xx, y = torch.tensor(powers), torch.tensor(target)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(3, 1), nn.Flatten(0, 1)
    )
    loss_fn = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.RMSprop(
        model.parameters(), lr=1e-2
    )
    losses = []
    for _ in range(300):
        loss = loss_fn(model(xx), y)
        losses.append(loss.detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layer = model[0]
    return {
        "losses": losses[::60],
        "weight": layer.weight[0],
    }


# TensorFlow
def with_tensorflow():
    xx, y = tf.constant(powers), tf.constant(target)
    random.manual_seed(0)
    layer = keras.layers.Dense(1, name="0")
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layer,
            keras.layers.Reshape(()),
        ]
    )
    initialize(model)
    loss_fn = MSELoss(reduction="sum")
    optimizer = optim.RMSprop(lr=1e-2)
    losses = []
    for _ in range(300):
        with tf.GradientTape() as tape:
            loss = loss_fn(y, model(xx))
        losses.append(loss)
        weights = model.trainable_variables
        grads = tape.gradient(loss, weights)
        optimizer.apply(grads, weights)
    fitted["sine"] = model(xx)
    return {
        "losses": losses[::60],
        "weight": layer.kernel[:, 0],
    }


compare(
    "sine", with_pytorch, with_tensorflow, within=1e-4
)

# %%
# 300 steps of float32, each of them a sum of 2,000 squares: compared to 1e-4.

plt.figure(figsize=(5, 3), layout="constrained")
plt.plot(line, target, label="sin(x)")
plt.plot(
    line,
    fitted["sine"],
    label="the cubic, after 300 steps",
)
plt.legend()
plt.show()

# %%
# Control flow and shared weights
# -------------------------------
# The last example of the tutorial uses the same layer a random number of times. In Keras a *subclassed* model may do
# that. It runs line by line; inside ``fit`` or a ``tf.function`` a Python ``for`` is unrolled when it is traced,
# and its count stays what it was then. There the count must be a tensor.


# PyTorch
def with_pytorch():
    class DynamicNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 4)
            self.middle = nn.Linear(4, 4)

        def forward(self, x, times):
            x = self.first(x)
            for _ in range(times):
                x = self.middle(x).tanh()
            return x

    torch.manual_seed(0)
    net = DynamicNet()
    x = torch.ones(1, 3)
    return {
        f"{n} times": net(x, times=n) for n in (0, 1, 3)
    }


# TensorFlow
def with_tensorflow():
    class DynamicNet(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = keras.layers.Dense(
                4, name="first"
            )
            self.middle = keras.layers.Dense(
                4, name="middle"
            )

        def call(self, x, times=1):
            x = self.first(x)
            for _ in range(times):
                x = tf.tanh(self.middle(x))
            return x

    random.manual_seed(0)
    net = DynamicNet()
    x = tf.ones((1, 3))
    net(x)  # makes the weights
    initialize(net)
    return {
        f"{n} times": net(x, times=n) for n in (0, 1, 3)
    }


compare("control flow", with_pytorch, with_tensorflow)

# %%
# NumPy: creation
# ---------------
# NumPy makes float64 where PyTorch and TensorFlow make float32, and a port from NumPy that does not say the type
# runs in another precision. (T1, T13)


# NumPy
def with_numpy():
    return {
        "zeros": np.zeros((2, 2), np.float32),
        "type of ones": np.ones(2).dtype,
        "linspace": np.linspace(
            0, 1, 3, dtype=np.float32
        ),
        "type of [1, 2]": np.array([1, 2]).dtype,
        "like": np.full_like(np.array([1, 2]), 7),
    }


# PyTorch
def with_pytorch():
    return {
        "zeros": torch.zeros(2, 2),
        "type of ones": torch.ones(2).dtype,
        "linspace": torch.linspace(0, 1, 3),
        "type of [1, 2]": torch.tensor([1, 2]).dtype,
        "like": torch.full_like(torch.tensor([1, 2]), 7),
    }


# TensorFlow
def with_tensorflow():
    return {
        "zeros": tf.zeros((2, 2)),
        "type of ones": tf.ones(2).dtype,
        "linspace": tf.linspace(0.0, 1.0, 3),
        "type of [1, 2]": tf.constant([1, 2]).dtype,
        "like": ops.full_like(ops.tensor([1, 2]), 7),
    }


compare(
    "creation",
    with_numpy,
    with_pytorch,
    with_tensorflow,
    differs={
        "NumPy: type of ones": "NumPy's default is float64",
        "TensorFlow: type of [1, 2]": "TensorFlow's is int32",
    },
)

# %%
# NumPy: access and shape
# -----------------------
# Negative steps do not exist in PyTorch, and a list is not an index in TensorFlow. ``np.transpose`` without arguments
# reverses all axes; ``torch.transpose`` exchanges two. (T2)


# NumPy
def with_numpy():
    a = np.float32([[1, -2, 3], [0.5, 4, -1]])
    return {
        "backward": a[0, ::-1],
        "rows by list": a[[1, 0]],
        "mask": a[a > 0],
        "transposed": a.T,
        "flat": a.ravel(),
    }


# PyTorch
def with_pytorch():
    a = torch.tensor([[1, -2, 3], [0.5, 4, -1]])
    return {
        "backward": a[0].flip(0),
        "rows by list": a[[1, 0]],
        "mask": a[a > 0],
        "transposed": a.t(),
        "flat": a.ravel(),
    }


# TensorFlow
def with_tensorflow():
    a = tf.constant([[1, -2, 3], [0.5, 4, -1]])
    return {
        "backward": a[0, ::-1],
        "rows by list": tf.gather(a, [1, 0]),
        "mask": a[a > 0],
        "transposed": tf.transpose(a),
        "flat": tf.reshape(a, [-1]),
    }


compare(
    "access", with_numpy, with_pytorch, with_tensorflow
)

# %%
# NumPy: joining and splitting
# ----------------------------
# ``torch.split`` takes the *size* of a piece, ``np.split`` and ``tf.split`` their *number*. (T3)


# NumPy
def with_numpy():
    v, w = np.float32([3, 1, 2]), np.float32([1, 0, -1])
    return {
        "concatenate": np.concatenate((v, w)),
        "stack": np.stack((v, w)),
        "dstack": np.dstack((v, w)),
        "split": np.split(np.concatenate((v, w)), 2)[1],
    }


# PyTorch
def with_pytorch():
    v, w = (
        torch.tensor([3.0, 1, 2]),
        torch.tensor([1.0, 0, -1]),
    )
    return {
        "concatenate": torch.cat((v, w)),
        "stack": torch.stack((v, w)),
        "dstack": torch.dstack((v, w)),
        "split": torch.split(torch.cat((v, w)), 3)[1],
    }


# TensorFlow
def with_tensorflow():
    v, w = (
        tf.constant([3.0, 1, 2]),
        tf.constant([1.0, 0, -1]),
    )
    return {
        "concatenate": tf.concat((v, w), 0),
        "stack": tf.stack((v, w)),
        "dstack": tf.stack((v, w), 1)[tf.newaxis],
        "split": tf.split(tf.concat((v, w), 0), 2)[1],
    }


compare(
    "joining", with_numpy, with_pytorch, with_tensorflow
)

# %%
# NumPy: arithmetic
# -----------------
# Broadcasting has the same four rules in all three: a number goes with any shape; a shorter shape is led by ones; a
# size of 1 is repeated; other sizes that differ are an error. Statistics are not the same. (T4)


# NumPy
def with_numpy():
    a = np.float32([[1, -2, 3], [0.5, 4, -1]])
    n = np.array([4, 1, 3, 2])
    return {
        "a + row": a + np.float32([10, 20, 30]),
        "column + row": a[:, :1] + a[0],
        "a · aᵀ": np.dot(a, a.T),
        "log10": np.log10(np.float32([1, 10, 1000])),
        "cumprod": np.cumprod(a, 1),
        "std": np.std(a),
        "median": np.median(n),
    }


# PyTorch
def with_pytorch():
    a = torch.tensor([[1, -2, 3], [0.5, 4, -1]])
    n = torch.tensor([4, 1, 3, 2])
    return {
        "a + row": a + torch.tensor([10.0, 20, 30]),
        "column + row": a[:, :1] + a[0],
        "a · aᵀ": a @ a.t(),
        "log10": torch.log10(
            torch.tensor([1.0, 10, 1000])
        ),
        "cumprod": torch.cumprod(a, 1),
        "std": torch.std(a),
        "median": torch.median(n),
    }


# TensorFlow
def with_tensorflow():
    a = tf.constant([[1, -2, 3], [0.5, 4, -1]])
    n = ops.tensor([4, 1, 3, 2])
    return {
        "a + row": a + tf.constant([10.0, 20, 30]),
        "column + row": a[:, :1] + a[0],
        "a · aᵀ": a @ tf.transpose(a),
        "log10": ops.log10(tf.constant([1.0, 10, 1000])),
        "cumprod": tf.math.cumprod(a, 1),
        "std": tf.math.reduce_std(a),
        "median": ops.median(n),
    }


compare(
    "arithmetic",
    with_numpy,
    with_pytorch,
    with_tensorflow,
    differs={
        "std": "NumPy and TensorFlow divide by n, PyTorch by n − 1",
        "NumPy: median": "NumPy's is the mean of the middle two",
    },
)

# %%
# Mini-batches of an array
# ------------------------
# Shuffle indices, not the data; the last batch is smaller, unless it is dropped. ``data.batches`` has the order of
# PyTorch's ``DataLoader`` from the same seed. NumPy's generator is another one. (T5)


# NumPy
def with_numpy():
    n = np.arange(10)
    np.random.seed(0)
    order = np.random.permutation(10)
    parts = [n[order[k : k + 4]] for k in range(0, 10, 4)]
    return {
        "sizes": [len(part) for part in parts],
        "first batch": parts[0],
    }


# PyTorch
def with_pytorch():
    torch.manual_seed(0)
    loader = torch.utils.data.DataLoader(
        torch.arange(10), batch_size=4, shuffle=True
    )
    parts = list(loader)
    return {
        "sizes": [len(part) for part in parts],
        "first batch": parts[0],
    }


# TensorFlow
def with_tensorflow():
    n = ops.arange(10)
    random.manual_seed(0)
    order = data.batches(10, batch_size=4, shuffle=True)
    parts = [tf.gather(n, indices) for indices in order]
    return {
        "sizes": [len(part) for part in parts],
        "first batch": parts[0],
    }


compare(
    "mini-batches",
    with_numpy,
    with_pytorch,
    with_tensorflow,
    differs={"NumPy: first batch": "another generator"},
)

# %%
# The names
# ---------
# =================== ===================== ===================================
# NumPy               PyTorch               TensorFlow, or ``keras_blitz.ops``
# =================== ===================== ===================================
# ``a.astype(t)``     ``a.to(t)``           ``tf.cast(a, t)``
# ``a.copy()``        ``a.clone()``         ``tf.identity(a)``
# ``a.ndim``          ``a.dim()``           ``a.ndim``
# ``a.size``          ``a.numel()``         ``tf.size(a)``, ``ops.numel(a)``
# ``a.shape``         ``a.size()``          ``a.shape``
# ``np.concatenate``  ``torch.cat``         ``tf.concat(parts, axis)``
# ``np.expand_dims``  ``a.unsqueeze``       ``tf.expand_dims``
# ``np.transpose``    ``a.permute``         ``tf.transpose``
# ``np.clip``         ``a.clamp``           ``tf.clip_by_value``, ``ops.clamp``
# ``np.take``         ``a.index_select``    ``tf.gather``
# ``take_along_axis`` ``a.gather``          ``ops.gather``
# ``np.less``         ``a.lt``              ``a < b``
# ``np.not_equal``    ``a.ne``              ``a != b``
# ``np.random.seed``  ``torch.manual_seed`` ``keras_blitz.manual_seed``
# =================== ===================== ===================================
#
# Next: :doc:`06_optimization`.
