"""Images for the networks: data sets, the sample inside the package, the transforms, and PyTorch's order."""

from keras_blitz.data.blur import GaussianBlur, gaussian_blur
from keras_blitz.data.color import (
    ColorJitter,
    Grayscale,
    RandomGrayscale,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    rgb_to_grayscale,
)
from keras_blitz.data.crops import (
    Compose,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    center_crop,
)
from keras_blitz.data.datasets import ImageData, Split, find_prepared, load, load_or_sample
from keras_blitz.data.erasing import RandomErasing
from keras_blitz.data.grid import make_grid, save_image
from keras_blitz.data.padding import Pad, pad
from keras_blitz.data.prepare import prepare
from keras_blitz.data.rotation import RandomRotation, rotate
from keras_blitz.data.sample import CLASSES, load_sample
from keras_blitz.data.sampler import DistributedSampler, RandomSampler, batches, random_split
from keras_blitz.data.sizes import resize
from keras_blitz.data.transforms import ToDtype, ToImage, fit_to, normalize, to_dtype, to_image, to_tensor

__all__ = [
    "CLASSES",
    "ColorJitter",
    "Compose",
    "DistributedSampler",
    "GaussianBlur",
    "Grayscale",
    "ImageData",
    "Pad",
    "RandomCrop",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSampler",
    "RandomVerticalFlip",
    "Split",
    "ToDtype",
    "ToImage",
    "adjust_brightness",
    "adjust_contrast",
    "adjust_hue",
    "adjust_saturation",
    "batches",
    "center_crop",
    "find_prepared",
    "fit_to",
    "gaussian_blur",
    "load",
    "load_or_sample",
    "load_sample",
    "make_grid",
    "normalize",
    "pad",
    "prepare",
    "random_split",
    "resize",
    "rgb_to_grayscale",
    "rotate",
    "save_image",
    "to_dtype",
    "to_image",
    "to_tensor",
]
