"""A Keras model's weights by PyTorch's names: `state_dict` out, `load_state_dict` in."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from keras_blitz.errors import CheckpointError
from keras_blitz.weights.held import of_place
from keras_blitz.weights.mapped import Mapped
from keras_blitz.weights.observed import flattened_inputs
from keras_blitz.weights.paths import places

# What wrappers put before every name: DataParallel, torch.compile, and the usual attributes that hold a network.
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")

# Under which key a training script's dictionary has the state_dict, beside its epoch, optimizer, best accuracy …
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model")


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

    Where Keras has one bias for PyTorch's two (LSTM, RNN), `bias_ih` is all of it and `bias_hh` is zero.
    """
    return {weight.name: weight.value() for weight in weights(model)}


def load_state_dict(
    model: Any, state: Mapping[str, Any], *, prefix: str | None = None, skip: Iterable[str] = ()
) -> None:
    """Copy a PyTorch `state_dict` into a Keras model, bit for bit; nothing is copied unless all of it fits.

    Where Keras has one bias for PyTorch's two (LSTM, RNN), it gets their sum.

    Args:
        model: a Keras model whose layers are named by PyTorch module paths, or held by attributes named like PyTorch's;
            layer 1 of a stacked LSTM is named `lstm.l1`.
        state: PyTorch's names to arrays or tensors; may be wrapped, as in `{"state_dict": …, "epoch": …}`.
        prefix: take only the entries under this prefix. None: the prefixes in `PREFIXES` are dropped where every
            name has them and the model's own names do not.
        skip: module paths to leave as they are, such as a replaced head `["fc"]`, or that only the state has, such as
            `["AuxLogits"]`; what the state holds there is not looked at.

    Raises:
        CheckpointError: names all missing, surplus and wrongly shaped keys, and values that would be rounded.
    """
    targets = {weight.name: weight for weight in weights(model)}
    if not targets:
        raise CheckpointError(
            f"{model.name} has no weights yet: call it once on data, or build it with its input's shape"
        )
    arrays = strip_prefix(arrays_of(state), targets, prefix)
    skip = tuple(skip)
    _check_skip(skip, [*targets, *arrays])
    targets = {name: weight for name, weight in targets.items() if not _below(name, skip)}
    arrays = {name: array for name, array in arrays.items() if not _below(name, skip)}
    problems = _problems(targets, arrays)
    if problems:
        problems += _renaming(targets, arrays)
        raise CheckpointError(f"the state does not fit {type(model).__name__}: " + "; ".join(problems))
    twins = {id(weight.variable): arrays[name] for name, weight in targets.items() if weight.twin}
    for name, weight in targets.items():
        if name in arrays:  # a count of batches may not be, see _optional
            twin = twins.get(id(weight.variable))
            weight.assign(arrays[name] if twin is None else _sum(arrays[name], twin))


def _sum(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the sum of two biases; one is kept as it is where the other is zero, even a negative zero."""
    return np.where(other == 0, one, one + other)


def _renaming(targets: Mapping[str, Mapped], arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Say what to do where not one name is the same."""
    if not targets or any(name in targets for name in arrays):
        return []
    return ["name the layers by PyTorch's module paths, name='layer1.0.conv1', or use parity.transfer"]


def arrays_of(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Unwrap a saved dictionary and return its tensors as arrays.

    Raises:
        CheckpointError: it is no dictionary, holds no tensors, or one that NumPy cannot hold.
    """
    if not isinstance(state, Mapping):
        raise CheckpointError(
            f"holds a {type(state).__name__}, not a state_dict; save it with torch.save(model.state_dict(), path)"
        )
    for key in WRAPPERS:
        if isinstance(state.get(key), Mapping):
            return arrays_of(state[key])
    arrays = {str(name): _array(name, value) for name, value in state.items() if hasattr(value, "shape")}
    if arrays:
        return arrays
    first = [repr(name)[:80] for name in islice(state, 20)]
    more = f" and {len(state) - len(first)} more" if len(state) > len(first) else ""
    raise CheckpointError(f"holds no tensors; its keys are {', '.join(first) or 'none'}{more}")


def _array(name: str, value: Any) -> np.ndarray:
    if _hollow(value):
        raise CheckpointError(f"{name} is {tuple(value.shape)}, and has not so many values in the file")
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            # NumPy has no bfloat16; float32 holds every bfloat16 exactly.
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value
            value = value.numpy()
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype.name == "bfloat16" else array  # as safetensors reads it
    except (TypeError, ValueError, RuntimeError, NotImplementedError):  # sparse, quantized, float8, on no device …
        raise CheckpointError(f"{name} is a {value.dtype} tensor that cannot be read as a plain array") from None
    if array.dtype.kind not in "fiub":
        raise CheckpointError(f"{name} is of type {array.dtype}; weights are real numbers")
    return array


def _hollow(value: Any) -> bool:
    """Whether a tensor is some bytes expanded (stride 0) to over 1 GB: reading it might take all the memory."""
    if getattr(value, "layout", None) is None or str(value.layout) != "torch.strided":
        return False
    size = value.numel() * value.element_size()
    return size > max(1 << 30, value.untyped_storage().nbytes())


def strip_prefix(arrays: dict[str, np.ndarray], expected: Iterable[str], prefix: str | None) -> dict[str, np.ndarray]:
    """Return the arrays without the prefix given, or without the known prefixes that all names share.

    Raises:
        CheckpointError: no name has the prefix given.
    """
    if prefix is not None:
        chosen = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        if not chosen:
            raise CheckpointError(f"no key starts with the prefix {prefix!r}; the keys are {_listed(arrays)}")
        return chosen
    expected = list(expected)
    while arrays:
        found = next((p for p in PREFIXES if all(name.startswith(p) for name in arrays)), None)
        if found is None or any(name.startswith(found) for name in expected):
            break
        arrays = {name.removeprefix(found): array for name, array in arrays.items()}
    return arrays


def _optional(name: str) -> bool:
    """PyTorch loads checkpoints from before BatchNorm counted its batches, and so do we; the count stays as it is."""
    return name.endswith(".num_batches_tracked")


def _uncounted(name: str, targets: Mapping[str, Mapped]) -> bool:
    """Whether this is the count of a BatchNorm that Keras's own layer does not have."""
    return _optional(name) and f"{name.rpartition('.')[0]}.running_mean" in targets


def _below(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(module + ".") for module in modules)


def _check_skip(skip: tuple[str, ...], names: Iterable[str]) -> None:
    for module in skip:
        if not any(_below(name, (module,)) for name in names):
            raise CheckpointError(f"skip={module!r} names no module with weights; there are {_listed(names)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _problems(targets: Mapping[str, Mapped], arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Say everything that keeps `arrays` from fitting `targets`."""
    common = [name for name in targets if name in arrays]
    misshapen = [
        f"{name} is {tuple(arrays[name].shape)}, the model has {targets[name].shape}"
        for name in common
        if tuple(arrays[name].shape) != targets[name].shape
    ]
    rounded = [
        f"{name} {arrays[name].dtype} to {targets[name].variable.dtype}"
        for name in common
        if _would_round(arrays[name], targets[name].variable.dtype)
    ]
    found = {
        "missing": [name for name in targets if name not in arrays and not _optional(name)],
        "surplus": [
            name + _tied(name, targets, arrays)
            for name in arrays
            if name not in targets and not _uncounted(name, targets)
        ],
        "wrong shape": misshapen,
        'would be rounded (build the model with dtype="float64", or round the state first)': rounded,
    }
    return [f"{problem}: {_listed(names)}" for problem, names in found.items() if names]


def _tied(name: str, targets: Mapping[str, Mapped], arrays: Mapping[str, np.ndarray]) -> str:
    """Say that a tensor which the model lacks is another one again, as a head tied to its embedding."""
    array = arrays[name]
    same = (
        other
        for other in targets
        if array.ndim > 1 and other in arrays and arrays[other].shape == array.shape
        and np.array_equal(arrays[other], array)
    )  # fmt: skip
    twin = next(same, None)
    return f" (the same values as {twin}; where it is tied to it, skip={[name.rpartition('.')[0]]})" if twin else ""


def _would_round(array: np.ndarray, dtype: str) -> bool:
    if array.dtype == dtype:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.array_equal(array.astype(dtype).astype(array.dtype), array, equal_nan=array.dtype.kind == "f")
