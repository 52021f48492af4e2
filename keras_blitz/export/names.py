"""What a file calls the inputs and outputs of a model."""

from collections.abc import Sequence
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.keras_internals import input_structure


def names_of(model: Any) -> tuple[list[str], list[str]]:
    """Return the names of inputs and outputs: "input" and "output" where there is one, else the model's own.

    Raises:
        BlitzError: the model is not functional, so its inputs are not known.
    """
    if not getattr(model, "inputs", None):
        raise BlitzError(f"{model.name} has no inputs yet: only a functional or built Sequential model can be exported")
    inputs = ["input"] if len(model.inputs) == 1 else [tensor.name for tensor in model.inputs]
    outputs = ["output"] if len(model.outputs) == 1 else list(model.output_names)
    return inputs, outputs


def structured(model: Any, values: Sequence[Any]) -> Any:
    """Return the inputs as the model takes them: one tensor, a list, or a dict."""
    import keras

    structure = input_structure(model)
    if structure is None:  # a Sequential model
        return values[0] if len(values) == 1 else list(values)
    return keras.tree.pack_sequence_as(structure, list(values))
