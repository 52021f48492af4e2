"""SparseAdam, which Keras does not have."""

from typing import Any

import keras
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.optim.base import MomentumOptimizer, like
from keras_blitz.optim.groups import Groups, parameter_name
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class SparseAdam(MomentumOptimizer):
    """Adam for the rows of an embedding that took part in a step; the others keep their values and averages.

    m ← m + (1 − β₁) · (g − m)              of those rows alone
    v ← v + (1 − β₂) · (g² − v)
    p ← p − lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)

    t counts the steps of the parameter, not those of a row. The gradient must be `IndexedSlices`, which a lookup makes;
    repeated indices are summed first.

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule.
        betas: (β₁, β₂) in [0, 1).
        eps: ε, ≥ 0.
        maximize: go up.
        groups: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: a gradient that is dense; see `Optimizer`.

    Source: torch/optim/sparse_adam.py.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        maximize: bool = False,
        groups: Groups = (),
        name: str | None = None,
    ):
        super().__init__({"lr": lr, "betas": betas, "eps": eps, "maximize": maximize}, groups, name)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _as_gradient(self, gradient: Any, variable: Any, options: Options) -> tf.IndexedSlices:
        """Return the gradient with each row once."""
        if not isinstance(gradient, tf.IndexedSlices):
            raise BlitzError(f"SparseAdam: the gradient of {parameter_name(variable)} is dense; use Adam for it")
        rows, places = tf.unique(gradient.indices)
        values = tf.math.unsorted_segment_sum(tf.cast(gradient.values, variable.dtype), places, tf.size(rows))
        return tf.IndexedSlices(-values if options["maximize"] else values, rows)

    def _update(self, p: tf.Variable, g: tf.IndexedSlices, slots: Slots, options: Options) -> None:
        lr, beta1, (_, beta2), t = options["lr"], options["beta1"], options["betas"], options["step"]
        m, v = (tf.gather(slots[key], g.indices) for key in ("exp_avg", "exp_avg_sq"))
        m += like(p, 1 - beta1) * (g.values - m)
        v += (1 - beta2) * (g.values * g.values - v)
        rate = lr * tf.sqrt(1 - beta2**t) / (1 - beta1**t)
        for key, rows in (("exp_avg", m), ("exp_avg_sq", v)):
            slots[key].scatter_update(tf.IndexedSlices(rows, g.indices))
        p.scatter_sub(tf.IndexedSlices(like(p, rate) * m / (tf.sqrt(v) + options["eps"]), g.indices))
