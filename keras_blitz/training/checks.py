"""What a training script asks before it trains, and of each loss: each answer that is no is one line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.data.datasets import ImageData
from keras_blitz.errors import BlitzError
from keras_blitz.training.recipes import RECIPES


def check_network(name: str) -> tuple[int, int, int]:
    """Return the (H, W, C) of the images that a network takes.

    Raises:
        BlitzError: it cannot be trained as the tutorials do: no weights, several outputs, or outputs that are images.
    """
    from keras_blitz.initializers import all_zero, skip_init
    from keras_blitz.models import build

    with skip_init(), all_zero():  # it is only looked at
        network = build(name)
    reason = ""
    if not network.trainable_variables:
        reason = "has no weights to train"
    elif not (shape := getattr(network, "output_shape", None)):  # the forward of Network1 does not use its layers yet
        reason = "returns its input, not class scores"
    elif isinstance(shape, list):
        reason = f"has {len(shape)} outputs in train mode, and one is trained here"
    if reason:
        raise BlitzError(f"--network {name}: {reason}; choose another, such as {RECIPES['mnist'].network}")
    return network.input_shape[1:]


def check_images(network: str, shape: tuple[int, int, int], data: ImageData) -> None:
    """Raise where a data set's images are not of the (H, W, C) that a network takes.

    Raises:
        BlitzError: names both.
    """
    images = data.train.images.shape[1:]
    if images != shape:
        wanted, there = ("×".join(map(str, size)) for size in (shape, images))
        raise BlitzError(f"--network {network}: takes images of {wanted}, and those of {data.name} are {there}")


def check_finite(losses: np.ndarray, epoch: int, step: int, lr: float) -> None:
    """Raise where a run has diverged.

    Args:
        losses: of the last steps.
        epoch, step: the place in the run after them, both from 1.
        lr: the learning rate.

    Raises:
        BlitzError: a loss is NaN or infinite.
    """
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        first = int(bad[0])
        raise BlitzError(
            f"the loss is {losses[first]} in epoch {epoch}, step {step - len(losses) + first + 1}: the run stops, and"
            f" no more of it is saved; try a smaller --lr than {lr:g}"
        )


def check_outputs(logits: np.ndarray, epoch: int, lr: float) -> None:
    """Raise where a network's outputs are not finite; its last step, whose loss nobody computes, may be the one.

    Args:
        logits: (N, C), of the test images.
        epoch: that has ended, from 1.
        lr: the learning rate.

    Raises:
        BlitzError: an output is NaN or infinite.
    """
    if not np.isfinite(logits).all():
        raise BlitzError(
            f"the network's outputs are not finite after epoch {epoch}: the run stops, and no more of it is saved;"
            f" try a smaller --lr than {lr:g}"
        )


def check_options(path: Path, saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise where a checkpoint is of a run with other options; without a seed one goes on with the checkpoint's.

    Args:
        path: of the checkpoint.
        saved: its options, by the names of the command line.
        now: this run's.

    Raises:
        BlitzError: names the first option that differs.
    """
    for name, value in now.items():
        if name in saved and value != saved[name] and not (name == "seed" and value is None):
            there, here = (
                "no " * (one is None) + f"--{name}" + f" {one}" * (one is not None) for one in (saved[name], value)
            )
            raise BlitzError(
                f"{path}: comes from a run with {there}, but this run has {here}; use the same, or another --output"
            )
