"""Rprop, which Keras does not have."""

import keras
import tensorflow as tf

from keras_blitz.optim.base import Optimizer, like
from keras_blitz.optim.groups import Groups
from keras_blitz.optim.options import Options, Slots


@keras.saving.register_keras_serializable("keras_blitz")
class Rprop(Optimizer):
    """A step of its own for each value, which only the signs of the gradients change; for whole batches.

    δ ← δ · η₊ where g · g′ > 0, δ · η₋ where g · g′ < 0, within the bounds        δ = lr before the first step
    g ← 0 where g · g′ < 0
    p ← p − sign(g) · δ
    g′ ← g

    Args:
        lr: the first δ, ≥ 0, or a Keras schedule; what it is later does not matter.
        etas: (η₋, η₊), 0 < η₋ < 1 < η₊.
        step_sizes: the least and the greatest δ.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/rprop.py.
    """

    def __init__(
        self,
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("prev", "step_size")

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        (shrink, grow), (least, most) = options["etas"], options["step_sizes"]
        before, size = slots["prev"], slots["step_size"]
        product = g * before
        shrunk = tf.where(product < 0, tf.constant(shrink, p.dtype), 1)
        factor = tf.where(product > 0, tf.constant(grow, p.dtype), shrunk)
        size.assign(tf.where(options["step"] == 1, like(p, options["lr"]), size))  # the rate of that moment
        size.assign(tf.clip_by_value(size * factor, tf.constant(least, p.dtype), tf.constant(most, p.dtype)))
        g = tf.where(product < 0, tf.zeros_like(g), g)
        p.assign_sub(tf.sign(g) * size)
        before.assign(g)
