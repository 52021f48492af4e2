"""What TensorBoard shows and `tf.summary` has no function for: figures, graphs, precision–recall curves, embeddings."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.files import atomic_path


def write_figure(name: str, figure: Any, step: int = 0) -> None:
    """Write a matplotlib figure as an image; `SummaryWriter.add_figure`, which also closes it."""
    import tensorflow as tf

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    tf.summary.image(name, tf.io.decode_png(buffer.getvalue(), channels=4)[tf.newaxis], step=step)


def write_graph(model: Any) -> None:
    """Write the graph of a forward pass in eval mode; `SummaryWriter.add_graph`."""
    import tensorflow as tf

    forward = tf.function(lambda images: model(images, training=False))
    concrete = forward.get_concrete_function(tf.TensorSpec((1, *model.input_shape[1:]), tf.float32))
    tf.summary.graph(concrete.graph)


def write_pr_curve(
    name: str, labels: np.ndarray, predictions: np.ndarray, step: int = 0, thresholds: int = 127
) -> None:
    """Write precision against recall of one class against the others; `SummaryWriter.add_pr_curve`.

    Args:
        name: of the curve.
        labels: (N,) whether it is the class.
        predictions: (N,) 0–1, the probability of the class.
        step: of the training.
        thresholds: evenly from 0 to 1.
    """
    import tensorflow as tf
    from tensorboard.plugins.pr_curve import metadata

    table = pr_table(labels, predictions, thresholds)
    kind = metadata.create_summary_metadata(display_name=name, description="", num_thresholds=thresholds)
    tf.summary.write(name, tf.constant(table, tf.float32), step=step, metadata=kind)


def pr_table(truth: np.ndarray, scores: np.ndarray, thresholds: int = 127) -> np.ndarray:
    """Return true and false positives, true and false negatives, precision and recall, each (thresholds,).

    Args:
        truth: (N,) whether it is the class.
        scores: (N,) 0–1; positive from the threshold on.
        thresholds: evenly from 0 to 1.
    """
    positive = scores[:, np.newaxis] >= np.linspace(0, 1, thresholds)
    truth = truth[:, np.newaxis]
    tp, fp = (positive & truth).sum(0), (positive & ~truth).sum(0)
    fn, tn = (~positive & truth).sum(0), (~positive & ~truth).sum(0)
    return np.stack([tp, fp, tn, fn, tp / np.maximum(tp + fp, 1), tp / np.maximum(tp + fn, 1)]).astype(np.float32)


def write_embedding(
    logdir: str | os.PathLike[str], features: np.ndarray, images: np.ndarray, names: Sequence[str]
) -> None:
    """Write points with labels and thumbnails for the projector; `SummaryWriter.add_embedding`.

    Args:
        logdir: folder of the logs, which is there.
        features: (N, D), a point for each image.
        images: (N, H, W, C) uint8.
        names: N labels.
    """
    from tensorboard.plugins import projector

    from keras_blitz.data import make_grid, save_image, to_tensor

    logdir = Path(logdir)
    with atomic_path(logdir / "features.tsv") as path:
        np.savetxt(path, features, delimiter="\t", fmt="%.6g")
    with atomic_path(logdir / "labels.tsv") as path:
        path.write_text("\n".join(names) + "\n", encoding="utf-8")
    rows = int(np.ceil(np.sqrt(len(images))))  # a sprite is square
    squared = np.concatenate([images, np.zeros((rows * rows - len(images), *images.shape[1:]), np.uint8)])
    save_image(make_grid(to_tensor(squared), nrow=rows, padding=0), logdir / "sprite.png")
    config = projector.ProjectorConfig()
    entry = config.embeddings.add(tensor_name="images", tensor_path="features.tsv", metadata_path="labels.tsv")
    entry.sprite.image_path = "sprite.png"
    entry.sprite.single_image_dim.extend(images.shape[1:3])
    projector.visualize_embeddings(str(logdir), config)
