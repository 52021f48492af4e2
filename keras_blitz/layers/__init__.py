"""Layers with PyTorch's semantics, where Keras's own are not exact, or slower on a CPU; channels last."""

from keras_blitz.layers.activations import GELU, Hardsigmoid, Hardswish, LeakyReLU
from keras_blitz.layers.adaptive import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from keras_blitz.layers.attention import MultiheadAttention, scaled_dot_product_attention
from keras_blitz.layers.batchnorm import BatchNorm
from keras_blitz.layers.cells import GRUCell, LSTMCell, RNNCell
from keras_blitz.layers.convolution import Conv1d, Conv2d, Conv3d
from keras_blitz.layers.dropout import Dropout, Dropout2d
from keras_blitz.layers.norms import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from keras_blitz.layers.parameter import Parameter, RepeatBatch
from keras_blitz.layers.pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    LPPool1d,
    LPPool2d,
    LPPool3d,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from keras_blitz.layers.recurrent import GRU, LSTM, RNN
from keras_blitz.layers.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from keras_blitz.layers.upsample import Upsample, interpolate

__all__ = [
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BatchNorm",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Dropout",
    "Dropout2d",
    "GRUCell",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "InstanceNorm",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MultiheadAttention",
    "Parameter",
    "RMSNorm",
    "RNNCell",
    "RepeatBatch",
    "Upsample",
    "interpolate",
    "scaled_dot_product_attention",
]
