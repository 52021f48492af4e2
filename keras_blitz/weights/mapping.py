"""A Keras model's weights by PyTorch's names: `state_dict` out, `load_state_dict` in."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from keras_blitz import keras_internals
from keras_blitz.errors import CheckpointError
from keras_blitz.weights import blocks
from keras_blitz.weights.held import of_place
from keras_blitz.weights.mapped import Mapped, summed_biases
from keras_blitz.weights.names import by_expected_names
from keras_blitz.weights.observed import flattened_inputs
from keras_blitz.weights.paths import places
from keras_blitz.weights.state import choose, tensors_of
from keras_blitz.weights.tensors import Tensor


def weights(model: Any) -> list[Mapped]:
    """List the weights of a Keras model in the order of PyTorch's `state_dict`: layer by layer, weight before bias.

    Raises:
        BlitzError: a layer with weights has no declared layout, or it cannot be seen whether a Flatten comes before it.
    """
    held = places(model)
    flattened = flattened_inputs(model, held)
    return [weight for place in held for weight in of_place(place, flattened.get(place.layer))]


def named_parameters(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield (PyTorch name, Keras variable) of every parameter, as `torch.nn.Module.named_parameters` does.

    A parameter that several variables hold, such as the packed projections of an attention, comes with each of them.
    """
    parameters = [weight for weight in weights(model) if weight.trainable and not weight.twin]
    yield from ((weight.name, variable) for weight in parameters for variable in weight.variables)


def state_dict(model: Any) -> dict[str, np.ndarray]:
    """Return the model's parameters and buffers under PyTorch's names, in PyTorch's layouts, bit for bit.

    Where Keras has one bias for PyTorch's two (LSTM, RNN), `bias_ih` is all of it and `bias_hh` is zero. The arrays are
    contiguous: safetensors refuses a tensor made of one that is transposed.
    """
    return {weight.name: np.asarray(weight.value(), order="C") for weight in weights(model)}


def load_state_dict(
    model: Any, state: Mapping[str, Any], *, prefix: str | None = None, skip: Iterable[str] = ()
) -> None:
    """Copy a PyTorch `state_dict` into a Keras model, bit for bit; nothing is copied unless all of it fits.

    Where Keras has one bias for PyTorch's two (LSTM, RNN), it gets their sum.

    Args:
        model: a Keras model whose layers are named by PyTorch module paths, or held by attributes named like PyTorch's;
            layer 1 of a stacked LSTM is named `lstm.l1`.
        state: PyTorch's names to arrays or tensors, or timm's or transformers' of the same network; may be wrapped, as
            in `{"state_dict": …, "epoch": …}`.
        prefix: take only the entries under this prefix. None: a prefix that all of the model's names have in the state
            is dropped, such as DataParallel's `module.`, and what is not under it is left out.
        skip: module paths to leave as they are, such as a replaced head `["fc"]`, or that only the state has, such as
            `["AuxLogits"]`; what the state holds there is not looked at.

    Raises:
        CheckpointError: names all missing, surplus and wrongly shaped keys, and values that would be rounded.
    """
    fill(model, tensors_of(state, choose(state)[0]), prefix=prefix, skip=skip)


def fill(
    model: Any,
    tensors: Mapping[str, Tensor],
    *,
    prefix: str | None = None,
    skip: Iterable[str] = (),
    rounds: bool = False,
) -> list[str]:
    """Copy tensors into a Keras model as `load_state_dict` does, each read when it is its turn.

    Args:
        model: a Keras model.
        tensors: PyTorch's names to tensors.
        prefix: as for `load_state_dict`.
        skip: likewise.
        rounds: values may be rounded to the model's type.

    Returns:
        The names that were left out, because they are not below the prefix that the model's are.

    Raises:
        CheckpointError: names all missing, surplus and wrongly shaped keys, and values that would be rounded.
    """
    skip = tuple(skip)
    held = {weight.name: weight for weight in weights(model)}
    if not held:
        raise CheckpointError(
            f"{model.name} has no weights yet: call it once on data, or build it with its input's shape"
        )
    targets = {name: weight for name, weight in held.items() if not _is_below(name, skip)}
    named, left_out = by_expected_names(tensors, [name for name in targets if not _optional(name)], prefix)
    _check_skip(skip, [*held, *named, *tensors])
    given = {name: tensor for name, tensor in named.items() if not _is_below(name, skip)}
    problems = _problems(targets, given, rounds)
    if problems:
        problems += _renaming(targets, given)
        raise CheckpointError(f"the state does not fit {type(model).__name__}: " + "; ".join(problems))
    _assign(targets, given)
    _settle(model)
    return left_out


def _assign(targets: Mapping[str, Mapped], given: Mapping[str, Tensor]) -> None:
    """Assign in the order of the checkpoint, so that its shards are read one after the other."""
    twins = {id(weight.variable): given[name] for name, weight in targets.items() if weight.twin}
    for name, tensor in given.items():
        if name not in targets:  # a count of batches, see _uncounted
            continue
        twin = twins.get(id(targets[name].variable))
        if twin is None:
            blocks.assign(targets[name], tensor)
        else:
            targets[name].assign(summed_biases(tensor.array(), twin.array()))


def _settle(model: Any) -> None:
    """Let layers that compute with copies of their weights take them again."""
    import keras

    for layer in keras_internals.inner_layers(model, itself=True):
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _renaming(targets: Mapping[str, Mapped], given: Mapping[str, Tensor]) -> list[str]:
    """Say what to do where not one name is the same."""
    if not targets or any(name in targets for name in given):
        return []
    return ["name the layers by PyTorch's module paths, name='layer1.0.conv1', or use parity.transfer"]


def _optional(name: str) -> bool:
    """PyTorch loads checkpoints from before BatchNorm counted its batches, and so do we; the count stays as it is."""
    return name.endswith(".num_batches_tracked")


def _uncounted(name: str, targets: Mapping[str, Mapped]) -> bool:
    """Whether this is the count of a BatchNorm that Keras's own layer does not have."""
    return _optional(name) and f"{name.rpartition('.')[0]}.running_mean" in targets


def _is_below(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def _check_skip(skip: tuple[str, ...], names: Iterable[str]) -> None:
    for module in skip:
        if not any(_is_below(name, (module,)) for name in names):
            raise CheckpointError(f"skip={module!r} names no module with weights; there are {_join(names)}")


def _join(names: Iterable[str]) -> str:
    return ", ".join(names)


def _problems(targets: Mapping[str, Mapped], given: Mapping[str, Tensor], rounds: bool) -> list[str]:
    """Say everything that keeps tensors from fitting `targets`."""
    common = [name for name in targets if name in given]
    misshapen = [
        f"{name} is {given[name].shape}, the model has {targets[name].shape}"
        for name in common
        if given[name].shape != tuple(targets[name].shape)
    ]
    rounded = [
        f"{name} {given[name].dtype} to {targets[name].dtype}"
        for name in common
        if not rounds and _would_round(given[name], targets[name].dtype)
    ]
    surplus = [name for name in given if name not in targets and not _uncounted(name, targets)]
    listed = {
        "missing": [name for name in targets if name not in given and not _optional(name)],
        "surplus": [name + _tied(name, targets, given) for name in surplus],
        "wrong shape": misshapen,
        'would be rounded (build the model with dtype="float64", or round the state first)': rounded,
    }
    return [f"{problem}: {_join(names)}" for problem, names in listed.items() if names]


def _tied(name: str, targets: Mapping[str, Mapped], given: Mapping[str, Tensor]) -> str:
    """Say that a tensor which the model lacks is another one again, as a head tied to its embedding."""
    alike = [other for other in targets if other in given and given[other].shape == given[name].shape]
    for other in alike if given[name].ndim > 1 else ():
        if np.array_equal(given[other].array(), given[name].array()):
            module = name.rpartition(".")[0]
            return f" (the same values as {other}; where it is tied to it, skip={[module]})"
    return ""


def _would_round(tensor: Tensor, dtype: str) -> bool:
    if np.can_cast(tensor.dtype, dtype, "safe"):
        return False
    return any(rounds(array, dtype) for _, array in tensor.blocks())


def rounds(array: np.ndarray, dtype: Any) -> bool:
    """Return whether an array has values that a type does not."""
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.array_equal(array.astype(dtype).astype(array.dtype), array, equal_nan=array.dtype.kind == "f")
