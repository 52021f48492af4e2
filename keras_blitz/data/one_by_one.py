"""What the random transforms share: many images are taken one after the other, with draws for each."""

from collections.abc import Sequence

import numpy as np

from keras_blitz import random
from keras_blitz.errors import BlitzError


class OneByOne:
    """A transform of one image (H, W, C), or of each of many (N, H, W, C), as a data set transforms its images."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the transformed image, or images."""
        if images.ndim == 4:
            return np.stack([self.transform(image) for image in images])
        return self.transform(images)

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return one transformed image."""
        raise NotImplementedError


def draw_uniform(low: float, high: float) -> float:
    """Draw a number of [low, high) as `torch.empty(1).uniform_(low, high).item()`."""
    return float(random.uniform(low, high, 1)[0])


def draw_corner(height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """Draw the top and left of a box of rows × columns in an image, two draws of `torch.randint`."""
    top = int(random.randint(0, height - rows + 1, 1)[0])
    return top, int(random.randint(0, width - columns + 1, 1)[0])


def draw_chance(p: float) -> bool:
    """Return True with probability p; torchvision compares a float32 tensor with p."""
    return bool(random.rand(1)[0] < np.float32(p))


def check_range(name: str, pair: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """Return a pair of numbers.

    Raises:
        BlitzError: it is not low ≤ first ≤ second ≤ high.
    """
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        raise BlitzError(f"{name} must be two numbers in order, from {low:g} to {high:g}, not {pair}")
    return float(pair[0]), float(pair[1])
