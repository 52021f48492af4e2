"""PyTorch's schedules of the learning rate, and gradient clipping."""

from keras_blitz.optim.clipping import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_"]
