"""`torchvision.utils.make_grid` and `save_image`, channels last."""

import math
import os

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path


def make_grid(
    images: np.ndarray,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> np.ndarray:
    """Return one image of many.

    Args:
        images: (N, H, W, C) floating, or one (H, W, C); C of 1 is repeated to 3.
        nrow: images in a row of the grid.
        padding: pixels between them and around.
        normalize: (x − low) / max(high − low, 1e-5), x clamped to the range before.
        value_range: (low, high) of that; None: the least and largest value.
        scale_each: the range of each image by itself.
        pad_value: of the padding.

    Returns:
        (rows·(H + padding) + padding, columns·(W + padding) + padding, 3); of one image itself, without padding.

    Source: torchvision/utils.py.
    """
    images = np.array(images if np.ndim(images) == 4 else np.asarray(images)[np.newaxis])
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, -1)
    if normalize:
        parts = images if scale_each else [images]
        for part in parts:
            low, high = value_range or (part.min(), part.max())
            np.clip(part, low, high, out=part)
            part -= part.dtype.type(low)
            part /= part.dtype.type(max(high - low, 1e-5))
    count, height, width, channels = images.shape
    if count == 1:
        return images[0]
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    height, width = height + padding, width + padding
    grid = np.full((rows * height + padding, columns * width + padding, channels), pad_value, images.dtype)
    for number, image in enumerate(images):
        top, left = number // columns * height + padding, number % columns * width + padding
        grid[top : top + height - padding, left : left + width - padding] = image
    return grid


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Return values of [0, 1] as uint8: ⌊clip(255·x + 0.5, 0, 255)⌋, as `save_image` rounds."""
    scaled = image * image.dtype.type(255) + image.dtype.type(0.5)
    return np.clip(scaled, 0, 255).astype(np.uint8)


def save_image(images: np.ndarray, path: str | os.PathLike[str], **grid) -> None:
    """Write an image, or the grid of many, as PNG or JPEG.

    Args:
        images: (N, H, W, C) or (H, W, C), floating, values of [0, 1].
        path: ending in .png, .jpg or .jpeg.
        grid: further arguments of `make_grid`.

    Raises:
        BlitzError: another ending, or the file cannot be written.
    """
    import tensorflow as tf

    ending = os.fspath(path).lower().rpartition(".")[2]
    if ending not in ("png", "jpg", "jpeg"):
        raise BlitzError(f"{path}: an image is written as .png or .jpg")
    image = to_bytes(make_grid(images, **grid))
    encoded = tf.io.encode_png(image) if ending == "png" else tf.io.encode_jpeg(image, quality=75)
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.numpy())
