"""PyTorch's schedules of the learning rate: `torch.optim.lr_scheduler` to the last bit, for Keras optimizers."""

from keras_blitz.optim.schedules.annealing import CosineAnnealingLR, OneCycleLR
from keras_blitz.optim.schedules.decay import ConstantLR, ExponentialLR, LambdaLR, LinearLR, MultiStepLR, StepLR
from keras_blitz.optim.schedules.plateau import ReduceLROnPlateau
from keras_blitz.optim.schedules.table import RateTable

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycleLR",
    "RateTable",
    "ReduceLROnPlateau",
    "StepLR",
]
