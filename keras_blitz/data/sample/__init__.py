"""A small real sample inside the package: 3,000 images of Fashion-MNIST (Zalando SE, MIT licence, beside this file).

Made by scripts/dev/make_sample.py: the first 200 training and 100 test images of each class, in the data set's order.
"""

from functools import cache
from importlib.resources import files

import numpy as np

__all__ = ["CLASSES", "load_sample"]

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@cache
def _arrays() -> dict[str, np.ndarray]:
    with (files(__package__) / "fashion_mnist.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return dict(archive)


def load_sample(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Return the sample's images and labels.

    Args:
        split: "train" (2,000 images) or "test" (1,000).

    Returns:
        images (N, 28, 28, 1) uint8 0–255, labels (N,) uint8 0–9, indices into `CLASSES`.

    Raises:
        ValueError: another split.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', not {split!r}")
    arrays = _arrays()
    return arrays[f"{split}_images"][..., np.newaxis].copy(), arrays[f"{split}_labels"].copy()
