"""Runs a Keras model and records its trace in PyTorch's names and layouts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.keras_internals import called_as, inner_layers, set_untracked, takes_training
from keras_blitz.layers import Dropout, Dropout2d
from keras_blitz.weights import kinds
from keras_blitz.weights.flow import flow
from keras_blitz.weights.layout import Layout, by_rank, flattened
from keras_blitz.weights.mapping import weights
from parity.core.modes import MODES
from parity.core.trace import ABSENT, Trace, Value, array_of, kind_of, named_inputs, named_outputs
from parity.record import keras_step
from parity.record.memory import load, view
from parity.record.weight import Weight


@dataclass(frozen=True)
class Wiring:
    """How a model is read whose layers are not named by PyTorch's paths.

    Args:
        weights: its weights by PyTorch's names, in PyTorch's order.
        names: (call's name, number of the call from 0) -> PyTorch's name, "relu#2".
        layout: (name in the trace, Keras's shape) -> the tensor's layout relative to PyTorch's.
        call: (model, input tensors in the trace's order, training) -> what the model returns.
    """

    weights: Sequence[Weight]
    names: Mapping[tuple[str, int], str]
    layout: Callable[[str, tuple], Layout]
    call: Callable[[Any, list, bool], Any]


class KerasRecorder:
    """A Keras model made ready to be recorded, any number of times, in one mode.

    Args:
        model: layers named by PyTorch's module paths.
        loss: (target, output) -> scalar; None records forward only.
        optimizer: updates the parameters after each step; needs `loss`. Its slots are recorded where it can list them.
        clip: gradients -> clipped gradients, between the backward pass and the update.
        train: PyTorch's train mode, otherwise eval mode.
        mode: "eager", "graph" (`tf.function`) or "xla" (`tf.function(jit_compile=True)`).
        masks: (path, PyTorch's shape, p) -> what each dropout layer multiplies by in train mode.
        keep: of a tensor with more values than these, record the fingerprint; None records all whole.
        wiring: how to read a model whose layers have other names.
        penalty: (target, output) -> what `fit` adds to the loss for regularized weights; recorded apart from the loss.
    """

    def __init__(
        self,
        model,
        *,
        loss: Callable | None = None,
        optimizer=None,
        clip: Callable | None = None,
        train: bool = False,
        mode: str = "eager",
        masks: Callable | None = None,
        keep: int | None = None,
        wiring: Wiring | None = None,
        penalty: Callable | None = None,
    ):
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
        self.model, self.loss, self.optimizer, self.clip = model, loss, optimizer, clip
        self.train, self.keep, self.wiring, self.penalty = train, keep, wiring, penalty
        self.weights: Sequence[Weight] = wiring.weights if wiring else weights(model)
        self.parameters = [weight for weight in self.weights if weight.trainable]
        self.buffers = [weight for weight in self.weights if not weight.trainable]
        self.variables = list({id(v): v for weight in self.parameters for v in weight.variables}.values())
        self.flow = flow(model)
        if masks is not None:
            self._inject(masks)
        if optimizer is not None:
            optimizer.build(self.variables)
            self._fresh = [_fold(variable.numpy()) for variable in optimizer.variables]
        self._step = (
            self._run if mode == "eager" else tf.function(self._run, autograph=False, jit_compile=mode == "xla")
        )

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the names and shapes of the weights, as PyTorch has them."""
        return {weight.name: weight.shape for weight in self.weights}

    def _inject(self, masks: Callable) -> None:
        """Give each dropout layer PyTorch's mask, in Keras's layout."""
        for layer in self.model.layers:
            if isinstance(layer, Dropout | Dropout2d):
                layer.mask = partial(_mask, masks, layer, self.flow.outputs.get((layer.name, 0)))

    def record(
        self,
        state: Mapping[str, np.ndarray],
        inputs: np.ndarray | tuple | Mapping[str, np.ndarray],
        target: np.ndarray | None = None,
        steps: int = 0,
        plan: Callable | None = None,
        left_out: Sequence[str] = (),
    ) -> Trace:
        """Load weights, run, and return the trace.

        Args:
            state: PyTorch's names to values for all of the model's weights; rounded to the model's dtype.
            inputs: PyTorch's layout (N, C, H, W); several as a tuple or a dict.
            target: what `loss` takes; PyTorch's layout.
            steps: optimizer steps on the same batch; the first one's forward pass is what is recorded in detail.
            plan: optimizer -> what is called with the number of each step after it, and may change the learning rate.
            left_out: patterns of the names that are not recorded.
        """
        load(self.weights, state)
        if self.optimizer is not None:
            for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
                variable.assign(value)
        named = dict(named_inputs(inputs))
        x = [tf.constant(self._input_layout(name, value).to_keras(value)) for name, value in named.items()]
        y = keras.tree.map_structure(self._target, target)
        versions = {"framework": "tensorflow", "version": tf.__version__, "keras": keras.__version__}
        trace = Trace(keep=self.keep, skip=left_out, **versions)
        for (name, value), tensor in zip(named.items(), x, strict=True):
            trace.put(name, partial(_in_torch, self._input_layout(name, value), tensor))
        self._add_parameters(trace, "")
        after = plan(self.optimizer) if plan else None
        penalties = None
        if self.penalty is not None:
            total = partial(self.penalty, y, self._call(x, False))  # eval mode, which moves nothing
            penalties = keras_step.PenaltyRecord(self.parameters, self.variables, total)
        for step in range(1, max(steps, 1) + 1):
            activations, outputs, loss, gradients, penalty = self._step(x, y)
            if penalties and penalty:
                penalties.add(penalty, [*(["loss"] if step == 1 else []), *([f"step{step}:loss"] if steps else [])])
            if step == 1:
                self._add_pass(trace, activations, outputs, loss, gradients, named)
                if not steps:  # else they are step1's
                    self._add_buffers(trace, "")
            del activations, outputs, gradients  # VGG's are 1.5 GB
            if steps:
                trace.put(f"step{step}:loss", loss.numpy)
                self._add_parameters(trace, f"step{step}:")
                self._add_buffers(trace, f"step{step}:")
                self._add_slots(trace, f"step{step}:")
            if after:
                after(step)
        trace.penalty = penalties.penalty() if penalties else None
        return trace

    def isolate(self, state: Mapping[str, np.ndarray], truth: Mapping[str, Value]) -> Trace:
        """Give each layer what PyTorch's module of its name was given, and return what it makes of that.

        So an error in one layer does not affect those after it. Runs in eager mode, layer by layer.

        Args:
            state: as in `record`.
            truth: a trace with `fed:path` for each module.
        """
        load(self.weights, state)
        layers = {layer.name: layer for layer in inner_layers(self.model)}
        trace = Trace(keep=self.keep)
        for name in truth:
            path, _, number = name.removeprefix("fed:").partition("#")
            if kind_of(name) != "fed" or path not in layers:
                continue
            given = array_of(truth, name)
            x = tf.constant(self._fed_layout(layers[path], given.ndim).to_keras(given))
            takes_mode = takes_training(layers[path])
            value = layers[path](x, **({"training": self.train} if takes_mode else {}))
            way = self.flow.outputs.get((path, int(number or 1) - 1)) or by_rank(len(value.shape))
            trace.add(name.replace("fed:", "activation:", 1), way.to_torch(value.numpy()))
        return trace

    def _fed_layout(self, layer: Any, rank: int) -> Layout:
        sizes = self.flow.flattened_inputs.get(layer)
        return flattened(sizes) if sizes else by_rank(rank)

    def _input_layout(self, name: str, value: np.ndarray) -> Layout:
        return self.wiring.layout(name, value.shape) if self.wiring else by_rank(value.ndim)

    def _target(self, value: np.ndarray | None) -> tf.Tensor | None:
        return None if value is None else tf.constant(self._input_layout("target", value).to_keras(value))

    def _layout(self, name: str, value, declared: Layout | None = None) -> Layout:
        shape = tuple(value.shape)
        return self.wiring.layout(name, shape) if self.wiring else declared or by_rank(len(shape))

    def _run(self, x, y):
        """One forward and backward pass, and the update where there is an optimizer."""
        with tf.GradientTape() as tape:
            differentiable = [tensor for tensor in x if tensor.dtype.is_floating]
            tape.watch(differentiable)
            with recorded_calls(self.model, fused=self.wiring is not None) as activations:
                output = self._call(x, self.train)
            loss = None if self.loss is None else self.loss(y, output)
            scaled, scale = (loss, None) if loss is None else keras_step.scaled(self.optimizer, loss)
        seen = _of_this_graph(activations)
        if loss is None:
            return seen, dict(named_outputs(output)), None, [], None
        given, gradients = tape.gradient(scaled, [differentiable, self.variables])
        gradients = [g if v.trainable else None for g, v in zip(gradients, self.variables, strict=True)]
        penalty = keras_step.penalty(partial(self.penalty, y, output), self.variables) if self.penalty else None
        update = gradients if penalty is None else keras_step.joined(gradients, penalty[1], scale)
        present = [(g, v) for g, v in zip(update, self.variables, strict=True) if g is not None]
        if self.optimizer is not None and present:
            taken, updated = map(list, zip(*present, strict=True))
            keras_step.update(self.optimizer, self.clip(taken) if self.clip else taken, updated)
        if scale is not None:
            given, gradients = ([keras_step.unscaled(g, scale) for g in each] for each in (given, gradients))
        return seen, dict(named_outputs(output)), loss, (given, gradients), penalty

    def _call(self, x: list, train: bool):
        return self.wiring.call(self.model, x, train) if self.wiring else self.model(*x, training=train)

    def _add_parameters(self, trace: Trace, prefix: str) -> None:
        for weight in self.parameters:
            trace.put(f"{prefix}param:{weight.name}", partial(weight.value, view))

    def _add_buffers(self, trace: Trace, prefix: str) -> None:
        for weight in self.buffers:
            trace.put(f"{prefix}buffer:{weight.name}", partial(weight.value, view))

    def _add_slots(self, trace: Trace, prefix: str) -> None:
        """Record the optimizer's state; Keras's own optimizers do not say which parameter a slot is of."""
        slots: dict[str, dict[int, Any]] = {}  # key -> variable's id -> slot
        for slot in getattr(self.optimizer, "slots", tuple)():
            slots.setdefault(slot.key, {})[id(slot.parameter)] = slot
        for key, of in slots.items():
            for weight in self.parameters:
                held = [of[id(variable)] for variable in weight.variables if id(variable) in of]
                if len(held) == len(weight.variables):  # a frozen one has none
                    trace.put(f"{prefix}slot:{key}:{weight.name}", partial(_slot_value, held, weight))

    def _add_pass(self, trace: Trace, activations, outputs: Mapping, loss, gradients, named: Mapping) -> None:
        for (name, call), value in activations.items():
            entry = f"activation:{self._path(name, call)}"
            trace.put(entry, partial(_in_torch, self._layout(entry, value, self.flow.outputs.get((name, call))), value))
        for name, value in outputs.items():
            trace.put(name, partial(_in_torch, self._layout(name, value), value))
        if loss is None:
            return
        trace.put("loss", loss.numpy)
        given, of_variables = gradients
        differentiable = {name: value for name, value in named.items() if value.dtype.kind == "f"}
        for (name, value), gradient in zip(differentiable.items(), given, strict=True):
            own = self._input_layout(name, value)
            trace.put(f"grad:{name}", partial(_gradient, [gradient], lambda g, own=own: own.to_torch(*g)))
        found = {id(variable): gradient for variable, gradient in zip(self.variables, of_variables, strict=True)}
        for weight in self.parameters:
            of_weight = [found[id(v)] for v in weight.variables]
            trace.put(f"grad:{weight.name}", partial(_gradient, of_weight, weight.joined))

    def _path(self, name: str, call: int) -> str:
        """Return PyTorch's name of a call."""
        if self.wiring:
            own = f"keras/{name}" + (f"#{call + 1}" if call else "")
            return self.wiring.names.get((name, call), own)  # "" is a module that is itself a layer
        return name + (f"#{call + 1}" if call else "")


def _in_torch(own: Layout, tensor: Any) -> np.ndarray:
    """Return a tensor's value in PyTorch's layout."""
    return own.to_torch(view(tensor))


def _slot_value(slots: list[Any], weight: Weight) -> np.ndarray:
    """Return the value of the slots of a weight's variables in PyTorch's layout.

    A scalar, such as NAdam's product, which is float32 always, has the parameter's type.
    """
    values = [np.asarray(slot.variable.numpy()) for slot in slots]
    if values[0].ndim:
        return weight.joined(values)
    return values[0].astype(slots[0].parameter.dtype) if values[0].dtype.kind == "f" else values[0]


def _fold(array: np.ndarray) -> np.ndarray:
    """Return an array of one value throughout, as an optimizer's slot is at first, in the memory of that value."""
    first = array.reshape(-1)[0]
    return np.broadcast_to(first, array.shape) if (array == first).all() else array


def _mask(masks: Callable, layer, declared: Layout | None, shape: tuple[int, ...]) -> np.ndarray:
    own = declared or by_rank(len(shape))
    return own.to_keras(masks(layer.name, own.torch_shape(shape), layer.rate))


def _gradient(gradients: list, join: Callable):
    if any(gradient is None for gradient in gradients):
        return ABSENT
    return join([view(gradient) for gradient in gradients])


def _of_this_graph(activations: Mapping) -> dict:
    """Return the activations that can be had: what a layer in a `tf.while_loop` returns is inside the loop's graph."""
    if tf.executing_eagerly():
        return dict(activations)
    graph = tf.compat.v1.get_default_graph()
    return {call: value for call, value in activations.items() if getattr(value, "graph", graph) is graph}


@contextmanager
def recorded_calls(
    model, fed: dict | None = None, *, fused: bool = False
) -> Iterator[dict[tuple[str, int], tf.Tensor]]:
    """Collect what each layer returns, by (layer name, number of the call from 0), while the block runs the model.

    A layer's `call` is wrapped for the block, as a forward hook is in PyTorch; so it works in eager mode, while
    `tf.function` traces, and for subclassed models, which have no graph to read intermediate tensors from.

    Args:
        model: a Keras model.
        fed: gets what each call was given.
        fused: a layer's own activation, as in `Dense(8, activation="relu")`, is a call of its own, `<name>/activation`.
    """
    recorded: dict[tuple[str, int], tf.Tensor] = {}

    def put(name: str, given, result) -> None:
        number = sum(known == name for known, _ in recorded)
        recorded[name, number] = first(result)
        if fed is not None:
            fed[name, number] = first(given)

    def recording(name: str, layer) -> Callable:
        call = layer.call
        activation: Any = layer.activation if fused and has_own_activation(layer) else None

        def recorded_call(*args, **kwargs):
            between = []

            def activating(x):
                between.append(x)
                return activation(x)

            if activation is not None:
                set_untracked(layer, "activation", activating)
            try:
                result = call(*args, **kwargs)
            finally:
                if activation is not None:
                    set_untracked(layer, "activation", activation)
            given = args or tuple(kwargs.values())
            if between:
                put(name, given, between[0])
                put(f"{name}/activation", between[0], result)
            else:
                put(name, given, result)
            return result

        return recorded_call

    with ExitStack() as stack:
        for name, layer in leaves(model).items():
            stack.enter_context(called_as(layer, recording(name, layer)))
        yield recorded


def leaves(model) -> dict[str, Any]:
    """Return the innermost layers by name; layers of one name are told apart as `name@2`."""
    inside = {id(inner) for outer in inner_layers(model) if _is_whole(outer) for inner in inner_layers(outer)}
    found: dict[str, Any] = {}
    for layer in {id(layer): layer for layer in inner_layers(model)}.values():
        if id(layer) in inside or not (_is_whole(layer) or _is_leaf(layer)):
            continue
        number = 1 + sum(name.split("@")[0] == layer.name for name in found)
        found[layer.name if number == 1 else f"{layer.name}@{number}"] = layer
    return found


def has_own_activation(layer) -> bool:
    """Whether a layer with weights applies an activation after them."""
    named = getattr(layer, "activation", None)
    return bool(layer.weights) and not _is_whole(layer) and named not in (None, keras.activations.linear)


def first(value):
    """Return the first tensor of what a layer takes or gives."""
    while isinstance(value, tuple | list):
        value = value[0]
    return next(iter(value.values())) if isinstance(value, dict) else value


def _is_whole(layer) -> bool:
    kind = kinds.of_keras(layer)
    return kind is not None and kind.whole


def _is_leaf(layer) -> bool:
    return not inner_layers(layer) and not isinstance(layer, keras.layers.InputLayer)
