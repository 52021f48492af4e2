"""Red, green, blue as hue, saturation, value and back: in bytes as Pillow does it, in float32 as torchvision does.

hue in sixths of a turn: (G − B)/(max − min), 2 + (B − R)/(max − min) or 4 + (R − G)/(max − min), where R, G or B is max
saturation: (max − min)/max          value: max

Source: Pillow's Convert.c, torchvision/transforms/_functional_tensor.py.
"""

import numpy as np

_F = np.float32

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]


def from_numbers(image: np.ndarray) -> Planes:
    """Return hue, saturation and value, each (H, W) of 0–1, of a float32 image (H, W, 3) of 0–1."""
    most, least = image.max(-1), image.min(-1)
    sixths = _sixths(image, most, least, np.float32)
    hue = np.fmod(sixths / _F(6) + _F(1), _F(1))
    return hue, (most - least) / np.where(most == least, _F(1), most), most


def to_numbers(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the float32 image (H, W, 3) of hue, saturation and value."""
    sector = np.floor(hue * _F(6))
    part = hue * _F(6) - sector
    shares = (saturation, saturation * part, saturation * (_F(1) - part))
    low, falling, rising = (np.clip(value * (_F(1) - share), 0, 1) for share in shares)
    return _by_sector(sector.astype(int) % 6, value, low, falling, rising)


def from_bytes(image: np.ndarray) -> Planes:
    """Return hue, saturation and value, each (H, W) of 0–255, whole, of a uint8 image (H, W, 3)."""
    numbers = image.astype(np.float32)
    most, least = numbers.max(-1), numbers.min(-1)
    # Pillow adds the 2 and 4 and takes the remainder in float64, and keeps the results in float32.
    sixths = _sixths(numbers, most, least, np.float64)
    hue = np.fmod(sixths.astype(np.float64) / 6 + 1, 1).astype(np.float32)
    hue = np.where(most == least, _F(0), hue)
    saturation = (most - least) / np.where(most == least, _F(1), most)
    return *((part.astype(np.float64) * 255).astype(int) for part in (hue, saturation)), most.astype(int)


def to_bytes(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return the uint8 image (H, W, 3) of hue, saturation and value of 0–255."""
    turns = hue * 6.0 / 255.0
    sector = np.floor(turns)
    part = (turns - sector).astype(np.float32).astype(np.float64)
    saturation = (saturation / 255.0).astype(np.float32).astype(np.float64)
    shares = (saturation, saturation * part, saturation * (1 - part))
    low, falling, rising = (np.floor(value * (1 - share) + 0.5) for share in shares)
    return _by_sector(sector.astype(int) % 6, value, low, falling, rising).astype(np.uint8)


def _sixths(image: np.ndarray, most: np.ndarray, least: np.ndarray, sums: type) -> np.ndarray:
    """Return the hues in float32, 2 and 4 added to in the type `sums`."""
    spread = np.where(most == least, _F(1), most - least)
    red, green, blue = np.moveaxis(image, -1, 0)
    from_red, from_green, from_blue = ((most - part) / spread for part in (red, green, blue))
    of_green, of_blue = sums(2) + from_red - from_blue, sums(4) + from_green - from_red
    return np.where(most == red, from_blue - from_green, np.where(most == green, of_green, of_blue)).astype(np.float32)


def _by_sector(sector: np.ndarray, value, low, falling, rising) -> np.ndarray:
    """Return the image whose colors are chosen by the sixth of the circle, 0–5."""
    red = np.choose(sector, [value, falling, low, low, rising, value])
    green = np.choose(sector, [rising, value, value, falling, low, low])
    return np.stack([red, green, np.choose(sector, [low, low, rising, value, value, falling])], -1)
