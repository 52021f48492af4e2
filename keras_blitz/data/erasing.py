"""A random box of an image erased, as torchvision does it."""

import math
import sys

import numpy as np

from keras_blitz import random
from keras_blitz.data.crops import draw_sides
from keras_blitz.data.one_by_one import OneByOne, check_range, draw_chance, draw_corner
from keras_blitz.data.padding import fill_color
from keras_blitz.errors import BlitzError


class RandomErasing(OneByOne):
    """A box of random area and shape filled with a value or with noise, with probability p.

    area = H·W·s,   s ~ uniform(scale)          h / w = exp(l),   l ~ uniform(log ratio)

    Draws: whether at all, then s, l, and, where the box is smaller than the image on both sides, the noise (C, h, w),
    top and left. After ten that are not, nothing is erased.

    Args:
        p: 0–1.
        scale: smallest and largest part of the image's area, 0–1.
        ratio: smallest and largest height ÷ width, > 0.
        value: one, one for each channel, or "random": normal noise of mean 0 and standard deviation 1.

    Shapes:
        (H, W, C) or (N, H, W, C), uint8 or floating; torchvision takes tensors alone, after `ToTensor`.

    Raises:
        BlitzError: an argument is out of range, or (when called) noise is wanted for uint8 images.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float | tuple[float, ...] | str = 0,
    ):
        if isinstance(value, str) and value != "random":
            raise BlitzError(f"RandomErasing: value must be numbers or 'random', not {value!r}")
        if not 0 <= p <= 1:
            raise BlitzError(f"RandomErasing: p must be from 0 to 1, not {p}")
        self.p, self.value = p, value
        self.scale = check_range("RandomErasing: scale", scale, 0, 1)
        self.ratio = check_range("RandomErasing: ratio", ratio, sys.float_info.min, math.inf)

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return one image, with a box erased or without."""
        if self.value == "random" and not np.issubdtype(image.dtype, np.floating):
            raise BlitzError(f"RandomErasing: noise is for floating images, not {image.dtype}")
        if not draw_chance(self.p):
            return image
        rows, columns, channels = image.shape
        for _ in range(10):
            height, width = draw_sides(rows * columns, self.scale, self.ratio)
            if height < rows and width < columns:
                return self._erase(image, height, width, channels)
        return image

    def _erase(self, image: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
        if isinstance(self.value, str):
            values = np.moveaxis(random.randn(channels, height, width), 0, -1)
        else:
            values = fill_color(self.value, image)
        top, left = draw_corner(image.shape[0], image.shape[1], height, width)
        erased = image.copy()
        erased[top : top + height, left : left + width] = values
        return erased
