"""Images for the networks: the sample inside the package, the transforms, and PyTorch's order of a data set."""

from keras_blitz.data.sample import CLASSES, load_sample
from keras_blitz.data.sampler import RandomSampler, batches, random_split
from keras_blitz.data.transforms import fit_to, normalize, resize, to_tensor

__all__ = [
    "CLASSES",
    "RandomSampler",
    "batches",
    "fit_to",
    "load_sample",
    "normalize",
    "random_split",
    "resize",
    "to_tensor",
]
