"""
A CNN from the first line
=========================

The CNN tutorial starts from a class with a placeholder layer, gives it layers, lets the forward pass use them,
looks at what the untrained network says, takes one step on one batch, and trains. We go the same way in both
frameworks, and write one loss out by hand on the way.

The images are digits in the tutorial. Here they are the package's sample of Fashion-MNIST, which has the same form,
28×28 and grey; ``python scripts/train_mnist.py`` trains on MNIST, and comes to 98.8 %.

In the :doc:`inventory </inventory>`: N4, N5, S3.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Setup
# -----

from parity.lessons import Lesson, nn, torch

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

import keras_blitz
from keras_blitz import data, optim
from keras_blitz.data.datasets import sample_as
from keras_blitz.initializers import initialize
from keras_blitz.losses import CrossEntropyLoss
from keras_blitz.training.metrics import Test

compare = Lesson("mnist-cnn").compare
sample = sample_as("mnist")
classes = sample.classes


def normalized(split):
    """Return images (N, 28, 28, 1) with MNIST's mean and spread taken out, as the tutorial does."""
    images = data.to_tensor(split.images)
    return data.normalize(images, (0.1307,), (0.3081,))


train_images, train_labels = (
    normalized(sample.train),
    sample.train.labels,
)
test_images, test_labels = (
    normalized(sample.test),
    sample.test.labels,
)


def channels_first(images):
    return torch.tensor(images.transpose(0, 3, 1, 2))


# %%
# The first stage
# ---------------
# ``Network0`` has a placeholder, and returns its input. In PyTorch ``self.layer = None`` is enough; a Keras model
# holds layers, so the placeholder is one that passes its input on. (N5)


# PyTorch
def with_pytorch():
    class Network0(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = None

        def forward(self, t):
            return t

    network = Network0()
    t = torch.ones(1, 1, 28, 28)
    return {
        "returns its input": torch.equal(network(t), t),
        "parameters": len(list(network.parameters())),
    }


# Keras
def with_keras():
    inputs = keras.Input((28, 28, 1))
    outputs = layers.Identity(name="layer")(inputs)
    network = keras.Model(inputs, outputs)
    t = np.ones((1, 28, 28, 1), np.float32)
    return {
        "returns its input": np.array_equal(
            network(t), t
        ),
        "parameters": len(network.weights),
    }


compare("stage 0", with_pytorch, with_keras)

# %%
# The layers, not used yet
# ------------------------
# ``Network1`` has its layers, and its forward pass still returns the input. PyTorch's layers have their weights
# when they are made, because they are told both sizes. A Keras layer makes its weights when it first sees an input;
# without one it must be *built*, and so a functional model cannot hold layers that are not used, and this stage is
# a subclass.


# PyTorch
def with_pytorch():
    class Network1(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5)
            self.conv2 = nn.Conv2d(6, 12, 5)
            self.fc1 = nn.Linear(12 * 4 * 4, 120)
            self.fc2 = nn.Linear(120, 60)
            self.out = nn.Linear(60, 10)

        def forward(self, t):
            return t

    network = Network1()
    return {
        f"{name}": parameter.shape
        for name, parameter in network.named_parameters()
    }


# Keras
def with_keras():
    class Network1(keras.Model):
        flattened_inputs = {"fc1": (4, 4, 12)}

        def __init__(self):
            super().__init__()
            self.conv1 = layers.Conv2D(6, 5)
            self.conv2 = layers.Conv2D(12, 5)
            self.fc1 = layers.Dense(120)
            self.fc2 = layers.Dense(60)
            self.out = layers.Dense(10)
            self.conv1.build((None, 28, 28, 1))
            self.conv2.build((None, 12, 12, 6))
            self.fc1.build((None, 12 * 4 * 4))
            self.fc2.build((None, 120))
            self.out.build((None, 60))
            self.built = True

        def call(self, t):
            return t

    network = Network1()
    return {
        name: value.shape
        for name, value in keras_blitz.state_dict(
            network
        ).items()
    }


compare("stage 1", with_pytorch, with_keras)

# %%
# ``flattened_inputs`` says what ``fc1`` will get: without a forward pass nobody can see that a Flatten comes before
# it, and in which order its values are.
#
# The network
# -----------
# ``Network2`` uses its layers. Size by size: 28×28, a 5×5 convolution makes 24×24, pooling 12×12, then 8×8 and 4×4; 12
# channels of 4×4 are the 192 inputs of ``fc1``. (N4)


# PyTorch
def make_torch():
    class Network2(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5)
            self.conv2 = nn.Conv2d(6, 12, 5)
            self.fc1 = nn.Linear(12 * 4 * 4, 120)
            self.fc2 = nn.Linear(120, 60)
            self.out = nn.Linear(60, 10)

        def forward(self, t):
            F = nn.functional
            t = F.relu(self.conv1(t))
            t = F.max_pool2d(t, kernel_size=2, stride=2)
            t = F.relu(self.conv2(t))
            t = F.max_pool2d(t, kernel_size=2, stride=2)
            t = t.reshape(-1, 12 * 4 * 4)
            t = F.relu(self.fc1(t))
            t = F.relu(self.fc2(t))
            return self.out(t)

    torch.manual_seed(0)
    return Network2()


# Keras
def make_keras():
    t = inputs = keras.Input((28, 28, 1))
    t = layers.Conv2D(
        6, 5, activation="relu", name="conv1"
    )(t)
    t = layers.MaxPooling2D(2, strides=2)(t)
    t = layers.Conv2D(
        12, 5, activation="relu", name="conv2"
    )(t)
    t = layers.MaxPooling2D(2, strides=2)(t)
    t = layers.Flatten()(t)
    t = layers.Dense(120, activation="relu", name="fc1")(
        t
    )
    t = layers.Dense(60, activation="relu", name="fc2")(t)
    outputs = layers.Dense(10, name="out")(t)

    network = keras.Model(inputs, outputs)
    keras_blitz.manual_seed(0)
    initialize(network)
    return network


# %%
# What an untrained network says
# ------------------------------
# Ten classes, no training: each gets about a tenth, and about a tenth of the answers are right by chance.


# PyTorch
def with_pytorch():
    network = make_torch()
    with torch.no_grad():
        preds = network(channels_first(test_images))
    right = preds.argmax(dim=1) == torch.tensor(
        test_labels
    )
    return {
        "softmax of the first": preds[0].softmax(0),
        "right, %": right.double().mean() * 100,
    }


# Keras
def with_keras():
    network = make_keras()
    preds = network.predict(test_images, verbose=0)
    right = preds.argmax(1) == test_labels
    return {
        "softmax of the first": tf.nn.softmax(preds[0]),
        "right, %": right.mean() * 100,
    }


compare("untrained", with_pytorch, with_keras)

# %%
# The loss, written out
# ---------------------
# ``cross_entropy`` is the logarithm of the softmax, of which the right class's is taken with a minus. The
# straightforward formula overflows for large logits; subtracting the largest first changes nothing else.


# PyTorch
def with_pytorch():
    network = make_torch()
    labels = torch.tensor(train_labels[:100])
    logits = network(channels_first(train_images[:100]))

    shifted = logits - logits.max(1, keepdim=True).values
    log_softmax = (
        shifted - shifted.exp().sum(1, keepdim=True).log()
    )
    by_hand = -log_softmax[range(100), labels].mean()
    return {
        "by hand": by_hand,
        "cross_entropy": nn.functional.cross_entropy(
            logits, labels
        ),
    }


# Keras
def with_keras():
    network = make_keras()
    labels = train_labels[:100]
    logits = network(train_images[:100])

    shifted = logits - tf.reduce_max(
        logits, 1, keepdims=True
    )
    total = tf.reduce_sum(
        tf.exp(shifted), 1, keepdims=True
    )
    log_softmax = shifted - tf.math.log(total)
    picked = tf.gather(
        log_softmax, labels, axis=1, batch_dims=1
    )
    return {
        "by hand": -tf.reduce_mean(picked),
        "cross_entropy": CrossEntropyLoss()(
            labels, logits
        ),
    }


compare("loss by hand", with_pytorch, with_keras)

# %%
# One batch, one step
# -------------------
# A hundred images, SGD with a rate of 0.1. After a single step the loss of the same batch is a little smaller.


# PyTorch
def with_pytorch():
    network = make_torch()
    images = channels_first(train_images[:100])
    labels = torch.tensor(train_labels[:100])
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1
    )
    F = nn.functional

    loss = F.cross_entropy(network(images), labels)
    loss.backward()
    optimizer.step()
    after = F.cross_entropy(network(images), labels)
    return {"loss before": loss, "loss after": after}


# Keras
def with_keras():
    network = make_keras()
    images, labels = (
        train_images[:100],
        train_labels[:100],
    )
    optimizer = optim.SGD(lr=0.1)
    cross_entropy = CrossEntropyLoss()

    weights = network.trainable_variables
    with tf.GradientTape() as tape:
        loss = cross_entropy(
            labels, network(images, training=True)
        )
    optimizer.apply(tape.gradient(loss, weights), weights)
    after = cross_entropy(
        labels, network(images, training=True)
    )
    return {"loss before": loss, "loss after": after}


compare("one step", with_pytorch, with_keras)

# %%
# Train
# -----
# Five epochs of 20 batches. As in the tutorial, the loss of an epoch is the *sum* over its batches, and the right
# answers are counted while the network learns, so the early ones in an epoch count against it.
#
# With a rate of 0.1 this network amplifies whatever is different: in float32 the two columns agree to five digits
# for 40 steps, and to one per cent after 100, because each step adds a rounding error of its own. So that a mistake
# cannot hide in that, this run is in float64. For ``fit`` Keras must be told: ``keras_blitz.precision``.

trained = {}


# PyTorch
def with_pytorch():
    network = make_torch().double()
    optimizer = torch.optim.SGD(
        network.parameters(), lr=0.1
    )
    dataset = torch.utils.data.TensorDataset(
        channels_first(train_images).double(),
        torch.tensor(train_labels),
    )
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=100
    )
    losses, correct = [], []
    for _ in range(5):
        total_loss, total_correct = 0.0, 0
        for images, labels in loader:
            preds = network(images)
            loss = nn.functional.cross_entropy(
                preds, labels
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total_loss += loss.item()
            total_correct += (
                (preds.argmax(1) == labels).sum().item()
            )
        losses.append(total_loss)
        correct.append(total_correct)
    return {"loss": np.array(losses), "correct": correct}


# Keras
def with_keras():
    with keras_blitz.precision("float64"):
        network = make_keras()
        network.compile(
            optim.SGD(lr=0.1),
            CrossEntropyLoss(),
            metrics=["accuracy"],
        )
        history = network.fit(
            train_images.astype("float64"),
            train_labels,
            batch_size=100,
            epochs=5,
            shuffle=False,
            verbose=0,
        ).history
    trained["network"] = network
    correct = np.round(
        np.array(history["accuracy"]) * 2000
    )
    return {
        "loss": np.array(history["loss"]) * 20,
        "correct": [int(count) for count in correct],
    }


compare(
    "training", with_pytorch, with_keras, within=1e-10
)

# %%
# What it has learned
# -------------------
# The confusion matrix: each row is a true class, each column what the network took it for. Shirts, pullovers and coats
# are taken for each other; nine bags and ankle boots of ten are right.

logits = trained["network"].predict(
    test_images, verbose=0
)
test = Test(logits, test_labels)
print(
    f"{test.correct} of {len(test_labels)} test images are right"
)
plt.figure(figsize=(5.5, 5), layout="constrained")
plt.imshow(test.confusion(), cmap="Blues")
plt.xticks(range(10), classes, rotation=45, ha="right")
plt.yticks(range(10), classes)
plt.xlabel("predicted")
plt.ylabel("true")
plt.show()

# %%
# The six 5×5 kernels of ``conv1`` before and after:

before = make_keras().get_layer("conv1").kernel.numpy()
after = (
    trained["network"].get_layer("conv1").kernel.numpy()
)
_, axes = plt.subplots(
    2, 6, figsize=(7, 2.6), layout="constrained"
)
for row, kernels in zip(axes, (before, after)):
    for number, axis in enumerate(row):
        axis.imshow(kernels[:, :, 0, number], cmap="gray")
        axis.set_axis_off()
axes[0, 0].set_title("untrained", fontsize=9)
axes[1, 0].set_title("trained", fontsize=9)
plt.show()

# %%
# What to take along
# ------------------
# * A Keras layer has weights after it was built; PyTorch's has them at once.
# * Count right answers over the whole test set, and divide once.
#
# Next: :doc:`09_finetuning`.
