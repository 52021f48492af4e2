"""What a PyTorch module's own modules are given in a forward pass, which tensors it uses, which of them it computes."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm

from keras_blitz.weights import kinds
from parity.core.trace import named_inputs, plain_outputs
from parity.record.torch_axes import AxesFollowed
from parity.record.torch_modules import copied
from parity.record.torch_recorder import forward
from parity.record.torch_uses import ParameterUses

REMOVING = {"WeightNorm": remove_weight_norm, "SpectralNorm": remove_spectral_norm}  # hooks of torch.nn.utils


@dataclass(frozen=True)
class Flow:
    """What was seen in a forward pass.

    Args:
        given: path -> what each module with tensors of its own was given, a value for each call.
        arguments: path -> all tensors that each attention was given, for each call.
        met: name -> what each parameter that belongs to no known layer was used with, a value for each use: x in
            `F.linear(x, w, b)`, `x @ w`, `x * w`.
        columns: name of such a matrix -> whether it was used as in `x @ w`, and not as in `F.linear(x, w)`.
        outputs: by their names in a trace.
        splits: name of a matrix, path of a linear module -> the axes its outputs are split into: (heads, 3, dim).
        added: names of biases that are parts of one sum.
        plus_one: names of parameters that are used as 1 + w.
        axes: output's name -> what each of its axes holds, see `core.axes`.
        plain: names of what is returned beside tensors: numbers, truth values and texts.
    """

    given: dict[str, list[np.ndarray]]
    arguments: dict[str, list[list[np.ndarray]]]
    met: dict[str, list[np.ndarray]]
    columns: dict[str, bool]
    outputs: dict[str, np.ndarray]
    splits: dict[str, tuple[int, ...]] = field(default_factory=dict)
    added: list[frozenset[str]] = field(default_factory=list)
    plus_one: set[str] = field(default_factory=set)
    axes: dict[str, str] = field(default_factory=dict)
    plain: list[str] = field(default_factory=list)

    def forget(self) -> None:
        """Free the memory of what was given, which is no longer needed when the pairs are known."""
        for values in (self.given, self.arguments, self.met):
            values.clear()


def seen(module: torch.nn.Module, inputs) -> Flow:
    """Run a module forward once, in eval mode and float64, on weights rounded to float32; it is not changed."""
    module = copied(module).float().double().eval()
    given: dict[str, list[np.ndarray]] = {}

    arguments: dict[str, list[list[np.ndarray]]] = {}

    def hook(path: str):
        def before(inner, args, kwargs):
            tensors = [value for _, value in named_inputs((args, kwargs)) if isinstance(value, torch.Tensor)]
            kind = kinds.of_torch(inner)
            taken = tensors if kind and kind.name == "attention" else tensors[:1]
            values = [tensor.detach().numpy().copy() for tensor in taken]  # they may be overwritten afterwards
            if values:
                given.setdefault(path, []).append(values[0])
            if len(values) > 1:
                arguments.setdefault(path, []).append(values)

        return before

    for path, inner in module.named_modules():
        if any(inner.named_parameters(recurse=False)) or any(inner.named_buffers(recurse=False)):
            inner.register_forward_pre_hook(hook(path), with_kwargs=True)
    uses = ParameterUses(_own_tensors(module))
    for path, inner in module.named_modules():
        kind = kinds.of_torch(inner)
        if kind is not None and kind.linear:
            inner.register_forward_hook(partial(_note_result, uses, path))
    plain: list[str] = []
    module.register_forward_hook(lambda _inner, _given, result: plain.extend(plain_outputs(result)))
    with torch.no_grad(), uses, AxesFollowed() as followed:
        returned = forward(module, inputs)
    return Flow(
        given, arguments, uses.met, uses.columns, {name: value.numpy() for name, value in returned}, uses.splits,
        list(uses.added), uses.plus_one, {name: followed.of(value) for name, value in returned}, plain,
    )  # fmt: skip


def _note_result(uses: ParameterUses, path: str, inner: torch.nn.Module, _inputs: Any, result: Any) -> None:
    bias = "bias" if isinstance(getattr(inner, "bias", None), torch.nn.Parameter) else ""
    uses.returned(path, result, f"{path}.{bias}" if path and bias else bias)


def _own_tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the parameters and buffers of the modules whose kind is not known, or that a user's class has, by name."""
    found: dict[str, torch.Tensor] = {}
    for path, inner in module.named_modules():
        kind = kinds.of_torch(inner)
        if kind is None or not kind.has_weights or not kinds.is_of_framework(type(inner)):
            own = [*inner.named_parameters(recurse=False), *inner.named_buffers(recurse=False)]
            found |= {f"{path}.{name}" if path else name: tensor for name, tensor in own}
    return found


def unused(module: torch.nn.Module, inputs, train: bool = False) -> set[str]:
    """Return the names of the parameters that no output depends on, and of the buffers of modules without others.

    A module may be left out of `forward`, or used as a tensor and not called; so it is the gradient that tells.
    """
    module = copied(module).float().train(train)
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    called: set[str] = set()
    for path, inner in module.named_modules():
        inner.register_forward_pre_hook(lambda *_, path=path: called.add(path))
    outputs = [value for _, value in forward(module, inputs) if value.requires_grad]
    named = dict(module.named_parameters())
    if not outputs or not named:
        return set()  # nothing can be told
    gradients = torch.autograd.grad([value.sum() for value in outputs], list(named.values()), allow_unused=True)
    used = {name for name, gradient in zip(named, gradients, strict=True) if gradient is not None}
    paths = called | {name.rpartition(".")[0] for name in used}
    return (set(named) - used) | {n for n, _ in module.named_buffers() if n.rpartition(".")[0] not in paths}


def folded(module: torch.nn.Module) -> tuple[torch.nn.Module, list[str]]:
    """Return a module with plain weights in place of those that weight_norm and the like compute, and their names.

    It is the module itself where there are none, else a copy in eval mode: a Keras layer has the weight as it is.
    """
    hooked = {path: _hooks(inner) for path, inner in module.named_modules()}
    parametrized = {p: inner for p, inner in module.named_modules() if parametrize.is_parametrized(inner)}
    if not any(hooked.values()) and not parametrized:
        return module, []
    copy = copied(module).eval()
    found = []
    for path, inner in copy.named_modules():
        names = [hook.name for hook in hooked[path]]
        for hook in hooked[path]:
            REMOVING[type(hook).__name__](inner, hook.name)
            _drop_hooks(inner)
        if path in parametrized:
            names += _unparametrize(inner)
        found += [f"{path}.{name}" if path else name for name in names]
    return copy, found


def _unparametrize(module: torch.nn.Module) -> list[str]:
    """Give a module plain weights and its own class again; PyTorch's own function would change the user's class."""
    computed: Any = module.parametrizations
    values = {name: getattr(module, name).detach().clone() for name in computed}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        module.register_parameter(name, torch.nn.Parameter(value))
    return list(values)


def _drop_hooks(module: torch.nn.Module) -> None:
    """Drop what spectral_norm's removal leaves of its hooks: a state without it could not be loaded."""
    for hooks in (module._load_state_dict_pre_hooks, module._state_dict_hooks):
        for key, hook in list(hooks.items()):
            if type(getattr(hook, "hook", hook)).__name__.startswith("SpectralNorm"):
                del hooks[key]


def _hooks(module: torch.nn.Module) -> list:
    hooks = getattr(module, "_forward_pre_hooks", {})
    return [hook for hook in hooks.values() if type(hook).__name__ in REMOVING]
