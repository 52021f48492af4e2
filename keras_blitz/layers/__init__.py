"""Layers with PyTorch's semantics, where Keras's own are not exact, or slower on a CPU; channels last."""

from keras_blitz.layers.batchnorm import BatchNorm
from keras_blitz.layers.cells import GRUCell, LSTMCell, RNNCell
from keras_blitz.layers.convolution import Conv1d, Conv2d, Conv3d
from keras_blitz.layers.dropout import Dropout, Dropout2d
from keras_blitz.layers.norms import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from keras_blitz.layers.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d
from keras_blitz.layers.recurrent import GRU, LSTM, RNN
from keras_blitz.layers.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
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
    "InstanceNorm",
    "LSTMCell",
    "LayerNorm",
    "MaxPool2d",
    "RMSNorm",
    "RNNCell",
]
