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
