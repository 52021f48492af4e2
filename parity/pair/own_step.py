"""One step of the user's own `train_step`, which `fit` runs: it must be the step that was compared."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from keras_blitz.floatx import precision
from parity.core import tolerance
from parity.core.trace import Trace, array_of
from parity.pair import feed, step
from parity.pair.guard import guarded
from parity.pair.options import typed
from parity.pair.port import Port

OWN = ("train_step", "compute_loss")  # what a subclass may define in its own way


def doubt(port: Port, trace: Trace, truth: Trace) -> str:
    """Say where `fit` does another step than the one that was compared; "" where it does the same, or nobody asked.

    Runs the model's own `train_step` once, from the same weights, where it was compiled with what is compared.

    Args:
        port: the user's own model, after it was recorded.
        trace: what was recorded of the model.
        truth: PyTorch's trace.
    """
    options = port.options
    if not options.compiled:
        return unlike(port)
    if not options.steps or not isinstance(port.model, keras.Model):
        return ""
    wrong = _difference(port, trace, truth)
    if not wrong:
        return ""
    remedy = "" if options.train else "; fit trains in train mode: give train=True"
    return f"the Keras model's own train_step makes another step than the one that was compared: {wrong}{remedy}"


def unlike(port: Port) -> str:
    """Say that a model's class makes a step of its own, which was not compared; "" where it makes Keras's, or none."""
    model, options = port.model, port.options
    if not isinstance(model, keras.Model):
        return ""
    compiled_loss = bool(options.loss) and isinstance(options.loss[1], step.CompiledLoss)  # own_loss.py takes its own
    looked_at = [*(OWN[:1] if options.steps else ()), *(OWN[1:] if options.loss and not compiled_loss else ())]
    usual = {name: getattr(keras.Model, name) for name in looked_at}
    own = [name for name in looked_at if name in vars(model) or getattr(type(model), name) is not usual[name]]
    if not own:
        return ""
    remedy = "" if options.compiled else (
        ': compile the model and give loss=(…, "compiled") and optimizer=(…, "compiled")'
    )  # fmt: skip
    return f"the Keras model has its own {' and '.join(own)}, which fit runs and this check did not{remedy}"


def _difference(port: Port, trace: Trace, truth: Trace) -> str:
    """Return which parameter or buffer differs after the model's own step, "" where none does."""
    for weight in port.pairing.weights:
        if weight.name in port.start:
            weight.assign(port.start[weight.name])
    with precision(port.dtype), _with_fresh_optimizer(port.model):
        guarded("the Keras model's train_step", _step, port, truth)
    for weight in port.pairing.weights:
        name = f"step1:{'param' if weight.trainable else 'buffer'}:{weight.name}"
        if name not in trace:
            continue
        compared, own = array_of(trace, name), weight.value()
        scale = np.abs(compared).max(initial=0.0)
        far = np.abs(own.astype("float64") - compared).max(initial=0.0)
        if not far <= max(tolerance.SAME_VALUE * scale, np.finfo("float32").tiny):
            return f"{weight.name} is {far / scale if scale else far:.1e} of its scale away after it"
    return ""


def _step(port: Port, truth: Trace) -> None:
    x = feed.structured(port.theirs, port.model, feed.tensors(port.theirs, port.model, port.dtype))
    target = typed(port.options.target, port.dtype)
    y = keras.tree.map_structure(
        lambda value: tf.constant(port.layout_of(truth, "target", value.shape).to_keras(value)), target
    )
    weight = step.sample_weight(port.options, port.dtype)
    port.model.train_step((x, y) if weight is None else (x, y, tf.constant(weight)))


@contextmanager
def _with_fresh_optimizer(model: keras.Model) -> Iterator[None]:
    """Let the model train with a new optimizer of its settings, and put its own and its metrics back."""
    before = model.optimizer
    held = [(variable, variable.numpy()) for metric in model.metrics for variable in metric.variables]
    keras_internals.set_untracked(model, "optimizer", step.optimizer_of(before))
    try:
        yield
    finally:
        keras_internals.set_untracked(model, "optimizer", before)
        for variable, value in held:
            variable.assign(value)
