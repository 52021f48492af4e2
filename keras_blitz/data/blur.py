"""Images blurred with a Gaussian kernel, as torchvision does it."""

import numpy as np

from keras_blitz.data.one_by_one import OneByOne, check_range, draw_uniform
from keras_blitz.errors import BlitzError


def gaussian_blur(
    images: np.ndarray, kernel_size: int | tuple[int, int], sigma: float | tuple[float, float] | None = None
) -> np.ndarray:
    """Return the images convolved with a Gaussian kernel; they go on mirrored, without the border.

    k(i) = exp(−½·(i/σ)²), i = −(n − 1)/2 … (n − 1)/2, divided by its sum; columns and rows each

    uint8 images are convolved in float32 and rounded, half to even.

    Args:
        images: (…, H, W, C), uint8 or floating.
        kernel_size: (columns, rows) of the kernel in pixels, or one number for both, odd; (n − 1)/2 < the image's.
        sigma: (σ of the columns, σ of the rows) in pixels, or one number for both, > 0; None: 0.15·n + 0.35.

    Raises:
        BlitzError: an argument is out of range.

    Source: torchvision/transforms/_functional_tensor.py.
    """
    sizes = _odd("gaussian_blur", kernel_size)
    if sigma is None:
        sigma = (sizes[0] * 0.15 + 0.35, sizes[1] * 0.15 + 0.35)
    sigmas = (sigma, sigma) if isinstance(sigma, int | float) else tuple(sigma)
    if len(sigmas) != 2 or min(sigmas) <= 0:
        raise BlitzError(f"gaussian_blur: sigma must be one or two numbers > 0, not {sigma}")
    kind = np.float64 if images.dtype == np.float64 else np.float32
    kernel = np.outer(*(_kernel(size, each, kind) for size, each in zip(sizes[::-1], sigmas[::-1], strict=True)))
    blurred = _convolve(images.astype(kind), kernel)
    return (np.round(blurred) if np.issubdtype(images.dtype, np.integer) else blurred).astype(images.dtype)


class GaussianBlur(OneByOne):
    """The image blurred with a random σ; see `gaussian_blur`.

    Args:
        kernel_size: (columns, rows) of the kernel in pixels, or one number for both, odd. (torchvision's page calls the
            first one the height, its code takes it for the columns.)
        sigma: pixels, > 0, or the smallest and largest.

    Source: torchvision/transforms/transforms.py.
    """

    def __init__(self, kernel_size: int | tuple[int, int], sigma: float | tuple[float, float] = (0.1, 2.0)):
        self.kernel_size = _odd("GaussianBlur", kernel_size)
        pair = (sigma, sigma) if isinstance(sigma, int | float) else sigma
        self.sigma = check_range("GaussianBlur: sigma", pair, np.finfo(float).tiny, np.inf)

    def transform(self, image: np.ndarray) -> np.ndarray:
        """Return one image blurred."""
        return gaussian_blur(image, self.kernel_size, draw_uniform(*self.sigma))


def _odd(name: str, kernel_size: int | tuple[int, int]) -> tuple[int, int]:
    columns, rows = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    if columns < 1 or rows < 1 or columns % 2 == 0 or rows % 2 == 0:
        raise BlitzError(f"{name}: kernel_size must be odd, one or two numbers, not {kernel_size}")
    return columns, rows


def _kernel(size: int, sigma: float, kind: type) -> np.ndarray:
    steps: np.ndarray = (np.arange(size) - (size - 1) * 0.5).astype(kind)
    density = np.exp(kind(-0.5) * np.square(steps / kind(sigma)))
    return density / density.sum()


def _convolve(images: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    height, width = images.shape[-3:-1]
    rows, columns = kernel.shape
    if rows // 2 >= height or columns // 2 >= width:
        raise BlitzError(
            f"gaussian_blur: a kernel of {rows}×{columns} mirrors more than an image of {height}×{width} has"
        )
    around = [(0, 0)] * (images.ndim - 3) + [(rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)]
    padded, total = np.pad(images, around, "reflect"), np.zeros_like(images)
    for row in range(rows):
        for column in range(columns):
            total += kernel[row, column] * padded[..., row : row + height, column : column + width, :]
    return total
