"""Adafactor."""

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.optim.base import Optimizer, lerp, like
from keras_blitz.optim.groups import Groups, parameter_name
from keras_blitz.optim.options import Options, Rules, Slots, is_number, pair


@keras.saving.register_keras_serializable("keras_blitz")
class Adafactor(Optimizer):
    """Adam without momentum whose v is kept as a row and a column.

    p ← p · (1 − lr · wd)                        s = t^decay
    r ← r + s · (meanⱼ g² − r)        c ← c + s · (meanᵢ g² − c)        v = r · c / max(mean r, ε₁)
    v ← v + s · (g² − v)                         for a vector or a scalar
    u = g / √max(v, ε₁²)
    p ← p − α · u / max(1, rms(u) / d)           α = max(ε₂, rms(p)) · min(lr, 1 / √t)

    i and j are the last two axes in PyTorch's layout: of a dense kernel both; of a convolution's kernel its height and
    width. Keras's Adafactor takes the last two of its own layout, and its defaults are others.

    Args:
        lr: learning rate, ≥ 0, or a Keras schedule.
        beta2_decay: decay, ≤ 0.
        eps: (ε₁, ε₂), ≥ 0; an ε₁ of None is the dtype's epsilon.
        d: the most that rms(u) may be, ≥ 1.
        weight_decay: wd, ≥ 0, decoupled.
        maximize: go up.
        groups: see `Optimizer`.
        clip_grad_norm: see `Optimizer`.
        name: see `Optimizer`.

    Raises:
        BlitzError: see `Optimizer`.

    Source: torch/optim/_adafactor.py.
    """

    _own_rules: ClassVar[Rules] = {
        "eps": (
            pair(
                lambda value: value is None or (is_number(value) and value >= 0),
                lambda value: is_number(value) and value >= 0,
            ),
            "two numbers ≥ 0, of which the first may be None",
        ),
    }

    def __init__(
        self,
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        groups: Groups = (),
        clip_grad_norm: float | None = None,
        name: str | None = None,
    ):
        options = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(options, groups, name, clip_grad_norm)

    def _slot_keys(self, options: Options) -> tuple[str, ...]:
        return ("row_var", "col_var", "variance")

    def _make_slots(self, variable: Any, options: Options) -> Slots:
        slots = super()._make_slots(variable, options)
        return {key: slot for key, slot in slots.items() if slot is not None}

    def _make_slot(self, key: str, variable: Any, options: Options) -> Any:
        if (len(variable.shape) > 1) != (key in ("row_var", "col_var")):
            return None
        shape = list(variable.shape)
        if key != "variance":
            row, column = _last_axes(variable)
            shape[column if key == "row_var" else row] = 1
        return self.add_variable(shape, "zeros", dtype=variable.dtype, name=f"{parameter_name(variable)}_{key}")

    def _decayed(self, gradient: tf.Tensor, parameter: tf.Variable, options: Options) -> tf.Tensor:
        """Leave the parameter as it is: its size is measured before it decays."""
        return gradient

    def _update(self, p: tf.Variable, g: tf.Tensor, slots: Slots, options: Options) -> None:
        lr, t, (eps1, eps2) = options["lr"], options["step"], options["eps"]
        eps1 = p.dtype.as_numpy_dtype(np.finfo(p.dtype.as_numpy_dtype).eps if eps1 is None else eps1)
        alpha = tf.maximum(tf.cast(_rms(p), tf.float64), eps2) * tf.minimum(lr, 1 / tf.sqrt(t))
        if options["weight_decay"]:
            p.assign(p * like(p, 1 - lr * options["weight_decay"]))
        v = _variance(p, g * g, slots, like(p, t ** options["beta2_decay"]), eps1)
        u = g * tf.math.rsqrt(tf.maximum(v, eps1 * eps1))
        p.assign_sub(like(p, alpha / tf.maximum(tf.cast(_rms(u), tf.float64) / options["d"], 1.0)) * u)


def _variance(p: tf.Variable, squares: tf.Tensor, slots: Slots, share: tf.Tensor, eps: float) -> tf.Tensor:
    """Update what is kept of the squares; return the estimate of v."""
    if "variance" in slots:
        slots["variance"].assign(lerp(slots["variance"], squares, share))
        return tf.convert_to_tensor(slots["variance"])
    row, column = _last_axes(p)
    rows, columns = slots["row_var"], slots["col_var"]
    rows.assign(lerp(rows, tf.reduce_mean(squares, column, keepdims=True), share))
    columns.assign(lerp(columns, tf.reduce_mean(squares, row, keepdims=True), share))
    return rows * columns / tf.maximum(tf.reduce_mean(rows, row, keepdims=True), eps)


def _last_axes(variable: Any) -> tuple[int, int]:
    """Return the axes that are the last two in PyTorch's layout, where a kernel is (out, in, ...)."""
    rank = len(variable.shape)
    if not variable.name.split(":")[0].endswith("kernel"):
        return rank - 2, rank - 1
    order = (rank - 1, rank - 2, *range(rank - 2))
    return order[-2], order[-1]


def _rms(x: Any) -> tf.Tensor:
    return tf.sqrt(tf.reduce_mean(x * x))
