"""PyTorch's optimizers, its schedules of the learning rate, and gradient clipping."""

from keras_blitz.optim.adam import Adam, AdamW
from keras_blitz.optim.clipping import clip_grad_norm_, clip_grad_value_
from keras_blitz.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "clip_grad_norm_", "clip_grad_value_"]
