"""RMSprop."""

import keras
import tensorflow as tf

from keras_blitz.optim.base import MomentumOptimizer, lerp, like
from keras_blitz.optim.groups import Groups
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class RMSprop(MomentumOptimizer):
    """Gradients divided by a running root of their mean square.

    g ← g + wd · p
    v ← α · v + (1 − α) · g²
    a = √v + ε        centered: m ← m + (1 − α) · (g − m), a = √(v − m²) + ε
    b ← μ · b + g / a
    p ← p − lr · b        without momentum: p ← p − lr · g / a

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule; Keras's is 1e-3.
        alpha: α, ≥ 0; Keras calls it rho, 0.9 (gap opt-rmsprop: 4.0e-1 with the defaults of each).
        eps: ε, ≥ 0; Keras's is 1e-7 and stands inside the root (gap opt-rmsprop: 1.8e-1 with the values copied).
        weight_decay: wd, ≥ 0, added to the gradient; that of Keras is decoupled.
        momentum: μ, ≥ 0; Keras's buffer has the rate in it (gap opt-rmsprop-momentum-centered: 9.9e-2).
        centered: divide by the running deviation, not the root of the mean square.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/rmsprop.py.
    """

    _cycled = "momentum"

    def __init__(
        self,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        momentum = ["momentum_buffer"] if options["momentum"] else []
        return ("square_avg", *momentum, *(["grad_avg"] if options["centered"] else []))

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        lr, alpha = like(p, options["lr"]), options["alpha"]
        v = slots["square_avg"]
        v.assign(alpha * v + (1 - alpha) * g * g)
        if options["centered"]:
            m = slots["grad_avg"]
            m.assign(lerp(m, g, tf.constant(1 - alpha, p.dtype)))
            a = tf.sqrt(v - m * m) + options["eps"]
        else:
            a = tf.sqrt(v) + options["eps"]
        if "momentum_buffer" in slots:
            b = slots["momentum_buffer"]
            b.assign(like(p, options["momentum"]) * b + g / a)
            p.assign_sub(lr * b)
        else:
            p.assign_sub(lr * g / a)
