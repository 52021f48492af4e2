"""Runs a PyTorch module and records its trace."""

import random
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch

from keras_blitz.errors import BlitzError
from keras_blitz.weights import kinds
from parity.core.draws import Draw
from parity.core.modes import PRECISIONS, Precision
from parity.core.trace import ABSENT, Trace, Value, named_inputs
from parity.record.buffers import kept_buffers
from parity.record.torch_calls import (
    REDUCED,
    array,
    first,
    leaves,
    recorded_calls,
    returning,
    snapshot,
    summed_terms,
    type_name,
)
from parity.record.torch_draws import shared_draws
from parity.record.torch_exact import exact_gradients
from parity.record.torch_modules import copied
from parity.record.torch_modules import outputs as outputs_of
from parity.record.torch_opened import watch


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


@dataclass(frozen=True)
class Run:
    """A forward pass.

    Args:
        calls: of the innermost modules, in order.
        outputs: by their names in a trace.
        values: what each call was given and returned, and the outputs, by their names in a trace, in order.
        drew: random numbers were drawn beyond `draws`.
        draws: those that are shared with Keras, in order.
    """

    calls: tuple[Call, ...]
    outputs: dict[str, np.ndarray]
    values: dict[str, Value]
    drew: bool
    draws: tuple[Draw, ...] = ()


def run(module: torch.nn.Module, inputs, *, train: bool = False, share: bool = False, dtype: str = "float32") -> Run:
    """Run a copy of a module forward once, without gradients; the arguments are those of `record`."""
    own = dict(module.named_modules())  # what a call names, or the copy would stay in memory
    module = in_mode(copied(module).to(getattr(torch, dtype)), train)
    found: list[Call] = []

    def hook(path: str):
        def on_forward(_inner, given, output):
            number, result = sum(call.path == path for call in found), first(output)
            if not isinstance(result, torch.Tensor):
                return
            fed = tuple(getattr(first(given), "shape", ())) if given else ()
            found.append(Call(path, number, own[path], tuple(result.shape), fed))

        return on_forward

    for path, inner in leaves(module, root=True):
        watch(inner, hook(path))
    args, kwargs = _arguments(_tensors(inputs))
    before = _generators()
    nothing: AbstractContextManager[list[Draw]] = nullcontext([])
    sharing = shared_draws(module, follow=True) if share else nothing
    with torch.no_grad(), recorded_calls(module, fed=True, root=True) as values, sharing as draws:
        output = module(*args, **kwargs)
    outputs = {name: array(value) for name, value in outputs_of(output)}
    return Run(tuple(found), outputs, {**values, **outputs}, _generators() != before, tuple(draws))


def _generators() -> tuple:
    """Return the states of the random streams that a module may draw from."""
    _, numbers, *place = np.random.get_state(legacy=True)
    return torch.get_rng_state().numpy().tobytes(), np.asarray(numbers).tobytes(), *place, random.getstate()


def in_mode(module: torch.nn.Module, train: bool) -> torch.nn.Module:
    """Put a module in train mode, or in eval mode; of one in train mode the submodules keep the modes they have.

    So `trunk.eval()` stays as it is while the rest trains, as when BatchNorm's statistics are frozen.
    """
    return module if train and module.training else module.train(train)


def typed_loss(loss: Callable, dtype: str) -> Callable:
    """Return a loss whose own tensors, such as the weights of classes, are float32 values in this type.

    A function is returned as it is.
    """
    held = getattr(torch, PRECISIONS[dtype].variable)
    return deepcopy(loss).float().to(held) if isinstance(loss, torch.nn.Module) else loss


def is_module(value) -> bool:
    """Whether this is a PyTorch module."""
    return isinstance(value, torch.nn.Module)


def reduced_types(module: torch.nn.Module) -> set[str]:
    """Return the half-precision types that a module holds parameters in."""
    return {type_name(parameter) for parameter in module.parameters() if parameter.dtype in REDUCED}


def weighted(output, weights: Mapping[str, np.ndarray]) -> torch.Tensor:
    """Return the sum of all outputs, each value times its weight; of half precision in float32."""
    values = {name: value.float() if value.dtype in REDUCED else value for name, value in outputs_of(output)}
    terms = [(v * torch.from_numpy(weights[n]).to(v.dtype)).sum() for n, v in values.items() if n in weights]
    return sum(terms[1:], start=terms[0])


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
    share: bool = False,
    keep: int | None = None,
    fed: bool = False,
    root: bool = False,
    at: Mapping[str, np.ndarray] | None = None,
) -> Trace:
    """Load weights, run, and return the trace.

    Its `meta` has "reduced", the half-precision types of what modules return, where there are any.

    Args:
        module: changed: it gets `state` and `dtype`, and the updates.
        state: the whole state_dict; rounded to `dtype`.
        inputs: (N, C, H, W); a tuple has an entry an argument of `forward`, a dict one a keyword argument.
        target: what `loss` takes.
        loss: (output, target) -> scalar; None records forward only.
        optimizer: [(name, parameter)] -> torch.optim.Optimizer.
        steps: optimizer steps on the same batch; the first one's forward pass is what is recorded in detail.
        plan: optimizer -> what is called with the number of each step after it, and may change the learning rate.
        clip: parameters -> None, clips their gradients between the backward pass and the update.
        slots: record the optimizer's state, too.
        train: train mode, otherwise eval mode; see `in_mode`.
        dtype: a name in `PRECISIONS`; a mixed one is autocast around the forward pass and the loss.
        masks: (path, shape, p) -> what each dropout module multiplies by in train mode.
        share: replace all random numbers that the module draws by those of `core.draws`.
        keep: of a tensor with more values than these, record the fingerprint; None records all whole.
        fed: record what each innermost module is given, too.
        root: a module that is itself a layer is recorded as one, by the path "".
        at: what innermost modules return in the first step in place of what they compute, by its names in the trace.
    """
    precision = PRECISIONS[dtype]
    module = in_mode(module.to(getattr(torch, precision.variable)), train)
    # Assigned where the module is on the meta device, which holds no values; copying keeps tied weights tied.
    module.load_state_dict(_loadable(module, state, precision.variable), assign=_is_meta(module))
    given = precision.variable if precision.is_reduced else ""  # else they are in the type of the run already
    x = _tensors(inputs, given)
    y = _targets(target, given)
    if masks is not None:
        _inject(module, masks)
    trace = Trace(framework="torch", version=torch.__version__)
    for name, tensor in named_inputs(x):
        _add(trace, name, tensor, keep)
    _add_parameters(trace, module, "", keep, copy=bool(steps) or train)  # nothing changes them in eval mode
    if steps and optimizer is None:
        raise ValueError(f"{steps} steps need an optimizer")
    trained = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    update = optimizer(trained) if optimizer and steps else None
    after = plan(update) if plan else None
    types: set[str] = set()
    for step in range(1, max(steps, 1) + 1):
        module.zero_grad()
        first = step == 1
        calling: AbstractContextManager[dict[str, Value]] = nullcontext({})
        summing: AbstractContextManager[dict[str, float]] = nullcontext({})
        replacing = returning(module, at, root) if first and at else nullcontext()
        if first:
            calling, summing = recorded_calls(module, keep, fed, types, root), summed_terms(module)
        sharing: AbstractContextManager = shared_draws(module) if share else nullcontext()
        args, kwargs = _arguments(_pass_on(x))
        with autocast(precision), exact_gradients():
            with calling as activations, summing as terms, replacing, sharing:
                output = module(*args, **kwargs)
            value = None if loss is None else _number(loss(output, y))
        if value is not None:
            value.backward()
        if first:
            types |= {type_name(tensor) for _, tensor in outputs_of(output)}
            _add_pass(trace, module, activations, output, value, x, keep, copy=bool(steps))
            trace.terms = dict(terms)
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
    if reduced := sorted(types & set(map(type_name, REDUCED))):
        trace.meta["reduced"] = reduced
    return trace


def _loadable(module: torch.nn.Module, state: Mapping[str, np.ndarray], dtype: str) -> OrderedDict:
    """Return a state_dict with the versions of the modules, which some of them look for, such as MNASNet's."""
    made = _tensor if _is_meta(module) else _share  # a tensor of its own is assigned, a shared one is copied
    found = OrderedDict((name, made(value, dtype)) for name, value in state.items())
    found._metadata = module.state_dict()._metadata  # type: ignore[attr-defined]
    return found


def autocast(precision: Precision) -> AbstractContextManager:
    """Return the block in which modules compute in a mixed precision; any other needs none."""
    return torch.autocast("cpu", getattr(torch, precision.compute)) if precision.is_mixed else nullcontext()


def _inject(module: torch.nn.Module, masks: Callable) -> None:
    """Let each dropout module return its input times a given mask; before the hooks that record what it returns.

    Its own forward is left out: it would draw random numbers, and with `inplace=True` overwrite its input.
    """

    def hook(path: str):
        def multiply(dropout, inputs, _output):
            mask = masks(path, tuple(inputs[0].shape), dropout.p)
            return inputs[0] * torch.from_numpy(mask).to(inputs[0].dtype) if dropout.training else None

        return multiply

    for path, inner in module.named_modules():
        if (kind := kinds.of_torch(inner)) and kind.name == "dropout":
            inner.forward = _unchanged
            inner.register_forward_hook(hook(path))


def _unchanged(x: torch.Tensor) -> torch.Tensor:
    return x


def _add_parameters(trace: Trace, module: torch.nn.Module, prefix: str, keep: int | None, copy: bool = True) -> None:
    for name, parameter in module.named_parameters():
        _add(trace, f"{prefix}param:{name}", parameter, keep, copy)


def _add_buffers(trace: Trace, module: torch.nn.Module, prefix: str, keep: int | None) -> None:
    for name, buffer in kept_buffers(module).items():
        _add(trace, f"{prefix}buffer:{name}", buffer, keep)


def _add_slots(trace: Trace, module: torch.nn.Module, update, prefix: str, keep: int | None) -> None:
    """Add the optimizer's state; `step` as the whole number it is, NAdam's product in the parameter's type."""
    for name, parameter in module.named_parameters():
        for key, value in update.state.get(parameter, {}).items():
            if value is not None:
                value = value.long() if key == "step" else value.to(parameter.dtype)
                _add(trace, f"{prefix}slot:{key}:{name}", value, keep)


def _add_pass(trace: Trace, module, activations, output, value, x, keep: int | None, copy: bool) -> None:
    for name, value_then in activations.items():
        trace.add(name, value_then)
    for name, tensor in outputs_of(output):
        _add(trace, name, tensor, keep)
    if value is None:
        return
    _add(trace, "loss", value, keep)
    for name, tensor in named_inputs(x):
        if tensor.requires_grad:
            _add(trace, f"grad:{name}", tensor.grad, keep, copy)
    for name, parameter in module.named_parameters():
        _add(trace, f"grad:{name}", parameter.grad, keep, copy)


def forward(module: torch.nn.Module, inputs) -> list[tuple[str, torch.Tensor]]:
    """Return what a module gives for arrays, by the outputs' names; its inputs have gradients."""
    args, kwargs = _arguments(_pass_on(_tensors(inputs)))
    return list(outputs_of(module(*args, **kwargs)))


def _arguments(x) -> tuple[tuple, dict]:
    """Return the positional and the keyword arguments that inputs stand for."""
    return ((), x) if isinstance(x, dict) else (x if isinstance(x, tuple) else (x,), {})


def _is_meta(module: torch.nn.Module) -> bool:
    return any(parameter.is_meta for parameter in module.parameters())


def _tensors(inputs, dtype: str = ""):
    """Return a copy of the inputs as tensors; those of floating-point numbers have a gradient, and `dtype` if any."""
    if isinstance(inputs, Mapping):
        return {name: _tensors(value, dtype) for name, value in inputs.items()}
    if isinstance(inputs, tuple | list):
        return tuple(_tensors(value, dtype) for value in inputs)
    tensor = _cast(torch.from_numpy(np.array(inputs, order="C")), dtype)
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def _pass_on(x):
    """Return copies that pass their gradients on: a first layer with inplace=True may overwrite those, not a leaf."""
    if isinstance(x, dict):
        return {name: _pass_on(value) for name, value in x.items()}
    return tuple(map(_pass_on, x)) if isinstance(x, tuple) else x.clone()


def _targets(target, dtype: str):
    """Return a copy of what a loss takes as tensors."""
    if isinstance(target, Mapping):
        return {name: _targets(value, dtype) for name, value in target.items()}
    if isinstance(target, tuple):
        return tuple(_targets(value, dtype) for value in target)
    return None if target is None else _cast(torch.from_numpy(np.array(target, order="C")), dtype)


def _number(value) -> torch.Tensor | None:
    """Return what a loss returned.

    Raises:
        BlitzError: it is not one number.
    """
    if value is None or (torch.is_tensor(value) and value.ndim == 0):
        return value
    said = f"{tuple(value.shape)} values" if torch.is_tensor(value) else f"a {type(value).__name__}"
    raise BlitzError(f'PyTorch\'s loss returned {said}, not a number: give it a reduction, such as "mean"')


def _cast(tensor: torch.Tensor, dtype: str) -> torch.Tensor:
    return tensor.to(getattr(torch, dtype)) if dtype and tensor.is_floating_point() else tensor


def _share(value: np.ndarray, dtype: str) -> torch.Tensor:
    """Return an array as a tensor in its memory, which is read alone; `dtype` is what it is then copied to."""
    with warnings.catch_warnings(action="ignore"):  # PyTorch warns of arrays that must not be written to
        return torch.from_numpy(np.asarray(value))


def _tensor(value: np.ndarray, dtype: str) -> torch.Tensor:
    return torch.tensor(value, dtype=getattr(torch, dtype) if value.dtype.kind == "f" else None)


def _add(trace: Trace, name: str, tensor: torch.Tensor | None, keep: int | None, copy: bool = True) -> None:
    """Add what the tensor holds now; without a copy where nothing overwrites it afterwards."""
    trace.add(name, ABSENT if tensor is None else snapshot(tensor, keep, copy))
