"""Gives a PyTorch module fixed random numbers in a forward pass, wherever PyTorch draws them.

`nn.Dropout`, `F.dropout`, attention with dropout (fused or not), an LSTM's dropout and stochastic depth all end in
`bernoulli_`, `rand` or `randn` of ATen. Only these are replaced, so that all other arithmetic is PyTorch's own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import TorchDispatchMode

from keras_blitz.weights import kinds
from parity.core.draws import Draw
from parity.record.torch_calls import array, first

GIVEN = 2  # the tensors that the numbers of one draw are applied to: alpha dropout multiplies, then adds


@contextmanager
def shared_draws(module: torch.nn.Module, *, follow: bool = False) -> Iterator[list[Draw]]:
    """Replace the random numbers that a module draws in the block, and collect the draws.

    Args:
        module: it gets hooks for the block; its dropout modules no longer overwrite their inputs, which a layer before
            them may need in its backward pass.
        follow: collect what the numbers are applied to, too.
    """
    drawing = _Drawing(follow)
    handles = []
    for path, inner in module.named_modules():
        if (kind := kinds.of_torch(inner)) and kind.name == "dropout":
            inner.inplace = False
        handles.append(inner.register_forward_pre_hook(partial(drawing.enter, path)))
        handles.append(inner.register_forward_hook(drawing.leave, always_call=True))
    try:
        with drawing:
            yield drawing.draws
    finally:
        for handle in handles:
            handle.remove()


class _Drawing(TorchDispatchMode):
    """Sees each operation of ATen in the block, after autograd and autocast."""

    def __init__(self, follow: bool):
        super().__init__()
        self.follow = follow
        self.draws: list[Draw] = []
        self.running: list[tuple[str, Any, Any]] = [("", None, None)]  # (path, first input, packed) of what runs
        self.noise: dict[int, tuple[torch.Tensor, int]] = {}  # tensor's id -> the tensor, made of this draw alone

    def enter(self, path: str, _module: torch.nn.Module, inputs: tuple) -> None:
        packed = inputs[0] if inputs and isinstance(inputs[0], PackedSequence) else None
        self.running.append((path, first(inputs) if inputs else None, packed))

    def leave(self, *_: Any) -> None:
        self.running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func in DRAWN:
            result = DRAWN[func](self._numbers, *args, **kwargs)
            self.noise[id(result)] = (result, len(self.draws) - 1)
            return result
        sources = self._apply(args) if self.noise and self.follow else set()
        result = func(*args, **kwargs)
        for source in sources if len(sources) == 1 and torch.is_tensor(result) else ():
            self.noise[id(result)] = (result, source)
        return result

    def _numbers(self, kind: str, like: torch.Tensor) -> torch.Tensor:
        """Return the numbers of the next draw, float64."""
        path, given, packed = self.running[-1]
        packed = packed if packed is not None and len(like) == len(packed.data) else None
        number = sum(draw.path == path for draw in self.draws)
        known = (array(given).copy(),) if self.follow and torch.is_tensor(given) else ()
        steps = like.shape if packed is None else (len(packed.batch_sizes), int(packed.batch_sizes[0]), *like.shape[1:])
        draw = Draw(path, number, kind, tuple(steps), known)
        self.draws.append(draw)
        numbers = torch.from_numpy(draw.numbers())
        return numbers if packed is None else _packed_like(packed, numbers)

    def _apply(self, args: tuple) -> set[int]:
        """Note what random numbers are applied to; return the draws that the result is made of alone."""
        tensors = [value for value in args if torch.is_tensor(value)]
        sources = {self.noise[id(tensor)][1] for tensor in tensors if id(tensor) in self.noise}
        others = [tensor for tensor in tensors if id(tensor) not in self.noise and tensor.numel() > 1]
        for source in sources if others else ():
            draw = self.draws[source]
            if len(draw.given) <= GIVEN:
                given = (*draw.given, array(others[0]).copy())
                self.draws[source] = Draw(draw.path, draw.number, draw.kind, draw.shape, given)
        return set() if others else sources


def _packed_like(packed: PackedSequence, numbers: torch.Tensor) -> torch.Tensor:
    """Return those of the numbers (T, N, C) that the steps of a packed sequence have: Keras draws for all steps."""
    numbers = numbers if packed.sorted_indices is None else numbers[:, packed.sorted_indices]
    return torch.cat([row[:count] for row, count in zip(numbers, packed.batch_sizes.tolist(), strict=True)])


Numbers = Callable[[str, torch.Tensor], torch.Tensor]


def _bernoulli_(numbers: Numbers, tensor: torch.Tensor, p: Any = 0.5, **_: Any) -> torch.Tensor:
    return tensor.copy_(numbers("mask", tensor) >= 1 - p)


def _bernoulli(numbers: Numbers, p: torch.Tensor, **_: Any) -> torch.Tensor:
    return _bernoulli_(numbers, torch.empty_like(p), p.double())


def _bernoulli_of(numbers: Numbers, tensor: torch.Tensor, p: float, **_: Any) -> torch.Tensor:
    return _bernoulli_(numbers, torch.empty_like(tensor), p)


def _uniform_(numbers: Numbers, tensor: torch.Tensor, low: float = 0, high: float = 1, **_: Any) -> torch.Tensor:
    return tensor.copy_(low + (high - low) * numbers("uniform", tensor))


def _normal_(numbers: Numbers, tensor: torch.Tensor, mean: float = 0, std: float = 1, **_: Any) -> torch.Tensor:
    return tensor.copy_(mean + std * numbers("normal", tensor))


def _new(fill: Callable, numbers: Numbers, size: Any, dtype: Any = None, **_: Any) -> torch.Tensor:
    return fill(numbers, torch.empty(size, dtype=dtype))


def _like(fill: Callable, numbers: Numbers, tensor: torch.Tensor, dtype: Any = None, **_: Any) -> torch.Tensor:
    return fill(numbers, torch.empty_like(tensor, dtype=dtype))


_ATEN = torch.ops.aten
DRAWN: dict[Any, Callable] = {
    _ATEN.bernoulli_.float: _bernoulli_,
    _ATEN.bernoulli_.Tensor: _bernoulli_,
    _ATEN.bernoulli.default: _bernoulli,
    _ATEN.bernoulli.p: _bernoulli_of,
    _ATEN.uniform_.default: _uniform_,
    _ATEN.normal_.default: _normal_,
    _ATEN.rand.default: partial(_new, _uniform_),
    _ATEN.rand.generator: partial(_new, _uniform_),
    _ATEN.rand_like.default: partial(_like, _uniform_),
    _ATEN.randn.default: partial(_new, _normal_),
    _ATEN.randn.generator: partial(_new, _normal_),
    _ATEN.randn_like.default: partial(_like, _normal_),
}
