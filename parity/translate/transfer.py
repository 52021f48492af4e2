"""A module's weights in the model that was written from it; which is which is known from the names."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from keras_blitz.weights.mapped import Mapped
from parity.pair import pairing, units
from parity.record.keras_recorder import leaves


def hide_buffers(module: nn.Module) -> list[tuple[nn.Module, str, torch.Tensor]]:
    """Make plain attributes of the buffers that no checkpoint has and that are whole numbers or one number.

    They are positions and scales, which the source has as constants; as buffers they would want a Keras weight.

    Returns:
        What was hidden, for `show_buffers`.
    """
    hidden = []
    for inner in module.modules():
        for name in inner._non_persistent_buffers_set & set(inner._buffers):
            tensor = inner._buffers[name]
            if tensor is not None and (tensor.dim() == 0 or not tensor.is_floating_point()):
                del inner._buffers[name]
                inner.__dict__[name] = tensor
                hidden.append((inner, name, tensor))
    return hidden


def show_buffers(hidden: list[tuple[nn.Module, str, torch.Tensor]]) -> None:
    """Undo `hide_buffers`."""
    for inner, name, tensor in hidden:
        del inner.__dict__[name]
        inner._buffers[name] = tensor


def paired(
    model: Any, module: Any, names: Mapping[str, str], arrays: Mapping[str, np.ndarray],
    flats: Mapping[str, tuple[int, ...]], unused: Collection[str] = (),
) -> list[Mapped]:  # fmt: skip
    """Return a model's weights by the names of a module's tensors.

    Args:
        model: Keras's.
        module: PyTorch's.
        names: PyTorch's tensor -> Keras's weight, where their names differ.
        arrays: layer's name -> the constant that it holds, which stays.
        flats: layer's name -> (H, W, C) where its input was flattened from these.
        unused: PyTorch's tensors that its forward does not use, which the model may lack.
    """
    constants = set(arrays) - {name.removesuffix("/value") for name in names.values()}
    layers = {name: layer for name, layer in leaves(model).items() if name not in constants}
    names = {name: other for name, other in names.items() if other.partition("/")[0] in layers}
    hidden = hide_buffers(module)
    theirs = units.torch_units(module, [])
    show_buffers(hidden)
    return pairing.pair(theirs, units.keras_units(layers, flats), names, uncalled=lambda: unused).weights


def fill(model: Any, module: Any, weights: Iterable[Mapped]) -> None:
    """Copy a module's tensors into the weights of a model, as `paired` has them."""
    state = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers())}
    for weight in weights:
        weight.assign(state[weight.name].detach().cpu().numpy())
    for name, layer in leaves(model).items():
        if (count := getattr(layer, "num_batches_tracked", None)) is not None:
            count.assign(state[f"{name}.num_batches_tracked"].item())
