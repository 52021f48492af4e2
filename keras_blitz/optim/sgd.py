"""SGD with momentum."""

import keras
import tensorflow as tf

from keras_blitz.optim import fused
from keras_blitz.optim.base import MomentumOptimizer, like
from keras_blitz.optim.groups import Groups
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class SGD(MomentumOptimizer):
    """Stochastic gradient descent.

    g ← g + wd · p
    b ← μ · b + (1 − d) · g        b = g at the first step
    p ← p − lr · b                 nesterov: p ← p − lr · (g + μ · b)

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule.
        momentum: μ, ≥ 0. The velocity of Keras's SGD has the rate in it, so that old gradients keep the rate they came
            with; a new rate here scales all of the buffer (gap opt-sgd-lr-change: 1.3 after a change).
        dampening: d, not in the first step; Keras has none (gap opt-sgd-dampening: 7.9e-1).
        weight_decay: wd, ≥ 0, goes through the momentum; that of Keras is decoupled, as AdamW's (gap
            opt-sgd-weight-decay: 8.7e-2).
        nesterov: look ahead; needs a momentum and no dampening.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/sgd.py.
    """

    _cycled = "momentum"
    _private_slots = ("step",)

    def __init__(
        self,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("momentum_buffer",) if options["momentum"] else ()

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        if fused.update_sgd(p, g, slots, options):
            return
        if slots:
            b, mu = slots["momentum_buffer"], like(p, options["momentum"])
            b.assign(mu * b + _share(p, slots, options) * g)
            g = g + mu * b if options["nesterov"] else b
        p.assign_sub(like(p, options["lr"]) * g)


def _share(p: tf.Variable, slots: Slots, options: Options) -> tf.Tensor:
    """Return 1 − d, and 1 at the first step."""
    dampening = options["dampening"]
    return like(p, tf.where(slots["step"] == 1, tf.constant(1.0, tf.float64), 1 - dampening))
