"""Runs a Keras model and records its trace in PyTorch's names and layouts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.layers import Dropout, Dropout2d
from keras_blitz.weights import layout
from keras_blitz.weights.mapping import weights
from parity.trace import ABSENT, Trace, Value, kind_of, named_outputs

MODES = ("eager", "graph", "xla")


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
    ):
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
        self.model, self.loss, self.optimizer, self.clip = model, loss, optimizer, clip
        self.train, self.keep = train, keep
        self.weights = weights(model)
        self.parameters = [weight for weight in self.weights if weight.trainable]
        self.buffers = [weight for weight in self.weights if not weight.trainable]
        self.flow = layout.flow(model)
        if masks is not None:
            self._inject(masks)
        if optimizer is not None:
            optimizer.build([weight.variable for weight in self.parameters])
            self._fresh = [_folded(variable.numpy()) for variable in optimizer.variables]
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
        inputs: np.ndarray,
        target: np.ndarray | None = None,
        steps: int = 0,
        plan: Callable | None = None,
    ) -> Trace:
        """Load weights, run, and return the trace.

        Args:
            state: PyTorch's names to values for all of the model's weights; rounded to the model's dtype.
            inputs: PyTorch's layout (N, C, H, W).
            target: what `loss` takes; PyTorch's layout.
            steps: optimizer steps on the same batch; the first one's forward pass is what is recorded in detail.
            plan: optimizer -> what is called with the number of each step behind it, and may change the learning rate.
        """
        self._load(state)
        if self.optimizer is not None:
            for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
                variable.assign(value)
        lies = layout.by_rank(inputs.ndim)
        x = tf.constant(lies.to_keras(inputs))
        y = None if target is None else tf.constant(layout.by_rank(target.ndim).to_keras(target))
        trace = Trace(keep=self.keep, framework="tensorflow", version=tf.__version__, keras=keras.__version__)
        trace.add("input", lies.to_torch(x.numpy()))
        self._add_parameters(trace, "")
        after = plan(self.optimizer) if plan else None
        for step in range(1, max(steps, 1) + 1):
            activations, output, loss, gradients = self._step(x, y)
            if step == 1:
                self._add_pass(trace, activations, output, loss, gradients, lies)
                if not steps:  # else they are step1's
                    self._add_buffers(trace, "")
            del activations, output, gradients  # VGG's are 1.5 GB
            if steps:
                trace.add(f"step{step}:loss", loss.numpy())
                self._add_parameters(trace, f"step{step}:")
                self._add_buffers(trace, f"step{step}:")
                self._add_slots(trace, f"step{step}:")
            if after:
                after(step)
        return trace

    def isolate(self, state: Mapping[str, np.ndarray], truth: Mapping[str, Value]) -> Trace:
        """Give each layer what PyTorch's module of its name was given, and return what it makes of that.

        So an error in one layer does not colour those behind it. Runs in eager mode, layer by layer.

        Args:
            state: as in `record`.
            truth: a trace with `fed:path` for each module.
        """
        self._load(state)
        layers = {layer.name: layer for layer in self.model._flatten_layers(include_self=False)}
        trace = Trace(keep=self.keep)
        for name, given in truth.items():
            path, _, number = name.removeprefix("fed:").partition("#")
            if kind_of(name) != "fed" or path not in layers:
                continue
            x = tf.constant(self._lies_fed(path, given.ndim).to_keras(given))
            takes_mode = layers[path]._call_has_training_arg
            value = layers[path](x, **({"training": self.train} if takes_mode else {}))
            way = self.flow.outputs.get((path, int(number or 1) - 1)) or layout.by_rank(len(value.shape))
            trace.add(name.replace("fed:", "activation:", 1), way.to_torch(value.numpy()))
        return trace

    def _lies_fed(self, path: str, rank: int) -> layout.Layout:
        sizes = self.flow.flattened_inputs.get(path)
        return layout.flattened(sizes) if sizes else layout.by_rank(rank)

    def _load(self, state: Mapping[str, np.ndarray]) -> None:
        for weight in self.weights:
            weight.variable.assign(weight.layout.to_keras(state[weight.name].astype(weight.variable.dtype)))

    def _run(self, x, y):
        """One forward and backward pass, and the update where there is an optimizer."""
        with tf.GradientTape() as tape:
            tape.watch(x)
            with recorded_calls(self.model) as activations:
                output = self.model(x, training=self.train)
            loss = None if self.loss is None else self.loss(y, output)
        if loss is None:
            return dict(activations), output, None, []
        variables = [weight.variable for weight in self.parameters]
        gradients = tape.gradient(loss, [x, *variables])
        gradients = [
            gradient if variable is x or variable.trainable else None
            for gradient, variable in zip(gradients, [x, *variables], strict=True)
        ]
        present = [(g, v) for g, v in zip(gradients[1:], variables, strict=True) if g is not None]
        if self.optimizer is not None and present:
            taken, updated = map(list, zip(*present, strict=True))
            self.optimizer.apply(self.clip(taken) if self.clip else taken, updated)
        return dict(activations), output, loss, gradients

    def _add_parameters(self, trace: Trace, prefix: str) -> None:
        for weight in self.parameters:
            trace.add(f"{prefix}param:{weight.name}", weight.value())

    def _add_buffers(self, trace: Trace, prefix: str) -> None:
        for weight in self.buffers:
            trace.add(f"{prefix}buffer:{weight.name}", weight.value())

    def _add_slots(self, trace: Trace, prefix: str) -> None:
        """Record the optimizer's state; Keras's own optimizers do not say which parameter a slot is of."""
        of = {id(weight.variable): weight for weight in self.parameters}
        for slot in getattr(self.optimizer, "slots", tuple)():
            weight, value = of[id(slot.parameter)], np.asarray(slot.variable.numpy())
            value = weight.layout.to_torch(value) if value.ndim else _scalar_slot(value, slot.parameter.dtype)
            trace.add(f"{prefix}slot:{slot.key}:{weight.name}", value)

    def _add_pass(self, trace: Trace, activations, output, loss, gradients, lies) -> None:
        for (name, call), value in activations.items():
            way = self.flow.outputs.get((name, call)) or layout.by_rank(len(value.shape))
            trace.add(f"activation:{name}" + (f"#{call + 1}" if call else ""), way.to_torch(value.numpy()))
        for name, value in named_outputs(output):
            trace.add(name, layout.by_rank(len(value.shape)).to_torch(value.numpy()))
        if loss is None:
            return
        trace.add("loss", loss.numpy())
        trace.add("grad:input", _gradient(gradients[0], lies))
        for weight, gradient in zip(self.parameters, gradients[1:], strict=True):
            trace.add(f"grad:{weight.name}", _gradient(gradient, weight.layout))


def _scalar_slot(value: np.ndarray, dtype: str) -> np.ndarray:
    """Return a scalar of the state, such as NAdam's product, which is float32 always, in the parameter's type."""
    return value.astype(dtype) if value.dtype.kind == "f" else value


def _folded(array: np.ndarray) -> np.ndarray:
    """Return an array of one value throughout, as an optimizer's slot is at first, in the memory of that value."""
    first = array.reshape(-1)[0]
    return np.broadcast_to(first, array.shape) if (array == first).all() else array


def _mask(masks: Callable, layer, lies: layout.Layout | None, shape: tuple[int, ...]) -> np.ndarray:
    lies = lies or layout.by_rank(len(shape))
    return lies.to_keras(masks(layer.name, lies.torch_shape(shape), layer.rate))


def _gradient(gradient, lies: layout.Layout):
    return ABSENT if gradient is None else lies.to_torch(tf.convert_to_tensor(gradient).numpy())


@contextmanager
def recorded_calls(model) -> Iterator[dict[tuple[str, int], tf.Tensor]]:
    """Collect what each layer returns, by (layer name, number of the call from 0), while the block runs the model.

    A layer's `call` is wrapped for the block, as a forward hook is in PyTorch; so it works in eager mode, while
    `tf.function` traces, and for subclassed models, which have no graph to read intermediate tensors from.
    """
    recorded: dict[tuple[str, int], tf.Tensor] = {}
    wrapped = [layer for layer in model._flatten_layers(include_self=False) if _is_leaf(layer)]

    def wrap(layer):
        call = layer.call

        def recording(*args, **kwargs):
            result = call(*args, **kwargs)
            number = sum(name == layer.name for name, _ in recorded)
            recorded[layer.name, number] = result
            return result

        return recording

    # Past Keras's own __setattr__, which would track the wrapper as part of the layer's state.
    for layer in wrapped:
        object.__setattr__(layer, "call", wrap(layer))
    try:
        yield recorded
    finally:
        for layer in wrapped:
            object.__delattr__(layer, "call")


def _is_leaf(layer) -> bool:
    inner = list(layer._flatten_layers(include_self=False))
    return not inner and not isinstance(layer, keras.layers.InputLayer)
