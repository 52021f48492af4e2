"""PyTorch's names of the same weights: below prefixes that wrappers put before them, and in timm and transformers."""

from collections.abc import Collection, Mapping

from keras_blitz.errors import CheckpointError
from keras_blitz.weights.families import renamed
from keras_blitz.weights.tensors import Tensor

# What wrappers put before every name: DataParallel, torch.compile, and the usual attributes that hold a network.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")

COUNT = "n_averaged"  # how many models torch.optim.swa_utils.AveragedModel is the mean of, beside `module.`

Tensors = dict[str, Tensor]


def by_expected_names(
    tensors: Mapping[str, Tensor], expected: Collection[str], prefix: str | None = None
) -> tuple[Tensors, list[str]]:
    """Return the tensors under the names that a model has, and the names that were left out.

    Nothing is left out where the names are the model's already. Otherwise one part is taken that has all of them after
    a prefix, Lightning's `model.` or DataParallel's `module.`; or all of them in timm's or transformers' spelling.

    Args:
        tensors: a checkpoint's.
        expected: the names that the model must find.
        prefix: take only what is under it. None: as above.

    Raises:
        CheckpointError: no name has the prefix given, or several parts have all the names.
    """
    if prefix is not None:
        chosen = _below(tensors, prefix)
        if not chosen:
            raise CheckpointError(
                f"no key starts with the prefix {prefix!r}; the keys are {', '.join(tensors)}; a part of a saved "
                "dictionary is taken by key (--key)"
            )
        return _fitting(chosen, expected), []
    prefixes = _prefixes(tensors, expected)
    if len(prefixes) > 1:
        raise CheckpointError(
            f"several parts have the model's names, under {', '.join(prefixes)}; choose one with prefix (--prefix)"
        )
    if prefixes:
        others = [name for name in tensors if not name.startswith(prefixes[0]) and name != COUNT]
        return _below(tensors, prefixes[0]), others
    return _fitting(_strip(dict(tensors), expected), expected), []


def _prefixes(tensors: Mapping[str, Tensor], expected: Collection[str]) -> list[str]:
    """List what stands before all the expected names; "" alone where they are there as they are."""
    first = next(iter(expected), None)
    if first is None or all(name in tensors for name in expected):
        return [""]
    prefixes = [name.removesuffix(first) for name in tensors if name.endswith("." + first)]
    return [prefix for prefix in prefixes if all(prefix + name in tensors for name in expected)]


def _below(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _strip(tensors: Tensors, expected: Collection[str]) -> Tensors:
    """Return the tensors without the usual prefixes that all names share."""
    while tensors:
        own = [name for name in tensors if name != COUNT]
        prefix = next((p for p in PREFIXES if own and all(name.startswith(p) for name in own)), None)
        if prefix is None or any(name.startswith(prefix) for name in expected):
            break
        tensors = _below(tensors, prefix)
    return tensors


def _fitting(tensors: Tensors, expected: Collection[str]) -> Tensors:
    """Return the tensors in the spelling of another library where that has all the expected names."""
    if all(name in tensors for name in expected):
        return tensors
    return next((found for found in renamed(tensors) if all(name in found for name in expected)), tensors)
