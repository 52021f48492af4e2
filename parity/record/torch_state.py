"""What a PyTorch module's state_dict holds, read and filled."""

from collections.abc import Collection, Mapping
from copy import deepcopy

import numpy as np
import torch

from parity.record.torch_calls import array
from parity.record.torch_modules import uncompiled_name


def state_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return a copy of the module's state_dict as arrays."""
    return {name: value.copy() for name, value in held_by(module).items()}


def held_by(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return the module's state_dict as arrays in the same memory, to be read while the module is not changed."""
    return {uncompiled_name(name): array(value.cpu()) for name, value in module.state_dict().items()}


def fill(module: torch.nn.Module, values: Mapping[str, np.ndarray]) -> None:
    """Give the module these values of its state_dict, rounded to its types; the others stay as they are."""
    tensors = {uncompiled_name(name): tensor for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        for name, value in values.items():
            tensors[name].copy_(torch.from_numpy(np.ascontiguousarray(value)).reshape(tensors[name].shape))


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a module whose parameters are no longer what a constructor makes of them.

    Two layers of ones and zeros that are given one value cannot be told apart, and scales of zero hide what they scale.
    """
    copy, stream = deepcopy(module), np.random.RandomState(0)
    with torch.no_grad():
        for parameter in filter(torch.is_floating_point, copy.parameters()):
            size = parameter.double().square().mean().sqrt().item() if parameter.ndim > 1 else 0.0
            noise = (0.3 * size or 0.1) * stream.standard_normal(tuple(parameter.shape))  # a matrix keeps its scale
            parameter.add_(torch.from_numpy(np.asarray(noise)).to(parameter))
    return copy


def tied_names(module: torch.nn.Module, names: Collection[str]) -> set[str]:
    """Return the other names, in a module's state_dict, of the tensors that have these."""
    places = {name: _place(tensor) for name, tensor in module.state_dict().items()}
    known = {places[name] for name in names if name in places}
    return {name for name, place in places.items() if place in known} - set(names)


def _place(tensor: torch.Tensor) -> tuple:
    return tensor.device, tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.numel() or id(tensor)
