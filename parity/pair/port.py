"""The Keras model in one precision, read by PyTorch's names."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from keras_blitz.weights import layout
from keras_blitz.weights.layout import Layout
from parity.core.modes import PRECISIONS
from parity.core.ranks import aligned, regrouped
from parity.core.trace import Trace, named_outputs, widened
from parity.pair import (
    addresses,
    byhand,
    feed,
    hand,
    layouts,
    masks,
    meeting,
    outputs,
    own_loss,
    pairing,
    penalty,
    readings,
    settling,
    step,
    units,
    wiring,
)
from parity.pair.advice import channels_first_input
from parity.pair.guard import guarded
from parity.pair.kept import kept
from parity.pair.options import Options, typed
from parity.pair.own_loss import OwnLoss
from parity.pair.policy import running_in
from parity.pair.theirs import Theirs, outputs_in_mode, state_of
from parity.record import keras_step, torch_flow
from parity.record.keras_draws import shared_draws
from parity.record.keras_recorder import KerasRecorder, Wiring, leaves, recorded_calls
from parity.record.memory import load


class Port:
    """A Keras model that was run once beside PyTorch's: which weight, call and layout is which.

    Args:
        theirs: PyTorch's side.
        options: what to record.
        model: a copy, or the user's own, borrowed: its weights are overwritten.
        dtype: a name in `PRECISIONS`.

    Raises:
        BlitzError: the model raises, or weights cannot be paired.
    """

    def __init__(self, theirs: Theirs, options: Options, model: Any, dtype: str):
        self.theirs, self.options, self.model, self.dtype = theirs, options, model, dtype
        if theirs.folded and (options.train or options.steps):
            raise BlitzError(f"{theirs.folded[0]} is computed in PyTorch, as by weight_norm: use train=False, steps=0")
        self.layers = leaves(model)
        self.start: Mapping[str, np.ndarray] = {}  # the weights that were recorded
        self.drawn: list[str] = []  # what one side draws alone in train mode, a line each
        self.input_layouts = feed.input_layouts(theirs, model)
        self.keeps_channels_first = feed.keeps_channels_first(model)
        self.calls, self.outputs = self._run_once()
        given = feed.tensors(theirs, model, dtype)
        given = [as_array(each) for x in given for each in (x, *self._round(x))]
        flat = layouts.flattened(self.calls, given, theirs.calls, self.keeps_channels_first)
        self.pairing, plain = self._paired({name: each.sizes for (name, number), each in flat.items() if not number})
        as_in_torch = {each.origin for (name, number), each in flat.items() if not number and name in plain}
        self.flattened = {key: each.sizes for key, each in flat.items() if each.origin not in as_in_torch}
        self._name_calls(wiring.match(theirs.calls, self.calls, self.pairing.units, self._met()))
        returned = theirs.trained if options.train else theirs.outputs
        self.renamed = outputs.paired(returned, self.outputs, self._values)  # Keras's name of an output -> PyTorch's
        otherwise = partial(outputs_in_mode, theirs, not options.train)
        self.extra = outputs.of_other_mode(self.renamed, self.outputs, len(returned), otherwise)
        self.renamed |= outputs.names_of_rest(self.renamed, self.outputs, self.extra)
        ranks = {call.name: len(call.shape) for call in theirs.calls}
        self.last_only = {
            path
            for path in theirs.recurrent
            if path in self.by_path and self.by_path[path].result.ndim < ranks[path]
        }  # fmt: skip
        self.settled = self._settle_layouts()

    def _name_calls(self, names: dict[tuple[str, int], str]) -> None:
        """Take (layer's name, number of the call) -> PyTorch's name of the call."""
        self.names = names
        self.by_path = {names.get((call.name, call.number)): call for call in self.calls}
        self.unmatched = [call.name for call in self.theirs.calls if call.name not in set(names.values())]

    @property
    def squeezed(self) -> list[str]:
        """PyTorch's names of the outputs that have an axis of layers, (1, N, H), where Keras's state is (N, H)."""
        if not self.theirs.recurrent:
            return []
        pairs = ((name, self.theirs.outputs.get(name), self.outputs[own]) for own, name in self.renamed.items())
        return [name for name, value, own in pairs if value is not None and value.shape == (1, *own.shape)]

    def _their_shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an output, by PyTorch's name, as it is compared."""
        shape = self.theirs.outputs[name].shape
        return shape[1:] if name in self.squeezed else shape

    def _round(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Return an input as layers of reduced precision are given it."""
        reduced = PRECISIONS[self.dtype].is_reduced and x.dtype.is_floating
        return [tf.cast(x, PRECISIONS[self.dtype].compute)] if reduced else []

    def _run_once(self) -> tuple[list[wiring.KerasCall], dict[str, Any]]:
        fed: dict = {}
        with recorded_calls(self.model, fed, fused=True) as results:
            output = feed.run_once(self.theirs, self.dtype)(self.model)
        calls = [
            wiring.KerasCall(
                name, k, self.layers[name.removesuffix("/activation")], as_array(fed[name, k]), as_array(result)
            )
            for (name, k), result in results.items()
        ]
        return calls, dict(named_outputs(output))

    def _run_filled(self) -> tuple[list[wiring.KerasCall], dict[str, Any]]:
        """Run with PyTorch's weights; the model gets its own back."""
        with kept(self.model.variables):
            self._take_weights()
            return self._run_once()

    def _values(self) -> dict[str, np.ndarray]:
        return {name: as_array(value) for name, value in self._run_filled()[1].items()}

    def _met(self) -> wiring.Names:
        """Return the calls that pair by what they are given, where their order may say the wrong thing."""
        tokens = wiring.tokens(self.theirs.calls, self.calls, self.pairing.units)
        if not meeting.is_needed(*tokens):
            return {}
        calls, _ = self._run_filled()
        given, results = ({(c.name, c.number): getattr(c, what) for c in calls} for what in ("given", "result"))
        return meeting.met(self.theirs, tokens, given, results, self.dtype)

    def _paired(self, sizes: Mapping[str, tuple[int, ...]]) -> tuple[pairing.Pairing, set[str]]:
        """Pair the weights.

        Args:
            sizes: Keras's layers that are given flattened features -> what these were flattened from.

        Returns:
            The pairing, and the layers whose features PyTorch has flattened in the same order.
        """
        called = dict.fromkeys(call.name for call in self.calls if call.name in self.layers)
        ordered = {name: self.layers[name] for name in [*called, *(n for n in self.layers if n not in called)]}
        ours = units.keras_units(ordered, sizes)
        ours += units.loose_units(self.model, ours, self.layers.values())
        named = self.options.weights
        entries = byhand.parse(addresses.unit_names(self.model, named) if isinstance(named, Mapping) else named)
        theirs = units.torch_units(self.theirs.module, [call.path for call in self.theirs.calls])
        theirs = readings.as_seen(theirs, self.theirs.flow)
        told = hand.resolve(entries, theirs, ours, self.theirs.module)
        if not self.options.keeps:
            state = state_of(self.theirs, {})
            for weight in told.weights(self.theirs.module):
                weight.assign(state[weight.name])
        try:
            found, plain = readings.paired(
                self.theirs, self.model, self.dtype, told, self.options.keeps, self._uncalled
            )
        except pairing.UnpairedError as error:
            returned = self.theirs.trained if self.options.train else self.theirs.outputs
            counts = outputs.counts(len(returned), len(self.outputs))
            said = channels_first_input(self.theirs.calls, self.calls, self._same_shapes()) or str(error)
            raise BlitzError(f"{said}{self._describe_parting(error.units)}{counts}") from None
        found = told.added_to(found, self.theirs.module)
        idle = [v.path for _, other, _ in found.units for w in other.idle for v in w.variables if v.trainable]
        if idle and self.options.steps:
            raise BlitzError(
                f"Keras trains {', '.join(idle[:3])}, which PyTorch lacks: use use_bias=False or trainable=False"
            )
        return found, {name for name in sizes if any(f"{each}/".startswith((f"{name}/", f"{name}[")) for each in plain)}

    def _uncalled(self) -> set[str]:
        """Return the names of the tensors that PyTorch's forward does not use."""
        inputs = typed(self.theirs.inputs, "float32")
        return guarded("the PyTorch module", torch_flow.unused, self.theirs.module, inputs, self.options.train)

    def _same_shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the inputs that Keras is given as PyTorch has them, though it may have channels last."""
        named = [self.theirs.named[name] for name, each in self.input_layouts.items() if each is layout.SAME]
        return [] if self.keeps_channels_first else [array.shape for array in named]

    def _describe_parting(self, matches: list[pairing.Match]) -> str:
        """Say where the shapes part, which may be why weights do not fit."""
        theirs = {call.name: call for call in self.theirs.calls}
        names = wiring.match(self.theirs.calls, self.calls, matches)
        for call in self.calls:
            other = theirs.get(names.get((call.name, call.number), ""))
            if other and sorted(other.shape) != sorted(call.result.shape) and len(other.shape) == call.result.ndim:
                reason = "; looks like maxpool-ceil-mode" if getattr(other.module, "ceil_mode", False) else ""
                return (
                    f". The shapes part at {other.name}: {other.shape} in PyTorch, "
                    f"{call.result.shape} from Keras's {call.name}{reason}"
                )
        return ""

    @property
    def left_out(self) -> list[str]:
        """Patterns of what PyTorch records and Keras has no counterpart of."""
        unused = self.pairing.unused
        return [
            *(f"buffer:{name}" for name in unused),
            *(f"{kind}:{name}" for kind in ("param", "grad", "step*:buffer", "step*:param") for name in unused),
            *(f"activation:{name}" for name in self.unmatched),
        ]

    def adds_losses(self) -> bool:
        """Whether the model added to its loss when it was last called, or has regularizers."""
        return bool(keras_internals.added_losses(self.model) or keras_internals.weight_penalties(self.model))

    def masked(self) -> AbstractContextManager[None]:
        """Return a block in which the model is given the random numbers that PyTorch draws, in train mode.

        Raises:
            UnsharedError: the random numbers of the two frameworks cannot be paired.
        """
        if not self.options.train:
            return nullcontext()
        bound = masks.SAME_REDUCED if PRECISIONS[self.dtype].is_reduced else masks.SAME
        sizes = frozenset(self.flattened.values())
        structure = masks.Structure(self.names, sizes, self.channels_first, bound)
        with running_in(self.dtype):
            shared = masks.paired(self.theirs.draws, structure, self._run_with)
        self.drawn = shared.notes()
        dropouts = {
            (call.name, call.number): shared.names.get((id(call.layer), call.number), "")
            for call in self.calls
            if wiring.keras_family(call.layer) == "dropout"
        }
        self._name_calls(wiring.renamed(self.names, dropouts, self.theirs.calls))
        return shared_draws(self.model, shared.again)

    def _take_weights(self) -> None:
        """Give the model PyTorch's weights, unless it keeps its own."""
        if not self.options.keeps:
            load(self.pairing.weights, state_of(self.theirs, self.pairing.twins))

    def _run_with(self, shared: masks.Shared) -> float:
        """Run in train mode from PyTorch's weights, and return how far the outputs are from PyTorch's, in any order."""
        with kept(self.model.variables), shared_draws(self.model, shared.pair):
            self._take_weights()
            output = guarded("the Keras model", feed.run, self.theirs, self.model, self.dtype, True)
        ours, theirs = (
            np.sort(np.concatenate([np.ravel(value) for value in side] or [np.zeros(0)]))
            for side in ([as_array(value) for _, value in named_outputs(output)], self.theirs.trained.values())
        )
        return masks.apart(theirs, ours) if ours.shape == theirs.shape else np.inf

    def record(self, state: Mapping[str, np.ndarray], truth: Trace, mode: str = "eager") -> Trace:
        """Run and return the trace, in PyTorch's names and layouts.

        Args:
            state: PyTorch's weights.
            truth: PyTorch's trace, whose shapes decide between layouts.
            mode: "eager", "graph" or "xla".
        """
        options, own = self.options, self._own_loss()
        if options.keeps:  # as they were before a first recording moved them
            state = self.start or {weight.name: weight.value() for weight in self.pairing.weights}
        self.start = state
        put_back = own.compiled() if own else nullcontext()
        with running_in(self.dtype), step.exact_regularizers(self.model, self.dtype), put_back:
            recorder = KerasRecorder(
                self.model,
                loss=own or self._loss(),
                optimizer=step.optimizer_of(options.optimizer[1]) if options.steps else None,
                penalty=self._penalty(own),
                train=options.train,
                mode=mode,
                wiring=Wiring(
                    self.pairing.weights,
                    self.names,
                    partial(self.layout_of, truth),
                    own.call if own else feed.caller(self.theirs.inputs),
                ),
            )
            inputs, target = typed(self.theirs.inputs, self.dtype), typed(options.target, self.dtype)
            trace = guarded("the Keras model", recorder.record, state, inputs, target, options.steps)
        trace = trace.without(["activation:keras/*", *self.extra])
        trace = trace.with_entries((self.renamed.get(name, name), value) for name, value in trace.items())
        return penalty.settled(self._as_grouped(trace, truth), truth)

    def _as_grouped(self, trace: Trace, truth: Trace) -> Trace:
        """Return the trace with activations that PyTorch has with other leading axes or axes of 1 as it has them."""

        def alike(name: str, value: Any) -> Any:
            expected, path = truth.get(name), name.removeprefix("activation:")
            if path == name or not isinstance(value, np.ndarray) or not isinstance(expected, np.ndarray):
                return value
            value = aligned(value, expected.shape)
            return value if self.channels_first(path) else regrouped(value, expected.shape)

        return trace.with_entries((name, alike(name, value)) for name, value in trace.items())

    def layout_of(self, truth: Mapping, name: str, shape: tuple[int, ...]) -> Layout:
        """Return the layout of Keras's tensor of a name in PyTorch's trace."""
        if name in self.input_layouts:
            return self.input_layouts[name]
        if name == "target":
            same = [n for n in self.theirs.outputs if self._their_shape(n) == tuple(shape)]
            return self._output_layout(same[0]) if same else layout.SAME
        if name.startswith("output"):
            return self._output_layout(self.renamed.get(name, name))
        if name in self.settled:
            return self.settled[name]
        path = name.removeprefix("activation:")
        call = self.by_path.get(path)
        if call and (call.name, -1 - call.number) in self.flattened:
            return layout.flattened(self.flattened[call.name, -1 - call.number])
        expected = truth.get(name)
        return layouts.fit(tuple(shape), getattr(expected, "shape", None), self.channels_first(path), inner=True)

    def channels_first(self, path: str) -> bool:
        """Whether PyTorch's axis 1 holds the channels that Keras has last."""
        return self.theirs.channels_first.get(path, False) and not self.keeps_channels_first

    def _output_layout(self, name: str) -> Layout:
        """Return the layout of an output, by PyTorch's name of it."""
        return self.settled.get(name, layout.SAME)

    def _settle_layouts(self) -> dict[str, Layout]:
        """Return the layouts of outputs, and of activations that fit in both orders, by PyTorch's names."""
        filled = cache(self._run_filled)  # a run, where values must decide
        tensors = {}
        for own, name in self.renamed.items():
            if name in self.theirs.outputs:
                shapes = self._their_shape(name), tuple(self.outputs[own].shape)
                actual = partial(_output_of, filled, own)
                tensors[name] = settling.output(self.theirs, name, *shapes, self.keeps_channels_first, actual)
        results = cache(lambda: {(call.name, call.number): call.result for call in filled()[0]})
        tensors |= settling.cubes(self.theirs, self.by_path, self.channels_first, results)
        return settling.settled(tensors, self.dtype)

    def _own_loss(self) -> OwnLoss | None:
        if not own_loss.is_own(self.model, self.options):
            return None
        structured = partial(feed.structured, self.theirs, self.model)
        return OwnLoss(self.model, self.options, self.dtype, feed.caller(self.theirs.inputs), structured)

    def _loss(self) -> Callable | None:
        if self.options.loss is False:
            return None
        if self.options.loss is None:
            return self._weighted
        loss = step.loss_of(self.options, self.dtype)
        return lambda target, output: keras_step.with_added(self.model, loss(target, output))

    def _penalty(self, own: OwnLoss | None) -> Callable | None:
        """Return (target, output) -> the penalties on regularized weights; None where there are none, or no loss."""
        if not self.options.loss or not keras_internals.weight_penalties(self.model):
            return None
        return own.penalty if own else lambda _target, _output: keras_step.total(self.model)

    def _weighted(self, _target: Any, output: Any) -> Any:
        """Return the sum of all outputs, each value times its weight, as PyTorch's side has it."""
        weights, total = self.theirs.weighting(), 0.0
        for name, value in named_outputs(output):
            theirs = self.renamed.get(name, name)
            if theirs not in weights:
                continue
            weight = self._output_layout(theirs).to_keras(weights[theirs].reshape(self._their_shape(theirs)))
            if weight.shape != tuple(value.shape):
                weight = np.ones(value.shape)  # another shape is a difference, which the comparison shows
            if value.dtype in (tf.float16, tf.bfloat16):
                value = tf.cast(value, tf.float32)
            total += tf.reduce_sum(value * tf.constant(weight, value.dtype))
        if tf.is_tensor(total):
            return total
        # No output has PyTorch's name, which the comparison shows.
        return tf.add_n([tf.cast(tf.reduce_sum(value), self.dtype) for _, value in named_outputs(output)])


def _output_of(run: Callable[[], tuple[Any, dict[str, Any]]], name: str) -> np.ndarray:
    return as_array(run()[1][name])


def as_array(tensor: Any) -> np.ndarray:
    """Return a Keras tensor as an array."""
    return widened(np.asarray(keras.ops.convert_to_numpy(tensor)))
