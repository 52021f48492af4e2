"""A user's PyTorch module as it can be run and observed: copied, without torch.compile, its outputs as tensors."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import torch

from keras_blitz.errors import BlitzError, one_line
from parity.core.trace import named_outputs


def copied(module: torch.nn.Module) -> torch.nn.Module:
    """Return a deep copy of a module, which may hold tensors of an earlier run.

    A hook, or `self.features = x` in forward, keeps a tensor that has a graph; `deepcopy` refuses to copy such a one.

    Raises:
        BlitzError: it holds something that cannot be copied.
    """
    held = [value for inner in module.modules() for value in _tensors_in(vars(inner))]
    try:
        return deepcopy(module, {id(tensor): tensor.detach().clone() for tensor in held if not tensor.is_leaf})
    except (TypeError, RuntimeError) as error:  # a lock, an open file, a generator
        raise BlitzError(
            f"torch_module cannot be copied ({one_line(error)}), and copies of it are run: keep what cannot be copied "
            "outside the module, or give the module a __deepcopy__"
        ) from error


def sharing(module: torch.nn.Module) -> torch.nn.Module:
    """Return a copy of a module that has the module's own parameters; its buffers and attributes are copied.

    A call may change what is copied. Do not move or cast it, which would change the parameters.
    """
    held = [value for inner in module.modules() for value in _tensors_in(vars(inner))]
    known = {id(tensor): tensor.detach().clone() for tensor in held if not tensor.is_leaf}
    return deepcopy(module, {**known, **{id(parameter): parameter for parameter in module.parameters()}})


def _tensors_in(value: Any, depth: int = 4) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors_in(each, depth - 1)
    elif depth and isinstance(value, list | tuple | set):
        for each in value:
            yield from _tensors_in(each, depth - 1)


def plain(module: torch.nn.Module) -> torch.nn.Module:
    """Return a module whose inner modules are called one by one: itself, or a copy without torch.compile.

    Raises:
        BlitzError: TorchScript is in it, which calls no hooks, or a lazy module has no weights yet.
    """
    scripted = [path for path, inner in module.named_modules() if isinstance(inner, torch.jit.ScriptModule)]
    if scripted:
        where = f"torch_module.{scripted[0]}" if scripted[0] else "torch_module"
        raise BlitzError(
            f"{where} is a {type(module).__name__}: what happens inside TorchScript cannot be observed; give the "
            "nn.Module that it was scripted or traced from, and load its state_dict into that"
        )
    lazy = [name for name, each in module.named_parameters() if torch.nn.parameter.is_lazy(each)]
    if lazy:
        raise BlitzError(f"torch_module has no {lazy[0]} yet, which its first call makes: call it on the inputs once")
    if not any(_is_compiled(inner) for inner in module.modules()):
        return module
    return _uncompiled(copied(module))


def _is_compiled(module: torch.nn.Module) -> bool:
    return hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None


def uncompiled_name(name: str) -> str:
    """Return the name that a tensor of a compiled module has without torch.compile."""
    return name.replace("_orig_mod.", "")


def _uncompiled(module: torch.nn.Module) -> torch.nn.Module:
    module = getattr(module, "_orig_mod", module)
    module._compiled_call_impl = None
    for name, inner in module.named_children():
        setattr(module, name, _uncompiled(inner))
    return module


def outputs(output: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the names and values of the tensors that a module returned.

    Raises:
        BlitzError: it returned an object whose tensors are not known.
    """
    for name, value in named_outputs(output):
        if isinstance(value, torch.Tensor):
            yield name, value
        else:
            raise BlitzError(
                f"the PyTorch module returns an instance of {type(value).__name__} as {name}; only tensors, and dicts, "
                "tuples and dataclasses of them, are compared: let forward return those"
            )
