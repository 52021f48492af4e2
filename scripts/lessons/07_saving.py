"""
Saving and loading
==================

What PyTorch saves is a ``state_dict``, names and tensors. What Keras saves is a model: a ``.keras`` file holds the
layers, the weights and the optimizer. This lesson goes through both, from one to the other and back, and through what
goes wrong: keys that do not fit, a momentum that is lost, a mode that is forgotten.

In the :doc:`inventory </inventory>`: W1 to W4, S5. The flatten trap (W4) is in :doc:`03_networks`.
"""

# %%
# Setup
# -----

from parity.lessons import Lesson, nn, torch

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import keras_blitz
from keras_blitz import data, models, optim
from keras_blitz.export import save_saved_model
from keras_blitz.losses import MSELoss
from keras_blitz.weights import (
    load_checkpoint,
    read_state,
    write_model,
)

compare = Lesson("saving").compare
folder = Path(tempfile.mkdtemp())
images, _ = data.load_sample("test")
images = np.pad(
    data.to_tensor(images[:4]),
    ((0, 0), (2, 2), (2, 2), (0, 0)),
)


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
    keras_blitz.manual_seed(0)
    return models.LeNet()


# %%
# The weights in a file, and back
# -------------------------------
# ``torch.save(net.state_dict(), path)`` there, ``save_weights`` here. Both need a network of the same structure to
# load them into. Load PyTorch's files with ``weights_only=True``: a pickle can run any code.


# PyTorch
def with_pytorch():
    net = make_torch()
    path = folder / "lenet.pth"
    torch.save(net.state_dict(), path)
    torch.manual_seed(1)
    other = type(net)()
    other.load_state_dict(
        torch.load(path, weights_only=True)
    )
    x = torch.tensor(images).permute(0, 3, 1, 2)
    return {
        "the same": torch.equal(net(x), other(x)),
        "out": other(x)[0],
    }


# Keras
def with_keras():
    net = make_keras()
    path = folder / "lenet.weights.h5"
    net.save_weights(path)
    keras_blitz.manual_seed(1)
    other = models.LeNet()
    other.load_weights(path)
    return {
        "the same": np.array_equal(
            net(images), other(images)
        ),
        "out": other(images)[0],
    }


compare("weights", with_pytorch, with_keras)

# %%
# From PyTorch to Keras, and back
# -------------------------------
# ``keras_blitz.load_checkpoint`` fills a Keras model from a PyTorch file, and ``write_model`` writes a Keras model
# as one: PyTorch's names, PyTorch's layouts, bit for bit. ``.safetensors`` needs no PyTorch; ``.pth`` does. On the
# command line: ``keras-blitz convert lenet.pth --model lenet -o lenet.keras``. (W1, W2)
#
# Here the Keras network writes a file, and PyTorch reads it.


# Keras
def with_keras():
    net = make_keras()
    path = folder / "lenet.safetensors"
    write_model(net, path)
    other = models.LeNet()
    load_checkpoint(other, path)
    return {
        "names": list(keras_blitz.state_dict(other)),
        "fc1.weight": read_state(path)[
            "fc1.weight"
        ].shape,
        "out": other(images)[0],
    }


# PyTorch
def with_pytorch():
    from safetensors.torch import load_file

    net = make_torch()
    state = load_file(folder / "lenet.safetensors")
    net.load_state_dict(state)
    x = torch.tensor(images).permute(0, 3, 1, 2)
    return {
        "names": list(net.state_dict()),
        "fc1.weight": state["fc1.weight"].shape,
        "out": net(x)[0],
    }


compare("both ways", with_keras, with_pytorch)

# %%
# Your own Keras model loads in the same way, if its layers are named by PyTorch's paths; if they are not,
# ``parity.transfer`` finds the pairs by the values that arrive at both.
#
# When keys do not fit
# --------------------
# A checkpoint of a network with another head, a key too many, one missing. PyTorch's ``strict=False`` goes on with
# what fits, silently where a name was mistyped. Here all problems are listed by name in one error, and what is left
# out is left out on purpose: ``skip=["fc3"]``. The prefix of ``DataParallel`` is dropped where all names have it.
# (W3)


# PyTorch
def with_pytorch():
    state = make_torch().state_dict()
    state["fc3.weight"] = state["fc3.weight"][:5]
    state["fc4.bias"] = state.pop("fc2.bias")
    try:
        make_torch().load_state_dict(state)
    except RuntimeError as error:
        text = str(error)
    named = {
        "missing": '"fc2.bias"' in text,
        "surplus": '"fc4.bias"' in text,
        "shape": "size mismatch for fc3.weight" in text,
    }
    wrapped = nn.DataParallel(make_torch()).state_dict()
    try:
        make_torch().load_state_dict(wrapped)
        named["module. is understood"] = True
    except RuntimeError:
        named["module. is understood"] = False
    return named


# Keras
def with_keras():
    state = keras_blitz.state_dict(make_keras())
    state["fc3.weight"] = state["fc3.weight"][:5]
    state["fc4.bias"] = state.pop("fc2.bias")
    try:
        keras_blitz.load_state_dict(make_keras(), state)
    except keras_blitz.CheckpointError as error:
        text = str(error)
    print(text)
    named = {
        "missing": "missing: fc2.bias" in text,
        "surplus": "surplus: fc4.bias" in text,
        "shape": "fc3.weight is (5, 84)" in text,
    }
    state = keras_blitz.state_dict(make_keras())
    wrapped = {
        f"module.{k}": value for k, value in state.items()
    }
    keras_blitz.load_state_dict(make_keras(), wrapped)
    return {**named, "module. is understood": True}


why = "PyTorch wants the prefix removed by hand"
compare(
    "keys",
    with_pytorch,
    with_keras,
    differs={"module. is understood": why},
)

# %%
# The whole model, and going on with the training
# -----------------------------------------------
# Three steps, a file, three more. PyTorch's habit is a dictionary with the ``state_dict`` of the network *and* of the
# optimizer; whoever saves the network alone loses the momentum, and the run continues differently. A compiled Keras
# model saves its optimizer by itself: ``model.save`` in the middle of a run, ``load_model``, ``fit`` again.


# PyTorch
def with_pytorch():
    x = torch.tensor(images).permute(0, 3, 1, 2)
    y = torch.eye(10)[:4]

    def steps(net, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            loss = nn.MSELoss()(net(x), y)
            loss.backward()
            optimizer.step()
        return loss

    def make():
        net = make_torch()
        return net, torch.optim.SGD(
            net.parameters(), lr=0.1, momentum=0.9
        )

    net, optimizer = make()
    steps(net, optimizer)
    path = folder / "checkpoint.pth"
    torch.save(
        {
            "epoch": 3,
            "model_state_dict": net.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
        },
        path,
    )
    found = {"uninterrupted": steps(net, optimizer)}

    checkpoint = torch.load(path, weights_only=True)
    net, optimizer = make()
    net.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(
        checkpoint["optimizer_state_dict"]
    )
    found["continued"] = steps(net, optimizer)

    net, optimizer = make()
    net.load_state_dict(checkpoint["model_state_dict"])
    found["momentum lost"] = steps(net, optimizer)
    return found


# Keras
def with_keras():
    y = np.eye(10, dtype=np.float32)[:4]

    def steps(net):
        history = net.fit(
            images, y, epochs=3, shuffle=False, verbose=0
        ).history
        return np.float32(history["loss"][-1])

    net = make_keras()
    net.compile(
        optim.SGD(lr=0.1, momentum=0.9), MSELoss()
    )
    steps(net)
    path = folder / "lenet.keras"
    net.save(path)
    found = {"uninterrupted": steps(net)}

    net = keras.saving.load_model(path)
    found["continued"] = steps(net)

    net = keras_blitz.load_model(path)  # not compiled
    net.compile(
        optim.SGD(lr=0.1, momentum=0.9), MSELoss()
    )
    found["momentum lost"] = steps(net)
    return found


compare("continue", with_pytorch, with_keras)

# %%
# Both go on exactly where they stopped, and both go another way where the momentum is lost: that is an error of the
# loss which nobody sees.
#
# Eval mode
# ---------
# A loaded PyTorch network is in *train* mode until ``net.eval()``: dropout drops, BatchNorm takes the batch's
# statistics, and the same input gives another output every time. A Keras model that is called is in *eval* mode,
# unless ``training=True`` is said. So a port of a training loop that forgets ``training=True`` trains without
# dropout. (S5)


# PyTorch
def with_pytorch():
    net = nn.Sequential(nn.Linear(4, 99), nn.Dropout(0.5))
    x = torch.ones(1, 4)
    as_made = torch.equal(net(x), net(x)), net.training
    net.eval()
    in_eval = torch.equal(net(x), net(x)), net.training
    return {
        "as it is: repeatable": as_made[0],
        "as it is: train mode": as_made[1],
        "eval: repeatable": in_eval[0],
        "eval: train mode": in_eval[1],
    }


# Keras
def with_keras():
    net = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(99),
            keras.layers.Dropout(0.5),
        ]
    )
    x = np.ones((1, 4), np.float32)
    return {
        "as it is: repeatable": np.array_equal(
            net(x), net(x)
        ),
        "as it is: train mode": False,
        "eval: repeatable": np.array_equal(
            net(x, training=False), net(x, training=False)
        ),
        "eval: train mode": False,
    }


compare(
    "mode",
    with_pytorch,
    with_keras,
    differs={
        "as it is: repeatable": "dropout runs in PyTorch until eval() is called",
        "as it is: train mode": "PyTorch's default is train mode, Keras's eval mode",
    },
)

# %%
# Files that run without the package
# ----------------------------------
# ``keras_blitz.export`` writes TensorFlow's SavedModel, TFLite and ONNX, the last on request in PyTorch's layout. A
# SavedModel has its signature inside, and no Python is needed to serve it. ``python scripts/vgg16_export.py`` does
# all of this to VGG16, ONNX included, and compares what comes back.


# PyTorch
def with_pytorch():
    net = make_torch().eval()
    x = torch.tensor(images).permute(0, 3, 1, 2)
    program = torch.export.export(net, (x,))
    path = folder / "lenet.pt2"
    torch.export.save(program, path)
    return {"out": torch.export.load(path).module()(x)[0]}


# Keras
def with_keras():
    net = make_keras()
    path = folder / "lenet-saved"
    save_saved_model(net, path)
    saved = tf.saved_model.load(path)
    return {"out": saved.serve(images)[0]}


compare("export", with_pytorch, with_keras)

# %%
# What to take along
# ------------------
# * ``.keras`` is the whole model with its optimizer; ``.weights.h5`` and a ``state_dict`` are the weights.
# * Save the optimizer, too, if the training is to go on.
# * PyTorch is in train mode until told otherwise, Keras in eval mode until told otherwise.
#
# Next: :doc:`08_mnist_cnn`.
