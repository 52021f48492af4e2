"""Images for the networks: the sample inside the package and the transforms."""

from keras_blitz.data.sample import CLASSES, load_sample
from keras_blitz.data.transforms import fit_to, normalize, to_tensor

__all__ = ["CLASSES", "fit_to", "load_sample", "normalize", "to_tensor"]
