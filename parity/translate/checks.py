"""What is asked of a module before it is translated: that it can run here, and does the same each time."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._pytree import keystr, tree_flatten, tree_flatten_with_path

from keras_blitz.errors import BlitzError
from parity.pair import remedies
from parity.record.torch_modules import copied, plain
from parity.translate.capture import said_by
from parity.translate.graph import Value

HALF = (torch.float16, torch.bfloat16)
WANTED = "an array in PyTorch's layout, or a tuple with one for each argument of forward"


def as_tensors(inputs: Any) -> tuple[torch.Tensor, ...]:
    """Return the example inputs as tensors.

    Raises:
        BlitzError: there are none, or one is not an array of numbers.
    """
    several = isinstance(inputs, (tuple, list))
    if inputs is None or (several and not inputs):
        raise BlitzError(f"inputs must be {WANTED}, not {inputs!r}: the module is translated by running it on them")
    if not several:
        return (_as_tensor(inputs, "inputs"),)
    return tuple(_as_tensor(each, f"inputs[{n}]") for n, each in enumerate(inputs))


def _as_tensor(given: Any, name: str) -> torch.Tensor:
    wanted = WANTED if name == "inputs" else "an array in PyTorch's layout"
    try:
        array = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BlitzError(f"{name} must be {wanted}: {str(error).splitlines()[0]}") from None
    if array.dtype.kind not in "biufc":
        raise BlitzError(f"{name} must be {wanted}, not a {type(given).__name__}")
    return torch.as_tensor(array)


def translatable(module: Any, inputs: tuple[torch.Tensor, ...]) -> nn.Module:
    """Return the module to translate: itself, or a copy without torch.compile.

    Raises:
        BlitzError: it is not a module, in TorchScript, without weights yet, quantized, in half precision, not on the
            CPU; it raises, or another call of it does something else.
    """
    if not isinstance(module, nn.Module):
        raise BlitzError(f"module must be a torch.nn.Module, not a {type(module).__name__}")
    module = plain(module)
    title = type(module).__name__
    for path, inner in module.named_modules():
        if ".quantized" in type(inner).__module__:
            raise BlitzError(f"{title}: {path or 'it'} is a quantized {type(inner).__name__}, which has no translation")
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.device.type == "meta":
            raise BlitzError(f"{title}: {name} is on the meta device and has no values: load its weights first")
        if tensor.device.type != "cpu":
            raise BlitzError(f"{title}: {name} is on {tensor.device}: translate module.cpu()")
        if tensor.dtype is torch.float64 and any(x.dtype is torch.float32 for x in inputs):
            raise BlitzError(f"{title}: {name} is in float64 and the inputs in float32: translate module.float()")
        if tensor.dtype in HALF:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise BlitzError(f"{title}: {name} is in {kind}, too coarse for a proof: translate module.float()")
    _require_same_twice(module, inputs, title)
    return module


def _require_same_twice(module: nn.Module, inputs: tuple[torch.Tensor, ...], title: str) -> None:
    """Raise a BlitzError where the module raises, or where forward changes it."""
    copy = copied(module).eval()
    before = _parts(copy)
    try:
        first = _called(copy, inputs, title)
    except BlitzError as error:
        arrays = tuple(x.numpy() for x in inputs)
        raise remedies.explain(error, arrays, lambda other: _called(copy, as_tensors(other), title)) from None
    if changed := [name for name, part in _parts(copy).items() if before.get(name) != part]:
        raise BlitzError(f"{title} changes itself in forward: {changed[0]} is new after a call, which Keras cannot do")
    second = _called(copy, inputs, title)
    if len(first) != len(second) or not all(map(_are_equal, first, second)):
        raise BlitzError(
            f"{title} changes itself in forward: a second call on the same inputs returns something else, which a "
            "functional Keras model cannot do"
        )
    kept = dict(module.named_parameters())
    if changed := [name for name, each in copy.named_parameters() if not torch.equal(each, kept[name])]:
        raise BlitzError(f"{title} changes itself in forward: another {changed[0]} after a call, which Keras cannot do")


def _parts(module: nn.Module) -> dict[str, int]:
    parts = [*module.named_modules(), *module.named_parameters()]
    return {name: id(part) for name, part in parts}


def _called(module: nn.Module, inputs: tuple[torch.Tensor, ...], title: str) -> list[torch.Tensor]:
    """Return the tensors that a module returns, each time with the same random numbers."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        try:
            output = module(*(x.clone() for x in inputs))
        except (Exception, SystemExit) as error:  # a user's module may raise anything
            given = ", ".join(f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}" for x in inputs)
            raise BlitzError(f"{title} raised {said_by(error)} (it was given {given})") from None
    return [each.clone() for each in tree_flatten(output)[0] if isinstance(each, torch.Tensor)]


def _are_equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype or one.is_sparse or one.is_quantized:
        return one.shape == other.shape
    return torch.allclose(one, other, rtol=1e-4, atol=1e-6, equal_nan=True) if one.is_floating_point() else True


def require_outputs(outputs: Any, title: str) -> None:
    """Raise a BlitzError for outputs that a functional Keras model cannot have.

    Args:
        outputs: a recording's, with values for tensors.
        title: the module's class.
    """
    if isinstance(outputs, dict):
        if strange := [key for key in outputs if not isinstance(key, str)]:
            raise BlitzError(f"{title} returns a dict with the key {strange[0]!r}: Keras's outputs are named by texts")
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        for each in outputs:
            require_outputs(each, title)
    elif getattr(outputs, "kind", "") == "constant":
        raise BlitzError(
            f"{title} returns a constant {outputs.shape}, which does not depend on its inputs, or was computed outside "
            "PyTorch, as in NumPy"
        )


def left_out(outputs: Any) -> Iterator[str]:
    """Yield a line for each output that is not a tensor, which the Keras model does not return; None needs none."""
    for path, each in tree_flatten_with_path(outputs)[0]:
        if each is not None and not isinstance(each, Value):
            plain_value = isinstance(each, (str, int, float))
            said = repr(each)[:40] if plain_value else f"an object of class {type(each).__name__}"
            line = (
                f"PyTorch also returns {said} in output{keystr(path)}, which is not a tensor: the model leaves it out."
            )
            yield re.sub(r'["\\]', "'", line)
