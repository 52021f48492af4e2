"""Pixels around images, as torchvision puts them."""

from typing import Literal, get_args

import numpy as np

from keras_blitz.errors import BlitzError

Padding = int | tuple[int, ...]
Fill = float | tuple[float, ...]

PaddingMode = Literal["constant", "edge", "reflect", "symmetric"]


def pad(images: np.ndarray, padding: Padding, fill: Fill = 0, padding_mode: PaddingMode = "constant") -> np.ndarray:
    """Return the images with pixels around them.

    Args:
        images: (…, H, W, C).
        padding: pixels on all sides, (left and right, top and bottom), or (left, top, right, bottom); a negative number
            crops.
        fill: value around, or one for each channel, for "constant"; its decimals are dropped for whole-number images.
        padding_mode: "constant", "edge" (the border's value), "reflect" (mirrored, without the border) or "symmetric"
            (mirrored with it).

    Returns:
        (…, H + top + bottom, W + left + right, C).

    Raises:
        BlitzError: an argument is out of range.

    Source: torchvision/transforms/_functional_pil.py.
    """
    if padding_mode not in get_args(PaddingMode):
        raise BlitzError(f"pad: padding_mode must be one of {', '.join(get_args(PaddingMode))}, not {padding_mode!r}")
    left, top, right, bottom = _four_sides(padding)
    images = _crop_negative(images, left, top, right, bottom)
    around = [(0, 0)] * (images.ndim - 3) + [(max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)), (0, 0)]
    if padding_mode != "constant":
        return np.pad(images, around, padding_mode)
    padded = np.empty([n + sum(each) for n, each in zip(images.shape, around, strict=True)], images.dtype)
    padded[...] = fill_color(fill, images)
    (rows, columns), (height, width) = ((around[-3][0], around[-2][0]), images.shape[-3:-1])
    padded[..., rows : rows + height, columns : columns + width, :] = images
    return padded


def fill_color(fill: Fill, images: np.ndarray) -> np.ndarray:
    """Return a value for each channel, (C,), in the images' type.

    Raises:
        BlitzError: they are as many as neither 1 nor the channels.
    """
    values = np.atleast_1d(np.asarray(fill, np.float64))
    if values.shape not in ((1,), (images.shape[-1],)):
        raise BlitzError(f"fill must be one number or {images.shape[-1]}, one for each channel, not {fill}")
    return np.broadcast_to(values.astype(images.dtype), images.shape[-1:])


class Pad:
    """`pad` as a transform.

    Args:
        padding, fill, padding_mode: as for `pad`.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(self, padding: Padding, fill: Fill = 0, padding_mode: PaddingMode = "constant"):
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the padded image, or images."""
        return pad(images, self.padding, self.fill, self.padding_mode)


def _four_sides(padding: Padding) -> tuple[int, int, int, int]:
    sides = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(sides) not in (1, 2, 4):
        raise BlitzError(f"pad: padding must be 1, 2 or 4 numbers, not {padding}")
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom


def _crop_negative(images: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    height, width = images.shape[-3:-1]
    rows = slice(max(-top, 0), height - max(-bottom, 0))
    return images[..., rows, slice(max(-left, 0), width - max(-right, 0)), :]
