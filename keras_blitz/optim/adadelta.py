"""Adadelta."""

import keras
import tensorflow as tf

from keras_blitz.optim.base import Optimizer, like
from keras_blitz.optim.groups import Groups
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class Adadelta(Optimizer):
    """Gradients scaled by the running size of the steps over that of the gradients.

    g ← g + wd · p
    v ← ρ · v + (1 − ρ) · g²
    Δ = √(u + ε) / √(v + ε) · g
    u ← ρ · u + (1 − ρ) · Δ²
    p ← p − lr · Δ

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule; Keras's is 1e-3.
        rho: ρ, 0–1; Keras's is 0.95.
        eps: ε, ≥ 0; Keras's is 1e-7 (gap opt-adadelta: 2.7e-2 with the defaults of each, the algebra is the same).
        weight_decay: wd, ≥ 0, added to the gradient; that of Keras is decoupled.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/adadelta.py.
    """

    def __init__(
        self,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        rho, eps = options["rho"], options["eps"]
        v, u = slots["square_avg"], slots["acc_delta"]
        v.assign(rho * v + (1 - rho) * g * g)
        delta = tf.sqrt(u + eps) / tf.sqrt(v + eps) * g
        u.assign(rho * u + (1 - rho) * delta * delta)
        p.assign_sub(like(p, options["lr"]) * delta)
