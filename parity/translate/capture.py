"""Record a PyTorch module by running it: hooks keep the hierarchy, a TorchFunctionMode sees the functions between.

Python's own control flow is followed as it is taken.
"""

import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from keras_blitz.errors import BlitzError
from parity.translate import in_place, own_gradient, packed
from parity.translate.graph import Call, Frame, Recording, Value, Where, values_in

# What tells about a tensor and returns none.
QUERIES = frozenset(
    {
        "size", "dim", "numel", "stride", "is_contiguous", "is_floating_point", "is_complex", "_assert", "get_device",
        "item", "tolist", "is_nonzero", "data_ptr", "element_size", "__hash__", "__len__", "__bool__", "__int__",
        "__float__", "__index__", "__format__", "__contains__",
    }
)  # fmt: skip
# Those of them that Python's own code may decide by.
DECIDING = frozenset({"item", "tolist", "is_nonzero", "__bool__", "__int__", "__float__", "__index__", "__contains__"})
FACTORIES = frozenset(
    {
        "new_zeros", "new_ones", "new_full", "new_tensor", "new_empty", "zeros_like", "ones_like", "full_like",
        "empty_like",
    }
)  # fmt: skip
IsLeaf = Callable[[nn.Module | type], bool]  # whether a module, or an autograd.Function, is translated as one
HERE = (f"{Path(torch.__file__).parent}{os.sep}", f"{Path(__file__).parent}{os.sep}")


class Untranslatable(BlitzError):
    """What a module does has no translation; the message says what and at which line."""


def at(where: Where | None) -> str:
    """Return the user's line as the end of a message."""
    return f", at {where[0]}:{where[1]}: {linecache.getline(*where).strip()}" if where else ""


def said_by(error: BaseException) -> str:
    """Return what a user's module raised, with the innermost line of their own code."""
    line = (str(error).strip() or "no message").splitlines()[0]
    lines = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(error.__traceback__)]
    own = [where for where in lines if not where[0].startswith(HERE)]
    return f"{type(error).__name__}: {line}{at(own[-1] if own else None)}"


def run(module: nn.Module, inputs: tuple[torch.Tensor, ...], is_leaf: IsLeaf) -> Recording:
    """Record a module, which may be changed by it, in the mode and precision it is in.

    Raises:
        BlitzError: the module raises, or does what cannot be followed.
    """
    try:
        return Recorder(module, is_leaf).run(inputs)
    except BlitzError:
        raise
    except Exception as error:  # a user's module may raise anything
        raise BlitzError(f"{type(module).__name__} raised {said_by(error)}") from None


class Recorder(TorchFunctionMode):
    """Sees every function on tensors while a module runs.

    Args:
        module: is run once.
        is_leaf: whether a module, or an autograd.Function, is recorded as one call.
    """

    def __init__(self, module: nn.Module, is_leaf: IsLeaf):
        super().__init__()
        self.module, self.is_leaf = module, is_leaf
        self.known: dict[int, tuple[torch.Tensor, Value]] = {}  # the tensors are kept, so that no id comes twice
        self.packs: dict[tuple[int, ...], Value] = {}  # ids of a packed sequence's tensors -> what it is
        self.tensors: dict[int, torch.Tensor] = {}  # id of a value -> its tensor
        self.stale: dict[int, Where | None] = {}  # id of a tensor -> the line that changed its memory
        self.views: dict[int, in_place.Made] = {}
        self.values: list[Value] = []
        self.calls: list[Call] = []
        self.uses: dict[str, int] = {}
        self.decisions: dict[Where, None] = {}
        self.depth = 0  # of leaves, one inside another
        self.through = 0  # autograd.Functions whose inside is recorded, one inside another
        self.stack = [Frame(module, "")]
        self.paths = {id(inner): path for path, inner in module.named_modules()}
        self.named = {id(t): name for name, t in [*module.named_parameters(), *module.named_buffers()]}

    def run(self, inputs: tuple[torch.Tensor, ...]) -> Recording:
        """Run the module."""
        # Not leaves of autograd's graph, because an in-place operation may change them.
        given = [x.detach().clone().requires_grad_().clone() if x.is_floating_point() else x.clone() for x in inputs]
        recorded = [self._new(x, kind="input") for x in given]
        self.stack[0].arguments = recorded
        seen, sequences = own_gradient.seen(self._apply), packed.seen(self._pack_or_pad)
        with self._hooks(), seen, sequences, _without_fast_path(), torch.enable_grad(), self:
            result = self.module(*given)
        outputs = self._as_values(dict(result) if hasattr(result, "items") else result)
        if not values_in(outputs):
            raise Untranslatable(f"{type(self.module).__name__} returns {type(result).__name__}, which has no tensor")
        if any(isinstance(value, packed.Packed) for value in values_in(outputs)):
            raise Untranslatable(packed.ELSEWHERE)
        names = {name: self.named[id(t)] for name, t in self.module.named_parameters(remove_duplicate=False)}
        return Recording(
            self.stack[0], self.calls, recorded, outputs, self.uses, self.values, names, list(self.decisions)
        )

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        handles: list[Any] = []
        for inner in self.module.modules():
            if inner is not self.module or self.is_leaf(inner):
                handles.append(inner.register_forward_pre_hook(self._enter, with_kwargs=True))
                handles.append(inner.register_forward_hook(self._leave, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: tuple, kwargs: dict) -> None:
        if self.depth or self.is_leaf(module):
            self.depth += 1
            if self.depth == 1:
                self.pending = self._call(module, args, kwargs)
                if args and getattr(module, "inplace", False):
                    self._prepare(args[0], self.pending)
            return
        frame = Frame(module, self.paths.get(id(module), ""), self.stack[-1], (), _user_line(), tuple(kwargs))
        frame.arguments = [self._as_values(each) for each in (*args, *kwargs.values())]
        self.stack.append(frame)

    def _leave(self, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> Any:
        if not self.depth:
            self.stack.pop()
            return output
        self.depth -= 1
        if self.depth:
            return output
        call = self.pending
        self._count(call, self._table_of(module) or self.paths.get(id(module), ""))
        if args and output is args[0] and getattr(module, "inplace", False):
            self._change(output, call)
            return output
        given = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        output = tree_map(lambda t: _alias(t) if any(t is each for each in given) else t, output)
        self._finish(call, output, holds_weights=any(True for _ in module.parameters()))
        if args and in_place.is_same_values(output, args[0]):  # as of an Identity
            made = Call("view", call.frame, (self._value(args[0]), tuple(output.shape)), {}, call.where)
            self.views[id(output)] = in_place.Made(args[0], made)
        return output

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Call a function and record it."""
        kwargs = kwargs or {}
        name = _name_of(function)
        if self.depth or not name or name in QUERIES:
            if name in DECIDING and not self.depth:
                self._note_decision(args[0])
            return function(*args, **kwargs)
        changed = in_place.changed_by(name, args, kwargs)
        call = self._call(name, args, kwargs)
        call.function = function
        if name == "embedding" and (path := self._table_of(args[1])):
            self._count(call, path)
        if changed is not None:
            self._prepare(changed, call)
        output = function(*args, **kwargs)
        if "dropout" in name and output is args[0]:
            output = _alias(output)
        if name == "__setitem__":
            if not self._is_own(args, call):
                self._change(args[0], call)
            return None
        tensors = [t for t in tree_flatten(output)[0] if isinstance(t, torch.Tensor)]
        if not tensors or (changed is None and len(tensors) == 1 and args and tensors[0] is args[0]):
            return output  # contiguous, to
        if changed is output:
            self._change(changed, call)
            return output
        self._finish(call, output, factory=name in FACTORIES)
        if made := in_place.view_of(name, function, call, args, kwargs, output):
            self.views[id(output)] = made
        return output

    def _apply(self, apply: Callable, function: type, args: tuple, kwargs: dict) -> Any:
        """Call an autograd.Function; record the call where it has or needs a rule, else what its forward does."""
        if self.depth or not torch.is_grad_enabled():
            return apply(*args, **kwargs)
        with self._unseen():
            as_one = self.is_leaf(function) or not own_gradient.is_exact(apply, function, args, kwargs)
        if as_one:
            call = self._call(function.__name__, args, kwargs)
            call.function = function
            return self._finish_unseen(call, apply, args, kwargs)
        self.through += 1
        output = apply(*args, **kwargs)
        self.through -= 1
        return output

    def _pack_or_pad(self, function: Callable, args: tuple) -> Any:
        """Call a function that packs a sequence, or pads it again, and record it as one call."""
        if self.depth:
            return function(*args)
        return self._finish_unseen(self._call(function.__name__, args, {}), function, args, {})

    def _finish_unseen(self, call: Call, function: Callable, args: tuple, kwargs: dict) -> Any:
        with self._unseen():
            output = function(*args, **kwargs)
        self._finish(call, output)
        return output

    @contextmanager
    def _unseen(self) -> Iterator[None]:
        """Within this block no call is recorded."""
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def _note_decision(self, tensor: Any) -> None:
        """Note the line where Python asks for a value that follows the inputs."""
        known = self.known.get(id(tensor))
        if known and known[1].kind in ("input", "computed") and (where := _user_line()):
            self.decisions[where] = None

    def _count(self, call: Call, path: str) -> None:
        call.path, call.number = path, self.uses.get(path, 0)
        self.uses[path] = call.number + 1

    def _table_of(self, table: Any) -> str:
        """Return the path of the first embedding that a table of vectors is of; "" of another module or tensor."""
        weight = table.weight if isinstance(table, nn.Embedding) else table
        path, _, name = self.named.get(id(weight), "").rpartition(".")
        return path if name == "weight" and isinstance(self.module.get_submodule(path), nn.Embedding) else ""

    def _call(self, target: Any, args: tuple, kwargs: Mapping) -> Call:
        return Call(target, self.stack[-1], self._as_values(args), self._as_values(dict(kwargs)), _user_line())

    def _finish(self, call: Call, output: Any, holds_weights: bool = False, factory: bool = False) -> None:
        """Note what a call returned; a call on constants alone is a constant."""
        inputs = values_in((call.args, call.kwargs))
        if said := packed.refusal(call, output):
            raise Untranslatable(f"{said}{at(call.where)}")
        constant = factory or not (holds_weights or any(value.kind != "constant" for value in inputs))
        kind, tensors = "constant" if constant else "computed", []
        for each in tree_flatten(output, packed.is_packed)[0]:
            if packed.is_packed(each):
                tensors.append(each.data)
                call.outputs.append(self._new_packed(each, packed.value_of(each, call, kind)))
            elif isinstance(each, torch.Tensor):
                tensors.append(each)
                call.outputs.append(self._new(each, kind=kind, where=call.where))
        if constant:
            return
        for value in inputs:
            self._keep(value)
        may_pass = any(self._requires_grad(value) for value in inputs)
        call.detached = (
            may_pass and not self.through and all(t.is_floating_point() and not t.requires_grad for t in tensors)
        )
        self.calls.append(call)

    def _requires_grad(self, value: Value) -> bool:
        return self.tensors[id(value)].requires_grad

    def _keep(self, value: Value) -> None:
        """Copy a constant's values where they are first used; an in-place change may follow."""
        if value.kind == "constant" and value.array is None:
            value.array = self.tensors[id(value)].detach().cpu().clone().numpy()

    def _as_values(self, tree: Any) -> Any:
        return tree_map(self._as_value, tree, is_leaf=packed.is_packed)

    def _as_value(self, x: Any) -> Any:
        if packed.is_packed(x):
            if (ids := packed.ids(x)) in self.packs:
                return self.packs[ids]
            raise Untranslatable(f"{packed.ELSEWHERE}{at(_user_line())}")
        return self._value(x) if isinstance(x, torch.Tensor) else x

    def _value(self, tensor: torch.Tensor) -> Value:
        if id(tensor) in self.known:
            if id(tensor) in self.stale:
                self._view_again(tensor)
            value = self.known[id(tensor)][1]
            if isinstance(value, packed.Packed):  # the packed values, or what stands beside them
                raise Untranslatable(f"{packed.ELSEWHERE}{at(_user_line())}")
            return value
        if isinstance(tensor.grad_fn, BackwardCFunction):
            name = type(tensor.grad_fn).__name__.removesuffix("Backward")
            rule = f"write it a rule with @parity.translates({name})"
            raise Untranslatable(f"{name} is an autograd.Function that was not seen; {rule}{at(_user_line())}")
        name = self.named.get(id(tensor), "")
        return self._new(tensor, kind="parameter" if isinstance(tensor, nn.Parameter) else "constant", name=name)

    def _new(self, tensor: torch.Tensor, **fields: Any) -> Value:
        value = Value(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), **fields)
        if value.kind != "constant" and (tensor.is_sparse or tensor.is_quantized or tensor.is_complex()):
            kind = "sparse" if tensor.is_sparse else "quantized" if tensor.is_quantized else "complex"
            raise Untranslatable(f"{kind} tensors have no translation{at(_user_line())}")
        self.known[id(tensor)] = tensor, value
        self.tensors[id(value)] = tensor
        self.stale.pop(id(tensor), None)
        self.values.append(value)
        return value

    def _new_packed(self, sequence: Any, value: Value) -> Value:
        self.packs[packed.ids(sequence)] = value
        self.known.update({id(part): (part, value) for part in packed.parts(sequence)})
        self.tensors[id(value)] = sequence.data
        self.values.append(value)
        return value

    def _prepare(self, tensor: torch.Tensor, call: Call) -> None:
        """Note what an in-place operation is about to overwrite: constants, and what the tensor is a view of."""
        for value in values_in((call.args, call.kwargs)):
            self._keep(value)
        self._value(tensor)
        while made := self.views.get(id(tensor)):
            tensor = made.base
            self._keep(self._value(tensor))

    def _change(self, tensor: torch.Tensor, call: Call) -> None:
        """A tensor was changed in place: so was what it is a view of; other views have other values now."""
        memory = tensor.untyped_storage().data_ptr()
        for key, (other, _) in self.known.items():
            if other is not tensor and other.untyped_storage().data_ptr() == memory and id(other) not in self.named:
                self.stale[key] = call.where
        self._finish(call, tensor)
        while made := self.views.get(id(tensor)):
            base = self.known[id(made.base)][1]
            function, arguments = in_place.write_back(made, base, self._value(tensor))
            tensor = made.base
            self._finish(Call(function, self.stack[-1], arguments, {}, call.where), tensor)

    def _view_again(self, tensor: torch.Tensor) -> None:
        """Give a view the values that its base has now."""
        made = self.views.get(id(tensor))
        if made is None:
            where = self.stale[id(tensor)]
            raise Untranslatable(f"what shares memory with a tensor is used after a change in place{at(where)}")
        call = made.call
        again = (self._value(made.base), *call.args[1:])
        self._finish(Call(call.target, self.stack[-1], again, call.kwargs, call.where), tensor)

    def _is_own(self, args: tuple, call: Call) -> bool:
        """Return whether a slice is assigned to itself, as Python does after `x[:, 0] += 1` has changed it in place."""
        made = self.views.get(id(args[2]))
        return made is not None and made.base is args[0] and made.call.args[1:] == call.args[1:2]


def _name_of(function: Callable) -> str:
    """Return a function's name, "T" of the attribute; "" of an attribute that is not a tensor of its own."""
    name = getattr(function, "__name__", "")
    if name != "__get__":
        return name
    attribute = getattr(function.__self__, "__name__", "")  # type: ignore[attr-defined]
    return attribute if attribute in ("T", "mT", "H", "mH") else "data" if attribute == "data" else ""


def _alias(tensor: Any) -> Any:
    """Return another object for a tensor: an eval-mode dropout returns its own input."""
    if not isinstance(tensor, torch.Tensor):
        return tensor
    with torch._C.DisableTorchFunction():
        return torch.ops.aten.alias(tensor)


def _user_line() -> Where | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(HERE):
        frame = frame.f_back
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


@contextmanager
def _without_fast_path() -> Iterator[None]:
    """Keep nn.TransformerEncoder and nn.MultiheadAttention from their fused kernels, which cannot be seen."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
