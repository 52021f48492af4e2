"""ASGD, which Keras does not have."""

from typing import Any

import keras
import tensorflow as tf

from keras_blitz.optim.base import Optimizer, like
from keras_blitz.optim.groups import Groups, parameter_name
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class ASGD(Optimizer):
    """Stochastic gradient descent with the average of the parameters beside them.

    g ← g + wd · p
    p ← p · (1 − λ · η) − η · g
    a ← a + μ · (p − a)
    η ← lr / (1 + λ · lr · t)^α        μ ← 1 / max(1, t − t₀)

    η and μ are float32 scalars (`eta`, `mu`), as PyTorch makes them unless its default dtype is float64. The average
    `ax` is kept, and used by nobody: that is PyTorch's.

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule.
        lambd: λ, the decay.
        alpha: α, the power of the falling rate.
        t0: t₀, the step after which it averages.
        weight_decay: wd, ≥ 0, added to the gradient.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/asgd.py.
    """

    def __init__(
        self,
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("eta", "mu", "ax")

    def _make_slot(self, key: str, variable: Any, options: Options) -> Any:
        if key == "ax":
            return super()._make_slot(key, variable, options)
        return self.add_variable((), "ones", dtype="float32", name=f"{parameter_name(variable)}_{key}")

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        lr, t, lambd = options["lr"], options["step"], options["lambd"]
        eta, mu, ax = slots["eta"], slots["mu"], slots["ax"]
        # The first step takes the rate of that moment.
        now = tf.cast(tf.where(t == 1, tf.cast(lr, tf.float32), eta), tf.float64)
        p.assign(p * like(p, 1 - lambd * now) - like(p, now) * g)
        ax.assign(tf.where(mu == 1, p, ax + (p - ax) * tf.cast(mu, p.dtype)))
        eta.assign(tf.cast(lr / (1 + lambd * lr * t) ** options["alpha"], tf.float32))
        mu.assign(tf.cast(1 / tf.maximum(t - options["t0"], 1.0), tf.float32))
