"""PyTorch's losses for `compile(loss=…)`: formulas, reductions, gradients and errors; classes on the last axis."""

from keras_blitz.losses.absolute import HuberLoss, L1Loss, SmoothL1Loss
from keras_blitz.losses.binary import BCELoss, BCEWithLogitsLoss
from keras_blitz.losses.classes import CrossEntropyLoss, NLLLoss
from keras_blitz.losses.ctc import CTCLoss
from keras_blitz.losses.likelihoods import GaussianNLLLoss, KLDivLoss, PoissonNLLLoss
from keras_blitz.losses.margins import (
    HingeEmbeddingLoss,
    MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    SoftMarginLoss,
)
from keras_blitz.losses.pairs import CosineEmbeddingLoss, MarginRankingLoss
from keras_blitz.losses.squares import MSELoss
from keras_blitz.losses.triplets import TripletMarginLoss, TripletMarginWithDistanceLoss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]
