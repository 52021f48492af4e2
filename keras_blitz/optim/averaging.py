"""The average of a model's weights over a run: `torch.optim.swa_utils`."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.keras_internals import inner_layers
from keras_blitz.layers import BatchNorm
from keras_blitz.weights.mapping import named_parameters


class AveragedModel:
    """A copy of a model whose parameters are the average of those that the model had (SWA), or their moving average.

    a ← p                               at the first update
    a ← a + (p − a) / (n + 1)           the mean of all, n updates before
    a ← d · a + (1 − d) · p             decay = d

    Keras's optimizers have `use_ema`, which has no plain mean, takes no copy of the buffers, and overwrites the model.

    Args:
        model: a built model that `from_config` can make again.
        decay: d in [0, 1]; None: the mean. PyTorch's `get_ema_multi_avg_fn(d)`.
        use_buffers: average BatchNorm's running statistics too; otherwise they are copied at each update.

    Raises:
        BlitzError: the model is not built, or d is outside [0, 1].

    Attributes:
        module: the copy, a Keras model.
        n_averaged: how many updates there were.

    Source: torch/optim/swa_utils.py.
    """

    def __init__(self, model: keras.Model, decay: float | None = None, use_buffers: bool = False):
        if decay is not None and not 0 <= decay <= 1:
            raise BlitzError(f"decay must be in [0, 1], not {decay!r}")
        if not model.built:
            raise BlitzError(
                f"{model.name} has no weights yet: call it once on data, or give it an input, before it is averaged"
            )
        self.decay, self.use_buffers, self.n_averaged = decay, use_buffers, 0
        self.module = type(model).from_config(model.get_config())
        if not self.module.built:
            self.module.build(model.input_shape)
        self.module.set_weights(model.get_weights())
        self._model = model
        parameters = {id(variable) for _, variable in named_parameters(model)}
        self._averages = [use_buffers or id(variable) in parameters for variable in model.weights]

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        """Return the copy's outputs."""
        return self.module(inputs, training=training)

    def update_parameters(self) -> None:
        """Take the model's parameters of now into the average."""
        for mine, now, averages in zip(self.module.weights, self._model.weights, self._averages, strict=True):
            is_copied = not averages or self.n_averaged == 0
            mine.assign(now.value if is_copied else self._average(mine.value, now.value))
        self.n_averaged += 1

    def _average(self, average: tf.Tensor, now: tf.Tensor) -> tf.Tensor:
        if not average.dtype.is_floating:  # BatchNorm's count of batches: PyTorch's float result is cut off
            if self.decay is None:
                return average + (now - average) // (self.n_averaged + 1)
            mean = self.decay * tf.cast(average, tf.float32) + (1 - self.decay) * tf.cast(now, tf.float32)
            return tf.cast(mean, average.dtype)
        if self.decay is None:
            return average + (now - average) / tf.cast(self.n_averaged + 1, average.dtype)
        return average + tf.constant(1 - self.decay, average.dtype) * (now - average)

    def callback(self, per: str = "epoch", start: int = 0) -> keras.callbacks.Callback:
        """Return a callback of `fit` that updates after each epoch, or batch, from number `start` on.

        Raises:
            BlitzError: another `per`.
        """

        def update(number: int, logs: Any = None) -> None:
            if number >= start:
                self.update_parameters()

        if per not in ("epoch", "batch"):
            raise BlitzError(f'per must be "epoch" or "batch", not {per!r}')
        return keras.callbacks.LambdaCallback(**{"on_epoch_end" if per == "epoch" else "on_train_batch_end": update})


def update_bn(data: Iterable[Any], model: keras.Model) -> None:
    """Set the running statistics of every BatchNorm to the mean over the batches, as an averaged model needs it.

    Args:
        data: batches; of a tuple or list, the first is the input.
        model: with `keras_blitz.layers.BatchNorm`; it runs in train mode, its parameters stay.

    Raises:
        BlitzError: it has Keras's own BatchNormalization, which cannot take the mean of all batches.

    Source: torch/optim/swa_utils.py.
    """
    layers = inner_layers(model)
    if others := [layer.name for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]:
        raise BlitzError(f"update_bn: {', '.join(others)} is Keras's own; use keras_blitz.layers.BatchNorm")
    norms = [layer for layer in layers if isinstance(layer, BatchNorm) and layer.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.moving_mean.assign(tf.zeros_like(norm.moving_mean.value))
        norm.moving_variance.assign(tf.ones_like(norm.moving_variance.value))
        norm.num_batches_tracked.assign(0)
        norm.momentum = None
    try:
        for batch in data if norms else ():
            model(batch[0] if isinstance(batch, (tuple, list)) else batch, training=True)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
