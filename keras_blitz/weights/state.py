"""What a saved dictionary holds: where in it the weights are, beside optimizer, epoch and averages."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from keras_blitz.errors import CheckpointError
from keras_blitz.weights.tensors import Tensor, tensor_of

# Under which key a training script has the weights …
PLAIN = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "net_state", "net_state_dict", "network",
    "params", "module", "weights",
)  # fmt: skip

# … and a moving average of them.
AVERAGED = (
    "state_dict_ema", "ema_state_dict", "model_ema", "model_ema_state_dict", "params_ema", "ema", "ema_model",
    "ema_state",
)  # fmt: skip

# What holds tensors that are not weights; a key that begins with one of these.
OTHERS = ("optim", "sched", "lr_", "scaler", "amp", "rng", "random", "callbacks", "loops", "hyper")

Keys = tuple[str, ...]


def choose(loaded: Any, key: str | None = None) -> tuple[Keys, list[str]]:
    """Return the keys that lead to the weights in a saved dictionary, and the paths of what else could be meant.

    A usual key of weights is followed; their moving average is taken where nothing else is.

    Args:
        loaded: what was saved.
        key: the path of the part that is wanted, its keys joined by dots. None: as above.

    Raises:
        CheckpointError: it is not a dictionary, holds no tensors, several parts may be meant, or there is no such key.
    """
    if not isinstance(loaded, Mapping):
        raise CheckpointError(
            f"holds a {type(loaded).__name__}, not a state_dict; save it with torch.save(model.state_dict(), path)"
        )
    parts = _parts(loaded)
    if key is None:
        chosen = _choose(loaded, ())
        return chosen, [_path(keys) for keys in parts if keys != chosen and keys]
    for keys in parts:
        if _path(keys) == key:
            return keys, []
    raise CheckpointError(f"has no tensors under the key {key!r}; there are some under {_join(parts)}")


def tensors_of(loaded: Any, keys: Keys = ()) -> dict[str, Tensor]:
    """Return the tensors under these keys of a saved dictionary, by name.

    Raises:
        CheckpointError: one is not a plain array of real numbers.
    """
    return {str(name): tensor_of(name, value) for name, value in inside(loaded, keys).items() if _is_tensor(value)}


def inside(loaded: Any, keys: Keys) -> Mapping[str, Any]:
    """Return what is under these keys, one in the other."""
    for key in keys:
        loaded = loaded[key]
    return loaded


def _choose(part: Mapping[str, Any], keys: Keys) -> Keys:
    for names, kind in ((PLAIN, "weights"), (AVERAGED, "averaged weights")):
        usual = [name for name in names if isinstance(part.get(name), Mapping) and _parts(part[name])]
        if len(usual) > 1:
            paths = ", ".join(_path((*keys, name)) for name in usual)
            raise CheckpointError(f"holds several {kind}: {paths}; choose one with key (--key)")
        if usual:
            return _choose(part[usual[0]], (*keys, usual[0]))
        if kind == "weights" and any(map(_is_tensor, part.values())):
            break
    if any(map(_is_tensor, part.values())):
        return keys
    if parts := _parts(part):
        raise CheckpointError(f"holds tensors under {_join(parts)}; choose one with key (--key)")
    first = [repr(name)[:80] for name in islice(part, 20)]
    more = f" and {len(part) - len(first)} more" if len(part) > len(first) else ""
    raise CheckpointError(f"holds no tensors; its keys are {', '.join(first) or 'none'}{more}")


def _parts(part: Mapping[str, Any], keys: Keys = ()) -> list[Keys]:
    """List the dictionaries that hold tensors, by the keys that lead to them, but for optimizers and the like."""
    listed = [keys] if any(map(_is_tensor, part.values())) else []
    for name, value in part.items():
        if isinstance(value, Mapping) and isinstance(name, str) and not name.lower().startswith(OTHERS):
            listed += _parts(value, (*keys, name))
    return listed


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and not isinstance(value, Mapping)


def _path(keys: Keys) -> str:
    return ".".join(keys)


def _join(parts: list[Keys]) -> str:
    return ", ".join(_path(keys) for keys in parts if keys) or "no key"
