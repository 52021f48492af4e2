"""Adagrad."""

import keras
import tensorflow as tf

from keras_blitz.optim.base import Optimizer, like
from keras_blitz.optim.groups import Groups
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class Adagrad(Optimizer):
    """A rate for each value that falls with the gradients seen.

    g ← g + wd · p
    s ← s + g²
    p ← p − lr / (1 + (t − 1) · decay) · g / (√s + ε)

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule; Keras's is 1e-3.
        lr_decay: decay, ≥ 0; Keras has none.
        weight_decay: wd, ≥ 0, added to the gradient; that of Keras is decoupled.
        initial_accumulator_value: the first s, ≥ 0; Keras's is 0.1 (gap opt-adagrad: 1.9e-1 with the same rate).
        eps: ε, ≥ 0; Keras's is 1e-7 and stands inside the root (gap opt-adagrad: 1.6e-1 with the value copied).
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/adagrad.py.
    """

    _has_state_from_the_start = True

    def __init__(
        self,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("sum",)

    def _first_value(self, key: str, options: Options) -> float:
        return options["initial_accumulator_value"]

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        lr, t = options["lr"], options["step"]
        s = slots["sum"]
        s.assign_add(g * g)
        p.assign_sub(like(p, lr / (1 + (t - 1) * options["lr_decay"])) * g / (tf.sqrt(s) + options["eps"]))
