"""PyTorch's schedules of the learning rate: `torch.optim.lr_scheduler` to the last bit, for Keras optimizers."""

from keras_blitz.optim.schedules.annealing import CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR
from keras_blitz.optim.schedules.averaging import SWALR
from keras_blitz.optim.schedules.composed import ChainedScheduler, SequentialLR
from keras_blitz.optim.schedules.cyclic import CyclicLR
from keras_blitz.optim.schedules.decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from keras_blitz.optim.schedules.plateau import ReduceLROnPlateau
from keras_blitz.optim.schedules.table import RateTable

__all__ = [
    "SWALR",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "RateTable",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
