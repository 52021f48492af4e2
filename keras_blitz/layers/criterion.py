"""A loss of `keras_blitz.losses` as a layer of a functional model."""

from typing import Any

import keras

from keras_blitz import losses
from keras_blitz.layers.function import KERAS_OWN, DenseInputs


@keras.saving.register_keras_serializable("keras_blitz")
class Criterion(DenseInputs):
    """PyTorch's loss in PyTorch's order of tensors: `Criterion("CrossEntropyLoss")(logits, target)`.

    For a model that computes its loss itself and returns it; `compile(loss=…)` takes the loss of `keras_blitz.losses`.

    Args:
        loss: the name in `keras_blitz.losses`.
        arguments: of that loss.

    Shapes:
        as the loss's, classes on the last axis; it is called with its prediction, or its predictions in order, and the
        target if it has one.

    Raises:
        ValueError: there is no such loss.
    """

    def __init__(self, loss: str, **arguments):
        super().__init__(**{name: arguments.pop(name) for name in KERAS_OWN if name in arguments})
        if loss not in losses.__all__:
            raise ValueError(f"loss must be a name of keras_blitz.losses, not {loss!r}")
        self.loss, self.arguments = loss, arguments
        self._function: Any = getattr(losses, loss)(**arguments)

    def call(self, *tensors):
        """Return the reduced loss."""
        count = len(getattr(self._function, "parts", ())) or 1
        target = tensors[count] if len(tensors) > count else None
        return self._function(target, tensors[:count] if count > 1 else tensors[0])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "loss": self.loss, **self.arguments}
