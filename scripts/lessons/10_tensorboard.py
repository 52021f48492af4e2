"""
TensorBoard
===========

PyTorch writes TensorBoard's logs with a ``SummaryWriter``, TensorFlow with ``tf.summary``. The files are the same,
and so is what the browser shows. Here both write every kind of summary, and the files of both are read back and
compared.

In the :doc:`inventory </inventory>`: S6. ``python scripts/tensorboard_tour.py`` writes them all during a training.
"""

# sphinx_gallery_thumbnail_number = 1

# %%
# Setup
# -----
# ``read`` collects what a folder's event files hold: by tag, the kind of summary and its last value.

from parity.lessons import Lesson, nn, torch

import tempfile
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import (
    EventFileLoader,
)

from keras_blitz import data
from keras_blitz.training import summaries

compare = Lesson("tensorboard").compare
folder = Path(tempfile.mkdtemp())


def read(logdir):
    kinds, values = {}, {}
    for path in sorted(logdir.rglob("events*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                kind = (
                    value.metadata.plugin_data.plugin_name
                )
                kinds[value.tag] = kind or kinds.get(
                    value.tag
                )
                values[value.tag] = value.tensor
    return kinds, {
        tag: tf.make_ndarray(tensor)
        for tag, tensor in values.items()
    }


def kinds_in(logdir):
    """Return the kinds of summary, and whether the graph comes with the times of its operations."""
    kinds = {
        kind for kind in read(logdir)[0].values() if kind
    }
    times = "graph_tagged_run_metadata"
    return sorted(kinds - {times}), times in kinds


def writer_of(logdir):
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder / logdir)


# %%
# Scalars
# -------
# ``add_scalar(tag, value, step)`` is ``tf.summary.scalar(tag, value, step=step)``, within the writer's context. The
# step is a keyword, and required: without one TensorFlow writes nothing that can be found, and in ``fit`` the
# callback does it.

losses = np.float32(
    2.3 * np.exp(-np.arange(20) / 8) + 0.1
)


# PyTorch
def with_pytorch():
    with writer_of("scalars-pytorch") as writer:
        for step, loss in enumerate(losses):
            writer.add_scalar("training loss", loss, step)
    kinds, values = read(folder / "scalars-pytorch")
    return {
        "kind": kinds["training loss"],
        "last value": values["training loss"],
    }


# Keras
def with_keras():
    writer = tf.summary.create_file_writer(
        str(folder / "scalars-keras")
    )
    with writer.as_default():
        for step, loss in enumerate(losses):
            tf.summary.scalar(
                "training loss", loss, step=step
            )
    writer.close()
    kinds, values = read(folder / "scalars-keras")
    return {
        "kind": kinds["training loss"],
        "last value": values["training loss"],
    }


compare("scalars", with_pytorch, with_keras)

# %%
# Images, histograms, text
# ------------------------
# Images have values from 0 to 1. PyTorch takes one image (C, H, W), TensorFlow a batch (N, H, W, C), of which it shows
# three unless ``max_outputs`` says more. An image's summary in the file is its width, its height, and the PNG.

images, labels = data.load_sample("test")
names = [data.CLASSES[label] for label in labels]
grid = data.make_grid(data.to_tensor(images[:8]))
weights = np.float32(np.random.RandomState(0).randn(500))

plt.figure(figsize=(6, 1.5), layout="constrained")
plt.imshow(grid)
plt.title("   ".join(names[:8]), fontsize=7)
plt.axis("off")


# PyTorch
def with_pytorch():
    logdir = "kinds-pytorch"
    with writer_of(logdir) as writer:
        writer.add_image(
            "images", grid.transpose(2, 0, 1)
        )
        writer.add_histogram("weights", weights)
        writer.add_text("about", "a **short** note")
    kinds, values = read(folder / logdir)
    return {
        "kinds": sorted(set(kinds.values())),
        "image's sizes": [
            int(n) for n in values["images"][:2]
        ],
        "text": values["about/text_summary"]
        .item()
        .decode(),
        "values counted": int(
            values["weights"].sum(0)[2]
        ),
    }


# Keras
def with_keras():
    logdir = folder / "kinds-keras"
    writer = tf.summary.create_file_writer(str(logdir))
    with writer.as_default(step=0):
        tf.summary.image("images", grid[np.newaxis])
        tf.summary.histogram("weights", weights)
        tf.summary.text("about", "a **short** note")
    writer.close()
    kinds, values = read(logdir)
    return {
        "kinds": sorted(set(kinds.values())),
        "image's sizes": [
            int(n) for n in values["images"][:2]
        ],
        "text": values["about"].item().decode(),
        "values counted": int(
            values["weights"].sum(0)[2]
        ),
    }


compare("kinds", with_pytorch, with_keras)

# %%
# Precision and recall
# --------------------
# ``add_pr_curve`` counts, at 127 thresholds, who is found rightly and wrongly. ``tf.summary`` has no function for it;
# ``summaries.write_pr_curve`` of ``keras_blitz.training`` writes the same table.

chance = np.random.RandomState(1)
is_shirt = chance.rand(200) < 0.3
scores = np.float32(
    np.clip(0.3 * is_shirt + 0.7 * chance.rand(200), 0, 1)
)


# PyTorch
def with_pytorch():
    with writer_of("pr-pytorch") as writer:
        writer.add_pr_curve("shirt", is_shirt, scores)
    kinds, values = read(folder / "pr-pytorch")
    table = values["shirt"]
    return {
        "kind": kinds["shirt"],
        "shape": table.shape,
        "precision": table[4, ::25],
        "recall": table[5, ::25],
    }


# Keras
def with_keras():
    writer = tf.summary.create_file_writer(
        str(folder / "pr-keras")
    )
    with writer.as_default():
        summaries.write_pr_curve(
            "shirt", is_shirt, scores
        )
    writer.close()
    kinds, values = read(folder / "pr-keras")
    table = values["shirt"]
    plt.figure(figsize=(3.5, 3), layout="constrained")
    plt.plot(table[5], table[4])
    plt.xlabel("recall")
    plt.ylabel("precision")
    return {
        "kind": kinds["shirt"],
        "shape": table.shape,
        "precision": table[4, ::25],
        "recall": table[5, ::25],
    }


compare("precision and recall", with_pytorch, with_keras)

# %%
# The rest
# --------
# Audio, a figure, the graph of a network, points for the projector, hyper-parameters. ``tf.summary`` has ``audio`` and
# ``graph``; a figure is an image of it, the projector reads three files beside the logs, and hyper-parameters are a
# plugin of TensorBoard. ``keras_blitz.training.summaries`` does the ones in the middle.

time = np.arange(2000, dtype=np.float32) / 8000
wave = np.sin(2 * np.pi * 440 * time)
figure, _ = plt.subplots(
    figsize=(2, 2), layout="constrained"
)
few, few_names = images[:9], names[:9]
points = data.to_tensor(few).reshape(9, -1)


# PyTorch
def with_pytorch():
    with writer_of("rest-pytorch") as writer:
        writer.add_audio(
            "tone", torch.tensor(wave), sample_rate=8000
        )
        writer.add_figure("figure", figure, close=False)
        writer.add_graph(
            nn.Linear(4, 2), torch.ones(1, 4)
        )
        writer.add_embedding(
            points,
            few_names,
            torch.tensor(data.to_tensor(few)).permute(
                0, 3, 1, 2
            ),
        )
        writer.add_hparams(
            {"lr": 0.1}, {"accuracy": 0.9}, run_name="."
        )
    logdir = folder / "rest-pytorch"
    kinds, timed = kinds_in(logdir)
    rows = next(logdir.rglob("tensors.tsv")).read_text()
    config = (
        logdir / "projector_config.pbtxt"
    ).read_text()
    return {
        "kinds": kinds,
        "graph with times": timed,
        "points": len(rows.splitlines()),
        "thumbnails": "single_image_dim: 28" in config,
    }


# Keras
def with_keras():
    from tensorboard.plugins.hparams import api

    logdir = folder / "rest-keras"
    writer = tf.summary.create_file_writer(str(logdir))
    net = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(2)]
    )
    with writer.as_default(step=0):
        tf.summary.audio(
            "tone", wave[np.newaxis, :, np.newaxis], 8000
        )
        summaries.write_figure("figure", figure)
        summaries.write_graph(net)
        api.hparams({"lr": 0.1})
        tf.summary.scalar("accuracy", 0.9)
    writer.close()
    summaries.write_embedding(
        logdir, points, few, few_names
    )
    kinds, timed = kinds_in(logdir)
    rows = (logdir / "features.tsv").read_text()
    config = (
        logdir / "projector_config.pbtxt"
    ).read_text()
    return {
        "kinds": kinds,
        "graph with times": timed,
        "points": len(rows.splitlines()),
        "thumbnails": "single_image_dim: 28" in config,
    }


why = "PyTorch runs the graph once, and writes how long it took"
compare(
    "rest",
    with_pytorch,
    with_keras,
    differs={"graph with times": why},
)
plt.close(figure)

# %%
# In ``fit`` a callback writes losses, metrics, and, with ``histogram_freq=1``, the weights:
# ``keras.callbacks.TensorBoard("runs")``. Then, in a terminal or, with a ``%load_ext tensorboard`` first, in a
# notebook:
#
# .. code-block:: console
#
#    tensorboard --logdir runs --port 6006
