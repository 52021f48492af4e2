"""PyTorch's optimizers, its schedules of the learning rate, and gradient clipping."""

from keras_blitz.optim import schedules
from keras_blitz.optim.adadelta import Adadelta
from keras_blitz.optim.adafactor import Adafactor
from keras_blitz.optim.adagrad import Adagrad
from keras_blitz.optim.adam import Adam, AdamW
from keras_blitz.optim.adamax import Adamax
from keras_blitz.optim.asgd import ASGD
from keras_blitz.optim.averaging import AveragedModel, update_bn
from keras_blitz.optim.clipping import clip_grad_norm_, clip_grad_value_
from keras_blitz.optim.nadam import NAdam
from keras_blitz.optim.radam import RAdam
from keras_blitz.optim.rmsprop import RMSprop
from keras_blitz.optim.rprop import Rprop
from keras_blitz.optim.sgd import SGD
from keras_blitz.optim.sparse_adam import SparseAdam

__all__ = [
    "ASGD",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AveragedModel",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
    "clip_grad_norm_",
    "clip_grad_value_",
    "schedules",
    "update_bn",
]
