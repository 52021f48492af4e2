"""PyTorch's optimizers, its schedules of the learning rate, and gradient clipping."""

from keras_blitz.optim import schedules
from keras_blitz.optim.adadelta import Adadelta
from keras_blitz.optim.adagrad import Adagrad
from keras_blitz.optim.adam import Adam, AdamW
from keras_blitz.optim.adamax import Adamax
from keras_blitz.optim.clipping import clip_grad_norm_, clip_grad_value_
from keras_blitz.optim.nadam import NAdam
from keras_blitz.optim.radam import RAdam
from keras_blitz.optim.rmsprop import RMSprop
from keras_blitz.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "RAdam",
    "RMSprop",
    "clip_grad_norm_",
    "clip_grad_value_",
    "schedules",
]
