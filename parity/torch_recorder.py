"""Runs a PyTorch module and records its trace."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch

from parity.fingerprint import condensed
from parity.trace import ABSENT, Trace, Value, named_outputs


def shapes(module: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the module's state_dict."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def record(
    module: torch.nn.Module,
    state: Mapping[str, np.ndarray],
    inputs: np.ndarray,
    target: np.ndarray | None = None,
    *,
    loss: Callable | None = None,
    optimizer: Callable | None = None,
    steps: int = 0,
    train: bool = False,
    dtype: str = "float64",
    masks: Callable | None = None,
    keep: int | None = None,
) -> Trace:
    """Load weights, run, and return the trace.

    Args:
        module: changed: it gets `state` and `dtype`, and the updates.
        state: the whole state_dict; rounded to `dtype`.
        inputs: (N, C, H, W).
        target: what `loss` takes.
        loss: (output, target) -> scalar; None records forward only.
        optimizer: parameters -> torch.optim.Optimizer.
        steps: optimizer steps on the same batch; the first one's forward pass is what is recorded in detail.
        train: train mode, otherwise eval mode.
        dtype: "float64" or "float32".
        masks: (path, shape, p) -> what each dropout module multiplies by in train mode.
        keep: of a tensor with more values than these, record the fingerprint; None records all whole.
    """
    module = module.to(getattr(torch, dtype)).train(train)
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in state.items()})
    x = torch.from_numpy(np.array(inputs)).requires_grad_()
    y = None if target is None else torch.from_numpy(np.array(target))
    if masks is not None:
        _inject(module, masks)
    trace = Trace(keep=keep, framework="torch", version=torch.__version__)
    trace.add("input", _array(x))
    _add_parameters(trace, module, "")
    update = optimizer([p for p in module.parameters() if p.requires_grad]) if steps else None
    for step in range(1, max(steps, 1) + 1):
        module.zero_grad()
        with recorded_calls(module, keep) if step == 1 else _nothing() as activations:
            output = module(x)
        value = None if loss is None else loss(output, y)
        if value is not None:
            value.backward()
        if step == 1:
            _add_pass(trace, module, activations, output, value, x)
            if not steps:  # else they are step1's
                _add_buffers(trace, module, "")
        if steps:
            if update is not None:
                update.step()
            trace.add(f"step{step}:loss", _array(value))
            _add_parameters(trace, module, f"step{step}:")
            _add_buffers(trace, module, f"step{step}:")
    return trace


def _inject(module: torch.nn.Module, masks: Callable) -> None:
    """Let each dropout module return its input times a given mask; before the hooks that record what it returns."""

    def hook(path: str):
        def multiply(dropout, inputs, _output):
            mask = masks(path, tuple(inputs[0].shape), dropout.p)
            return inputs[0] * torch.from_numpy(mask).to(inputs[0].dtype) if dropout.training else None

        return multiply

    for path, inner in module.named_modules():
        if isinstance(inner, torch.nn.Dropout | torch.nn.Dropout2d):
            inner.register_forward_hook(hook(path))


def _add_parameters(trace: Trace, module: torch.nn.Module, prefix: str) -> None:
    for name, parameter in module.named_parameters():
        trace.add(f"{prefix}param:{name}", _array(parameter))


def _add_buffers(trace: Trace, module: torch.nn.Module, prefix: str) -> None:
    for name, buffer in module.named_buffers():
        trace.add(f"{prefix}buffer:{name}", _array(buffer))


def _add_pass(trace: Trace, module, activations, output, value, x) -> None:
    for name, activation in activations.items():
        trace.add(f"activation:{name}", activation)
    for name, tensor in named_outputs(output):
        trace.add(name, _array(tensor))
    if value is None:
        return
    trace.add("loss", _array(value))
    trace.add("grad:input", _gradient(x.grad))
    for name, parameter in module.named_parameters():
        trace.add(f"grad:{name}", _gradient(parameter.grad))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().copy()


def _gradient(gradient: torch.Tensor | None):
    return ABSENT if gradient is None else _array(gradient)


@contextmanager
def recorded_calls(module: torch.nn.Module, keep: int | None = None) -> Iterator[dict[str, Value]]:
    """Collect what each innermost module returns, by its path, `path#2` for its second call, while the block runs.

    Copied when it is called: an in-place ReLU behind it would overwrite it.
    """
    recorded: dict[str, Value] = {}
    calls: dict[str, int] = {}

    def hook(path: str):
        def record_output(_module, _inputs, output):
            calls[path] = calls.get(path, 0) + 1
            value = _array(output)
            name = path if calls[path] == 1 else f"{path}#{calls[path]}"
            recorded[name] = value if keep is None else condensed(value, keep)

        return record_output

    leaves = [(path, inner) for path, inner in module.named_modules() if path and not any(inner.children())]
    handles = [inner.register_forward_hook(hook(path)) for path, inner in leaves]
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _nothing():
    yield {}
