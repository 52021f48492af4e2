"""Crops and flips of torchvision on one image (H, W, C) or many (N, H, W, C), drawing as torchvision draws.

Many are taken one after the other, so that `Compose([RandomCrop(32, padding=4), RandomHorizontalFlip()])` over a batch
makes the draws of a data set that transforms its images one by one.
"""

import math
import sys
from collections.abc import Callable, Sequence

import numpy as np

from keras_blitz.data.one_by_one import OneByOne, check_range, draw_chance, draw_corner, draw_uniform
from keras_blitz.data.padding import Fill, Padding, PaddingMode, pad
from keras_blitz.data.sizes import check_interpolation, resize
from keras_blitz.errors import BlitzError


class Compose(OneByOne):
    """Apply transforms in turn, to each image all of them before the next.

    Args:
        transforms: functions of an image (H, W, C).
    """

    def __init__(self, transforms: Sequence[Callable[[np.ndarray], np.ndarray]]):
        self.transforms = list(transforms)

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return one image after all transforms."""
        for transform in self.transforms:
            image = transform(image)
        return image


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


class RandomCrop(OneByOne):
    """A crop at a random place of the image, or of the image with pixels around it.

    Draws: the top, then the left; nothing where the crop is the whole image.

    Args:
        size: (h, w), or one number for both, ≥ 1.
        padding: pixels around the image beforehand, as for `pad`.
        pad_if_needed: where the image is smaller than the crop, pad what is missing on both sides.
        fill, padding_mode: as for `pad`.

    Raises:
        BlitzError: (when called) the padded image is smaller than the crop.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: Padding = 0,
        pad_if_needed: bool = False,
        fill: Fill = 0,
        padding_mode: PaddingMode = "constant",
    ):
        self.size, self.padding, self.pad_if_needed = _pair(size), padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return the crop of one image."""
        height, width = self.size
        image = pad(image, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            for size, missing in ((width - image.shape[1], (1, 0)), (height - image.shape[0], (0, 1))):
                if size > 0:
                    image = pad(image, (size * missing[0], size * missing[1]), self.fill, self.padding_mode)
        rows, columns = image.shape[:2]
        if rows < height or columns < width:
            raise BlitzError(
                f"RandomCrop: size {height}×{width} must fit into the image, {rows}×{columns} with padding"
            )
        if (rows, columns) == (height, width):
            return image
        top, left = draw_corner(rows, columns, height, width)
        return image[top : top + height, left : left + width]


class RandomResizedCrop(OneByOne):
    """A crop of random area and shape, resized.

    area = H·W·s,   s ~ uniform(scale)          w / h = exp(l),   l ~ uniform(log ratio)

    Draws: s, l, and, where the crop fits in the image, its top and left. After ten that do not fit, the crop is the
    largest one in the middle whose shape is within `ratio`.

    Args:
        size: (H', W') of the result, or one number for both, ≥ 1.
        scale: smallest and largest part of the image's area, 0–1.
        ratio: smallest and largest width ÷ height, > 0.
        interpolation, antialias: as for `resize`.

    Shapes:
        (H, W, C) or (N, H, W, C), to (H', W', C) or (N, H', W', C).

    Raises:
        BlitzError: an argument is out of range.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: str = "bilinear",
        antialias: bool = True,
    ):
        check_interpolation("RandomResizedCrop", interpolation)
        self.size = _pair(size)
        self.scale = check_range("RandomResizedCrop: scale", scale, 0, math.inf)
        self.ratio = check_range("RandomResizedCrop: ratio", ratio, sys.float_info.min, math.inf)
        self.interpolation, self.antialias = interpolation, antialias

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return the resized crop of one image."""
        top, left, height, width = self.draw_box(*image.shape[:2])
        crop = image[top : top + height, left : left + width]
        return resize(crop, self.size, self.interpolation, self.antialias)

    def draw_box(self, rows: int, columns: int) -> tuple[int, int, int, int]:
        """Return the top, left, height and width of a crop of an image of this size."""
        for _ in range(10):
            width, height = draw_sides(rows * columns, self.scale, self.ratio)
            if 0 < width <= columns and 0 < height <= rows:
                return *draw_corner(rows, columns, height, width), height, width
        height, width = rows, columns
        if columns / rows < self.ratio[0]:
            height = round(columns / self.ratio[0])
        elif columns / rows > self.ratio[1]:
            width = round(rows * self.ratio[1])
        return (rows - height) // 2, (columns - width) // 2, height, width


def draw_sides(area: int, scale: tuple[float, float], ratio: tuple[float, float]) -> tuple[int, int]:
    """Return two sides whose product is a random part of the area, and whose quotient is random: √(a·r), √(a / r)."""
    part = area * draw_uniform(*scale)
    # torchvision takes the logarithm and the exponential in float32, where 1 in 100 differs from the true one by the
    # last bit; no box of 30,000 in an image of 480×640 did.
    low, high = (float(np.float32(math.log(np.float32(value)))) for value in ratio)
    quotient = float(np.float32(math.exp(draw_uniform(low, high))))
    return round(math.sqrt(part * quotient)), round(math.sqrt(part / quotient))


class RandomHorizontalFlip(OneByOne):
    """The image mirrored with probability p.

    Args:
        p: 0–1.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(self, p: float = 0.5):
        self.p = p

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return one image, mirrored or not."""
        return image[:, ::-1] if draw_chance(self.p) else image


class RandomVerticalFlip(OneByOne):
    """The image upside down with probability p.

    Args:
        p: 0–1.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(self, p: float = 0.5):
        self.p = p

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return one image, upside down or not."""
        return image[::-1] if draw_chance(self.p) else image


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return height, width
