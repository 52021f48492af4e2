"""A Keras model's weights by PyTorch's names: `state_dict` out, `load_state_dict` in."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from keras_blitz.errors import CheckpointError
from keras_blitz.weights.flow import after_flatten, parameters
from keras_blitz.weights.kinds import BUFFERS
from keras_blitz.weights.layout import Layout
from keras_blitz.weights.observed import flattened_inputs

# What wrappers put before every name: DataParallel, torch.compile, and the usual attributes that hold a network.
PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")

# Under which key a training script's dictionary has the state_dict, beside its epoch, optimizer, best accuracy …
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model")


@dataclass(frozen=True)
class Weight:
    """One weight of a Keras model.

    Args:
        name: PyTorch's name, `conv1.weight`.
        variable: the Keras variable that holds it.
        layout: its layout relative to PyTorch's tensor.
        trainable: a parameter; otherwise a buffer.
    """

    name: str
    variable: Any
    layout: Layout
    trainable: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of PyTorch's tensor."""
        return self.layout.torch_shape(self.variable.shape)

    @property
    def variables(self) -> tuple[Any, ...]:
        """The Keras variables that hold it."""
        return (self.variable,)

    def joined(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Return arrays in the layout of `variables`, such as their gradients, in PyTorch's layout."""
        return self.layout.to_torch(arrays[0])

    def value(self) -> np.ndarray:
        """The value in PyTorch's layout."""
        return self.joined([np.asarray(self.variable.numpy())])

    def assign(self, array: np.ndarray) -> None:
        """Take a value in PyTorch's layout, rounded to the variable's type."""
        self.variable.assign(self.layout.to_keras(array.astype(self.variable.dtype)))


def weights(model: Any) -> list[Weight]:
    """List the weights of a Keras model in the order of PyTorch's `state_dict`: layer by layer, weight before bias.

    Raises:
        BlitzError: a layer with weights has no declared layout, or it cannot be seen whether a Flatten comes before it.
    """
    flattened = flattened_inputs(model)
    return [weight for layer in model.layers for weight in _of_layer(layer, flattened.get(layer.name))]


def _of_layer(layer: Any, flattened_input: tuple[int, ...] | None) -> Iterator[Weight]:
    declared = parameters(layer)
    for variable in layer.weights:
        name, layout = declared[variable.name]
        if flattened_input:
            layout = after_flatten(layer, variable.name, flattened_input)
        # By name, not by `variable.trainable`: a frozen parameter is a parameter still.
        yield Weight(f"{layer.name}.{name}", variable, layout, name not in BUFFERS)


def named_parameters(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield (PyTorch name, Keras variable) of every parameter, as `torch.nn.Module.named_parameters` does."""
    yield from ((weight.name, weight.variable) for weight in weights(model) if weight.trainable)


def state_dict(model: Any) -> dict[str, np.ndarray]:
    """Return the model's parameters and buffers under PyTorch's names, in PyTorch's layouts, bit for bit."""
    return {weight.name: weight.value() for weight in weights(model)}


def load_state_dict(
    model: Any, state: Mapping[str, Any], *, prefix: str | None = None, skip: Iterable[str] = ()
) -> None:
    """Copy a PyTorch `state_dict` into a Keras model, bit for bit; nothing is copied unless all of it fits.

    Args:
        model: a Keras model whose layers are named by PyTorch module paths.
        state: PyTorch's names to arrays or tensors; may be wrapped, as in `{"state_dict": …, "epoch": …}`.
        prefix: take only the entries under this prefix. None: the prefixes in `PREFIXES` are dropped where every
            name has them and the model's own names do not.
        skip: module paths to leave as they are, such as a replaced head `["fc"]`, or that only the state has, such as
            `["AuxLogits"]`; what the state holds there is not looked at.

    Raises:
        CheckpointError: names all missing, surplus and wrongly shaped keys, and values that would be rounded.
    """
    targets = {weight.name: weight for weight in weights(model)}
    arrays = strip_prefix(arrays_of(state), targets, prefix)
    skip = tuple(skip)
    _check_skip(skip, [*targets, *arrays])
    targets = {name: weight for name, weight in targets.items() if not _below(name, skip)}
    arrays = {name: array for name, array in arrays.items() if not _below(name, skip)}
    problems = _problems(targets, arrays)
    if problems:
        raise CheckpointError(f"the state does not fit {type(model).__name__}: " + "; ".join(problems))
    for name, weight in targets.items():
        if name not in arrays:  # a count of batches, see _optional
            continue
        weight.variable.assign(weight.layout.to_keras(arrays[name]).astype(weight.variable.dtype))


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


def _uncounted(name: str, targets: Mapping[str, Weight]) -> bool:
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


def _problems(targets: Mapping[str, Weight], arrays: Mapping[str, np.ndarray]) -> list[str]:
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
        "surplus": [name for name in arrays if name not in targets and not _uncounted(name, targets)],
        "wrong shape": misshapen,
        'would be rounded (build the model with dtype="float64", or round the state first)': rounded,
    }
    return [f"{problem}: {_listed(names)}" for problem, names in found.items() if names]


def _would_round(array: np.ndarray, dtype: str) -> bool:
    if array.dtype == dtype:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        return not np.array_equal(array.astype(dtype).astype(array.dtype), array, equal_nan=array.dtype.kind == "f")
