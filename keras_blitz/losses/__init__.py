"""PyTorch's losses for `compile(loss=…)`: formulas, reductions, gradients and errors; classes on the last axis."""

from keras_blitz.losses.binary import BCELoss, BCEWithLogitsLoss
from keras_blitz.losses.classes import CrossEntropyLoss, NLLLoss
from keras_blitz.losses.squares import MSELoss

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss", "NLLLoss"]
