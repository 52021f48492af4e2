"""What the modules of a PyTorch module return in a forward pass, and what their biases' gradients are summed of."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import nan

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from keras_blitz.weights import kinds
from parity.core.fingerprint import condensed
from parity.core.trace import Value
from parity.record.torch_opened import Opened, watch

REDUCED = (torch.float16, torch.bfloat16)


def array(tensor: torch.Tensor) -> np.ndarray:
    """Return a tensor's values; those of a bfloat16, which NumPy lacks, in float32."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def type_name(of: torch.Tensor | torch.dtype) -> str:
    """Return "float16" for torch.float16, of a tensor for its type."""
    return str(of.dtype if isinstance(of, torch.Tensor) else of).removeprefix("torch.")


def snapshot(tensor: torch.Tensor, keep: int | None, copy: bool = True) -> Value:
    """Return what the tensor holds now; its fingerprint if it is large.

    Args:
        tensor: any.
        keep: of a tensor with more values than these, return the fingerprint; None: of none.
        copy: it may be overwritten afterwards.
    """
    now = array(tensor)
    value = now if keep is None else condensed(now, keep)
    return value.copy() if copy and value is now else value


def leaves(module: torch.nn.Module, root: bool = False) -> list[tuple[str, torch.nn.Module]]:
    """Return the innermost modules by their paths; attention, which uses its own projection unseen, is one.

    An opened module is one beside those inside it: what it stands for is a function of its own weights.

    Args:
        module: any.
        root: a module that is itself a layer is one, by the path "".
    """
    if root and (not any(module.children()) or ((kind := kinds.of_torch(module)) and kind.whole)):
        return [("", module)]
    whole = [path for path, inner in module.named_modules() if (kind := kinds.of_torch(inner)) and kind.whole]
    return [
        (path, inner)
        for path, inner in module.named_modules()
        if path
        and (not any(inner.children()) or path in whole or isinstance(inner, Opened))
        and not any(path.startswith(f"{outer}.") for outer in whole)
    ]


def first(value, module: torch.nn.Module | None = None, beyond: float = 0.0):
    """Return the first tensor of what a module takes or gives, such as a recurrent layer's sequence.

    Args:
        value: a tensor, or a structure of them.
        module: whose it is; it says which axis of a packed sequence comes first.
        beyond: what a packed sequence has beyond the end of each example.
    """
    while isinstance(value, tuple | list):
        if isinstance(value, PackedSequence):
            return pad_packed_sequence(value, getattr(module, "batch_first", True), beyond)[0]
        value = value[0]
    return value


@contextmanager
def recorded_calls(
    module: torch.nn.Module,
    keep: int | None = None,
    fed: bool = False,
    types: set[str] | None = None,
    root: bool = False,
) -> Iterator[dict[str, Value]]:
    """Collect `activation:path`, what each innermost module returns, `path#2` in its second call, in the block.

    Copied when it is called: an in-place ReLU after it would overwrite it.

    Args:
        module: it gets hooks for the block.
        keep: of a tensor with more values than these, record the fingerprint; None records all whole.
        fed: collect what each module is given, too.
        types: gets the names of the types that modules return.
        root: a module that is itself a layer counts as one, see `leaves`.
    """
    recorded: dict[str, Value] = {}
    calls: dict[str, int] = {}

    def hooks(path: str):
        def record_output(module, _inputs, output):
            result = first(output, module)
            if not isinstance(result, torch.Tensor):  # a size, a mode: nothing that Keras has a counterpart of
                return
            calls[path] = calls.get(path, 0) + 1
            name = path if calls[path] == 1 else f"{path}#{calls[path]}"
            recorded[f"activation:{name}"] = snapshot(result, keep)
            if types is not None:
                types.add(type_name(result))

        def record_input(module, inputs):
            number = calls.get(path, 0) + 1
            # NaN, which is not compared: what is beyond the end, the module is not given
            given = first(inputs, module, nan) if inputs else None
            if isinstance(given, torch.Tensor):
                recorded[f"fed:{path}" + (f"#{number}" if number > 1 else "")] = snapshot(given, keep)

        return record_input, record_output

    handles = []
    for path, inner in leaves(module, root):
        before, after = hooks(path)
        handles += watch(inner, after, before if fed else None)
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


class _At(torch.autograd.Function):
    """Returns other values than those that were computed, and passes the gradient on."""

    @staticmethod
    def forward(_ctx, _computed, values):
        return values

    @staticmethod
    def backward(_ctx, gradient):
        return gradient, None


@contextmanager
def returning(module: torch.nn.Module, values: Mapping[str, np.ndarray], root: bool = False) -> Iterator[None]:
    """Let the innermost modules return these values in the block, with the gradients of what they computed.

    Args:
        module: it gets hooks for the block.
        values: `activation:path`, as `recorded_calls` names them; one of another shape than its call's is not used.
        root: see `recorded_calls`.
    """
    calls: dict[str, int] = {}

    def hook(path: str):
        def replace_output(_module, _inputs, output):
            calls[path] = calls.get(path, 0) + 1
            value = values.get(f"activation:{path}" + (f"#{calls[path]}" if calls[path] > 1 else ""))
            if value is None or not isinstance(output, torch.Tensor) or value.shape != tuple(output.shape):
                return None
            return _At.apply(output, torch.tensor(value, dtype=output.dtype))

        return replace_output

    handles = [
        inner.register_forward_hook(hook(path))
        for path, inner in leaves(module, root)
        if not isinstance(inner, Opened)  # what is recorded of it is not what it returns
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def summed_terms(module: torch.nn.Module) -> Iterator[dict[str, float]]:
    """Collect the largest Σ|term| of each sum that may cancel, by the sum's name in the trace.

    These are each bias's Σ|dy|, in the backward pass to come, and the mean |x| of each BatchNorm's `running_mean`.
    Before a BatchNorm in train mode the bias's gradient is zero but for rounding, and so is the mean after one whose
    bias is zero: then the terms are its scale.
    """
    terms: dict[str, float] = {}

    def hook(path: str, feature: int):
        def on_forward(_module, _inputs, output):
            if output.requires_grad:  # hooked before an in-place ReLU overwrites it
                name = f"grad:{path}.bias"
                output.register_hook(lambda gradient: terms.update({name: _largest_sum(gradient, feature)}))

        return on_forward

    def averaging(path: str):
        def on_forward(_module, inputs, _output):
            terms[f"buffer:{path}.running_mean"] = _largest_sum(inputs[0], 1) * inputs[0].shape[1] / inputs[0].numel()

        return on_forward

    summing = [
        (path, inner, kind.channels, dict(inner.named_parameters(recurse=False)).get("bias"))
        for path, inner in module.named_modules()
        if (kind := kinds.of_torch(inner)) and kind.linear and kind.channels
    ]
    handles = [
        handle
        for path, inner, feature, bias in summing
        if bias is not None and bias.requires_grad  # a user's own Linear or Conv2d may have none
        for handle in watch(inner, hook(path, feature))
    ]
    handles += [
        inner.register_forward_hook(averaging(path))
        for path, inner in module.named_modules()
        if isinstance(inner, torch.nn.modules.batchnorm._BatchNorm)
        and inner.training
        and inner.running_mean is not None
    ]
    try:
        yield terms
    finally:
        for handle in handles:
            handle.remove()


def _largest_sum(gradient: torch.Tensor, feature: int) -> float:
    return float(gradient.detach().abs().movedim(feature, 0).flatten(1).sum(1).max())
