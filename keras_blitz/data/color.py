"""Brightness, contrast, saturation, hue and gray, of bytes as PIL computes them and of numbers as PyTorch does.

uint8 images (H, W, C) are treated as torchvision treats a PIL image, bit for bit; floating ones of 0–1 as a tensor.
"""

import numpy as np

from keras_blitz import random
from keras_blitz.data import hsv
from keras_blitz.data.one_by_one import OneByOne, check_range, draw_chance, draw_uniform
from keras_blitz.errors import BlitzError

# Parts of red, green and blue in a gray value: PIL's in 2⁻¹⁶, and a tensor's.
_LUMA = (19595, 38470, 7471)
_TENSOR_LUMA = (0.2989, 0.587, 0.114)

_INFINITY = float("inf")


def rgb_to_grayscale(images: np.ndarray, num_output_channels: int = 1) -> np.ndarray:
    """Return the gray value of each pixel; images of one channel are gray already.

    uint8:    ⌊(19595·R + 38470·G + 7471·B + 2¹⁵) / 2¹⁶⌋
    floating: 0.2989·R + 0.587·G + 0.114·B

    Args:
        images: (…, H, W, C), C = 1 or 3.
        num_output_channels: 1, or 3 for three equal ones.

    Raises:
        BlitzError: another number of channels.

    Source: Pillow's Convert.c, torchvision/transforms/_functional_tensor.py.
    """
    if num_output_channels not in (1, 3):
        raise BlitzError(f"rgb_to_grayscale: num_output_channels must be 1 or 3, not {num_output_channels}")
    _check(images, "rgb_to_grayscale")
    if images.shape[-1] == 3:
        images = _gray(images)[..., np.newaxis]
    return np.repeat(images, num_output_channels, axis=-1)


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Return factor · image, within the range of the image's type.

    Args:
        image: (H, W, C), C = 1 or 3.
        factor: ≥ 0; 0 gives black, 1 the image.

    Raises:
        BlitzError: the factor is negative, or the image of another kind.
    """
    _check(image, "adjust_brightness", factor)
    return _blend(image, np.zeros_like(image), factor)


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Return factor · image + (1 − factor) · m, m the mean gray value, a whole number for uint8.

    Args:
        image: (H, W, C), C = 1 or 3.
        factor: ≥ 0; 0 gives an even gray, 1 the image.

    Raises:
        BlitzError: the factor is negative, or the image of another kind.
    """
    _check(image, "adjust_contrast", factor)
    gray = rgb_to_grayscale(image)
    if image.dtype == np.uint8:
        mean = np.uint8(gray.sum(dtype=np.int64) / gray.size + 0.5)
    else:
        mean = gray.mean(dtype=image.dtype)
    return _blend(image, np.full_like(image, mean), factor)


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """Return factor · image + (1 − factor) · gray.

    Args:
        image: (H, W, C), C = 3, or 1, which stays as it is.
        factor: ≥ 0; 0 gives gray, 1 the image.

    Raises:
        BlitzError: the factor is negative, or the image of another kind.
    """
    _check(image, "adjust_saturation", factor)
    return image if image.shape[-1] == 1 else _blend(image, rgb_to_grayscale(image, 3), factor)


def adjust_hue(image: np.ndarray, factor: float) -> np.ndarray:
    """Return the image with its hues turned by a share of the color circle.

    Hue, saturation and value are bytes for uint8 images, which rounds their colors even where the factor is 0; they are
    float32 for others.

    Args:
        image: (H, W, C), C = 3, or 1, which stays as it is.
        factor: −½–½ of a turn.

    Raises:
        BlitzError: the factor is out of range, or the image of another kind.
    """
    _check(image, "adjust_hue")
    if not -0.5 <= factor <= 0.5:
        raise BlitzError(f"adjust_hue: factor must be from −0.5 to 0.5, not {factor}")
    if image.shape[-1] == 1:
        return image
    if image.dtype == np.uint8:
        hue, saturation, value = hsv.from_bytes(image)
        return hsv.to_bytes((hue + int(factor * 255)) % 256, saturation, value)
    hue, saturation, value = hsv.from_numbers(image.astype(np.float32))
    return hsv.to_numbers(np.remainder(hue + np.float32(factor), np.float32(1)), saturation, value).astype(image.dtype)


class ColorJitter(OneByOne):
    """Brightness, contrast, saturation and hue changed by random factors, in a random order.

    Draws: the order of the four, then a factor of each that is given, in the order of the arguments.

    Args:
        brightness: factors are drawn from [max(0, 1 − b), 1 + b), or from a pair (low, high), ≥ 0; 0: none.
        contrast, saturation: likewise.
        hue: turns are drawn from [−h, h), 0 ≤ h ≤ ½, or from a pair within −½–½.

    Shapes:
        (H, W, C) or (N, H, W, C), C = 1 or 3, uint8 or floating of 0–1.

    Raises:
        BlitzError: an argument is out of range.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(
        self,
        brightness: float | tuple[float, float] = 0,
        contrast: float | tuple[float, float] = 0,
        saturation: float | tuple[float, float] = 0,
        hue: float | tuple[float, float] = 0,
    ):
        self.brightness = _factors("brightness", brightness)
        self.contrast = _factors("contrast", contrast)
        self.saturation = _factors("saturation", saturation)
        self.hue = _factors("hue", hue, center=0, low=-0.5, high=0.5)

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return one image changed."""
        order = random.randperm(4)
        ranges = (self.brightness, self.contrast, self.saturation, self.hue)
        factors = [None if pair is None else draw_uniform(*pair) for pair in ranges]
        for number in order:
            adjust, factor = _ADJUSTMENTS[number], factors[number]
            if factor is not None:
                image = adjust(image, factor)
        return image


class Grayscale:
    """`rgb_to_grayscale` as a transform.

    Args:
        num_output_channels: 1, or 3 for three equal ones.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(self, num_output_channels: int = 1):
        self.num_output_channels = num_output_channels

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the gray image, or images."""
        return rgb_to_grayscale(images, self.num_output_channels)


class RandomGrayscale(OneByOne):
    """The gray image with probability p, with as many channels as before.

    Args:
        p: 0–1.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(self, p: float = 0.1):
        self.p = p

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return one image, gray or not."""
        return rgb_to_grayscale(image, image.shape[-1]) if draw_chance(self.p) else image


_ADJUSTMENTS = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)


def _factors(
    name: str, value: float | tuple[float, float], center: float = 1, low: float = 0, high: float = _INFINITY
) -> tuple[float, float] | None:
    """Return the range that a factor is drawn from; None where it can only be the one that changes nothing."""
    if isinstance(value, int | float):
        if value < 0:
            raise BlitzError(f"ColorJitter: {name} must be ≥ 0, not {value}")
        value = (max(center - value, 0.0) if center else -value, center + value)
    pair = check_range(f"ColorJitter: {name}", tuple(value), low, high)
    return None if pair == (center, center) else pair


def _check(images: np.ndarray, name: str, factor: float = 0) -> None:
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise BlitzError(f"{name} takes uint8 or floating images, not {images.dtype}")
    if images.shape[-1] not in (1, 3):
        raise BlitzError(f"{name} takes images (H, W, C) of 1 or 3 channels, not of shape {images.shape}")
    if factor < 0:
        raise BlitzError(f"{name}: factor must be ≥ 0, not {factor}")


def _gray(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return ((images.astype(np.int32) @ np.array(_LUMA, np.int32) + (1 << 15)) >> 16).astype(np.uint8)
    red, green, blue = (images[..., channel] * images.dtype.type(part) for channel, part in enumerate(_TENSOR_LUMA))
    return red + green + blue


def _blend(image: np.ndarray, other: np.ndarray, ratio: float) -> np.ndarray:
    """Return ratio · image + (1 − ratio) · other; PIL writes it as other + ratio · (image − other), in float32."""
    if image.dtype != np.uint8:
        kind = image.dtype.type
        return np.clip(kind(ratio) * image + kind(1.0 - ratio) * other, 0, 1)
    start = other.astype(np.float32)
    levels = start + np.float32(ratio) * (image.astype(np.float32) - start)
    return np.clip(levels, 0, 255).astype(np.uint8)
