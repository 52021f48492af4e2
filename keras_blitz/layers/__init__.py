"""Layers with PyTorch's semantics, where Keras's own are not exact, or slower on a CPU; channels last."""

from keras_blitz.layers.activations import GELU, Hardsigmoid, Hardswish, LeakyReLU
from keras_blitz.layers.batchnorm import BatchNorm
from keras_blitz.layers.convolution import Conv2d
from keras_blitz.layers.dropout import Dropout, Dropout2d
from keras_blitz.layers.norms import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from keras_blitz.layers.parameter import Parameter, RepeatBatch
from keras_blitz.layers.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d

__all__ = [
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Dropout2d",
    "GELU",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "InstanceNorm",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool2d",
    "Parameter",
    "RMSNorm",
    "RepeatBatch",
]
