"""Rotated images: bytes as torchvision rotates a PIL image, bit for bit, numbers as it rotates a tensor."""

import math

import numpy as np

from keras_blitz.boxmuller import fma
from keras_blitz.data.one_by_one import OneByOne, check_range, draw_uniform
from keras_blitz.data.padding import Fill, fill_color
from keras_blitz.errors import BlitzError

Matrix = tuple[float, float, float, float, float, float]


def rotate(
    images: np.ndarray,
    angle: float,
    interpolation: str = "nearest",
    expand: bool = False,
    center: tuple[float, float] | None = None,
    fill: Fill = 0,
) -> np.ndarray:
    """Return the images turned counterclockwise.

    The image is read where each new pixel's center is turned back to: x' = a·x + b·y + c, y' = d·x + e·y + f.
    Bilinear bytes are rounded down, and keep the border's color beyond the outermost centers, as in PIL; floating ones
    blend with `fill` there, as in tensors.

    Args:
        images: (…, H, W, C), uint8 or floating.
        angle: degrees.
        interpolation: "nearest" or "bilinear".
        expand: make the result so large that it holds the whole image turned around its middle.
        center: (x, y) in pixels from the upper left corner; None: the middle.
        fill: value outside, or one for each channel.

    Returns:
        (…, H, W, C), or (…, H', W', C) with `expand`.

    Raises:
        BlitzError: an argument is out of range.

    Source: Pillow's Image.py and Geometry.c, torchvision/transforms/functional.py and _functional_tensor.py.
    """
    if interpolation not in ("nearest", "bilinear"):
        raise BlitzError(f"rotate: interpolation must be nearest or bilinear, not {interpolation!r}")
    if images.dtype == np.uint8:
        return _rotate_as_pil(images, angle, interpolation, expand, center, fill)
    if not np.issubdtype(images.dtype, np.floating):
        raise BlitzError(f"rotate takes uint8 or floating images, not {images.dtype}")
    return _rotate_as_tensor(images, angle, interpolation, expand, center, fill)


class RandomRotation(OneByOne):
    """The image turned by a random angle; see `rotate`.

    Args:
        degrees: angles are drawn from [−d, d), d ≥ 0, or from a pair (low, high).
        interpolation, expand, center, fill: as for `rotate`.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(
        self,
        degrees: float | tuple[float, float],
        interpolation: str = "nearest",
        expand: bool = False,
        center: tuple[float, float] | None = None,
        fill: Fill = 0,
    ):
        if isinstance(degrees, int | float):
            if degrees < 0:
                raise BlitzError(f"RandomRotation: degrees must be ≥ 0, or two numbers, not {degrees}")
            degrees = (-degrees, degrees)
        self.degrees = check_range("RandomRotation: degrees", tuple(degrees), -math.inf, math.inf)
        self.interpolation, self.expand, self.center, self.fill = interpolation, expand, center, fill

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return one image turned."""
        angle = draw_uniform(*self.degrees)
        return rotate(image, angle, self.interpolation, self.expand, self.center, self.fill)


def _rotate_as_pil(images, angle, interpolation, expand, center, fill) -> np.ndarray:
    height, width = images.shape[-3:-1]
    angle %= 360.0
    quarters = angle / 90
    if not center and (quarters in (0, 2) or (quarters in (1, 3) and (expand or height == width))):
        return np.rot90(images, int(quarters), (-3, -2))
    matrix = _matrix_of_pil(angle, center or (width / 2, height / 2))
    size = (height, width)
    if expand:
        size, matrix = _expand_as_pil(matrix, height, width)
    colors = fill_color(fill, images)
    if interpolation == "nearest":
        return _read_nearest(images, *_fixed_places(matrix, *size), colors)
    return _read_bilinear_of_pil(images, *_places_of_pil(matrix, *size), colors)


def _matrix_of_pil(angle: float, center: tuple[float, float]) -> Matrix:
    turn = -math.radians(angle)
    cosine, sine = round(math.cos(turn), 15), round(math.sin(turn), 15)
    minus_sine = round(-math.sin(turn), 15)
    x, y = _map((cosine, sine, 0.0, minus_sine, cosine, 0.0), -center[0], -center[1])
    return cosine, sine, x + center[0], minus_sine, cosine, y + center[1]


def _map(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + b * y + c, d * x + e * y + f


def _expand_as_pil(matrix: Matrix, height: int, width: int) -> tuple[tuple[int, int], Matrix]:
    """Return the size (H', W') that holds the turned corners, and the matrix from there."""
    corners = [_map(matrix, x, y) for x, y in ((0, 0), (width, 0), (width, height), (0, height))]
    new_width, new_height = (math.ceil(max(values)) - math.floor(min(values)) for values in zip(*corners, strict=True))
    a, b, _, d, e, _ = matrix
    c, f = _map(matrix, -(new_width - width) / 2.0, -(new_height - height) / 2.0)
    return (new_height, new_width), (a, b, c, d, e, f)


def _fixed_places(matrix: Matrix, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns to read, in Pillow's arithmetic of 16 bits before and after the binary point."""
    a, b, c, d, e, f = matrix
    starts = c + a * 0.5 + b * 0.5, f + d * 0.5 + e * 0.5
    (a, b, c), (d, e, f) = (
        [math.floor(value * 65536.0 + 0.5) for value in row] for row in ((a, b, starts[0]), (d, e, starts[1]))
    )
    y, x = np.ogrid[:height, :width]
    return (f + d * x + e * y) >> 16, (c + a * x + b * y) >> 16


def _places_of_pil(matrix: Matrix, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d, e, f = matrix
    y, x = np.ogrid[0.5 : height + 0.5, 0.5 : width + 0.5]
    return d * x + e * y + f, a * x + b * y + c


def _read_nearest(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Return the pixels at whole places (H', W'), the colors (C,) where there are none."""
    height, width = images.shape[-3:-1]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    pixels = images[..., np.where(inside, rows, 0), np.where(inside, columns, 0), :]
    return np.where(inside[..., np.newaxis], pixels, colors)


def _read_bilinear_of_pil(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, colors: np.ndarray) -> np.ndarray:
    height, width = images.shape[-3:-1]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    rows, columns = (np.where(inside, places, 0.5) - 0.5 for places in (rows, columns))
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - top)[..., np.newaxis], (columns - left)[..., np.newaxis]

    def line(row: np.ndarray) -> np.ndarray:
        near, far = (
            images[..., np.clip(row, 0, height - 1), np.clip(left + step, 0, width - 1), :].astype(np.float64)
            for step in (0, 1)
        )
        return near + (far - near) * right

    first = line(top)
    levels = first + (line(top + 1) - first) * down
    return np.where(inside[..., np.newaxis], levels.astype(np.uint8), colors)


def _rotate_as_tensor(images, angle, interpolation, expand, center, fill) -> np.ndarray:
    height, width = images.shape[-3:-1]
    kind = np.float64 if images.dtype == np.float64 else np.float32
    middle = (0.0, 0.0) if center is None else (center[0] - width * 0.5, center[1] - height * 0.5)
    matrix = _matrix_of_tensor(-angle, middle)
    size = _expand_as_tensor(matrix, height, width) if expand else (height, width)
    rows, columns = _places_of_tensor(matrix, (height, width), size, kind)
    colors = fill_color(fill, images)
    if interpolation == "nearest":
        return _read_nearest(images, np.rint(rows).astype(int), np.rint(columns).astype(int), colors)
    return _read_bilinear_of_tensor(images, rows, columns, colors)


def _matrix_of_tensor(angle: float, center: tuple[float, float]) -> Matrix:
    turn = math.radians(angle)
    cosine, sine = math.cos(turn), math.sin(turn)
    c = cosine * -center[0] + sine * -center[1]
    f = -sine * -center[0] + cosine * -center[1]
    return cosine, sine, c + center[0], -sine, cosine, f + center[1]


def _expand_as_tensor(matrix: Matrix, height: int, width: int) -> tuple[int, int]:
    """Return the size (H', W') that holds the turned corners, in torchvision's float32."""
    x = np.array([-0.5, -0.5, 0.5, 0.5], np.float32) * np.float32(width)
    y = np.array([-0.5, 0.5, 0.5, -0.5], np.float32) * np.float32(height)
    sizes = []
    for row, size in zip(np.array(matrix, np.float32).reshape(2, 3), (width, height), strict=True):
        places = fma(y, row[1], row[0] * x) + row[2]
        least, most = (value + np.float32(size * 0.5) for value in (places.min(), places.max()))
        tolerance = np.float32(1e-4)
        ends = np.ceil(np.trunc(most / tolerance) * tolerance), np.floor(np.trunc(least / tolerance) * tolerance)
        sizes.append(int(ends[0] - ends[1]))
    return sizes[1], sizes[0]


def _places_of_tensor(
    matrix: Matrix, old: tuple[int, int], new: tuple[int, int], kind: type
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns to read, by way of −1–1 across the image, in the image's precision."""
    y, x = (np.arange(size).astype(kind) + kind(0.5 - size * 0.5) for size in new)
    places = []
    for (a, b, c), size in zip(np.reshape(matrix, (2, 3)).astype(kind), old[::-1], strict=True):
        half = kind(0.5 * size)
        across = (x * (a / half) + y[:, np.newaxis] * (b / half)) + c / half
        places.append(fma(across + kind(1), size / 2, -0.5))
    return places[1], places[0]


def _read_bilinear_of_tensor(
    images: np.ndarray, rows: np.ndarray, columns: np.ndarray, colors: np.ndarray
) -> np.ndarray:
    """Return the weighted pixels, blended with the colors by the weight of the neighbors that are outside."""
    height, width = images.shape[-3:-1]
    top, left = np.floor(rows), np.floor(columns)
    down, right = rows - top, columns - left
    pixels, covered = np.zeros((), images.dtype), np.zeros((), rows.dtype)
    for row, column, weight in (
        (top, left, (1 - right) * (1 - down)), (top, left + 1, right * (1 - down)),
        (top + 1, left, (1 - right) * down), (top + 1, left + 1, right * down),
    ):  # fmt: skip
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        weight = np.where(inside, weight, 0)[..., np.newaxis]
        row, column = (np.where(inside, place, 0).astype(int) for place in (row, column))
        pixels = pixels + images[..., row, column, :] * weight
        covered = covered + weight
    return (pixels * covered + (1 - covered) * colors).astype(images.dtype)
