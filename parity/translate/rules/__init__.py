"""The rules: what a PyTorch module or function is in Keras, an operation family a file."""

from parity.translate.rules import (  # noqa: F401  each registers its rules
    activation,
    arithmetic,
    attention,
    convolution,
    indexing,
    linear,
    matrix,
    normalization,
    pooling,
    recurrent,
    reduction,
    resize,
    shape,
)
