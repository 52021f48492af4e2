"""Images for the networks: data sets, the sample inside the package, the transforms, and PyTorch's order."""

from keras_blitz.data.crops import Compose, RandomCrop, RandomHorizontalFlip, center_crop
from keras_blitz.data.datasets import ImageData, Split, find_prepared, load, load_or_sample
from keras_blitz.data.grid import make_grid, save_image
from keras_blitz.data.prepare import prepare
from keras_blitz.data.sample import CLASSES, load_sample
from keras_blitz.data.sampler import DistributedSampler, RandomSampler, batches, random_split
from keras_blitz.data.sizes import resize
from keras_blitz.data.transforms import fit_to, normalize, to_tensor

__all__ = [
    "CLASSES",
    "Compose",
    "DistributedSampler",
    "ImageData",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomSampler",
    "Split",
    "batches",
    "center_crop",
    "find_prepared",
    "fit_to",
    "load",
    "load_or_sample",
    "load_sample",
    "make_grid",
    "normalize",
    "prepare",
    "random_split",
    "resize",
    "save_image",
    "to_tensor",
]
