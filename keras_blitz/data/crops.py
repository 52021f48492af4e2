"""Crops and flips of torchvision on one image (H, W, C) or many (N, H, W, C), drawing as torchvision draws.

Many are taken one after the other, so that `Compose([RandomCrop(32, padding=4), RandomHorizontalFlip()])` over a batch
makes the draws of a data set that transforms its images one by one.
"""

from collections.abc import Callable, Sequence

import numpy as np

from keras_blitz import random
from keras_blitz.errors import BlitzError


class Compose:
    """Apply transforms in turn, to each image all of them before the next.

    Args:
        transforms: functions of an image (H, W, C).
    """

    def __init__(self, transforms: Sequence[Callable[[np.ndarray], np.ndarray]]):
        self.transforms = list(transforms)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the transformed image, or images."""
        if images.ndim == 4:
            return np.stack([self(image) for image in images])
        for transform in self.transforms:
            images = transform(images)
        return images


def center_crop(images: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Return the middle, zeros around images that are smaller.

    top = round((H − h) / 2), half to even; Keras's CenterCrop floors (gap data-centercrop)

    Args:
        images: (…, H, W, C).
        size: (h, w), or one number for both, ≥ 1.

    Source: torchvision/transforms/functional.py.
    """
    height, width = _pair(size)
    missing = [max(wanted - there, 0) for wanted, there in zip((height, width), images.shape[-3:-1], strict=True)]
    if any(missing):
        around = [(lack // 2, (lack + 1) // 2) for lack in missing]
        images = np.pad(images, [*[(0, 0)] * (images.ndim - 3), *around, (0, 0)])
    top, left = (round((there - wanted) / 2.0) for wanted, there in zip((height, width), images.shape[-3:-1],
                                                                       strict=True))  # fmt: skip
    return images[..., top : top + height, left : left + width, :]


class RandomCrop:
    """A crop at a random place, behind zeros around the image.

    Args:
        size: (h, w), or one number for both, ≥ 1.
        padding: pixels of zeros on all sides, ≥ 0.

    Raises:
        BlitzError: (when called) the padded image is smaller than the crop.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(self, size: int | tuple[int, int], padding: int = 0):
        self.size, self.padding = _pair(size), padding

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the crop of an image, or of each."""
        if images.ndim == 4:
            return np.stack([self(image) for image in images])
        around = (self.padding, self.padding)
        image = np.pad(images, (around, around, (0, 0)))
        (height, width), (rows, columns) = self.size, image.shape[:2]
        if rows < height or columns < width:
            raise BlitzError(f"RandomCrop: {height}×{width} of an image of {rows}×{columns}, padding included")
        if (rows, columns) == (height, width):  # nothing is drawn then
            return image
        top = int(random.randint(0, rows - height + 1, 1)[0])
        left = int(random.randint(0, columns - width + 1, 1)[0])
        return image[top : top + height, left : left + width]


class RandomHorizontalFlip:
    """The image mirrored with probability p.

    Args:
        p: 0–1.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(self, p: float = 0.5):
        self.p = p

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the image, or each, mirrored or not."""
        if images.ndim == 4:
            return np.stack([self(image) for image in images])
        # torchvision compares a float32 tensor with p.
        return images[:, ::-1] if random.rand(1)[0] < np.float32(self.p) else images


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return height, width
