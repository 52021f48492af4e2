"""`model.fit` on several workers, which Keras 3.15 breaks off with an error: what is missing, and no more."""

from typing import Any

import keras
import tensorflow as tf


class FitOnWorkers(keras.Model):
    """What a model needs for `fit` and `evaluate` under `MultiWorkerMirroredStrategy`; a class to derive from.

    Keras's (3.15.1): before the first step `fit` hands a replica's batch to `strategy.reduce`, which takes none, to
    build a model that is built already; and it averages the metrics of a step over axis 0, but they are scalars.
    Ours: the model must be built, and the metrics have one axis.

    `tests/library/test_distributed_fit.py` fails as soon as Keras's own `fit` works.
    """

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Leave out Keras's: the model is built."""

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Take Keras's step; return its metrics with an axis."""
        return {name: tf.reshape(value, (1,)) for name, value in super().train_step(data).items()}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Take Keras's step; return its metrics with an axis."""
        return {name: tf.reshape(value, (1,)) for name, value in super().test_step(data).items()}


def for_fit(model: keras.Model) -> keras.Model:
    """Return a functional model whose `fit` runs on several workers; it shares every layer with the one it is made of.

    Call it under the strategy's scope, before `compile`. A subclassed model derives from `FitOnWorkers` instead.
    """
    outputs = model.outputs if len(model.outputs) > 1 else model.outputs[0]
    return FitOnWorkers(model.inputs, outputs, name=model.name)
