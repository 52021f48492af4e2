"""`torch.nn.utils.clip_grad_norm_` and `clip_grad_value_` on lists of gradients.

PyTorch's names, underscore and all, so that a port is found by them; but a tensor of TensorFlow cannot be changed in
place, so both return the clipped gradients. A gradient of None (a parameter that took no part) stays None and counts
for nothing, as in PyTorch.

Under a `tf.distribute` strategy a replica's gradients are a part of the sum that `optimizer.apply` makes; PyTorch's
DistributedDataParallel has the sum already when it clips. So both sum over the replicas first, and each replica returns
its share of the clipped sum. Keras's own `clipnorm` clips the parts.
"""

from collections.abc import Iterable

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.replicas import count_replicas, sum_over_replicas


def clip_grad_norm_(
    gradients: Iterable[tf.Tensor | None],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> tuple[list[tf.Tensor | None], tf.Tensor]:
    """Scale all gradients together so that their total norm is at most `max_norm`.

    total = ‖(‖g₁‖, ‖g₂‖, …)‖        ‖g‖ = (Σ |g|^p)^(1/p), p = norm_type
    g ← g · min(1, max_norm / (total + 1e-6))

    A total of `max_norm` itself is scaled too, by the 1e-6 (gap clip-grad-norm-just-below). Keras's `global_clipnorm`
    has no 1e-6 (gap clip-grad-norm: 1.1e-7), its `clipnorm` clips each gradient by itself (2.3e-1).

    Args:
        gradients: as `tape.gradient` returns them; `IndexedSlices` are made dense.
        max_norm: ≥ 0.
        norm_type: p: 2, 1, ±inf (largest, smallest magnitude), 0 (how many are not zero), any other.
        error_if_nonfinite: raise where the total is NaN or infinite; PyTorch and this otherwise scale by it.

    Returns:
        The clipped gradients, and the total norm before, in the widest of their dtypes.

    Raises:
        BlitzError: a single tensor, a negative `max_norm`, or a total that is not finite in eager mode.
        tf.errors.InvalidArgumentError: the same in a `tf.function`; under XLA nothing is raised.

    Source: torch/nn/utils/clip_grad.py.
    """
    gradients = _sum(_list(gradients))
    check_bound("max_norm", max_norm)
    total = _total_norm([gradient for gradient in gradients if gradient is not None], norm_type)
    if error_if_nonfinite:
        total = _finite(total)
    scale = tf.minimum(max_norm / (total + 1e-6), 1.0)
    clipped = [None if gradient is None else gradient * tf.cast(scale, gradient.dtype) for gradient in gradients]
    return _share(clipped), total


def clip_grad_value_(gradients: Iterable[tf.Tensor | None], clip_value: float) -> list[tf.Tensor | None]:
    """Clip every element of every gradient to [−clip_value, clip_value].

    Args:
        gradients: as `tape.gradient` returns them; `IndexedSlices` are made dense.
        clip_value: ≥ 0.

    Returns:
        The clipped gradients.

    Raises:
        BlitzError: a single tensor, or a negative `clip_value`.

    Source: torch/nn/utils/clip_grad.py.
    """
    check_bound("clip_value", clip_value)
    return _share([
        None if gradient is None else tf.clip_by_value(gradient, -clip_value, clip_value)
        for gradient in _sum(_list(gradients))
    ])  # fmt: skip


def _list(gradients: Iterable[tf.Tensor | None]) -> list[tf.Tensor | None]:
    if tf.is_tensor(gradients):
        raise BlitzError("gradients must be a list of tensors, not one tensor")
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]


def _sum(gradients: list[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """Return the gradients that `apply` would use: summed over the replicas, where there are several."""
    present = iter(sum_over_replicas([gradient for gradient in gradients if gradient is not None]))
    return [None if gradient is None else next(present) for gradient in gradients]


def _share(gradients: list[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """Return each replica's share of gradients that all replicas have: `apply` adds the shares up again."""
    replicas = count_replicas()
    if replicas == 1:
        return gradients
    return [None if gradient is None else gradient / replicas for gradient in gradients]


def check_bound(argument: str, value: float) -> None:
    """Refuse a bound below 0.

    Raises:
        BlitzError: it is below 0, or NaN.
    """
    if not value >= 0:
        raise BlitzError(f"{argument} must be ≥ 0, not {value!r}")


def _total_norm(gradients: list[tf.Tensor], norm_type: float) -> tf.Tensor:
    if not gradients:
        return tf.zeros(())
    widest = max((gradient.dtype for gradient in gradients), key=lambda dtype: dtype.size)
    # A norm of norms, in PyTorch's order, so that the rounding is PyTorch's.
    return _norm(tf.stack([tf.cast(_norm(gradient, norm_type), widest) for gradient in gradients]), norm_type)


def _norm(values: tf.Tensor, p: float) -> tf.Tensor:
    magnitudes = tf.abs(values)
    if p == float("inf"):
        return tf.reduce_max(magnitudes)
    if p == float("-inf"):
        return tf.reduce_min(magnitudes)
    if p == 0:
        return tf.cast(tf.math.count_nonzero(values), values.dtype)
    if p == 1:
        return tf.reduce_sum(magnitudes)
    if p == 2:
        return tf.sqrt(tf.reduce_sum(values * values))
    return tf.reduce_sum(magnitudes**p) ** (1 / p)


def _finite(total: tf.Tensor) -> tf.Tensor:
    message = "the total norm of the gradients is not finite; error_if_nonfinite=False scales by it all the same"
    if tf.executing_eagerly() and not tf.math.is_finite(total):
        raise BlitzError(f"{message} (it is {float(total)})")
    return tf.debugging.check_numerics(total, message)
