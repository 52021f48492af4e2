"""Image transforms in NumPy, channels last, in float32 as torchvision computes them."""

import numpy as np

from keras_blitz.errors import BlitzError

# Bits of whole-number images without the sign.
_BITS = {"uint8": 8, "int8": 7, "int16": 15, "uint16": 16, "int32": 31, "int64": 63}


def to_tensor(images: np.ndarray) -> np.ndarray:
    """Return uint8 images (…, H, W, C) as float32 in [0, 1], divided by 255 as torchvision's `ToTensor` does.

    `ToTensor` returns images of any other type as they are, 0–255 too; here that is an error.

    Raises:
        TypeError: the images are not uint8.
    """
    if images.dtype != np.uint8:
        raise TypeError(
            f"to_tensor takes uint8 images, not {images.dtype}, which ToTensor does not scale: leave it out "
            "where values are from 0 to 1, and divide by 255 where not"
        )
    return images.astype(np.float32) / np.float32(255)


def to_image(images: np.ndarray) -> np.ndarray:
    """Return images with an axis of channels, (H, W, 1) of (H, W), and others as they are; source: v2's `ToImage`."""
    return images[..., np.newaxis] if images.ndim == 2 else images


class ToImage:
    """`to_image` as a transform."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the image, or images, with channels."""
        return to_image(images)


def to_dtype(images: np.ndarray, dtype: str = "float32", scale: bool = False) -> np.ndarray:
    """Return the images in another type.

    With `scale`, L the largest value of a whole-number type of b bits without the sign:

    whole → floating: x·(1/L), which may differ from `to_tensor`'s x/255 in the last bit
    floating → whole: x·(L + 1 − 10⁻³), decimals dropped
    whole → whole: the bits moved by the difference of b

    Args:
        images: (…, H, W, C).
        dtype: "uint8", "int8", "int16", "uint16", "int32", "int64", "float16", "float32" or "float64".
        scale: map the whole range of a whole-number type to 0–1 and back.

    Raises:
        BlitzError: another type, or, with `scale`, one of more digits than the floating images have.

    Source: torchvision/transforms/v2/functional/_misc.py.
    """
    old, new = images.dtype, np.dtype(dtype)
    for kind in (old, new):
        if kind.name not in _BITS and not np.issubdtype(kind, np.floating):
            raise BlitzError(f"to_dtype: images are of {', '.join(_BITS)} or a floating type, not {kind}")
    if old == new or not scale or {old.kind, new.kind} == {"f"}:
        with np.errstate(over="ignore"):  # float16 becomes infinite, as in PyTorch
            return images.astype(new)
    if new.kind == "f":
        work = np.promote_types(new, np.float32)  # float16 is multiplied in float32
        return (to_dtype(images, dtype) * work.type(1.0 / (2 ** _BITS[old.name] - 1))).astype(new)
    if old.kind == "f":
        if _BITS[new.name] > {"float16": 8, "float32": 16}.get(old.name, 31):
            raise BlitzError(f"to_dtype: {old} images have too few digits for {new}")
        return (images * old.type(2 ** _BITS[new.name] - 1e-3)).astype(new)
    bits = _BITS[new.name] - _BITS[old.name]
    return images.astype(new) << bits if bits > 0 else (images >> -bits).astype(new)


class ToDtype:
    """`to_dtype` as a transform.

    Args:
        dtype, scale: as for `to_dtype`.

    Source: torchvision/transforms/v2/_misc.py.
    """

    def __init__(self, dtype: str = "float32", scale: bool = False):
        self.dtype, self.scale = dtype, scale

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the image, or images, in the type."""
        return to_dtype(images, self.dtype, self.scale)


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
        BlitzError: the images do not fit.
    """
    height, width, channels = shape
    rows, columns = height - images.shape[1], width - images.shape[2]
    if rows < 0 or columns < 0 or rows % 2 or columns % 2 or images.shape[3] != 1:
        raise BlitzError(
            f"images {images.shape[1:]} cannot be resized to the network's input {shape}: choose another network"
        )
    padded = np.pad(images, ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)))
    return np.repeat(padded, channels, axis=3)
