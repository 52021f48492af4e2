"""NAdam."""

from typing import Any

import keras
import tensorflow as tf

from keras_blitz.optim.base import MomentumOptimizer, lerp, like
from keras_blitz.optim.groups import Groups, parameter_name
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class NAdam(MomentumOptimizer):
    """Adam with Nesterov's momentum.

    g ← g + wd · p
    μₜ = β₁ · (1 − 0.96^(t · ψ) / 2)        q ← q · μₜ
    m ← m + (1 − β₁) · (g − m)
    v ← β₂ · v + (1 − β₂) · g²              a = √(v / (1 − β₂ᵗ)) + ε
    p ← p − lr · (1 − μₜ) / (1 − q) · g / a
    p ← p − lr · μₜ₊₁ / (1 − q · μₜ₊₁) · m / a

    q (`mu_product`) is a float32 scalar, as PyTorch makes it unless its default dtype is float64; a float64 q would be
    3.2e-11 away (gap opt-nadam).

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule; Keras's is 1e-3.
        betas: (β₁, β₂) in [0, 1).
        eps: ε, ≥ 0; Keras's is 1e-7.
        weight_decay: wd, ≥ 0, added to the gradient; that of Keras is decoupled.
        momentum_decay: ψ, ≥ 0; Keras's Nadam has 1 in its place (gap opt-nadam: 1.8e-3 with lr and ε copied).
        decoupled_weight_decay: p ← p · (1 − lr · wd) instead of g ← g + wd · p.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/nadam.py.
    """

    def __init__(
        self,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
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
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("mu_product", "exp_avg", "exp_avg_sq")

    def _make_slot(self, key: str, variable: Any, options: Options) -> Any:
        if key == "mu_product":
            return self.add_variable((), "ones", dtype="float32", name=f"{parameter_name(variable)}_mu_product")
        return super()._make_slot(key, variable, options)

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        lr, beta1, (_, beta2), t = options["lr"], options["beta1"], options["betas"], options["step"]
        m, v, product = slots["exp_avg"], slots["exp_avg_sq"], slots["mu_product"]
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (t * options["momentum_decay"]))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1) * options["momentum_decay"]))
        product.assign(product * tf.cast(mu, tf.float32))
        q = tf.cast(product, tf.float64)
        m.assign(lerp(m, g, like(p, 1 - beta1)))
        v.assign(beta2 * v + (1 - beta2) * g * g)
        a = tf.sqrt(v / like(p, 1 - beta2**t)) + options["eps"]
        p.assign_sub(like(p, lr * (1.0 - mu) / (1.0 - q)) * g / a)
        p.assign_sub(like(p, lr * mu_next / (1.0 - q * mu_next)) * m / a)
