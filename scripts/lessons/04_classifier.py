"""
Training a classifier
=====================

The last part of the blitz: load images and normalize them, define a network, a loss and an optimizer, train, and test,
in all and class by class. Both frameworks get the same seed, and so the same initial values, the same order of images
and, step for step, the same losses.

The tutorial's data set is CIFAR-10. So that this page needs no download, the images here are a sample of Fashion-MNIST
that comes with the package, 2,000 to train and 1,000 to test, padded to 32×32 and with their grey repeated in three
channels. ``python scripts/train_cifar10.py --download`` runs the real thing: two epochs, about 55 %.

In the :doc:`inventory </inventory>`: S1, N2, D1, D3 to D5, R3, R5.
"""

# sphinx_gallery_thumbnail_number = 2

# %%
# Setup
# -----

from parity.lessons import Lesson, nn, torch, torchvision

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import keras_blitz
from keras_blitz import data, models, optim
from keras_blitz.data.datasets import sample_as
from keras_blitz.losses import CrossEntropyLoss

compare = Lesson("classifier").compare
sample = sample_as("cifar10", (32, 32, 3))
classes = sample.classes
train, test = sample.train, sample.test
print(train.images.shape, train.images.dtype, classes)

# %%
# ``data.load("cifar10", download=True)`` returns CIFAR-10 itself in the same form. (D1)
#
# Load and normalize
# ------------------
# ``ToTensor`` makes bytes from 0 to 255 numbers from 0 to 1, and moves the channels to the front; ``Normalize``
# subtracts 0.5 and divides by 0.5. ``DataLoader`` shuffles. In Keras the images are arrays, and the transforms are
# functions of them. ``data.batches`` draws the ``DataLoader``'s order from the same seed; ``tf.data`` would shuffle
# in another one.

mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


# PyTorch
def make_loader(split, shuffle):
    transforms = torchvision.transforms
    transform = transforms.Compose(
        [
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )
    dataset = [
        (transform(image), int(label))
        for image, label in zip(
            split.images, split.labels
        )
    ]
    return torch.utils.data.DataLoader(
        dataset, batch_size=4, shuffle=shuffle
    )


# Keras
def make_batches(split, shuffle):
    images = data.normalize(
        data.to_tensor(split.images), mean, std
    )
    order = data.batches(
        len(split), batch_size=4, shuffle=shuffle
    )
    for indices in order:
        yield images[indices], split.labels[indices]


# %%
# The first batch:


# PyTorch
def with_pytorch():
    torch.manual_seed(0)
    images, labels = next(iter(make_loader(train, True)))
    return {
        "shape": images.shape,
        "labels": labels,
        "a row of the first": images[0, 0, 16, 8:16],
    }


# Keras
def with_keras():
    keras_blitz.manual_seed(0)
    images, labels = next(make_batches(train, True))
    return {
        "shape": images.shape,
        "labels": labels,
        "a row of the first": images[0, 16, 8:16, 0],
    }


why = "channels first, and channels last"
compare(
    "batch",
    with_pytorch,
    with_keras,
    differs={"shape": why},
)

# %%
# Seen as pictures: undo the normalization, and put them in a grid.

keras_blitz.manual_seed(0)
images, labels = next(make_batches(train, True))
grid = data.make_grid(images / 2 + 0.5)
plt.figure(figsize=(6, 2), layout="constrained")
plt.imshow(grid)
plt.title("   ".join(classes[label] for label in labels))
plt.axis("off")
plt.show()

# %%
# Train the network
# -----------------
# The network is LeNet with three channels. The loop is the same in both: forward, loss, backward, step. In TensorFlow
# the step is a ``tf.function``: it is traced once into a graph, which then runs without Python.
#
# ``trained`` keeps the networks for the cells below.

trained = {}


# PyTorch
def with_pytorch():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 6, 5)
            self.pool = nn.MaxPool2d(2, 2)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.fc1 = nn.Linear(16 * 5 * 5, 120)
            self.fc2 = nn.Linear(120, 84)
            self.fc3 = nn.Linear(84, 10)

        def forward(self, x):
            x = self.pool(self.conv1(x).relu())
            x = self.pool(self.conv2(x).relu())
            x = torch.flatten(x, 1)
            x = self.fc1(x).relu()
            x = self.fc2(x).relu()
            return self.fc3(x)

    torch.manual_seed(0)
    net = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        net.parameters(), lr=0.001, momentum=0.9
    )
    losses = []
    for inputs, labels in make_loader(train, True):
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    trained["pytorch"] = net
    means = np.reshape(losses, (-1, 100)).mean(1)
    return {"loss of 100 batches": means}


# Keras
def with_keras():
    keras_blitz.manual_seed(0)
    net = models.CifarNet()
    criterion = CrossEntropyLoss()
    optimizer = optim.SGD(lr=0.001, momentum=0.9)
    weights = net.trainable_variables
    optimizer.build(weights)

    @tf.function
    def step(inputs, labels):
        with tf.GradientTape() as tape:
            outputs = net(inputs, training=True)
            loss = criterion(labels, outputs)
        grads = tape.gradient(loss, weights)
        optimizer.apply(grads, weights)
        return loss

    losses = []
    for inputs, labels in make_batches(train, True):
        losses.append(float(step(inputs, labels)))
    trained["keras"] = net
    trained["losses"] = losses
    means = np.reshape(losses, (-1, 100)).mean(1)
    return {"loss of 100 batches": means}


compare("training", with_pytorch, with_keras, within=1e-4)

# %%
# After 500 steps the losses still agree. They are compared to 1e-4 here, because each step of float32 adds rounding of
# its own, and in a longer run that grows until the two go separate ways, as PyTorch does from itself on another CPU.
# ``parity run training --slow`` compares whole runs step by step, in float64 too. (R5)

smooth = np.convolve(
    trained["losses"], np.ones(50) / 50, "valid"
)
plt.figure(figsize=(6, 3), layout="constrained")
plt.plot(trained["losses"], alpha=0.25, label="each step")
plt.plot(
    np.arange(49, 500), smooth, label="mean of 50 steps"
)
plt.xlabel("step")
plt.ylabel("cross entropy")
plt.legend()
plt.show()

# %%
# The same with fit
# -----------------
# Nobody has to write the loop in Keras. ``compile`` and ``fit`` do the same steps if they are given the same order:
# arrange the images, and switch Keras's own shuffling off. The loss that ``fit`` prints is the mean over the epoch so
# far, not that of the last batches.


# PyTorch
def with_pytorch():
    # The loop above is what PyTorch has.
    first = trained["pytorch"].conv1.weight[0, 0, 0]
    return {"conv1.weight, first row": first}


# Keras
def with_keras():
    keras_blitz.manual_seed(0)
    net = models.CifarNet()
    net.compile(
        optim.SGD(lr=0.001, momentum=0.9),
        CrossEntropyLoss(),
    )
    inputs, labels = map(
        np.concatenate, zip(*make_batches(train, True))
    )
    net.fit(
        inputs,
        labels,
        batch_size=4,
        shuffle=False,
        verbose=2,
    )
    first = net.conv1.kernel[0, :, 0, 0]
    return {"conv1.weight, first row": first}


compare("fit", with_pytorch, with_keras, within=1e-4)

# %%
# Save and reload
# ---------------
# More about files is in :doc:`07_saving`. Here the network goes to a file and comes back, and four test images are
# shown to what came back.

folder = Path(tempfile.mkdtemp())


# PyTorch
def with_pytorch():
    net = trained["pytorch"]
    path = folder / "cifar_net.pth"
    torch.save(net.state_dict(), path)
    net.load_state_dict(
        torch.load(path, weights_only=True)
    )
    images, labels = next(iter(make_loader(test, False)))
    predicted = net(images).argmax(1)
    return {
        "truth": [classes[label] for label in labels],
        "predicted": [
            classes[label] for label in predicted
        ],
    }


# Keras
def with_keras():
    path = folder / "cifar_net.keras"
    trained["keras"].save(path)
    net = keras_blitz.load_model(path)
    images, labels = next(make_batches(test, False))
    predicted = tf.argmax(net(images, training=False), 1)
    return {
        "truth": [classes[label] for label in labels],
        "predicted": [
            classes[label] for label in predicted
        ],
    }


compare("reload", with_pytorch, with_keras)

# %%
# Test
# ----
# The share of right answers, in all and by class. Count the right answers and divide once: a mean of the batches'
# means is wrong where the last batch is smaller.


# PyTorch
def with_pytorch():
    correct = np.zeros(10)
    with torch.no_grad():
        for images, labels in make_loader(test, False):
            predicted = trained["pytorch"](images).argmax(
                1
            )
            for label in labels[predicted == labels]:
                correct[label] += 1
    return {
        "accuracy, %": correct.sum() / len(test) * 100,
        "correct by class": correct,
    }


# Keras
def with_keras():
    images = data.normalize(
        data.to_tensor(test.images), mean, std
    )
    predicted = trained["keras"].predict(
        images, verbose=0
    )
    right = predicted.argmax(1) == test.labels
    correct = np.bincount(
        test.labels[right], minlength=10
    )
    trained["correct"] = correct = correct.astype(float)
    return {
        "accuracy, %": correct.sum() / len(test) * 100,
        "correct by class": correct,
    }


compare("test", with_pytorch, with_keras, within=0.02)

# %%
# Two in a hundred may differ here: an image whose two best classes are equally likely can fall to either side of
# rounding.

plt.figure(figsize=(7, 3), layout="constrained")
bars = plt.bar(
    classes,
    trained["correct"] / np.bincount(test.labels) * 100,
)
plt.bar_label(bars, fmt="%.0f")
plt.ylabel("accuracy, %")
plt.xticks(rotation=40, ha="right")
plt.show()

# %%
# What to take along
# ------------------
# * Same seed, same run: ``keras_blitz.manual_seed`` and ``data.batches`` follow PyTorch's initial values and order.
# * ``fit`` is the loop; a ``tf.function`` with a tape is the loop that you can see.
# * On a GPU nothing changes in Keras; there is no ``.to(device)``: TensorFlow places tensors on a GPU if there is one.
#
# Next: :doc:`05_numpy_pytorch_tensorflow`.
