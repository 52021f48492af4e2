"""`torch.autograd.Function`: whether its backward is the gradient of its forward, and a way to see its calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.autograd import Function
from torch.utils._pytree import tree_flatten, tree_map

Apply = Callable[..., Any]
TOLERANCE = 1e-7  # relative: the constants of a backward are often written with 8 digits


@contextmanager
def seen(take: Callable[[Apply, type, tuple, dict], Any]) -> Iterator[None]:
    """Within this block, a call of a Function is take(apply, the Function, its arguments, those by name)."""
    before = Function.__dict__["apply"]

    def apply(cls: type, *args: Any, **kwargs: Any) -> Any:
        return take(partial(before.__func__, cls), cls, args, kwargs)

    Function.apply = classmethod(apply)  # type: ignore[assignment]
    try:
        yield
    finally:
        Function.apply = before  # type: ignore[method-assign]


def is_exact(apply: Apply, function: Any, args: tuple, kwargs: dict) -> bool:
    """Return whether a Function's backward gives the gradients that autograd gives for its forward."""
    try:
        with torch.enable_grad():
            ours, theirs = (_gradients(each, args, kwargs) for each in (partial(_forward, function), apply))
    except Exception:  # a user's own code, called with another context
        return False
    return len(ours) == len(theirs) and all(map(_agree, ours, theirs))


def _forward(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a Function's forward as a plain function."""
    has_setup = function.setup_context is not Function.setup_context
    return function.forward(*args, **kwargs) if has_setup else function.forward(_Context(), *args, **kwargs)


class _Context:
    """What a forward may put aside, or say about its arguments: nothing of it is needed."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def _gradients(call: Apply, args: tuple, kwargs: dict) -> list[torch.Tensor | None]:
    """Return the gradients of all float arguments in float64, for a fixed random weight of each value returned."""
    given, by_name = tree_map(_leaf, (args, kwargs))
    wanted = [t for t in tree_flatten((given, by_name))[0] if isinstance(t, torch.Tensor) and t.requires_grad]
    outputs = [t for t in tree_flatten(call(*given, **by_name))[0] if isinstance(t, torch.Tensor) and t.requires_grad]
    stream = torch.Generator().manual_seed(0)
    weights = [torch.randn(t.shape, generator=stream, dtype=t.dtype) for t in outputs]
    return list(torch.autograd.grad(outputs, wanted, weights, allow_unused=True))


def _leaf(x: Any) -> Any:
    if not isinstance(x, torch.Tensor):
        return x
    found = x.detach().clone()
    return found.double().requires_grad_() if x.is_floating_point() else found


def _agree(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool((one - other).abs().max() <= TOLERANCE * one.abs().max()) if one.numel() else True
