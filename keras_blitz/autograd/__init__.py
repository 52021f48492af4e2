"""PyTorch's autograd on TensorFlow's tape: gradients that add up, products, hooks, and the graph drawn."""

from keras_blitz.autograd.graph import Node, OperationGraph, trace
from keras_blitz.autograd.products import hvp, jacobian, jvp, vjp
from keras_blitz.autograd.tape import Gradients, Recording, detach, hook

__all__ = [
    "Gradients",
    "Node",
    "OperationGraph",
    "Recording",
    "detach",
    "hook",
    "hvp",
    "jacobian",
    "jvp",
    "trace",
    "vjp",
]
