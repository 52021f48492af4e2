"""
Optimization
============

A training run in full, as the basics' *Optimizing Model Parameters* has it: hyper-parameters, a training loop, a test
loop after each epoch. Then what is inside: the optimizers, what happens when the learning rate changes, parameter
groups, schedules, and clipping. Several of Keras's own optimizers differ from PyTorch's of the same name, by more than
rounding.

In the :doc:`inventory </inventory>`: S2, N3, O1 to O3.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Setup
# -----

from parity.lessons import Lesson, nn, torch

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import keras_blitz
from keras_blitz import data, models, optim
from keras_blitz.data.datasets import sample_as
from keras_blitz.losses import CrossEntropyLoss
from keras_blitz.optim import schedules

compare = Lesson("optimization").compare

# %%
# A run
# -----
# The network is the basics' ``NeuralNetwork``, three dense layers, on the package's sample of Fashion-MNIST: 2,000
# images, 32 batches of 64 an epoch. The tutorial's rate is 1e-3, and its 9,380 steps come to about 58 %; for our 96
# steps we take 0.05. ``python scripts/train_fashion_mnist.py`` repeats the tutorial's run. (S2)
#
# In Keras the loops are ``fit`` and ``evaluate``. The loss of an epoch is the mean over its images in both columns:
# the last batch has 16 images, and counts for as much less.

sample = sample_as("fashion_mnist")
train_images = data.to_tensor(sample.train.images)
test_images = data.to_tensor(sample.test.images)
train_labels, test_labels = (
    sample.train.labels,
    sample.test.labels,
)
learning_rate, batch_size, epochs = 0.05, 64, 3


# PyTorch
def with_pytorch():
    class NeuralNetwork(nn.Module):
        def __init__(self):
            super().__init__()
            self.flatten = nn.Flatten()
            self.linear_relu_stack = nn.Sequential(
                nn.Linear(28 * 28, 512),
                nn.ReLU(),
                nn.Linear(512, 512),
                nn.ReLU(),
                nn.Linear(512, 10),
            )

        def forward(self, x):
            return self.linear_relu_stack(self.flatten(x))

    def loader(images, labels):
        dataset = torch.utils.data.TensorDataset(
            torch.tensor(images.transpose(0, 3, 1, 2)),
            torch.tensor(labels),
        )
        return torch.utils.data.DataLoader(
            dataset, batch_size
        )

    def train_loop():
        total = 0.0
        for X, y in loader(train_images, train_labels):
            loss = loss_fn(model(X), y)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item() * len(y)
        return total / len(train_labels)

    def test_loop():
        correct = 0
        with torch.no_grad():
            for X, y in loader(test_images, test_labels):
                correct += (
                    (model(X).argmax(1) == y).sum().item()
                )
        return correct / len(test_labels)

    torch.manual_seed(0)
    model = NeuralNetwork()
    loss_fn = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=learning_rate
    )
    results = [
        (train_loop(), test_loop()) for _ in range(epochs)
    ]
    losses, accuracies = np.float32(results).T
    return {
        "training loss": losses,
        "accuracy": accuracies,
    }


# Keras
def with_keras():
    keras_blitz.manual_seed(0)
    model = models.NeuralNetwork()
    model.compile(
        optimizer=optim.SGD(lr=learning_rate),
        loss=CrossEntropyLoss(),
        metrics=["accuracy"],
    )
    history = model.fit(
        train_images,
        train_labels,
        batch_size=batch_size,
        epochs=epochs,
        shuffle=False,
        validation_data=(test_images, test_labels),
        verbose=0,
    ).history
    return {
        "training loss": np.float32(history["loss"]),
        "accuracy": np.float32(history["val_accuracy"]),
    }


compare("run", with_pytorch, with_keras, within=0.005)

# %%
# The accuracy is a count of 1,000 images, and an image between two classes may fall to either side of rounding, so
# this section allows half a percent.
#
# Optimizers
# ----------
# The same start and the same function, 60 steps with each optimizer, in float64. Those of ``keras_blitz.optim`` have
# PyTorch's names, arguments, defaults and updates. (O1)

start = [-1.5, 1.5]
paths = {}


def valley(x, y):
    """Return a curved valley, whose lowest point is (1, 1)."""
    return (1 - x) ** 2 + 5 * (y - x**2) ** 2


# PyTorch
def with_pytorch():
    make = {
        "SGD": lambda p: torch.optim.SGD(
            p, 0.01, momentum=0.9
        ),
        "Adagrad": lambda p: torch.optim.Adagrad(p, 0.5),
        "RMSprop": lambda p: torch.optim.RMSprop(p, 0.05),
        "Adam": lambda p: torch.optim.Adam(p, 0.1),
        "AdamW": lambda p: torch.optim.AdamW(
            p, 0.1, weight_decay=0.1
        ),
        "Adadelta": lambda p: torch.optim.Adadelta(
            p, 5.0
        ),
    }
    found = {}
    for name, optimizer_of in make.items():
        w = torch.tensor(start, dtype=torch.float64)
        w.requires_grad_()
        optimizer = optimizer_of([w])
        for _ in range(60):
            optimizer.zero_grad()
            valley(w[0], w[1]).backward()
            optimizer.step()
        found[name] = w
    return found


# Keras
def with_keras():
    make = {
        "SGD": lambda: optim.SGD(0.01, momentum=0.9),
        "Adagrad": lambda: optim.Adagrad(0.5),
        "RMSprop": lambda: optim.RMSprop(0.05),
        "Adam": lambda: optim.Adam(0.1),
        "AdamW": lambda: optim.AdamW(
            0.1, weight_decay=0.1
        ),
        "Adadelta": lambda: optim.Adadelta(5.0),
    }
    found = {}
    for name, make_optimizer in make.items():
        w = keras.Variable(start, dtype="float64")
        optimizer = make_optimizer()
        optimizer.build([w])
        paths[name] = [start]
        for _ in range(60):
            with tf.GradientTape() as tape:
                loss = valley(w[0], w[1])
            optimizer.apply(
                tape.gradient(loss, [w.value]), [w]
            )
            paths[name].append(w.numpy())
        found[name] = w
    return found


compare("optimizers", with_pytorch, with_keras)

# %%
# Their ways through the valley:

grid = np.linspace(-2, 2, 80), np.linspace(-1, 3, 80)
plt.figure(figsize=(6, 4.5), layout="constrained")
levels = [0.1, 0.5, 2, 5, 15, 40, 80]
plt.contour(
    *grid,
    valley(*np.meshgrid(*grid)),
    levels,
    colors="lightgray",
)
for name, path in paths.items():
    plt.plot(
        *np.transpose(path),
        label=name,
        marker=".",
        markersize=3,
    )
plt.plot(1, 1, "k*")
plt.legend()
plt.show()

# %%
# Keras's own
# -----------
# ``keras.optimizers.Adam(0.1)`` has the same name and other results: its ε is 1e-7 where PyTorch's is 1e-8, and it is
# added at another place. With gradients of ordinary size nobody notices; with small ones, as at the end of a training,
# it matters. ``weight_decay`` is decoupled in Keras, as in AdamW, where PyTorch's Adam and SGD add it to the gradient.
# When the rate of SGD with momentum changes, PyTorch applies the new rate to all of the momentum, Keras to the new
# gradients only. (O2)


# PyTorch
def with_pytorch():
    def run(optimizer_of, grads, change=None):
        w = torch.ones(
            1, dtype=torch.float64, requires_grad=True
        )
        optimizer = optimizer_of([w])
        for step, grad in enumerate(grads):
            if step == 3 and change:
                optimizer.param_groups[0]["lr"] = change
            w.grad = torch.tensor(
                [grad], dtype=torch.float64
            )
            optimizer.step()
        return w

    Adam, SGD = torch.optim.Adam, torch.optim.SGD
    return {
        "small gradients": run(
            lambda p: Adam(p, 0.1), [1e-7] * 6
        ),
        "weight decay": run(
            lambda p: SGD(
                p, 0.1, weight_decay=0.5, momentum=0.9
            ),
            [1.0] * 6,
        ),
        "rate changed": run(
            lambda p: SGD(p, 0.1, momentum=0.9),
            [1.0] * 6,
            0.01,
        ),
    }


# Keras
def run(optimizer, grads, change=None):
    w = keras.Variable([1.0], dtype="float64")
    optimizer.build([w])
    for step, grad in enumerate(grads):
        if step == 3 and change:
            optimizer.learning_rate = change
        optimizer.apply(
            [tf.constant([grad], tf.float64)], [w]
        )
    return w


def with_keras():
    Adam, SGD = (
        keras.optimizers.Adam,
        keras.optimizers.SGD,
    )
    return {
        "small gradients": run(Adam(0.1), [1e-7] * 6),
        "weight decay": run(
            SGD(0.1, weight_decay=0.5, momentum=0.9),
            [1.0] * 6,
        ),
        "rate changed": run(
            SGD(0.1, momentum=0.9), [1.0] * 6, 0.01
        ),
    }


compare(
    "keras's own",
    with_pytorch,
    with_keras,
    differs={
        "small gradients": "Keras's ε is 1e-7, and not corrected for the bias",
        "weight decay": "Keras decays the weight itself, past the momentum",
        "rate changed": "Keras's momentum keeps the rate that it was made with",
    },
)

# %%
# The same with ``keras_blitz.optim``:


# PyTorch
# (the cell above)


# Keras
def with_keras():
    Adam, SGD = optim.Adam, optim.SGD
    return {
        "small gradients": run(Adam(0.1), [1e-7] * 6),
        "weight decay": run(
            SGD(0.1, weight_decay=0.5, momentum=0.9),
            [1.0] * 6,
        ),
        "rate changed": run(
            SGD(0.1, momentum=0.9), [1.0] * 6, 0.01
        ),
    }


compare("ours", with_pytorch, with_keras)

# %%
# Parameter groups
# ----------------
# PyTorch's groups are lists of parameters with options of their own. Here a group is a pattern of PyTorch's parameter
# names: no weight decay for biases, a tenth of the rate for the rest of a network with a new head. (O2)


# PyTorch
def with_pytorch():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    head = net[1]
    optimizer = torch.optim.SGD(
        [
            {"params": [net[0].weight], "lr": 0.01},
            {
                "params": [net[0].bias],
                "lr": 0.01,
                "weight_decay": 0.0,
            },
            {"params": [head.weight]},
            {"params": [head.bias], "weight_decay": 0.0},
        ],
        lr=0.1,
        weight_decay=0.1,
    )
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {
        name: value[..., 0]
        for name, value in net.state_dict().items()
    }


# Keras
def with_keras():
    net = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(4, name="0"),
            keras.layers.Dense(2, name="1"),
        ]
    )
    keras_blitz.manual_seed(0)
    keras_blitz.initializers.initialize(net)
    optimizer = optim.SGD(
        lr=0.1,
        weight_decay=0.1,
        groups=[
            ("0.bias", {"lr": 0.01, "weight_decay": 0.0}),
            ("0.*", {"lr": 0.01}),
            ("*.bias", {"weight_decay": 0.0}),
        ],
    )
    weights = net.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(net(tf.ones((1, 3))))
    optimizer.apply(tape.gradient(loss, weights), weights)
    return {
        name: value[..., 0]
        for name, value in keras_blitz.state_dict(
            net
        ).items()
    }


compare("groups", with_pytorch, with_keras)

# %%
# Schedules
# ---------
# A schedule of PyTorch is told of each epoch, or each step, by ``scheduler.step()``. Keras's own schedules are
# functions of the optimizer's step. Those of ``keras_blitz.optim.schedules`` are PyTorch's; ``schedule.callback()``
# steps in ``fit``, and ``schedule.as_keras(steps)`` makes a Keras schedule. Their rates are equal to the last bit.
# (O3)

rates = {}


# PyTorch
def with_pytorch():
    S = torch.optim.lr_scheduler
    make = {
        "StepLR": lambda o: S.StepLR(o, 8),
        "MultiStepLR": lambda o: S.MultiStepLR(
            o, [5, 15], 0.5
        ),
        "ExponentialLR": lambda o: S.ExponentialLR(
            o, 0.9
        ),
        "CosineAnnealingLR": lambda o: (
            S.CosineAnnealingLR(o, 10)
        ),
        "OneCycleLR": lambda o: S.OneCycleLR(o, 0.2, 25),
    }
    found = {}
    for name, schedule_of in make.items():
        optimizer = torch.optim.SGD(
            [torch.ones(1)], lr=0.1, momentum=0.9
        )
        schedule = schedule_of(optimizer)
        rates = []
        for _ in range(24):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        found[name] = np.array(rates)
    return found


# Keras
def with_keras():
    S = schedules
    make = {
        "StepLR": lambda o: S.StepLR(o, 8),
        "MultiStepLR": lambda o: S.MultiStepLR(
            o, [5, 15], 0.5
        ),
        "ExponentialLR": lambda o: S.ExponentialLR(
            o, 0.9
        ),
        "CosineAnnealingLR": lambda o: (
            S.CosineAnnealingLR(o, 10)
        ),
        "OneCycleLR": lambda o: S.OneCycleLR(o, 0.2, 25),
    }
    for name, schedule_of in make.items():
        optimizer = optim.SGD(lr=0.1, momentum=0.9)
        optimizer.build([keras.Variable([1.0])])
        schedule = schedule_of(optimizer)
        found = []
        for _ in range(24):
            found.append(schedule.get_last_lr()[0])
            schedule.step()
        rates[name] = np.array(found)
    return rates


compare("schedules", with_pytorch, with_keras)

# %%

plt.figure(figsize=(6, 3), layout="constrained")
for name, values in rates.items():
    plt.step(range(24), values, where="post", label=name)
plt.xlabel("epoch")
plt.ylabel("learning rate")
plt.legend(fontsize=8)
plt.show()

# %%
# Clipping
# --------
# ``clip_grad_norm_`` scales all gradients together. A TensorFlow tensor cannot be changed in place, so it returns
# them. Keras's ``clipnorm`` clips *each* gradient by itself, which changes their direction. (O3)


# PyTorch
def with_pytorch():
    a = torch.zeros(2, requires_grad=True)
    b = torch.zeros(1, requires_grad=True)
    a.grad, b.grad = (
        torch.tensor([3.0, 4.0]),
        torch.tensor([12.0]),
    )
    norm = nn.utils.clip_grad_norm_([a, b], max_norm=1.0)
    return {
        "norm before": norm,
        "a.grad": a.grad,
        "b.grad": b.grad,
    }


# Keras
def with_keras():
    grads = [tf.constant([3.0, 4.0]), tf.constant([12.0])]
    (a, b), norm = optim.clip_grad_norm_(
        grads, max_norm=1.0
    )
    return {"norm before": norm, "a.grad": a, "b.grad": b}


compare("clipping", with_pytorch, with_keras)

# %%
# What to take along
# ------------------
# * Port the optimizer with its meaning: ε, weight decay and momentum are not the same under the same name.
# * In ``fit``, ``optim.SGD(..., clip_grad_norm=1.0)`` clips as ``clip_grad_norm_`` does.
# * A new optimizer has no momentum yet: keep the old one and change its rate.
#
# Next: :doc:`07_saving`.
