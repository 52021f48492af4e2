"""Adamax."""

import keras
import tensorflow as tf

from keras_blitz.optim.base import MomentumOptimizer, lerp, like
from keras_blitz.optim.groups import Groups
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class Adamax(MomentumOptimizer):
    """Adam with the largest gradient in place of the root of the mean square.

    g ← g + wd · p
    m ← m + (1 − β₁) · (g − m)
    u ← max(β₂ · u, |g| + ε)
    p ← p − lr / (1 − β₁ᵗ) · m / u

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule; Keras's is 1e-3.
        betas: (β₁, β₂) in [0, 1).
        eps: ε, ≥ 0; Keras's is 1e-7, and it adds it to u where it divides (gap opt-adamax: 4.2e-8, values copied).
        weight_decay: wd, ≥ 0, added to the gradient; that of Keras is decoupled.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/adamax.py.
    """

    def __init__(
        self,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        lr, beta1, (_, beta2), t = options["lr"], options["beta1"], options["betas"], options["step"]
        m, u = slots["exp_avg"], slots["exp_inf"]
        m.assign(lerp(m, g, like(p, 1 - beta1)))
        u.assign(tf.maximum(beta2 * u, tf.abs(g) + options["eps"]))
        p.assign_sub(like(p, lr / (1 - beta1**t)) * m / u)
