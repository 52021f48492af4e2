"""RAdam, which Keras does not have."""

import keras
import tensorflow as tf

from keras_blitz.optim.base import MomentumOptimizer, lerp, like
from keras_blitz.optim.groups import Groups
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class RAdam(MomentumOptimizer):
    """Rectified Adam: it adapts only when v is of enough gradients.

    g ← g + wd · p
    m ← m + (1 − β₁) · (g − m)
    v ← β₂ · v + (1 − β₂) · g²
    ρ∞ = 2 / (1 − β₂) − 1        ρ = ρ∞ − 2 · t · β₂ᵗ / (1 − β₂ᵗ)
    p ← p − lr · m / (1 − β₁ᵗ) · √(1 − β₂ᵗ) / (√v + ε) · r        r² = (ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ)
    p ← p − lr · m / (1 − β₁ᵗ)                                    where ρ ≤ 5

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule.
        betas: (β₁, β₂) in [0, 1).
        eps: ε, ≥ 0.
        weight_decay: wd, ≥ 0.
        decoupled_weight_decay: p ← p · (1 − lr · wd) instead of g ← g + wd · p.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/radam.py.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        lr, beta1, (_, beta2), t = options["lr"], options["beta1"], options["betas"], options["step"]
        m, v = slots["exp_avg"], slots["exp_avg_sq"]
        m.assign(lerp(m, g, like(p, 1 - beta1)))
        v.assign(beta2 * v + (1 - beta2) * g * g)
        rho_inf = 2 / (1 - beta2) - 1
        rho = rho_inf - 2 * t * beta2**t / (1 - beta2**t)
        plain = m / like(p, 1 - beta1**t) * like(p, lr)
        adaption = like(p, tf.sqrt(1 - beta2**t)) / (tf.sqrt(v) + options["eps"])
        p.assign_sub(tf.where(rho > 5.0, plain * adaption * like(p, _rect(rho, rho_inf)), plain))


def _rect(rho: tf.Tensor, rho_inf: float) -> tf.Tensor:
    """Return r; NaN where ρ is too small for it, which is not used then."""
    return tf.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
