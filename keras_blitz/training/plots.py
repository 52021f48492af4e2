"""The pictures of a run, as matplotlib figures: images with labels, curves, bars, a confusion matrix."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from keras_blitz.data.grid import to_bytes
from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path


def check_matplotlib() -> None:
    """Raise where there is no matplotlib; a long run should say so at its beginning.

    Raises:
        BlitzError: it is not installed.
    """
    if find_spec("matplotlib") is None:
        raise BlitzError("pictures need matplotlib: pip install 'keras-blitz[scripts]'")


def image_grid(images: np.ndarray, titles: Sequence[str], columns: int = 8) -> Any:
    """Return a figure of images with a title each.

    Args:
        images: (N, H, W, C) uint8, or floating in [0, 1]; C of 1 is grey.
        titles: N texts.
        columns: images in a row.
    """
    images = images if images.dtype == np.uint8 else to_bytes(images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure = new_figure(1.4 * columns, 1.6 * rows)
    for number, (image, title) in enumerate(zip(images, titles, strict=True)):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(title, fontsize=8)
        axes.set_axis_off()
    return figure


def curves(losses: np.ndarray, accuracies: Sequence[float], steps_per_epoch: int, window: int = 100) -> Any:
    """Return a figure of the loss, a mean over `window` steps, and of the test accuracy after each epoch."""
    figure = new_figure(9, 3.5)
    axes = figure.add_subplot(1, 2, 1)
    window = max(1, min(window, len(losses) // 2))
    means = losses[: len(losses) // window * window].reshape(-1, window).mean(1)
    axes.plot((np.arange(len(means)) + 1) * window / steps_per_epoch, means)
    axes.set(xlabel="epoch", ylabel=f"loss, mean of {window} steps")
    axes = figure.add_subplot(1, 2, 2)
    axes.plot(np.arange(len(accuracies)) + 1, 100 * np.asarray(accuracies), marker="o")
    axes.set(xlabel="epoch", ylabel="test accuracy, %", ylim=(0, 100))
    return figure


def class_bars(shares: np.ndarray, classes: Sequence[str]) -> Any:
    """Return a figure with one bar per class: the share of right answers, 0–1."""
    figure = new_figure(7, 3.5)
    axes = figure.add_subplot()
    bars = axes.bar(range(len(classes)), 100 * np.nan_to_num(shares))
    axes.bar_label(bars, fmt="%.0f")
    axes.set(ylabel="accuracy, %", ylim=(0, 110))
    axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right")
    return figure


def confusion_matrix(table: np.ndarray, classes: Sequence[str]) -> Any:
    """Return a figure of a confusion matrix: each row's share of its images, the counts written in."""
    figure = new_figure(6.5, 6)
    axes = figure.add_subplot()
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*table.shape):
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(table[row, column]), ha="center", va="center", fontsize=7, color=color)
    axes.set_xticks(range(len(classes)), classes, rotation=40, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="ground truth")
    return figure


def save_figure(figure: Any, path: str | os.PathLike[str], dpi: int = 110) -> None:
    """Write a figure as PNG, whole or not at all.

    Raises:
        BlitzError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure, its sides in inches.

    Raises:
        BlitzError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.figure import Figure  # without pyplot: no window, no state, no warning of open figures

    return Figure(figsize=(width, height), layout="constrained")
