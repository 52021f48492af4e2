"""A module's weights in the model that was written from it; which is which is known from the names."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from keras_blitz.layers import Parameter
from keras_blitz.weights.mapped import Mapped
from parity.pair import pairing, units
from parity.record.keras_recorder import leaves


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
    ours = [_as_it_is(unit) for unit in units.keras_units(layers, flats)]
    return pairing.pair(units.torch_units(module, []), ours, names, uncalled=lambda: unused).weights


def fill(model: Any, module: Any, weights: Iterable[Mapped]) -> None:
    """Copy a module's tensors into the weights of a model, as `paired` has them."""
    state = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers())}
    for weight in weights:
        weight.assign(state[weight.name].detach().cpu().numpy())
    for name, layer in leaves(model).items():
        if (count := getattr(layer, "num_batches_tracked", None)) is not None:
            count.assign(state[f"{name}.num_batches_tracked"].item())


def _as_it_is(unit: units.Unit) -> units.Unit:
    """Return the tensor of a Parameter as one that is never transposed, square or not."""
    return replace(unit, columns=False) if isinstance(unit.owner, Parameter) else unit
