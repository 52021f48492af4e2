"""PyTorch's weights in Keras models, bit for bit, both ways."""

from keras_blitz.weights.checkpoint import load_checkpoint, read_state, write_model, write_state
from keras_blitz.weights.mapping import load_state_dict, named_parameters, state_dict, weights

__all__ = [
    "load_checkpoint",
    "load_state_dict",
    "named_parameters",
    "read_state",
    "state_dict",
    "weights",
    "write_model",
    "write_state",
]
