"""Image transforms in NumPy, channels last, in float32 as torchvision computes them."""

import numpy as np


def to_tensor(images: np.ndarray) -> np.ndarray:
    """Return uint8 images (…, H, W, C) as float32 in [0, 1], divided by 255 as torchvision's `ToTensor` does.

    Raises:
        TypeError: the images are not uint8.
    """
    if images.dtype != np.uint8:
        raise TypeError(f"to_tensor takes uint8 images, not {images.dtype}")
    return images.astype(np.float32) / np.float32(255)


def normalize(images: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """Return (images − mean) / std by channel, in the images' dtype; source: torchvision's `Normalize`.

    Args:
        images: (…, H, W, C).
        mean: a value for each channel, or one for all.
        std: likewise, > 0.
    """
    return (images - np.asarray(mean, images.dtype)) / np.asarray(std, images.dtype)


def fit_to(images: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Fit the sample's grey images to a network's input: zeros around them, the channel repeated.

    Args:
        images: (N, H, W, 1).
        shape: the network's (H', W', C'), no smaller than the images and by an even number of pixels larger.

    Raises:
        ValueError: the images do not fit.
    """
    height, width, channels = shape
    rows, columns = height - images.shape[1], width - images.shape[2]
    if rows < 0 or columns < 0 or rows % 2 or columns % 2 or images.shape[3] != 1:
        raise ValueError(f"images {images.shape[1:]} cannot be fitted to {shape}")
    padded = np.pad(images, ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)))
    return np.repeat(padded, channels, axis=3)


# Pillow rounds its weights to this many bits behind the point, and each of its two passes to whole levels.
_BITS = 22


def resize(images: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Return the images at another size, weighted bilinearly over the area that a new pixel covers (antialiased).

    uint8 images come out as `torchvision.transforms.Resize` gives them of a PIL image, bit for bit; floating ones as it
    gives them of a tensor, to rounding. `tf.image.resize` is up to 16 levels away (gap data-resize-pil).

    Args:
        images: (…, H, W, C).
        size: (H', W'), or the shorter side, the longer one in proportion, rounded down.

    Source: torchvision/transforms/functional.py, PIL's Resample.c.
    """
    height, width = images.shape[-3:-1]
    if isinstance(size, int):
        short = min(height, width)
        size = (int(size * height / short), int(size * width / short))
    for axis, new in ((-2, size[1]), (-3, size[0])):
        if new != images.shape[axis]:
            images = _resize_axis(images, axis, new)
    return images


def _resize_axis(images: np.ndarray, axis: int, new: int) -> np.ndarray:
    weights = _bilinear(images.shape[axis], new)
    if images.dtype != np.uint8:
        return np.moveaxis(np.moveaxis(images, axis, -1) @ weights.T.astype(images.dtype), -1, axis)
    weights = np.floor(weights * 2**_BITS + 0.5)
    # Whole numbers below 2⁵³: exact in float64, and fast.
    levels = np.floor((np.moveaxis(images, axis, -1).astype(np.float64) @ weights.T) / 2**_BITS + 0.5)
    return np.moveaxis(np.clip(levels, 0, 255).astype(np.uint8), -1, axis)


def _bilinear(old: int, new: int) -> np.ndarray:
    """Return the weights (new, old) of the old pixels in each new one; a row adds up to 1."""
    scale = old / new
    reach = max(scale, 1.0)  # of the triangle, in old pixels
    weights = np.zeros((new, old))
    for row in range(new):
        centre = (row + 0.5) * scale
        first, last = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), old)
        near = [max(1 - abs((column - centre + 0.5) * (1 / reach)), 0.0) for column in range(first, last)]
        weights[row, first:last] = np.array(near) / sum(near)
    return weights
