"""PyTorch's side of a pair: what its dry run told, and its recordings."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.weights import kinds
from parity.core import inputs as streams
from parity.core.draws import Draw
from parity.core.trace import Trace, array_of, named_inputs
from parity.pair import random_torch, remedies, wiring
from parity.pair.alike import Value
from parity.pair.arguments import require_module
from parity.pair.guard import guarded
from parity.pair.options import Options, typed
from parity.pair.pairing import summed
from parity.record import torch_flow, torch_modules, torch_recorder, torch_state

COUNTS = ("buffer:*num_batches_tracked", "step*:buffer:*num_batches_tracked")


@dataclass(frozen=True)
class Theirs:
    """A PyTorch module, the inputs, and what a forward pass in eval mode told of them.

    Args:
        module: the user's own; never changed.
        inputs: a structure of arrays in PyTorch's layout, float32 values: both precisions get the same, as of weights.
        named: the same by their names in a trace.
        calls: the calls of the innermost modules, in order.
        outputs: by their names in a trace.
        channels_first: call's name -> whether axis 1 holds channels in what it returns.
        recurrent: path -> module, of those called that have gates.
        random: says that two runs differ, and where; "" where they agree.
        followed: what runs of both have told of their weights, see `following.py`; kept for the other precisions.
        folded: names of the weights that PyTorch computes, as in weight_norm; `module` is a copy with them as they are.
        draws: the random numbers that it drew in train mode, which Keras is given, in order.
        trained: the outputs in train mode, by their names in a trace.
    """

    module: Any
    inputs: Any
    named: Mapping[str, np.ndarray]
    calls: tuple[torch_recorder.Call, ...]
    outputs: Mapping[str, np.ndarray]
    channels_first: Mapping[str, bool]
    recurrent: Mapping[str, Any]
    random: str = ""
    followed: list = field(default_factory=list)
    folded: Sequence[str] = ()
    draws: tuple[Draw, ...] = ()
    trained: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def flow(self) -> torch_flow.Flow:
        """What the modules and parameters were given in one run in float64."""
        return guarded("the PyTorch module", torch_flow.seen, self.module, typed(self.inputs, "float64"))

    @cached_property
    def exact(self) -> dict[tuple[str, str], Value]:
        """What the calls are given ("fed") and return ("activation") in one run in float64, by (which, name)."""
        run = partial(torch_recorder.run, self.module, typed(self.inputs, "float64"), dtype="float64")
        values = guarded("the PyTorch module", run).values
        return {
            (which, call.name): Value(np.asarray(values[f"{which}:{call.name}"]))
            for call in self.calls
            for which in ("fed", "activation")
            if f"{which}:{call.name}" in values  # not what train mode alone calls
        }

    def forget(self) -> None:
        """Free the memory of what is no longer needed when the calls are paired; another pairing computes it again."""
        vars(self).pop("exact", None)

    def weighting(self) -> dict[str, np.ndarray]:
        """Return a fixed random weight for each value of each output: a loss where none is given."""
        return {
            name: streams.uniform(value.shape, 1.0, "weighting", name)
            for name, value in self.outputs.items()
            if value.dtype.kind == "f"
        }


def dry_run(module: Any, inputs: Any, *, train: bool = False) -> Theirs:
    """Run a PyTorch module forward, and again to compare it with itself.

    Args:
        module: the user's own.
        inputs: a structure of arrays in PyTorch's layout.
        train: compare it with itself in train mode, with the random numbers that it shares with Keras; otherwise in
            eval mode, of which the first run is one of the two.

    Raises:
        BlitzError: it is not a module, it raises, or there is nothing to compare.
    """
    require_module(module)
    module, folded = torch_flow.folded(torch_modules.plain(module))
    inputs = typed(inputs, "float32")
    named = dict(named_inputs(inputs))
    given = ", ".join(f"{a.shape}{'' if a.dtype.kind == 'f' else f' {a.dtype}'}" for a in named.values()) or "nothing"
    side = f"the PyTorch module, given {given},"
    run = _first_run(side, module, inputs)
    if not named:
        raise BlitzError("there is nothing to compare: inputs hold no array")
    if not run.outputs:
        raise BlitzError(
            "there is nothing to compare: the PyTorch module returns no tensor; let forward return tensors, or a dict, "
            "tuple or dataclass of them, instead of numbers, texts or None"
        )
    again = partial(torch_recorder.run, module, train=train, share=train)
    compared = guarded(side, again, inputs) if train else run
    random = guarded(side, random_torch.describe, again, inputs, compared, train)
    calls = compared.calls  # in train mode those of heads that eval mode leaves out, too
    recurrent = {call.path: call.module for call in calls if (kind := kinds.of_torch(call.module)) and kind.gates}
    return Theirs(
        module, inputs, named, calls, run.outputs, wiring.channels_first(calls), recurrent, random, folded=folded,
        draws=compared.draws, trained=compared.outputs,
    )  # fmt: skip


def _first_run(side: str, module: Any, inputs: Any) -> torch_recorder.Run:
    """Return what the module returns in eval mode.

    Raises:
        BlitzError: what it raises, with the remedy where one works.
    """
    try:
        return guarded(side, torch_recorder.run, module, inputs)
    except BlitzError as error:
        raise remedies.explain(error, inputs, partial(guarded, side, torch_recorder.run, module)) from error


def outputs_in_mode(theirs: Theirs, train: bool) -> int:
    """Return how many outputs a module has in a mode; 0 where it does not run in it, as on a batch of one."""
    try:
        return len(guarded("", partial(torch_recorder.run, train=train), theirs.module, theirs.inputs).outputs)
    except BlitzError:
        return 0


def state_of(theirs: Theirs, twins: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the weights that both sides get, to be read alone: PyTorch's, two biases that Keras has as one added up.

    Args:
        theirs: PyTorch's side.
        twins: PyTorch's names of the second biases -> that of the first.
    """
    return summed(typed(torch_state.held_by(theirs.module), "float32"), twins)


def record(
    theirs: Theirs,
    options: Options,
    dtype: str,
    state: Mapping[str, np.ndarray],
    *,
    left_out: Collection[str],
    last_only: Collection[str],
    squeezed: Collection[str] = (),
    slots: bool = False,
    fed: bool = False,
    at: Mapping[str, np.ndarray] | None = None,
    within: AbstractContextManager | None = None,
) -> Trace:
    """Run a copy of the module and return its trace, sequences as Keras has them.

    Args:
        theirs: PyTorch's side.
        options: what to record.
        dtype: a name in `PRECISIONS`.
        state: the whole state_dict.
        left_out: patterns of the names that have no counterpart.
        last_only: paths of recurrent modules of which Keras returns the last step alone.
        squeezed: names of the outputs without the axis of layers, (1, N, H), which Keras's states lack.
        slots: record the optimizer's state, too.
        fed: record what each innermost module is given, too.
        at: activations, as they are in the trace, that modules return in place of what they compute.
        within: the block in which it runs, if any.
    """
    run = partial(
        torch_recorder.record, torch_modules.copied(theirs.module), state, typed(theirs.inputs, dtype),
        typed(options.target, dtype), loss=_loss(theirs, options, dtype),
        optimizer=partial(_optimizer, options.optimizer) if options.steps else None, steps=options.steps,
        slots=slots, train=options.train, share=options.train, dtype=dtype, fed=fed, root=True,
        at={name: value for name, value in (at or {}).items() if _path_of(name) not in theirs.recurrent},
    )  # fmt: skip
    with within or nullcontext():
        trace = guarded("the PyTorch module", run)
    if options.loss is None:
        trace.terms = {**(trace.terms or {}), "loss": _sum_of_terms(trace, theirs.weighting())}
    trace = _as_in_keras(trace, theirs.recurrent, last_only)
    trace = trace.with_entries(
        (name, array_of(trace, name)[0] if name in squeezed else value) for name, value in trace.items()
    )
    return trace.without([*COUNTS, *left_out])


def run_loss(theirs: Theirs, options: Options) -> None:
    """Run PyTorch's loss once on what its module returns, where one was given.

    For a pair that is refused: a loss that cannot take the module's outputs is the user's first mistake.

    Raises:
        BlitzError: what the loss raises.
    """
    if options.loss:
        once = replace(options, optimizer=None, steps=0)
        record(theirs, once, "float32", state_of(theirs, {}), left_out=(), last_only=())


def _loss(theirs: Theirs, options: Options, dtype: str) -> Callable | None:
    if options.loss is None:
        return partial(_weighted, theirs.weighting())
    return partial(_guarded_loss, torch_recorder.typed_loss(options.loss[0], dtype)) if options.loss else None


def _guarded_loss(loss: Callable, output: Any, target: Any) -> Any:
    try:
        return guarded("PyTorch's loss", loss, output, target)
    except BlitzError as error:
        if target is None:
            raise BlitzError(
                f"{error} (no target was given: target=… is what the loss compares the output with)"
            ) from error
        if "dtype to be Long" in str(error):
            raise BlitzError(f"{error} (class labels are whole numbers: target.astype('int64'))") from error
        if "Double" not in str(error):
            raise
        raise BlitzError(
            f"{error}: a tensor of its own has another type than the output; give the loss module itself, not a "
            "function around it, or cast the tensor to output.dtype"
        ) from error


def _sum_of_terms(trace: Trace, weights: Mapping[str, np.ndarray]) -> float:
    """Return Σ|weight · output|, the scale of a loss that is the sum of all outputs and may cancel to nothing."""
    return float(sum(np.abs(array_of(trace, name) * weight).sum() for name, weight in weights.items()))


def _weighted(weights: Mapping[str, np.ndarray], output: Any, _target: Any) -> Any:
    return torch_recorder.weighted(output, weights)


def _optimizer(optimizer: Any, named: list) -> Any:
    return optimizer[0]([parameter for _, parameter in named])


def _path_of(name: str) -> str:
    return name.partition(":")[2].partition("#")[0]


def _as_in_keras(trace: Trace, recurrent: Mapping[str, Any], last_only: Collection[str]) -> Trace:
    """Return the trace with the sequences of recurrent modules as Keras has them: (N, T, C), or the last step."""

    def changed(name: str, value: Any) -> Any:
        kind, path = name.partition(":")[0], _path_of(name)
        if kind not in ("activation", "fed") or path not in recurrent:
            return value
        module = recurrent[path]
        value = value if module.batch_first else value.swapaxes(0, 1)
        if kind == "fed" or path not in last_only:
            return value
        last = value[np.arange(len(value)), _lengths(value) - 1]
        if not module.bidirectional:
            return last
        half = value.shape[-1] // 2
        return np.concatenate([last[:, :half], value[:, 0, half:]], -1)

    return trace.with_entries((name, changed(name, value)) for name, value in trace.items())


def _lengths(sequences: np.ndarray) -> np.ndarray:
    """Return the steps of each example: of a packed sequence what is beyond its end is zero in all channels."""
    steps = np.any(sequences != 0, -1) * np.arange(1, sequences.shape[1] + 1)
    return np.where(steps.any(1), steps.max(1), sequences.shape[1])
