"""
Neural networks
===============

The blitz's third part builds LeNet, sends an image through it, computes a loss, goes backward, and updates the
weights by hand. Here is the same in Keras: how a network is written, what its weights are called and how they are
laid out, and the one place where copying a weight is not enough.

In the :doc:`inventory </inventory>`: N1, A13, W4, L2, O1. The step from a placeholder to a CNN is in
:doc:`08_mnist_cnn`.
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
from keras import layers

import keras_blitz
from keras_blitz import data, models, optim
from keras_blitz.autograd import Gradients
from keras_blitz.initializers import initialize
from keras_blitz.losses import CrossEntropyLoss, MSELoss

compare = Lesson("networks").compare

# %%
# Define the network
# ------------------
# In PyTorch a network is a class with layers and a ``forward``. A Keras model can be written in the same way, but the
# natural form is *functional*: call the layers one after the other, and make a model of the first and the last tensor.
# Name the layers as PyTorch names them; then weights find their places by name.
#
# Input sizes of layers need not be written in Keras. Two things must be taken care of: images are channels last, and
# the initial values are others. PyTorch draws weights *and* biases from U(−1/√n, 1/√n), n the number of inputs; Keras
# draws weights by Glorot's rule and sets biases to 0. ``initialize`` draws PyTorch's.


# PyTorch
def make_torch():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.fc1 = nn.Linear(16 * 5 * 5, 120)
            self.fc2 = nn.Linear(120, 84)
            self.fc3 = nn.Linear(84, 10)

        def forward(self, x):
            max_pool2d = nn.functional.max_pool2d
            x = max_pool2d(self.conv1(x).relu(), 2)
            x = max_pool2d(self.conv2(x).relu(), 2)
            x = torch.flatten(x, 1)
            x = self.fc1(x).relu()
            x = self.fc2(x).relu()
            return self.fc3(x)

    torch.manual_seed(0)
    return Net()


# Keras
def make_keras():
    x = inputs = keras.Input((32, 32, 1))
    x = layers.Conv2D(6, 5, name="conv1")(x)
    x = layers.MaxPooling2D(2)(layers.ReLU()(x))
    x = layers.Conv2D(16, 5, name="conv2")(x)
    x = layers.MaxPooling2D(2)(layers.ReLU()(x))
    x = layers.Flatten()(x)
    x = layers.Dense(120, "relu", name="fc1")(x)
    x = layers.Dense(84, "relu", name="fc2")(x)
    outputs = layers.Dense(10, name="fc3")(x)
    net = keras.Model(inputs, outputs)

    keras_blitz.manual_seed(0)
    initialize(net)
    return net


# %%
# What is in it? PyTorch's ``named_parameters`` and ``state_dict`` have a counterpart for every Keras model,
# ``keras_blitz.state_dict``: PyTorch's names, and PyTorch's layouts. Keras keeps the kernel of a convolution as
# (height, width, in, out), and that of a dense layer as (in, out), the transpose of PyTorch's.


# PyTorch
def with_pytorch():
    net = make_torch()
    return {
        "parameters": [
            f"{name} {tuple(p.shape)}"
            for name, p in net.named_parameters()
        ],
        "values": sum(
            p.numel() for p in net.parameters()
        ),
        "own shape of conv1": net.conv1.weight.shape,
        "own shape of fc3": net.fc3.weight.shape,
        "conv1.bias": net.conv1.bias,
    }


# Keras
def with_keras():
    net = make_keras()
    state = keras_blitz.state_dict(net)
    return {
        "parameters": [
            f"{name} {value.shape}"
            for name, value in state.items()
        ],
        "values": net.count_params(),
        "own shape of conv1": net.get_layer(
            "conv1"
        ).kernel.shape,
        "own shape of fc3": net.get_layer(
            "fc3"
        ).kernel.shape,
        "conv1.bias": net.get_layer("conv1").bias,
    }


compare(
    "parameters",
    with_pytorch,
    with_keras,
    differs={
        "own shape of conv1": "(out, in, height, width), and (height, width, in, out)",
        "own shape of fc3": "(out, in), and (in, out)",
    },
)

# %%
# The biases are the same numbers: both were drawn from seed 0. ``keras_blitz.models`` has the tutorials' networks
# ready, and ``models.LeNet()`` is this one.
#
# A pass forward
# --------------
# A random image of 32×32 goes through. The only difference is where the channel is.


# PyTorch
def with_pytorch():
    net = make_torch()
    image = torch.randn(1, 1, 32, 32)
    return {"out": net(image)}


# Keras
def with_keras():
    net = make_keras()
    image = keras_blitz.random.randn(1, 1, 32, 32)
    image = tf.transpose(image, (0, 2, 3, 1))
    return {"out": net(image)}


compare("forward", with_pytorch, with_keras)

# %%
# The flatten trap
# ----------------
# ``fc1`` has 400 inputs, the 16 channels of 5×5 values that ``Flatten`` makes a row of. PyTorch's row runs through
# channel, height, width; Keras's through height, width, channel. So the columns of ``fc1.weight`` belong to other
# inputs, and a kernel that is merely transposed gives wrong answers without any error: every shape fits.
# ``load_state_dict`` puts the columns in order. (W4)


# PyTorch
def with_pytorch():
    net = make_torch()
    image = torch.randn(1, 1, 32, 32)
    return {
        "weight transposed": net(image),
        "with load_state_dict": net(image),
    }


# Keras
def with_keras():
    net = make_keras()
    state = keras_blitz.state_dict(net)
    image = keras_blitz.random.randn(1, 1, 32, 32)
    image = tf.transpose(image, (0, 2, 3, 1))

    net.get_layer("fc1").kernel.assign(
        state["fc1.weight"].T
    )
    naive = net(image)
    keras_blitz.load_state_dict(net, state)
    return {
        "weight transposed": naive,
        "with load_state_dict": net(image),
    }


why = "the flattened values come in another order, (H, W, C) and not (C, H, W)"
compare(
    "flatten",
    with_pytorch,
    with_keras,
    differs={"weight transposed": why},
)

# %%
# Backward
# --------
# With a random gradient for the ten outputs, then for a loss: the mean squared error against a random target. Before
# the second pass the gradients are set to nothing, and ``conv1.bias.grad`` is ``None``; after it there are six values.
# ``Gradients`` keeps them as PyTorch's parameters do. (A13)


# PyTorch
def with_pytorch():
    net = make_torch()
    image = torch.randn(1, 1, 32, 32)
    output = net(image)
    output.backward(torch.randn(1, 10), retain_graph=True)
    random = net.conv1.bias.grad

    target = torch.randn(1, 10)
    loss = nn.MSELoss()(output, target)
    net.zero_grad()
    before = net.conv1.bias.grad
    loss.backward()
    after = net.conv1.bias.grad
    return {
        "of a random gradient": random,
        "loss": loss,
        "before": before,
        "after": after,
    }


# Keras
def with_keras():
    net = make_keras()
    randn = keras_blitz.random.randn
    image = tf.transpose(
        randn(1, 1, 32, 32), (0, 2, 3, 1)
    )
    bias = net.get_layer("conv1").bias
    gradients = Gradients(net.trainable_variables)
    with gradients.record() as recording:
        output = net(image)
        v, target = randn(1, 10), randn(1, 10)
        loss = MSELoss()(target, output)
    recording.backward(output, v, retain_graph=True)
    random = gradients.grad(bias)

    gradients.zero_grad()
    before = gradients.grad(bias)
    recording.backward(loss)
    after = gradients.grad(bias)
    return {
        "of a random gradient": random,
        "loss": loss,
        "before": before,
        "after": after,
    }


compare("backward", with_pytorch, with_keras)

# %%
# In plain Keras nothing of this is needed: ``tape.gradient(loss, net.trainable_variables)`` is always fresh.
#
# Update the weights
# ------------------
# w ← w − lr · gradient, by hand, and then by an optimizer. The optimizers of ``keras_blitz.optim`` are Keras
# optimizers with PyTorch's arguments and updates. Where Keras's own differ is the subject of
# :doc:`06_optimization`.


# PyTorch
def with_pytorch():
    net = make_torch()
    image, target = (
        torch.randn(1, 1, 32, 32),
        torch.randn(1, 10),
    )
    criterion = nn.MSELoss()
    losses = [criterion(net(image), target)]
    losses[0].backward()
    for f in net.parameters():
        f.data.sub_(f.grad.data * 0.01)

    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        losses.append(criterion(net(image), target))
        losses[-1].backward()
        optimizer.step()
    return {
        "losses": losses,
        "conv1.bias": net.conv1.bias,
    }


# Keras
def with_keras():
    net = make_keras()
    randn = keras_blitz.random.randn
    image = tf.transpose(
        randn(1, 1, 32, 32), (0, 2, 3, 1)
    )
    target = randn(1, 10)
    weights = net.trainable_variables
    criterion = MSELoss()

    def loss_and_gradients():
        with tf.GradientTape() as tape:
            loss = criterion(
                target, net(image, training=True)
            )
        return loss, tape.gradient(loss, weights)

    losses = []
    loss, grads = loss_and_gradients()
    losses.append(loss)
    for w, g in zip(weights, grads):
        w.assign_sub(0.01 * g)

    optimizer = optim.SGD(lr=0.01)
    for _ in range(2):
        loss, grads = loss_and_gradients()
        losses.append(loss)
        optimizer.apply(grads, weights)
    return {
        "losses": losses,
        "conv1.bias": net.get_layer("conv1").bias,
    }


compare("update", with_pytorch, with_keras)

# %%
# Losses
# ------
# ``CrossEntropyLoss`` takes logits, not probabilities, in PyTorch. In Keras ``SparseCategoricalCrossentropy`` takes
# probabilities, unless it is told ``from_logits=True``; forget that, and it trains badly, but it trains. Its
# weights and its ``ignore_index`` have PyTorch's meaning only in ``keras_blitz.losses``: PyTorch divides by the sum
# of the weights that took part. (L2)


# PyTorch
def with_pytorch():
    logits = torch.tensor(
        [[2.0, 0.0, -1.0], [0.5, 1.0, 3.0]]
    )
    labels = torch.tensor([0, 1])
    weight = torch.tensor([1.0, 2.0, 0.5])
    CE = nn.CrossEntropyLoss
    return {
        "from_logits forgotten": CE()(logits, labels),
        "plain": CE()(logits, labels),
        "weighted": CE(weight=weight)(logits, labels),
        "smoothed": CE(label_smoothing=0.1)(
            logits, labels
        ),
        "ignored": CE(ignore_index=1)(logits, labels),
    }


# Keras
def with_keras():
    logits = tf.constant(
        [[2.0, 0.0, -1.0], [0.5, 1.0, 3.0]]
    )
    labels = tf.constant([0, 1])
    naive = keras.losses.SparseCategoricalCrossentropy()
    weight = [1.0, 2.0, 0.5]
    CE = CrossEntropyLoss
    return {
        "from_logits forgotten": naive(labels, logits),
        "plain": CE()(labels, logits),
        "weighted": CE(weight=weight)(labels, logits),
        "smoothed": CE(label_smoothing=0.1)(
            labels, logits
        ),
        "ignored": CE(ignore_index=1)(labels, logits),
    }


why = "Keras takes the logits for probabilities, and normalizes and clips them"
compare(
    "losses",
    with_pytorch,
    with_keras,
    differs={"from_logits forgotten": why},
)

# %%
# Look inside
# -----------
# A Keras model can be cut anywhere: a second model from the same input to an inner tensor shares its layers. These are
# the six channels that the untrained ``conv1`` makes of a shirt.

net = models.LeNet()
images, labels = data.load_sample("test")
image = np.pad(
    data.to_tensor(images[:1]),
    ((0, 0), (2, 2), (2, 2), (0, 0)),
)
inner = keras.Model(net.input, net.conv1.output)
channels = inner(image)[0].numpy()

_, axes = plt.subplots(
    1, 7, figsize=(9, 1.8), layout="constrained"
)
axes[0].imshow(image[0, :, :, 0], cmap="gray")
axes[0].set_title("input", fontsize=9)
for number in range(6):
    axes[number + 1].imshow(
        channels[:, :, number], cmap="gray"
    )
    axes[number + 1].set_title(
        f"channel {number}", fontsize=9
    )
for one in axes:
    one.set_axis_off()
plt.show()

# %%
# What to take along
# ------------------
# * Name Keras layers by PyTorch's paths, and ``state_dict`` and ``load_state_dict`` work on your own model.
# * The first dense kernel after a Flatten must be permuted, not only transposed.
# * Keras's losses expect probabilities unless told otherwise.
# * Is your port the same network? ``parity.check(torch_net, keras_net, inputs)`` compares every layer, gradient and
#   step.
#
# Next: :doc:`04_classifier`.
