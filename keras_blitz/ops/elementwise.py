"""T9: element by element, with PyTorch's dtypes and, at kinks, its gradients.

The forms with a trailing underscore write into the storage of their tensor, and every view of it sees that. A tensor of
TensorFlow cannot be written into: `add_(x, y)` returns what PyTorch would have left in `x`, of the dtype and shape of
`x`, and its name must be bound again, `x = add_(x, y)`. A `tf.Variable` is assigned, and returned.
"""

from collections.abc import Callable
from functools import wraps

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import (
    as_tensor,
    dimension,
    floating,
    kind,
    not_bool,
    only_floating,
    promoted,
    rounded,
    scalar,
    summed_to,
)


def abs(x):
    """Return |x|.

    NumPy `np.abs(x)`, PyTorch `torch.abs(x)`, TensorFlow `tf.abs(x)`. The gradient at 0 is 0 in both.

    >>> abs(tf.constant([-1.5, 2.0])).numpy()
    array([1.5, 2. ], dtype=float32)
    """
    x = not_bool("abs", x)

    @tf.custom_gradient
    def absolute(x):
        return tf.abs(x), lambda upstream: upstream * sign(x)  # 0 at NaN, too

    return absolute(x) if x.dtype.is_floating else tf.abs(x)


def neg(x):
    """Return −x.

    NumPy `-x`, PyTorch `torch.neg(x)`, TensorFlow `tf.negative(x)`. PyTorch refuses bool.

    >>> neg(tf.constant([-1, 2])).numpy()
    array([ 1, -2], dtype=int32)
    """
    return tf.negative(not_bool("neg", x))


def sign(x):
    """Return −1, 0 or 1; 0 for NaN.

    NumPy `np.sign(x)`, PyTorch `torch.sign(x)`, TensorFlow `tf.sign(x)`.
    Trap: sign(NaN) is NaN in NumPy and TensorFlow, 0 in PyTorch (gap op-sign).

    >>> sign(tf.constant([-3.0, 0.0, float("nan")])).numpy()
    array([-1.,  0.,  0.], dtype=float32)
    """
    x = as_tensor(x)
    if x.dtype == tf.bool:
        return x
    return tf.where(tf.math.is_nan(x), tf.zeros_like(x), tf.sign(x)) if x.dtype.is_floating else tf.sign(x)


def ceil(x):
    """Return the least integer ≥ x, in the dtype of x.

    NumPy `np.ceil(x)`, PyTorch `torch.ceil(x)`, TensorFlow `tf.math.ceil(x)`.
    Trap: the gradient is zero in PyTorch, None in TensorFlow (gap round-floor-grad). Integers pass through.

    >>> ceil(tf.constant([-1.5, 2.1])).numpy()
    array([-1.,  3.], dtype=float32)
    """
    return rounded("ceil", tf.math.ceil, x)


def floor(x):
    """Return the greatest integer ≤ x, in the dtype of x.

    NumPy `np.floor(x)`, PyTorch `torch.floor(x)`, TensorFlow `tf.floor(x)`.
    Trap: the gradient is zero in PyTorch, None in TensorFlow (gap round-floor-grad). Integers pass through.

    >>> floor(tf.constant([-1.5, 2.1])).numpy()
    array([-2.,  2.], dtype=float32)
    """
    return rounded("floor", tf.floor, x)


def add(x, y, alpha=1):
    """Return x + alpha · y.

    NumPy `x + y`, PyTorch `torch.add(x, y, alpha=2)`, TensorFlow `tf.add(x, y)`.
    Trap: TensorFlow raises on mixed dtypes, PyTorch promotes (gap op-type-promotion).

    >>> add(tf.constant([1, 2]), 0.5).numpy()
    array([1.5, 2.5], dtype=float32)
    """
    x, y = promoted("add", x, y)
    _check_alpha("add", alpha, x.dtype)
    if x.dtype == tf.bool:
        return tf.logical_or(x, y) if alpha else x
    return x + y if alpha == 1 else x + scalar(alpha, x.dtype) * y


def sub(x, y, alpha=1):
    """Return x − alpha · y.

    NumPy `x - y`, PyTorch `torch.sub(x, y)`, TensorFlow `tf.subtract(x, y)`. PyTorch refuses bool.

    >>> sub(tf.constant([1.0, 2.0]), 1).numpy()
    array([0., 1.], dtype=float32)
    """
    for operand in (x, y):
        if isinstance(operand, bool) or getattr(operand, "dtype", None) == tf.bool:
            raise BlitzError("sub does not take bool tensors; use logical_not or tf.math.logical_xor")
    x, y = promoted("sub", x, y)
    _check_alpha("sub", alpha, x.dtype)
    return x - y if alpha == 1 else x - scalar(alpha, x.dtype) * y


def mul(x, y):
    """Return x · y.

    NumPy `x * y`, PyTorch `torch.mul(x, y)`, TensorFlow `tf.multiply(x, y)`.
    Trap: a Python float times integers raises in TensorFlow, and is float32 in PyTorch (gap op-type-promotion).

    >>> mul(tf.constant([1, 2]), 2.0).numpy()
    array([2., 4.], dtype=float32)
    """
    x, y = promoted("mul", x, y)
    return tf.logical_and(x, y) if x.dtype == tf.bool else x * y


def div(x, y):
    """Return x / y, floating.

    NumPy `x / y`, PyTorch `torch.div(x, y)`, TensorFlow `tf.divide(x, y)`.
    Trap: int32 by int32 is float64 in TensorFlow, the default float32 in PyTorch (gap op-int-division).

    >>> div(tf.constant([1, 2]), tf.constant([2, 2])).numpy()
    array([0.5, 1. ], dtype=float32)
    """
    x, y = map(floating, promoted("div", x, y))
    return x / y


def addcmul(t, a, b, value=1):
    """Return t + value · a · b.

    NumPy `t + value * a * b`, PyTorch `torch.addcmul(t, a, b, value=0.1)`, TensorFlow the expression.

    >>> addcmul(tf.constant([1.0]), tf.constant([2.0]), tf.constant([3.0]), value=0.5).numpy()
    array([4.], dtype=float32)
    """
    t, a, b = promoted("addcmul", t, a, b)
    not_bool("addcmul", t)
    return t + scalar(value, t.dtype) * a * b


def addcdiv(t, a, b, value=1):
    """Return t + value · a / b.

    NumPy `t + value * a / b`, PyTorch `torch.addcdiv(t, a, b, value=0.1)`, TensorFlow the expression.
    Trap: PyTorch refuses integers.

    >>> addcdiv(tf.constant([1.0]), tf.constant([2.0]), tf.constant([4.0]), value=2).numpy()
    array([2.], dtype=float32)
    """
    if not any(as_tensor(each).dtype.is_floating for each in (a, b)):
        raise BlitzError("addcdiv does not divide integers; make one of the two floating")
    t, a, b = promoted("addcdiv", t, a, b)
    return t + scalar(value, t.dtype) * a / b


def clamp(x, min=None, max=None):
    """Return x within [min, max], where min > max: max.

    NumPy `np.clip(x, min, max)`, PyTorch `torch.clamp(x, min, max)`, TensorFlow `tf.clip_by_value(x, min, max)`.
    Trap: TensorFlow needs both bounds and, where they are crossed, gives min (gap clamp-min-gt-max). NaN stays NaN. The
    gradient is 1 within and at the bounds.

    >>> clamp(tf.constant([-1.0, 0.5, 2.0]), max=1).numpy()
    array([-1. ,  0.5,  1. ], dtype=float32)
    """
    if min is None and max is None:
        raise BlitzError("clamp: needs min, max or both")
    bounds = [bound for bound in (min, max) if bound is not None]
    x, *bounds = promoted("clamp", x, *bounds)
    not_bool("clamp", x)

    @tf.custom_gradient
    def clamped(x, *bounds):
        low = bounds[0] if min is not None else None
        high = bounds[-1] if max is not None else None
        found, below, above = x, tf.zeros_like(x, tf.bool), tf.zeros_like(x, tf.bool)
        if low is not None:
            found, below = tf.maximum(found, low), x < low
        if high is not None:
            found, above = tf.minimum(found, high), x > high
        found = tf.where(x != x, x, found)

        def gradient(upstream):
            none = tf.zeros_like(upstream)
            parts = [summed_to(tf.where((x != x) | below | above, none, upstream), x)]
            if low is not None:
                took_low = below if high is None else below & (low < high)
                parts.append(summed_to(tf.where(took_low, upstream, none), low))
            if high is not None:
                took_high = above if low is None else above | (high < low)
                parts.append(summed_to(tf.where(took_high, upstream, none), high))
            return parts

        return found, gradient

    return clamped(x, *bounds)


def exp(x):
    """Return eˣ.

    NumPy `np.exp(x)`, PyTorch `torch.exp(x)`, TensorFlow `tf.exp(x)`.
    Trap: TensorFlow refuses integers, which PyTorch makes float32; NumPy makes them float64.

    >>> exp(tf.constant([0, 0])).numpy()
    array([1., 1.], dtype=float32)
    """
    return tf.exp(floating(x))


def log(x):
    """Return the natural logarithm; −∞ for 0, NaN below.

    NumPy `np.log(x)`, PyTorch `torch.log(x)`, TensorFlow `tf.math.log(x)`. There is no `tf.log`.

    >>> log(tf.constant([1.0, 0.0])).numpy()
    array([  0., -inf], dtype=float32)
    """
    return tf.math.log(floating(x))


def sqrt(x):
    """Return √x; NaN below 0.

    NumPy `np.sqrt(x)`, PyTorch `torch.sqrt(x)`, TensorFlow `tf.sqrt(x)`.
    Trap: the gradient upstream / (2 √x) at 0 is ∞, and NaN where upstream is 0; TensorFlow makes that 0 (gap sqrt-0).

    >>> sqrt(tf.constant([4, 9])).numpy()
    array([2., 3.], dtype=float32)
    """

    @tf.custom_gradient
    def root(x):
        found = tf.sqrt(x)
        return found, lambda upstream: upstream / (2 * found)

    return root(floating(x))


def sigmoid(x):
    """Return 1 / (1 + e⁻ˣ).

    NumPy `1 / (1 + np.exp(-x))`, PyTorch `torch.sigmoid(x)`, TensorFlow `tf.sigmoid(x)`.

    >>> sigmoid(tf.constant([0.0])).numpy()
    array([0.5], dtype=float32)
    """
    return tf.sigmoid(floating(x))


def tanh(x):
    """Return the hyperbolic tangent.

    NumPy `np.tanh(x)`, PyTorch `torch.tanh(x)`, TensorFlow `tf.tanh(x)`.

    >>> tanh(tf.constant([0])).numpy()
    array([0.], dtype=float32)
    """
    return tf.tanh(floating(x))


def softmax(x, dim: int):
    """Return eˣ / Σ eˣ along a dimension.

    NumPy by hand, PyTorch `torch.softmax(x, dim=1)`, TensorFlow `tf.nn.softmax(x, axis=1)`.
    Trap: TensorFlow's default axis is the last; PyTorch's without `dim` depends on the rank; here `dim` is required.

    >>> softmax(tf.constant([[0.0, 0.0]]), dim=1).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """
    x = only_floating("softmax", x)
    dim = dimension("softmax", dim, x.shape.rank)
    if not x.shape.rank:
        return tf.where(tf.math.is_finite(x), tf.ones_like(x), x - x)
    # TensorFlow's own forgets NaN and infinities in float32.
    powers = tf.exp(x - tf.stop_gradient(tf.reduce_max(x, dim, keepdims=True))) if x.shape[dim] else x
    return powers / tf.reduce_sum(powers, dim, keepdims=True)


def pow(x, exponent):
    """Return x to the power of `exponent`.

    NumPy `x ** y`, PyTorch `torch.pow(x, y)`, TensorFlow `tf.pow(x, y)`.
    Traps: PyTorch's gradient for x is 0 where the exponent is 0, TensorFlow's is NaN at x = 0 (gap pow-zero-base); for
    the exponent it is NaN below 0, TensorFlow's 0 (gap pow-negative-base-exp-grad). Integers take no negative exponent.

    >>> pow(tf.constant([1, 2, 3]), 2).numpy()
    array([1, 4, 9], dtype=int32)
    """
    plain, given = (exponent, None) if isinstance(exponent, bool | int | float) else (None, as_tensor(exponent))
    x, exponent = promoted("pow", x, exponent)
    if x.dtype == tf.bool:
        if plain is None:
            raise BlitzError("pow does not take bool tensors; tf.cast them first")
        return x if plain else tf.ones_like(x)
    if not x.dtype.is_floating:
        if plain is not None and plain < 0:
            raise BlitzError("pow: integers to a negative power are not allowed; make them floating first")
        # To a negative power of a tensor's PyTorch has what is left of 1/xⁿ: of 1 and −1 themselves, else 0.
        sign_of = tf.where(exponent % 2 == 0, tf.abs(x), x)
        left = tf.where(tf.abs(x) == 1, sign_of, tf.zeros_like(sign_of))
        return tf.where(exponent < 0, left, tf.pow(x, tf.maximum(exponent, 0)))
    # For the gradient PyTorch takes the 1 off before it promotes, and so rounds in the exponent's own type.
    less = tf.cast(given - 1, x.dtype) if given is not None and given.dtype.is_floating else exponent - 1
    return _power(x, exponent, less, plain)


def _power(x, y, less, plain: float | None):
    """Return xʸ; `less` is y − 1, and `plain` is y where it is a Python number."""

    @tf.custom_gradient
    def power(x, y):
        found = _to_the(x, y, plain)

        def gradient(upstream):
            slope = y * _to_the(x, less, None if plain is None else plain - 1)
            of_x = tf.where(y == 0, tf.zeros_like(found), upstream * slope)
            of_y = tf.where((x == 0) & (y >= 0), tf.zeros_like(found), upstream * (found * tf.math.log(x)))
            return summed_to(of_x, x), summed_to(of_y, y)

        return found, gradient

    return power(x, y)


def _to_the(x, y, plain: float | None):
    """Return xʸ; for PyTorch a number ±½ is a root, which −∞ does not have, where C's pow gives ∞ and 0."""
    return tf.sqrt(x) if plain == 0.5 else tf.math.rsqrt(x) if plain == -0.5 else tf.pow(x, y)


def _check_alpha(name: str, alpha, dtype: tf.DType) -> None:
    if isinstance(alpha, bool) and dtype != tf.bool:
        raise BlitzError(f"{name}: alpha may be {alpha} for bool tensors only")
    if isinstance(alpha, float) and not dtype.is_floating:
        raise BlitzError(f"{name}: alpha must be a whole number for {dtype.name} tensors, not {alpha}")


def _in_place(function: Callable) -> Callable:
    """Return the form with a trailing underscore."""
    name = f"{function.__name__}_"

    @wraps(function)
    def assigning(x, *arguments, **options):
        found = function(tf.convert_to_tensor(x), *arguments, **options)
        if kind(found.dtype) > kind(x.dtype):
            raise BlitzError(
                f"{name}: the result is {found.dtype.name} and cannot be written into x, which is {x.dtype.name}"
            )
        if found.shape != x.shape:
            raise BlitzError(f"{name}: the result's shape {found.shape} must be x's, {x.shape}")
        found = tf.cast(found, x.dtype)
        return x.assign(found) if isinstance(x, tf.Variable) else found

    assigning.__name__ = assigning.__qualname__ = name
    assigning.__doc__ = (
        f"Return what PyTorch's `x.{name}(…)` leaves in `x`: `{function.__name__}`, of the dtype and shape of `x`.\n\n"
        f"A `tf.Variable` is assigned; a tensor is not changed: `x = {name}(x, …)`.\n\n"
        "Raises:\n    BlitzError: the result is of a higher kind (bool < integers < floating) or of another shape."
    )
    del assigning.__wrapped__  # its doctest is the function's own
    return assigning


def _all_in_place(*functions: Callable) -> list[Callable]:
    return [_in_place(function) for function in functions]


abs_, neg_, sign_, ceil_, floor_ = _all_in_place(abs, neg, sign, ceil, floor)
add_, sub_, mul_, div_, addcmul_, addcdiv_ = _all_in_place(add, sub, mul, div, addcmul, addcdiv)
clamp_, exp_, log_, sqrt_, sigmoid_, tanh_, pow_ = _all_in_place(clamp, exp, log, sqrt, sigmoid, tanh, pow)
