"""Adam and AdamW."""

from typing import Any

import keras
import tensorflow as tf

from keras_blitz.optim.base import MomentumOptimizer, lerp, like
from keras_blitz.optim.groups import Groups
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class Adam(MomentumOptimizer):
    """Adaptive moments.

    g ← g + wd · p
    m ← m + (1 − β₁) · (g − m)
    v ← β₂ · v + (1 − β₂) · g²        amsgrad: v̂ ← max(v̂, v) stands for v in what follows
    p ← p − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule.
        betas: (β₁, β₂) in [0, 1). Keras computes 1 − βᵗ in the parameter's dtype, here as PyTorch in float64 (gap
            opt-adam-f32-step1: 7e-6 relative in float32).
        eps: ε, ≥ 0, added after the bias correction. Keras has 1e-7 (gap opt-adam-eps-default: 2.8e-2), and adds it
            before (gap opt-adam-eps-position: 6.3e-3 with tiny gradients).
        weight_decay: wd, ≥ 0, added to the gradient; that of Keras is decoupled (gap opt-adam-weight-decay: 3.8e-2).
        amsgrad: divide by the largest v so far.
        maximize: go up.
        decoupled_weight_decay: p ← p · (1 − lr · wd) instead of g ← g + wd · p.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/adam.py.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if options["amsgrad"] else []))

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        lr, beta1, (_, beta2), t = options["lr"], options["beta1"], options["betas"], options["step"]
        m, v = slots["exp_avg"], slots["exp_avg_sq"]
        m.assign(lerp(m, g, like(p, 1 - beta1)))
        v.assign(beta2 * v + (1 - beta2) * g * g)
        if options["amsgrad"]:
            v = slots["max_exp_avg_sq"]
            v.assign(tf.maximum(v, slots["exp_avg_sq"]))
        denominator = tf.sqrt(v) / like(p, tf.sqrt(1 - beta2**t)) + options["eps"]
        p.assign_sub(like(p, lr / (1 - beta1**t)) * m / denominator)


@keras.saving.register_keras_serializable("keras_blitz")
class AdamW(Adam):
    """Adam with decoupled weight decay.

    p ← p · (1 − lr · wd)
    then as Adam without weight decay

    Args:
        lr: see `Adam`.
        betas: see `Adam`.
        eps: see `Adam`.
        weight_decay: wd, ≥ 0; Keras's is 4e-3 (gap opt-adamw: 2.8e-2 with the defaults of each).
        amsgrad: see `Adam`.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/adamw.py.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        super().__init__(
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
            groups=groups,
            clip_grad_norm=clip_grad_norm,
            name=name,
        )

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        del config["decoupled_weight_decay"]
        return config
