"""Runs a PyTorch module and records its trace."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch

from keras_blitz.weights import kinds
from parity.core.fingerprint import condensed
from parity.core.trace import ABSENT, Trace, Value, named_inputs, named_outputs


@dataclass(frozen=True)
class Call:
    """One call of an innermost module: its path, the number of the call from 0, the module, the output's shape."""

    path: str
    number: int
    module: torch.nn.Module
    shape: tuple[int, ...]
    fed: tuple[int, ...]

    @property
    def name(self) -> str:
        """The call's name in a trace."""
        return self.path + (f"#{self.number + 1}" if self.number else "")


def calls(module: torch.nn.Module, inputs) -> tuple[list[Call], dict[str, np.ndarray]]:
    """Run a module forward once, in eval mode and float32; it is not changed.

    Returns its calls in order, and its outputs by name.
    """
    module = deepcopy(module).float().eval()
    found: list[Call] = []

    def hook(path: str):
        def on_forward(inner, given, output):
            number = sum(call.path == path for call in found)
            fed = tuple(_first(given).shape) if given else ()
            found.append(Call(path, number, inner, tuple(_first(output).shape), fed))

        return on_forward

    for path, inner in leaves(module):
        inner.register_forward_hook(hook(path))
    args, kwargs = _arguments(_tensors(inputs))
    with torch.no_grad():
        output = module(*args, **kwargs)
    return found, {name: value.numpy() for name, value in named_outputs(output)}


def is_module(value) -> bool:
    """Whether this is a PyTorch module."""
    return isinstance(value, torch.nn.Module)


def state_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return a copy of the module's state_dict as arrays."""
    return {name: value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()}


def weighted(output, weights: Mapping[str, np.ndarray]) -> torch.Tensor:
    """Return the sum of all outputs, each value times its weight."""
    return sum((v * torch.from_numpy(weights[n]).to(v.dtype)).sum() for n, v in named_outputs(output) if n in weights)


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the module's state_dict."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def record(
    module: torch.nn.Module,
    state: Mapping[str, np.ndarray],
    inputs: np.ndarray | tuple | Mapping[str, np.ndarray],
    target: np.ndarray | None = None,
    *,
    loss: Callable | None = None,
    optimizer: Callable | None = None,
    steps: int = 0,
    plan: Callable | None = None,
    clip: Callable | None = None,
    slots: bool = False,
    train: bool = False,
    dtype: str = "float64",
    masks: Callable | None = None,
    keep: int | None = None,
    fed: bool = False,
) -> Trace:
    """Load weights, run, and return the trace.

    Args:
        module: changed: it gets `state` and `dtype`, and the updates.
        state: the whole state_dict; rounded to `dtype`.
        inputs: (N, C, H, W); a tuple has an entry an argument of `forward`, a dict one a keyword argument.
        target: what `loss` takes.
        loss: (output, target) -> scalar; None records forward only.
        optimizer: [(name, parameter)] -> torch.optim.Optimizer.
        steps: optimizer steps on the same batch; the first one's forward pass is what is recorded in detail.
        plan: optimizer -> what is called with the number of each step behind it, and may change the learning rate.
        clip: parameters -> None, clips their gradients between the backward pass and the update.
        slots: record the optimizer's state, too.
        train: train mode, otherwise eval mode.
        dtype: "float64" or "float32".
        masks: (path, shape, p) -> what each dropout module multiplies by in train mode.
        keep: of a tensor with more values than these, record the fingerprint; None records all whole.
        fed: record what each innermost module is given, too.
    """
    module = module.to(getattr(torch, dtype)).train(train)
    # Assigned where the module is on the meta device, which holds no values; copying keeps tied weights tied.
    module.load_state_dict({name: _tensor(value, dtype) for name, value in state.items()}, assign=_is_meta(module))
    x = _tensors(inputs)
    args, kwargs = _arguments(x)
    y = None if target is None else torch.from_numpy(np.array(target))
    if masks is not None:
        _inject(module, masks)
    trace = Trace(framework="torch", version=torch.__version__)
    for name, tensor in named_inputs(x):
        _add(trace, name, tensor, keep)
    _add_parameters(trace, module, "", keep)
    if steps and optimizer is None:
        raise ValueError(f"{steps} steps need an optimizer")
    trained = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    update = optimizer(trained) if optimizer and steps else None
    after = plan(update) if plan else None
    for step in range(1, max(steps, 1) + 1):
        module.zero_grad()
        first = step == 1
        calling: AbstractContextManager[dict[str, Value]] = nullcontext({})
        summing: AbstractContextManager[dict[str, float]] = nullcontext({})
        if first:
            calling, summing = recorded_calls(module, keep, fed), summed_terms(module)
        with calling as activations, summing as terms:
            output = module(*args, **kwargs)
        value = None if loss is None else loss(output, y)
        if value is not None:
            value.backward()
        if first:
            _add_pass(trace, module, activations, output, value, x, keep)
            trace.terms = {f"grad:{name}": total for name, total in terms.items()}
            if not steps:  # else they are step1's
                _add_buffers(trace, module, "", keep)
        if steps:
            if clip is not None:
                clip(module.parameters())
            if update is not None:
                update.step()
            _add(trace, f"step{step}:loss", value, keep)
            _add_parameters(trace, module, f"step{step}:", keep)
            _add_buffers(trace, module, f"step{step}:", keep)
            if slots:
                _add_slots(trace, module, update, f"step{step}:", keep)
        if after:
            after(step)
    return trace


def _inject(module: torch.nn.Module, masks: Callable) -> None:
    """Let each dropout module return its input times a given mask; before the hooks that record what it returns."""

    def hook(path: str):
        def multiply(dropout, inputs, _output):
            mask = masks(path, tuple(inputs[0].shape), dropout.p)
            return inputs[0] * torch.from_numpy(mask).to(inputs[0].dtype) if dropout.training else None

        return multiply

    for path, inner in module.named_modules():
        if (kind := kinds.of_torch(inner)) and kind.name == "dropout":
            inner.register_forward_hook(hook(path))


def _add_parameters(trace: Trace, module: torch.nn.Module, prefix: str, keep: int | None) -> None:
    for name, parameter in module.named_parameters():
        _add(trace, f"{prefix}param:{name}", parameter, keep)


def _add_buffers(trace: Trace, module: torch.nn.Module, prefix: str, keep: int | None) -> None:
    for name, buffer in module.named_buffers():
        _add(trace, f"{prefix}buffer:{name}", buffer, keep)


def _add_slots(trace: Trace, module: torch.nn.Module, update, prefix: str, keep: int | None) -> None:
    """Add the optimizer's state; `step` as the whole number it is, NAdam's product in the parameter's type."""
    for name, parameter in module.named_parameters():
        for key, value in update.state.get(parameter, {}).items():
            if value is not None:
                value = value.long() if key == "step" else value.to(parameter.dtype)
                _add(trace, f"{prefix}slot:{key}:{name}", value, keep)


def _add_pass(trace: Trace, module, activations, output, value, x, keep: int | None) -> None:
    for name, value_then in activations.items():
        trace.add(name, value_then)
    for name, tensor in named_outputs(output):
        _add(trace, name, tensor, keep)
    if value is None:
        return
    _add(trace, "loss", value, keep)
    for name, tensor in named_inputs(x):
        if tensor.requires_grad:
            _add(trace, f"grad:{name}", tensor.grad, keep)
    for name, parameter in module.named_parameters():
        _add(trace, f"grad:{name}", parameter.grad, keep)


def forward(module: torch.nn.Module, inputs) -> list[tuple[str, torch.Tensor]]:
    """Return what a module gives for arrays, by the outputs' names; its inputs have gradients."""
    args, kwargs = _arguments(_tensors(inputs))
    return list(named_outputs(module(*args, **kwargs)))


def _arguments(x) -> tuple[tuple, dict]:
    """Return the positional and the keyword arguments that inputs stand for."""
    return ((), x) if isinstance(x, dict) else (x if isinstance(x, tuple) else (x,), {})


def _is_meta(module: torch.nn.Module) -> bool:
    return any(parameter.is_meta for parameter in module.parameters())


def _tensors(inputs):
    """Return a copy of the inputs as tensors; those of floating-point numbers have a gradient."""
    if isinstance(inputs, Mapping):
        return {name: _tensors(value) for name, value in inputs.items()}
    if isinstance(inputs, tuple | list):
        return tuple(map(_tensors, inputs))
    tensor = torch.from_numpy(np.array(inputs))
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def _tensor(value: np.ndarray, dtype: str) -> torch.Tensor:
    return torch.from_numpy(np.array(value, dtype if value.dtype.kind == "f" else value.dtype))


def _add(trace: Trace, name: str, tensor: torch.Tensor | None, keep: int | None) -> None:
    """Add what the tensor holds now; it may be overwritten afterwards."""
    trace.add(name, ABSENT if tensor is None else _snapshot(tensor, keep))


def _snapshot(tensor: torch.Tensor, keep: int | None) -> Value:
    array = tensor.detach().numpy()
    value = array if keep is None else condensed(array, keep)
    return value.copy() if value is array else value


def leaves(module: torch.nn.Module) -> list[tuple[str, torch.nn.Module]]:
    """Return the innermost modules by their paths; attention, which uses its own projection unseen, is one."""
    whole = [path for path, inner in module.named_modules() if (kind := kinds.of_torch(inner)) and kind.whole]
    return [
        (path, inner)
        for path, inner in module.named_modules()
        if path
        and (not any(inner.children()) or path in whole)
        and not any(path.startswith(f"{outer}.") for outer in whole)
    ]


def _first(value):
    """Return the first tensor of what a module takes or gives, such as a recurrent layer's sequence."""
    while isinstance(value, tuple | list):
        value = value[0]
    return value


@contextmanager
def recorded_calls(module: torch.nn.Module, keep: int | None = None, fed: bool = False) -> Iterator[dict[str, Value]]:
    """Collect `activation:path`, what each innermost module returns, `path#2` in its second call, in the block.

    Copied when it is called: an in-place ReLU behind it would overwrite it.
    """
    recorded: dict[str, Value] = {}
    calls: dict[str, int] = {}

    def hooks(path: str):
        def record_output(_module, _inputs, output):
            calls[path] = calls.get(path, 0) + 1
            name = path if calls[path] == 1 else f"{path}#{calls[path]}"
            recorded[f"activation:{name}"] = _snapshot(_first(output), keep)

        def record_input(_module, inputs):
            number = calls.get(path, 0) + 1
            if inputs:
                recorded[f"fed:{path}" + (f"#{number}" if number > 1 else "")] = _snapshot(_first(inputs), keep)

        return record_input, record_output

    handles = []
    for path, inner in leaves(module):
        before, after = hooks(path)
        handles += [inner.register_forward_pre_hook(before)] if fed else []
        handles.append(inner.register_forward_hook(after))
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def summed_terms(module: torch.nn.Module) -> Iterator[dict[str, float]]:
    """Collect the largest Σ|dy| of each bias, the terms its gradient Σdy is summed of, in the backward pass to come.

    Before a BatchNorm in train mode the sum is zero but for rounding: then the terms are its scale.
    """
    terms: dict[str, float] = {}

    def hook(path: str, feature: int):
        def on_forward(_module, _inputs, output):
            if output.requires_grad:  # hooked before an in-place ReLU overwrites it
                output.register_hook(lambda gradient: terms.update({f"{path}.bias": _largest_sum(gradient, feature)}))

        return on_forward

    summing = [
        (path, inner, kind.channels, dict(inner.named_parameters(recurse=False)).get("bias"))
        for path, inner in module.named_modules()
        if (kind := kinds.of_torch(inner)) and kind.linear and kind.channels
    ]
    handles = [
        inner.register_forward_hook(hook(path, feature))
        for path, inner, feature, bias in summing
        if bias is not None and bias.requires_grad  # a user's own Linear or Conv2d may have none
    ]
    try:
        yield terms
    finally:
        for handle in handles:
            handle.remove()


def _largest_sum(gradient: torch.Tensor, feature: int) -> float:
    return float(gradient.detach().abs().movedim(feature, 0).flatten(1).sum(1).max())
